"""The largest number of each channel, or the mean: one number for a whole picture."""

from math import prod
from typing import Any

import numpy as np

from numpy_impl.layers.formula import Number, Weights, share_of_largest
from numpy_impl.layers.spatial import DataFormat, SpatialLayer
from numpy_impl.types import Array, Shape


class GlobalPooling(SpatialLayer):
    """What all global poolings have: an output of shape (batch, channels).

    Args:
        data_format: Whether channels are "channels_last" (None is that too) or "channels_first".
        keepdims: Whether the spatial axes stay, with length 1.
    """

    def __init__(self, data_format: DataFormat | None = None, keepdims: bool = False) -> None:
        super().__init__(data_format)
        self.keepdims = keepdims

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        first = self.data_format == "channels_first"
        self.axes = tuple(range(2, self.rank + 2) if first else range(1, self.rank + 1))
        kept = self.output_shape((1,) * self.rank, self.channels)
        return kept if self.keepdims else (self.channels,)

    def spread(self, y: Number) -> Number:
        """Return an output, or its delta, with the spatial axes at length 1."""
        return y if self.keepdims else np.expand_dims(y, self.axes)

    def config(self) -> dict[str, object]:
        return {"data_format": self.data_format, "keepdims": self.keepdims}


class GlobalMaxPooling(GlobalPooling):
    """The largest number of each channel.

    Backward, its delta goes to where it was. Where k numbers are equal, each gets 1 / k of it.
    """

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return np.max(x, axis=self.axes, keepdims=self.keepdims), x

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        return {}, self.spread(delta) * share_of_largest(kept, self.axes)


class GlobalAveragePooling(GlobalPooling):
    """The mean of each channel. Backward, each of the n numbers gets ``delta / n``.

    Reference: Lin, Chen and Yan (2013), "Network in network", arXiv:1312.4400, section 3.2.
    """

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return np.mean(x, axis=self.axes, keepdims=self.keepdims), None

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        share = self.spread(delta) / prod(self.spatial_shape)
        return {}, np.broadcast_to(share, (len(delta), *self.input_shape))


class GlobalMaxPooling1D(GlobalMaxPooling):
    """The largest step of each channel: (batch, steps, channels), :class:`GlobalMaxPooling`."""

    rank = 1


class GlobalMaxPooling2D(GlobalMaxPooling):
    """The largest pixel of each channel: (batch, height, width, channels)."""

    rank = 2


class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean step of each channel: (batch, steps, channels), :class:`GlobalAveragePooling`.

    Of a sequence with a mask it is the mean of the steps that count, to which alone ``delta`` goes.
    """

    rank = 1
    uses_mask = True
    notes_mask = True

    def compute_mask(self, x: Array, mask: Array | None) -> Array | None:
        return None

    def compute(
        self, x: Number, w: Weights, training: bool, mask: Array | None = None
    ) -> tuple[Number, Any]:
        if mask is None:
            return super().compute(x, w, training)
        taken = np.expand_dims(mask, 1 if self.data_format == "channels_first" else 2)
        # In the precision of x, as it divides.
        count = np.sum(np.zeros_like(x) + taken, axis=self.axes, keepdims=self.keepdims)
        total = np.sum(np.where(taken, x, 0.0), axis=self.axes, keepdims=self.keepdims)
        return total / count, (taken, count)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        if kept is None:
            return super().differentiate(delta, kept, w)
        taken, count = kept
        return {}, np.where(taken, self.spread(delta / count), 0.0)


class GlobalAveragePooling2D(GlobalAveragePooling):
    """The mean pixel of each channel: (batch, height, width, channels)."""

    rank = 2
