"""The layers: what each computes forward, and how the gradient passes backward through it.

The contract. ``build`` fixes the shapes; ``bind`` hands a layer the pieces of the network's two
long vectors (parameters and gradients) that belong to it; ``forward`` remembers what ``backward``
will need; ``backward`` takes the gradient of the cost with respect to the layer's output, writes
the gradients of the layer's own weights, and returns the gradient with respect to its input.

In training a layer computes in its *workspace*: arrays that are allocated at the first step and
written again at every later one, so what ``forward(training=True)`` and ``backward`` return is
only good until the next step. ``forward`` outside training returns arrays of its own.
"""

import math

import numpy as np

from numpy_impl import activations, initializers
from numpy_impl.types import Array, DTypeLike

Shape = tuple[int, ...]


class Workspace:
    """A layer's arrays by name, kept from step to step and made anew when the shape changes."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def __call__(self, name: str, shape: Shape, dtype: np.dtype) -> Array:
        """Return the array ``name`` of ``shape``; what it holds is left from its last use."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array


class Layer:
    """A layer without weights that passes its input on; the others override what they need.

    ``x`` has shape (batch, *input_shape), the output (batch, *output_shape).
    """

    weight_names: tuple[str, ...] = ()
    workspace: Workspace

    def build(self, input_shape: Shape) -> Shape:
        """Fix the shapes; return the output shape, without the batch axis."""
        self.input_shape = input_shape
        # A new one, as a copied layer must not write into the arrays of its original.
        self.workspace = Workspace()
        return input_shape

    def weight_shapes(self) -> list[Shape]:
        """Return the shape of each weight in ``weight_names``."""
        return []

    def bind(self, weights: list[Array], gradients: list[Array]) -> None:
        """Take the arrays (views into the network's vectors) that hold weights and gradients."""
        for name, weight, gradient in zip(self.weight_names, weights, gradients, strict=True):
            setattr(self, name, weight)
            setattr(self, f"{name}_gradient", gradient)

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the initial weights."""

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        """Return the output for a batch ``x``; ``mask`` is for :class:`Dropout` alone."""
        return x

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        """Return ``dC/dx`` from ``delta = dC/d(output)`` and set the weights' gradients.

        ``input_gradient=False`` says that nobody needs ``dC/dx`` (true of a network's first
        layer), so the layer may skip that work and return ``delta``.
        """
        return delta

    def config(self) -> dict[str, object]:
        """Return what the constructor needs to make this layer again, without its weights."""
        return {}


class Dense(Layer):
    """Fully connected layer: ``z = x @ kernel + bias``, output ``a = f(z)``.

    Backward, with ``delta_z = dC/dz``: ``dC/dkernel = x.T @ delta_z``, ``dC/dbias`` the sum of
    ``delta_z`` over the batch, ``dC/dx = delta_z @ kernel.T``.

    Args:
        units: Number of outputs.
        activation: Name of ``f``, one of ``activations.ACTIVATIONS``; None is linear.
        use_bias: Whether there is a bias.
        kernel_initializer: Initial kernel, shape (inputs, units).
        bias_initializer: Initial bias, shape (units,).
    """

    kernel: Array
    bias: Array
    kernel_gradient: Array
    bias_gradient: Array

    def __init__(
        self,
        units: int,
        activation: str | activations.ActivationFunction | None = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer = "glorot_uniform",
        bias_initializer: str | initializers.Initializer = "zeros",
    ) -> None:
        if units < 1:
            raise ValueError(f"Dense expects at least one unit. Received: units={units}")
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.weight_names = ("kernel", "bias") if use_bias else ("kernel",)

    def build(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ValueError(
                "Dense expects inputs of shape (batch, inputs); put Flatten before it. "
                f"Received: input_shape={input_shape}"
            )
        super().build(input_shape)
        self.ones = np.ones(0)
        return (self.units,)

    def weight_shapes(self) -> list[Shape]:
        return [(self.input_shape[0], self.units), (self.units,)][: len(self.weight_names)]

    def initialize(self, rng: np.random.Generator) -> None:
        self.kernel[...] = self.kernel_initializer(self.kernel.shape, rng)
        if self.use_bias:
            self.bias[...] = self.bias_initializer(self.bias.shape, rng)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        # Local names until the end: whatAmI's page calls this from several threads at once.
        z = a = None
        if training:
            shape = (len(x), self.units)
            z = self.workspace("z", shape, self.kernel.dtype)
            a = self.workspace("a", shape, self.kernel.dtype)
        z = np.dot(x, self.kernel, out=z)
        if self.use_bias:
            z += self.bias
        a = self.activation(z, out=a)
        self.x, self.z, self.a = x, z, a
        return a

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        out = self.workspace("delta", self.z.shape, self.z.dtype)
        return self.backward_from_logits(
            self.activation.backward(self.z, self.a, delta, out=out), input_gradient
        )

    def backward_from_logits(self, delta: Array, input_gradient: bool = True) -> Array:
        """Like ``backward``, but from ``delta = dC/dz``, the gradient before the activation."""
        np.dot(self.x.T, delta, out=self.kernel_gradient)
        if self.use_bias:
            # The sum over the batch as a product, which is several times as fast.
            np.dot(self._ones(len(delta)), delta, out=self.bias_gradient)
        if not input_gradient:
            return delta
        out = self.workspace("input_gradient", self.x.shape, delta.dtype)
        return np.dot(delta, self.kernel.T, out=out)

    def _ones(self, n: int) -> Array:
        if len(self.ones) != n:
            self.ones = np.ones(n, self.kernel.dtype)
        return self.ones

    def config(self) -> dict[str, object]:
        return {
            "units": self.units,
            "activation": self.activation.name,
            "use_bias": self.use_bias,
        }


class Activation(Layer):
    """An activation function as a layer of its own."""

    def __init__(self, activation: str | activations.ActivationFunction) -> None:
        self.activation = activations.get(activation)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        out = self.workspace("a", x.shape, x.dtype) if training else None
        a = self.activation(x, out=out)
        self.z, self.a = x, a
        return a

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        out = self.workspace("delta", delta.shape, delta.dtype)
        return self.activation.backward(self.z, self.a, delta, out=out)

    def backward_from_logits(self, delta: Array, input_gradient: bool = True) -> Array:
        """Pass on ``delta = dC/dz``: the loss has already gone through the activation."""
        return delta

    def config(self) -> dict[str, object]:
        return {"activation": self.activation.name}


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

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        self.mask = None
        if not training or self.rate == 0:
            return x
        self.mask = self.draw_mask(len(x)) if mask is None else mask
        if self.mask.shape != x.shape:
            raise ValueError(
                f"Dropout expects a mask of shape {x.shape}. Received: shape {self.mask.shape}"
            )
        return self._scaled(x, self.mask, self.workspace("output", x.shape, x.dtype))

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        if self.mask is None:
            return delta
        return self._scaled(delta, self.mask, self.workspace("delta", delta.shape, delta.dtype))

    def _scaled(self, x: Array, mask: Array, out: Array) -> Array:
        np.multiply(x, 1 / (1 - self.rate), out=out)
        out *= mask
        return out

    def config(self) -> dict[str, object]:
        return {"rate": self.rate}


class Flatten(Layer):
    """Turn each sample into a vector, in row-major order."""

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        return (math.prod(input_shape),)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        return x.reshape(len(x), math.prod(self.input_shape))

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        return delta.reshape(len(delta), *self.input_shape)


class Rescaling(Layer):
    """``x * scale + offset``, to bring pixels into the range that the network was trained on."""

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        self.scale = float(scale)
        self.offset = float(offset)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        return x * self.scale + self.offset

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        return delta * self.scale

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
