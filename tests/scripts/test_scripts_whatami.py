"""``scripts.whatami``: text, JSON, CSV, one digit and several, bad pictures, wrong options."""

import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from numpy_impl import models, serialization
from scripts import model_files
from scripts.whatami import __main__ as whatami
from scripts.whatami.answers import Answer
from tests.scripts.whatami_pictures import ROOT, ask_json, command, draw

SCORE = re.compile(r"Am I a (\d) \? -- score: (\d+\.\d{3})")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A good picture."""
    path = tmp_path / "one.png"
    draw().save(path)
    return path


# ---- One digit ----


def test_text_form(picture: Path, model_784: Path, capsys: pytest.CaptureFixture[str]):
    assert whatami.main([str(picture), "--model", str(model_784)]) == 0
    *scores, verdict = capsys.readouterr().out.splitlines()
    found = [SCORE.fullmatch(line) for line in scores]
    assert [match and match[1] for match in found] == list("0123456789")
    assert verdict.startswith("I am ")
    assert abs(sum(float(match[2]) for match in found if match) - 100) < 0.01


def test_the_model_that_comes_with_the_project_answers(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert whatami.main([str(picture)]) == 0
    assert capsys.readouterr().out.endswith("\nI am a 1.\n")


@pytest.mark.parametrize(
    ("mode", "size"),
    [("L", (60, 60)), ("1", (60, 60)), ("RGB", (40, 90)), ("RGBA", (60, 60)), ("L", (5, 9)),
     ("RGB", (4000, 3000))],
)  # fmt: skip
def test_pictures_of_all_kinds(
    mode: str, size: tuple[int, int], tmp_path: Path, model_784: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    path = tmp_path / "picture.png"
    draw(mode, size).save(path)
    (record,) = ask_json(capsys, path, "--model", model_784)
    assert record["error"] is None
    assert len(record["scores"]) == 10


def test_a_bad_file_does_not_stop_the_others(
    picture: Path, model_784: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bad, blank = tmp_path / "bad.png", tmp_path / "blank.png"
    bad.write_text("no picture")
    Image.new("L", (30, 30), "white").save(blank)
    names = [str(path) for path in (bad, picture, tmp_path / "missing.png", blank, picture)]
    assert whatami.main([*names, "--model", str(model_784)]) == 2
    out, error = capsys.readouterr()
    assert len(SCORE.findall(out)) == 20
    assert out.count(f"{picture}:\n") == 2
    lines = error.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"whatami: {tmp_path}") for line in lines)
    assert lines[0].count("bad.png") == 1
    records = ask_json(capsys, *names, "--model", model_784)
    assert [record["file"] for record in records] == names
    assert [record["error"] is None for record in records] == [False, True, False, False, True]
    for record in records:
        assert list(record) == [
            "file", "digit", "scores", "digit_score", "number", "error", "notes"
        ]  # fmt: skip
        assert (record["scores"] is None) == (record["error"] is not None)
    assert records[0]["digit"] is None


def test_the_first_of_several_frames_is_used_and_said(
    tmp_path: Path, model_784: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "pages.tif"
    first, other = draw(), draw(strokes=(0.3, 0.7))
    first.save(path, save_all=True, append_images=[other])
    assert whatami.main([str(path), "--model", str(model_784)]) == 0
    said = "this is the first of several frames or pages"
    assert capsys.readouterr().err == f"whatami: {path}: note: {said}\n"
    (record,) = ask_json(capsys, path, "--model", model_784)
    assert record["notes"] == [said]


def _answer(*scores: float, separate: int = 1, digit_score: float | None = None) -> Answer:
    padded = list(scores) + [0.0] * (10 - len(scores))
    return Answer("x", padded, separate=separate, digit_score=digit_score)


@pytest.mark.parametrize(
    ("answer", "digit", "verdict"),
    [
        (_answer(1, 2, 97), 2, "I am a 2."),
        (_answer(50, 49.999), 0, "I am a 0."),
        (
            _answer(49.999, 50.001 - 1),
            None,
            "I am not a digit I know: the best score is 49.999, for 0; a verdict needs 50.",
        ),
        (_answer(0, 80, 80), None, "I am undecided: 1 and 2 have the same score, 80.000."),
        (_answer(), None, "I am undecided: 0 and 1 and 2"),
        (
            _answer(99, separate=3),
            None,
            "I see 3 separate signs, and am not sure that all are digits; --segment reads them.",
        ),
        (
            _answer(3, 97, digit_score=49.999),
            None,
            "I am not a digit I know: the score for any digit is 49.999, and a verdict needs 50; "
            "my best guess would be 1.",
        ),
        (_answer(3, 97, digit_score=50), 1, "I am a 1."),
        (_answer(40, 40, digit_score=1), None, "I am not a digit I know: the score for any"),
    ],
)
def test_verdict(answer: Answer, digit: int | None, verdict: str):
    assert answer.digit == digit
    assert answer.verdict().startswith(verdict)
    assert answer.record()["digit"] == digit


# ---- CSV ----


def test_csv(picture: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    ones = tmp_path / "ones.png"
    draw(size=(200, 60), strokes=(0.2, 0.5, 0.8)).save(ones)
    odd = tmp_path / 'a, "b".png'
    odd.write_bytes(picture.read_bytes())
    assert whatami.main([str(odd), "missing.png", str(ones), "--csv"]) == 2
    out, error = capfdbinary.readouterr()
    assert error == b""
    assert out.count(b"\r\n") == out.count(b"\n") == 4
    head, one, missing, several = csv.reader(io.StringIO(out.decode(), newline=""))
    scores = [*(f"score_{d}" for d in range(10)), "digit_score"]
    assert head == ["file", "digit", *scores, "number", "error", "notes"]
    assert one[:2] == [str(odd), "1"]
    assert abs(sum(map(float, one[2:12])) - 100) < 0.01
    assert missing[1:14] == [""] * 13
    assert "does not exist" in missing[14]
    assert (several[1], several[13]) == ("", "111")
    assert several[15] == "there seem to be 3 separate digits"


# ---- MNIST ----


def test_mnist_index(
    picture: Path, model_784: Path, tiny_mnist: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    options = ("--model", model_784, "--data", tiny_mnist)
    records = ask_json(capsys, picture, "--index", 7, *options)
    assert [record["file"] for record in records] == [str(picture), "MNIST test image 7"]
    with np.load(tiny_mnist) as arrays:
        x = arrays["x_test"][7] / 255
    expected = model_files.load(model_784).scores(x[None])[0]
    np.testing.assert_allclose(records[1]["scores"], 100 * expected, rtol=0, atol=5.1e-4)
    assert whatami.main(["--index", "7", *map(str, options)]) == 0
    assert capsys.readouterr().out.startswith("MNIST test image 7:\n")
    for index in (20, -1):
        (record,) = ask_json(capsys, "--index", index, *options)
        assert record["error"] == f"expected an index in 0..19. Received: {index}"
    missing = ask_json(
        capsys, picture, "--index", 7, "--model", model_784, "--data", tmp_path / "no"
    )
    assert [record["error"] is None for record in missing] == [True, False]


def test_real_mnist_index(real_mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "m.npz"
    serialization.save(models.build("64-40-10", np.random.default_rng(0)), path)
    (record,) = ask_json(capsys, "--index", 1004, "--model", path, "--data", real_mnist)
    assert record["error"] is None


# ---- Options and surroundings ----


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "expected an IMAGE or --index"),
        (["x.png", "--data", "y"], "--data: expected together with --index"),
        (["x.png", "--json", "--csv"], "--csv: not allowed with argument --json"),
        (["-", "x.png", "-"], "expected -, standard input, once at most. Received: 2 times"),
        (["x.png", "--model", "missing.npz"], "No such file"),
        (["x.png", "--model", "."], "suffix"),
        (["x.png", "--model", "other.npz"], "numpy_impl.Sequential"),
        (["--index", "x"], "invalid int value"),
        (["x.png", "--plot", "."], "--plot: expected a file"),
        (["x.png", "--plot", "missing/x.png"], "--plot: expected a file"),
        (["x.png", "--plot", "x.png"], "Received: x.png, an IMAGE"),
        (["x.png"] * 21 + ["--plot", "y.png"], "at most 20 pictures. Received: 21"),
        (["x.png", "--save-preprocessed", "x.png"], "expected a folder to write to"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    draw().save("x.png")
    before = Path("x.png").read_bytes()
    np.savez("other.npz", allow_pickle=False, x=np.zeros(3))
    assert whatami.main(options) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("whatami: ")
    assert error.count("\n") == 1
    assert text in error
    assert Path("x.png").read_bytes() == before


def test_names_cannot_write_to_the_terminal(
    picture: Path, model_784: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bad = tmp_path / "a\x1b[31m\n.png"
    bad.write_bytes(picture.read_bytes())
    for options in ([], ["--csv"]):
        names = [str(bad), str(tmp_path / "b\x1b.png"), *options]
        assert whatami.main([*names, "--model", str(model_784)]) == 2
        out, error = capsys.readouterr()
        assert "\x1b" not in out + error
        assert "a\\x1b[31m\\n.png" in out


def test_names_that_the_terminal_cannot_show(picture: Path, tmp_path: Path):
    odd = tmp_path / "eins-壱.png"
    odd.write_bytes(picture.read_bytes())
    for form in ("--csv", "--json", "--invert=auto"):
        done = command(odd, odd, form, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"})
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"eins-\\u58f1.png" in done.stdout


def test_the_numpy_engine_starts_without_the_heavy_packages(picture: Path):
    code = (
        "import sys; from scripts.whatami.__main__ import main; code = main(sys.argv[1:]); "
        "heavy = {'numba', 'keras', 'tensorflow',"
        " 'matplotlib', 'sklearn', 'rich', 'scipy', 'h5py', "
        "'multiprocessing', 'concurrent'}; "
        "print(sorted(heavy & set(sys.modules)), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(picture)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[] 0"
