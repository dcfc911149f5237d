"""The data sets of the five documents: MNIST from wherever it is, and scikit-learn's 8x8 digits."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from digit_data.mnist.cache import cached_mnist
from digit_data.mnist.checks import DatasetError, Digits
from digit_data.mnist.reader import read_mnist

__all__ = ["DatasetError", "Digits", "load_digits", "load_digits_split", "load_mnist", "one_hot"]

LOGGER = logging.getLogger(__name__)

D0_TEST_SAMPLES = 359


def load_mnist(
    path: str | os.PathLike[str] | None = None,
    *,
    notice: Callable[[str], None] = LOGGER.info,
) -> Digits:
    """Load MNIST: 60,000 training and 10,000 test pictures, or a smaller set of the same make.

    Without a path: the environment variable MNIST_PATH, else Keras's cache, else Keras's download.

    Args:
        path: a file or folder: Keras's .npz, the IDX files, mnist.pkl.gz, OpenML's ARFF file or
            scikit-learn's data_home, each told by its content.
        notice: called with one line before a download begins.

    Returns:
        Pictures (N, 28, 28) uint8, bright ink 255 on dark paper 0, and labels (N,) uint8.

    Raises:
        DatasetError: no MNIST there, or damaged, or no network; one line.

    Reference:
        D1, D3, D4; LeCun, Cortes, Burges, The MNIST database of handwritten digits.
    """
    where = path if path is not None else os.environ.get("MNIST_PATH") or cached_mnist(notice)
    return read_mnist(Path(where).expanduser())


def load_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Load scikit-learn's digits in file order.

    Returns:
        Pictures (1797, 8, 8) float64 with whole values 0..16, bright ink, and labels (1797,) int64.

    Reference:
        D0, D2; E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (UCI), the test
        part.
    """
    # Late, because importing scikit-learn takes about a second.
    from sklearn.datasets import load_digits as load

    bunch: Any = load()
    return bunch.images, bunch.target.astype(np.int64)


def load_digits_split(
    kind: Literal["last359", "random"], seed: int | np.random.Generator | None = None
) -> Digits:
    """Load scikit-learn's digits, split as one of the documents does.

    Args:
        kind: "last359" (D0): the first 1438 in file order train, the last 359 test. "random" (D2):
            a quarter, rounded up to 450, drawn for the test, the other 1347 train.
        seed: for "random" only, where it is required: a seed or a Generator.

    Returns:
        Pictures (N, 8, 8) float64 0..16 and labels (N,) int64.

    Raises:
        DatasetError: another kind, a seed missing, or a seed where nothing is drawn.

    Reference:
        D0 (data), D2 (data).
    """
    if kind not in ("last359", "random"):
        raise DatasetError(f"digits: expected the split 'last359' or 'random', received {kind!r}")
    if (seed is None) == (kind == "random"):
        needs = "a seed" if seed is None else "no seed, since nothing is drawn"
        raise DatasetError(
            f"digits: expected {needs} with the split {kind!r}, received seed={seed!r}"
        )
    images, labels = load_digits()
    if kind == "last359":
        order, test = np.arange(len(images)), D0_TEST_SAMPLES
    else:
        order, test = np.random.default_rng(seed).permutation(len(images)), -(-len(images) // 4)
    train, held_out = order[:-test], order[-test:]
    return Digits(images[train], labels[train], images[held_out], labels[held_out])


def one_hot(labels: ArrayLike, classes: int = 10, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Turn labels into targets: row n is 1 at its label and 0 elsewhere.

    ``y[n, k] = 1 if labels[n] == k else 0``

    Args:
        labels: whole numbers 0..classes-1, shape (N,), any integer dtype.
        classes: number of classes, at least 1.
        dtype: of the result.

    Returns:
        Targets of shape (N, classes).

    Raises:
        DatasetError: labels that are not whole numbers, out of range or not in one row.
    """
    array = np.asarray(labels)
    if array.ndim != 1:
        raise DatasetError(f"one_hot: expected labels of shape (N,), received {array.shape}")
    if array.size and array.dtype.kind not in "ui":
        raise DatasetError(f"one_hot: expected whole numbers, received dtype {array.dtype}")
    if array.size and not 0 <= array.min() <= array.max() < classes:
        raise DatasetError(
            f"one_hot: expected labels 0..{classes - 1}, received {array.min()}..{array.max()}"
        )
    targets = np.zeros((len(array), classes), dtype)
    targets[np.arange(len(array)), array.astype(np.intp)] = 1
    return targets
