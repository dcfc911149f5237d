"""How ten outputs are read as a digit: D0's published rule, argmax, and D0's rule said honestly."""

from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array

UNDECIDED = -1
# D0 takes the winner only if its activation is within so much of 1, the bound included.
TOLERANCE = 0.5


def read(outputs: Array) -> Array:
    """Return the digits that outputs decide on.

    ``argmax_k a_k`` if that maximum is taken once and ``|a_k - 1| <= 0.5``, else ``UNDECIDED``.

    Args:
        outputs: Activations, shape (N, 10), any float dtype.

    Returns:
        Digits 0..9 or ``UNDECIDED``, shape (N,), int.

    Reference:
        D0, reading the output.
    """
    highest = outputs.max(axis=1)
    alone = np.count_nonzero(outputs == highest[:, None], axis=1) == 1
    decided = alone & (np.abs(highest - 1) <= TOLERANCE)
    return np.where(decided, outputs.argmax(axis=1), UNDECIDED)


def read_as_published(outputs: Array) -> Array:
    """Return the digits that D0's published rule reports: whatever is undecided becomes a 0.

    Args:
        outputs: Activations, shape (N, 10), any float dtype.

    Returns:
        Digits 0..9, shape (N,), int.

    Reference:
        D0, reading the output.
    """
    digits = read(outputs)
    return np.where(digits == UNDECIDED, 0, digits)


@dataclass(frozen=True)
class Reading:
    """How the same outputs fare by the three rules.

    Attributes:
        published: Percent right by the published rule.
        argmax: Percent right by the largest output.
        decided: Percent right where an undecided answer counts as wrong.
        undecided: How many answers are undecided.
        real_zeros: How many of those are pictures of a 0, which the published rule counts as right.
        invented_zeros: How many are not, and are reported as a 0.
        zeros: Percent of the published rule's answers 0 that are right; 100 if there are none.
        lost: The digits of which not one picture is read.
    """

    published: float
    argmax: float
    decided: float
    undecided: int
    real_zeros: int
    invented_zeros: int
    zeros: float
    lost: tuple[int, ...]


def judge(outputs: Array, labels: Array) -> Reading:
    """Return how outputs are read by each rule.

    Args:
        outputs: Activations, shape (N, 10), N at least 1.
        labels: True digits, shape (N,).
    """
    digits, published = read(outputs), read_as_published(outputs)
    undecided = digits == UNDECIDED
    real = int(np.count_nonzero(undecided & (labels == 0)))
    present, found = np.unique(labels).tolist(), np.unique(labels[digits == labels]).tolist()
    return Reading(
        published=_percent(published == labels),
        argmax=_percent(outputs.argmax(axis=1) == labels),
        decided=_percent(digits == labels),
        undecided=int(np.count_nonzero(undecided)),
        real_zeros=real,
        invented_zeros=int(np.count_nonzero(undecided)) - real,
        zeros=_percent(labels[published == 0] == 0) if (published == 0).any() else 100.0,
        lost=tuple(digit for digit in present if digit not in found),
    )


def confusion(outputs: Array, labels: Array) -> Array:
    """Count what is read for each true digit; the last column counts the undecided answers.

    Args:
        outputs: Activations, shape (N, 10).
        labels: True digits, shape (N,).

    Returns:
        Counts, shape (10, 11), int: a row for each true digit.
    """
    matrix = np.zeros((10, 11), int)
    # As an index, UNDECIDED is the last column.
    np.add.at(matrix, (labels, read(outputs)), 1)
    return matrix


def _percent(right: Array) -> float:
    return 100 * float(np.mean(right))
