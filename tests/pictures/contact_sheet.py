"""Many pictures on one sheet, to be looked at."""

from collections.abc import Sequence
from io import BytesIO

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps

from tests.pictures.textures import Image

CHEQUERS = ((200, 200, 200), (240, 240, 240))


def contact_sheet(rows: Sequence[tuple[str, Sequence[bytes]]], side: int = 150) -> bytes:
    """A PNG with a row of thumbnails for every name."""
    most = max(len(pictures) for _, pictures in rows)
    sheet = np.full((len(rows) * (side + 16), most * (side + 4), 3), 120, np.uint8)
    for row, (name, pictures) in enumerate(rows):
        top = row * (side + 16)
        place = (4, top + 12)
        cv2.putText(
            sheet, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA
        )
        for column, data in enumerate(pictures):
            small = thumbnail(data, side)
            left = column * (side + 4)
            sheet[top + 16 : top + 16 + small.shape[0], left : left + small.shape[1]] = small
    stream = BytesIO()
    PIL.Image.fromarray(sheet).save(stream, "PNG")
    return stream.getvalue()


def thumbnail(data: bytes, side: int) -> Image:
    """A picture as a viewer shows it, small; chequers shine through what is transparent."""
    with PIL.Image.open(BytesIO(data)) as opened:
        upright = PIL.ImageOps.exif_transpose(opened).convert("RGBA")
    factor = side / max(upright.size)
    size = (max(round(upright.width * factor), 1), max(round(upright.height * factor), 1))
    way = PIL.Image.Resampling.BOX if factor < 1 else PIL.Image.Resampling.NEAREST
    small = upright.resize(size, way)
    y, x = np.mgrid[: size[1], : size[0]] // 8
    ground = np.array(CHEQUERS, np.uint8)[(x + y) % 2]
    back = PIL.Image.fromarray(ground).convert("RGBA")
    return np.asarray(PIL.Image.alpha_composite(back, small).convert("RGB"))
