"""Bugs that the networks of this folder do not have: a layer or two each, by the bug's code."""

from collections.abc import Callable
from typing import Any

import numpy as np

import parity
from parity.reports.report import CheckReport
from tests.parity.forwards.common import softmax


def _checked(model: Any, forward: Callable[..., Any], **changes: Any) -> CheckReport:
    weights = [w.astype(np.float64) for w in model.get_weights()]
    own = {} if changes.pop("held", not weights) else {"get_weights": lambda: weights}
    return parity.check(
        parity.Candidate(forward=lambda *x: forward(weights, *x), **own, **changes), model
    )


def _keras() -> Any:
    from keras_impl import keras

    keras.utils.set_random_seed(2)
    return keras


def windows(x: Any, kernel: Any, stride: int = 1, dilation: int = 1) -> Any:
    reach = dilation * (len(kernel) - 1) + 1
    places = range(0, x.shape[1] - reach + 1, stride)
    return np.stack([np.tensordot(x[:, p : p + reach : dilation], kernel, 2) for p in places], 1)


def _pooled_conv(**options: Any) -> Any:
    keras = _keras()
    layers = keras.layers
    return keras.Sequential([
        keras.Input((9, 2)), layers.Conv1D(2, 3, **options), layers.GlobalMaxPooling1D(),
    ])  # fmt: skip


def strides() -> CheckReport:
    return _checked(_pooled_conv(strides=2), lambda w, x: (windows(x, w[0]) + w[1]).max(axis=1))


def dilation() -> CheckReport:
    return _checked(
        _pooled_conv(dilation_rate=2), lambda w, x: (windows(x, w[0]) + w[1]).max(axis=1)
    )


def arguments() -> CheckReport:
    keras = _keras()
    a, b = keras.Input((4, 3)), keras.Input((4, 3))
    model = keras.Model([a, b], keras.layers.Attention()([a, b]))
    return _checked(model, lambda w, q, v: softmax(v @ q.transpose(0, 2, 1)) @ q)


def _dense_with_dropout() -> Any:
    keras = _keras()
    layers = keras.layers
    return keras.Sequential([
        keras.Input((4,)), layers.Dense(5, name="one"), layers.Dropout(0.5, name="drop"),
        layers.Reshape((5, 1)), layers.Flatten(), layers.Dense(2, name="two"),
    ])  # fmt: skip


def dropout() -> CheckReport:
    rng = np.random.default_rng(0)

    def forward(w: Any, x: Any) -> Any:
        h = x @ w[0] + w[1]
        dropped = h * (rng.random(h.shape) > 0.5) / 0.5
        return {"one": h, "drop": dropped, "out": dropped @ w[2] + w[3]}

    return _checked(_dense_with_dropout(), forward)


def low_precision() -> CheckReport:
    def half(a: Any) -> Any:
        return a.astype(np.float16).astype(np.float32)

    def forward(w: Any, x: Any) -> Any:
        h = half(x) @ half(w[0]) + np.float32(w[1])
        return half(h) @ half(w[2]) + np.float32(w[3])

    return _checked(_dense_with_dropout(), forward)


def no_inputs() -> CheckReport:
    keras = _keras()

    class Empty(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    return _checked(Empty(), lambda w, x: x)


def weights() -> CheckReport:
    model = _dense_with_dropout()
    return parity.check(
        parity.Candidate(forward=lambda x: x, get_weights=lambda: [np.ones((4, 5))]), model
    )


def layer_map() -> CheckReport:
    return _checked(_dense_with_dropout(), lambda w, x: {"h": x}, layer_map={"h": "three"})


def not_run() -> CheckReport:
    keras = _keras()

    i = keras.Input((4,))

    class Refuses(keras.layers.Layer):
        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

        def call(self, x: Any) -> Any:
            raise TypeError("expected no numbers")

    return _checked(keras.Model(i, Refuses()(i)), lambda w, x: x)


SMALL: dict[str, Callable[[], CheckReport]] = {
    "strides": strides,
    "dilation": dilation,
    "arguments-swapped": arguments,
    "dropout-on": dropout,
    "low-precision": low_precision,
    "no-inputs": no_inputs,
    "weights-not-matched": weights,
    "layer-not-found": layer_map,
    "reference-not-run": not_run,
}
