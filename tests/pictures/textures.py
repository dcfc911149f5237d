"""Random textures and the few image operations that pens, papers and cameras share."""

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (height, width, 3): RGB, or 4: RGBA
Plane = NDArray[Any]  # (height, width)
Size = tuple[int, int]  # height, width
Colour = tuple[int, int, int]


def cloud(size: Size, cell: float, rng: Generator) -> NDArray[np.uint8]:
    """Smooth random values 0..255, with spots about as large as a cell of pixels."""
    height, width = size
    cell = cell if cell > 1.5 else 1
    small = (int(height / cell) + 3, int(width / cell) + 3)
    values = rng.integers(0, 256, small, np.uint8)
    if cell > 1:
        grown = (round(small[1] * cell), round(small[0] * cell))
        values = cv2.resize(values, grown, interpolation=cv2.INTER_CUBIC)
    return np.asarray(values[:height, :width], np.uint8)


def flat(size: Size, colour: Colour) -> Image:
    """An image of one colour."""
    return np.asarray(cv2.merge([np.full(size, value, np.uint8) for value in colour]), np.uint8)


def soft(plane: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """A plane blurred; a wide blur is done on a smaller one, which is quicker."""
    sigma = max(sigma, 0.4)
    if sigma < 6:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.uint8)
    height, width = plane.shape
    factor = 3 / sigma
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    small = cv2.GaussianBlur(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), (0, 0), 3)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def speckle(image: Image, noise: NDArray[np.uint8], strength: float) -> Image:
    """The image lighter and darker by up to the strength where the noise is high and low."""
    steps = (np.arange(256) - 127.5) / 127.5 * strength
    up = cv2.LUT(noise, np.maximum(steps, 0).round().astype(np.uint8))
    down = cv2.LUT(noise, np.maximum(-steps, 0).round().astype(np.uint8))
    if image.ndim == 3 and noise.ndim == 2:
        up, down = cv2.merge([up] * 3), cv2.merge([down] * 3)
    return np.asarray(cv2.subtract(cv2.add(image, up), down), np.uint8)


def shaded(image: Image, light: NDArray[np.floating]) -> Image:
    """The image times a coarse map of light, one plane or three."""
    if light.ndim == 2:
        light = np.stack([light] * 3, 2)
    coarse = np.clip(light * 200, 0, 255).astype(np.uint8)
    height, width = image.shape[:2]
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(image, fine, scale=1 / 200), np.uint8)


def blended(image: Image, mask: NDArray[np.uint8], colour: Colour) -> Image:
    """The image with a colour laid over it where the mask is high."""
    part = cv2.merge([mask] * 3)
    front = cv2.multiply(part, flat((mask.shape[0], mask.shape[1]), colour), scale=1 / 255)
    back = cv2.multiply(image, cv2.bitwise_not(part), scale=1 / 255)
    return np.asarray(cv2.add(front, back), np.uint8)


def inked(image: Image, mask: NDArray[np.uint8], colour: Colour) -> Image:
    """The image with an ink soaked in, which darkens what is there."""
    part = cv2.merge([mask] * 3)
    taken = flat(
        (mask.shape[0], mask.shape[1]), (255 - colour[0], 255 - colour[1], 255 - colour[2])
    )
    left = cv2.bitwise_not(cv2.multiply(part, taken, scale=1 / 255))
    return np.asarray(cv2.multiply(image, left, scale=1 / 255), np.uint8)
