"""Both engines agree up to rounding: documented networks, optimizers, decay and clipping."""

import itertools

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from numpy_impl import optimizers
from tests import census
from tests.parity.networks import data, pair

LOSS = {
    "64-40-10": "quadratic",
    "784-30-10": "quadratic",
    "64-200-10": "categorical_crossentropy",
    "784-64-10": "categorical_crossentropy",
    "784-500-300-10": "categorical_crossentropy",
}
OPTIMIZERS = {
    **{
        name: getattr(keras.optimizers, kind.__name__)
        for name, kind in optimizers.OPTIMIZERS.items()
    },
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop-centered": lambda: keras.optimizers.RMSprop(centered=True, momentum=0.9),
}
EXTRAS = {
    "weight-decay": lambda: keras.optimizers.SGD(0.1, weight_decay=0.01),
    "clipnorm": lambda: keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=0.1),
    "clipvalue": lambda: keras.optimizers.RMSprop(clipvalue=0.001, weight_decay=0.1),
    "global-clipnorm": lambda: keras.optimizers.Adam(global_clipnorm=0.01, weight_decay=0.004),
}


@pytest.mark.census(keep=2, by=lambda name, dtype, batch: name)
@pytest.mark.parametrize(
    ("name", "dtype", "batch"),
    list(itertools.product(LOSS, ["float32", "float64"], [1, 15, 100, 128])),
)
def test_documented_networks_are_identical(name, dtype, batch):
    """Every optimizer, ten steps; each of the ten, so also the first, is checked on its own.

    In a sample three of the optimizers.
    """
    # Behind dead units Adafactor's factors are so small that their product is 0 in float32, and
    # 0 / 0 is no number: in Keras too.
    known = [o for o in OPTIMIZERS if (o, dtype) != ("adafactor", "float32")]
    optimizers = census.sample(known, 3, f"{name} {dtype} {batch}")
    with precision(dtype):
        model, network = pair(name)
        x, y = data(name, batch, dtype)
        for optimizer in optimizers:
            result = parity.compare(
                model, network, x, y, loss=LOSS[name], optimizer=OPTIMIZERS[optimizer](), steps=10
            )
            result.raise_for_failure()
            assert result.remarks[0].startswith("10 of 10 training steps checked")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("extra", EXTRAS)
def test_decay_and_clipping_are_identical(extra, dtype):
    with precision(dtype):
        model, network = pair("64-40-10")
        x, y = data("64-40-10", 15, dtype)
        # Small weights, so that the gradients are large enough for the clips to act.
        network.set_weights([0.1 * w for w in network.weights])
        parity.copy_weights(network, model)
        options = {"loss": "quadratic", "optimizer": EXTRAS[extra](), "steps": 5}
        parity.compare(model, network, x, y, **options).raise_for_failure()
        # Without the option on the NumPy side the difference has to be seen.
        twin = parity.numpy_optimizer(EXTRAS[extra]())
        twin.weight_decay = twin.clipnorm = twin.clipvalue = twin.global_clipnorm = None
        assert not parity.compare(model, network, x, y, numpy_optimizer=twin, **options).passed


def test_both_sides_are_left_as_they_were():
    model, network = pair("64-40-10")
    x, y = data("64-40-10", 15, "float32")
    before = model.get_weights()
    optimizer = keras.optimizers.Adam()
    parity.compare(model, network, x, y, loss="quadratic", optimizer=optimizer, steps=3)
    for old, theirs, ours in zip(before, model.get_weights(), network.weights, strict=True):
        assert np.array_equal(old, theirs)
        assert np.array_equal(old, ours)
    assert not optimizer.built
