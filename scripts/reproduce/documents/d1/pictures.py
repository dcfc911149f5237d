"""D1's pictures: the smooth step, the NAND unit's plane, curves, and outputs that die."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numpy_impl.activations import sigmoid
from numpy_impl.perceptron import Perceptron
from numpy_impl.types import Array

from .tables import BOOK
from .training import KINDS, D1Run, Kind, Trace

DPI = 100
DEAD, ALIVE = "tab:red", "tab:blue"
ZERO, ONE = "#dbe7f3", "#fbe3c8"


def perceptron(unit: Perceptron, path: Path) -> None:
    """Draw the sigmoid as a smooth step, and a unit of two inputs as perceptron and as sigmoid.

    Args:
        unit: The perceptron; its weights and bias are the sigmoid neuron's too.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(11, 3.7), layout="constrained")
    steps, hard, soft = figure.subplots(1, 3)
    _steps(steps)
    grid = np.linspace(-0.5, 1.5, 201)
    x = np.stack(np.meshgrid(grid, grid), axis=-1)
    hard.pcolormesh(grid, grid, unit.predict(x), cmap=ListedColormap([ZERO, ONE]), rasterized=True)
    hard.set_title("perceptron: 1 where 3 − 2x₁ − 2x₂ > 0", fontsize=10)
    drawn = soft.pcolormesh(
        grid, grid, sigmoid(x @ unit.weights + unit.bias), cmap="cividis", rasterized=True,
        vmin=0, vmax=1,
    )  # fmt: skip
    soft.set_title("sigmoid neuron: σ(3 − 2x₁ − 2x₂)", fontsize=10)
    figure.colorbar(drawn, ax=soft, label="output")
    for axes in (hard, soft):
        _corners(axes, unit, axes is soft)
    figure.savefig(path, format="png", dpi=DPI)


def _steps(axes: Axes) -> None:
    """Draw the step and sigmoids whose weights and bias grow."""
    z = np.linspace(-6, 6, 601)
    for factor, colour in ((1, "#9ecae1"), (3, "#4292c6"), (10, "#08519c")):
        axes.plot(
            z, sigmoid(factor * z), color=colour, label=f"σ({factor}z)" if factor > 1 else "σ(z)"
        )
    axes.step([-6, 0, 6], [0, 0, 1], where="pre", color="black", ls="--", lw=1, label="perceptron")
    axes.set(xlabel="z = w · x + b", ylabel="output")
    axes.set_title("the step, and the sigmoid as a smooth one", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=9)


def _corners(axes: Axes, unit: Perceptron, smooth: bool) -> None:
    """Mark the four inputs of a gate with the unit's output."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    outputs = sigmoid(corners @ unit.weights + unit.bias) if smooth else unit.predict(corners)
    for (x1, x2), output in zip(corners, outputs, strict=True):
        axes.plot(x1, x2, "o", color="black", ms=7, mfc="white")
        text = f"{output:.2f}" if smooth else f"{output}"
        box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8}
        axes.annotate(text, (x1, x2), (0, 9), textcoords="offset points", ha="center", bbox=box)
    axes.axline(
        (0, -unit.bias / unit.weights[1]), (-unit.bias / unit.weights[0], 0),
        color="black" if not smooth else "white", lw=1.2,
    )  # fmt: skip
    axes.set(xlabel="x₁", ylabel="x₂", xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), aspect="equal")
    axes.set(xticks=[0, 1], yticks=[0, 1])


def curves(runs: Sequence[D1Run], path: Path) -> None:
    """Draw the test accuracy of every training by epoch, a panel for each kind of network."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(KINDS), sharey=True), KINDS, strict=True):
        for run in (r for r in runs if r.kind == kind):
            dead = len(run.dead)
            label = f"seed {run.seed}" + (f", {dead} dead" if dead else "")
            axes.plot(range(len(run.test)), run.test, label=label)
        book = BOOK[kind.recipe]
        axes.axhline(book, color="black", ls=":", lw=1, label=f"the book's best, {book}")
        axes.set_title(f"{kind.recipe}\nweights {kind.weights}", fontsize=10)
        axes.set(xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=9)
    figure.axes[0].set_ylabel("test pictures right, percent")
    figure.savefig(path, format="png", dpi=DPI)


def outputs(pair: Sequence[D1Run], path: Path) -> None:
    """Draw the mean of every output for every true digit, the trainings side by side."""
    figure = Figure(figsize=(10, 4.9), layout="constrained")
    grid = figure.subplots(1, len(pair))
    drawn = None
    for axes, run in zip(grid, pair, strict=True):
        drawn = axes.imshow(run.means, cmap="Blues", vmin=0, vmax=1)
        for (digit, output), mean in np.ndenumerate(run.means):
            if mean >= 0.005:
                colour = "white" if mean > 0.5 else "black"
                text = f"{mean:.2f}".lstrip("0")
                axes.text(output, digit, text, ha="center", va="center", color=colour, fontsize=8)
        axes.set(xlabel="output", ylabel="true digit", xticks=range(10), yticks=range(10))
        for output in run.dead:
            axes.get_xticklabels()[output].set(color=DEAD, fontweight="bold")
            axes.axvspan(output - 0.5, output + 0.5, fill=False, ec=DEAD, lw=1.5)
        axes.set_title(f"{_title(run.kind, run.seed)}\n{run.last:.2f} % right", fontsize=10)
    if drawn is not None:
        figure.colorbar(drawn, ax=grid, shrink=0.8, label="mean output on the test set")
    figure.savefig(path, format="png", dpi=DPI)


def _title(kind: Kind, seed: int) -> str:
    return f"{kind.recipe}, weights {kind.weights}, seed {seed}"


def dying(traces: Sequence[Trace], path: Path) -> None:
    """Draw how far from its own digit's "yes" each output moves within the first epoch.

    Args:
        traces: The first epochs of trainings, side by side.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    grid = figure.subplots(1, len(traces), sharey=True)
    for axes, trace in zip(grid, traces, strict=True):
        end = trace.steps[-1]
        for output, z in enumerate(trace.z.T):
            axes.plot(trace.steps, z, color=DEAD if output in trace.dead else ALIVE, lw=1.2)
        places = _apart(trace.z[-1, trace.dead], 1.5)
        for output, place in zip(trace.dead, places, strict=True):
            axes.text(end * 1.15, place, str(output), va="center", color=DEAD, fontsize=9)
        axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel="steps of 10 pictures in the first epoch", xlim=(0, end * 1.7))
        frozen = ",\nhidden layer kept as it starts" if trace.frozen else ""
        axes.set_title(f"weights {trace.kind.weights}{frozen}", fontsize=10)
        axes.set_yticks(range(-20, 11, 5))
        axes.grid(alpha=0.4, axis="y")
    grid[0].set_ylabel("mean z of each output on its own digit")
    title = f"784-100-10, seed {traces[0].seed}; red: dead at the end of the epoch"
    figure.suptitle(title, fontsize=11)
    _slopes(grid[-1])
    figure.savefig(path, format="png", dpi=88)


def _slopes(axes: Axes) -> None:
    """Say at the right of the axes how much of an error each z lets through."""
    beside = axes.secondary_yaxis("right")
    levels = np.arange(-20.0, 1.0, 5.0)
    slopes = sigmoid(levels) * sigmoid(-levels)
    parts = (f"{slope:.1e}".split("e") for slope in slopes)
    texts = [rf"${digits} \cdot 10^{{{int(power)}}}$" for digits, power in parts]
    beside.set_yticks(levels, labels=texts, fontsize=9)
    beside.set_ylabel("σ′(z), the factor on the error")


def _apart(values: Array, gap: float) -> Array:
    """Return places for labels at ``values`` or as little above as keeps them ``gap`` apart."""
    places = np.array(values)
    order = np.argsort(values)
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + gap)
    return places
