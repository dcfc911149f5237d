"""Steps that only fill up short sequences, marked so that later layers leave them out."""

from typing import Any

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights, differs
from numpy_impl.types import Array, Shape


class Masking(FormulaLayer):
    """``y_t = x_t``; a step whose features all have the value ``mask_value`` is masked.

    Its outputs are 0, it has no gradient, and later layers are told to leave it out.

    Args:
        mask_value: What the features of a step that is no step are.
    """

    def __init__(self, mask_value: float = 0.0) -> None:
        self.mask_value = mask_value

    def build(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            raise ValueError(
                "Masking expects inputs of shape (batch, time, features). "
                f"Received: input_shape={input_shape}"
            )
        return super().build(input_shape)

    def compute_mask(self, x: Array, mask: Array | None) -> Array | None:
        return np.any(x != self.mask_value, axis=-1)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        taken = np.any(differs(x, self.mask_value), axis=-1, keepdims=True)
        return np.where(taken, x, 0.0), taken

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        return {}, np.where(kept, delta, 0.0)

    def config(self) -> dict[str, object]:
        return {"mask_value": self.mask_value}
