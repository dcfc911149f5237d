"""MNIST's digits as pictures in files: dark or bright, turned, transparent, saved, photographed."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from digit_data.pictures.examine import open_image

FACTOR = 8
EXIF_ORIENTATION = 0x0112
# How a picture has to be stored so that a viewer that obeys the orientation shows it upright.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

Rng = np.random.Generator
Rendered = Callable[[Image.Image, Rng], Image.Image]


def _saved(image: Image.Image, kind: str, **options: object) -> Image.Image:
    """Return what is read from a file into which an image was saved."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return open_image(file)


def _bright(image: Image.Image, rng: Rng) -> Image.Image:
    return Image.eval(image, lambda value: 255 - value)


def _shifted(image: Image.Image, rng: Rng) -> Image.Image:
    sheet = Image.new("L", (400, 360), 255)
    sheet.paste(
        image, (int(rng.integers(400 - image.width)), int(rng.integers(360 - image.height)))
    )
    return sheet


def _turned(image: Image.Image, rng: Rng) -> Image.Image:
    orientation = int(rng.integers(1, 9))
    turn = STORED[orientation]
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    stored = image if turn is None else image.transpose(turn)
    return _saved(stored.convert("RGB"), "JPEG", quality=85, exif=exif.tobytes())


def _transparent(image: Image.Image, rng: Rng) -> Image.Image:
    ink = Image.new("RGBA", image.size, (20, 40, 160, 0))
    ink.putalpha(Image.eval(image, lambda value: 255 - value))
    return _saved(ink, "PNG")


def _photographed(image: Image.Image, rng: Rng) -> Image.Image:
    """A light gradient of two to one, and noise with a standard deviation of 6 grey levels."""
    pixels = np.asarray(image, np.float32) * 0.9
    height, width = pixels.shape
    light = np.linspace(1, 0.5, width)[None] * np.linspace(1, 0.9, height)[:, None]
    noisy = pixels * light + rng.normal(0, 6, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


WAYS: dict[str, Rendered] = {
    "black_on_white": lambda image, rng: image,
    "white_on_black": _bright,
    "shifted": _shifted,
    "turned_by_exif": _turned,
    "transparent": _transparent,
    "jpeg": lambda image, rng: _saved(image, "JPEG", quality=40),
    "gradient_and_noise": _photographed,
}


def large(picture: np.ndarray) -> Image.Image:
    """Return one of MNIST's pictures, (28, 28) uint8, black on white and eight times as large."""
    side = 28 * FACTOR
    return Image.fromarray(255 - picture).resize((side, side), Image.Resampling.BICUBIC)
