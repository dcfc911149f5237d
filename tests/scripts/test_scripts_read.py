"""``digits_parity.read``, here ``scripts.read``: the question as a function of Python."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import scripts
from digit_data.pictures import examine
from scripts.whatami import asking
from tests.scripts.whatami_pictures import ROOT, ask_json, draw

IMAGES = ROOT / "docs" / "images"
PHOTO, YEAR = IMAGES / "photo.jpg", IMAGES / "year.png"


def _pixels(mode: str = "RGB") -> np.ndarray[Any, Any]:
    with Image.open(YEAR) as image:
        return np.asarray(image.convert(mode))


# The same picture in every form that is taken.
FORMS: dict[str, Callable[[], Any]] = {
    "path": lambda: YEAR,
    "text": lambda: str(YEAR),
    "bytes": YEAR.read_bytes,
    "bytearray": lambda: bytearray(YEAR.read_bytes()),
    "file": lambda: io.BytesIO(YEAR.read_bytes()),
    "image from a file": lambda: Image.open(io.BytesIO(YEAR.read_bytes())),
    "image": lambda: Image.fromarray(_pixels()),
    "colours": _pixels,
    "shares": lambda: _pixels() / 255,
    "transparency": lambda: _pixels("RGBA"),
    "grey": lambda: _pixels("L"),
    "one channel": lambda: _pixels("L")[..., None],
    "int64": lambda: _pixels("L").astype(np.int64),
    "uint16": lambda: _pixels("L").astype(np.uint16) * 257,
    "float32": lambda: _pixels("L").astype(np.float32),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_picture_gives_the_same_number(form: str):
    answer = scripts.read(FORMS[form]())
    assert (answer.text, str(answer), answer.digit) == ("2024", "I am 2024.", None)
    assert [one.digit for one in answer.digits] == [2, 0, 2, 4]
    assert not answer.is_foreign  # though all of it together is no digit
    lefts = [one.box[0] for one in answer.digits if one.box]
    assert np.allclose(lefts, [0.211, 0.371, 0.526, 0.672], atol=0.01)


def test_the_scores_are_those_of_the_command(capsys: pytest.CaptureFixture[str]):
    for path in (PHOTO, YEAR):
        answer = scripts.read(path)
        (record,) = ask_json(capsys, path)
        assert record == answer.record()
    (record,) = ask_json(capsys, YEAR, "--segment")
    number = scripts.read(YEAR, segment=True).number
    assert number is not None
    assert number.record() == record


def test_one_digit_has_a_place():
    for segment in (False, True):
        answer = scripts.read(PHOTO, segment=segment)
        assert (answer.text, answer.digit, str(answer)) == ("7", 7, "I am a 7.")
        assert answer.digits == [answer]
        assert answer.box is not None
        assert np.allclose(answer.box, (0.32, 0.19, 0.72, 0.84), atol=0.02)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float64])
def test_ones_and_zeros_are_ink_and_paper(dtype: Any):
    ink = np.asarray(draw().convert("L")) < 128
    assert scripts.read(ink.astype(dtype)).digit == 1


def test_an_empty_sheet_and_no_digit_are_answers():
    empty = scripts.read(np.full((80, 60), 255, np.uint8))
    assert (empty.text, empty.digit, empty.digits, empty.scores) == ("", None, [], None)
    assert str(empty).startswith("no ink found")
    plus = np.full((100, 100), 250, np.uint8)
    plus[45:55, 15:85] = plus[15:85, 45:55] = 20
    foreign = scripts.read(plus)
    assert (foreign.text, foreign.digits, foreign.is_foreign) == ("", [], True)
    assert str(foreign).startswith("I am not a digit I know: ")


def test_digits_of_which_not_all_are_sure():
    pixels = np.array(draw("L", (300, 100), (0.2, 0.8)))
    pixels[45:53, 120:180] = pixels[20:80, 146:154] = 0  # a plus between two ones
    answer = scripts.read(pixels, segment=True)
    assert answer.text == ""
    assert [one.digit for one in answer.digits] == [1, None, 1]
    assert str(answer).startswith("I am undecided, 1?1: of digit 2, ")
    assert "--segment" not in str(answer)
    assert "--segment" not in str(scripts.read(pixels))


def test_a_picture_lies_as_its_camera_says_and_is_left_as_it_was():
    with Image.open(PHOTO) as upright:
        turned = upright.rotate(90, expand=True)
    exif = turned.getexif()
    exif[0x0112] = 6  # it has to be turned by 90 degrees to the right
    stored = io.BytesIO()
    turned.save(stored, "PNG", exif=exif)
    image = Image.open(stored)
    before = image.size
    assert scripts.read(image).digit == 7
    assert image.size == before
    assert scripts.read(stored.getvalue()).digit == 7


def test_both_engines_say_the_same():
    numpy, keras = scripts.read(PHOTO), scripts.read(PHOTO, engine="keras")
    assert numpy.record() == keras.record()


def test_another_model_is_loaded_once_and_again_when_it_was_written_again(
    model_784: Path, monkeypatch: pytest.MonkeyPatch
):
    loaded: list[Path] = []
    load = asking.model_files.load
    monkeypatch.setattr(
        asking.model_files, "load", lambda path, engine: loaded.append(path) or load(path, engine)
    )
    own = [scripts.read(PHOTO, model=model_784).scores for _ in range(2)]
    assert own[0] == own[1] != scripts.read(PHOTO).scores
    os.utime(model_784, ns=(1, 1))
    scripts.read(PHOTO, model=model_784)
    assert loaded.count(model_784) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "bytes of a picture file, received none"),
        (b"no picture", "received none of these"),
        (PHOTO.read_bytes()[:2000], "truncated or damaged"),
        ("nowhere.png", "a path that does not exist"),
        (str(IMAGES), "received a folder"),
        ("a\0b", "readable file"),
        (io.StringIO("text"), "reads str"),
        (None, "received NoneType"),
        ([1, 2], r"shape \(2,\)"),
        ([[1, 2], [3]], "received list"),
        (np.zeros((3, 28, 28)), r"shape \(3, 28, 28\)"),
        (np.zeros((0, 28)), r"shape \(0, 28\)"),
        (np.full((28, 28), np.nan), "finite pixels"),
        (-np.ones((28, 28)), "at least 0"),
        (np.zeros((28, 28), complex), "complex128"),
        (np.broadcast_to(np.uint8(0), (70_000, 2)), "65535"),
        (Image.new("1", (70_000, 2)), "65535"),
    ],
)
def test_what_is_no_picture_is_one_line(given: Any, said: str):
    with pytest.raises(scripts.ImageError, match=said) as caught:
        scripts.read(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "torch"}, "engine: expected 'numpy' or 'keras'"),
        ({"invert": "perhaps"}, "invert"),
        ({"model": "nowhere.npz"}, "expected a model file"),
        ({"model": PHOTO}, "suffix '.jpg'"),
    ],
)
def test_wrong_options_are_one_line(options: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said) as caught:
        scripts.read(PHOTO, **options)
    assert "\n" not in str(caught.value)


def test_reading_loads_no_keras_and_importing_loads_nothing():
    program = (
        "import sys, json\nimport scripts\nbefore = sorted(sys.modules)\n"
        f"scripts.read({str(PHOTO)!r})\nprint(json.dumps([before, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    before, after = json.loads(done.stdout)
    assert not {"numpy", "PIL", "cv2"} & set(before)
    assert "cv2" in after
    assert not {"keras", "tensorflow", "matplotlib"} & set(after)


def test_the_package_has_nothing_else():
    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        getattr(scripts, "reed")  # noqa: B009
    assert scripts.Answer is asking.Answer
    assert scripts.ImageError is examine.ImageError


def test_the_page_shows_what_its_python_prints(monkeypatch: pytest.MonkeyPatch):
    """``digits_parity`` is this folder where the project is installed."""
    page = (ROOT / "docs" / "ask.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(sys.modules, "digits_parity", scripts)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "ask.md", "exec"), {})
    beside = re.findall(r"^(?:print\(.*\)  )?# (.*)$", block, re.MULTILINE)
    assert printed.getvalue().splitlines() == beside
