"""Each sample's channels brought, in groups, to mean 0 and variance 1, then scaled and shifted."""

from typing import Any

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights, normalize, weigh_standardized
from numpy_impl.types import Shape


class GroupNormalization(FormulaLayer):
    """Group normalization: ``y = gamma * h + beta``, gamma and beta one for each channel.

    ``h = (x - mean) / sqrt(variance + epsilon)``, with the mean and the variance (divided by n) of
    the n numbers that a sample has in a group of neighbouring channels, at all places.

    Backward, with ``d = dC/dy * gamma`` and means over the same n numbers:
    ``dC/dx = (d - mean(d) - h * mean(d * h)) / sqrt(variance + epsilon)``. ``dC/dgamma`` is the
    sum of ``dC/dy * h`` over samples and places, ``dC/dbeta`` that of ``dC/dy``.

    Args:
        groups: Into how many groups the channels are parted; -1 makes each channel one (instance
            normalization), 1 all of them (layer normalization over all axes).
        axis: That of the channels, counted with the batch's.
        epsilon: Added to the variance.
        center: Whether there is a beta, shape (channels,).
        scale: Whether there is a gamma, shape (channels,).

    Reference: Wu and He (2018), "Group normalization", arXiv:1803.08494, section 3.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
    ) -> None:
        # Not ``groups``, which says where files keep the weights.
        self.asked, self.axis = groups, axis
        self.epsilon = epsilon
        self.center, self.scale = center, scale
        self.weight_names = ("gamma",) * scale + ("beta",) * center

    def build(self, input_shape: Shape) -> Shape:
        axes = len(input_shape) + 1
        if self.axis % axes == 0 or not -axes < self.axis < axes:
            raise ValueError(
                f"GroupNormalization expects the axis of the channels, 1 to {axes - 1}. "
                f"Received: axis={self.axis!r}"
            )
        self.channels = input_shape[self.axis % axes - 1]
        self.parts = self.channels if self.asked == -1 else self.asked
        if self.parts < 1 or self.channels % self.parts:
            raise ValueError(
                f"GroupNormalization expects groups that part {self.channels} channels evenly. "
                f"Received: groups={self.asked}"
            )
        return super().build(input_shape)

    def weight_shapes(self) -> list[Shape]:
        return [(self.channels,)] * len(self.weight_names)

    def initialize(self, rng: np.random.Generator) -> None:
        if self.scale:
            self.arrays["gamma"][...] = 1

    def parted(self, x: Number) -> Number:
        """Return a batch of shape (N, *places, groups, channels a group)."""
        x = np.moveaxis(x, self.axis, -1)
        return np.reshape(x, (*x.shape[:-1], self.parts, -1))

    def joined(self, y: Number) -> Number:
        """Return what :meth:`parted` was made of."""
        return np.moveaxis(np.reshape(y, (*y.shape[:-2], -1)), -1, self.axis)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        x = self.parted(x)
        places = tuple(range(1, x.ndim - 2))
        mean = np.mean(x, axis=(*places, x.ndim - 1), keepdims=True)
        variance = np.mean(np.square(x - mean), axis=(*places, x.ndim - 1), keepdims=True)
        inverse = 1 / np.sqrt(variance + self.epsilon)
        gamma, beta = (
            np.reshape(w[name], (self.parts, -1)) if name in w else None
            for name in ("gamma", "beta")
        )
        y, h = normalize(x, mean, inverse, gamma, beta)
        return self.joined(y), (x, h, mean, inverse, gamma)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        x, h, mean, inverse, gamma = kept
        delta = self.parted(delta)
        places = tuple(range(1, x.ndim - 2))
        along = weigh_standardized(delta, x, mean, inverse, places)
        total = np.sum(delta, axis=places, keepdims=True)
        sums = {"gamma": along, "beta": total}
        gradients = {
            name: np.reshape(np.sum(sums[name], axis=(0, *places)), (-1,))
            for name in self.weight_names
        }
        d = delta * gamma if self.scale else delta
        along, total = (v * gamma if self.scale else v for v in (along, total))
        n = x.size // (len(x) * self.parts)
        along, mean = (np.sum(v, axis=-1, keepdims=True) / n for v in (along, total))
        return gradients, self.joined((d - mean - h * along) * inverse)

    def config(self) -> dict[str, object]:
        return {
            "groups": self.asked,
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }
