"""MNIST as the gzip-ed pickle of Nielsen's book, ``mnist.pkl.gz``, read without trusting it.

A pickle is a program. Three guards make this one harmless: only the opcodes that arrays need are
admitted, looked at before anything runs; every name it asks for is looked up in a table of five;
and the table holds stand-ins, so that not even NumPy's own unpickling code meets unchecked bytes.
"""

import io
import pickle
import pickletools
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from digit_data.mnist.checks import (
    IMAGE_SHAPE,
    LONGEST_TEXT,
    Array,
    DatasetError,
    Digits,
    check_promise,
    checked_digits,
    opened,
    read_at_most,
)

__all__ = ["read_pickle"]

# No dictionaries, sets, instances or extensions: an array's pickle has none. Without them, nothing
# in the stream is ever hashed, so nested tuples cannot be made to take exponential time.
OPCODE_NAMES = """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1
    BINSTRING SHORT_BINSTRING BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS
    BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD
"""
OPCODES = frozenset(OPCODE_NAMES.split())
# Six arrays take about 200 opcodes. CPython reserves memory for the largest memo number it sees.
MOST_OPCODES = 10_000
# So many pictures become bytes at once.
PART = 1000


class _Dtype:
    """Stands in for ``numpy.dtype``: remembers the code and the byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """Stands in for NumPy's ``_reconstruct``: an array whose content arrives as state.

    It only remembers what the array is made of. The program could have thousands made from one
    text; those that are asked for become numbers in ``_numbers``, when it has ended.
    """

    parts: tuple[Any, ...] | None = None

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran_order, raw = state
        self.parts = raw, dtype, shape, "F" if fortran_order else "C"


class _BufferArray(_Array):
    """Stands in for NumPy's ``_frombuffer``, which protocol 5 uses."""

    def __init__(self, raw: object, dtype: object, shape: object, order: object) -> None:
        self.parts = raw, dtype, shape, order


class _Latin1:
    """Stands in for ``_codecs.encode``, by which Python 3 writes bytes for Python 2.

    The text is kept as it is: encoded, each of a thousand would be a copy.
    """

    def __init__(self, text: object = "", _encoding: str = "") -> None:
        self.text = text


# numpy.ndarray is only ever an argument here, so a word will do, which cannot be called.
STAND_INS: dict[str, Any] = {
    "numpy.ndarray": "numpy.ndarray",
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy.core.numeric._frombuffer": _BufferArray,
    "_codecs.encode": _Latin1,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays and tuples of them, nothing else."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        name = f"{module_name}.{global_name}"
        # NumPy 2 renamed numpy.core to numpy._core; files of both kinds are about.
        known = name.replace("numpy._core.", "numpy.core.")
        if known not in STAND_INS:
            raise DatasetError(
                f"refused: the pickle asks for {name}; only NumPy arrays are admitted"
            )
        return STAND_INS[known]


def _numbers(array: _Array, limit: int) -> Array:
    """Return an array of plain numbers, of at most so many bytes, from what it is made of."""
    raw, dtype, shape, order = array.parts or (None, None, (), None)
    text = raw.text if isinstance(raw, _Latin1) else raw  # text is what Python 2's bytes become
    if not isinstance(text, str | bytes | bytearray) or not isinstance(dtype, _Dtype):
        # bytes(10**9) would be a billion zeros.
        raise DatasetError(
            f"refused: expected an array of bytes and a dtype, received a {type(text).__name__} "
            f"and a {type(dtype).__name__.strip('_')}"
        )
    if not re.fullmatch(r"[iuf][1248]", dtype.code) or dtype.order not in ("<", ">", "=", "|"):
        raise DatasetError(
            f"refused: expected arrays of numbers, received dtype {dtype.code!r:.20}"
        )
    kind = np.dtype(dtype.order + dtype.code)
    if check_promise(shape, kind.itemsize, "an array", limit) != len(text):
        raise DatasetError(f"expected {kind} numbers of shape {shape}, received {len(text)} bytes")
    data = text.encode("latin-1") if isinstance(text, str) else text
    return np.frombuffer(data, kind).reshape(shape, order="F" if order == "F" else "C")


def read_pickle(path: Path) -> Digits:
    """Read ``mnist.pkl.gz``: pairs (images, labels) of training, validation and test set.

    Training and validation set (50,000 and 10,000) are joined to the 60,000 of the original, in
    order. Pixels are stored as byte/256 (some copies: byte/255) in float32 and are turned back into
    exactly those bytes.

    Args:
        path: the pickle, gzip-ed or not, of protocol 2 or newer, written by Python 2 or 3.

    Returns:
        The four arrays as uint8.

    Raises:
        DatasetError: another structure, a class or opcode that is not admitted, pixels that are no
            bytes (also NaN), truncated or damaged.

    Reference:
        D1; M. Nielsen, Neural Networks and Deep Learning, chapter 1.
    """
    with opened(path) as stream:
        try:
            pairs = _sequence(_unpickle(read_at_most(stream)), (2, 3), "pairs")
            sets, left = [], LONGEST_TEXT
            for pair in pairs:
                images, labels, size = _pair(pair, left)
                sets.append((images, labels))
                left -= size
            *training, (x_test, y_test) = sets
            x_train = np.concatenate([images for images, _ in training])
            y_train = np.concatenate([labels for _, labels in training])
        except DatasetError as error:
            raise DatasetError(f"{path}: {error}") from error
    return checked_digits(x_train, y_train, x_test, y_test, path)


def _unpickle(data: bytes) -> Any:
    """Return what the pickle holds, after a look at its opcodes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in a damaged name, refused later
            end = _checked_end(data)
    except ValueError as error:
        if isinstance(error, DatasetError) or data.endswith(pickle.STOP):
            raise
        raise EOFError from error
    if end != len(data):
        raise DatasetError(f"expected a pickle of {end} bytes, received trailing bytes after them")
    return _ArrayUnpickler(io.BytesIO(data), encoding="latin-1").load()


def _checked_end(data: bytes) -> int:
    """Return where the pickle ends, all its opcodes being admitted ones."""
    end = 0
    for count, (opcode, argument, place) in enumerate(pickletools.genops(data)):
        if opcode.name not in OPCODES:
            raise DatasetError(
                f"refused: the pickle uses {opcode.name}; only NumPy arrays are admitted"
            )
        memo = int(argument or 0) if opcode.name.endswith("PUT") else 0
        if max(count, memo) > MOST_OPCODES:
            raise DatasetError(
                f"refused: expected at most {MOST_OPCODES} steps in the pickle, received more"
            )
        end = (place or 0) + 1
    return end


def _sequence(value: Any, lengths: tuple[int, ...], what: str) -> Any:
    """Return a tuple or list of an admitted length."""
    if not isinstance(value, tuple | list) or len(value) not in lengths:
        size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
        expected = " or ".join(map(str, lengths))
        raise DatasetError(
            f"expected {expected} {what}, received a {type(value).__name__.strip('_')}{size}"
        )
    return value


def _pair(pair: Any, limit: int) -> tuple[Array, Array, int]:
    """Return the images as bytes (N, 28, 28), the labels, and the bytes that both took."""
    images, labels = _sequence(pair, (2,), "arrays")
    if not isinstance(images, _Array) or not isinstance(labels, _Array):
        raise DatasetError("expected a pair of arrays (images, labels), received something else")
    values = _numbers(labels, limit)
    pixels = _numbers(images, limit - values.nbytes)
    if pixels.shape[1:] not in ((IMAGE_SHAPE[0] * IMAGE_SHAPE[1],), IMAGE_SHAPE):
        raise DatasetError(
            f"expected images of shape (N, 784) or (N, 28, 28), received {pixels.shape}"
        )
    return _to_bytes(pixels).reshape(-1, *IMAGE_SHAPE), values, pixels.nbytes + values.nbytes


def _to_bytes(images: Array) -> Array:
    """Return pixels as bytes, exactly: from byte/256, from byte/255, or bytes already."""
    if images.dtype.kind != "f":
        return images
    if not (images.size and images.min() >= 0 and images.max() <= 1):  # NaN fails both comparisons
        span = f"{images.min()}..{images.max()}" if images.size else "none"
        raise DatasetError(f"expected pixels in 0..1, received {span}")
    for scale in (256, 255):
        pixels = np.empty(images.shape, np.uint8)
        # In parts, so that what lies between needs no memory of the whole's size.
        if all(
            _scaled(images[i : i + PART], scale, pixels[i : i + PART])
            for i in range(0, len(images), PART)
        ):
            return pixels
    raise DatasetError("expected pixels that are byte/256 or byte/255, received values in between")


def _scaled(images: Array, scale: int, pixels: Array) -> bool:
    """Fill in the pixels; return whether they are bytes that give the images exactly."""
    rounded = np.rint(images * scale)
    pixels[...] = np.minimum(rounded, 255)
    return np.array_equal((pixels / images.dtype.type(scale)).astype(images.dtype), images)
