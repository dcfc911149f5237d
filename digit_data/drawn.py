"""Drawn digits in the ways of writing that MNIST, written in the United States, hardly has.

A 1 with an upstroke, with or without a foot, and a 7 with a crossbar: what most of the world
writes. A network that has seen none of them takes such a 1 for a 7.
"""

import cv2
import numpy as np

from digit_data.pictures.fitting import fit_28
from digit_data.types import Array

__all__ = ["drawn_digits"]

Generator = np.random.Generator
Strokes = list[list[tuple[float, float]]]

# Drawn on a canvas of this side, in units of its side.
CANVAS = 160
# Points of a line are given to OpenCV in 1/16 of a pixel.
SHIFT = 4


def drawn_digits(count: int, rng: Generator) -> tuple[Array, Array]:
    """Draw ones with an upstroke and crossed sevens, in equal parts.

    Args:
        count: How many in all.
        rng: Draws shapes, slants and pen widths.

    Returns:
        Pictures of MNIST's form, (count, 28, 28) float32 in 0..1, and labels, (count,) uint8.
    """
    labels = np.where(np.arange(count) % 2 == 0, 1, 7).astype(np.uint8)
    draw = {1: _one, 7: _seven}
    pictures = [fit_28(_ink(draw[label](rng), rng)) for label in labels.tolist()]
    return np.reshape(pictures, (count, 28, 28)).astype(np.float32), labels


def _one(rng: Generator) -> Strokes:
    """A stem with an upstroke from the left, half of them with a foot."""
    half, top, bottom = 0.0, 0.0, 1.0
    reach, drop = rng.uniform(0.12, 0.5), rng.uniform(0.12, 0.5)
    bend = rng.uniform(-0.05, 0.08)
    upstroke = [(half - reach, top + drop), (half - reach / 2 + bend / 2, top + drop / 2 - bend)]
    strokes = [[*upstroke, (half, top), (half + rng.normal(0, 0.02), 0.5), (half, bottom)]]
    if rng.random() < 0.5:
        left, right = rng.uniform(0.08, 0.35, 2)
        tilt = rng.normal(0, 0.03)
        strokes.append([(half - left, bottom + tilt), (half + right, bottom - tilt)])
    return strokes


def _seven(rng: Generator) -> Strokes:
    """A bar, a stem that may be bent, and a crossbar; some with a serif."""
    width, tilt = rng.uniform(0.4, 0.75), rng.normal(0, 0.04)
    corner, foot = (width, tilt), (rng.uniform(0.05, 0.4) * width, 1.0)
    middle = (np.add(corner, foot) / 2 + (rng.normal(0, 0.04), 0)).tolist()
    stem = [(0.0, -tilt), corner, (middle[0], middle[1]), foot]
    if rng.random() < 0.3:
        stem.insert(0, (rng.normal(0, 0.02), rng.uniform(0.05, 0.2)))
    at = rng.uniform(0.4, 0.6)
    x = corner[0] + (foot[0] - corner[0]) * at
    left, right = rng.uniform(0.12, 0.3, 2)
    slope = rng.normal(0, 0.05)
    return [stem, [(x - left, at + slope), (x + right, at - slope)]]


def _ink(strokes: Strokes, rng: Generator) -> Array:
    """Draw strokes with a slant, a pen of some width, and an unsteady hand; cut out."""
    slant, aspect = rng.normal(0.1, 0.15), rng.uniform(0.8, 1.2)
    thickness = round(CANVAS * rng.uniform(0.08, 0.2))
    canvas = np.zeros((CANVAS * 2, CANVAS * 3), np.uint8)
    for stroke in strokes:
        points = np.array(stroke) + rng.normal(0, 0.012, (len(stroke), 2))
        across = aspect * points[:, 0] + slant * (1 - points[:, 1])
        where = np.stack([across * CANVAS + CANVAS, points[:, 1] * CANVAS + CANVAS / 2], axis=1)
        fixed = np.round(where * 2**SHIFT).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, 255, thickness, cv2.LINE_AA, SHIFT)
    left, top, width, height = cv2.boundingRect(canvas)
    return canvas[top : top + height, left : left + width].astype(np.float32) / 255
