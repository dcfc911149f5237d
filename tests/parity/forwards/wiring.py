"""Networks of dense layers by hand beside Keras models, with one thing in another place."""

from collections.abc import Callable
from typing import Any

import numpy as np

import parity
from parity.checking.bugs import attending, wiring
from parity.reports.report import CheckReport
from tests.parity.forwards.steps import Planted


def relu(z: Any) -> Any:
    return np.maximum(z, 0)


def _report(
    build: Callable[[Any, Any], Any], forward: Callable[..., Any], held: bool = False
) -> CheckReport:
    from keras_impl import keras

    keras.utils.set_random_seed(1)
    i = keras.Input((5,))
    model = keras.Model(i, build(keras.layers, i))
    w = [np.array(v, np.float64) for v in model.get_weights()]
    candidate = parity.Candidate(
        get_weights=None if held else lambda: w, forward=lambda x: forward(w, x)
    )
    return parity.check(candidate, model)


def _block(layers: Any, i: Any) -> Any:
    a = layers.Dense(4, "tanh", name="a")(i)
    x = layers.Dense(4, name="b")(a)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Dropout(0.3)(layers.ReLU(name="r1")(x))
    x = layers.Add(name="add")([layers.Dense(4, name="c")(x), a])
    return layers.Dense(2, name="out")(layers.ReLU(name="r2")(x))


def _by_hand(slip: str, w: list[Any], x: Any) -> Any:
    one, two = (w[2], w[3]), (w[8], w[9])
    if slip == "weights":
        one, two = two, one
    before = x @ w[0] + w[1]
    a = np.tanh(before)
    b = a @ one[0] + one[1]

    def norm(z: Any) -> Any:
        return w[4] * (z - w[6]) / np.sqrt(w[7] + 1e-3) + w[5]

    h = norm(relu(b)) if slip == "relu, norm" else relu(norm(b))
    c = h @ two[0] + two[1]
    skip = {"before tanh": before, "of b": b, "of input": a}.get(slip, a)
    if slip == "relu of c":
        out = relu(c) + skip
    elif slip == "product":
        out = relu(c * skip)
    else:
        out = relu(c + skip)
    return out @ w[10] + w[11]


def _activated(layers: Any, i: Any) -> Any:
    a = layers.Dense(4, name="a")(i)
    b = layers.Dense(4, "tanh", name="b")(a)
    return layers.Dense(2, name="out")(layers.Average(name="mean")([a, b]))


def _tanh_behind(w: list[Any], x: Any) -> Any:
    a = x @ w[0] + w[1]
    return np.tanh((a + a @ w[2] + w[3]) / 2) @ w[4] + w[5]


def _inside(layers: Any, i: Any) -> Any:
    x = layers.Dense(4, "sigmoid", name="a")(i)
    return layers.Dense(2, name="out")(layers.LayerNormalization(name="ln")(x))


def _sigmoid_behind(w: list[Any], x: Any) -> Any:
    z = x @ w[0] + w[1]
    z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-3)
    return 1 / (1 + np.exp(-(z * w[2] + w[3]))) @ w[4] + w[5]


def _normed_first(layers: Any, i: Any) -> Any:
    x = layers.Dense(5, name="a")(layers.LayerNormalization(name="ln")(i))
    return layers.Dense(2, name="out")(layers.Add(name="add")([i, x]))


def _normed_behind(w: list[Any], x: Any) -> Any:
    z = x + x @ w[2] + w[3]
    z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-3)
    return (z * w[0] + w[1]) @ w[4] + w[5]


def _attention(layers: Any, i: Any) -> Any:
    x = layers.Reshape((3, 2), name="r")(layers.Dense(6, name="d")(i))
    x = layers.MultiHeadAttention(1, 3, use_bias=False, name="mha")(x, x)
    return layers.Dense(2, name="out")(layers.Flatten(name="f")(x))


def _keys_ask(w: list[Any], x: Any) -> Any:
    x = (x @ w[0] + w[1]).reshape(len(x), 3, 2)
    q, k, v = (x @ w[n][:, 0] for n in (2, 3, 4))
    e = np.exp(k @ q.transpose(0, 2, 1) / np.sqrt(3))
    seen = (e / e.sum(axis=-1, keepdims=True)) @ v @ w[5][0]
    return seen.reshape(len(x), -1) @ w[6] + w[7]


PLANTED: list[Planted] = [
    Planted(bug, words, lambda slip=slip: _report(_block, lambda w, x: _by_hand(slip, w, x)))
    for bug, words, slip in (
        (None, "", ""),
        (wiring.BEFORE_JOIN, "ReLU is applied to input number 1 of Add", "relu of c"),
        (wiring.LAYERS_ORDER, "ReLU is applied before BatchNormalization", "relu, norm"),
        (wiring.SKIP_FROM, "taken before the activation tanh", "before tanh"),
        (wiring.SKIP_FROM, "is taken behind Dense", "of b"),
        (wiring.JOIN_KIND, "the product instead of the sum", "product"),
        (wiring.WEIGHTS_OF_OTHER, "the weights of b and c have changed places", "weights"),
    )
]
PLANTED += [
    Planted(
        wiring.MOVED_BEHIND, "LayerNormalization is applied behind Add, and not at the beginning",
        lambda: _report(_normed_first, _normed_behind),
    ),
    Planted(
        attending.ARGUMENTS_SWAPPED, "query and key have changed places",
        lambda: _report(_attention, _keys_ask, held=True),
    ),
    Planted(
        wiring.BEHIND_JOIN, "the activation tanh is applied behind Average",
        lambda: _report(_activated, _tanh_behind),
    ),
    Planted(
        wiring.LAYERS_ORDER, "LayerNormalization is applied before the activation sigmoid",
        lambda: _report(_inside, _sigmoid_behind),
    ),
]  # fmt: skip
