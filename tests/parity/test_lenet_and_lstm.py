"""The networks with names that have other layers than Dense: both engines take the same steps."""

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from keras_impl import models as keras_models
from numpy_impl import models
from numpy_impl.layers import Conv2D


def _pictures(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise: on black all windows of a pooling are equal, and a gradient's bound is as large."""
    rng = np.random.default_rng(3)
    return rng.random((samples, 784)), np.eye(10)[rng.integers(0, 10, samples)]


@pytest.mark.parametrize("name", ["lenet", "lstm"])
def test_steps_are_kerass(name: str) -> None:
    x, y = _pictures(4)
    network = models.build(name, np.random.default_rng(1), dtype="float64")
    with precision("float64"):
        model = keras_models.build(name)
        parity.copy_weights(network, model)
        result = parity.compare(
            model, network, x, y, loss="categorical_crossentropy",
            optimizer=keras.optimizers.Adam(0.001), steps=2, batch_size=2,
        )  # fmt: skip
    result.raise_for_failure()
    assert any(row.section == "steps" for row in result.rows)


def test_a_flipped_kernel_would_be_seen() -> None:
    x, y = _pictures(2)
    network = models.build("lenet", np.random.default_rng(1), dtype="float64")
    with precision("float64"):
        model = keras_models.build("lenet")
        parity.copy_weights(network, model)
        first = network.layers[1]
        assert isinstance(first, Conv2D)
        first.arrays["kernel"][...] = first.arrays["kernel"][::-1]
        assert not parity.compare(model, network, x, y, loss="categorical_crossentropy").passed
