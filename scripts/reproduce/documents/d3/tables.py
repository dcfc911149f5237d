"""The tables of D3, and the numbers that its page states in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numpy_impl.types import Array

from ....samples import CLASSES, RecipeSamples
from ...results import Context, Table, spread
from .stopping import LossRecorder
from .training import Choice, Trained, glorot, normal, saturated

GD, SGD = "gradient descent", "mini-batch SGD"
WHOLE = "mini-batch SGD, no sample lost"
# The trainings of every seed, by how they were trained.
Ways = dict[str, list[Trained]]


def accuracies(
    ways: Mapping[str, Ways],
    last: Mapping[str, Trained],
    stopped: Trained,
    sound: Sequence[Trained],
) -> Table:
    """Return what every training reaches on its own test part.

    Args:
        ways: The trainings of 100 epochs, by split.
        last: The long trainings, by split, that of the stopped one first.
        stopped: The one that was stopped early.
        sound: Those by the sound recipe.
    """
    rows = [
        _accuracy(f"{split}, {way}", trained)
        for split, each in ways.items()
        for way, trained in each.items()
    ]
    rows += [_accuracy(f"{split}, rate 0.99", [trained]) for split, trained in last.items()]
    rows.append(_accuracy(f"{next(iter(last))}, rate 0.99, stopped early", [stopped]))
    rows.append(_accuracy("intended split, sound recipe", sound))
    columns = ["training", "trained on", "tested on", "epochs", "seeds", "percent right"]
    return Table("Test accuracy of 784-64-10", columns, rows)


def _accuracy(what: str, trained: Sequence[Trained]) -> list[str]:
    one, right = trained[0], [each.right for each in trained]
    counts = (one.samples, len(one.predicted), one.epochs, len(trained))
    return [what, *(f"{count:,}" for count in counts), spread(right)]


def more(ways: Mapping[str, Ways]) -> Table:
    """Return how many more digits mini-batch SGD gets right than gradient descent."""
    rows = []
    for split, each in ways.items():
        pairs = list(zip(each[GD], each[SGD], strict=True))
        gained = [sgd.correct - gd.correct for gd, sgd in pairs]
        correct = [spread([one[i].correct for one in pairs], 0) for i in (0, 1)]
        rows.append([split, f"{len(pairs[0][0].predicted):,}", *correct, spread(gained, 0)])
    columns = ["split", "test pictures", GD, SGD, "more"]
    return Table("Digits right after 100 epochs", columns, rows)


def classes(true: Array, ways: Ways) -> Table:
    """Return precision, recall and F1 of each digit, seed 0, and their means.

    Args:
        true: The true digits, shape (N,).
        ways: The trainings to compare.
    """
    # Late, because importing scikit-learn takes about a second.
    from sklearn import metrics

    report: Any = metrics.precision_recall_fscore_support
    measures = [
        report(true, ways[way][0].predicted, labels=range(CLASSES), zero_division=0)
        for way in (GD, SGD)
    ]
    support = np.bincount(true, minlength=CLASSES)
    cells = np.concatenate([np.array(each[:3], float) for each in measures]).T
    rows = [
        [str(digit), *(f"{cell:.3f}" for cell in line), f"{support[digit]:,}"]
        for digit, line in enumerate(cells)
    ]
    rows.append(["all, mean", *(f"{cell:.3f}" for cell in cells.mean(axis=0)), f"{len(true):,}"])
    columns = [f"{way}: {m}" for way in ("GD", "SGD") for m in ("precision", "recall", "F1")]
    title = "Classification report, intended split, 100 epochs, seed 0"
    return Table(title, ["digit", *columns, "pictures"], rows)


def choice(tried: Sequence[Choice]) -> Table:
    """Return the learning rates tried for the sound recipe."""
    rows = [[f"{each.rate:g}", str(each.epochs), f"{each.right:.2f}"] for each in tried]
    columns = ["learning rate", "best epoch", "percent right"]
    return Table("Learning rates tried on held-out training pictures, seed 0", columns, rows)


def splits(data: Mapping[str, RecipeSamples]) -> Table:
    """Return how many pictures each split trains and tests on."""
    rows = [
        [name, f"{len(each.x_train):,}", f"{len(each.x_test):,}"] for name, each in data.items()
    ]
    return Table("The splits", ["split", "to train on", "to test"], rows)


def long_values(recorders: Mapping[str, LossRecorder]) -> dict[str, Any]:
    """Return where the validation losses of the long trainings are lowest, and what they end at."""
    values = {}
    for split, r in recorders.items():
        for when, at in (("lowest", r.lowest), ("end", -1)):
            name = f"{split.split()[0]}_{when}"
            values[f"{name}_epoch"] = r.epochs[at]
            values[f"{name}_train_loss"] = f"{r.train[at]:.3f}"
            values[f"{name}_loss"] = f"{r.valid[at]:.3f}"
            values[f"{name}_right"] = f"{100 * r.accuracy[at]:.2f}"
    return values


def starts(context: Context, x: Array) -> dict[str, str]:
    """Return how many hidden units are saturated before training, by how weights are drawn."""
    found = {}
    for name, start in (("normal", normal), ("glorot", glorot)):
        network = start(context.generators(0)[0], context.dtype)
        found[f"saturated_{name}"] = f"{saturated(network, x):.0f}"
    return found


def confusion(true: Array, predicted: Array) -> Array:
    """Count each pair: a row for each true digit, a column for each predicted one."""
    # Late, because importing scikit-learn takes about a second.
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(true, predicted, labels=range(CLASSES))


def swapped(matrix: Array) -> dict[str, int]:
    """Return the most lopsided pair of digits, and what the swapped matrix has in its place.

    Args:
        matrix: Counts, a row for each true digit.
    """
    read, instead = np.unravel_index(np.argmax(matrix - matrix.T), matrix.shape)
    return {
        "swapped_true": int(read),
        "swapped_predicted": int(instead),
        "swapped_count": int(matrix[read, instead]),
        "swapped_instead": int(matrix[instead, read]),
    }
