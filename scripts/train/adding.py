"""The user's own labelled pictures, on which the shipped network is trained further.

They lie in a folder with ten folders in it, ``0`` to ``9``, as ``python -m scripts.draw --save``
leaves them. A fifth of each digit's pictures is held out; the others are repeated, and mixed with a
part of MNIST where that is there, so that the network learns a hand without forgetting the others.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from digit_data import datasets
from digit_data.mnist.cache import keras_cache
from numpy_impl import serialization
from numpy_impl.types import Array
from terminal_io import CliError, printable

from .. import samples
from ..model_files import SHIPPED_MODEL
from ..recipes import Recipe
from ..samples import CLASSES, RecipeSamples
from ..whatami.pictures import SUFFIXES, Source

if TYPE_CHECKING:
    from ..whatami.looking import SeenPicture

Generator = np.random.Generator
Trained = Callable[[Array], Array]

# The recipe whose weights come with the project.
NETWORK = "mnist-robust"
# One of so many of a digit's pictures is held out; of fewer pictures none is.
SHARE = 5
# Samples of an epoch: of MNIST, and of one's own pictures, which are repeated up to so many.
FROM_MNIST, OWN = 10_000, 3_000
EPOCHS, LEARNING_RATE = 15, 0.0005
MOST_NAMED = 5


@dataclass(frozen=True)
class AddedSamples(RecipeSamples):
    """A recipe's data, and the sets on which accuracy is shown before and after.

    Attributes:
        shown: Inputs and targets by what they are called.
    """

    shown: dict[str, tuple[Array, Array]] = field(default_factory=dict)


def recipe_with(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe for training on a folder too.

    Raises:
        CliError: Of this network no weights come with the project.
    """
    if recipe.name != NETWORK:
        raise CliError(
            f"--add: expected {NETWORK}, whose weights come with the project. "
            f"Received: {recipe.name}"
        )

    def load(path: Path | None, rng: Generator, dtype: str) -> RecipeSamples:
        return mixed(*own_pictures(folder), path, rng, dtype)

    options = {**recipe.options, "learning_rate": LEARNING_RATE}
    return replace(recipe, load=load, epochs=EPOCHS, options=options)


def start_weights() -> list[Array]:
    """Return the weights that come with the project."""
    return serialization.load(SHIPPED_MODEL).get_weights()


def check_place(place: Path | None) -> None:
    """Refuse to replace the weights that come with the project.

    Raises:
        CliError: They lie there.
    """
    if place is not None and SHIPPED_MODEL.resolve().is_relative_to(place.resolve()):
        raise CliError(
            f"--out: expected another folder than that of the weights that come with the project. "
            f"Received: {printable(place)}"
        )


def own_pictures(folder: Path) -> tuple[Array, Array]:
    """Read a folder of labelled pictures.

    Args:
        folder: Has folders ``0`` to ``9``, or some of them, with pictures.

    Returns:
        Pictures as the network takes them, (N, 28, 28) in 0..1, and labels, (N,).

    Raises:
        CliError: No such folder, or no picture in it that can be used.
    """
    # Late, since it loads OpenCV, which no other training needs from the start.
    from ..whatami.looking import View, look_at_all

    try:
        folder = folder.expanduser()
        found = [(label, path) for label in range(CLASSES) for path in _files(folder / str(label))]
        is_there = folder.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: the home of nobody
        raise CliError(f"--add: expected a folder. Received: {error}") from error
    if not is_there or not found:
        what = "no such folder" if not is_there else "no picture in any"
        raise CliError(
            f"--add: expected a folder with folders 0 to 9 of pictures, as --save of scripts.draw "
            f"makes it. Received: {printable(folder)}, {what}"
        )
    pictures, labels, left_out = [], [], []
    seen = look_at_all([Source(str(path)) for _, path in found], View(28))
    for one, (label, path) in zip(seen, found, strict=True):
        reason = _unusable(one)
        if reason or one.found is None:
            left_out.append(f"{printable(path)}: {reason}")
            continue
        pictures.append(one.found.pictures[0])
        labels.append(label)
    for line in left_out[:MOST_NAMED]:
        print(f"train: left out: {line}", file=sys.stderr)
    if len(left_out) > MOST_NAMED:
        print(f"train: left out: {len(left_out) - MOST_NAMED} more", file=sys.stderr)
    if not pictures:
        raise CliError(
            f"--add: expected pictures of one digit each. Received: {len(left_out)} that cannot be "
            f"used, such as {left_out[0]}"
        )
    return np.stack(pictures), np.array(labels)


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(
            path
            for path in folder.iterdir()
            if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")
        )


def _unusable(seen: "SeenPicture") -> str | None:
    if seen.found is None:
        return seen.error or "nothing found"
    several = seen.found.digits > 1
    return f"expected one digit. Received: {seen.found.digits} of them" if several else None


def held_out(labels: Array, rng: Generator) -> Array:
    """Return which pictures are held out: of each digit one in five, drawn."""
    chosen = np.zeros(len(labels), bool)
    for label in range(CLASSES):
        places = rng.permutation(np.flatnonzero(labels == label))
        chosen[places[: len(places) // SHARE]] = True
    return chosen


def mixed(
    pictures: Array, labels: Array, path: Path | None, rng: Generator, dtype: str
) -> AddedSamples:
    """Return own pictures, repeated, with a part of MNIST.

    Args:
        pictures: (N, 28, 28) in 0..1.
        labels: (N,).
        path: Where MNIST is; None looks for it, and does without rather than download it.
        rng: Draws what is held out, and the part of MNIST.
        dtype: Of the arrays.

    Raises:
        DatasetError: The path is of no MNIST.
    """
    x = pictures.reshape(len(pictures), -1).astype(dtype)
    y = datasets.one_hot(labels, CLASSES, dtype)
    apart = held_out(labels, rng)
    shown = {"your pictures, trained on": (x[~apart], y[~apart])}
    if apart.any():
        shown["your pictures, held out"] = (x[apart], y[apart])
    times = -(-OWN // int((~apart).sum()))
    train = [np.repeat(x[~apart], times, 0)], [np.repeat(y[~apart], times, 0)]
    test = (x[apart], y[apart]) if apart.any() else (x, y)
    valid = test
    if path is not None or os.environ.get("MNIST_PATH") or keras_cache().exists():
        mnist = samples.mnist(path, rng, dtype)
        part = rng.permutation(len(mnist.x_train))[:FROM_MNIST]
        train[0].append(mnist.x_train[part])
        train[1].append(mnist.y_train[part])
        test = mnist.x_test, mnist.y_test
        shown["MNIST's test pictures"] = test
    else:
        print("train: MNIST is not there (--data, MNIST_PATH): on your pictures alone, the network "
              "may forget others", file=sys.stderr)  # fmt: skip
    return AddedSamples(
        np.concatenate(train[0]), np.concatenate(train[1]), *valid, *test, shown=shown
    )


def right(predict: Trained, loaded: RecipeSamples) -> dict[str, tuple[int, int]]:
    """Return of each set that is shown how many are right, of how many."""
    if not isinstance(loaded, AddedSamples):
        return {}
    return {
        name: (int((predict(x).argmax(1) == y.argmax(1)).sum()), len(x))
        for name, (x, y) in loaded.shown.items()
    }


def report(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> None:
    """Print what was right before and is right after."""
    for name, (count, total) in before.items():
        now = after[name][0]
        print(
            f"{name}: before {count / total:.2%} ({count} of {total}), "
            f"after {now / total:.2%} ({now} of {total})"
        )
