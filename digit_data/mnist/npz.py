"""MNIST as the archive of four arrays that Keras publishes."""

import gzip
import io
import zipfile
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from digit_data.mnist.checks import (
    MAX_BYTES,
    Array,
    DatasetError,
    Digits,
    check_promise,
    checked_digits,
    opened,
    read_promised,
)

__all__ = ["read_npz"]

# The record with which an archive ends, without a comment, and where in it the length of the list
# of contents stands. NumPy's list has four entries; zipfile would read one of any length, and take
# some ten times as much memory.
END, END_SIZE, LIST_SIZE = b"PK\x05\x06", 22, slice(12, 16)
LONGEST_LIST = 2**16
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# Version 3.0 of the header is left out: it differs only in the names of structured fields, which
# MNIST has none of.
HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(path: Path) -> Digits:
    """Read ``mnist.npz`` without trusting it: sizes are checked first, objects are refused.

    ``numpy.load`` would allocate whatever the header of a member claims; here the claim is compared
    with what the archive holds first.

    Args:
        path: the archive, with the arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``.

    Returns:
        The four arrays as uint8.

    Raises:
        DatasetError: a missing array, an object array, a wrong size, dtype or value, a truncated or
            damaged archive.
    """
    with opened(path) as stream:
        _check_end(stream, path)
        with zipfile.ZipFile(stream) as archive:  # type: ignore[arg-type]  # it reads and seeks, all that is asked
            missing = [key for key in Digits._fields if f"{key}.npy" not in archive.namelist()]
            if missing:
                held = ", ".join(archive.namelist()[:8]) or "nothing"
                raise DatasetError(
                    f"{path}: expected {', '.join(missing)} too, received only {held}"
                )
            arrays, left = [], MAX_BYTES
            for key in Digits._fields:
                arrays.append(_read_member(archive, key, f"{path}: {key}", left))
                left -= arrays[-1].nbytes
    return checked_digits(*arrays, source=path)


def _check_end(stream: BufferedIOBase, path: Path) -> None:
    """Raise unless the file ends with an archive's end record, and one of a short list."""
    if isinstance(stream, gzip.GzipFile):  # its end could be found only by unpacking all of it
        raise DatasetError(f"{path}: expected the archive itself, received it packed by gzip")
    length = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, length - 2 * END_SIZE))
    tail = stream.read()
    record = tail[-END_SIZE:]
    if not record.startswith(END):
        stream.seek(max(0, length - LONGEST_LIST))
        fault = "received trailing bytes after it" if END in stream.read() else "truncated"
        raise DatasetError(f"{path}: expected the end of the zip archive, {fault}")
    size = int.from_bytes(record[LIST_SIZE], "little")
    if size > LONGEST_LIST:  # so it is also where the length stands in a record for large archives
        raise DatasetError(
            f"{path}: refused: expected a list of contents of at most {LONGEST_LIST} bytes, "
            f"received one of {size}"
        )


def _read_member(archive: zipfile.ZipFile, key: str, name: str, limit: int) -> Array:
    """Return one array of the archive, its header checked before its data is read."""
    info = archive.getinfo(f"{key}.npy")
    if info.compress_type not in METHODS:
        raise DatasetError(
            f"{name}: expected an array stored or deflated, as NumPy writes it, "
            f"received compression method {info.compress_type}"
        )
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in HEADER_READERS:
            raise DatasetError(f"{name}: expected .npy version 1.0 or 2.0, received {version}")
        shape, fortran_order, dtype = HEADER_READERS[version](member)
        if dtype.hasobject:
            raise DatasetError(
                f"{name}: refused: expected numbers, received Python objects (dtype {dtype})"
            )
        data = read_promised(member, check_promise(shape, dtype.itemsize, name, limit), name)
    return data.view(dtype).reshape(shape, order="F" if fortran_order else "C")
