"""What the trainings of a document do in their first steps, and whether they still do it.

The numbers of a page come from trainings of many minutes, which an edit of the code does not
repeat. What an edit must not change is how a training goes. So the first losses of each, in
float64, are kept beside the results, and a test of seconds takes these steps again.

How many digits are compared. A computed dot product of n terms is the exact one of factors that
are changed by at most n units of rounding each, ``n 2^-53`` (N. J. Higham (2002), "Accuracy and
stability of numerical algorithms", section 3.1), in whatever order it is summed. So what rounding
does in ten forward passes with at most 784 inputs, ``10 * 784 * 2^-53 < 2^-40``, is what a change
of all weights by a factor ``1 ± 2^-40`` at the start can do. (A gradient is a sum over at most 1400
samples, but it is multiplied by the learning rate and then a small part of a weight.) That is
measured, three times with random signs: the largest change of a loss up to a step, divided by the
loss, is the rounding at that step. A training that enlarges it is kept only as long as it is below
``MOST``.

The bound leaves room: OpenBLAS's kernels for four kinds of processors, with one thread or two, and
NumPy with and without AVX differ by at most a thousandth of it. Keras stays within it, too.

The pictures are scikit-learn's digits, for 784 inputs enlarged, so that no MNIST is needed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import terminal_io as cli
from digit_data import datasets
from numpy_impl.types import Array

from . import DOCS
from .documents import reproduction
from .results import Context
from .training import Begun, FirstSteps

FILE = "first_steps.json"
STEPS = 10
NUDGE, NUDGES = 2.0**-40, 3
# Of what is kept six digits hold at least.
MOST = 1e-6
TRAINED = 1400

Beginnings = Mapping[str, Callable[[], Begun]]
Kept = dict[str, dict[str, Any]]


@contextmanager
def context() -> Iterator[Context]:
    """Provide what the trainings of a document are given: float64, and pictures in MNIST's form."""
    with TemporaryDirectory() as folder:
        data = Path(folder) / "digits.npz"
        np.savez(data, allow_pickle=False, **_enlarged())
        yield Context(1, data.parent, data, status=_silent, line=_silent, dtype="float64")


def _silent(text: str) -> None:
    del text


def _enlarged() -> dict[str, Array]:
    """Return scikit-learn's digits as pictures of 28x28 bytes, 1400 to train and 397 to test."""
    pictures, labels = datasets.load_digits()
    large = np.kron(pictures, np.ones((3, 3))) * (255 / 16)
    x = np.pad(large, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    y = labels.astype(np.uint8)
    return {
        "x_train": x[:TRAINED],
        "y_train": y[:TRAINED],
        "x_test": x[TRAINED:],
        "y_test": y[TRAINED:],
    }


def measure(begin: Callable[[], Begun], most_steps: int = STEPS) -> dict[str, Any]:
    """Take the first steps of a training, and find out what rounding can do to them.

    Args:
        begin: Sets the training up, each time from the same weights.
        most_steps: How many steps are taken if rounding leaves them.

    Returns:
        "sizes", "values" and "rounding", as they are kept: as many steps as rounding leaves.
    """
    rng = np.random.default_rng(0)
    exact = begin().first_steps(most_steps)
    rounding = np.full(len(exact.values), NUDGE)
    for _ in range(NUDGES):
        begun = begin()
        for weights in begun.weights:
            weights *= 1 + NUDGE * rng.choice((-1.0, 1.0), weights.shape)
        apart = np.subtract(begun.first_steps(most_steps).values, exact.values)
        rounding = np.maximum(rounding, np.abs(apart) / np.maximum(np.abs(exact.values), NUDGE))
    rounding = np.maximum.accumulate(rounding)
    # Also NaN is not below.
    holding = int(np.argmin([*(rounding < MOST), False]))
    if holding < len(rounding):
        return measure(begin, min(holding, most_steps - 1))
    return {
        "sizes": dict(exact.sizes),
        "values": list(map(float, exact.values)),
        "rounding": [float(f"{each:.1e}") for each in rounding],
    }


def differences(name: str, found: FirstSteps, kept: Mapping[str, Any]) -> list[str]:
    """Return in what the first steps of a training differ from those that are kept.

    Args:
        name: What the training is called.
        found: As many steps as are kept.
        kept: What :func:`measure` gave.
    """
    said = [
        f"{name}: {size}: expected {kept['sizes'].get(size)}. Received: {found.sizes.get(size)}"
        for size in sorted(kept["sizes"].keys() | found.sizes.keys())
        if kept["sizes"].get(size) != found.sizes.get(size)
    ]
    if len(found.values) != len(kept["values"]):
        return [*said, f"{name}: expected {len(kept['values'])} values. Received: {found.values}"]
    values = zip(found.values, kept["values"], kept["rounding"], strict=True)
    for step, (value, expected, rounding) in enumerate(values):
        if not abs(value - expected) <= rounding * abs(expected):
            said.append(
                f"{name}: after {step} steps: expected {expected!r}, rounding {rounding:.1e}. "
                f"Received: {value!r}"
            )
            break
    return said


def changes(document: str, begun: Beginnings, kept: Kept) -> list[str]:
    """Return what the trainings of a document do otherwise than is kept; empty if nothing.

    Args:
        document: "d0" to "d4".
        begun: Its trainings by name.
        kept: What :func:`read` gave.
    """
    said = [f"{document}, {name}: not kept" for name in begun.keys() - kept.keys()]
    said += [f"{document}, {name}: no such training" for name in kept.keys() - begun.keys()]
    for name in begun.keys() & kept.keys():
        found = begun[name]().first_steps(len(kept[name]["values"]) - 1)
        said += differences(f"{document}, {name}", found, kept[name])
    return sorted(said)


def read(document: str) -> Kept:
    """Return what is kept of a document's trainings, by their names."""
    return json.loads((DOCS / document / FILE).read_text(encoding="utf-8"))


def write(document: str, folder: Path) -> None:
    """Keep the first steps of a document's trainings in a folder."""
    with context() as given:
        begun: Beginnings = reproduction(document).beginnings(given)
        kept = {name: measure(begin) for name, begin in begun.items()}
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    cli.write_text(folder / FILE, text + "\n")
