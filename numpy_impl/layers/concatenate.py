"""Several arrays joined along an axis."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights
from numpy_impl.layers.merging import Merging, check_sequences
from numpy_impl.types import Array, Shape


class Concatenate(Merging):
    """``y = [x_1, ..., x_n]`` along an axis; each ``dC/dx_i`` is its own part of ``dC/dy``.

    Of sequences side by side a step counts that counts in any of them; of one behind the other each
    keeps its own. An input without a mask counts throughout.

    Args:
        axis: Counted with the batch axis, which it may not be: -1 or 1 join (batch, n) arrays.
    """

    joins_masks = False

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def build_many(self, input_shapes: Sequence[Shape]) -> Shape:
        axes = len(input_shapes[0]) + 1
        axis = self.axis + axes if self.axis < 0 else self.axis
        rests = {shape[: axis - 1] + shape[axis:] for shape in input_shapes}
        ranks = {len(shape) for shape in input_shapes}
        if len(input_shapes) < 2 or not 0 < axis < axes or len(rests) > 1 or len(ranks) > 1:
            raise ValueError(
                f"Concatenate expects inputs that differ along axis {self.axis} alone, which is "
                f"not the batch's. Received: shapes {', '.join(map(str, input_shapes))}"
            )
        FormulaLayer.build(self, input_shapes[0])
        self.place = axis
        sizes = [shape[axis - 1] for shape in input_shapes]
        self.ends = np.cumsum([0, *sizes]).tolist()
        whole = list(input_shapes[0])
        whole[axis - 1] = sum(sizes)
        return tuple(whole)

    def compute_mask(self, x: Any, mask: Any) -> Array | None:
        if all(one is None for one in mask):
            return None
        check_sequences(type(self).__name__, x, mask)
        steps = [
            np.ones(np.shape(a)[:2], bool) if m is None else np.asarray(m, bool)
            for a, m in zip(x, mask, strict=True)
        ]
        return np.concatenate(steps, axis=1) if self.place == 1 else reduce(np.logical_or, steps)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return np.concatenate(x, axis=self.place), None

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        before = (slice(None),) * self.place
        parts = zip(self.ends, self.ends[1:], strict=False)
        return {}, [delta[(*before, slice(start, end))] for start, end in parts]

    def config(self) -> dict[str, object]:
        return {"axis": self.axis}
