"""Recurrent layers that begin where the call before ended: see ``harness`` for what is asked."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from numpy_impl import Call, Functional, Sequential, losses
from numpy_impl.files import keras_files, npz
from numpy_impl.layers import GRU, LSTM, Bidirectional, Dense, SimpleRNN
from parity.comparing import trajectory
from tests.layers import harness

L = keras.layers
SAMPLES = 6  # of the harness's batches
KINDS = ("SimpleRNN", "LSTM", "GRU")


def model_of(kind: str, both_ways: bool = False, masked: bool = False) -> keras.Model:
    layer = getattr(L, kind)(3, stateful=True, return_sequences=True)
    entry = keras.Input(batch_shape=(SAMPLES, 4, 1))
    return keras.Sequential(
        [
            entry, *([L.Masking(1.0)] if masked else []),
            L.Bidirectional(layer) if both_ways else layer, L.SimpleRNN(2), L.Dense(2),
        ]
    )  # fmt: skip


def with_its_state() -> keras.Model:
    """The state is an output too, and the second stateful layer is given one to begin with."""
    x = keras.Input(batch_shape=(SAMPLES, 3, 2))
    y, *state = L.LSTM(3, stateful=True, return_sequences=True, return_state=True)(x)
    last = L.LSTM(3, stateful=True, go_backwards=True)(y, initial_state=state)
    return keras.Model(x, [L.Dense(2)(last), L.Dense(2)(state[1])])


MODELS = {kind: partial(model_of, kind) for kind in KINDS}
MODELS |= {f"{kind} both ways": partial(model_of, kind, True) for kind in KINDS}
MODELS |= {f"{kind} masked": partial(model_of, kind, False, True) for kind in ("LSTM", "GRU")}
MODELS |= {"with its state": with_its_state}
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    harness.agrees_with_keras(MODELS[name], dtype=dtype, whole=3 * ("masked" in name))


@each
def test_survives_files(name, tmp_path):
    with precision("float64"):
        model, network, x, _ = harness.pair(MODELS[name])
        model.save(tmp_path / "model.keras")
        back = parity.numpy_twin(parity.keras_twin(network, SAMPLES))
    npz.save(network, tmp_path / "model.npz")
    read = [keras_files.load_keras(tmp_path / "model.keras"), npz.load(tmp_path / "model.npz")]
    expected = [network.forward(x) for _ in range(2)]
    assert not np.array_equal(*(harness.as_list(y)[0] for y in expected))
    for other in (*read, back):
        for calls in expected:
            found = other.forward(x)
            for one, same in zip(harness.as_list(found), harness.as_list(calls), strict=True):
                np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_read_as_the_whole(kind):
    """Two calls on halves of a sequence give what one call on all of it gives."""
    make = {"SimpleRNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU}[kind]
    rng = np.random.default_rng(0)
    parts = Sequential([make(3, return_sequences=True, stateful=True)], (2, 2), rng, "float64")
    whole = Sequential([make(3, return_sequences=True)], (4, 2), dtype="float64")
    whole.set_weights(parts.weights)
    x = rng.normal(size=(5, 4, 2))
    expected = whole.forward(x)
    for _ in range(2):
        np.testing.assert_allclose(parts.forward(x[:, :2]), expected[:, :2], rtol=0, atol=1e-15)
        np.testing.assert_allclose(parts.forward(x[:, 2:]), expected[:, 2:], rtol=0, atol=1e-15)
        parts.reset_state()


def test_it_is_keras_own_call_by_call():
    """Predictions, a training by Keras's ``fit``, and ``reset_state`` in between."""
    with precision("float64"):
        model, network, x, y = harness.pair(MODELS["LSTM"])
        model.compile(keras.optimizers.SGD(0.1), "mean_squared_error")
        for step in range(4):
            np.testing.assert_allclose(
                network.forward(x), model.predict_on_batch(x), rtol=0, atol=1e-13
            )
            model.train_on_batch(x, y)
            network.loss_and_gradients(x, y, losses.get("mse"))
            network.parameters -= 0.1 * network.gradients
            if step == 1:
                network.reset_state()
                model.layers[0].reset_state()


def test_the_gradient_ends_where_the_call_begins():
    """By hand: h = w h' + x; of what was left, 5, dC/dw has the state but nothing before it."""
    network = Sequential([SimpleRNN(1, None, False, stateful=True)], (1, 1), dtype="float64")
    network.set_weights([np.ones((1, 1)), np.full((1, 1), 2.0)])
    assert network.forward(np.full((1, 1, 1), 5.0)) == 5
    cost, (_, gradient) = network.loss_and_gradients(
        np.ones((1, 1, 1)), np.zeros((1, 1)), losses.get("mse")
    )
    assert (cost, gradient[0, 0]) == (11**2, 2 * 11 * 5)
    assert network.carried == {"0/h": np.array([[11.0]])}


def test_a_copy_goes_on_alone_and_outputs_are_the_callers():
    rng = np.random.default_rng(0)
    network = Sequential([GRU(2, stateful=True)], (3, 2), rng)
    x = rng.normal(size=(4, 3, 2))
    network.forward(x)[...] = 9
    other = network.clone()
    one, same = network.forward(x), other.forward(x)
    np.testing.assert_array_equal(one, same)
    assert np.max(np.abs(one)) < 1
    network.forward(x)
    np.testing.assert_array_equal(other.carried["0/h"], same)


@pytest.mark.parametrize("name", ["LSTM", "GRU both ways", "with its state"])
def test_a_state_that_is_not_carried_is_seen(name, monkeypatch):
    with precision("float64"):
        model, network, x, y = harness.pair(MODELS[name])
        loss = harness.losses_of(model)[0]
        assert parity.compare(model, network, x, y, loss=loss).passed
        own: Any = next(layer for layer in network.layers if layer.carried_names)
        right = own.left_behind
        monkeypatch.setattr(
            own, "left_behind", lambda kept: {k: 0 * v for k, v in right(kept).items()}
        )
        wrong = parity.compare(model, network, x, y, loss=loss).failures()
    assert wrong
    assert {row.section for row in wrong} == {"forward"}


def test_a_state_that_lasts_too_long_is_seen_in_the_steps(monkeypatch):
    """Where Keras begins anew with each batch, and the NumPy side does not."""
    with precision("float64"):
        model, network, x, y = harness.pair(lambda: [L.GRU(3), L.Dense(2)], (4, 1))
        stateful = Sequential(
            [GRU(3, stateful=True), Dense(2)], (4, 1), dtype="float64", name=network.name
        )
        stateful.set_weights(network.weights)
        with pytest.raises(ValueError, match=r"carry on, 0\. Received: 1"):
            parity.compare(model, stateful, x, y, loss="mse")
        model, network, x, y = harness.pair(MODELS["GRU"])
        monkeypatch.setattr(trajectory._Shadow, "step", _without_carrying)
        given = {"loss": "mse", "optimizer": keras.optimizers.SGD(0.1)}
        assert parity.compare(model, network, x, y, steps=1, **given).passed
        failures = parity.compare(model, network, x, y, steps=2, **given).failures()
    assert {row.section for row in failures} == {"steps"}


def _without_carrying(self, batch, done=0, step=trajectory._Shadow.step):
    own = self.pair.carry_over
    self.pair.carry_over = lambda network: network.reset_state()
    step(self, batch, done)
    self.pair.carry_over = own


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Functional(
                {"x": (2, 1)},
                [Call("a", layer := SimpleRNN(2, stateful=True), ("x",)), Call("b", layer, ("x",))],
                ["a", "b"],
            ),
            "one call of a, which is stateful. Received: 2",
        ),
        (
            lambda: parity.keras_twin(Sequential([LSTM(2, stateful=True)], (3, 2))),
            "Expected batch_size, as a layer is stateful. Received: None",
        ),
        (
            lambda: Bidirectional(LSTM(2, stateful=True), "sum", LSTM(2, go_backwards=True)),
            "'stateful': True.*'stateful': False",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_batches_have_to_be_of_one_size_until_the_state_is_reset():
    network = Sequential([LSTM(2, stateful=True)], (3, 2))
    network.forward(np.zeros((4, 3, 2)))
    with pytest.raises(ValueError, match=r"batches of 4 samples.*reset_state\(\).*: 3 samples"):
        network.forward(np.zeros((3, 3, 2)))
    network.reset_state()
    network.forward(np.zeros((3, 3, 2)))
    model = parity.keras_twin(network, 3)
    with pytest.raises(ValueError, match=r"batches of 3 samples, for which .* Received: 2"):
        parity.compare(model, network, np.zeros((2, 3, 2)), np.zeros((2, 2)), loss="mse")
