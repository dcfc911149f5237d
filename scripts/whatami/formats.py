"""Answers on standard output, one after the other: as text, as JSON or as CSV."""

import csv
import io
import json
import sys
from collections.abc import Iterable
from typing import Literal

from terminal_io import printable

from ..model_files import CLASSES
from .answers import Answer, Number

Format = Literal["text", "json", "csv"]


class Text:
    """Ten lines and a verdict a picture; errors and notes go to standard error.

    Args:
        alone: Whether there is one picture, whose name everybody knows; else each has a heading.
    """

    def __init__(self, alone: bool) -> None:
        self._alone = alone
        self._first = True

    def write(self, answer: Answer | Number) -> None:
        """Print an answer."""
        name = printable(answer.file)
        kind = "warning" if answer.separate > 1 else "note"
        said = [f"{kind}: {note}" for note in answer.notes]
        if answer.error is not None:
            said = [answer.error]
        if said:
            print(end="", flush=True)
        for line in said:
            print(f"whatami: {name}: {line}", file=sys.stderr)
        if answer.error is None:
            heading = [] if self._alone else [f"{name}:"]
            print("\n".join(([] if self._first else [""]) + heading + answer.lines()))
            self._first = False

    def close(self) -> None:
        """End the output."""


class Json:
    """One array with an object a picture, each on a line of its own."""

    def __init__(self) -> None:
        self._before = "[\n"

    def write(self, answer: Answer | Number) -> None:
        """Print an answer."""
        print(self._before + json.dumps(answer.record()), end="")
        self._before = ",\n"

    def close(self) -> None:
        """End the array."""
        print("[]" if self._before == "[\n" else "\n]")


class Csv:
    """A table (RFC 4180) with a row a picture, or with a row a digit.

    Args:
        segment: Whether the answers are numbers.
    """

    def __init__(self, segment: bool) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(newline="")  # the table has its own line ends
        place = ["number", "position"] if segment else []
        scores = [*(f"score_{digit}" for digit in range(CLASSES)), "digit_score"]
        number = [] if segment else ["number"]
        self._print([["file", *place, "digit", *scores, *number, "error", "notes"]])

    def write(self, answer: Answer | Number) -> None:
        """Print an answer."""
        name, said = (
            printable(answer.file),
            [answer.error or "", "; ".join(answer.notes)],
        )
        self._print([name, *row, *said] for row in answer.rows())

    @staticmethod
    def _print(rows: Iterable[list[object]]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        print(text.getvalue(), end="")

    def close(self) -> None:
        """End the table."""


def writer(form: Format, segment: bool, alone: bool) -> Text | Json | Csv:
    """Return what prints answers in a form.

    Args:
        form: Which one.
        segment: Whether the answers are numbers.
        alone: Whether there is one picture, whose name need not be said.
    """
    # A name may have characters that the terminal's encoding lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if form == "json":
        return Json()
    return Csv(segment) if form == "csv" else Text(alone)
