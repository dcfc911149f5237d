"""How a command ends: its options, errors of one line, exit codes, signals."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from types import FrameType
from typing import Any, NoReturn

from terminal_io.text import one_line, os_reason

USAGE_ERROR = 2
"""The exit code for what the user can correct."""

FAILURE = 1
"""The exit code for what went wrong on the way."""

_PIPE_CLOSED = 141  # what a shell reports for a program that SIGPIPE ended


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
    """SIGINT, SIGTERM or SIGHUP arrived. Not an Exception, so that no library catches it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum

    @property
    def code(self) -> int:
        """The exit code that shells know: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.signum


class Signals:
    """Turns SIGINT, SIGTERM and SIGHUP into :class:`Interrupted`, at once or where work can stop.

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
            hung_up = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []  # Windows has none
            for signum in (signal.SIGINT, signal.SIGTERM, *hung_up):
                # Ignored on purpose, as for a job in the background or by nohup: leave it so.
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

    Only what a user can cause is caught, such as a package that is not installed; a bug in the
    project keeps its traceback.

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
        _flush()
        return code
    except SystemExit as exit_:  # argparse, after --help
        return exit_.code if isinstance(exit_.code, int) else 0
    except BrokenPipeError:
        # The reader of our output has gone. Python would complain at exit when it flushes.
        _flush()
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
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or find_spec(package) is not None:
            raise  # a module of a package that is there: a bug
        return _say(program, str(error), USAGE_ERROR)


def _say(program: str, message: str, code: int, detail: str = "") -> int:
    with suppress(OSError):  # nobody reads it: a terminal that was closed
        print(f"{program}: {one_line(message)}", file=sys.stderr)
        if detail:
            print(detail.rstrip("\n"), file=sys.stderr)
    _flush()
    return code


def _flush() -> None:
    """Write what is still to be written; drop it where nobody reads it any more.

    Python would try again at its end, complain, and exit with 120 in place of our code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            print(end="", file=stream, flush=True)  # the stream is None where it was closed
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
