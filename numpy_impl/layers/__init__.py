"""The layers: what each computes forward, and how the gradient passes backward through it.

``base`` says what all have in common; then each layer has a file.
"""

import math

import numpy as np

from numpy_impl.layers.activation import Activation
from numpy_impl.layers.base import Layer, Shape
from numpy_impl.layers.dense import Dense
from numpy_impl.layers.dropout import Dropout
from numpy_impl.layers.flatten import Flatten
from numpy_impl.layers.rescaling import Rescaling
from numpy_impl.types import Array, DTypeLike

__all__ = [
    "LAYERS", "Activation", "Dense", "Dropout", "Flatten", "Layer", "Rescaling", "Shape", "allocate"
]  # fmt: skip

LAYERS: dict[str, type[Layer]] = {
    c.__name__: c for c in (Dense, Activation, Dropout, Flatten, Rescaling)
}


def allocate(layers: list[Layer], dtype: DTypeLike) -> tuple[Array, Array, list[slice]]:
    """Allocate one vector for all parameters and one for all gradients, and bind the layers.

    One vector each, because an optimizer then needs no loop over layers and its state is a vector
    of the same length.

    Returns:
        The parameters and the gradients, both of shape (total,), and the slice of each weight.
    """
    shapes = [shape for layer in layers for shape in layer.weight_shapes()]
    ends = np.cumsum([math.prod(shape) for shape in shapes], dtype=int).tolist()
    slices = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    total = ends[-1] if ends else 0
    parameters, gradients = np.zeros(total, dtype), np.zeros(total, dtype)
    weights = [parameters[s].reshape(shape) for s, shape in zip(slices, shapes, strict=True)]
    grads = [gradients[s].reshape(shape) for s, shape in zip(slices, shapes, strict=True)]
    first = 0
    for layer in layers:
        last = first + len(layer.weight_names)
        layer.bind(weights[first:last], grads[first:last])
        first = last
    return parameters, gradients, slices
