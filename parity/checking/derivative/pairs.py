"""The user's gradient beside the measured derivative, along the same directions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.findings import TensorResult
from parity.checking.derivative.slopes import Place, Slope

# A gradient that is less than so many times the derivative is none.
_NOTHING = 1e-9
# What differs by a smaller share is measured once more.
_NEARLY = 1e-3
# What is known to no more than a part of itself says little of a factor.
_TELLING = 10
# A factor that is known to be no other than a ratio of such numbers is taken for that.
_DENOMINATORS = (64, 1024)


@dataclass
class Point:
    """One set of weights and one batch, with the user's gradients there.

    Attributes:
        place: The loss near these weights.
        gradients: The user's, by the place of the weight; those of its shape.
        cut: Where they are cut off at a number, and say nothing more.
        number: Of its draw.
        lost: What an entry of the gradients may be off by where it is read off steps.
    """

    place: Place
    gradients: dict[int, Array]
    cut: dict[int, Array] = field(default_factory=dict[int, Array])
    number: int = 0
    lost: float = 0.0

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
        known = max(abs(p.slope.value) - 1e3 * p.slope.error for p in pairs) > 0
        for factor in (1.0, *fitted(pairs)) if known else (1.0,):
            if self.has(factor):
                self.factor = factor
                return

    @property
    def tells(self) -> bool:
        """Whether the derivative is anything but 0 as far as it is known."""
        return any(abs(pair.slope.value) > _TELLING * pair.slope.error for pair in self.measured)

    def has(self, factor: float) -> bool:
        """Return whether the gradient may be a factor times the derivative."""
        pairs = self.measured
        return bool(pairs) and abs(factor) > _NOTHING and all(pair.fits(factor) for pair in pairs)

    def nearly_has(self, factor: float) -> bool:
        """Return whether only what measuring may be off by lies between."""
        near = [abs(p.own - factor * p.slope.value) <= _NEARLY * abs(p.own) for p in self.measured]
        return bool(near) and all(near)


def fitted(pairs: Sequence[SlopePair]) -> list[float]:
    """Return the factor between gradients and derivative, first as a ratio that people write.

    The exacter a pair is known, the more it counts: a factor that is off by what the others leave
    open would not be its.
    """
    room = np.array([4 * pair.slope.error + pair.room for pair in pairs])
    weight = 1 / np.maximum(room, np.max(room, initial=0.0) * _NOTHING + np.finfo(float).tiny)
    own = np.array([pair.own for pair in pairs]) * weight
    true = np.array([pair.slope.value for pair in pairs]) * weight
    if not np.any(true) or not np.all(np.isfinite(own)):
        return []
    factor = float(own @ true / (true @ true))
    ratios = (float(Fraction(factor).limit_denominator(most)) for most in _DENOMINATORS)
    return [*dict.fromkeys(ratio for ratio in ratios if ratio), factor]


def share_one_factor(tensors: Sequence[TensorSlopes]) -> None:
    """Give all gradients one factor that can be that of all, or of most.

    Each by itself is known no better than it was measured, in float32 to some four digits.
    """
    telling = [tensor for tensor in tensors if tensor.tells]
    if any(tensor.factor == 1.0 for tensor in telling):
        return
    sets = [[p for t in telling for p in t.measured], *(t.measured for t in telling)]
    factors = [factor for pairs in sets for factor in fitted(pairs)]
    most = max(factors, key=lambda f: sum(t.has(f) for t in telling), default=1.0)
    if sum(tensor.has(most) for tensor in telling) > 1:
        for tensor in tensors:
            if tensor.has(most):
                tensor.factor = most


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


def row(tensor: TensorSlopes, point: Point, scale: float) -> TensorResult:
    """Return the worst direction of a tensor as a row, beside ``scale`` times the derivative."""
    pairs = tensor.measured

    def bound(pair: SlopePair) -> float:
        return 4 * abs(scale) * pair.slope.error + pair.room

    def error(pair: SlopePair) -> float:
        return abs(pair.own - scale * pair.slope.value)

    def ratio(pair: SlopePair) -> float:
        return error(pair) / bound(pair) if bound(pair) else float(error(pair) > 0)

    worst = max(pairs, key=ratio)
    own = np.array([p.own for p in pairs])
    true = np.array([p.slope.value for p in pairs])
    tt, oo, ot = float(true @ true), float(own @ own), float(own @ true)
    # A common factor is as exact as it was measured, and a gradient that has it is right.
    right = ratio(worst) <= 1 or (tensor.factor is not None and same(tensor.factor, scale))
    return TensorResult(
        kind="gradient",
        name=tensor.name,
        own_name="along a direction",
        shape=point.place.arrays[tensor.index].shape,
        index=(),
        value=worst.own,
        expected=scale * worst.slope.value,
        keras=None,
        error=error(worst),
        bound=bound(worst),
        ratio=ratio(worst),
        scale=ot / tt if tt else float("nan"),
        cosine=ot / np.sqrt(tt * oo) if tt and oo else float("nan"),
        right=right,
        errors=np.array([error(p) for p in pairs]),
        bounds=np.array([bound(p) for p in pairs]),
        largest=abs(scale) * float(np.max(np.abs(true))),
    )
