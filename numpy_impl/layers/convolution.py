"""Convolution: the same small window of weights moved over a sequence or a picture."""

from math import prod
from typing import Any, ClassVar, Literal

import numpy as np

from numpy_impl import activations, initializers
from numpy_impl.layers.formula import Number, Weights, activate, sum_products, through
from numpy_impl.layers.spatial import DataFormat, Padding, Sizes, SpatialLayer, Windows
from numpy_impl.types import Array, Shape


def grouped(kernel: Number, groups: int) -> Number:
    """Return a kernel (*size, channels a group, filters) as the matrices of its groups.

    Their shape is (groups, prod(size) * channels a group, filters a group).
    """
    rows = prod(kernel.shape[:-1])
    return np.moveaxis(np.reshape(kernel, (rows, groups, -1)), 1, 0)


def patches(x: Number, windows: Windows, groups: int = 1) -> Number:
    """Return a row for each window, shape (groups, N * windows, prod(size) * channels a group)."""
    taken, rank = windows.views(x), len(windows.shape)
    n, channels = len(x), x.shape[-1]
    # (N, *counts, groups, channels a group, *size)
    taken = np.reshape(taken, (n, *windows.counts, groups, channels // groups, *windows.size))
    taken = np.moveaxis(np.moveaxis(taken, rank + 2, -1), rank + 1, 0)
    return np.reshape(taken, (groups, n * prod(windows.counts), -1))


def convolve(rows: Number, kernel: Number, windows: Windows, groups: int = 1) -> Number:
    """Return the convolution, shape (N, *counts, filters): one matrix product for each group.

    Args:
        rows: The input's :func:`patches`.
        kernel: Shape (*size, channels a group, filters).
        windows: Where the kernel stands.
        groups: The input's channels and the filters are in so many groups, each for itself.
    """
    z = np.moveaxis(rows @ grouped(kernel, groups), 0, 1)
    return np.reshape(z, (-1, *windows.counts, kernel.shape[-1]))


def kernel_gradient(rows: Number, delta: Number, shape: Shape, groups: int = 1) -> Number:
    """Return ``dC/dkernel`` of ``shape`` from ``delta = dC/dz``, (N, *counts, filters)."""
    delta = np.moveaxis(np.reshape(delta, (-1, groups, shape[-1] // groups)), 1, 0)
    gradient = np.swapaxes(rows, 1, 2) @ delta
    return np.reshape(np.moveaxis(gradient, 0, 1), shape)


def input_gradient(delta: Number, kernel: Number, windows: Windows, groups: int = 1) -> Number:
    """Return ``dC/dx`` from ``delta = dC/dz``: each delta goes back to what its window saw."""
    channels, filters = kernel.shape[-2], kernel.shape[-1] // groups

    def back(delta: Array, kernel: Array) -> Array:
        places = np.reshape(kernel, (windows.numbers, channels, groups, filters))
        by_group = np.moveaxis(np.reshape(delta, (-1, groups, filters)), 1, 0)
        # (places, groups, windows, channels a group)
        pieces = np.moveaxis(by_group @ np.transpose(places, (0, 2, 3, 1)), 1, 2)
        shape = windows.numbers, -1, *windows.counts, groups * channels
        return windows.add(np.reshape(pieces, shape))

    return sum_products(delta, kernel, function=back, terms=windows.numbers * filters)


class Convolution(SpatialLayer):
    """Convolution (by the statistical name, cross-correlation) with a bias and an activation.

    ``z[n, p, f] = bias[f] + sum over k and c of x[n, p * stride + k * dilation, c] *
    kernel[k, c, f]``, output ``a = f(z)``. The windows' numbers are laid out as rows, shape
    (N * windows, prod(size) * channels), so that all of it is one matrix product.

    Backward, with ``delta_z = dC/dz``: ``dC/dkernel = rows.T @ delta_z``, ``dC/dbias`` the sum of
    ``delta_z`` over samples and places, and ``dC/dx`` adds up ``delta_z @ kernel[k].T`` where each
    place k of the window has read.

    Args:
        filters: Number of outputs at each place.
        kernel_size: Places of the window on each axis.
        strides: From one window to the next.
        padding: "valid", "same", or in Conv1D "causal", see :class:`Windows`.
        data_format: Whether channels are "channels_last" (None is that too) or "channels_first".
        dilation_rate: From one place of the window to the next; Keras has it above 1 only where
            strides are 1.
        groups: Into so many groups channels and filters are parted; each filter sees its own.
        activation: Name of ``f``; None is linear.
        use_bias: Whether there is a bias, shape (filters,).
        kernel_initializer: Initial kernel, shape (*kernel_size, channels / groups, filters).
        bias_initializer: Initial bias.

    References: LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to
    document recognition", section II; Dumoulin and Visin (2016), "A guide to convolution
    arithmetic for deep learning", arXiv:1603.07285.
    """

    paddings: ClassVar[Any] = Literal["valid", "same"]

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: str | activations.ActivationFunction | None = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer = "glorot_uniform",
        bias_initializer: str | initializers.Initializer = "zeros",
    ) -> None:
        super().__init__(data_format)
        # Not ``groups``, which says where files keep the weights.
        self.filters, self.parts = filters, groups
        self.kernel_size = self._sizes("kernel_size", kernel_size)
        self.strides = self._sizes("strides", strides)
        self.padding = self._one_of("padding", padding, self.paddings)
        self.dilation_rate = self._sizes("dilation_rate", dilation_rate)
        if min(filters, groups) < 1 or filters % groups:
            raise ValueError(
                f"{type(self).__name__} expects at least one filter, and as many for each group. "
                f"Received: filters={filters}, groups={groups}"
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.weight_names = ("kernel", "bias") if use_bias else ("kernel",)

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        if self.channels % self.parts:
            raise ValueError(
                f"{type(self).__name__} expects channels for {self.parts} groups. "
                f"Received: {self.channels} channels"
            )
        self.windows = Windows.over(
            self.spatial_shape, self.kernel_size, self.strides, self.dilation_rate, self.padding
        )
        return self.output_shape(self.windows.counts, self.filters)

    def weight_shapes(self) -> list[Shape]:
        kernel = (*self.kernel_size, self.channels // self.parts, self.filters)
        return [kernel, (self.filters,)][: len(self.weight_names)]

    def initialize(self, rng: np.random.Generator) -> None:
        for name, array in self.arrays.items():
            initializer = self.bias_initializer if name == "bias" else self.kernel_initializer
            array[...] = initializer(array.shape, rng)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        rows = patches(self.channels_last(x), self.windows, self.parts)
        z = convolve(rows, w["kernel"], self.windows, self.parts)
        z = self.as_given(z + w["bias"] if self.use_bias else z)
        a = activate(z, self.activation)
        return a, (rows, z, a)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        rows, z, a = kept
        delta = self.channels_last(through(delta, self.activation, z, a))
        kernel = w["kernel"]
        gradients = {"kernel": kernel_gradient(rows, delta, kernel.shape, self.parts)}
        if self.use_bias:
            gradients["bias"] = np.sum(delta, axis=tuple(range(self.rank + 1)))
        if self.sees_data:  # nobody needs dC/dx
            return gradients, delta
        return gradients, self.as_given(input_gradient(delta, kernel, self.windows, self.parts))

    def config(self) -> dict[str, object]:
        return {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "groups": self.parts,
            "activation": self.activation.name,
            "use_bias": self.use_bias,
        }


class Conv1D(Convolution):
    """Convolution over sequences, shape (batch, steps, channels); see :class:`Convolution`."""

    rank = 1
    paddings: ClassVar[Any] = Literal["valid", "same", "causal"]


class Conv2D(Convolution):
    """Convolution over pictures, (batch, height, width, channels); see :class:`Convolution`."""

    rank = 2
