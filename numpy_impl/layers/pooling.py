"""The largest number below a window, or the mean: pictures made smaller."""

from typing import Any, Literal

import numpy as np

from numpy_impl.layers.formula import Number, Weights, first_largest, sum_products
from numpy_impl.layers.spatial import DataFormat, Padding, Sizes, SpatialLayer, Windows
from numpy_impl.types import Array, Shape


class Pooling(SpatialLayer):
    """What all poolings have: windows that move over each channel by itself.

    Args:
        pool_size: Numbers in a window, on each axis.
        strides: From one window to the next; None: the windows lie side by side.
        padding: "valid" or "same", see :class:`Windows`. The padding counts for nothing.
        data_format: Whether channels are "channels_last" (None is that too) or "channels_first".
    """

    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
    ) -> None:
        super().__init__(data_format)
        self.pool_size = self._sizes("pool_size", pool_size)
        self.strides = self._sizes("strides", pool_size if strides is None else strides)
        self.padding = self._one_of("padding", padding, Literal["valid", "same"])

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        ones = (1,) * self.rank
        self.windows = Windows.over(
            self.spatial_shape, self.pool_size, self.strides, ones, self.padding
        )
        return self.output_shape(self.windows.counts, self.channels)

    def config(self) -> dict[str, object]:
        return {
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }


class MaxPooling(Pooling):
    """The largest number below each window.

    Backward, each delta goes to the place where the largest number was; of several that are equal,
    to the first in row-major order. Where windows overlap, deltas add up.

    Reference: Goodfellow, Bengio and Courville (2016), "Deep learning", section 9.3.
    """

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        places = self.windows.places(self.channels_last(x), fill=-np.inf)
        return self.as_given(np.max(places, axis=0)), places

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        def back(delta: Array, chosen: Array) -> Array:
            return self.windows.add(delta * chosen)

        chosen, delta = first_largest(kept, axis=0), self.channels_last(delta)
        numbers = self.windows.numbers
        return {}, self.as_given(sum_products(delta, chosen, function=back, terms=numbers))


class AveragePooling(Pooling):
    """The mean of the numbers below each window, without the padding.

    Backward, each of these numbers gets the window's delta divided by how many they are.
    """

    def counted(self) -> Array:
        """Return how many numbers of the input each window has, shape (*counts, 1)."""
        # Small whole numbers, which leave the precision of what they divide as it is.
        ones = np.ones((1, *self.spatial_shape, 1), np.float32)
        return np.sum(self.windows.places(ones), axis=(0, 1))

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        counted = self.counted()
        places = self.windows.places(self.channels_last(x))
        return self.as_given(np.sum(places, axis=0) / counted), counted

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        numbers = self.windows.numbers

        def back(share: Array) -> Array:
            return self.windows.add(np.broadcast_to(share, (numbers, *share.shape)))

        share = self.channels_last(delta) / kept
        return {}, self.as_given(sum_products(share, function=back, terms=numbers))


class MaxPooling1D(MaxPooling):
    """The largest of neighbouring steps, (batch, steps, channels); see :class:`MaxPooling`."""

    rank = 1


class MaxPooling2D(MaxPooling):
    """The largest of neighbouring pixels, (batch, height, width, channels): see above."""

    rank = 2


class AveragePooling1D(AveragePooling):
    """The mean of neighbouring steps, (batch, steps, channels); see :class:`AveragePooling`."""

    rank = 1


class AveragePooling2D(AveragePooling):
    """The mean of neighbouring pixels, (batch, height, width, channels): see above."""

    rank = 2
