"""Picture files: opened, decoded, upright; whatever is wrong with one is said in one line."""

import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["MAX_PIXELS", "ImageError", "check_size", "damage_named", "open_image", "pixels"]

# 8000 x 8000: more than a phone's camera makes, a quarter of a gigabyte of RGBA.
MAX_PIXELS = 64_000_000
# JPEG's own limit. To shrink a longer side, OpenCV would need a table of gigabytes.
MAX_SIDE = 65_535
# Of a file, in bytes; a picture of as many pixels as are allowed takes less.
LONGEST_FILE = 2**29
# Pillow walks over blocks, chunks and directories of any number, each at a microsecond or more; a
# GIF of 64 million pixels has some 500,000.
MOST_READS = 1_000_000
# Each scan of a JPEG goes over all its pixels again. Pillow and cameras write 10 of them in a
# progressive file; libtiff, too, refuses more than 100.
MOST_SCANS = 100
MOST_SCANNED = 20 * MAX_PIXELS
MOST_MARKERS = 10_000
SOI, SOS, EOI = b"\xff\xd8", 0xDA, 0xD9
# A marker, wherever it stands: not a stuffed byte, nor a restart within a scan.
MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
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
        ImageError: missing, a folder, empty, no picture, truncated, damaged, over 64 million
            pixels, or with a side over 65,535 (told from the header, before any pixel is decoded),
            or of very many blocks or scans.
    """
    if not isinstance(source, str | os.PathLike):
        return _decoded(source, str(getattr(source, "name", "the picture")))
    path = Path(source).expanduser()
    if path.is_dir():
        raise ImageError(f"{path}: expected a picture, received a folder")
    try:
        size = path.stat().st_size
        if size == 0:
            raise ImageError(f"{path}: expected a picture, received an empty file")
        if size > LONGEST_FILE:
            raise ImageError(
                f"{path}: refused: expected at most {LONGEST_FILE} bytes, received {size}"
            )
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


def pixels(file: BinaryIO) -> int:
    """Return how many pixels a picture has by its header, not decoded; 0 if it is none.

    Args:
        file: open for binary reading; it is left at its beginning.
    """
    try:
        with damage_named("the picture"):
            with Image.open(_Counted(file, "the picture"), formats=FORMATS) as image:  # type: ignore[arg-type]  # as below
                width, height = image.size
            return width * height
    except ImageError:
        return 0
    finally:
        file.seek(0)


def check_size(width: int, height: int, name: str) -> None:
    """Refuse a picture of too many pixels.

    Raises:
        ImageError: Over 64 million pixels, or a side over 65,535.
    """
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ImageError(
            f"{name}: refused: expected at most {MAX_PIXELS} pixels and {MAX_SIDE} in a row or "
            f"column, received {width} x {height}"
        )


def _decoded(file: BinaryIO, name: str) -> Image.Image:
    """Return the first frame of an open file, its size checked before its pixels are decoded."""
    scans = _scans(file, name)
    # What counts reads and seeks, which is all that Pillow asks of a file.
    with damage_named(name), Image.open(_Counted(file, name), formats=FORMATS) as image:  # type: ignore[arg-type]
        width, height = image.size
        check_size(width, height, name)
        if scans * width * height > MOST_SCANNED:
            raise ImageError(
                f"{name}: refused: expected at most {MOST_SCANNED} pixels in all scans, "
                f"received {scans} scans of {width} x {height}"
            )
        # Not how many there are: to count them, Pillow reads all of them, in TIFF again and again.
        several = getattr(image, "is_animated", False)
        # A JPEG can be decoded at a half, a quarter or an eighth of its size, much faster; larger
        # than this is of no use (``WORK_SIDE`` of ``examine``).
        image.draft(None, (ENOUGH, ENOUGH))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        image.info["several"] = several
        return image


class _Counted:
    """A file of which only so many pieces are read.

    Args:
        file: The file.
        name: What to call it in an error.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file, self._name, self._left = file, name, MOST_READS

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            ImageError: This was asked too often.
        """
        self._left -= 1
        if self._left < 0:
            raise ImageError(
                f"{self._name}: refused: expected a picture that is read in at most {MOST_READS} "
                f"pieces, received one of more"
            )
        return self._file.read(size)


def _scans(file: BinaryIO, name: str) -> int:
    """Return how many scans a JPEG file has, without decoding it; 0 for any other."""
    start = file.tell()
    data = file.read(len(SOI))
    if data == SOI:
        data = file.read(LONGEST_FILE)
    file.seek(start)
    place = markers = scans = 0
    while found := MARKER.search(data, place):
        markers += 1
        place = found.end()
        if found[1][0] == EOI:
            break
        scans += found[1][0] == SOS
        if scans > MOST_SCANS or markers > MOST_MARKERS:
            raise ImageError(
                f"{name}: refused: expected at most {MOST_SCANS} scans and {MOST_MARKERS} markers, "
                f"received more"
            )
        place += int.from_bytes(data[place : place + 2], "big")
    return scans


@contextmanager
def damage_named(name: str) -> Iterator[None]:
    """Turn what Pillow's decoders raise on damaged files into one line that names the file."""
    damage = (
        ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError,
        OSError, RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error,
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
