"""Weights copied both ways, and the twin of every layer, loss and optimizer."""

import numpy as np
import pytest

import parity
from keras_impl import keras, models, precision
from numpy_impl import Sequential, activations, losses, optimizers
from numpy_impl import layers as numpy_layers
from numpy_impl import models as numpy_models
from numpy_impl.activations import ActivationFunction
from numpy_impl.files.keras_files import load_keras

NAMES = list(numpy_models.ARCHITECTURES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_round_trip_is_exact_and_keeps_the_dtype(name, dtype):
    with precision(dtype):
        model = models.build(name, np.random.default_rng(1))
        network = numpy_models.build(name, dtype=dtype)
        original = model.get_weights()
        parity.copy_weights(model, network)
        model.set_weights([np.zeros_like(w) for w in original])
        parity.copy_weights(network, model)
    for before, after, own in zip(original, model.get_weights(), network.weights, strict=True):
        assert after.dtype == own.dtype == np.dtype(dtype)
        assert np.array_equal(before, after)


def test_copies_do_not_share_memory():
    network = numpy_models.build("64-40-10", np.random.default_rng(0))
    twin = numpy_models.build("64-40-10")
    parity.copy_weights(network, twin)
    network.parameters[:] = 7
    assert not np.any(twin.parameters == 7)


def test_another_shape_is_refused_and_nothing_changed():
    source = numpy_models.build([64, 41, 10], np.random.default_rng(0))
    target = numpy_models.build("64-40-10", np.random.default_rng(1))
    before = target.get_weights()
    with pytest.raises(ValueError, match=r"Expected weights of shapes \[\(64, 40\).*Received"):
        parity.copy_weights(source, target)
    assert all(np.array_equal(a, b) for a, b in zip(before, target.weights, strict=True))


def test_a_transposed_weight_is_refused():
    network = numpy_models.build("64-40-10", np.random.default_rng(0))

    class Transposed:
        def get_weights(self):
            return [w.T for w in network.weights]

        def set_weights(self, weights):
            raise AssertionError("must not be called")

    with pytest.raises(ValueError, match=r"Received: \[\(40, 64\)"):
        parity.copy_weights(Transposed(), network)


@pytest.mark.parametrize("name", NAMES)
def test_twins_there_and_back_have_the_same_layers(name):
    network = numpy_models.build(name, np.random.default_rng(0))
    back = parity.numpy_twin(parity.keras_twin(network))
    assert [(type(a), a.config()) for a in back.layers] == [
        (type(b), b.config()) for b in network.layers
    ]
    assert np.array_equal(back.parameters, network.parameters)


class Own(numpy_layers.Dense):
    """A layer that Keras does not have."""


def test_a_network_without_a_keras_twin_is_refused_by_name():
    network = Sequential([Own(2)], 3)
    with pytest.raises(ValueError, match=r"^[^\n]* Keras counterpart\. Received: Own$"):
        parity.keras_twin(network)


def my_own(x):
    """An activation that Keras accepts and no table knows."""
    return x


def test_an_activation_that_keras_lacks_has_a_twin_all_the_same(monkeypatch, tmp_path):
    sinusoid = ActivationFunction(
        "sinusoid", np.sin, lambda z, a: np.cos(z), keras=lambda ops, z: ops.sin(z)
    )
    monkeypatch.setitem(activations.ACTIVATIONS, "sinusoid", sinusoid)
    layers = [numpy_layers.Dense(5, "sinusoid"), numpy_layers.Dense(3, "softmax")]
    with precision("float64"):
        network = Sequential(layers, 4, np.random.default_rng(0), "float64")
        model = parity.keras_twin(network)
        rng = np.random.default_rng(1)
        x, y = rng.standard_normal((6, 4)), np.eye(3)[rng.integers(0, 3, 6)]
        parity.compare(
            model, network, x, y, loss="mse", optimizer=keras.optimizers.SGD()
        ).raise_for_failure()
        loss = losses.MeanSquaredError()
        candidate = parity.Candidate(
            get_weights=lambda: network.weights,
            forward=network.predict,
            gradients=lambda x, y: network.loss_and_gradients(x, y, loss)[1],
        )
        report = parity.check(candidate, reference=model)
    assert report.passed, str(report)
    assert "4-5-3 (sinusoid, softmax)" in report.reference
    assert [w.agrees for w in report.witnesses if "autodiff" in w.name] == [True]
    model.save(tmp_path / "model.keras")
    read = load_keras(tmp_path / "model.keras")
    np.testing.assert_array_equal(read.predict(x), network.predict(x))


def _model(*layers) -> keras.Sequential:
    return keras.Sequential([keras.Input((4,)), *layers])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: keras.layers.GaussianNoise(0.1), "Received: GaussianNoise"),
        (lambda: keras.layers.Dense(2, activity_regularizer="l2"), "without activity_regularizer"),
        (
            lambda: keras.layers.Dense(2, kernel_regularizer="orthogonal_regularizer"),
            "without kernel_regularizer",
        ),
        (
            lambda: keras.layers.Dense(2, bias_constraint=keras.constraints.Constraint()),
            "without bias_constraint",
        ),
        (lambda: keras.layers.Dense(2, activation=my_own), "activation my_own"),
        (lambda: keras.layers.Rescaling([1.0, 2.0, 3.0, 4.0]), "scale=.*not one number"),
    ],
)
def test_what_has_no_twin_is_refused_by_name(layer, message):
    with pytest.raises(ValueError, match=message):
        parity.numpy_twin(_model(layer()))


def test_a_model_with_operations_is_refused():
    entry = keras.Input((4,))
    model = keras.Model(entry, keras.layers.Dense(3)(entry) + 1)
    with pytest.raises(ValueError, match=r"consists of layers\. Received: .*, which computes 'add"):
        parity.numpy_twin(model)


def test_a_functional_chain_is_accepted():
    entry = keras.Input((4,))
    model = keras.Model(entry, keras.layers.Dense(3, activation="tanh")(entry))
    x = np.ones((2, 4), np.float32)
    assert np.allclose(parity.numpy_twin(model).predict(x), np.asarray(model.predict_on_batch(x)))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda: keras.losses.Huber(), "Received: Huber"),
        (lambda: keras.losses.MeanSquaredError(reduction="sum"), "sum_over_batch_size"),
        (lambda: keras.losses.CategoricalCrossentropy(label_smoothing=0.1), "label smoothing"),
    ],
)
def test_losses_without_twin_are_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        parity.numpy_loss(loss(), _model(keras.layers.Dense(2)))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (lambda: keras.optimizers.Lamb(), "Received: Lamb"),
        (lambda: keras.optimizers.SGD(loss_scale_factor=2.0), "without loss_scale_factor"),
        (
            lambda: keras.optimizers.SGD(gradient_accumulation_steps=2),
            "without gradient_accumulation_steps",
        ),
    ],
)
def test_optimizers_without_twin_are_refused(optimizer, message):
    with pytest.raises(ValueError, match=message):
        parity.numpy_optimizer(optimizer())


def test_settings_of_an_optimizer_reach_its_twin():
    twin = parity.numpy_optimizer(
        keras.optimizers.RMSprop(0.25, rho=0.5, momentum=0.75, epsilon=1e-3, centered=True)
    )
    assert isinstance(twin, optimizers.RMSprop)
    assert (twin.learning_rate, twin.rho, twin.momentum) == (0.25, 0.5, 0.75)
    assert (twin.epsilon, twin.centered) == (1e-3, True)
    assert twin.slot_names == ("velocity", "momentum", "average_gradient")


def test_a_float64_momentum_is_what_tensorflow_makes_of_it():
    with precision("float64"):
        twin = parity.numpy_optimizer(keras.optimizers.SGD(0.1, momentum=0.9))
    assert isinstance(twin, optimizers.SGD)
    assert twin.learning_rate == 0.1  # a float64 variable, exact
    assert twin.momentum == float(np.float32(0.9))  # cast through float32
