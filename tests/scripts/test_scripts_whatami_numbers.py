"""Several digits in one picture: warned of, or read as a number with ``--segment``."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from scripts.whatami import __main__ as whatami
from scripts.whatami.answers import Answer, Number
from tests.scripts.whatami_pictures import ask_json, draw

THREE = (0.2, 0.5, 0.8)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of one digit."""
    path = tmp_path / "one.png"
    draw().save(path)
    return path


@pytest.fixture
def ones(tmp_path: Path) -> Path:
    """A picture of three digits."""
    path = tmp_path / "ones.png"
    draw(size=(200, 60), strokes=THREE).save(path)
    return path


def test_several_digits_are_warned_of_and_told(ones: Path, capsys: pytest.CaptureFixture[str]):
    assert whatami.main([str(ones)]) == 0
    out, error = capsys.readouterr()
    assert error == f"whatami: {ones}: warning: there seem to be 3 separate digits\n"
    assert out.splitlines()[-1] == "I am a number, 111; --segment shows its digits."
    (record,) = ask_json(capsys, ones)
    assert (record["digit"], record["number"]) == (None, "111")
    assert record["notes"] == ["there seem to be 3 separate digits"]


def test_segment_reads_the_number(ones: Path, picture: Path, capsys: pytest.CaptureFixture[str]):
    assert whatami.main([str(ones), "--segment"]) == 0
    *digits, verdict = capsys.readouterr().out.splitlines()
    assert [line.split(" --")[0] for line in digits] == [
        "Digit 1: am I a 1 ?", "Digit 2: am I a 1 ?", "Digit 3: am I a 1 ?"
    ]  # fmt: skip
    assert verdict == "I am 111."
    number, one, missing = ask_json(capsys, ones, picture, "missing.png", "--segment")
    assert list(number) == ["file", "number", "rows", "digits", "error", "notes"]
    assert number["rows"] == ["111"]
    assert (number["number"], one["number"], missing["number"]) == ("111", "1", None)
    assert [len(digit["scores"]) for digit in number["digits"]] == [10, 10, 10]
    middles = [(digit["box"][0] + digit["box"][2]) / 2 for digit in number["digits"]]
    np.testing.assert_allclose(middles, THREE, atol=0.02)
    assert missing["digits"] is None
    assert missing["error"]


def _answer(*scores: float) -> Answer:
    return Answer("x", list(scores) + [0.0] * (10 - len(scores)))


def test_numbers_keep_zeros_and_say_which_digit_is_undecided():
    known = Number("x", [_answer(99), _answer(0, 0, 99)])
    assert (known.number, known.verdict()) == ("02", "I am 02.")
    doubtful = Number("x", [_answer(99), _answer(30, 40), _answer(0, 60, 60)])
    assert doubtful.number is None
    assert doubtful.verdict() == (
        "I am undecided, 0??: of digit 2, the best score is 40.000, for 1; a verdict needs 50."
    )


def test_csv_of_numbers_has_a_row_a_digit(ones: Path, capsys: pytest.CaptureFixture[str]):
    assert whatami.main([str(ones), "missing.png", "--csv", "--segment"]) == 2
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["number"], row["position"], row["digit"]) for row in table] == [
        ("111", "1", "1"), ("111", "2", "1"), ("111", "3", "1"), ("", "", "")
    ]  # fmt: skip
    assert [bool(row["error"]) for row in table] == [False, False, False, True]
