"""D0's pictures: ten outputs of an example, the sigmoids' slopes, accuracies of several seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numpy_impl.types import Array

from .reading import TOLERANCE, UNDECIDED, read, read_as_published

DPI = 110
COLOURS = ("tab:red", "tab:orange", "tab:green")
WINNER, OTHER = "tab:blue", "lightgrey"
# Smaller slopes are drawn as this.
LEAST_SLOPE = 1e-10


def examples(
    pictures: Array, labels: Sequence[int], outputs: Mapping[str, Array], path: Path
) -> None:
    """Draw pictures and, beside each, ten bars for every network.

    Args:
        pictures: Shape (N, 8, 8).
        labels: True digits, N of them.
        outputs: For each network's name its outputs, shape (N, 10).
        path: The PNG file to write.
    """
    figure = Figure(figsize=(9, 2.3 * len(pictures) + 0.2), layout="constrained")
    ratios = [0.7, *[1.0] * len(outputs)]
    grid = figure.subplots(len(pictures), 1 + len(outputs), squeeze=False, width_ratios=ratios)
    for row, axes in enumerate(grid):
        axes[0].imshow(pictures[row], cmap="gray_r", interpolation="nearest")
        axes[0].set(xticks=[], yticks=[], title=f"labelled {labels[row]}")
        for (name, several), bars in zip(outputs.items(), axes[1:], strict=True):
            _bars(bars, several[row], name)
    figure.savefig(path, format="png", dpi=DPI)


def _bars(axes: Axes, outputs: Array, name: str) -> None:
    digit = int(read(outputs[None])[0])
    colours = [WINNER if k == digit else OTHER for k in range(len(outputs))]
    bars = axes.bar(range(len(outputs)), outputs, color=colours)
    axes.bar_label(bars, [f"{value:.2f}" for value in outputs], fontsize=7)
    axes.axhline(1 - TOLERANCE, color="grey", linewidth=0.8, linestyle="--")
    said = int(read_as_published(outputs[None])[0])
    verdict = f"undecided, reported as {said}" if digit == UNDECIDED else f"read as {digit}"
    axes.set_title(f"{name}: {verdict}", fontsize=10)
    axes.set(xticks=range(len(outputs)), ylim=(0, 1.12), yticks=[0, 0.5, 1])


def slopes(slopes_of: Mapping[str, Sequence[Array]], path: Path) -> None:
    """Draw how the slopes a (1 - a) of hidden and output units are distributed.

    Args:
        slopes_of: For each way to start, the slopes of the hidden and of the output layer, arrays
            of any shape.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    shares = np.linspace(0, 1, 1001)
    for axes, layer in zip(panels, range(2), strict=True):
        for (name, both), colour in zip(slopes_of.items(), COLOURS, strict=True):
            values = np.maximum(np.quantile(both[layer], shares), LEAST_SLOPE)
            axes.plot(values, 100 * shares, color=colour, label=name)
        axes.set_xscale("log")
        axes.set(xlim=(LEAST_SLOPE, 0.4), xlabel="slope of the sigmoid, a (1 − a)")
        axes.axvline(0.25, color="grey", linewidth=0.8, linestyle="--")
        axes.grid(alpha=0.3)
    panels[0].set(title="40 hidden units, before training", ylabel="percent with a smaller slope")
    panels[1].set(title="10 outputs, before training")
    panels[1].legend(loc="upper left", fontsize=9)
    figure.savefig(path, format="png", dpi=DPI)


def curves(trainings: Mapping[str, Sequence[Sequence[float]]], path: Path) -> None:
    """Draw the test accuracy of several trainings, a panel for each way to train.

    Args:
        trainings: For each way, of each training the accuracies in percent after its epochs. All
            have the same number of updates.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(trainings), sharey=True, squeeze=False)[0]
    ways = zip(panels, trainings.items(), (COLOURS[0], COLOURS[-1]), strict=True)
    for axes, (name, several), colour in ways:
        for accuracies in several:
            done = 100 * (1 + np.arange(len(accuracies))) / len(accuracies)
            axes.plot(done, accuracies, color=colour, linewidth=1, alpha=0.7)
        axes.set(title=f"{name}: {len(several)} trainings", xlabel="percent of the updates")
        axes.set(xlim=(0, 100), ylim=(0, 100))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("percent right of the last 359")
    figure.savefig(path, format="png", dpi=DPI)
