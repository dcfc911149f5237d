"""How the change of each array goes with the learning rate: two rates on one batch tell it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array

# With this power of the learning rate a change may go; more layers than these multiply by it.
_POWERS = (1, 2, 3, 4, 5, 0)


@dataclass(frozen=True)
class ByRate:
    """How one array's change goes with the learning rate.

    Attributes:
        power: With which power of it; with 0 if it does not depend on it.
        share: Of the weights themselves, that is taken off besides, whatever the rate.
    """

    power: int
    share: float = 0.0


def by_rate(
    fast: Sequence[Array],
    slow: Sequence[Array],
    ratio: float,
    weights: Sequence[Array],
    noise: Sequence[Array],
) -> list[ByRate] | None:
    """Return how each array's change goes with the rate; None where one goes otherwise.

    Args:
        fast: The changes at one rate,
        slow: and at one that is ``ratio`` times smaller, on the same batch.
        ratio: Above 1.
        weights: From which both steps start.
        noise: What each change may have lost.
    """
    found: list[ByRate] = []
    for a, b, w, lost in zip(fast, slow, weights, noise, strict=True):
        powers = (p for p in _POWERS if np.all(np.abs(a - ratio**p * b) <= (1 + ratio**p) * lost))
        power = next(powers, None)
        share = 0.0 if power is not None else _share(a, b, ratio, w, lost)
        if share is None:
            return None
        found.append(ByRate(1 if power is None else power, share))
    return found


def _share(fast: Array, slow: Array, ratio: float, w: Array, lost: Array) -> float | None:
    """Return how many times the weights are taken off whatever the rate; None if no number does."""
    besides = (ratio * slow - fast) / (ratio - 1)  # what does not go with the rate
    square = float(np.vdot(w, w))
    if w.size < 2 or not square:
        return None
    share = -float(np.vdot(besides, w)) / square
    room = 2 * (1 + ratio) / (ratio - 1) * (lost + np.max(lost) * np.abs(w) / np.max(np.abs(w)))
    return share if share > 0 and np.all(np.abs(besides + share * w) <= room) else None
