"""Numbers: rows of digits in reading order, and the marks between digits that are none."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from digit_data.pictures.groups import joined
from digit_data.pictures.ink import stroke_width
from digit_data.pictures.pieces import Box, Group
from digit_data.types import Array

__all__ = ["Mark", "Row", "Sign", "find_rows"]

Sign = Literal["-", ".", ",", ":", "/", "%"]

# What is left of a ruled line is this much paler than digits; a dash or a dot out of focus, thinner
# than they, has three quarters of their strength.
PALER = 0.65
# A page has more pieces, and is no number.
MOST_PIECES = 150
# Digits are higher and lower than is usual by less than this factor: a comma is lower. What has
# less ink than this share of a row's most is none.
UNEQUAL = 2.2
LEAST_INK = 0.08
# Two groups stand in one row if they share this much of the smaller one's height.
SAME_ROW = 0.5
# Sizes and places of marks, as shares of a row's height: a dash lies and is thin, a dot is small.
DASH_WIDTH = (0.12, 1.0)
DASH_HEIGHT = 0.26
DASH_ASPECT = 1.5
DASH_PLACE = (0.25, 0.75)
DOT = 0.36
DOT_ASPECT = 2.0
DOT_PLACE = 0.72
# A point may stand under the upstroke of a one, on the line. What is there, and nearer to a digit
# than this share of its own size, has broken off a stroke, as of a brush that runs dry.
DOT_ON_LINE = 0.85
BROKEN_OFF = 0.5
COMMA = 0.45
# A dot is about as wide as the pen; what is smaller than this share of it is dust. But a pen wider
# than this share of a digit's height was pressed down, or is a brush, and dots are smaller.
DUST = 0.6
WIDE_PEN = 0.2
# A comma is so many times as high as wide (half a pixel off, as boxes are of whole ones), and so
# much of it is below the line: a long one, or a short one.
HALF = 0.5
COMMAS = ((1.3, 0.25), (1.15, 0.4))
# A mark stands between digits: so much of its width, at most, is above or below one.
COVERED = 0.34
# A slash is straight, as long as so many widths, leans by at least so much (the tangent), and is a
# little taller than the digits: a one may lean as well.
SLASH_ASPECT = 5.0
SLASH_LEAN = 0.3
SLASH_TALL = 1.05
# If it is so much taller, and goes beyond the digits by so much of their height at both ends, it
# may lean less.
STEEP_LEAN = 0.12
STEEP_TALL = 1.2
BEYOND = 0.03
# The rings of a percent sign are so high and wide, as shares of a digit's height, and near its
# slash; they reach over its middle by so much at most.
RING = (0.15, 0.72)
PERCENT_LEAN = 0.15
GIVE = 0.12
# In print: how much the two slashes of a date lean at least, by how much of a digit's height they
# may differ, and how many digits stand before, between and behind them.
DATE_LEAN = 0.15
ALIKE = 0.08
DATES = {(a, b, c) for a in (1, 2) for b in (1, 2) for c in (2, 4)} | {(4, 1, 1), (4, 2, 2)}


@dataclass(frozen=True)
class Mark:
    """What stands between digits.

    Attributes:
        sign: What it is.
        box: Where.
    """

    sign: Sign
    box: Box


@dataclass(frozen=True)
class Row:
    """One row of writing, from left to right.

    Attributes:
        parts: Groups of ink that are a digit each, or several that touch; and marks.
    """

    parts: tuple[Group | Mark, ...]

    @property
    def groups(self) -> list[Group]:
        """What is no mark."""
        return [part for part in self.parts if isinstance(part, Group)]


def find_rows(pieces: Sequence[Group], points: Sequence[Group], labels: Array) -> list[Row]:
    """Arrange pieces of ink in rows, from the top down.

    Args:
        pieces: Connected pieces, junk left out, specks not.
        points: What may be a mark, and nothing else.
        labels: The number of its piece, or point, for each pixel, (H, W).

    Returns:
        At least one row, or none if a percent sign is all that is written: its rings are no zeros.
    """
    pieces = sorted(pieces, key=lambda piece: -piece.ink)[:MOST_PIECES]
    usual = _usual(pieces)
    height = usual.box.height
    dust = DUST * min(stroke_width(labels == usual.labels[0]), WIDE_PEN * height)
    if _is_percent([p for p in pieces if max(p.box.width, p.box.height) >= dust], labels):
        return []
    large = [p for p in pieces if height / UNEQUAL <= p.box.height <= height * UNEQUAL]
    large = [p for p in large if not _is_dash(p.box, height)] or [usual]
    small = [p for p in pieces if p not in large and max(p.box.width, p.box.height) >= dust]
    rows: list[Row] = []
    for row in _rows(large):
        tall = float(np.median([piece.box.height for piece in row]))
        rest = [p for p in (*small, *points) if p.box.height <= tall]
        dark = float(np.median([_darkness(piece, labels) for piece in row]))
        rest = [p for p in rest if _darkness(p, labels) >= PALER * dark]
        percents = _percents([*row, *rest], labels, tall)
        parts = [piece for pieces in percents for piece in pieces]
        row = [p for p in row if p not in parts] or row
        marks, strokes = _marks(row, [p for p in rest if p not in parts], tall, labels)
        marks += [Mark("%", functools.reduce(Box.joined, (p.box for p in ps))) for ps in percents]
        slashes = _slashes(row, labels, tall)
        strokes = [p for p in strokes if p not in points]
        digits = joined([p for p in row if p not in slashes] + strokes)
        most = max((group.ink for group in digits), default=0.0)
        parts: list[Group | Mark] = [g for g in digits if g.ink >= LEAST_INK * most]
        parts += marks + [Mark("/", piece.box) for piece in slashes]
        rows.append(Row(tuple(sorted(parts, key=lambda p: p.box.left + p.box.right))))
    return [row for row in rows if row.groups]


def _usual(pieces: Sequence[Group]) -> Group:
    """Return the piece as high as which, or higher, half of all ink is."""
    by_height = sorted(pieces, key=lambda piece: piece.box.height)
    ink = np.cumsum([piece.ink for piece in by_height])
    return by_height[int(np.searchsorted(ink, ink[-1] / 2))]


def _rows(pieces: Sequence[Group]) -> list[list[Group]]:
    """Part pieces into rows, from the top down."""
    rows: list[list[Group]] = []
    for piece in sorted(pieces, key=lambda p: p.box.left):
        row = max(rows, key=lambda row: _common(row, piece), default=None)
        if row is not None and _common(row, piece) >= SAME_ROW:
            row.append(piece)
        else:
            rows.append([piece])
    return sorted(rows, key=lambda row: float(np.mean([p.box.top + p.box.bottom for p in row])))


def _common(row: list[Group], piece: Group) -> float:
    """Return how much of the smaller one's height a piece shares with one of the last of a row.

    With the last ones, so that a row may climb.
    """

    def shared(other: Group) -> float:
        common = min(other.box.bottom, piece.box.bottom) - max(other.box.top, piece.box.top)
        return common / min(other.box.height, piece.box.height)

    return max(map(shared, row[-2:]))


def _darkness(piece: Group, labels: Array) -> float:
    """Return the mean strength of a piece's ink."""
    box = piece.box
    own = labels[box.top : box.bottom, box.left : box.right] == piece.labels[0]
    return piece.ink / float(np.count_nonzero(own))


def _is_dash(box: Box, tall: float) -> bool:
    width = DASH_WIDTH[0] * tall <= box.width <= DASH_WIDTH[1] * tall
    return width and box.height <= min(DASH_HEIGHT * tall, box.width / DASH_ASPECT)


def _marks(
    row: list[Group], pieces: list[Group], tall: float, labels: Array
) -> tuple[list[Mark], list[Group]]:
    """Tell a row's marks from strokes that belong to its digits."""
    marks: list[Mark] = []
    strokes: list[Group] = []
    left, right = min(p.box.left for p in row), max(p.box.right for p in row)
    middles = [p.box.left + p.box.right for p in row]
    for piece in pieces:
        box = piece.box
        # Under the first digit's left half, or the last one's right half, there is no point.
        between = min(middles) < box.left + box.right < max(middles)
        near = [p for p in row if abs((p.box.left + p.box.right - box.left - box.right) / 2)
                <= p.box.width / 2 + box.width / 2 + tall] or row  # fmt: skip
        top = float(np.median([p.box.top for p in near]))
        bottom = float(np.median([p.box.bottom for p in near]))
        place = ((box.top + box.bottom) / 2 - top) / max(bottom - top, 1)
        if not -0.3 <= place <= 1.3 or not left - tall <= box.left <= right + tall:
            continue
        alone = all(_covered(box, p.box) <= COVERED for p in row)
        low = place >= DOT_ON_LINE and _is_apart(piece, row, labels)
        if alone and _is_dash(box, tall) and DASH_PLACE[0] <= place <= DASH_PLACE[1]:
            marks.append(Mark("-", box))
        elif _is_dot(box, tall) and between and (low or alone):
            marks += [Mark(sign, box) for sign in _dot(box, place, bottom)]
        elif max(box.width, box.height) > DOT * tall / 2:
            strokes.append(piece)
    return _with_colons(marks), strokes


def _dot(box: Box, place: float, bottom: float) -> list[Sign]:
    """Return what a dot is by its place: on the line, half below it, or above."""
    if place < DOT_PLACE:
        return [":"] if place > 0.15 else []
    comma = any(
        box.height - HALF > aspect * box.width and box.bottom > bottom + below * box.height
        for aspect, below in COMMAS
    )
    return [","] if comma else ["."]


def _is_apart(piece: Group, row: list[Group], labels: Array) -> bool:
    """Tell whether a dot is further than ``BROKEN_OFF`` from all ink of a row's digits."""
    box = piece.box
    gap = max(round(BROKEN_OFF * min(box.width, box.height)), 1)
    around = labels[
        max(box.top - gap, 0) : box.bottom + gap, max(box.left - gap, 0) : box.right + gap
    ]
    return not np.isin(around, [other.labels[0] for other in row]).any()


def _is_dot(box: Box, tall: float) -> bool:
    small = box.width <= DOT * tall and box.height <= COMMA * tall
    aspect = box.width <= DOT_ASPECT * box.height and box.height <= 2 * DOT_ASPECT * box.width
    return small and aspect


def _with_colons(marks: list[Mark]) -> list[Mark]:
    """Join two dots above each other to a colon; leave out half a colon."""
    dots = [mark for mark in marks if mark.sign in (".", ":")]
    pairs = [
        (upper, lower)
        for upper in dots
        for lower in dots
        if upper.box.bottom <= lower.box.top and _covered(upper.box, lower.box) > 0
        and upper.sign == ":"
    ]  # fmt: skip
    used = {id(mark) for pair in pairs for mark in pair}
    alone = [mark for mark in marks if id(mark) not in used and mark.sign != ":"]
    return alone + [Mark(":", upper.box.joined(lower.box)) for upper, lower in pairs]


def _covered(box: Box, other: Box) -> float:
    """Return which share of a box's columns another one covers."""
    common = min(box.right, other.right) - max(box.left, other.left)
    return max(common, 0) / box.width


def _slashes(row: list[Group], labels: Array, tall: float) -> list[Group]:
    """Return those pieces of a row that are slashes and not ones.

    A slash stands between digits, leans more than a one and is taller. In print it may lean and
    rise as a one does: two that are alike, where those of a date stand, are slashes.
    """
    in_order = sorted(row, key=lambda p: p.box.left)
    top = float(np.median([p.box.top for p in row]))
    bottom = float(np.median([p.box.bottom for p in row]))

    def is_slash(piece: Group, lean: float) -> bool:
        box = piece.box
        beyond = box.top <= top - BEYOND * tall and box.bottom >= bottom + BEYOND * tall
        steep = beyond and box.height >= STEEP_TALL * tall
        least = STEEP_LEAN if steep else SLASH_LEAN
        return box.height >= SLASH_TALL * tall and lean >= least

    leans = [(place, _lean(piece, labels)) for place, piece in enumerate(in_order[1:-1], 1)]
    slashes = [in_order[place] for place, lean in leans if is_slash(in_order[place], lean)]
    bars = [place for place, lean in leans if lean >= DATE_LEAN]
    if not slashes and len(bars) == 2:
        first, second = bars
        between = (first, second - first - 1, len(row) - second - 1)
        one, other = (in_order[place].box.height for place in bars)
        if between in DATES and abs(one - other) <= ALIKE * tall:
            return [in_order[place] for place in bars]
    return slashes


def _percents(pieces: list[Group], labels: Array, tall: float) -> list[tuple[Group, Group, Group]]:
    """Return percent signs: a slash, a ring at the left of its top, and one at its foot."""
    found: list[tuple[Group, Group, Group]] = []
    for bar in pieces:
        if bar.box.height < RING[1] * tall or _lean(bar, labels) < PERCENT_LEAN:
            continue
        middle = (bar.box.top + bar.box.bottom) / 2
        rings = [
            p
            for p in pieces
            if RING[0] * tall <= min(p.box.height, p.box.width)
            and max(p.box.height, p.box.width) <= RING[1] * tall
            and bar.box.distance(p.box) <= RING[0] * tall
        ]
        left = [
            p for p in rings if p.box.left < bar.box.left and p.box.bottom <= middle + GIVE * tall
        ]
        right = [
            p for p in rings if p.box.right > bar.box.right and p.box.top >= middle - GIVE * tall
        ]
        if len(left) == len(right) == 1 and left[0] is not right[0]:
            found.append((bar, left[0], right[0]))
    return found


def _is_percent(pieces: list[Group], labels: Array) -> bool:
    """Tell whether a percent sign is all there is; its small pieces are rings, and no digits."""
    tall = max(piece.box.height for piece in pieces)
    if len(pieces) != 3 or not _percents(pieces, labels, tall):
        return False
    bar = max(pieces, key=lambda piece: piece.box.height)
    return all(_is_ring(piece, labels) for piece in pieces if piece is not bar)


def _is_ring(piece: Group, labels: Array) -> bool:
    """Tell whether a piece encloses paper, in the middle of its box too."""
    box = piece.box
    own = labels[box.top : box.bottom, box.left : box.right] == piece.labels[0]
    _, paper = cv2.connectedComponents((~np.pad(own, 1)).astype(np.uint8), connectivity=4)
    paper = np.asarray(paper)
    middle = paper[box.height // 2 + 1, box.width // 2 + 1]
    return bool(middle not in (0, paper[0, 0]))


def _lean(piece: Group, labels: Array) -> float:
    """Return how far a straight bar leans to the right (the tangent), and 0 of all else."""
    box = piece.box
    rows, columns = np.nonzero(
        labels[box.top : box.bottom, box.left : box.right] == piece.labels[0]
    )
    if np.ptp(rows) == 0:
        return 0.0
    down = rows - rows.mean()
    lean = float(down @ columns / (down @ down))
    across = float(np.std(columns - lean * rows))
    # A bar of a width w has the standard deviation w / sqrt(12).
    straight = box.height >= SLASH_ASPECT * across * np.sqrt(12)
    return -lean if straight else 0.0
