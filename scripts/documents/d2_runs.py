"""D2's trainings: by the published update and by true gradients, with dropout and without."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_impl import Sequential, models
from scripts import engines, recipes
from scripts.documents.d2_published import ALL, Mistake, Published
from scripts.recipes import Recipe
from scripts.samples import Samples

Array = NDArray[Any]

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
    """

    update: str
    dropout: bool
    generators: Sequence[np.random.Generator]
    mended: Mistake | None = None
    passes: int = 200
    samples: int | None = None

    @property
    def kind(self) -> tuple[str, bool, Mistake | None]:
        """What it has in common with those of other seeds."""
        return self.update, self.dropout, self.mended


@dataclass(frozen=True)
class Run:
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


def run(job: Job) -> Run:
    """Train once, until the stop rule ends it or ``job.passes`` are over, and test."""
    recipe = replace(recipes.get(NETWORK), dropout=0.5 if job.dropout else 0.0, epochs=job.passes)
    weights_rng, order_rng, split_rng, _ = job.generators
    samples = recipe.load(None, split_rng, "float32")
    samples = replace(
        samples, x_train=samples.x_train[: job.samples], y_train=samples.y_train[: job.samples]
    )
    if job.update == PUBLISHED:
        return _by_published(job, recipe, samples, weights_rng)
    return _by_gradient(job, replace(recipe, loss=job.update), samples, weights_rng, order_rng)


def _by_gradient(
    job: Job,
    recipe: Recipe,
    samples: Samples,
    weights_rng: np.random.Generator,
    order_rng: np.random.Generator,
) -> Run:
    """Train by the project's own engine."""
    errors: list[float] = []
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    with engines.trainer("numpy", engines.Plan.of(recipe), weights_rng) as trainer:
        common = [common_part(trainer.network().weights[-1])]

        def on_epoch(epoch: int, logs: engines.Logs) -> bool:
            errors.append(recipes.stop_error(logs, samples))
            common.append(common_part(trainer.network().weights[-1]))
            return recipe.is_done(logs, samples)

        trainer.fit(
            samples.x_train, samples.y_train, epochs=recipe.epochs, schedule=schedule,
            learning_rate=recipe.learning_rate, on_epoch=on_epoch,
        )  # fmt: skip
        return _tested(job, recipe, samples, trainer.network(), errors, common)


def _by_published(
    job: Job, recipe: Recipe, samples: Samples, weights_rng: np.random.Generator
) -> Run:
    """Train by the document's update, in the order of the samples."""
    errors: list[float] = []
    network = models.build(NETWORK, weights_rng, dropout=recipe.dropout)
    published = Published(network, ALL - {job.mended})
    common = [common_part(published.output_kernel)]
    # Some of the variants overflow; it shows in the error.
    with np.errstate(all="ignore"):
        for each in range(recipe.epochs):
            logs = {"squared_error": one_pass(published, samples, recipe.learning_rate(each))}
            errors.append(recipes.stop_error(logs, samples))
            common.append(common_part(published.output_kernel))
            if recipe.is_done(logs, samples):
                break
    network.set_weights(published.kernels)
    return _tested(job, recipe, samples, network, errors, common)


def one_pass(published: Published, samples: Samples, rate: float) -> float:
    """Learn every training sample once; return the mean squared error that was met on the way."""
    total = 0.0
    for x, y in zip(samples.x_train, samples.y_train, strict=True):
        error = published.learn(x, y, rate) - y
        total += float(error @ error)
    return total / len(samples.x_train)


def _tested(
    job: Job,
    recipe: Recipe,
    samples: Samples,
    network: Sequential,
    errors: list[float],
    common: list[float],
) -> Run:
    outputs = network.predict(samples.x_test)
    digits, labels = read(outputs), np.argmax(samples.y_test, axis=1)
    confusion = np.zeros((11, 11), int)
    np.add.at(confusion, (labels - NO_DIGIT, digits - NO_DIGIT), 1)
    hidden = network.layer_outputs(samples.x_train)[0]
    return Run(
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


def run_all(jobs: Sequence[Job], done: Callable[[int], None], processes: int) -> list[Run]:
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


def _counted(runs: Iterable[Run], done: Callable[[int], None]) -> Iterator[Run]:
    for count, each in enumerate(runs, 1):
        done(count)
        yield each


def _ignore_interrupts() -> None:
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def processors() -> int:
    """Return how many trainings may run side by side."""
    return min(os.cpu_count() or 1, 8)
