"""A set_weights that starts the optimizer anew: nothing is wrong with it, as no training calls it.

The network may be made anew with it, or its state alone; and get_weights may hand over the arrays
themselves, or copies, in which nothing can be written.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl import optimizers
from numpy_impl.types import Array
from parity import CheckReport, Outcome
from tests.parity.test_optimizer_census import (
    Net,
    State,
    Update,
    adam,
    old_velocity,
    rmsprop,
    sgd,
    velocity,
    velocity_of,
)
from tests.parity.test_steps_as_given import DECAY, counted
from tests.parity.test_steps_of_any_layers import Skip, data

RESTARTS = "set_weights"
WRITTEN = "weights were written into the arrays"
INTERRUPTED = "as if the optimizer were started anew"


class Program:
    """A network with an optimizer of its own, which set_weights starts anew.

    Args:
        update: The optimizer's.
        whole: Whether the network is made anew as well.
        keeps: What of the optimizer's state goes on all the same.
        cached: Whether the kernels are transposed once, for the backward pass, when they are set.
        dtype: Of the weights that are set.
    """

    def __init__(
        self,
        update: Update,
        whole: bool = False,
        keeps: Sequence[str] = (),
        cached: bool = False,
        dtype: type = np.float64,
    ) -> None:
        self.update, self.whole, self.keeps, self.cached = update, whole, keeps, cached
        self.dtype, self.net = dtype, Net()
        self.calls = 0
        self.set_weights(self.net.arrays)

    def set_weights(self, arrays: Sequence[Array]) -> None:
        before = self.net.states
        if self.whole:
            self.net = Net()
        self.net.arrays = [w.astype(self.dtype) for w in arrays]
        self.net.states = [State(w, k) for k, w in enumerate(self.net.arrays)]
        for old, state in zip(before, self.net.states, strict=True):
            state.others = self.net.states
            for name in self.keeps:
                setattr(state, name, getattr(old, name))
        self._transpose()

    def _transpose(self) -> None:
        self.turned = [w.T.copy() for w in self.net.arrays]

    def gradients(self, x: Array, y: Array) -> list[Array]:
        if not self.cached:
            return self.net.gradients(x, y)
        delta, found = 2 * (self.net.forward(x) - y) / y.size, list[Array]()
        for k in range(len(self.net.a) - 2, -1, -1):
            found = [self.net.a[k].T @ delta, delta.sum(axis=0), *found]
            delta = delta @ self.turned[2 * k] * (1 - self.net.a[k] ** 2)
        return found

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        self.calls += 1
        for k, g in enumerate(self.gradients(x, y)):
            state, w = self.net.states[k], self.net.arrays[k]
            state.t += 1
            self.net.arrays[k] = w - self.update(state, g, w, learning_rate)
        self._transpose()

    def candidate(
        self, declared: Any = None, gradients: bool = True, copies: bool = False
    ) -> parity.Candidate:
        """Return it as a candidate that hands over its arrays, or copies of them."""

        def arrays() -> list[Array]:
            return [w.copy() for w in self.net.arrays] if copies else self.net.arrays

        return parity.Candidate(
            get_weights=arrays, set_weights=self.set_weights, forward=lambda x: self.net.forward(x),
            gradients=self.gradients if gradients else None, step=self.step, optimizer=declared,
        )  # fmt: skip


def checked(
    update: Update, declared: Any = None, gradients: bool = True, copies: bool = False, **kind: Any
) -> CheckReport:
    candidate = Program(update, **kind).candidate(declared, gradients, copies)
    return parity.check(candidate, keras=False)


def cubes(state: State, g: Array, w: Array, rate: float) -> Array:
    """No optimizer that is known."""
    state.v = 0.9 * state.v + g**3
    return rate * state.v


def codes(report: CheckReport) -> list[str]:
    return [finding.code for finding in report.findings]


def told(report: CheckReport, words: str) -> bool:
    return any(words in remark for remark in report.remarks)


RIGHT = {
    "Adam": (adam(), None, "Adam"),
    "Adam, declared": (adam(), optimizers.Adam(0.1), "Adam"),
    "Adam, by its name": (adam(), "adam", "Adam"),
    "RMSprop": (rmsprop(), None, "RMSprop"),
    "RMSprop, declared": (rmsprop(), optimizers.RMSprop(0.1), "RMSprop"),
    "momentum": (velocity(), None, "SGD with momentum 0.9"),
    "momentum, declared": (
        velocity(), optimizers.SGD(0.1, momentum=0.9), "SGD with momentum 0.9",
    ),
    "momentum, by its name": (velocity(), "momentum", "SGD with momentum 0.9"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "gradients", "copies"), [*product(RIGHT, (True, False), (False, True))]
)
def test_a_right_step_is_right_beside_a_set_weights_that_starts_it_anew(
    name: str, gradients: bool, copies: bool
) -> None:
    update, declared, words = RIGHT[name]
    found = checked(update, declared, gradients, copies)
    assert found.outcome is Outcome.RIGHT, str(found)
    assert found.conventions["optimizer"].startswith(words)
    assert told(found, INTERRUPTED if copies else WRITTEN), str(found)


@pytest.mark.parametrize(("name", "copies"), [*product(RIGHT, (False, True))])
def test_so_it_is_where_the_network_is_made_anew_and_so_is_the_candidate(
    name: str, copies: bool
) -> None:
    update, declared, words = RIGHT[name]

    def make() -> parity.Candidate:
        return Program(update, whole=True).candidate(declared, copies=copies)

    found = parity.check(make, keras=False)
    assert found.outcome is Outcome.RIGHT, str(found)
    assert found.conventions["optimizer"].startswith(words)
    assert told(found, RESTARTS)


WRONG = {
    "betas": (adam(betas=(0.999, 0.9)), None, "adam-betas-swapped"),
    "betas, declared": (adam(betas=(0.999, 0.9)), optimizers.Adam(0.1), "adam-betas-swapped"),
    "without t": (
        adam(one=lambda t: 1 - 0.9, two=lambda t: 1 - 0.999), None,
        "adam-correction-without-power",
    ),
    "without t, declared": (
        adam(one=lambda t: 1 - 0.9, two=lambda t: 1 - 0.999), optimizers.Adam(0.1),
        "adam-correction-without-power",
    ),
    "Adam in each call": (adam(kept=False), None, "state-not-kept"),
    "Adam in each call, declared": (adam(kept=False), optimizers.Adam(0.1), "state-not-kept"),
    "RMSprop in each call": (rmsprop(kept=False), None, "state-not-kept"),
    "no root": (rmsprop(root=False), optimizers.RMSprop(0.1), "rmsprop-no-root"),
    "momentum in each call": (sgd, optimizers.SGD(0.1, momentum=0.9), "momentum-missing"),
    "velocity from before": (old_velocity, None, "velocity-from-before"),
    "another's velocity": (velocity_of(1, 3, False), None, "state-crossed"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "copies"), [*product(WRONG, (False, True))])
def test_a_wrong_step_is_named_all_the_same(name: str, copies: bool) -> None:
    update, declared, code = WRONG[name]
    found = checked(update, declared, copies=copies)
    assert found.outcome is Outcome.WRONG, str(found)
    assert codes(found) == [code], str(found)


@pytest.mark.parametrize("copies", [False, True])
def test_another_momentum_than_declared_is_wrong(copies: bool) -> None:
    declared = optimizers.SGD(0.1, momentum=0.9)
    found = checked(velocity(0.5), declared, gradients=False, copies=copies)
    assert found.outcome is Outcome.WRONG, str(found)
    assert codes(found) == ["other-optimizer"], str(found)


@pytest.mark.parametrize("copies", [False, True])
def test_a_step_that_never_keeps_its_state_is_wrong_where_set_weights_leaves_the_rest(
    copies: bool,
) -> None:
    """In every call, and not in set_weights: t alone goes on there."""
    found = checked(adam(kept=False), copies=copies, keeps=("t", "m", "v"))
    assert found.outcome is Outcome.WRONG, str(found)
    assert codes(found) == ["state-not-kept"], str(found)


@pytest.mark.parametrize("copies", [False, True])
def test_what_is_no_update_that_is_known_is_neither_right_nor_wrong(copies: bool) -> None:
    found = checked(cubes, copies=copies)
    assert found.outcome is Outcome.UNKNOWN, str(found)
    assert codes(found) == ["set-weights-restarts" if copies else "unknown-optimizer"]


@pytest.mark.parametrize("declared", [None, optimizers.Adam(0.1)])
@pytest.mark.parametrize(("keeps", "gradients"), [*product((("t",), ("m", "v")), (True, False))])
def test_a_part_of_the_state_may_be_started_anew(
    declared: Any, keeps: tuple[str, ...], gradients: bool
) -> None:
    """Averages that are kept by the identity of the arrays, say, while t is counted on."""
    found = checked(adam(), declared, gradients, keeps=keeps)
    assert found.outcome is Outcome.RIGHT, str(found)
    assert told(found, "starts a part of what the step keeps anew"), str(found)


@pytest.mark.parametrize(("keeps", "copies"), [*product((("m", "t"), ("v", "t")), (False, True))])
def test_where_one_average_alone_starts_anew_nobody_is_accused(
    keeps: tuple[str, ...], copies: bool
) -> None:
    found = checked(adam(), optimizers.Adam(0.1), copies=copies, keeps=keeps)
    assert found.outcome is Outcome.UNKNOWN, str(found)
    assert "set_weights changes more than weights" in found.findings[0].evidence


def test_another_optimizer_is_wrong_where_set_weights_leaves_its_state() -> None:
    found = checked(cubes, optimizers.Adam(0.1), keeps=("m", "v", "u", "t", "p"))
    assert found.outcome is Outcome.WRONG, str(found)


def test_no_array_is_written_to_where_something_else_is_made_of_it() -> None:
    found = checked(adam(), optimizers.Adam(0.1), cached=True)
    assert found.outcome is Outcome.RIGHT, str(found)
    assert told(found, INTERRUPTED), str(found)


@pytest.mark.parametrize("copies", [False, True])
def test_a_schedule_that_starts_anew_with_the_state_is_not_accused(copies: bool) -> None:
    found = checked(counted(DECAY, velocity()), optimizers.SGD(DECAY, momentum=0.9), copies=copies)
    assert found.outcome is (Outcome.UNKNOWN if copies else Outcome.RIGHT), str(found)


@pytest.mark.parametrize("update", [adam(), velocity(), rmsprop()])
def test_weights_may_be_set_in_float32(update: Update) -> None:
    found = checked(update, dtype=np.float32)
    assert found.outcome is Outcome.RIGHT, str(found)
    assert told(found, WRITTEN), str(found)


def test_nothing_is_said_of_a_set_weights_that_leaves_the_state_alone() -> None:
    found = checked(adam(), keeps=("m", "v", "u", "t", "p"))
    assert found.outcome is Outcome.RIGHT, str(found)
    assert not told(found, RESTARTS), str(found)


@pytest.mark.parametrize(("update", "steps"), [(sgd, 20), (adam(), 24)])
def test_few_steps_more_are_taken(update: Update, steps: int) -> None:
    """Of a right program whose set_weights does nothing but that."""
    program = Program(update, keeps=("m", "v", "u", "t", "p"))
    assert parity.check(program.candidate(), keras=False).outcome is Outcome.RIGHT
    assert program.calls <= steps


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize(
    ("update", "declared"),
    [(adam(), None), (adam(), optimizers.Adam(0.1)), (velocity(), None)],
)
def test_steps_of_any_layers_are_right_too(update: Update, declared: Any, copies: bool) -> None:
    net = Skip()

    def set_weights(arrays: Sequence[Array]) -> None:
        net.p = [w.copy() for w in arrays]
        net.states = [State(w, k) for k, w in enumerate(arrays)]

    def step(x: Array, y: Array, learning_rate: float) -> None:
        for w, g, state in zip(net.p, net.gradients(x, y), net.states, strict=True):
            state.t += 1
            w -= update(state, g, w, learning_rate)

    candidate = parity.Candidate(
        get_weights=lambda: [w.copy() for w in net.p] if copies else net.p,
        set_weights=set_weights, gradients=net.gradients, step=step, loss=net.loss, data=data,
        optimizer=declared,
    )  # fmt: skip
    found = parity.check(candidate, keras=False)
    assert found.outcome is Outcome.RIGHT, str(found)
    assert told(found, INTERRUPTED if copies else WRITTEN), str(found)
