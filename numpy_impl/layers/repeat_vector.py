"""One vector given to every step of a sequence."""

from typing import Any

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights
from numpy_impl.types import Shape


class RepeatVector(FormulaLayer):
    """``y_t = x`` for n steps: (batch, features) becomes (batch, n, features).

    Backward, ``dC/dx`` is the sum of ``dC/dy_t`` over the steps.

    Args:
        n: How many steps.
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"RepeatVector expects at least one step. Received: n={n}")
        self.n = n

    def build(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ValueError(
                "RepeatVector expects inputs of shape (batch, features). "
                f"Received: input_shape={input_shape}"
            )
        return (self.n, *super().build(input_shape))

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return np.repeat(np.expand_dims(x, 1), self.n, axis=1), None

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        return {}, np.sum(delta, axis=1)

    def config(self) -> dict[str, object]:
        return {"n": self.n}
