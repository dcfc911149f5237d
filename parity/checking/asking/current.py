"""Which of the user's calls runs now, kept where another process can read it.

A call that never returns, or that ends Python, can be named only from outside:
:mod:`parity.commands.isolation` shares this memory with the process that watches.
"""

import mmap
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_TEXT = 512
# Behind the text: a byte that is set for good when the user's code runs for the first time.
_SIZE = _TEXT + 1
_memory: bytearray | mmap.mmap = bytearray(_SIZE)


def prepare(path: Path) -> None:
    """Make the file that :func:`share` and :func:`read` take."""
    path.write_bytes(bytes(_SIZE))


def share(path: Path) -> None:
    """From here on, keep in a file what runs now; the file stays mapped if it is closed."""
    global _memory
    with path.open("r+b") as file:
        _memory = mmap.mmap(file.fileno(), _SIZE)


def read(path: Path) -> str:
    """Return what the process that shares the file is waiting for; "" if nothing of the user's."""
    return path.read_bytes()[:_TEXT].rstrip(b"\0").decode(errors="replace")


def begun(path: Path) -> bool:
    """Return whether the process that shares the file has run any of the user's code."""
    return path.read_bytes()[_TEXT] != 0


@contextmanager
def awaiting(expected: str) -> Generator[None]:
    """Say that a block runs the user's code, and what it is meant to do: "forward to return".

    A copy of the process that the user's code makes (os.fork) ends where it would leave the block:
    it would go on with the check a second time.
    """
    before, pid = _memory[:_TEXT], os.getpid()
    _memory[:] = expected.encode(errors="replace")[:_TEXT].ljust(_TEXT, b"\0") + b"\1"
    try:
        yield
    finally:
        if os.getpid() != pid:
            os._exit(0)
        _memory[:_TEXT] = before
