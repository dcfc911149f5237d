"""The data that each recipe trains on: inputs and targets, as the networks take them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from digit_data import datasets, on_disk
from numpy_impl.types import Array

Generator = np.random.Generator

CLASSES = 10
BRIGHTEST = 255
# Of MNIST's 60,000 training pictures the last 10,000: D1's pickle is divided 50,000 to 10,000.
D1_SHARE = 6
# 5,000, on which the temperature is fitted (``scripts.calibration``).
ROBUST_SHARE = 12
# One drawn digit for so many of MNIST's: 3,055.
DRAWN_SHARE = 18


@dataclass(frozen=True)
class RecipeSamples:
    """A recipe's data: inputs (N, 64 or 784) and one-hot targets (N, 10), all of one float dtype.

    Attributes:
        x_train: Training inputs. These and their targets are ``numpy_impl.types.Rows`` in place of
            arrays where they stay on the disk (:func:`from_disk`).
        y_train: Training targets.
        x_valid: Inputs evaluated after every epoch; the test set itself where the document sets
            none apart, which is harmless as long as nothing is chosen by it.
        y_valid: Their targets.
        x_test: Test inputs.
        y_test: Test targets.
        scale: An input is ``pixel * scale + offset``, the pixel in 0..1 for 784 inputs and in 0..16
            for 64.
        offset: See ``scale``.
    """

    x_train: Array
    y_train: Array
    x_valid: Array
    y_valid: Array
    x_test: Array
    y_test: Array
    scale: float = 1.0
    offset: float = 0.0


def _digits(
    parts: datasets.Digits, dtype: str, scale: float = 1.0, offset: float = 0.0
) -> RecipeSamples:
    # In the order and dtype of the Rescaling layer that a saved network gets, so that both see the
    # same numbers to the last bit.
    train, test = (
        x.reshape(len(x), -1).astype(dtype) * scale + offset for x in (parts.x_train, parts.x_test)
    )
    y_train, y_test = (datasets.one_hot(y, CLASSES, dtype) for y in (parts.y_train, parts.y_test))
    return RecipeSamples(train, y_train, test, y_test, test, y_test, scale, offset)


def digits_last359(path: Path | None, rng: Generator, dtype: str) -> RecipeSamples:
    return _digits(datasets.load_digits_split("last359"), dtype)


def digits_standardized(path: Path | None, rng: Generator, dtype: str) -> RecipeSamples:
    # Mean and variance of the whole set, the test samples included, and the variance where one
    # would expect its root: both as the document has it.
    pixels = datasets.load_digits()[0]
    mean, variance = float(pixels.mean()), float(pixels.var())
    parts = datasets.load_digits_split("random", rng)
    return _digits(parts, dtype, 1 / variance, -mean / variance)


def mnist(path: Path | None, rng: Generator, dtype: str) -> RecipeSamples:
    # x / 255 for all. D1's own pickle holds x / 256, which nothing in the document depends on.
    parts = datasets.load_mnist(path, notice=_notice)
    train, test = (
        x.reshape(len(x), -1).astype(dtype) / BRIGHTEST for x in (parts.x_train, parts.x_test)
    )
    y_train, y_test = (datasets.one_hot(y, CLASSES, dtype) for y in (parts.y_train, parts.y_test))
    return RecipeSamples(train, y_train, test, y_test, test, y_test)


def hold_out(samples: RecipeSamples, share: int) -> RecipeSamples:
    """Return the same with the last ``1 / share`` of the training part set aside for validation."""
    count = len(samples.x_train) // share
    return replace(
        samples,
        x_train=samples.x_train[:-count],
        y_train=samples.y_train[:-count],
        x_valid=samples.x_train[-count:],
        y_valid=samples.y_train[-count:],
    )


def mnist_without(share: int) -> Callable[[Path | None, Generator, str], RecipeSamples]:
    """Return a loader that holds out the last ``1 / share`` of the training pictures."""

    def load(path: Path | None, rng: Generator, dtype: str) -> RecipeSamples:
        whole = mnist(path, rng, dtype)
        if len(whole.x_train) < share:
            raise datasets.DatasetError(
                f"expected at least {share} training pictures, one of {share} being held out for "
                f"validation. Received: {len(whole.x_train)}"
            )
        return hold_out(whole, share)

    return load


def mnist_and_drawn(path: Path | None, rng: Generator, dtype: str) -> RecipeSamples:
    """Load MNIST, a twelfth of it held out, and add drawn digits of kinds that it lacks."""
    # Late, since it loads OpenCV.
    from digit_data.drawn import drawn_digits

    parts = mnist_without(ROBUST_SHARE)(path, rng, dtype)
    pictures, labels = drawn_digits(len(parts.x_train) // DRAWN_SHARE, rng)
    x = pictures.reshape(len(pictures), -1).astype(dtype)
    y = datasets.one_hot(labels, CLASSES, dtype)
    return replace(
        parts,
        x_train=np.concatenate([parts.x_train, x]),
        y_train=np.concatenate([parts.y_train, y]),
    )


def from_disk(inputs: int) -> Callable[[Path | None, Generator, str], RecipeSamples]:
    """Return a loader of a set that stays on the disk (``digit_data.on_disk``).

    Args:
        inputs: How many the network takes, 64 or 784.
    """

    def load(path: Path | None, rng: Generator, dtype: str) -> RecipeSamples:
        assert path is not None
        train, test = on_disk.load(path.expanduser(), inputs, dtype)
        return RecipeSamples(train.x, train.y, test.x, test.y, test.x, test.y)

    return load


def _notice(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
