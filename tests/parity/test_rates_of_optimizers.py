"""Optimizers with a state whose learning rate changes inside the step, in any network."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl import optimizers, schedules
from numpy_impl.types import Array
from parity import CheckReport, Outcome
from tests.parity.test_decay_in_steps import (
    Rule,
    State,
    adam,
    momentum,
    rmsprop,
    torch_momentum,
)
from tests.parity.test_rates_that_change import Skip, data, remark

Rate = Callable[[int], float]
RULES: dict[str, Rule] = {
    "SGD with momentum 0.9": momentum, "SGD with momentum 0.8": torch_momentum,
    "Adam": adam, "RMSprop": rmsprop,
}  # fmt: skip
# A rate, its formula, and Keras's schedule of it.
RATES: dict[str, tuple[Rate, str, str]] = {
    "exponential": (lambda t: 0.9**t, "0.9^t", "ExponentialDecay"),
    "an epoch of 3": (
        lambda t: 0.5 ** (t // 3), "0.5^floor(t/3)",
        "ExponentialDecay(rate, decay_steps=3, decay_rate=0.5, staircase=True)",
    ),
    "cosine": (
        lambda t: (1 + math.cos(math.pi * t / 30)) / 2, "cos(pi t/30)",
        "CosineDecay(rate, decay_steps=30)",
    ),
    "warm-up": (lambda t: (t + 1) / 100, "0.01 times 1 + 1 t", ""),
    "warm-up that ends": (lambda t: min(1, (t + 1) / 5), "min(1, (t + 1)/5)", ""),
}  # fmt: skip


def checked(rule: Rule, rate: Rate, optimizer: Any = None, own: float = 0.0) -> CheckReport:
    def make() -> parity.Candidate:
        net = Skip()
        held, states = [net.w, net.v], [State(), State()]

        def step(x: Array, y: Array, learning_rate: float) -> None:
            size = (own or learning_rate) * rate(net.t)
            net.t += 1
            for k, g in enumerate(net.gradients(x, y)):
                held[k] -= rule(states[k], g, size)

        return parity.Candidate(
            get_weights=lambda: held, loss=net.loss, gradients=net.gradients, step=step,
            data=data, optimizer=optimizer,
        )  # fmt: skip

    return parity.check(make, keras=False)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("rate", RATES)
def test_rule_and_schedule_are_told(name: str, rate: str) -> None:
    function, formula, schedule = RATES[rate]
    report = checked(RULES[name], function)
    assert report.outcome is Outcome.RIGHT, str(report)
    words = remark(report)
    assert f"Each step is {name}" in words
    assert formula in words
    assert schedule in words
    assert ("Keras has that" in words) == bool(schedule)


def test_a_rate_of_its_own_is_told() -> None:
    words = remark(checked(adam, RATES["exponential"][0], own=0.02))
    assert "by a rate of its own, 0.02 times 0.9^t" in words
    assert "optimizer=keras.optimizers.Adam(that)" in words


DECLARED: dict[str, Any] = {
    "one rate": optimizers.SGD(0.1, momentum=0.9),
    "another schedule": optimizers.SGD(schedules.InverseTimeDecay(0.1, 1, 0.1), momentum=0.9),
}


@pytest.mark.parametrize("name", DECLARED)
def test_another_rate_than_declared_is_wrong_and_named(name: str) -> None:
    report = checked(momentum, RATES["exponential"][0], DECLARED[name])
    assert [f.code for f in report.findings] == ["other-optimizer"], str(report)
    title = report.findings[0].title
    assert "SGD with momentum 0.9, ExponentialDecay(rate, decay_steps=1, decay_rate=0.9)" in title
    assert "parts at step 2" in title


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("name", RULES)
def test_rates_of_no_formula_and_a_constant_one_are_not_named(name: str) -> None:
    drawn = np.random.default_rng(5).uniform(0.5, 1, 60)
    rates: list[Rate] = [lambda t: drawn[t], lambda t: 1.0]
    for rate in rates:
        report = checked(RULES[name], rate)
        assert report.outcome is Outcome.RIGHT, str(report)
        assert not any(r.startswith("Learning rate: ") for r in report.remarks), str(report)
