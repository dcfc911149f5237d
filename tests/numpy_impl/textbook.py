"""Textbook formulas to hold the engine against: plain, slow, and good for complex numbers.

Every function here is analytic between its kinks, so a derivative is ``Im f(z + ih) / h`` with
h = 1e-20. Nothing is subtracted, so it is as exact as the formula itself.

Reference: Squire and Trapp (1998), "Using complex variables to estimate derivatives of real
functions", SIAM Review 40(1).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from numpy_impl import activations
from numpy_impl.layers import Activation, Dense, Dropout, Flatten, Rescaling
from numpy_impl.network import Sequential
from numpy_impl.types import Array

H = 1e-20
EPSILON = 1e-7
LossFunction = Callable[[Array, Array], Any]


def unit(dtype: Any = "float64") -> float:
    """Return the unit roundoff u: half the spacing of 1."""
    return float(np.finfo(dtype).eps) / 2


def _pieces(z: Array, *pieces: Any) -> Array:
    """Return ``pieces[0]`` up to ``pieces[1]``, then ``pieces[2]`` up to ``pieces[3]``..."""
    result = np.broadcast_to(pieces[-1], z.shape)
    for value, end in zip(pieces[-3::-2], pieces[-2::-2], strict=True):
        result = np.where(np.real(z) < end, value, result)
    return result


def _absolute(z: Array) -> Array:
    return np.where(np.real(z) < 0, -z, z)


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def _tanh(z: Array) -> Array:
    return (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))


def _elu(z: Array) -> Array:
    return _pieces(z, np.exp(z) - 1, 0, z)


def _hard_sigmoid(z: Array) -> Array:
    return _pieces(z, 0, -3, z / 6 + 0.5, 3, 1)


def _softmax(z: Array) -> Array:
    return np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True)


# Klambauer et al. (2017), section 2: alpha = 1.6733, lambda = 1.0507, here with all their digits.
_SELU = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

ACTIVATIONS: dict[str, Callable[[Array], Any]] = {
    "linear": lambda z: z,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": lambda z: _pieces(z, 0, 0, z),
    "relu6": lambda z: _pieces(z, 0, 0, z, 6, 6),
    "leaky_relu": lambda z: _pieces(z, z / 5, 0, z),
    "elu": _elu,
    "celu": _elu,
    "selu": lambda z: _SELU[0] * _pieces(z, _SELU[1] * (np.exp(z) - 1), 0, z),
    "exponential": np.exp,
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "softsign": lambda z: z / (1 + _absolute(z)),
    "squareplus": lambda z: (z + np.sqrt(z**2 + 4)) / 2,
    "silu": lambda z: z * _sigmoid(z),
    "gelu": lambda z: z * (1 + special.erf(z / np.sqrt(2))) / 2,
    "mish": lambda z: z * _tanh(np.log(1 + np.exp(z))),
    "log_sigmoid": lambda z: np.log(_sigmoid(z)),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda z: z * _hard_sigmoid(z),
    "hard_tanh": lambda z: _pieces(z, -1, -1, z, 1, 1),
    "tanh_shrink": lambda z: z - _tanh(z),
    "soft_shrink": lambda z: _pieces(z, z + 0.5, -0.5, 0, 0.5, z - 0.5),
    "hard_shrink": lambda z: _pieces(z, z, -0.5, 0, 0.5, z),
    "sparse_sigmoid": lambda z: _pieces(z, 0, -1, (z + 1) / 2, 1, 1),
    "sparse_plus": lambda z: _pieces(z, 0, -1, (z + 1) ** 2 / 4, 1, z),
    "softmax": _softmax,
    "log_softmax": lambda z: np.log(_softmax(z)),
}
KINKS = sorted({abs(kink) for f in activations.ACTIVATIONS.values() for kink in f.kinks})


def _clip(p: Array) -> Array:
    return _pieces(p, EPSILON, EPSILON, p, 1 - EPSILON, 1 - EPSILON)


def _categorical(y: Array, p: Array) -> Any:
    q = _clip(p / np.sum(p, axis=-1, keepdims=True))
    return -np.sum(y * np.log(q)) / len(y)


def _binary(y: Array, p: Array) -> Any:
    return -np.mean(y * np.log(_clip(p)) + (1 - y) * np.log(1 - _clip(p)))


def _binary_logits(y: Array, z: Array) -> Any:
    return -np.mean(y * np.log(_sigmoid(z)) + (1 - y) * np.log(_sigmoid(-z)))


# Name -> cost; "@logits" is the form on logits.
LOSSES: dict[str, LossFunction] = {
    "quadratic": lambda y, a: np.sum((a - y) ** 2) / 2 / len(y),
    "mean_squared_error": lambda y, a: np.mean((a - y) ** 2),
    "mean_absolute_error": lambda y, a: np.mean(_absolute(a - y)),
    "categorical_crossentropy": _categorical,
    "categorical_crossentropy@logits": lambda y, z: -np.sum(y * np.log(_softmax(z))) / len(y),
    "binary_crossentropy": _binary,
    "binary_crossentropy@logits": _binary_logits,
}


def outputs(
    network: Sequential,
    weights: Sequence[Array],
    x: Array,
    masks: Sequence[Array] = (),
    logits: bool = False,
) -> Array:
    """Return the outputs of a network with the given weights, from its layers' configs alone.

    Args:
        logits: Leave out the last layer's activation.
    """
    given, kept = iter(weights), iter(masks)
    for layer in network.layers:
        config: dict[str, Any] = layer.config()
        if isinstance(layer, Dense):
            x = x @ next(given)
            x = x + next(given) if config["use_bias"] else x
        last = layer is network.layers[-1]
        if isinstance(layer, Dense | Activation) and not (logits and last):
            x = ACTIVATIONS[config["activation"]](x)
        if isinstance(layer, Dropout) and masks:
            x = x * next(kept) / (1 - config["rate"])
        if isinstance(layer, Flatten):
            x = x.reshape(len(x), -1)
        if isinstance(layer, Rescaling):
            x = x * config["scale"] + config["offset"]
    return x


def gradients(cost: Callable[[list[Array]], Any], at: Sequence[Array]) -> list[Array]:
    """Return the complex-step gradient of ``cost`` with respect to each of the arrays ``at``."""
    point: list[Any] = [np.array(array, complex) for array in at]
    found = []
    for array in point:
        gradient = np.empty(array.shape)
        for place in np.ndindex(array.shape):
            array[place] += 1j * H
            gradient[place] = np.imag(cost(point)) / H
            array[place] = array[place].real
        found.append(gradient)
    return found


def roundoff(network: Sequential, x: Array) -> float:
    """Return a bound on the rounding error of an element of a gradient of a small network.

    A path from a weight to the cost and back has at most ``steps`` operations: two products with
    each layer's matrix and some twenty elementary ones for each layer, the loss and the mean. Each
    errs by u, and what follows enlarges the error at most by the norms of the matrices on the way
    (the derivatives of the activations in use are at most 1.1, those of the losses at most 2).
    """
    steps, growth = 20 * (len(network.layers) + 1) + len(x), 1 + float(np.max(np.abs(x)))
    for kernel in (w for w in network.weights if w.ndim == 2):
        steps += 2 * sum(kernel.shape)
        growth *= 1 + float(np.max(np.abs(kernel).sum(axis=0)))
    return steps * unit() * growth
