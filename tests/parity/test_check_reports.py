"""What a check's report looks like: as text, as JSON, as a page."""

import base64
import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from parity import CheckReport, Finding, Outcome, TensorResult, Witness
from parity.checking.bugs.table import Bug, Severity
from parity.reports import render, to_dict, to_html, to_json, to_text

SCHEMA = Path(__file__).parents[2] / "docs" / "report-schema.md"
TRACEBACK = 'Traceback (most recent call last):\n  File "net.py", line 3, in f\n    a[red]b[/red]'


TRANSPOSED = Bug(
    "transposed", "The {part} is transposed", "x @ W", "use {name}.T",
    summary="One gradient is wrong: {where}.",
)  # fmt: skip
UNSURE = Bug("unsure", "Who knows", "", severity=Severity.UNCERTAIN, summary="Nothing.")


def _tensor(shape=(3, 4), wrong=None, *, bounds=True, **changes) -> TensorResult:
    """Return a tensor with errors of half a bound, and of 1e6 bounds at ``wrong``."""
    errors = np.full(shape, 0.5e-16)
    index = changes.get("index", (0,) * len(shape))
    if wrong is not None:
        errors[wrong], index = 1e-10, wrong
    fields: dict[str, Any] = {
        "kind": "gradient",
        "name": "layer 1 kernel",
        "own_name": "weights['W1']",
        "shape": shape,
        "index": index,
        "value": -0.12345678901,
        "expected": -0.12345678891,
        "keras": -0.12345678891,
        "error": float(errors[index].max(initial=0)),
        "bound": 1e-16,
        "ratio": float(errors[index].max(initial=0) / 1e-16),
        "scale": 1.0,
        "cosine": 1.0,
        "right": wrong is None,
        "errors": errors,
        "bounds": np.full(shape, 1e-16) if bounds else None,
    }
    return TensorResult(**fields | changes)


def _report(**changes) -> CheckReport:
    fields = {
        "name": "my net",
        "reference": "3-4 (sigmoid)",
        "conventions": {"samples": "in rows", "loss": "quadratic (given)"},
        "findings": [
            Finding(
                TRANSPOSED,
                "layer 1 kernel",
                {"part": "kernel", "name": "W"},
                "It is.",
            ),
            Finding(Bug("raised", "step raised", "1 / 0"), "step", detail=TRACEBACK),
        ],
        "remarks": ["The loss is summed."],
        "tensors": [
            _tensor((7, 4), kind="forward", name="layer 1 output", own_name="outputs[0]"),
            _tensor(wrong=(1, 2)),
            _tensor((4,), name="layer 1 bias", own_name="weights['b1']"),
        ],
        "witnesses": [
            Witness("Keras's autodiff", False, "1e6 bounds"),
            Witness("derivative of your own loss", None, "no loss was given"),
            Witness("your forward and the reference's", True, ""),
        ],
    }
    return CheckReport(**fields | changes)


def _strange() -> CheckReport:
    """Return a report with everything that is not a plain finite number."""
    nan, inf = float("nan"), float("inf")
    errors = np.array([[nan, 1e-17], [inf, 0.0]])
    numbers: dict[str, Any] = {
        "value": nan,
        "error": nan,
        "ratio": inf,
        "scale": nan,
        "cosine": -inf,
    }
    return _report(
        tensors=[
            _tensor((2, 2), errors=errors, right=False, keras=None, **numbers),
            _tensor((2, 3), errors=np.zeros((0,)), index=(), right=False, bounds=False, **numbers),
            _tensor((), wrong=(), index=(), bound=0.0, ratio=inf, bounds=False),
            _tensor((2, 3, 4), wrong=(1, 2, 3), bound=np.float64(nan), bounds=False),
        ]
    )


class _Page(HTMLParser):
    """Checks that tags nest, and collects the tags and the text outside of the style sheet."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _pictures(page: _Page) -> list[np.ndarray]:
    found = []
    for image in page.all("img"):
        header, data = (image["src"] or "").split(",")
        assert header == "data:image/png;base64"
        found.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), int))
    return found


def _coloured(picture: np.ndarray) -> list[tuple[int, int]]:
    """Return the cells that are no greys: those beyond the bound."""
    rows, columns = np.nonzero(np.ptp(picture, axis=2))
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


# Text


def test_the_text_begins_with_the_answer():
    first = "my net: WRONG. One gradient is wrong: layer 1 kernel.\n"
    assert to_text(_report()).startswith(first)
    unsure = [*_report().findings, Finding(UNSURE, "all")]
    for findings, word in (([], "RIGHT"), (unsure[:1], "WRONG"), (unsure, "CANNOT TELL")):
        assert to_text(_report(findings=findings, tested=["x"])).startswith(f"my net: {word}. ")


@pytest.mark.parametrize(
    ("severities", "outcome"),
    [
        ((), Outcome.RIGHT),
        ((Severity.INCOMPLETE,), Outcome.UNKNOWN),
        ((Severity.INCOMPLETE, Severity.WRONG), Outcome.WRONG),
        ((Severity.WRONG,), Outcome.WRONG),
        ((Severity.WRONG, Severity.UNCERTAIN), Outcome.UNKNOWN),
        ((Severity.UNCERTAIN, Severity.WRONG, Severity.CONCLUSIVE), Outcome.WRONG),
        ((Severity.CONCLUSIVE, Severity.BLOCKING), Outcome.UNKNOWN),
    ],
)
def test_the_outcome_follows_from_the_findings(severities, outcome):
    findings = [Finding(TRANSPOSED, "", severity=severity) for severity in severities]
    assert CheckReport("n", "", findings=findings, tested=["x"]).outcome is outcome


def test_the_text_says_everything_in_order():
    text = to_text(_report(), width=140)
    words = (
        *("Findings", "1. The kernel is transposed — layer 1 kernel", "It is.", "Fix: use W.T"),
        *("2. step raised — step", "Traceback", "Tensors", "forward pass", "layer 1 output"),
        *("gradients", "weights['W1']", "(3, 4)", "[1, 2]", "1e+06", "DIFFERENT", "ok"),
        *("Witnesses", "DISAGREES Keras's autodiff: 1e6 bounds", "not asked derivative of"),
        *("agrees    your forward", "Conventions", "samples: in rows", "Remarks", "- The loss"),
    )
    place = 0
    for word in words:
        assert word in text[place:], word
        place = text.index(word, place)
    assert "\x1b" not in text  # readable without colour
    assert text.count("Fix:") == 1  # the second finding has none


def test_the_detail_is_indented_as_a_block():
    lines = to_text(_report()).splitlines()
    first = next(i for i, line in enumerate(lines) if "Traceback" in line)
    assert [line.strip() for line in lines[first : first + 3]] == [
        line.strip() for line in TRACEBACK.splitlines()
    ]
    indents = [len(line) - len(line.lstrip()) for line in lines[first : first + 3]]
    assert indents == [7, 9, 11]


def test_an_empty_report_is_one_line():
    assert to_text(CheckReport("n", "")) == "n: CANNOT TELL. Nothing was compared."


def test_right_says_what_was_tested_and_what_was_not():
    report = CheckReport("n", "4-3 (relu)", tested=["a", "b"], untested=["c (d)", "e"])
    said = "Equal to 4-3 (relu) up to rounding: a, b. Not tested: c (d); e."
    assert (report.outcome, report.summary) == (Outcome.RIGHT, said)


def test_foreign_strings_are_not_markup():
    name = "[bold]n[/bold] [/] :smile: https://example.org"
    finding = Finding(Bug("c", "{t}", ""), name, {"t": name}, detail=TRACEBACK)
    report = _report(name=name, findings=[finding], remarks=[name], conventions={name: name})
    report.tensors = [dataclasses.replace(report.tensors[0], name="[red]t[/]", own_name="w[/w]")]
    report.witnesses = [Witness(name, True, name)]
    text = to_text(report, width=200)
    assert text.count(name) == 10
    assert "[red]t[/]" in text
    assert "w[/w]" in text
    assert "a[red]b[/red]" in text


def test_foreign_strings_cannot_control_the_terminal():
    report = _report(name="a\x1b[2Jb\rc\nd", remarks=["x\x9b31my", "\ud800"])
    text = to_text(report)
    assert text.startswith(r"a\x1b[2Jb\x0dc d: WRONG")
    assert r"x\x9b31my" in text
    text.encode()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 140, 200])
def test_no_width_cuts_a_number(width):
    report = _report()
    text = to_text(report, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    rows = [line for line in text.splitlines() if line.startswith("  layer 1 ")]
    assert len(rows) == 3
    for row, tensor in zip(rows, report.tensors, strict=True):
        assert row.split()[-1] == ("ok" if tensor.right else "DIFFERENT")
        for number in re.findall(r"-?\d\.\d+(?:e[+-]\d+)?", row):
            exact = {tensor.value, tensor.expected, tensor.ratio}
            assert any(float(number) == pytest.approx(x, rel=1e-5) for x in exact), number
    if width >= 80:
        assert "-0.12345678901" in rows[1]  # as many digits as show the difference
        assert "-0.12345678891" in rows[1]


def test_a_narrow_table_says_what_it_leaves_out():
    assert "left out" not in to_text(_report(), 140)
    assert "(left out at this width: " in to_text(_report(), 80)


def test_long_names_are_shortened_and_numbers_are_not():
    tensor = _tensor(own_name="weights['" + "x" * 300 + "']")
    text = to_text(_report(tensors=[tensor]), 140)
    assert "weights['xx…xxxxxxxxxx']" in text
    assert "-0.123457" in text


def test_the_text_shows_what_is_not_finite():
    text = to_text(_strange(), 140)
    row = next(line for line in text.splitlines() if "(2, 2)" in line)
    assert row.split()[-7:] == ["nan", "-0.123457", "-", "inf", "nan", "-inf", "DIFFERENT"]


def test_a_coloured_console_gets_the_same_words():
    buffer = io.StringIO()
    options = {"force_terminal": True, "color_system": "standard", "legacy_windows": False}
    render(_report(), Console(file=buffer, width=100, **options))
    plain = re.sub(r"\x1b\[[\d;]*m", "", buffer.getvalue())
    assert "\x1b[" in buffer.getvalue()
    assert [line.rstrip() for line in plain.splitlines()] == to_text(_report()).splitlines()


# JSON


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize("report", [_report(), _strange()], ids=["plain", "strange"])
def test_json_is_strict_and_comes_back(report):
    assert json.loads(to_json(report), parse_constant=_refuse) == to_dict(report)


def test_json_has_the_values():
    found = to_dict(_report())
    assert found["schema"] == 1
    assert (found["outcome"], found["exit_code"], found["passed"]) == ("wrong", 1, False)
    tensor = found["tensors"][1]
    assert tensor["value"] == -0.12345678901
    assert tensor["index"] == [1, 2]
    errors = {"count": 12, "not_finite": 0, "beyond_bound": 1, "max": 1e-10, "median": 0.5e-16}
    assert tensor["errors"].items() >= errors.items()
    assert found["witnesses"][1]["agrees"] is None


def test_json_says_nan_and_infinity_in_words():
    first, empty, *_ = to_dict(_strange())["tensors"]
    assert [first[key] for key in ("value", "ratio", "cosine", "keras")] == [
        *("nan", "inf", "-inf"),
        None,
    ]
    assert (first["errors"]["not_finite"], first["errors"]["beyond_bound"]) == (2, 2)
    assert (empty["errors"]["count"], empty["errors"]["max"]) == (0, None)


def test_json_takes_numpy_scalars():
    bool_: Any = np.bool_(True)
    tensor = _tensor(
        value=np.float32(0.5), index=(np.int64(1), np.int64(2)), right=bool_, shape=(3, 4)
    )
    report = _report(tensors=[tensor], witnesses=[Witness("w", bool_, "")])
    assert json.loads(to_json(report))["tensors"][0]["value"] == 0.5


def test_the_schema_document_names_every_key():
    report = to_dict(_report())
    tables = SCHEMA.read_text(encoding="utf-8").split("\n## ")[1:]
    objects = (
        report,
        report["findings"][0],
        report["tensors"][0],
        report["tensors"][0]["errors"],
        report["witnesses"][0],
    )
    for table, emitted in zip(tables, objects, strict=True):
        assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(emitted)


# HTML


@pytest.mark.parametrize("report", [_report(), _strange()], ids=["plain", "strange"])
def test_the_page_is_well_formed_and_loads_nothing(report):
    html = to_html(report)
    page = _Page(html)
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import|https?:", html)
    assert "default-src 'none'" in html


def test_the_page_is_accessible():
    page = _Page(to_html(_report()))
    assert page.all("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in page.all("img"))
    assert all(heading["scope"] in ("col", "row") for heading in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    html = to_html(_report())
    assert "color-scheme: light dark" in html
    assert "prefers-color-scheme: dark" in html


def test_the_page_says_what_the_text_says():
    page = " ".join(_Page(to_html(_report())).text.split())
    for word in re.findall(r"[\w'().\[\]+-]+", to_text(_report(), 200)):
        if word not in ("1.", "2.", "-"):  # the browser numbers and marks the lists
            assert word.rstrip(":.") in page, word
    assert "Beyond their bounds: 1 of 12 elements." in page


def test_foreign_strings_are_escaped():
    evil = "<script>alert(1)</script>\"'&<img src=//x onerror=y>"
    report = _report(
        **dict.fromkeys(("name", "reference"), evil),
        conventions={evil: evil},
        findings=[Finding(Bug(evil, evil, evil, evil), evil, {}, evil, evil)],
        remarks=[evil],
        tensors=[_tensor(name=evil, own_name="<b>", kind=evil), _tensor((0,), name=evil, index=())],
        witnesses=[Witness(evil, True, evil)],
    )
    html = to_html(report)
    assert "<script" not in html
    assert "<b>" not in html
    page = _Page(html)
    assert page.all("script") == []
    assert len(page.all("img")) == 1
    assert page.text.count(evil) >= 12


@pytest.mark.parametrize("bounds", [True, False])
@pytest.mark.parametrize("wrong", [(0, 0), (261, 250), (783, 499), (783, 0), (6, 3)])
def test_a_single_wrong_entry_stays_visible(wrong, bounds):
    page = _Page(to_html(_report(tensors=[_tensor((784, 500), wrong, bounds=bounds)])))
    (picture,) = _pictures(page)
    assert picture.shape == (112, 125, 3)
    cell = (wrong[0] // 7, wrong[1] // 4)
    assert _coloured(picture) == [cell]
    (mark,) = (span["style"] for span in page.all("span") if span.get("class") == "mark")
    left, top = (float(x) / 100 for x in re.findall(r"([\d.]+)%", mark or ""))
    assert (int(top * 112), int(left * 125)) == cell


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        *[((5,), (1, 5)), ((5, 1), (1, 5)), ((1, 5), (1, 5)), ((300,), (1, 100)), ((), (1, 1))],
        *[((2, 3, 4), (2, 12)), ((128, 129), (128, 65)), ((1000, 2), (125, 2))],
    ],
)
def test_every_shape_has_a_map(shape, drawn):
    (picture,) = _pictures(_Page(to_html(_report(tensors=[_tensor(shape)]))))
    assert picture.shape[:2] == drawn
    assert _coloured(picture) == []


def test_larger_bounds_elsewhere_do_not_look_wrong():
    # The error of 1e-3 is larger than the bound of the worst element, and within its own.
    errors, bounds = np.array([0.9e-9, 1e-3]), np.array([1e-9, 1e-2])
    numbers = {"index": (0,), "error": 0.9e-9, "bound": 1e-9, "ratio": 0.9}
    for known in (bounds, None):
        tensor = dataclasses.replace(_tensor((2,), errors=errors, **numbers), bounds=known)
        assert _coloured(_pictures(_Page(to_html(_report(tensors=[tensor]))))[0]) == []


def test_what_is_not_finite_is_red():
    first, *_ = _pictures(_Page(to_html(_strange())))
    red = [227, 26, 28]
    assert (first == red).all(axis=2).tolist() == [[True, False], [True, False]]


def test_brighter_is_further_beyond_the_bound():
    errors = np.array([0.0, 1e-17, 0.9e-16, 1.1e-16, 1e-14, 1e-12, 1e-10])
    tensor = _tensor((7,), wrong=(6,), errors=errors)
    (picture,) = _pictures(_Page(to_html(_report(tensors=[tensor]))))
    luminance = picture[0] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance[:3]) > 0).all()
    assert (np.diff(luminance[3:]) > 0).all()
    assert _coloured(picture) == [(0, column) for column in (3, 4, 5, 6)]


def test_a_large_page_stays_small():
    random = np.random.default_rng(0)
    tensors = []
    for shape in [(784, 500), (500,), (500, 300), (300,), (300, 10), (10,)] * 2:
        # The worst case for compression: errors of every size, everywhere.
        errors = 10.0 ** random.uniform(-20, -2, shape)
        tensors.append(_tensor(shape, wrong=(0,) * len(shape), errors=errors, ratio=1e14))
    assert len(to_html(_report(tensors=tensors)).encode()) < 500_000
