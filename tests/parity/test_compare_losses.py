"""Every loss is Keras's own, in value and gradient, its traps included."""

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from tests.parity.networks import small

CROSSENTROPIES = {
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["linear", "softmax", "sigmoid"])
@pytest.mark.parametrize("name", CROSSENTROPIES)
def test_crossentropies_are_keras_own_with_every_output(name, activation, dtype):
    """On TensorFlow the logits of softmax *and* sigmoid outputs reach any cross-entropy."""
    with precision(dtype):
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, activation=activation)])
        rng = np.random.default_rng(0)
        x, labels = rng.standard_normal((7, 6)).astype(dtype), rng.integers(0, 4, 7)
        y = labels if name.startswith("sparse") else np.eye(4, dtype=dtype)[labels]
        loss = CROSSENTROPIES[name](from_logits=activation == "linear")
        parity.compare(model, parity.numpy_twin(model), x, y, loss=loss).raise_for_failure()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["categorical_crossentropy", "binary_crossentropy"])
def test_clipped_crossentropies_are_keras_own(name, dtype):
    """Where no logits are cached (here: the activation is a layer before a Flatten) Keras clips."""
    with precision(dtype):
        model = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(4, activation="sigmoid"),
                keras.layers.Flatten(),
            ]
        )
        model.layers[0].set_weights([np.eye(6)[:, :4], np.zeros(4)])
        rng = np.random.default_rng(0)
        # Well beyond the lower clip, and well within: at the upper one, 1 - 1e-7, the logarithm of
        # 1 - p has lost all its digits in float32, so that nothing could be decided.
        x = rng.choice([-40.0, -3.0, -1.0, 0.5, 2.0], (15, 6)).astype(dtype)
        y = np.eye(4, dtype=dtype)[rng.integers(0, 4, 15)]
        parity.compare(model, parity.numpy_twin(model), x, y, loss=name).raise_for_failure()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["quadratic", "mean_squared_error", "mean_absolute_error"])
def test_error_losses_are_keras_own(name, dtype):
    with precision(dtype):
        model, network, x, y = small(dtype)
        parity.compare(model, network, x, y, loss=name).raise_for_failure()


@pytest.mark.parametrize("activation", ["linear", "softmax", "sigmoid"])
@pytest.mark.parametrize("name", [*CROSSENTROPIES, "quadratic", "mean_absolute_error"])
def test_losses_of_sequences_are_keras_own(name, activation):
    """The outputs (7, 3, 4) have 21 places, over which the mean is taken."""
    with precision("float64"):
        dense = keras.layers.Dense(4, activation=activation)
        model = keras.Sequential([keras.Input((3, 5)), dense])
        rng = np.random.default_rng(0)
        x, labels = rng.standard_normal((7, 3, 5)), rng.integers(0, 4, (7, 3))
        y = labels if name.startswith("sparse") else np.eye(4)[labels]
        make = CROSSENTROPIES.get(name)
        loss = make(from_logits=activation == "linear") if make else name
        parity.compare(model, parity.numpy_twin(model), x, y, loss=loss).raise_for_failure()
