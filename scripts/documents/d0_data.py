"""What D0's data and windows are like: neighbours in the file, weights of the samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def near_share(pictures: Array, labels: Array, places: int) -> tuple[float, float]:
    """Return how often a picture's most similar one of the same digit stands near it in the file.

    A high share says that who wrote one digit wrote its neighbours too.

    Args:
        pictures: In file order, shape (N, pixels).
        labels: Their digits, shape (N,), each at least twice.
        places: What counts as near.

    Returns:
        Percent of the pictures whose nearest, by Euclidean distance among those of the same digit,
        is at most so many places away; and what it would be if any of these were as likely.
    """
    squares = np.sum(pictures**2, axis=1)
    distances = squares[:, None] + squares - 2 * pictures @ pictures.T
    position = np.arange(len(labels))
    others = (labels[:, None] == labels) & (position[:, None] != position)
    near = np.abs(position[:, None] - position) <= places
    nearest = np.argmin(np.where(others, distances, np.inf), axis=1)
    by_chance = np.sum(others & near, axis=1) / np.sum(others, axis=1)
    return 100 * float(np.mean(near[position, nearest])), 100 * float(np.mean(by_chance))


def sample_weights(batches: Sequence[Array], samples: int) -> Array:
    """Return how much each sample counts in a cycle's updates, shape (samples,).

    ``sum over the batches it is in of 1 / len(batch)``: an update averages over its batch. With
    disjoint batches of 15 it is 1/15 for each.
    """
    weights = np.zeros(samples)
    for batch in batches:
        weights[batch] += 1 / len(batch)
    return weights
