"""ReLU with a trained slope for negative inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numpy_impl import activations
from numpy_impl.layers.formula import FormulaLayer, Number, Weights, activate, through
from numpy_impl.types import Shape

RELU = activations.get("relu")


class PReLU(FormulaLayer):
    """``y = max(x, 0) - alpha max(-x, 0)``: ``x`` where positive, ``alpha x`` where negative.

    Backward: ``dC/dx`` is ``dC/dy`` where ``x > 0``, ``alpha dC/dy`` where ``x < 0`` and 0 at 0;
    ``dC/dalpha`` is the sum of ``-dC/dy max(-x, 0)`` over the batch and the shared axes.

    Args:
        shared_axes: Axes, counted from 1, along which alpha is the same; it has length 1 there.

    Reference: He, Zhang, Ren and Sun (2015), "Delving deep into rectifiers", eq. 1 and 6.
    """

    weight_names = ("alpha",)

    def __init__(self, shared_axes: Sequence[int] | int | None = None) -> None:
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes

    def build(self, input_shape: Shape) -> Shape:
        shared = set(self.shared_axes or ())
        if not shared <= set(range(1, len(input_shape) + 1)):
            raise ValueError(
                f"PReLU expects shared_axes of 1 to {len(input_shape)}. "
                f"Received: {self.shared_axes}"
            )
        self.alpha_shape = tuple(1 if i in shared else n for i, n in enumerate(input_shape, 1))
        self.summed = (0, *sorted(shared))
        return super().build(input_shape)

    def weight_shapes(self) -> list[Shape]:
        return [self.alpha_shape]

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        positive, negative = activate(x, RELU), activate(-x, RELU)
        return positive + -w["alpha"] * negative, (x, positive, negative)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Number]:
        x, positive, negative = kept
        along = np.sum(-delta * negative, axis=self.summed, keepdims=True)
        below = through(delta * w["alpha"], RELU, -x, negative)
        return (
            {"alpha": along.reshape(*self.alpha_shape)},
            through(delta, RELU, x, positive) + below,
        )

    def config(self) -> dict[str, object]:
        return {"shared_axes": self.shared_axes}
