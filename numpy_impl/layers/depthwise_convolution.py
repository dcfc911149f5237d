"""Convolution of each channel for itself, alone or followed by one that mixes the channels."""

from typing import Any

import numpy as np

from numpy_impl import activations, initializers
from numpy_impl.layers.convolution import (
    Convolution,
    convolve,
    input_gradient,
    kernel_gradient,
    patches,
)
from numpy_impl.layers.formula import Number, Weights, activate, through
from numpy_impl.layers.spatial import DataFormat, Padding, Sizes
from numpy_impl.types import Shape


def one_for_each_channel(kernel: Number) -> Number:
    """Return (*size, channels, m) as the kernel of a convolution with a group for each channel."""
    return np.reshape(kernel, (*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1]))


class DepthwiseConv2D(Convolution):
    """Convolution of each channel with ``depth_multiplier`` windows of its own.

    That is :class:`Convolution` with as many groups as channels. The kernel has the shape
    (*kernel_size, channels, depth_multiplier).

    All other options are as there.

    Args:
        depth_multiplier: Outputs for each channel.
        depthwise_initializer: Initial kernel.
        bias_initializer: Initial bias, shape (channels * depth_multiplier,).

    Reference: Chollet (2017), "Xception: deep learning with depthwise separable convolutions",
    arXiv:1610.02357, section 1.
    """

    rank = 2

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        activation: str | activations.ActivationFunction | None = None,
        use_bias: bool = True,
        depthwise_initializer: str | initializers.Initializer = "glorot_uniform",
        bias_initializer: str | initializers.Initializer = "zeros",
    ) -> None:
        super().__init__(
            depth_multiplier, kernel_size, strides, padding, data_format, dilation_rate, 1,
            activation, use_bias, depthwise_initializer, bias_initializer,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier

    def build(self, input_shape: Shape) -> Shape:
        self.parts = 1
        super().build(input_shape)
        self.parts, self.filters = self.channels, self.channels * self.depth_multiplier
        return self.output_shape(self.windows.counts, self.filters)

    def weight_shapes(self) -> list[Shape]:
        kernel = (*self.kernel_size, self.channels, self.depth_multiplier)
        return [kernel, (self.filters,)][: len(self.weight_names)]

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return super().compute(x, {**w, "kernel": one_for_each_channel(w["kernel"])}, training)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        kernel = w["kernel"]
        by_groups = {**w, "kernel": one_for_each_channel(kernel)}
        gradients, delta = super().differentiate(delta, kept, by_groups)
        return gradients | {"kernel": np.reshape(gradients["kernel"], kernel.shape)}, delta

    def config(self) -> dict[str, object]:
        own = {"depth_multiplier": self.depth_multiplier}
        return {k: v for k, v in super().config().items() if k not in ("filters", "groups")} | own


class SeparableConv2D(Convolution):
    """A depthwise convolution, and a convolution with windows of one place that mixes channels.

    ``m = depthwise(x)``, ``z[n, p, f] = bias[f] + sum over c of m[n, p, c] * pointwise[c, f]``,
    output ``a = f(z)``. Backward goes through the two one after the other.

    The window's options are those of the depthwise convolution, which has neither bias nor
    activation; see :class:`DepthwiseConv2D`.

    Args:
        filters: Number of outputs at each place.
        depth_multiplier: The depthwise convolution's outputs for each channel.
        activation: Name of ``f``; None is linear.
        use_bias: Whether there is a bias, shape (filters,).
        depthwise_initializer: Initial kernel, (*kernel_size, channels, depth_multiplier).
        pointwise_initializer: Initial mixing, (1, 1, channels * depth_multiplier, filters).
        bias_initializer: Initial bias.

    Reference: as of :class:`DepthwiseConv2D`.
    """

    rank = 2

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: str | activations.ActivationFunction | None = None,
        use_bias: bool = True,
        depthwise_initializer: str | initializers.Initializer = "glorot_uniform",
        pointwise_initializer: str | initializers.Initializer = "glorot_uniform",
        bias_initializer: str | initializers.Initializer = "zeros",
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, 1,
            activation, use_bias, depthwise_initializer, bias_initializer,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.weight_names = ("depthwise_kernel", "pointwise_kernel", *self.weight_names[1:])

    def weight_shapes(self) -> list[Shape]:
        depthwise = (*self.kernel_size, self.channels, self.depth_multiplier)
        pointwise = (1, 1, self.channels * self.depth_multiplier, self.filters)
        return [depthwise, pointwise, (self.filters,)][: len(self.weight_names)]

    def initialize(self, rng: np.random.Generator) -> None:
        arrays = self.arrays
        arrays["depthwise_kernel"][...] = self.kernel_initializer(
            arrays["depthwise_kernel"].shape, rng
        )
        arrays["pointwise_kernel"][...] = self.pointwise_initializer(
            arrays["pointwise_kernel"].shape, rng
        )
        if self.use_bias:
            arrays["bias"][...] = self.bias_initializer(arrays["bias"].shape, rng)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        rows = patches(self.channels_last(x), self.windows, self.channels)
        depthwise = one_for_each_channel(w["depthwise_kernel"])
        m = convolve(rows, depthwise, self.windows, self.channels)
        mixed = np.reshape(m, (1, -1, m.shape[-1]))
        z = convolve(mixed, w["pointwise_kernel"], self.windows)
        z = self.as_given(z + w["bias"] if self.use_bias else z)
        a = activate(z, self.activation)
        return a, (rows, mixed, z, a)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        rows, mixed, z, a = kept
        delta = self.channels_last(through(delta, self.activation, z, a))
        kernel, pointwise = w["depthwise_kernel"], w["pointwise_kernel"]
        depthwise = one_for_each_channel(kernel)
        gradients = {"pointwise_kernel": kernel_gradient(mixed, delta, pointwise.shape)}
        if self.use_bias:
            gradients["bias"] = np.sum(delta, axis=tuple(range(self.rank + 1)))
        delta = delta @ np.transpose(pointwise[0, 0])
        gradient = kernel_gradient(rows, delta, depthwise.shape, self.channels)
        gradients["depthwise_kernel"] = np.reshape(gradient, kernel.shape)
        if self.sees_data:  # nobody needs dC/dx
            return gradients, delta
        return gradients, self.as_given(
            input_gradient(delta, depthwise, self.windows, self.channels)
        )

    def config(self) -> dict[str, object]:
        own = {"depth_multiplier": self.depth_multiplier}
        return {k: v for k, v in super().config().items() if k != "groups"} | own
