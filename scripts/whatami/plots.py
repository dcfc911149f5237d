"""A figure of answers: the picture, what the network saw of it, and a bar for each digit."""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Rectangle

from numpy_impl.types import Array
from terminal_io import atomic, printable

from .answers import LEAST_SCORE, Answer, Number
from .explaining import COVERS, DigitExplanation
from .looking import SeenPicture

MOST_ROWS = 24
LONGEST_TITLE = 60
BOX, BEST, OTHER, DOUBTFUL = "tab:orange", "tab:green", "lightgrey", "tab:grey"

Shown = Sequence[tuple[SeenPicture, Answer | Number]]


def save(path: Path, shown: Shown) -> int:
    """Write the figure as PNG, with a row for each digit: a bar for each score.

    Args:
        path: The file.
        shown: Pictures with their answers; those without an answer are left out.

    Returns:
        How many digits were left out because the figure would be too high.
    """

    def draw(figure: Figure, place: Any, digit: Answer) -> None:
        _bars(figure.add_subplot(place), digit)

    return _save(path, shown, draw, 9)


def save_explained(
    path: Path, shown: Shown, explain: Callable[[Array, Answer], DigitExplanation]
) -> int:
    """Write the figure as PNG, with a row for each digit: which pixels decided.

    Args:
        path: The file.
        shown: As for :func:`save`.
        explain: Explains what was said of a picture that the network was given.

    Returns:
        As :func:`save`.
    """
    explained = iter(
        [
            (picture, explain(picture, digit))
            for seen, answer in shown
            if seen.found is not None and answer.error is None
            for picture, digit in zip(seen.found.pictures, _digits(answer), strict=True)
        ][:MOST_ROWS]
    )

    def draw(figure: Figure, place: Any, digit: Answer) -> None:
        parts = place.subgridspec(1, 2)
        picture, one = next(explained)
        name = "any digit" if one.digit is None else f"{one.digit}"
        side = len(picture)
        _map(
            figure, parts[0], picture, one.occlusion,
            f"{COVERS[side]}x{COVERS[side]} of paper here: score of {name} falls by",
        )  # fmt: skip
        _map(figure, parts[1], picture, one.gradient, f"more ink here: score of {name} rises by")

    return _save(path, shown, draw, 12)


def _map(figure: Figure, place: Any, picture: Array, values: Array, title: str) -> None:
    """Draw values over a picture: red where they are positive, blue where they are negative."""
    axes = figure.add_subplot(place)
    most = float(np.abs(values).max()) or 1.0
    drawn = axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most)
    # The ink's outline, so that one sees where the colours lie.
    if picture.max() > picture.min():
        axes.contour(picture, levels=[picture.max() / 2], colors="black", linewidths=0.8)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, format="%+.3g")
    bar.ax.tick_params(labelsize=7)
    bar.set_label("percentage points", fontsize=7)


def _digits(answer: Answer | Number) -> list[Answer]:
    return answer.digits if isinstance(answer, Number) else [answer]


def _save(
    path: Path, shown: Shown, draw: Callable[[Figure, Any, Answer], None], width: float
) -> int:
    """Write a figure with a row for each digit, of which the last part is drawn by ``draw``."""
    readable = [(seen, answer) for seen, answer in shown if answer.error is None]
    counts = [len(_digits(answer)) for _, answer in readable]
    rows = min(sum(counts), MOST_ROWS)
    figure = Figure(figsize=(width, 2.4 * max(rows, 1) + 0.4))
    figure.set_layout_engine("constrained", h_pad=0.12, w_pad=0.1)
    grid = figure.add_gridspec(max(rows, 1), 3, width_ratios=(1.3, 1, width / 3 - 1.3))
    row = 0
    for (seen, answer), count in zip(readable, counts, strict=True):
        if row < rows:
            _picture(figure, grid, slice(row, min(row + count, rows)), seen, answer, draw)
        row += count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names in a script that the font does not have
        with atomic(path) as partial:
            figure.savefig(partial, format="png", dpi=100)
    return sum(counts) - rows


def _picture(
    figure: Figure,
    grid: GridSpec,
    rows: slice,
    seen: SeenPicture,
    answer: Answer | Number,
    draw: Callable[[Figure, Any, Answer], None],
) -> None:
    """Draw a picture, its digits each in a row of its own."""
    assert seen.found is not None
    _original(figure.add_subplot(grid[rows, 0]), seen, answer)
    digits = _digits(answer)
    for row in range(rows.start, rows.stop):
        place = row - rows.start
        sight = figure.add_subplot(grid[row, 1])
        side = len(seen.found.pictures[place])
        sight.imshow(seen.found.pictures[place], cmap="gray", vmin=0, vmax=16 if side == 8 else 1)
        sight.set(xticks=[], yticks=[])
        sight.set_title(f"what the network saw, {side}x{side}", fontsize=9)
        draw(figure, grid[row, 2], digits[place])


def _original(axes: Axes, seen: SeenPicture, answer: Answer | Number) -> None:
    """Draw a picture with a frame around each digit found."""
    assert seen.found is not None
    assert seen.original is not None
    axes.imshow(seen.original)
    axes.set(xticks=[], yticks=[])
    name = printable(os.path.basename(seen.name) or seen.name)
    if len(name) > LONGEST_TITLE // 2:
        name = f"{name[: LONGEST_TITLE // 2 - 1]}…"
    # Not the file's own dollar signs as formulas.
    axes.set_title(f"{name}\n{_short(answer)}", fontsize=9, parse_math=False)
    height, width = seen.original.shape[:2]
    for place, (left, top, right, bottom) in enumerate(seen.found.boxes, 1):
        corner = left * width - 0.5, top * height - 0.5
        size = (right - left) * width, (bottom - top) * height
        axes.add_patch(Rectangle(corner, *size, fill=False, color=BOX, linewidth=1.5))
        if len(seen.found.boxes) > 1:
            axes.text(*corner, str(place), color=BOX, fontsize=8, va="bottom", clip_on=True)


def _short(answer: Answer | Number) -> str:
    return answer.verdict().split(":")[0].split(";")[0].rstrip(".")


def _bars(axes: Axes, answer: Answer) -> None:
    """Draw a bar for each score, the best one in colour."""
    scores: list[Any] = answer.scores or []
    sure = BEST if answer.digit is not None else DOUBTFUL
    colours = [sure if digit in answer.winners else OTHER for digit in range(len(scores))]
    axes.bar(np.arange(len(scores)), scores, color=colours)
    axes.set(ylim=(0, 108), xticks=range(len(scores)), yticks=[0, LEAST_SCORE, 100], ylabel="score")
    axes.axhline(LEAST_SCORE, color="black", linewidth=0.5, linestyle=":")
    for digit in answer.winners:
        axes.text(digit, scores[digit] + 1, f"{scores[digit]:.1f}", ha="center", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
