"""Attention layers, and a block of a transformer: see ``harness`` for what is asked of each."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from keras_impl.precision import precision
from numpy_impl.layers import MultiHeadAttention
from tests.layers import harness

L = keras.layers


def _on_two(make, *, keys=False, **called):
    """Return a model in which a layer attends from one sequence to another, behind Dense layers."""

    def model() -> keras.Model:
        inputs = [keras.Input((3, 4)), keras.Input((5, 3))]
        query, value = L.Dense(4)(inputs[0]), L.Dense(4)(inputs[1])
        key = [L.Dense(4, use_bias=False)(inputs[1])] * keys
        layer = make()
        if isinstance(layer, L.MultiHeadAttention):
            y = layer(query, value, *key, **called)
        else:
            y = layer([query, value, *key], **called)
        return keras.Model(inputs, L.Dense(2)(L.Flatten()(y)))

    return model


def _on_itself(make, **called):
    def model() -> keras.Model:
        x = keras.Input((4, 3))
        h = L.Dense(4, "tanh")(x)
        layer = make()
        y = (
            layer(h, h, **called)
            if isinstance(layer, L.MultiHeadAttention)
            else layer([h, h], **called)
        )
        return keras.Model(x, L.Dense(2)(L.Flatten()(y)))

    return model


MODELS = {
    "attention": _on_two(L.Attention),
    "attention, scaled": _on_two(lambda: L.Attention(use_scale=True), keys=True),
    "attention, causal": _on_itself(L.Attention, use_causal_mask=True),
    "attention, additive": _on_two(lambda: L.AdditiveAttention(use_scale=False)),
    "attention, additive with a scale": _on_two(L.AdditiveAttention, keys=True),
    "attention, additive and causal": _on_itself(L.AdditiveAttention, use_causal_mask=True),
    "heads": _on_two(lambda: L.MultiHeadAttention(2, 3)),
    "heads, keys": _on_two(
        lambda: L.MultiHeadAttention(2, 3, value_dim=2, output_shape=3), keys=True
    ),
    "heads, no biases": _on_itself(lambda: L.MultiHeadAttention(1, 4, use_bias=False)),
    "heads, causal": _on_itself(lambda: L.MultiHeadAttention(2, 3), use_causal_mask=True),
}


def _masked(causal: bool = False, keys: bool = False) -> keras.Model:
    """The mask is an input of the model, of whole numbers, and lets some queries see nothing."""
    x, y, mask = keras.Input((4, 3)), keras.Input((4, 2)), keras.Input((4, 4))
    query, value = L.Dense(4)(x), L.Dense(4)(y)
    given = {"attention_mask": mask, "use_causal_mask": causal}
    given |= {"key": L.Dense(4, use_bias=False)(y)} if keys else {}
    h = L.MultiHeadAttention(2, 4)(query, value, **given)
    return keras.Model([x, y, mask], L.Dense(2)(L.Flatten()(h)))


MASKED = {
    "masked": _masked,
    "masked, causal": partial(_masked, causal=True),
    "masked, keys": partial(_masked, keys=True),
}
MODELS |= MASKED
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    if name in MASKED and dtype == "float32":  # where a key's gradient is small beside its bound
        with precision(dtype):
            model, network, x, y = harness.pair(MODELS[name], whole=2)
            parity.compare(model, network, x, y, loss="mse").raise_for_failure()
        return
    # Large steps of these would end where scores are beyond the -1e9 of what is not seen.
    rate: dict[str, Any] = (
        {"optimizer": lambda: keras.optimizers.SGD(0.001)} if name in MASKED else {}
    )
    harness.agrees_with_keras(MODELS[name], dtype=dtype, whole=2 * (name in MASKED), **rate)


@each
def test_backward_is_the_derivative_of_forward(name):
    harness.backward_is_the_derivative_of_forward(MODELS[name], whole=2 * (name in MASKED))


# A scale of 1/2 is the same in both precisions: others Keras on TensorFlow rounds to float32.
FILES = (
    {name: model for name, model in MODELS.items() if name.startswith("attention")}
    | {
        "heads": _on_two(
            lambda: L.MultiHeadAttention(2, 4, value_dim=3, output_shape=6), keys=True
        ),
        "heads, causal": _on_itself(
            lambda: L.MultiHeadAttention(2, 4, use_bias=False), use_causal_mask=True
        ),
    }
    | MASKED
)


@pytest.mark.parametrize("name", FILES)
def test_survives_files(name, tmp_path):
    harness.survives_files(FILES[name], (), tmp_path, whole=2 * (name in MASKED))


def test_a_wrong_gradient_is_seen():
    harness.sees_a_wrong_gradient(MODELS["heads, causal"])


def transformer() -> keras.Model:
    x = keras.Input((5, 3))
    h = L.Dense(8)(x)
    attended = L.MultiHeadAttention(2, 4)(h, h, use_causal_mask=True)
    h = L.LayerNormalization()(L.Add()([h, attended]))
    h = L.LayerNormalization()(L.Add()([h, L.Dense(8)(L.Dense(16, "relu")(h))]))
    return keras.Model(x, L.Dense(2)(L.Flatten()(h)))


def small_block() -> keras.Model:
    x = keras.Input((4, 3))
    h = L.Dense(4)(x)
    h = L.LayerNormalization()(L.Add()([h, L.MultiHeadAttention(2, 2, use_bias=False)(h, h)]))
    return keras.Model(x, L.Dense(2)(L.Flatten()(h)))


# In float32 the bounds of a whole block say nothing about its first layers: each layer multiplies
# them by some ten, forward and backward. And nobody can tell where Adam takes a bias whose gradient
# is rounding alone.
@pytest.mark.parametrize(
    ("block", "dtype"),
    [(transformer, "float64"), (small_block, "float64"), (small_block, "float32")],
)
def test_a_transformer_takes_20_steps_of_adam_as_keras_does(block, dtype):
    rng = np.random.default_rng(0)
    with precision(dtype):
        keras.utils.set_random_seed(0)  # the weights that Keras starts with
        model = block()
        x, y = (
            rng.normal(size=(6, *t.shape[1:])).astype(dtype)
            for t in (*model.inputs, *model.outputs)
        )
        result = parity.compare(
            model, parity.numpy_twin(model), x, y, loss="mean_squared_error",
            optimizer=keras.optimizers.Adam(0.01), steps=20,
        )  # fmt: skip
        assert result.passed, str(result)


def test_what_a_mask_hides_is_not_seen_and_has_no_gradient():
    rng = np.random.default_rng(0)
    layer = MultiHeadAttention(2, 3, use_attention_mask=True)
    layer.build_many([(2, 3), (4, 3), (2, 4)])
    w = {
        name: rng.normal(size=shape)
        for name, shape in zip(layer.weight_names, layer.weight_shapes(), strict=True)
    }
    query, value = rng.normal(size=(1, 2, 3)), rng.normal(size=(1, 4, 3))
    mask = np.array([[[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]]])
    y, kept = layer.compute([query, value, mask], w, True)
    changed = value.copy()
    changed[:, 2] += 1
    np.testing.assert_array_equal(layer.compute([query, changed, mask], w, True)[0], y)
    _, (_, d_value, d_mask) = layer.differentiate(np.ones_like(y), kept, w)
    assert not np.any(d_value[:, 2])
    assert np.all(np.any(d_value[:, [0, 1, 3]], axis=-1))
    assert d_mask.shape == mask.shape
    assert not np.any(d_mask)


def test_a_mask_that_is_ignored_is_seen(monkeypatch):
    with precision("float64"):
        model, network, x, y = harness.pair(MASKED["masked"], whole=2)
        assert parity.compare(model, network, x, y, loss="mse").passed
        # What the network computes, and not its bounds.
        right: Any = MultiHeadAttention.forward

        def wrong(self, x, *rest, **named):
            return right(self, [*x[:-1], np.ones_like(x[-1])], *rest, **named)

        monkeypatch.setattr(MultiHeadAttention, "forward", wrong)
        failures = parity.compare(model, network, x, y, loss="mse").failures()
    assert failures[0].section == "forward"
    assert failures[0].tensor.startswith("multi_head_attention")


def test_a_layer_called_with_a_mask_and_without_is_refused():
    x, mask = keras.Input((3, 2)), keras.Input((3, 3))
    layer = L.MultiHeadAttention(1, 2)
    y = layer(layer(x, x), x, attention_mask=mask)
    with pytest.raises(ValueError, match="called with attention_mask, and without"):
        parity.numpy_twin(keras.Model([x, mask], y))
    own = MultiHeadAttention(1, 2, use_attention_mask=True)
    with pytest.raises(ValueError, match=r"and a mask \(T, S\)\. Received: shapes \(3, 2\), "):
        own.build_many([(3, 2), (4, 2), (4, 3)])


def test_a_causal_mask_hides_what_is_later():
    rng = np.random.default_rng(0)
    layer = MultiHeadAttention(2, 3, use_causal_mask=True)
    layer.build_many([(4, 3), (4, 3)])
    w = {
        name: rng.normal(size=shape)
        for name, shape in zip(layer.weight_names, layer.weight_shapes(), strict=True)
    }
    x = rng.normal(size=(2, 4, 3))
    changed = x.copy()
    changed[:, 2:] += 1
    ours, others = (layer.compute([v, v], w, False)[0] for v in (x, changed))
    np.testing.assert_array_equal(ours[:, :2], others[:, :2])
    assert not np.allclose(ours[:, 2:], others[:, 2:])
