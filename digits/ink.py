"""From grey levels to the ink of one digit, sized and placed as the data sets have it.

Everything here is NumPy arrays in and out; files and colours are in ``digits.images``.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Invert", "NoInkError", "bright_on_dark", "fit_8", "fit_28", "is_mnist_like", "stretch"]

Array = NDArray[Any]
Invert = Literal["auto", "yes", "no"]

# Contrast below a tenth of the range is paper grain, JPEG noise or shadow; a pencil stroke has
# more.
LEAST_CONTRAST = 0.1
# Where a stroke's soft edge starts to count, as a fraction of the strongest ink. Measured on MNIST
# digits drawn large and brought back: the mean error is least from 0.25 to 0.5, and below 0.2 paper
# grain counts as ink.
INK_LEVEL = 0.25

MNIST_SIDE = 28
MNIST_BOX = 20
MNIST_CENTRE = 14

BITMAP_SIDE = 32
BITMAP_WIDTH = 20
BLOCK = 4


class NoInkError(ValueError):
    """A picture without a stroke on it."""


def bright_on_dark(grey: Array, invert: Invert = "auto") -> Array:
    """Return the picture with bright ink on dark paper.

    Paper is what most of the border shows: if its median is in the upper half of the picture's
    range, the paper is light and the picture is inverted.

    Args:
        grey: brightness, (H, W) in 0..1.
        invert: "auto" decides by the border; "yes" means dark ink on light paper, "no" bright ink
            on dark paper.

    Returns:
        ``grey`` or ``1 - grey``, (H, W).

    Raises:
        NoInkError: brightest and darkest pixel differ by less than 0.1.
    """
    darkest, brightest = float(grey.min()), float(grey.max())
    if brightest - darkest < LEAST_CONTRAST:
        raise NoInkError(
            f"no ink found: expected a contrast of at least {LEAST_CONTRAST}, "
            f"received {brightest - darkest:.3f}"
        )
    light_paper = _border_median(grey) > (darkest + brightest) / 2
    return 1 - grey if (light_paper if invert == "auto" else invert == "yes") else grey


def stretch(picture: Array) -> Array:
    """Return the ink alone: paper at 0, the strongest ink at 1.

    ``ink = clip((picture - paper) / (peak - paper), 0, 1)``

    Args:
        picture: bright ink on dark paper, (H, W) in 0..1, not constant.

    Returns:
        Ink, (H, W) in 0..1.
    """
    darkest, peak = float(picture.min()), float(picture.max())
    paper = _border_median(picture)
    # A digit cut out so tightly that ink fills the border says nothing about the paper.
    if paper > (darkest + peak) / 2:
        paper = darkest
    return np.clip((picture - paper) / (peak - paper), 0, 1)


def _border_median(picture: Array) -> float:
    """Return the median of a frame 2 % wide, at least one pixel."""
    width = max(1, min(picture.shape) // 50)
    inner = picture[width:-width]
    frame = (picture[:width], picture[-width:], inner[:, :width], inner[:, -width:])
    return float(np.median(np.concatenate([side.ravel() for side in frame])))


def _box(ink: Array, level: float) -> tuple[slice, slice]:
    """Return rows and columns of the smallest box around all ink above a level."""
    rows, columns = (np.flatnonzero((ink > level).any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _centre_of_mass(ink: Array) -> tuple[float, float]:
    """Return the ink's mean row and column, a pixel's own index being its centre."""
    total = ink.sum()
    rows, columns = (ink.sum(axis) @ np.arange(ink.shape[1 - axis]) / total for axis in (1, 0))
    return float(rows), float(columns)


def _resize(ink: Array, height: int, width: int) -> Array:
    """Return ink at another size: area means when it shrinks, smooth when it grows."""
    shrinks = height * width < ink.size
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    resized = Image.fromarray(ink.astype(np.float32)).resize((width, height), method)
    return np.clip(np.asarray(resized), 0, 1)


def is_mnist_like(picture: Array) -> bool:
    """Tell whether a picture already has MNIST's form.

    Args:
        picture: bright ink on dark paper, (H, W) in 0..1.

    Returns:
        True for 28x28 with a dark border, an ink box of 18 to 20 pixels and the centre of mass
        within a pixel of (14, 14); so are all 70,000 pictures of MNIST.
    """
    if picture.shape != (MNIST_SIDE, MNIST_SIDE) or _border_median(picture) > LEAST_CONTRAST:
        return False
    longest = max(side.stop - side.start for side in _box(picture, LEAST_CONTRAST / 2))
    return MNIST_BOX - 2 <= longest <= MNIST_BOX and all(
        abs(centre - MNIST_CENTRE) <= 1 for centre in _centre_of_mass(picture)
    )


def fit_28(ink: Array) -> Array:
    """Size and place a digit as MNIST does.

    The ink box is cut out, its longest side brought to 20 pixels with the aspect kept, and placed
    in whole pixels so that the centre of mass is nearest to pixel (14, 14): in all of MNIST both
    its coordinates lie in 13.48..14.50.

    Args:
        ink: (H, W) in 0..1 with a peak of 1.

    Returns:
        (28, 28) in 0..1 with a peak of 1.

    Reference:
        LeCun, Cortes, Burges, The MNIST database of handwritten digits (its page describes the same
        steps).
    """
    cut = ink[_box(ink, INK_LEVEL)]
    scale = MNIST_BOX / max(cut.shape)
    small = _resize(cut, *(max(1, round(side * scale)) for side in cut.shape))
    placed = np.zeros((MNIST_SIDE, MNIST_SIDE), np.float32)
    height, width = small.shape
    row, column = _centre_of_mass(small)
    top, left = _offset(row, height), _offset(column, width)
    # Area means of thin strokes are dim, and no picture of MNIST has a peak under 254 of 255.
    placed[top : top + height, left : left + width] = small / small.max()
    return placed


def _offset(centre: float, side: int) -> int:
    """Return the whole shift that brings a centre nearest to pixel 14, all ink kept inside."""
    return min(max(int(np.floor(MNIST_CENTRE - centre + 0.5)), 0), MNIST_SIDE - side)


def fit_8(ink: Array) -> Array:
    """Size and count a digit as scikit-learn's digits were made.

    The ink box is brought to 32 rows (the aspect kept, up to 20 columns: the widest that the set's
    column means allow), made black and white, centred in a 32x32 bitmap, and the ink pixels of each
    4x4 block are counted. The set's own correction of slant and stroke width is not done.

    Args:
        ink: (H, W) in 0..1 with a peak of 1.

    Returns:
        (8, 8), whole numbers 0..16.

    Reference:
        D0 (data); E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (UCI).
    """
    cut = ink[_box(ink, INK_LEVEL)]
    width = min(max(1, round(cut.shape[1] * BITMAP_SIDE / cut.shape[0])), BITMAP_WIDTH)
    bitmap = np.zeros((BITMAP_SIDE, BITMAP_SIDE), bool)
    left = (BITMAP_SIDE - width) // 2
    small = _resize(cut, BITMAP_SIDE, width)
    # Relative to the peak: strokes much thinner than a 32nd of the digit never cover a quarter of a
    # pixel.
    bitmap[:, left : left + width] = small > INK_LEVEL * small.max()
    blocks = BITMAP_SIDE // BLOCK
    return bitmap.reshape(blocks, BLOCK, blocks, BLOCK).sum((1, 3)).astype(np.float32)
