"""The fully connected layer, which does nearly all the work of these networks."""

import math
from typing import Any, NamedTuple

import numpy as np

from numpy_impl import activations, initializers, threads
from numpy_impl.fused import Each, Row, rule
from numpy_impl.layers.base import Layer
from numpy_impl.types import Array, Shape

# Inputs that are zero in the whole batch are left out (see Dense) of kernels of at least LARGE
# weights, as copying the rows that are used costs more than a small product; if no more than
# USED_PART of the inputs is left; and in batches of at most LONGEST_BATCH samples, as in longer
# ones nearly all pixels of MNIST are used. Measured with 784-500-300-10.
USED_PART = 0.75
LONGEST_BATCH = 256
LARGE = 100_000


@rule("z")
def shift(z: Each, bias: Row) -> Any:
    return z + bias


class _Arrays(NamedTuple):
    """What a layer writes to in every step: allocated once for a batch size."""

    z: Array
    a: Array
    delta: Array
    input_gradient: Array
    ones: Array

    @classmethod
    def make(cls, n: int, inputs: int, units: int, dtype: np.dtype) -> "_Arrays":
        z, a, delta = (np.empty((n, units), dtype) for _ in range(3))
        return cls(z, a, delta, np.empty((n, inputs), dtype), np.ones(n, dtype))


class Dense(Layer):
    """Fully connected layer: ``z = x @ kernel + bias``, output ``a = f(z)``.

    Backward, with ``delta_z = dC/dz``: ``dC/dkernel = x.T @ delta_z``, ``dC/dbias`` the sum of
    ``delta_z`` over the batch, ``dC/dx = delta_z @ kernel.T``.

    Inputs of shape (batch, time, inputs), or with more axes, are so many rows: the same kernel and
    bias at each place, whose gradients are sums over the places too.

    A network's first layer (``sees_data``) computes both products without the inputs that are zero
    in every sample of the batch, a third of the pixels of 100 pictures of MNIST: they add nothing
    to ``z``, and their rows of ``dC/dkernel`` are zero. That is exact for finite weights.

    Args:
        units: Number of outputs.
        activation: Name of ``f``, one of ``activations.ACTIVATIONS``; None is linear.
        use_bias: Whether there is a bias.
        kernel_initializer: Initial kernel, shape (inputs, units).
        bias_initializer: Initial bias, shape (units,).
    """

    passes_mask = True
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
        if not input_shape:
            raise ValueError(
                "Dense expects inputs of shape (batch, inputs) or (batch, ..., inputs). "
                f"Received: input_shape={input_shape}"
            )
        super().build(input_shape)
        self.inputs = input_shape[-1]
        # Small products by the call that takes least, large ones by two threads.
        self.product = np.dot if self.inputs * self.units < LARGE else threads.product
        self.kept = _Arrays.make(0, 0, 0, np.dtype(float))
        return (*input_shape[:-1], self.units)

    def weight_shapes(self) -> list[Shape]:
        return [(self.inputs, self.units), (self.units,)][: len(self.weight_names)]

    def initialize(self, rng: np.random.Generator) -> None:
        self.kernel[...] = self.kernel_initializer(self.kernel.shape, rng)
        if self.use_bias:
            self.bias[...] = self.bias_initializer(self.bias.shape, rng)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        # Local names until the end: outside training several threads may call this at once.
        places = x.shape[:-1]
        if len(places) != 1:
            x = x.reshape(math.prod(places), self.inputs)
        if training:
            kept = self._arrays(len(x))
            z, a = kept.z, kept.a
        else:
            z, a = np.empty((len(x), self.units), self.kernel.dtype), None
        if self.sees_data and self.kernel.size >= LARGE:
            self._product_of_used(x, z, training)
        else:
            self.product(x, self.kernel, z)
        if self.use_bias:
            shift(z, self.bias)
        a = self.activation(z, a)
        if len(places) != 1:
            z, a = z.reshape(*places, self.units), a.reshape(*places, self.units)
        self.x, self.z, self.a = x, z, a
        return a

    def _product_of_used(self, x: Array, z: Array, training: bool) -> None:
        used = self._used_inputs(x)
        inputs, kernel = (x, self.kernel) if used is None else self._only(used, x, training)
        self.product(inputs, kernel, z)
        self.used, self.used_inputs = used, inputs

    def _used_inputs(self, x: Array) -> Array | None:
        """Return which inputs are not zero throughout, or None if all are to be computed with."""
        if len(x) > LONGEST_BATCH:
            return None
        used = np.flatnonzero(x.any(axis=0))
        return used if len(used) <= USED_PART * self.inputs else None

    def _only(self, used: Array, x: Array, training: bool) -> tuple[Array, Array]:
        """Return the columns ``used`` of ``x`` and these rows of the kernel, copied together."""
        inputs = kernel = None
        if training:
            n, count = len(x), len(used)
            inputs = self.workspace("used_x", (x.size,), x.dtype)[: n * count].reshape(n, count)
            kernel = self.workspace("used_kernel", self.kernel.shape, x.dtype)[:count]
        # "clip", as NumPy copies straight into the array only then.
        inputs = x.take(used, 1, inputs, "clip")
        return inputs, self.kernel.take(used, 0, kernel, "clip")

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        shape = delta.shape
        kept = self._arrays(len(self.x))
        if not self.given_logits_gradient:
            out = kept.delta if len(shape) == 2 else kept.delta.reshape(shape)
            delta = self.activation.backward(self.z, self.a, delta, out)
        if len(shape) != 2:
            delta = delta.reshape(kept.delta.shape)
        if self.sees_data and self.kernel.size >= LARGE:
            self._gradient_of_used(delta)
        else:
            self.product(self.x.T, delta, self.kernel_gradient)
        if self.use_bias:
            # The sum over the batch as a product, which is several times as fast.
            np.dot(kept.ones, delta, self.bias_gradient)
        if not input_gradient:
            return delta
        back = self.product(delta, self.kernel.T, kept.input_gradient)
        return back if len(shape) == 2 else back.reshape(*shape[:-1], self.inputs)

    def _gradient_of_used(self, delta: Array) -> None:
        if self.used is None:
            self.product(self.used_inputs.T, delta, self.kernel_gradient)
            return
        part = self.workspace("used_gradient", self.kernel.shape, delta.dtype)[: len(self.used)]
        self.product(self.used_inputs.T, delta, part)
        unused = np.ones(len(self.kernel), bool)
        unused[self.used] = False
        self.kernel_gradient[unused] = 0
        self.kernel_gradient[self.used] = part

    def _arrays(self, n: int) -> "_Arrays":
        """Return the arrays that training in batches of ``n`` writes to."""
        if len(self.kept.ones) != n:
            self.kept = _Arrays.make(n, self.inputs, self.units, self.kernel.dtype)
        return self.kept

    def config(self) -> dict[str, object]:
        return {
            "units": self.units,
            "activation": self.activation.name,
            "use_bias": self.use_bias,
        }
