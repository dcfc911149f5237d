"""Digits that touch: where ink may be cut from top to bottom, and the pieces between cuts.

More cuts than digits are offered; which of them part digits is for a network to say.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from digit_data.pictures.ink import stroke_width
from digit_data.types import Array

__all__ = ["ONE", "Segment", "segments"]

# Ink is cut in a picture so high. A cut leans to the right by one of these shares of the height
# from its foot to its top, as digits do, and bends by so much of the height to either side.
FINE_HEIGHT = 56
SLANTS = (-0.12, 0.12, 0.36)
REACH = 0.12
# Ink narrower than this share of its height is left whole, unless another is asked for: of 500 of
# MNIST's digits, enlarged, 2 are cut so. What is wider than the second is no number; parts of it
# are at least and at most as wide as the others.
ONE = 0.65
LONGEST = 6.0
NARROWEST = 0.08
WIDEST = 1.3
# At most so many cuts, on average this share of the height apart; they may cross a little.
MOST_CUTS = 32
APART = 0.06
CROSSED = 0.02
# A step aside costs as much as so much ink, so that a cut is straight where nothing is in its way.
ASIDE = 0.05
# Ink stronger than this is a stroke. On the middle line between two that have become one, this
# share of a stroke's price is left.
STROKE = 0.4
BETWEEN = 1 / 3
FAR = np.float32(1e6)


@dataclass(frozen=True)
class Segment:
    """A part of a group's ink that may be a digit.

    Attributes:
        start: Number of the cut on its left; 0 is the group's left end.
        stop: Number of the cut on its right.
        ink: The group's ink, with 0 outside the part.
        cut: The sum of the two cuts' prices: what they go through, as a share of the height.
    """

    start: int
    stop: int
    ink: Array
    cut: float


def segments(ink: Array, narrowest: float = ONE) -> list[Segment]:
    """Return all parts of ink that may be a digit, the whole among them.

    Args:
        ink: A group's ink, cut out, (H, W) in 0..1.
        narrowest: The share of its height up to which it is left whole.
    """
    height, width = ink.shape
    if not narrowest * height < width < LONGEST * height:
        return [Segment(0, 1, ink, 0.0)]
    scale = FINE_HEIGHT / height
    small = cv2.resize(
        ink, (max(round(width * scale), 2), FINE_HEIGHT), interpolation=cv2.INTER_AREA
    )
    cuts = [
        (np.zeros(height, int), 0.0),
        *((_enlarged(path, ink.shape, small.shape), price) for path, price in _cuts(small)),
        (np.full(height, width), 0.0),
    ]
    found: list[Segment] = []
    columns = np.arange(width)
    for start, (left, price) in enumerate(cuts):
        for stop, (right, other) in enumerate(cuts[start + 1 :], start + 1):
            whole = stop - start == len(cuts) - 1
            if np.maximum(left - right, 0).mean() > CROSSED * height:
                continue
            inside = (columns >= left[:, None]) & (columns < right[:, None])
            part = np.where(inside, ink, np.float32(0))
            if whole or NARROWEST * height <= _extent(part) <= WIDEST * height:
                found.append(Segment(start, stop, part, price + other))
    return found


def _extent(part: Array) -> int:
    columns = np.flatnonzero((part > 0.25).any(axis=0))
    return int(np.ptp(columns)) + 1 if columns.size else 0


def _cuts(small: Array) -> list[tuple[Array, float]]:
    """Return the cheapest cuts from left to right: columns by row, and their prices."""
    height, width = small.shape
    price = _price(small)
    # The second way round: a hole that two digits make where they touch twice has to be entered.
    paths = _paths([(cost, slant) for cost in (price, small) for slant in SLANTS])
    middles = paths.mean(axis=2)
    # Of cuts that cost the same, as in a gap between two digits, the middle one is taken.
    aside = 1e-3 * np.abs(middles - np.arange(width)).ravel()
    edge = APART / 2 * height
    within = (paths >= 0).all(axis=2) & (paths < width).all(axis=2)
    within &= (middles >= edge) & (middles <= width - edge)
    paths, middles, aside = paths[within], middles[within], aside[within.ravel()]
    costs = price[np.arange(height), paths].sum(axis=1)
    chosen = np.empty((0, height), int)
    kept: list[int] = []
    for place in np.argsort(costs + aside, kind="stable").tolist():
        if (np.abs(chosen - paths[place]).mean(axis=1) < APART * height).any():
            continue
        kept.append(place)
        chosen = paths[kept]
        if len(kept) == MOST_CUTS:
            break
    kept.sort(key=lambda place: float(middles[place]))
    return [(paths[place], float(costs[place]) / height) for place in kept]


def _price(small: Array) -> Array:
    """Return what a cut costs in each pixel: as much as ink, (H, W) in 0..1.

    A ring belongs to one digit: what it encloses costs as much as its stroke, so that a cut goes
    around it. Where two digits share a wall it is thicker than a stroke, and cheapest in its
    middle: there, ``d`` from the paper, with strokes ``w`` wide, ink costs 1 up to ``d = w / 2``,
    as in the middle of one stroke, and falls to ``BETWEEN`` at ``d = w``, of two side by side.
    """
    mask = small > STROKE
    if not mask.any():
        return small
    framed = np.pad(mask, 1)
    depth = np.asarray(cv2.distanceTransform(framed.astype(np.uint8), cv2.DIST_L2, 5))[1:-1, 1:-1]
    inner = np.clip(2 * depth / max(stroke_width(mask), 1.0) - 1, 0, 1)
    price = small * (1 - (1 - BETWEEN) * inner)
    # Ink that meets at corners closes a ring, so paper has to meet at sides.
    _, paper = cv2.connectedComponents((~framed).astype(np.uint8), connectivity=4)
    holes = ~framed & (np.asarray(paper) != paper[0, 0])
    return np.where(holes[1:-1, 1:-1], 1, price).astype(np.float32)


def _paths(ways: list[tuple[Array, float]]) -> Array:
    """Return, for each column and way, the cheapest path from top to bottom that stays near it.

    Args:
        ways: What a path costs in each pixel, (H, W), and how far it leans, as a share of H.

    Returns:
        The columns by row, (ways, W, H); outside of the picture where there is no path.
    """
    height, width = ways[0][0].shape
    reach = round(REACH * height)
    near = np.stack([_leaning(cost, _shifts(height, slant), reach) for cost, slant in ways], 1)
    wall = np.full((len(ways), width, 1), np.inf, np.float32)
    best, back = near[0], np.zeros(near.shape, np.int8)
    for row in range(1, height):
        aside = best + np.float32(ASIDE)
        for step, come in (
            (-1, np.concatenate([wall, aside[..., :-1]], axis=2)),
            (1, np.concatenate([aside[..., 1:], wall], axis=2)),
        ):
            back[row][come < best] = step
            best = np.minimum(best, come)
        best = near[row] + best
    which, columns = np.indices(best.shape[:2])
    offset = np.argmin(best, axis=2)
    paths = np.empty((len(ways), width, height), int)
    for row in range(height - 1, -1, -1):
        paths[..., row] = offset
        offset = offset + back[row, which, columns, offset]
    shifts = np.stack([_shifts(height, slant) for _, slant in ways])
    return paths + columns[..., None] + shifts[:, None] - reach


def _shifts(height: int, slant: float) -> Array:
    """Return how far right of its middle a leaning line is in each row, in whole pixels."""
    return np.round((height / 2 - np.arange(height)) * slant).astype(int)


def _leaning(cost: Array, shifts: Array, reach: int) -> Array:
    """Return the costs near a leaning line through each column, (H, W, 2 reach + 1)."""
    beyond = reach + int(np.abs(shifts).max())
    # Outside of the picture there is no way.
    padded = np.pad(cost, ((0, 0), (beyond, beyond)), constant_values=FAR)
    width = cost.shape[1] + 2 * reach
    rows = [
        row[beyond - reach + shift :][:width] for row, shift in zip(padded, shifts, strict=True)
    ]
    return np.lib.stride_tricks.sliding_window_view(np.stack(rows), 2 * reach + 1, axis=1)


def _enlarged(path: Array, shape: tuple[int, ...], small: tuple[int, ...]) -> Array:
    """Return a cut in the picture's own pixels."""
    rows = (np.arange(shape[0]) + 0.5) * small[0] / shape[0] - 0.5
    columns = np.interp(rows, np.arange(small[0]), path + 0.5)
    return np.round(columns * shape[1] / small[1]).astype(int)
