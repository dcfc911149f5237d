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
from scripts.whatami.answers import Answer, Number, answer, read
from scripts.whatami.looking import SeenPicture, View, look
from scripts.whatami.pictures import Source
from scripts.whatami.reading import CUT, DIGIT, SURELY_ONE, best_path, cut_apart
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
    sheet = np.full((200, 320), 255, np.uint8)
    for x in (105, 215):
        cv2.ellipse(sheet, (x, 100), (54, 70), 0, 0, 360, 0, 11)

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
    (said,) = answer(network, [SeenPicture("x", examine(Image.fromarray(sheet)))])
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
        scores = rng.random(len(found)).tolist()
        ways = [
            way
            for count in range(1, len(found) + 1)
            for way in itertools.combinations(range(len(found)), count)
            if found[way[0]].start == 0 and found[way[-1]].stop == last
            and all(found[a].stop == found[b].start for a, b in itertools.pairwise(way))
        ]  # fmt: skip

        def cost(way: tuple[int, ...] | list[int], found=found, scores=scores) -> float:
            return sum(-np.log(scores[i]) + CUT * found[i].cut / 2 + DIGIT for i in way)

        assert cost(best_path(found, scores)) == pytest.approx(min(map(cost, ways)))


def test_what_is_surely_one_digit_is_one_on_every_way():
    """So it need not be cut: no two parts are cheaper, be they known for certain and cut free."""
    halves = [Segment(0, 1, np.ones((1, 1)), 0.0), Segment(1, 2, np.ones((1, 1)), 0.0)]
    found = [Segment(0, 2, np.ones((1, 1)), 0.0), *halves]
    assert best_path(found, [SURELY_ONE + 1e-9, 1.0, 1.0]) == [0]
    assert best_path(found, [SURELY_ONE - 1e-9, 1.0, 1.0]) == [1, 2]
