"""Layers that state their mathematics once, for arrays and for numbers with error bounds alike.

A layer derived from :class:`FormulaLayer` is two functions in plain NumPy, one below the other:
:meth:`~FormulaLayer.compute` and :meth:`~FormulaLayer.differentiate`. They take the weights as an
argument, write to nothing of ``self``, and hand on what the second needs of the first. So the very
lines that a reader compares with the book train a network, and also bound its rounding errors:
``parity.bounds`` calls them with numbers that carry a bound. That asks for operators, slices and
NumPy's functions that make new arrays (no ``out=``, and ``x[...] = `` only into ``np.zeros_like``).

For an activation function they call :func:`activate` and :func:`through`, to take a mean off
:func:`standardize`, to add three terms or more :func:`added`, and for an index :func:`whole`.
"""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.layers.base import Layer
from numpy_impl.program import Do, now
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
def standardize(x: Number, mean: Number, inverse: Number) -> Number:
    """Return ``(x - mean) * inverse``, which Keras forms as ``x * inverse - mean * inverse``.

    The two differ by more than the rounding of the first where the mean is large beside what
    ``x`` departs from it, so whoever bounds it has to know.
    """
    return (x - mean) * inverse


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


class FormulaLayer(Layer):
    """A layer given by its formulas; its weights and states are what ``weight_names`` says."""

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        """Return the output for ``x`` of shape (batch, *input_shape), and what backward needs.

        Args:
            x: The inputs.
            w: The weights and states by name.
            training: Whether the layer is trained: batch statistics instead of moving ones, say.
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

    @property
    def arrays(self) -> dict[str, Array]:
        """The weights and the states by name, as views."""
        return {name: getattr(self, name) for name in (*self.weight_names, *self.state_names)}

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        named = {"mask": mask} if self.uses_mask else {}
        output, self.kept = self.compute(x, self.arrays, training, **named)
        if training:
            for name, value in self.updated_states(self.kept, self.arrays).items():
                getattr(self, name)[...] = value
        return output

    def backward(self, delta: Array, input_gradient: bool = True, do: Do = now) -> Array:
        gradients, delta = self.differentiate(delta, self.kept, self.arrays)
        for name, gradient in gradients.items():
            getattr(self, f"{name}_gradient")[...] = gradient
        return delta
