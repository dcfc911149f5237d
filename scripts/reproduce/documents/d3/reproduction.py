"""D3: 784-64-10, softmax and cross-entropy, from scratch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl.training import Schedule
from numpy_impl.types import Array
from parity.reports import to_text

from .... import plots
from ....samples import RecipeSamples, hold_out
from ...results import Context, Results, Table, Target
from ...training import Training
from . import pictures, published, tables, training
from .stopping import EarlyStopping, LossRecorder
from .tables import GD, SGD, WHOLE, Ways
from .training import Choice, Trained, normal, one_batch, whole_batches

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

    splits: dict[str, RecipeSamples]
    ways: dict[str, Ways]
    long: dict[str, tuple[Trained, LossRecorder]]
    stopped: Trained
    stopping: EarlyStopping
    tried: list[Choice]
    sound: list[Trained]

    @property
    def true(self) -> Array:
        """The true digits of the intended test part, shape (N,)."""
        return training.labels(self.splits[INTENDED])

    @property
    def confusion(self) -> Array:
        """The confusion matrix of mini-batch SGD, intended split, seed 0."""
        return tables.confusion(self.true, self.ways[INTENDED][SGD][0].predicted)

    @property
    def recorders(self) -> dict[str, LossRecorder]:
        """The losses of the long trainings, by split."""
        return {name: recorder for name, (_, recorder) in self.long.items()}


def reproduce(context: Context) -> Results:
    """Train 784-64-10 by both splits and all of the document's trainings, and by a sound recipe."""
    m = _measure(context)
    _draw(m, context.out)
    target = Target("784-64-10, sound recipe", None, TARGET, [each.right for each in m.sound])
    return Results(_tables(m), [target], _values(m, context))


def beginnings(context: Context) -> dict[str, Callable[[], Training]]:
    """Return the trainings by name, with seed 0."""
    whole = training.intended(context)
    splits = {PUBLISHED: training.published(whole, 0), INTENDED: whole}
    named: dict[str, Callable[[], Training]] = {}
    for split, data in splits.items():
        for way, schedule in _schedules(split).items():
            named[f"{split}, {way}"] = partial(_way, context, data, 0, schedule)
        named[f"{split}, long"] = partial(_long, context, data)
    named["early stopping"] = partial(_long, context, hold_out(splits[PUBLISHED], HELD_OUT))
    for rate in training.TRIED_RATES:
        named[f"rate {rate:g}"] = partial(training.held_out, context, whole, rate)
        # The length and the rate are found by trying; so long they are tried.
        named[f"sound recipe, rate {rate:g}"] = partial(
            training.sound, context, whole, 0, rate, training.TRIED_EPOCHS
        )
    return named


def _measure(context: Context) -> Measured:
    whole = training.intended(context)
    splits = {PUBLISHED: training.published(whole, 0), INTENDED: whole}
    ways = {
        PUBLISHED: _ways(context, PUBLISHED, lambda seed: training.published(whole, seed)),
        INTENDED: _ways(context, INTENDED, lambda seed: whole),
    }
    long = {name: _recorded(context, name, data) for name, data in splits.items()}
    stopped, stopping = _stopped(context, splits[PUBLISHED])
    tried = training.choices(context, whole)
    best = training.best(tried)
    sound = [
        training.train(
            context,
            f"sound recipe, seed {seed}",
            training.sound(context, whole, seed, best.rate, best.epochs),
        )
        for seed in range(context.seeds)
    ]
    return Measured(splits, ways, long, stopped, stopping, tried, sound)


def _draw(m: Measured, out: Path) -> None:
    pictures.descents(m.ways[INTENDED] | {"sound recipe": m.sound}, out / "descent.png")
    pictures.overfitting(m.recorders, out / "overfitting.png")
    pictures.stopping(m.stopped, m.stopping.best_epoch, out / "early-stopping.png")
    plots.confusion(m.confusion, out / "confusion.png", "784-64-10, mini-batch SGD, seed 0")


def _tables(m: Measured) -> dict[str, Table]:
    last = {name: trained for name, (trained, _) in m.long.items()}
    return {
        "accuracy": tables.accuracies(m.ways, last, m.stopped, m.sound),
        "more": tables.more(m.ways),
        "classes": tables.classes(m.true, m.ways[INTENDED]),
        "choice": tables.choice(m.tried),
        "overflow": published.overflow(last[PUBLISHED].network, m.splits[INTENDED].x_test),
        "splits": tables.splits(m.splits),
    }


def _values(m: Measured, context: Context) -> dict[str, Any]:
    best = training.best(m.tried)
    return {
        **tables.long_values(m.recorders),
        **tables.swapped(m.confusion),
        **tables.starts(context, m.splits[INTENDED].x_test),
        **_said_by_parity(context),
        "best_epoch": m.stopping.best_epoch + 1,
        "stopped": m.stopped.epochs,
        "stopped_right": f"{m.stopped.right:.2f}",
        "patience": PATIENCE,
        "tried_epochs": training.TRIED_EPOCHS,
        "rate": best.rate,
        "epochs": best.epochs,
    }


def _schedules(name: str) -> dict[str, Callable[[int, np.random.Generator], Schedule]]:
    """Return the ways to train for 100 epochs.

    Only with the published split are the batches the published ones, too.
    """
    if name == PUBLISHED:
        return {GD: one_batch, SGD: published.clipped_batches, WHOLE: whole_batches}
    return {GD: one_batch, SGD: whole_batches}


def _way(
    context: Context,
    data: RecipeSamples,
    seed: int,
    schedule: Callable[[int, np.random.Generator], Schedule],
) -> Training:
    """Return the training of 100 epochs; all ways start from the same weights for a seed."""
    epochs = context.at_most(EPOCHS, 2)
    return training.set_up(
        context, seed, data, start=normal, schedule=schedule, rate=RATE, epochs=epochs
    )


def _long(context: Context, data: RecipeSamples) -> Training:
    """Return the training of 500 epochs, with seed 0."""
    epochs = context.at_most(LONG_EPOCHS, 3)
    return training.set_up(
        context, 0, data, start=normal, schedule=whole_batches, rate=LONG_RATE, epochs=epochs
    )


def _ways(context: Context, name: str, split: Callable[[int], RecipeSamples]) -> Ways:
    """Train in each way for 100 epochs, with every seed."""
    schedules = _schedules(name)
    ways: Ways = {way: [] for way in schedules}
    for seed in range(context.seeds):
        data = split(seed)
        for way, schedule in schedules.items():
            own = _way(context, data, seed, schedule)
            ways[way].append(training.train(context, f"{name}, {way}, seed {seed}", own))
    return ways


def _recorded(context: Context, name: str, data: RecipeSamples) -> tuple[Trained, LossRecorder]:
    """Train for 500 epochs, with the losses of both parts after every tenth."""
    own = _long(context, data)
    recorder = LossRecorder(own.network(), data, context.at_most(10, 1))
    return training.train(context, f"{name}, long", own, on_epoch=recorder), recorder


def _stopped(context: Context, data: RecipeSamples) -> tuple[Trained, EarlyStopping]:
    """Train the same until the loss of a held-out part of the training pictures stops falling."""
    own = _long(context, hold_out(data, HELD_OUT))
    stopping = EarlyStopping(own.network(), PATIENCE)
    trained = training.train(context, "early stopping", own, validate=True, on_epoch=stopping)
    stopping.restore()
    return training.tested(own.network(), trained.history, own.data), stopping


def _said_by_parity(context: Context) -> dict[str, str]:
    """Return what ``parity.check`` says of the published program."""
    context.status("parity.check")
    keras = not context.quick
    reports = {
        "parity_gradients": published.check_gradients(keras),
        "parity_epoch": published.check_epoch(keras),
    }
    return {name: to_text(report) for name, report in reports.items()}
