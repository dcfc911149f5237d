"""Strokes of a pen that runs dry: their paler part is ink, and what lies beneath them is none."""

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
