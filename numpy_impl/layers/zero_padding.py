"""Zeros around a sequence or a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_impl.layers.formula import Number, Weights
from numpy_impl.layers.spatial import DataFormat, SpatialLayer
from numpy_impl.types import Shape


class ZeroPadding(SpatialLayer):
    """Put zeros before and behind the numbers of each spatial axis; backward, cut them off.

    Args:
        padding: How many: one number for all, one for each axis, or two, in front and behind, for
            each axis. For a sequence two numbers are those in front and behind.
        data_format: Whether channels are "channels_last" (None is that too) or "channels_first".
    """

    def __init__(
        self,
        padding: int | Sequence[int | Sequence[int]] = 1,
        data_format: DataFormat | None = None,
    ) -> None:
        super().__init__(data_format)
        self.pairs = self._pairs(padding)
        self.padding = self.pairs[0] if self.rank == 1 else self.pairs

    def _pairs(self, padding: Any) -> tuple[Shape, ...]:
        if isinstance(padding, int):
            pairs: Any = ((padding, padding),) * self.rank
        elif self.rank == 1:
            pairs = (tuple(padding),)
        else:
            pairs = tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)
        numbers = [n for pair in pairs for n in pair]
        right = [len(pair) for pair in pairs] == [2] * self.rank
        if not right or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(
                f"{type(self).__name__} expects padding as an integer of at least 0, or for each "
                f"of {self.rank} axes one or two. Received: padding={padding!r}"
            )
        return pairs

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        padded = [n + sum(pair) for n, pair in zip(self.spatial_shape, self.pairs, strict=True)]
        return self.output_shape(tuple(padded), self.channels)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        widths = ((0, 0), *self.pairs, (0, 0))
        return self.as_given(np.pad(self.channels_last(x), widths)), None

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        both = zip(self.pairs, self.spatial_shape, strict=True)
        inner = tuple(slice(before, before + n) for (before, _), n in both)
        return {}, self.as_given(self.channels_last(delta)[(slice(None), *inner)])

    def config(self) -> dict[str, object]:
        return {"padding": self.padding, "data_format": self.data_format}


class ZeroPadding1D(ZeroPadding):
    """Zeros around a sequence: (batch, steps, channels), see :class:`ZeroPadding`."""

    rank = 1


class ZeroPadding2D(ZeroPadding):
    """Zeros around a picture: (batch, height, width, channels), see :class:`ZeroPadding`."""

    rank = 2
