"""Recurrent layers that return their state, and take one to begin with: see ``harness``."""

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from numpy_impl import Call, Functional, losses
from numpy_impl.files import keras_files
from numpy_impl.functional import as_list
from numpy_impl.input_gradient import input_gradient
from numpy_impl.layers import GRU, LSTM, Dense, SimpleRNN
from numpy_impl.layers import Bidirectional as NumpyBidirectional
from tests.layers import harness

L = keras.layers


def encoder_decoder() -> keras.Model:
    """Of the encoder nothing but its states is used."""
    source, target = keras.Input((3, 2)), keras.Input((2, 4))
    _, h, c = L.LSTM(3, return_state=True)(source)
    return keras.Model([source, target], L.Dense(2)(L.LSTM(3)(target, initial_state=[h, c])))


def one_after_the_other() -> keras.Model:
    """One layer reads a sequence in two parts, from the end, and hands its state on."""
    first, second = keras.Input((3, 2)), keras.Input((3, 2))
    layer = L.GRU(3, return_sequences=True, return_state=True, go_backwards=True)
    _, h = layer(first)
    y, last = layer(second, initial_state=[h])
    return keras.Model([first, second], L.Dense(2)(L.Concatenate()([L.Flatten()(y), last])))


def state_as_output() -> keras.Model:
    x, h = keras.Input((3, 2)), keras.Input((3,))
    y, state = L.SimpleRNN(3, return_state=True)(x, initial_state=L.Dense(3)(h))
    return keras.Model([x, h], [L.Dense(2)(y), state])


def masked() -> keras.Model:
    """The mask goes through two layers; where a state is given, Keras forgets it."""
    x = keras.Input((4,))
    h = L.TimeDistributed(L.Dense(2))(L.Embedding(3, 2, mask_zero=True)(x))
    y, *state = L.LSTM(2, return_sequences=True, return_state=True, zero_output_for_mask=True)(h)
    _, last = L.GRU(2, return_state=True)(y)
    further = L.LSTM(2)(y, initial_state=state)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([last, further])))


def both_ways_and_on() -> keras.Model:
    """What an encoder has read from both ends is where a decoder begins."""
    source, target = keras.Input((3, 2)), keras.Input((2, 1))
    both = L.Bidirectional(L.LSTM(2, return_state=True), "sum")
    y, h, _, last, c = both(source)
    h = L.Concatenate()([h, last])
    read = L.LSTM(4)(target, initial_state=[h, L.Dense(4)(c)])
    return keras.Model([source, target], [L.Dense(2)(read), y])


def states_of_both_alone() -> keras.Model:
    """Nothing uses the output, nor the forward layer's state."""
    x = keras.Input((3, 2))
    both = L.Bidirectional(L.GRU(2, return_sequences=True, return_state=True))
    return keras.Model(x, L.Dense(2)(both(x)[2]))


def masked_both_ways() -> keras.Model:
    x = keras.Input((4, 1))
    both = L.Bidirectional(L.GRU(2, return_sequences=True, return_state=True))
    h, one, other = both(L.Masking(1.0)(x))
    last = L.Concatenate()([L.SimpleRNN(2)(h), one, other])
    return keras.Model(x, L.Dense(2)(last))


# Of these inputs are numbers below 3, which are masked where they are 0 or 1.
WHOLE = {f.__name__: f for f in (masked, masked_both_ways)}
MODELS = WHOLE | {
    f.__name__: f
    for f in (
        encoder_decoder, one_after_the_other, state_as_output, both_ways_and_on,
        states_of_both_alone,
    )
}  # fmt: skip
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    harness.agrees_with_keras(MODELS[name], dtype=dtype, whole=3 * (name in WHOLE))


@each
def test_backward_is_the_derivative_of_forward(name):
    harness.backward_is_the_derivative_of_forward(MODELS[name], whole=3 * (name in WHOLE))


@each
def test_survives_files(name, tmp_path):
    harness.survives_files(MODELS[name], (), tmp_path, 3 * (name in WHOLE))


def test_a_wrong_gradient_is_seen():
    harness.sees_a_wrong_gradient(encoder_decoder)


def test_a_dropped_gradient_of_the_state_is_seen(monkeypatch):
    with precision("float64"):
        model, network, x, y = harness.pair(encoder_decoder)
        assert parity.compare(model, network, x, y, loss="mse").passed
        right = LSTM.differentiate

        def without_cell(self, delta, kept, w):
            if self.return_state:
                delta = [*delta[:2], None]
            return right(self, delta, kept, w)

        monkeypatch.setattr(LSTM, "differentiate", without_cell)
        wrong = parity.compare(model, network, x, y, loss="mse").failures()
    # The decoder is right, and so is the encoder's forward pass.
    assert {(row.section, row.tensor.split("/")[0]) for row in wrong} == {
        ("gradients", network.layer_names[0])
    }


def test_an_ignored_mask_is_seen(monkeypatch):
    with precision("float64"):
        model, network, x, y = harness.pair(masked, whole=3)
        assert np.any(x == 0)
        monkeypatch.setattr(GRU, "uses_mask", False)
        failures = parity.compare(model, network, x, y, loss="mse").failures()
    assert failures[0].section == "forward"
    assert failures[0].tensor.startswith("gru")


def _with_another_mask() -> keras.Model:
    x = keras.Input((4,), dtype="int32")
    h = L.Embedding(3, 2, mask_zero=True)(x)
    return keras.Model(x, L.LSTM(2)(h, mask=keras.ops.not_equal(x, 1)))


def _with_a_mask_beside_a_state() -> keras.Model:
    x, state = keras.Input((4,)), keras.Input((2,))
    h = L.Embedding(3, 2, mask_zero=True)(x)
    return keras.Model([x, state], L.GRU(2)(h, initial_state=[state], mask=h._keras_mask))


@pytest.mark.parametrize("make", [_with_another_mask, _with_a_mask_beside_a_state])
def test_a_mask_that_is_handed_over_is_refused(make, tmp_path):
    model = make()
    with pytest.raises(ValueError, match=r"which computes 'not_equal.*' besides"):
        parity.numpy_twin(model)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"layers that numpy_impl has.* class NotEqual"):
        keras_files.load_keras(tmp_path / "model.keras")


def test_a_sequence_read_in_two_parts_is_one_sequence():
    rng = np.random.default_rng(0)
    layer = LSTM(3, return_state=True)
    whole = Functional({"x": (5, 2)}, [Call("y", layer, ("x",))], ["y", "y:2"], rng, "float64")
    again = LSTM(3, return_state=True)
    calls = [Call("h", again, ("a",)), Call("y", again, ("b", "h:1", "h:2"))]
    parts = Functional({"a": (2, 2), "b": (3, 2)}, calls, ["y", "y:2"], dtype="float64")
    parts.set_weights(whole.get_weights())
    x, y = rng.normal(size=(4, 5, 2)), [rng.normal(size=(4, 3)) for _ in range(2)]
    split = [x[:, :2], x[:, 2:]]
    for one, other in zip(as_list(whole.predict(x)), as_list(parts.predict(split)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-15)
    loss = losses.WeightedSum([losses.Quadratic()] * 2)
    _, gradients = whole.loss_and_gradients(x, y, loss)
    _, of_parts = parts.loss_and_gradients(split, y, loss)
    for one, other in zip(gradients, of_parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)


def test_the_gradient_of_the_input_goes_through_the_state():
    rng = np.random.default_rng(0)
    layer, copied = GRU(2, return_state=True), GRU(2)
    calls = [Call("h", layer, ("x",)), Call("y", copied, ("x", "h:1"))]
    network = Functional({"x": (2, 1)}, calls, ["y"], rng, "float64")
    x, h = rng.normal(size=(1, 2, 1)), 1e-6
    gradient = input_gradient(network, x, np.ones((1, 2)))
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += h
        moved[1][place] -= h
        up, down = (network.forward(m).sum() for m in moved)
        assert gradient[place] == pytest.approx((up - down) / (2 * h), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Functional({"x": (2, 1), "h": 3}, [Call("y", GRU(2), ("x", "h"))], ["y"]),
            r"y: GRU expects, as the state to begin with, shapes \[\(2,\)\]\. Received: \[\(3,\)\]",
        ),
        (
            lambda: Functional({"x": (2, 1), "h": 2}, [Call("y", LSTM(2), ("x", "h"))], ["y"]),
            r"shapes \[\(2,\), \(2,\)\]\. Received: \[\(2,\)\]",
        ),
        (
            lambda: Functional(
                {"x": (2, 1)},
                [Call("y", SimpleRNN(2), ("x",)), Call("z", Dense(1), ("y:1",))],
                ["z"],
            ),
            "z to take inputs or outputs of earlier calls. Received: y:1",
        ),
        (
            lambda: NumpyBidirectional(
                LSTM(2, return_state=True), "sum", LSTM(2, go_backwards=True)
            ),
            "'return_state': True.*'return_state': False",
        ),
    ],
)
def test_states_that_do_not_fit(make, said):
    with pytest.raises(ValueError, match=said):
        make()
