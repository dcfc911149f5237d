"""Gradients that are clipped before they are returned: entry by entry, or by their norm.

Where an entry is cut off, ``np.clip(g, -5, 5)``, it says only that the derivative is as large or
larger. Shrunk to a norm, ``g * min(1, 5 / norm)``, gradients say all but how long they were.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from numpy_impl.types import Array
from parity.checking.derivative.pairs import Point

# How far a norm may be from the number: some divide by the norm plus 1e-6.
_NORM = 1e-5
# A derivative that differs by less is not longer.
_NEARLY = 1e-3
# A number that people write has so many digits, or so many behind the point.
_DIGITS = 3
# So many of a tensor's entries at the number are looked at one by one; all of them together too.
_ONE_BY_ONE = 3


def limit(points: Sequence[Point]) -> float | None:
    """Return the number at which gradients are cut off; None if they are not.

    The largest entry of all gradients is that number: the same on every draw, or one of few digits,
    and the derivative is no smaller wherever an entry is there, and larger somewhere.
    """
    peaks = [_peak(point) for point in points]
    found = max(peaks)
    if not 0 < found < np.inf:
        return None
    near = max(point.place.unit * found + point.lost for point in points)
    of_few_digits = abs(found - round(found, _DIGITS)) <= near
    if not of_few_digits and found - min(peaks) > 2 * max(point.lost for point in points):
        return None
    found = round(found, _DIGITS) if of_few_digits and near < found else found
    whole = [(point, index, at) for point in points for index, at in held(point, found).items()]
    beyond = [by for each in whole for by in _beyond(*each, found)]
    no_smaller = all(most >= 0 for _, most in beyond)
    larger = no_smaller and any(least > 0 for least, _ in beyond)
    return found if larger and _some_entries_are_whole(points, found) else None


def is_round(point: Point) -> bool:
    """Return whether the largest entry or a norm of the gradients is a number of few digits."""
    norms = [norm for together in (False, True) for norm in _norms(point, together).values()]
    return any(abs(n - float(f"{n:.{_DIGITS}g}")) <= _NORM * n for n in [_peak(point), *norms] if n)


def held(point: Point, number: float) -> dict[int, Array]:
    """Return where the gradients are at the number, of those that are anywhere."""
    room = number * (1 - 4 * point.place.unit) - 2 * point.lost
    every = {index: np.abs(g) >= room for index, g in point.gradients.items()}
    return {index: at for index, at in every.items() if np.any(at)}


def _peak(point: Point) -> float:
    return max((float(np.max(np.abs(g), initial=0)) for g in point.gradients.values()), default=0)


def _beyond(point: Point, index: int, at: Array, number: float) -> Iterator[tuple[float, float]]:
    """Yield by how much the derivative is beyond the number, at least and at most.

    Along some of the entries that are there, and along all of a tensor's.
    """
    signs = np.sign(point.gradients[index]) * at
    places = np.flatnonzero(at)[:_ONE_BY_ONE]
    ones = [np.eye(1, at.size, place).reshape(at.shape) * signs for place in places]
    for direction in (*ones, signs):
        length = float(np.sqrt(np.sum(np.abs(direction))))
        slope = point.place.along(index, direction / length, number * length, 0.0)
        by = slope.value - number * length
        yield by - 4 * slope.error, by + 4 * slope.error


def _some_entries_are_whole(points: Sequence[Point], number: float) -> bool:
    """Return whether any gradient is the derivative along its entries below the number, if any are.

    Else all have a factor, and the largest is of few digits by chance.
    """
    known = False
    for point in points:
        at = held(point, number)
        for index, gradient in point.gradients.items():
            below = np.where(at.get(index, False), 0.0, gradient)
            length = float(np.linalg.norm(below.ravel()))
            if not length:
                continue
            slope = point.place.along(index, below / length, length, 0.0)
            if abs(slope.value - length) <= _NEARLY * length:
                return True
            known = known or bool(np.isfinite(slope.error))
    return not known


def stretched(points: Sequence[Point]) -> float | None:
    """Make gradients as long as they were before they were shrunk to a norm.

    That of each alone, or of all together. They are shrunk where the norm is the same on every
    draw, or a number of few digits, and the derivative along them is longer, and along those that
    are shorter is not: else all have a factor, and one a norm of few digits by chance.

    Returns:
        The norm; None if they are not, and nothing was changed.
    """
    for together in (False, True):
        norms = [_norms(point, together) for point in points]
        found = max((norm for each in norms for norm in each.values()), default=0.0)
        # Of its first digits: behind the point any large number is near one of few.
        few = abs(found - float(f"{found:.{_DIGITS}g}")) <= _NORM * found
        there = [[i for i, norm in each.items() if norm >= found * (1 - _NORM)] for each in norms]
        if not 0 < found < np.inf or not (few or all(there)):
            continue
        pairs = list(zip(points, there, strict=True))
        times = [_times(point, which, together) for point, which in pairs]
        every = [factor for each in times for factor in each.values()]
        longer = min(every) >= 1 - _NORM and max(every) > 1 + _NORM
        if longer and _some_are_whole(points, norms, there, together):
            for point, each in zip(points, times, strict=True):
                for index, factor in each.items():
                    point.gradients[index] = factor * point.gradients[index]
            return found
    return None


def _some_are_whole(
    points: Sequence[Point],
    norms: Sequence[dict[int, float]],
    there: Sequence[list[int]],
    together: bool,
) -> bool:
    """Return whether any gradient that is below the norm is the derivative, if any is below it."""
    shorter = [
        time
        for point, every, reached in zip(points, norms, there, strict=True)
        for time in _times(
            point, [i for i, n in every.items() if n and i not in reached], together
        ).values()
    ]
    return not shorter or any(abs(time - 1) <= _NEARLY for time in shorter)


def _norms(point: Point, together: bool) -> dict[int, float]:
    """Return the norm of each gradient, or for each that of all."""
    each = {i: float(np.linalg.norm(g.ravel())) for i, g in point.gradients.items()}
    whole = float(np.linalg.norm(list(each.values())))
    return dict.fromkeys(each, whole) if together else each


def _times(point: Point, which: Sequence[int], together: bool) -> dict[int, float]:
    """Return how many times as long as the gradient the derivative along it is."""
    length = {index: float(np.linalg.norm(point.gradients[index].ravel())) for index in which}
    asked = [max(length, key=lambda index: length[index])] if together and length else which
    found: dict[int, float] = {}
    for index in asked:
        gradient = point.gradients[index]
        slope = point.place.along(index, gradient / length[index], length[index], 0.0)
        # Beside a kink the slope is rough: what its error explains is no other length.
        equal = abs(slope.value - length[index]) <= slope.error
        found[index] = 1.0 if equal else slope.value / length[index]
    return dict.fromkeys(which, found[asked[0]]) if together and asked else found
