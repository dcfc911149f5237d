"""A derivative from values at steps that halve, extrapolated to step 0.

Ridders (1982), "Accurate computation of F'(x) and F'(x)F''(x)": the tableau also gives an estimate
of the error, the difference of the best entry from its neighbours. What a value's few digits leave
open adds to that: a loss may be rounded to decimals, or held in less precision than its weights.
"""

from collections.abc import Collection, Iterable

import numpy as np

# So many different values that all have few digits are no chance: a loss at 0 or 1 is one.
_DIFFERENT = 4
_DECIMALS = 13
# Extrapolated estimates err by a spacing over the step, times this: that of a difference once, and
# the product over the columns of (2^k + 1/2) / (2^k - 1), which is less than 7 to one side.
AMPLIFIED = 8


def spacing(values: Iterable[float]) -> float:
    """Return how far apart neighbouring values of a function are whose values have few digits.

    Args:
        values: Of the function: that where its neighbours are meant, and some far from it. No more
            are taken than are needed.

    Returns:
        10^-d where all are decimals of d digits, at most 13; eps times the first where all are
        numbers of float16 or float32; the larger of them. 0 where a value has all digits of
        float64, or too few values are different to tell.
    """
    seen: list[float] = []
    for value in values:
        if np.isfinite(value):
            if not _formats([value]) and _decimals([value], np.float64) is None:
                return 0.0
            seen.append(value)
    if len(set(seen)) < _DIFFERENT:
        return 0.0
    formats = _formats(seen)
    decimals = _decimals(seen, formats[0] if formats else np.float64)
    each = [float(np.finfo(kind).eps) * abs(seen[0]) for kind in formats]
    return max([0.0, *each, *([] if decimals is None else [10.0**-decimals])])


def _formats(values: Iterable[float]) -> list[type[np.floating]]:
    """Return in which formats narrower than float64 the values are, the widest first."""
    kinds: tuple[type[np.floating], ...] = (np.float32, np.float16)
    with np.errstate(over="ignore"):
        return [kind for kind in kinds if all(float(kind(value)) == value for value in values)]


def _decimals(values: Collection[float], kind: type[np.floating]) -> int | None:
    """Return the digits behind the point that all values have, up to some roundings of a format."""
    room = 4 * float(np.finfo(kind).eps) * max(abs(value) for value in values)
    for digits in range(_DECIMALS + 1):
        if 10.0**-digits <= 16 * room:  # any number of the format is as near to such a decimal
            return None
        # A sum of rounded values is near to a decimal of as many digits, and may be none.
        if all(abs(value - round(value, digits)) <= room for value in values):
            return digits
    return None


class Tableau:
    """Estimates of a derivative at steps that halve, extrapolated to 0.

    Args:
        order: With which power of the step the error of an estimate goes, and each further term:
            1 for differences to one side, 2 for central ones.

    Attributes:
        best: The entry with the smallest error estimate;
        error: that estimate, rounding included.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self.best, self.error = 0.0, np.inf
        self._previous: list[float] = []

    def add(self, estimate: float, rounding: float) -> None:
        """Add a row: the estimate at half the step before, and what rounding does to it."""
        current = [estimate]
        for k, before in enumerate(self._previous):
            factor = 2.0 ** (self.order * (k + 1))
            current.append((factor * current[k] - before) / (factor - 1))
            error = max(abs(current[-1] - current[k]), abs(current[-1] - before)) + rounding
            if error < self.error:
                self.best, self.error = current[-1], error
        self._previous = current
