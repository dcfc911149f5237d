"""Numbers as people write them, read with the network that comes with the project.

``tests.pictures.writing`` draws them: in rows, of unequal size, touching, with marks.
"""

import itertools
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from digit_data.pictures.cuts import Segment
from digit_data.pictures.examine import examine
from scripts import model_files
from scripts.whatami import __main__ as whatami
from scripts.whatami import reading
from scripts.whatami.answers import Answer, Number, answer, read
from scripts.whatami.looking import SeenPicture, View, look
from scripts.whatami.pictures import Source
from scripts.whatami.reading import CUT, DIGIT, WIDE, WIDTH, DigitInk, best_path, cut_apart
from tests import census
from tests.pictures import hard_kinds, writing

# The least share of numbers that is read whole, by how they are written; what is measured is more.
LEAST = {"one row": 0.9, "rows": 0.9, "unequal": 0.9, "marked": 0.7, "touching": 0.8}
COUNT = 40


@cache
def model() -> model_files.Classifier:
    return model_files.load(model_files.SHIPPED_MODEL)


def _read(data: bytes) -> Number:
    seen = look(Source("x", data), View(28, segment=True))
    (number,) = read(model(), [cut_apart(model(), seen)])
    return number


@pytest.mark.parametrize("kind", LEAST)
def test_numbers_are_read_whole(kind: str):
    wanted = census.sample(range(COUNT), 6, f"numbers {kind}")
    found = [n for i, n in enumerate(writing.numbers(kind, 7, COUNT)) if i in set(wanted)]
    right = sum(_read(number.data).number == number.digits for number in found)
    # Of a sample so many may be missed as two in a hundred samples miss by chance.
    spread = 2 * np.sqrt(LEAST[kind] * (1 - LEAST[kind]) / len(found))
    assert right / len(found) >= LEAST[kind] - spread


def test_a_number_that_nobody_asked_for_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    number = next(writing.numbers("rows", 3, 1))
    path = tmp_path / "rows.png"
    path.write_bytes(number.data)
    assert whatami.main([str(path)]) == 0
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert verdict.startswith(f"I am a number, {number.digits}, in 2 rows: ")
    assert whatami.main([str(path), "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["digit"], record["number"]) == (None, number.digits)


def test_a_number_with_an_unsure_digit_is_not_said():
    number = next(writing.numbers("one row", 3, 1))
    seen = look(Source("x", number.data), View(28))
    (told,) = answer(model(), [seen])
    assert told.number is not None
    assert told.number.number == number.digits
    told.number.digits[0].digit_score = 70.0
    assert not told.number.is_sure()


@pytest.mark.parametrize(("sure", "told"), [(0.995, "00"), (0.98, "")])
def test_digits_that_touch_are_told_unasked_only_if_they_are_sure(sure: float, told: str):
    """A network that knows what is as high as wide, or higher: one ring of two that touch."""

    def digit_scores(pictures: np.ndarray) -> np.ndarray:
        spans = [
            [np.ptp(np.flatnonzero((p > 0.3).any(axis=axis))) for axis in (0, 1)] for p in pictures
        ]
        return np.array([sure if high - 7 <= wide <= high else 0.01 for wide, high in spans])

    def scores(pictures: np.ndarray) -> np.ndarray:
        return np.tile(0.999 * np.eye(10)[0], (len(pictures), 1))

    network: Any = SimpleNamespace(
        side=28, rejecter=digit_scores, scores=scores, digit_scores=digit_scores,
        known=digit_scores,
    )  # fmt: skip
    (said,) = answer(network, [_two_rings()])
    assert said.text == told
    assert said.is_foreign == (told == "")


@pytest.mark.parametrize(("digits", "told"), [("11", False), ("114", False), ("414", True)])
def test_strokes_that_touch_are_no_number_however_sure(digits: str, told: bool):
    """A tick is two strokes, and so is many a letter; apart from each other they are ones."""
    answers = [Answer("x", list(np.eye(10)[int(d)] * 99.9), digit_score=99.9) for d in digits]
    number = Number("x", answers)
    assert number.is_sure(touching=True) == told
    assert number.is_sure()


@pytest.mark.parametrize(
    "points",
    [[(40, 110), (80, 160), (160, 40)], [(30, 40), (60, 160), (100, 70), (140, 160), (170, 40)]],
)
def test_a_tick_and_a_w_are_no_number(points: list[tuple[int, int]]):
    sheet = Image.new("L", (200, 200), 250)
    ImageDraw.Draw(sheet).line(points, fill=20, width=9, joint="curve")
    (told,) = answer(model(), [SeenPicture("x", examine(sheet))])
    assert told.text == ""


def test_one_sure_digit_is_no_number_by_a_pale_dash_beside_it():
    """A dash that shines through was once read as a one: 91 for a nine."""
    for digit, image in itertools.islice(hard_kinds.samples("pale_dash", 4), 20):
        (told,) = answer(model(), [SeenPicture("x", examine(image))])
        assert told.number is None, digit


@pytest.mark.parametrize(
    ("layout", "digits", "told"),
    [
        (("##/##/####",), "12052024", "12/05/2024, a date"),
        (("#.##",), "314", "3.14, with a decimal point"),
        (("-##",), "40", "-40, with a minus"),
        (("##:##",), "1045", "10:45, a time"),
        (("###-####",), "5550192", "555-0192, with separators"),
        (("###", "##"), "12345", "12345, in 2 rows: 123 / 45"),
        ((), "07", "07"),
    ],
)
def test_marks_are_told_as_such(layout: tuple[str, ...], digits: str, told: str):
    answers = [Answer("x", list(np.eye(10)[int(d)] * 99)) for d in digits]
    number = Number("x", answers, layout=layout)
    assert number.told == told
    assert number.verdict() == f"I am {told}."
    assert number.record()["rows"] == ([told.split(",")[0]] if len(layout) < 2 else ["123", "45"])


def test_the_way_through_the_cuts_is_the_cheapest_of_all():
    rng = np.random.default_rng(0)
    for _ in range(30):
        last = int(rng.integers(1, 6))
        pairs = list(itertools.combinations(range(last + 1), 2))
        kept = [pair for pair in pairs if rng.random() < 0.7 or pair == (0, last)]
        found = [Segment(a, b, np.ones((1, 1)), float(rng.random())) for a, b in kept]
        each = rng.random(len(found)).tolist()
        ways = [
            way
            for count in range(1, len(found) + 1)
            for way in itertools.combinations(range(len(found)), count)
            if found[way[0]].start == 0 and found[way[-1]].stop == last
            and all(found[a].stop == found[b].start for a, b in itertools.pairwise(way))
        ]  # fmt: skip

        def cost(way: tuple[int, ...] | list[int], each=each) -> float:
            return sum(each[i] for i in way)

        assert cost(best_path(found, each)) == pytest.approx(min(map(cost, ways)))


def _ink(cut: float = 0.0, aspect: float = 0.7) -> DigitInk:
    """Ink of a price of its cuts and of a width, as a share of its height."""
    return DigitInk(Segment(0, 1, np.ones((1, 1)), cut), np.ones((28, 28)), (0, 0, 1, 1), aspect)


def test_a_digit_costs_what_is_not_known_of_it_its_cuts_and_its_width():
    assert _ink().cost(1.0) == pytest.approx(DIGIT)
    assert _ink().cost(np.exp(-2)) == pytest.approx(DIGIT + 2)
    assert _ink(cut=0.5).cost(1.0) == pytest.approx(DIGIT + CUT / 4)
    assert _ink(aspect=WIDE - 0.1).cost(1.0) == _ink().cost(1.0)
    assert _ink(aspect=WIDE + 0.5).cost(1.0) == pytest.approx(DIGIT + WIDTH / 2)


def _two_rings() -> SeenPicture:
    """Two rings that touch, one and a half times as wide as high."""
    sheet = np.full((200, 320), 255, np.uint8)
    for x in (105, 215):
        cv2.ellipse(sheet, (x, 100), (54, 70), 0, 0, 360, 0, 11)
    return SeenPicture("x", examine(Image.fromarray(sheet)))


@pytest.mark.parametrize("whole", [0.5, 0.9, 0.999])
def test_what_is_too_wide_for_a_digit_is_two_however_well_it_is_known(
    whole: float, monkeypatch: pytest.MonkeyPatch
):
    """A one beside an eight is an eight to a network that leaves out what it does not need."""
    asked: list[int] = []

    def known(pictures: np.ndarray) -> np.ndarray:
        asked.append(len(pictures))
        spans = [
            [np.ptp(np.flatnonzero((p > 0.3).any(axis=axis))) for axis in (0, 1)] for p in pictures
        ]
        return np.array(
            [
                whole if wide > high + 3 else 0.99 if high - 7 <= wide <= high else 0.01
                for wide, high in spans
            ]
        )

    network: Any = SimpleNamespace(side=28, rejecter=known, known=known)
    found = cut_apart(network, _two_rings()).found
    assert found is not None
    assert found.digits == 2
    monkeypatch.setattr(reading, "WIDTH", 0.0)
    asked.clear()
    found = cut_apart(network, _two_rings()).found
    assert found is not None
    assert found.digits == (1 if whole > np.exp(-DIGIT) else 2)
    # What no two digits can be cheaper than is not cut.
    assert len(asked) == found.digits


@pytest.mark.parametrize(
    ("whole", "part", "count"), [(0.1, 0.99, 2), (0.6, 0.99, 1), (0.1, 0.8, 1)]
)
def test_what_is_narrow_is_cut_only_if_it_is_likelier_no_digit_and_its_parts_surely_are(
    whole: float, part: float, count: int, monkeypatch: pytest.MonkeyPatch
):
    """Two ones are as narrow as a four, which is no two ones even where it is hardly known."""
    sheet = Image.new("L", (200, 200), 255)
    for line in ([(70, 30), (70, 170)], [(130, 30), (130, 170)], [(70, 100), (130, 100)]):
        ImageDraw.Draw(sheet).line(line, fill=0, width=12)

    def known(pictures: np.ndarray) -> np.ndarray:
        wide = [np.ptp(np.flatnonzero((p > 0.3).any(axis=0))) for p in pictures]
        return np.array([whole if 9 <= width <= 11 else part for width in wide])

    network: Any = SimpleNamespace(side=28, rejecter=known, known=known)

    def digits() -> int:
        found = cut_apart(network, SeenPicture("x", examine(sheet))).found
        assert found is not None
        return found.digits

    assert digits() == count
    monkeypatch.setattr(reading, "NARROW", reading.ONE)
    assert digits() == 1
