"""The frame of the reproductions: results, pages, and the command."""

import json
import re
from pathlib import Path

import pytest

from scripts.reproduce import ROOT, first_steps, pages, results
from scripts.reproduce import __main__ as command
from scripts.reproduce.documents import DOCUMENTS, reproduction
from scripts.reproduce.results import Context, Results, Table, Target, spread

DOCS = ROOT / "docs"


def test_spread_by_hand():
    # Mean 2, squares of deviations 1 + 0 + 1, divided by 3 - 1: standard deviation 1.
    assert spread([1, 2, 3], 1) == "2.0 ± 1.0"
    assert spread([1.234]) == "1.23"


def test_a_target_is_held_to_the_mean():
    assert Target("x", 95.0, 95.0, [94.0, 96.0]).reached
    assert not Target("x", 95.0, 95.0, [94.0, 95.9]).reached


def _saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "DOCS", folder)
    (folder / "d9").mkdir()
    made = Results(
        {"rules": Table("Rules", ["rule", "right"], [["a|b", "95.00 ± 0.10"]])},
        [Target("a|b", 95.3, 95.0, [95.0, 96.0])],
        {"undecided": 7},
    )
    results.save(made, Context(2, folder / "d9"), 1.25)


def test_a_page_shows_what_was_saved(tmp_path, monkeypatch, capsys):
    _saved(tmp_path, monkeypatch)
    pages.table("d9", "rules")
    pages.targets("d9")
    shown = capsys.readouterr().out
    assert "| rule | right |\n| --- | ---: |\n| a\\|b | 95.00 ± 0.10 |" in shown
    assert "| D9: a\\|b | 95.3 | 95.50 ± 0.71 |" in shown
    assert pages.value("d9", "undecided") == 7
    assert pages.results("d9")["seconds"] == 1.2


def test_a_page_shows_code_without_its_docstring(capsys):
    pages.code("numpy_impl.losses:Quadratic.values")
    shown = capsys.readouterr().out
    assert "# numpy_impl/losses.py\ndef values(self" in shown
    assert "error * error" in shown
    pages.code("scripts.reproduce.results:spread")
    assert '"""' not in capsys.readouterr().out


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_numbers_of_a_page_are_measured(document):
    saved = pages.results(document)
    assert not saved["quick"]
    assert saved["seeds"] >= 3


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_page_and_the_help_say_what_is_known_of_the_document(document, capsys):
    def words(text: str) -> str:
        return "".join(text.split()).replace("-", "")

    source = words(DOCUMENTS[document].source)
    page = (DOCS / "documents" / f"{document}.md").read_text(encoding="utf-8")
    assert source in words(page)
    assert command.main(["--help"]) == 0
    assert source in words(capsys.readouterr().out)


PLACES = "*.md", "documents/d?.md", "layers/*.md"
GENERATED = [page for place in PLACES for page in sorted(DOCS.glob(place))]


def _cog(*arguments: str) -> int:
    """Run cog in this process, which has loaded what the pages ask for."""
    cogapp = pytest.importorskip("cogapp", reason="cogapp is not installed (requirements-dev.txt)")
    return cogapp.Cog().main(["cog", "-P", *arguments])


def test_the_pages_say_what_the_results_and_the_source_say():
    assert _cog("--check", *map(str, GENERATED)) == 0, "make pages"


def test_a_number_changed_by_hand_is_noticed(tmp_path):
    text = (DOCS / "documents" / "d1.md").read_text(encoding="utf-8")
    page = tmp_path / "d1.md"
    page.write_text(re.sub(r"(\d)\.(\d\d) ±", r"\g<1>.00 ±", text), encoding="utf-8")
    assert page.read_text(encoding="utf-8") != text
    assert _cog("--check", str(page)) == 5


def test_every_picture_of_a_page_is_there_and_used():
    for document in DOCUMENTS:
        text = (DOCS / "documents" / f"{document}.md").read_text(encoding="utf-8")
        shown = set(re.findall(rf"\]\({document}/([\w-]+\.png)\)", text))
        assert shown == {path.name for path in (DOCS / "documents" / document).glob("*.png")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["d7"], "invalid choice: 'd7'"),
        ([], "required"),
        (["d0", "--seeds", "0"], "--seeds of at least 1. Received: 0"),
        (["d1", "--data", "nowhere.npz", "--quick"], "nowhere.npz"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, capsys):
    code = command.main([*arguments, *(["--out", str(tmp_path)] if arguments else [])])
    error = capsys.readouterr().err
    assert code != 0
    assert message in error
    assert error.count("\n") == 1


def test_a_missed_target_is_said_and_fails_a_check(tmp_path, monkeypatch, capsys):
    made = Results({}, [Target("accuracy", 99.0, 99.0, [98.0])])
    monkeypatch.setattr(reproduction("d0"), "reproduce", lambda context: made)
    written: list[tuple[str, Path]] = []
    monkeypatch.setattr(first_steps, "write", lambda *arguments: written.append(arguments))
    assert command.main(["d0", "--out", str(tmp_path)]) == 0
    assert "MISSED" in capsys.readouterr().out
    assert command.main(["d0", "--out", str(tmp_path), "--check"]) == 1
    assert command.main(["d0", "--out", str(tmp_path), "--quick"]) == 0
    assert written == [("d0", tmp_path / "d0")] * 2
    assert json.loads((tmp_path / "d0" / "results.json").read_text())["targets"][0]["measured"]
