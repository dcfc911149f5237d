"""A picture's brightness, whatever its mode: colours, transparency, 1 to 32 bits."""

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
        return _deep_grey(np.asarray(image).astype(np.float32))
    with damage_named("the picture"):
        if image.mode in ALPHA_MODES or "transparency" in image.info:
            return _grey_of_alpha(image)
        return _luma(image)


def _deep_grey(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale grey of more than 8 bits by the smallest usual white point that fits."""
    brightest = float(values.max())
    if not (np.isfinite(values).all() and values.min() >= 0):
        raise ImageError(
            f"expected finite brightness of at least 0, received {values.min()}..{brightest}"
        )
    white = next((w for w in (1, 255, 65535) if brightest <= w), brightest)
    return values / np.float32(white)


def _grey_of_alpha(image: Image.Image) -> NDArray[np.float32]:
    """Return the brightness of a picture with transparency."""
    # Pillow has no direct way from premultiplied grey to RGBA.
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A"))
    if alpha.min() == OPAQUE:
        return _luma(rgba)
    visible = (alpha > 0).astype(np.uint8)
    channels = (np.asarray(rgba.getchannel(channel)) for channel in "RGB")
    ranges = (cv2.minMaxLoc(channel, visible)[:2] for channel in channels)
    cover = alpha.astype(np.float32) / np.float32(OPAQUE)
    if all(most - least <= SAME_COLOUR for least, most in ranges):
        return np.float32(1) - cover
    return np.asarray(1 - cover * (1 - _luma(rgba)), np.float32)


def _luma(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image.convert("L"), np.float32) / np.float32(255)
