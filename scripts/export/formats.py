"""Formats of others: ONNX and LiteRT by Keras's exporters, run by the runtimes they are for.

And ``.keras`` and ``.npz``, for networks that come from elsewhere: read again, and run likewise.

An exporter translates every operation into another library's, so it can be wrong, or write what the
runtime refuses. The file is therefore run on random samples before it is put in its place.
"""

import contextlib
import importlib.util
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl import serialization
from numpy_impl.functional import AnyNetwork, as_list, one_or_list
from numpy_impl.types import Array
from terminal_io import CliError

from ..model_files import load_keras, read
from .proof import Check, keras_outputs, prove_outputs


def _run_onnx(path: Path, inputs: list[Array]) -> list[Array]:
    import onnxruntime  # pyright: ignore[reportMissingImports]

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    named = {entry.name: x for entry, x in zip(session.get_inputs(), inputs, strict=True)}
    return session.run(None, named)


def _run_litert(path: Path, inputs: list[Array]) -> list[Array]:
    import tensorflow

    lite: Any = tensorflow.lite
    interpreter = lite.Interpreter(str(path))
    entries = {entry["index"]: x for entry, x in
               zip(interpreter.get_input_details(), inputs, strict=True)}  # fmt: skip
    for index, x in entries.items():
        interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    for index, x in entries.items():
        interpreter.set_tensor(index, x)
    interpreter.invoke()
    return [interpreter.get_tensor(entry["index"]) for entry in interpreter.get_output_details()]


def _run_keras(path: Path, inputs: list[Array]) -> list[Array]:
    return keras_outputs(load_keras(path))(inputs)


def _run_npz(path: Path, inputs: list[Array]) -> list[Array]:
    return as_list(read(path).forward(one_or_list(inputs)))


def _export(name: str) -> Callable[[Path, Any, AnyNetwork], None]:
    """Return what writes a format by Keras's exporter."""
    return lambda path, model, _: model.export(str(path), format=name, verbose=False)


@dataclass(frozen=True)
class ExportFormat:
    """A kind of file that Keras exports.

    Attributes:
        suffix: Of its files.
        packages: What Keras's exporter and the runtime need, besides TensorFlow.
        run: What a file gives for a batch.
        write: Writes a file: its path, the Keras model, the same as a NumPy network.
    """

    suffix: str
    packages: tuple[str, ...]
    run: Callable[[Path, list[Array]], list[Array]]
    write: Callable[[Path, Any, AnyNetwork], None]


FORMATS = {
    "onnx": ExportFormat(".onnx", ("tf2onnx", "onnx", "onnxruntime"), _run_onnx, _export("onnx")),
    "litert": ExportFormat(".tflite", (), _run_litert, _export("litert")),
    "keras": ExportFormat(".keras", (), _run_keras, lambda path, model, _: model.save(path)),
    "npz": ExportFormat(
        ".npz", (), _run_npz, lambda path, _, network: serialization.save(network, path)
    ),
}


def check_installed(name: str) -> None:
    """Raise CliError if a package for a format is missing; it says how to install them."""
    packages = ["tensorflow", "keras", *FORMATS[name].packages]
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise CliError(
            f"--to {name}: expected {', '.join(packages)}. Received: no {', '.join(missing)}; "
            f"pip install {' '.join(missing)}"
        )


def write(
    name: str, model: Any, network: AnyNetwork, place: Path, inputs: list[Array]
) -> list[Check]:
    """Write a Keras model in another format, once its runtime is seen to compute the same.

    Args:
        name: One of ``FORMATS``.
        model: The Keras model.
        network: The same as a NumPy network.
        place: The file to write; what is there is replaced.
        inputs: The samples to prove it on, an array for each of the network's inputs.

    Returns:
        The comparisons of its outputs with the NumPy network and with Keras.

    Raises:
        CliError: Keras cannot export it, the runtime cannot run it, or it computes something else.
            Nothing is written then.
        OSError: The file cannot be written.
    """
    ask = keras_outputs(model)
    ask(inputs)  # Keras exports only what has been called
    folder = Path(tempfile.mkdtemp(prefix=".export-", dir=place.parent))
    try:
        trial = folder / place.name
        try:
            with _quiet():
                FORMATS[name].write(trial, model, network)
                found = FORMATS[name].run(trial, inputs)
        except Exception as error:  # whatever the exporter and the runtime raise
            raise CliError(
                f"--to {name}: expected a model that Keras exports and the runtime runs. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
        arrays = [np.asarray(array) for array in found]
        names = ["output"] if len(arrays) == 1 else network.output_names
        checks = prove_outputs(trial, network, names, inputs, arrays, ask)
        os.replace(trial, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return checks


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Keep from the user what exporters and runtimes say about themselves."""
    from keras_impl._startup import without_noise

    with warnings.catch_warnings(), without_noise(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
