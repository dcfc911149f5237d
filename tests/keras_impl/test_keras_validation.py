"""What does not fit is refused before Keras trains on it."""

import numpy as np
import pytest

from keras_impl import keras, losses, training

X, Y = np.zeros((4, 6), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]


def fit(x, y, loss="categorical_crossentropy", **options):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])
    training.compile_model(model, losses.get(loss), keras.optimizers.SGD())
    return training.fit(
        model, x, y, epochs=1, schedule=lambda epoch: [np.arange(len(x))], **options
    )


def with_value(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:, :5], Y, r"inputs of shape \(N, 6\). Received: shape \(4, 5\)"),
        (with_value(X, (1, 2), np.nan), Y, r"finite inputs. Received: nan at index \(1, 2\)"),
        (with_value(X, (3, 0), np.inf), Y, r"finite inputs. Received: inf at index \(3, 0\)"),
        (X, with_value(Y, (0, 1), np.nan), r"finite targets. Received: nan at index \(0, 1\)"),
        (X, Y[:, :2], r"targets of shape \(4, 3\). Received: shape \(4, 2\)"),
        (X, Y[:3], r"targets of shape \(4, 3\). Received: shape \(3, 3\)"),
    ],
)
def test_inputs_and_targets(x, y, message):
    with pytest.raises(ValueError, match=message):
        fit(x, y)
    with pytest.raises(ValueError, match=message):
        fit(X, Y, validation_data=(x, y))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3, 0], r"4 labels in 0..2. Received: 3 at index 2"),
        ([0, -1, 2, 0], r"4 labels in 0..2. Received: -1 at index 1"),
        ([0, 1, 2], r"4 labels in 0..2. Received: 3 labels"),
    ],
)
def test_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        fit(X, np.array(labels), "sparse_categorical_crossentropy")


def test_what_fits_is_trained_on():
    assert "loss" in fit(X, Y)
    assert "loss" in fit(X, np.array([0, 1, 2, 0]), "sparse_categorical_crossentropy")
