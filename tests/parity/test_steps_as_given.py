"""Steps of a candidate that is handed over as it is: its state cannot be made anew."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl import optimizers, schedules
from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array
from parity import Outcome
from tests.parity.test_optimizer_census import Net, State, Update, adam, rmsprop, sgd, velocity

DECAY = schedules.ExponentialDecay(0.1, 5, 0.8)
LATER = schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01])


def counted(schedule: LearningRateSchedule, update: Update, first: int = 0) -> Update:
    """Return the update at the rate of a schedule that is ``first`` steps ahead."""

    def scheduled(state: State, g: Array, w: Array, rate: float) -> Array:
        multiple = schedule(max(state.t - 1 + first, 0)) / schedule(0)
        return update(state, g, w, rate * multiple)

    return scheduled


def made(
    update: Update, optimizer: Any, before: int = 0, wrong: float = 1.0, gives: bool = True
) -> parity.Candidate:
    """Return a candidate that has taken some steps already; a gradient may be wrong by a factor."""
    net, rng = Net(), np.random.default_rng(9)

    def gradients(x: Array, y: Array) -> list[Array]:
        found = net.gradients(x, y)
        return [wrong * found[0], *found[1:]]

    def step(x: Array, y: Array, learning_rate: float) -> None:
        for w, g, state in zip(net.arrays, gradients(x, y), net.states, strict=True):
            state.t += 1
            w -= update(state, g, w, learning_rate)

    for _ in range(before):
        step(rng.normal(size=(5, 6)), rng.normal(size=(5, 4)), 0.1)
    return parity.Candidate(
        get_weights=lambda: net.arrays, forward=net.forward, step=step, optimizer=optimizer,
        gradients=gradients if gives else None,
    )  # fmt: skip


MOMENTUM = optimizers.SGD(DECAY, momentum=0.9)
WRONG = {
    "ahead": (counted(DECAY, velocity(), 1), MOMENTUM, "schedule-ahead"),
    "behind": (counted(DECAY, velocity(), -1), MOMENTUM, "schedule-behind"),
    "never": (sgd, optimizers.SGD(DECAY), "schedule-count"),
    "epsilon": (adam(epsilon=1e-4), optimizers.Adam(0.1), "epsilon-size"),
    "decay": (
        adam(decoupled=0.01, whatever_rate=True),
        optimizers.AdamW(0.1, weight_decay=0.01),
        "weight-decay-enters",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_as_declared_is_wrong_although_the_state_cannot_be_made_anew(name: str) -> None:
    update, optimizer, code = WRONG[name]
    found = parity.check(made(update, optimizer), keras=False)
    assert found.outcome is Outcome.WRONG, str(found)
    assert [f.code for f in found.findings] == [code], str(found)


USED = {
    "velocity": (velocity(), optimizers.SGD(0.1, momentum=0.9), 3),
    "squares": (rmsprop(), optimizers.RMSprop(0.1), 3),
    "one step of a schedule": (counted(DECAY, sgd), optimizers.SGD(DECAY), 1),
    "some steps of a schedule": (counted(DECAY, sgd), optimizers.SGD(DECAY), 7),
    "the end of a schedule": (counted(LATER, sgd), optimizers.SGD(LATER), 9),
}


@pytest.mark.parametrize("name", USED)
def test_a_right_step_that_was_used_before_is_not_accused(name: str) -> None:
    update, optimizer, before = USED[name]
    found = parity.check(made(update, optimizer, before), keras=False)
    assert found.outcome is Outcome.UNKNOWN, str(found)
    assert "function that makes the candidate anew" in found.findings[0].evidence


@pytest.mark.parametrize("gives", [True, False])
def test_arrays_that_share_a_state_are_named_beside_others_of_their_shape(gives: bool) -> None:
    """Two of three biases of one shape; the third, and the kernels, have states of their own."""

    def update(state: State, g: Array, w: Array, rate: float) -> Array:
        keeper = state.others[3] if state.place == 5 else state
        keeper.m = 0.9 * keeper.m - rate * g
        return -keeper.m

    found = parity.check(lambda: made(update, None, gives=gives), keras=False)
    assert [f.code for f in found.findings] == ["state-shared"], str(found)
    assert found.findings[0].where == "step, weights[3] and weights[5]"


@pytest.mark.parametrize("update", [sgd, velocity()])
def test_a_wrong_gradient_is_borne_out_beside_a_step_that_keeps_a_state(update: Update) -> None:
    found = parity.check(made(update, None, wrong=2.0), keras=False)
    assert found.outcome is Outcome.WRONG, str(found)
    assert [f.code for f in found.findings] == ["times-2"], str(found)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "AdamW"])
def test_names_are_taken_in_any_case_as_keras_takes_them(name: str) -> None:
    update = {"SGD": sgd, "RMSprop": rmsprop()}.get(name, adam())
    found = parity.check(lambda: made(update, name), keras=False)
    assert found.outcome is Outcome.RIGHT, str(found)
