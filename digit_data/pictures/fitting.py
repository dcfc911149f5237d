"""From the ink of one digit to what the data sets have: its size, place, stroke width and greys."""

import cv2
import numpy as np

from digit_data.pictures.ink import border_median, stroke_width
from digit_data.types import Array

__all__ = ["fit_8", "fit_28", "is_mnist_like"]


MNIST_SIDE = 28
MNIST_BOX = 20
MNIST_CENTRE = 14
# What is outside is brought to the nearer end. Of 5,000 of MNIST's digits, enlarged eight times
# and measured by ``stroke_width``, the median is 2.5, 7 % are thinner and 4 % thicker than this.
THINNEST = 1.8
THICKEST = 4.2
# Strokes are changed in a picture this many times as fine as MNIST's.
FINE = 8
PAPER = 0.1

BITMAP_SIDE = 32
BITMAP_WIDTH = 20
BLOCK = 4
# An ink pixel of the bitmap is one of which more than this share is covered.
COVERED = 0.35


def is_mnist_like(picture: Array) -> bool:
    """Tell whether a picture already has MNIST's form.

    Args:
        picture: bright ink on dark paper, (H, W) in 0..1.

    Returns:
        True for 28x28 with a dark border, an ink box of 18 to 20 pixels and the centre of mass
        within a pixel of (14, 14); so are all 70,000 pictures of MNIST.
    """
    if picture.shape != (MNIST_SIDE, MNIST_SIDE) or border_median(picture) > PAPER:
        return False
    if picture.max() <= PAPER:
        return False
    longest = max(side.stop - side.start for side in _box(picture, PAPER / 2))
    return MNIST_BOX - 2 <= longest <= MNIST_BOX and all(
        abs(centre - MNIST_CENTRE) <= 1 for centre in _centre_of_mass(picture)
    )


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
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.clip(cv2.resize(ink, (width, height), interpolation=method), 0, 1)


def _scaled(ink: Array, longest: int) -> Array:
    """Return ink with its longest side brought to a length, the aspect kept."""
    scale = longest / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    return _resize(ink, height, width)


def fit_28(ink: Array) -> Array:
    """Size and place a digit as MNIST does.

    Its longest side is brought to 20 pixels with the aspect kept, the stroke width near MNIST's,
    and it is placed in whole pixels so that the centre of mass is nearest to pixel (14, 14): in all
    of MNIST both its coordinates lie in 13.48..14.50.

    Args:
        ink: The digit alone, cut out, (H, W) float32 in 0..1.

    Returns:
        (28, 28) float32 in 0..1 with a peak of 1.

    Reference:
        LeCun, Cortes, Burges, The MNIST database of handwritten digits (its page describes the same
        steps but for the stroke width).
    """
    small = _scaled(_usual_strokes(ink), MNIST_BOX)
    placed = np.zeros((MNIST_SIDE, MNIST_SIDE), np.float32)
    height, width = small.shape
    row, column = _centre_of_mass(small)
    top, left = _offset(row, height), _offset(column, width)
    placed[top : top + height, left : left + width] = _saturated(small)
    return placed


def _saturated(ink: Array) -> Array:
    """Return ink whose stronger half is at 1, as MNIST's is."""
    return np.clip(ink / np.quantile(ink[ink > ink.max() / 4], 0.7), 0, 1)


def _usual_strokes(ink: Array) -> Array:
    """Return the ink with strokes made thicker or thinner if they are far from MNIST's."""
    fine = FINE * MNIST_BOX
    width = stroke_width(ink > ink.max() / 2) * MNIST_BOX / max(ink.shape)
    if THINNEST <= width <= THICKEST:
        return ink
    wanted = min(max(width, THINNEST), THICKEST)
    # One fine pixel is an eighth of MNIST's.
    radius = round(abs(wanted - width) * FINE / 2)
    if not radius:
        return ink
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    inner = fine - 2 * radius if wanted > width else fine
    drawn = np.pad(_scaled(ink, inner), radius + 1)
    changed = (cv2.dilate if wanted > width else cv2.erode)(drawn, kernel)
    return changed[_box(changed, float(changed.max()) / 4)]


def _offset(centre: float, side: int) -> int:
    """Return the whole shift that brings a centre nearest to pixel 14, all ink kept inside."""
    return min(max(int(np.floor(MNIST_CENTRE - centre + 0.5)), 0), MNIST_SIDE - side)


def fit_8(ink: Array) -> Array:
    """Size and count a digit as scikit-learn's digits were made.

    The digit is brought to 32 rows (the aspect kept, up to 20 columns: the widest that the set's
    column means allow), made black and white, centred in a 32x32 bitmap, and the ink pixels of each
    4x4 block are counted. The set's own correction of slant is not done.

    Args:
        ink: The digit alone, cut out, (H, W) float32 in 0..1.

    Returns:
        (8, 8), whole numbers 0..16.

    Reference:
        D0 (data); E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (UCI).
    """
    thick = _usual_strokes(ink)
    width = min(max(1, round(thick.shape[1] * BITMAP_SIDE / thick.shape[0])), BITMAP_WIDTH)
    bitmap = np.zeros((BITMAP_SIDE, BITMAP_SIDE), bool)
    left = (BITMAP_SIDE - width) // 2
    small = _resize(thick, BITMAP_SIDE, width)
    # Relative to the peak: strokes much thinner than a 32nd of the digit never cover a quarter of a
    # pixel.
    bitmap[:, left : left + width] = small > COVERED * small.max()
    blocks = BITMAP_SIDE // BLOCK
    return bitmap.reshape(blocks, BLOCK, blocks, BLOCK).sum((1, 3)).astype(np.float32)
