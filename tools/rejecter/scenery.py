"""Whole pictures without a digit, as ``digit_data.pictures`` sees them: photographs, papers, pages.

And with one: MNIST's digits as a phone or a scanner brings them, which shall not be lost.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from digit_data.pictures.examine import ImageError, examine
from digit_data.types import Array

from . import glyphs
from .inks import Generator, grey

# Photographs and pictures that come with packages which the project needs anyway.
PHOTOGRAPHS = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("matplotlib", "mpl-data/sample_data/Minduka_Present_Blue_Pack.png"),
)
# In pixels of the 28.
BAR = 6
Scene = Callable[[Generator], Array]


def photographs() -> list[Array]:
    """Return the photographs, each (H, W) uint8."""
    found: list[Array] = []
    for package, name in PHOTOGRAPHS:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        found.append(np.asarray(Image.open(Path(spec.origin).parent / name).convert("L")))
    return found


def crop(pictures: Sequence[Array], rng: Generator) -> Array:
    """Return a part of a photograph."""
    picture = pictures[int(rng.integers(len(pictures)))]
    side = int(rng.integers(40, min(picture.shape)))
    top, left = (int(rng.integers(0, n - side + 1)) for n in picture.shape)
    return picture[top : top + side, left : left + side]


def texture(rng: Generator) -> Array:
    """Return clouds, stripes, squares or dots of any size."""
    side = int(rng.integers(60, 300))
    y, x = np.mgrid[:side, :side] / side
    turn, waves = rng.uniform(0, np.pi), rng.uniform(1, 12)
    along = np.sin(2 * np.pi * waves * (x * np.cos(turn) + y * np.sin(turn)))
    across = np.sin(2 * np.pi * waves * (y * np.cos(turn) - x * np.sin(turn)))
    cell = int(rng.integers(2, 40))
    cloud = cv2.resize(
        rng.random((side // cell + 2,) * 2), (side, side), interpolation=cv2.INTER_CUBIC
    )
    plane = (along, along * across, np.maximum(along, across), 2 * cloud - 1)[rng.integers(4)]
    plane = np.sign(plane - rng.uniform(-0.3, 0.7)) if rng.random() < 0.5 else plane
    light = 128 + rng.uniform(20, 120) * plane
    return grey(light + rng.normal(0, rng.uniform(0, 12), light.shape))


def paper(rng: Generator) -> Array:
    """Return an empty sheet: ruled or squared, with a frame, on a table, or folded; with noise."""
    rows, columns = (int(n) for n in rng.integers(100, 400, 2))
    sheet = np.full((rows, columns), rng.uniform(150, 255), np.float32)
    step, ink = int(rng.integers(12, 60)), rng.uniform(0, 140)
    kind = rng.integers(6)
    if kind == 0:
        sheet[step // 2 :: step] = ink
        if rng.random() < 0.5:
            sheet[:, step // 2 :: step] = ink
    elif kind in (1, 4, 5):
        inset, wide = int(rng.integers(0, 30)), int(rng.integers(2, 30))
        ink = ink if kind == 1 else rng.uniform(150, 255)
        corner = (columns - 1 - inset, rows - 1 - inset)
        cv2.rectangle(sheet, (inset, inset), corner, ink, wide)
    elif kind == 2:
        far = [[0, 0], [columns, 0], [columns, rows], [0, rows]]
        corners = far + rng.uniform(-0.3, 0.3, (4, 2)) * (columns, rows)
        table = np.full_like(sheet, ink)
        cv2.fillPoly(table, [corners.astype(np.int32)], float(sheet[0, 0]))
        sheet = table
    else:
        fold = int(rng.integers(columns // 4, 3 * columns // 4))
        sheet[:, fold:] *= rng.uniform(0.75, 0.92)
        sheet[:, fold - 1 : fold + 1] *= 0.8
    light = np.linspace(1, rng.uniform(0.5, 1), columns, dtype=np.float32)
    sheet = sheet * light + rng.normal(0, rng.uniform(0, 8), sheet.shape)
    sheet = grey(sheet)
    return 255 - sheet if rng.random() < 0.3 else sheet


def page(fonts: Sequence[Path], rng: Generator) -> Array:
    """Return a page of writing, or a part of it."""
    writing = glyphs.words(fonts, rng)
    return writing if rng.random() < 0.5 else 255 - writing


def photographed(digit: Array, rng: Generator) -> Array:
    """Return one of MNIST's digits, (28, 28) uint8, as a picture of it: larger, lit, with noise."""
    factor = rng.uniform(1.5, 8)
    ink = cv2.resize(digit, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    margins = rng.integers(0, 60, 4).reshape(2, 2).tolist()
    ink = np.pad(ink, margins).astype(np.float32) / 255
    width = ink.shape[1]
    light = np.linspace(1, rng.uniform(0.4, 1), width, dtype=np.float32) * rng.uniform(150, 255)
    picture = light * (1 - rng.uniform(0.3, 1) * ink) + rng.normal(0, rng.uniform(0, 9), ink.shape)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 3))
    picture = grey(picture)
    return 255 - picture if rng.random() < 0.3 else picture


def found(pictures: Iterator[Array]) -> list[Array]:
    """Return what a network sees of pictures, (28, 28) each, or less: of some there is no ink."""
    kept: list[Array] = []
    for picture in pictures:
        try:
            seen = examine(Image.fromarray(picture), segment=True)
        except ImageError:
            continue
        # Of a page's many pieces the first few do.
        kept += seen.pictures[:3]
    return kept


def without_bars(pictures: Sequence[Array]) -> list[Array]:
    """Leave out upright bars: the edge of some thing is one, and so is a one."""
    return [p for p in pictures if np.ptp(np.flatnonzero((p > 0.3).any(axis=0))) > BAR]
