"""Strokes and masks turned into what a network sees, with a hand's and a pen's variety."""

from collections.abc import Sequence

import cv2
import numpy as np

from digit_data.pictures.fitting import fit_28
from digit_data.types import Array

Generator = np.random.Generator
Strokes = Sequence[Array]  # each (N, 2): x to the right, y down, in units of the drawing's height

CANVAS = 120
# Points of a line are given to OpenCV in 1/16 of a pixel.
SHIFT = 4
INK = 255


def parsed(text: str) -> list[Array]:
    """Return the strokes that a text describes.

    Args:
        text: Points "x,y" in hundredths, y down; "/" between strokes. A stroke is a smooth curve
            through its points, but for corners, which have an exclamation mark.
    """
    strokes: list[Array] = []
    for stroke in text.split("/"):
        pieces: list[list[list[float]]] = [[]]
        for word in stroke.split():
            point = [float(number) / 100 for number in word.rstrip("!").split(",")]
            pieces[-1].append(point)
            if word.endswith("!"):
                pieces.append([point])
        strokes.append(np.concatenate([smooth(np.array(p)) for p in pieces if len(p) > 1]))
    return strokes


def smooth(points: Array, steps: int = 12) -> Array:
    """Return a Catmull-Rom spline through points, (N, 2)."""
    if len(points) < 3:
        return points
    ends = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, steps)[:, None]
    curves: list[Array] = []
    for a, b, c, d in zip(ends[:-3], ends[1:-2], ends[2:-1], ends[3:], strict=True):
        curves.append(
            0.5
            * (
                2 * b
                + (c - a) * t
                + (2 * a - 5 * b + 4 * c - d) * t**2
                + (3 * (b - c) + d - a) * t**3
            )
        )
    return np.concatenate(curves)


def shaken(strokes: Strokes, rng: Generator) -> list[Array]:
    """Return strokes as another hand draws them: bent, slanted, turned, wider or narrower."""
    waves = rng.uniform(1.5, 5, (2, 2)) * rng.choice([-1, 1], (2, 2))
    phases, size = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.01, 0.05)
    turn, slant, aspect = rng.normal(0, 0.07), rng.normal(0.05, 0.13), rng.uniform(0.75, 1.25)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[aspect, -slant], [0, 1]]).T @ np.array([[cos, sin], [-sin, cos]])
    return [
        (stroke - 0.5 + rng.normal(0, 0.012, 2) + size * np.sin(stroke @ waves + phases)) @ matrix
        for stroke in strokes
    ]


def drawn(strokes: Strokes, width: float) -> Array:
    """Return the ink of a pen so wide (a share of the height), cut out; (H, W) uint8."""
    points = np.concatenate(list(strokes))
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    scale = CANVAS / max(float(size.max()), 1e-3)
    thick = max(round(width * CANVAS), 1)
    columns, rows = (np.ceil(size * scale).astype(int) + 2 * thick + 2).tolist()
    canvas = np.zeros((rows, columns), np.uint8)
    for stroke in strokes:
        where = np.round(((stroke - low) * scale + thick + 1) * 2**SHIFT).astype(np.int32)
        cv2.polylines(canvas, [where], False, INK, thick, cv2.LINE_AA, SHIFT)
    return cut(canvas)


def penned(strokes: Strokes, width: float, rng: Generator) -> Array:
    """Return the ink of some pen: a round one, a broad nib, one drawn twice, a grainy pencil."""
    kind = rng.choice(["round", "nib", "twice", "grain"], p=[0.5, 0.25, 0.1, 0.15])
    if kind == "nib":
        canvas = np.pad(drawn(strokes, 0.2 * width), CANVAS // 4)
        return cut(cv2.dilate(canvas, _nib(width, rng)))
    if kind == "twice":
        again = [stroke + rng.normal(0, width / 3, 2) for stroke in strokes]
        return drawn([*strokes, *again], width / 2)
    ink = drawn(strokes, width)
    if kind == "grain":
        grain = cv2.GaussianBlur(rng.random(ink.shape), (0, 0), rng.uniform(0.5, 2))
        share = (grain - grain.min()) / max(float(np.ptp(grain)), 1e-6)
        ink = grey(ink * np.clip(rng.uniform(0.2, 0.8) + share, 0, 1))
    return cut(ink)


def _nib(width: float, rng: Generator) -> Array:
    """Return a broad nib, held obliquely, as a mask."""
    side = 2 * max(round(width * CANVAS / 2), 1) + 1
    nib = np.zeros((side, side), np.uint8)
    middle, turn = side // 2, rng.uniform(0.3, 1.3)
    across = (round(middle * np.cos(turn)), -round(middle * np.sin(turn)))
    ends = [(middle - across[0], middle - across[1]), (middle + across[0], middle + across[1])]
    cv2.line(nib, ends[0], ends[1], 1, max(side // 6, 1))
    return nib


def cut(canvas: Array) -> Array:
    """Return the smallest box around all ink."""
    left, top, width, height = cv2.boundingRect(canvas)
    return canvas[top : top + height, left : left + width]


def varied(mask: Array, rng: Generator) -> Array:
    """Return a mask of ink slanted, stretched, with thicker or thinner strokes, soft or coarse."""
    height, width = mask.shape
    factor = CANVAS / max(height, width)
    slant, stretch = rng.normal(0.03, 0.12), rng.uniform(0.8, 1.2)
    matrix = np.array([[factor * stretch, -slant * factor, slant * CANVAS + CANVAS],
                       [0, factor, CANVAS / 2]])  # fmt: skip
    size = (int(3 * CANVAS * max(stretch, 1)), 2 * CANVAS)
    ink = cut(cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_AREA))
    radius = int(rng.integers(-3, 5))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(radius) + 1,) * 2)
    padded = np.pad(ink, 12)
    changed = cv2.dilate(padded, kernel) if radius > 0 else cv2.erode(padded, kernel)
    if changed.max() < INK // 2:
        changed = padded
    if rng.random() < 0.5:
        changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.5, 6))
    if rng.random() < 0.2:  # as a small picture has it
        small = int(rng.integers(10, 30)) / max(changed.shape)
        changed = cv2.resize(changed, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
    return cut(changed)


def grey(values: Array) -> Array:
    """Return brightness in 0..255 as whole numbers, what is outside brought to the nearer end."""
    return np.clip(values, 0, 255).astype(np.uint8)


def seen(ink: Array) -> Array:
    """Return ink, (H, W) uint8, as a network sees it: (28, 28) float32 in 0..1."""
    return fit_28(ink.astype(np.float32) / max(int(ink.max()), 1)).astype(np.float32)
