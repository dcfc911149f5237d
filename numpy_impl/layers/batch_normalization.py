"""Each channel brought to mean 0 and variance 1 over the batch, then scaled and shifted."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights, normalize, weigh_standardized
from numpy_impl.types import Array, Shape


class BatchNormalization(FormulaLayer):
    """Batch normalization of each channel: ``y = gamma * h + beta``.

    ``h = (x - mean) / sqrt(variance + epsilon)``. In training the mean and the variance (divided
    by n, the count) are those of the channel's n numbers in the batch: all samples, and all places
    of a picture. Otherwise they are the moving statistics, which each training step moves:
    ``moving = momentum * moving + (1 - momentum) * batch's``.

    Backward in training, with ``d = dC/dy * gamma`` and means over the same n numbers:
    ``dC/dx = (d - mean(d) - h * mean(d * h)) / sqrt(variance + epsilon)``, as the mean and the
    variance depend on every ``x``. ``dC/dgamma`` is the sum of ``dC/dy * h``, ``dC/dbeta`` that of
    ``dC/dy``.

    Args:
        axis: That of the channels, counted with the batch's.
        momentum: How much of the moving statistics is left after a step.
        epsilon: Added to the variance.
        center: Whether there is a beta, shape (channels,).
        scale: Whether there is a gamma, shape (channels,).

    Reference: Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training
    by reducing internal covariate shift", arXiv:1502.03167, algorithms 1 and 2.
    """

    moving_mean: Array
    moving_variance: Array
    state_names = ("moving_mean", "moving_variance")
    # Statistics over several machines do not change those of one.
    fixed: ClassVar[Mapping[str, Any]] = {
        "renorm": False, "renorm_momentum": 0.99, "synchronized": False,
    }  # fmt: skip

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
    ) -> None:
        self.axis = axis
        self.momentum, self.epsilon = momentum, epsilon
        self.center, self.scale = center, scale
        self.weight_names = ("gamma",) * scale + ("beta",) * center

    def build(self, input_shape: Shape) -> Shape:
        axes = len(input_shape) + 1
        if self.axis % axes == 0 or not -axes < self.axis < axes:
            raise ValueError(
                f"BatchNormalization expects the axis of the channels, 1 to {axes - 1}. "
                f"Received: axis={self.axis!r}"
            )
        self.channels = input_shape[self.axis % axes - 1]
        return super().build(input_shape)

    def weight_shapes(self) -> list[Shape]:
        return [(self.channels,)] * len(self.weight_names)

    def state_shapes(self) -> list[Shape]:
        return [(self.channels,)] * 2

    def start_states(self) -> None:
        self.moving_variance[...] = 1

    def initialize(self, rng: np.random.Generator) -> None:
        if self.scale:
            self.arrays["gamma"][...] = 1

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        x = np.moveaxis(x, self.axis, -1)
        others = tuple(range(x.ndim - 1))
        mean, variance = w["moving_mean"], w["moving_variance"]
        if training:
            mean = np.mean(x, axis=others)
            variance = np.mean(np.square(x - mean), axis=others)
        inverse = 1 / np.sqrt(variance + self.epsilon)
        y, h = normalize(x, mean, inverse, w.get("gamma"), w.get("beta"))
        return np.moveaxis(y, -1, self.axis), (x, h, mean, variance, inverse, training)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        x, h, mean, _, inverse, training = kept
        delta = np.moveaxis(delta, self.axis, -1)
        others = tuple(range(delta.ndim - 1))
        along = np.reshape(weigh_standardized(delta, x, mean, inverse, others), (-1,))
        total = np.sum(delta, axis=others)
        gradients = {name: {"gamma": along, "beta": total}[name] for name in self.weight_names}
        if training:
            n = x.size // self.channels
            delta = delta - total / n - h * (along / n)
        d = delta * w["gamma"] if self.scale else delta
        return gradients, np.moveaxis(d * inverse, -1, self.axis)

    def updated_states(self, kept: Any, w: Weights) -> dict[str, Number]:
        _, _, mean, variance, _, _ = kept
        moved = {"moving_mean": mean, "moving_variance": variance}
        return {
            name: w[name] * self.momentum + new * (1 - self.momentum) for name, new in moved.items()
        }

    def config(self) -> dict[str, object]:
        return {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }
