"""Any picture of a digit -> what a network of 784 or 64 inputs expects.

The steps, each a function of its own: ``open_image`` (file to Pillow picture), ``to_grey`` (picture
to brightness), then in ``digits.ink`` polarity, contrast, crop, size and place. ``prepare`` runs
them all but the first.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.ink import Invert, NoInkError, bright_on_dark, fit_8, fit_28, is_mnist_like, stretch

__all__ = ["MAX_PIXELS", "ImageError", "open_image", "prepare", "to_grey"]

# 8000 x 8000: more than a phone's camera makes, a quarter of a gigabyte of RGBA.
MAX_PIXELS = 64_000_000
# What scanners, cameras and drawing programs write. Formats that run a program (EPS) or pack a
# picture of another size than their header says (ICO) stay out.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
# Colours this close, in 0..255, are one colour that a lossy format or premultiplied alpha has
# disturbed.
SAME_COLOUR = 8


class ImageError(ValueError):
    """A picture that cannot be used; one line says where, what was expected and what received."""


def open_image(source: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    """Open a picture, upright and decoded; of an animation or a multi-page scan, the first frame.

    Args:
        source: path, or file open for binary reading: PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF or PPM.

    Returns:
        The picture, turned as its EXIF orientation asks, in whatever mode it was stored.

    Raises:
        ImageError: missing, a folder, empty, no picture, truncated, damaged, or over 64 million
            pixels (told from the header, before any pixel is decoded).
    """
    if not isinstance(source, str | os.PathLike):
        return _decoded(source, str(getattr(source, "name", "the picture")))
    path = Path(source).expanduser()
    if path.is_dir():
        raise ImageError(f"{path}: expected a picture, received a folder")
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"{path}: expected a picture, received an empty file")
        with path.open("rb") as file:
            return _decoded(file, str(path))
    except FileNotFoundError as error:
        raise ImageError(
            f"{path}: expected a picture, received a path that does not exist"
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{path}: expected a readable file, received: {error}") from error


def _decoded(file: BinaryIO, name: str) -> Image.Image:
    """Return the first frame of an open file, its size checked before its pixels are decoded."""
    with _damage_named(name), Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{name}: refused: expected at most {MAX_PIXELS} pixels, "
                f"received {width} x {height}"
            )
        image.load()
        return ImageOps.exif_transpose(image)


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    """Turn what Pillow's decoders raise on damaged files into one line that names the file."""
    damage = (
        ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError,
        OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    )  # fmt: skip
    try:
        # Pillow's warnings on odd metadata would be noise: the user gets a picture or an error.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: expected a picture ({', '.join(FORMATS)}), "
            f"received none of these, or only part of a header"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name}: refused: expected at most {MAX_PIXELS} pixels, received more"
        ) from error
    except damage as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{name}: expected a whole picture, received a truncated or damaged one: {reason}"
        ) from error


def to_grey(image: Image.Image) -> NDArray[np.float32]:
    """Return a picture's brightness, whatever its mode, as it looks on white paper.

    Transparent pictures are laid on white. If everything visible has one colour, the drawing is in
    the transparency alone (white strokes on nothing would vanish on white): then opaque is taken as
    black ink.

    Args:
        image: any mode: 1-bit, grey of 8, 16 or 32 bit, palette, RGB, CMYK, with or without alpha.

    Returns:
        Brightness (ITU-R 601 luma), (H, W) float32 in 0..1.

    Raises:
        ImageError: no pixels, a mode Pillow cannot convert, or floating-point pixels that are not
            numbers.
    """
    if 0 in image.size:
        raise ImageError(f"expected a picture with pixels, received size {image.size}")
    if image.mode.startswith(("I", "F")):
        return _deep_grey(np.asarray(image).astype(np.float32))
    with _damage_named("the picture"):
        if image.mode in ALPHA_MODES or "transparency" in image.info:
            return _grey_of_alpha(image)
        return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def _deep_grey(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale grey of more than 8 bits by the smallest usual white point that fits."""
    brightest = float(values.max())
    if not (np.isfinite(values).all() and values.min() >= 0):
        raise ImageError(
            f"expected finite brightness of at least 0, received {values.min()}..{brightest}"
        )
    white = next((w for w in (1, 255, 65535) if brightest <= w), brightest)
    return values / np.float32(white)


def _grey_of_alpha(image: Image.Image) -> NDArray[np.float32]:
    """Return the brightness of a picture with transparency."""
    # Pillow has no direct way from premultiplied grey to RGBA.
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    pixels = np.asarray(rgba)
    alpha = pixels[..., 3]
    visible = pixels[alpha > 0, :3]
    if alpha.min() < 255 and len(visible) and np.ptp(visible, axis=0).max() <= SAME_COLOUR:
        return np.float32(1) - alpha.astype(np.float32) / np.float32(255)
    white = Image.new("RGBA", rgba.size, "white")
    flat = Image.alpha_composite(white, rgba).convert("L")
    return np.asarray(flat, np.float32) / np.float32(255)


def prepare(
    image: Image.Image, size: Literal[8, 28] = 28, invert: Invert = "auto"
) -> NDArray[np.float32]:
    """Turn a picture of one digit into what a network was trained on: bright ink on dark paper.

    A picture that already has the data set's form passes through unchanged: 8x8, or 28x28 with a
    centred digit 20 pixels high or wide.

    Args:
        image: the picture, any size and mode.
        size: 28 for a network of 784 inputs (MNIST), 8 for one of 64 (scikit-learn's digits).
        invert: "yes" for dark ink on light paper, "no" for bright ink on dark paper, "auto" to tell
            from the border.

    Returns:
        (28, 28) float32 in 0..1, or (8, 8) float32 in 0..16.

    Raises:
        ImageError: no ink found, another size or polarity asked for, or a picture ``to_grey``
            refuses.
    """
    if size not in (8, 28) or invert not in ("auto", "yes", "no"):
        raise ImageError(
            f"expected size 8 or 28 and invert 'auto', 'yes' or 'no', "
            f"received {size!r} and {invert!r}"
        )
    grey: Any = to_grey(image)
    if size == 8 and grey.shape == (8, 8) and grey.max() <= 16 / 255:
        grey = grey * np.float32(255 / 16)  # the data set's own 0..16, saved as a picture
    try:
        picture = bright_on_dark(grey, invert)
    except NoInkError as error:
        raise ImageError(str(error)) from error
    if size == 8:
        return picture * np.float32(16) if picture.shape == (8, 8) else fit_8(stretch(picture))
    return picture if is_mnist_like(picture) else fit_28(stretch(picture))
