"""Penalties on weights: cost, gradients, steps and reports are Keras's."""

from pathlib import Path

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from keras_impl import training as keras_training
from keras_impl.precision import Precision
from numpy_impl import Sequential, losses, optimizers, training
from numpy_impl.files.keras_files import load_keras
from numpy_impl.layers import Dense
from numpy_impl.regularizers import L1, L1L2, L2

K = keras.layers


def _dense():
    r = keras.regularizers
    return (5,), [
        K.Dense(4, "tanh", kernel_regularizer=r.L1(0.03), bias_regularizer="l2"),
        K.Dense(3, kernel_regularizer=r.L1L2(0.02, 0.3)),
    ]


def _recurrent():
    return (4, 3), [
        K.Bidirectional(K.LSTM(2, recurrent_regularizer="l2", return_sequences=True)),
        K.TimeDistributed(K.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1))),
        K.GRU(3, kernel_regularizer="l1", bias_regularizer="l2"),
    ]


def _convolved():
    return (6, 6, 2), [
        K.DepthwiseConv2D(3, use_bias=False, depthwise_regularizer=keras.regularizers.L2(0.1)),
        # Without a bias, whose gradient is 0 below the normalization.
        K.SeparableConv2D(
            2, 2, use_bias=False, depthwise_regularizer="l1", pointwise_regularizer="l2"
        ),
        K.BatchNormalization(gamma_regularizer="l2"),
        K.Flatten(),
        K.Dense(3),
    ]


def _attending():
    x = keras.Input((4, 3))
    attention = K.MultiHeadAttention(2, 4, kernel_regularizer="l2", bias_regularizer="l1")
    return keras.Model(x, K.Dense(3)(K.Flatten()(attention(x, x))))


def _made(make) -> keras.Model:
    made = make()
    if not isinstance(made, keras.Model):
        made = keras.Sequential([keras.Input(made[0]), *made[1]])
    rng = np.random.default_rng(2)
    made.set_weights([w + 0.1 * rng.random(w.shape) for w in made.get_weights()])
    return made


def _data(model, samples: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((samples, *model.input_shape[1:])), rng.random((samples, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [_dense, _recurrent, _convolved, _attending])
def test_cost_gradients_and_steps(make, dtype: Precision, tmp_path: Path) -> None:
    with precision(dtype):
        model = _made(make)
        if make is _attending and dtype == "float64":
            pytest.skip("Keras takes the scores in float32: docs/keras-semantics.md")
        x, y = _data(model)
        network = parity.numpy_twin(model)
        result = parity.compare(
            model, network, x, y, loss="mean_squared_error",
            optimizer=keras.optimizers.SGD(0.1), steps=2,
        )  # fmt: skip
        result.raise_for_failure()
        model.save(tmp_path / "m.keras")
        back = parity.numpy_twin(parity.keras_twin(network))
    read = load_keras(tmp_path / "m.keras")
    assert network.penalty() > 0
    for other in (back, read):
        other.set_weights(network.get_weights())
        assert other.penalty() == pytest.approx(network.penalty(), rel=1e-6)


def test_a_half_in_the_square_would_be_seen() -> None:
    with precision("float64"):
        model = _made(_dense)
        x, y = _data(model)
        network = parity.numpy_twin(model)
        assert parity.compare(model, network, x, y, loss="mean_squared_error").passed
        first = network.layers[0]
        first.regularizers = {**first.regularizers, "bias": L2(0.005)}
        assert not parity.compare(model, network, x, y, loss="mean_squared_error").passed


def test_training_reports_the_penalty_as_keras_does() -> None:
    with precision("float64"):
        model = _made(_dense)
        x, y = _data(model, 7)
        network = parity.numpy_twin(model)
        schedule = training.in_order(7, 3)
        keras_training.compile_model(
            model, keras.losses.MeanSquaredError(), keras.optimizers.SGD(0.1), ("squared_error",)
        )
        theirs = keras_training.fit(
            model, x, y, epochs=2, schedule=schedule, validation_data=(x, y)
        )
    ours = training.fit(
        network, losses.get("mean_squared_error"), optimizers.get("sgd", learning_rate=0.1), x, y,
        epochs=2, schedule=schedule, metrics=("squared_error",), validation_data=(x, y),
    ).epochs  # fmt: skip
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)


def test_by_hand() -> None:
    layer = Dense(1, use_bias=False)
    layer.regularizers = {"kernel": L1L2(0.5, 0.25)}
    network = Sequential([layer], 3, dtype="float64")
    network.set_weights([np.array([[2.0], [-4.0], [0.0]])])
    x, y = np.zeros((2, 3)), np.zeros((2, 1))
    cost, (gradient,) = network.loss_and_gradients(x, y, losses.get("mse"))
    assert cost == 0.5 * 6 + 0.25 * 20
    np.testing.assert_array_equal(gradient[:, 0], [0.5 + 1.0, -0.5 - 2.0, 0.0])
    assert network.clone().penalty() == cost
    assert L1().l1 == L2().l2 == 0.01


@pytest.mark.parametrize("factor", [-1.0, np.nan, np.inf])
def test_a_factor_out_of_range(factor: float) -> None:
    with pytest.raises(ValueError, match=r"Expected l2 >= 0\. Received"):
        L2(factor)


def test_a_reference_with_a_penalty_is_refused() -> None:
    model = _made(_dense)
    candidate = parity.Candidate(
        get_weights=lambda: model.get_weights(),
        forward=lambda x: x,
        gradients=lambda x, y: [],
    )
    with pytest.raises(ValueError, match="expected layers without regularizers"):
        parity.check(candidate, model)
