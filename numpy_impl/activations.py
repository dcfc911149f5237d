"""The activation functions by Keras's names, and those that are given by value and derivative.

``numpy_impl.activation`` says what an activation function is, and has those that training meets
most, each with passes of its own.
"""

import math
import re

import numpy as np

from numpy_impl.activation import (
    ActivationFunction,
    Linear,
    LogSoftmax,
    Relu,
    Sigmoid,
    Softmax,
    Tanh,
    log_softmax,
    sigmoid,
    softmax,
    softplus,
    step,
)
from numpy_impl.types import Array

__all__ = [
    "ACTIVATIONS", "ActivationFunction", "Linear", "LogSoftmax", "Relu", "Sigmoid", "Softmax",
    "Tanh", "gelu", "get", "leaky_relu", "log_softmax", "sigmoid", "softmax", "softplus",
]  # fmt: skip

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
    )


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
]

ACTIVATIONS: dict[str, ActivationFunction] = {
    f.name: f for f in [*_ELEMENTWISE, Softmax(), LogSoftmax()]
}
# Keras's second names for the same functions.
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}
_SLOPE = re.compile(r"leaky_relu\((-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\)")


def get(identifier: str | ActivationFunction | None) -> ActivationFunction:
    """Return the activation function with Keras's name ``identifier``; None means "linear".

    "leaky_relu(0.01)" is leaky ReLU with that slope.

    Raises:
        ValueError: The name is not known.
    """
    if isinstance(identifier, ActivationFunction):
        return identifier
    name = "linear" if identifier is None else str(identifier)
    name = _ALIASES.get(name, name)
    slope = _SLOPE.fullmatch(name)
    if slope:
        return leaky_relu(float(slope[1]))
    if name not in ACTIVATIONS:
        raise ValueError(
            f"Unknown activation. Expected one of: {', '.join(sorted(ACTIVATIONS))}. "
            f"Received: {identifier!r}"
        )
    return ACTIVATIONS[name]
