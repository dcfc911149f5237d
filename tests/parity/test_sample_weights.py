"""Sample weights and class weights: cost, gradients, steps and whole trainings are Keras's."""

from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from keras_impl.precision import Precision
from numpy_impl import Sequential, losses, network, optimizers, training
from numpy_impl.layers import Dense
from tests.numpy_impl.textbook import unit

K = keras.layers
WEIGHTS = np.array([0.5, 2.0, 0.0, 3.0, 1.0, 0.25])


def _classifier(activation: str = "softmax") -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), K.Dense(5, "tanh"), K.Dense(3, activation)])


def _data(samples: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((samples, 4)), rng.integers(0, 3, samples)


def test_by_hand() -> None:
    net = Sequential([Dense(1, use_bias=False)], 1, dtype="float64")
    net.set_weights([np.array([[2.0]])])
    x, y, w = np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), np.array([10.0, 0.5])
    cost, (gradient,) = net.loss_and_gradients(x, y, losses.get("mse"), sample_weight=w)
    # Errors 1 and 4: (10 * 1 + 0.5 * 16) / 2, and 2 * (10 * 1 * 1 + 0.5 * 4 * 3) / 2.
    assert (cost, gradient[0, 0]) == (9.0, 16.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", losses.LOSSES)
def test_cost_gradients_and_steps(name: str, dtype: Precision) -> None:
    x, labels = _data()
    y = labels if name.startswith("sparse") else np.eye(3)[labels]
    with precision(dtype):
        model = _classifier("sigmoid" if name == "binary_crossentropy" else "softmax")
        twin = parity.numpy_twin(model)
        adam = keras.optimizers.Adam(0.01)
        given: dict[str, Any] = {"loss": name, "optimizer": adam, "steps": 3, "batch_size": 4}
        parity.compare(model, twin, x, y, sample_weight=WEIGHTS, **given).raise_for_failure()


def test_weights_of_steps_and_of_several_outputs() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((3, 3, 2)), [rng.random((3, 3, 2)), rng.random((3, 1))]
    with precision("float64"):
        given = keras.Input((3, 2))
        h = K.SimpleRNN(2, return_sequences=True)(given)
        model = keras.Model(given, [K.Dense(2)(h), K.Dense(1)(K.Flatten()(h))])
        twin = parity.numpy_twin(model)
        for first in (rng.random(3), rng.random((3, 3))):
            parity.compare(
                model, twin, x, y, loss=["mse", "mae"], loss_weights=[0.5, 2.0],
                sample_weight=[first, np.array([0.0, 4.0, 1.0])],
                optimizer=keras.optimizers.SGD(0.1), steps=2,
            ).raise_for_failure()  # fmt: skip


@pytest.mark.parametrize("kind", ["sample_weight", "class_weight"])
def test_fit_is_keras_fit(kind: str) -> None:
    x, labels = _data(11)
    x_val, labels_val = _data(6)
    both = {"sample_weight": np.arange(11) / 4, "class_weight": {0: 3.0, 2: 0.1}}
    y, y_val = np.eye(3)[labels], np.eye(3)[labels_val]
    given: dict[str, Any] = {kind: both[kind], "validation_data": (x_val, y_val, WEIGHTS)}
    with precision("float64"):
        model = _classifier()
        twin = parity.numpy_twin(model)
        model.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy", metrics=["accuracy"])
        theirs = model.fit(
            x, y, batch_size=4, epochs=5, shuffle=False, verbose=0, **given
        ).history  # fmt: skip
    ours = training.fit(
        twin, losses.CategoricalCrossentropy(fused=True), optimizers.SGD(0.5), x, y,
        epochs=5, schedule=training.in_order(11, 4), **given,
    ).epochs  # fmt: skip
    for mine, other in zip(twin.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e4 * unit())
    # Keras keeps its running means in float32.
    for name in ("loss", "val_loss", "accuracy"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_whole_training_by_class_weights_is_compared(sparse: bool) -> None:
    x, labels = _data(12)
    with precision("float64"):
        model = _classifier()
        result = parity.compare_training(
            model, parity.numpy_twin(model), x, labels if sparse else np.eye(3)[labels],
            loss=f"{'sparse_' if sparse else ''}categorical_crossentropy",
            optimizer=keras.optimizers.RMSprop(0.01), class_weight={0: 4.0, 1: 0.5},
            batches=training.split(np.arange(12), 5),
        )  # fmt: skip
    result.raise_for_failure()


def _without(gradient, factor: float):
    """Return the loss's gradient without the weights, times ``factor``."""
    return lambda last, outputs, y, loss, weights=None: factor * gradient(last, outputs, y, loss)


def test_what_ignores_the_weights_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = _data()
    with precision("float64"):
        model = _classifier()
        twin = parity.numpy_twin(model)
        given: dict[str, Any] = {
            "loss": "sparse_categorical_crossentropy",
            "sample_weight": WEIGHTS,
        }
        assert parity.compare(model, twin, x, labels, **given).passed
        monkeypatch.setattr(network, "loss_gradient", _without(network.loss_gradient, 1.0))
        wrong = parity.compare(model, twin, x, labels, **given).failures()
        # With weights that are all the same the sum is off by a factor, and so is all.
        same: dict[str, Any] = given | {"sample_weight": np.full(6, 1 + 1e-9)}
        assert len(wrong) == len(parity.compare(model, twin, x, labels, **same).failures()) == 4
    assert {row.section for row in wrong} == {"gradients"}


class DividedByTheWeights(losses.MeanSquaredError):
    """The weighted mean, which Keras calls "mean_with_sample_weight"."""

    def gradient(self, y_pred, y_true, out=None):
        gradient = super().gradient(y_pred, y_true, out)
        gradient *= len(y_pred) / WEIGHTS.sum()
        return gradient


def test_what_divides_by_the_sum_of_the_weights_is_seen() -> None:
    x, labels = _data()
    with precision("float64"):
        model = _classifier()
        twin, y = parity.numpy_twin(model), np.eye(3)[labels]
        given: dict[str, Any] = {"loss": "mse", "sample_weight": WEIGHTS}
        assert parity.compare(model, twin, x, y, **given).passed
        given |= {"numpy_loss": DividedByTheWeights()}
        assert len(parity.compare(model, twin, x, y, **given).failures()) == 4


def test_keras_takes_the_weights_of_samples_for_those_of_steps() -> None:
    """What ``docs/keras-semantics.md`` says: (N,) is broadcast over the last axis of (N, T)."""
    y, w = np.arange(9.0).reshape(3, 3, 1), np.array([1.0, 0.0, 0.0])
    theirs = float(keras.losses.MeanSquaredError()(y, np.zeros_like(y), w))
    ours = losses.MeanSquaredError().value(np.zeros_like(y), y, np.tile(w[:, None], 3))
    assert theirs == np.sum(y[:, 0] ** 2) / 9
    assert ours == np.sum(y[0] ** 2) / 9


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sample_weight": np.ones(5)}, r"of shape \(6,\)\. Received: shape \(5,\)"),
        ({"sample_weight": np.full(6, np.nan)}, "finite sample weights"),
        ({"sample_weight": WEIGHTS, "class_weight": {0: 1.0}}, "or class_weight. Received: both"),
        ({"class_weight": {3: 1.0}}, r"numbers 0\.\.2\. Received: 3"),
        ({"class_weight": {0: np.inf}}, "finite sample weights"),
    ],
)
def test_weights_that_do_not_fit(given, said: str) -> None:
    x, labels = _data()
    net = Sequential([Dense(3, "softmax")], 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match=said):
        training.fit(
            net, losses.SparseCategoricalCrossentropy(), optimizers.SGD(0.1), x, labels,
            epochs=1, schedule=training.in_order(6, 6), **given,
        )  # fmt: skip


def test_classes_of_one_output() -> None:
    y = np.array([[0.0], [1.0], [1.0]])
    np.testing.assert_array_equal(training.weights_of_classes(y, {1: 5.0}, 1), [1.0, 5.0, 5.0])
    with pytest.raises(ValueError, match="Expected one class for each sample"):
        training.weights_of_classes(np.zeros((2, 3, 4)), {1: 5.0}, 4)
