"""Points farther from the user's weights: what was on one side of a kink there is on the other.

A unit whose ReLU is open for every sample near the weights hides that its derivative is missing.
"""

from collections.abc import Mapping

import numpy as np

from numpy_impl.types import Array
from parity.checking.derivative.pairs import Point, TensorSlopes, same
from parity.checking.derivative.slopes import Place

# The numbers of the draws, and how far they lie: half anew, and much smaller. Larger ones would
# make probabilities so small that what a loss adds to them, log(p + 1e-8), is no longer little.
DRAWS = range(2, 8)
SPREADS = ((0.2, 1.0), (0.05, 1.0))
# The number of a draw that has a sample less than the others.
FEWER = 8
# What differs by a smaller share is no derivative that is missing.
_SHARE = 1e-3


class _AllAtOnce(Place):
    """The loss as a function of all arrays at once, laid end to end."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.subject, place.arrays, place.x, place.y)
        self._parts = self.arrays
        self.arrays = [np.concatenate([array.ravel() for array in self._parts])]

    def at(self, index: int, change: Array) -> float:
        """Return the loss with all arrays changed."""
        moved = self.arrays[index] + change
        ends = np.cumsum([array.size for array in self._parts])[:-1]
        parts = zip(np.split(moved, ends), self._parts, strict=True)
        self.subject.set_weights([part.reshape(array.shape) for part, array in parts])
        return self._loss()


def differs(point: Point, factors: Mapping[int, float], rng: np.random.Generator) -> bool:
    """Return whether gradients are not the derivative along one direction of all arrays.

    Args:
        point: Where.
        factors: How many times the derivative each gradient is near the user's weights, by place;
            what is not there is left out.
        rng: Draws the direction.
    """
    arrays = point.place.arrays
    if any(not np.all(np.isfinite(point.gradients[k])) for k in factors):
        return False
    parts = [np.zeros(array.shape) for array in arrays]
    for k in factors:
        typical = max(float(np.sqrt(np.mean(arrays[k] ** 2))), 0.1)
        signs = rng.choice([-1.0, 1.0], arrays[k].shape)
        parts[k] = typical * signs * rng.uniform(0.7, 1.3, arrays[k].shape)
    direction = np.concatenate([part.ravel() for part in parts])
    length = float(np.linalg.norm(direction))
    terms = [point.gradients[k] * parts[k] / (factor * length) for k, factor in factors.items()]
    along = np.concatenate([term.ravel() for term in terms])
    own, room = float(np.sum(along)), point.room(along)
    slope = _AllAtOnce(point.place).along(0, direction / length, own, room)
    if not np.isfinite(slope.error) or slope.agrees(own, room):
        return False
    return abs(own - slope.value) > _SHARE * max(abs(own), abs(slope.value))


def is_off(tensor: TensorSlopes, factor: float) -> bool:
    """Return whether a gradient is no multiple of the derivative, and is far off at first.

    Args:
        tensor: With what was measured; the farther point is the first.
        factor: How many times the derivative it is near the user's weights.
    """
    largest = max((abs(factor * pair.slope.value) for pair in tensor.measured), default=0.0)
    there = [pair for pair in tensor.measured if pair.point == 0]
    return tensor.factor is None and any(
        abs(pair.own - factor * pair.slope.value) > _SHARE * max(largest, abs(pair.own))
        for pair in there
    )


def is_of_a_constant(factor: float, batch: int) -> bool:
    """Return whether a factor is 1, or what a constant batch size makes with a sample less."""
    return any(same(factor, f) for f in (1.0, (batch - 1) / batch, batch / (batch - 1)))
