"""Layers that move numbers to other places; the gradients go the same way back."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights
from numpy_impl.types import Shape


class Reshape(FormulaLayer):
    """The same numbers in the same order, in another shape.

    Args:
        target_shape: The shape of one sample; one of its numbers may be -1, for what is left.
    """

    def __init__(self, target_shape: Sequence[int]) -> None:
        self.target_shape = tuple(target_shape)

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        target, total = self.target_shape, math.prod(input_shape)
        known = math.prod(n for n in target if n != -1)
        shape = tuple(total // max(known, 1) if n == -1 else n for n in target)
        if target.count(-1) > 1 or math.prod(shape) != total or min(shape, default=1) < 1:
            raise ValueError(
                f"Reshape expects a target_shape of {total} numbers, as {input_shape} has. "
                f"Received: {target}"
            )
        self.shape = shape
        return shape

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return x.reshape(len(x), *self.shape), x.shape

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Number]:
        return {}, delta.reshape(*kept)

    def config(self) -> dict[str, object]:
        return {"target_shape": list(self.target_shape)}


class Permute(FormulaLayer):
    """The axes in another order: ``dims=(2, 1)`` turns (batch, i, j) into (batch, j, i).

    Args:
        dims: Which axis comes where, counted from 1, as the batch axis stays.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        self.dims = tuple(dims)

    def build(self, input_shape: Shape) -> Shape:
        if sorted(self.dims) != list(range(1, len(input_shape) + 1)):
            raise ValueError(
                f"Permute expects each of the axes 1 to {len(input_shape)} once. "
                f"Received: dims={self.dims}"
            )
        super().build(input_shape)
        return tuple(input_shape[axis - 1] for axis in self.dims)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return np.transpose(x, (0, *self.dims)), None

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Number]:
        return {}, np.transpose(delta, np.argsort((0, *self.dims)).tolist())

    def config(self) -> dict[str, object]:
        return {"dims": list(self.dims)}


class Cropping(FormulaLayer):
    """What all croppings have in common; ``dC/dx`` is 0 where ``x`` was cut off."""

    axes: ClassVar[int]

    def __init__(self, cropping: Any = 1) -> None:
        self.cropping = cropping

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        sides = _pairs(self.cropping, self.axes)
        lengths = [n - sum(pair) for n, pair in zip(input_shape, sides, strict=False)]
        if len(input_shape) != self.axes + 1 or min(lengths) < 1 or min(map(min, sides)) < 0:
            raise ValueError(
                f"{type(self).__name__} expects inputs with {self.axes} axes and channels, longer "
                f"than what is cut off. Received: {input_shape} with cropping={self.cropping}"
            )
        ends = zip(sides, input_shape, strict=False)
        self.kept_part = (slice(None), *(slice(a, n - b) for (a, b), n in ends))
        return (*lengths, input_shape[-1])

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return x[self.kept_part], x

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Number]:
        back = np.zeros_like(kept)
        back[self.kept_part] = delta
        return {}, back

    def config(self) -> dict[str, object]:
        return {"cropping": self.cropping}


def _pairs(cropping: Any, axes: int) -> list[tuple[int, int]]:
    """Return how much is cut off on both sides of each axis, from Keras's short forms."""
    if isinstance(cropping, int):
        return [(cropping, cropping)] * axes
    if axes == 1:
        cropping = [cropping]
    pairs = [(side, side) if isinstance(side, int) else tuple(side) for side in cropping]
    if len(pairs) != axes or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"Expected a cropping of {axes} axes. Received: {cropping}")
    return [(int(before), int(after)) for before, after in pairs]


class Cropping1D(Cropping):
    """Cuts off steps at both ends of (batch, steps, channels).

    Args:
        cropping: How many at each end, or (first, last).
    """

    axes = 1


class Cropping2D(Cropping):
    """Cuts off rows and columns of pictures (batch, rows, columns, channels).

    Args:
        cropping: How many on each side, or (rows, columns), or ((top, bottom), (left, right)).
    """

    axes = 2
    fixed: ClassVar[Mapping[str, Any]] = {"data_format": "channels_last"}
