"""What every command line here shares: one-line errors, exit codes, files, consoles.

The commands of ``scripts`` use it too; nothing here loads more than the standard library.
"""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
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
        detail: What stands below the line because it is not ours, such as the traceback of the
            user's own code; may be empty.
    """

    def __init__(self, message: str, code: int = USAGE_ERROR, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


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


def run(program: str, body: Callable[[], int], failure: int = FAILURE) -> int:
    """Run a command and turn whatever ends it into a line on stderr and an exit code.

    Only what a user can cause is caught; a bug in the project keeps its traceback.

    Args:
        program: The command's name, to begin the line with.
        body: The command; returns its exit code.
        failure: The exit code for what went wrong on the way: no memory, a full disk.

    Returns:
        The exit code.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as it is while a command loads
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = body()
        print(end="", flush=True)  # not sys.stdout.flush(): it is None where stdout was closed
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
        return _say(program, str(error), error.code, error.detail)
    except MemoryError as error:
        return _say(program, f"not enough memory: {error}", failure)
    except OSError as error:
        return _say(program, os_reason(error), failure)


def _say(program: str, message: str, code: int, detail: str = "") -> int:
    print(f"{program}: {one_line(message)}", file=sys.stderr)
    if detail:
        print(detail.rstrip("\n"), file=sys.stderr)
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
            old file or the new one, never a part. A device or named pipe is written to directly.

    Yields:
        A path beside it with the same suffix, by which writers choose their format.
    """
    path = path.resolve()  # the file that a link leads to, not the link, is replaced
    if path.exists() and not path.is_file():
        yield path
        return
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


def console() -> "Console":
    """Return a rich console; a file or a pipe, which has no width, gets 100 columns."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise  # to run, which knows the exit code; rich would exit with 1

    return Piped(width=None if sys.stdout.isatty() else 100)


def rendered(render: Callable[["Console"], object], width: int) -> str:
    """Return what ``render`` prints on a console of ``width`` columns, as plain text."""
    from rich.console import Console

    buffer = io.StringIO()  # not a terminal: rich would cut columns to the terminal's width
    # In a notebook rich would display it and leave the buffer empty: force_jupyter.
    plain = Console(
        file=buffer, width=width, color_system=None, highlight=False, force_jupyter=False
    )
    render(plain)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).rstrip()
