"""What D0's data and windows are like: neighbours in the file, weights of the samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from digit_data import datasets
from numpy_impl.types import Array

from .training import PUBLISHED, SCALED, last_359

# The UCI's description: 13 people wrote the 1797 digits.
WRITERS = 13


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


def values() -> dict[str, Any]:
    """Return what the page says of the pictures and of the windows, by name."""
    pictures, labels = datasets.load_digits()
    places = len(labels) // WRITERS
    near, by_chance = near_share(pictures.reshape(len(pictures), -1), labels, places)
    raw, scaled = (p.inputs(last_359(0).x_train, "float32") for p in (PUBLISHED, SCALED))
    # Which windows there are does not depend on their order.
    windows = PUBLISHED.schedule(len(raw), np.random.default_rng(0))(0)
    weights = sample_weights(windows, len(raw))
    return {
        "places": places,
        "near": f"{near:.0f}",
        "near_by_chance": f"{by_chance:.0f}",
        "least_weight": f"{weights.min():.2f}",
        "largest_weight": f"{weights.max():.2f}",
        "squared_norm": f"{_squared_norm(raw):,.0f}",
        "squared_norm_scaled": f"{_squared_norm(scaled):.0f}",
    }


def _squared_norm(x: Array) -> float:
    return float(np.mean(np.sum(np.square(x, dtype=np.float64), axis=1)))
