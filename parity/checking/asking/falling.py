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
    """

    words: str
    rate: Callable[[float, int], float]
    parameter: Callable[[float, int], float]


# Of two that fit, the one with the shorter parameter; t may be counted from 0 or from 1.
_FORMULAS = (
    _Formula("1/(1 + {:g} t)", lambda k, t: 1 / (1 + k * t), lambda s, t: (1 / s - 1) / t),
    _Formula(
        "1/(1 + {:g} (t + 1))",
        lambda k, t: 1 / (1 + k * (t + 1)),
        lambda s, t: (1 - s) / (s * (1 + t) - 1),
    ),
    _Formula("{:g}^t", lambda d, t: d**t, lambda s, t: s ** (1 / t)),
    _Formula(
        "1/sqrt(1 + {:g} t)",
        lambda k, t: 1 / math.sqrt(1 + k * t),
        lambda s, t: (1 / s**2 - 1) / t,
    ),
    _Formula("1 - {:g} t", lambda k, t: 1 - k * t, lambda s, t: (1 - s) / t),
)


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
    found: list[tuple[int, int, Falling]] = []
    for place, formula in enumerate(_FORMULAS):
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
            f"times {self.rule.words}, t the steps before it. Keras has that as a schedule: "
            "optimizer=keras.optimizers.SGD(schedule)."
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
