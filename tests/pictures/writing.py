"""Numbers as people write them: in rows, of unequal size, touching, with marks between digits."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from tests.pictures.scenes import BY_NAME, own_rng
from tests.pictures.several import Number, beside, line
from tests.pictures.strokes import Strokes, centred, some_hand, spline, write

SCENES = (
    "paint_white_on_black",
    "finger_on_tablet",
    "stylus_in_dark_mode",
    "transparent_black",
    "scan_ballpoint",
    "ballpoint_ruled_daylight",
    "marker_paper_large_photo",
    "brush_drawing_paper",
)
# Marks, centred at 0 in units of a digit's height, y down; how they are written beside digits.
MARKS: dict[str, list[list[list[float]]]] = {
    "-": [[[-0.16, 0.0], [0.0, -0.01], [0.16, 0.0]]],
    ".": [[[0.0, 0.47], [0.02, 0.49], [0.0, 0.49]]],
    ",": [[[0.01, 0.45], [0.02, 0.5], [-0.04, 0.62]]],
    ":": [[[0.0, -0.18], [0.02, -0.16], [0.0, -0.16]], [[0.0, 0.3], [0.02, 0.32], [0.0, 0.32]]],
    "/": [[[0.22, -0.58], [0.0, 0.0], [-0.22, 0.58]]],
}
MARKED = ("12/05/2024", "3.14", "-7", "555-0192", "0,75", "10:45", "24.12.1998", "-40", "2-3-07")


def marked(rng: Generator, text: str, thick: float) -> Strokes:
    """The strokes of digits and marks side by side, by one hand."""
    hand = some_hand(rng)
    done: list[Strokes] = []
    for sign in text:
        if sign.isdigit():
            strokes = [stroke * rng.uniform(0.93, 1.05) for stroke in write(int(sign), rng, hand)]
        else:
            shift = rng.normal(0, 0.01, 2)
            strokes = [spline(np.array(points)) + shift for points in MARKS[sign]]
        if done:
            gap = 1.15 * thick + rng.uniform(0.1, 0.25)
            strokes = beside(done[-1], strokes, gap, 0.06)
        done.append(strokes)
    return centred([stroke for strokes in done for stroke in strokes])


def unequal(rng: Generator, digits: str, thick: float) -> Strokes:
    """Digits side by side, the smallest half as high as the largest, or a little less."""
    hand = some_hand(rng)
    done: list[Strokes] = []
    for digit in digits:
        size = rng.uniform(0.45, 1)
        strokes = [
            stroke * size + np.array([0, (1 - size) / 2]) for stroke in write(int(digit), rng, hand)
        ]
        if done:
            strokes = beside(done[-1], strokes, 1.15 * thick + rng.uniform(0.1, 0.25), 0.06)
        done.append(strokes)
    return centred([stroke for strokes in done for stroke in strokes])


def row_count(digits: str) -> int:
    """In how many rows so many digits are written."""
    return 2 if len(digits) < 9 else 3


def rows(rng: Generator, digits: str, thick: float) -> Strokes:
    """Digits in two or three rows."""
    count = row_count(digits)
    done: list[Strokes] = []
    for place, part in enumerate(np.array_split(list(digits), count)):
        row = line(rng, "".join(part), thick, touching=False)
        done.append([stroke + np.array([0, 1.5 * place]) for stroke in row])
    left = [np.concatenate(row)[:, 0].min() for row in done]
    aligned = [[s - np.array([edge, 0]) for s in row] for row, edge in zip(done, left, strict=True)]
    return centred([stroke for row in aligned for stroke in row])


def touching(rng: Generator, digits: str, thick: float) -> Strokes:
    """Digits on one line, two neighbours of which touch."""
    hand = some_hand(rng)
    pair = int(rng.integers(1, len(digits)))
    done: list[Strokes] = []
    for place, digit in enumerate(digits):
        strokes = [stroke * rng.uniform(0.93, 1.05) for stroke in write(int(digit), rng, hand)]
        if done:
            apart = 0.5 * thick if place == pair else 1.15 * thick + rng.uniform(0.1, 0.25)
            strokes = beside(done[-1], strokes, apart, 0.15 if place == pair else 0.06)
        done.append(strokes)
    return centred([stroke for strokes in done for stroke in strokes])


def any_digits(least: int, most: int) -> Callable[[Generator], str]:
    """What draws digits."""
    return lambda rng: "".join(map(str, rng.integers(0, 10, rng.integers(least, most + 1))))


Kind = tuple[Callable[[Generator], str], Callable[[Generator, str, float], Strokes]]
KINDS: dict[str, Kind] = {
    "one row": (any_digits(2, 6), lambda rng, text, thick: line(rng, text, thick, False)),
    "rows": (any_digits(6, 12), rows),
    "unequal": (any_digits(2, 5), unequal),
    "touching": (any_digits(2, 4), touching),
    "marked": (lambda rng: MARKED[rng.integers(len(MARKED))], marked),
}


def numbers(kind: str, seed: int, count: int) -> Iterator[Number]:
    """So many numbers of a kind, in the scenes in turn."""
    choose, draw = KINDS[kind]
    for place in range(count):
        rng = own_rng(seed, f"writing {kind}", place)
        scene = BY_NAME[SCENES[place % len(SCENES)]]
        text = choose(rng)
        thick = scene.pen.width[1]
        strokes = draw(rng, text, thick)
        # A pen is as thick as it is beside one row of digits.
        share = 1 / (1.5 * row_count(text) - 0.5) if kind == "rows" else 1.0
        width = (scene.pen.width[0] * share, scene.pen.width[1] * share)
        scene = replace(scene, pen=replace(scene.pen, width=width))
        yield Number(scene.name, text, kind == "touching", scene.draw(strokes, rng))
