"""The layers: what each computes forward, and how the gradient passes backward through it.

``numpy_impl.layer`` says what all have in common, ``numpy_impl.dense`` is :class:`Dense`.
"""

import math

import numpy as np

from numpy_impl import activations
from numpy_impl.dense import Dense
from numpy_impl.layer import Layer, Shape
from numpy_impl.program import Do, are_recordable, now, recordable
from numpy_impl.types import Array, DTypeLike

__all__ = [
    "LAYERS", "Activation", "Dense", "Dropout", "Flatten", "Layer", "Rescaling", "Shape", "allocate"
]  # fmt: skip


@recordable
class Activation(Layer):
    """An activation function as a layer of its own."""

    def __init__(self, activation: str | activations.ActivationFunction) -> None:
        self.activation = activations.get(activation)

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        out = self.workspace("a", x.shape, x.dtype) if training else None
        a = self.activation(x, out=out, do=do)
        self.z, self.a = x, a
        return a

    def backward(self, delta: Array, input_gradient: bool = True, do: Do = now) -> Array:
        if self.given_logits_gradient:
            return delta
        out = self.workspace("delta", delta.shape, delta.dtype)
        return self.activation.backward(self.z, self.a, delta, out=out, do=do)

    def is_recordable(self) -> bool:
        return are_recordable(self, self.activation)

    def config(self) -> dict[str, object]:
        return {"activation": self.activation.name}


@recordable
class Dropout(Layer):
    """Inverted dropout: in training each input is kept with probability ``1 - rate``.

    Kept inputs are multiplied by ``1 / (1 - rate)`` and the others set to 0, in the forward and in
    the backward pass alike; outside training the layer does nothing.

    Args:
        rate: Probability of dropping, in [0, 1).
        seed: Seed, or Generator, of the masks drawn when none is given.

    Reference: Srivastava et al. (2014), "Dropout", section 10 (the scaling at training time).
    """

    def __init__(self, rate: float, seed: int | np.random.Generator | None = None) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout expects a rate in [0, 1). Received: rate={rate}")
        self.rate = rate
        self.rng = np.random.default_rng(seed)

    def draw_mask(self, batch_size: int, rng: np.random.Generator | None = None) -> Array:
        """Return a boolean mask of shape (batch, *input_shape): True where an input is kept.

        It is drawn from ``rng`` if given, else from the layer's own generator.
        """
        source = self.rng if rng is None else rng
        return source.random((batch_size, *self.input_shape)) >= self.rate

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        self.mask = self.factor = None
        if not training or self.rate == 0:
            return x
        if mask is None:
            mask = self.workspace("mask", x.shape, np.dtype(bool))
            random = self.workspace("random", x.shape, np.dtype(np.float64))
            do(self.rng.random, out=random)
            do(np.greater_equal, random, self.rate, out=mask)
        if mask.shape != x.shape:
            raise ValueError(
                f"Dropout expects a mask of shape {x.shape}. Received: shape {mask.shape}"
            )
        self.mask = mask
        self.factor = self.workspace("factor", x.shape, x.dtype)
        do(np.multiply, mask, x.dtype.type(1 / (1 - self.rate)), out=self.factor)
        out = self.workspace("output", x.shape, x.dtype)
        do(np.multiply, x, self.factor, out=out)
        return out

    def backward(self, delta: Array, input_gradient: bool = True, do: Do = now) -> Array:
        if self.factor is None:
            return delta
        out = self.workspace("delta", delta.shape, delta.dtype)
        do(np.multiply, delta, self.factor, out=out)
        return out

    def config(self) -> dict[str, object]:
        return {"rate": self.rate}


@recordable
class Flatten(Layer):
    """Turn each sample into a vector, in row-major order."""

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        return (math.prod(input_shape),)

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        return x.reshape(len(x), math.prod(self.input_shape))

    def backward(self, delta: Array, input_gradient: bool = True, do: Do = now) -> Array:
        return delta.reshape(len(delta), *self.input_shape)


@recordable
class Rescaling(Layer):
    """``x * scale + offset``, to bring pixels into the range that the network was trained on."""

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        self.scale = float(scale)
        self.offset = float(offset)

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        out = self.workspace("output", x.shape, x.dtype) if training else np.empty_like(x)
        do(np.multiply, x, self.scale, out=out)
        do(np.add, out, self.offset, out=out)
        return out

    def backward(self, delta: Array, input_gradient: bool = True, do: Do = now) -> Array:
        out = self.workspace("delta", delta.shape, delta.dtype)
        do(np.multiply, delta, self.scale, out=out)
        return out

    def config(self) -> dict[str, object]:
        return {"scale": self.scale, "offset": self.offset}


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
