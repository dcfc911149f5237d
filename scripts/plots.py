"""Pictures of a training: curves, confusion matrix, sample predictions.

Each function draws on a ``Figure`` of its own, which needs no display and no global state, and
writes PNG whatever the path is called.
"""

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numpy_impl.types import Array

Path = str | PathLike[str]

RIGHT, WRONG = "tab:green", "tab:red"
# Above this share of its row a cell is dark enough for white letters.
_DARK = 0.4


def curves(history: Mapping[str, Sequence[float]], path: Path, title: str = "") -> None:
    """Plot loss and accuracy by epoch, of training and validation.

    Args:
        history: For each metric ("loss", "accuracy", "val_loss", "val_accuracy") one value an
            epoch; others are left out, and so is what is missing.
        path: The PNG file to write.
        title: What was trained.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for name, label in ((metric, "training"), (f"val_{metric}", "validation")):
            values = list(history.get(name, ()))
            if values:
                marker = "." if len(values) <= 50 else ""
                axes.plot(range(1, len(values) + 1), values, marker=marker, label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
        else:
            axes.text(0.5, 0.5, "no whole epoch", ha="center", transform=axes.transAxes)
    figure.suptitle(title)
    figure.savefig(path, format="png", dpi=120)


def confusion(
    matrix: Array, path: Path, title: str = "", predicted: Sequence[str] | None = None
) -> None:
    """Draw a confusion matrix with the counts in its cells.

    A cell's colour is its share of its row, on a square-root scale: on a straight one the few
    errors of a good network could not be seen.

    Args:
        matrix: Counts, shape (classes, columns); a row for each true class, a column for each
            predicted one, and further columns for other answers.
        path: The PNG file to write.
        title: What was tested; the accuracy is added to it.
        predicted: What the columns are called; None: 0, 1, ...
    """
    total, right = int(np.sum(matrix)), int(np.trace(matrix))
    accuracy = f"{right / total:.2%} right ({right:,} of {total:,})" if total else "no samples"
    share = matrix / np.maximum(np.sum(matrix, axis=1, keepdims=True), 1)
    figure = Figure(figsize=(7.5, 6.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    for (row, column), count in np.ndenumerate(matrix):
        colour = "white" if share[row, column] > _DARK else "black" if count else "lightgrey"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set(xlabel="predicted digit", ylabel="true digit", yticks=range(len(matrix)))
    axes.set_xticks(range(matrix.shape[1]), labels=predicted)
    axes.set_title(f"{title}: {accuracy}" if title else accuracy)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true digit")
    bar.set_ticks(
        [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1],
        labels=["0", "1 %", "5 %", "10 %", "25 %", "50 %", "100 %"],
    )
    figure.savefig(path, format="png", dpi=120)


def samples(
    images: Array,
    labels: Array,
    scores: Array | None,
    path: Path,
    columns: int = 8,
    title: str = "",
) -> None:
    """Draw pictures with their true label and, if there are scores, the predicted digit.

    Args:
        images: Pictures, shape (N, height, width) or (N, side * side), N at least 1.
        labels: True digits, shape (N,).
        scores: Outputs of a network for them in 0..1, shape (N, 10); None if none was asked.
        path: The PNG file to write.
        columns: Pictures in a row.
        title: Over the whole figure.

    Raises:
        ValueError: No pictures, or another number of labels or scores than pictures.
    """
    answers = [None] * len(labels) if scores is None else scores
    if not len(images) or not len(images) == len(labels) == len(answers):
        raise ValueError(
            "Expected as many labels and scores as images, at least one. "
            f"Received: {len(images)} images, {len(labels)} labels, {len(answers)} scores"
        )
    rows = -(-len(images) // columns)
    height = 1.9 if scores is not None else 1.75
    figure = Figure(figsize=(1.5 * columns, height * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, label, outputs in zip(grid, images, labels, answers, strict=False):
        _sample(axes, _square(image), int(label), outputs)
    figure.suptitle(title)
    figure.savefig(path, format="png", dpi=120)


def _sample(axes: Axes, image: Array, label: int, outputs: Array | None) -> None:
    """Draw one picture in a frame that says whether the prediction, if any, is right."""
    axes.set_axis_on()
    axes.imshow(image, cmap="gray_r", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    if outputs is None:
        axes.set_title(str(label), fontsize=9)
        return
    predicted = int(np.argmax(outputs))
    colour = RIGHT if predicted == label else WRONG
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)
    verdict = "" if predicted == label else "   wrong"
    text = f"true {label}{verdict}\nsays {predicted} ({outputs[predicted]:.1%})"
    axes.set_title(text, color="black" if predicted == label else WRONG, fontsize=9)


def _square(image: Array) -> Array:
    if image.ndim > 1:
        return image
    side = round(image.size**0.5)
    return image.reshape(side, side)
