"""Activation functions: value, derivative, and the backward pass through them.

Notation: ``z`` is the pre-activation, ``a = f(z)`` the activation and ``delta`` the gradient of
the cost with respect to ``a``. The backward pass turns ``delta`` into the gradient with respect to
``z``: for an element-wise function that is ``delta * f'(z)``, for softmax the product with its
Jacobian. Names and default constants are Keras's (``keras.activations``).

Both passes write into a given array where the caller has one (``out``), as training does in every
step, and make their calls through ``do`` (see ``numpy_impl.program``). Linear, relu, sigmoid, tanh
and softmax then allocate nothing; the other functions make temporaries.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numpy_impl.program import Do, now, recordable
from numpy_impl.types import Array


@recordable
@dataclass(frozen=True)
class ActivationFunction:
    """An element-wise function ``a = f(z)`` with its derivative.

    Attributes:
        name: Keras's name of the function.
        value: ``f``; takes ``z`` of any shape and returns ``a`` of that shape and dtype.
        derivative: ``f'``; takes ``(z, a)``, so that it may use whichever is cheaper or more exact.
        kinks: Where ``f'`` jumps, or ``f`` does: numerical differences say nothing there.
    """

    name: str
    value: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array]
    kinks: tuple[float, ...] = ()

    def __call__(self, z: Array, out: Array | None = None, do: Do = now) -> Array:
        """Return ``f(z)``, written into ``out`` if given (which must not be ``z``)."""
        if out is None:
            return self.value(z)
        do(self._write_value, z, out)
        return out

    def _write_value(self, z: Array, out: Array) -> None:
        out[...] = self.value(z)

    def backward(
        self, z: Array, a: Array, delta: Array, out: Array | None = None, do: Do = now
    ) -> Array:
        """Return ``dC/dz`` from ``delta = dC/da``; all arrays have the shape of ``z``.

        It is written into ``out`` if given, which must be none of the others.
        """
        out = np.empty_like(z) if out is None else out
        do(self._write_gradient, z, a, delta, out)
        return out

    def _write_gradient(self, z: Array, a: Array, delta: Array, out: Array) -> None:
        np.multiply(delta, self.derivative(z, a), out=out)


@recordable
class Linear(ActivationFunction):
    """``a = z``: nothing is computed, and the very arrays are passed on."""

    def __init__(self) -> None:
        super().__init__("linear", lambda z: z, lambda z, a: np.ones_like(z))

    def __call__(self, z: Array, out: Array | None = None, do: Do = now) -> Array:
        return z

    def backward(
        self, z: Array, a: Array, delta: Array, out: Array | None = None, do: Do = now
    ) -> Array:
        return delta


@recordable
class Relu(ActivationFunction):
    """``a = max(z, 0)``; the derivative at 0 is taken as 0."""

    def __init__(self) -> None:
        super().__init__("relu", lambda z: np.maximum(z, 0), lambda z, a: step(z > 0, z), (0.0,))

    def __call__(self, z: Array, out: Array | None = None, do: Do = now) -> Array:
        out = np.empty_like(z) if out is None else out
        # Against an array of zeros NumPy's maximum is three times as fast as against a number.
        do(out.fill, 0)
        do(np.maximum, z, out, out=out)
        return out

    def backward(
        self, z: Array, a: Array, delta: Array, out: Array | None = None, do: Do = now
    ) -> Array:
        out = np.empty_like(z) if out is None else out
        do(np.greater, z, 0, out=out, casting="unsafe")  # f'(z) as the numbers 0 and 1
        do(np.multiply, out, delta, out=out)
        return out


@recordable
class Sigmoid(ActivationFunction):
    """``a = 1 / (1 + exp(-z))``, ``f' = a (1 - a)``."""

    def __init__(self) -> None:
        super().__init__("sigmoid", sigmoid, lambda z, a: a * (1 - a))

    def __call__(self, z: Array, out: Array | None = None, do: Do = now) -> Array:
        return sigmoid(z, out, do)

    def backward(
        self, z: Array, a: Array, delta: Array, out: Array | None = None, do: Do = now
    ) -> Array:
        out = np.empty_like(z) if out is None else out
        do(np.subtract, _one(z), a, out=out)
        do(np.multiply, out, a, out=out)
        do(np.multiply, out, delta, out=out)
        return out


@recordable
class Tanh(ActivationFunction):
    """``a = tanh(z)``, ``f' = 1 - a^2``."""

    def __init__(self) -> None:
        super().__init__("tanh", np.tanh, lambda z, a: 1 - a * a)

    def __call__(self, z: Array, out: Array | None = None, do: Do = now) -> Array:
        out = np.empty_like(z) if out is None else out
        do(np.tanh, z, out=out)
        return out

    def backward(
        self, z: Array, a: Array, delta: Array, out: Array | None = None, do: Do = now
    ) -> Array:
        out = np.empty_like(z) if out is None else out
        do(np.square, a, out=out)
        do(np.subtract, _one(z), out, out=out)
        do(np.multiply, out, delta, out=out)
        return out


@recordable
class Softmax(ActivationFunction):
    """Softmax over the last axis: ``a_i = exp(z_i) / sum_j exp(z_j)``.

    Its Jacobian is ``da_i/dz_j = a_i (1[i = j] - a_j)``; it is not diagonal, so the backward pass
    is the full product ``a * (delta - sum_j delta_j a_j)``.
    """

    def __init__(self) -> None:
        super().__init__("softmax", softmax, lambda z, a: a * (1 - a))

    def __call__(self, z: Array, out: Array | None = None, do: Do = now) -> Array:
        return softmax(z, out, do)

    def backward(
        self, z: Array, a: Array, delta: Array, out: Array | None = None, do: Do = now
    ) -> Array:
        out, total = np.empty_like(z) if out is None else out, np.empty_like(z[..., :1])
        do(np.multiply, delta, a, out=out)
        do(np.add.reduce, out, axis=-1, keepdims=True, out=total)
        do(np.subtract, delta, total, out=out)
        do(np.multiply, out, a, out=out)
        return out


@recordable
class LogSoftmax(ActivationFunction):
    """Log-softmax over the last axis: ``a_i = z_i - log(sum_j exp(z_j))``."""

    def __init__(self) -> None:
        super().__init__("log_softmax", log_softmax, lambda z, a: 1 - np.exp(a))

    def _write_gradient(self, z: Array, a: Array, delta: Array, out: Array) -> None:
        np.subtract(delta, np.exp(a) * np.sum(delta, axis=-1, keepdims=True), out=out)


def softmax(z: Array, out: Array | None = None, do: Do = now) -> Array:
    """Return the softmax of ``z`` over its last axis; the maximum is taken off against overflow."""
    out, each = np.empty_like(z) if out is None else out, np.empty_like(z[..., :1])
    do(np.maximum.reduce, z, axis=-1, keepdims=True, out=each)
    do(np.subtract, z, each, out=out)
    do(np.exp, out, out=out)
    do(np.add.reduce, out, axis=-1, keepdims=True, out=each)
    do(np.divide, out, each, out=out)
    return out


def log_softmax(z: Array) -> Array:
    """Return ``log(softmax(z))`` over the last axis, computed without forming the softmax."""
    shifted = z - np.max(z, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def sigmoid(z: Array, out: Array | None = None, do: Do = now) -> Array:
    """Return ``1 / (1 + exp(-z))``, accurate to a few units in the last place.

    Where ``exp(-z)`` overflows (z below -88 in float32, -709 in float64) the result is 0. Whoever
    runs what was recorded has to silence NumPy's warning of that, as is done here.
    """
    out = np.empty_like(z) if out is None else out
    with np.errstate(over="ignore"):
        do(np.negative, z, out=out)
        do(np.exp, out, out=out)
        do(np.add, out, _one(z), out=out)
        do(np.reciprocal, out, out=out)
    return out


def _one(z: Array) -> Array:
    """Return 1 in the dtype of ``z``: NumPy takes half a microsecond longer for Python's 1."""
    return np.ones((), z.dtype)


def softplus(z: Array) -> Array:
    """Return ``log(1 + exp(z))`` without overflow."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def step(condition: Array, z: Array) -> Array:
    """Return 1 where ``condition`` holds and 0 elsewhere, in the dtype of ``z``."""
    return condition.astype(z.dtype)
