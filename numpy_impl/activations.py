"""Activation functions: value, derivative, and the backward pass through them.

Notation: ``z`` is the pre-activation, ``a = f(z)`` the activation and ``delta`` the gradient of
the cost with respect to ``a``. The backward pass turns ``delta`` into the gradient with respect to
``z``: for an element-wise function that is ``delta * f'(z)``, for softmax the product with its
Jacobian. Names and default constants are Keras's (``keras.activations``).

Both passes write into a given array where the caller has one (``out``), as training does in every
step. The functions that training meets most have passes of their own, of rules (see
``numpy_impl.fused``) and NumPy's calls, and allocate nothing: linear, relu, sigmoid, tanh and
softmax. The others are given by value and derivative. ``ACTIVATIONS`` has them all.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from numpy_impl.fused import Each, rule
from numpy_impl.types import Array


@dataclass(frozen=True)
class ActivationFunction:
    """An element-wise function ``a = f(z)`` with its derivative.

    Attributes:
        name: Keras's name of the function.
        value: ``f``; takes ``z`` of any shape and returns ``a`` of that shape and dtype.
        derivative: ``f'``; takes ``(z, a)``, so that it may use whichever is cheaper or more exact.
        kinks: Where ``f'`` jumps, or ``f`` does: numerical differences say nothing there.
        keras: ``f`` for what Keras has under no such name: takes ``keras.ops``, so that nothing is
            imported here, and a tensor ``z``.
        elementwise: Whether each ``a`` depends on its own ``z`` alone.
    """

    name: str
    value: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array]
    kinks: tuple[float, ...] = ()
    keras: Callable[[Any, Any], Any] | None = None
    elementwise: ClassVar[bool] = True

    def __call__(self, z: Array, out: Array | None = None) -> Array:
        """Return ``f(z)``, written into ``out`` if given (which must not be ``z``)."""
        if out is None:
            return self.value(z)
        out[...] = self.value(z)
        return out

    def backward(self, z: Array, a: Array, delta: Array, out: Array | None = None) -> Array:
        """Return ``dC/dz`` from ``delta = dC/da``; all arrays have the shape of ``z``.

        It is written into ``out`` if given, which must be none of the others.
        """
        return np.multiply(delta, self.derivative(z, a), out=_like(z, out))


class Linear(ActivationFunction):
    """``a = z``: nothing is computed, and the very arrays are passed on."""

    def __init__(self) -> None:
        super().__init__("linear", lambda z: z, lambda z, a: np.ones_like(z))

    def __call__(self, z: Array, out: Array | None = None) -> Array:
        return z

    def backward(self, z: Array, a: Array, delta: Array, out: Array | None = None) -> Array:
        return delta


@rule("a")
def rectify(z: Each) -> Any:
    return np.maximum(z, 0)


@rule("out")
def through_relu(delta: Each, z: Each) -> Any:
    return delta * (z > 0)


class Relu(ActivationFunction):
    """``a = max(z, 0)``; the derivative at 0 is taken as 0."""

    def __init__(self) -> None:
        super().__init__("relu", lambda z: np.maximum(z, 0), lambda z, a: step(z > 0, z), (0.0,))

    def __call__(self, z: Array, out: Array | None = None) -> Array:
        if out is None:
            return self.value(z)
        rectify(z, out)
        return out

    def backward(self, z: Array, a: Array, delta: Array, out: Array | None = None) -> Array:
        out = _like(z, out)
        through_relu(delta, z, out)
        return out


@rule("e")
def logistic(e: Each) -> Any:
    return 1 / (1 + e)


@rule("out")
def through_sigmoid(delta: Each, a: Each) -> Any:
    return delta * (a * (1 - a))


class Sigmoid(ActivationFunction):
    """``a = 1 / (1 + exp(-z))``, ``f' = a (1 - a)``."""

    def __init__(self) -> None:
        super().__init__("sigmoid", sigmoid, lambda z, a: a * (1 - a))

    def __call__(self, z: Array, out: Array | None = None) -> Array:
        return sigmoid(z, out)

    def backward(self, z: Array, a: Array, delta: Array, out: Array | None = None) -> Array:
        out = _like(z, out)
        through_sigmoid(delta, a, out)
        return out


@rule("out")
def through_tanh(delta: Each, a: Each) -> Any:
    return delta * (1 - a * a)


class Tanh(ActivationFunction):
    """``a = tanh(z)``, ``f' = 1 - a^2``."""

    def __init__(self) -> None:
        super().__init__("tanh", np.tanh, lambda z, a: 1 - a * a)

    def __call__(self, z: Array, out: Array | None = None) -> Array:
        return np.tanh(z, out=out)

    def backward(self, z: Array, a: Array, delta: Array, out: Array | None = None) -> Array:
        out = _like(z, out)
        through_tanh(delta, a, out)
        return out


class SoftmaxFunction(ActivationFunction):
    """Softmax over the last axis: ``a_i = exp(z_i) / sum_j exp(z_j)``.

    Its Jacobian is ``da_i/dz_j = a_i (1[i = j] - a_j)``; it is not diagonal, so the backward pass
    is the full product ``a * (delta - sum_j delta_j a_j)``.
    """

    elementwise = False

    def __init__(self) -> None:
        super().__init__("softmax", softmax, lambda z, a: a * (1 - a))

    def __call__(self, z: Array, out: Array | None = None) -> Array:
        return softmax(z, out)

    def backward(self, z: Array, a: Array, delta: Array, out: Array | None = None) -> Array:
        out = np.multiply(delta, a, out=out)
        np.subtract(delta, np.add.reduce(out, axis=-1, keepdims=True), out=out)
        return np.multiply(out, a, out=out)


class LogSoftmax(ActivationFunction):
    """Log-softmax over the last axis: ``a_i = z_i - log(sum_j exp(z_j))``."""

    elementwise = False

    def __init__(self) -> None:
        super().__init__("log_softmax", log_softmax, lambda z, a: 1 - np.exp(a))

    def backward(self, z: Array, a: Array, delta: Array, out: Array | None = None) -> Array:
        return np.subtract(delta, np.exp(a) * np.sum(delta, axis=-1, keepdims=True), out=out)


def softmax(z: Array, out: Array | None = None) -> Array:
    """Return the softmax of ``z`` over its last axis; the maximum is taken off against overflow."""
    out = np.subtract(z, np.maximum.reduce(z, axis=-1, keepdims=True), out=out)
    np.exp(out, out=out)
    return np.divide(out, np.add.reduce(out, axis=-1, keepdims=True), out=out)


def log_softmax(z: Array) -> Array:
    """Return ``log(softmax(z))`` over the last axis, computed without forming the softmax."""
    shifted = z - np.max(z, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def sigmoid(z: Array, out: Array | None = None) -> Array:
    """Return ``1 / (1 + exp(-z))``, accurate to a few units in the last place.

    Where ``exp(-z)`` overflows (z below -88 in float32, -709 in float64) the result is 0.
    """
    out = np.empty_like(z) if out is None else out
    np.negative(z, out=out)
    with np.errstate(over="ignore"):
        np.exp(out, out=out)
    logistic(out)
    return out


def _like(z: Array, out: Array | None) -> Array:
    return np.empty_like(z) if out is None else out


def softplus(z: Array) -> Array:
    """Return ``log(1 + exp(z))`` without overflow."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def step(condition: Array, z: Array) -> Array:
    """Return 1 where ``condition`` holds and 0 elsewhere, in the dtype of ``z``."""
    return condition.astype(z.dtype)


# Klambauer, Unterthiner, Mayr, Hochreiter (2017), "Self-normalizing neural networks", eq. 14.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805
_KERAS_SLOPE = 0.2


def _erfc(z: Array) -> Array:
    # NumPy has no error function; the standard library's, element by element, is slow but exact.
    return np.vectorize(math.erfc, otypes=[np.float64])(z).astype(z.dtype)


def gelu(sqrt_half: float = math.sqrt(0.5)) -> ActivationFunction:
    """Return the exact GELU ``z Phi(z)``, ``Phi`` the normal distribution function.

    Args:
        sqrt_half: The constant in ``Phi(z) = erfc(-z sqrt_half) / 2``; an argument because some
            libraries round it to float32.

    Reference: Hendrycks and Gimpel (2016), arXiv:1606.08415.
    """

    def cdf(z: Array) -> Array:
        return 0.5 * _erfc(z * -sqrt_half)

    def density(z: Array) -> Array:
        return np.exp(-np.square(z * sqrt_half)) * (sqrt_half / math.sqrt(math.pi))

    return ActivationFunction("gelu", lambda z: z * cdf(z), lambda z, a: cdf(z) + z * density(z))


def leaky_relu(negative_slope: float = _KERAS_SLOPE) -> ActivationFunction:
    """Return ``max(z, negative_slope * z)``.

    A slope that is not Keras's default is a part of the name, "leaky_relu(0.01)", so that no file
    and no twin has another one instead; :func:`get` knows such names.
    """
    usual = negative_slope == _KERAS_SLOPE
    return ActivationFunction(
        "leaky_relu" if usual else f"leaky_relu({negative_slope})",
        lambda z: np.where(z > 0, z, negative_slope * z),
        lambda z, a: np.where(z > 0, 1, negative_slope).astype(z.dtype),
        kinks=(0.0,),
        # Not ops.leaky_relu: TensorFlow keeps its slope in float32.
        keras=lambda ops, z: ops.where(z > 0, z, negative_slope * z),
    )


def elu(alpha: float) -> ActivationFunction:
    """Return ``z`` above 0, and ``alpha (exp(z) - 1)`` below.

    An alpha that is not 1 is a part of the name, "elu(0.5)"; :func:`get` knows such names.

    Reference: Clevert, Unterthiner and Hochreiter (2015), arXiv:1511.07289, eq. 15.
    """
    if alpha == 1:
        return get("elu")
    return ActivationFunction(
        f"elu({float(alpha)})",
        lambda z: np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))),
        lambda z, a: np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0))).astype(z.dtype),
        kinks=(0.0,),
        keras=lambda ops, z: ops.where(z > 0, z, alpha * ops.expm1(ops.minimum(z, 0.0))),
    )


def relu(
    max_value: float = math.inf, negative_slope: float = 0.0, threshold: float = 0.0
) -> ActivationFunction:
    """Return Keras's ReLU with its options: ``z`` above the threshold, up to ``max_value``.

    Below the threshold it is ``negative_slope * (z - threshold)``; the derivative is the slope of
    these pieces. Options that are not those of "relu", "relu6" or "leaky_relu" are the name,
    "relu(inf, 0.1, 1.0)" in their order here.

    Raises:
        ValueError: An option below 0.

    Reference: ``keras.src.activations.activations.ReLU``.
    """
    options = max_value, negative_slope, threshold = (
        float(max_value), float(negative_slope), float(threshold),
    )  # fmt: skip
    if options in ((math.inf, 0, 0), (6, 0, 0)):
        return get("relu6" if max_value == 6 else "relu")
    if options == (math.inf, negative_slope, 0):
        return leaky_relu(negative_slope)
    if min(options) < 0:
        raise ValueError(f"relu expects options of at least 0. Received: relu{options}")

    def value(z: Array) -> Array:
        above = np.minimum(np.where(z <= threshold, 0, z), max_value)
        return above - negative_slope * np.maximum(threshold - z, 0)

    def derivative(z: Array, a: Array) -> Array:
        above = (z > threshold) & (z < max_value)
        return np.where(above, 1, negative_slope * (z < threshold)).astype(z.dtype)

    def in_keras(ops: Any, z: Any) -> Any:
        above = ops.minimum(ops.where(z <= threshold, ops.zeros_like(z), z), max_value)
        return above - negative_slope * ops.maximum(threshold - z, 0.0)

    kinks = (threshold,) if max_value == math.inf else (threshold, max_value)
    return ActivationFunction(f"relu{options}", value, derivative, kinks, keras=in_keras)


def _mish_derivative(z: Array, a: Array) -> Array:
    t = np.tanh(softplus(z))
    return t + z * (1 - t * t) * sigmoid(z)


def _elu(z: Array) -> Array:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def _inside(z: Array, low: float, high: float) -> Array:
    return step((z > low) & (z < high), z)


_ELEMENTWISE = [
    Linear(),
    Sigmoid(),
    Tanh(),
    Relu(),
    ActivationFunction(
        "relu6", lambda z: np.clip(z, 0, 6), lambda z, a: _inside(z, 0, 6), kinks=(0.0, 6.0)
    ),
    leaky_relu(),
    ActivationFunction("elu", _elu, lambda z, a: np.exp(np.minimum(z, 0)), kinks=(0.0,)),
    # celu with its default alpha = 1 is the same function as elu.
    ActivationFunction("celu", _elu, lambda z, a: np.exp(np.minimum(z, 0)), kinks=(0.0,)),
    ActivationFunction(
        "selu",
        lambda z: _SELU_SCALE * np.where(z > 0, z, _SELU_ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z, a: _SELU_SCALE * np.where(z >= 0, 1, _SELU_ALPHA * np.exp(np.minimum(z, 0))),
        kinks=(0.0,),
    ),
    ActivationFunction("exponential", np.exp, lambda z, a: a),
    ActivationFunction("softplus", softplus, lambda z, a: sigmoid(z)),
    ActivationFunction(
        "softsign", lambda z: z / (1 + np.abs(z)), lambda z, a: 1 / (1 + np.abs(z)) ** 2
    ),
    ActivationFunction(
        "squareplus",
        lambda z: (z + np.sqrt(z * z + 4)) / 2,
        lambda z, a: (1 + z / np.sqrt(z * z + 4)) / 2,
    ),
    ActivationFunction(
        "silu",
        lambda z: z * sigmoid(z),
        lambda z, a: sigmoid(z) * (1 + z * (1 - sigmoid(z))),
    ),
    gelu(),
    ActivationFunction("mish", lambda z: z * np.tanh(softplus(z)), _mish_derivative),
    ActivationFunction("log_sigmoid", lambda z: -softplus(-z), lambda z, a: sigmoid(-z)),
    ActivationFunction(
        "hard_sigmoid",
        lambda z: np.clip(z + 3, 0, 6) / 6,
        lambda z, a: _inside(z, -3, 3) / 6,
        kinks=(-3.0, 3.0),
    ),
    ActivationFunction(
        "hard_silu",
        lambda z: z * (np.clip(z + 3, 0, 6) / 6),
        lambda z, a: np.clip(z + 3, 0, 6) / 6 + z * (_inside(z, -3, 3) / 6),
        kinks=(-3.0, 3.0),
    ),
    ActivationFunction(
        "hard_tanh",
        lambda z: np.clip(z, -1, 1),
        lambda z, a: step(np.abs(z) <= 1, z),
        kinks=(-1.0, 1.0),
    ),
    ActivationFunction("tanh_shrink", lambda z: z - np.tanh(z), lambda z, a: np.tanh(z) ** 2),
    ActivationFunction(
        "sparse_sigmoid",
        lambda z: np.clip(0.5 * (z + 1), 0, 1),
        lambda z, a: 0.5 * _inside(z, -1, 1),
        kinks=(-1.0, 1.0),
    ),
    ActivationFunction(
        "sparse_plus",
        lambda z: np.where(z < 1, 0.25 * (np.maximum(z, -1) + 1) ** 2, z),
        lambda z, a: np.clip(0.5 * (z + 1), 0, 1),
        kinks=(-1.0, 1.0),
    ),
    ActivationFunction(
        "soft_shrink",
        lambda z: np.sign(z) * np.maximum(np.abs(z) - 0.5, 0),
        lambda z, a: step(np.abs(z) > 0.5, z),
        kinks=(-0.5, 0.5),
    ),
    ActivationFunction(
        "hard_shrink",
        lambda z: np.where(np.abs(z) > 0.5, z, 0),
        lambda z, a: step(np.abs(z) > 0.5, z),
        kinks=(-0.5, 0.5),
    ),
]

ACTIVATIONS: dict[str, ActivationFunction] = {
    f.name: f for f in [*_ELEMENTWISE, SoftmaxFunction(), LogSoftmax()]
}
# Keras's second names for the same functions.
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
# Functions with options, which stand in the name.
_FAMILIES: dict[str, Callable[..., ActivationFunction]] = {
    "leaky_relu": leaky_relu, "elu": elu, "relu": relu,
}  # fmt: skip
_FAMILY = re.compile(
    rf"(leaky_relu|elu)\(({_NUMBER})\)|(relu)\(((?:{_NUMBER}|inf)(?:, {_NUMBER}){{2}})\)"
)


def get(identifier: str | ActivationFunction | None) -> ActivationFunction:
    """Return the activation function with Keras's name ``identifier``; None means "linear".

    "leaky_relu(0.01)" is leaky ReLU with that slope; see also :func:`elu` and :func:`relu`.

    Raises:
        ValueError: The name is not known.
    """
    if isinstance(identifier, ActivationFunction):
        return identifier
    name = "linear" if identifier is None else str(identifier)
    name = _ALIASES.get(name, name)
    family = _FAMILY.fullmatch(name)
    if family:
        kind, options = (part for part in family.groups() if part)
        return _FAMILIES[kind](*map(float, options.split(", ")))
    if name not in ACTIVATIONS:
        raise ValueError(
            f"Unknown activation. Expected one of: {', '.join(sorted(ACTIVATIONS))}. "
            f"Received: {identifier!r}"
        )
    return ACTIVATIONS[name]
