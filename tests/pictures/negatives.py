"""Pictures without a digit: empty papers of every kind, letters, signs and doodles."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from numpy.random import Generator

from tests.pictures.scenes import BY_NAME, SCENES, own_rng
from tests.pictures.strokes import SIGNS, Strokes, scribble, sign

DOODLE_SCENES = (
    "paint_white_on_black",
    "finger_on_tablet",
    "scan_ballpoint",
    "ballpoint_squared_lamp",
    "pencil_ruled_vignette",
    "felt_tip_table_edge",
    "chalk_blackboard",
)


class Negative(NamedTuple):
    """A picture without a digit.

    Attributes:
        name: Of its scene.
        shows: What it shows instead: ``nothing``, ``scribble`` or a name in ``SIGNS``.
        data: The bytes of its file.
    """

    name: str
    shows: str
    data: bytes


def blanks(seed: int, kinds: tuple[str, ...] = ("",)) -> Iterator[Negative]:
    """Every scene with nothing drawn, except a screenshot, whose app shows itself.

    ``kinds`` are the beginnings of the names of those that are wanted.
    """
    for scene in SCENES:
        if scene.name != "phone_screenshot" and scene.name.startswith(kinds):
            rng = own_rng(seed, f"blank {scene.name}", 0)
            yield Negative(scene.name, "nothing", scene.draw([], rng))


def doodles(seed: int) -> Iterator[Negative]:
    """A scribble, letters, a plus and a cat, each in several scenes."""
    for shows, make in drawings().items():
        for name in DOODLE_SCENES:
            rng = own_rng(seed, f"{shows} {name}", 0)
            yield Negative(name, shows, BY_NAME[name].draw(make(rng), rng))


def drawings() -> dict[str, Callable[[Generator], Strokes]]:
    """What makes the strokes of everything that is no digit."""

    def make(name: str) -> Callable[[Generator], Strokes]:
        return lambda rng: sign(name, rng)

    return {"scribble": scribble, **{name: make(name) for name in SIGNS}}
