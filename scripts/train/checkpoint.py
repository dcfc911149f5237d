"""All that a training needs to go on as if nothing had stopped it, in one file.

The file is a network as ``numpy_impl.serialization`` writes it, so that it can be asked; beside the
weights it holds, under names that begin with "training", the state of the optimizer and of the
generators, and as JSON the options, the history and what the data were.
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl import Sequential, serialization
from numpy_impl.files import bounded
from numpy_impl.training import History
from numpy_impl.types import Array
from terminal_io import CliError, printable

FACTS = "training"
STATE = "training/"
VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A training between two epochs.

    Attributes:
        options: What the command line said.
        recipe: How the network is trained; see ``session.describe``.
        data: A checksum of the training samples.
        history: Of the epochs so far.
        seconds: How long they took.
        weights: In Keras's order.
        state: The optimizer's and the generators' arrays by name.
    """

    options: dict[str, Any]
    recipe: dict[str, Any]
    data: int
    history: History
    seconds: float
    weights: list[Array]
    state: dict[str, Array]

    @property
    def epoch(self) -> int:
        """How many epochs lie behind."""
        return self.history.length

    def write(self, path: Path, network: Sequential) -> None:
        """Write it, whole or not at all; ``network`` is what the file is when it is asked."""
        facts = {
            "version": VERSION,
            "options": self.options,
            "recipe": self.recipe,
            "data": self.data,
            "history": self.history.epochs,
            "seconds": self.seconds,
        }
        arrays = {STATE + name: array for name, array in self.state.items()}
        serialization.save(network, path, {FACTS: np.array(json.dumps(facts)), **arrays})


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CliError: It is damaged, or none.
    """
    try:
        weights = serialization.load(path).get_weights()
        with bounded.opened(path) as file, bounded.Archive(file, compressed=False) as archive:
            names = [name.removesuffix(".npy") for name in archive.names()]
            if FACTS not in names:
                raise ValueError("a network without the state of its training")
            facts = json.loads(str(archive.array(FACTS)))
            state = {
                name.removeprefix(STATE): archive.array(name)
                for name in names
                if name.startswith(STATE)
            }
        if facts["version"] != VERSION:
            raise ValueError(f"version {facts['version']!r}")
        history = {
            str(name): [float(value) for value in values]
            for name, values in facts["history"].items()
        }
        if len({len(values) for values in history.values()}) > 1:
            raise ValueError("a history with columns of different lengths")
        return Checkpoint(
            dict(facts["options"]),
            dict(facts["recipe"]),
            int(facts["data"]),
            History(history),
            float(facts["seconds"]),
            weights,
            state,
        )
    except Exception as error:
        # Whatever zipfile, NumPy and JSON raise on damage, as in numpy_impl.files.npz.
        reason = str(error).partition("Received: ")[2] or f"{type(error).__name__}: {error}"
        raise CliError(
            f"{printable(path)}: expected a checkpoint of a training. Received: {reason}"
        ) from error


def checksum(*arrays: Array) -> int:
    """Return a number that tells one data set from another."""
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).data.cast("B"), value)
    return value
