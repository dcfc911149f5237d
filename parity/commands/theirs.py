"""Running the user's code: what it raises is told as theirs, in a line and their own frames."""

import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from types import TracebackType
from typing import Any

from parity.candidate import CandidateError
from terminal_io import CliError

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
    try:
        with output_to_stderr():
            yield
    except CliError:
        raise
    except SystemExit as end:
        raise ended(expected, end) from None
    except CandidateError as error:  # said by us, of what was given to us: no error in their code
        frames = _frames(error.__traceback__)
        place = f"{_place(frames[-1])}: " if frames else ""
        raise CliError(f"{place}{error}") from None
    except Exception as error:
        raise _told(expected, error) from error


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


def _told(expected: str, error: Exception) -> CliError:
    frames = _frames(error.__traceback__)
    place = f", {_place(frames[-1])}" if frames else ""
    said = str(error)
    if isinstance(error, SyntaxError) and error.lineno:
        place, said = f", {_shown(error.filename or '')} line {error.lineno}", error.msg
    # Without their chained exceptions: the last one says it, and the frames lead to it.
    lines = traceback.format_exception_only(error)
    shown = traceback.StackSummary.from_list(frames[-_MOST_FRAMES:]).format()
    return CliError(
        f"expected {expected}. Received: an error in your own code{place}: "
        f"{type(error).__name__}: {said}",
        detail="".join(["your code, most recent call last:\n", *shown, *lines]),
    )


def _frames(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    """Return the frames that are neither ours nor of Python and its installed packages."""
    return [frame for frame in traceback.extract_tb(tb) if not _foreign(frame.filename)]


def _foreign(filename: str) -> bool:
    if filename.startswith("<"):  # <frozen importlib._bootstrap>, <string>
        return True
    path = os.path.realpath(filename)
    return any(path.startswith(folder + os.sep) for folder in _installed())


def _installed() -> set[str]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    for package in ("parity", "numpy_impl", "keras_impl"):
        spec = importlib.util.find_spec(package)
        folders.update(spec.submodule_search_locations or () if spec else ())
    return {os.path.realpath(folder) for folder in folders}


def _place(frame: traceback.FrameSummary) -> str:
    return f"{_shown(frame.filename)} line {frame.lineno}"


def _shown(filename: str) -> str:
    """Return a file's name as short as it leads there from the current folder."""
    return os.path.normpath(filename).removeprefix(os.getcwd() + os.sep)
