"""Dropout inside recurrent layers and attention, with the masks that both engines are given."""

from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from keras_impl.autodiff import to_numpy
from keras_impl.dropping import mask_count
from keras_impl.precision import precision
from numpy_impl import layers as numpy_layers
from numpy_impl import losses
from numpy_impl.layers import SimpleRNN
from numpy_impl.network import Sequential
from tests.layers import harness

L = keras.layers


def _between(make):
    return lambda: [L.Dense(3), make(), L.Dense(2)]


def _attention(**called):
    def model() -> keras.Model:
        x = keras.Input((4, 3))
        h = L.Dense(4, "tanh")(x)
        y = L.MultiHeadAttention(2, 4, dropout=0.5)(h, h, **called)
        return keras.Model(x, L.Dense(2)(L.Flatten()(y)))

    return model


def _one_head(make, keys=False, **called):
    def model() -> keras.Model:
        x = keras.Input((4, 3))
        h, g = L.Dense(4, "tanh")(x), L.Dense(4, "tanh")(x)
        y = make(dropout=0.5)([h, g, *[L.Dense(4)(x)] * keys], **called)
        return keras.Model(x, L.Dense(2)(L.Flatten()(y)))

    return model


BOTH = {"dropout": 0.25, "recurrent_dropout": 0.5}
MODELS = {
    "SimpleRNN": _between(lambda: L.SimpleRNN(3, **BOTH)),
    "LSTM": _between(lambda: L.LSTM(3, **BOTH)),
    "LSTM, inputs alone": _between(lambda: L.LSTM(3, dropout=0.5)),
    "LSTM, state alone": _between(lambda: L.LSTM(3, recurrent_dropout=0.5)),
    "GRU": _between(lambda: L.GRU(3, **BOTH)),
    "GRU, inputs alone": _between(lambda: L.GRU(3, dropout=0.5)),
    "GRU, reset before": _between(lambda: L.GRU(3, reset_after=False, **BOTH)),
    "GRU, state alone": _between(lambda: L.GRU(3, reset_after=False, recurrent_dropout=0.5)),
    "Bidirectional": _between(lambda: L.Bidirectional(L.LSTM(2, **BOTH))),
    "two": lambda: [
        L.Dropout(0.25), L.GRU(3, return_sequences=True, dropout=0.5), L.Dropout(0.5),
        L.SimpleRNN(2, recurrent_dropout=0.25),
    ],
    "attention": _attention(),
    "attention, causal": _attention(use_causal_mask=True),
    "one head": _one_head(L.Attention),
    "one head, causal": _one_head(L.Attention, use_causal_mask=True),
    "one head, additive": _one_head(L.AdditiveAttention, keys=True),
}  # fmt: skip
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
@pytest.mark.census(6, by=lambda name, dtype: dtype)
def test_agrees_with_keras(name, dtype):
    harness.agrees_with_keras(MODELS[name], (4, 3), dtype)


@each
@pytest.mark.census(3)
def test_survives_files(name, tmp_path):
    harness.survives_files(MODELS[name], (4, 3), tmp_path)


@each
@pytest.mark.census(5)
def test_backward_is_the_derivative_of_forward(name):
    with precision("float64"):
        _, network, x, y = harness.pair(MODELS[name], (4, 3))
    rng, h, loss = np.random.default_rng(1), 1e-5, losses.get("mean_squared_error")
    masks = network.draw_masks(len(x), rng)
    start = network.parameters.copy()
    network.loss_and_gradients(x, y, loss, masks)
    gradients = network.gradients.copy()
    for name, part in zip(network.trained_names, network.slices, strict=True):
        direction = np.zeros_like(start)
        direction[part] = rng.normal(size=direction[part].shape)
        sides: list[float] = []
        for sign in (1, -1):
            network.parameters[...] = start + sign * h * direction
            sides.append(network.loss_and_gradients(x, y, loss, masks)[0])
        measured = (sides[0] - sides[1]) / (2 * h)
        assert measured == pytest.approx(gradients @ direction, rel=1e-5, abs=1e-8), name


@each
@pytest.mark.census(3)
def test_other_masks_are_seen(name):
    """A network that draws its own masks, where it was handed some, has other gradients."""
    with precision("float64"):
        model, network, x, y = harness.pair(MODELS[name], (4, 3))
        right = network.loss_and_gradients

        def with_others(x, y, loss, masks, *rest):
            return right(x, y, loss, [~mask for mask in masks], *rest)

        assert parity.compare(model, network, x, y, loss="mse").passed
        network.loss_and_gradients = with_others  # type: ignore[method-assign]
        result = parity.compare(model, network, x, y, loss="mse")
    assert {row.section for row in result.failures()} >= {"loss", "gradients"}


RECURRENT = [
    (kind, options)
    for kind in ("SimpleRNN", "LSTM", "GRU")
    for options in (BOTH, {"dropout": 0.5}, {"recurrent_dropout": 0.5})
]


@pytest.mark.parametrize(("kind", "options"), RECURRENT)
def test_what_keras_drew_by_itself_gives_the_same(kind, options, monkeypatch):
    """The masks are Keras's own, of a run in training that nothing was handed to."""
    drawn: list[Any] = []
    cell: Any = getattr(L, f"{kind}Cell")
    right = cell._create_dropout_mask

    def recorded(self, step_input, rate):
        mask = right(self, step_input, rate)
        drawn.append(np.stack([to_numpy(m) for m in (mask if isinstance(mask, list) else [mask])]))
        return mask

    monkeypatch.setattr(cell, "_create_dropout_mask", recorded)
    with precision("float64"):
        model, network, x, _ = harness.pair(
            lambda: [getattr(L, kind)(3, seed=1, **options)], (4, 2), samples=40
        )
        drawn.clear()
        theirs = to_numpy(model(x, training=True))
    masks = [np.moveaxis(factors, 0, 1) > 0 for factors in drawn]
    assert [m.shape for m in masks] == [m.shape for m in network.draw_masks(40)]
    assert all(0 < m.mean() < 1 for m in masks)
    ours = network.forward(x, training=True, masks=masks)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["one head", "one head, additive"])
def test_what_one_head_drew_by_itself_gives_the_same(name, monkeypatch):
    kept: list[Any] = []
    right = L.Attention._apply_scores

    def recorded(self, scores, value, scores_mask=None, training=False):
        y, weights = right(self, scores, value, scores_mask, training)
        kept.append(to_numpy(weights) != 0)
        return y, weights

    with precision("float64"):
        model, network, x, _ = harness.pair(MODELS[name], samples=20)
        monkeypatch.setattr(L.Attention, "_apply_scores", recorded)
        theirs = to_numpy(model(x, training=True))
    assert [m.shape for m in kept] == [m.shape for m in network.draw_masks(20)]
    assert 0 < kept[0].mean() < 1
    ours = network.forward(x, training=True, masks=kept)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_what_attention_drew_by_itself_gives_the_same(monkeypatch):
    kept: list[Any] = []
    right = L.Dropout.call

    def recorded(self, inputs, training=False):
        y = right(self, inputs, training)
        kept.append(to_numpy(y) != 0)
        return y

    monkeypatch.setattr(L.Dropout, "call", recorded)
    with precision("float64"):
        model, network, x, _ = harness.pair(_attention(), samples=10)
        kept.clear()
        theirs = to_numpy(model(x, training=True))
    (mask,) = kept
    assert 0.3 < mask.mean() < 0.7
    ours = network.forward(x, training=True, masks=[mask])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_two_steps_by_hand():
    """h_1 = 2 * 1 * 3 = 6; of h_1 the first sample keeps twice, and the second nothing."""
    layer = SimpleRNN(1, None, use_bias=False, dropout=0.5, recurrent_dropout=0.5)
    network = Sequential([layer], (2, 1), dtype="float64")
    network.set_weights([np.array([[3.0]]), np.array([[0.25]])])
    x = np.array([[[1.0], [1.0]], [[1.0], [1.0]], [[1.0], [1.0]]])
    of_inputs, of_state = np.array([True, True, False]), np.array([True, False, True])
    masks = [mask.reshape(3, 1, 1) for mask in (of_inputs, of_state)]
    y = network.forward(x, training=True, masks=masks)
    np.testing.assert_array_equal(y[:, 0], [6 + 0.25 * 2 * 6, 6, 0])
    np.testing.assert_array_equal(network.forward(x)[:, 0], [3.75] * 3)
    network.forward(x, training=True, masks=masks)
    # dh_1 = 1/2 of the first sample; each of its two inputs is 2.
    dx = layer.backward(np.ones((3, 1)))
    np.testing.assert_array_equal(dx[..., 0], [[3, 6], [0, 6], [0, 0]])
    kernel, recurrent = network.weight_gradients
    np.testing.assert_array_equal(kernel, [[2 + 1 + 2]])
    np.testing.assert_array_equal(recurrent, [[2 * 6]])


def test_masks_are_drawn_with_the_rates_and_change():
    layer = numpy_layers.LSTM(8, dropout=0.2, recurrent_dropout=0.6)
    network = Sequential([layer], (3, 5), np.random.default_rng(0))
    of_inputs, of_state = network.draw_masks(500)
    assert of_inputs.shape == (500, 4, 5)
    assert of_state.shape == (500, 4, 8)
    # Four standard deviations of so many draws.
    for mask, rate in ((of_inputs, 0.2), (of_state, 0.6)):
        room = 4 * np.sqrt(rate * (1 - rate) / mask.size)
        assert mask.mean() == pytest.approx(1 - rate, abs=room)
    x = np.ones((4, 3, 5), np.float32)
    first, second = (network.forward(x, training=True).copy() for _ in range(2))
    assert np.any(first != second)
    np.testing.assert_array_equal(network.forward(x), network.forward(x))


def test_another_number_of_masks_is_refused():
    with precision("float64"):
        model, network, x, _ = harness.pair(MODELS["Bidirectional"], (4, 3))
    assert [mask_count(layer) for layer in model.layers] == [0, 4, 0]
    with pytest.raises(ValueError, match=r"Expected 4 dropout masks\. Received: 1"):
        network.forward(x, training=True, masks=network.draw_masks(6)[:1])


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: numpy_layers.LSTM(2, dropout=1.0), r"dropout=1\.0, recurrent_dropout=0"),
        (lambda: numpy_layers.GRU(2, recurrent_dropout=-0.1), r"recurrent_dropout=-0\.1"),
        (lambda: numpy_layers.MultiHeadAttention(1, 2, dropout=1.0), r"1\.0"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(make, received):
    with pytest.raises(ValueError, match=rf"in \[0, 1\)\. Received: .*{received}"):
        make()


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_that_have_masks_each_may_have_the_same(kind):
    def make():
        return [getattr(L, kind)(2, dropout=0.5, implementation=1, use_cudnn=False), L.Dense(2)]

    harness.agrees_with_keras(make, (4, 3), "float64")
