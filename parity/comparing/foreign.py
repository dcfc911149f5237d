"""Networks of scikit-learn and PyTorch as NumPy ones: the same weights in Keras's layout.

Neither library is imported. scikit-learn keeps kernels as (inputs, units), as here. PyTorch keeps
them as (units, inputs) and of convolutions as (filters, channels, *size); its pictures have their
channels first, and so has what it flattens.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from numpy_impl import layers
from numpy_impl.functional import AnyNetwork
from numpy_impl.layers.spatial import SpatialLayer
from numpy_impl.network import Sequential
from numpy_impl.types import Array, Shape

_SKLEARN = {
    "identity": "linear",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "softmax": "softmax",
    "exp": "exponential",
}
# PyTorch's names of a layer's arrays, in the order of the layer's own here.
_TORCH: dict[type[layers.Layer], tuple[str, ...]] = {
    layers.Dense: ("weight", "bias"),
    layers.Conv1D: ("weight", "bias"),
    layers.Conv2D: ("weight", "bias"),
    layers.Embedding: ("weight",),
    layers.LayerNormalization: ("weight", "bias"),
    layers.BatchNormalization: ("weight", "bias", "running_mean", "running_var"),
}
# What PyTorch saves beside them: how many batches there have been.
_COUNTER = "num_batches_tracked"


def is_multilayer_perceptron(model: Any) -> bool:
    """Tell whether something is a fitted ``MLPClassifier`` or ``MLPRegressor``."""
    return all(hasattr(model, name) for name in ("coefs_", "intercepts_", "out_activation_"))


def of_scikit_learn(estimator: Any) -> Sequential:
    """Return the network of a fitted ``MLPClassifier`` or ``MLPRegressor``, with its weights.

    Its outputs are those of ``predict_proba`` where there are three classes or more, of the second
    column of that where there are two, and of ``predict`` for a regression, always (N, outputs).
    Its dtype is that of the estimator's weights.

    Raises:
        ValueError: An activation that is not known here.
    """
    kernels, biases = estimator.coefs_, estimator.intercepts_
    used = [estimator.activation] * (len(kernels) - 1) + [estimator.out_activation_]
    unknown = [name for name in used if name not in _SKLEARN]
    if unknown:
        raise ValueError(
            f"Expected activations {', '.join(_SKLEARN)}. Received: {', '.join(unknown)}"
        )
    stack: list[layers.Layer] = [
        layers.Dense(kernel.shape[1], _SKLEARN[name])
        for kernel, name in zip(kernels, used, strict=True)
    ]
    title = type(estimator).__name__
    network = Sequential(stack, len(kernels[0]), dtype=kernels[0].dtype, name=title)
    network.set_weights([array for pair in zip(kernels, biases, strict=True) for array in pair])
    return network


def load_state_dict(network: AnyNetwork, state: Mapping[str, Any]) -> None:
    """Give a network the weights of a PyTorch module, which are in its ``state_dict()``.

    The module has to have the network's layers with weights in the same order (Dense for
    ``Linear``, Conv1D, Conv2D, Embedding, LayerNormalization and BatchNormalization); what each
    computes beyond its weights (activation, strides, padding, epsilon: PyTorch's is 1e-5) is the
    network's own. Where the network has its channels last, a Dense behind Flatten gets its rows in
    that order, so that the outputs are those of the module for the same picture.

    Args:
        network: A network of ``numpy_impl``; its dtype stays.
        state: Arrays or tensors by name; tensors of a GPU have to be moved to the CPU before.

    Raises:
        ValueError: A layer that PyTorch has otherwise, another number of arrays, or a shape that
            does not fit; the network is unchanged.
    """
    arrays = [(name, a) for name, a in state.items() if not name.endswith(_COUNTER)]
    weights: list[Array] = []
    names = iter(arrays)
    for own, layer in zip(network.layer_names, network.layers, strict=True):
        wanted = (*layer.weight_names, *layer.state_names)
        if not wanted:
            continue
        kinds = _TORCH.get(type(layer))
        if kinds is None:
            raise ValueError(
                f"Expected layers of {', '.join(k.__name__ for k in _TORCH)}, which PyTorch keeps "
                f"likewise. Received: {type(layer).__name__} {own!r}"
            )
        if len(wanted) != len(kinds):  # only a bias may be missing
            kinds = kinds[: len(wanted)]
        flattened = _flattened(network, own)
        for kind, name in zip(kinds, wanted, strict=True):
            found, array = next(names, ("no further array", None))
            if array is None or found.rpartition(".")[2] != kind:
                raise ValueError(f"Expected {kind} for {own}/{name}. Received: {found}")
            converted = _in_layout(np.asarray(array), layer, name, flattened)
            if converted.shape != getattr(layer, name).shape:
                shape = getattr(layer, name).shape
                raise ValueError(
                    f"Expected {found} of a shape that makes {own}/{name} {shape}. "
                    f"Received: {np.shape(array)}, which makes {converted.shape}"
                )
            weights.append(converted)
    left = [name for name, _ in names]
    if left:
        raise ValueError(f"Expected arrays of the network's layers. Received: {', '.join(left)}")
    network.set_weights(weights)


def _in_layout(array: Array, layer: layers.Layer, name: str, flattened: Shape | None) -> Array:
    """Return an array of PyTorch's as Keras has it."""
    if name != "kernel":
        return array
    kernel = np.moveaxis(array, (0, 1), (-1, -2)) if array.ndim >= 2 else array
    if flattened is None or math.prod(flattened) != len(kernel):  # such a shape is refused
        return kernel
    *places, channels = flattened
    rows = kernel.reshape(channels, *places, -1)
    return np.moveaxis(rows, 0, -2).reshape(len(kernel), -1)


def _flattened(network: AnyNetwork, own: str) -> Shape | None:
    """Return the shape, channels last, that was flattened into a layer's inputs; None: none was."""
    calls = {call.name: call for call in network.calls}
    orders = {c.layer.data_format for c in network.calls if isinstance(c.layer, SpatialLayer)}
    source = network.calls[network.owners.index(own)].sources[0]
    while source in calls:
        _, layer, sources = calls[source]
        if isinstance(layer, layers.Flatten):
            shape = network.shapes[sources[0]]
            # Two axes are a sequence's if there are such layers, else those of a grey picture.
            has_channels = len(shape) > 2 or (len(shape) == 2 and bool(orders))
            return shape if has_channels and "channels_first" not in orders else None
        if layer.weight_names or layer.merges:
            return None
        source = sources[0]
    return None
