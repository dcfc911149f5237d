"""What the commands share: options, one-line errors, exit codes, signals, safe file writing."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rich.console import Console

USAGE_ERROR = 2
FAILURE = 1
_PIPE_CLOSED = 141  # what a shell reports for a program that SIGPIPE ended
_LONGEST_MESSAGE = 500


class CliError(Exception):
    """Something to be told to the user in one line, and the exit code that goes with it.

    Args:
        message: What was expected and what was received.
        code: The exit code; 2 for what the user can correct, 1 for what went wrong on the way.
    """

    def __init__(self, message: str, code: int = USAGE_ERROR) -> None:
        super().__init__(message)
        self.code = code


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived. Not an Exception, so that no library handles it by mistake."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum

    @property
    def code(self) -> int:
        """The exit code that shells know: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signum


class Parser(argparse.ArgumentParser):
    """An option parser whose errors are one line, as all others."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )

    def error(self, message: str) -> NoReturn:
        """Raise the message as a :class:`CliError`."""
        raise CliError(f"{message} (see --help)")


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


def run(program: str, body: Callable[[], int]) -> int:
    """Run a command and turn whatever ends it into a line on stderr and an exit code.

    Only what a user can cause is caught; a bug in the project keeps its traceback.

    Args:
        program: The command's name, to begin the line with.
        body: The command; returns its exit code.

    Returns:
        The exit code.
    """
    try:
        code = body()
        sys.stdout.flush()
        return code
    except SystemExit as exit_:  # argparse, after --help
        return exit_.code if isinstance(exit_.code, int) else 0
    except BrokenPipeError:
        # The reader of our output has gone. Python would complain at exit when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except (KeyboardInterrupt, Interrupted) as stop:
        interrupted = stop if isinstance(stop, Interrupted) else Interrupted(signal.SIGINT)
        return _say(program, f"stopped by {interrupted}", interrupted.code)
    except CliError as error:
        return _say(program, str(error), error.code)
    except MemoryError as error:
        return _say(program, f"not enough memory: {error}", FAILURE)
    except OSError as error:
        return _say(program, os_reason(error), FAILURE)


def _say(program: str, message: str, code: int) -> int:
    print(f"{program}: {one_line(message)}", file=sys.stderr)
    return code


def os_reason(error: OSError) -> str:
    """Return an OSError in words, without its number: "No space left on device: runs/x"."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{reason}: {error.filename}" if error.filename else reason


def printable(text: object) -> str:
    """Return text with line breaks, terminal escapes and undecodable bytes shown as escapes."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in shown
    )


def one_line(message: object) -> str:
    """Return a message, which may come from a library, as one line of bounded length."""
    text = printable(" ".join(str(message).split()))
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 3]}..."


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a path to write to, and put the file in its place when the block ends well.

    Args:
        path: Where the file shall be. A reader, or a process that follows a killed one, finds the
            old file or the new one, never a part.

    Yields:
        A path beside it with the same suffix, by which writers choose their format.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def writable_directory(path: Path, names: tuple[str, ...]) -> Path:
    """Make a directory and show by trying that files can be written into it.

    Args:
        path: The directory; its parents are made too.
        names: The files that will be written.

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
        raise CliError(f"--out: expected a directory to write to. Received: {reason}") from error
    for name in names:
        if (path / name).is_dir():
            raise CliError(f"--out: expected no folder called {name}. Received: {path / name}")
    return path


def console() -> "Console":
    """Return a rich console; a file or a pipe, which has no width, gets 100 columns."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100)
