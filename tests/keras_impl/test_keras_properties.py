"""What holds for Keras's gradients of any batch, as for those of the NumPy engine."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import keras_impl
from keras_impl import losses
from keras_impl.autodiff import Autodiff
from numpy_impl import Sequential
from numpy_impl.layers import Dense
from parity import keras_twin
from tests.numpy_impl import textbook

LOSSES = ("quadratic", "mse", "binary_crossentropy", "categorical_crossentropy")


def gradients(model: Any, loss: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return all gradients in one vector."""
    found = Autodiff(model, loss, eager=True).loss_and_gradients(x, y)[1]
    return np.concatenate([gradient.ravel() for gradient in found])


def scaled(factor: float, loss: Any, y_true: Any, y_pred: Any) -> Any:
    return factor * loss(y_true, y_pred)


@pytest.mark.parametrize("name", LOSSES)
def test_parts_order_and_scale(name: str) -> None:
    network = Sequential([Dense(4, "tanh"), Dense(3, "softmax")], 5, np.random.default_rng(0))
    network = network.clone("float64")
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1, 1, (7, 5)), np.eye(3)[rng.integers(0, 3, 7)]
    bound = textbook.roundoff(network, x)
    with keras_impl.precision("float64"):
        model, loss = keras_twin(network), losses.get(name)
        whole = gradients(model, loss, x, y)
        parts = [gradients(model, loss, x[s], y[s]) for s in (slice(0, 3), slice(3, 7))]
        order = rng.permutation(7)
        mixed = gradients(model, loss, x[order], y[order])
        four = gradients(model, partial(scaled, 4.0, loss), x, y)
    assert np.abs(whole).max() > 1000 * bound
    assert np.abs(whole - (3 * parts[0] + 4 * parts[1]) / 7).max() <= 3 * bound
    assert np.abs(whole - mixed).max() <= 2 * bound
    # A power of two changes no digit.
    assert np.array_equal(four, 4 * whole)
    # Planted error: a sample that is left out shows.
    assert np.abs(whole - parts[0]).max() > 1000 * bound
