"""A report for a terminal or a log; verdicts are words, so colour is not needed."""

from collections.abc import Iterable

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from parity.checking.bugs.findings import Finding, TensorResult, Witness
from parity.reports import words
from parity.reports.report import CheckReport, Outcome
from terminal_io import rendered

_STYLES = {Outcome.RIGHT: "bold green", Outcome.WRONG: "bold red", Outcome.UNKNOWN: "bold yellow"}
_WITNESS_STYLES = {True: "green", False: "bold red", None: "dim"}

_COLUMNS = (
    words.TENSOR,
    words.OWN_NAME,
    words.SHAPE,
    words.WORST_AT,
    words.YOURS,
    words.EXPECTED,
    words.KERAS,
    words.RATIO,
    words.SCALE,
    words.COSINE,
    words.VERDICT,
)
# These stay on the narrowest terminal; of the others, as many as fit, the most important first.
_ALWAYS = (words.TENSOR, words.RATIO, words.VERDICT)
_IMPORTANT = (
    words.WORST_AT,
    words.YOURS,
    words.EXPECTED,
    words.OWN_NAME,
    words.SCALE,
    words.KERAS,
    words.SHAPE,
    words.COSINE,
)


def to_text(report: CheckReport, width: int = 100) -> str:
    """Return the report as plain text.

    Args:
        report: What :func:`parity.check` returned.
        width: Characters a line. A narrower table has fewer columns.

    Returns:
        The same as :func:`render` prints, without colour.
    """
    return rendered(lambda console: render(report, console), width)


def render(report: CheckReport, console: Console) -> None:
    """Print the report on a rich console: the answer, then its reasons."""
    verdict = words.OUTCOMES[report.outcome]
    head = Text(f"{words.one_line(report.name)}: ", style="bold")
    head.append(verdict, style=_STYLES[report.outcome])
    _print(console, head.append(f". {words.clean(report.summary)}", style="not bold"))
    if report.reference:
        _print(console, Text(f"Compared with {words.one_line(report.reference)}."))
    _print_findings(report, console)
    if report.tensors:
        _heading(console, "Tensors")
        _print_tensors(report.tensors, console)
    _print_pairs(console, "Witnesses", map(_witness, report.witnesses))
    _print_pairs(console, "Conventions", map(_convention, report.conventions.items()))
    _print_pairs(console, "Remarks", ((Text("-"), Text(words.clean(r))) for r in report.remarks))


def _print(console: Console, what: RenderableType) -> None:
    # Only Text and tables of Text come here: rich reads markup, emoji codes and links in plain
    # strings, and names and tracebacks are not ours.
    console.print(what, overflow="fold")


def _heading(console: Console, title: str) -> None:
    _print(console, Text(f"\n{title}", style="bold"))


def _hanging(rows: Iterable[tuple[Text, RenderableType]]) -> Table:
    """Return rows whose second part wraps beside the first and not below it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for left, right in rows:
        grid.add_row(left, right)
    return grid


def _print_findings(report: CheckReport, console: Console) -> None:
    if report.findings:
        _heading(console, "Findings")
    for place, finding in enumerate(report.findings, start=1):
        body = Table.grid()
        body.add_column(overflow="fold")
        for part in _parts(finding):
            body.add_row(part)
        _print(console, _hanging([(Text(f"{place}.", style="bold"), body)]))


def _parts(finding: Finding) -> list[RenderableType]:
    where = f" — {words.one_line(finding.where)}" if finding.where else ""
    parts: list[RenderableType] = [Text(words.clean(finding.title) + where, style="bold")]
    if finding.evidence:
        parts.append(Text(words.clean(finding.evidence)))
    if finding.fix:
        parts.append(Text(f"Fix: {words.clean(finding.fix)}"))
    if finding.detail.strip():
        parts.append(Padding(Text(words.clean(finding.detail).strip("\n"), "dim"), (0, 0, 0, 4)))
    return parts


def _print_tensors(tensors: list[TensorResult], console: Console) -> None:
    columns, gap = _layout(tensors, console.width)
    table = Table(pad_edge=False, box=None, padding=(0, gap, 0, 0))
    for column in columns:
        justify = "right" if column.numeric else "left"
        # Names may break; a number that is cut is another number.
        name = column is words.TENSOR
        width = max(map(len, map(words.kind_title, words.groups(tensors)))) if name else None
        table.add_column(
            column.heading, justify=justify, no_wrap=not name, overflow="fold", min_width=width
        )
    for kind, members in words.groups(tensors).items():
        table.add_row(Text(words.kind_title(kind), style="bold"))
        for tensor in members:
            table.add_row(*(_cell(column, tensor) for column in columns))
    _print(console, table)
    dropped = [
        column.heading
        for column in _COLUMNS
        if column not in columns and words.says_something(column, tensors)
    ]
    if dropped:
        _print(console, Text(f"(left out at this width: {', '.join(dropped)})"))


def _layout(tensors: list[TensorResult], width: int) -> tuple[list[words.Column], int]:
    """Return the columns to show and the gap between them: one only where both values need it."""
    loose, tight = (_fitting(tensors, width, gap) for gap in (2, 1))
    if words.EXPECTED in tight and words.EXPECTED not in loose:
        return tight, 1
    return loose, 2


def _fitting(tensors: list[TensorResult], width: int, gap: int) -> list[words.Column]:
    """Return the columns that a line of ``width`` characters can show whole."""
    room = width + gap - sum(_width(column, tensors) + gap for column in _ALWAYS)
    chosen = set(_ALWAYS)
    for column in _IMPORTANT:
        if not words.says_something(column, tensors):
            continue
        needed = _width(column, tensors) + gap
        if needed <= room:
            chosen.add(column)
            room -= needed
    return [column for column in _COLUMNS if column in chosen]


def _width(column: words.Column, tensors: list[TensorResult]) -> int:
    cells = [_cell(column, tensor).plain for tensor in tensors]
    if column is words.TENSOR:
        cells += map(words.kind_title, words.groups(tensors))
    return max(cell_len(text) for text in (column.heading, *cells))


def _cell(column: words.Column, tensor: TensorResult) -> Text:
    if column is words.TENSOR:
        return Text(f"  {column.cell(tensor)}")
    if column is words.VERDICT:
        return Text(column.cell(tensor), style="green" if tensor.right else "bold red")
    return Text(column.cell(tensor))


def _witness(witness: Witness) -> tuple[Text, Text]:
    comment = f": {words.clean(witness.comment)}" if witness.comment else ""
    verdict = Text(words.WITNESSES[witness.agrees], style=_WITNESS_STYLES[witness.agrees])
    return verdict, Text(words.one_line(witness.name) + comment)


def _convention(pair: tuple[str, str]) -> tuple[Text, Text]:
    topic, value = pair
    return Text(f"{words.one_line(topic)}:"), Text(words.clean(value))


def _print_pairs(console: Console, title: str, pairs: Iterable[tuple[Text, Text]]) -> None:
    rows = list(pairs)
    if rows:
        _heading(console, title)
        _print(console, _hanging(rows))
