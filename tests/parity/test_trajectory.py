"""Whole trainings: the D4 recipe on real MNIST, and what a training comparison reports."""

import os

import numpy as np
import pytest

import parity
from digit_data import datasets
from keras_impl import keras, models, precision
from numpy_impl import Sequential, optimizers, training
from numpy_impl.types import Precision
from parity.comparing.rows import Verdict
from tests import census

K = keras.optimizers
needs_mnist = pytest.mark.skipif(
    "MNIST_PATH" not in os.environ, reason="needs real MNIST: set MNIST_PATH"
)


@needs_mnist
def test_mnist_trajectory_of_300_rmsprop_steps():
    """784-500-300-10, RMSprop, batch 100, float64: half an epoch, every step within its bound.

    In a sample its first hundred steps.
    """
    mnist = datasets.load_mnist(os.environ["MNIST_PATH"])
    with precision("float64"):
        model = models.build("784-500-300-10", np.random.default_rng(0))
        network = parity.numpy_twin(model)
        result = parity.compare_training(
            model,
            network,
            mnist.x_train.reshape(-1, 784) / 255,
            datasets.one_hot(mnist.y_train, 10, "float64"),
            loss="categorical_crossentropy",
            optimizer=keras.optimizers.RMSprop(),
            batches=training.shuffled(60_000, 100, np.random.default_rng(1))(0)[
                : census.count(300, 50)
            ],
            check_every=10,
        )
        result.raise_for_failure()
        for theirs, ours in zip(model.get_weights(), network.weights, strict=True):
            assert np.max(np.abs(theirs - ours)) <= 1e-12 * np.max(np.abs(theirs))
        x_test = mnist.x_test.reshape(-1, 784) / 255
        predicted = np.argmax(np.asarray(model.predict_on_batch(x_test)), axis=1)
    assert np.array_equal(predicted, np.argmax(network.predict(x_test), axis=1))
    # It has learned: both being wrong together would be no proof of anything.
    assert np.mean(predicted == mnist.y_test) > 0.9


def _toy(dtype: Precision = "float64"):
    with precision(dtype):
        model = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(5, activation="tanh"),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(4, activation="softmax"),
            ]
        )
    rng = np.random.default_rng(5)
    x = rng.standard_normal((40, 6)).astype(dtype)
    return model, parity.numpy_twin(model), x, np.eye(4, dtype=dtype)[rng.integers(0, 4, 40)]


def _train(model, network, x, y, optimizer=None, times=4, **options):
    with precision("float64" if x.dtype == np.float64 else "float32"):
        return parity.compare_training(
            model, network, x, y,
            loss="categorical_crossentropy", optimizer=optimizer or K.Adam(0.01),
            batches=training.in_order(len(x), 16)(0) * times, **options,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_training_with_dropout_and_a_short_last_batch_is_identical(dtype):
    model, network, x, y = _toy(dtype)
    start = network.get_weights()
    seen: list[int] = []
    result = _train(model, network, x, y, on_step=seen.append)
    result.raise_for_failure()
    assert seen == list(range(1, 13))
    # Both networks are left trained, and close.
    assert not any(np.array_equal(a, b) for a, b in zip(start, network.weights, strict=True))
    for theirs, ours in zip(model.get_weights(), network.weights, strict=True):
        assert np.max(np.abs(theirs - ours)) < 1e4 * np.finfo(dtype).eps


# Beside every optimizer with Keras's defaults, the options that change a rule.
OPTIONS = {
    "amsgrad": lambda: K.Adam(0.01, amsgrad=True),
    "adamw-amsgrad": lambda: K.AdamW(0.01, amsgrad=True),
    "rmsprop-centered": lambda: K.RMSprop(0.01, momentum=0.9, centered=True),
    "ftrl-regularized": lambda: K.Ftrl(
        0.1, learning_rate_power=-0.7, l1_regularization_strength=0.01,
        l2_regularization_strength=0.02, l2_shrinkage_regularization_strength=0.03, beta=0.1,
    ),
    "adafactor-clipped": lambda: K.Adafactor(0.5, clip_threshold=0.3, weight_decay=0.01),
    "average": lambda: K.Nadam(0.01, use_ema=True, ema_momentum=0.9),
    "average-overwrites": lambda: K.SGD(
        0.05, momentum=0.9, use_ema=True, ema_overwrite_frequency=7
    ),
    "schedule": lambda: K.Adagrad(
        K.schedules.CosineDecay(0.1, 30), clipnorm=0.1, weight_decay=0.01
    ),
}  # fmt: skip
ALL = {
    **{name: getattr(K, kind.__name__) for name, kind in optimizers.OPTIMIZERS.items()}, **OPTIONS,
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_fifty_steps_of_every_optimizer_are_identical(name, dtype):
    model, network, x, y = _toy(dtype)
    result = _train(model, network, x, y, ALL[name](), 17)
    result.raise_for_failure()
    assert result.remarks[0].startswith("51 of 51 training steps checked")


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_the_numpy_side_lacks_is_seen(name):
    """Each option is one that a comparison sees: without it the steps differ."""
    model, network, x, y = _toy()
    lacking = {
        "amsgrad": False, "centered": False, "l1_regularization_strength": 0.0,
        "clip_threshold": 1.0, "ema_overwrite_frequency": None, "clipnorm": None,
    }  # fmt: skip
    with precision("float64"):
        twin = parity.numpy_optimizer(ALL[name]())
        if name == "average":
            twin.ema_momentum = 0.99
        for option in lacking.keys() & vars(twin).keys():
            setattr(twin, option, lacking[option])
        if name == "amsgrad" or name == "adamw-amsgrad":
            # The slot stays, and is not used.
            twin.slot_names = ("momentum", "velocity", "velocity_hat")
        if name == "rmsprop-centered":
            twin.slot_names = ("velocity", "momentum", "average_gradient")
        result = parity.compare(
            model, network, x, y, loss="categorical_crossentropy", optimizer=ALL[name](),
            numpy_optimizer=twin, steps=10, batch_size=16,
        )  # fmt: skip
    assert not result.passed


def test_unchecked_steps_are_said_to_be():
    model, network, x, y = _toy()
    result = _train(model, network, x, y, check_every=5)
    assert result.remarks[0].startswith("3 of 12 training steps checked")


class LosesASample(Sequential):
    """Leaves out the last sample of a short batch, as document D3 does."""

    def backward(self, outputs, y, loss, sample_weight=None):
        if len(y) < 16:
            y = np.vstack([y[:-1], outputs[-1:]])  # which then has no gradient
        super().backward(outputs, y, loss, sample_weight)


def test_only_the_wrong_step_is_blamed():
    model, network, x, y = _toy()
    network.__class__ = LosesASample
    result = _train(model, network, x, y)
    steps = {row.step for row in result.section("steps") if row.verdict is Verdict.DIFFERENT}
    # Batches of 16, 16, 8, over and over: the steps 2, 5, 8 and 11 are the short ones.
    assert steps
    assert steps <= {2, 5, 8, 11}


def test_a_training_that_diverges_to_nan_fails():
    _, _, x, y = _toy()
    with precision("float64"), np.errstate(all="ignore"):
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
        result = parity.compare_training(
            model, parity.numpy_twin(model), x, y,
            loss="mean_squared_error", optimizer=keras.optimizers.SGD(1e200),
            batches=training.in_order(len(x), 16)(0) * 2,
        )  # fmt: skip
    assert not result.passed
    assert np.isnan(result.section("training")[0].keras)
