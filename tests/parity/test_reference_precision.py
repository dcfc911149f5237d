"""References that begin with a layer that does not cast, or that hold numbers in float32."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.reports.report import CheckReport, Outcome


class Reference(NamedTuple):
    """A model, and its forward pass by hand up to a Dense layer.

    Attributes:
        build: ``(keras) -> layers`` before the last one.
        forward: ``(x, weights, epsilon) -> activations``.
        single: Whether it runs in float32 only.
    """

    build: Callable[[Any], list[Any]]
    forward: Callable[[Array, list[Array], float], Array]
    single: bool = False


def normalized(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(x.var(axis=-1, keepdims=True) + epsilon) * gamma + beta


def in_groups(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    pairs = x.reshape(len(x), 2, 2)
    one = np.ones(())
    return normalized(pairs, one, 0 * one, epsilon).reshape(x.shape) * gamma + beta


def _inner(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential([keras.Input((4,)), layers.LayerNormalization(name="ln")], name="inner")


def _position(keras: Any) -> Any:
    import tensorflow as tf  # a layer of somebody's own is written in it

    class Position(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            x = x * tf.math.sqrt(tf.cast(tf.shape(x)[-1], tf.float32))
            return x + tf.constant([0.25, 0.5, 1.0, -1.0])

    return Position(name="position")


def _placed(x: Array) -> Array:
    return 2 * x + np.array([0.25, 0.5, 1.0, -1.0])


REFERENCES: dict[str, Reference] = {
    "layer normalization": Reference(
        lambda keras: [keras.layers.LayerNormalization(name="ln")],
        lambda x, w, epsilon: normalized(x, w[0], w[1], epsilon),
    ),
    "group normalization": Reference(
        lambda keras: [keras.layers.GroupNormalization(2, name="ln")],
        lambda x, w, epsilon: in_groups(x, w[0], w[1], epsilon),
    ),
    "a model in the middle": Reference(
        lambda keras: [keras.layers.Activation("tanh"), _inner(keras)],
        lambda x, w, epsilon: normalized(np.tanh(x), w[0], w[1], epsilon),
    ),
    "numbers in float32": Reference(
        lambda keras: [_position(keras), keras.layers.LayerNormalization(name="ln")],
        lambda x, w, epsilon: normalized(_placed(x), w[0], w[1], epsilon), single=True,
    ),
}  # fmt: skip


def checked(name: str, error: float = 0.0, epsilon: float = 1e-3) -> CheckReport:
    from keras_impl import keras

    keras.utils.set_random_seed(4)
    chosen = REFERENCES[name]
    if chosen.single and keras.backend.backend() != "tensorflow":
        pytest.skip("it is TensorFlow that does not add float32 to float64")
    layers = [keras.Input((4,)), *chosen.build(keras), keras.layers.Dense(3, name="out")]
    model = keras.Sequential(layers)
    weights = [w.astype(np.float64) for w in model.get_weights()]

    def forward(x: Array) -> Array:
        *first, kernel, bias = weights
        out = chosen.forward(x, first, epsilon) @ kernel + bias
        out[0, 0] += error
        return out

    return parity.check(parity.Candidate(get_weights=lambda: weights, forward=forward), model)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_right_forward_is_right(name: str) -> None:
    report = checked(name)
    assert report.outcome is Outcome.RIGHT, str(report)
    single = REFERENCES[name].single
    assert any("runs in float32 only" in remark for remark in report.remarks) == single


@pytest.mark.parametrize("name", REFERENCES)
def test_another_epsilon_is_named(name: str) -> None:
    report = checked(name, epsilon=1e-2)
    assert [f.code for f in report.findings] == ["epsilon"], str(report)
    assert "ln" in report.findings[0].where


@pytest.mark.parametrize("name", REFERENCES)
def test_an_error_beyond_the_precision_is_seen(name: str) -> None:
    """In one number; of 10^-9 in float64: a reference that is cast to float32 would hide it."""
    report = checked(name, error=1e-2 if REFERENCES[name].single else 1e-9)
    assert report.outcome is Outcome.WRONG, str(report)
