"""Losses of the outputs, with their derivative: both summed over the batch, to be scaled."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.parity.random_layers.blocks import sigmoid

Loss = Callable[[Any, Any], tuple[Any, Any]]


def softmax(a: Any) -> Any:
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def half_squared(a: Any, y: Any) -> tuple[Any, Any]:
    return 0.5 * np.sum((a - y) ** 2), a - y


def squared(a: Any, y: Any) -> tuple[Any, Any]:
    return np.sum((a - y) ** 2), 2 * (a - y)


def guarded_entropy(a: Any, y: Any) -> tuple[Any, Any]:
    p = softmax(a)
    return -np.sum(y * np.log(p + np.asarray(1e-12, a.dtype))), p - y


def entropy_from_logits(a: Any, y: Any) -> tuple[Any, Any]:
    """With class numbers."""
    top = a.max(axis=1)
    places = np.arange(len(a)), y
    value = np.sum(top + np.log(np.exp(a - top[:, None]).sum(axis=1)) - a[places])
    d = softmax(a)
    d[places] -= 1
    return value, d


def binary(a: Any, y: Any) -> tuple[Any, Any]:
    p = np.clip(sigmoid(a), 1e-7, 1 - 1e-7)
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)), sigmoid(a) - y


def binary_from_logits(a: Any, y: Any) -> tuple[Any, Any]:
    return np.sum(np.logaddexp(a, 0) - y * a), sigmoid(a) - y


def huber(a: Any, y: Any) -> tuple[Any, Any]:
    e = a - y
    near = np.abs(e) <= 1
    return np.sum(np.where(near, 0.5 * e**2, np.abs(e) - 0.5)), np.clip(e, -1, 1)


def hinge(a: Any, y: Any) -> tuple[Any, Any]:
    sign = 2 * y - 1
    margin = 1 - sign * a
    return np.sum(np.maximum(margin, 0)), -sign * (margin > 0)


def poisson(a: Any, y: Any) -> tuple[Any, Any]:
    return np.sum(np.exp(a) - y * a), np.exp(a) - y


def pinball(a: Any, y: Any) -> tuple[Any, Any]:
    e = y - a
    return np.sum(np.where(e > 0, 0.3 * e, -0.7 * e)), np.where(e > 0, -0.3, 0.7)


def log_cosh(a: Any, y: Any) -> tuple[Any, Any]:
    return np.sum(np.log(np.cosh(a - y))), np.tanh(a - y)


def ranking(a: Any, y: Any) -> tuple[Any, Any]:
    """Of each two samples the one with the larger y should have the larger output."""
    e = a[:, None] - a[None]
    higher = y[:, None] > y[None]
    d = -sigmoid(-e) * higher
    return np.sum(np.logaddexp(-e, 0) * higher), d.sum(axis=1) - d.sum(axis=0)


# The function, and what y holds: numbers, one-hot rows, class numbers, zeros and ones, or counts.
LOSSES: dict[str, tuple[Loss, str]] = {
    "half squared": (half_squared, "numbers"),
    "squared": (squared, "numbers"),
    "guarded entropy": (guarded_entropy, "one-hot"),
    "entropy from logits": (entropy_from_logits, "classes"),
    "binary": (binary, "bits"),
    "binary from logits": (binary_from_logits, "bits"),
    "huber": (huber, "numbers"),
    "hinge": (hinge, "bits"),
    "poisson": (poisson, "counts"),
    "pinball": (pinball, "numbers"),
    "log cosh": (log_cosh, "numbers"),
    "ranking": (ranking, "numbers"),
}


def targets(rng: np.random.Generator, kind: str, samples: int, outputs: int) -> Any:
    """Return y, the first axis being the samples."""
    if kind == "numbers":
        return rng.normal(size=(samples, outputs))
    if kind == "bits":
        return rng.integers(2, size=(samples, outputs)).astype(float)
    if kind == "counts":
        return rng.poisson(1.0, size=(samples, outputs)).astype(float)
    classes = rng.integers(outputs, size=samples)
    return classes if kind == "classes" else np.eye(outputs)[classes]
