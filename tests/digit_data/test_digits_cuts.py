"""Where ink is cut that may be several digits."""

import cv2
import numpy as np
import pytest

from digit_data.pictures import cuts
from digit_data.pictures.cuts import REACH, WIDEST, Segment, segments

TALL, WIDE = 100, 170


def _rings() -> np.ndarray:
    """Two rings that touch in the middle."""
    sheet = np.zeros((TALL, WIDE), np.uint8)
    for x in (42, 122):
        cv2.ellipse(sheet, (x, 50), (36, 44), 0, 0, 360, 255, 9)
    left, top, width, height = cv2.boundingRect(sheet)
    return sheet[top : top + height, left : left + width].astype(np.float32) / 255


def _extent(part: np.ndarray) -> int:
    return int(np.ptp(np.flatnonzero((part > 0.25).any(axis=0)))) + 1


def test_rings_that_touch_are_cut_where_they_touch():
    ink = _rings()
    found = segments(ink)
    last = max(one.stop for one in found)
    lefts = {one.stop: one for one in found if one.start == 0 and one.stop != last}
    rights = {one.start: one for one in found if one.stop == last and one.start != 0}
    middle = (ink.shape[1] - 1) / 2
    # A cut may bend, so that what is left of it ends a little further on.
    near = [
        place
        for place in lefts.keys() & rights.keys()
        if abs(_extent(lefts[place].ink) - middle) <= REACH * ink.shape[0]
        and abs(_extent(rights[place].ink) - middle) <= REACH * ink.shape[0]
    ]
    assert near


def test_parts_are_the_ink_between_their_cuts():
    ink = _rings()
    found = segments(ink)
    last = max(one.stop for one in found)
    whole = next(one for one in found if (one.start, one.stop) == (0, last))
    np.testing.assert_array_equal(whole.ink, ink)
    chains = [
        (one, other) for one in found for other in found
        if one.start == 0 and other.stop == last and one.stop == other.start
    ]  # fmt: skip
    for one, other in chains:
        np.testing.assert_array_equal(one.ink + other.ink, ink)
    assert chains
    extents = [_extent(one.ink) for one in found if one is not whole]
    assert max(extents) <= WIDEST * ink.shape[0]


def test_a_cut_bends_around_what_overlaps():
    """The flag of a seven above a small zero: no straight cut parts them."""
    sheet = np.zeros((TALL, 130), np.float32)
    sheet[60:98, 8:60] = 1
    sheet[68:90, 18:50] = 0
    sheet[2:12, 48:120] = 1
    sheet[2:98, 110:120] = 1
    assert (sheet[:, 48:60].max(axis=0) > 0).all()
    free = [one for one in segments(sheet) if one.start == 0 and one.cut < 0.01]
    assert any(np.count_nonzero(one.ink) == np.count_nonzero(sheet[60:98, 8:60]) for one in free)


def _rings_with_one_wall() -> np.ndarray:
    """Two rings that overlap: the wall between them is a stroke and a third thick."""
    sheet = np.zeros((120, 220), np.uint8)
    for x in (60, 140):
        cv2.ellipse(sheet, (x, 60), (38, 50), 0, 0, 360, 255, 12)
    left, top, width, height = cv2.boundingRect(sheet)
    return sheet[top : top + height, left : left + width].astype(np.float32) / 255


def _holes(part: np.ndarray) -> int:
    """How many pieces of paper there are that do not reach the border, by a flood fill."""
    paper = np.pad(part <= 0.25, 1, constant_values=True).astype(np.uint8)
    count, _ = cv2.connectedComponents(paper, connectivity=4)
    return count - 2  # the ink, and the paper around it


def _pairs(found: list[Segment]) -> list[tuple[Segment, Segment]]:
    """The two parts that each cut by itself makes."""
    last = max(one.stop for one in found)
    rights = {one.start: one for one in found if one.stop == last and one.start}
    return [(one, rights[one.stop]) for one in found if one.start == 0 and one.stop in rights]


def test_a_cut_leaves_the_rings_closed_that_share_a_wall(monkeypatch: pytest.MonkeyPatch):
    """The way through the holes crosses less ink, and opens a ring."""
    ink = _rings_with_one_wall()
    pairs = _pairs(segments(ink))
    assert any(_holes(one.ink) == _holes(other.ink) == 1 for one, other in pairs)
    cheapest = min(pairs, key=lambda pair: pair[0].cut)
    assert [_holes(one.ink) for one in cheapest] == [1, 1]
    monkeypatch.setattr(cuts, "_price", lambda small: small)
    planted = min(_pairs(segments(ink)), key=lambda pair: pair[0].cut)
    assert [_holes(one.ink) for one in planted] != [1, 1]


def test_a_cut_leans_as_digits_do(monkeypatch: pytest.MonkeyPatch):
    """Two leaning bars with a slit between them, each above the other's foot."""
    rows, columns = np.indices((100, 100))
    place = columns - 0.4 * (100 - rows)
    left, right = (place >= 4) & (place < 26), (place >= 34) & (place < 56)
    sheet = (left | right).astype(np.float32)
    assert (left.any(axis=0) & right.any(axis=0)).any()

    def parted() -> bool:
        free = [pair for pair in _pairs(segments(sheet)) if pair[0].cut < 0.01]
        return any(np.array_equal(one.ink > 0, left) for one, _ in free)

    assert parted()
    monkeypatch.setattr(cuts, "SLANTS", (-0.3,))
    assert not parted()


def test_what_is_narrow_is_one_unless_narrower_things_are_to_be_cut():
    (one,) = segments(np.ones((50, 15), np.float32))
    assert (one.start, one.stop, one.cut) == (0, 1, 0)
    bars = np.zeros((100, 60), np.float32)
    bars[:, 5:15] = bars[:, 45:55] = 1
    bars[48:52, 15:45] = 1
    assert len(segments(bars)) == 1
    assert _pairs(segments(bars, 0.5))
