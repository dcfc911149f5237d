"""The networks that have names, in Keras; the table of names stands in ``numpy_impl.models``."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import initializers
from keras.layers import LSTM, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Reshape


def _normal(seed: int | None) -> Any:
    return initializers.RandomNormal(0.0, 1.0, seed=seed)


def _uniform(seed: int | None) -> Any:
    return initializers.RandomUniform(-1.0, 1.0, seed=seed)


def _glorot(seed: int | None) -> Any:
    return initializers.GlorotUniform(seed=seed)


class _Seeds:
    """Draws a seed for each initializer, so that no global random state is read."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self.rng = rng

    def __call__(self) -> int | None:
        return None if self.rng is None else int(self.rng.integers(2**31))


def _sigmoid(sizes: Sequence[int], seed: _Seeds) -> Sequence[keras.Layer]:
    return [
        Dense(
            n,
            activation="sigmoid",
            kernel_initializer=_normal(seed()),
            bias_initializer=_normal(seed()),
        )
        for n in sizes
    ]


def _tanh_network(seed: _Seeds) -> Sequence[keras.Layer]:
    return [
        Dense(200, activation="tanh", use_bias=False, kernel_initializer=_uniform(seed())),
        Dense(10, activation="softmax", use_bias=False, kernel_initializer=_uniform(seed())),
    ]


def _softmax_network(seed: _Seeds) -> Sequence[keras.Layer]:
    return [
        Dense(64, activation="sigmoid", kernel_initializer=_normal(seed())),
        Dense(10, activation="softmax", kernel_initializer=_normal(seed())),
    ]


def _relu_network(seed: _Seeds) -> Sequence[keras.Layer]:
    return [
        Dense(500, activation="relu", kernel_initializer=_glorot(seed())),
        Dense(300, activation="relu", kernel_initializer=_glorot(seed())),
        Dense(10, activation="softmax", kernel_initializer=_glorot(seed())),
    ]


def _lenet(seed: _Seeds) -> Sequence[keras.Layer]:
    return [
        Reshape((28, 28, 1)),
        Conv2D(20, 5, activation="relu", kernel_initializer=_glorot(seed())),
        MaxPooling2D(),
        Conv2D(50, 5, activation="relu", kernel_initializer=_glorot(seed())),
        MaxPooling2D(),
        Flatten(),
        Dense(500, activation="relu", kernel_initializer=_glorot(seed())),
        Dense(10, activation="softmax", kernel_initializer=_glorot(seed())),
    ]


def _lstm(seed: _Seeds) -> Sequence[keras.Layer]:
    recurrent = initializers.Orthogonal(seed=seed())
    return [
        Reshape((28, 28)),
        LSTM(128, kernel_initializer=_glorot(seed()), recurrent_initializer=recurrent),
        Dense(10, activation="softmax", kernel_initializer=_glorot(seed())),
    ]


# Name -> (inputs, layers without dropout)
ARCHITECTURES: dict[str, tuple[int, Callable[[_Seeds], Sequence[keras.Layer]]]] = {
    "64-40-10": (64, lambda seed: _sigmoid([40, 10], seed)),
    "784-30-10": (784, lambda seed: _sigmoid([30, 10], seed)),
    "784-100-10": (784, lambda seed: _sigmoid([100, 10], seed)),
    "64-200-10": (64, _tanh_network),
    "784-64-10": (784, _softmax_network),
    "784-500-300-10": (784, _relu_network),
    "lenet": (784, _lenet),
    "lstm": (784, _lstm),
}
# The dropout rates that the documents state; elsewhere there is none.
DROPOUT = {"64-200-10": 0.5}


def build(
    name: str | Sequence[int],
    rng: np.random.Generator | None = None,
    *,
    dropout: float | None = None,
) -> keras.Sequential:
    """Build a network that has a name, not compiled, in the precision that is set.

    Args:
        name: One of ``ARCHITECTURES``; or, for a sigmoid network of any depth, a list of at least
            two layer sizes, also written "sigmoid:2-2-1-3".
        rng: Draws the seed of each initializer and dropout layer; None: different on every call.
        dropout: Rate, in [0, 1), of a dropout layer after each hidden layer; 0 for none, None for
            the document's own (``DROPOUT``).

    Raises:
        ValueError: An unknown name, sizes that are not two or more positive integers, or a rate out
            of range.
    """
    seeds = _Seeds(rng)
    if isinstance(name, str) and name in ARCHITECTURES:
        inputs, make = ARCHITECTURES[name]
        rate = DROPOUT.get(name, 0.0) if dropout is None else dropout
        return _sequential(name, inputs, _with_dropout(make(seeds), rate, seeds))
    sizes = _parse_sizes(name)
    layers = _with_dropout(_sigmoid(sizes[1:], seeds), dropout or 0.0, seeds)
    return _sequential("sigmoid_" + "-".join(map(str, sizes)), sizes[0], layers)


def _with_dropout(
    layers: Sequence[keras.Layer], rate: float, seed: _Seeds
) -> Sequence[keras.Layer]:
    """Put a dropout layer after each layer with an activation but the last."""
    if rate == 0:
        return layers
    if not 0 <= rate < 1:  # Keras would take 1, which drops everything
        raise ValueError(f"Dropout expects a rate in [0, 1). Received: rate={rate}")
    *hidden, output = layers
    dropped: list[keras.Layer] = []
    for layer in hidden:
        dropped += [layer, Dropout(rate, seed=seed())] if hasattr(layer, "activation") else [layer]
    return [*dropped, output]


def _sequential(name: str, inputs: int, layers: Sequence[keras.Layer]) -> keras.Sequential:
    return keras.Sequential([keras.Input((inputs,)), *layers], name=name)


def _parse_sizes(name: str | Sequence[int]) -> list[int]:
    pieces: Sequence[str | int] = name
    if isinstance(name, str):
        prefix, _, rest = name.partition(":")
        if prefix != "sigmoid":
            raise ValueError(
                f"Unknown architecture. Expected one of: {', '.join(ARCHITECTURES)}, "
                f"or sigmoid:n0-n1-... for sigmoid layers of any sizes. Received: {name!r}"
            )
        pieces = rest.split("-")
    sizes = [int(piece) if str(piece).isdecimal() else 0 for piece in pieces]
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"Expected two or more positive layer sizes, such as 64-40-10. Received: {name!r}"
        )
    return sizes
