"""Losses of two labels that leave alone what is right, such as the perceptron's and the hinge."""

from collections.abc import Callable

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.nested import is_ndarray
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.derivative.samples import some_of
from parity.checking.derivative.slopes import Place

# Of more points the losses are not asked for one by one.
_MOST_POINTS = 1_000


def turned(subject: Subject, place: Place) -> Callable[[], float] | None:
    """Return what code descends that lets the points count which the loss leaves alone.

    A point is left alone where its loss is as small as a loss gets: 0, or the penalty of the
    weights alone. Of ``max(0, c - y f)`` such code descends the other branch, ``c - y f``. Its
    slope is that of ``max(0, c + y f)`` there, the loss with the other label, with its sign turned.

    Returns:
        That loss, as it is near the place; None where there are no two labels, or where the loss
        leaves alone no point or every point.
    """
    y = place.y
    labels = np.unique(y) if is_ndarray(y) and y.dtype.kind in "iuf" else np.empty(0)
    if len(labels) != 2:
        return None
    place.back()
    found = _left_alone(subject, place)
    if found is None:
        return None
    there, own, share = found
    other: Array = (labels.sum() - own).astype(own.dtype)

    def value() -> float:
        penalty = float(subject.loss(there, own))
        return penalty - share * (float(subject.loss(there, other)) - penalty)

    return value


def _left_alone(subject: Subject, place: Place) -> tuple[Array, Array, float] | None:
    """Return the points that the loss leaves alone, and what weighs each of them in the whole.

    That is 1 in a loss that is a sum. One that is a mean weighs few points more by themselves.
    """
    x, y = place.x, place.y
    if not is_ndarray(x) or some_of(x, y, slice(None)) is None:
        return None
    count: int = len(y) if len(x) == len(y) else y.shape[-1]
    if count > _MOST_POINTS:
        return None
    try:
        parts = (some_of(x, y, np.array([n])) for n in range(count))
        losses = np.array([float(subject.loss(*part)) for part in parts if part is not None])
        whole = float(subject.loss(x, y))
    except TheirError:  # it takes no batch of one
        return None
    least = float(np.min(losses))
    right = np.flatnonzero(losses == least)
    # The least of different losses is no floor.
    if len(right) == count or (len(right) == 1 and least != 0):
        return None
    some = some_of(x, y, right)
    summed = bool(np.isclose(whole - least, np.sum(losses - least)))
    return None if some is None else (*some, 1.0 if summed else len(right) / count)
