"""A model of letters, trained on Python's own licence: its losses follow Keras's."""

import os
from pathlib import Path

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from keras_impl.autodiff import Autodiff
from numpy_impl import losses, optimizers
from tests import census

L = keras.layers
LENGTH, BATCH = 12, 8
# Where Python's ``license()`` looks for the text.
_HOME = Path(os.__file__).parent
_PLACES = [f / n for f in (_HOME, _HOME.parent, Path.cwd()) for n in ("LICENSE.txt", "LICENSE")]


def _text() -> str:
    found = [place for place in _PLACES if place.is_file()]
    if not found:
        pytest.skip("this Python came without its licence text")
    return found[0].read_text(encoding="utf-8", errors="replace")[:4000]


@pytest.mark.parametrize("kind", [L.LSTM, L.GRU])
def test_losses_follow_keras(kind: type[keras.Layer]) -> None:
    text = _text()
    letters = sorted(set(text))
    numbers = np.array([letters.index(letter) for letter in text])
    windows = np.lib.stride_tricks.sliding_window_view(numbers, LENGTH + 1)
    steps = census.count(100, 10)
    with precision("float64"):
        model = keras.Sequential(
            [
                keras.Input((LENGTH,)),
                L.Embedding(len(letters), 6),
                kind(10, return_sequences=True),
                L.Dense(len(letters), activation="softmax"),
            ]
        )
        network = parity.numpy_twin(model)
        theirs = Autodiff(
            model, keras.losses.SparseCategoricalCrossentropy(), keras.optimizers.SGD(0.5)
        )
        loss = losses.get("sparse_categorical_crossentropy", fused=True)
        own = optimizers.get("sgd", learning_rate=0.5)
        own.build_for(network)
        order = np.random.default_rng(0).permutation(len(windows))
        found: list[tuple[float, float]] = []
        for step in range(steps):
            rows = windows[np.take(order, range(step * BATCH, (step + 1) * BATCH), mode="wrap")]
            x, y = rows[:, :-1].astype(float), rows[:, 1:]
            cost, _ = network.loss_and_gradients(x, y, loss)
            own.apply(network.gradients, network.parameters)
            found.append((theirs.step(x, y), cost))
    keras_losses, own_losses = np.transpose(found)
    np.testing.assert_allclose(own_losses, keras_losses, rtol=1e-9)
    assert own_losses[-1] < own_losses[0]
