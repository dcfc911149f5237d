"""Each sample brought to mean 0 and variance 1 by itself, then scaled and shifted."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights, normalize
from numpy_impl.types import Shape


class LayerNormalization(FormulaLayer):
    """Layer normalization over the last axis: ``y = gamma * h + beta``.

    ``h = (x - mean) / sqrt(variance + epsilon)``, with the mean and the variance (divided by n, the
    length of the axis) of each sample, or of each place of a sample that has several axes.

    Backward, with ``d = dC/dy * gamma`` and means over the same axis:
    ``dC/dx = (d - mean(d) - h * mean(d * h)) / sqrt(variance + epsilon)``. The two terms that are
    taken off are those of the mean and of the variance, which depend on every ``x``.
    ``dC/dgamma`` is the sum of ``dC/dy * h``, ``dC/dbeta`` that of ``dC/dy``, over all else.

    Args:
        axis: The last one, as -1 or its number.
        epsilon: Added to the variance; Keras's default is 1e-3.
        center: Whether there is a beta, shape (n,).
        scale: Whether there is a gamma, shape (n,).

    Reference: Ba, Kiros and Hinton (2016), "Layer normalization", arXiv:1607.06450, eq. 4.
    """

    passes_mask = True
    fixed: ClassVar[Mapping[str, Any]] = {"rms_scaling": False}

    def __init__(
        self,
        axis: int | list[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
    ) -> None:
        self.axis = axis
        self.epsilon = epsilon
        self.center, self.scale = center, scale
        self.weight_names = ("gamma",) * scale + ("beta",) * center

    def build(self, input_shape: Shape) -> Shape:
        axes = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        if axes not in ([-1], [len(input_shape)]):
            raise ValueError(
                f"LayerNormalization expects the last axis, {len(input_shape)}. "
                f"Received: axis={self.axis!r}"
            )
        return super().build(input_shape)

    def weight_shapes(self) -> list[Shape]:
        return [self.input_shape[-1:]] * len(self.weight_names)

    def initialize(self, rng: np.random.Generator) -> None:
        if self.scale:
            self.arrays["gamma"][...] = 1

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        mean = np.mean(x, axis=-1, keepdims=True)
        variance = np.mean(np.square(x - mean), axis=-1, keepdims=True)
        inverse = 1 / np.sqrt(variance + self.epsilon)
        y, h = normalize(x, mean, inverse, w.get("gamma"), w.get("beta"))
        return y, (h, inverse)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        h, inverse = kept
        others = tuple(range(delta.ndim - 1))
        gradients: dict[str, Number] = {}
        if self.scale:
            gradients["gamma"] = np.sum(delta * h, axis=others)
        if self.center:
            gradients["beta"] = np.sum(delta, axis=others)
        d = delta * w["gamma"] if self.scale else delta
        mean, along = (np.mean(v, axis=-1, keepdims=True) for v in (d, d * h))
        return gradients, (d - mean - h * along) * inverse

    def config(self) -> dict[str, object]:
        return {
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }
