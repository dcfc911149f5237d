"""Where ink is cut that may be several digits."""

import cv2
import numpy as np

from digit_data.pictures.cuts import REACH, WIDEST, segments

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


def test_what_is_narrow_is_one():
    (one,) = segments(np.ones((50, 15), np.float32))
    assert (one.start, one.stop, one.cut) == (0, 1, 0)
