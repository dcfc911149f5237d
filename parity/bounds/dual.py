"""Numbers that carry their derivatives along many directions, and a bound on the error of both.

Forward-mode differentiation: each operation computes its value v, and for every direction its slope
s, by the chain rule. With them goes a bound on how far another correct computation may be off, the
user's backward pass for one, which sums the same products of partial derivatives in another order
and other groups. No sum in it has more terms than there are elements in an operation, so each
operation is charged the ``gamma_n = n u / (1 - n u)`` of that many.

References: Wengert (1964), "A simple automatic derivative evaluation program"; Higham (2002),
"Accuracy and stability of numerical algorithms", 2nd ed., section 3.1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.activations import Evaluation

# How exactly math libraries evaluate exp and its kin, in units roundoff.
_EVALUATED = Evaluation()


@dataclass(frozen=True)
class Dual:
    """An array with its slopes.

    Attributes:
        value: The values, float64, of any shape.
        slope: The derivatives, of shape (directions, *shape of the value).
        error: A bound on the error of a correct computation of the values.
        slope_error: The same of the slopes.
        unit: The unit roundoff of that computation.
    """

    value: Array
    slope: Array
    error: Array
    slope_error: Array
    unit: float

    # Lets NumPy arrays on the left leave the operation to us.
    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    def constant(self, value: Array | float) -> "Dual":
        """Return numbers that every party has exactly and that depend on nothing."""
        array = np.asarray(value, np.float64)
        none = np.zeros((len(self.slope), *array.shape))
        return Dual(array, none, np.zeros_like(array), none, self.unit)

    def frozen(self) -> "Dual":
        """Return the same values, that depend on nothing."""
        none = np.zeros_like(self.slope)
        return Dual(self.value, none, self.error, none, self.unit)

    def bent(self, other: "Dual") -> "Dual":
        """Return these values with the slopes of something else of their shape."""
        return Dual(self.value, other.slope, self.error, other.slope_error, self.unit)

    def _gamma(self, *sizes: int) -> float:
        n = max(1, *sizes)
        return n * self.unit / (1 - n * self.unit)

    def _other(self, other: "Dual | Array | float") -> "Dual":
        return other if isinstance(other, Dual) else self.constant(other)

    def __neg__(self) -> "Dual":
        return Dual(-self.value, -self.slope, self.error, self.slope_error, self.unit)

    def __add__(self, other: "Dual | Array | float") -> "Dual":
        a, b = self, self._other(other)
        value, gamma = a.value + b.value, self._gamma(a.value.size, b.value.size)
        one, two = _aligned(a.slope, b.slope, value.ndim)
        one_error, two_error = _aligned(a.slope_error, b.slope_error, value.ndim)
        return Dual(
            value,
            one + two,
            a.error + b.error + gamma * (np.abs(a.value) + np.abs(b.value)),
            one_error + two_error + gamma * (np.abs(one) + np.abs(two)),
            self.unit,
        )

    def __radd__(self, other: Array | float) -> "Dual":
        return self + other

    def __sub__(self, other: "Dual | Array | float") -> "Dual":
        return self + -self._other(other)

    def __rsub__(self, other: Array | float) -> "Dual":
        return -self + other

    def __mul__(self, other: "Dual | Array | float") -> "Dual":
        return self._product(self._other(other), np.multiply, 1)

    def __rmul__(self, other: Array | float) -> "Dual":
        return self * other

    def __truediv__(self, other: "Dual | Array | float") -> "Dual":
        return self * self._other(other).reciprocal()

    def __matmul__(self, other: "Dual") -> "Dual":
        return self._product(other, np.matmul, self.shape[-1])

    def _product(self, other: "Dual", product: Callable[[Any, Any], Any], terms: int) -> "Dual":
        """Return what is linear in both: a product of elements, or of matrices."""
        a, b = self, other
        value = product(a.value, b.value)
        gamma = self._gamma(terms, a.value.size, b.value.size, value.size)
        size_a, size_b = np.abs(a.value) + a.error, np.abs(b.value) + b.error
        ndim = max(a.value.ndim, b.value.ndim)
        one, two = _aligned(a.slope, b.slope, ndim)
        one_error, two_error = _aligned(a.slope_error, b.slope_error, ndim)
        return Dual(
            value,
            product(one, b.value) + product(a.value, two),
            product(a.error, size_b) + product(np.abs(a.value), b.error) + gamma * product(
                np.abs(a.value), np.abs(b.value)
            ),
            product(one_error, size_b) + product(size_a, two_error)
            + product(np.abs(one), b.error + gamma * size_b)
            + product(a.error + gamma * size_a, np.abs(two)),
            self.unit,
        )  # fmt: skip

    def sum(self, *axes: int) -> "Dual":
        """Return the sum over some axes, which are kept with length 1."""
        gamma = self._gamma(self.value.size)
        within = tuple(axis % self.value.ndim + 1 for axis in axes)

        def added(array: Array) -> Array:
            return np.sum(array, axis=axes, keepdims=True)

        def added_slopes(array: Array) -> Array:
            return np.sum(array, axis=within, keepdims=True)

        return Dual(
            added(self.value),
            added_slopes(self.slope),
            added(self.error + gamma * np.abs(self.value)),
            added_slopes(self.slope_error + gamma * np.abs(self.slope)),
            self.unit,
        )

    def mean(self, *axes: int) -> "Dual":
        """Return the mean over some axes, which are kept with length 1."""
        return self.sum(*axes) * (1.0 / np.prod([self.shape[axis] for axis in axes]))

    def moved(self, change: Callable[[Array], Array]) -> "Dual":
        """Return the elements in other places, or some of them: ``change`` moves one array's."""
        places = change(np.arange(self.value.size).reshape(self.shape))
        return self.taken(places)

    def taken(self, places: Array) -> "Dual":
        """Return the elements at some places, counted over the flat array."""
        directions = len(self.slope)
        return Dual(
            self.value.reshape(-1)[places],
            self.slope.reshape(directions, self.value.size)[:, places],
            self.error.reshape(-1)[places],
            self.slope_error.reshape(directions, self.value.size)[:, places],
            self.unit,
        )

    def __getitem__(self, part: Any) -> "Dual":
        return self.moved(lambda places: places[part])

    def reshape(self, *shape: int) -> "Dual":
        """Return the same numbers in another shape."""
        return self.moved(lambda places: places.reshape(shape))

    def transpose(self, *axes: int) -> "Dual":
        """Return the axes in another order."""
        return self.moved(lambda places: places.transpose(axes))

    def function(
        self, f: Callable[[Array], Array], d1: Callable[[Array], Array],
        d2: Callable[[Array], Array], scale: float = 0.0,
    ) -> "Dual":  # fmt: skip
        """Return a function of each element.

        Args:
            f: The function.
            d1: Its derivative.
            d2: Its second derivative, by which an error of the value becomes one of the slope.
            scale: An absolute scale of the terms of which its value is a difference.
        """
        with np.errstate(all="ignore"):
            value, first, second = f(self.value), np.abs(d1(self.value)), np.abs(d2(self.value))
            own = self._gamma(int(_EVALUATED.value)) * (np.abs(value) + scale)
            kept = second * self.error + self._gamma(int(_EVALUATED.derivative)) * (first + scale)
            return Dual(
                value,
                d1(self.value) * self.slope,
                first * self.error + own,
                (first + kept) * self.slope_error + kept * np.abs(self.slope),
                self.unit,
            )

    def reciprocal(self) -> "Dual":
        """Return 1 divided by each element."""
        return self.function(lambda v: 1 / v, lambda v: -1 / v**2, lambda v: 2 / v**3)

    def sqrt(self) -> "Dual":
        """Return the square roots."""
        return self.function(np.sqrt, lambda v: 0.5 / np.sqrt(v), lambda v: -0.25 / v**1.5)

    def exp(self) -> "Dual":
        """Return e to the power of each element."""
        return self.function(np.exp, np.exp, np.exp)

    def tanh(self) -> "Dual":
        """Return the hyperbolic tangents."""

        def second(v: Array) -> Array:
            return -2 * np.tanh(v) * (1 - np.tanh(v) ** 2)

        return self.function(np.tanh, lambda v: 1 - np.tanh(v) ** 2, second, 1.0)

    def sigmoid(self) -> "Dual":
        """Return 1 / (1 + exp(-v))."""

        def a(v: Array) -> Array:
            return 0.5 * (1 + np.tanh(0.5 * v))

        def first(v: Array) -> Array:
            return a(v) * (1 - a(v))

        return self.function(a, first, lambda v: first(v) * (1 - 2 * a(v)), 1.0)

    def where(self, condition: Array) -> "Dual":
        """Return the elements where a condition holds, and an exact 0 elsewhere."""
        return Dual(
            np.where(condition, self.value, 0.0),
            np.where(condition, self.slope, 0.0),
            np.where(condition, self.error, 0.0),
            np.where(condition, self.slope_error, 0.0),
            self.unit,
        )

    def clipped(self, low: float, high: float) -> "Dual":
        """Return the elements between two limits; beyond these, the limit, which is flat."""
        inside = (self.value > low) & (self.value < high)
        return self.where(inside) + np.where(inside, 0.0, np.clip(self.value, low, high))

    def softmax(self, axis: int) -> "Dual":
        """Return exp(v) divided by its sum over an axis."""
        # What is taken off cancels, whatever it is.
        e = (self - np.max(self.value, axis=axis, keepdims=True)).exp()
        return e / e.sum(axis)


def independent(value: Array, directions: Array, unit: float) -> Dual:
    """Return a vector of numbers that are given exactly, to be differentiated by.

    Args:
        value: The numbers, of shape (n,).
        directions: Of shape (directions, n); the identity asks for every derivative.
        unit: The unit roundoff of the computation that it is compared with.
    """
    none = np.zeros_like(value)
    return Dual(value, directions, none, np.zeros_like(directions), unit)


def joined(parts: Sequence[Dual], axis: int) -> Dual:
    """Return arrays one after the other along an axis that they have."""
    within = axis if axis < 0 else axis + 1
    return Dual(
        np.concatenate([p.value for p in parts], axis),
        np.concatenate([p.slope for p in parts], within),
        np.concatenate([p.error for p in parts], axis),
        np.concatenate([p.slope_error for p in parts], within),
        parts[0].unit,
    )


def _aligned(one: Array, two: Array, ndim: int) -> tuple[Array, Array]:
    """Return slopes with as many axes behind the directions, so that they are broadcast rightly."""

    def widened(slope: Array) -> Array:
        missing = ndim + 1 - slope.ndim
        return slope.reshape(len(slope), *(1,) * missing, *slope.shape[1:])

    return widened(one), widened(two)
