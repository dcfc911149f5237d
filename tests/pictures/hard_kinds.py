"""Kinds of pictures in which cleverness has lost to a plain threshold, and whatAmI to strangers.

Each kind is a function of a digit and random numbers; hands, sizes, pens and places vary.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import PIL.Image
from numpy.random import Generator
from numpy.typing import NDArray

from tests.pictures.scenes import own_rng
from tests.pictures.strokes import Strokes, bounds, write

Grey = NDArray[np.float64]  # (H, W), 0..255
Kind = Callable[[int, Generator], Grey]
Box = tuple[float, float, float, float]  # left, top, right, bottom

FINE = 4
PER_DIGIT = 4


def covered(strokes: Strokes, size: tuple[int, int], box: Box, width: float) -> Grey:
    """How much of each pixel strokes cover that fill a box, their width included; (H, W), 0..1."""
    rows, columns = size
    low, high = bounds(strokes)
    left, top, right, bottom = box
    room = np.maximum([right - left - width, bottom - top - width], 0.01)
    # The hand's proportions are kept as far as the box allows.
    scale = np.minimum(room / np.maximum(high - low, 0.01), 1.35 * room[1])
    middle = np.array([left + right, top + bottom]) / 2
    sheet = np.zeros((rows * FINE, columns * FINE), np.uint8)
    for stroke in strokes:
        points = ((stroke - (low + high) / 2) * scale + middle) * FINE
        line = np.round(points * 16).astype(np.int32)
        thick = max(round(width * FINE), 1)
        cv2.polylines(sheet, [line], False, 255, thick, cv2.LINE_8, 4)
    return shares(sheet)


def shares(sheet: NDArray[np.uint8]) -> Grey:
    """How much of each pixel is white on a sheet that is ``FINE`` times as fine; 0..1."""
    rows, columns = sheet.shape
    size = (columns // FINE, rows // FINE)
    return np.asarray(cv2.resize(sheet, size, interpolation=cv2.INTER_AREA), np.float64) / 255


def inked(paper: Grey, cover: Grey, ink: float) -> Grey:
    """Paper on which ink covers a share of each pixel."""
    return paper + (ink - paper) * cover


def grainy(picture: Grey, deviation: float, rng: Generator) -> Grey:
    """With a camera's noise."""
    return picture + rng.normal(0, deviation, picture.shape)


def pale_dash(digit: int, rng: Generator) -> Grey:
    """A digit of a thin pen that fills much of the picture, a crease or show-through within."""
    rows, columns = int(rng.integers(240, 480)), int(rng.integers(200, 360))
    box = (0.18 * columns, 0.14 * rows, 0.82 * columns, 0.86 * rows)
    paper = np.full((rows, columns), rng.uniform(170, 235))
    cover = covered(write(digit, rng), (rows, columns), box, rng.uniform(2.5, 5))
    x, y = rng.uniform(0.35, 0.65) * columns, rng.uniform(0.25, 0.65) * rows
    end = (round(x + rng.uniform(-20, 20)), round(y + rng.uniform(0.1, 0.2) * rows))
    dash = np.zeros((rows, columns), np.uint8)
    cv2.line(dash, (round(x), round(y)), end, 255, 2)
    paper = inked(paper, dash / 255.0, float(paper[0, 0]) - rng.uniform(30, 50))
    return grainy(inked(paper, cover, 40), 3, rng)


def faint_drawing(digit: int, rng: Generator) -> Grey:
    """A drawing on a screen in almost the colour of the paper: 4 to 14 per cent of contrast."""
    side = int(rng.choice([28, 28, 40, 64, 120]))
    left, right = side * rng.uniform(0.16, 0.24, 2)
    box = (left, 0.14 * side, side - right, 0.86 * side)
    width = max(side * rng.uniform(0.035, 0.06), 1)
    cover = covered(write(digit, rng), (side, side), box, width)
    paper, contrast = rng.choice([0.0, 255.0, 255.0]), rng.choice([10, 20, 36])
    return inked(np.full((side, side), paper), cover, abs(paper - contrast))


def tight_and_soft(digit: int, rng: Generator) -> Grey:
    """A small crop out of focus, filled by fat strokes."""
    rows, columns = int(rng.integers(56, 100)), int(rng.integers(44, 70))
    edge = rng.uniform(2, 6)
    cover = covered(
        write(digit, rng), (rows, columns), (edge, edge, columns - edge, rows - edge),
        columns * rng.uniform(0.14, 0.2),
    )  # fmt: skip
    soft = np.asarray(cv2.GaussianBlur(cover, (0, 0), rng.uniform(1.2, 2.6)), np.float64)
    return grainy(inked(np.full((rows, columns), 180.0), soft, 90), 2, rng)


def narrow_one(digit: int, rng: Generator) -> Grey:
    """A fat one in a crop hardly wider than itself."""
    rows, columns = int(rng.integers(40, 90)), int(rng.integers(13, 20))
    strokes = write(1, rng, variant=str(rng.choice(["bar", "leaning", "bowed"])))
    width = columns * rng.uniform(0.5, 0.65)
    inset = rng.uniform(1, 3)
    box = (inset, 2, columns - inset, rows - 2)
    cover = covered(strokes, (rows, columns), box, width)
    del digit
    return inked(np.full((rows, columns), 255.0), cover, 0)


def broken(digit: int, rng: Generator) -> Grey:
    """Black and white, small, strokes in pieces, the digit at the border."""
    side = int(rng.choice([32, 32, 48]))
    width = 2 * side / 32
    cover = covered(write(digit, rng), (side, side), (1, 0.5, side - 1, side - 0.5), width) > 0.43
    rows, columns = np.nonzero(cover)
    for place in rng.integers(0, len(rows), 5):
        top, left = max(rows[place] - 1, 0), max(columns[place] - 1, 0)
        part = cover[top : top + 3, left : left + 3]
        part &= rng.random(part.shape) < 0.25
    return np.asarray(cover, np.float64) * 255


def quadrilateral(corners: NDArray[np.float64], size: tuple[int, int], border: float) -> Grey:
    """How much of each pixel lies within four corners, or on their outline if that has a width."""
    sheet = np.zeros((size[0] * FINE, size[1] * FINE), np.uint8)
    points = np.round(corners * FINE).astype(np.int32)
    if border:
        cv2.polylines(sheet, [points], True, 255, round(border * FINE))
    else:
        cv2.fillPoly(sheet, [points], 255)
    return shares(sheet)


def framed_card(digit: int, rng: Generator) -> Grey:
    """A white card with a drawn frame on a grey page."""
    side = int(rng.integers(110, 260))
    corners = np.array([[0.15, 0.1], [0.88, 0.11], [0.87, 0.9], [0.13, 0.89]]) * side
    corners = corners + rng.uniform(-0.03, 0.03, (4, 2)) * side
    page = np.full((side, side), rng.uniform(110, 150))
    page = inked(page, quadrilateral(corners, (side, side), 0), 255)
    page = inked(page, quadrilateral(corners, (side, side), side * rng.uniform(0.03, 0.07)), 0)
    box = (0.33 * side, 0.27 * side, 0.68 * side, 0.75 * side)
    cover = covered(write(digit, rng), (side, side), box, side * rng.uniform(0.03, 0.06))
    return inked(page, cover, 0)


def sheet_on_page(digit: int, rng: Generator) -> Grey:
    """A black sheet with white ink on a white page, or the other way round."""
    rows, columns = int(rng.integers(300, 500)), int(rng.integers(300, 500))
    page = np.full((rows, columns), 255.0)
    left = 0.0 if rng.random() < 0.5 else rng.uniform(0.05, 0.15)
    top, right, bottom = 0.17, rng.uniform(0.75, 0.85), rng.uniform(0.68, 0.85)
    page[
        round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)
    ] = 0
    middle = (left + right) / 2
    box = (
        (middle - 0.16) * columns, (top + 0.07) * rows,
        (middle + 0.16) * columns, (bottom - 0.07) * rows,
    )  # fmt: skip
    cover = covered(write(digit, rng), (rows, columns), box, rng.uniform(4, 10))
    picture = inked(page, cover, 255)
    return 255 - picture if rng.random() < 0.3 else picture


def open_four(digit: int, rng: Generator) -> Grey:
    """A four of a thin pen in a tall crop, its stem apart and over 70 % of the height."""
    rows, columns = int(rng.integers(180, 320)), int(rng.integers(110, 180))
    x = columns * rng.uniform(0.6, 0.72)
    gap, corner = rng.uniform(4, 8), rows * rng.uniform(0.45, 0.58)
    angle = [(x - gap, 0.1 * rows), (0.14 * columns, corner), (x - gap, corner)]
    stem = [(x, 0.08 * rows), (x + rng.uniform(-3, 3), rng.uniform(0.86, 0.95) * rows)]
    sheet = np.zeros((rows * FINE, columns * FINE), np.uint8)
    thick = round(rng.uniform(2, 3.2) * FINE)
    for points in (angle, stem):
        cv2.polylines(
            sheet, [np.round(np.array(points) * FINE).astype(np.int32)], False, 255, thick
        )
    cover = shares(sheet)
    del digit
    return grainy(inked(np.full((rows, columns), 200.0), cover, 40), 3, rng)


def fading(digit: int, rng: Generator) -> Grey:
    """A felt tip that runs dry: from one side to the other its ink fades to a quarter."""
    side = int(rng.integers(220, 480))
    edge = 0.2 * side
    cover = covered(
        write(digit, rng), (side, side), (edge, edge, side - edge, side - edge),
        side * rng.uniform(0.04, 0.07),
    )  # fmt: skip
    towards = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    across = np.cos(towards) * columns + np.sin(towards) * rows
    dry = np.clip(0.62 + 0.38 * np.tanh(3 * across), 0.25, 1)
    return grainy(inked(np.full((side, side), rng.uniform(220, 250)), cover * dry, 50), 2, rng)


def thin_pen_in_small_photo(digit: int, rng: Generator) -> Grey:
    """A ballpoint pen on grey or yellow paper, photographed with 100 to 300 pixels."""
    rows, columns = (int(n) for n in rng.integers(100, 300, 2))
    height = min(rows, columns) * rng.uniform(0.45, 0.7)
    left, top = (columns - 0.8 * height) / 2, (rows - height) / 2
    box = (left, top, columns - left, rows - top)
    cover = covered(write(digit, rng), (rows, columns), box, max(0.02 * height, 1.2))
    light = np.linspace(rng.uniform(0.7, 1), rng.uniform(0.7, 1), columns)[None]
    return grainy(inked(rng.uniform(170, 210) * light * np.ones((rows, 1)), cover, 65), 4, rng)


def alone_on_a_sheet(digit: int, rng: Generator) -> Grey:
    """A whole sheet with one small digit, in an ink about as bright as blue is."""
    rows, columns = 1100, 780
    height = rng.uniform(45, 90)
    left, top = rng.uniform(0.1, 0.8) * columns, rng.uniform(0.1, 0.8) * rows
    box = (left, top, left + 0.8 * height, top + height)
    cover = covered(write(digit, rng), (rows, columns), box, height * rng.uniform(0.05, 0.09))
    return grainy(inked(np.full((rows, columns), rng.uniform(215, 245)), cover, 80), 3, rng)


def printed_box(digit: int, rng: Generator) -> Grey:
    """A digit in the box of a form, often far from it."""
    rows, columns = int(rng.integers(120, 260)), int(rng.integers(90, 220))
    inset = min(rows, columns) * rng.uniform(0.03, 0.1)
    corners = np.array([
        [inset, inset], [columns - inset, inset],
        [columns - inset, rows - inset], [inset, rows - inset],
    ])  # fmt: skip
    sheet = np.full((rows, columns), 248.0)
    frame = quadrilateral(corners, (rows, columns), rng.uniform(1, 4))
    sheet = inked(sheet, frame, rng.choice([20.0, 110.0]))
    height = min(rows, columns) * rng.uniform(0.5, 0.62)
    left, top = (columns - 0.7 * height) / 2, (rows - height) / 2
    box = (left, top, columns - left, rows - top)
    cover = covered(write(digit, rng), (rows, columns), box, height * rng.uniform(0.05, 0.1))
    return grainy(inked(sheet, cover, 30), 2, rng)


def one_pixel(digit: int, rng: Generator) -> Grey:
    """A file of 28x28 pixels with strokes of one pixel, black and white."""
    edge = rng.uniform(3, 5)
    cover = covered(write(digit, rng), (28, 28), (edge, edge, 28 - edge, 28 - edge), 1.0) > 0.4
    return np.asarray(cover, np.float64) * 255


KINDS: dict[str, Kind] = {
    "pale_dash": pale_dash,
    "faint_drawing": faint_drawing,
    "tight_and_soft": tight_and_soft,
    "narrow_one": narrow_one,
    "broken": broken,
    "framed_card": framed_card,
    "sheet_on_page": sheet_on_page,
    "open_four": open_four,
    "fading": fading,
    "thin_pen_in_small_photo": thin_pen_in_small_photo,
    "alone_on_a_sheet": alone_on_a_sheet,
    "printed_box": printed_box,
    "one_pixel": one_pixel,
}
ALWAYS = {"narrow_one": 1, "open_four": 4}


def samples(
    kind: str, seed: int, per_digit: int = PER_DIGIT
) -> Iterator[tuple[int, PIL.Image.Image]]:
    """Digits and pictures of a kind, each digit in turn where the kind shows them all."""
    for number in range(10 * per_digit):
        digit = ALWAYS.get(kind, number % 10)
        drawn = KINDS[kind](digit, own_rng(seed, f"hard {kind}", number))
        yield digit, PIL.Image.fromarray(np.clip(np.round(drawn), 0, 255).astype(np.uint8))
