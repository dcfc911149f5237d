"""MNIST as the archive of four arrays that Keras publishes."""

import zipfile
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
)

__all__ = ["read_npz"]

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
        try:
            archive = zipfile.ZipFile(stream)  # type: ignore[arg-type]
        except zipfile.BadZipFile as error:
            raise DatasetError(
                f"{path}: truncated: the zip archive has no complete list of contents"
            ) from error
        with archive:
            _check_end(archive, path)
            missing = [key for key in Digits._fields if f"{key}.npy" not in archive.namelist()]
            if missing:
                held = ", ".join(archive.namelist()[:8]) or "nothing"
                raise DatasetError(
                    f"{path}: expected {', '.join(missing)} too, received only {held}"
                )
            arrays = [_read_member(archive, key, f"{path}: {key}") for key in Digits._fields]
    return checked_digits(*arrays, source=path)


def _check_end(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise when bytes follow the archive's end record."""
    file = archive.fp
    assert file is not None  # the archive is open
    file.seek(-22 - len(archive.comment), 2)
    if file.read(4) != b"PK\x05\x06":
        raise DatasetError(
            f"{path}: expected the end of the zip archive, received trailing bytes after it"
        )


def _read_member(archive: zipfile.ZipFile, key: str, name: str) -> Array:
    """Return one array of the archive, its header checked before its data is read."""
    info = archive.getinfo(f"{key}.npy")
    if info.file_size > MAX_BYTES:
        raise DatasetError(
            f"{name}: refused: expected at most {MAX_BYTES} bytes, received {info.file_size}"
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
        promised = check_promise(shape, dtype.itemsize, name)
        data = member.read(promised + 1)
    if len(data) < promised:
        raise DatasetError(f"{name}: truncated: expected {promised} bytes, received {len(data)}")
    if len(data) > promised:
        raise DatasetError(f"{name}: expected {promised} bytes, received trailing bytes after them")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")
