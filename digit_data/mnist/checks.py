"""What all readers of MNIST share: opening a file, and checks whose faults are named."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO
from math import prod
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from digit_data.types import Array

__all__ = [
    "IMAGE_SHAPE",
    "LONGEST_TEXT",
    "MAX_BYTES",
    "DatasetError",
    "Digits",
    "check_promise",
    "checked_digits",
    "damage_named",
    "opened",
    "read_at_most",
    "read_promised",
]

IMAGE_SHAPE = (28, 28)

# The four arrays of MNIST are 55 MB as bytes and 440 MB as 64-bit integers. Four that take more
# than 512 MiB together are either not MNIST or made to fill the memory.
MAX_BYTES = 2**29
# MNIST is 122 MB as ARFF text and 220 MB as the pickle, of which three copies exist for a moment.
LONGEST_TEXT = 2**28
GZIP_MAGIC = b"\x1f\x8b"
PIECE = 2**20


class DatasetError(ValueError):
    """A data set that cannot be used; one line says where, what was expected and what received."""


class Digits(NamedTuple):
    """A training and a test set of digit pictures.

    Attributes:
        x_train: pictures, (N, 28, 28) uint8 in 0..255 for MNIST, (N, 8, 8) float64 in 0..16 for
            scikit-learn's digits.
        y_train: the digit on each picture, (N,) integers in 0..9.
        x_test: pictures, as ``x_train``.
        y_test: labels, as ``y_train``.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array


def checked_digits(
    x_train: Array, y_train: Array, x_test: Array, y_test: Array, source: object
) -> Digits:
    """Return the four MNIST arrays as bytes, once their shapes, types and values are found right.

    Args:
        x_train: pictures (N, 28, 28), whole numbers 0..255, N >= 1.
        y_train: labels (N,), whole numbers 0..9.
        x_test: pictures (M, 28, 28), as above.
        y_test: labels (M,), as above.
        source: the file or folder, to be named in an error.

    Returns:
        The same numbers as uint8.

    Raises:
        DatasetError: a shape, dtype, value or count is not as stated.
    """
    arrays = []
    for part, images, labels in (("train", x_train, y_train), ("test", x_test, y_test)):
        _check_whole(images, f"{source}: x_{part}", 255)
        _check_whole(labels, f"{source}: y_{part}", 9)
        if images.ndim != 3 or images.shape[1:] != IMAGE_SHAPE:
            raise DatasetError(
                f"{source}: x_{part}: expected shape (N, 28, 28), received {images.shape}"
            )
        if labels.shape != images.shape[:1]:
            raise DatasetError(
                f"{source}: y_{part}: expected {len(images)} labels, one a picture, "
                f"received shape {labels.shape}"
            )
        arrays += [images.astype(np.uint8, copy=False), labels.astype(np.uint8, copy=False)]
    return Digits(*arrays)


def _check_whole(array: Array, name: str, largest: int) -> None:
    """Raise unless the array holds at least one number, all whole and in 0..largest."""
    if array.dtype.kind not in "ui":
        raise DatasetError(
            f"{name}: expected whole numbers 0..{largest}, received dtype {array.dtype}"
        )
    if array.size == 0:
        raise DatasetError(f"{name}: expected at least one entry, received shape {array.shape}")
    if array.min() < 0 or array.max() > largest:
        raise DatasetError(
            f"{name}: expected values 0..{largest}, received {array.min()}..{array.max()}"
        )


def check_promise(shape: tuple[int, ...], itemsize: int, name: str, limit: int = MAX_BYTES) -> int:
    """Return the bytes that a header promises, before anything is allocated for them.

    Args:
        shape: the shape in the header.
        itemsize: bytes an entry.
        name: file and array, to be named in an error.
        limit: what the arrays of the result that were read before have left of ``MAX_BYTES``.

    Returns:
        The number of bytes.

    Raises:
        DatasetError: a negative size, or more than the limit.
    """
    promised = prod(shape) * itemsize
    if min(shape, default=0) < 0 or promised > limit:
        raise DatasetError(
            f"{name}: refused: expected at most {limit} bytes, "
            f"received a header that promises shape {shape}, {promised} bytes"
        )
    return promised


def read_promised(stream: IO[bytes] | BufferedIOBase, promised: int, name: str) -> Array:
    """Read the bytes that a header has promised, neither fewer nor more.

    Args:
        stream: where they begin; unpacked.
        promised: how many.
        name: file and array, to be named in an error.

    Returns:
        The bytes, (promised,) uint8.

    Raises:
        DatasetError: the stream ends before, or goes on.
    """
    # In pieces and in place: memory that is not written to is not taken, so that a header alone
    # costs nothing, and a packed stream is never held twice.
    data, size = np.empty(promised, np.uint8), 0
    while piece := stream.read(min(PIECE, promised - size + 1)):
        if size + len(piece) > promised:
            raise DatasetError(
                f"{name}: expected {promised} bytes after the header, "
                f"received trailing bytes after them"
            )
        data[size : size + len(piece)] = np.frombuffer(piece, np.uint8)
        size += len(piece)
    if size < promised:
        raise DatasetError(
            f"{name}: truncated: expected {promised} bytes after the header, received {size}"
        )
    return data


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what the standard parsers raise on a damaged file into one line that names the file.

    The list is long because zipfile, zlib, gzip, ast (inside NumPy's header reader) and pickle each
    have their own ways to fail on the same flipped byte; all of them mean the same thing to the
    user.

    Args:
        path: the file being read.

    Raises:
        DatasetError: instead of the parser's own exception.
    """
    # Late, since only a failing read needs the names.
    import lzma
    import pickle
    import struct
    import tokenize
    import zipfile
    import zlib

    foreign = (
        ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError,
        SyntaxError, TypeError, ValueError, lzma.LZMAError, pickle.UnpicklingError, struct.error,
        tokenize.TokenError, zipfile.BadZipFile, zlib.error,
    )  # fmt: skip
    try:
        yield
    except DatasetError:
        raise
    except EOFError as error:
        raise DatasetError(f"{path}: truncated: the file ends before its data does") from error
    except foreign as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{path}: damaged, or not what it claims to be: {reason}") from error


@contextmanager
def opened(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file for reading, through gzip when its first bytes say so; faults name the file.

    Args:
        path: the file.

    Yields:
        The stream of unpacked bytes.

    Raises:
        DatasetError: missing, empty, not a regular file, unreadable, truncated or damaged.
    """
    if not path.exists():
        raise DatasetError(
            f"{path}: expected a file or folder with MNIST, received a path that does not exist"
        )
    if not path.is_file():
        raise DatasetError(f"{path}: expected a regular file, received something else")
    with damage_named(path), path.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if not magic:
            raise DatasetError(f"{path}: expected MNIST, received an empty file")
        if magic == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
        else:
            yield file


def read_at_most(stream: BufferedIOBase, limit: int = LONGEST_TEXT) -> bytes:
    """Read a whole stream, refusing one that unpacks to more than the limit.

    Args:
        stream: the unpacked bytes.
        limit: the largest number of bytes admitted.

    Returns:
        All bytes.

    Raises:
        DatasetError: there are more.
    """
    data = BytesIO()
    # In pieces, so that a small packed file that unpacks to terabytes is stopped at the limit.
    while piece := stream.read(PIECE):
        data.write(piece)
        if data.tell() > limit:
            raise DatasetError(
                f"refused: expected at most {limit} bytes, received a file that unpacks to more"
            )
    return data.getvalue()
