"""A picture's brightness, whatever its mode: colours, transparency, 1 to 32 bits."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digit_data.pictures.files import ImageError, damage_named

__all__ = ["to_grey"]

ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
# Colours this close, in 0..255, are one colour that a lossy format or premultiplied alpha has
# disturbed.
SAME_COLOUR = 8
OPAQUE = 255
# Pixels.
PART = 2**20

Grey = NDArray[np.float32]


def to_grey(image: Image.Image) -> NDArray[np.float32]:
    """Return a picture's brightness, whatever its mode, as it looks on white paper.

    Transparent pictures are laid on white. If everything visible has one colour, the drawing is in
    the transparency alone (white strokes on nothing would vanish on white): then opaque is taken as
    black ink.

    Args:
        image: any mode: 1-bit, grey of 8, 16 or 32 bit, palette, RGB, CMYK, with or without alpha.

    Returns:
        Brightness (ITU-R 601 luma), (H, W) float32 in 0..1.

    Raises:
        ImageError: no pixels, a mode Pillow cannot convert, or floating-point pixels that are not
            numbers.
    """
    if 0 in image.size:
        raise ImageError(f"expected a picture with pixels, received size {image.size}")
    if image.mode.startswith(("I", "F")):
        return _deep_grey(image)
    with damage_named("the picture"):
        if image.mode in ALPHA_MODES or "transparency" in image.info:
            return _grey_of_alpha(image)
        return _filled(image, _luma)


def _deep_grey(image: Image.Image) -> Grey:
    """Scale grey of more than 8 bits by the smallest usual white point that fits."""
    values = _filled(image, lambda part: np.asarray(part).astype(np.float32))
    least, brightest = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(brightest) and least >= 0):  # NaN is both
        raise ImageError(f"expected finite brightness of at least 0, received {least}..{brightest}")
    white = next((w for w in (1, 255, 65535) if brightest <= w), brightest)
    values /= np.float32(white)
    return values


def _grey_of_alpha(image: Image.Image) -> Grey:
    """Return the brightness of a picture with transparency."""
    opaque, ranges = True, [(float(OPAQUE), 0.0)] * 3
    for _, part in _parts(image):
        *colours, alpha = cv2.split(_rgba(part))
        opaque = opaque and alpha.min() == OPAQUE
        if alpha.any():
            found = [cv2.minMaxLoc(colour, alpha)[:2] for colour in colours]
            ranges = [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(ranges, found, strict=True)]
    if opaque:
        return _filled(image, _luma)
    one_colour = all(most - least <= SAME_COLOUR for least, most in ranges)

    def on_white(part: Image.Image) -> Grey:
        cover = _rgba(part)[..., 3].astype(np.float32) / np.float32(OPAQUE)
        if one_colour:
            return np.float32(1) - cover
        return np.asarray(1 - cover * (1 - _luma(part)), np.float32)

    return _filled(image, on_white)


def _filled(image: Image.Image, brightness: Callable[[Image.Image], Grey]) -> Grey:
    """Return the brightness of a picture, found part by part."""
    width, height = image.size
    grey = np.empty((height, width), np.float32)
    for place, part in _parts(image):
        grey[place] = brightness(part)
    return grey


def _parts(image: Image.Image) -> Iterator[tuple[tuple[slice, slice], Image.Image]]:
    """Yield a picture in parts, each with its place.

    What lies between a picture and its brightness has four or more times its size; so that it is
    never held for all of the picture.
    """
    width, height = image.size
    columns = min(width, PART)
    rows = PART // columns
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            bottom, right = min(top + rows, height), min(left + columns, width)
            place = slice(top, bottom), slice(left, right)
            yield place, image.crop((left, top, right, bottom))


def _rgba(image: Image.Image) -> NDArray[np.uint8]:
    # Pillow has no direct way from premultiplied grey to RGBA.
    return np.asarray((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))


def _luma(image: Image.Image) -> Grey:
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = Image.fromarray(_rgba(image))
    return np.asarray(image.convert("L"), np.float32) / np.float32(255)
