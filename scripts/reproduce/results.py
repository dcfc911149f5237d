"""What a reproduction is given and what it measured: tables, and the targets it is held to."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import terminal_io as cli

RESULTS_JSON = "results.json"


@dataclass(frozen=True)
class Context:
    """What a reproduction is given.

    Attributes:
        seeds: How many trainings of each kind, with the seeds 0, 1, ...
        out: The folder of this document's pictures; it is there.
        data: Where MNIST is, as ``--data`` has it; None leaves it to ``MNIST_PATH``.
        quick: Whether it is only to be shown that everything runs: one or two epochs on few
            samples, numbers without meaning.
        status: Shows what is going on, in a few words that the next ones replace.
        line: Prints a line that stays.
        dtype: What networks are trained in, "float32" or "float64".
    """

    seeds: int
    out: Path
    data: Path | None = None
    quick: bool = False
    status: Callable[[str], None] = print
    line: Callable[[str], None] = print
    dtype: str = "float32"

    def generators(self, seed: int) -> list[np.random.Generator]:
        """Return the four generators of a training, as ``scripts.train`` has them.

        They draw the weights, the order of the samples, the split of the data and the distortions.
        """
        return np.random.default_rng(seed).spawn(4)

    def at_most(self, whole: int, quick: int) -> int:
        """Return a number of epochs or samples: the ``whole`` one, or the ``quick`` one."""
        return min(whole, quick) if self.quick else whole


@dataclass(frozen=True)
class Table:
    """A table of text: a title, the columns' heads, and the rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Target:
    """A number that the document's author reached, and ours: at least as good, or not.

    Attributes:
        what: What was measured, such as "784-30-10, best epoch".
        author: The author's number, in the unit of ``measured``; None if none was printed.
        at_least: What we mean to reach.
        measured: One number for each seed; their mean is held against ``at_least``.
    """

    what: str
    author: float | None
    at_least: float
    measured: Sequence[float]

    @property
    def reached(self) -> bool:
        """Whether the mean is at least what was meant to be reached."""
        return statistics.fmean(self.measured) >= self.at_least


@dataclass(frozen=True)
class Results:
    """Everything a reproduction found out; the pictures lie in its folder.

    Attributes:
        tables: By name, for the terminal and for the document's page.
        targets: What the mean over the seeds is held to.
        values: Single numbers or words that the page states in a sentence, by name.
    """

    tables: dict[str, Table]
    targets: Sequence[Target] = ()
    values: dict[str, Any] = field(default_factory=dict)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return "mean ± standard deviation" (of the sample, n - 1), or the value if there is one."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def targets_table(targets: Sequence[Target]) -> Table:
    """Return the author's numbers beside ours."""
    rows = [
        [
            t.what,
            "" if t.author is None else f"{t.author:g}",
            f"{t.at_least:g}",
            spread(t.measured),
            "reached" if t.reached else "MISSED",
        ]
        for t in targets
    ]
    return Table("Percent right", ["what", "author", "at least", "measured", ""], rows)


def save(results: Results, context: Context, seconds: float) -> None:
    """Write ``results.json`` into the document's folder.

    Args:
        results: What was found out.
        context: What the reproduction was given.
        seconds: How long it took.
    """
    noted = {
        "seeds": context.seeds,
        "quick": context.quick,
        "seconds": round(seconds, 1),
        **asdict(results),
    }
    text = json.dumps(noted, indent=1, ensure_ascii=False, sort_keys=True)
    cli.write_text(context.out / RESULTS_JSON, text + "\n")
