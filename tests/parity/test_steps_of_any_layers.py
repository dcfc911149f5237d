"""Steps of networks that are no chain of dense layers, judged by the user's own gradients."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl import optimizers, schedules
from numpy_impl.types import Array
from parity import CheckReport, Outcome
from tests.parity.test_optimizer_census import (
    State,
    Update,
    adam,
    clipped,
    rmsprop,
    sgd,
    torch_sgd,
    velocity,
)
from tests.parity.test_steps_as_given import counted


class Skip:
    """A residual layer between two others: ``h + tanh(h W1 + b1)``; squared error."""

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        shapes = (5, 4), (4,), (4, 4), (4,), (4, 2), (2,)
        self.p = [0.5 * rng.normal(size=shape) for shape in shapes]
        self.states = [State(w, k) for k, w in enumerate(self.p)]

    def forward(self, x: Array) -> Array:
        w0, b0, w1, b1, w2, b2 = self.p
        self.h = np.tanh(x @ w0 + b0)
        self.r = np.tanh(self.h @ w1 + b1)
        return (self.h + self.r) @ w2 + b2

    def loss(self, x: Array, y: Array) -> float:
        return float(0.5 * np.sum((self.forward(x) - y) ** 2) / len(x))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        _, _, w1, _, w2, _ = self.p
        d = (self.forward(x) - y) / len(x)
        top = [(self.h + self.r).T @ d, d.sum(axis=0)]
        e = d @ w2.T
        dr = e * (1 - self.r**2)
        dh = (e + dr @ w1.T) * (1 - self.h**2)
        return [x.T @ dh, dh.sum(axis=0), self.h.T @ dr, dr.sum(axis=0), *top]


def data(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.normal(size=(7, 5)), rng.normal(size=(7, 2))


def checked(
    update: Update, optimizer: Any = None, wrong: float = 1.0, inside: float = 1.0,
    anew: bool = True, shared: bool = False, loss: bool = True,
) -> CheckReport:  # fmt: skip
    """Check such a network; one gradient may be wrong by a factor, or inside of the step alone."""

    def make() -> parity.Candidate:
        net = Skip()
        if shared:  # one velocity for the two biases of four
            net.states[3] = net.states[1]

        def gradients(x: Array, y: Array) -> list[Array]:
            found = net.gradients(x, y)
            return [found[0], wrong * found[1], *found[2:]]

        def step(x: Array, y: Array, learning_rate: float) -> None:
            found = gradients(x, y)
            for k, (w, g, state) in enumerate(zip(net.p, found, net.states, strict=True)):
                state.t += 1
                w -= update(state, inside * g if k == 2 else g, w, learning_rate)

        return parity.Candidate(
            get_weights=lambda: net.p, gradients=gradients, step=step, data=data,
            optimizer=optimizer, forward=None if loss else net.forward,
            loss=net.loss if loss else None,
        )  # fmt: skip

    return parity.check(make if anew else make(), keras=False)


DECAY = schedules.ExponentialDecay(0.1, 5, 0.8)
RIGHT: dict[str, tuple[Update, Any, str]] = {
    "descent": (sgd, None, "SGD"),
    "momentum": (velocity(), None, "SGD with momentum 0.9"),
    "Adam": (adam(), None, "Adam"),
    "declared momentum": (velocity(), optimizers.SGD(0.1, momentum=0.9), "(declared)"),
    "declared Adam": (adam(), optimizers.Adam(0.1), "(declared)"),
    "PyTorch's": (torch_sgd(), "torch.SGD(momentum=0.9)", "(declared)"),
    "RMSprop by name": (rmsprop(), "RMSprop", "RMSprop"),
    "a schedule": (
        counted(DECAY, velocity()), optimizers.SGD(DECAY, momentum=0.9), "(declared)",
    ),
    "AdamW": (
        adam(decoupled=0.01), optimizers.AdamW(0.1, weight_decay=0.01), "(declared)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_step_is_right_and_named(name: str, anew: bool) -> None:
    update, optimizer, words = RIGHT[name]
    found = checked(update, optimizer, anew=anew)
    assert found.outcome is Outcome.RIGHT, str(found)
    assert "steps (" in found.summary
    assert words in found.summary


WRONG: dict[str, tuple[Update, Any, str]] = {
    "ahead": (
        counted(DECAY, velocity(), 1), optimizers.SGD(DECAY, momentum=0.9), "schedule-ahead",
    ),
    "epsilon": (adam(epsilon=1e-4), optimizers.Adam(0.1), "epsilon-size"),
    "decay": (
        adam(decoupled=0.01, whatever_rate=True), optimizers.AdamW(0.1, weight_decay=0.01),
        "weight-decay-enters",
    ),
    "another": (rmsprop(), "adam", "other-optimizer"),
    "clipping": (
        clipped("clipvalue", 0.01), optimizers.SGD(0.1, clipnorm=0.01), "clipping-kind",
    ),
    "twice": (lambda s, g, w, lr: g * lr * lr, None, "learning-rate-twice"),
    "no correction": (adam(one=lambda t: 1, two=lambda t: 1), None, "adam-no-correction"),
}  # fmt: skip


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_step_is_named(name: str, anew: bool) -> None:
    update, optimizer, code = WRONG[name]
    found = checked(update, optimizer, anew=anew)
    assert found.outcome is Outcome.WRONG, str(found)
    assert [f.code for f in found.findings] == [code], str(found)


def test_a_shared_velocity_is_named() -> None:
    found = checked(velocity(), shared=True)
    assert [f.code for f in found.findings] == ["state-shared"], str(found)


@pytest.mark.parametrize("anew", [True, False])
def test_a_wrong_gradient_is_told_from_a_wrong_rule(anew: bool) -> None:
    adam_ = optimizers.Adam(0.1)
    found = checked(adam(), adam_, wrong=2.0, anew=anew)
    assert [f.code for f in found.findings] == ["not-the-derivative"] or all(
        "weights[1]" in f.where for f in found.findings
    ), str(found)
    assert found.outcome is Outcome.WRONG


def test_another_gradient_inside_of_the_step_is_said_of_its_array() -> None:
    found = checked(velocity(), inside=3.0)
    assert found.outcome is not Outcome.RIGHT, str(found)
    assert any("weights[2]" in f.where for f in found.findings), str(found)


def test_a_step_is_judged_without_a_loss_too() -> None:
    found = checked(adam(epsilon=1e-4), optimizers.Adam(0.1), loss=False)
    assert found.outcome is Outcome.WRONG, str(found)
    assert found.findings[0].code == "epsilon-size"
    found = checked(adam(), optimizers.Adam(0.1), loss=False)
    assert found.outcome is Outcome.UNKNOWN, str(found)
    assert any(r.startswith("Steps: right are 12 steps (Adam") for r in found.remarks), str(found)


@pytest.mark.parametrize("rule", [sgd, velocity()])
def test_a_decay_of_the_kernels_inside_of_the_step_is_a_remark(rule: Update) -> None:
    found = checked(lambda s, g, w, lr: rule(s, g + (0.01 * w if w.ndim > 1 else 0), w, lr))
    assert found.outcome is Outcome.RIGHT, str(found)
    assert any(r.startswith("Weight decay: ") and "0.01" in r for r in found.remarks), str(found)


def test_a_step_that_is_nothing_known_is_not_accused_and_not_called_right() -> None:
    found = checked(lambda s, g, w, lr: lr * g**3)
    assert found.outcome is Outcome.RIGHT, str(found)
    assert "a step (by your gradients it is no update that is known here)" in found.untested


class Pairs:
    """Word vectors with Adagrad, whose weights and sums of squares were made in float32."""

    def __init__(self, slip: float = 1.0) -> None:
        rng = np.random.default_rng(6)
        self.w = [rng.uniform(-0.5, 0.5, (9, 7)).astype(np.float32) for _ in range(2)]
        self.sums = [np.zeros_like(array) for array in self.w]
        self.slip = slip

    def scores(self, x: Array) -> Array:
        return 1 / (1 + np.exp(-np.sum(self.w[0][x[:, 0]] * self.w[1][x[:, 1]], axis=1)))

    def loss(self, x: Array, y: Array) -> float:
        p = self.scores(x)
        return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        error = ((self.scores(x) - y) / len(y))[:, None]
        found = [np.zeros_like(array) for array in self.w]
        for n, gradient in enumerate(found):
            np.add.at(gradient, x[:, n], error * self.w[1 - n][x[:, 1 - n]])
        return found

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        for n, gradient in enumerate(self.gradients(x, y)):
            self.sums[n] += self.slip * gradient**2
            self.w[n] -= learning_rate * gradient / np.sqrt(self.sums[n] + 1e-7)

    def set_weights(self, arrays: list[Array]) -> None:
        self.w = [array.copy() for array in arrays]  # in float64, beside sums that stay as they are

    @staticmethod
    def checked(slip: float) -> CheckReport:
        rng = np.random.default_rng(7)

        def make() -> parity.Candidate:
            net = Pairs(slip)
            return parity.Candidate(
                get_weights=lambda: net.w, set_weights=net.set_weights, gradients=net.gradients,
                loss=net.loss, step=net.step, data=(rng.integers(9, size=(30, 2)), rng.random(30)),
                optimizer="Adagrad(initial_accumulator_value=0.0, epsilon=1e-7)",
            )  # fmt: skip

        return parity.check(make, keras=False)


def test_a_state_in_float32_beside_weights_in_float64_is_rounding_and_no_bug() -> None:
    report = Pairs.checked(1.0)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert any(remark.startswith("Precision: the steps") for remark in report.remarks)
    assert "Adagrad" in report.summary


def test_a_slip_beside_a_state_in_float32_is_seen() -> None:
    """A thousandth too much in each sum changes a step by a share that float32 shows."""
    report = Pairs.checked(1.001)
    assert report.outcome is Outcome.WRONG, str(report)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_bias_that_cancels_in_the_loss_may_stay_as_it_is(frozen: bool) -> None:
    """Its gradient is rounding alone; one that a step forgets is told all the same."""
    rng = np.random.default_rng(8)
    w = [rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(4, 2)), rng.normal(size=2)]

    def apart(x: Array) -> tuple[Array, Array]:
        h = np.tanh(x @ w[0] + w[1])
        a = h @ w[2] + w[3]
        return h, a - a[::-1]  # the last bias is in both

    def loss(x: Array, y: Array) -> float:
        return float(0.25 * np.sum((apart(x)[1] - y) ** 2) / len(x))

    def gradients(x: Array, y: Array) -> list[Array]:
        h, distance = apart(x)
        d = 0.5 * (distance - y) / len(x)
        d = d - d[::-1]
        below = d @ w[2].T * (1 - h**2)
        return [x.T @ below, below.sum(axis=0), h.T @ d, d.sum(axis=0)]

    def step(x: Array, y: Array, learning_rate: float) -> None:
        for n, (array, gradient) in enumerate(zip(w, gradients(x, y), strict=True)):
            if not (frozen and n == 1):
                array -= learning_rate * gradient

    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    report = parity.check(
        parity.Candidate(
            get_weights=lambda: w, gradients=gradients, loss=loss, step=step, data=(x, y),
            forward=lambda x: np.tanh(x @ w[0] + w[1]) @ w[2] + w[3],
        ),
        keras=False,
    )  # fmt: skip
    assert report.outcome is (Outcome.WRONG if frozen else Outcome.RIGHT), str(report)
    assert [(f.code, f.values.get("names")) for f in report.findings] == (
        [("step-leaves", "weights[1]")] * frozen
    )


class OneStepLate:
    """All weights in one vector; a step applies the gradients of the step before."""

    def __init__(self) -> None:
        self.theta = np.random.default_rng(0).normal(size=11)
        self.last = np.zeros(11)

    def parts(self) -> Any:
        return self.theta[:6].reshape(2, 3), self.theta[6:9], np.append(self.theta[9:], 1.0)

    def loss(self, x: Any, y: Any) -> float:
        w, b, v = self.parts()
        return float(np.mean((np.tanh(x @ w + b) @ v - y) ** 2))

    def gradients(self, x: Any, y: Any) -> Any:
        w, b, v = self.parts()
        h = np.tanh(x @ w + b)
        d = 2 * (h @ v - y) / len(y)
        dz = np.outer(d, v) * (1 - h * h)
        return np.concatenate([(x.T @ dz).ravel(), dz.sum(axis=0), (h.T @ d)[:2]])

    def step(self, x: Any, y: Any, rate: float) -> None:
        gradient = self.gradients(x, y)
        self.theta -= rate * self.last
        self.last = gradient


@pytest.mark.parametrize(
    ("declared", "outcome"),
    [(None, Outcome.RIGHT), ("sgd", Outcome.UNKNOWN), ("SGD(momentum=0.0)", Outcome.WRONG)],
)
def test_a_step_that_is_none_of_the_declared_optimizers_is_not_passed_over(
    declared: str | None, outcome: Outcome
):
    def make() -> parity.Candidate:
        net = OneStepLate()
        return parity.Candidate(
            get_weights=lambda: net.theta, gradients=net.gradients, loss=net.loss, step=net.step,
            optimizer=declared, data=lambda r: (r.normal(size=(6, 2)), r.normal(size=6)),
        )  # fmt: skip

    report = parity.check(make)
    assert report.outcome is outcome, str(report)
    if declared is None:
        assert "a step (by your gradients it is no update" in report.summary
