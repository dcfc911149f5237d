"""The derivative of the user's own loss, measured across and between the kinks of ReLU."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.checking.explain import own_kind, own_loss
from parity.checking.model.layout import Key

SIZES = [(8, 16, 3), (20, 15, 4), (64, 40, 10)]
SEEDS = range(4)


class TwoLayers:
    """ReLU and softmax with cross-entropy and weight decay, its loss and gradients in one call."""

    def __init__(self, sizes: tuple[int, int, int], decay_factor: float = 1.0) -> None:
        rng = np.random.default_rng(0)
        self.decay, self.decay_factor = 0.05, decay_factor
        self.w1, self.b1 = rng.normal(size=sizes[:2]), np.zeros(sizes[1])
        self.w2, self.b2 = rng.normal(size=sizes[1:]), np.zeros(sizes[2])

    def scores(self, x: Array) -> Array:
        self.h = np.maximum(x @ self.w1 + self.b1, 0)
        return self.h @ self.w2 + self.b2

    def loss(self, x: Array, y: Array) -> float:
        scores = self.scores(x)
        top = scores.max(axis=1, keepdims=True)
        log_p = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
        decay = self.decay * sum((w * w).sum() for w in (self.w1, self.w2))
        return -(y * log_p).sum() / len(x) + decay

    def gradients(self, x: Array, y: Array) -> list[Array]:
        scores = self.scores(x)
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        delta = (p / p.sum(axis=1, keepdims=True) - y) / len(x)
        hidden = delta @ self.w2.T * (self.h > 0)
        decay = 2 * self.decay * self.decay_factor
        return [
            x.T @ hidden + decay * self.w1, hidden.sum(axis=0),
            self.h.T @ delta + decay * self.w2, delta.sum(axis=0),
        ]  # fmt: skip


def checked(net: TwoLayers, seed: int) -> parity.CheckReport:
    candidate = parity.Candidate(
        get_weights=lambda: [net.w1, net.b1, net.w2, net.b2],
        forward=net.scores,
        gradients=net.gradients,
        loss=net.loss,
    )
    return parity.check(candidate, keras=False, seed=seed)


def agrees(report: parity.CheckReport) -> bool | None:
    (own,) = [w for w in report.witnesses if w.name == "the derivative of your own loss"]
    return own.agrees


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", SIZES)
def test_relu_and_an_own_loss_agree_whatever_the_draw(sizes, seed: int) -> None:
    report = checked(TwoLayers(sizes), seed)
    assert report.passed, str(report)
    assert agrees(report), str(report)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", SIZES)
def test_half_of_the_loss_s_decay_is_seen_whatever_the_draw(sizes, seed: int) -> None:
    report = checked(TwoLayers(sizes, decay_factor=0.5), seed)
    assert not report.passed
    assert "weight decay (L2) ×0.5" in str(report)


def test_a_loss_that_is_not_what_is_descended_is_remarked() -> None:
    class Squared(TwoLayers):
        def loss(self, x: Array, y: Array) -> float:
            return super().loss(x, y) ** 2

    report = checked(Squared((8, 16, 3)), 0)
    assert report.passed, str(report)
    assert agrees(report) is False
    assert any("What is printed is not what is descended" in r for r in report.remarks)
    assert not any("descended" in r for r in checked(TwoLayers((8, 16, 3)), 0).remarks)


def test_steps_across_a_kink_would_mislead(monkeypatch: pytest.MonkeyPatch) -> None:
    def wide(self, key: Key, direction: Array) -> float:
        return 0.125 / max(1.0, float(np.sqrt(direction.size)))

    within = own_loss.Line._extrapolated

    def unlooked(self, *line) -> tuple[float, float, bool]:
        return (*within(self, *line)[:2], True)  # whether both sides have the same derivative

    monkeypatch.setattr(own_loss.Line, "_within_a_piece", wide)
    monkeypatch.setattr(own_loss.Line, "_extrapolated", unlooked)
    assert not all(agrees(checked(TwoLayers(s), seed)) for s in SIZES for seed in SEEDS)


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_unknown_here_is_right_in_float32(seed):
    """Differences of float32 tell little, and no right network is accused for that."""
    rng = np.random.default_rng(3)
    shapes = ((6, 9), (9,), (9, 2), (2,))
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]

    def forward(x):
        w1, b1, w2, b2 = weights
        return np.tanh(x.astype(np.float32) @ w1 + b1) @ w2 + b2

    def huber(x, y):
        r = np.abs(forward(x) - y.astype(np.float32))
        return np.where(r <= 0.5, r * r / 2, 0.5 * (r - 0.25)).mean(dtype=np.float32)

    def step(x, y, rate):
        w1, b1, w2, b2 = weights
        h = np.tanh(x.astype(np.float32) @ w1 + b1)
        d2 = np.clip(h @ w2 + b2 - y.astype(np.float32), -0.5, 0.5) / np.float32(y.size)
        d1 = d2 @ w2.T * (1 - h * h)
        changes = x.astype(np.float32).T @ d1, d1.sum(axis=0), h.T @ d2, d2.sum(axis=0)
        for w, g in zip(weights, changes, strict=True):
            w -= np.float32(rate) * g

    candidate = parity.Candidate(
        get_weights=lambda: weights, forward=forward, step=step, loss=huber
    )
    report = parity.check(candidate, seed=seed, keras=False)
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert "the derivative of your own loss" in report.tested


def test_two_measured_losses_are_not_the_same_loss():
    nothing: Any = None
    one, other = (own_kind.of(nothing, nothing, nothing) for _ in range(2))
    assert one.name == other.name
    assert len({one, other, one}) == 2


@pytest.mark.parametrize("wrong", [False, True])
def test_hubers_loss_is_known_by_its_name(wrong: bool) -> None:
    rng = np.random.default_rng(0)
    w1, w2 = rng.normal(size=(4, 6)), 3 * rng.normal(size=(6, 2))

    def gradients(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        h = np.tanh(x @ w1)
        e = h @ w2 - y
        d = (np.sign(e) if wrong else np.clip(e, -1, 1)) / y.size
        return [x.T @ (d @ w2.T * (1 - h**2)), h.T @ d]

    candidate = parity.Candidate(
        get_weights=lambda: [w1, w2], forward=lambda x: np.tanh(x @ w1) @ w2, gradients=gradients,
        loss="huber",
    )  # fmt: skip
    report = parity.check(candidate, keras=True)
    assert report.passed is not wrong, str(report)
    if wrong:
        assert "the gradients are those of absolute error" in report.summary
    else:
        assert [w.agrees for w in report.witnesses if w.name.startswith("Keras")] == [True]


def test_weights_kept_in_float32_are_rounded_where_the_loss_is_not() -> None:
    """A loss in float64 of such weights is known to no more digits than they have."""
    rng = np.random.default_rng(7)
    kept = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 6), (6,), (6, 2), (2,))]

    def set_weights(arrays: list[Array]) -> None:
        kept[:] = [np.asarray(array, np.float32) for array in arrays]

    def layers(x: Array) -> tuple[Array, Array]:
        hidden = np.tanh(x @ kept[0] + kept[1])
        return hidden, hidden @ kept[2] + kept[3]

    def gradients(x: Array, y: Array) -> list[Array]:
        hidden, outputs = layers(x)
        delta = 2 * (outputs - y) / len(x)
        below = delta @ kept[2].T * (1 - hidden**2)
        return [x.T @ below, below.sum(axis=0), hidden.T @ delta, delta.sum(axis=0)]

    def candidate(times: float) -> parity.Candidate:
        return parity.Candidate(
            get_weights=lambda: kept, set_weights=set_weights, forward=lambda x: layers(x)[1],
            gradients=gradients,
            loss=lambda x, y: times * float(np.mean(np.sum((layers(x)[1] - y) ** 2, axis=1))),
        )  # fmt: skip

    report = parity.check(candidate(1.0), keras=False)
    assert report.outcome is parity.Outcome.RIGHT
    assert agrees(report) is True
    assert not any("descended" in remark for remark in report.remarks)
    report = parity.check(candidate(1.5), keras=False)
    assert "your gradients are 0.667 times" in " ".join(str(report).split())


def test_a_loss_with_masks_of_its_own_is_no_witness() -> None:
    masks = np.random.default_rng(0)

    class Dropping(TwoLayers):
        def loss(self, x: Array, y: Array) -> float:
            return super().loss(x, y) * float(masks.random() < 0.5)

    report = checked(Dropping((8, 16, 3)), 0)
    assert report.passed, str(report)
    assert agrees(report) is None
    assert "the loss is another number at each call" in str(report)
