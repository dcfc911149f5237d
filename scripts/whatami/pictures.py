"""The pictures a user asks about: files, folders, patterns, standard input, MNIST's own."""

import glob
import os
import select
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy_impl.types import Array
from terminal_io import CliError, os_reason

STANDARD_INPUT = "-"
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp",
    ".avif", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
# A pipe may never end; a picture of as many pixels as are allowed takes less.
LONGEST_STREAM = 1 << 29
# So many seconds it is waited for the next bytes of a pipe.
PATIENCE = 60.0
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Source:
    """Where a picture is.

    Attributes:
        name: What to call it; the path unless there is a content.
        content: The bytes of a picture file, or the pixels of one of MNIST's (28, 28).
        error: Why there is no picture.
    """

    name: str
    content: bytes | Array | None = None
    error: str | None = None


def sources(arguments: Sequence[str]) -> list[Source]:
    """Return the pictures that IMAGE arguments mean.

    Args:
        arguments: Of each: a file; ``-``; a folder, for the pictures right in it, by name; or a
            pattern such as ``*.png``, for what it matches, by name. A file is taken as it is, even
            if its name could be a pattern.

    Returns:
        At least one for each argument; where there is no picture, one with an error.

    Raises:
        CliError: ``-`` more than once.
    """
    if arguments.count(STANDARD_INPUT) > 1:
        raise CliError(
            f"expected {STANDARD_INPUT}, standard input, once at most. "
            f"Received: {arguments.count(STANDARD_INPUT)} times"
        )
    return [source for argument in arguments for source in _expanded(argument)]


def _expanded(argument: str) -> Iterator[Source]:
    try:
        path = Path(argument).expanduser()
        if argument == STANDARD_INPUT:
            yield _standard_input()
        elif path.is_dir():
            yield from _folder(argument, path)
        elif path.is_fifo():  # as the shell's <(command) is
            yield Source(argument, _piped(path))
        elif glob.has_magic(argument) and not os.path.lexists(path):
            yield from _pattern(argument, path)
        else:
            yield Source(argument)
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of nobody
        reason = os_reason(error) if isinstance(error, OSError) else error
        yield Source(argument, error=f"expected a picture. Received: {reason}")


def _piped(path: Path) -> bytes:
    """Return what comes through a named pipe.

    Raises:
        OSError: For a while nobody has written to it.
    """
    content = bytearray()
    # Else opening it would wait for somebody who opens it to write.
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while len(content) < LONGEST_STREAM:
            if not select.select([pipe], [], [], PATIENCE)[0]:
                raise OSError(f"a pipe to which nobody has written for {PATIENCE:g} s")
            some = os.read(pipe, _CHUNK)
            if not some:
                break
            content += some
    finally:
        os.close(pipe)
    return bytes(content)


def _standard_input() -> Source:
    if sys.stdin is None:  # closed by whoever started the command
        error = "expected a picture on standard input. Received: none, it is closed"
        return Source(STANDARD_INPUT, error=error)
    content = sys.stdin.buffer.read(LONGEST_STREAM)
    error = None if content else "expected a picture on standard input. Received: nothing"
    return Source(STANDARD_INPUT, content, error)


def _folder(argument: str, path: Path) -> Iterator[Source]:
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if _is_picture(entry))
    if not names:
        error = (
            "expected a folder with pictures (.png, .jpg, ...; those in folders within it are not "
            "looked for). Received: none"
        )
        yield Source(argument, error=error)
    for name in names:
        yield Source(os.path.join(argument, name))


def _is_picture(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    if name.startswith(".") or not name.lower().endswith(SUFFIXES):
        return False
    try:
        return not entry.is_dir()
    except OSError:  # a loop of links: an error of this one picture, when it is read
        return True


def _pattern(argument: str, path: Path) -> Iterator[Source]:
    found = sorted(name for name in glob.iglob(str(path), recursive=True) if os.path.isfile(name))
    if not found:
        yield Source(argument, error="expected a file, or files that match. Received: none")
    for name in found:
        yield Source(name)


def mnist_source(index: int, data: Path | None) -> Source:
    """Return one of MNIST's test pictures.

    Args:
        index: Its number.
        data: Where MNIST is; None looks in the usual places.
    """
    from digit_data.datasets import load_mnist  # late, since pictures from files need none of it

    name = f"MNIST test image {index}"
    try:
        x_test = load_mnist(data, notice=lambda line: print(line, file=sys.stderr)).x_test
    except ValueError as error:  # DatasetError
        return Source(name, error=str(error))
    if not 0 <= index < len(x_test):
        error = f"expected an index in 0..{len(x_test) - 1}. Received: {index}"
        return Source(name, error=error)
    return Source(name, x_test[index])
