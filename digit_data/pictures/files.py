"""Picture files: opened, decoded, upright; whatever is wrong with one is said in one line."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["MAX_PIXELS", "ImageError", "damage_named", "open_image"]

# 8000 x 8000: more than a phone's camera makes, a quarter of a gigabyte of RGBA.
MAX_PIXELS = 64_000_000
# Longest side, in pixels, to which a JPEG may be reduced in decoding.
ENOUGH = 700
# What scanners, cameras and drawing programs write. Formats that run a program (EPS) or pack a
# picture of another size than their header says (ICO) stay out.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")


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
    with damage_named(name), Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{name}: refused: expected at most {MAX_PIXELS} pixels, "
                f"received {width} x {height}"
            )
        frames = getattr(image, "n_frames", 1)
        # A JPEG can be decoded at a half, a quarter or an eighth of its size, much faster; larger
        # than this is of no use (``WORK_SIDE`` of ``examine``).
        image.draft(None, (ENOUGH, ENOUGH))
        image.load()
        upright = ImageOps.exif_transpose(image)
        upright.info["frames"] = frames
        return upright


@contextmanager
def damage_named(name: str) -> Iterator[None]:
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
