"""One training, from data to saved files: what ``scripts.train`` does once it has its settings."""

import math
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from digit_data.datasets import DatasetError
from numpy_impl.training import History, Schedule
from terminal_io import FAILURE, CliError, Interrupted, Signals, printable

from .. import engines
from ..engines import Array, Logs, Plan
from ..recipes import Recipe, Samples
from ..run_files import FILES, RunFiles, confusion_matrix
from . import progress

METRICS = ("loss", "accuracy", "squared_error")


@dataclass(frozen=True)
class Settings:
    """A recipe with the command line's changes, and what is not the recipe's affair."""

    recipe: Recipe
    engine: str
    seed: int
    dtype: str
    data: Path | None
    out: Path

    @property
    def plan(self) -> Plan:
        """What the engine has to build."""
        return Plan.of(self.recipe, self.dtype)


class Session:
    """One training under way: watches the loss, shows progress, saves after every epoch.

    Args:
        choice: What was asked for.
        samples: The data.
        trainer: The network in its engine.
        files: Where to save.
        signals: Asked after every batch whether to stop.
    """

    def __init__(
        self,
        choice: Settings,
        samples: Samples,
        trainer: engines.Trainer,
        files: RunFiles,
        signals: Signals,
    ) -> None:
        self.choice = choice
        self.samples = samples
        self.trainer = trainer
        self.files = files
        self.signals = signals
        self.history = History()
        self.begun = 0
        self.progress = progress.reporter(choice.recipe.epochs)

    def train(self, schedule: Schedule, rng: np.random.Generator) -> None:
        """Train until the epochs are over, the recipe's stop rule holds or a signal arrives.

        Args:
            schedule: Which samples make up the batches.
            rng: Draws the distortions, if the recipe has any.

        Raises:
            CliError: The loss is no longer finite.
        """

        def begin(epoch: int) -> list[Array]:
            batches = schedule(epoch)
            self.begun = epoch + 1
            self.progress.begin_epoch(epoch, len(batches))
            return batches

        data = self.samples
        with self.progress:
            self.trainer.fit(
                data.x_train, data.y_train, epochs=self.choice.recipe.epochs, schedule=begin,
                validation_data=(data.x_valid, data.y_valid),
                learning_rate=self.choice.recipe.learning_rate,
                augment=self.choice.recipe.augment(rng),
                on_batch=self._on_batch, on_epoch=self._on_epoch,
            )  # fmt: skip

    def _on_batch(self, done: int, logs: Logs) -> None:
        self._check_finite(logs)
        self.progress.batch(done, logs)
        self.signals.check()

    def _on_epoch(self, epoch: int, logs: Logs) -> bool:
        self._check_finite(logs)
        # Keras orders its metrics by the alphabet.
        order = (*METRICS, *(f"val_{name}" for name in METRICS))
        logs = {name: logs[name] for name in order if name in logs}
        self.history.append(logs)
        self.files.checkpoint(self.trainer.network(), self.history)
        self.progress.end_epoch(epoch, logs)
        self.signals.check()
        return self.choice.recipe.is_done(logs, self.samples)

    def _check_finite(self, logs: Mapping[str, float]) -> None:
        bad = next((name for name in ("loss", "val_loss") if not _finite(logs, name)), None)
        if bad is not None:
            rate = self.choice.recipe.options["learning_rate"]
            kept = self.begun - 1
            state = (
                f"{self.files.directory} keeps epoch {kept}" if kept else "nothing of it is saved"
            )
            raise CliError(
                f"epoch {self.begun}: expected a finite {bad}. Received: {logs[bad]}; the learning "
                f"rate, {rate}, is probably too large; {state}",
                FAILURE,
            )


def _finite(logs: Mapping[str, float], name: str) -> bool:
    return math.isfinite(logs.get(name, 0.0))


def train(choice: Settings, signals: Signals) -> int:
    """Train, save and report.

    Args:
        choice: What to train.
        signals: Entered; its first signal ends the training early, and all is saved then too.

    Returns:
        The exit code.

    Raises:
        CliError: The directory, the data or the network cannot be had, or the loss is not finite.
    """
    weights_rng, order_rng, split_rng, picture_rng = np.random.default_rng(choice.seed).spawn(4)
    started = time.monotonic()
    files = RunFiles(choice.out)
    samples = _load(choice, split_rng)
    files.scale, files.offset = samples.scale, samples.offset
    recipe = choice.recipe
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    with ExitStack() as stack:
        trainer = _build(choice, weights_rng, stack)
        session = Session(choice, samples, trainer, files, signals)
        signals.defer()
        try:
            session.train(schedule, picture_rng)
        except Interrupted as stop:
            print(_interruption(stop, session), file=sys.stderr, flush=True)
        _finish(session, round(time.monotonic() - started, 3))
    return 0 if signals.received is None else 128 + signals.received


def _load(choice: Settings, rng: np.random.Generator) -> Samples:
    try:
        return choice.recipe.load(choice.data, rng, choice.dtype)
    except DatasetError as error:
        raise CliError(str(error)) from error


def _build(choice: Settings, rng: np.random.Generator, stack: ExitStack) -> engines.Trainer:
    try:
        return stack.enter_context(engines.trainer(choice.engine, choice.plan, rng))
    except (ValueError, OverflowError) as error:  # for example a layer of 10**30 units
        raise CliError(f"{choice.recipe.name}: {error}") from error


def _interruption(stop: Interrupted, session: Session) -> str:
    whole = len(session.history.epochs.get("loss", ()))
    return f"stopped by {stop} after {whole} whole epochs; saving what was trained"


def _finish(session: Session, seconds: float) -> None:
    """Test the network, save everything and say so."""
    choice, files = session.choice, session.files
    outputs = session.trainer.predict(session.samples.x_test)
    matrix = confusion_matrix(session.samples.y_test, outputs)
    right, total = int(matrix.trace()), int(matrix.sum())
    files.finish(
        session.trainer.network(),
        session.history,
        matrix,
        _summary(session, right / total, total, seconds),
    )
    epochs = len(session.history.epochs.get("loss", ()))
    print(
        f"{choice.recipe.name} ({choice.engine}, {choice.dtype}, seed {choice.seed}): "
        f"{epochs} epochs in {seconds:.1f} s, "
        f"test accuracy {right / total:.2%} ({right} of {total})"
    )
    print(f"saved in {printable(files.directory)}: {', '.join(FILES)}")


def _summary(session: Session, accuracy: float, total: int, seconds: float) -> dict[str, object]:
    choice, recipe = session.choice, session.choice.recipe
    last = {name: values[-1] for name, values in session.history.epochs.items()}
    stopped = session.signals.received
    return {
        "name": recipe.name,
        "document": recipe.document,
        "engine": choice.engine,
        "dtype": choice.dtype,
        "seed": choice.seed,
        "dropout": [layer.rate for layer in session.trainer.network().dropouts],
        "loss": recipe.loss,
        "optimizer": {"name": recipe.optimizer, **recipe.options},
        "learning_rate_decay": recipe.decay,
        "distortions": asdict(recipe.distortions) if recipe.distortions else None,
        "batch_size": recipe.batch_size,
        "epochs_planned": recipe.epochs,
        "epochs_trained": len(session.history.epochs.get("loss", ())),
        "stop_below": recipe.stop_below,
        "interrupted": stopped is not None,
        "data": str(choice.data) if choice.data is not None else None,
        "training_samples": len(session.samples.x_train),
        "test_samples": total,
        "last_epoch": last,
        "test_accuracy": accuracy,
        "seconds": seconds,
    }
