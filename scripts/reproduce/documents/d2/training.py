"""D2's trainings: by the published update and by true gradients, with dropout and without."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from numpy_impl import Sequential, models
from numpy_impl.training import Schedule
from numpy_impl.types import Array, Precision

from .... import engines, recipes
from ....recipes import Recipe
from ....samples import RecipeSamples
from ...training import Training
from .published import ALL, Mistake, PublishedSteps

NETWORK = "64-200-10"
PUBLISHED, QUADRATIC, CROSSENTROPY = "published", "quadratic", "categorical_crossentropy"
NO_DIGIT = -1
SATURATED = 0.99


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        update: ``PUBLISHED``, or the name of the loss whose true gradient is descended.
        dropout: Whether it is switched on.
        generators: They draw weights, order, split and distortions (``Context.generators``).
        mended: A mistake of the published update that is not made.
        passes: How many at most.
        samples: How many of the training samples; None: all.
        dtype: What is trained in, "float32" or "float64".
    """

    update: str
    dropout: bool
    generators: Sequence[np.random.Generator]
    mended: Mistake | None = None
    passes: int = 200
    samples: int | None = None
    dtype: Precision = "float32"

    @property
    def kind(self) -> tuple[str, bool, Mistake | None]:
        """What it has in common with those of other seeds."""
        return self.update, self.dropout, self.mended


@dataclass(frozen=True)
class D2Run:
    """What came out of a training.

    Attributes:
        job: The training.
        stopped: Whether the stop rule ended it.
        errors: After each pass what the stop rule looks at.
        common: Before training and after each pass the norm of :func:`common_part`.
        saturated: Share of the hidden activations of all training samples beyond 0.99.
        test_error: Squared error of the test samples, summed over outputs, a sample.
        rounded: Percent of the test samples read as their digit (:func:`read`).
        argmax: Percent of the test samples whose largest output is their digit's.
        confusion: Counts (11, 11): a row for each true digit, a column for each that was read, both
            from -1 on.
    """

    job: Job
    stopped: bool
    errors: list[float]
    common: list[float]
    saturated: float
    test_error: float
    rounded: float
    argmax: float
    confusion: Array


def read(outputs: Array) -> Array:
    """Read digits off rounded outputs, as the document does.

    The digit is c if the rounded outputs are 1 at c and 0 elsewhere; if they are no such vector
    there is no digit, -1. For softmax's outputs, whose sum is 1: c if ``a_c > 1/2``.

    Args:
        outputs: Shape (N, 10), each in 0..1.

    Returns:
        Digits or -1, shape (N,).
    """
    rounded = np.round(outputs)
    single = (np.max(rounded, axis=1) == 1) & (np.sum(rounded, axis=1) == 1)
    return np.where(single, np.argmax(rounded, axis=1), NO_DIGIT)


def common_part(kernel: Array) -> float:
    """Return the norm of the part of an output kernel that all outputs share.

    It is the kernel (200, 10) with each row replaced by its mean. It adds the same number to every
    logit, which softmax does not see, so no gradient of any cost changes it.
    """
    return float(np.linalg.norm(np.mean(kernel, axis=1)) * np.sqrt(kernel.shape[1]))


def recipe_of(job: Job) -> Recipe:
    """Return the project's recipe with what the job has otherwise."""
    dropout = 0.5 if job.dropout else 0.0
    recipe = replace(recipes.get(NETWORK), dropout=dropout, epochs=job.passes)
    return recipe if job.update == PUBLISHED else replace(recipe, loss=job.update)


def set_up(job: Job) -> Training:
    """Return the training, by the published update or by the project's own engine."""
    recipe = recipe_of(job)
    weights_rng, order_rng, split_rng, _ = job.generators
    samples = recipe.load(None, split_rng, job.dtype)
    samples = replace(
        samples, x_train=samples.x_train[: job.samples], y_train=samples.y_train[: job.samples]
    )
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    if job.update == PUBLISHED:
        trainer = _ByHand(
            models.build(NETWORK, weights_rng, dtype=job.dtype, dropout=recipe.dropout),
            ALL - {job.mended},
        )
        weights = trainer.published.kernels
    else:
        # The NumPy engine's holds nothing that would end with the block.
        with engines.trainer(
            "numpy", engines.TrainingPlan.of(recipe, job.dtype), weights_rng
        ) as trainer:
            weights = [trainer.network().parameters]
    fit = partial(trainer.fit, learning_rate=recipe.learning_rate)
    network = trainer.network
    return Training(
        network, lambda x: network().predict(x), weights, fit, samples, schedule, recipe.epochs
    )


class _ByHand:
    """Trains by the document's update, with the arguments that an engine takes."""

    def __init__(self, network: Sequential, mistakes: Collection[Mistake]) -> None:
        self.published = PublishedSteps(network, mistakes)
        self._network = network

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        epochs: int,
        schedule: Schedule,
        learning_rate: Callable[[int], float],
        on_epoch: Callable[[int, engines.Logs], bool | None],
    ) -> None:
        # Some of the variants overflow; it shows in the error.
        with np.errstate(all="ignore"):
            for epoch in range(epochs):
                order = np.concatenate(schedule(epoch))
                error = one_pass(self.published, x[order], y[order], learning_rate(epoch))
                if on_epoch(epoch, {"loss": error / 2, "squared_error": error}):
                    break

    def network(self) -> Sequential:
        """Return the network, its weights as they are now."""
        self._network.set_weights(self.published.kernels)
        return self._network


def run(job: Job) -> D2Run:
    """Train once, until the stop rule ends it or ``job.passes`` are over, and test."""
    recipe, training = recipe_of(job), set_up(job)
    errors: list[float] = []
    common = [common_part(training.network().weights[-1])]

    def on_epoch(epoch: int, logs: engines.Logs) -> bool:
        errors.append(recipes.stop_error(logs, training.data))
        common.append(common_part(training.network().weights[-1]))
        return recipe.is_done(logs, training.data)

    training.run(on_epoch=on_epoch)
    return _tested(job, recipe, training.data, training.network(), errors, common)


def one_pass(published: PublishedSteps, x: Array, y: Array, rate: float) -> float:
    """Learn every sample once; return the mean squared error that was met on the way."""
    total = 0.0
    for one, target in zip(x, y, strict=True):
        error = published.learn(one, target, rate) - target
        total += float(error @ error)
    return total / len(x)


def _tested(
    job: Job,
    recipe: Recipe,
    samples: RecipeSamples,
    network: Sequential,
    errors: list[float],
    common: list[float],
) -> D2Run:
    outputs = network.predict(samples.x_test)
    digits, labels = read(outputs), np.argmax(samples.y_test, axis=1)
    confusion = np.zeros((11, 11), int)
    np.add.at(confusion, (labels - NO_DIGIT, digits - NO_DIGIT), 1)
    hidden = network.layer_outputs(samples.x_train)[0]
    return D2Run(
        job,
        stopped=recipe.stop_below is not None and errors[-1] <= recipe.stop_below,
        errors=errors,
        common=common,
        saturated=float(np.mean(np.abs(hidden) > SATURATED)),
        test_error=float(np.sum((outputs - samples.y_test) ** 2)) / len(outputs),
        rounded=100 * float(np.mean(digits == labels)),
        argmax=100 * float(np.mean(np.argmax(outputs, axis=1) == labels)),
        confusion=confusion,
    )


def run_all(jobs: Sequence[Job], done: Callable[[int], None], processes: int) -> list[D2Run]:
    """Run trainings, several at a time.

    Args:
        jobs: The trainings; with those that take longest first, all processes end together.
        done: Called with the number of those that are over.
        processes: How many processes; 1 is this one.
    """
    if processes == 1:
        return list(_counted(map(run, jobs), done))
    # Not forked: this process has threads, of the terminal's status line and of the BLAS.
    # Unlike an executor, a Pool ends its processes at once if this one is interrupted.
    with multiprocessing.get_context("spawn").Pool(processes, _ignore_interrupts) as pool:
        return list(_counted(pool.imap(run, jobs), done))


def _counted(runs: Iterable[D2Run], done: Callable[[int], None]) -> Iterator[D2Run]:
    for count, each in enumerate(runs, 1):
        done(count)
        yield each


def _ignore_interrupts() -> None:
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def processors() -> int:
    """Return how many trainings may run side by side."""
    return min(os.cpu_count() or 1, 8)
