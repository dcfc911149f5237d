"""Learning rates that change inside of a step: by which schedule, and where it parts from another.

A schedule that is named is taken at its word: Keras's formula with these constants has to give the
rates that were planted.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl import optimizers, schedules
from numpy_impl.types import Array
from parity import CheckReport, Outcome

Rate = Callable[[int], float]


class Skip:
    """``x + tanh(x W)`` and a linear layer on it; half the squared error, its mean."""

    def __init__(self) -> None:
        r = np.random.default_rng(2)
        self.w, self.v = r.normal(size=(3, 3)), r.normal(size=(3, 2))
        self.t = 0
        self.velocity = [np.zeros_like(self.w), np.zeros_like(self.v)]

    def loss(self, x: Array, y: Array) -> float:
        return float((((x + np.tanh(x @ self.w)) @ self.v - y) ** 2).sum() / 2 / len(x))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        h = np.tanh(x @ self.w)
        d = ((x + h) @ self.v - y) / len(x)
        return [x.T @ (d @ self.v.T * (1 - h * h)), (x + h).T @ d]


def data(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.normal(size=(6, 3)), rng.normal(size=(6, 2))


def checked(rate: Rate, optimizer: Any = None, own: float = 0.0) -> CheckReport:
    """Check a step that multiplies the rate that it is given, or has one of its own."""

    def make() -> parity.Candidate:
        net = Skip()

        def step(x: Array, y: Array, learning_rate: float) -> None:
            size = (own or learning_rate) * rate(net.t)
            net.t += 1
            for array, g in zip((net.w, net.v), net.gradients(x, y), strict=True):
                array -= size * g

        return parity.Candidate(
            get_weights=lambda: [net.w, net.v], loss=net.loss, gradients=net.gradients,
            step=step, data=data, optimizer=optimizer,
        )  # fmt: skip

    return parity.check(make, keras=False)


def remark(report: CheckReport) -> str:
    return next(r for r in report.remarks if r.startswith("Learning rate: "))


RATES: dict[str, tuple[Rate, str]] = {
    "exponential": (lambda t: 0.9**t, "ExponentialDecay"),
    "exponential in 10 steps": (lambda t: 0.5 ** (t / 10), "ExponentialDecay"),
    "exponential, an epoch of 3": (lambda t: 0.5 ** (t // 3), "ExponentialDecay"),
    "inverse time": (lambda t: 1 / (1 + 0.25 * t), "InverseTimeDecay"),
    "inverse time, an epoch of 4": (lambda t: 1 / (1 + 0.5 * (t // 4)), "InverseTimeDecay"),
    "a line": (lambda t: 1 - t / 40, "PolynomialDecay"),
    "cosine": (lambda t: (1 + math.cos(math.pi * t / 30)) / 2, "CosineDecay"),
}


@pytest.mark.parametrize("own", [0.0, 0.01])
@pytest.mark.parametrize("name", RATES)
def test_a_schedule_is_named_with_its_constants(name: str, own: float) -> None:
    rate, schedule = RATES[name]
    report = checked(rate, own=own)
    words = remark(report)
    assert report.outcome is Outcome.RIGHT, str(report)
    called = words.partition("Keras has that as ")[2].partition(": ")[0]
    assert called.startswith(schedule), words
    assert ("the rate it is given" in words) == (not own)
    made = eval(called, {"rate": 1.0, **schedules.SCHEDULES})
    assert [made(t) for t in range(12)] == pytest.approx([rate(t) for t in range(12)], rel=1e-9)


def test_what_keras_has_no_schedule_of_is_told_by_its_formula() -> None:
    found = remark(checked(lambda t: min(1, (t + 1) / 5)))
    assert "times min(1, (t + 1)/5), t the steps before it" in found
    assert "1 + 1 t" in remark(checked(lambda t: (t + 1) / 100))
    assert "1/sqrt(1 + 2 t)" in remark(checked(lambda t: 1 / math.sqrt(1 + 2 * t)))


@pytest.mark.parametrize("name", ["drawn", "once"])
def test_rates_of_no_formula_are_listed(name: str) -> None:
    """What changes once may be the beginning of anything."""
    drawn = np.random.default_rng(3).uniform(0.5, 1, 40)
    rates: dict[str, Rate] = {"drawn": lambda t: drawn[t], "once": lambda t: 0.5 if t > 5 else 1.0}
    report = checked(rates[name])
    assert report.outcome is Outcome.RIGHT, str(report)
    assert "..." in remark(report)
    assert "Keras has" not in remark(report)


@pytest.mark.parametrize("name", RATES)
def test_another_schedule_than_declared_is_named_with_where_it_parts(name: str) -> None:
    rate, schedule = RATES[name]
    declared = optimizers.SGD(schedules.ExponentialDecay(0.1, 5, 0.8))
    report = checked(rate, declared)
    assert [f.code for f in report.findings] == ["other-optimizer"], str(report)
    title = report.findings[0].title
    assert schedule in title
    first = next(t for t in range(12) if not math.isclose(rate(t), 0.8 ** (t / 5)))
    assert f"parts at step {first + 1}" in title
    assert "decay_rate=0.8" in report.findings[0].fix


def test_the_declared_schedule_is_right() -> None:
    declared = optimizers.SGD(schedules.ExponentialDecay(0.1, 5, 0.8))
    report = checked(lambda t: 0.8 ** (t / 5), declared)
    assert report.outcome is Outcome.RIGHT, str(report)
