"""Any picture of a digit -> what a network of 784 or 64 inputs expects: the steps in their order.

``prepare`` and ``examine`` run all steps but the first, ``digit_data.pictures.files``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from digit_data.pictures.files import MAX_PIXELS, ImageError, open_image
from digit_data.pictures.fitting import fit_8, fit_28, is_mnist_like
from digit_data.pictures.grey import to_grey
from digit_data.pictures.groups import joined, main_digit, separate_digits
from digit_data.pictures.ink import NoInkError, find_ink, shrunk, stroke_width
from digit_data.pictures.pieces import Box, Group, find_pieces, find_points, without_specks
from digit_data.pictures.polarity import Invert, bright_on_dark, light_border
from digit_data.pictures.rows import Mark, Row, Sign, find_rows
from digit_data.types import Array

__all__ = [
    "MAX_PIXELS",
    "Examined",
    "ImageError",
    "Invert",
    "NothingWrittenError",
    "Part",
    "Size",
    "examine",
    "fitted",
    "open_image",
    "prepare",
    "to_grey",
]

Size = Literal[8, 28]

# A picture is examined with its longest side at most this many pixels long: a digit a twentieth of
# that high still has more pixels than MNIST's.
WORK_SIDE = 560
# Where a stroke's soft edge ends, as a share of the strongest ink. Measured on MNIST digits drawn
# large and brought back: the mean error is least from 0.25 to 0.5.
EDGE = 0.25
SIXTEENTHS = 16
# What differs from paper is smoothed by this share of the longest side, and counts if it is further
# than this many pixels from ink.
CLUTTER = 0.005
BESIDE = 4


Shares = tuple[float, float, float, float]


class NothingWrittenError(ImageError):
    """A picture that can be used, and on which nothing is written."""


@dataclass(frozen=True)
class Part:
    """A part of a row of writing.

    Attributes:
        box: Where it is: left, top, right and bottom, as shares of the picture's width and height.
        ink: Of one digit, or of several that touch, (H, W) float32 in 0..1; None of a mark.
        sign: The mark; empty for ink.
    """

    box: Shares
    ink: Array | None
    sign: Sign | Literal[""] = ""


@dataclass(frozen=True)
class Examined:
    """What was found in a picture.

    Attributes:
        pictures: What the network is to see, each (28, 28) float32 in 0..1 or (8, 8) float32 in
            0..16: one, or, where they were asked for, one for each digit in reading order.
        boxes: Where each was found, as of a ``Part``.
        digits: How many separate digits there seem to be.
        notes: What the user should know, a line each.
        rows: All that is written, row by row, each from left to right; none if the picture was
            passed through, or shows a percent sign alone.
        clutter: How far all that is no ink differs from plain paper, as a share of the ink's
            contrast: on a sheet with writing little, in a photograph of a face or a street much.
    """

    pictures: list[Array]
    boxes: list[Shares]
    digits: int
    notes: list[str]
    rows: tuple[tuple[Part, ...], ...] = ()
    clutter: float = 0.0


def prepare(image: Image.Image, size: Size = 28, invert: Invert = "auto") -> Array:
    """Turn a picture of one digit into what a network was trained on: bright ink on dark paper.

    As :func:`examine`, whose only picture it returns.
    """
    return examine(image, size, invert).pictures[0]


def examine(
    image: Image.Image, size: Size = 28, invert: Invert = "auto", segment: bool = False
) -> Examined:
    """Find the digit, or the digits, in a picture.

    A picture that already has the data set's form passes through unchanged: 8x8, or 28x28 with a
    centred digit 20 pixels high or wide.

    Args:
        image: The picture, any size and mode.
        size: 28 for a network of 784 inputs (MNIST), 8 for one of 64 (scikit-learn's digits).
        invert: "yes" for dark ink on light paper, "no" for bright ink on dark paper, "auto" to tell
            from what looks like strokes (``digit_data.pictures.polarity``).
        segment: Whether each of several digits is a picture of its own, of all rows; else those of
            one row are all one, and a note says so.

    Raises:
        NothingWrittenError: No ink found; an ImageError too.
        ImageError: Another size or polarity asked for, or a picture ``to_grey`` refuses.
    """
    if size not in (8, 28) or invert not in ("auto", "yes", "no"):
        raise ImageError(
            f"expected size 8 or 28 and invert 'auto', 'yes' or 'no', "
            f"received {size!r} and {invert!r}"
        )
    grey = to_grey(image)
    notes = _notes_on_frames(image)
    ready = _ready(grey, size, invert)
    if ready is not None:
        return Examined([ready], [(0, 0, 1, 1)], 1, notes)
    try:
        return _found(shrunk(grey, WORK_SIDE), size, invert, segment, notes)
    except NoInkError as error:
        raise NothingWrittenError(str(error)) from error


def _notes_on_frames(image: Image.Image) -> list[str]:
    several = image.info.get("several", False)
    return ["this is the first of several frames or pages"] if several else []


def _ready(grey: Array, size: Size, invert: Invert) -> Array | None:
    """Return the picture itself if it has the data set's form already."""
    if grey.shape != (size, size) or np.ptp(grey) == 0:
        return None
    if size == 8:
        if grey.max() <= SIXTEENTHS / 255:
            grey = grey * np.float32(255 / SIXTEENTHS)  # the set's own 0..16, saved as a picture
        dark_ink = light_border(grey) if invert == "auto" else invert == "yes"
        return (np.float32(1) - grey if dark_ink else grey) * np.float32(SIXTEENTHS)
    tried = {"yes": (1 - grey,), "no": (grey,), "auto": (grey, 1 - grey)}[invert]
    return next((picture for picture in tried if is_mnist_like(picture)), None)


def _found(grey: Array, size: Size, invert: Invert, segment: bool, notes: list[str]) -> Examined:
    bright = bright_on_dark(grey, invert)
    ink = find_ink(bright)
    pieces, labels = find_pieces(ink.strength, ink.mask)
    groups = joined(without_specks(pieces))
    main = main_digit(groups, grey.shape)
    digits = separate_digits(groups, main)
    soft = max(1, round(stroke_width(ink.mask) / 6))
    clutter = _clutter(bright - ink.paper, ink.mask, np.isin(labels, main.labels))

    def part(found: Group | Mark) -> Part:
        box = _shares(found.box, grey.shape)
        if isinstance(found, Mark):
            return Part(box, None, found.sign)
        return Part(box, _cut(ink.strength, labels, found, soft))

    lines = find_rows(pieces, *find_points(pieces, labels, ink.strength))
    # The stem of an open four may be too tall to stand in a row with its angle.
    if len(digits) == 1 and [len(row.parts) for row in lines] == [1]:
        (only,) = lines[0].parts
        lines = [Row((main,))] if main.box.height > only.box.height else lines
    rows = tuple(tuple(map(part, row.parts)) for row in lines)
    if segment and rows:
        parts = [part for row in rows for part in row if part.ink is not None]
        pictures = [fitted(part.ink, size) for part in parts if part.ink is not None]
        boxes = [part.box for part in parts]
        return Examined(pictures, boxes, len(parts), notes, rows, clutter)
    whole = digits[0]
    for group in digits[1:]:
        whole = whole.joined(group)
    if len(digits) > 1:
        notes = [*notes, f"there seem to be {len(digits)} separate digits"]
    picture = fitted(_cut(ink.strength, labels, whole, soft), size)
    box = _shares(whole.box, grey.shape)
    return Examined([picture], [box], len(digits), notes, rows, clutter)


def _clutter(contrast: Array, ink: Array, main: Array) -> float:
    """Return how far what is no ink differs from paper, as a share of the main digit's contrast.

    Args:
        contrast: Brightness less the paper's, (H, W).
        ink: Where ink is, and is not counted.
        main: Where the main digit is.
    """
    soft = cv2.GaussianBlur(contrast, (0, 0), max(CLUTTER * max(contrast.shape), 0.5))  # no noise
    near = cv2.dilate(ink.astype(np.uint8), np.ones((2 * BESIDE + 1, 2 * BESIDE + 1), np.uint8))
    rest = np.abs(soft[near == 0])
    return float(rest.mean() / max(float(contrast[main].mean()), 1e-6)) if rest.size else 0.0


def fitted(ink: Array, size: Size) -> Array:
    """Return a digit's ink, cut out, as a network was trained on it: (size, size) float32."""
    return fit_8(ink) if size == 8 else fit_28(ink)


def _cut(strength: Array, labels: Array, group: Group, soft: int) -> Array:
    """Return the ink of a group alone, its soft edges included, in the smallest box around it."""
    box = group.box
    top, left = max(box.top - soft, 0), max(box.left - soft, 0)
    around = np.s_[top : box.bottom + soft, left : box.right + soft]
    labels, strength = labels[around], strength[around]
    own = np.isin(labels, group.labels)
    kernel = np.ones((2 * soft + 1, 2 * soft + 1), np.uint8)
    near = cv2.dilate(own.astype(np.uint8), kernel) > 0
    ink = np.where(near & (own | (labels == 0)), strength, np.float32(0))
    rows, columns = (np.flatnonzero((ink > EDGE * ink.max()).any(axis)) for axis in (1, 0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cut / cut.max()


def _shares(box: Box, shape: Sequence[int]) -> Shares:
    height, width = shape
    return box.left / width, box.top / height, box.right / width, box.bottom / height
