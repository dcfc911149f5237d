"""What the network saw, saved as picture files that cannot replace each other or the originals."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from numpy_impl.types import Array
from terminal_io import CliError, atomic, os_reason

from ..model_files import BRIGHTEST
from .looking import SeenPicture
from .pictures import STANDARD_INPUT

# What the network's inputs go up to, by the side of its pictures.
FULL = {8: 16, 28: 1}
# File systems take 255 bytes; what is added to a name takes some.
LONGEST_NAME = 200


class SeenFiles:
    """A folder with what the network saw: ``photo.jpg`` as ``photo-28x28.png``.

    Several digits of one picture are numbered, ``photo-28x28-1.png``, and so are pictures of the
    same name from different folders. Files from an earlier run are replaced.

    Args:
        folder: Made if it is not there.
        originals: Names of the pictures that are looked at, which are never replaced.

    Raises:
        CliError: Nothing can be written there.
    """

    def __init__(self, folder: Path, originals: Iterable[str]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = os_reason(error) if isinstance(error, OSError) else error
            raise CliError(
                f"--save-preprocessed: expected a folder to write to. Received: {reason}"
            ) from error
        self.folder = folder.resolve()
        self._taken = {_key(os.path.realpath(os.path.expanduser(name))) for name in originals}

    def save(self, seen: SeenPicture) -> None:
        """Write what was seen in a picture, if anything was."""
        if seen.found is None:
            return
        several = len(seen.found.pictures) > 1
        for place, picture in enumerate(seen.found.pictures, 1):
            side = len(picture)
            name = f"{_stem(seen.name)}-{side}x{side}" + (f"-{place}" if several else "")
            with atomic(self._free(name)) as partial:
                Image.fromarray(to_bytes(picture)).save(partial, "PNG")

    def _free(self, name: str) -> Path:
        """Return a path that no other picture has, and take it."""
        path, number = self.folder / f"{name}.png", 1
        while _key(path) in self._taken:
            number += 1
            path = self.folder / f"{name}-{number}.png"
        self._taken.add(_key(path))
        return path


def to_bytes(picture: Array) -> Array:
    """Return what a network is given as pixels, (side, side) uint8 with bright ink."""
    return np.rint(np.clip(picture / FULL[len(picture)], 0, 1) * BRIGHTEST).astype(np.uint8)


def _key(path: str | Path) -> str:
    """Return the same for paths that some file system takes for one."""
    return str(path).casefold()


def _stem(name: str) -> str:
    """Return how files about a picture are called."""
    if name == STANDARD_INPUT:
        return "standard-input"
    stem = Path(name).stem.replace(" ", "-") if name.startswith("MNIST test") else Path(name).stem
    encoded = os.fsencode(stem)
    return stem if len(encoded) <= LONGEST_NAME else os.fsdecode(encoded[:LONGEST_NAME])
