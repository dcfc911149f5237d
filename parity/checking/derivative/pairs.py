"""The user's gradient beside the measured derivative, along the same directions."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from numpy_impl.types import Array
from parity.checking.derivative.slopes import Place, Slope

# A gradient that is less than so many times the derivative is none.
_NOTHING = 1e-9


@dataclass
class Point:
    """One set of weights and one batch, with the user's gradients there.

    Attributes:
        place: The loss near these weights.
        gradients: The user's, by the place of the weight; those of its shape.
        cut: Where they are cut off at a number, and say nothing more.
        number: Of its draw.
    """

    place: Place
    gradients: dict[int, Array]
    cut: dict[int, Array] = field(default_factory=dict[int, Array])
    number: int = 0

    def room(self, values: Array) -> float:
        """Return what rounding may have done to a sum of a gradient's entries."""
        return 2 * self.place.unit * values.size * float(np.sum(np.abs(values)))


@dataclass(frozen=True)
class SlopePair:
    """The user's gradient along a direction, and the derivative measured there.

    Attributes:
        own: The user's.
        slope: The derivative.
        room: What rounding may have done to the user's.
        point: The number of the point.
        direction: In the array's shape, of length 1.
    """

    own: float
    slope: Slope
    room: float
    point: int = 0
    direction: Array = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    def fits(self, factor: float) -> bool:
        """Return whether the user's is a factor times the derivative."""
        return self.near(self.own, factor)

    def near(self, own: float, factor: float) -> bool:
        """Return whether another number in the user's place is a factor times the derivative."""
        return abs(own - factor * self.slope.value) <= (
            4 * abs(factor) * self.slope.error + self.room
        )


@dataclass
class TensorSlopes:
    """What is known of one tensor.

    Attributes:
        index: Its place among the weights.
        name: The user's name of it.
        pairs: Along several directions, on several points.
        factor: The one factor of all pairs; None if there is none.
    """

    index: int
    name: str
    pairs: list[SlopePair] = field(default_factory=list[SlopePair])
    factor: float | None = None

    @property
    def measured(self) -> list[SlopePair]:
        """The pairs whose derivative could be measured."""
        return [pair for pair in self.pairs if np.isfinite(pair.slope.error)]

    @property
    def is_nothing(self) -> bool:
        """Whether the user's gradient is 0, up to rounding, where the derivative is not."""
        pairs = self.measured
        largest = max((abs(pair.slope.value) for pair in pairs), default=0.0)
        return bool(pairs) and all(abs(pair.own) <= _NOTHING * largest for pair in pairs)

    def judge(self) -> None:
        """Find the factor between gradient and derivative: 1 where that fits."""
        pairs = self.measured
        if not pairs:
            return
        own = np.array([pair.own for pair in pairs])
        true = np.array([pair.slope.value for pair in pairs])
        fitted = float(own @ true / (true @ true)) if np.any(true) else 1.0
        for factor in (1.0, fitted):
            known = max(abs(p.slope.value) - 1e3 * p.slope.error for p in pairs) > 0
            known = known and abs(factor) > _NOTHING
            if (factor == 1.0 or known) and all(pair.fits(factor) for pair in pairs):
                self.factor = factor
                return


def same(one: float, other: float) -> bool:
    """Return whether two factors, as well as they can be measured, are one."""
    return abs(one - other) <= 1e-6 * abs(other)


def wrong_of(tensors: Sequence[TensorSlopes]) -> list[TensorSlopes]:
    """Return the tensors whose gradients are not the derivative, nor what most are times it."""
    base = base_of(tensors)
    return [t for t in tensors if t.factor is None or not same(t.factor, base)]


def losses_at(points: Sequence[Point]) -> list[float]:
    """Return the loss at each point."""
    return [point.place.at(0, 0 * point.place.arrays[0]) for point in points]


def base_of(tensors: Sequence[TensorSlopes]) -> float:
    """Return the factor that most gradients share; 1 where any has it."""
    factors = [tensor.factor for tensor in tensors if tensor.factor is not None]
    if 1.0 in factors or not factors:
        return 1.0
    return max(factors, key=lambda f: sum(same(g, f) for g in factors))
