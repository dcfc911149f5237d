"""Each sample brought to mean 0 and variance 1 by itself, then scaled and shifted."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights, normalize
from numpy_impl.types import Shape


class LayerNormalization(FormulaLayer):
    """Layer normalization over one axis, the last, or several: ``y = gamma * h + beta``.

    ``h = (x - mean) / sqrt(variance + epsilon)``, with the mean and the variance (divided by n, how
    many they are) of the numbers along the axes: of each sample, or of each place of a sample that
    has further axes.

    Backward, with ``d = dC/dy * gamma`` and means over the same axes:
    ``dC/dx = (d - mean(d) - h * mean(d * h)) / sqrt(variance + epsilon)``. The two terms that are
    taken off are those of the mean and of the variance, which depend on every ``x``.
    ``dC/dgamma`` is the sum of ``dC/dy * h``, ``dC/dbeta`` that of ``dC/dy``, over all else.

    Args:
        axis: One axis or several, counted with the batch's, which is none of them. Of several, all
            are counted from the same end: Keras (3.15.1) sorts the numbers as they are, and brings
            gamma into the wrong shape if that is another order.
        epsilon: Added to the variance; Keras's default is 1e-3.
        center: Whether there is a beta, of the axes' lengths in ascending order.
        scale: Whether there is a gamma, likewise.

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
        ranks, shape = len(input_shape) + 1, (1, *input_shape)
        given = [self.axis] if isinstance(self.axis, int) else sorted(self.axis)
        axes = [axis + ranks if axis < 0 else axis for axis in given]
        ascending = all(a < b for a, b in pairwise(axes))
        if not axes or not ascending or not 0 < axes[0] <= axes[-1] < ranks:
            raise ValueError(
                f"LayerNormalization expects axes of 1 to {ranks - 1}, each another and all of "
                f"them counted from the same end. Received: axis={self.axis!r}"
            )
        self.axes = tuple(axes)
        # Gamma and beta stretched over all other axes.
        self.stretched = tuple(n if i in axes else 1 for i, n in enumerate(shape))
        return super().build(input_shape)

    def weight_shapes(self) -> list[Shape]:
        shape = tuple(n for i, n in enumerate((1, *self.input_shape)) if i in self.axes)
        return [shape] * len(self.weight_names)

    def initialize(self, rng: np.random.Generator) -> None:
        if self.scale:
            self.arrays["gamma"][...] = 1

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        mean = np.mean(x, axis=self.axes, keepdims=True)
        variance = np.mean(np.square(x - mean), axis=self.axes, keepdims=True)
        inverse = 1 / np.sqrt(variance + self.epsilon)
        gamma, beta = (
            np.reshape(w[name], self.stretched) if name in w else None for name in ("gamma", "beta")
        )
        y, h = normalize(x, mean, inverse, gamma, beta)
        return y, (h, inverse, gamma)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        h, inverse, gamma = kept
        others = tuple(i for i in range(delta.ndim) if i not in self.axes)
        gradients: dict[str, Number] = {}
        if self.scale:
            gradients["gamma"] = np.sum(delta * h, axis=others)
        if self.center:
            gradients["beta"] = np.sum(delta, axis=others)
        d = delta * gamma if self.scale else delta
        mean, along = (np.mean(v, axis=self.axes, keepdims=True) for v in (d, d * h))
        return gradients, (d - mean - h * along) * inverse

    def config(self) -> dict[str, object]:
        return {
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }
