"""D1's tables: the gates, and how the trainings went."""

from collections.abc import Sequence

import numpy as np

from numpy_impl.activations import sigmoid

from ...results import Table, spread
from . import gates
from .training import CURED, HALVES, KINDS, LARGE, D1Run

# What the book quotes, its best epoch on the test set.
BOOK = {"784-30-10": 95.42, "784-100-10": 96.59}


def truth() -> Table:
    """Return what one perceptron, the same neuron with a sigmoid, and a half adder say."""
    rows = []
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        z = float(np.array([a, b]) @ gates.NAND.weights + gates.NAND.bias)
        first, second = np.array(a), np.array(b)
        total, carry = gates.half_adder(first, second)
        smooth = float(sigmoid(np.array(z)))
        cells = [a, b, f"{z:g}", gates.nand(first, second), f"{smooth:.2f}", total, carry]
        rows.append([str(cell) for cell in cells])
    columns = ["a", "b", "z = 3 − 2a − 2b", "NAND", "σ(z)", "sum (XOR)", "carry (AND)"]
    return Table("One perceptron as a NAND gate, and a half adder of five", columns, rows)


def accuracy(runs: Sequence[D1Run]) -> Table:
    """Return mean and deviation over the seeds, by three ways to choose the epoch."""
    rows = []
    for kind in KINDS:
        own = [run for run in runs if run.kind == kind]
        rows.append([
            f"{kind}", "" if kind == CURED else f"{BOOK[kind.recipe]}",
            spread([run.best for run in own]), spread([run.chosen for run in own]),
            spread([run.last for run in own]),
        ])  # fmt: skip
    columns = ["network", "book, best", "best on test", "best on validation", "last"]
    seeds = len({run.seed for run in runs})
    return Table(f"Percent of the test set right, {seeds} seeds, by epoch chosen", columns, rows)


def trainings(runs: Sequence[D1Run]) -> Table:
    """Return a row for each training of 784-100-10."""
    rows = [
        [
            run.kind.weights, str(run.seed), f"{run.best:.2f}", f"{run.chosen:.2f}",
            f"{run.last:.2f}", ", ".join(map(str, run.dead)) or "none",
        ]
        for run in runs if run.kind in (LARGE, CURED)
    ]  # fmt: skip
    columns = ["weights", "seed", "best on test", "best on validation", "last", "dead outputs"]
    return Table(f"Each training of {LARGE.recipe}, percent right", columns, rows)


def survey(runs: Sequence[D1Run], epochs: int) -> Table:
    """Return how many trainings lost how many outputs, and what each loss costs."""
    rows = []
    for count in sorted({len(run.dead_after(epochs)) for run in runs}):
        own = [run for run in runs if len(run.dead_after(epochs)) == count]
        seeds = ", ".join(str(run.seed) for run in own)
        right = spread([run.test[epochs - 1] for run in own])
        rows.append([str(count), str(len(own)), seeds, right])
    columns = ["dead outputs", "trainings", "seeds", "percent right"]
    return Table(f"{LARGE}, after {epochs} epochs", columns, rows)


def layers(runs: Sequence[D1Run], epochs: int) -> Table:
    """Return what scaling the weights of one layer alone does."""
    rows = []
    for kind in (LARGE, *HALVES, CURED):
        own = [run for run in runs if run.kind == kind]
        dead = sum(len(run.dead_after(epochs)) for run in own)
        scaled = ["scaled" if layer else "N(0, 1)" for layer in kind.scaled]
        rows.append([*scaled, spread([run.test[epochs - 1] for run in own]), str(dead)])
    columns = ["hidden layer", "output layer", "percent right", "dead outputs, all seeds"]
    seeds = len({run.seed for run in runs})
    return Table(f"{LARGE.recipe} after {epochs} epochs, {seeds} seeds", columns, rows)
