"""Networks as ``.npz`` files: weights, and the layers as JSON. No pickle, so nothing can run."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from numpy_impl import activations
from numpy_impl.files.bounded import Archive, StrPath, opened
from numpy_impl.functional import AnyNetwork, Functional
from numpy_impl.layers import LAYERS, Layer
from numpy_impl.network import Call, Sequential
from numpy_impl.types import Array

FORMAT = "numpy_impl.Sequential"
GRAPH_FORMAT = "numpy_impl.Functional"
VERSION = 1
# Of a config, four bytes a letter: 20,000 layers.
_LONGEST_CONFIG = 1 << 24


def save(
    network: AnyNetwork,
    path: StrPath,
    further: Mapping[str, Array] | None = None,
) -> None:
    """Write ``network`` to ``path``.

    The file holds one array for each weight under its name ("0/kernel", "0/bias"...), and under
    "config" a JSON text with the layers, the input shape, the dtype and the name; of a network that
    branches also with the names of inputs, layers and outputs and with the calls. It is written
    beside its place, brought to the disk and then renamed, so that an interruption, even one of the
    power, leaves the old file or the new one.

    Args:
        network: The network.
        path: Where to; what is there is replaced.
        further: More arrays for the same file, by names that no weight has; :func:`load` passes
            them over.

    Raises:
        OSError: The file cannot be written; the error names it.
        ValueError: A layer or an activation is not one of ``numpy_impl``'s; :func:`load` could not
            read it.
    """
    path = Path(path)
    graph = isinstance(network, Functional)
    config = {
        "format": GRAPH_FORMAT if graph else FORMAT,
        "version": VERSION,
        "name": network.name,
        "dtype": network.dtype.name,
        "layers": [_layer_config(layer) for layer in network.layers],
        **(_graph_config(network) if graph else {"input_shape": network.input_shape}),
    }
    arrays: dict[str, Any] = dict(zip(network.weight_names, network.weights, strict=True))
    arrays |= further or {}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            np.savez(file, config=np.array(json.dumps(config)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename is None:  # a full disk, say
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _graph_config(network: Functional) -> dict[str, Any]:
    calls = zip(network.calls, network.owners, strict=True)
    return {
        "inputs": [[name, network.shapes[name]] for name in network.input_names],
        "layer_names": network.layer_names,
        "calls": [[call.name, owner, call.sources] for call, owner in calls],
        "outputs": network.output_names,
    }


def _sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk; on Windows a folder cannot be opened for that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _layer_config(layer: Layer) -> dict[str, Any]:
    kind = type(layer).__name__
    options = layer.config().items()
    # Some layers have others in them.
    config: dict[str, Any] = {
        name: _layer_config(value) if isinstance(value, Layer) else value for name, value in options
    }
    if LAYERS.get(kind) is not type(layer):
        raise ValueError(f"Expected layers of {', '.join(LAYERS)} to save. Received: {kind}")
    activations.get(config.get("activation"))  # raises for one that is known by no name
    return {"class": kind, **config}


def _layer(entry: Any) -> Any:
    """Return the layer for what stands for one; any other option of a layer as it is."""
    if not isinstance(entry, dict):
        return entry
    options = {name: _layer(value) for name, value in cast(dict[str, Any], entry).items()}
    return LAYERS[options.pop("class")](**options)


def load(path: StrPath) -> Any:
    """Read a network that :func:`save` wrote, a ``Sequential`` or a ``Functional``.

    Of its file only what belongs to the network is looked at.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not such a network, is damaged, or its weights do not fit.
    """
    try:
        with opened(path) as file, Archive(file, compressed=True) as archive:
            config = json.loads(str(archive.array("config", _LONGEST_CONFIG)))
            if config["format"] not in (FORMAT, GRAPH_FORMAT) or config["version"] != VERSION:
                raise ValueError(f"format {config['format']!r} version {config['version']!r}")
            # Zeros that are not written to take no memory, however many the config asks for.
            network = _network(config)
            weights = [archive.array(name) for name in network.weight_names]
        found = {array.dtype.name for array in weights} - {network.dtype.name}
        if found:
            raise ValueError(f"weights of dtype {', '.join(found)} in a {network.dtype} network")
        network.set_weights(weights)
    except FileNotFoundError:
        raise
    except Exception as error:
        # Whatever zipfile, NumPy, JSON and the layers raise on damage: zlib.error, LZMAError,
        # NotImplementedError, MemoryError, RecursionError, AttributeError... No list is complete.
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        reason = " ".join(f"{kind}{error}".split())
        raise ValueError(
            f"Expected a network in {path} ({FORMAT}, version {VERSION}). Received: {reason}"
        ) from error
    return network


def _network(config: dict[str, Any]) -> AnyNetwork:
    """Return the network, its weights at 0, that a file's JSON describes."""
    layers = [_layer(entry) for entry in config["layers"]]
    named: dict[str, Any] = {"dtype": config["dtype"], "name": str(config["name"])}
    if config["format"] == FORMAT:
        return Sequential(layers, tuple(config["input_shape"]), **named)
    names = [str(name) for name in config["layer_names"]]
    own = dict(zip(names, layers, strict=True))
    calls = [Call(str(n), own[layer], tuple(sources)) for n, layer, sources in config["calls"]]
    inputs = {str(name): tuple(shape) for name, shape in config["inputs"]}
    return Functional(inputs, calls, config["outputs"], layer_names=names, **named)
