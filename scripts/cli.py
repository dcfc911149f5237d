"""What the commands share: what ``parity.terminal`` has, signals, and the folder for results."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from parity.terminal import (
    FAILURE,
    USAGE_ERROR,
    CliError,
    Interrupted,
    Parser,
    atomic,
    console,
    one_line,
    os_reason,
    printable,
    run,
    write_text,
)

__all__ = [
    "FAILURE",
    "USAGE_ERROR",
    "CliError",
    "Interrupted",
    "Parser",
    "Signals",
    "atomic",
    "console",
    "one_line",
    "os_reason",
    "printable",
    "run",
    "writable_directory",
    "write_text",
]


class Signals:
    """Turns SIGINT and SIGTERM into :class:`Interrupted`, at once or where the work can stop.

    Within ``with``, a signal raises at once until :meth:`defer` is called; from then on the first
    one is only noted, for :meth:`check` to raise between two steps, and a second raises at once.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferred = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        # Python allows handlers in the main thread only; elsewhere the caller keeps its own.
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                # Ignored on purpose, as for a job in the background: leave it so.
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def defer(self) -> None:
        """From here on, note the first signal instead of raising it."""
        self._deferred = True

    def check(self) -> None:
        """Raise :class:`Interrupted` if a signal was noted."""
        if self.received is not None:
            raise Interrupted(self.received)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        again = self.received is not None
        self.received = signum
        if again or not self._deferred:
            raise Interrupted(signum)


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
