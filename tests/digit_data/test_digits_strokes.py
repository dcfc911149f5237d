"""Strokes that fade, lie on a line, or cross: all of them is ink, and nothing else is."""

import cv2
import numpy as np
import pytest

from digit_data.pictures import ink
from digit_data.pictures.ink import find_ink
from digit_data.types import Array

PEN = 13
LINE = slice(146, 152)


def _sheet(darkness: Array, line: float = 0.0) -> Array:
    """A vertical stroke whose strength changes from its top to its foot, on a line: bright ink."""
    sheet = np.zeros((240, 180), np.float32)
    sheet[LINE, 30:150] = line
    sheet[40:200, 90 : 90 + PEN] = darkness[:, None]
    return np.asarray(cv2.GaussianBlur(sheet, (0, 0), 0.8))


def _length(mask: Array) -> int:
    return int(np.count_nonzero(mask[:, 90 + PEN // 2]))


def test_a_stroke_that_fades_is_ink_to_its_end(monkeypatch: pytest.MonkeyPatch):
    fading = _sheet(np.linspace(1, 0.2, 160))
    assert _length(find_ink(fading).mask) >= 155
    # One threshold for all of the piece cuts off a good part of it.
    monkeypatch.setattr(ink, "FADING", 20.0)
    assert _length(find_ink(fading).mask) <= 140


@pytest.mark.parametrize("darkness", [np.ones(160), np.linspace(1, 0.6, 160)])
def test_a_pale_line_beneath_a_stroke_is_none(darkness: Array):
    """It is weaker at once, and does not fade."""
    mask = find_ink(_sheet(darkness, line=0.3)).mask
    assert _length(mask) >= 155
    # The line is seen, by itself, in the picture without the stroke.
    assert find_ink(_sheet(np.zeros(160), line=0.3)).mask[LINE, 40:80].all()
    assert not mask[LINE, 40:80].any()


def _crossing(shadow: bool) -> Array:
    """Two fat strokes that cross, where they are wider than each; a ragged shadow at the border."""
    sheet = np.zeros((420, 560), np.float32)
    for ends in (((200, 100), (330, 330)), ((330, 100), (200, 330))):
        cv2.line(sheet, *ends, 1.0, 26, cv2.LINE_AA)
    if shadow:
        rng = np.random.default_rng(3)
        for row in range(0, 420, 5):
            sheet[row : row + 2, : rng.integers(10, 60)] = 1
    return sheet


def test_where_strokes_meet_is_ink_beside_a_ragged_shadow(monkeypatch: pytest.MonkeyPatch):
    """Its many thin pieces once made the pen seem thin, and the crossing paper."""
    middle = np.s_[205:226, 255:276]
    assert find_ink(_crossing(shadow=False)).mask[middle].all()
    assert find_ink(_crossing(shadow=True)).mask[middle].all()
    monkeypatch.setattr(ink, "_pen", ink.stroke_width)
    assert not find_ink(_crossing(shadow=True)).mask[middle].all()


def test_where_strokes_meet_is_ink_in_grain(monkeypatch: pytest.MonkeyPatch):
    """Of a spray can: soft edges, and a rough mask full of holes."""
    rng = np.random.default_rng(5)
    sheet = np.zeros((480, 480), np.float32)
    for end in ((300, 120), (320, 370)):
        cv2.line(sheet, (170, 330), end, 1.0, 22, cv2.LINE_AA)
    soft = np.asarray(cv2.GaussianBlur(sheet, (0, 0), 9))
    cover = np.clip(1.2 * soft - 0.5 * rng.random(soft.shape), 0, 1)
    sprayed = (0.35 + 0.3 * cover + rng.normal(0, 0.01, soft.shape)).astype(np.float32)
    middle = np.s_[315:345, 165:200]
    assert find_ink(sprayed).mask[middle].mean() > 0.8
    monkeypatch.setattr(ink, "GRAIN", 1)
    assert find_ink(sprayed).mask[middle].mean() < 0.6
