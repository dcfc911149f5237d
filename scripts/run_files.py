"""What a training leaves in its folder: history, model, plots and a summary."""

import csv
import io
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import numpy as np

from numpy_impl import Sequential, serialization
from numpy_impl.layers import LAYERS, Rescaling
from numpy_impl.training import History
from numpy_impl.types import Array
from terminal_io import atomic, write_text

MODEL_NPZ = "model.npz"
MODEL_KERAS = "model.keras"
HISTORY_CSV = "history.csv"
HISTORY_JSON = "history.json"
CURVES = "curves.png"
CONFUSION = "confusion_matrix.png"
SUMMARY = "summary.json"
RESULTS = (MODEL_NPZ, MODEL_KERAS, HISTORY_CSV, HISTORY_JSON, CURVES, CONFUSION, SUMMARY)
# What a training can go on from, which scripts.train saves while it trains.
CHECKPOINT = "checkpoint.npz"
FILES = (*RESULTS, CHECKPOINT)
PACKAGES = ("digits-parity", "numpy", "keras", "tensorflow", "scikit-learn", "matplotlib")


def write(
    directory: Path,
    network: Sequential,
    history: History,
    confusion: Array,
    summary: Mapping[str, object],
) -> None:
    """Write a training's results, each file whole or not at all.

    Args:
        directory: Where to; it is there.
        network: The trained network, which takes pixels; it is saved for both engines.
        history: Its training.
        confusion: Counts, shape (10, 10): a row for each true digit.
        summary: Goes to ``summary.json``, with the versions of the packages.
    """
    from . import plots  # late: matplotlib

    serialization.save(network, directory / MODEL_NPZ)
    write_text(directory / HISTORY_CSV, history_csv(history))
    write_text(directory / HISTORY_JSON, history_json(history))
    title = str(summary["name"])
    with atomic(directory / CURVES) as path:
        plots.curves(history.epochs, path, title)
    with atomic(directory / CONFUSION) as path:
        plots.confusion(confusion, path, title)
    save_keras(network, directory / MODEL_KERAS)
    text = json.dumps({**summary, "versions": versions()}, indent=2)
    write_text(directory / SUMMARY, text + "\n")


def on_pixels(network: Sequential, scale: float, offset: float) -> Sequential:
    """Return a network that takes pixels, of one whose inputs are ``pixel * scale + offset``."""
    return network if (scale, offset) == (1.0, 0.0) else with_rescaling(network, scale, offset)


def with_rescaling(network: Sequential, scale: float, offset: float) -> Sequential:
    """Return a network that first computes ``x * scale + offset`` and then is ``network``."""
    layers = [LAYERS[type(layer).__name__](**layer.config()) for layer in network.layers]
    extended = Sequential(
        [Rescaling(scale, offset), *layers],
        network.input_shape,
        dtype=network.dtype,
        name=network.name,
    )
    extended.set_weights(network.get_weights())
    return extended


def save_keras(network: Sequential, path: Path) -> None:
    """Save the Keras twin of a network as a ``.keras`` file, in the network's own precision."""
    # Late, because it takes four seconds and the NumPy engine trains without.
    import keras_impl
    from parity import keras_twin

    with keras_impl.precision(network.precision), atomic(path) as partial:
        keras_twin(network).save(partial)


def history_csv(history: History) -> str:
    """Return a history as CSV: a line for each epoch, counted from 1, a column for each metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history.epochs])
    for epoch, values in enumerate(zip(*history.epochs.values(), strict=True), start=1):
        writer.writerow([epoch, *values])
    return text.getvalue()


def history_json(history: History) -> str:
    """Return a history as JSON: the epochs, counted from 1, and for each metric a list."""
    numbers = list(range(1, history.length + 1))
    return json.dumps({"epoch": numbers, **history.epochs}, indent=2) + "\n"


def confusion_matrix(targets: Array, outputs: Array) -> Array:
    """Count true digits (rows) against predicted ones (columns); both arguments are (N, 10)."""
    from sklearn.metrics import confusion_matrix as count  # late: it takes a second

    true, predicted = np.argmax(targets, axis=1), np.argmax(outputs, axis=1)
    return np.asarray(count(true, predicted, labels=np.arange(targets.shape[1])))


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages a result depends on."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found
