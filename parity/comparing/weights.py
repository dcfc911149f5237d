"""Weights copied between the two engines, in either direction and within one."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class GivesWeights(Protocol):
    """What has weights to be read."""

    def get_weights(self) -> list[np.ndarray]:
        """Return the weights."""
        ...


class HasWeights(GivesWeights, Protocol):
    """What both ``keras.Model`` and the networks of ``numpy_impl`` offer."""

    def set_weights(self, weights: Sequence[np.ndarray], /) -> None:
        """Take over the weights."""
        ...


def copy_weights(source: HasWeights, target: HasWeights) -> None:
    """Copy all weights of ``source`` into ``target``.

    Both engines keep a Dense layer as ``kernel`` (inputs, units) and ``bias`` (units,), and list
    them in the same order, so nothing is transposed. The target keeps its dtype: copying float64
    into float32 rounds; any other direction is exact, and so is a round trip.

    Args:
        source: A Keras model or a NumPy network.
        target: Likewise; it may be of the same engine.

    Raises:
        ValueError: Another number of weights, or a shape that differs; ``target`` is unchanged.
    """
    new, old = source.get_weights(), target.get_weights()
    received = [weight.shape for weight in new]
    expected = [weight.shape for weight in old]
    if received != expected:
        raise ValueError(f"Expected weights of shapes {expected}. Received: {received}")
    target.set_weights(new)


def distance(one: GivesWeights, other: GivesWeights) -> float:
    """Return the largest difference of two networks' weights, relative to their scale.

    The maximum over the tensors of ``max |a - b| / max |a|``; NaN if a weight is NaN.
    """
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return float(np.max([np.max(np.abs(a - b)) / np.max(np.abs(a)) for a, b in pairs]))
