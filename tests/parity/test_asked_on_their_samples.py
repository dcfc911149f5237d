"""Networks that are asked on the user's own samples, as others would mean something else."""

import numpy as np

import parity
from numpy_impl.types import Array


class Policy:
    """A chain of two layers whose targets are actions and rewards; the rewards are centred."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.w1, self.w2 = rng.normal(size=(3, 6)), rng.normal(size=(6, 1))

    def forward(self, x: Array) -> Array:
        self.h = np.tanh(x @ self.w1)
        return 1 / (1 + np.exp(-self.h @ self.w2))

    def loss(self, x: Array, y: Array) -> float:
        p, (actions, rewards) = self.forward(x)[:, 0], y.T
        return -np.sum((rewards - rewards.mean()) * np.log(np.where(actions == 1, p, 1 - p)))

    def gradients(self, x: Array, y: Array, centred: bool = True) -> list[Array]:
        p, (actions, rewards) = self.forward(x), y.T
        delta = (p - actions[:, None]) * (rewards - centred * rewards.mean())[:, None]
        return [x.T @ (delta @ self.w2.T * (1 - self.h**2)), self.h.T @ delta]


def _report(centred: bool) -> parity.CheckReport:
    rng, net = np.random.default_rng(1), Policy()
    y = np.stack([rng.integers(0, 2, 12), rng.normal(size=12)], axis=1)
    return parity.check(
        parity.Candidate(
            get_weights=lambda: [net.w1, net.w2], forward=net.forward, loss=net.loss,
            gradients=lambda x, y: net.gradients(x, y, centred), data=(rng.normal(size=(12, 3)), y),
        )
    )  # fmt: skip


def test_targets_that_are_no_outputs_are_not_drawn_like_these() -> None:
    report = _report(True)
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert "your targets are not as many as outputs" in " ".join(str(report).split())
    assert _report(False).outcome is parity.Outcome.WRONG


def _predicting(own_mean: bool) -> parity.CheckReport:
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=(4, 3))]

    def normalized(x: Array) -> Array:
        return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)

    def loss(x: Array, y: Array) -> float:
        return float(np.sum((normalized(x) @ weights[0] - y) ** 2))

    def gradients(x: Array, y: Array) -> list[Array]:
        return [2 * normalized(x).T @ (normalized(x) @ weights[0] - y)]

    data = rng.normal(size=(8, 4)), rng.normal(size=(8, 3))
    candidate = parity.Candidate(
        get_weights=lambda: weights, loss=loss, gradients=gradients, data=data,
        forward=lambda x: (normalized(x) if own_mean else x / 2) @ weights[0] + 0 * x.sum(),
    )  # fmt: skip
    return parity.check(candidate)


def test_outputs_that_depend_on_the_rest_of_the_batch_are_remarked() -> None:
    assert any("the others of its batch" in remark for remark in _predicting(True).remarks)
    assert not any("the others of its batch" in remark for remark in _predicting(False).remarks)
