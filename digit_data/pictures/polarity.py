"""Is the ink darker than the paper, or brighter?"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from digit_data.pictures.groups import find_digits, main_digit
from digit_data.pictures.ink import (
    NoInkError,
    border_median,
    find_ink,
    greatest_width,
    shrunk,
)
from digit_data.pictures.pieces import Box
from digit_data.types import Array

__all__ = ["Invert", "bright_on_dark", "light_border"]

Invert = Literal["auto", "yes", "no"]

# The question is answered by a picture of at most this many pixels.
SIDE = 240
# One answer has to look so many times as much like strokes as the other, else the border decides.
DECISIVE = 1.5
# A stroke this many times as long as wide is surely one.
LONG = 6.0
# What is written on a sheet is at least this share of its height.
WRITTEN = 0.25


def bright_on_dark(grey: Array, invert: Invert = "auto") -> Array:
    """Return a picture with bright ink on dark paper.

    Args:
        grey: Brightness, (H, W) float32 in 0..1.
        invert: "yes" for dark ink on light paper, "no" for bright ink on dark paper, "auto" to
            tell from the picture: both are tried, and what looks more like strokes is taken. Where
            both look alike the border decides.

    Returns:
        ``grey`` or ``1 - grey``.
    """
    dark_ink = _is_dark(grey) if invert == "auto" else invert == "yes"
    return np.float32(1) - grey if dark_ink else grey


def _is_dark(grey: Array) -> bool:
    small = shrunk(grey, SIDE)
    dark, bright = _main(np.float32(1) - small), _main(small)
    strokes = dark.strokes, bright.strokes
    if max(strokes) > DECISIVE * min(strokes):
        return strokes[0] > strokes[1]
    for one, other in ((dark, bright), (bright, dark)):
        if one.is_on(other):
            return one is dark
    return light_border(grey)


def light_border(grey: Array) -> bool:
    """Tell whether the border, which shows paper for the most part, is light.

    Args:
        grey: Brightness, (H, W) in 0..1.
    """
    # Extremes of single pixels are noise; those of a five-hundredth of the picture are not.
    darkest, brightest = np.quantile(grey, (0.002, 0.998))
    return border_median(grey) > (darkest + brightest) / 2


@dataclass(frozen=True)
class _Main:
    """The main thing in a picture, if bright is ink.

    Attributes:
        strokes: How much it looks like strokes of a pen.
        box: Around it, None if there is nothing.
        length: Of its strokes, as a multiple of their greatest width.
    """

    strokes: float
    box: Box | None = None
    length: float = 0.0

    def is_on(self, sheet: "_Main") -> bool:
        """Tell whether it is surely strokes, on what is ink the other way round: a sheet.

        The inside of a zero lies within the zero too, but is no stroke.
        """
        box, around = self.box, sheet.box
        if box is None or around is None or self.length < LONG:
            return False
        across = around.left < box.left and box.right < around.right
        down = around.top < box.top and box.bottom < around.bottom
        return across and down and box.height >= WRITTEN * around.height


def _main(picture: Array) -> _Main:
    """Return the main thing in a picture of bright ink.

    It looks like strokes by its mean contrast to the paper times its length divided by its width: a
    sheet on a table, a lamp's light or the inside of a zero are about as wide as they are long, and
    what seems ink in a picture the wrong way round has hardly any contrast.
    """
    try:
        ink = find_ink(picture)
    except NoInkError:
        return _Main(0.0)
    groups, labels = find_digits(ink.strength, ink.mask)
    main = main_digit(groups, labels.shape)
    own = np.isin(labels, main.labels)
    if border_median(own.astype(np.float32)):
        return _Main(0.0)  # what lies along most of the border is paper, or a table
    contrast = float((picture - ink.paper)[own].mean())
    strokes = contrast * min(_length(_with_what_is_on_it(own)), LONG)
    return _Main(strokes, main.box, _length(own))


def _length(mask: Array) -> float:
    """Return how long strokes are, as a multiple of their greatest width."""
    return float(np.count_nonzero(mask) / greatest_width(mask) ** 2)


def _with_what_is_on_it(mask: Array) -> Array:
    """Fill those holes that are strokes: a sheet is no net of strokes by what is written on it.

    The inside of a zero is no stroke, so a zero stays one, and so does a fat four with a slit.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    rows, columns = mask.shape
    filled = mask.copy()
    least = WRITTEN * np.ptp(np.flatnonzero(mask.any(axis=1)))
    for label, (left, top, width, height, area) in enumerate(stats.tolist()):
        inside = left > 0 and top > 0 and left + width < columns and top + height < rows
        if label and inside and area >= LONG and height >= least:
            hole = labels[top : top + height, left : left + width] == label
            if _length(hole) >= LONG:
                filled[top : top + height, left : left + width] |= hole
    return filled
