"""Losses as people write them: the value, and the gradient with respect to the outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.parity.random_correct.functions import sigmoid, softmax


@dataclass(frozen=True)
class Loss:
    """A loss, summed over batch and outputs, of outputs ``a`` and one-hot targets ``y``.

    Attributes:
        value: ``(a, y, axis) -> number``, the outputs lying along ``axis``.
        slope: ``(a, y, axis) -> dC/da``.
        outputs: Output activations with which it makes sense.
        fused: Those with which ``dC/dz`` is ``a - y``.
        single: Whether it makes sense for one output.
    """

    value: Callable[[Any, Any, int], Any]
    slope: Callable[[Any, Any, int], Any]
    outputs: tuple[str, ...]
    fused: tuple[str, ...] = ()
    single: bool = True


def _binary(a, y, axis):
    return -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))


def _logits(z, y, axis):
    return np.sum(np.log(np.sum(np.exp(z), axis=axis, keepdims=True))) - np.sum(y * z)


def _binary_logits(z, y, axis):
    return np.sum(np.log(1 + np.exp(z)) - z * y)


def _cross(a, y, axis):
    return -np.sum(y * np.log(a))


ANY = ("linear", "sigmoid", "tanh", "softmax", "sigmoid", "linear", "relu", "leaky", "softplus",
       "elu", "silu")  # fmt: skip
# Twice the half is 2 (a - y), however it is written.
LOSSES: dict[str, Loss] = {
    "half squared": Loss(
        lambda a, y, axis: 0.5 * np.sum((a - y) ** 2), lambda a, y, axis: a - y, ANY, ("linear",)
    ),
    "squared": Loss(
        lambda a, y, axis: np.sum((y - a) ** 2), lambda a, y, axis: -2 * (y - a), ANY
    ),
    "absolute": Loss(
        lambda a, y, axis: np.sum(np.abs(a - y)),
        lambda a, y, axis: np.sign(a - y),
        ("linear", "sigmoid", "tanh", "softmax", "softplus"),
    ),
    "binary": Loss(
        _binary, lambda a, y, axis: -y / a + (1 - y) / (1 - a), ("sigmoid",), ("sigmoid",)
    ),
    "binary, one fraction": Loss(
        _binary, lambda a, y, axis: (a - y) / (a * (1 - a)), ("sigmoid",), ("sigmoid",)
    ),
    "categorical": Loss(
        _cross, lambda a, y, axis: -y / a, ("softmax",) * 4 + ("sigmoid",), ("softmax",)
    ),
    "logits": Loss(
        _logits, lambda z, y, axis: softmax(z, axis, True) - y, ("linear",), single=False
    ),
    "logits, plainly": Loss(
        lambda z, y, axis: _cross(softmax(z, axis, False), y, axis),
        lambda z, y, axis: softmax(z, axis, False) - y,
        ("linear",),
        single=False,
    ),
    "binary logits": Loss(
        _binary_logits, lambda z, y, axis: sigmoid(z) - y, ("linear",)
    ),
    "log-likelihood": Loss(
        lambda a, y, axis: -np.sum(a * y), lambda a, y, axis: -y, ("log_softmax",), single=False
    ),
    "log-cosh": Loss(
        lambda a, y, axis: np.sum(np.log(np.cosh(a - y))), lambda a, y, axis: np.tanh(a - y), ANY
    ),
    "weighted": Loss(
        lambda a, y, axis: np.sum((1 + 3 * y) * (a - y) ** 2),
        lambda a, y, axis: 2 * (1 + 3 * y) * (a - y),
        ANY,
    ),
    "Huber": Loss(
        lambda a, y, axis: np.sum(
            np.where(np.abs(a - y) < 0.7, (a - y) ** 2 / 2, 0.7 * (np.abs(a - y) - 0.35))
        ),
        lambda a, y, axis: np.clip(a - y, -0.7, 0.7),
        ANY,
    ),
}  # fmt: skip
# What the check knows under no name.
UNNAMED = ("log-cosh", "weighted", "Huber")

# Losses by the names that Candidate.loss takes: which loss, and whether averaged over the outputs.
NAMED = {
    ("half squared", False): "quadratic",
    ("squared", True): "mean_squared_error",
    ("absolute", True): "mae",
    ("categorical", False): "categorical_crossentropy",
    ("binary", True): "binary_crossentropy",
    ("logits", False): "categorical_crossentropy/logits",
    ("binary logits", True): "binary_crossentropy/logits",
}
