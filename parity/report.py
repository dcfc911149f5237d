"""A comparison as a table for people."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.result import Comparison, Row, Verdict
from terminal_io import rendered

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
        Text(row.verdict.value, style=_STYLES[row.verdict]),
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
        console.print("Identical up to rounding.", style="bold green")
    else:
        places = ", ".join(f"{row.section} {row.tensor}" for row in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        console.print(f"NOT shown to be identical: {places}{more}.", style="bold red", markup=False)
