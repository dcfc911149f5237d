"""Samples of any shape turned into vectors."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from numpy_impl.layers.base import Layer
from numpy_impl.types import Array, Shape


class Flatten(Layer):
    """Turn each sample into a vector, in row-major order."""

    fixed: ClassVar[Mapping[str, Any]] = {"data_format": "channels_last"}

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        return (math.prod(input_shape),)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        return x.reshape(len(x), math.prod(self.input_shape))

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        return delta.reshape(len(delta), *self.input_shape)
