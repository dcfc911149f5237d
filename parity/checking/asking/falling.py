"""Steps whose learning rate changes from step to step, by one of the usual formulas."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.gradients import Answer, Step
from parity.checking.asking.subject import Subject
from parity.checking.model.probe import Probe

_DIGITS = range(1, 16)


@dataclass(frozen=True)
class _Formula:
    """A rate after ``t`` steps, as a multiple of what is given, and its parameter found again.

    The parameter follows from the rate's size after ``t`` steps in multiples of the first.

    Attributes:
        words: The formula, its parameter held open.
        keras: Keras's schedule of that formula, likewise; "" where Keras has none.
    """

    words: str
    rate: Callable[[float, int], float]
    parameter: Callable[[float, int], float]
    keras: str = ""


def _cosine(n: float, t: int) -> float:
    return (1 + math.cos(math.pi * min(t / n, 1))) / 2


def _fallen(s: float, t: int) -> float:
    """Return the slope of what falls in a straight line."""
    if s >= 1:
        raise ValueError("it does not fall")
    return (1 - s) / t


# Of two that fit, the one with the shorter parameter; t may be counted from 0 or from 1.
_FORMULAS = (
    _Formula(
        "1/(1 + {0:.10g} t)",
        lambda k, t: 1 / (1 + k * t),
        lambda s, t: (1 / s - 1) / t,
        "InverseTimeDecay(rate, decay_steps=1, decay_rate={0:.10g})",
    ),
    _Formula(
        "1/(1 + {0:.10g} (t + 1))",
        lambda k, t: 1 / (1 + k * (t + 1)),
        lambda s, t: (1 - s) / (s * (1 + t) - 1),
    ),
    _Formula(
        "{0:.10g}^t",
        lambda d, t: d**t,
        lambda s, t: s ** (1 / t),
        "ExponentialDecay(rate, decay_steps=1, decay_rate={0:.10g})",
    ),
    _Formula(
        "1/sqrt(1 + {0:.10g} t)",
        lambda k, t: 1 / math.sqrt(1 + k * t),
        lambda s, t: (1 / s**2 - 1) / t,
    ),
    _Formula(
        "1 - {0:.10g} t",
        lambda k, t: 1 - k * t,
        _fallen,
        "PolynomialDecay(rate, decay_steps={1:.10g}, end_learning_rate=0)",
    ),
    _Formula(
        "(1 + cos(pi t/{0:.10g}))/2",
        _cosine,
        lambda s, t: math.pi * t / math.acos(2 * s - 1),
        "CosineDecay(rate, decay_steps={0:.10g})",
    ),
    # A warm-up, as far as it goes: t + 1 where it begins with the first of its steps.
    _Formula("1 + {0:.10g} t", lambda k, t: 1 + k * t, lambda s, t: (s - 1) / t),
)


def _stairs(n: int) -> tuple[_Formula, ...]:
    """Return what changes once in n steps, as where epochs are counted."""
    return (
        _Formula(
            f"{{0:.10g}}^floor(t/{n})",
            lambda d, t: d ** (t // n),
            lambda s, t: s ** (1 / (t // n)),
            f"ExponentialDecay(rate, decay_steps={n}, decay_rate={{0:.10g}}, staircase=True)",
        ),
        _Formula(
            f"1/(1 + {{0:.10g}} floor(t/{n}))",
            lambda k, t: 1 / (1 + k * (t // n)),
            lambda s, t: (1 / s - 1) / (t // n),
            f"InverseTimeDecay(rate, decay_steps={n}, decay_rate={{0:.10g}}, staircase=True)",
        ),
    )


# It grows by as much with each step until it stays, from the share that the first step has.
_WARM_UP = _Formula("min(1, (t + 1)/{0:.10g})", lambda n, t: min(1.0, (t + 1) / n), lambda s, t: s)


@dataclass(frozen=True)
class Falling:
    """A rate by a formula.

    Attributes:
        formula: Of ``t``, the number of steps before.
        parameter: The shortest number that fits.
        low: The smallest
        high: and the largest one that the measurement allows.
    """

    formula: _Formula
    parameter: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The formula."""
        return self.formula.words.format(self.parameter)

    @property
    def keras(self) -> str:
        """Keras's schedule of that formula; "" where Keras has none."""
        turned = 1 / self.parameter if self.parameter else 0.0
        return self.formula.keras.format(self.parameter, turned)

    def as_declared(self, optimizer: str = "SGD") -> str:
        """Return how to declare it, as a sentence; "" where Keras has none."""
        if not self.keras:
            return ""
        return f" Keras has that as {self.keras}: optimizer=keras.optimizers.{optimizer}(that)."

    def multiple(self, t: int) -> tuple[float, float]:
        """Return the rate after ``t`` steps in multiples of what is given, and its error."""
        rate = self.formula.rate(self.parameter, t)
        return rate, max(abs(self.formula.rate(p, t) - rate) for p in (self.low, self.high))


def falling(steps: Sequence[Array], times: Sequence[int], noise: Array) -> Falling | None:
    """Return the formula by which steps on one batch from the same weights change in size.

    Args:
        steps: Each as one vector; they are multiples of one another, or there is no formula.
        times: How many steps were taken before each; the first is 0.
        noise: What each has lost, element by element.
    """
    first = steps[0]
    square = float(np.vdot(first, first))
    if not square or not np.all(np.isfinite(first)):
        return None
    sizes = [float(np.vdot(step, first)) / square for step in steps]
    error = 2 * float(np.abs(first) @ noise) / square
    errors = [error * (1 + abs(size)) for size in sizes]
    for step, size, e in zip(steps, sizes, errors, strict=True):
        room = (1 + abs(size)) * noise + e * np.abs(first)
        if not np.all(np.abs(step - size * first) <= room):
            return None
    if all(abs(size - 1) <= e for size, e in zip(sizes, errors, strict=True)) or min(sizes) <= 0:
        return None
    return _shortest(_FORMULAS, sizes, errors, times)


def named(sizes: Sequence[float], errors: Sequence[float]) -> Falling | None:
    """Return the formula by which the rates of steps one after the other go, if it is told.

    Here the steps are known to go down their gradients; what changes once in several steps, or
    stops growing, is told as well, if it has changed more than once.

    Args:
        sizes: The rates.
        errors: How far each may be off.
    """
    if not sizes or min(sizes) <= 0:
        return None
    first, times = sizes[0], range(len(sizes))
    own = [size / first for size in sizes]
    room = [(e + errors[0] * s) / first for s, e in zip(own, errors, strict=True)]
    steady = _shortest(_FORMULAS, own, room, times)
    if steady is not None:
        return steady
    changes = [k for k in times[1:] if abs(own[k] - own[k - 1]) > room[k] + room[k - 1]]
    if len(changes) < 2:
        return None
    stairs = [formula for n in times[2:] for formula in _stairs(n)]
    return _shortest([_WARM_UP, *stairs], own, room, times)


def _shortest(
    formulas: Sequence[_Formula],
    sizes: Sequence[float],
    errors: Sequence[float],
    times: Sequence[int],
) -> Falling | None:
    """Return the formula that fits with the shortest parameter; of several the first."""
    found: list[tuple[int, int, Falling]] = []
    for place, formula in enumerate(formulas):
        digits, fitted = _fitted(formula, sizes, errors, times)
        if fitted is not None:
            found.append((digits, place, fitted))
    return min(found, key=lambda entry: entry[:2])[2] if found else None


def _fitted(
    formula: _Formula, sizes: Sequence[float], errors: Sequence[float], times: Sequence[int]
) -> tuple[int, Falling | None]:
    """Return the formula with the shortest parameter that fits, and how many digits it has."""
    size, error, last = sizes[-1], errors[-1], times[-1]
    with np.errstate(all="ignore"):
        try:
            ends = [float(formula.parameter(size + e, last)) for e in (-error, 0.0, error)]
            if not np.all(np.isfinite(ends)):
                return 0, None
            low, high = min(ends), max(ends)
            for s, e, t in zip(sizes, errors, times, strict=True):
                rates = [formula.rate(p, t) / formula.rate(p, 0) for p in (low, high)]
                if not min(rates) - e <= s <= max(rates) + e:
                    return 0, None
        except (ValueError, ZeroDivisionError, OverflowError, TypeError):  # no rate of this formula
            return 0, None
    for digits in _DIGITS:
        short = float(f"{ends[1]:.{digits}g}")
        if low <= short <= high:
            return digits, Falling(formula, short, low, high)
    return len(_DIGITS) + 1, Falling(formula, ends[1], low, high)


class FallingStep(Step):
    """Gradients from steps at a rate by a formula.

    Args:
        subject: The user's code.
        rule: The formula.
        start: How many steps it had taken when they were counted as 0.
        power: As in :class:`Step`.
    """

    def __init__(self, subject: Subject, rule: Falling, start: int, power: int | None) -> None:
        super().__init__(subject, power=power)
        self.rule = rule
        self.start = start

    @property
    def remark(self) -> str:
        """What is worth knowing of it."""
        return (
            "Learning rate: it changes inside the step. Each step goes by the rate it is given "
            f"times {self.rule.words}, t the steps before it.{self.rule.as_declared()}"
        )

    def ask(self, probe: Probe) -> Answer:
        """Return the gradients, as in :class:`Step`."""
        multiple, error = self.rule.multiple(len(self.taken) - self.start)
        answer = super().ask(probe)
        arrays = [None if a is None else a / multiple for a in answer.arrays]
        answer.noise = [
            n / multiple + (0.0 if a is None else error / multiple * np.abs(a))
            for n, a in zip(answer.noise, arrays, strict=True)
        ]
        answer.arrays = arrays
        return answer

    def still(self, probe: Probe) -> bool:
        """Return whether two steps on a probe go by the formula, as they do until a floor, say."""
        first, second = self.ask(probe), self.ask(probe)
        pairs = zip(first.arrays, second.arrays, first.noise, second.noise, strict=True)
        return all(
            a is not None and b is not None and bool(np.all(np.abs(a - b) <= n + m))
            for a, b, n, m in pairs
        )
