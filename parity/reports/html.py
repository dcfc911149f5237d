"""A report as one HTML file that loads nothing, for a browser, a phone, or a screen reader."""

from collections.abc import Iterable
from html import escape
from typing import Literal

from parity.checking.bugs.findings import Finding, TensorResult
from parity.reports import heatmap, words
from parity.reports.report import CheckReport, Outcome
from parity.reports.style import CSS

# Classes of the style sheet.
Look = Literal["good", "bad", "unsure"]
_CLASSES: dict[Outcome, Look] = {
    Outcome.RIGHT: "good", Outcome.WRONG: "bad", Outcome.UNKNOWN: "unsure",
}  # fmt: skip
_WITNESS_CLASSES: dict[bool | None, Look] = {True: "good", False: "bad", None: "unsure"}

# The verdict stands beside the name, so that a narrow screen shows both without scrolling.
_COLUMNS = (
    words.VERDICT,
    words.RATIO,
    words.YOURS,
    words.EXPECTED,
    words.KERAS,
    words.WORST_AT,
    words.OWN_NAME,
    words.SHAPE,
    words.SCALE,
    words.COSINE,
)

# The policy forbids the browser to fetch anything or to run a script, whatever a name contains.
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
"""


def to_html(report: CheckReport) -> str:
    """Return the report as one self-contained HTML page.

    Args:
        report: What :func:`parity.check` returned.

    Returns:
        The page, to be written as UTF-8. It holds what the text says and, for each tensor, a map
        of its errors; it loads nothing and runs no script.
    """
    verdict = words.OUTCOMES[report.outcome]
    sections = [
        _header(report, verdict),
        _section("Findings", _findings(report.findings)),
        _section("Tensors", _tensors(report.tensors)),
        _section("Witnesses", _witnesses(report)),
        _section("Conventions", _conventions(report)),
        _section("Remarks", _list("ul", (_text(remark) for remark in report.remarks))),
    ]
    title = f"<title>{_line(report.name)}: {verdict}</title>\n"
    body = "\n".join(section for section in sections if section)
    return (
        f"{_HEAD}{title}<style>\n{CSS}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _text(text: object) -> str:
    return escape(words.clean(text))


def _line(text: object) -> str:
    return escape(words.one_line(text))


def _badge(word: str, css: Look) -> str:
    return f'<span class="badge {css}">{word}</span>'


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>" if content else ""


def _list(tag: Literal["ul", "ol"], items: Iterable[str]) -> str:
    inside = "\n".join(f"<li>{item}</li>" for item in items)
    return f"<{tag}>\n{inside}\n</{tag}>" if inside else ""


def _header(report: CheckReport, verdict: str) -> str:
    css = _CLASSES[report.outcome]
    reference = f"<p>Compared with {_line(report.reference)}.</p>\n" if report.reference else ""
    return (
        f'<header class="{css}">\n'
        f"<h1>{_line(report.name)}: {_badge(verdict, css)}</h1>\n"
        f'<p class="summary">{_text(report.summary)}</p>\n{reference}</header>'
    )


def _findings(findings: list[Finding]) -> str:
    return _list("ol", map(_finding, findings))


def _finding(finding: Finding) -> str:
    where = f' <span class="where">— {_line(finding.where)}</span>' if finding.where else ""
    parts = [f"<h3>{_text(finding.title)}{where}</h3>"]
    if finding.evidence:
        parts.append(f'<p class="lines">{_text(finding.evidence)}</p>')
    if finding.fix:
        parts.append(f'<p class="lines"><strong>Fix:</strong> {_text(finding.fix)}</p>')
    if finding.detail.strip():
        detail = _text(finding.detail).strip("\n")
        parts.append(f'<pre tabindex="0">{detail}</pre>')
    return "\n".join(parts)


def _tensors(tensors: list[TensorResult]) -> str:
    if not tensors:
        return ""
    top = heatmap.decades(tensors)
    all_right = all(tensor.right for tensor in tensors)
    parts = [_legend(top)]
    for kind, members in words.groups(tensors).items():
        title = escape(words.kind_title(kind))
        parts.append(f"<h3>{title.capitalize()}</h3>\n{_table(members, title)}")
        parts.append(_maps(members, title, top, all_right))
    return "\n".join(parts)


def _maps(tensors: list[TensorResult], title: str, top: int, all_right: bool) -> str:
    """Return the maps; those of agreeing tensors are folded away where others are to be seen."""
    wrong = [_figure(tensor, title, top) for tensor in tensors if not tensor.right]
    right = [_figure(tensor, title, top) for tensor in tensors if tensor.right]
    parts: list[str] = []
    if wrong:
        parts.append('<div class="maps">\n' + "\n".join(wrong) + "\n</div>")
    if right:
        parts.append(
            f"<details{' open' if all_right else ''}>\n"
            f"<summary>{title.capitalize()}: maps of agreeing tensors ({len(right)})</summary>\n"
            '<div class="maps">\n' + "\n".join(right) + "\n</div>\n</details>"
        )
    return "\n".join(parts)


def _table(tensors: list[TensorResult], title: str) -> str:
    columns = [column for column in _COLUMNS if words.says_something(column, tensors)]
    headings = "".join(
        f'<th scope="col"{_numeric(column)}>{escape(column.heading)}</th>'
        for column in (words.TENSOR, *columns)
    )
    rows = "\n".join(_row(tensor, columns) for tensor in tensors)
    return (
        f'<div class="scroll" role="region" aria-label="Table: {title}" tabindex="0">\n<table>\n'
        f'<caption class="hidden">{title}: each tensor at its worst element</caption>\n'
        f"<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _numeric(column: words.Column) -> str:
    return ' class="number"' if column.numeric else ""


def _row(tensor: TensorResult, columns: list[words.Column]) -> str:
    cells = "".join(
        f"<td{_numeric(column)}>{_tensor_badge(tensor)}</td>"
        if column is words.VERDICT
        else f"<td{_numeric(column)}>{escape(column.cell(tensor))}</td>"
        for column in columns
    )
    return f'<tr><th scope="row">{escape(words.TENSOR.cell(tensor))}</th>{cells}</tr>'


def _tensor_badge(tensor: TensorResult) -> str:
    return _badge(words.verdict(tensor), "good" if tensor.right else "bad")


def _figure(tensor: TensorResult, title: str, top: int) -> str:
    name = escape(words.TENSOR.cell(tensor))
    caption = (
        f"<figcaption><strong>{name}</strong> {_tensor_badge(tensor)}<br>\n"
        f"{escape(_caption(tensor))}"
    )
    picture = heatmap.draw(tensor, top)
    if picture is None:
        return f"<figure>\n{caption} No errors to draw.</figcaption>\n</figure>"
    width, height = picture.size
    mark = ""
    if picture.mark is not None:
        across, down = (f"{100 * part:.2f}%" for part in picture.mark)
        mark = f'<span class="mark" style="left:{across};top:{down}" aria-hidden="true"></span>'
    return (
        f'<figure>\n<div class="map" style="width:{width}px;aspect-ratio:{width}/{height}">'
        f'<img src="{picture.uri}" alt="Map of the errors of {name}, {title}: '
        f'{words.verdict(tensor)}">'
        f"{mark}</div>\n{caption} {escape(_about(tensor, picture))}</figcaption>\n</figure>"
    )


def _caption(tensor: TensorResult) -> str:
    shape = f"Shape {words.SHAPE.cell(tensor)}."
    if not tensor.index:
        return shape
    place = words.WORST_AT.cell(tensor)
    return f"{shape} Worst at {place}: {words.RATIO.cell(tensor)} times the bound."


def _about(tensor: TensorResult, picture: heatmap.HeatMap) -> str:
    sentences: list[str] = []
    beyond = words.count_beyond(tensor)
    if beyond is None:
        sentences.append("In units of the bound at the worst element.")
    elif not tensor.right:
        sentences.append(f"Beyond their bounds: {beyond:,} of {tensor.errors.size:,} elements.")
    if picture.block != (1, 1):
        high, wide = picture.block
        sentences.append(f"Each cell shows the largest of {high} by {wide} elements.")
    return " ".join(sentences)


def _legend(top: int) -> str:
    stops = ",".join(f"{colour} {place:.1f}%" for colour, place in heatmap.scale_stops(top))
    powers = sorted({0, top} | ({round(top / 2)} if top >= 4 else set()))
    ticks = "".join(
        f'<span style="left:{heatmap.position(power, top):.1f}%">{_power(power)}</span>'
        for power in powers
    )
    return (
        '<div class="legend">\n'
        "<p>The maps show each element's error in units of what rounding can explain there, the "
        "bound, on a logarithmic scale: grey is within the bound, colour beyond it, brighter is "
        f'more; <span class="swatch" style="background:{heatmap.red()}"></span> red is NaN or '
        "infinite. A ring marks the worst element.</p>\n"
        f'<div class="bar" role="img" aria-label="Colour scale: greys from a thousandth of the '
        f'bound to the bound, then blue over green to yellow at {_power(top)} times the bound" '
        f'style="background:linear-gradient(90deg,{stops})"></div>\n'
        f'<div class="ticks" aria-hidden="true"><span style="left:0%">≤ 0.001</span>{ticks}</div>\n'
        "</div>"
    )


def _power(power: int) -> str:
    return f"{10**power:g}" if power < 3 else f"1e{power}"


def _witnesses(report: CheckReport) -> str:
    return _list(
        "ul",
        (
            f"{_line(w.name)}: {_badge(words.WITNESSES[w.agrees], _WITNESS_CLASSES[w.agrees])} "
            f"{_text(w.comment)}"
            for w in report.witnesses
        ),
    )


def _conventions(report: CheckReport) -> str:
    pairs = "\n".join(
        f"<dt>{_line(topic)}</dt><dd>{_text(value)}</dd>"
        for topic, value in report.conventions.items()
    )
    return f"<dl>\n{pairs}\n</dl>" if pairs else ""
