"""Text for a terminal: messages of one line, and consoles."""

import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST_MESSAGE = 500


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


def console(file: io.StringIO | None = None, terminal: bool | None = None) -> "Console":
    """Return a rich console; a file or a pipe, which has no width, gets 100 columns.

    Args:
        file: What it writes into; None: stdout.
        terminal: Whether what is written will be shown on a terminal; None: whether stdout is one.
    """
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise  # to run, which knows the exit code; rich would exit with 1

    terminal = sys.stdout.isatty() if terminal is None else terminal
    # None leaves it to the environment, where FORCE_COLOR may stand.
    return Piped(file=file, force_terminal=terminal or None, width=None if terminal else 100)


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
