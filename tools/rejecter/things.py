"""Drawings without end: written signs of no script, outlines of things, and what they enclose."""

from collections.abc import Sequence

import cv2
import numpy as np

from digit_data.types import Array

from .inks import CANVAS, Generator, grey, penned, seen, shaken, smooth, varied

# A quarter turn to the left so many times, and whether it is mirrored first, for each digit of
# which it makes none: a three turned half around is an E, a two stays a two.
TURNS = [
    *((digit, turns, False) for digit in (2, 3, 4, 5, 6, 7, 9) for turns in (1, 3)),
    *((digit, 2, False) for digit in (3, 4, 7)),
    *((digit, 0, True) for digit in (3, 4, 6, 7, 9)),
]
# The share of the smallest convex form around it that a round thing fills.
ROUND = 0.9


def stroke(rng: Generator) -> Array:
    """Return one movement of a pen, (N, 2): straight, an arc, a hook, a loop or to and fro."""
    kind = rng.choice(["line", "arc", "hook", "loop", "bends"], p=[0.4, 0.22, 0.16, 0.08, 0.14])
    turn = rng.choice([0, 0.25, 0.5, 0.75]) * np.pi + rng.normal(0, 0.2)
    if kind == "line":
        points = np.array([[0, 0], [0.5, rng.normal(0, 0.06)], [1, 0]])
    elif kind == "arc":
        way = np.linspace(0, rng.uniform(0.5, 1.5) * np.pi, 9)
        points = np.stack([np.cos(way), rng.uniform(0.5, 1.3) * np.sin(way)], axis=1) / 2
    elif kind == "hook":
        back = rng.uniform(0.1, 0.4) * rng.choice([-1, 1])
        points = np.array([[0, 0], [0.5, 0], [0.9, 0], [1, back / 3], [0.85, back]])
    elif kind == "loop":
        way = np.linspace(-0.6, 2 * np.pi + rng.uniform(-0.6, 0.9), 16)
        points = np.stack([np.cos(way), rng.uniform(0.4, 1) * np.sin(way)], axis=1) / 3
        points = np.vstack([points, points[-1] + rng.normal(0, 0.4, 2)])
    else:
        count = int(rng.integers(3, 6))
        across = np.where(np.arange(count) % 2, 1, -1) * rng.uniform(0.1, 0.4, count)
        points = np.stack([np.linspace(0, 1, count), across], axis=1)
    if len(points) > 3 and rng.random() < 0.7:
        points = smooth(points)
    cos, sin = np.cos(turn), np.sin(turn)
    return points @ np.array([[cos, sin], [-sin, cos]]) * rng.uniform(0.35, 1)


def sign(rng: Generator) -> list[Array]:
    """Return two to five strokes as a written sign has them: most begin at or cross another."""
    strokes = [stroke(rng)]
    for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.4, 0.35, 0.17, 0.08]))):
        one = stroke(rng)
        at = one[int(rng.choice([0, len(one) // 2, len(one) - 1]))]
        other = strokes[int(rng.integers(len(strokes)))]
        onto = other[int(rng.choice([0, len(other) // 2, int(rng.integers(len(other)))]))]
        away = rng.normal(0, 0.25, 2) if rng.random() < 0.3 else rng.normal(0, 0.02, 2)
        strokes.append(one - at + onto + away)
    return _to_unit(strokes)


def outline(rng: Generator) -> list[Array]:
    """Return the outline of a thing that is put together, with some strokes within or at it."""
    border = _border(rng)
    # Round things are left to ``enclosed``: their outline alone is a nought.
    while cv2.contourArea(border) > ROUND * cv2.contourArea(cv2.convexHull(border)):
        border = _border(rng)
    points = border[:: int(rng.integers(3, 10)), 0].astype(float)
    closed = np.vstack([points, points[:1]])
    strokes = [smooth(closed) if rng.random() < 0.5 else closed]
    for _ in range(int(rng.choice([0, 1, 2, 3, 4], p=[0.4, 0.2, 0.2, 0.1, 0.1]))):
        onto = closed[int(rng.integers(len(closed)))]
        inwards = onto + rng.uniform(0, 1) * (points.mean(axis=0) - onto)
        strokes.append(inwards + stroke(rng) * rng.uniform(0.05, 0.5) * CANVAS)
    return _to_unit(strokes)


def _border(rng: Generator) -> Array:
    """Return the border of some parts that lie over each other, (N, 1, 2) int32."""
    mask = np.zeros((2 * CANVAS, 2 * CANVAS), np.uint8)
    place = np.array([CANVAS, CANVAS])
    for part in range(int(rng.integers(2, 7))):
        size = rng.uniform(0.12, 0.5 if part == 0 else 0.3) * CANVAS
        _put(mask, place, size, rng)
        rows, columns = np.nonzero(mask)
        chosen = int(rng.integers(len(rows)))
        place = np.array([columns[chosen], rows[chosen]])
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return max(contours, key=len)


def _put(mask: Array, place: Array, size: float, rng: Generator) -> None:
    """Add a part to a thing: something round, long, or with corners."""
    kind, far = rng.integers(3), rng.normal(0, size, 2)
    if kind == 0:
        axes = (round(size), max(round(size * rng.uniform(0.3, 1)), 2))
        middle = (place + 0.6 * far).astype(int).tolist()
        cv2.ellipse(mask, middle, axes, rng.uniform(0, 180), 0, 360, 255, -1)
    elif kind == 1:
        wide = max(round(size * rng.uniform(0.15, 0.7)), 3)
        cv2.line(mask, place.tolist(), (place + 1.8 * far).astype(int).tolist(), 255, wide)
    else:
        corners = place + rng.normal(0, 1.2 * size, (int(rng.integers(3, 6)), 2))
        hull = cv2.convexHull(np.vstack([place, corners]).astype(np.int32))
        cv2.fillPoly(mask, [hull], 255)


def enclosed(rng: Generator) -> list[Array]:
    """Return something round or with corners that has strokes, dots or rings within."""
    corners = int(rng.integers(3, 8))
    way = np.linspace(0, 2 * np.pi, 24 if rng.random() < 0.6 else corners, endpoint=False)
    far = 1 + rng.uniform(0, 0.12) * np.sin(way * int(rng.integers(2, 5)) + rng.uniform(0, 6))
    shape = np.stack([np.cos(way), np.sin(way) * rng.uniform(0.7, 1.3)], axis=1) * far[:, None]
    strokes = [np.vstack([shape, shape[:1]])]
    around = np.linspace(0, 2 * np.pi, 9)
    ring = np.stack([np.cos(around), np.sin(around)], axis=1)
    for _ in range(int(rng.integers(2, 6))):
        middle = rng.uniform(-0.5, 0.5, 2)
        kind = rng.integers(3)
        if kind == 0:
            detail = ring * rng.uniform(0.06, 0.25, 2)
        elif kind == 1:
            detail = np.array([[0, 0], [0.04, 0.12]])
        else:
            detail = 0.7 * stroke(rng)
            detail = detail - detail.mean(axis=0)
        strokes.append(detail + middle)
        if rng.random() < 0.4:
            strokes.append((detail + middle) * (-1, 1))
    if rng.random() < 0.3:
        strokes.append(shape[int(rng.integers(len(shape)))] + 0.6 * stroke(rng))
    return _to_unit(strokes)


def _to_unit(strokes: Sequence[Array]) -> list[Array]:
    """Return strokes in units of their greater side."""
    points = np.concatenate(list(strokes))
    low, size = points.min(axis=0), float(np.ptp(points, axis=0).max())
    return [(each - low) / max(size, 1e-3) for each in strokes]


def pictures(kind: str, count: int, rng: Generator) -> list[Array]:
    """Draw so many, each by another hand and pen, as a network sees them: (28, 28) each."""
    make = {"sign": sign, "outline": outline, "enclosed": enclosed}[kind]
    made: list[Array] = []
    for _ in range(count):
        strokes, width = shaken(make(rng), rng), rng.uniform(0.03, 0.17)
        # As by a pen, or as printed and looked at from further away.
        ink = penned(strokes, width, rng)
        made.append(seen(varied(ink, rng) if rng.random() < 0.3 else ink))
    return made


def turned(digits: Array, labels: Array, count: int, rng: Generator) -> list[Array]:
    """Turn or mirror so many digits, (N, 28, 28) in 0..1, into what is none: (28, 28) each."""
    places = [np.flatnonzero(labels == digit) for digit in range(10)]
    made: list[Array] = []
    for choice in rng.integers(len(TURNS), size=count).tolist():
        digit, turns, mirrored = TURNS[choice]
        picture = digits[int(rng.choice(places[digit]))]
        picture = np.rot90(picture[:, ::-1] if mirrored else picture, turns)
        # Once more brought into the middle, by its own ink.
        made.append(seen(grey(255 * np.ascontiguousarray(picture))))
    return made
