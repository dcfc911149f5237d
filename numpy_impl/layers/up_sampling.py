"""Pictures made larger by repeating their pixels."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from numpy_impl.layers.formula import Number, Weights
from numpy_impl.layers.spatial import DataFormat, Sizes, SpatialLayer
from numpy_impl.types import Shape


class UpSampling2D(SpatialLayer):
    """Repeat each pixel ``size[0]`` times downward and ``size[1]`` times to the right.

    Backward, a pixel gets the sum of the deltas of its copies.

    Args:
        size: How often, on each axis.
        data_format: Whether channels are "channels_last" (None is that too) or "channels_first".
    """

    rank = 2
    fixed: ClassVar[Mapping[str, Any]] = {"interpolation": "nearest"}

    def __init__(self, size: Sizes = 2, data_format: DataFormat | None = None) -> None:
        super().__init__(data_format)
        self.size = self._sizes("size", size)

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        height, width = (n * k for n, k in zip(self.spatial_shape, self.size, strict=True))
        return self.output_shape((height, width), self.channels)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        rows = np.repeat(self.channels_last(x), self.size[0], axis=1)
        return self.as_given(np.repeat(rows, self.size[1], axis=2)), None

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        (height, width), (down, right) = self.spatial_shape, self.size
        copies = np.reshape(
            self.channels_last(delta), (len(delta), height, down, width, right, self.channels)
        )
        return {}, self.as_given(np.sum(copies, axis=(2, 4)))

    def config(self) -> dict[str, object]:
        return {"size": self.size, "data_format": self.data_format}
