"""Masks of steps that reach attention, sums and poolings by themselves, as Keras has it.

What a model computes is taken from Keras's own run of the whole model, and not only layer by layer.
"""

from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from keras_impl.precision import precision
from numpy_impl import Call, Functional, losses
from numpy_impl import layers as numpy_layers
from numpy_impl.files import keras_files
from numpy_impl.functional import as_list
from numpy_impl.types import Precision
from tests.layers import harness

L = keras.layers
# Keras says so of every model inside, and masks reach the layers in it and behind it all the same.
pytestmark = pytest.mark.filterwarnings("ignore:Layer 'inside'.*not support masking:UserWarning")


def _embedded(steps: int) -> tuple[Any, Any]:
    x = keras.Input((steps,))
    return x, L.Embedding(4, 4, mask_zero=True)(x)


def _classifier(blocks: int = 1, dropout: float = 0.0, add=L.Add, **called):
    """A transformer that reads sequences filled up with 0."""

    def model() -> keras.Model:
        x, h = _embedded(5)
        for _ in range(blocks):
            attended = L.MultiHeadAttention(2, 4, dropout=dropout)(h, h, **called)
            h = L.LayerNormalization()(add()([h, attended]))
        return keras.Model(x, L.Dense(2)(L.GlobalAveragePooling1D()(h)))

    return model


def _from_one_to_another(attention: bool = False, keys: bool = False, **called):
    """The queries have one mask and the values, and perhaps the keys, another."""

    def model() -> keras.Model:
        (a, query), (b, value) = _embedded(4), _embedded(5)
        inputs, given = [a, b], dict(called)
        if attention:
            inputs.append(keras.Input((4, 5)))
            given["attention_mask"] = inputs[-1]
        if keys:
            given["key"] = L.Masking(mask_value=-1.0)(L.Dense(4, use_bias=False)(value))
        h = L.MultiHeadAttention(2, 4)(query, value, **given)
        return keras.Model(inputs, L.Dense(2)(L.SimpleRNN(3)(h)))

    return model


def _attention(make, keys: bool = False, **called):
    def model() -> keras.Model:
        (a, query), (b, value) = _embedded(4), _embedded(5)
        more = [L.Dense(4, use_bias=False)(value)] * keys
        h = make()([query, value, *more], **called)
        return keras.Model([a, b], L.Dense(2)(L.GlobalAveragePooling1D()(h)))

    return model


def _behind_sums() -> keras.Model:
    x, h = _embedded(4)
    other, g = _embedded(4)
    h = L.Subtract()([L.Average()([h, g]), L.Dense(4)(g)])
    apart = L.Add()([h, L.Dropout(0.0)(L.TimeDistributed(L.Dense(4))(g))])
    h = L.Concatenate()([L.GRU(2)(apart), L.GlobalAveragePooling1D(keepdims=False)(h)])
    return keras.Model([x, other], L.Dense(2)(h))


def _tensor_that_was_taken_before() -> keras.Model:
    """What an attention took has no mask behind it; a recurrent layer has one all the same."""
    x, h = _embedded(4)
    first = L.MultiHeadAttention(1, 4)(h, h)
    second = L.MultiHeadAttention(1, 4)(h, first)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([L.LSTM(2)(second), L.GRU(2)(h)])))


def _merged(make, last=L.GRU, masked=(True, True), **more):
    """Sequences, masked or not, that are merged, and read to the end by what takes masks."""

    def model() -> keras.Model:
        inputs, parts = [], []
        for own in masked:
            x = keras.Input((4,))
            inputs.append(x)
            parts.append(L.Dense(4, "tanh")(L.Embedding(4, 4, mask_zero=own)(x)))
        return keras.Model(inputs, L.Dense(2)(last(3)(make(**more)(parts))))

    return model


def _pooled(units):
    return L.GlobalAveragePooling1D()


def _dotted() -> keras.Model:
    (a, h), (b, g) = _embedded(4), _embedded(4)
    y = L.Dot(axes=(2, 2))([L.Dense(4)(h), L.Dense(4)(g)])
    return keras.Model([a, b], L.Dense(2)(L.GRU(3)(y)))


def _inside() -> keras.Model:
    """A model inside, whose first layers have the mask of the model around it."""
    inner = keras.Input((4, 4))
    states = L.LSTM(3, return_sequences=True)(inner)
    inside = keras.Model(inner, L.Concatenate()([states, L.Dense(2)(inner)]), name="inside")
    x, h = _embedded(4)
    return keras.Model(x, L.Dense(2)(L.GRU(3)(inside(h))))


MERGED = {
    "multiply": _merged(L.Multiply),
    "multiply three": _merged(L.Multiply, masked=(True, False, True)),
    "multiply, pooled": _merged(L.Multiply, _pooled),
    "maximum": _merged(L.Maximum),
    "maximum three": _merged(L.Maximum, masked=(True, True, False)),
    "minimum": _merged(L.Minimum, masked=(True, True, True)),
    "minimum, one masked": _merged(L.Minimum, masked=(False, True)),
    "side by side": _merged(L.Concatenate),
    "side by side, one masked": _merged(L.Concatenate, masked=(True, False)),
    "one behind the other": _merged(L.Concatenate, masked=(True, False), axis=1),
    "dot": _dotted,
}
MODELS = MERGED | {
    "inside": _inside,
    "attention, dropout": _attention(lambda: L.Attention(dropout=0.5)),
    "additive attention, dropout": _attention(lambda: L.AdditiveAttention(dropout=0.5)),
    "classifier": _classifier(),
    "causal": _classifier(use_causal_mask=True),
    "with a dropout": _classifier(dropout=0.25),
    "causal, with a dropout": _classifier(dropout=0.25, use_causal_mask=True),
    "two blocks": _classifier(blocks=2, add=L.Average),
    "two sequences": _from_one_to_another(),
    "two sequences, causal": _from_one_to_another(use_causal_mask=True),
    "and an attention mask": _from_one_to_another(attention=True),
    "all masks": _from_one_to_another(attention=True, use_causal_mask=True),
    "sums": _behind_sums,
    "taken before": _tensor_that_was_taken_before,
    "attention": _attention(L.Attention),
    "attention, keys": _attention(lambda: L.Attention(use_scale=True), keys=True),
    "attention, causal": _attention(L.Attention, use_causal_mask=True),
    "additive attention": _attention(L.AdditiveAttention),
}
each = pytest.mark.parametrize("name", MODELS)


def _pair(name: str, dtype: Precision = "float64") -> tuple[keras.Model, Any, Any, Any]:
    """Return a model, its twin, inputs and targets; each sequence has a step that counts.

    Padding stands at the end, as causal attention sees nothing else in front.
    """
    with precision(dtype):
        model, network, x, y = harness.pair(MODELS[name], whole=4, samples=8)
    for array in as_list(x):
        if array.ndim == 2:
            array[:, 0] = 1 + np.arange(8) % 3
            array[...] = -np.sort(-array, axis=1)
    return model, network, x, y


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
@pytest.mark.census(8, by=lambda name, dtype: dtype)
def test_agrees_with_keras(name, dtype):
    model, network, x, y = _pair(name, dtype)
    with precision(dtype):
        result = parity.compare(
            model, network, x, y, loss="mse", optimizer=keras.optimizers.SGD(0.01), steps=2,
        )  # fmt: skip
    # In float32 the bounds of two attentions leave gradients in front of them open.
    open_ones = {"two blocks", "taken before"} if dtype == "float32" else set[str]()
    wrong = [row for row in result.rows if row.verdict is parity.Verdict.DIFFERENT]
    assert not wrong, str(result)
    assert result.passed or name in open_ones, str(result)


def test_two_attentions_are_bounded_by_more_units_than_float32_has():
    """What keeps float32 open is the bounds' growth: in units they are as large in float64.

    The engines themselves differ by few units, so that a narrower bound would be kept.
    """
    found: dict[Precision, list[Any]] = {}
    for dtype in harness.DTYPES:
        model, network, x, y = _pair("two blocks", dtype)
        with precision(dtype):
            result = parity.compare(model, network, x, y, loss="mse")
        found[dtype] = [row for row in result.rows if row.section in ("forward", "gradients")]
    double, single = (found[dtype] for dtype in ("float64", "float32"))
    open_ones = [k for k, row in enumerate(single) if row.verdict is parity.Verdict.UNDECIDED]
    first = [k for k in open_ones if single[k].tensor.startswith("multi_head_attention")]
    assert first
    for k in first[:4]:  # of the first attention: queries and keys
        assert single[k].bound > 2**24
        assert double[k].bound > 2**24
        assert double[k].verdict is parity.Verdict.ROUNDING
    assert all(row.ulps < 2**5 for row in (*single, *double))
    # Behind a normalization the second attention alone widens the bound of its inputs tenfold.
    before, after = (
        next(row for row in single[k:] if row.tensor.startswith(name)).bound
        for k, name in ((1, "layer_normalization"), (4, "multi_head_attention"))
    )
    assert after > 10 * before


@each
def test_the_whole_model_computes_the_same(name):
    """Keras's own run, where attention takes masks off tensors and layers have noted ones."""
    model, network, x, _ = _pair(name)
    with precision("float64"):
        theirs = model.predict(x, verbose=0)
    np.testing.assert_allclose(network.predict(x), theirs, rtol=1e-12, atol=1e-14)


@each
@pytest.mark.census(5)
def test_survives_files(name, tmp_path):
    # Of MultiHeadAttention the scale of key_dim=4 is the same in both precisions.
    model, network, x, _ = _pair(name)
    with precision("float64"):
        model.save(tmp_path / "model.keras")
        back = parity.keras_twin(network)
        again = back.predict(x, verbose=0)
    read = keras_files.load_keras(tmp_path / "model.keras")
    np.testing.assert_array_equal(read.predict(x), network.predict(x))
    np.testing.assert_allclose(again, network.predict(x), rtol=1e-12, atol=1e-14)


@each
@pytest.mark.census(5)
def test_backward_is_the_derivative_of_forward(name):
    _, network, x, y = _pair(name)
    rng, h, loss = np.random.default_rng(1), 1e-5, losses.get("mean_squared_error")
    masks = network.draw_masks(8, rng)
    network.loss_and_gradients(x, y, loss, masks)
    gradients, start = network.gradients.copy(), network.parameters.copy()
    direction = rng.normal(size=start.shape)
    sides: list[float] = []
    for sign in (1, -1):
        network.parameters[...] = start + sign * h * direction
        sides.append(network.loss_and_gradients(x, y, loss, masks)[0])
    assert (sides[0] - sides[1]) / (2 * h) == pytest.approx(gradients @ direction, rel=1e-6)


def test_what_fills_up_is_as_if_it_were_not_there():
    """A block on (a, b, 0, 0) gives what it gives on (a, b)."""
    rng = np.random.default_rng(0)

    def block(steps: int) -> Functional:
        return Functional(
            {"x": steps},
            [
                Call("embedded", numpy_layers.Embedding(5, 4, mask_zero=True), ("x",)),
                Call("attended", numpy_layers.MultiHeadAttention(2, 3), ("embedded", "embedded")),
                Call("sum", numpy_layers.Add(), ("embedded", "attended")),
                Call("mean", numpy_layers.GlobalAveragePooling1D(), ("sum",)),
            ],
            ["mean"], rng, "float64",
        )  # fmt: skip

    long, short = block(4), block(2)
    short.set_weights(long.weights)
    x = np.array([[3, 4, 0, 0], [1, 2, 0, 0]])
    np.testing.assert_allclose(long.predict(x), short.predict(x[:, :2]), rtol=1e-12)


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("queries", lambda masks: [None, *masks[1:]]),
        ("values", lambda masks: [masks[0], None, *masks[2:]]),
    ],
)
def test_a_mask_that_is_not_looked_at_is_seen(part, wrong, monkeypatch):
    model, network, x, y = _pair("two sequences")
    right: Any = numpy_layers.MultiHeadAttention.forward

    def forward(self, x, training=False, mask=None, **named):
        return right(self, x, training, wrong(mask), **named)

    monkeypatch.setattr(numpy_layers.MultiHeadAttention, "forward", forward)
    with precision("float64"):
        failures = parity.compare(model, network, x, y, loss="mse").failures()
    assert failures[0].section == "forward", part
    assert failures[0].tensor.startswith("multi_head_attention")


def test_a_mask_that_lives_on_is_seen(monkeypatch):
    """Without Keras's taking it off, the second block would be masked."""
    model, network, x, y = _pair("two blocks")
    monkeypatch.setattr(numpy_layers.MultiHeadAttention, "removes_masks", False)
    with precision("float64"):
        failures = parity.compare(model, network, x, y, loss="mse").failures()
    assert failures[0].section == "forward"
    assert failures[0].tensor.startswith("multi_head_attention")


def test_a_model_inside_is_refused_where_attention_takes_masks_off(tmp_path):
    x, h = _embedded(4)
    attended = L.LayerNormalization()(L.MultiHeadAttention(1, 4)(h, h))
    inside = keras.Model(x, attended, name="inside")
    y = keras.Input((4,))
    model = keras.Model(y, L.GlobalAveragePooling1D()(inside(y)))
    with pytest.raises(ValueError, match=r"no model inside .* MultiHeadAttention"):
        parity.numpy_twin(model)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"no model inside .* MultiHeadAttention|class Not"):
        keras_files.load_keras(tmp_path / "model.keras")


@pytest.mark.parametrize("named", ["Multiply", "Maximum"])
def test_a_merged_mask_that_is_not_looked_at_is_seen(named, monkeypatch):
    model, network, x, y = _pair(named.lower())
    right: Any = getattr(numpy_layers, named).forward

    def forward(self, x, training=False, mask=None, **rest):
        return right(self, x, training, [None] * len(x), **rest)

    monkeypatch.setattr(getattr(numpy_layers, named), "forward", forward)
    with precision("float64"):
        failures = parity.compare(model, network, x, y, loss="mse").failures()
    assert failures[0].section == "forward"
    assert failures[0].tensor.startswith(named.lower())


def test_a_mask_of_pictures_that_are_multiplied_is_refused():
    """Keras widens a mask of steps by one axis alone, which fits sequences of vectors."""
    layer = numpy_layers.Multiply()
    x = [np.ones((2, 3, 4, 2))] * 2
    with pytest.raises(
        ValueError, match=r"^Multiply expects.*\(batch, time, features\).*4, 4 axes"
    ):
        layer.compute_mask(x, [np.ones((2, 3), bool)] * 2)
