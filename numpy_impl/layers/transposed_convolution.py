"""The transpose of a convolution: small pictures to large ones."""

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
from numpy_impl.layers.spatial import DataFormat, Padding, Sizes, Windows
from numpy_impl.types import Shape


class TransposedConvolution(Convolution):
    """The transpose of a convolution that leads from the output's shape to the input's.

    Each number of the input adds its multiple of the kernel to the output where a convolution's
    window would stand: ``z = input_gradient(x) + bias``, output ``a = f(z)``. With n numbers on an
    axis and a kernel that reaches over k, the output has ``(n - 1) * stride + k`` numbers for
    "valid", or more so that no stride is lost, and ``n * stride`` for "same".

    Backward, with ``delta_z = dC/dz``: ``dC/dx`` is the convolution of ``delta_z``, and
    ``dC/dkernel`` is a convolution's with ``x`` and ``delta_z`` in each other's place.

    All other options are as in :class:`Convolution`.

    Args:
        filters: Number of outputs at each place.
        padding: "valid" or "same".
        output_padding: Numbers behind the output that only a part of the windows reaches, less
            than a stride; with "same" it is ``(n - 1) * stride + k % 2`` long and these. None: as
            above.
        dilation_rate: From one place of the window to the next.
        kernel_initializer: Initial kernel, shape (*kernel_size, filters, channels).
        bias_initializer: Initial bias, shape (filters,).

    Reference: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning",
    arXiv:1603.07285, chapter 4.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        output_padding: Sizes | None = None,
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        activation: str | activations.ActivationFunction | None = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer = "glorot_uniform",
        bias_initializer: str | initializers.Initializer = "zeros",
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, 1,
            activation, use_bias, kernel_initializer, bias_initializer,
        )  # fmt: skip
        self.output_padding = (
            None if output_padding is None else self._sizes("output_padding", output_padding, 0)
        )

    def build(self, input_shape: Shape) -> Shape:
        super(Convolution, self).build(input_shape)
        numbers = zip(
            self.spatial_shape, self.kernel_size, self.strides, self.dilation_rate,
            self.output_padding or (None,) * self.rank, strict=True,
        )  # fmt: skip
        large = tuple(self._length(*each) for each in numbers)
        self.windows = Windows.over(
            large, self.kernel_size, self.strides, self.dilation_rate, self.padding
        )
        if self.windows.counts != self.spatial_shape:
            raise ValueError(
                f"{type(self).__name__} expects output_padding below strides, {self.strides}. "
                f"Received: output_padding={self.output_padding!r}"
            )
        return self.output_shape(large, self.filters)

    def _length(self, n: int, size: int, stride: int, dilation: int, further: int | None) -> int:
        reach = (size - 1) * dilation + 1
        if self.padding == "valid":
            least = (n - 1) * stride + reach
            return least + (max(stride - reach, 0) if further is None else further)
        return n * stride if further is None else (n - 1) * stride + reach % 2 + further

    def weight_shapes(self) -> list[Shape]:
        kernel = (*self.kernel_size, self.filters, self.channels)
        return [kernel, (self.filters,)][: len(self.weight_names)]

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        x = self.channels_last(x)
        z = input_gradient(x, w["kernel"], self.windows)
        z = self.as_given(z + w["bias"] if self.use_bias else z)
        a = activate(z, self.activation)
        return a, (x, z, a)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        x, z, a = kept
        delta = self.channels_last(through(delta, self.activation, z, a))
        kernel, rows = w["kernel"], patches(delta, self.windows)
        gradients = {"kernel": kernel_gradient(rows, x, kernel.shape)}
        if self.use_bias:
            gradients["bias"] = np.sum(delta, axis=tuple(range(self.rank + 1)))
        return gradients, self.as_given(convolve(rows, kernel, self.windows))

    def config(self) -> dict[str, object]:
        own = {"output_padding": self.output_padding}
        return {k: v for k, v in super().config().items() if k != "groups"} | own


class Conv1DTranspose(TransposedConvolution):
    """Sequences to longer ones, (batch, steps, channels); see :class:`TransposedConvolution`."""

    rank = 1


class Conv2DTranspose(TransposedConvolution):
    """Pictures to larger ones: (batch, height, width, channels), :class:`TransposedConvolution`."""

    rank = 2
