"""The digits of a number: of all ways to cut the ink, the one that the network knows best."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from digit_data.pictures.cuts import Segment, segments
from digit_data.pictures.examine import Part, Shares, fitted
from digit_data.pictures.ink import shrunk, stroke_width
from numpy_impl.types import Array

from ..model_files import Classifier
from .looking import SeenPicture

# What a cut costs whose price is the digits' height in ink, in units of -log(score); and what every
# digit costs, so that one whole digit is not taken for two halves. Of 528 numbers whose digits
# touch, of two seeds of ``tests.pictures.writing``, 452 are read at these, 438 at 2 and 0.1, and at
# most 456 anywhere near; of 128 whose digits stand apart 122, 123 and 121.
CUT = 0.3
DIGIT = 0.2
LEAST = 1e-4
# What is better known as one digit need not be cut: two cost more, however well they are known.
SURELY_ONE = float(np.exp(-DIGIT))
# Ink is cut in a picture of at most so many rows, and only strokes are: what is wider than this
# share of the height is a solid thing. Less than half covered is their soft edge.
FINE = 100
THICKEST = 0.3
SOFT = 0.5
# In what has more groups of ink, a page of writing, nothing is cut.
MOST_GROUPS = 24


@dataclass(frozen=True)
class DigitInk:
    """Ink that may be a digit.

    Attributes:
        segment: Which part of its group it is.
        picture: What the network is given.
        box: Where it is, as of a ``Part``.
    """

    segment: Segment
    picture: Array
    box: Shares


def candidates(part: Part, side: Literal[8, 28], is_cut: bool) -> list[DigitInk]:
    """Return what may be a digit in a group of ink: its parts if it is cut, or the whole."""
    assert part.ink is not None
    # No more pixels than a network can tell; of a large picture there are a hundred parts.
    high = max(part.ink.shape[0], FINE)
    whole = shrunk(part.ink, max(FINE, FINE * part.ink.shape[1] // high)) if is_cut else part.ink
    strokes = is_cut and stroke_width(whole > SOFT * whole.max()) <= THICKEST * len(whole)
    found = segments(whole) if strokes else [Segment(0, 1, whole, 0.0)]
    left, top, right, bottom = part.box
    kept: list[DigitInk] = []
    for segment in found:
        rows, columns = (np.flatnonzero((segment.ink > 0.25).any(axis)) for axis in (1, 0))
        if not rows.size:
            continue
        ink = segment.ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        down, across = (bottom - top) / len(whole), (right - left) / len(whole[0])
        box = (
            left + across * float(columns[0]), top + down * float(rows[0]),
            left + across * float(columns[-1] + 1), top + down * float(rows[-1] + 1),
        )  # fmt: skip
        kept.append(DigitInk(segment, fitted(ink / ink.max(), side), box))
    return kept


def best_path(found: Sequence[Segment], scores: Sequence[float]) -> list[int]:
    """Return the cheapest way from the left end to the right one, by dynamic programming.

    Args:
        found: The segments, of which one is the whole.
        scores: How well the network knows each, in 0..1.

    Returns:
        The places of the segments on it, from left to right.
    """
    end = max(segment.stop for segment in found)
    costs = {0: 0.0}
    ways: dict[int, list[int]] = {0: []}
    for place in sorted(range(len(found)), key=lambda i: found[i].start):
        one = found[place]
        if one.start not in costs:
            continue
        cost = costs[one.start] - np.log(max(scores[place], LEAST)) + CUT * one.cut / 2 + DIGIT
        if cost < costs.get(one.stop, np.inf):
            costs[one.stop] = cost
            ways[one.stop] = [*ways[one.start], place]
    return ways[end]


def _best_cut(model: Classifier, offered: list[DigitInk]) -> list[DigitInk]:
    """Return those of a group's candidates that are its digits, from left to right.

    None of them where one is likelier no digit: then the group is no number, and stays whole.
    """
    scores = model.known(np.stack([one.picture for one in offered]))
    way = best_path([one.segment for one in offered], scores.tolist())
    return [offered[place] for place in way if scores[way].min() >= 0.5]


def cut_apart(model: Classifier, seen: SeenPicture) -> SeenPicture:
    """Return a picture with the digits that the network knows best, in reading order.

    Args:
        model: Is asked of every part of the ink that may be a digit.
        seen: What was found, of a picture with several digits or one.

    Returns:
        The same, with a picture and a box for each digit, and rows in which each part is one digit
        or a mark; as it was if nothing was found, or nothing had to be looked for.
    """
    if seen.found is None or not seen.found.rows:
        return seen
    side = 28 if model.side == 28 else 8
    groups = [part for row in seen.found.rows for part in row if part.ink is not None]
    chosen = [candidates(part, side, False) for part in groups]
    # Without a rejecter half a digit is one too.
    if model.rejecter is not None and len(groups) <= MOST_GROUPS:
        whole = model.known(np.stack([one.picture for (one,) in chosen]))
        for place in np.flatnonzero(whole < SURELY_ONE).tolist():
            chosen[place] = _best_cut(model, candidates(groups[place], side, True)) or chosen[place]
    each = iter(chosen)
    rows = tuple(
        tuple(
            digit
            for part in row
            for digit in (
                [part] if part.ink is None else [Part(c.box, c.segment.ink) for c in next(each)]
            )
        )
        for row in seen.found.rows
    )
    digits = [one for group in chosen for one in group]
    found = replace(
        seen.found,
        pictures=[one.picture for one in digits],
        boxes=[one.box for one in digits],
        digits=len(digits),
        rows=rows,
    )
    return replace(seen, found=found)
