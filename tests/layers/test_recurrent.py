"""Embedding and recurrent layers: see ``harness`` for what is asked of each."""

import pytest

from keras_impl import keras
from tests.layers import harness

L = keras.layers

# Name: the numbers that the inputs are below (0: normal numbers), their shape, the layers.
MODELS = {
    "SimpleRNN": (0, (4, 3), lambda: [L.SimpleRNN(3), L.Dense(2)]),
    "LSTM": (0, (4, 3), lambda: [L.LSTM(3), L.Dense(2)]),
    "GRU": (0, (4, 3), lambda: [L.GRU(3), L.Dense(2)]),
    "GRU, reset before": (0, (4, 3), lambda: [L.GRU(3, reset_after=False), L.Dense(2)]),
    "Embedding": (5, (6,), lambda: [L.Embedding(7, 3), L.Flatten(), L.Dense(2)]),
    "Embedding of one number": (5, (), lambda: [L.Embedding(5, 3), L.Dense(2)]),
    "Embedding and LSTM": (5, (4,), lambda: [L.Embedding(5, 3), L.LSTM(3), L.Dense(2)]),
    "RepeatVector": (
        0,
        (3,),
        lambda: [L.Dense(3, "tanh"), L.RepeatVector(4), L.GRU(2), L.Dense(2)],
    ),
}
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    whole, shape, layers = MODELS[name]
    harness.agrees_with_keras(layers, shape, dtype, whole)


@each
def test_backward_is_the_derivative_of_forward(name):
    whole, shape, layers = MODELS[name]
    harness.backward_is_the_derivative_of_forward(layers, shape, whole)


@each
def test_survives_files(name, tmp_path):
    whole, shape, layers = MODELS[name]
    harness.survives_files(layers, shape, tmp_path, whole)


@each
def test_a_wrong_gradient_is_seen(name):
    whole, shape, layers = MODELS[name]
    harness.sees_a_wrong_gradient(layers, shape, whole)
