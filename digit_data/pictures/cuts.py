"""Digits that touch: where ink may be cut from top to bottom, and the pieces between cuts.

More cuts than digits are offered; which of them part digits is for a network to say.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from digit_data.types import Array

__all__ = ["Segment", "segments"]

# Ink is cut in a picture so high; cuts may lean and bend by so much of it to either side.
FINE_HEIGHT = 48
REACH = 0.16
# Ink narrower than this share of its height is one digit, and wider than that is no number; parts
# of it are at least and at most as wide as these.
ONE = 0.4
LONGEST = 6.0
NARROWEST = 0.08
WIDEST = 1.3
# At most so many cuts, this share of the height apart.
MOST_CUTS = 16
APART = 0.08
# A step aside costs as much as so much ink, so that a cut is straight where nothing is in its way.
ASIDE = 0.05
FAR = np.float32(1e6)


@dataclass(frozen=True)
class Segment:
    """A part of a group's ink that may be a digit.

    Attributes:
        start: Number of the cut on its left; 0 is the group's left end.
        stop: Number of the cut on its right.
        ink: The group's ink, with 0 outside the part.
        cut: How much ink the two cuts go through, as a share of the height.
    """

    start: int
    stop: int
    ink: Array
    cut: float


def segments(ink: Array) -> list[Segment]:
    """Return all parts of ink that may be a digit, the whole among them.

    Args:
        ink: A group's ink, cut out, (H, W) in 0..1.
    """
    height, width = ink.shape
    if not ONE * height < width < LONGEST * height:
        return [Segment(0, 1, ink, 0.0)]
    scale = FINE_HEIGHT / height
    small = cv2.resize(
        ink, (max(round(width * scale), 2), FINE_HEIGHT), interpolation=cv2.INTER_AREA
    )
    cuts = [
        (np.zeros(height, int), 0.0),
        *((_enlarged(path, ink.shape, small.shape), cost) for path, cost in _cuts(small)),
        (np.full(height, width), 0.0),
    ]
    found: list[Segment] = []
    columns = np.arange(width)
    for start, (left, cost) in enumerate(cuts):
        for stop, (right, other) in enumerate(cuts[start + 1 :], start + 1):
            inside = (columns >= left[:, None]) & (columns < right[:, None])
            part = np.where(inside, ink, np.float32(0))
            extent = _extent(part)
            whole = stop - start == len(cuts) - 1
            if whole or NARROWEST * height <= extent <= WIDEST * height:
                found.append(Segment(start, stop, part, cost + other))
    return found


def _extent(part: Array) -> int:
    columns = np.flatnonzero((part > 0.25).any(axis=0))
    return int(np.ptp(columns)) + 1 if columns.size else 0


def _cuts(small: Array) -> list[tuple[Array, float]]:
    """Return the cheapest cuts from left to right: columns by row, and how much ink they cross."""
    height, width = small.shape
    paths, costs = _paths(small)
    middles = paths.mean(axis=1)
    edge = APART / 2 * height
    chosen: list[int] = []
    # Of cuts that cost the same, as in a gap between two digits, the middle one is taken.
    aside = 1e-3 * np.abs(middles - np.arange(width))
    for place in np.argsort(costs + aside, kind="stable").tolist():
        free = all(abs(middles[place] - middles[other]) >= APART * height for other in chosen)
        if free and edge <= middles[place] <= width - edge:
            chosen.append(place)
        if len(chosen) == MOST_CUTS:
            break
    chosen.sort(key=lambda place: float(middles[place]))
    return [(paths[place], float(costs[place]) / height) for place in chosen]


def _paths(small: Array) -> tuple[Array, Array]:
    """Return, for each column, the cheapest way from top to bottom that stays near it.

    Returns:
        The columns by row, (W, H), and how much ink each way crosses, (W,).
    """
    height, width = small.shape
    reach = round(REACH * height / 2)
    # Outside of the picture there is no way.
    padded = np.pad(small, ((0, 0), (reach, reach)), constant_values=FAR)
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    wall = np.full((width, 1), FAR, np.float32)
    best, back = near[0].copy(), np.zeros((height, width, 2 * reach + 1), np.int8)
    for row in range(1, height):
        aside = best + np.float32(ASIDE)
        ways = np.stack([best, np.hstack([wall, aside[:, :-1]]), np.hstack([aside[:, 1:], wall])])
        step = np.argmin(ways, axis=0)
        back[row] = np.array([0, -1, 1], np.int8)[step]
        best = near[row] + np.min(ways, axis=0)
    all_ways = np.arange(width)
    column = np.argmin(best, axis=1)
    paths = np.empty((width, height), int)
    for row in range(height - 1, -1, -1):
        paths[:, row] = column
        column = column + back[row, all_ways, column]
    paths += all_ways[:, None] - reach
    return paths, small[np.arange(height), paths].sum(axis=1)


def _enlarged(path: Array, shape: tuple[int, ...], small: tuple[int, ...]) -> Array:
    """Return a cut in the picture's own pixels."""
    rows = (np.arange(shape[0]) + 0.5) * small[0] / shape[0] - 0.5
    columns = np.interp(rows, np.arange(small[0]), path + 0.5)
    return np.round(columns * shape[1] / small[1]).astype(int)
