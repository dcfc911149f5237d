"""Recurrent layers: see ``harness`` for what is asked of each."""

import pytest

from keras_impl import keras
from tests.layers import harness

L = keras.layers

MODELS = {
    "SimpleRNN": ((4, 3), lambda: [L.SimpleRNN(3), L.Dense(2)]),
    "LSTM": ((4, 3), lambda: [L.LSTM(3), L.Dense(2)]),
    "GRU": ((4, 3), lambda: [L.GRU(3), L.Dense(2)]),
    "GRU, reset before": ((4, 3), lambda: [L.GRU(3, reset_after=False), L.Dense(2)]),
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


@each
def test_a_wrong_gradient_is_seen(name):
    shape, layers = MODELS[name]
    harness.sees_a_wrong_gradient(layers, shape)
