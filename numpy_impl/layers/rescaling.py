"""Inputs brought into another range."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from numpy_impl.fused import Each, Same, rule
from numpy_impl.layers.base import Layer
from numpy_impl.types import Array


@rule("out")
def rescale(x: Each, scale: Same, offset: Same) -> Any:
    return x * scale + offset


class Rescaling(Layer):
    """``x * scale + offset``, to bring pixels into the range that the network was trained on."""

    passes_mask = True

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        self.scale = float(scale)
        self.offset = float(offset)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        out = self.workspace("output", x.shape, x.dtype) if training else np.empty_like(x)
        rescale(x, self.scale, self.offset, out)
        return out

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        out = self.workspace("delta", delta.shape, delta.dtype)
        return np.multiply(delta, self.scale, out=out)

    def config(self) -> dict[str, object]:
        return {"scale": self.scale, "offset": self.offset}

    @classmethod
    def from_keras(cls, config: Mapping[str, Any]) -> Self:
        for option in ("scale", "offset"):
            if np.ndim(config[option]) or np.asarray(config[option]).dtype.kind not in "iuf":
                raise ValueError(f"{option}={config[option]!r}, which is not one number")
        return super().from_keras(config)
