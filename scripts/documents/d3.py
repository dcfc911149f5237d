"""D3: 784-64-10, softmax and cross-entropy, from scratch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl import training
from numpy_impl.training import Schedule
from numpy_impl.types import Array
from parity.reports import to_text
from scripts import plots
from scripts.documents import d3_pictures, d3_published, d3_sound, d3_tables
from scripts.documents import d3_training as d3
from scripts.documents.d3_sound import Choice
from scripts.documents.d3_stopping import EarlyStopping, Recorder
from scripts.documents.d3_tables import GD, SGD, WHOLE, Ways
from scripts.documents.d3_training import Trained
from scripts.documents.results import Context, Results, Table, Target
from scripts.samples import Samples, hold_out

EPOCHS, RATE = 100, 0.1
LONG_EPOCHS, LONG_RATE = 500, 0.99
# Early stopping is judged by the last fifth of the training pictures.
HELD_OUT, PATIENCE = 5, 20
TARGET = 97.0

PUBLISHED, INTENDED = "published split", "intended split"


@dataclass(frozen=True)
class Measured:
    """All trainings.

    Attributes:
        splits: The data by split; the published one with seed 0.
        ways: Those of 100 epochs, by split.
        long: Those of 500, by split, with the losses on the way.
        stopped: The one that was stopped early, with the weights of its best epoch.
        stopping: What stopped it.
        tried: The rates tried for the sound recipe.
        sound: Those by the sound recipe.
    """

    splits: dict[str, Samples]
    ways: dict[str, Ways]
    long: dict[str, tuple[Trained, Recorder]]
    stopped: Trained
    stopping: EarlyStopping
    tried: list[Choice]
    sound: list[Trained]

    @property
    def true(self) -> Array:
        """The true digits of the intended test part, shape (N,)."""
        return d3.labels(self.splits[INTENDED])

    @property
    def confusion(self) -> Array:
        """The confusion matrix of mini-batch SGD, intended split, seed 0."""
        return d3_tables.confusion(self.true, self.ways[INTENDED][SGD][0].predicted)

    @property
    def recorders(self) -> dict[str, Recorder]:
        """The losses of the long trainings, by split."""
        return {name: recorder for name, (_, recorder) in self.long.items()}


def reproduce(context: Context) -> Results:
    """Train 784-64-10 by both splits and all of the document's trainings, and by a sound recipe."""
    m = _measure(context)
    _draw(m, context.out)
    target = Target("784-64-10, sound recipe", None, TARGET, [each.right for each in m.sound])
    return Results(_tables(m), [target], _values(m, context))


def _measure(context: Context) -> Measured:
    whole = d3.intended(context)
    splits = {PUBLISHED: d3.published(whole, 0), INTENDED: whole}
    ways = {
        PUBLISHED: _ways(context, PUBLISHED, lambda seed: d3.published(whole, seed)),
        INTENDED: _ways(context, INTENDED, lambda seed: whole),
    }
    long = {name: _long(context, name, data) for name, data in splits.items()}
    stopped, stopping = _stopped(context, splits[PUBLISHED])
    tried = d3_sound.choices(context, whole)
    best = d3_sound.best(tried)
    sound = [d3_sound.train_one(context, whole, seed, best) for seed in range(context.seeds)]
    return Measured(splits, ways, long, stopped, stopping, tried, sound)


def _draw(m: Measured, out: Path) -> None:
    d3_pictures.descents(m.ways[INTENDED] | {"sound recipe": m.sound}, out / "descent.png")
    d3_pictures.overfitting(m.recorders, out / "overfitting.png")
    d3_pictures.stopping(m.stopped, m.stopping.best_epoch, out / "early-stopping.png")
    plots.confusion(m.confusion, out / "confusion.png", "784-64-10, mini-batch SGD, seed 0")


def _tables(m: Measured) -> dict[str, Table]:
    last = {name: trained for name, (trained, _) in m.long.items()}
    return {
        "accuracy": d3_tables.accuracies(m.ways, last, m.stopped, m.sound),
        "more": d3_tables.more(m.ways),
        "classes": d3_tables.classes(m.true, m.ways[INTENDED]),
        "choice": d3_tables.choice(m.tried),
        "overflow": d3_published.overflow(last[PUBLISHED].network, m.splits[INTENDED].x_test),
        "splits": d3_tables.splits(m.splits),
    }


def _values(m: Measured, context: Context) -> dict[str, Any]:
    best = d3_sound.best(m.tried)
    return {
        **d3_tables.long_values(m.recorders),
        **d3_tables.swapped(m.confusion),
        **d3_tables.starts(context, m.splits[INTENDED].x_test),
        **_said_by_parity(context),
        "best_epoch": m.stopping.best_epoch + 1,
        "stopped": m.stopped.epochs,
        "stopped_right": f"{m.stopped.right:.2f}",
        "patience": PATIENCE,
        "tried_epochs": d3_sound.EPOCHS,
        "rate": best.rate,
        "epochs": best.epochs,
    }


def _ways(context: Context, name: str, split: Callable[[int], Samples]) -> Ways:
    """Train in each way for 100 epochs, all ways from the same weights for a seed.

    Only with the published split are the batches the published ones, too.
    """
    schedules = {GD: _one_batch, SGD: d3.whole_batches}
    if name == PUBLISHED:
        schedules = {GD: _one_batch, SGD: d3_published.clipped_batches, WHOLE: d3.whole_batches}
    ways: Ways = {way: [] for way in schedules}
    for seed in range(context.seeds):
        data = split(seed)
        for way, schedule in schedules.items():
            network, order = d3.build(context, seed)
            trained = d3.train(
                context, f"{name}, {way}, seed {seed}", network, data, rate=RATE,
                epochs=context.at_most(EPOCHS, 2), schedule=schedule(len(data.x_train), order),
            )  # fmt: skip
            ways[way].append(trained)
    return ways


def _one_batch(samples: int, rng: np.random.Generator) -> Schedule:
    # The order within a batch of all samples changes nothing but the rounding.
    return training.in_order(samples, samples)


def _long(context: Context, name: str, data: Samples) -> tuple[Trained, Recorder]:
    """Train with seed 0 for 500 epochs, with the losses of both parts after every tenth."""
    network, order = d3.build(context, 0)
    recorder = Recorder(network, data, context.at_most(10, 1))
    trained = d3.train(
        context, f"{name}, long", network, data, rate=LONG_RATE,
        epochs=context.at_most(LONG_EPOCHS, 3), on_epoch=recorder,
        schedule=d3.whole_batches(len(data.x_train), order),
    )  # fmt: skip
    return trained, recorder


def _stopped(context: Context, data: Samples) -> tuple[Trained, EarlyStopping]:
    """Train the same until the loss of a held-out part of the training pictures stops falling."""
    data = hold_out(data, HELD_OUT)
    network, order = d3.build(context, 0)
    stopping = EarlyStopping(network, PATIENCE)
    trained = d3.train(
        context, "early stopping", network, data, rate=LONG_RATE, validate=True,
        epochs=context.at_most(LONG_EPOCHS, 3), on_epoch=stopping,
        schedule=d3.whole_batches(len(data.x_train), order),
    )  # fmt: skip
    stopping.restore()
    return d3.tested(network, trained.history, data), stopping


def _said_by_parity(context: Context) -> dict[str, str]:
    """Return what ``parity.check`` says of the published program."""
    context.status("parity.check")
    keras = not context.quick
    reports = {
        "parity_gradients": d3_published.check_gradients(keras),
        "parity_epoch": d3_published.check_epoch(keras),
    }
    return {name: to_text(report) for name, report in reports.items()}
