"""Digits as pen strokes, in the variants people of several countries write, and human variation.

A variant is a text: the points a pen goes through, ``x,y`` in percent of a unit square with y going
down, a smooth curve through them. ``!`` marks a corner and ``/`` lifts the pen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

Stroke = NDArray[np.float64]  # (n, 2): x, y
Strokes = list[Stroke]

DIGITS: dict[int, dict[str, str]] = {
    0: {
        "oval": "52,5 30,14 20,40 22,68 40,94 62,92 78,68 80,38 68,12 50,5",
        "narrow": "52,4 38,18 32,46 36,78 50,96 64,80 68,48 63,18 51,4",
        "wide": "52,10 24,20 10,48 20,78 50,92 80,80 92,50 80,20 54,10",
        "gap": "58,6 38,9 23,32 20,60 33,90 56,95 75,74 80,42 72,17 64,9",
        "overlap": "62,10 42,5 24,26 20,58 34,91 58,94 77,70 79,36 66,12 48,5 36,10",
        "pointed": "60,4! 36,20 22,52 28,84 50,96 70,80 77,50 72,22 60,4",
        "clockwise": "34,12 56,4 76,24 80,56 66,90 42,95 24,74 21,42 32,14 40,8",
    },
    1: {
        "bar": "50,5 50,95",
        "leaning": "60,5 43,95",
        "bowed": "52,5 49,48 52,95",
        "hook": "38,20 46,14 53,5! 51,95",
        "flag": "28,32 44,20 57,5! 55,95",
        "long_flag": "18,50 40,30 59,5! 57,95",
        "flag_and_foot": "30,25 43,17 52,6! 51,94 / 27,95 76,94",
        "curved_flag_and_foot": "31,20 44,17 52,5! 52,94 / 34,95 71,95",
    },
    2: {
        "plain": "22,24 36,8 58,6 74,21 69,43 48,67 21,92! 50,91 81,92",
        "loop": "22,25 36,8 60,6 73,24 64,50 44,76 28,92 17,88 20,77 34,77 56,90 84,87",
        "small_loop": "24,22 42,6 66,10 72,30 58,58 36,86 25,91 22,84 31,81 48,90 78,88",
        "swan": "19,21 42,5 69,12 72,36 50,63 16,93! 50,89 84,94",
        "round_top": "20,18 48,5 74,18 69,40 44,68 18,93! 82,93",
        "curled_start": "32,31 21,27 26,11 50,4 74,17 71,41 50,65 19,92! 52,91 84,89",
        "wavy_base": "22,25 38,7 62,8 74,27 64,51 42,74 18,91! 36,85 58,93 83,84",
        "narrow": "32,20 44,6 62,9 67,28 54,58 31,93! 50,92 70,93",
    },
    3: {
        "round": "22,18 40,5 65,8 73,24 64,41 42,47! 66,51 80,68 72,87 48,96 20,85",
        "flat_top": "22,8 50,8 76,8! 60,25 45,42! 68,48 80,66 71,88 46,96 18,86",
        "middle_loop": "22,18 42,5 66,9 70,28 56,44 41,51 37,45 48,43 70,53 78,73 64,92"
        " 40,96 19,86",
        "soft": "22,15 46,4 71,17 67,37 50,46! 72,55 80,74 62,94 36,95 18,86",
        "wide_belly": "30,14 48,6 64,14 64,32 44,42! 70,46 86,68 74,90 48,96 16,88",
        "open_ends": "20,26 32,8 56,5 71,20 62,40 44,46! 70,52 78,74 60,94 36,94 19,76",
        "narrow": "34,14 50,5 64,16 62,36 48,46! 64,52 70,72 60,91 44,96 29,88",
        "flat_top_deep": "24,9 74,7! 48,38! 72,44 81,64 73,86 50,96 30,94 20,86",
    },
    4: {
        "open": "36,6 28,34 19,58! 50,57 84,56 / 67,32 66,64 64,96",
        "open_curved": "32,8 25,30 24,50 34,58 58,57 84,53 / 72,12 68,54 64,96",
        "open_upright": "27,8 25,32 23,52! 50,51 78,50 / 75,6 74,50 72,96",
        "closed": "66,5 42,36 16,66! 50,65 90,64 / 66,5 66,50 66,96",
        "closed_one_line": "65,96 66,50 66,5! 42,34 17,64! 50,63 88,62",
        "closed_narrow": "60,4 44,34 27,62! 54,62 80,61 / 61,4 60,96",
        "lightning": "57,5 38,38 17,68! 50,67 86,64 / 62,42 59,70 55,96",
        "long_leg": "34,5 29,25 20,44! 50,43 82,41 / 70,10 67,50 61,98",
    },
    5: {
        "one_line": "76,8 52,8 31,9! 28,26 26,43! 50,37 73,50 76,74 56,94 20,87",
        "two_strokes": "33,9 30,26 28,44! 52,38 75,54 73,80 50,95 21,86 / 33,9 56,8 79,7",
        "detached_bar": "36,13 31,28 29,46! 54,40 76,56 72,82 48,95 22,87 / 40,9 60,8 82,5",
        "rounded": "75,8 54,7 36,11 30,28 33,42 54,42 74,56 74,78 54,94 22,88",
        "low_belly": "72,6 53,6 36,8! 32,30 29,53! 50,49 71,60 74,80 54,95 24,90",
        "slanting": "80,7 60,8 42,9! 34,26 27,44! 50,39 70,50 70,74 50,92 17,90",
        "curled_end": "34,9 31,25 28,43! 54,38 77,55 73,82 48,96 26,90 22,78 / 33,9 78,9",
        "narrow": "64,7 38,8! 36,27 34,44! 50,40 64,52 66,76 52,94 31,89",
    },
    6: {
        "curled": "66,5 42,22 26,52 26,82 48,96 71,86 74,66 58,53 37,60 27,76",
        "straight": "64,4 44,30 26,66 30,89 52,96 73,84 73,63 54,54 36,63 28,78",
        "hooked": "75,17 61,5 40,16 27,44 25,74 42,95 66,90 76,71 62,55 41,59 27,77",
        "big_loop": "60,4 36,24 20,56 24,84 48,96 74,88 82,64 66,44 40,47 23,66",
        "small_loop": "62,4 42,28 29,62 30,86 46,96 63,89 66,74 54,65 39,71 30,84",
        "narrow": "58,4 42,26 34,58 37,86 50,96 63,85 64,66 52,57 41,66 36,80",
        "crossing": "68,6 44,22 27,50 25,78 42,95 66,90 74,70 62,56 42,60 22,74",
    },
    7: {
        "plain": "18,10 50,9 80,9! 61,50 43,95",
        "curved": "18,12 50,9 81,8! 60,38 48,66 43,96",
        "serif": "19,26 20,9! 50,10 81,9! 62,50 44,96",
        "crossbar": "20,9 50,8 80,9! 60,50 42,96 / 34,52 54,50 75,47",
        "serif_and_crossbar": "18,24 19,10! 50,9 82,8! 62,50 43,96 / 33,53 53,51 74,50",
        "wavy": "17,20 26,9 48,12 66,14 81,7! 58,46 44,96",
        "wavy_and_crossbar": "16,22 26,9 50,13 82,6! 58,48 40,96 / 35,49 72,51",
        "steep": "24,9 74,8! 63,50 54,96",
    },
    8: {
        "one_line": "68,17 50,5 31,15 33,35 52,48 71,65 70,87 50,96 29,86 30,66 50,48"
        " 67,34 69,17 61,8",
        "two_circles": "50,4 33,15 34,38 50,46 66,38 67,15 51,4 / 50,46 27,60 27,84 50,96 74,84"
        " 74,60"
        " 51,46",
        "gap": "72,13 52,4 32,14 34,35 53,48 72,66 69,88 48,96 28,85 31,65 52,48 70,31 76,18",
        "narrow": "60,14 50,5 38,16 40,34 52,47 62,64 61,86 50,96 38,86 39,66 50,48"
        " 60,34 61,16 56,8",
        "from_middle": "50,48 32,36 33,14 50,4 68,14 68,35 50,48 28,66 29,87 50,96"
        " 72,87 72,66 51,48",
        "big_belly": "64,14 50,5 37,14 38,30 52,42 76,62 76,86 50,97 24,86 26,62 50,42 62,30 64,16"
        " 57,7",
        "rounds": "50,4 30,16 32,38 52,46 68,34 66,12 48,4 / 52,46 26,56 24,84 52,97"
        " 78,82 74,56 50,46",
    },
    9: {
        "straight": "73,20 53,5 31,17 29,39 48,51 68,41 74,19! 73,58 71,95",
        "curled": "74,22 54,5 31,16 28,38 46,51 66,43 75,22! 75,60 66,86 46,96 26,87",
        "round": "74,28 58,6 34,12 26,36 44,53 66,44 76,24 75,56 62,84 38,96",
        "circle_and_leg": "70,16 50,5 32,17 31,38 48,48 66,38 69,15 / 72,9 69,52 62,96",
        "leaning": "72,16 52,5 33,20 32,40 48,50 66,40 74,14! 63,55 48,96",
        "hooked": "73,20 54,5 33,14 28,36 44,49 64,42 74,21! 76,58 70,86 50,96 32,92 24,80",
        "long_leg": "68,14 51,4 35,14 34,32 48,41 62,34 69,13! 69,55 67,98",
    },
}

SIGNS: dict[str, str] = {
    "A": "50,5 34,50 18,95 / 50,5 66,50 82,95 / 29,62 71,61",
    "K": "26,5 26,50 26,95 / 76,7 50,32 27,54 / 40,44 60,70 80,95",
    "W": "8,8 20,50 30,94! 40,60 50,30! 60,62 70,94! 82,50 93,8",
    "x": "22,22 50,50 78,80 / 78,20 50,52 20,82",
    "plus": "50,18 50,50 50,82 / 18,50 50,50 82,50",
    "cat": "30,30 24,6! 42,20 58,20! 76,6! 72,30 82,52 72,78 50,88 28,78 18,52 30,30 / 38,44 38,50"
    " / 62,44 62,50 / 46,62 54,62! 50,67! 46,62 / 50,67 44,74 37,71 / 50,67 56,74 63,71"
    " / 34,64 8,58 / 34,69 8,74 / 66,64 92,58 / 66,69 92,74",
}


@dataclass(frozen=True)
class Hand:
    """How one person writes.

    Attributes:
        slant: Shift to the right per height.
        aspect: Factor of the width.
        tilt: Rotation in radians.
        unrest: Scale of all irregularities.
    """

    slant: float
    aspect: float
    tilt: float
    unrest: float


def some_hand(rng: Generator) -> Hand:
    return Hand(
        slant=float(np.clip(rng.normal(0.08, 0.11), -0.18, 0.35)),
        aspect=float(rng.uniform(0.78, 1.15)),
        tilt=float(np.clip(rng.normal(0, 0.04), -0.1, 0.1)),
        unrest=float(rng.uniform(0.6, 1.3)),
    )


def write(digit: int, rng: Generator, hand: Hand | None = None, variant: str = "") -> Strokes:
    """The strokes of a digit, centred at 0, of height 1, as a person would write it this time."""
    variants = DIGITS[digit]
    text = variants[variant] if variant else list(variants.values())[rng.integers(len(variants))]
    return humanly(text, rng, hand or some_hand(rng))


def sign(name: str, rng: Generator) -> Strokes:
    """The strokes of a letter or doodle, centred at 0, of height 1."""
    return humanly(SIGNS[name], rng, some_hand(rng))


def scribble(rng: Generator) -> Strokes:
    """A pen going to and fro, centred at 0, of height 1."""
    turns = int(rng.integers(14, 24))
    x = np.where(np.arange(turns) % 2, 0.5, -0.5) * rng.uniform(0.6, 1.2, turns)
    y = np.linspace(-0.45, 0.45, turns) + rng.normal(0, 0.1, turns)
    return centred([spline(np.stack([x, y], 1))])


def humanly(text: str, rng: Generator, hand: Hand) -> Strokes:
    """The strokes a text describes, unsteady and slanted as the hand makes them."""
    bend = smooth_field(rng, 0.032 * hand.unrest)
    strokes = []
    for pieces in parse(text):
        moved = jitter(pieces, rng, 0.012 * hand.unrest)
        stroke = np.concatenate([spline(piece) for piece in moved])
        strokes.append(stroke + bend(stroke) + tremor(len(stroke), rng, 0.0035 * hand.unrest))
    cos, sin = np.cos(hand.tilt), np.sin(hand.tilt)
    shape = np.array([[hand.aspect, -hand.slant], [0, 1]])
    turned = np.array([[cos, -sin], [sin, cos]]) @ shape
    return centred([(stroke - 0.5) @ turned.T for stroke in strokes])


def parse(text: str) -> list[list[Stroke]]:
    """A list of smooth pieces for every stroke; a piece begins where the last one ended."""
    strokes = []
    for line in text.split("/"):
        pieces: list[list[list[float]]] = [[]]
        for word in line.split():
            point = [float(number) / 100 for number in word.rstrip("!").split(",")]
            pieces[-1].append(point)
            if word.endswith("!"):
                pieces.append([point])
        strokes.append([np.array(piece) for piece in pieces if len(piece) > 1])
    return strokes


def jitter(pieces: list[Stroke], rng: Generator, size: float) -> list[Stroke]:
    """The pieces with every point moved a little, still joined to each other."""
    moved = [piece + rng.normal(0, size, piece.shape) for piece in pieces]
    for before, after in pairwise(moved):
        after[0] = before[-1]
    return moved


def spline(points: Stroke, step: float = 0.008) -> Stroke:
    """A smooth curve through the points, sampled evenly."""
    chords = np.hypot(*np.diff(points, axis=0).T)
    knots = np.concatenate([[0], np.cumsum(np.sqrt(chords) + 1e-6)])
    curve = CubicSpline(knots, points, bc_type="natural")
    fine = curve(np.linspace(0, knots[-1], 40 * len(points)))
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(fine, axis=0).T))])
    evenly = np.linspace(0, along[-1], max(int(along[-1] / step), 2))
    return np.stack([np.interp(evenly, along, fine[:, axis]) for axis in (0, 1)], 1)


def smooth_field(rng: Generator, size: float) -> Callable[[Stroke], Stroke]:
    """A gentle bending of the whole plane, which keeps joints joined."""
    waves = rng.uniform(1.5, 4.5, (2, 2)) * rng.choice([-1, 1], (2, 2))
    phases = rng.uniform(0, 2 * np.pi, 2)
    return lambda points: size * np.sin(points @ waves + phases)


def tremor(count: int, rng: Generator, size: float) -> Stroke:
    """Small slow deviations along a stroke."""
    noise = gaussian_filter1d(rng.normal(0, 1, (count, 2)), 7, axis=0, mode="nearest")
    return 5 * size * noise


def centred(strokes: Strokes) -> Strokes:
    """The strokes moved and scaled to height 1 around 0."""
    low, high = bounds(strokes)
    return [(stroke - (low + high) / 2) / (high[1] - low[1]) for stroke in strokes]


def bounds(strokes: Strokes) -> tuple[Stroke, Stroke]:
    """The least and the greatest x and y."""
    points = np.concatenate(strokes)
    return points.min(0), points.max(0)
