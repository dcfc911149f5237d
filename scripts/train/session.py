"""One training, from data to saved files: what ``scripts.train`` does once it has its settings."""

import json
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from digit_data.datasets import DatasetError
from numpy_impl import Sequential
from numpy_impl.training import History, Schedule
from numpy_impl.types import Precision
from terminal_io import FAILURE, CliError, Interrupted, Signals, os_reason, printable

from .. import engines, run_files
from ..engines import Array, Logs, TrainingPlan
from ..recipes import Recipe, RecipeSamples
from ..run_files import FILES, confusion_matrix
from . import adding, divergence, processes, progress
from .checkpoint import Checkpoint, TrainingState, checksum
from .folder import RunFolder
from .processes import Member

METRICS = ("loss", "accuracy", "squared_error")


@dataclass(frozen=True)
class Every:
    """How often a checkpoint is saved: after so many epochs, or seconds if ``seconds``.

    By the clock it is saved in the middle of an epoch, too.
    """

    number: float
    seconds: bool = False


@dataclass(frozen=True)
class Settings:
    """A recipe with the command line's changes, and what is not the recipe's affair.

    Attributes:
        options: The command line's, as a checkpoint keeps them.
        is_added: Whether it goes on from the weights that come with the project (``adding``).
        member: Which of several processes this is; None: there is one.
    """

    recipe: Recipe
    engine: str
    seed: int
    dtype: Precision
    data: Path | None
    every: Every
    options: Mapping[str, Any]
    is_added: bool = False
    member: Member | None = None

    @property
    def saves(self) -> bool:
        """Whether this process saves and shows the training."""
        return self.member is None or self.member.process == 0

    @property
    def plan(self) -> TrainingPlan:
        """What the engine has to build."""
        return TrainingPlan.of(self.recipe, self.dtype)


def describe(recipe: Recipe, dropout: list[float]) -> dict[str, Any]:
    """Return how a network is trained, as the summary says it and a checkpoint compares it."""
    return {
        "dropout": dropout,
        "loss": recipe.loss,
        "optimizer": {"name": recipe.optimizer, **recipe.options},
        "learning_rate_decay": recipe.decay,
        "distortions": asdict(recipe.distortions) if recipe.distortions else None,
        "batch_size": recipe.batch_size,
        "stop_below": recipe.stop_below,
    }


class Session:
    """One training under way: watches the loss, shows progress, saves checkpoints.

    Args:
        choice: What was asked for.
        samples: The data.
        trainer: The network in its engine.
        folder: Where to save; claimed.
        signals: Asked after every batch whether to stop.
        generators: What the "order" of the samples is drawn from, and the distorted "pictures".
        data: The checksum of the training samples.
    """

    def __init__(
        self,
        choice: Settings,
        samples: RecipeSamples,
        trainer: engines.Trainer,
        folder: RunFolder,
        signals: Signals,
        generators: Mapping[str, np.random.Generator],
        data: int,
    ) -> None:
        self.choice = choice
        self.samples = samples
        self.trainer = trainer
        self.folder = folder
        self.signals = signals
        self.generators = generators
        self.history = History()
        self.data = data
        epochs = choice.recipe.epochs
        self.progress = progress.reporter(epochs) if choice.saves else progress.Nothing(epochs)
        self.worst = divergence.worst(choice.recipe.loss, samples.y_train.shape[1])
        rates = [rate for layer in trainer.network().dropouts for rate, _ in layer.drops()]
        self.recipe = describe(choice.recipe, rates)
        self.seconds_before = 0.0
        self.started = self.saved_at = time.monotonic()
        self.saved: tuple[int, int] | None = None
        self.first_step = 0
        self.last = self._whole()

    @property
    def seconds(self) -> float:
        """How long the training has taken, with what it took before it was resumed."""
        return round(self.seconds_before + time.monotonic() - self.started, 3)

    def network(self) -> Sequential:
        """Return the network as it is saved: it takes pixels."""
        samples = self.samples
        return run_files.on_pixels(self.trainer.network(), samples.scale, samples.offset)

    def resume(self, checkpoint: Checkpoint, path: Path) -> None:
        """Go on from a checkpoint that ``path`` holds.

        Raises:
            CliError: It is of another training.
        """
        recipe = self.choice.recipe
        least = checkpoint.epoch + (checkpoint.step > 0)
        if recipe.epochs < least:
            raise CliError(
                f"--epochs: expected {least} or more, so many are trained or begun. "
                f"Received: {recipe.epochs}"
            )
        if recipe.decay != "none" and checkpoint.options["epochs"] != self.choice.options["epochs"]:
            raise CliError(
                "--epochs: expected no other number than before, as the learning rate falls over "
                f"all of them. Received: {recipe.epochs}"
            )
        # As JSON has it: lists for tuples.
        here = {"data": self.data, **jsoned(self.recipe)}
        there = {"data": checkpoint.data, **checkpoint.recipe}
        for name in sorted(here.keys() | there.keys()):
            if here.get(name) != there.get(name):
                what = "other samples" if name == "data" else f"{name} {there.get(name)}"
                now = "" if name == "data" else f"; here it is {here.get(name)}"
                raise CliError(
                    f"{printable(path)}: expected a checkpoint of this training. "
                    f"Received: one with {what}{now}"
                )
        try:
            self._restore(checkpoint)
        except ValueError as error:
            raise CliError(
                f"{printable(path)}: expected a checkpoint of this training. {error}"
            ) from error
        self.seconds_before = checkpoint.seconds
        if path == self.folder.checkpoint:
            self.saved = checkpoint.position

    @property
    def is_done(self) -> bool:
        """Whether the epochs are over, or the recipe's rule has ended them."""
        recipe, epochs = self.choice.recipe, self.history.epochs
        logs = {name: values[-1] for name, values in epochs.items()}
        done = bool(logs) and recipe.is_done(logs, self.samples)
        return done or self.history.length >= recipe.epochs

    def train(self, schedule: Schedule) -> None:
        """Train until the epochs are over, the recipe's stop rule holds or a signal arrives.

        Args:
            schedule: Which samples make up the batches.

        Raises:
            CliError: The loss has run away; the network is then as it was after the last epoch.
            Interrupted: A signal arrived; likewise, but where checkpoints are saved by the clock
                one is saved of the step that was reached.
        """
        self.seen = self.samples.x_train
        self.batches: list[Array] = []
        member = self.choice.member
        watched = nullcontext() if member is None else processes.others_watched(self.kept)
        try:
            with watched, self.progress:
                self._fit(schedule)
        except divergence.Diverged as error:
            raise self._diverged(error) from error
        except DatasetError as error:  # of samples that are read while it trains
            raise CliError(f"{error}; {self.kept()}") from error
        except Interrupted:
            self.trainer.leave()
            self._restore(self.last)
            raise

    def save(self) -> None:
        """Save the training as it was after the last epoch, if not so much of it is saved yet."""
        if not self.choice.saves:
            return
        saved = self.saved if self.folder.checkpoint.exists() else None
        if saved is None or saved < self.last.position:
            self._write(self.last)

    def _write(self, checkpoint: Checkpoint) -> None:
        checkpoint.write(self.folder.checkpoint, self.network())
        self.saved, self.saved_at = checkpoint.position, time.monotonic()

    def _fit(self, schedule: Schedule) -> None:
        data, recipe = self.samples, self.choice.recipe
        distort = recipe.augment(self.generators["pictures"])

        def begin(epoch: int) -> list[Array]:
            self.batches = schedule(epoch)
            if self.choice.member is not None:
                processes.check(self.choice.member.processes, self.batches)
            if self.first_step and self.first_step >= len(self.batches):
                raise CliError(
                    f"{printable(self.folder.latest)}: expected a checkpoint of this training. "
                    f"Received: one after {self.first_step} steps of {len(self.batches)}"
                )
            self.first_step = 0
            self.progress.begin_epoch(epoch, len(self.batches))
            return self.batches

        def augment(epoch: int, x: Array) -> Array:
            assert distort is not None
            self.seen = distort(epoch, x)
            return self.seen

        self.trainer.fit(
            data.x_train, data.y_train, epochs=recipe.epochs,
            initial_epoch=self.history.length, initial_step=self.first_step, schedule=begin,
            validation_data=(data.x_valid, data.y_valid), learning_rate=recipe.learning_rate,
            augment=None if distort is None else augment, on_batch=self._on_batch,
            on_epoch=self._on_epoch,
        )  # fmt: skip

    def _on_batch(self, done: int, logs: Logs) -> None:
        divergence.check(logs)
        with suppress(OSError):
            self.progress.batch(done, logs)
        if done == len(self.batches):
            return  # the epoch is about to be whole
        every = self.choice.every
        is_due = time.monotonic() - self.saved_at >= every.number
        is_wanted = is_due or self.signals.received is not None
        if every.seconds and is_wanted and self.choice.saves:
            within = self._within(done)
            # Else the loss, which is measured before a step, tells of it in the next one.
            if all(np.isfinite(weight).all() for weight in within.now.weights):
                self._write(within)
        self.signals.check()

    def _on_epoch(self, epoch: int, logs: Logs) -> bool:
        divergence.check(logs, self.worst)
        divergence.check_outputs(self.trainer.network(), self.samples.x_valid, self.samples.y_valid)
        # Keras orders its metrics by the alphabet.
        order = (*METRICS, *(f"val_{name}" for name in METRICS))
        logs = {name: logs[name] for name in order if name in logs}
        self.history.append(logs)
        self.last = self._whole()
        every = self.choice.every
        if every.seconds:
            is_due = time.monotonic() - self.saved_at >= every.number
        else:
            is_due = self.last.epoch - (self.saved or (0, 0))[0] >= every.number
        if is_due:
            self.save()
        with suppress(OSError):  # what shows it has gone: a terminal that was closed
            self.progress.end_epoch(epoch, logs)
        self.signals.check()
        return self.is_done

    def _whole(self) -> Checkpoint:
        """Return the training as it is after a whole epoch."""
        states = {name: engines.generator_state(rng) for name, rng in self.generators.items()}
        now = TrainingState(self.trainer.network().get_weights(), self.trainer.state() | states)
        return Checkpoint(
            dict(self.choice.options),
            self.recipe,
            self.data,
            History({name: list(values) for name, values in self.history.epochs.items()}),
            self.seconds,
            now,
            now,
        )

    def _within(self, done: int) -> Checkpoint:
        """Return the training as it is after some steps of an epoch."""
        begun = self.last.begun
        # The order and the pictures of the whole epoch are drawn again.
        states = {name: begun.state[name] for name in self.generators}
        now = TrainingState(self.trainer.network().get_weights(), self.trainer.state() | states)
        means = tuple(self.trainer.means())
        return replace(self.last, seconds=self.seconds, now=now, step=done, means=means)

    def _restore(self, checkpoint: Checkpoint) -> None:
        state, begun = dict(checkpoint.now.state), dict(checkpoint.begun.state)
        for name, rng in self.generators.items():
            begun[name] = state.pop(name, np.array("none"))
            engines.restore_generator(rng, begun[name])
        if checkpoint.step:  # else what the epoch began with would be found wrong only later
            own = {name: array for name, array in begun.items() if name not in self.generators}
            self.trainer.restore(checkpoint.begun.weights, own)
        self.trainer.restore(checkpoint.now.weights, state, checkpoint.means)
        self.first_step = checkpoint.step
        self.history = History({n: list(v) for n, v in checkpoint.history.epochs.items()})
        moment = TrainingState(checkpoint.begun.weights, begun)
        self.last = replace(checkpoint, begun=moment, now=moment, step=0, means=())

    def _diverged(self, error: divergence.Diverged) -> CliError:
        """Return what is said of a divergence, after its epoch was trained again up to there."""
        last, recipe = self.last, self.choice.recipe
        epoch = last.epoch
        self._restore(last)
        began = divergence.origin(
            self.trainer, error.limit, self.seen, self.samples.y_train, self.batches,
            lambda _: recipe.learning_rate(epoch),
        )  # fmt: skip
        self._restore(last)
        if self.choice.saves and self.saved is not None and self.saved > last.position:
            # Saved on the way to what has just been seen.
            self.saved = None
            self.folder.checkpoint.unlink(missing_ok=True)
        if epoch:
            self.save()
        return CliError(
            f"epoch {epoch + 1}, step {began.step} of {len(self.batches)}: {error}; {began.what}; "
            f"the learning rate, {recipe.options['learning_rate']}, is probably too large; "
            f"{self.kept()}",
            FAILURE,
        )

    def kept(self) -> str:
        """Return what is on the disk of this training."""
        if not self.choice.saves:
            return "process 0 has what is saved"
        if not self.saved:
            return "nothing of it is saved"
        epoch, step = self.saved
        what = f"step {step} of epoch {epoch + 1}" if step else f"epoch {epoch}"
        return f"{what} is kept in {printable(self.folder.checkpoint)}"


def jsoned(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as a file of JSON gives them back."""
    return dict(json.loads(json.dumps(facts)))


def train(
    choice: Settings, folder: RunFolder, signals: Signals, checkpoint: Checkpoint | None = None
) -> int:
    """Train, save and report.

    Args:
        choice: What to train.
        folder: Where to; claimed.
        signals: Entered; its first signal ends the training early, and all is saved then too.
        checkpoint: What to go on from; None begins.

    Returns:
        The exit code.

    Raises:
        CliError: The data or the network cannot be had, the checkpoint is of another training, the
            loss ran away, or the disk is full.
    """
    weights_rng, order_rng, split_rng, picture_rng = np.random.default_rng(choice.seed).spawn(4)
    samples = _load(choice, split_rng)
    recipe = choice.recipe
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    generators = {"order": order_rng, "pictures": picture_rng}
    data = checksum(samples.x_train, samples.y_train)
    with ExitStack() as stack:
        trainer = _build(choice, weights_rng, stack, data, checkpoint)
        if choice.is_added:
            trainer.restore(adding.start_weights(), trainer.state())
        before = adding.right(trainer.predict, samples)
        session = Session(choice, samples, trainer, folder, signals, generators, data)
        if checkpoint is not None:
            session.resume(checkpoint, folder.latest)
            if session.is_done and folder.latest != folder.checkpoint:
                if not choice.saves:
                    return 0
                print(f"{printable(folder.place)}: all {session.history.length} epochs are trained")
                return 0
        signals.defer()
        try:
            if _run(session, schedule):
                adding.report(before, adding.right(trainer.predict, samples))
        except OSError as error:  # a full disk, say
            raise CliError(f"{os_reason(error)}; {session.kept()}", FAILURE) from error
    return 0 if signals.received is None else 128 + signals.received


def _run(session: Session, schedule: Schedule) -> bool:
    """Train, and save what came of it; return whether something did."""
    try:
        if not session.is_done:
            session.train(schedule)
    except Interrupted as stop:
        whole = session.history.length
        then = "saving them" if whole else session.kept()
        said = f"stopped by {stop} after {whole} whole epochs; {then}"
        with suppress(OSError):
            print(said, file=sys.stderr, flush=True)
        if not whole:
            return False
    session.trainer.leave()
    if session.choice.saves:
        _finish(session)
    return session.choice.saves


def _load(choice: Settings, rng: np.random.Generator) -> RecipeSamples:
    try:
        return choice.recipe.load(choice.data, rng, choice.dtype)
    except DatasetError as error:
        raise CliError(str(error)) from error


def _build(
    choice: Settings,
    rng: np.random.Generator,
    stack: ExitStack,
    data: int,
    checkpoint: Checkpoint | None,
) -> engines.Trainer:
    group = None
    if choice.member is not None:
        same = processes.fingerprint(choice.options, data, checkpoint)
        group = stack.enter_context(processes.joined(choice.member, same))
    try:
        return stack.enter_context(engines.trainer(choice.engine, choice.plan, rng, group))
    except (ValueError, OverflowError) as error:  # for example a layer of 10**30 units
        raise CliError(f"{choice.recipe.name}: {error}") from error


def _finish(session: Session) -> None:
    """Test the network, save everything, put it in its place and say so."""
    choice, folder = session.choice, session.folder
    outputs = session.trainer.predict(session.samples.x_test)
    matrix = confusion_matrix(session.samples.y_test, outputs)
    right, total = int(matrix.trace()), int(matrix.sum())
    session.save()
    seconds = session.seconds
    summary = _summary(session, right / total, total, seconds)
    run_files.write(folder.work, session.network(), session.history, matrix, summary)
    folder.finish()
    print(
        f"{choice.recipe.name} ({choice.engine}, {choice.dtype}, seed {choice.seed}): "
        f"{session.history.length} epochs in {seconds:.1f} s, "
        f"test accuracy {right / total:.2%} ({right} of {total})"
    )
    print(f"saved in {printable(folder.place)}: {', '.join(FILES)}")


def _summary(session: Session, accuracy: float, total: int, seconds: float) -> dict[str, object]:
    choice, recipe = session.choice, session.choice.recipe
    last = {name: values[-1] for name, values in session.history.epochs.items()}
    backend = None  # the NumPy engine has none
    if choice.engine == "keras":
        from keras_impl import keras  # late: it is loaded for this engine alone

        backend = keras.backend.backend()
    return {
        "name": recipe.name,
        "document": recipe.document,
        "engine": choice.engine,
        "keras_backend": backend,
        "processes": choice.member.processes if choice.member is not None else 1,
        "dtype": choice.dtype,
        "seed": choice.seed,
        **session.recipe,
        "epochs_planned": recipe.epochs,
        "epochs_trained": session.history.length,
        "interrupted": session.signals.received is not None,
        "data": str(choice.data) if choice.data is not None else None,
        "training_samples": len(session.samples.x_train),
        "test_samples": total,
        "last_epoch": last,
        "test_accuracy": accuracy,
        "seconds": seconds,
    }
