"""The digits of a number: of all ways to cut the ink, the one that the network knows best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from digit_data.pictures.cuts import ONE, Segment, segments
from digit_data.pictures.examine import Part, Shares, fitted
from digit_data.pictures.ink import shrunk, stroke_width
from numpy_impl.types import Array

from ..model_files import Classifier
from .looking import SeenPicture

# What a cut costs whose price is the digits' height in ink, in units of -log(score); what every
# digit costs, so that one whole digit is not taken for two halves; and what it costs that a digit
# is wider than ``WIDE`` times its height, for each further height: a network may know an eight
# whatever clings to it, and what clings to it is a one. Of 528 numbers whose digits touch, of seeds
# 21 and 31 of ``tests.pictures.writing``, 481 are read at these, and 470 at no price of the width;
# of 1,440 digits alone 1 is lost by it and 1 is won.
CUT = 0.3
DIGIT = 0.15
WIDTH, WIDE = 0.8, 0.8
LEAST = 1e-4
# What is known less is likelier no digit, and no part of a number. Ink as narrow as one digit is
# cut only if it is none, down to this share of its height (two ones, or a one in the arm of a six),
# and only into what is surely known: else one digit that is hard to read would be two.
LIKELY = 0.5
NARROW = 0.35
SURELY = 0.9
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
        aspect: Its width divided by its height.
    """

    segment: Segment
    picture: Array
    box: Shares
    aspect: float

    def cost(self, score: float) -> float:
        """Return what it costs to take it for a digit that the networks know so well, in 0..1."""
        wide = WIDTH * max(self.aspect - WIDE, 0.0)
        return -math.log(max(score, LEAST)) + CUT * self.segment.cut / 2 + DIGIT + wide


def candidates(part: Part, side: Literal[8, 28], is_cut: bool) -> list[DigitInk]:
    """Return what may be a digit in a group of ink: its parts if it is cut, or the whole."""
    assert part.ink is not None
    # No more pixels than a network can tell; of a large picture there are a hundred parts.
    high = max(part.ink.shape[0], FINE)
    whole = shrunk(part.ink, max(FINE, FINE * part.ink.shape[1] // high)) if is_cut else part.ink
    strokes = is_cut and stroke_width(whole > SOFT * whole.max()) <= THICKEST * len(whole)
    found = segments(whole, NARROW) if strokes else [Segment(0, 1, whole, 0.0)]
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
        aspect = ink.shape[1] / ink.shape[0]
        kept.append(DigitInk(segment, fitted(ink / ink.max(), side), box, aspect))
    return kept


def best_path(found: Sequence[Segment], each: Sequence[float]) -> list[int]:
    """Return the cheapest way from the left end to the right one, by dynamic programming.

    Args:
        found: The segments, of which one is the whole.
        each: What it costs to take each for a digit.

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
        cost = costs[one.start] + each[place]
        if cost < costs.get(one.stop, np.inf):
            costs[one.stop] = cost
            ways[one.stop] = [*ways[one.start], place]
    return ways[end]


def _best_cut(model: Classifier, offered: list[DigitInk], least: float) -> list[DigitInk]:
    """Return those of a group's candidates that are its digits, from left to right.

    None of them where one is known less than it has to be: then the group is no number, and stays
    whole.
    """
    scores = model.known(np.stack([one.picture for one in offered]))
    costs = [one.cost(score) for one, score in zip(offered, scores.tolist(), strict=True)]
    way = best_path([one.segment for one in offered], costs)
    return [offered[place] for place in way if scores[way].min() >= least]


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
        whole = model.known(np.stack([one.picture for (one,) in chosen])).tolist()
        for place, score in enumerate(whole):
            (one,) = chosen[place]
            narrow = one.aspect <= ONE
            # No two digits cost less than two that are known for certain and cut free.
            if one.cost(score) <= 2 * DIGIT or (narrow and score >= LIKELY):
                continue
            offered = candidates(groups[place], side, True)
            chosen[place] = _best_cut(model, offered, SURELY if narrow else LIKELY) or [one]
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
