"""Activation functions as people write them: several ways each, all of them right."""

from collections.abc import Callable
from typing import Any

import numpy as np

# Value from z, derivative from z and a.
Written = tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def tanh(z):
    up, down = np.exp(z), np.exp(-z)
    return (up - down) / (up + down)


def silu_slope(z, a):
    s = sigmoid(z)
    return s + z * s * (1 - s)


FUNCTIONS: dict[str, list[Written]] = {
    "linear": [
        (lambda z: z, lambda z, a: np.ones_like(z)),
        (lambda z: 1.0 * z, lambda z, a: 1.0),
    ],
    "sigmoid": [
        (sigmoid, lambda z, a: a * (1 - a)),
        (sigmoid, lambda z, a: sigmoid(z) * (1 - sigmoid(z))),
        (sigmoid, lambda z, a: np.exp(-z) / (1 + np.exp(-z)) ** 2),
        (lambda z: np.exp(z) / (1 + np.exp(z)), lambda z, a: a * (1 - a)),
        (lambda z: 0.5 * (1 + np.tanh(0.5 * z)), lambda z, a: a - a**2),
    ],
    "tanh": [
        (np.tanh, lambda z, a: 1 - a**2),
        (np.tanh, lambda z, a: 1 - np.tanh(z) ** 2),
        (np.tanh, lambda z, a: 1 / np.cosh(z) ** 2),
        (np.tanh, lambda z, a: (1 - a) * (1 + a)),
        (tanh, lambda z, a: 1 - a * a),
        (lambda z: 2 * sigmoid(2 * z) - 1, lambda z, a: 1.0 - np.power(a, 2)),
    ],
    "relu": [
        (lambda z: np.maximum(0, z), lambda z, a: z > 0),
        (lambda z: np.maximum(z, 0.0), lambda z, a: (a > 0) * 1),
        (lambda z: z * (z > 0), lambda z, a: np.where(z > 0, 1, 0)),
        (lambda z: np.where(z > 0, z, 0), lambda z, a: (z >= 0).astype(z.dtype)),
    ],
    "leaky": [
        (lambda z: np.where(z > 0, z, 0.01 * z), lambda z, a: np.where(z > 0, 1, 0.01)),
        (lambda z: np.maximum(0.01 * z, z), lambda z, a: 0.01 + 0.99 * (z > 0)),
        (lambda z: z * (0.01 + 0.99 * (z > 0)), lambda z, a: np.where(a > 0, 1, 0.01)),
    ],
    "softplus": [
        (lambda z: np.log(1 + np.exp(z)), lambda z, a: sigmoid(z)),
        (lambda z: np.log1p(np.exp(z)), lambda z, a: 1 - np.exp(-a)),
        (lambda z: np.logaddexp(0, z), lambda z, a: np.exp(z) / (1 + np.exp(z))),
    ],
    "elu": [
        (lambda z: np.where(z > 0, z, np.exp(z) - 1), lambda z, a: np.where(z > 0, 1, np.exp(z))),
        (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z, a: np.where(z > 0, 1, a + 1)),
    ],
    "silu": [
        (lambda z: z * sigmoid(z), silu_slope),
        (lambda z: z / (1 + np.exp(-z)), lambda z, a: a + sigmoid(z) * (1 - a)),
    ],
}  # fmt: skip


def softmax(z, axis: int, shifted: bool):
    e = np.exp(z - np.max(z, axis=axis, keepdims=True)) if shifted else np.exp(z)
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(z, axis: int, shifted: bool):
    if shifted:
        z = z - np.max(z, axis=axis, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


def softmax_back(p, g, axis: int, written: int):
    """Take a gradient back through softmax: in closed form, or by its Jacobian sample by sample."""
    if written == 0:
        return p * (g - np.sum(g * p, axis=axis, keepdims=True))
    return np.apply_along_axis(_jacobian, axis, np.concatenate([p, g], axis=axis))


def _jacobian(both):
    p, g = np.split(both, 2)
    return (np.diag(p) - np.outer(p, p)) @ g
