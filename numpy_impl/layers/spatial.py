"""Layers over sequences and pictures: their axes, and windows that move over them.

A window stands at some places of the input, and takes ``size`` numbers of each axis. All that a
convolution or a pooling does with places is in :class:`Windows`: ``Windows.views`` takes the
numbers below each window, and ``Windows.add`` is its transpose, which adds numbers for each
window to where they were taken from.
"""

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numpy_impl.layers.formula import FormulaLayer, Number
from numpy_impl.types import Array, Shape

DataFormat = Literal["channels_last", "channels_first"]
Padding = Literal["valid", "same", "causal"]
Sizes = int | Sequence[int]


class Windows(NamedTuple):
    """Where windows stand on the spatial axes of an input; each tuple has a number for each axis.

    Attributes:
        shape: Of the input.
        size: Numbers in a window.
        strides: From one window to the next.
        dilation: From one number in a window to the next.
        before: Padding in front of the input.
        after: Padding behind it.
        counts: Of windows.
    """

    shape: Shape
    size: Shape
    strides: Shape
    dilation: Shape
    before: Shape
    after: Shape
    counts: Shape

    @classmethod
    def over(
        cls, shape: Shape, size: Shape, strides: Shape, dilation: Shape, padding: Padding
    ) -> "Windows":
        """Return the windows that Keras's ``padding`` stands for.

        With n numbers on an axis and windows that reach over ``k = (size - 1) * dilation + 1``:
        "valid" has ``floor((n - k) / stride) + 1`` windows and no padding. "same" has
        ``ceil(n / stride)``, and pads by what they reach further than n; if that is odd, by one
        more behind. "causal" pads by ``k - 1`` in front.

        Raises:
            ValueError: There is no place for a window.
        """
        reach = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
        before = after = (0,) * len(shape)
        if padding == "causal":
            before = tuple(k - 1 for k in reach)
        if padding == "same":
            needed = [
                max((-(-n // s) - 1) * s + k - n, 0)
                for n, s, k in zip(shape, strides, reach, strict=True)
            ]
            before = tuple(pad // 2 for pad in needed)
            after = tuple(pad - pad // 2 for pad in needed)
        padded = tuple(b + n + a for b, n, a in zip(before, shape, after, strict=True))
        counts = tuple((n - k) // s + 1 for n, k, s in zip(padded, reach, strides, strict=True))
        if min(counts) < 1:
            raise ValueError(f"Expected an input of at least {reach}. Received: {shape}")
        return cls(shape, size, strides, dilation, before, after, counts)

    def views(self, x: Number, fill: float = 0.0) -> Number:
        """Return the numbers below each window, shape (N, *counts, channels, *size).

        Args:
            x: Shape (N, *shape, channels).
            fill: What the padding consists of.
        """
        axes = tuple(range(1, len(self.shape) + 1))
        if any(self.before + self.after):
            pads = ((0, 0), *zip(self.before, self.after, strict=True), (0, 0))
            x = np.pad(x, pads, constant_values=fill)
        reach = tuple((k - 1) * d + 1 for k, d in zip(self.size, self.dilation, strict=True))
        every = [slice(None, None, s) for s in self.strides]
        inside = [slice(None, None, d) for d in self.dilation]
        taken: Number = sliding_window_view(x, reach, axes)
        return taken[(slice(None), *every, slice(None), *inside)]

    def places(self, x: Number, fill: float = 0.0) -> Number:
        """Return :meth:`views` place by place, shape (prod(size), N, *counts, channels)."""
        taken, rank = self.views(x, fill), len(self.shape)
        ends, starts = tuple(range(-rank, 0)), tuple(range(rank))
        return np.reshape(np.moveaxis(taken, ends, starts), (-1, *taken.shape[: rank + 2]))

    def add(self, pieces: Array) -> Array:
        """Return what :meth:`places` is the transpose of, shape (N, *shape, channels).

        It adds in a loop, so it is called through ``formula.sum_products``.

        Args:
            pieces: Shape (prod(size), N, *counts, channels).
        """
        padded = tuple(
            b + n + a for b, n, a in zip(self.before, self.shape, self.after, strict=True)
        )
        total = np.zeros((pieces.shape[1], *padded, pieces.shape[-1]), pieces.dtype)
        for piece, place in zip(pieces, product(*map(range, self.size)), strict=True):
            onto = tuple(
                slice(k * d, k * d + (n - 1) * s + 1, s)
                for k, d, n, s in zip(place, self.dilation, self.counts, self.strides, strict=True)
            )
            total[(slice(None), *onto)] += piece
        inner = tuple(slice(b, b + n) for b, n in zip(self.before, self.shape, strict=True))
        return total[(slice(None), *inner)]

    @property
    def numbers(self) -> int:
        """How many numbers a window takes of each channel."""
        return prod(self.size)


class SpatialLayer(FormulaLayer):
    """A layer whose samples have ``rank`` spatial axes and one of channels.

    The mathematics is written for channels on the last axis; :meth:`channels_last` and
    :meth:`as_given` go from the layer's ``data_format`` to that and back.
    """

    rank: ClassVar[int]

    def __init__(self, data_format: DataFormat | None = None) -> None:
        self.data_format = self._one_of("data_format", data_format or "channels_last", DataFormat)

    def build(self, input_shape: Shape) -> Shape:
        if len(input_shape) != self.rank + 1:
            raise ValueError(
                f"{type(self).__name__} expects samples with {self.rank} spatial axes and one of "
                f"channels. Received: input_shape={input_shape}"
            )
        first = self.data_format == "channels_first"
        self.channels = input_shape[0 if first else -1]
        self.spatial_shape = input_shape[1:] if first else input_shape[:-1]
        return super().build(input_shape)

    def output_shape(self, spatial: Shape, channels: int) -> Shape:
        """Return the shape of a sample in the layer's ``data_format``."""
        if self.data_format == "channels_first":
            return (channels, *spatial)
        return (*spatial, channels)

    def channels_last(self, x: Number) -> Number:
        """Return a batch in the layer's ``data_format`` with its channels on the last axis."""
        return np.moveaxis(x, 1, -1) if self.data_format == "channels_first" else x

    def as_given(self, y: Number) -> Number:
        """Return a batch with its channels on the last axis in the layer's ``data_format``."""
        return np.moveaxis(y, -1, 1) if self.data_format == "channels_first" else y

    def _one_of(self, option: str, value: Any, choice: Any) -> Any:
        """Return an option after checking that it is one of a ``Literal``'s."""
        known = choice.__args__
        if value not in known:
            raise ValueError(
                f"{type(self).__name__} expects {option} {' or '.join(known)}. "
                f"Received: {option}={value!r}"
            )
        return value

    def _sizes(self, option: str, value: Sizes, least: int = 1) -> Shape:
        """Return an option that is a number for each spatial axis, or one number for all."""
        sizes = (value,) * self.rank if isinstance(value, int) else tuple(value)
        if len(sizes) != self.rank or any(type(n) is not int or n < least for n in sizes):
            raise ValueError(
                f"{type(self).__name__} expects {option} to be {self.rank} integers of at least "
                f"{least}, or one. Received: {option}={value!r}"
            )
        return sizes
