"""Networks that are asked on the user's own samples, as others would mean something else."""

from collections.abc import Callable

import numpy as np
import pytest

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


@pytest.mark.parametrize("wrong", [False, True])
def test_a_loss_that_broadcasts_targets_in_one_dimension_is_seen(wrong: bool) -> None:
    """Outputs (n, 1) less targets (n,) are (n, n): not so with the targets (n, 1)."""
    rng = np.random.default_rng(3)
    w = [rng.normal(size=(4, 5)), rng.normal(size=(5, 1))]

    def forward(x: Array) -> Array:
        return np.tanh(x @ w[0]) @ w[1]

    def loss(x: Array, y: Array) -> float:
        return float(np.mean((forward(x) - (y if wrong else y.reshape(-1, 1))) ** 2))

    def gradients(x: Array, y: Array) -> list[Array]:
        h = np.tanh(x @ w[0])
        delta = 2 * (h @ w[1] - y.reshape(-1, 1)) / len(x)
        return [x.T @ (delta @ w[1].T * (1 - h**2)), h.T @ delta]

    candidate = parity.Candidate(
        get_weights=lambda: w, forward=forward, gradients=gradients, loss=loss,
        data=(rng.normal(size=(9, 4)), rng.normal(size=9)),
    )  # fmt: skip
    report = parity.check(candidate)
    assert report.outcome is (parity.Outcome.WRONG if wrong else parity.Outcome.RIGHT), str(report)
    assert [f.code for f in report.findings] == ["targets-broadcast"] * wrong


AXES: dict[str, Callable[[Array, Array], Array]] = {
    "as they are": lambda a, y: a - y,
    "targets in columns": lambda a, y: a - y.reshape(-1, 1),
    "outputs in one dimension": lambda a, y: (a.ravel() - y).reshape(len(a), -1),
}


def of_one_output(name: str, axes: int, by_step: bool = False) -> parity.CheckReport:
    """Check 4-3-1 (tanh, sigmoid) whose delta subtracts targets in one of these ways."""
    rng = np.random.default_rng(5)
    w = [rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(3, 1)), rng.normal(size=1)]

    def forward(x: Array) -> tuple[Array, Array]:
        h = np.tanh(x @ w[0] + w[1])
        return h, 1 / (1 + np.exp(-(h @ w[2] + w[3])))

    def gradients(x: Array, y: Array) -> list[Array]:
        h, a = forward(x)
        delta = AXES[name](a, y) / len(x)
        if delta.shape[1] > 1:
            delta = delta.mean(axis=1, keepdims=True)
        below = delta @ w[2].T * (1 - h**2)
        return [x.T @ below, below.sum(axis=0), h.T @ delta, delta.sum(axis=0)]

    def step(x: Array, y: Array, learning_rate: float) -> None:
        for array, gradient in zip(w, gradients(x, y), strict=True):
            array -= learning_rate * gradient

    y = rng.integers(2, size=9).astype(float)
    candidate = parity.Candidate(
        get_weights=lambda: w, forward=lambda x: forward(x)[1], step=step if by_step else None,
        gradients=None if by_step else gradients,
        data=(rng.normal(size=(9, 4)), y if axes == 1 else y[:, None]),
    )  # fmt: skip
    return parity.check(candidate, keras=False)


@pytest.mark.parametrize("by_step", [False, True], ids=["gradients", "step"])
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("name", AXES)
def test_targets_are_taken_as_the_user_s_lie(name: str, axes: int, by_step: bool) -> None:
    """What is right with targets (n, 1) alone is wrong where the user has (n,), and the reverse."""
    report = of_one_output(name, axes, by_step)
    right = {"as they are": axes == 2, "outputs in one dimension": axes == 1}.get(name, True)
    assert report.outcome is (parity.Outcome.RIGHT if right else parity.Outcome.WRONG), str(report)
    where = "step" if by_step else "gradients"
    assert [(f.code, f.where) for f in report.findings] == [("targets-broadcast", where)] * (
        not right
    )


@pytest.mark.parametrize("of_the_batch", [False, True])
def test_a_factor_of_the_batchs_size_is_tried_with_a_sample_less(of_the_batch: bool) -> None:
    rng = np.random.default_rng(4)
    w = [rng.normal(size=(4, 3, 2)), rng.normal(size=2)]

    def outputs(x: Array) -> Array:
        return np.tanh(np.einsum("nij,ijk->nk", x, w[0]) + w[1])

    def gradients(x: Array, y: Array) -> list[Array]:
        a = outputs(x)
        delta = 2 * (a - y) * (1 - a**2) / len(x)
        wrong = len(x) if of_the_batch else 4
        return [wrong * np.einsum("nij,nk->ijk", x, delta), delta.sum(axis=0)]

    def loss(x: Array, y: Array) -> float:
        return float(np.mean(np.sum((outputs(x) - y) ** 2, axis=1)))

    data = rng.normal(size=(4, 4, 3)), rng.normal(size=(4, 2))
    (finding,) = parity.check_gradients(loss, w, gradients, data).findings
    assert finding.title.startswith("the gradient is 4 times what it should be")
    assert ("batch size" in finding.title) is of_the_batch


def test_arrays_that_the_loss_does_not_depend_on_are_no_wrong_gradients() -> None:
    rng = np.random.default_rng(5)
    w = rng.normal(size=(4, 3, 2))
    copy = w.copy()

    def outputs(x: Array) -> Array:
        return np.tanh(np.einsum("nij,ijk->nk", x, w))

    def gradients(x: Array, y: Array) -> list[Array]:
        a = outputs(x)
        return [np.einsum("nij,nk->ijk", x, 2 * (a - y) * (1 - a**2))]

    def loss(x: Array, y: Array) -> float:
        return float(np.sum((outputs(x) - y) ** 2))

    data = rng.normal(size=(4, 4, 3)), rng.normal(size=(4, 2))
    report = parity.check_gradients(loss, [copy], gradients, data)
    assert report.outcome is parity.Outcome.UNKNOWN
    assert "no copies or averages of them?" in report.findings[0].evidence
    assert parity.check_gradients(loss, [w], gradients, data).outcome is parity.Outcome.RIGHT


def test_data_of_one_column_leave_code_for_one_sample_a_call_right() -> None:
    """Outputs take many columns and the step one: targets (k, 1) fit a batch of one sample."""
    rng = np.random.default_rng(6)
    w = [rng.normal(size=(3, 4)), rng.normal(size=(3, 1)), rng.normal(size=(2, 3))]
    w.append(rng.normal(size=(2, 1)))

    def forward(x: Array) -> tuple[Array, Array]:
        h = 1 / (1 + np.exp(-(w[0] @ x + w[1])))
        return h, 1 / (1 + np.exp(-(w[2] @ h + w[3])))

    def step(x: Array, y: Array, learning_rate: float) -> None:
        h, a = forward(x)
        delta = (a - y) * a * (1 - a)
        below = w[2].T @ delta * h * (1 - h)
        found = [below @ x.T, below, delta @ h.T, delta]
        w[:] = [array - learning_rate * g for array, g in zip(w, found, strict=True)]

    def set_weights(arrays: list[Array]) -> None:
        w[:] = arrays

    candidate = parity.Candidate(
        get_weights=lambda: w, set_weights=set_weights, forward=lambda x: forward(x)[1],
        step=step, data=(rng.normal(size=(4, 1)), np.array([[0.0], [1.0]])),
    )  # fmt: skip
    report = parity.check(candidate, keras=False)
    assert report.outcome is parity.Outcome.RIGHT, str(report)


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_a_bias_without_axes_is_measured(factor: float) -> None:
    rng = np.random.default_rng(7)
    w = {"E": rng.normal(size=(6, 3)), "v": rng.normal(size=3), "b": np.array(0.3)}

    def scores(x: Array) -> Array:
        return np.tanh(w["E"][x].mean(axis=1)) @ w["v"] + w["b"]

    def loss(x: Array, y: Array) -> float:
        return float(np.mean(np.log1p(np.exp(-y * scores(x)))))

    def gradients(x: Array, y: Array) -> dict[str, Array]:
        h = np.tanh(w["E"][x].mean(axis=1))
        delta = -y / (1 + np.exp(y * scores(x))) / len(x)
        table = np.zeros_like(w["E"])
        below = np.outer(delta, w["v"]) * (1 - h**2) / x.shape[1]
        np.add.at(table, x, np.repeat(below[:, None], x.shape[1], axis=1))
        return {"E": table, "v": h.T @ delta, "b": factor * np.asarray(delta.sum())}

    data = rng.integers(6, size=(8, 4)), rng.choice([-1.0, 1.0], 8)
    report = parity.check_gradients(loss, lambda: w, gradients, data)
    right = factor == 1.0
    assert report.outcome is (parity.Outcome.RIGHT if right else parity.Outcome.WRONG), str(report)
    assert [row.name for row in report.tensors if not row.right] == ["weights['b']"] * (not right)
