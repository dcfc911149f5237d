"""Constraints on weights: what a step leads to is put back as Keras does."""

from pathlib import Path

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from keras_impl.precision import Precision
from numpy_impl import Sequential, losses, optimizers, training
from numpy_impl.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from numpy_impl.files.keras_files import load_keras
from numpy_impl.layers import Dense
from parity.checking.reference import resolve
from tests.numpy_impl.textbook import unit

K, C = keras.layers, keras.constraints


def _dense() -> keras.Model:
    layers = [
        K.Dense(4, "tanh", kernel_constraint=C.MaxNorm(0.7), bias_constraint=C.NonNeg()),
        K.Dense(3, kernel_constraint=C.MinMaxNorm(0.3, 0.5, rate=0.3)),
    ]
    return keras.Sequential([keras.Input((5,)), *layers])


def _others() -> keras.Model:
    layers = [
        K.Conv1D(2, 2, kernel_constraint=C.MaxNorm(0.6, axis=[0, 1])),
        K.Bidirectional(K.SimpleRNN(2, recurrent_constraint="unit_norm", return_sequences=True)),
        K.TimeDistributed(K.Dense(3, kernel_constraint=C.UnitNorm(axis=1))),
        K.LayerNormalization(gamma_constraint=C.NonNeg()),
        K.Flatten(),
        K.Dense(3),
    ]
    return keras.Sequential([keras.Input((4, 3)), *layers])


def _attending() -> keras.Model:
    x = keras.Input((4, 3))
    shared = K.MultiHeadAttention(2, 4, kernel_constraint=C.MaxNorm(0.8), bias_constraint="non_neg")
    return keras.Model(x, K.Dense(3)(K.Flatten()(shared(shared(x, x), x))))


def _data(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    model.set_weights([w + 0.2 * rng.standard_normal(w.shape) for w in model.get_weights()])
    return rng.standard_normal((6, *model.input_shape[1:])), rng.random((6, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [_dense, _others, _attending])
def test_steps(make, dtype: Precision, tmp_path: Path) -> None:
    with precision(dtype):
        if make is _attending and dtype == "float64":
            pytest.skip("Keras takes the scores in float32: docs/keras-semantics.md")
        keras.utils.set_random_seed(0)  # in float32 some weights leave a sum undecided
        model = make()
        x, y = _data(model)
        network = parity.numpy_twin(model)
        parity.compare(
            model, network, x, y, loss="mse",
            optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=2), steps=3,
        ).raise_for_failure()  # fmt: skip
        model.save(tmp_path / "m.keras")
        back = parity.numpy_twin(parity.keras_twin(network))
    found = [layer.constraints for layer in network.layers]
    assert any(found)
    for other in (back, load_keras(tmp_path / "m.keras")):
        assert [layer.constraints for layer in other.layers] == found


@pytest.mark.parametrize(
    "wrong",
    [{}, {"kernel": MaxNorm(0.7 + 1e-9)}, {"kernel": MaxNorm(0.7, axis=1)}, {"kernel": UnitNorm()}],
)
def test_another_constraint_is_seen(wrong) -> None:
    with precision("float64"):
        model = _dense()
        x, y = _data(model)
        network = parity.numpy_twin(model)
        sgd = keras.optimizers.SGD(0.1)
        assert parity.compare(model, network, x, y, loss="mse", optimizer=sgd).passed
        network.layers[0].constraints = {"bias": NonNeg(), **wrong}
        result = parity.compare(model, network, x, y, loss="mse", optimizer=sgd)
    assert [row.tensor for row in result.failures()] == ["0/kernel"]


def test_fit_is_keras_fit() -> None:
    with precision("float64"):
        model = _dense()
        x, y = _data(model)
        network = parity.numpy_twin(model)
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(x, y, batch_size=4, epochs=5, shuffle=False, verbose=0)
    training.fit(
        network, losses.get("mse"), optimizers.SGD(0.5), x, y,
        epochs=5, schedule=training.in_order(6, 4), metrics=(),
    )  # fmt: skip
    for ours, theirs in zip(network.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e4 * unit())
    assert np.linalg.norm(network.weights[0], axis=0).max() <= 0.7


def test_by_hand() -> None:
    w = np.array([[3.0, 0.0], [-4.0, 0.5]])  # columns of norms 5 and 1/2
    kept = pytest.approx(np.array([[0.6, 0.0], [-0.8, 0.5]]), rel=1e-6)
    assert MaxNorm(1)(w) == kept
    assert MinMaxNorm(0.1, 1)(w) == kept
    assert MinMaxNorm(0.1, 1, rate=0.5)(w)[:, 0] == pytest.approx([1.8, -2.4], rel=1e-6)
    assert UnitNorm(axis=1)(w) == pytest.approx(
        np.array([[1, 0], [-4 / np.hypot(4, 0.5), 0.5 / np.hypot(4, 0.5)]]), rel=1e-6
    )
    np.testing.assert_array_equal(NonNeg()(w), [[3, 0], [0, 0.5]])
    np.testing.assert_array_equal(MaxNorm()(np.zeros((2, 2))), 0)


def test_weights_at_the_start_are_left_and_copies_are_constrained() -> None:
    layer = Dense(2)
    layer.constraints = {"kernel": NonNeg()}
    network = Sequential([layer], 1, dtype="float64")
    network.set_weights([np.array([[-1.0, 1.0]]), np.zeros(2)])
    copied = network.clone()
    copied.constrain()
    np.testing.assert_array_equal(network.weights[0], [[-1, 1]])
    np.testing.assert_array_equal(copied.weights[0], [[0, 1]])


def test_a_chain_with_a_constraint_is_no_reference_of_steps() -> None:
    with pytest.raises(ValueError, match="expected layers without constraints"):
        resolve(_dense())
