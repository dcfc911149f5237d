"""Running the user's code: what it raises is told as theirs, in a line and their own frames."""

import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from types import TracebackType
from typing import Any

from parity.candidate import CandidateError
from parity.checking.asking import current
from parity.checking.asking.own_code import foreign, shown
from terminal_io import CliError, Interrupted

_MOST_FRAMES = 8
_KEPT: list[Any] = []
GUARD = 'if __name__ == "__main__":'


@contextmanager
def running(expected: str) -> Generator[None]:
    """Run the user's code in the block; what it prints goes to stderr, as stdout is the report's.

    Args:
        expected: What it was meant to do, to follow "expected".

    Raises:
        CliError: It raised something, or ended the program.
    """
    limit = sys.getrecursionlimit()
    try:
        with current.awaiting(expected), output_to_stderr():
            try:
                yield
            finally:  # before anything of ours is called, which may need more
                sys.setrecursionlimit(max(limit, sys.getrecursionlimit()))
    except (CliError, KeyboardInterrupt, Interrupted):
        raise
    except SystemExit as end:
        raise ended(expected, end) from None
    except CandidateError as error:  # said by us, of what was given to us: no error in their code
        frames = _frames(error.__traceback__)
        place = f"{_place(frames[-1])}: " if frames else ""
        raise CliError(f"{place}{error}") from None
    except BaseException as error:  # also GeneratorExit or pytest.skip: all theirs
        raise told(expected, error) from error


@contextmanager
def output_to_stderr() -> Generator[None]:
    """Send what the user's code prints to stderr: stdout is the report's."""
    with redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            # sys.stdout = TextIOWrapper(sys.stdout.buffer) would close stderr when it is collected.
            _KEPT.append(sys.stdout)


def ended(expected: str, end: SystemExit) -> CliError:
    """Return what to say where the user's code ended the program."""
    frames = _frames(end.__traceback__)
    place = f" in {_place(frames[-1])}" if frames else ""
    return CliError(
        f"expected {expected}. Received: sys.exit({end.code!r}){place}, in your own code; what "
        f"only a program does belongs below {GUARD}"
    )


def is_theirs(error: BaseException) -> bool:
    """Whether an exception went through the user's code."""
    return bool(_frames(error.__traceback__))


def told(expected: str, error: BaseException) -> CliError:
    """Return what to say where the user's code raised an exception."""
    frames = _frames(error.__traceback__)
    place = f", {_place(frames[-1])}" if frames else ""
    try:
        said = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # its own __str__ fails, or ends Python
        said = "?"
    if isinstance(error, SyntaxError) and error.lineno:
        place, said = f", {shown(error.filename or '')} line {error.lineno}", error.msg
    # Without their chained exceptions: the last one says it, and the frames lead to it.
    lines = traceback.format_exception_only(error)
    told_frames = traceback.StackSummary.from_list(frames[-_MOST_FRAMES:]).format()
    return CliError(
        f"expected {expected}. Received: an error in your own code{place}: "
        f"{type(error).__name__}: {said}",
        detail="".join(["your code, most recent call last:\n", *told_frames, *lines]),
    )


def _frames(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    """Return the frames that are neither ours nor of Python and its installed packages."""
    return [frame for frame in traceback.extract_tb(tb) if not foreign(frame.filename)]


def _place(frame: traceback.FrameSummary) -> str:
    return place(frame.filename, frame.lineno)


def place(filename: str, line: object) -> str:
    """Return a place in the user's code in words."""
    return f"{shown(filename)} line {line}"
