"""All that a training needs to go on as if nothing had stopped it, in one file.

The file is a network as ``numpy_impl.serialization`` writes it, so that it can be asked; beside the
weights it holds, under names that begin with "training", the state of the optimizer and of the
generators, and as JSON the options, the history and what the data were. In the middle of an epoch
it holds both the network of now and that with which the epoch began.
"""

import json
import math
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
# What an epoch began with, where that is not what the file is a network of.
BEGUN, BEGUN_STATE = "training-epoch/weights/", "training-epoch/state/"
VERSION = 2


@dataclass(frozen=True)
class TrainingState:
    """What changes with every step.

    Attributes:
        weights: In Keras's order.
        state: The optimizer's and the generators' arrays by name.
    """

    weights: list[Array]
    state: dict[str, Array]


@dataclass(frozen=True)
class Checkpoint:
    """A training between two epochs, or in the middle of one.

    Attributes:
        options: What the command line said.
        recipe: How the network is trained; see ``session.describe``.
        data: A checksum of the training samples.
        history: Of the whole epochs so far.
        seconds: How long it took.
        begun: As it was after the last whole epoch.
        step: How many batches of the next epoch lie behind.
        now: As it was after these. Generators that are drawn from once an epoch stand as in
            ``begun``.
        means: Of which the epoch's running means are computed; see ``engines.Trainer.means``.
    """

    options: dict[str, Any]
    recipe: dict[str, Any]
    data: int
    history: History
    seconds: float
    begun: TrainingState
    now: TrainingState
    step: int = 0
    means: tuple[float, ...] = ()

    @property
    def epoch(self) -> int:
        """How many whole epochs lie behind."""
        return self.history.length

    @property
    def position(self) -> tuple[int, int]:
        """How many epochs lie behind, and how many steps of the next one."""
        return self.epoch, self.step

    def write(self, path: Path, network: Sequential) -> None:
        """Write it, whole or not at all; ``network`` is what the file is when it is asked."""
        facts = {
            "version": VERSION,
            "options": self.options,
            "recipe": self.recipe,
            "data": self.data,
            "history": self.history.epochs,
            "seconds": self.seconds,
            "step": self.step,
            "means": self.means,
        }
        arrays = {STATE + name: array for name, array in self.now.state.items()}
        if self.step:
            arrays |= {BEGUN + str(i): array for i, array in enumerate(self.begun.weights)}
            arrays |= {BEGUN_STATE + name: array for name, array in self.begun.state.items()}
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

            def under(start: str) -> dict[str, Array]:
                own = [name for name in names if name.startswith(start)]
                return {name.removeprefix(start): archive.array(name) for name in own}

            now = begun = TrainingState(weights, under(STATE))
            if facts["step"]:
                arrays = under(BEGUN)
                begun = TrainingState(
                    [arrays[str(i)] for i in range(len(arrays))], under(BEGUN_STATE)
                )
        if facts["version"] != VERSION:
            raise ValueError(f"version {facts['version']!r}")
        history = {
            str(name): [float(value) for value in values]
            for name, values in facts["history"].items()
        }
        if len({len(values) for values in history.values()}) > 1:
            raise ValueError("a history with columns of different lengths")
        step, means = int(facts["step"]), tuple(float(value) for value in facts["means"])
        if step < 0 or not all(math.isfinite(value) for value in means):
            raise ValueError(f"{step} steps with means of {means}")
        return Checkpoint(
            dict(facts["options"]),
            dict(facts["recipe"]),
            int(facts["data"]),
            History(history),
            float(facts["seconds"]),
            begun,
            now,
            step,
            means,
        )
    except Exception as error:
        # Whatever zipfile, NumPy and JSON raise on damage, as in numpy_impl.files.npz.
        reason = str(error).partition("Received: ")[2] or f"{type(error).__name__}: {error}"
        raise CliError(
            f"{printable(path)}: expected a checkpoint of a training. Received: {reason}"
        ) from error


def checksum(*arrays: Any) -> int:
    """Return a number that tells one data set from another, of arrays or what is on the disk."""
    value = 0
    for array in arrays:
        if hasattr(array, "checksum"):
            value = array.checksum(value)
        else:
            value = zlib.crc32(np.ascontiguousarray(array).data.cast("B"), value)
    return value
