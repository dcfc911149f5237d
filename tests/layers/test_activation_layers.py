"""Keras's activation layers with their options: see ``harness`` for what is asked of each."""

import numpy as np
import pytest

import parity
from keras_impl import keras
from keras_impl.precision import precision
from numpy_impl.layers import Softmax
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


# Behind these a bias that all share is taken off, where the axis is theirs: so there is none.
SOFTMAX = {
    "steps": ((3, 4), L.Softmax, 1),
    "the last, from the front": ((3, 4), L.Softmax, 2),
    "two": ((3, 4), L.Softmax, [1, 2]),
    "two apart, turned round": ((3, 2, 4), L.Softmax, [3, 1]),
}


def _softmax(name):
    _, kind, axis = SOFTMAX[name]
    return lambda: [L.Dense(4, use_bias=False), kind(axis=axis), L.Flatten(), L.Dense(2)]


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_softmax_over_any_axes_is_keras_own(name, dtype):
    harness.agrees_with_keras(_softmax(name), SOFTMAX[name][0], dtype)


@pytest.mark.parametrize("name", SOFTMAX)
def test_softmax_over_any_axes_survives_files_and_is_seen_wrong(name, tmp_path):
    shape = SOFTMAX[name][0]
    harness.survives_files(_softmax(name), shape, tmp_path)
    harness.backward_is_the_derivative_of_forward(_softmax(name), shape)
    harness.sees_a_wrong_gradient(_softmax(name), shape)


@pytest.mark.parametrize("axis", [0, 3, [], [1, -2]])
def test_axes_of_softmax_that_cannot_be_are_refused(axis):
    with pytest.raises(ValueError, match=r"Softmax expects axes of 1 to 2, each another\."):
        Softmax(axis).build((3, 4))


def test_a_cross_entropy_behind_a_softmax_layer_is_taken_at_its_logits():
    """As Keras on TensorFlow does; the logarithm of a probability of 1e-25 would be cut off."""
    x, y = np.random.default_rng(0).normal(size=(5, 3)), np.eye(3)[[0, 1, 2, 0, 1]]
    with precision("float64"):
        model = keras.Sequential([keras.Input((3,)), L.Dense(3), L.Softmax()])
        model.set_weights([60 * np.eye(3), np.zeros(3)])
        parity.compare(
            model, parity.numpy_twin(model), x, y, loss="categorical_crossentropy"
        ).raise_for_failure()


def test_a_cross_entropy_over_another_axis_than_the_softmax_is_refused():
    """Keras would take the softmax of the logits over the last axis, whatever the layer's."""
    with precision("float64"):
        model = keras.Sequential([keras.Input((3, 4)), L.Dense(4), L.Softmax(axis=1)])
        x, y = np.ones((2, 3, 4)), np.ones((2, 3, 4)) / 4
        with pytest.raises(ValueError, match=r"behind Softmax\(axis=-1\).* Received: axis=1"):
            parity.compare(model, parity.numpy_twin(model), x, y, loss="categorical_crossentropy")


def test_a_wrong_gradient_is_seen():
    harness.sees_a_wrong_gradient(_of("ReLU, all"), (4,))
