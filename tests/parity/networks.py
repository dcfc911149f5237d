"""Networks and data that several test files compare."""

import numpy as np

import parity
from keras_impl import keras, models, precision
from numpy_impl.types import Precision
from parity.comparing.result import Comparison


def data(name: str, batch: int, dtype: Precision, seed: int = 0):
    """Return inputs that look like the network's own data, and one-hot targets."""
    rng = np.random.default_rng(seed)
    inputs = int(name.split("-")[0])
    x = rng.random((batch, inputs))
    if inputs == 64:
        x = np.round(16 * x)
    if name == "64-200-10":
        x = (x - 5) / 36
    return x.astype(dtype), np.eye(10, dtype=dtype)[rng.integers(0, 10, batch)]


def pair(name: str, seed: int = 0):
    model = models.build(name, np.random.default_rng(seed))
    return model, parity.numpy_twin(model)


def small(dtype: Precision = "float64"):
    with precision(dtype):
        model = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(5, activation="tanh"),
                keras.layers.Dense(4, activation="softmax"),
            ]
        )
    rng = np.random.default_rng(5)
    x = rng.standard_normal((7, 6)).astype(dtype)
    y = np.eye(4, dtype=dtype)[rng.integers(0, 4, 7)]
    return model, parity.numpy_twin(model), x, y


def compare_small(model, network, x, y, **options) -> Comparison:
    with precision("float64" if x.dtype == np.float64 else "float32"):
        return parity.compare(model, network, x, y, loss="categorical_crossentropy", **options)
