"""The frame of the reproductions: fingerprints of code, results, pages, and the command."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import reproduce
from scripts.documents import pages, results, sources
from scripts.documents.results import Context, Results, Table, Target, spread

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_the_code_of_a_file_is_what_is_left_without_comments_and_docstrings():
    source = (
        '"""Says."""\n\nx = "#1"  # one\n\n\ndef f():\n    """Long\n    text."""\n    return x\n'
    )
    assert sources.code_lines(source) == ['x = "#1"', "def f():", "    return x"]


def test_a_module_is_followed_to_all_it_imports_and_no_further(monkeypatch, tmp_path):
    package = tmp_path / "numpy_impl"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("import numpy\ndef f():\n    from numpy_impl import b\n")
    (package / "b.py").write_text("X = 1\n")
    (package / "c.py").write_text("Y = 1\n")
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    assert sources.modules("numpy_impl.a") == ["numpy_impl", "numpy_impl.a", "numpy_impl.b"]
    before = sources.fingerprint("numpy_impl.a")
    (package / "c.py").write_text("Y = 2\n")
    (package / "b.py").write_text("X = 1  # a comment\n")
    assert sources.fingerprint("numpy_impl.a") == before
    (package / "b.py").write_text("X = 2\n")
    assert sources.fingerprint("numpy_impl.a") != before


def test_of_names_that_are_loaded_late_those_that_are_used_are_followed(monkeypatch, tmp_path):
    package = tmp_path / "parity"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from parity.one import f, g\n    from parity.two import h\n"
    )
    for name in ("one", "two"):
        (package / f"{name}.py").write_text("")
    for source in ("import parity\nparity.g()\n", "from parity import f\n"):
        (package / "user.py").write_text(source)
        monkeypatch.setattr(sources, "ROOT", tmp_path)
        assert sources.modules("parity.user") == ["parity", "parity.one", "parity.user"]
    (package / "user.py").write_text("import parity\n\ndef run():\n    return parity.h, parity.x\n")
    assert sources.modules("parity.user") == ["parity", "parity.two", "parity.user"]


def test_how_messages_are_printed_does_not_make_a_number_old():
    followed = sources.modules("scripts.documents.d0")
    assert "numpy_impl.optimizers" in followed
    assert not set(followed) & {"scripts.cli", "parity.terminal"}


def test_only_the_projects_own_modules_have_a_fingerprint():
    with pytest.raises(ValueError, match="Received: 'numpy'"):
        sources.fingerprint("numpy")


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
    results.save(made, Context(2, folder / "d9"), "scripts.documents.results", 1.25)


def test_a_page_shows_what_was_saved(tmp_path, monkeypatch, capsys):
    _saved(tmp_path, monkeypatch)
    pages.table("d9", "rules")
    pages.targets("d9")
    shown = capsys.readouterr().out
    assert "| rule | right |\n| --- | ---: |\n| a\\|b | 95.00 ± 0.10 |" in shown
    assert "| D9: a\\|b | 95.3 | 95.50 ± 0.71 |" in shown
    assert pages.value("d9", "undecided") == 7
    assert pages.results("d9")["code"] == sources.fingerprint("scripts.documents.results")


def test_a_page_shows_code_without_its_docstring(capsys):
    pages.code("numpy_impl.losses:Quadratic.value")
    shown = capsys.readouterr().out
    assert "# numpy_impl/losses.py\ndef value(self" in shown
    assert "return 0.5 * float(np.sum(error * error)) / len(error)" in shown
    pages.code("scripts.documents.results:spread")
    assert '"""' not in capsys.readouterr().out


@pytest.mark.parametrize("document", list(reproduce.DOCUMENTS))
def test_the_numbers_of_a_page_are_of_the_code_as_it_is(document):
    saved = pages.results(document)
    assert not saved["quick"]
    assert saved["seeds"] >= 3
    assert saved["code"] == sources.fingerprint(saved["module"]), (
        f"the code behind docs/documents/{document} has changed: make pages DOCUMENTS={document}"
    )


GENERATED = sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("documents/d?.md"))


def _cog(*arguments: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("cogapp") is None:
        pytest.skip("cogapp is not installed (requirements-dev.txt)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "cogapp", "-P", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_the_pages_say_what_the_results_and_the_source_say():
    done = _cog("--check", *map(str, GENERATED))
    assert done.returncode == 0, f"make pages\n{done.stdout}{done.stderr}"


def test_a_number_changed_by_hand_is_noticed(tmp_path):
    text = (DOCS / "documents" / "d1.md").read_text(encoding="utf-8")
    page = tmp_path / "d1.md"
    page.write_text(re.sub(r"(\d)\.(\d\d) ±", r"\g<1>.00 ±", text), encoding="utf-8")
    assert page.read_text(encoding="utf-8") != text
    assert _cog("--check", str(page)).returncode == 5


def test_every_picture_of_a_page_is_there_and_used():
    for document in reproduce.DOCUMENTS:
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
    code = reproduce.main([*arguments, *(["--out", str(tmp_path)] if arguments else [])])
    error = capsys.readouterr().err
    assert code != 0
    assert message in error
    assert error.count("\n") == 1


def test_a_missed_target_is_said_and_fails_a_check(tmp_path, monkeypatch, capsys):
    made = Results({}, [Target("accuracy", 99.0, 99.0, [98.0])])
    monkeypatch.setattr("scripts.documents.d0.reproduce", lambda context: made)
    assert reproduce.main(["d0", "--out", str(tmp_path)]) == 0
    assert "MISSED" in capsys.readouterr().out
    assert reproduce.main(["d0", "--out", str(tmp_path), "--check"]) == 1
    assert json.loads((tmp_path / "d0" / "results.json").read_text())["targets"][0]["measured"]


def test_code_that_changes_during_the_run_is_not_taken_for_what_made_the_numbers(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("scripts.documents.d0.reproduce", lambda context: Results({}))
    prints = iter(["before", "after"])
    monkeypatch.setattr(reproduce, "fingerprint", lambda module: next(prints))
    assert reproduce.main(["d0", "--out", str(tmp_path)]) == 1
    assert "during the run" in capsys.readouterr().err
    assert not (tmp_path / "d0" / "results.json").exists()
