"""The command that tries other versions, and the table of docs/compatibility.md."""

import json
import tomllib
from pathlib import Path

import pytest

from tools import compatibility

ROOT = compatibility.ROOT
REPORT = """<testsuites><testsuite>
<testcase classname="tests.layers.test_a" name="test_right" />
<testcase classname="tests.layers.test_a" name="test_left[1]"><failure message="no" /></testcase>
<testcase classname="tests.layers.test_a" name="test_none"><skipped message="so" /></testcase>
<testcase classname="tests.layers.test_b" name="test_up"><error message="none" /></testcase>
</testsuite></testsuites>"""


def test_every_test_of_a_report_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "results.xml").write_text(REPORT)
    assert compatibility.counted(tmp_path / "results.xml") == {
        "passed": 1,
        "skipped": 1,
        "failed": ["tests/layers/test_a::test_left[1]", "tests/layers/test_b::test_up"],
    }


def test_what_fails_stands_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    versions = {"python": "3.11.7", "keras": "3.15.1", "tensorflow": "2.21.0", "numpy": "2.4.6"}
    row = {"name": "newest", "versions": versions, "passed": 1234, "skipped": 5, "failed": ["a::b"]}
    compatibility.table([row])
    said = capsys.readouterr().out
    assert "| newest | 3.11.7 | 3.15.1 | 2.21.0 | 2.4.6 | 1,234 | 5 | 1 |" in said
    assert "newest fails `a::b`." in said


def test_an_unknown_environment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert compatibility.main(["--only", "newest,ancient"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("compatibility: --only: expected some of oldest, ")
    assert said.endswith(". Received: ancient\n")


def test_what_was_not_tried_again_is_kept_in_order(tmp_path: Path) -> None:
    file = tmp_path / "measured.json"
    file.write_text(json.dumps([{"name": "newest"}, {"name": "gone"}, {"name": "oldest"}]))
    assert [one["name"] for one in compatibility.kept(file)] == ["oldest", "newest"]
    assert compatibility.kept(tmp_path / "none.json") == []


def test_the_page_has_tried_what_the_project_declares() -> None:
    rows = {one["name"]: one["versions"] for one in compatibility.kept()}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    least = {one.partition(">=")[0]: one.partition(">=")[2] for one in declared}
    for name in compatibility.SHOWN:
        assert rows["oldest"][name].startswith(least[name])
    pinned = (ROOT / "requirements.txt").read_text()
    for name in compatibility.SHOWN:
        assert f"\n{name}=={rows['newest'][name]} " in pinned, "run the command of the page again"


def test_the_suite_is_there_and_a_job_tries_each() -> None:
    assert all((ROOT / path).exists() for path in compatibility.SUITE)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert f"environment: [{', '.join(compatibility.ENVIRONMENTS)}]" in workflow
