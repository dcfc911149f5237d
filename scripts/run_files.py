"""What a training leaves in its directory: history, model, plots and a summary."""

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
from terminal_io import atomic, writable_directory, write_text

MODEL_NPZ = "model.npz"
MODEL_KERAS = "model.keras"
HISTORY_CSV = "history.csv"
HISTORY_JSON = "history.json"
CURVES = "curves.png"
CONFUSION = "confusion_matrix.png"
SUMMARY = "summary.json"
FILES = (MODEL_NPZ, MODEL_KERAS, HISTORY_CSV, HISTORY_JSON, CURVES, CONFUSION, SUMMARY)
PACKAGES = ("digits-parity", "numpy", "keras", "tensorflow", "scikit-learn", "matplotlib")


class RunFiles:
    """The directory of one training.

    Args:
        directory: Made if it is not there; files of an earlier training stay until this one has
            something to save, and then go together, so that the files always belong together.
        scale: With ``offset``, what the network's inputs are: ``pixel * scale + offset``. Anything
            but the pixel itself becomes a Rescaling layer in the saved models.
        offset: See ``scale``.

    Raises:
        CliError: Nothing can be written there.
    """

    def __init__(self, directory: Path, scale: float = 1.0, offset: float = 0.0) -> None:
        self.directory = writable_directory(directory, FILES)
        self.scale = scale
        self.offset = offset
        self._first = True

    def checkpoint(self, network: Sequential, history: History) -> None:
        """Save the network and the history so far, each file whole or not at all."""
        if self._first:
            for name in FILES:
                (self.directory / name).unlink(missing_ok=True)
            self._first = False
        serialization.save(self._on_pixels(network), self.directory / MODEL_NPZ)
        write_text(self.directory / HISTORY_CSV, history_csv(history))
        write_text(self.directory / HISTORY_JSON, history_json(history))

    def finish(
        self,
        network: Sequential,
        history: History,
        confusion: Array,
        summary: Mapping[str, object],
    ) -> None:
        """Save everything.

        Args:
            network: The trained network; it is saved for both engines.
            history: Its training.
            confusion: Counts, shape (10, 10): a row for each true digit.
            summary: Goes to ``summary.json``, with the versions of the packages.
        """
        from . import plots  # late: matplotlib

        self.checkpoint(network, history)
        title = str(summary["name"])
        with atomic(self.directory / CURVES) as path:
            plots.curves(history.epochs, path, title)
        with atomic(self.directory / CONFUSION) as path:
            plots.confusion(confusion, path, title)
        save_keras(self._on_pixels(network), self.directory / MODEL_KERAS)
        text = json.dumps({**summary, "versions": versions()}, indent=2)
        write_text(self.directory / SUMMARY, text + "\n")

    def _on_pixels(self, network: Sequential) -> Sequential:
        if (self.scale, self.offset) == (1.0, 0.0):
            return network
        return with_rescaling(network, self.scale, self.offset)


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
    length = len(next(iter(history.epochs.values()), []))
    return json.dumps({"epoch": list(range(1, length + 1)), **history.epochs}, indent=2) + "\n"


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
