"""Pens: how strokes become marks of ink, lead, chalk or pixels on an image."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from tests.pictures.strokes import Stroke, Strokes, bounds
from tests.pictures.textures import Colour, Image, Size, blended, cloud, inked, soft

Mask = NDArray[np.uint8]
Draw = Callable[[Strokes, Size, float, Generator], Mask]

BLACK: Colour = (18, 18, 20)
PURE_BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
BLUE: Colour = (24, 44, 140)
NAVY: Colour = (20, 28, 80)
RED: Colour = (196, 24, 36)
GREEN: Colour = (18, 110, 50)
LEAD: Colour = (62, 62, 66)
CHALK: Colour = (238, 238, 230)
YELLOW_CHALK: Colour = (240, 222, 120)

INKS = (BLACK, BLUE, BLUE, NAVY, RED, GREEN)
MARKERS = (BLACK, BLACK, BLUE, RED, GREEN)


@dataclass(frozen=True)
class Pen:
    """A pen and the marks it makes.

    Attributes:
        draw: Makes a mask of the marks from strokes in pixels.
        width: Least and greatest width as a share of the digit's height.
        opaque: Whether it covers the paper instead of soaking into it.
        pixels: A width in pixels that holds for every height of digit, instead.
    """

    draw: Draw
    width: tuple[float, float]
    opaque: bool = False
    pixels: int | None = None

    def some_width(self, height: float, rng: Generator) -> float:
        """The width in pixels for a digit of a height in pixels."""
        return self.pixels or float(rng.uniform(*self.width)) * height

    def mark(
        self, image: Image, strokes: Strokes, width: float, colour: Colour, rng: Generator
    ) -> Image:
        """The image with the strokes, given in pixels, drawn on it."""
        pad = 2 * width + 4
        low, high = bounds(strokes)
        left, top = np.maximum(np.floor(low - pad), 0).astype(int)
        right, bottom = np.ceil(high + pad).astype(int)
        part = image[top:bottom, left:right]
        here = [stroke - (left, top) for stroke in strokes]
        mask = self.draw(here, (part.shape[0], part.shape[1]), width, rng)
        image = image.copy()
        image[top:bottom, left:right] = laid(part, mask, colour, self.opaque)
        return image


def laid(part: Image, mask: Mask, colour: Colour, opaque: bool) -> Image:
    """A part of an image with ink on it; on a transparent one the ink is all there is."""
    if part.shape[2] == 4:
        paint = np.full((*mask.shape, 3), colour, np.uint8)
        return np.dstack([paint, np.maximum(mask, part[:, :, 3])])
    return blended(part, mask, colour) if opaque else inked(part, mask, colour)


def trace(strokes: Strokes, widths: list[Stroke], size: Size) -> Mask:
    """A mask of strokes whose width changes from point to point."""
    thin = min(float(np.percentile(row, 20)) for row in widths)
    zoom = int(np.clip(np.ceil(10 / max(thin, 0.5)), 1, 8))
    mask = np.zeros((size[0] * zoom, size[1] * zoom), np.uint8)
    for stroke, row in zip(strokes, widths, strict=True):
        points, radii = resampled(stroke * zoom, row * zoom / 2)
        fixed = np.round(np.column_stack([points, radii]) * 16).astype(int).tolist()
        for x, y, radius in fixed:
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA, 4)
    if zoom > 1:
        mask = cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(mask, np.uint8)


def resampled(stroke: Stroke, radii: Stroke) -> tuple[Stroke, Stroke]:
    """Points so near to each other that circles around them make a line."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))])
    step = max(float(radii.mean()) / 4, 0.5)
    places = np.linspace(0, along[-1], int(along[-1] / step) + 2)
    points = np.column_stack([np.interp(places, along, stroke[:, axis]) for axis in (0, 1)])
    return points, np.interp(places, along, radii)


def wandering(count: int, rng: Generator, spread: float, slow: float = 12) -> Stroke:
    """Factors around 1 that change slowly along a stroke."""
    noise = gaussian_filter1d(rng.normal(0, 1, count), slow, mode="nearest")
    return np.clip(1 + noise * spread * np.sqrt(3.5 * slow), 0.3, 2)


def steady(strokes: Strokes, width: float, rng: Generator, spread: float = 0.05) -> list[Stroke]:
    """Widths of a hard pen."""
    return [width * wandering(len(stroke), rng, spread) for stroke in strokes]


def weakened(mask: Mask, noise: NDArray[np.uint8], amount: float) -> Mask:
    """The mask with up to an amount taken away where the noise is low."""
    factors = cv2.LUT(noise, np.round(255 - amount * np.arange(255, -1, -1)).astype(np.uint8))
    return np.asarray(cv2.multiply(mask, factors, scale=1 / 255), np.uint8)


def grained(mask: Mask, tooth: NDArray[np.uint8], pressure: Stroke | float, ease: float) -> Mask:
    """The mask only where the pressure reaches down into the paper's tooth."""
    reach = (pressure * 255.0 - tooth) / (255 * ease) + 0.5
    return np.asarray(mask * np.clip(reach, 0, 1), np.uint8)


def rough(size: Size, fine: float, coarse: float, rng: Generator) -> NDArray[np.uint8]:
    """A surface with small and larger grains."""
    grains = cv2.addWeighted(cloud(size, fine, rng), 0.6, cloud(size, coarse, rng), 0.4, 0)
    return np.asarray(grains, np.uint8)


def ballpoint(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """An even thin line with lighter stretches, fine flaws and sometimes a blob."""
    widths = steady(strokes, width, rng, 0.04)
    for stroke, row in zip(strokes, widths, strict=True):
        if rng.random() < 0.4:
            row[: max(len(stroke) // 40, 1)] *= 1.25
    mask = trace(strokes, widths, size)
    mask = weakened(mask, cloud(size, width * 5, rng), 0.3)
    return weakened(mask, cloud(size, max(width / 9, 1), rng), 0.25)


def pencil(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """A grainy line, dark where the hand presses."""
    mask = trace(strokes, steady(strokes, width, rng, 0.16), size)
    mask = soft(mask, width / 14)
    tooth = rough(size, width / 9, width / 3, rng)
    pressure = rng.uniform(0.6, 0.85) + (cloud(size, width * 6, rng) / 255.0 - 0.5) * 0.35
    return weakened(grained(mask, tooth, pressure, 1.0), tooth, 0.3)


def felt_tip(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """An even line with soft edges, darker where strokes cross."""
    clear = np.full(size, 255, np.uint8)
    for stroke in strokes:
        mask = trace([stroke], steady([stroke], width, rng, 0.05), size)
        bled = soft(mask, width / 35)
        clear = cv2.multiply(
            clear, cv2.bitwise_not(cv2.convertScaleAbs(bled, None, 0.9)), scale=1 / 255
        )
    return weakened(np.asarray(cv2.bitwise_not(clear), np.uint8), cloud(size, width * 2, rng), 0.15)


def marker(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """A thick line of a slanted chisel tip, with faint streaks and an edge where ink gathers."""
    angle = rng.uniform(0.5, 1.1)
    widths = []
    for stroke in strokes:
        turn = np.arctan2(*np.gradient(stroke, axis=0).T[::-1])
        chisel = gaussian_filter1d(np.abs(np.sin(turn + angle)), 6, mode="nearest")
        widths.append(width * (0.78 + 0.28 * chisel) * wandering(len(stroke), rng, 0.02))
    mask = trace(strokes, widths, size)
    core = soft(mask, width / 6)
    pale = weakened(mask, np.asarray(cv2.bitwise_not(core), np.uint8), 0.12)
    return weakened(pale, cloud(size, width * 0.7, rng), 0.1)


def brush(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """Thick where the hand is slow, thin where it is fast and at the ends, sometimes drying up."""
    widths = [width * pace(stroke, rng) for stroke in strokes]
    mask = trace(strokes, widths, size)
    for stroke, row in zip(strokes, widths, strict=True):
        if rng.random() < 0.5:
            mask = cv2.subtract(mask, bristles(stroke, row, size, rng))
    mask = soft(np.asarray(mask, np.uint8), width / 60)
    return weakened(mask, cloud(size, width * 1.5, rng), 0.3)


def bristles(stroke: Stroke, widths: Stroke, size: Size, rng: Generator) -> Mask:
    """Light streaks along the last part of a stroke, where a drying brush splits."""
    streaks = np.zeros(size, np.uint8)
    steps = np.gradient(stroke, axis=0)
    across = steps[:, ::-1] * (1, -1) / (np.linalg.norm(steps, axis=1, keepdims=True) + 1e-9)
    for offset in rng.uniform(-0.42, 0.42, 9):
        start, length = rng.uniform(0.5, 0.9), rng.uniform(0.1, 0.35)
        part = slice(int(start * len(stroke)), int((start + length) * len(stroke)) + 2)
        line = stroke[part] + across[part] * offset * widths[part, None]
        points = [np.round(line * 16).astype(np.int32).reshape(-1, 1, 2)]
        thick = max(round(float(widths.max()) / 22), 1)
        cv2.polylines(streaks, points, False, 190, thick, cv2.LINE_AA, 4)
    return streaks


def pace(stroke: Stroke, rng: Generator) -> Stroke:
    """Factors of a brush's width: pressed down at first, lifted at last, slow in turns."""
    way = np.linspace(0, 1, len(stroke))
    steps = np.gradient(stroke, axis=0)
    turning = np.abs(np.gradient(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))))
    slow = gaussian_filter1d(np.minimum(turning, 0.3), 8, mode="nearest")
    bulge = 0.62 + 0.38 * np.minimum(slow / 0.06, 1)
    landing = np.clip(0.6 + way / 0.1, 0, 1)
    lifting = np.clip(0.3 + (1 - way) / 0.3, 0, 1)
    return bulge * landing * lifting * wandering(len(stroke), rng, 0.06)


def chalk(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """A dusty line, broken where the board is rough."""
    mask = trace(strokes, steady(strokes, width, rng, 0.1), size)
    halo = soft(mask, width / 4)
    mask = soft(mask, width / 12)
    board = rough(size, width / 14, width / 5, rng)
    pressure = rng.uniform(0.58, 0.75) + (cloud(size, width * 4, rng) / 255.0 - 0.5) * 0.3
    line = grained(mask, board, pressure, 0.5)
    return np.maximum(line, np.asarray(halo * 0.16, np.uint8))


def crayon(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """A broad waxy line that leaves the hollows of the paper white."""
    mask = trace(strokes, steady(strokes, width, rng, 0.12), size)
    mask = soft(mask, width / 25)
    tooth = cloud(size, max(width / 10, 1), rng)
    pressure = rng.uniform(0.7, 0.9) + (cloud(size, width * 3, rng) / 255.0 - 0.5) * 0.4
    return grained(mask, tooth, pressure, 0.6)


def finger(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """A perfectly even smooth line, as drawing apps make them."""
    del rng
    return trace(strokes, [np.full(len(stroke), width) for stroke in strokes], size)


def stylus(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """A smooth line whose width follows the pressure."""
    widths = []
    for stroke in strokes:
        way = np.linspace(0, 1, len(stroke))
        ends = np.clip(0.45 + np.minimum(way / 0.12, (1 - way) / 0.18), 0, 1)
        widths.append(width * ends * wandering(len(stroke), rng, 0.12))
    return trace(strokes, widths, size)


def hard(strokes: Strokes, size: Size, width: float, rng: Generator) -> Mask:
    """The pen of a paint program: no grey pixels, and straight between mouse events."""
    mask = np.zeros(size, np.uint8)
    for stroke in strokes:
        every = int(rng.integers(3, 8))
        events = np.concatenate([stroke[:-1:every], stroke[-1:]])
        points = [np.round(events).astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(mask, points, False, 255, max(round(width), 1), cv2.LINE_8)
    return mask


BALLPOINT = Pen(ballpoint, (0.03, 0.07))
PENCIL = Pen(pencil, (0.04, 0.08))
FELT_TIP = Pen(felt_tip, (0.06, 0.1))
MARKER = Pen(marker, (0.12, 0.19))
BRUSH = Pen(brush, (0.14, 0.22))
CHALK_STICK = Pen(chalk, (0.07, 0.12), opaque=True)
CRAYON = Pen(crayon, (0.1, 0.16))
FINGER = Pen(finger, (0.05, 0.12), opaque=True)
STYLUS = Pen(stylus, (0.04, 0.08), opaque=True)
GEL_PEN = Pen(felt_tip, (0.04, 0.08), opaque=True)
HARD_1 = Pen(hard, (0, 0), opaque=True, pixels=1)
HARD_8 = Pen(hard, (0, 0), opaque=True, pixels=8)
HARD_40 = Pen(hard, (0, 0), opaque=True, pixels=40)
HARD = Pen(hard, (0.06, 0.14), opaque=True)
