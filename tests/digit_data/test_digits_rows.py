"""Rows of digits, and the marks between them: what stands where, on plain sheets."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digit_data.pictures.examine import examine

TALL = 60


def _sheet(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (420, 300)) -> Image.Image:
    """Black boxes (left, top, right, bottom) on white."""
    image = Image.new("L", size, 255)
    for box in boxes:
        ImageDraw.Draw(image).rectangle(box, fill=0)
    return image


def _one(left: int, top: int, height: int = TALL) -> tuple[int, int, int, int]:
    return left, top, left + 9, top + height - 1


def _layout(image: Image.Image) -> list[str]:
    rows = examine(image, segment=True).rows
    return ["".join(part.sign or "#" for part in row) for row in rows]


def test_rows_are_read_from_the_top_and_each_from_the_left():
    upper = [_one(left, 40) for left in (300, 60, 180)]
    lower = [_one(left, 150) for left in (200, 100)]
    found = examine(_sheet(*upper, *lower), segment=True)
    assert [len(row) for row in found.rows] == [3, 2]
    lefts = [round(box[0] * 420) for box in found.boxes]
    assert lefts == [60, 180, 300, 100, 200]
    assert len(found.pictures) == found.digits == 5


def test_digits_of_one_row_may_be_unequal_and_climb():
    ones = [_one(40, 170, 70), _one(120, 160, 40), _one(200, 130, 65), _one(280, 120, 35)]
    assert _layout(_sheet(*ones)) == ["####"]


@pytest.mark.parametrize(
    ("mark", "layout"),
    [
        ((140, 126, 165, 135), "#-#"),
        ((150, 150, 159, 159), "#.#"),
        ((150, 148, 157, 172), "#,#"),
        # What lies too high or too low is no dash, and what is far thinner than the pen is dust.
        ((140, 60, 165, 69), "##"),
        ((152, 156, 153, 157), "##"),
    ],
)
def test_marks_are_told_by_size_and_place(mark: tuple[int, int, int, int], layout: str):
    assert _layout(_sheet(_one(100, 100), mark, _one(200, 100))) == [layout]


def test_a_dash_before_the_digits_is_a_minus_and_two_dots_are_a_colon():
    minus = _sheet((100, 126, 125, 135), _one(150, 100), _one(200, 100))
    assert _layout(minus) == ["-##"]
    colon = _sheet(_one(100, 100), (150, 115, 159, 124), (150, 142, 159, 151), _one(200, 100))
    assert _layout(colon) == ["#:#"]


@pytest.mark.parametrize(("lean", "layout"), [(36, "#/#"), (4, "###")])
def test_a_slash_leans_and_a_one_does_not(lean: int, layout: str):
    image = _sheet(_one(100, 100), _one(220, 100))
    ImageDraw.Draw(image).line([(145, 162), (145 + lean, 97)], fill=0, width=9)
    assert _layout(image) == [layout]


@pytest.mark.parametrize(("beyond", "layout"), [(8, "#/#"), (0, "###")])
def test_a_slash_that_hardly_leans_goes_beyond_the_digits(beyond: int, layout: str):
    image = _sheet(_one(100, 100), _one(220, 100))
    ends = [(152, 158 + beyond), (166, 101 - beyond)]
    ImageDraw.Draw(image).line(ends, fill=0, width=7)
    assert _layout(image) == [layout]


@pytest.mark.parametrize(
    ("text", "font", "layout"),
    [
        ("12/05/2024", "STIXGeneral", "##/##/####"),
        ("7/4/25", "STIXGeneral", "#/#/##"),
        ("2024/11/30", "STIXGeneral", "####/##/##"),
        ("50%", "DejaVuSans", "##%"),
        ("7.5%", "DejaVuSans", "#.#%"),
    ],
)
def test_printed_dates_and_percentages_have_signs_as_tall_as_digits(
    text: str, font: str, layout: str
):
    image = Image.new("L", (460, 160), 255)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    own = ImageFont.truetype(folder / f"{font}.ttf", 64)
    ImageDraw.Draw(image).text((40, 40), text, font=own, fill=0)
    assert _layout(image) == [layout]


@pytest.mark.parametrize("font", ["DejaVuSans", "DejaVuSans-Bold"])
def test_a_percent_sign_alone_is_no_number(font: str):
    image = Image.new("L", (160, 160), 255)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    draw = ImageDraw.Draw(image)
    draw.text((40, 40), "%", font=ImageFont.truetype(folder / f"{font}.ttf", 64), fill=0)
    found = examine(image, segment=True)
    assert (found.rows, len(found.pictures)) == ((), 1)
    # With a digit before it, it is one's sign.
    draw.rectangle(_one(20, 45, 48), fill=0)
    assert _layout(image) == ["#%"]


@pytest.mark.parametrize("ring", [True, False])
def test_what_stands_beside_a_slash_is_a_ring_or_a_digit(ring: bool):
    """Of sevens in the places of the rings, one above the other, each is read."""
    sheet = np.full((200, 200), 255, np.uint8)
    cv2.line(sheet, (150, 30), (60, 170), 0, 8)
    for x, y in ((60, 60), (150, 140)):
        box = ((x - 16, y - 28), (x + 16, y + 28))
        if ring:
            cv2.ellipse(sheet, (x, y), (16, 28), 0, 0, 360, 0, 8)
        else:
            cv2.polylines(
                sheet, [np.array([box[0], (box[1][0], box[0][1]), (x - 8, y + 28)])], False, 0, 8
            )
    assert _layout(Image.fromarray(sheet)) == ([] if ring else ["#", "#"])


@pytest.mark.parametrize(("places", "layout"), [((2, 5), "##/##/####"), ((3, 5), "##########")])
def test_two_leaning_ones_are_slashes_only_where_those_of_a_date_stand(
    places: tuple[int, ...], layout: str
):
    image = Image.new("L", (560, 160), 255)
    draw = ImageDraw.Draw(image)
    for place in range(10):
        left = 40 + 45 * place
        ends = [(left, 110), (left + (12 if place in places else 0), 51)]
        draw.line(ends, fill=0, width=7)
    assert _layout(image) == [layout]


@pytest.mark.parametrize(("side", "layout"), [(10, "#.#"), (4, "##")])
def test_the_points_of_a_fat_pen_are_smaller_than_it_is_wide(side: int, layout: str):
    fat = [(left, 100, left + 27, 159) for left in (100, 200)]
    point = (160, 160 - side, 159 + side, 159)
    assert _layout(_sheet(fat[0], point, fat[1])) == [layout]


@pytest.mark.parametrize(
    ("points", "layout"),
    [
        ([(150, 155)], "#.#"),
        ([(150, 112), (150, 145)], "#:#"),
        # What is under a digit's outer half stands between none.
        ([(98, 164)], "##"),
        # So many are grain.
        ([(150, 155), *((10 + 20 * place, 20) for place in range(12))], "##"),
    ],
)
def test_a_thin_pens_point_is_a_point_though_a_tenth_of_a_digit_is_a_speck(
    points: list[tuple[int, int]], layout: str
):
    thin = [(left, 100, left + 3, 159) for left in (100, 200)]
    dots = [(x, y, x + 4, y + 4) for x, y in points]
    image = _sheet(*thin, *dots)
    assert _layout(image) == [layout]
    # Of one digit nothing changes.
    np.testing.assert_array_equal(examine(image).boxes, examine(_sheet(*thin)).boxes)


def test_points_alone_are_no_digits():
    """Beside a tall thin bar and much that is small; once they were a row without ink."""
    squares = [(40 + 22 * place, 200, 54 + 22 * place, 214) for place in range(20)]
    points = [(40 + 60 * place, 400, 48 + 60 * place, 408) for place in range(5)]
    image = _sheet((20, 20, 23, 119), *squares, *points, size=(500, 500))
    assert all(box[3] < 0.5 for box in examine(image, segment=True).boxes)


@pytest.mark.parametrize(("gap", "layout"), [(7, "#.#"), (2, "##")])
def test_what_breaks_off_a_stroke_is_no_point(gap: int, layout: str):
    """Right of a foot, under an upstroke: a point is apart from both, a dry brush's end is not."""
    foot, flag = (100, 150, 130, 159), (100, 100, 160, 109)
    point = (131 + gap, 150, 140 + gap, 159)
    stem = (100, 100, 109, 159)
    assert _layout(_sheet(foot, flag, stem, point, _one(200, 100))) == [layout]


@pytest.mark.parametrize(("bottom", "layout"), [(169, "#,#"), (161, "#.#")])
def test_a_short_comma_hangs_below_the_line(bottom: int, layout: str):
    mark = (150, bottom - 15, 162, bottom)
    assert _layout(_sheet(_one(100, 100), mark, _one(200, 100))) == [layout]


@pytest.mark.parametrize(("grey", "layout"), [(80, "#-#"), (150, "##")])
def test_a_dash_may_be_a_little_paler_than_the_digits(grey: int, layout: str):
    image = _sheet(_one(100, 100), _one(200, 100))
    ImageDraw.Draw(image).rectangle((140, 126, 165, 135), fill=grey)
    assert _layout(image) == [layout]


def test_dust_is_no_point(recwarn: pytest.WarningsRecorder):
    rng = np.random.default_rng(0)
    pixels = np.array(_sheet(_one(100, 100), _one(200, 100)))
    pixels[rng.random(pixels.shape) < 0.002] = 0
    assert _layout(Image.fromarray(pixels)) == ["##"]
