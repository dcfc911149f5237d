"""The derivative of the user's own loss along a direction, measured on values of the loss alone.

Central differences are extrapolated to step 0, which also gives an estimate of the error.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.asking.ridders import AMPLIFIED, Tableau, spacing
from parity.checking.asking.subject import Subject, lowest

_ROWS, _SIDE_ROWS = 6, 5
# A first step as large as a tenth of the weights sees rounding least; a kink (ReLU's at 0) within
# it shows as an estimate that other first steps do not give, and only smaller ones escape it.
_FIRST = 0.1
_SMALLER = (1 / 16, 1 / 256, 1 / 4096)
# The estimate of an error may be too small by chance. What differs by a smaller share than this is
# no bug that people write, and is measured at the other steps too before it is called a difference.
_NEAR = 1e-5
# Across a kink two estimates may agree, and neither is the derivative. Of a smooth loss they are
# known to a smaller share than the first of these, or to so many times the rounding.
_ROUGH, _ROUGHER = 1e-6, 1e3
# From so many weights on, writing them all and computing the loss again take most of the time. Then
# only the array that changes is written, and what agrees to this share after so few rows is not
# measured more exactly.
_MANY, _EARLY, _FEW_ROWS = 2**20, 1e-6, 3
# A loss of few digits is asked at so many points, each as far from the point itself as that is from
# 0, how many digits it has. What they leave open to a larger share than this is not measured.
_ELSEWHERE, _TELLING = 15, 1e-2


@dataclass(frozen=True)
class Slope:
    """A measured derivative.

    Attributes:
        value: The derivative.
        error: How far it may be off; infinite where no two estimates agree.
        flat: Whether the loss did not change at all.
        rough: Whether steps of several sizes give it far less exactly than rounding would let them,
            as they do across a kink.
    """

    value: float
    error: float
    flat: bool = False
    rough: bool = False

    def agrees(self, other: float, room: float) -> bool:
        """Return whether a number may be this derivative; ``room`` is for the number's rounding."""
        return abs(self.value - other) <= 4 * self.error + room

    def same(self, other: "Slope") -> bool:
        """Return whether two estimates are of one derivative."""
        return abs(self.value - other.value) <= 4 * (self.error + other.error)


_UNKNOWN = Slope(0.0, np.inf)


class Place:
    """The loss as a function of the weights, near one point and on one batch.

    Args:
        subject: The user's code.
        arrays: The weights, in the user's shapes.
        x: The samples.
        y: Their targets.
        loss: What to measure; the user's own loss if none is given.
    """

    def __init__(
        self,
        subject: Subject,
        arrays: Sequence[Array],
        x: Any,
        y: Any,
        loss: Callable[[], float] | None = None,
    ) -> None:
        self.subject = subject
        self.arrays = list(arrays)
        self.x = x
        self.y = y
        self._loss = loss or (lambda: float(subject.loss(x, y)))
        subject.set_weights(self.arrays)
        self.unit = float(np.finfo(lowest(*(a.dtype for a in subject.weights()))).eps)
        self.many = sum(array.size for array in self.arrays) >= _MANY
        self._alone = self.many and loss is None and self._leaves_weights_alone()
        self._moved: int | None = None
        self._spacing: float | None = None

    def _leaves_weights_alone(self) -> bool:
        """Return whether the loss can be asked again without writing all of the weights again."""
        if self.subject.own_arrays() is None:
            return False
        self._loss()
        return self.is_here()

    def back(self) -> None:
        """Set the weights to the point itself."""
        self.subject.set_weights(self.arrays)

    def is_here(self) -> bool:
        """Return whether the weights are those of the point."""
        pairs = zip(self.subject.weights(), self.arrays, strict=True)
        return all(np.array_equal(now, own.astype(now.dtype, copy=False)) for now, own in pairs)

    def at(self, index: int, change: Array) -> float:
        """Return the loss with one of the arrays changed."""
        if self._alone:
            return self._at(index, change, 1.0)
        moved = list(self.arrays)
        moved[index] = moved[index] + change
        self.subject.set_weights(moved)
        return self._loss()

    def _at(self, index: int, direction: Array, step: float) -> float:
        """Return the same, with nothing written but what has changed since."""
        if self.subject.placed is not self:
            self.back()
            self.subject.placed, self._moved = self, None
        own = self.subject.own_arrays()
        assert own is not None
        if self._moved not in (None, index):
            own[self._moved][...] = self.arrays[self._moved]
        self._moved = index
        # In blocks, so that what is computed on the way stays in the cache.
        target, start, change = own[index], self.arrays[index], direction
        for rows in _blocks(target.shape):
            target[rows] = start[rows] + step * change[rows]
        return self._loss()

    def along(self, index: int, direction: Array, expected: float, room: float) -> Slope:
        """Return the derivative along a direction of length 1 in one of the arrays.

        An estimate that agrees with what is expected needs no second one; one that nearly does is
        compared with all. One that a loss of few digits leaves open agrees with anything.
        """
        slope = self._along(index, direction, expected, room)
        vague = self._spacing and slope.error > _TELLING * abs(slope.value)
        differs = np.isfinite(slope.error) and not slope.agrees(expected, room)
        if vague or (differs and not self._is_of_both_sides(index, direction, slope)):
            return _UNKNOWN
        return slope

    def _along(self, index: int, direction: Array, expected: float, room: float) -> Slope:
        near: Slope | None = None
        typical = max(float(np.sqrt(np.mean(self.arrays[index] ** 2))), 0.1)
        early = (expected, room) if self.many else None
        last = self._central(index, direction, _FIRST * typical, expected=early)
        if last.agrees(expected, room) and last.error <= 1e-3 * abs(last.value):
            return last
        for smaller in _SMALLER:
            slope = self._central(index, direction, _FIRST * typical * smaller)
            if slope.agrees(expected, room) and slope.same(last):
                return slope
            if slope.flat and not last.flat:  # behind a kink, or a loss of few digits
                return slope if slope.agrees(expected, room) else Slope(0.0, np.inf)
            best = min(slope, last, key=lambda s: s.error)
            if slope.same(last) and near is None and not best.rough:
                if abs(best.value - expected) > _NEAR * abs(best.value):
                    return best
                near = best
            last = slope
        return near or Slope(last.value, np.inf)

    def _is_of_both_sides(self, index: int, direction: Array, slope: Slope) -> bool:
        """Return whether small steps to either side give the same derivative as an estimate.

        Close to a kink the difference of both sides gives something between, and exactly so.
        """
        typical = max(float(np.sqrt(np.mean(self.arrays[index] ** 2))), 0.1)
        here = self.at(index, 0 * direction)
        for sign in (1, -1):
            side = Tableau(order=1)
            for row in range(_SIDE_ROWS):
                step = sign * _FIRST * typical * min(_SMALLER) / 2**row
                there = self.at(index, step * direction)
                size = max(16 * self.unit * max(abs(here), abs(there)), self._rounded)
                side.add((there - here) / step, size / abs(step))
            if abs(side.best - slope.value) > 4 * (side.error + slope.error):
                return False
        return True

    @property
    def _rounded(self) -> float:
        """What few digits leave open in a difference of two losses."""
        return AMPLIFIED * (self._spacing or 0.0)

    def _elsewhere(self, first: float) -> Iterator[float]:
        """Yield a value of the loss, and values far from it."""
        yield first
        rng = np.random.default_rng(0)
        for number in range(_ELSEWHERE):
            index = number % len(self.arrays)
            array = self.arrays[index]
            size = max(float(np.sqrt(np.mean(array**2))), 0.1)
            yield self.at(index, size * rng.standard_normal(array.shape))

    def roughly(self, index: int, direction: Array) -> Slope:
        """Return the derivative from four values of the loss, to tell what is known to be wrong."""
        typical = max(float(np.sqrt(np.mean(self.arrays[index] ** 2))), 0.1)
        return self._central(index, direction, _FIRST * typical / 64, rows=2)

    def _central(
        self,
        index: int,
        direction: Array,
        first: float,
        rows: int = _ROWS,
        expected: tuple[float, float] | None = None,
    ) -> Slope:
        table, size, flat = Tableau(order=2), 0.0, True
        for row in range(rows):
            h = first / 2**row
            if self._alone:
                high, low = (self._at(index, direction, s * h) for s in (1, -1))
            else:
                high, low = (self.at(index, s * h * direction) for s in (1, -1))
            if self._spacing is None:
                found = spacing(self._elsewhere(high))
                # The weights' own precision is known, and none of few digits.
                self._spacing = found if found > self.unit * abs(high) else 0.0
            size = max(size, abs(high), abs(low))
            flat = flat and high == low
            rounding = max(16 * self.unit * size, self._rounded)
            table.add((high - low) / (2 * h), rounding / h)
            if expected is not None and row + 1 >= _FEW_ROWS:
                slope = Slope(table.best, table.error)
                if slope.agrees(*expected) and slope.error <= _EARLY * abs(slope.value):
                    return slope
        if not np.isfinite(table.best):
            return _UNKNOWN
        # The first step sees rounding least.
        least = max(16 * self.unit * size, self._rounded) / first
        rough = table.error > _ROUGH * abs(table.best) + _ROUGHER * least
        return Slope(table.best, table.error, flat, rough)


def _blocks(shape: Shape) -> Iterator[Any]:
    """Yield the parts of an array along its first axis, of some ten thousand numbers each."""
    if not shape:
        yield ...
        return
    rows = max(1, 2**15 * shape[0] // max(math.prod(shape), 1))
    for start in range(0, shape[0], rows):
        yield slice(start, start + rows)
