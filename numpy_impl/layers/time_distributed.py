"""One layer applied to every step of a sequence."""

import copy
import math

import numpy as np

from numpy_impl.layers.base import Layer
from numpy_impl.layers.dropout import Dropout
from numpy_impl.types import Array, Shape


class TimeDistributed(Layer):
    """``y_t = layer(x_t)``: the same layer, with the same weights, at each step.

    The steps of all samples are so many samples to the layer, hence one call does it:
    (batch, time, ...) becomes (batch * time, ...) and back. ``Dense`` does this by itself.

    Args:
        layer: The layer. One that keeps statistics of its batches, or drops inputs, is refused:
            Keras calls it once for each step.
    """

    passes_mask = True
    notes_mask = True

    def __init__(self, layer: Layer) -> None:
        if layer.state_names or layer.uses_mask or isinstance(layer, Dropout):
            raise ValueError(
                "TimeDistributed expects a layer that treats each step alike. "
                f"Received: {type(layer).__name__}"
            )
        self.layer = layer
        self.weight_names = layer.weight_names
        self.regularizers, self.constraints = layer.regularizers, layer.constraints
        self.groups = tuple(f"layer/{group}".rstrip("/") for group in layer.groups)

    def build(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            raise ValueError(
                "TimeDistributed expects inputs of shape (batch, time, ...). "
                f"Received: input_shape={input_shape}"
            )
        super().build(input_shape)
        self.layer = copy.copy(self.layer)
        return (input_shape[0], *self.layer.build(input_shape[1:]))

    def weight_shapes(self) -> list[Shape]:
        return self.layer.weight_shapes()

    def bind(self, weights: list[Array], gradients: list[Array]) -> None:
        super().bind(weights, gradients)
        self.layer.bind(weights, gradients)

    def initialize(self, rng: np.random.Generator) -> None:
        self.layer.initialize(rng)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        y = self.layer.forward(x.reshape(math.prod(x.shape[:2]), *x.shape[2:]), training)
        return y.reshape(*x.shape[:2], *y.shape[1:])

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        rows = delta.reshape(math.prod(delta.shape[:2]), *delta.shape[2:])
        dx = self.layer.backward(rows, input_gradient)
        return dx.reshape(*delta.shape[:2], *dx.shape[1:])

    def config(self) -> dict[str, object]:
        return {"layer": self.layer}
