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
