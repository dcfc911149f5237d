"""Scanners, and the files that pictures are saved as."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.random import Generator

from tests.pictures.papers import Effect
from tests.pictures.textures import Image, cloud, speckle

ORIENTATION = 0x0112
# How an upright image has to be stored so that a viewer which obeys the orientation turns it back.
STORED: dict[int, Callable[[Image], Image]] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}


@dataclass(frozen=True)
class File:
    """A kind of file.

    Attributes:
        suffix: How its name ends.
        write: Makes its bytes.
    """

    suffix: str
    write: Callable[[Image, Generator], bytes]


def encoded(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file."""
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def jpeg(least: int = 82, most: int = 95, grey: bool = False) -> File:
    """JPEG of a quality between two."""

    def write(image: Image, rng: Generator) -> bytes:
        picture = PIL.Image.fromarray(image)
        quality = int(rng.integers(least, most + 1))
        return encoded(picture.convert("L") if grey else picture, "JPEG", quality=quality)

    return File("jpg", write)


def turned_jpeg(image: Image, rng: Generator) -> bytes:
    """A photo of a camera held sideways or upside down, which says so in EXIF."""
    orientation = int(rng.choice([2, 3, 4, 5, 6, 6, 6, 7, 8, 8]))
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    stored = np.ascontiguousarray(STORED[orientation](image))
    return encoded(PIL.Image.fromarray(stored), "JPEG", quality=90, exif=exif)


def png(mode: str = "") -> File:
    """PNG, of another mode if one is given."""

    def write(image: Image, rng: Generator) -> bytes:
        del rng
        picture = PIL.Image.fromarray(image)
        return encoded(picture.convert(mode) if mode else picture, "PNG", compress_level=1)

    return File("png", write)


def one_bit(kind: str, suffix: str) -> File:
    """Only black and white, by a threshold."""

    def write(image: Image, rng: Generator) -> bytes:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        limit = int(rng.integers(140, 175))
        picture = PIL.Image.fromarray(np.asarray(grey > limit)).convert("1", dither=None)
        options = {"compression": "group4"} if kind == "TIFF" else {}
        return encoded(picture, kind, **options)

    return File(suffix, write)


def other(kind: str, suffix: str, **options: Any) -> File:
    """Any other kind that Pillow writes."""
    return File(suffix, lambda image, rng: encoded(PIL.Image.fromarray(image), kind, **options))


GOOD_JPEG = jpeg()
TURNED_JPEG = File("jpg", turned_jpeg)


def scanned(image: Image, rng: Generator) -> Image:
    """As a flatbed scanner sees it: even light, slightly grey, a dark stripe beside the page."""
    height, width = image.shape[:2]
    gain = float(rng.uniform(0.9, 1.02))
    scan = cv2.convertScaleAbs(image, None, gain, float(rng.uniform(0, 8)))
    band = max(round(width * rng.uniform(0.005, 0.03)), 2)
    if rng.random() < 0.5:
        fall = np.linspace(rng.uniform(0.4, 0.7), 1, band)[None, :, None]
        scan[:, :band] = scan[:, :band] * fall
    if rng.random() < 0.3:
        scan[:, int(rng.integers(width))] -= np.uint8(14)
    return speckle(np.asarray(scan, np.uint8), cloud((height, width), 1, rng), 5)


def salted(amount: float) -> Effect:
    """With a share of the pixels black or white."""

    def apply(image: Image, rng: Generator) -> Image:
        height, width = image.shape[:2]
        count = round(height * width * amount * rng.uniform(0.5, 1.5))
        rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
        image = image.copy()
        image[rows, columns] = rng.choice(np.array([0, 60, 255], np.uint8), count)[:, None]
        return image

    return apply


def grey(image: Image, rng: Generator) -> Image:
    """Without colour."""
    del rng
    return np.asarray(cv2.merge([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3), np.uint8)


def shrunk(least: int, most: int) -> Effect:
    """Scaled down so that the longer side has so many pixels."""

    def apply(image: Image, rng: Generator) -> Image:
        factor = int(rng.integers(least, most + 1)) / max(image.shape[:2])
        size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    return apply
