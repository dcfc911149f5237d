"""How far rounding alone can take two correct computations apart.

Standard model of floating-point arithmetic: every operation gives ``(x op y)(1 + d) + e`` with
``|d| <= u`` (the unit roundoff) and ``|e|`` at most what underflow takes (``formats``), as results
below the smallest normal number may be flushed to zero. An inner product of n terms, in any order
of summation, then errs by at most ``gamma_n = n u / (1 - n u)`` times the same inner product of
absolute values. If the roundings are independent with mean zero,
``exp(lambda sqrt(n) u + n u^2 / (1 - u)) - 1`` does as well, except with probability
``2 exp(-lambda^2 (1 - u)^2 / 2)``; the smaller of the two is used.

In formats of fewer digits than float32 roundings are not independent: a sum of some hundred terms
stops growing, as each term is less than half of its last place. There ``n u`` is used, which holds
for every n and in any order.

:class:`Approx` carries a value together with a bound on the error of any correct computation of it,
and its operators propagate both. ``docs/tolerances.md`` has the derivation.

References: Higham (2002), "Accuracy and stability of numerical algorithms", 2nd ed., sections 2.2
and 3.1; Higham and Mary (2019), "A new approach to probabilistic rounding error analysis", SIAM J.
Sci. Comput. 41(5), theorem 2.4; Jeannerod and Rump (2013), "Improved error bounds for inner
products in floating-point arithmetic", SIAM J. Matrix Anal. Appl. 34(2), theorem 3.1 and 4.1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from numpy_impl.types import Array, DTypeLike
from parity.bounds.formats import FLOAT32, TENSORFLOAT32, Format, format_of

LowDtype = Literal["float16", "bfloat16"]
Products = Literal["own", "float32", "tensorfloat32"]

# What NumPy's own functions do with these numbers; ``array_functions`` fills them.
UFUNCS: dict[tuple[Any, str], Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}

# Chance that a correct pair of programs is called different, over all numbers of one comparison.
FAILURE_PROBABILITY = 1e-6


class ParityError(AssertionError):
    """Two things that were to be identical up to rounding are not."""


@dataclass(frozen=True)
class Rounding:
    """The rounding of one floating-point type, for a comparison of ``count`` inner products.

    Args:
        dtype: "float32", "float64", "float16" or "bfloat16".
        count: How many inner products (and other sums) the comparison holds; it sets lambda so that
            all their bounds hold together except with ``FAILURE_PROBABILITY``.
        handwritten: Whether functions may be written out in exponentials, see ``bounds``.
        tracked: False computes values alone and no bounds, for a first look at many hypotheses.
        products: How products of matrices and convolutions are computed: "own" takes and sums all
            in ``dtype``, "float32" sums in float32 and rounds the sum to ``dtype``, and
            "tensorfloat32" also takes of each number no more than TensorFloat-32 holds.
    """

    dtype: DTypeLike | LowDtype
    count: int = 1
    tracked: bool = True
    handwritten: bool = False
    products: Products = "own"

    @cached_property
    def format(self) -> Format:
        """The number format."""
        return format_of(self.dtype)

    @property
    def unit(self) -> float:
        """The unit roundoff u: 2^-24 for float32, 2^-53 for float64."""
        return self.format.unit

    @property
    def tiny(self) -> float:
        """The most that can be lost to underflow, for most formats the smallest normal number."""
        return self.format.tiny

    @property
    def confidence(self) -> float:
        """The lambda for which all ``count`` bounds hold except with FAILURE_PROBABILITY."""
        return math.sqrt(2 * math.log(2 * max(self.count, 1) / FAILURE_PROBABILITY)) / (
            1 - self.unit
        )

    def gamma(self, n: int) -> float:
        """Return the relative error bound of a sum of n products; infinite where none holds."""
        u = self.unit
        if self.format.is_low:
            return n * u
        if n * u >= 1:
            return math.inf
        certain = n * u / (1 - n * u)
        likely = math.expm1(self.confidence * math.sqrt(n) * u + n * u * u / (1 - u))
        return min(certain, likely)

    def product_gamma(self, n: int) -> float:
        """Return the relative error bound of a sum of n products of matrices, before it is stored.

        A card that takes numbers as TensorFloat-32 may cut off digits instead of rounding, of both
        factors and in sums, which errs by twice as much.
        """
        if self.products == "own":
            return self.gamma(n)
        wide = replace(self, dtype=FLOAT32.name).gamma(n)
        lost = 2 * TENSORFLOAT32.unit
        cut = (1 + lost) ** 2 * (1 + 2 * wide) - 1
        return cut if self.products == "tensorfloat32" else wide

    def product(self, value: Array, error: Array, terms: int) -> "Approx":
        """Return stored sums of ``terms`` products that err by ``error`` so far."""
        if self.products != "float32":
            error = error + self.tiny * terms
            return Approx(value, self.within_range(value, error), self)
        stored = Approx(value, None, self).rounded(value, error + FLOAT32.tiny * terms)
        if not self.format.cut_off or stored.error is None:
            return stored
        cut = self.unit * (np.abs(value) + error)  # once more: leaving out is off by twice as much
        return Approx(value, self.within_range(value, stored.error + cut), self)

    def within_range(self, value: Array, error: Array) -> Array:
        """Return the error, infinite where the number may be too large for the format."""
        if not self.format.overflows:
            return error
        return np.where(np.abs(value) + error > self.format.largest, np.inf, error)

    def exact(self, value: Array | float) -> "Approx":
        """Return a value that every party has exactly, such as an input or a starting weight."""
        return Approx(np.asarray(value, np.float64), None, self)


@dataclass(frozen=True)
class Approx:
    """A value, computed here in float64, and a bound on the error of a correct computation of it.

    ``error`` has the shape of ``value``; None means exactly zero. An error of infinity says that
    nothing can be promised, as when a denominator may be zero.

    ``length`` bounds the Euclidean length of the errors of each row (of the last axis), shape
    (..., 1); None: nothing is known but ``error``. A matrix can lengthen errors by no more than its
    largest singular value, which is far less than the sums of its absolute values: what goes
    through one matrix again and again, as in a recurrent layer (:meth:`followed`), keeps a useful
    bound by it.
    """

    value: Array
    error: Array | None
    rounding: Rounding
    length: Array | None = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        # Also what an array on the left of an operator comes to.
        known = UFUNCS.get((ufunc, method))
        return NotImplemented if known is None else known(*inputs, **named)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        known = FUNCTIONS.get(function)
        return NotImplemented if known is None else known(*args, **kwargs)

    @property
    def bound(self) -> Array:
        """The error as an array, zero where exact."""
        return np.zeros_like(self.value) if self.error is None else self.error

    @property
    def magnitude(self) -> Array:
        """The largest absolute value that a correct computation may have."""
        size = np.abs(self.value)
        return size if self.error is None else size + self.error

    def followed(self) -> "Approx":
        """Return the same with the length of its errors, which sums and products then carry on."""
        return Approx(self.value, self.error, self.rounding, self.lengths)

    @property
    def lengths(self) -> Array:
        """The bound on the length of each row's errors, shape (..., 1)."""
        if self.error is None:
            return np.zeros(1)
        own = _length(self.error)
        return own if self.length is None else np.minimum(own, self.length)

    def of_length(self, length: Array) -> "Approx":
        """Return the same, its errors also bounded by their length, shape (..., 1)."""
        length = np.where(np.isnan(length), np.inf, length)
        return Approx(self.value, np.minimum(self.bound, length), self.rounding, length)

    @cached_property
    def stretch(self) -> float:
        """How many times longer a matrix makes a row at most: its largest singular value."""
        return float(np.linalg.norm(self.value, 2))

    def _is_followed_with(self, other: "Approx", shape: tuple[int, ...]) -> bool:
        """Return whether lengths are carried on to a result of ``shape``: no error is repeated."""
        if (self.length is None and other.length is None) or not self.rounding.tracked:
            return False
        return all(side.error is None or side.shape == shape for side in (self, other))

    @property
    def T(self) -> "Approx":
        """The transpose."""
        return self._with(self.value.T, None if self.error is None else self.error.T)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.value.ndim

    @property
    def size(self) -> int:
        """How many elements the value has."""
        return self.value.size

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, part: Any) -> "Approx":
        taken = self._with(self.value[part], None if self.error is None else self.error[part])
        # Of some columns the errors are no longer than of all.
        if self.length is None or self.ndim != 2 or not isinstance(part, tuple):
            return taken
        return taken.of_length(self.length) if part[0] == slice(None) else taken

    def __setitem__(self, part: Any, new: "Approx | Array | float") -> None:
        """Overwrite a part; ``np.zeros_like`` makes what can be written to."""
        if self.error is None:
            raise TypeError("Expected an array made by np.zeros_like to write to. Received: inputs")
        new = self._other(new)
        self.value[part], self.error[part] = new.value, new.bound

    def _with(self, value: Array, error: Array | None) -> "Approx":
        return Approx(value, error, self.rounding)

    def rounded(self, value: Array, propagated: Array | float) -> "Approx":
        """Return ``value`` with the operands' errors as propagated, plus one rounding."""
        if not self.rounding.tracked:
            return self._with(value, None)
        # u (|value| + propagated) + tiny + propagated, without temporary arrays: a comparison
        # spends most of its time here.
        error = np.abs(value)
        error += propagated
        error *= self.rounding.unit
        error += propagated
        error += self.rounding.tiny
        return self._with(value, self.rounding.within_range(value, error))

    def _other(self, other: "Approx | Array | float") -> "Approx":
        return other if isinstance(other, Approx) else self.rounding.exact(other)

    def __neg__(self) -> "Approx":
        return Approx(-self.value, self.error, self.rounding, self.length)

    def __add__(self, other: "Approx | Array | float") -> "Approx":
        other = self._other(other)
        errors = [e for e in (self.error, other.error) if e is not None]
        propagated = sum(errors, 0.0)
        total = self.rounded(self.value + other.value, propagated)
        if not self._is_followed_with(other, total.shape):
            return total
        return total.of_length(self.lengths + other.lengths + _length(total.bound - propagated))

    def __sub__(self, other: "Approx | Array | float") -> "Approx":
        return self + -self._other(other)

    def __radd__(self, other: Array | float) -> "Approx":
        return self + other

    def __rsub__(self, other: Array | float) -> "Approx":
        return -self + other

    def __mul__(self, other: "Approx | Array | float") -> "Approx":
        other = self._other(other)
        propagated = 0.0 if self.error is None else self.error * other.magnitude
        if other.error is not None:
            propagated = propagated + np.abs(self.value) * other.error
        product = self.rounded(self.value * other.value, propagated)
        if not self._is_followed_with(other, product.shape):
            return product
        sides = ((np.abs(self.value), other.lengths), (other.magnitude, self.lengths))
        length = _length(product.bound - propagated)
        for factor, of_errors in sides:
            length = length + np.max(np.atleast_1d(factor), axis=-1, keepdims=True) * of_errors
        return product.of_length(length)

    def __rmul__(self, other: Array | float) -> "Approx":
        return self * other

    def __truediv__(self, other: "Approx | Array | float") -> "Approx":
        other = self._other(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.value / other.value
            if not self.rounding.tracked:
                return self._with(value, None)
            room = np.abs(other.value) - other.bound
            propagated = (self.bound + np.abs(value) * other.bound) / room
        return self.rounded(value, np.where(room > 0, propagated, np.inf))

    def __rtruediv__(self, other: Array | float) -> "Approx":
        return self._other(other) / self

    def __matmul__(self, other: "Approx") -> "Approx":
        if not self.rounding.tracked:
            return self._with(self.value @ other.value, None)
        a, b, n = self, other, self.value.shape[-1]
        gamma = self.rounding.product_gamma(n)
        if b.error is None:
            error = (gamma * np.abs(a.value) + (1 + gamma) * a.bound) @ np.abs(b.value)
        else:
            error = np.abs(a.value) @ (b.error + gamma * b.magnitude)
            if a.error is not None:
                error = error + ((1 + gamma) * a.error) @ b.magnitude
        product = self.rounding.product(a.value @ b.value, error, n)
        if a.length is None or b.error is not None or b.ndim != 2:
            return product
        # The error that comes in, once by each column's length, and as a whole.
        own = gamma * a.magnitude @ np.abs(b.value) + (product.bound - error)
        columns = np.linalg.norm(b.value, axis=0)
        product = self._with(product.value, np.minimum(product.bound, a.lengths * columns + own))
        return product.of_length(a.lengths * b.stretch + _length(own))

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Approx":
        """Return the sum over one axis or several (None: over all), added up in any order."""
        value = np.sum(self.value, axis=axis, keepdims=keepdims)
        if not self.rounding.tracked:
            return self._with(np.asarray(value), None)
        n = self.value.size // max(np.size(value), 1)
        gamma = self.rounding.gamma(n)
        error = np.sum(self.bound + gamma * self.magnitude, axis=axis, keepdims=keepdims)
        error = self.rounding.within_range(value, np.asarray(error))
        return self._with(np.asarray(value), error)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Approx":
        """Return the mean over one axis or several (None: over all)."""
        total = self.sum(axis, keepdims)
        return total / (self.value.size // max(total.value.size, 1))

    def max(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Approx":
        """Return the largest; which one it is may change within the errors."""
        value = np.max(self.value, axis=axis, keepdims=keepdims)
        if self.error is None:
            return self._with(np.asarray(value), None)
        # It lies between the largest lower and the largest upper end.
        high = np.max(self.value + self.error, axis=axis, keepdims=keepdims) - value
        low = value - np.max(self.value - self.error, axis=axis, keepdims=keepdims)
        with np.errstate(invalid="ignore"):
            return self._with(np.asarray(value), np.fmax(np.fmax(high, low), 0.0))

    def __pow__(self, power: int) -> "Approx":
        if power != 2:
            return NotImplemented
        return self * self

    def sqrt(self) -> "Approx":
        """Return the square root of what is known to be at least 0."""
        value = np.sqrt(np.maximum(self.value, 0))
        if not self.rounding.tracked:
            return self._with(value, None)
        low, high = self.value - self.bound, self.value + self.bound
        with np.errstate(divide="ignore", invalid="ignore"):
            down = np.where(low > 0, self.bound / (value + np.sqrt(np.maximum(low, 0))), value)
            up = np.where(high > 0, self.bound / (value + np.sqrt(high)), 0)
        return self.rounded(value, np.maximum(down, up))

    def monotone(
        self,
        function: Callable[[Array], Array],
        roundings: Array | float,
        scale: Array | float = 0.0,
    ) -> "Approx":
        """Return ``function`` of this, increasing or decreasing over the width of the error.

        Args:
            function: Evaluated at the value and at both ends of the error.
            roundings: How many units roundoff its evaluation may err, relative to the value.
            scale: An absolute scale added to the value for those roundings.
        """
        value = function(self.value)
        if not self.rounding.tracked:
            return self._with(value, None)
        low, high = function(self.value - self.bound), function(self.value + self.bound)
        propagated = np.maximum(np.abs(high - value), np.abs(low - value))
        r = self.rounding
        own = roundings * r.unit * (np.abs(value) + propagated + scale) + r.tiny
        return self._with(value, r.within_range(value, propagated + own))

    def transpose(self, *axes: int) -> "Approx":
        """Return the same numbers with their axes in another order."""
        return self._with(
            self.value.transpose(*axes), None if self.error is None else self.error.transpose(*axes)
        )

    def reshape(self, *shape: int) -> "Approx":
        """Return the same numbers in another shape."""
        error = None if self.error is None else self.error.reshape(shape)
        return self._with(self.value.reshape(shape), error)

    def cast(self, rounding: Rounding) -> "Approx":
        """Return this in another precision: rounded, if that has fewer digits."""
        same = Approx(self.value, self.error, rounding, self.length)
        if rounding.unit <= self.rounding.unit:
            return same
        if self.error is None and np.array_equal(rounding.format.rounded(self.value), self.value):
            return same
        rounded = same.rounded(self.value, self.bound)
        if self.length is None or not rounding.tracked:
            return rounded
        return rounded.of_length(self.lengths + _length(rounded.bound - self.bound))

    def where(self, condition: Array) -> "Approx":
        """Return this where ``condition`` holds and an exact 0 elsewhere."""
        if self.error is None:
            return self._with(np.where(condition, self.value, 0), None)
        return self._with(np.where(condition, self.value, 0), np.where(condition, self.bound, 0))


def _length(errors: Array) -> Array:
    return np.linalg.norm(errors, axis=-1, keepdims=True)
