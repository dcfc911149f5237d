"""Keras's activation layers with their options: see ``harness`` for what is asked of each."""

import pytest

from keras_impl import keras
from tests.layers import harness

L = keras.layers
LAYERS = {
    "LeakyReLU": lambda: L.LeakyReLU(0.3),
    "ELU": lambda: L.ELU(0.5),
    "ReLU, a slope": lambda: L.ReLU(negative_slope=0.1),
    "ReLU, a largest number": lambda: L.ReLU(0.75),
    "ReLU, a threshold": lambda: L.ReLU(threshold=0.25),
    "ReLU, all": lambda: L.ReLU(1.5, 0.1, 0.25),
    "as an activation": lambda: L.Dense(3, L.LeakyReLU(0.01)),
}
each = pytest.mark.parametrize("name", LAYERS)


def _of(name):
    return lambda: [L.Dense(3), LAYERS[name](), L.Dense(2)]


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    harness.agrees_with_keras(_of(name), (4,), dtype)


# Slopes that TensorFlow's float32 holds: others the network of a file has as they stand there.
FILES = {k: v for k, v in LAYERS.items() if k.startswith(("E", "ReLU, a l", "ReLU, a t"))} | {
    "LeakyReLU": lambda: L.LeakyReLU(0.25),
    "as an activation": lambda: L.Dense(3, L.ReLU(negative_slope=0.5)),
}


@pytest.mark.parametrize("name", FILES)
def test_survives_files(name, tmp_path):
    harness.survives_files(lambda: [L.Dense(3), FILES[name](), L.Dense(2)], (4,), tmp_path)


def test_a_wrong_gradient_is_seen():
    harness.sees_a_wrong_gradient(_of("ReLU, all"), (4,))
