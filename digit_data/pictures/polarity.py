"""Is the ink darker than the paper, or brighter?"""

from typing import Literal

import numpy as np

from digit_data.pictures.ink import NoInkError, border_median, find_ink, shrunk, stroke_width
from digit_data.pictures.pieces import find_digits, main_digit
from digit_data.types import Array

__all__ = ["Invert", "bright_on_dark", "light_border"]

Invert = Literal["auto", "yes", "no"]

# The question is answered by a picture of at most this many pixels.
SIDE = 240
# One answer has to look so many times as much like strokes as the other, else the border decides.
DECISIVE = 1.5
# A stroke this many times as long as wide is surely one.
LONG = 6.0


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
    dark, bright = _strokes(np.float32(1) - small), _strokes(small)
    if max(dark, bright) > DECISIVE * min(dark, bright):
        return dark > bright
    return light_border(grey)


def light_border(grey: Array) -> bool:
    """Tell whether the border, which shows paper for the most part, is light.

    Args:
        grey: Brightness, (H, W) in 0..1.
    """
    # Extremes of single pixels are noise; those of a five-hundredth of the picture are not.
    darkest, brightest = np.quantile(grey, (0.002, 0.998))
    return border_median(grey) > (darkest + brightest) / 2


def _strokes(picture: Array) -> float:
    """Return how much the main thing in a picture of bright ink looks like strokes of a pen.

    Its mean contrast to the paper times its length divided by its width: a sheet on a table, a
    lamp's light or the inside of a zero are about as wide as they are long, and what seems ink
    in a picture the wrong way round has hardly any contrast.
    """
    try:
        ink = find_ink(picture)
    except NoInkError:
        return 0.0
    groups, labels = find_digits(ink.strength, ink.mask)
    own = np.isin(labels, main_digit(groups, labels.shape).labels)
    length = np.count_nonzero(own) / stroke_width(own) ** 2
    return float((picture - ink.paper)[own].mean()) * min(length, LONG)
