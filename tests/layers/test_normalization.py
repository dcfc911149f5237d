"""Normalization layers: see ``harness`` for what is asked of each."""

import pytest

from keras_impl import keras
from tests.layers import harness

L = keras.layers

MODELS = {
    "layer normalization": ((5,), lambda: [L.LayerNormalization(), L.Dense(2)]),
    "of sequences": ((4, 3), lambda: [L.LayerNormalization(epsilon=1e-5), L.Flatten(), L.Dense(2)]),
    "without gamma": ((5,), lambda: [L.LayerNormalization(scale=False), L.Dense(2)]),
    "without beta": ((5,), lambda: [L.LayerNormalization(center=False), L.Dense(2)]),
    "behind a layer": (
        (5,),
        lambda: [L.Dense(6, "tanh"), L.LayerNormalization(axis=1), L.Dense(2)],
    ),
}
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    shape, layers = MODELS[name]
    harness.agrees_with_keras(layers, shape, dtype)


@each
def test_backward_is_the_derivative_of_forward(name):
    shape, layers = MODELS[name]
    harness.backward_is_the_derivative_of_forward(layers, shape)


@each
def test_survives_files(name, tmp_path):
    shape, layers = MODELS[name]
    harness.survives_files(layers, shape, tmp_path)


def test_a_wrong_gradient_is_seen():
    shape, layers = MODELS["behind a layer"]
    harness.sees_a_wrong_gradient(layers, shape)
