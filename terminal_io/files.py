"""Files that are written whole or not at all, and the folder for a command's results."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terminal_io.command import CliError
from terminal_io.text import os_reason


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a path to write to, and put the file in its place when the block ends well.

    Args:
        path: Where the file shall be. A reader, or a process that follows a killed one, finds the
            old file or the new one, never a part, and so after a loss of power. A device or named
            pipe is written to directly.

    Yields:
        A path beside it with the same suffix, by which writers choose their format.

    Raises:
        OSError: The file cannot be written; the error names it.
    """
    path = path.resolve()  # the file that a link leads to, not the link, is replaced
    if path.exists() and not path.is_file():
        yield path
        return
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        _sync(partial)
        os.replace(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        if error.filename is None:  # a full disk, say
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, so that a rename outlives a loss of power."""
    if os.name == "posix":  # Windows opens no folders
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def writable_directory(path: Path, names: tuple[str, ...], option: str = "--out") -> Path:
    """Make a directory and show by trying that files can be written into it.

    Args:
        path: The directory; its parents are made too.
        names: The files that will be written.
        option: What asked for it, to begin the message with.

    Returns:
        The same path.

    Raises:
        CliError: It cannot be made or written to, or a folder has the name of one of the files.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial = path / f".write-test.{os.getpid()}"
        write_text(trial, "")
        trial.unlink()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = os_reason(error) if isinstance(error, OSError) else error
        raise CliError(f"{option}: expected a directory to write to. Received: {reason}") from error
    for name in names:
        if (path / name).is_dir():
            raise CliError(f"{option}: expected no folder called {name}. Received: {path / name}")
    return path
