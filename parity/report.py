"""A comparison as a table for people."""

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.result import Comparison, Row, Verdict

_STYLES = {
    Verdict.IDENTICAL: "green",
    Verdict.ROUNDING: "green",
    Verdict.DIFFERENT: "bold red",
    Verdict.UNDECIDED: "bold yellow",
}


def to_table(comparison: Comparison) -> Table:
    """Return the comparison as a rich table; verdicts are words, so colour is not needed."""
    table = Table(title=comparison.title, title_justify="left", pad_edge=False, box=None)
    for name in ("what", "tensor", "worst at"):
        table.add_column(name, no_wrap=True)
    for name in ("Keras", "NumPy", "error/ulp", "bound/ulp"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    previous = ""
    for row in comparison.rows:
        table.add_row(*_cells(row, previous))
        previous = row.section
    return table


def _cells(row: Row, previous: str) -> list[str | Text]:
    place = ", ".join(map(str, row.index))
    step = "" if row.step is None else f" step {row.step}"
    return [
        row.section if row.section != previous else "",
        row.tensor,
        f"[{place}]{step}".replace("[", r"\["),
        f"{row.keras:.9g}",
        f"{row.numpy:.9g}",
        f"{row.ulps:.3g}",
        "" if row.bound is None else f"{row.bound:.3g}",
        Text(row.verdict.value, style=_STYLES[row.verdict]),
    ]


def to_text(comparison: Comparison, width: int = 120) -> str:
    """Return the table, the remarks and the verdict as plain text."""
    buffer = io.StringIO()  # not a terminal: rich would cut columns to the terminal's width
    console = Console(file=buffer, width=width, color_system=None, highlight=False)
    render(comparison, console)
    return buffer.getvalue().rstrip()


def render(comparison: Comparison, console: Console) -> None:
    """Print the table, the remarks and the verdict on a rich console."""
    console.print(to_table(comparison))
    for row in comparison.rows:
        if row.note:
            console.print(f"- {row.section} {row.tensor}: {row.note}", markup=False)
    for remark in comparison.remarks:
        console.print(f"- {remark}", markup=False)
    failed = list(comparison.failures())
    if comparison.passed:
        console.print("Identical up to rounding.", style="bold green")
    else:
        places = ", ".join(f"{row.section} {row.tensor}" for row in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        console.print(f"NOT shown to be identical: {places}{more}.", style="bold red", markup=False)
