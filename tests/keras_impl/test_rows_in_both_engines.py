"""Samples that are read a batch at a time, in ``fit`` of either engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras, losses, precision, training
from numpy_impl import training as numpy_training
from numpy_impl.losses import Quadratic
from numpy_impl.optimizers import SGD

L: Any = keras.layers
ORDERS = [[np.array([4, 1, 7]), np.array([0, 2])], [np.array([3, 3]), np.array([5, 6, 7])]]
Fit = Callable[[Any, Any], np.ndarray]


class Rows:
    """Rows of an array, which alone knows that they are in memory; it notes what is asked for."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.asked: list[list[int]] = []

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        self.asked.append(indices.tolist())
        return self._array[indices]


def _samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((8, 5)), np.eye(3)[rng.integers(0, 3, 8)]


def _model() -> keras.Sequential:
    model = keras.Sequential([keras.Input((5,)), L.Dense(3, "sigmoid")])
    start = np.random.default_rng(1)
    model.set_weights([start.normal(size=(5, 3)), start.normal(size=3)])
    return model


def _in_numpy(x: Any, y: Any) -> np.ndarray:
    network = parity.numpy_twin(_model())
    order = lambda epoch: ORDERS[epoch]  # noqa: E731
    numpy_training.fit(network, Quadratic(), SGD(0.5), x, y, epochs=2, schedule=order)
    return network.parameters


def _in_keras(x: Any, y: Any) -> np.ndarray:
    model = _model()
    training.compile_model(model, losses.get("quadratic"), keras.optimizers.SGD(0.5))
    training.fit(model, x, y, epochs=2, schedule=lambda epoch: ORDERS[epoch])
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.fixture(autouse=True)
def _double():
    with precision("float64"):
        yield


@pytest.mark.parametrize("fit", [_in_numpy, _in_keras])
def test_rows_train_as_their_array(fit: Fit):
    x, y = _samples()
    rows = Rows(x), Rows(y)
    assert np.array_equal(fit(*rows), fit(x, y))
    assert not np.array_equal(fit(Rows(x[::-1]), rows[1]), fit(x, y))
    # No more than a batch at a time, though Keras looks at the first ones to see their shape.
    batches = [batch.tolist() for epoch in ORDERS for batch in epoch]
    assert all(asked in batches for asked in rows[0].asked)
    assert [b for i, b in enumerate(rows[0].asked) if b not in rows[0].asked[:i]] == batches


@pytest.mark.parametrize("fit", [_in_numpy, _in_keras])
@pytest.mark.parametrize(
    ("axis", "at", "value", "said"),
    [(0, (5, 2), np.nan, "sample 5, alone: Expected finite inputs"),
     (0, (7, 0), np.inf, "sample 7, alone: Expected finite inputs"),
     (1, (2, 1), np.nan, "sample 2, alone: Expected finite targets")],
)  # fmt: skip
def test_a_sample_that_is_not_finite_is_named(
    fit: Fit, axis: int, at: tuple[int, int], value: float, said: str
):
    both = _samples()
    both[axis][at] = value
    with pytest.raises(ValueError, match=said):
        fit(Rows(both[0]), Rows(both[1]))


@pytest.mark.parametrize("fit", [_in_numpy, _in_keras])
def test_rows_that_do_not_fit_are_refused(fit: Fit):
    x, y = _samples()
    with pytest.raises(ValueError, match=r"Expected 8 targets\. Received: 7"):
        fit(Rows(x), Rows(y[:7]))
    with pytest.raises(ValueError, match="Expected inputs of shape"):
        fit(Rows(x[:, 1:]), Rows(y))


def test_what_would_need_all_rows_is_refused():
    x, y = (Rows(array) for array in _samples())
    network = parity.numpy_twin(_model())
    refused: list[dict[str, Any]] = [{"augment": lambda epoch, x: x}, {"class_weight": {0: 2.0}}]
    for more in refused:
        with pytest.raises(ValueError, match="read batch by batch"):
            numpy_training.fit(
                network, Quadratic(), SGD(0.5), x, y, epochs=1,
                schedule=lambda epoch: ORDERS[epoch], **more,
            )  # fmt: skip
