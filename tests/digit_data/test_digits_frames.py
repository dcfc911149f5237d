"""Boxes, circles and the edges of a sheet around a digit are no part of it."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digit_data.pictures import pieces
from digit_data.pictures.examine import prepare

SIDE = 400
Frame = Callable[[ImageDraw.ImageDraw], None]
FRAMES: dict[str, Frame] = {
    "box": lambda draw: draw.rectangle((110, 90, 290, 310), outline=60, width=5),
    "circle": lambda draw: draw.ellipse((80, 80, 320, 320), outline=60, width=6),
    "edge of a sheet": lambda draw: draw.rectangle((20, 30, 370, 380), outline=190, width=4),
    "box far around": lambda draw: draw.rectangle((50, 10, 350, 390), outline=60, width=12),
    "shadow along two sides": lambda draw: draw.line([(370, 25), (370, 380), (25, 380)], 180, 5),
}


def seven(frame: Frame | None = None) -> Image.Image:
    """A seven in the middle of a sheet, with something drawn around it."""
    image = Image.new("L", (SIDE, SIDE), 235)
    draw = ImageDraw.Draw(image)
    if frame is not None:
        frame(draw)
    draw.line([(150, 130), (240, 130), (185, 270)], 40, 14, "curve")
    return image


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_what_is_drawn_around_a_digit_is_left_out(frame: Frame):
    np.testing.assert_allclose(prepare(seven(frame)), prepare(seven()), atol=0.05)


@pytest.mark.parametrize("name", ["box", "circle", "box far around"])
def test_without_that_it_is_taken_for_the_digit_s(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "WITHIN", 2)
    monkeypatch.setattr(pieces, "OUTLINE", 0)
    monkeypatch.setattr(pieces, "BOXED", 2)
    assert np.abs(prepare(seven(FRAMES[name])) - prepare(seven())).max() > 0.5


def test_a_seven_is_no_frame_of_what_shines_through(monkeypatch: pytest.MonkeyPatch):
    """Of a thin pen it has two sides that meet, as the edges of a sheet."""

    def drawn(*dashes: int) -> np.ndarray:
        image = Image.new("L", (SIDE, SIDE), 235)
        draw = ImageDraw.Draw(image)
        draw.line([(70, 60), (320, 50), (312, 350)], 40, 4)
        for grey in dashes:
            draw.line([(180, 150), (186, 220)], grey, 4)
        return prepare(image)

    seven = drawn()
    assert np.abs(drawn(150)[:, :20] - seven[:, :20]).max() > 0.1, "the dash is seen"
    np.testing.assert_allclose(drawn(150)[:5], seven[:5], atol=0.05)
    # What is as dark as the two sides is what is written on a sheet, and they are its edges.
    assert np.abs(drawn(40)[:5] - seven[:5]).max() > 0.5
    monkeypatch.setattr(pieces, "PALER", 0.0)
    assert np.abs(drawn(150)[:5] - seven[:5]).max() > 0.5


def test_a_zero_keeps_its_dot():
    image = Image.new("L", (SIDE, SIDE), 235)
    draw = ImageDraw.Draw(image)
    draw.ellipse((130, 90, 270, 310), outline=40, width=16)
    draw.ellipse((185, 185, 215, 215), fill=40)
    assert prepare(image)[12:16, 12:16].max() > 0.5
