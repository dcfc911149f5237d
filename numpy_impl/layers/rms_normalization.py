"""Each sample divided by its root mean square, then scaled."""

from typing import Any

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights
from numpy_impl.types import Shape


class RMSNormalization(FormulaLayer):
    """Root mean square normalization over the last axis: ``y = scale * h``.

    ``h = x / sqrt(mean(x^2) + epsilon)``, with the mean over the axis. No mean is taken off ``x``.

    Backward, with ``d = dC/dy * scale``: ``dC/dx = (d - h * mean(d * h)) / sqrt(mean(x^2) +
    epsilon)``, and ``dC/dscale`` is the sum of ``dC/dy * h`` over all other axes.

    Args:
        axis: The last one, as -1 or its number.
        epsilon: Added to the mean square.

    Reference: Zhang and Sennrich (2019), "Root mean square layer normalization", arXiv:1910.07467,
    eq. 4.
    """

    weight_names = ("scale",)

    def __init__(self, axis: int | list[int] = -1, epsilon: float = 1e-6) -> None:
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> Shape:
        axes = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        if axes not in ([-1], [len(input_shape)]):
            raise ValueError(
                f"RMSNormalization expects the last axis, {len(input_shape)}. "
                f"Received: axis={self.axis!r}"
            )
        return super().build(input_shape)

    def weight_shapes(self) -> list[Shape]:
        return [self.input_shape[-1:]]

    def initialize(self, rng: np.random.Generator) -> None:
        self.arrays["scale"][...] = 1

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        inverse = 1 / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + self.epsilon)
        h = x * inverse
        return h * w["scale"], (h, inverse)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        h, inverse = kept
        gradient = np.sum(delta * h, axis=tuple(range(delta.ndim - 1)))
        d = delta * w["scale"]
        along = np.mean(d * h, axis=-1, keepdims=True)
        return {"scale": gradient}, (d - h * along) * inverse

    def config(self) -> dict[str, object]:
        return {"axis": self.axis, "epsilon": self.epsilon}
