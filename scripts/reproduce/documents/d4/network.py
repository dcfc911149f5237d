"""D4's network 784-500-300-10, trained by SGD and by RMSprop, in Keras and in NumPy."""

import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numpy_impl import Sequential

from .... import calibration, engines, recipes
from ....recipes import Array, Recipe
from ....samples import RecipeSamples
from ...results import Context, Results, Table, Target, spread
from ...training import Training

NAME = "784-500-300-10"
# "Should be in the 98 %".
AUTHOR = 98.0
# The document's RMSprop, and the SGD that it imports too; of both the learning rate is Keras's
# default.
RMSPROP, SGD = "rmsprop", "sgd"
SHOWN = {RMSPROP: "RMSprop", SGD: "SGD", "keras": "Keras", "numpy": "NumPy"}
# The one is seen below the other where they are the same.
STYLES: dict[str, dict[str, Any]] = {
    "keras": {"linewidth": 4, "alpha": 0.4},
    "numpy": {"linestyle": "--", "marker": "."},
}
COLOURS = {RMSPROP: "tab:blue", SGD: "tab:orange"}


@dataclass(frozen=True)
class D4Run:
    """One training.

    Attributes:
        optimizer: "sgd" or "rmsprop".
        engine: "keras" or "numpy".
        logs: Of each epoch, "accuracy", "val_loss" (on the test set) and so on.
        scores: The outputs for the test set, (N, 10).
        labels: True digits, (N,).
        network: As trained.
    """

    optimizer: str
    engine: str
    logs: Sequence[engines.Logs]
    scores: Array
    labels: Array
    network: Sequential

    @property
    def accuracy(self) -> float:
        """Percent of the test set that is right after the last epoch."""
        return 100 * float(np.mean(self.scores.argmax(1) == self.labels))

    @property
    def losses(self) -> list[float]:
        """The test loss after each epoch."""
        return [logs["val_loss"] for logs in self.logs]

    @property
    def lowest(self) -> int:
        """The epoch, from 1, after which the test loss is lowest."""
        return int(np.argmin(self.losses)) + 1

    @property
    def score(self) -> float:
        """The mean over the test set of the highest score, in percent."""
        return 100 * float(self.scores.max(1).mean())


def recipe_with(optimizer: str) -> Recipe:
    """Return D4's recipe, or the same with SGD."""
    recipe = recipes.get(NAME)
    if optimizer == recipe.optimizer:
        return recipe
    return replace(recipe, optimizer=optimizer, options={"learning_rate": 0.01})


@contextmanager
def set_up(
    context: Context, samples: RecipeSamples, optimizer: str, engine: str, seed: int
) -> Iterator[Training]:
    """Provide the training that ``scripts.train 784-500-300-10 --seed`` does, in an engine."""
    recipe = recipe_with(optimizer)
    weights_rng, order_rng, *_ = context.generators(seed)
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    plan = engines.TrainingPlan.of(recipe, context.dtype)
    with engines.trainer(engine, plan, weights_rng) as trainer:
        # Keras keeps its weights to itself.
        weights = [trainer.network().parameters] if engine == "numpy" else []
        epochs = context.at_most(recipe.epochs, 1)
        yield Training(
            trainer.network, trainer.predict, weights, trainer.fit, samples, schedule, epochs
        )


def train(
    context: Context, samples: RecipeSamples, optimizer: str, engine: str, seed: int
) -> D4Run:
    """Train once and test after every epoch."""
    logs: list[engines.Logs] = []
    what = f"{SHOWN[optimizer]} in {SHOWN[engine]}, seed {seed}"
    context.status(what)
    started = time.monotonic()
    with set_up(context, samples, optimizer, engine, seed) as training:

        def on_epoch(epoch: int, measured: engines.Logs) -> bool:
            logs.append(measured)
            context.status(f"{what}: epoch {epoch + 1} of {training.epochs}")
            return False

        training.run(validation_data=(samples.x_test, samples.y_test), on_epoch=on_epoch)
        scores, labels = training.predict(samples.x_test), samples.y_test.argmax(1)
        network = training.network().clone()
    run = D4Run(optimizer, engine, logs, scores, labels, network)
    context.line(f"{what}: {run.accuracy:.2f} % right in {time.monotonic() - started:.0f} s")
    return run


def few(samples: RecipeSamples, count: int) -> RecipeSamples:
    """Return the first samples, and the first to test with."""
    return replace(
        samples,
        x_train=samples.x_train[:count],
        y_train=samples.y_train[:count],
        x_test=samples.x_test[:count],
        y_test=samples.y_test[:count],
    )


def begun(context: Context, samples: RecipeSamples, optimizer: str) -> Training:
    """Return the training in NumPy with seed 0."""
    # The NumPy engine holds nothing that would end with the block.
    with set_up(context, samples, optimizer, "numpy", 0) as training:
        return training


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep TensorFlow from warning that each of several new models is traced anew."""
    logger = logging.getLogger("tensorflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def reproduce(context: Context, samples: RecipeSamples) -> tuple[Results, Sequential]:
    """Train with each optimizer and seed in both engines; return what was measured.

    Returns:
        The results, and the network that Keras trained by RMSprop with seed 0.
    """
    if context.quick:
        samples = few(samples, 500)
    with _without_advice():
        runs = [
            train(context, samples, optimizer, engine, seed)
            for optimizer in (RMSPROP, SGD)
            for engine in engines.ENGINES
            for seed in range(context.seeds)
        ]
    _draw(context, runs)
    documents = chosen(runs, RMSPROP, "keras")
    own = [r.accuracy for r in documents]
    lowest = sorted({r.lowest for r in documents})
    values = {
        "runs_at_98": f"{sum(accuracy >= AUTHOR for accuracy in own)} of {len(own)}",
        "sgd_keras": spread([r.accuracy for r in chosen(runs, SGD, "keras")]),
        "rmsprop_keras": spread(own),
        "score": spread([r.score for r in documents]),
        "lowest_loss_epochs": " or ".join(map(str, lowest)),
        **{f"same_{optimizer}": same_labels(runs, optimizer) for optimizer in (SGD, RMSPROP)},
    }
    targets = [
        Target(
            f"{NAME}, RMSprop, {SHOWN[engine]}", AUTHOR, AUTHOR,
            [r.accuracy for r in chosen(runs, RMSPROP, engine)],
        )
        for engine in engines.ENGINES
    ]  # fmt: skip
    tables = {"accuracy": _accuracies(runs), "loss": _losses(runs)}
    return Results(tables, targets, values), documents[0].network


def chosen(runs: Sequence[D4Run], optimizer: str, engine: str) -> list[D4Run]:
    """Return the runs of an optimizer in an engine, seed by seed."""
    return [r for r in runs if (r.optimizer, r.engine) == (optimizer, engine)]


def same_labels(runs: Sequence[D4Run], optimizer: str) -> str:
    """Return on how many of the test pictures the engines agree, for the same seed: mean."""
    same = [
        float(np.sum(a.scores.argmax(1) == b.scores.argmax(1)))
        for a, b in zip(*(chosen(runs, optimizer, e) for e in engines.ENGINES), strict=True)
    ]
    return f"{statistics.fmean(same):,.0f}"


def _groups(runs: Sequence[D4Run]) -> list[tuple[list[str], list[D4Run]]]:
    return [
        ([SHOWN[optimizer], SHOWN[engine]], chosen(runs, optimizer, engine))
        for optimizer in (RMSPROP, SGD)
        for engine in engines.ENGINES
    ]


def _accuracies(runs: Sequence[D4Run]) -> Table:
    rows = []
    for names, group in _groups(runs):
        right = [r.accuracy for r in group]
        training = [100 * r.logs[-1]["accuracy"] for r in group]
        extremes = [f"{min(right):.2f}", f"{max(right):.2f}"]
        rows.append([*names, spread(right), *extremes, spread(training)])
    columns = ["optimizer", "engine", "test", "least", "most", "training"]
    count, epochs = len(runs) // 4, len(runs[0].logs)
    return Table(f"Percent right (epochs: {epochs}, seeds: {count})", columns, rows)


def _losses(runs: Sequence[D4Run]) -> Table:
    rows = []
    for names, group in _groups(runs):
        lowest = [min(r.losses) for r in group]
        epochs = ", ".join(map(str, sorted({r.lowest for r in group})))
        errors = [100 * calibration.expected_calibration_error(r.scores, r.labels) for r in group]
        last, score = spread([r.losses[-1] for r in group], 4), spread([r.score for r in group])
        rows.append([*names, spread(lowest, 4), epochs, last, score, spread(errors)])
    columns = ["optimizer", "engine", "lowest", "in epoch", "last", "score, %", "apart, %"]
    return Table("Test loss, mean of the highest scores, expected calibration error", columns, rows)


def _draw(context: Context, runs: Sequence[D4Run]) -> None:
    """Draw test accuracy and test loss by epoch: lines are means, bands from least to most."""
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    measures = (("val_accuracy", 100, "test, % right"), ("val_loss", 1, "test loss"))
    for axes, (name, unit, measure) in zip(figure.subplots(1, 2), measures, strict=True):
        for names, group in _groups(runs):
            values = unit * np.array([[logs[name] for logs in r.logs] for r in group])
            epochs = np.arange(1, values.shape[1] + 1)
            colour, label = COLOURS[group[0].optimizer], ", ".join(names)
            axes.plot(epochs, values.mean(0), color=colour, label=label, **STYLES[group[0].engine])
            axes.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.15)
        axes.set(xlabel="epoch", ylabel=measure)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.axes[0].axhline(AUTHOR, color="grey", linestyle=":", label=f"the author's {AUTHOR:g} %")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(context.out / "curves.png", format="png", dpi=110)
