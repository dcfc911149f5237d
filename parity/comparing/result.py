"""What a comparison found: rows, remarks, and the table of them for people."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.bounds.rounding import ParityError
from parity.comparing.rows import Row, Section, Verdict
from terminal_io import rendered


@dataclass(frozen=True)
class Distance:
    """How far apart trainings are that were left to themselves, after so many ``steps``.

    Both are the largest difference of two weights relative to the largest in its tensor.

    Attributes:
        steps: Steps done.
        engines: Between Keras and NumPy.
        control: Between two NumPy trainings that started one unit in the last place apart.
    """

    steps: int
    engines: float
    control: float


@dataclass
class Comparison:
    """All rows of a comparison; ``print`` it to see the table.

    Attributes:
        title: What was compared.
        rows: One for each tensor, section by section.
        remarks: What the comparison as a whole should say.
        distances: Of a training, how far apart the engines were on the way.
    """

    title: str
    rows: list[Row] = field(default_factory=list[Row])
    remarks: list[str] = field(default_factory=list[str])
    distances: list[Distance] = field(default_factory=list[Distance])

    @property
    def passed(self) -> bool:
        """Whether every tensor is identical bit for bit or up to rounding."""
        return bool(self.rows) and not any(self.failures())

    def section(self, name: Section) -> list[Row]:
        """Return the rows of one section."""
        return [row for row in self.rows if row.section == name]

    def failures(self) -> list[Row]:
        """Return the rows that did not pass, in order."""
        return [r for r in self.rows if r.verdict in (Verdict.DIFFERENT, Verdict.UNDECIDED)]

    def raise_for_failure(self) -> None:
        """Raise :class:`ParityError`, with the table as its message, unless all rows passed."""
        if not self.passed:
            raise ParityError(f"\n{self}")

    def __str__(self) -> str:
        return to_text(self)


_STYLES = {
    Verdict.IDENTICAL: "green",
    Verdict.ROUNDING: "green",
    Verdict.FOLLOWS: "green",
    Verdict.DIFFERENT: "bold red",
    Verdict.UNDECIDED: "bold yellow",
}


# What the table needs to show both values; on a narrower terminal NumPy's is left out.
_WIDE = 100


def to_table(comparison: Comparison, width: int = _WIDE) -> Table:
    """Return the comparison as a rich table; verdicts are words, so colour is not needed."""
    both = width >= _WIDE
    table = Table(title=comparison.title, title_justify="left", pad_edge=False, box=None)
    table.add_column("tensor", no_wrap=True)
    table.add_column("worst at", no_wrap=True)
    for name in ("Keras", "NumPy") if both else ("Keras",):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("error/ulp", justify="right", no_wrap=True)
    table.add_column("bound/ulp", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    previous = ""
    for row in comparison.rows:
        if row.section != previous:
            table.add_row(Text(row.section, style="bold"))
            previous = row.section
        table.add_row(*_cells(row, both))
    return table


def _cells(row: Row, both: bool) -> list[Text]:
    place = ", ".join(map(str, row.index))
    step = "" if row.step is None else f" step {row.step}"
    return [
        Text(f"  {row.tensor}"),
        Text(f"[{place}]{step}"),
        Text(f"{row.keras:.8g}"),
        *([Text(f"{row.numpy:.8g}")] if both else []),
        Text(f"{row.ulps:.3g}"),
        Text("" if row.bound is None else f"{row.bound:.3g}"),
        Text(row.words, style=_STYLES[row.verdict]),
    ]


def to_text(comparison: Comparison, width: int = 120) -> str:
    """Return the table, the remarks and the verdict as plain text."""
    return rendered(lambda console: render(comparison, console), width)


def render(comparison: Comparison, console: Console) -> None:
    """Print the table, the remarks and the verdict on a rich console."""
    console.print(to_table(comparison, console.width))
    for row in comparison.rows:
        if row.note:
            console.print(f"- {row.section} {row.tensor}: {row.note}", markup=False)
    for remark in comparison.remarks:
        console.print(f"- {remark}", markup=False)
    failed = comparison.failures()
    if comparison.passed:
        low = next((f" of {row.precision}" for row in comparison.rows if row.precision), "")
        console.print(f"Identical up to rounding{low}.", style="bold green")
    else:
        places = ", ".join(f"{row.section} {row.tensor}" for row in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        console.print(f"NOT shown to be identical: {places}{more}.", style="bold red", markup=False)
