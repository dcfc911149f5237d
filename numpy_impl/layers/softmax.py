"""Softmax over any axes, as a layer of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numpy_impl import activations
from numpy_impl.layers.formula import FormulaLayer, Number, Weights, activate, through
from numpy_impl.types import Shape

SOFTMAX = activations.get("softmax")


class Softmax(FormulaLayer):
    """``y_i = exp(x_i) / sum_j exp(x_j)``, the sum being over the axes.

    Backward: ``dC/dx_i = y_i (dC/dy_i - sum_j y_j dC/dy_j)`` over the same axes. Over the last axis
    it is ``Activation("softmax")``, which Keras's layer of this name becomes where its axis is -1.

    Args:
        axis: One axis or several, counted with the batch's, which is none of them.
    """

    def __init__(self, axis: int | Sequence[int] = -1) -> None:
        self.axis = axis if isinstance(axis, int) else list(axis)

    def build(self, input_shape: Shape) -> Shape:
        ranks = len(input_shape) + 1
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        self.axes = [axis + ranks if axis < 0 else axis for axis in given]
        if not given or len(set(self.axes)) < len(given) or not {*self.axes} <= {*range(1, ranks)}:
            raise ValueError(
                f"Softmax expects axes of 1 to {ranks - 1}, each another. "
                f"Received: axis={self.axis!r}"
            )
        return super().build(input_shape)

    def in_rows(self, x: Number) -> Number:
        """Return a batch with the axes laid together, at the end."""
        n = len(self.axes)
        moved = np.moveaxis(x, self.axes, list(range(-n, 0)))
        return np.reshape(moved, (*moved.shape[:-n], -1))

    def as_given(self, rows: Number) -> Number:
        """Return what :meth:`in_rows` was made of."""
        n, shape = len(self.axes), (0, *self.input_shape)
        ends = [shape[axis] for axis in self.axes]
        apart = np.reshape(rows, (*rows.shape[:-1], *ends))
        return np.moveaxis(apart, list(range(-n, 0)), self.axes)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        z = self.in_rows(x)
        a = activate(z, SOFTMAX)
        return self.as_given(a), (z, a)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Number]:
        return {}, self.as_given(through(self.in_rows(delta), SOFTMAX, *kept))

    def config(self) -> dict[str, object]:
        return {"axis": self.axis}
