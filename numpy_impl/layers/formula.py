"""Layers that state their mathematics once, for arrays and for numbers with error bounds alike.

A layer derived from :class:`FormulaLayer` is two functions in plain NumPy, one below the other:
``FormulaLayer.compute`` and ``FormulaLayer.differentiate``. They take the weights as an
argument, write to nothing of ``self``, and hand on what the second needs of the first. So the very
lines that a reader compares with the book train a network, and also bound its rounding errors:
``parity.bounds`` calls them with numbers that carry a bound. That asks for operators, slices and
NumPy's functions that make new arrays (no ``out=``, and ``x[...] = `` only into ``np.zeros_like``).

For an activation function they call :func:`activate` and :func:`through`, to take a mean off
:func:`normalize` and :func:`weigh_standardized`, to choose the largest :func:`first_largest` and
:func:`share_of_largest`, :func:`sum_products` for sums that a loop adds up, to add three terms or
more :func:`added`, to drop some numbers :func:`dropped`, to say which way a gradient goes
:func:`not_less`, and for an index :func:`whole`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.layers.base import Layer
from numpy_impl.types import Array

# An array, or what computes like one.
Number = Any
Weights = Mapping[str, Number]


@singledispatch
def activate(z: Number, function: ActivationFunction) -> Number:
    """Return ``f(z)``."""
    return function(z)


@singledispatch
def through(delta: Number, function: ActivationFunction, z: Number, a: Number) -> Number:
    """Return ``dC/dz`` from ``delta = dC/da``, ``a = f(z)``."""
    return function.backward(z, a, delta)


@singledispatch
def normalize(
    x: Number, mean: Number, inverse: Number, gamma: Number | None, beta: Number | None
) -> tuple[Number, Number]:
    """Return ``gamma * h + beta`` and ``h = (x - mean) * inverse``; None leaves gamma or beta out.

    Keras forms ``x * s + (beta - mean * s)`` with ``s = inverse * gamma``. The two differ by more
    than the rounding of the first where the mean is large beside what ``x`` departs from it, so
    whoever bounds it has to know.
    """
    h = (x - mean) * inverse
    y = h if gamma is None else h * gamma
    return (y if beta is None else y + beta), h


@singledispatch
def weigh_standardized(
    d: Number, x: Number, mean: Number, inverse: Number, axis: tuple[int, ...]
) -> Number:
    """Return ``sum(d * (x - mean)) * inverse`` over the axes, which are kept.

    Automatic differentiation forms ``(sum(d * x) - mean * sum(d)) * inverse`` where the mean is one
    of all these axes, which differs as in :func:`normalize`.
    """
    return np.sum(d * (x - mean), axis=axis, keepdims=True) * inverse


@singledispatch
def first_largest(x: Number, axis: int) -> Number:
    """Return 1 at the first of the largest along an axis and 0 elsewhere, in the shape of ``x``.

    It is not known which one that is where several are equal up to rounding.
    """
    largest = np.moveaxis(x == np.max(x, axis=axis, keepdims=True), axis, 0)
    seen = largest[0].copy()
    for later in largest[1:]:
        later &= ~seen
        seen |= later
    return np.moveaxis(largest, 0, axis).astype(x.dtype)


@singledispatch
def share_of_largest(x: Number, axis: tuple[int, ...]) -> Number:
    """Return 1 / k at each of the k largest over the axes and 0 elsewhere, in the shape of ``x``.

    It is not known how many they are where several are equal up to rounding.
    """
    largest = (x == np.max(x, axis=axis, keepdims=True)).astype(x.dtype)
    return largest / np.sum(largest, axis=axis, keepdims=True)


@singledispatch
def sum_products(
    first: Number, *others: Number, function: Callable[..., Number], terms: int
) -> Number:
    """Return ``function(first, *others)``, each of whose elements is a sum of products.

    A loop adds in one order of many. What can be said of another computation of the same sum is
    that it adds the same products, in whatever order.

    Args:
        first: An array whose elements are multiplied.
        others: The arrays by whose elements they are multiplied.
        function: Each element of its result is a sum of products of one element of each array.
        terms: Of how many products at most.
    """
    return function(first, *others)


@singledispatch
def added(*terms: Number) -> Number:
    """Return the sum of the terms, which Keras may add up in another order.

    Of three or more terms the order matters to the rounding, so whoever bounds it has to know.
    """
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


@singledispatch
def dropped(x: Number, mask: Array, rate: float) -> Number:
    """Return ``x / (1 - rate)`` where ``mask`` is True and 0 elsewhere: what dropout lets through.

    The gradient passes likewise. The mask may have fewer axes than ``x``, or axes of length 1.
    """
    return x * (1 / (1 - rate)) * mask


@singledispatch
def followed(x: Number) -> Number:
    """Return ``x``, shape (..., n), which the same matrix is going to be applied to many times.

    Whoever bounds it then has to follow how long its errors become, and not only how large each
    is: the sums of a matrix's absolute values, multiplied many times, promise nothing.
    """
    return x


@singledispatch
def whole(x: Number) -> Array:
    """Return numbers that count something as integers, which an array can be indexed by.

    Raises:
        ValueError: One of them is not whole.
    """
    counts = x.astype(np.int64)
    wrong = np.argwhere(counts != x)
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        raise ValueError(f"Expected whole numbers. Received: {x[place]} at index {place}")
    return counts


@singledispatch
def differs(x: Number, value: float) -> Array:
    """Return where ``x`` is another number than ``value``, which has to be the very number."""
    return x != value


@singledispatch
def not_less(a: Number, b: Number) -> Number:
    """Return 1 where ``a >= b`` and 0 elsewhere, as numbers: a factor for a gradient.

    Where rounding may decide it, the factor may be either, and whoever bounds it has to know.
    """
    return (a >= b).astype(a.dtype)


class FormulaLayer(Layer):
    """A layer given by its formulas; its weights and states are what ``weight_names`` says."""

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        """Return the output for ``x`` of shape (batch, *input_shape), and what backward needs.

        Args:
            x: The inputs.
            w: The weights, the states and what the call before left, by name.
            training: Whether the layer is trained: batch statistics instead of moving ones, say.

        A layer that ``uses_mask`` is given that as ``mask`` besides, and one that ``drops``, in
        training, its ``dropout_masks``.
        """
        raise TypeError(f"{type(self).__name__} defines no compute")

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Number]:
        """Return the gradients of the trained weights by name, and ``dC/dx``.

        Args:
            delta: ``dC/d(output)``.
            kept: What :meth:`compute` returned beside the output.
            w: The weights and states by name.
        """
        raise TypeError(f"{type(self).__name__} defines no differentiate")

    def updated_states(self, kept: Any, w: Weights) -> Mapping[str, Number]:
        """Return the states after a forward pass in training, by name."""
        return {}

    def left_behind(self, kept: Any) -> Mapping[str, Number]:
        """Return what a call leaves for the next one, trained or not, by name."""
        return {}

    @property
    def arrays(self) -> dict[str, Array]:
        """The weights, the states and what the last call left, by name, as views."""
        names = (*self.weight_names, *self.state_names)
        return {name: getattr(self, name) for name in names} | dict(self.carried)

    def forward(
        self,
        x: Array,
        training: bool = False,
        mask: Any = None,
        dropout_masks: Sequence[Array] | None = None,
    ) -> Array:
        named: dict[str, Any] = {"mask": mask} if self.uses_mask else {}
        if training and self.drops():
            samples = len(x[0] if self.merges else x)
            named["dropout_masks"] = dropout_masks or self.draw_masks(samples)
        self._check_samples(x)
        output, self.kept = self.compute(x, self.arrays, training, **named)
        # Copies, as one may be the output, which is the caller's.
        left = self.left_behind(self.kept)
        self.carried = {name: np.array(value) for name, value in left.items()}
        if training:
            for name, value in self.updated_states(self.kept, self.arrays).items():
                getattr(self, name)[...] = value
        return output

    def _check_samples(self, x: Any) -> None:
        """Check that what the call before left is of as many samples."""
        samples = len(x[0] if self.merges else x)
        for value in self.carried.values():
            if len(value) != samples:
                raise ValueError(
                    f"{type(self).__name__} expects batches of {len(value)} samples, whose state "
                    f"it carries on, or reset_state() before. Received: {samples} samples"
                )

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        gradients, delta = self.differentiate(delta, self.kept, self.arrays)
        for name, gradient in gradients.items():
            getattr(self, f"{name}_gradient")[...] = gradient
        return delta
