"""Drawings by stroke: letters, digits and signs of an own hand, figures, scribbles, pairs."""

from collections.abc import Callable

import cv2
import numpy as np

from digit_data.types import Array

from .inks import CANVAS, Generator, cut, drawn, grey, parsed, penned, seen, shaken, smooth

# Points in hundredths, as ``inks.parsed`` reads them.
LETTERS = {
    "A": "50,5! 15,95 / 50,5! 85,95 / 28,62 72,62",
    "a": "75,40 55,30 28,42 25,72 45,92 70,75 76,35! 77,70 88,92",
    "C": "82,20 60,5 30,18 18,50 30,84 60,95 84,80",
    "D": "22,5 22,95! 60,88 82,50 60,12 22,5",
    "d": "72,52 48,42 25,62 30,88 55,94 73,70 / 75,5 75,95",
    "E": "80,6 22,6! 22,94! 80,94 / 22,50 66,50",
    "e": "25,62 80,58! 72,35 45,28 22,50 26,82 52,95 80,84",
    "F": "22,96 22,6! 80,6 / 22,48 68,48",
    "f": "70,12 55,5 44,20 42,96 / 22,40 66,40",
    "G": "80,20 55,5 25,20 16,52 30,86 60,95 80,80 80,55! 55,55",
    "H": "20,5 20,95 / 80,5 80,95 / 20,50 80,50",
    "h": "28,5 28,95 / 28,60 48,42 68,52 70,95",
    "i": "50,40 50,95 / 49,18 51,22",
    "J": "68,5 68,70 55,93 32,90 22,72",
    "j": "58,35 58,85 40,97 25,88 / 57,12 59,16",
    "K": "22,5 22,95 / 78,6 24,55 / 38,45 80,95",
    "k": "28,5 28,95 / 70,40 30,68 / 42,60 72,95",
    "L": "25,5 25,93! 82,93",
    "M": "12,95 20,6! 50,66! 80,6! 88,95",
    "m": "12,95 12,45 / 12,55 28,42 44,52 44,95 / 44,55 62,42 80,52 82,95",
    "N": "20,95 20,6! 80,94! 80,5",
    "n": "22,40 22,95 / 22,58 45,40 72,52 74,95",
    "P": "25,96 25,6! 60,6 78,28 60,52 25,52",
    "p": "25,35 25,98 / 25,45 52,35 74,52 60,74 25,70",
    "Q": "50,5 22,22 18,60 42,92 74,80 82,40 66,10 50,5 / 58,68 92,98",
    "R": "22,96 22,6! 60,6 76,26 58,48 22,50 / 45,50 82,95",
    "r": "28,38 28,95 / 28,58 45,42 68,42",
    "T": "15,8 85,8 / 50,8 50,95",
    "t": "45,8 45,80 60,94 76,86 / 22,34 72,34",
    "U": "20,5 20,65 35,93 62,93 78,65 80,5",
    "u": "22,40 22,78 40,94 66,78 / 72,40 72,95",
    "V": "15,5 50,95! 85,5",
    "W": "8,5 28,95! 50,35! 72,95! 92,5",
    "w": "10,40 22,75 38,94 50,60! 62,94 80,75 90,40",
    "X": "18,5 82,95 / 82,5 18,95",
    "Y": "15,5 50,50 / 85,5 50,50! 50,95",
    "y": "22,30 30,58 50,66 70,30! 66,75 48,98 25,90",
}
# Kinds that ``held_out`` draws (animals, things, plus, minus, brackets) are not among these.
SIGNS = {
    "star": "50,5! 66,92! 10,36! 90,36! 34,92! 50,5",
    "arrow": "8,50 92,50 / 66,28 92,50! 66,72",
    "heart": "50,92 16,55 14,24 34,12 50,32! 66,12 86,24 84,55 50,92",
    "check": "12,52 40,86! 90,12",
    "triangle": "50,8! 92,90! 8,90! 50,8",
    "diamond": "50,4! 88,50! 50,96! 12,50! 50,4",
    "spiral": "52,50 58,44 62,56 48,64 36,50 46,34 66,34 76,54 60,78 34,74 22,48 38,20 70,18 90,46",
    "hash": "35,8 30,92 / 70,8 64,92 / 12,35 90,35 / 10,66 88,66",
    "wave": "5,50 20,25 35,50 50,75 65,50 80,25 95,50",
    "asterisk": "50,8 50,92 / 14,28 86,72 / 14,72 86,28",
    "at": "62,40 46,36 36,52 46,66 60,56 63,38! 66,62 82,60 84,30 56,8 22,20 10,54 26,86 60,94"
    " 82,84",
    "ampersand": "88,92 36,34 40,10 58,8 60,26 24,60 26,88 52,92 84,56",
    "question": "24,26 40,6 68,10 72,34 52,50 50,70 / 49,90 51,94",
    "flag": "20,96 20,6! 80,22! 20,42",
    "boat": "10,66 90,66! 74,90! 26,90! 10,66 / 50,66 50,10! 80,56 50,56",
    "flower": "50,36 38,14 62,14 50,36 74,30 76,52 50,36 58,60 36,58 50,36 26,50 28,28 50,36 /"
    " 50,40 50,96",
    "stairs": "8,92 8,68! 34,68! 34,44! 60,44! 60,20! 92,20",
    "cloud": "20,70 8,52 24,40 36,22 58,24 70,38 90,44 88,66 70,72 20,70",
    "sun": "50,34 34,50 50,66 66,50 50,34 / 50,5 50,22 / 50,78 50,95 / 5,50 22,50 / 78,50 95,50"
    " / 18,18 30,30 / 70,70 82,82 / 82,18 70,30 / 18,82 30,70",
    "person": "50,6 38,18 50,30 62,18 50,6 / 50,30 50,66! 28,96 / 50,66 72,96 / 20,44 80,44",
    "smile": "50,5 15,25 8,60 30,92 70,92 92,60 85,25 50,5 / 34,36 36,42 / 64,36 66,42 / 30,64"
    " 50,76"
    " 70,64",
    "table": "8,30 92,30 / 20,30 20,90 / 80,30 80,90",
    "glasses": "6,50 22,34 38,50 22,66 6,50 / 62,50 78,34 94,50 78,66 62,50 / 38,48 50,42 62,48",
    "zigzag": "5,30 20,70! 35,30! 50,70! 65,30! 80,70! 95,30",
    "hourglass": "15,8 85,8! 15,92! 85,92! 15,8",
    "mail": "5,22 95,22! 95,78! 5,78! 5,22! 50,55! 95,22",
    "divide": "10,50 90,50 / 49,20 51,24 / 49,78 51,82",
    "angle": "85,10 15,50! 85,90",
    "infinity": "50,50 28,30 10,50 28,70 50,50 72,30 90,50 72,70 50,50",
}  # fmt: skip
# A second hand than MNIST's and than that of the tests, in the ways that are usual anywhere.
DIGITS: dict[int, tuple[str, ...]] = {
    0: ("52,4 24,24 20,64 46,96 76,72 78,28 52,4", "40,10 22,40 30,86 60,94 80,56 66,12 36,8",
        "50,5 28,28 28,72 50,95 72,72 72,28 50,5 / 76,10 24,90"),
    1: ("50,5 50,95", "28,30 54,5! 54,95", "22,40 50,5! 50,95 / 28,95 74,95", "58,4 44,96",
        "36,22 52,6! 50,94"),
    2: ("20,26 40,6 70,12 70,40 20,92! 82,92", "24,20 50,5 74,24 58,56 22,90 30,74 50,84 84,90",
        "18,30 30,8 66,8 76,34 44,66 16,94! 50,88 86,94"),
    3: ("20,14 50,5 74,20 66,40 42,47! 72,54 80,78 54,95 18,84", "20,8 76,8! 44,42! 76,56 74,86"
    " 44,96"
        " 18,84", "24,20 46,6 70,18 60,42 40,46 66,50 78,72 58,94 26,90"),
    4: ("34,6 16,62! 86,62 / 66,30 66,96", "66,96 66,6! 14,68! 88,68", "24,8 22,50! 76,50 / 74,8"
    " 72,96",
        "40,5 14,58! 84,54 / 64,28 58,96", "62,5 14,70! 90,70 / 62,5 62,96"),
    5: ("78,7 28,7! 24,44! 54,38 80,62 64,92 20,88", "30,8 26,46! 56,40 78,66 56,94 20,86 / 30,8"
    " 80,6",
        "74,6 34,8! 30,42 62,42 76,66 58,94 22,92"),
    6: ("68,4 36,30 22,70 44,96 76,82 66,56 26,66", "60,4 30,36 24,78 50,96 74,76 58,56 28,70",
        "76,14 54,5 26,34 24,76 50,95 76,74 56,54 26,70"),
    7: ("16,8 84,8! 42,96", "18,24 18,8! 82,8! 48,94", "16,9 82,8! 44,95 / 32,52 72,48",
        "16,12 50,8 82,10! 58,48 52,96"),
    8: ("50,48 26,28 50,5 74,26 50,48 24,74 50,96 76,74 50,48", "74,14 46,5 30,24 70,64 60,94 32,90"
        " 30,66 72,30 74,12", "50,46 30,32 36,8 64,8 70,32 50,46 26,66 30,94 70,94 74,66 50,46"),
    9: ("76,22 50,5 24,28 46,50 76,22! 72,96", "74,24 46,6 26,30 50,50 76,20! 76,62 54,94 26,86",
        "70,16 40,6 28,34 52,46 72,14! 66,60 42,96"),
}  # fmt: skip


def by_hand(texts: list[str], count: int, rng: Generator) -> tuple[Array, Array]:
    """Draw strokes from texts, each time by another hand and pen.

    Returns:
        Pictures, (count, 28, 28), and the place of its text for each, (count,).
    """
    strokes = [parsed(text) for text in texts]
    places = rng.integers(len(texts), size=count)
    pictures = [
        seen(penned(shaken(strokes[place], rng), rng.uniform(0.04, 0.2), rng)) for place in places
    ]
    return np.array(pictures), places


def digits(count: int, rng: Generator) -> tuple[Array, Array]:
    """Draw digits; return pictures, (count, 28, 28), and labels, (count,)."""
    texts = [(digit, text) for digit, ways in DIGITS.items() for text in ways]
    pictures, places = by_hand([text for _, text in texts], count, rng)
    return pictures, np.array([texts[place][0] for place in places])


def scribble(rng: Generator) -> list[Array]:
    """A pen that goes to and fro, or around, or wanders."""
    count = int(rng.integers(5, 30))
    wander = np.cumsum(rng.normal(0, 1, (count, 2)), axis=0)
    fro = np.stack([np.where(np.arange(count) % 2, 1, 0), np.linspace(0, 1, count)], axis=1)
    fro = fro * rng.uniform(0.3, 1.5, 2) + rng.normal(0, 0.12, (count, 2))
    way = np.linspace(0, rng.uniform(3, 8) * 2 * np.pi, 8 * count)
    around = np.stack([np.cos(way), np.sin(way)], axis=1) * rng.uniform(0.5, 1, (8 * count, 1))
    kind = (wander, fro, around)[rng.integers(3)]
    return [kind if rng.random() < 0.3 else _smooth(kind)]


def _smooth(points: Array) -> Array:
    kernel = np.ones(3) / 3
    fine = np.repeat(points, 3, axis=0)
    return np.stack([np.convolve(fine[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)


def figure(rng: Generator) -> list[Array]:
    """A polygon, a box, or some chance strokes."""
    corners = int(rng.integers(3, 9))
    way = np.sort(rng.uniform(0, 2 * np.pi, corners)) if rng.random() < 0.5 else (
        np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 1)
    )  # fmt: skip
    polygon = np.stack([np.cos(way) * rng.uniform(0.8, 1.4), np.sin(way)], axis=1)
    width = rng.uniform(0.45, 1.6)
    box = np.array([[0, 0], [width, 0], [width, 1], [0, 1]])
    lines = [rng.uniform(0, 1, (2, 2)) for _ in range(int(rng.integers(3, 7)))]
    chosen = rng.integers(4)
    if chosen == 3:
        return lines
    outline = box if chosen else polygon
    closed = np.vstack([outline, outline[:1]])
    return [closed, *lines[: int(rng.integers(3))]] if rng.random() < 0.4 else [closed]


def doodle(rng: Generator) -> list[Array]:
    """Chance curves, more of them or longer than a digit's, some of them closed."""
    strokes: list[Array] = []
    for _ in range(int(rng.integers(2, 6))):
        points = rng.uniform(0, 1, (int(rng.integers(3, 8)), 2)) * rng.uniform(0.3, 1, 2)
        if rng.random() < 0.4:
            points = np.vstack([points, points[:1]])
        strokes.append(smooth(points + rng.uniform(0, 0.5, 2)))
    return strokes


def silhouette(rng: Generator) -> list[Array]:
    """The outline of some thing: a closed curve that is far from round, with some detail within."""
    corners = int(rng.integers(6, 14))
    way = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    far = rng.uniform(0.35, 1, (corners, 1)) * rng.uniform(0.6, 1.4, 2)
    points = far * np.stack([np.cos(way), np.sin(way)], axis=1)
    closed = np.vstack([points, points[:1]])
    outline = smooth(closed) if rng.random() < 0.6 else closed
    details = [rng.uniform(-0.3, 0.3, (2, 2)) for _ in range(int(rng.integers(0, 4)))]
    return [outline, *details]


def lying(rng: Generator) -> list[Array]:
    """A stroke that lies, or several: no digit is one."""
    strokes = []
    for place in range(int(rng.integers(1, 4))):
        y = 0.35 * place
        ends = np.array([[0, y], [0.5, y], [1, y]]) + rng.normal(0, 0.06, (3, 2))
        strokes.append(ends)
    return strokes


def solid(rng: Generator) -> Array:
    """Return a thing filled with ink, some with holes: a silhouette, clothes; (H, W) uint8."""
    outline, *_ = silhouette(rng)
    low, size = outline.min(axis=0), np.ptp(outline, axis=0)
    canvas = np.zeros((CANVAS + 8, CANVAS + 8), np.uint8)
    corners = 4 + (outline - low) / size.max() * CANVAS
    cv2.fillPoly(canvas, [np.round(corners).astype(np.int32)], 255)
    for _ in range(int(rng.integers(0, 4))):
        middle = rng.integers(20, CANVAS - 20, 2).tolist()
        cv2.circle(canvas, middle, int(rng.integers(3, 18)), 0, -1)
    return cut(canvas)


def blob(rng: Generator) -> Array:
    """Return what light and shadow leave of a photograph: blots of any form; (H, W) uint8."""
    cells = rng.integers(2, 9, 2).tolist()
    field = cv2.resize(rng.normal(size=cells), (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    level = np.quantile(field, rng.uniform(0.45, 0.9))
    soft = np.clip((field - level) / (rng.uniform(0.05, 0.6) * field.std()), 0, 1)
    return cut(grey(255 * soft))


def masks(make: Callable[[Generator], Array], count: int, rng: Generator) -> Array:
    """Return so many chance masks as a network sees them, (count, 28, 28)."""
    return np.array([seen(make(rng)) for _ in range(count)])


def chance(make: Callable[[Generator], list[Array]], count: int, rng: Generator) -> Array:
    """Draw so many chance drawings, (count, 28, 28)."""
    return np.array([seen(drawn(make(rng), rng.uniform(0.03, 0.25))) for _ in range(count)])


def pairs(digits: Array, count: int, rng: Generator) -> Array:
    """Return two of some digits, (N, 28, 28) in 0..1, side by side so that they touch."""
    made: list[Array] = []
    for first, second in rng.integers(len(digits), size=(count, 2)).tolist():
        left, right = (_columns(digits[place]) for place in (first, second))
        overlap = int(rng.integers(0, 3))
        both = np.zeros((28, left.shape[1] + right.shape[1] - overlap), np.float32)
        drop = int(rng.integers(-3, 4))
        both[:, : left.shape[1]] = left
        rest = both[:, left.shape[1] - overlap :]
        rest[:] = np.maximum(rest, np.roll(right, drop, axis=0))
        made.append(seen(grey(255 * _rows(both))))
    return np.array(made)


def _columns(digit: Array) -> Array:
    columns = np.flatnonzero((digit > 0.2).any(axis=0))
    return digit[:, columns[0] : columns[-1] + 1]


def _rows(ink: Array) -> Array:
    rows = np.flatnonzero((ink > 0.2).any(axis=1))
    return ink[rows[0] : rows[-1] + 1]
