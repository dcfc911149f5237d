"""What the user draws, kept with its label in a folder that the command line names.

Nothing of a request becomes part of a path: of its label, only whether it is one of ten digits; the
picture is decoded and written anew, as a PNG of bounded size under a name of this module's making.
"""

import secrets
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from digit_data.pictures.examine import open_image, to_grey
from terminal_io import CliError, atomic, writable_directory

LABELS = tuple("0123456789")
# Pixels of the longest side that is kept: twice what a picture is examined at.
LONGEST_SIDE = 1120
# In one run of the command, so that no program on this computer fills the disk through it.
MOST_SAVED = 10_000
# Modes that PNG has; what is neither these nor deep grey becomes RGB.
MODES = ("1", "L", "LA", "RGB", "RGBA")


class FullError(ValueError):
    """As many pictures were saved as one run of the command saves."""


class LabelledFolder:
    """A folder with ten folders in it, ``0`` to ``9``, with pictures of each digit.

    Args:
        path: The folder; it is made.

    Attributes:
        saved: How many pictures were saved in this run.

    Raises:
        CliError: It cannot be made or written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = writable_directory(path.expanduser(), (), "--save")
        self.saved = 0
        for label in LABELS:
            if (self.path / label).exists() and not (self.path / label).is_dir():
                raise CliError(f"--save: expected no file called {label}. Received: {path / label}")

    def save(self, label: str, file: bytes) -> str:
        """Save a picture.

        Args:
            label: Which digit it shows.
            file: The content of a picture file.

        Returns:
            The name that it has in the folder, such as "7/20260101-120000-1f2e3d4c.png".

        Raises:
            ValueError: Another label.
            ImageError: Not a picture; also a ValueError.
            FullError: Too many in one run; also a ValueError.
            OSError: It cannot be written.
        """
        if label not in LABELS:
            raise ValueError(f"expected a label in 0..9. Received: {label!r}")
        if self.saved >= MOST_SAVED:
            raise FullError(f"expected at most {MOST_SAVED} pictures in one run. Received: more")
        image = _bounded(open_image(BytesIO(file)))
        digit = LABELS[LABELS.index(label)]
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}.png"
        (self.path / digit).mkdir(exist_ok=True)
        with atomic(self.path / digit / name) as partial:
            image.save(partial, "PNG")
        self.saved += 1
        return f"{digit}/{name}"


def _bounded(image: Image.Image) -> Image.Image:
    """Return a picture small enough, in a mode that PNG has, without anything but its pixels."""
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(np.uint8(np.rint(to_grey(image) * 255)))
    elif "transparency" in image.info or image.mode in ("La", "PA", "RGBa"):
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    elif image.mode not in MODES:
        image = image.convert("RGB")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    image.info.clear()
    return image
