"""Dropout: in training each input is kept or set to 0 by a mask."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_impl.fused import Each, Same, rule
from numpy_impl.layers.base import Layer
from numpy_impl.types import Array, Shape


@rule("out")
def drop(x: Each, mask: Each, factor: Same) -> Any:
    return x * factor * mask


class Dropout(Layer):
    """Inverted dropout: in training each input is kept with probability ``1 - rate``.

    Kept inputs are multiplied by ``1 / (1 - rate)`` and the others set to 0, in the forward and in
    the backward pass alike; outside training the layer does nothing.

    Args:
        rate: Probability of dropping, in [0, 1).
        seed: Seed, or Generator, of the masks drawn when none is given.

    Reference: Srivastava et al. (2014), "Dropout", section 10 (the scaling at training time).
    """

    passes_mask = True

    def __init__(self, rate: float, seed: int | np.random.Generator | None = None) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout expects a rate in [0, 1). Received: rate={rate}")
        self.rate = rate
        self.rng = np.random.default_rng(seed)

    def drops(self) -> list[tuple[float, Shape]]:
        return [(self.rate, self.input_shape)]

    def draw_masks(self, batch_size: int, rng: np.random.Generator | None = None) -> list[Array]:
        return [self.draw_mask(batch_size, rng)]

    def draw_mask(self, batch_size: int, rng: np.random.Generator | None = None) -> Array:
        """Return a boolean mask of shape (batch, *input_shape): True where an input is kept.

        It is drawn from ``rng`` if given, else from the layer's own generator.
        """
        source = self.rng if rng is None else rng
        return source.random((batch_size, *self.input_shape)) >= self.rate

    def forward(
        self,
        x: Array,
        training: bool = False,
        mask: Array | None = None,
        dropout_masks: Sequence[Array] | None = None,
    ) -> Array:
        self.mask = None
        if not training or self.rate == 0:
            return x
        if dropout_masks:
            (mask,) = dropout_masks
        if mask is None:
            mask = self.workspace("mask", x.shape, np.dtype(bool))
            random = self.workspace("random", x.shape, np.dtype(np.float64))
            self.rng.random(out=random)
            np.greater_equal(random, self.rate, out=mask)
        if mask.shape != x.shape:
            raise ValueError(
                f"Dropout expects a mask of shape {x.shape}. Received: shape {mask.shape}"
            )
        self.mask = mask
        out = self.workspace("output", x.shape, x.dtype)
        drop(x, mask, 1 / (1 - self.rate), out)
        return out

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        if self.mask is None:
            return delta
        out = self.workspace("delta", delta.shape, delta.dtype)
        drop(delta, self.mask, 1 / (1 - self.rate), out)
        return out

    def config(self) -> dict[str, object]:
        return {"rate": self.rate}
