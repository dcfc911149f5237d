"""MNIST as its authors publish it: four IDX files."""

from pathlib import Path

import numpy as np

from digit_data.mnist.checks import (
    IMAGE_SHAPE,
    MAX_BYTES,
    Array,
    DatasetError,
    Digits,
    check_promise,
    checked_digits,
    opened,
    read_promised,
)

__all__ = ["find_idx", "read_idx", "read_idx_folder"]

# The role of a file, in the order of Digits: start of its name and number of dimensions.
ROLES = (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1))
UNSIGNED_BYTE = 8


def _names(stem: str, dimensions: int) -> list[str]:
    """Return the names in use for one of the four files, the preferred first."""
    plain = [f"{stem}-idx{dimensions}-ubyte", f"{stem}.idx{dimensions}-ubyte"]
    return plain + [f"{name}.gz" for name in plain]


def find_idx(folder: Path, given: Path | None = None) -> list[Path | None]:
    """Look for the four IDX files of a folder.

    Args:
        folder: the folder.
        given: one of the four, to be used where a folder holds the same file twice (packed and
            unpacked).

    Returns:
        The four paths in the order of ``Digits``; None where there is none.
    """
    found: list[Path | None] = []
    for role in ROLES:
        candidates = [folder / name for name in _names(*role) if (folder / name).is_file()]
        found.append(given if given in candidates else next(iter(candidates), None))
    return found


def read_idx_folder(folder: Path, given: Path | None = None) -> Digits:
    """Read the four IDX files of a folder.

    Args:
        folder: the folder.
        given: the one of the four that was asked for, if any.

    Returns:
        The four arrays as uint8.

    Raises:
        DatasetError: one of the four is missing (named), truncated, too long, or has a wrong
            header.
    """
    found = find_idx(folder, given)
    if given is not None and given not in found:
        usual = ", ".join(_names(*role)[0] for role in ROLES)
        raise DatasetError(
            f"{given}: an IDX file: expected one of the names {usual} (or .gz), "
            f"received {given.name}"
        )
    missing = [_names(*role)[0] for role, path in zip(ROLES, found, strict=True) if path is None]
    if missing:
        raise DatasetError(
            f"{folder}: expected {', '.join(missing)} too (or .gz), received a folder without"
        )
    arrays, left = [], MAX_BYTES
    for path, (_, dimensions) in zip(found, ROLES, strict=True):
        assert path is not None  # none is missing
        arrays.append(read_idx(path, dimensions, left))
        left -= arrays[-1].nbytes
    return checked_digits(*arrays, source=folder)


def read_idx(path: Path, dimensions: int, limit: int = MAX_BYTES) -> Array:
    """Read one IDX file of bytes.

    The header is the magic number (0, 0, 8 for unsigned bytes, number of dimensions) and then each
    size, all big-endian; the data follow row by row.

    Args:
        path: the file, gzip-ed or not.
        dimensions: 3 for pictures (N, 28, 28), 1 for labels (N,).
        limit: the largest number of bytes admitted.

    Returns:
        The array, uint8.

    Raises:
        DatasetError: wrong magic number, wrong picture size, absurd size, truncated, or trailing
            bytes.
    """
    with opened(path) as stream:
        header = stream.read(4 + 4 * dimensions)
        magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
        if header[:4] != magic:
            raise DatasetError(
                f"{path}: expected magic number 0x{magic.hex()}, received 0x{header[:4].hex()}"
            )
        if len(header) < 4 + 4 * dimensions:
            raise DatasetError(
                f"{path}: truncated: expected a header of {4 + 4 * dimensions} bytes, "
                f"received {len(header)}"
            )
        shape = tuple(int(size) for size in np.frombuffer(header, ">u4", offset=4))
        if dimensions == 3 and shape[1:] != IMAGE_SHAPE:
            raise DatasetError(f"{path}: expected pictures of (28, 28), received {shape[1:]}")
        data = read_promised(stream, check_promise(shape, 1, str(path), limit), str(path))
    return data.reshape(shape)
