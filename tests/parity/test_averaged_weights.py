"""Optimizers that are declared with Keras's moving average of the weights (``use_ema``)."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl import optimizers
from numpy_impl.types import Array
from parity import CheckReport, Outcome
from tests.parity.test_decay_in_steps import Rule, State, momentum, sgd
from tests.parity.test_rates_that_change import Skip, data


def checked(
    rule: Rule, optimizer: Any, every: int = 0, stays: float = 0.9, from_zero: bool = False,
    late: int = 0, anew: bool = True, returns: str = "weights",
) -> CheckReport:  # fmt: skip
    """Check a step that puts the averages in the weights' place every few steps; 0 for never."""

    def make() -> parity.Candidate:
        net = Skip()
        held, states = [net.w, net.v], [State(), State()]
        averages = [np.zeros_like(w) for w in held]
        count = 0

        def step(x: Array, y: Array, learning_rate: float) -> None:
            nonlocal count
            for k, g in enumerate(net.gradients(x, y)):
                held[k] -= rule(states[k], g, learning_rate)
                share = stays if count or from_zero else 0.0
                averages[k][...] = share * averages[k] + (1 - share) * held[k]
                if every and (count + 1 - late) % every == 0 and count + 1 > late:
                    held[k][...] = averages[k]
            count += 1

        return parity.Candidate(
            get_weights=lambda: held if returns == "weights" else averages, loss=net.loss,
            gradients=net.gradients, step=step, data=data, optimizer=optimizer,
        )  # fmt: skip

    return parity.check(make if anew else make(), keras=False)


OPTIMIZERS: dict[str, tuple[Rule, Any]] = {
    "SGD": (sgd, lambda **more: optimizers.SGD(0.1, **more)),
    "momentum": (momentum, lambda **more: optimizers.SGD(0.1, momentum=0.9, **more)),
}


@pytest.mark.parametrize("every", [1, 3, 5])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_averages_in_the_place_of_weights_are_followed(name: str, every: int) -> None:
    rule, make = OPTIMIZERS[name]
    declared = make(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=every)
    report = checked(rule, declared, every)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert f"averaged by 0.9 every {every} steps (declared)" in report.summary


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_planted_step_is_the_engine_s_own(name: str) -> None:
    """The rule that is planted is that of numpy_impl, which is compared with Keras's elsewhere."""
    rule, make = OPTIMIZERS[name]
    engine = make(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)
    r = np.random.default_rng(0)
    start, gradients = r.normal(size=4), r.normal(size=(7, 4))
    w, own, average, state = start.copy(), start.copy(), np.zeros(4), State()
    engine.build(w)
    for t, g in enumerate(gradients):
        engine.apply(g.copy(), w)
        own -= rule(state, g, 0.1)
        average = own.copy() if t == 0 else 0.9 * average + 0.1 * own
        if (t + 1) % 3 == 0:
            own = average.copy()
    assert own == pytest.approx(w, rel=1e-12)


WRONG: dict[str, dict[str, Any]] = {
    "an average from 0": {"every": 3, "from_zero": True},
    "another share": {"every": 3, "stays": 0.8},
    "a step late": {"every": 3, "late": 1},
    "never": {},
    "twice as seldom": {"every": 6},
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_another_average_is_seen(kind: str, name: str) -> None:
    """As late as the averages part: the check's first steps all go to the same weights."""
    rule, make = OPTIMIZERS[kind]
    declared = make(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)
    report = checked(rule, declared, **WRONG[name])
    assert [f.code for f in report.findings] == ["other-optimizer"], str(report)
    assert report.outcome is Outcome.WRONG
    assert "parts at step" in report.findings[0].title, str(report)


def test_an_average_that_stays_apart_is_said_and_is_no_doubt() -> None:
    declared = optimizers.SGD(0.1, momentum=0.9, use_ema=True)
    report = checked(momentum, declared)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert any(r.startswith("Average: ") for r in report.remarks)


def test_code_that_hands_over_its_averages_is_not_accused() -> None:
    report = checked(sgd, optimizers.SGD(0.1, use_ema=True), returns="averages")
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert any("get_weights returns the averages" in f.evidence for f in report.findings)


def test_a_count_from_before_the_check_is_not_taken_for_a_bug() -> None:
    declared = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)
    report = checked(sgd, declared, every=3, late=1, anew=False)
    assert report.outcome is Outcome.UNKNOWN, str(report)
