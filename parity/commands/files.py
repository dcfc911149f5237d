"""Files that a command is to write."""

import os
from pathlib import Path

from terminal_io import CliError, write_text


def check_writable(option: str, path: Path) -> None:
    """Show by trying that a file can be written.

    Raises:
        CliError: It cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "a folder", str(path))
        if path.exists() and not path.is_file():  # a device or a named pipe
            return
        trial = path.resolve().with_name(f".write-test.{os.getpid()}")
        write_text(trial, "")
        trial.unlink()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise CliError(f"{option}: expected a file to write. Received: {path}: {reason}") from error
