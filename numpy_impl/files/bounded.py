"""What all readers of model files share: they open files of anybody, and take memory in bounds.

A file is opened only if it is a regular one; a pipe or a device may never end. Of an archive only
the members that are asked for are unpacked, and no more than the archive is long or, where they
are compressed, than ``MOST_UNPACKED``. Where members lie outside is never looked at: none is
written to the disk.
"""

import io
import os
import stat
import zipfile
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import IO

import numpy as np

from numpy_impl.types import Array

StrPath = str | os.PathLike[str]

# Bytes of compressed members: 32 million float32 weights, 50 times those of the largest network of
# ``numpy_impl.models``. A file made of zeros unpacks to a thousand times its length.
MOST_UNPACKED = 1 << 27
# The record with which an archive ends, without a comment, and where in it the length of the list
# of contents stands. zipfile would read a list of any length, and take ten times as much memory;
# 16,000 members have a list of this length.
_END, _END_SIZE, _LIST_SIZE = b"PK\x05\x06", 22, slice(12, 16)
_LONGEST_LIST = 1 << 20
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


class Refusal(ValueError):
    """What was expected and what was received, for a message that names the file too."""

    def __init__(self, expected: str, received: str) -> None:
        super().__init__(f"Expected {expected}. Received: {received}")
        self.expected = expected
        self.received = received


@contextmanager
def opened(path: StrPath) -> Generator[IO[bytes]]:
    """Open a regular file for reading.

    Raises:
        OSError: It cannot be opened, or is a folder; the error names it.
        Refusal: It is a pipe, a device or a socket.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Refusal("a regular file", "a pipe or a device")
        yield file


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; one that is a pipe at once, and not when somebody begins to write to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class Archive(AbstractContextManager["Archive"]):
    """A zip archive of which members are read one by one.

    Args:
        file: The content, open for reading.
        compressed: Whether members may be compressed.

    Raises:
        Refusal: No archive, or one with a very long list of contents.
    """

    def __init__(self, file: IO[bytes], compressed: bool) -> None:
        length = file.seek(0, io.SEEK_END)
        _check_end(file, length)
        self._archive = zipfile.ZipFile(file)
        self._left = {"stored": length, "deflated": MOST_UNPACKED if compressed else 0}

    def __exit__(self, *exception: object) -> None:
        self._archive.close()

    def names(self) -> list[str]:
        """Return the names of the members."""
        return self._archive.namelist()

    def read(self, name: str, limit: int | None = None) -> bytes:
        """Return the content of a member, of at most ``limit`` bytes if given.

        Raises:
            Refusal: There is none of that name, or it is too large or compressed.
        """
        with self._member(name, limit) as member:
            return member.read()

    def array(self, name: str, limit: int | None = None) -> Array:
        """Return the array that NumPy has saved under a name, of at most ``limit`` bytes if given.

        Raises:
            Refusal: There is none of that name, or it is too large.
            ValueError: It is an array of Python objects, or damaged.
        """
        with self._member(f"{name}.npy", limit) as member:
            # What its header promises beyond the member's own length is found missing; NumPy's
            # array takes memory only as far as it is filled.
            return np.lib.format.read_array(member, allow_pickle=False)

    def _member(self, name: str, limit: int | None) -> IO[bytes]:
        if name not in self._archive.namelist():
            listed = ", ".join(self.names()[:9]) or "none"
            raise Refusal(f"a member {name}", f"members {listed}")
        info = self._archive.getinfo(name)
        method = _METHODS.get(info.compress_type, "")
        if not self._left.get(method):
            kinds = " or ".join(kind for kind in self._left if self._left[kind])
            raise Refusal(f"{name} {kinds}", f"compression method {info.compress_type}")
        most = self._left[method] if limit is None else min(limit, self._left[method])
        if info.file_size > most:
            raise Refusal(f"at most {most} bytes of {name}", f"{info.file_size} bytes")
        self._left[method] -= info.file_size
        return self._archive.open(info)


def _check_end(file: IO[bytes], length: int) -> None:
    """Raise unless a file ends as an archive does, and with a list of contents that is short."""
    file.seek(max(0, length - _END_SIZE))
    record = file.read(_END_SIZE)
    if not record.startswith(_END):
        raise Refusal("a zip archive", "a file that does not end as one")
    size = int.from_bytes(record[_LIST_SIZE], "little")
    if size > _LONGEST_LIST:
        raise Refusal(f"a list of contents of at most {_LONGEST_LIST} bytes", f"{size} bytes")
