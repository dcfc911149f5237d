"""Layers that make one array of several of the same shape, element by element.

An axis of length 1 is stretched to the others' length; on the way back the gradients of all the
places that it was stretched to are added.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights, not_less
from numpy_impl.types import Array, Shape


class Merging(FormulaLayer):
    """What these layers have in common: ``x`` is a list of arrays (batch, *shape)."""

    merges = True
    joins_masks = True

    def compute_mask(self, x: Any, mask: Any) -> Array | None:
        given = [one for one in mask if one is not None]
        # A step counts that counts in any of the terms; where one has no mask, all do.
        return reduce(np.logical_or, given) if len(given) == len(mask) else None

    def build(self, input_shape: Shape) -> Shape:
        name = type(self).__name__
        raise ValueError(f"{name} expects several inputs, in a Functional network. Received: one")

    def build_many(self, input_shapes: Sequence[Shape]) -> Shape:
        if len(input_shapes) < 2 or len({len(shape) for shape in input_shapes}) > 1:
            raise ValueError(
                f"{type(self).__name__} expects two or more inputs with as many axes each. "
                f"Received: shapes {', '.join(map(str, input_shapes))}"
            )
        try:
            shape = np.broadcast_shapes(*input_shapes)
        except ValueError:
            raise ValueError(
                f"{type(self).__name__} expects inputs of one shape. "
                f"Received: shapes {', '.join(map(str, input_shapes))}"
            ) from None
        super().build(shape)
        return shape


class MergingSteps(Merging):
    """What leaves out the steps that are masked of an input, and takes those of the others."""

    uses_mask = True

    def compute_mask(self, x: Any, mask: Any) -> Array | None:
        check_sequences(type(self).__name__, x, mask)
        return super().compute_mask(x, mask)


def check_sequences(name: str, x: Sequence[Array], mask: Sequence[Any]) -> None:
    """Raise ValueError where steps are masked of what are no sequences of vectors."""
    axes = [np.ndim(one) for one in x]
    if any(one is not None for one in mask) and set(axes) != {3}:
        raise ValueError(
            f"{name} expects, where steps are masked, inputs of shape (batch, time, features). "
            f"Received: inputs with {', '.join(map(str, axes))} axes"
        )


def shown(mask: Any, inputs: int) -> list[Any]:
    """Return which steps of each input count, (batch, time, 1); None: all."""
    given = mask or [None] * inputs
    return [None if one is None else np.expand_dims(one, 2) for one in given]


def _either(seen: Any, one: Number, other: Number) -> Number:
    where: Any = np.where
    return where(seen, one, other)


def unstretched(delta: Number, shape: Shape) -> Number:
    """Return the gradient of an array of ``shape`` that was stretched to that of ``delta``."""
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and delta.shape[i] > 1)
    return np.sum(delta, axis=axes, keepdims=True) if axes else delta


class Add(Merging):
    """``y = x_1 + ... + x_n``; each ``dC/dx_i = dC/dy``.

    The sum lets the gradient pass unchanged past the layers beside it: a residual connection.

    Reference: He, Zhang, Ren and Sun (2016), "Deep residual learning for image recognition", eq. 1.
    """

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        total = x[0]
        for term in x[1:]:
            total = total + term
        return total, [term.shape for term in x]

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        return {}, [unstretched(delta, shape) for shape in kept]


class Average(Add):
    """``y = (x_1 + ... + x_n) / n``; each ``dC/dx_i = dC/dy / n``."""

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        total, kept = super().compute(x, w, training)
        return total / len(x), kept

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        return super().differentiate(delta / len(kept), kept, w)


class Subtract(Merging):
    """``y = x_1 - x_2``; ``dC/dx_1 = dC/dy``, ``dC/dx_2 = -dC/dy``."""

    def build_many(self, input_shapes: Sequence[Shape]) -> Shape:
        if len(input_shapes) != 2:
            raise ValueError(f"Subtract expects two inputs. Received: {len(input_shapes)}")
        return super().build_many(input_shapes)

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        return x[0] - x[1], (x[0].shape, x[1].shape)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        first, second = kept
        return {}, [unstretched(delta, first), -unstretched(delta, second)]


class Multiply(MergingSteps):
    """``y = x_1 x_2 ... x_n``; ``dC/dx_i`` is ``dC/dy`` times the product of all the others.

    A step that is masked of a factor counts as 1. Where it is of all, ``y`` is 0.
    """

    def compute(
        self, x: Number, w: Weights, training: bool, mask: Any = None
    ) -> tuple[Number, Any]:
        seen = shown(mask, len(x))
        factors = [
            factor if own is None else _either(own, factor, 1.0)
            for factor, own in zip(x, seen, strict=True)
        ]
        product = factors[0]
        products = [product]
        for factor in factors[1:]:
            product = product * factor
            products.append(product)
        left = None if any(own is None for own in seen) else reduce(np.logical_or, seen)
        y = product if left is None else _either(left, product, 0.0)
        return y, (factors, products, seen, left)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        x, products, seen, left = kept
        delta = delta if left is None else _either(left, delta, 0.0)
        gradients: list[Number] = []
        # From the last factor on: delta is then the gradient of the product before it. So nothing
        # is divided by a factor, which may be 0.
        for before, factor in zip(reversed(products[:-1]), reversed(x[1:]), strict=True):
            gradients.append(unstretched(delta * before, factor.shape))
            delta = unstretched(delta * factor, before.shape)
        found = [delta, *reversed(gradients)]
        return {}, [
            d if own is None else _either(own, d, 0.0) for d, own in zip(found, seen, strict=True)
        ]


class Maximum(MergingSteps):
    """``y = max(x_1, ..., x_n)``: the gradient goes to the largest, of equal ones to the first.

    A step that is masked of an input is none of these. Where it is of all, ``y = x_1``.
    """

    def compute(
        self, x: Number, w: Weights, training: bool, mask: Any = None
    ) -> tuple[Number, Any]:
        return self._chosen(x, shown(mask, len(x)), np.maximum, 1)

    def _chosen(self, x: Number, seen: Sequence[Any], choose: Any, sign: int) -> tuple[Number, Any]:
        best: Number = x[0]
        of_best = seen[0]
        kept: list[Any] = []
        for other, own in zip(x[1:], seen[1:], strict=True):
            stays = not_less(sign * best, sign * other)
            chosen = choose(best, other)
            if of_best is not None:  # what is not seen gives way
                stays, chosen = _either(of_best, stays, 0.0), _either(of_best, chosen, other)
            if own is not None:
                stays, chosen = _either(own, stays, 1.0), _either(own, chosen, best)
            kept.append((stays, best.shape, other.shape))
            best = chosen
            of_best = None if of_best is None or own is None else np.logical_or(of_best, own)
        return best, kept

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        gradients: list[Number] = []
        for stays, best, other in reversed(kept):
            gradients.append(unstretched(delta * (1 - stays), other))
            delta = unstretched(delta * stays, best)
        return {}, [delta, *reversed(gradients)]


class Minimum(Maximum):
    """``y = min(x_1, ..., x_n)``: the gradient goes to the smallest, of equal ones to the first."""

    def compute(
        self, x: Number, w: Weights, training: bool, mask: Any = None
    ) -> tuple[Number, Any]:
        return self._chosen(x, shown(mask, len(x)), np.minimum, -1)
