"""Numbers of several digits in one picture, on one line, and with two of the digits touching."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy.spatial.distance import cdist

from tests.pictures.scenes import BY_NAME, Scene, own_rng
from tests.pictures.strokes import Strokes, centred, some_hand, write

# Scenes with room for a line of digits, and pens that leave them legible when they are smaller.
NUMBER_SCENES = (
    "paint_white_on_black",
    "paint_on_coloured_canvas",
    "finger_on_tablet",
    "stylus_in_dark_mode",
    "transparent_black",
    "scan_ballpoint",
    "scan_grey_pencil_squared",
    "fax_one_bit",
    "ballpoint_squared_lamp",
    "ballpoint_ruled_daylight",
    "pencil_ruled_vignette",
    "felt_tip_table_edge",
    "marker_paper_large_photo",
    "marker_whiteboard_glare",
    "brush_drawing_paper",
    "chalk_blackboard",
    "sticky_note_on_table",
    "out_of_focus",
)
NUMBERS = ("2024", "07", "358", "10", "26", "1415", "77", "520", "83", "649")
# Not 15, 26 and 96: pushed together they may read as one sign or as a percent sign.
TOUCHING = ("2024", "07", "358", "50", "520", "83", "649")


class Number(NamedTuple):
    """A picture of a number.

    Attributes:
        name: Of its scene.
        digits: What it shows.
        touching: Whether two neighbours touch each other.
        data: The bytes of its file.
    """

    name: str
    digits: str
    touching: bool
    data: bytes


def number(rng: Generator, digits: str, scene: Scene, touching: bool = False) -> Number:
    """A picture of a number; unless they are to touch, its digits are apart."""
    thick = scene.pen.width[1]
    return Number(scene.name, digits, touching, scene.draw(line(rng, digits, thick, touching), rng))


def line(rng: Generator, digits: str, thick: float, touching: bool) -> Strokes:
    """The strokes of digits side by side, written by one hand with a pen so thick."""
    hand = some_hand(rng)
    pair = int(rng.integers(len(digits) - 1)) if touching else -1
    apart = rng.uniform(0.08, 0.28)
    done: list[Strokes] = []
    for place, digit in enumerate(digits):
        size, drop = rng.uniform(0.93, 1.05), np.array([0, rng.normal(0, 0.025)])
        strokes = [stroke * size + drop for stroke in write(int(digit), rng, hand)]
        if done:
            gap = 1.15 * thick + max(apart + rng.normal(0, 0.03), 0.05)
            touch = place - 1 == pair
            strokes = beside(done[-1], strokes, *((0.15 * thick, 1.0) if touch else (gap, 0.06)))
        done.append(strokes)
    return centred([stroke for strokes in done for stroke in strokes])


def beside(left: Strokes, right: Strokes, gap: float, overlap: float) -> Strokes:
    """The right strokes moved to the left until the gap, or the overlap of columns, is reached."""
    before = np.concatenate(left)[::3]
    after = np.concatenate(right)[::3]
    level = before[:, 0].max() - after[:, 0].min()
    shift = level + gap
    while cdist(before, after + np.array([shift, 0])).min() > gap and shift > level - overlap:
        shift -= 0.005
    return [stroke + np.array([shift, 0]) for stroke in right]


def numbers(seed: int, per_scene: int) -> Iterator[Number]:
    """So many numbers in every scene that suits, every third with touching digits."""
    for place, name in enumerate(NUMBER_SCENES):
        for turn in range(per_scene):
            touching = (place + turn) % 3 == 2
            choice = TOUCHING if touching else NUMBERS
            rng = own_rng(seed, f"number {name}", turn)
            digits = choice[(place + turn) % len(choice)]
            yield number(rng, digits, BY_NAME[name], touching)
