"""D2's pictures: confusion matrices with "no digit", errors by pass, and what drifts."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from PIL import Image

from numpy_impl.types import Array

from .training import NO_DIGIT, D2Run

DPI = 110
COLOURS_KEPT = 64
COLOURS = ("tab:red", "tab:blue", "tab:green", "tab:orange")
# Above this share of its row a cell is dark enough for white letters.
_DARK = 0.4


def confusions(matrices: Mapping[str, Array], path: Path) -> None:
    """Draw heat maps of confusion matrices side by side, colours on a square-root scale.

    Args:
        matrices: By title; counts of shape (11, 11), a row for each true digit and a column for
            each that was read, both from -1 on.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(5.4 * len(matrices), 5.4), layout="constrained")
    names = [str(digit) for digit in range(NO_DIGIT, 10)]
    for axes, (title, matrix) in zip(
        figure.subplots(1, len(matrices)), matrices.items(), strict=True
    ):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if share[row, column] > _DARK else "black" if count else "lightgrey"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
        ticks = range(len(names))
        axes.set_xticks(ticks, labels=names)
        axes.set_yticks(ticks, labels=names)
        axes.set(xlabel="digit read (-1: none selected)", ylabel="true digit")
        right, total = int(np.trace(matrix)), int(matrix.sum())
        axes.set_title(f"{title}\n{right} of {total} right", fontsize=10)
    _save(figure, path)


def errors(
    panels: Mapping[str, Mapping[str, Sequence[D2Run]]],
    stop_below: float,
    author: tuple[int, float],
    path: Path,
) -> None:
    """Draw the training error by pass, a thin line for each seed.

    Args:
        panels: Trainings by panel (the first has the author's point) and name.
        stop_below: Where the stop rule ends a training.
        author: Pass and error at which the author's training stopped.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, groups) in zip(grid, panels.items(), strict=True):
        for (name, runs), colour in zip(groups.items(), COLOURS, strict=False):
            _lines(axes, [(range(1, len(r.errors) + 1), r.errors) for r in runs], name, colour)
        axes.axhline(stop_below, color="black", linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set(title=title, xlabel="pass over the training samples")
        axes.grid(alpha=0.3)
    grid[0].set_ylabel("squared error / size of the whole set")
    grid[0].plot(*author, "*", color="black", markersize=11, label="where the author's stopped")
    for axes in grid:
        axes.legend(fontsize=9)
    _save(figure, path)


def drift(groups: Mapping[str, Sequence[D2Run]], path: Path) -> None:
    """Draw the norm of what all columns of the output kernel share, by pass.

    Args:
        groups: Trainings by name.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for (name, runs), colour in zip(groups.items(), COLOURS, strict=False):
        _lines(axes, [(range(len(r.common)), r.common) for r in runs], name, colour)
    axes.set_yscale("log")
    axes.set(xlabel="passes done", ylabel="norm of the shared part of W")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """Write a PNG file of few colours, a third as large: many thin lines have many shades."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    with Image.open(drawn) as picture:
        reduced = picture.convert("RGB").quantize(COLOURS_KEPT, dither=Image.Dither.NONE)
        reduced.save(path, format="png", optimize=True)


def _lines(
    axes: Axes, lines: Sequence[tuple[Sequence[int], Sequence[float]]], name: str, colour: str
) -> None:
    """Draw lines of one colour with one entry in the legend, and a dot where each ends."""
    for i, (x, y) in enumerate(lines):
        label = name if i == 0 else None
        axes.plot(x, y, color=colour, linewidth=0.9, alpha=0.7, label=label)
        axes.plot(x[-1], y[-1], ".", color=colour, markersize=5)
