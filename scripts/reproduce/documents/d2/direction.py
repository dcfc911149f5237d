"""Where D2's published update leads: what the check says, and beside which gradients it lies."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

import parity
from numpy_impl import losses, models
from numpy_impl.activations import softmax
from numpy_impl.types import Array
from parity import CheckReport

from .... import recipes
from ...results import Context, Table, spread
from .published import ALL, Mistake, PublishedSteps, candidate
from .training import CROSSENTROPY, NETWORK, QUADRATIC, one_pass

# Passes after which the update is held beside the gradients.
PASSES = (0, 1, 5, 10)
_DIFFERENCE = 1e-5


def check(mistakes: frozenset[Mistake], keras: bool) -> CheckReport:
    """Check the published step, with dropout, making these mistakes."""
    network = models.build(NETWORK, np.random.default_rng(0), dtype="float64")
    return parity.check(lambda: candidate(network, mistakes), NETWORK, keras=keras)


def verdicts(context: Context) -> tuple[Table, CheckReport]:
    """Check the update as published and with its mistakes mended one after another.

    Returns:
        The verdicts, and the whole report on the update as published.
    """
    left, rows, reports = ALL, [], []
    for mended in (None, *Mistake):
        left = left - {mended}
        context.status(f"parity check, {len(left)} mistakes")
        report = check(left, keras=not context.quick)
        named = ", ".join(finding.code for finding in report.findings)
        what = "as published" if mended is None else f"without {mended.value}"
        rows.append([what, report.outcome.value, named])
        reports.append(report)
    columns = ["step", "verdict", "bugs named"]
    title = "What parity.check says, one mistake mended after another"
    return Table(title, columns, rows), reports[0]


def cosines(context: Context) -> Table:
    """Hold the update, summed over the training samples, beside the gradients of two costs.

    Without dropout, along trainings by the published update itself.
    """
    found = [_cosines_of(context.generators(seed), context.quick) for seed in range(context.seeds)]
    rows = []
    for i, passes in enumerate(PASSES[: len(found[0])]):
        each = [[cosine[i][k] for cosine in found] for k in range(2)]
        rows.append([str(passes), *(spread(values, 3) for values in each)])
    return Table(
        "Cosine of the angle between the published update and the gradient of",
        ["passes done", "the squared error", "the cross-entropy"],
        rows,
    )


def _cosines_of(generators: list[np.random.Generator], quick: bool) -> list[tuple[float, float]]:
    weights_rng, _, split_rng, _ = generators
    recipe = recipes.get(NETWORK)
    samples = recipe.load(None, split_rng, "float64")
    if quick:
        samples = replace(samples, x_train=samples.x_train[:50], y_train=samples.y_train[:50])
    network = models.build(NETWORK, weights_rng, dtype="float64", dropout=0.0)
    published = PublishedSteps(network)
    costs = [losses.get(QUADRATIC), losses.get(CROSSENTROPY, fused=True)]
    found = []
    for done in range(PASSES[1 if quick else -1] + 1):
        if done:
            one_pass(published, samples.x_train, samples.y_train, recipe.learning_rate(done))
        if done in PASSES:
            update = _update(published, samples.x_train, samples.y_train)
            network.set_weights(published.kernels)
            first, second = (
                _cosine(
                    update,
                    network.loss_and_gradients(samples.x_train, samples.y_train, cost)[1],
                )
                for cost in costs
            )
            found.append((first, second))
    return found


def _update(published: PublishedSteps, x: Array, y: Array) -> list[Array]:
    """Return what stands for the gradients, summed over samples."""
    total = [np.zeros_like(kernel) for kernel in published.kernels]
    for one, target in zip(x, y, strict=True):
        for sum_, gradient in zip(total, published.gradients(one, target), strict=True):
            sum_ += gradient
    return total


def _cosine(one: list[Array], other: list[Array]) -> float:
    a, b = (np.concatenate([part.ravel() for part in parts]) for parts in (one, other))
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def asymmetry(delta: Callable[[Array], Array], z: Array) -> float:
    """Return how far ``delta`` is from being the gradient of any function, at ``z``.

    ``max |J - J^T| / max |J|`` with ``J_ij = d delta_i / d z_j``, by central differences. The
    Jacobian of a gradient is a Hessian, so for one it is 0 up to rounding.

    Args:
        delta: What is sent back, shape (n,), from the logits, shape (n,).
        z: Logits, float64.
    """
    steps = _DIFFERENCE * np.eye(len(z))
    rows = [(delta(z + step) - delta(z - step)) / (2 * _DIFFERENCE) for step in steps]
    jacobian = np.stack(rows, axis=1)
    return float(np.max(np.abs(jacobian - jacobian.T)) / np.max(np.abs(jacobian)))


def asymmetries() -> dict[str, float]:
    """Return the asymmetry of the published output delta and of two true ones, at random logits."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=10), np.eye(10)[3]
    network = models.build(NETWORK, dtype="float64")
    published, mended = PublishedSteps(network), PublishedSteps(network, ())
    return {
        "published": asymmetry(lambda z: published.output_delta(softmax(z), y), z),
        QUADRATIC: asymmetry(lambda z: mended.output_delta(softmax(z), y), z),
        CROSSENTROPY: asymmetry(lambda z: softmax(z) - y, z),
    }


def factor_bounds(classes: int = 10) -> tuple[float, float]:
    """Return the least and the greatest ``p (1 - p)`` for ``p`` in ``softmax(softmax(z))``.

    Both are met where ``softmax(z)`` is 1 in one place: ``p`` is then e / (e + classes - 1) there
    and 1 / (e + classes - 1) elsewhere, and no ``p`` lies outside of these two.
    """
    least = 1 / (math.e + classes - 1)
    greatest = math.e * least
    return least * (1 - least), greatest * (1 - greatest)
