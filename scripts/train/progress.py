"""How a training is shown while it runs: a bar on a terminal, else a plain line an epoch."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TextIO

SECONDS_BETWEEN_UPDATES = 0.1


def describe(logs: Mapping[str, float]) -> str:
    """Return metrics as text: "loss 0.1234, accuracy 0.9876"."""
    return ", ".join(f"{name} {value:.4f}" for name, value in logs.items())


class Lines:
    """One line an epoch, for files and pipes.

    Args:
        epochs: How many epochs there will be at most.
        file: Where to write; None is stderr, which leaves stdout to the result.
    """

    def __init__(self, epochs: int, file: TextIO | None = None) -> None:
        self.epochs = epochs
        self.file = file if file is not None else sys.stderr
        self._started = time.monotonic()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def begin_epoch(self, epoch: int, batches: int) -> None:
        """Note that the epoch with this number from 0 begins."""
        self._started = time.monotonic()

    def batch(self, done: int, logs: Mapping[str, float]) -> None:
        """Show nothing: lines are for whole epochs."""

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Print an epoch's metrics and its duration."""
        seconds = time.monotonic() - self._started
        width = len(str(self.epochs))
        print(
            f"epoch {epoch + 1:{width}}/{self.epochs}: {describe(logs)} ({seconds:.1f} s)",
            file=self.file,
            flush=True,
        )


class Nothing(Lines):
    """Shows nothing, where another process shows the training."""

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Show nothing."""


class Bar(Lines):
    """A bar over all epochs, with the running loss and accuracy and the last epoch's metrics."""

    def __init__(self, epochs: int, file: TextIO | None = None) -> None:
        super().__init__(epochs, file)
        # Late, so that commands which show no bar start without rich.
        from rich import progress
        from rich.console import Console

        self._progress = progress.Progress(
            progress.TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            progress.BarColumn(bar_width=None),
            progress.TextColumn("{task.fields[now]}"),
            progress.TextColumn("[green]{task.fields[validation]}"),
            progress.TimeRemainingColumn(),
            console=Console(file=self.file),
        )
        self._task = self._progress.add_task(
            "", total=None, epoch=0, epochs=epochs, now="", validation=""
        )
        self._batches = 0
        self._done_before = 0
        self._next_update = 0.0

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # the terminal was closed
            self._progress.stop()

    def begin_epoch(self, epoch: int, batches: int) -> None:
        """Show the epoch's number; the first tells how long the bar is."""
        self._done_before, self._batches = epoch * batches, batches
        self._progress.update(self._task, epoch=epoch + 1, total=self.epochs * batches)

    def batch(self, done: int, logs: Mapping[str, float]) -> None:
        """Show the running metrics, ten times a second at most: some steps take microseconds."""
        now = time.monotonic()
        if now >= self._next_update:
            self._next_update = now + SECONDS_BETWEEN_UPDATES
            running = {name: logs[name] for name in ("loss", "accuracy") if name in logs}
            self._progress.update(
                self._task, completed=self._done_before + done, now=describe(running)
            )

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Show an epoch's validation metrics until the next one's."""
        trained = {name: logs[name] for name in ("loss", "accuracy") if name in logs}
        others = {name: value for name, value in logs.items() if name not in trained}
        self._progress.update(
            self._task,
            completed=self._done_before + self._batches,
            now=describe(trained),
            validation=describe(others),
        )


def reporter(epochs: int) -> Lines:
    """Return the bar if stderr is a terminal that can draw it, else the lines."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return Bar(epochs)
    return Lines(epochs)
