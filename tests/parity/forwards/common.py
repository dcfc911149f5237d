"""What several of the forward passes need."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Slips = frozenset[str]


@dataclass(frozen=True)
class Net:
    """A model and its forward pass by hand.

    Attributes:
        build: ``(keras) -> model``.
        forward: ``(weights, inputs, slips) -> activations`` by name, the outputs last.
        outputs: How many of the last are the model's outputs.
    """

    build: Callable[[Any], Any]
    forward: Callable[[list[Any], list[Any], Slips], dict[str, Any]]
    outputs: int = 1


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Any, axis: int = -1) -> Any:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def gelu(z: Any) -> Any:
    return z * 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)).astype(z.dtype))


def gelu_by_tanh(z: Any) -> Any:
    return 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def chosen(slips: Slips, table: dict[str, Any], default: Any) -> Any:
    """Return the value of the first slip that a table has."""
    return next((value for name, value in table.items() if name in slips), default)
