"""How far a command with many pictures has come: a bar on a terminal, else a line now and then."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Fewer are soon done.
MANY = 100
SECONDS_BETWEEN_LINES = 10

Count = Callable[[int], None]


@contextmanager
def counting(total: int, what: str) -> Iterator[Count]:
    """Show progress on standard error while the block runs.

    Nothing is shown where the results themselves run over the same terminal.

    Args:
        total: How many there are.
        what: What they are.

    Yields:
        A function that is told how many more are done.
    """
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if total < MANY or (terminal and sys.stdout is not None and sys.stdout.isatty()):
        yield lambda more: None
    elif terminal and os.environ.get("TERM") != "dumb":
        with _bar(total, what) as count:
            yield count
    else:
        yield _lines(total, what)


@contextmanager
def _bar(total: int, what: str) -> Iterator[Count]:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        progress.TextColumn(what),
        progress.TimeRemainingColumn(),
    )
    # Standard output is left alone: it goes to a file or to another program.
    console = Console(file=sys.stderr)
    with progress.Progress(*columns, console=console, redirect_stdout=False) as bar:
        task = bar.add_task("", total=total)
        yield lambda more: bar.advance(task, more)


def _lines(total: int, what: str) -> Count:
    done, due = 0, time.monotonic() + SECONDS_BETWEEN_LINES

    def count(more: int) -> None:
        nonlocal done, due
        done += more
        if time.monotonic() >= due:
            due = time.monotonic() + SECONDS_BETWEEN_LINES
            print(f"{done:,} of {total:,} {what}", file=sys.stderr, flush=True)

    return count
