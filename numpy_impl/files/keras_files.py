"""Keras's own files, ``.keras`` and ``.weights.h5``, read without Keras: h5py is enough.

A ``.keras`` file is a zip archive with the architecture in ``config.json`` and the weights in
``model.weights.h5``; a ``.weights.h5`` file is the latter alone, so the architecture must be known.
In both the arrays of a layer are ``layers/<class>_<k>/vars/0``, ``.../1``: kernel and bias, in the
layout and order of ``Sequential.weights``. The optimizer's arrays are passed over.

Files may come from anywhere. Nothing in them is run or unpickled, no link out of them is followed,
and the memory taken stays in proportion to their length.
"""

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import IO, Any, TypeVar

import numpy as np

from numpy_impl import models
from numpy_impl.files import keras_graph
from numpy_impl.files.bounded import Archive, Refusal, StrPath, opened
from numpy_impl.files.hdf5 import WeightsFile
from numpy_impl.files.keras_config import OtherModel, snake_case
from numpy_impl.files.keras_graph import Architecture
from numpy_impl.functional import AnyNetwork, Functional
from numpy_impl.layers import Rescaling
from numpy_impl.types import Array, Shape

T = TypeVar("T")

_KERAS = "a .keras file of Keras 3 with layers that numpy_impl has"
_ANY_WEIGHTS = "a .weights.h5 file of Keras 3"
_ANY_KERAS = "a .keras file of Keras 3"
_WEIGHTS = "a .weights.h5 file of Keras 3 with the weights of the network's layers"
_LEGACY = "a legacy HDF5 file of Keras 2 (.h5), which is not supported"

_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LONGEST_JSON = 1 << 24
_LONGEST_REASON = 600


def load_keras(path: StrPath) -> Any:
    """Read a model that Keras wrote with ``model.save("name.keras")``.

    Args:
        path: File of a Sequential or Functional model; models inside it are laid flat. It may be
            trained and compiled.

    Returns:
        The network with the model's layers, weights, dtype and name: a ``Sequential`` if the layers
        follow one another, else a ``Functional``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another kind of file, is damaged, or has a layer, option or connection
            that ``numpy_impl`` does not have; it is named.
        ImportError: h5py is not installed.

    Reference: ``keras.src.saving.saving_lib`` of Keras 3.10 to 3.15.
    """
    return _reading(path, _KERAS, _read_keras)


def stored_numbers(path: StrPath) -> int:
    """Return how many numbers are stored in a ``.keras`` file, whatever its layers.

    Whoever gives the file to Keras knows then that it is whole, that it has no more members than
    Keras writes, and nothing compressed, linked or from outside in them.

    Raises:
        FileNotFoundError, ValueError, ImportError: As :func:`load_keras`.
    """
    return _reading(path, _ANY_KERAS, _read_numbers)


def load_keras_weights(path: StrPath, network: AnyNetwork) -> None:
    """Read weights that Keras wrote with ``model.save_weights("name.weights.h5")``.

    Such a file has neither options nor connections: that ``network`` has the model's is for the
    caller to know. A layer's weights are found by its class and its number among those of this
    class; or by its name, if a network that branches has the names of the model's layers.

    Args:
        path: File of a model without models inside it.
        network: Takes over the weights, rounded to its dtype. Its layers with weights are the
            model's, in order; dropout, Flatten and activation layers may differ.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another kind of file, damage, or layers that differ; ``network`` is unchanged.
        ImportError: h5py is not installed.
    """
    network.set_weights(_reading(path, _WEIGHTS, partial(_read_weights, network=network)))


def documented_architecture(path: StrPath) -> str:
    """Return the one of ``models.ARCHITECTURES`` whose weights a ``.weights.h5`` file has.

    Raises:
        FileNotFoundError, ImportError: As :func:`load_keras_weights`.
        ValueError: Likewise; or none, or several, have weights of these shapes.
    """
    found = _reading(path, _ANY_WEIGHTS, _stored_shapes)
    fitting = [name for name in models.ARCHITECTURES if _fits(models.build(name), found)]
    if len(fitting) != 1:
        raise ValueError(
            f"Expected the weights of one of {', '.join(models.ARCHITECTURES)} in {path}. "
            f"Received: shapes {_listed(list(found.values()))}, which fit "
            f"{', '.join(fitting) or 'none'}"
        )
    return fitting[0]


def _reading(path: StrPath, expected: str, read: Callable[[IO[bytes]], T]) -> T:
    """Return what ``read`` makes of the open file; every failure becomes one line."""
    import_module("h5py")  # first, so that its absence is not taken for a fault of the file

    try:
        with opened(path) as file:
            return read(file)
    except FileNotFoundError:
        raise
    except Exception as error:
        # Whatever zipfile, JSON, HDF5 and the layers raise on damage; see npz.load.
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        reason = f"{kind}{error}"
        if isinstance(error, Refusal):
            expected, reason = error.expected, error.received
        reason = " ".join(reason.split())[:_LONGEST_REASON]
        raise ValueError(f"Expected {expected} in {path}. Received: {reason}") from error


def _read_keras(file: IO[bytes]) -> AnyNetwork:
    if not zipfile.is_zipfile(file):
        raise Refusal(_KERAS, f"no zip archive but {_kind(file)}")
    with Archive(file, compressed=False) as archive:  # Keras does not compress
        config, content = _members(archive)
    with WeightsFile(io.BytesIO(content)) as stored:
        try:
            model = keras_graph.parse(config)
        except OtherModel:  # which Keras may have, if all is well with the file
            stored.check()
            raise
        weights = _weights_of(model, stored)
    network = model.network()
    network.set_weights(weights)
    return network


def _read_numbers(file: IO[bytes]) -> int:
    if not zipfile.is_zipfile(file):
        raise Refusal(_ANY_KERAS, f"no zip archive but {_kind(file)}")
    with Archive(file, compressed=False) as archive:
        _, content = _members(archive)
        if len(archive.names()) != len(_MEMBERS):
            raise Refusal(f"members {', '.join(_MEMBERS)}", ", ".join(archive.names()[:9]))
    with WeightsFile(io.BytesIO(content)) as stored:
        return stored.check()


def _kind(file: IO[bytes]) -> str:
    file.seek(0)
    if file.read(len(_HDF5_SIGNATURE)) != _HDF5_SIGNATURE:
        return "another kind of file"
    return f"an HDF5 file: weights alone (.weights.h5), or {_LEGACY}"


def _members(archive: Archive) -> tuple[dict[str, Any], bytes]:
    """Return the architecture's JSON and the weights, of an archive of Keras 3."""
    metadata, config, weights = _MEMBERS
    version = str(_json(archive, metadata)["keras_version"])
    if not version.startswith("3."):
        raise Refusal(_KERAS, f"a file of Keras {version}")
    return _json(archive, config), archive.read(weights)


def _json(archive: Archive, name: str) -> dict[str, Any]:
    return json.loads(archive.read(name, _LONGEST_JSON))


def _weights_of(model: Architecture, stored: WeightsFile) -> list[Array]:
    """Return the arrays of a model's layers; each has the layer's shape and the model's dtype."""
    weights: list[Array] = []
    for layer, group in zip(model.layers.values(), model.groups, strict=True):
        expected = [*layer.weight_shapes(), *layer.state_shapes()]
        groups = [f"{group}/{inner}".rstrip("/") for inner in layer.groups] if expected else []
        found = [array for inner in groups for array in stored.variables(inner)]
        if [(w.shape, w.dtype.name) for w in found] != [(s, model.dtype) for s in expected]:
            raise Refusal(
                f"{model.dtype} arrays of shapes {_listed(expected)} under {group}",
                ", ".join(f"{w.dtype} {w.shape}" for w in found) or "none",
            )
        weights += found
    return weights


def _read_weights(file: IO[bytes], network: AnyNetwork) -> list[Array]:
    """Return the weights of a network's layers, and check that there are no others."""
    with _weights_file(file) as stored:
        names = stored.names("layers")
        groups = _groups(network)
        if isinstance(network, Functional):
            groups = _groups_by_name(network, groups, stored)
        for group in groups.values():
            if group.removeprefix("layers/") not in names:
                raise Refusal(_WEIGHTS, f"no group {group}")
        if "rescaling" in names:
            _check_rescaling(network, "layers/rescaling")
        inner = _inner(network, groups)
        weights = [array for group in inner for array in stored.variables(group)]
        own, found = [[w.shape for w in side] for side in (network.weights, weights)]
        if own != found:
            raise Refusal(f"weights of shapes {_listed(own)}", _listed(found))
        for place in stored.shapes("layers"):
            if place.rpartition("/vars/")[0] not in inner:
                group = "/".join(place.split("/")[:2])
                raise Refusal(_WEIGHTS, f"weights, or layers, of another kind in {group}")
        with np.errstate(over="raise"):  # a float64 weight may be too large for float32
            return [weight.astype(network.dtype) for weight in weights]


def _stored_shapes(file: IO[bytes]) -> dict[str, Shape]:
    with _weights_file(file) as stored:
        return stored.shapes("layers")


@contextmanager
def _weights_file(file: IO[bytes]) -> Generator[WeightsFile]:
    """Open a file of weights alone."""
    if zipfile.is_zipfile(file):
        raise Refusal(_ANY_WEIGHTS, "a zip archive; load_keras reads .keras files")
    with WeightsFile(file) as stored:
        if {"keras_version", "layer_names"} & set(stored.attributes()):
            raise Refusal(_ANY_WEIGHTS, _LEGACY)
        yield stored


def _groups(network: AnyNetwork) -> dict[str, str]:
    """Return the group of each layer with weights, by its name: Keras numbers them by class."""
    numbers: Counter[str] = Counter()
    groups: dict[str, str] = {}
    for own, layer in zip(network.layer_names, network.layers, strict=True):
        kind = snake_case(type(layer).__name__)
        if layer.weight_shapes() or layer.state_shapes():
            number = numbers[kind]
            groups[own] = f"layers/{kind}_{number}" if number else f"layers/{kind}"
        numbers[kind] += 1
    return groups


def _groups_by_name(
    network: Functional, groups: dict[str, str], stored: WeightsFile
) -> dict[str, str]:
    """Return the groups of layers that have the names of the network's, if there are all."""
    found = {stored.label(f"layers/{n}"): f"layers/{n}" for n in stored.names("layers")}
    return {own: found[own] for own in groups} if found.keys() >= groups.keys() else groups


def _inner(network: AnyNetwork, groups: dict[str, str]) -> list[str]:
    """Return the groups that hold the weights, in the order of ``Network.weights``.

    Layers inside a layer have groups of their own.
    """
    layers = dict(zip(network.layer_names, network.layers, strict=True))
    return [
        f"{group}/{inner}".rstrip("/")
        for own, group in groups.items()
        for inner in layers[own].groups
    ]


def _fits(network: AnyNetwork, found: dict[str, Shape]) -> bool:
    """Return whether the arrays of a file, by their place, are the weights of a network."""
    places = (f"{g}/vars/{i}" for g in _inner(network, _groups(network)) for i in range(len(found)))
    fitting = [found[place] for place in places if place in found]
    return len(fitting) == len(found) and fitting == [w.shape for w in network.weights]


def _check_rescaling(network: AnyNetwork, group: str) -> None:
    if not any(isinstance(layer, Rescaling) for layer in network.layers):
        raise Refusal("weights of a model without Rescaling, as the network is", group)


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes)) or "none"
