"""Networks of any layers, and what a training or a check has left in a file for another process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from numpy_impl import serialization
from numpy_impl.functional import one_or_list
from numpy_impl.training import History
from scripts import engines, model_files
from scripts.export.proof import random_inputs
from scripts.train.checkpoint import Checkpoint, TrainingState
from scripts.train.checkpoint import read as read_checkpoint
from terminal_io import CliError
from tests.fuzzing import mutations
from tests.fuzzing.reader import Reader

# Written by Keras 3.15: two inputs, convolutions, recurrent layers, attention, and branches.
BRANCHES = Path(__file__).parent / "samples/branches.keras"
PLAN = engines.TrainingPlan("64-40-10", "categorical_crossentropy", "adam", {}, dropout=0.1)


def _of_keras(folder: Path) -> Sequence[bytes]:
    return [BRANCHES.read_bytes()]


def _of_numpy(folder: Path) -> Sequence[bytes]:
    serialization.save(model_files.read(BRANCHES), folder / "branches.npz")
    return [(folder / "branches.npz").read_bytes()]


def _asked(path: Path) -> None:
    network = model_files.read(path)
    inputs = random_inputs(network, 1, np.random.default_rng(0))
    with np.errstate(all="ignore"):  # as the commands do: what overflows is seen in the outputs
        network.forward(one_or_list(inputs))


def _checkpoints(folder: Path) -> Sequence[bytes]:
    made: list[bytes] = []
    rng = np.random.default_rng(0)
    with engines.trainer("numpy", PLAN, rng) as trainer:
        order = {"order": engines.generator_state(rng)}
        now = TrainingState(trainer.network().get_weights(), trainer.state() | order)
        facts: dict[str, Any] = {"epochs": 3}
        history = History({"loss": [2.3], "accuracy": [0.1]})
        for step, means in ((0, ()), (2, tuple(trainer.means()))):
            whole = Checkpoint(facts, facts, 7, history, 1.5, now, now, step, means)
            whole.write(folder / "checkpoint.npz", trainer.network())
            made.append((folder / "checkpoint.npz").read_bytes())
    return made


def _resumed(path: Path) -> None:
    """Read a checkpoint, and go on from it as ``scripts.train --resume`` does."""
    checkpoint = read_checkpoint(path)
    rng = np.random.default_rng(0)
    with engines.trainer("numpy", PLAN, rng) as trainer:
        state = dict(checkpoint.now.state)
        try:
            engines.restore_generator(rng, state.pop("order", np.array("none")))
            trainer.restore(checkpoint.now.weights, state, checkpoint.means)
        except ValueError as error:
            raise CliError(f"expected a checkpoint of this training. {error}") from error


def _in_facts(data: bytes, rng: Generator) -> bytes:
    """Change the JSON that a checkpoint holds as an array of text."""
    return mutations.in_an_array(data, rng, "training")


_MEMBERS = (mutations.in_a_member,)

READERS = [
    Reader("branches keras", _of_keras, _MEMBERS, _asked, CliError, "model.keras"),
    Reader("branches npz", _of_numpy, _MEMBERS, _asked, CliError, "model.npz"),
    Reader(
        "checkpoint", _checkpoints, (*_MEMBERS, _in_facts), _resumed, CliError, "checkpoint.npz"
    ),
]  # fmt: skip
