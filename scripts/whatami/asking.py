"""The question as a function of Python: which digit, or which number, is in this picture?"""

import os
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps

from digit_data.pictures.examine import (
    ImageError,
    Invert,
    NothingWrittenError,
    examine,
    open_image,
)
from digit_data.pictures.files import check_size, damage_named
from terminal_io import CliError

from .. import model_files
from . import answers
from .answers import Answer
from .looking import SeenPicture
from .reading import cut_apart

# What an array's pixels may be: grey alone, or channels last, as Pillow has them.
CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
NAME = "the picture"
# The brightest pixel of scikit-learn's digits, which are 8x8.
SIXTEENTHS = 16


def read(
    image: "np.ndarray[Any, Any] | Image.Image | str | os.PathLike[str] | bytes | BinaryIO",
    *,
    segment: bool = False,
    invert: Invert = "auto",
    model: "str | os.PathLike[str] | None" = None,
    engine: Literal["numpy", "keras"] = "numpy",
) -> Answer:
    """Say which digit, or which number, a picture shows; the same as the command ``whatami``.

    Args:
        image: The picture: the path of a file, the bytes of one, a file open for reading, a Pillow
            image, or an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): whole numbers
            0..255, truth values, or floats in 0..1 or 0..255.
        segment: Whether every digit is told, also of a number of which not all are sure, and digits
            that touch are cut apart. Without it a number is told if each of its digits is sure.
        invert: "yes" for dark ink on light paper, "no" for bright ink on dark paper; "auto" finds
            out.
        model: A ``.npz``, ``.keras`` or ``.weights.h5`` file; None is the model that comes with the
            project. It is loaded once.
        engine: "numpy", which needs no Keras, or "keras". Both give the same scores.

    Returns:
        ``text``, the digit or the number ("" if nothing is sure); ``digit``, an int or None;
        ``digits``, in reading order, each with its ``digit``, ten ``scores``, ``digit_score`` and
        ``box`` (left, top, right, bottom, as shares of the picture's width and height). The ten
        ``scores`` and the ``digit_score`` are percentages. Of what looks like no digit
        ``is_foreign`` is true; where nothing is written at all, ``scores`` is None and ``error``
        says so. ``notes`` are remarks, a line each, and ``str()`` gives the verdict.

    Raises:
        ImageError: Not a picture, a damaged or a too large one, or an array of another shape; a
            ValueError of one line.
        ValueError: A model that cannot be used, or another option.
    """
    if engine not in ("numpy", "keras"):
        raise ValueError(f"engine: expected 'numpy' or 'keras'. Received: {engine!r}")
    network = _model(model, engine)
    name = os.fspath(image) if isinstance(image, str | os.PathLike) else ""
    picture = _opened(image)
    try:
        found = examine(picture, 28 if network.side == 28 else 8, invert, segment)
    except NothingWrittenError as error:
        return Answer(name, error=str(error))
    seen = SeenPicture(name, found)
    (said,) = answers.answer(network, [seen]) if not segment else [_number(network, seen)]
    if said.error is not None:
        raise ValueError(said.error)
    return said


def _number(network: model_files.Classifier, seen: SeenPicture) -> Answer:
    """Return what is read digit by digit as one answer."""
    (number,) = answers.read(network, [cut_apart(network, seen)])
    if len(number.digits) == 1:
        (one,) = number.digits
        one.notes = number.notes
        return one
    return Answer(
        number.file, error=number.error, notes=number.notes, separate=len(number.digits),
        digit_score=number.digit_score, number=number,
    )  # fmt: skip


def _model(model: "str | os.PathLike[str] | None", engine: str) -> model_files.Classifier:
    path = model_files.SHIPPED_MODEL if model is None else Path(model)
    try:
        # A file that was written again is another model.
        written = path.stat().st_mtime_ns if path.is_file() else 0
        return _loaded(path, engine, written)
    except CliError as error:
        raise ValueError(str(error)) from error


@lru_cache(maxsize=4)
def _loaded(path: Path, engine: str, written: int) -> model_files.Classifier:
    return model_files.load(path, engine)


def _opened(image: Any) -> Image.Image:
    """Return a picture, upright and decoded, from whatever a caller has."""
    if isinstance(image, Image.Image):
        return _upright(image)
    if isinstance(image, str | os.PathLike):
        return open_image(image)
    if isinstance(image, bytes | bytearray | memoryview):
        if not len(image):
            raise ImageError(f"{NAME}: expected the bytes of a picture file, received none")
        return open_image(BytesIO(image))
    read_bytes: Callable[[], Any] | None = getattr(image, "read", None)
    if callable(read_bytes):
        content = read_bytes()
        if not isinstance(content, bytes):
            raise ImageError(
                f"{NAME}: expected a file open for binary reading, received one that reads "
                f"{type(content).__name__}"
            )
        return _opened(content)
    return _of_array(image)


def _upright(image: Image.Image) -> Image.Image:
    """Return a Pillow image as one that was opened from a file; the caller's is left as it is."""
    check_size(*image.size, NAME)
    several = getattr(image, "is_animated", False)
    with damage_named(NAME):
        upright = ImageOps.exif_transpose(image)
        upright.info["several"] = several
    return upright


def _of_array(given: Any) -> Image.Image:
    try:
        array = np.asarray(given)
    except Exception as error:  # whatever a foreign type raises on the way
        raise ImageError(
            f"{NAME}: expected an array, a Pillow image, a path or bytes, received "
            f"{type(given).__name__}"
        ) from error
    shape = array.shape
    flat = len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS)
    if not flat or not array.size or array.dtype.kind not in "buif":
        got = type(given).__name__ if array.dtype == object else f"{array.dtype} of shape {shape}"
        raise ImageError(
            f"{NAME}: expected a path, bytes, a Pillow image, or numbers of shape (H, W), "
            f"(H, W, 1), (H, W, 3) or (H, W, 4), received {got}"
        )
    check_size(shape[1], shape[0], NAME)
    least, most = float(array.min()), float(array.max())
    if not (np.isfinite(least) and np.isfinite(most) and least >= 0):
        raise ImageError(f"{NAME}: expected finite pixels of at least 0, received {least}..{most}")
    grey = array[..., 0] if len(shape) == 3 and shape[2] == 1 else array
    values = grey.astype(np.float32) * np.float32(model_files.BRIGHTEST / _white(grey, most))
    if grey.ndim == 2:
        return Image.fromarray(values)  # Pillow's mode F: nothing is rounded
    return Image.fromarray(np.rint(values).astype(np.uint8))


def _white(array: Any, most: float) -> float:
    """Return what white is: the smallest of the usual white points that fits."""
    if array.shape == (8, 8) and 1 < most <= SIXTEENTHS:
        return SIXTEENTHS
    whites = (1, model_files.BRIGHTEST, 65535)
    return next((float(white) for white in whites if most <= white), most)
