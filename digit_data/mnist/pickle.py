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


class _Dtype:
    """Stands in for ``numpy.dtype``: remembers the code and the byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """Stands in for NumPy's ``_reconstruct``: an array whose content arrives as state."""

    value: Array | None = None

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran_order, raw = state
        self.value = _array(raw, dtype, shape, "F" if fortran_order else "C")


class _BufferArray(_Array):
    """Stands in for NumPy's ``_frombuffer``, which protocol 5 uses."""

    def __init__(self, raw: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> None:
        self.value = _array(raw, dtype, shape, order)


class _Latin1(bytes):
    """Stands in for ``_codecs.encode``, by which Python 3 writes bytes for Python 2."""

    def __new__(cls, text: str, _encoding: str) -> "_Latin1":
        return super().__new__(cls, text.encode("latin-1"))

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("bytes have no state")


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


def _array(raw: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> Array:
    """Return plain numbers from their bytes; text is what Python 2's bytes become."""
    if not re.fullmatch(r"[iuf][1248]", dtype.code) or dtype.order not in ("<", ">", "=", "|"):
        raise DatasetError(
            f"refused: expected arrays of numbers, received dtype {dtype.code!r:.20}"
        )
    kind = np.dtype(dtype.order + dtype.code)
    data = raw.encode("latin-1") if isinstance(raw, str) else bytes(raw)
    if check_promise(shape, kind.itemsize, "an array") != len(data):
        raise DatasetError(f"expected {kind} numbers of shape {shape}, received {len(data)} bytes")
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
            pairs = _unpickle(read_at_most(stream))
            *training, (x_test, y_test) = [
                _pair(pair) for pair in _sequence(pairs, (2, 3), "pairs")
            ]
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


def _pair(pair: Any) -> tuple[Array, Array]:
    """Return the images as bytes (N, 28, 28) and the labels of one set."""
    images, labels = (
        item.value if isinstance(item, _Array) else None for item in _sequence(pair, (2,), "arrays")
    )
    if images is None or labels is None:
        raise DatasetError("expected a pair of arrays (images, labels), received something else")
    if images.shape[1:] not in ((IMAGE_SHAPE[0] * IMAGE_SHAPE[1],), IMAGE_SHAPE):
        raise DatasetError(
            f"expected images of shape (N, 784) or (N, 28, 28), received {images.shape}"
        )
    return _to_bytes(images).reshape(-1, *IMAGE_SHAPE), labels


def _to_bytes(images: Array) -> Array:
    """Return pixels as bytes, exactly: from byte/256, from byte/255, or bytes already."""
    if images.dtype.kind != "f":
        return images
    if not (images.size and images.min() >= 0 and images.max() <= 1):  # NaN fails both comparisons
        span = f"{images.min()}..{images.max()}" if images.size else "none"
        raise DatasetError(f"expected pixels in 0..1, received {span}")
    for scale in (256, 255):
        rounded = np.rint(images * scale)
        if rounded.max() <= 255 and np.array_equal((rounded / scale).astype(images.dtype), images):
            return rounded.astype(np.uint8)
    raise DatasetError("expected pixels that are byte/256 or byte/255, received values in between")
