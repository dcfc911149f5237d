"""Training samples that stay on the disk: NumPy's files, mapped, or a folder of pictures.

A set is a folder with four files ``x_train.npy``, ``y_train.npy``, ``x_test.npy`` and
``y_test.npy``, or with two folders ``train`` and ``test`` of ten folders each, ``0`` to ``9``, with
pictures. Of the training part a batch at a time is read; labels, and the test part, are in memory.
"""

import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digit_data.datasets import one_hot
from digit_data.mnist.checks import DatasetError
from digit_data.types import Array

CLASSES = 10
PARTS = ("train", "test")
ARRAYS = tuple(f"{axis}_{part}.npy" for part in PARTS for axis in "xy")
# Pages of a mapped file that were read count as memory of the process until the system needs them
# for something else, and with one page Linux maps its neighbours, up to half a megabyte. After so
# many rows they are given back; they are still in the system's cache.
ROWS = 128
# Read at once where a whole file is gone through.
PIECE = 2**24
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".tif", ".tiff", ".webp")

Convert = Callable[[Array], Array]


@dataclass(frozen=True)
class DataPart:
    """Inputs and one-hot targets, each an array or read batch by batch."""

    x: Any
    y: Any


class MappedRows:
    """The rows of a ``.npy`` file, each flat, as ``convert`` makes them.

    Args:
        path: An array (N, ...) of real numbers, in C order.
        convert: Makes inputs of rows as they are in the file.
        dtype: Of these inputs.

    Raises:
        DatasetError: No such array.
    """

    def __init__(self, path: Path, convert: Convert, dtype: str) -> None:
        self.path, self.convert, self.dtype = path, convert, np.dtype(dtype)
        try:
            with path.open("rb") as file:
                shape, kind = _header(file, path)
                start = self._start = file.tell()
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise DatasetError(f"{path}: expected a .npy file. Received: {error}") from error
        width = int(np.prod(shape[1:], dtype=np.int64))
        count = shape[0] * width
        there = (len(self._map) - start) // kind.itemsize
        if there < count:
            raise DatasetError(f"{path}: expected {count} numbers. Received: a file with {there}")
        self.shape = (shape[0], width)
        self.stored = np.frombuffer(self._map, kind, count, start).reshape(self.shape)
        self._advise("MADV_RANDOM")  # the order is drawn: what lies beside a row is not next

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Array, /) -> Array:
        rows = np.empty((len(indices), self.shape[1]), self.stored.dtype)
        for start in range(0, len(indices), ROWS):
            rows[start : start + ROWS] = self.stored[indices[start : start + ROWS]]
            self._advise("MADV_DONTNEED")
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = self.convert(rows)
            all_finite = rows.dtype.kind != "f" or np.isfinite(inputs.sum())
        if not all_finite and not (finite := np.isfinite(inputs)).all():
            row, column = (int(i) for i in np.argwhere(~finite)[0])
            raise DatasetError(
                f"{self.path}: expected finite numbers. "
                f"Received: {rows[row, column]} in sample {indices[row]}"
            )
        return inputs

    def checksum(self, value: int = 0) -> int:
        """Return a CRC-32 of the numbers, which goes on from ``value``."""
        whole = memoryview(self._map)[self._start : self._start + self.stored.nbytes]
        self._advise("MADV_SEQUENTIAL")
        for start in range(0, len(whole), PIECE):
            value = zlib.crc32(whole[start : start + PIECE], value)
            self._advise("MADV_DONTNEED")
        self._advise("MADV_RANDOM")
        return value

    def _advise(self, advice: str) -> None:
        if hasattr(mmap, advice):  # Windows has none
            self._map.madvise(getattr(mmap, advice))


class PictureRows:
    """Pictures in files, each flat, as ``convert`` makes them of grey values 0 to 255.

    Args:
        folder: Has the folders of the digits.
        side: Pixels of a side; the pictures have to have so many.
        convert: Makes inputs of rows of grey values.
        dtype: Of these inputs.

    Attributes:
        labels: The digits, (N,): sorted, and within one by the names of the files.

    Raises:
        DatasetError: There are none.
    """

    def __init__(self, folder: Path, side: int, convert: Convert, dtype: str) -> None:
        self.folder, self.side, self.convert, self.dtype = folder, side, convert, np.dtype(dtype)
        # As fixed numbers of bytes: a list of texts takes ten times as much.
        found = [_names(folder / str(label)) for label in range(CLASSES)]
        self.names = np.concatenate(found)
        self.labels = np.repeat(np.arange(CLASSES, dtype=np.uint8), [len(one) for one in found])
        self.shape = (len(self.names), side * side)
        if not len(self.names):
            raise DatasetError(
                f"{folder}: expected folders 0 to 9 with pictures ({', '.join(SUFFIXES)}). "
                "Received: no picture"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Array, /) -> Array:
        rows = np.empty((len(indices), self.shape[1]), np.uint8)
        for row, index in zip(rows, indices.tolist(), strict=True):
            row[...] = self._pixels(self._path(index))
        return self.convert(rows)

    def checksum(self, value: int = 0) -> int:
        """Return a CRC-32 of all files, which goes on from ``value``."""
        for index in range(len(self)):
            value = zlib.crc32(self._path(index).read_bytes(), value)
        return value

    def _path(self, index: int) -> Path:
        return self.folder / str(self.labels[index]) / os.fsdecode(bytes(self.names[index]))

    def _pixels(self, path: Path) -> Array:
        from PIL import Image  # late: arrays need none

        try:
            with Image.open(path) as picture:
                size = picture.size
                grey = np.asarray(picture.convert("L")) if size == (self.side, self.side) else None
        except Exception as error:  # Pillow raises of every kind on damage
            raise DatasetError(f"{path}: expected a picture. Received: {error}") from error
        if grey is None:
            raise DatasetError(
                f"{path}: expected a picture of {self.side}x{self.side} pixels. "
                f"Received: {size[0]}x{size[1]}"
            )
        return grey.ravel()


class OneHotRows:
    """Labels in memory, a byte each, and their one-hot targets as they are asked for."""

    def __init__(self, labels: Array, dtype: str) -> None:
        self.labels, self.dtype = labels, np.dtype(dtype)
        self.shape = (len(labels), CLASSES)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Array, /) -> Array:
        return one_hot(self.labels[indices], CLASSES, self.dtype)

    def checksum(self, value: int = 0) -> int:
        """Return a CRC-32 of the labels, which goes on from ``value``."""
        return zlib.crc32(self.labels.data, value)


def is_set(path: Path) -> bool:
    """Return whether a path is of a set as this module reads it, whole or not."""
    return any((path / name).exists() for name in (*ARRAYS, *PARTS))


def load(path: Path, inputs: int, dtype: str) -> tuple[DataPart, DataPart]:
    """Return the training part of a set, read batch by batch, and the test part, in memory.

    Args:
        path: The folder.
        inputs: How many a network takes: 784, pixels in 0..1, or 64, pixels in 0..16. Grey values
            0 to 255 of pictures are scaled to that; so are whole numbers of one byte in ``.npy``
            for 784 inputs. All others are taken as they are.
        dtype: Of inputs and targets.

    Raises:
        DatasetError: Something is missing, or does not fit; it is named.
    """
    read = _mapped if any((path / name).exists() for name in ARRAYS) else _pictures
    (x, labels), (x_test, test_labels) = (read(path, part, inputs, dtype) for part in PARTS)
    every = np.arange(len(x_test))
    test = DataPart(x_test[every], one_hot(test_labels, CLASSES, dtype))
    return DataPart(x, OneHotRows(labels, dtype)), test


def _mapped(path: Path, part: str, inputs: int, dtype: str) -> tuple[MappedRows, Array]:
    file = path / f"x_{part}.npy"

    def convert(rows: Array) -> Array:
        numbers = rows.astype(dtype)
        # As ``scripts.samples`` has MNIST, to the last bit.
        return numbers / 255 if rows.dtype == np.uint8 and inputs == 784 else numbers

    x = MappedRows(file, convert, dtype)
    if x.shape[1] != inputs:
        raise DatasetError(f"{file}: expected {inputs} numbers a sample. Received: {x.shape[1]}")
    return x, _labels(path / f"y_{part}.npy", len(x))


def _labels(file: Path, samples: int) -> Array:
    """Return labels as bytes, read piece by piece."""
    rows = MappedRows(file, lambda rows: rows, "uint8")
    if rows.shape != (samples, 1) or rows.stored.dtype.kind not in "iu":
        raise DatasetError(
            f"{file}: expected {samples} whole numbers, one for each sample. "
            f"Received: shape {rows.shape}, {rows.stored.dtype}"
        )
    labels = np.empty(samples, np.uint8)
    for start in range(0, samples, PIECE):
        piece = rows.stored[start : start + PIECE, 0]
        wrong = np.flatnonzero((piece < 0) | (piece >= CLASSES))
        if wrong.size:
            at = int(wrong[0])
            raise DatasetError(
                f"{file}: expected labels 0..9. Received: {piece[at]} at index {start + at}"
            )
        labels[start : start + PIECE] = piece
    return labels


def _pictures(path: Path, part: str, inputs: int, dtype: str) -> tuple[PictureRows, Array]:
    brightest = 1 if inputs == 784 else 16
    side = round(inputs**0.5)

    def convert(rows: Array) -> Array:
        numbers = rows.astype(dtype) / 255
        return numbers if brightest == 1 else numbers * brightest

    x = PictureRows(path / part, side, convert, dtype)
    return x, x.labels


def _header(file: Any, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and dtype of a ``.npy`` file, whose numbers come next."""
    read: dict[Any, Callable[[Any], Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(file)
        shape, columns_first, kind = read[version](file)
    except (ValueError, KeyError) as error:
        raise DatasetError(f"{path}: expected a .npy file. Received: {error}") from error
    if not shape or kind.kind not in "fiub" or (columns_first and len(shape) > 1):
        order = ", columns first" if columns_first else ""
        raise DatasetError(
            f"{path}: expected an array (N, ...) of real numbers, in C order. "
            f"Received: shape {shape}, {kind}{order}"
        )
    if not shape[0]:
        raise DatasetError(f"{path}: expected samples. Received: none")
    return shape, kind


def _names(folder: Path) -> Array:
    """Return the names of a folder's pictures as bytes, sorted; none if there is no folder."""
    return np.sort(np.array(list(_found(folder)), "S"))


def _found(folder: Path) -> Iterator[bytes]:
    if folder.is_dir():
        with os.scandir(os.fsencode(folder)) as entries:
            for entry in entries:
                name = entry.name
                if not name.startswith(b".") and os.fsdecode(name).lower().endswith(SUFFIXES):
                    yield name
