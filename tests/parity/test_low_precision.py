"""Keras in float16, bfloat16 and with products in TensorFloat-32: its rounding, and what is not."""

from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from numpy_impl import activations, layers, losses
from parity.bounds.activations import EVALUATIONS, Evaluation
from parity.bounds.formats import BFLOAT16, FLOAT16, FLOAT32, TENSORFLOAT32
from parity.bounds.rounding import Rounding
from parity.comparing.rows import Verdict
from parity.comparing.twins import keras_activation

tf: Any = pytest.importorskip("tensorflow", reason="compared with Keras on TensorFlow")

POLICIES = ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"]
KINDS = {"float16": FLOAT16, "bfloat16": BFLOAT16}
L = keras.layers


def _model(policy, sizes, activation="tanh", output="softmax", last=None, seed=0):
    keras.utils.set_random_seed(seed)
    hidden = [L.Dense(n, activation=activation, dtype=policy) for n in sizes[1:-1]]
    ends = L.Dense(sizes[-1], activation=output, dtype=last or policy)
    model: Any = keras.Sequential([keras.Input(sizes[:1]), *hidden, ends])
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


def _data(inputs, outputs, n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, inputs)).astype(np.float32)
    return x, np.eye(outputs, dtype=np.float32)[rng.integers(0, outputs, n)]


def _compare(model, network=None, n=6, loss="categorical_crossentropy", seed=0, **options):
    network = parity.numpy_twin(model) if network is None else network
    x, y = _data(model.input_shape[-1], model.output_shape[-1], n, seed)
    return parity.compare(model, network, x, y, loss=loss, **options)


@pytest.mark.census(keep=12, by=lambda policy, seed: policy)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(12))
def test_honest_rounding_is_never_accused(policy, seed):
    rng = np.random.default_rng([7, seed])
    known = ["tanh", "relu", "sigmoid", "gelu", "softplus", "elu", "silu", "leaky_relu"]
    activation = known[rng.integers(len(known))]
    sizes = tuple(int(n) for n in rng.integers(3, 90, size=rng.integers(3, 6)))
    last = "float32" if rng.random() < 0.5 else None
    output, loss = [
        ("softmax", "categorical_crossentropy"),
        ("sigmoid", "binary_crossentropy"),
        ("linear", "mean_squared_error"),
        ("tanh", "quadratic"),
    ][rng.integers(4)]
    model = _model(policy, sizes, activation, output, last, seed)
    result = _compare(model, n=int(rng.integers(1, 12)), loss=loss, seed=seed)
    failed = [row for row in result.rows if row.verdict is Verdict.DIFFERENT]
    assert not failed, str(result)
    name = policy.removeprefix("mixed_")
    assert {row.precision for row in result.rows} == {name}
    # It is told apart from float32's: in most tensors something is rounded.
    words = [row.words for row in result.section("gradients")]
    assert f"rounding of {name}" in words


@pytest.mark.parametrize("policy", POLICIES)
def test_a_usual_network_passes(policy):
    result = _compare(_model(policy, (64, 40, 20, 10), last="float32"))
    result.raise_for_failure()
    assert str(result).rstrip().endswith(f"up to rounding of {policy.removeprefix('mixed_')}.")


class _Halved(layers.Dense):
    """Dense that forgets the activation's derivative, which is 1 at most."""

    def backward(self, delta, input_gradient=True):
        self.activation, own = activations.get("linear"), self.activation
        try:
            return super().backward(delta, input_gradient)
        finally:
            self.activation = own


class _Transposed(layers.Dense):
    """Dense whose kernel gradient has two rows exchanged."""

    def backward(self, delta, input_gradient=True):
        back = super().backward(delta, input_gradient)
        self.kernel_gradient[:2] = self.kernel_gradient[1::-1].copy()
        return back


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("wrong", [_Halved, _Transposed])
def test_a_wrong_gradient_is_seen(policy, wrong):
    model = _model(policy, (20, 16, 12, 5))
    network = parity.numpy_twin(model)
    _compare(model, network).raise_for_failure()
    network.layers[1].__class__ = wrong
    failed = [row.tensor for row in _compare(model, network).failures()]
    assert "1/kernel" in failed
    assert "2/kernel" not in failed


@pytest.mark.parametrize("policy", POLICIES)
def test_a_wrong_loss_and_another_activation_are_seen(policy):
    model = _model(policy, (20, 16, 5), output="linear")
    wrong = _compare(model, loss="mean_squared_error", numpy_loss=losses.get("quadratic"))
    assert {"loss", "1/kernel"} <= {row.tensor for row in wrong.failures()}
    network = parity.numpy_twin(_model(policy, (20, 16, 5), "sigmoid", "linear"))
    assert not _compare(model, network, loss="mean_squared_error").passed


class Dense(L.Dense):
    """Keras's layer in numbers of even fewer digits; the twin goes by the name."""

    digits = 5

    def call(self, inputs, training=None):
        z: Any = super().call(inputs, training)
        wide = tf.cast(z, "float32")
        scale = 2.0 ** (tf.math.floor(tf.math.log(tf.abs(wide) + 1e-30) / np.log(2)) + 1)
        step = scale * 2.0**-self.digits
        return z + tf.stop_gradient(tf.cast(tf.round(wide / step) * step, z.dtype) - z)


@pytest.mark.parametrize(("policy", "digits"), [("mixed_bfloat16", 2), ("mixed_float16", 5)])
def test_fewer_digits_than_the_format_has_are_seen(policy, digits):
    keras.utils.set_random_seed(3)
    coarse = Dense(16, activation="relu", dtype=policy)
    coarse.digits = digits
    model: Any = keras.Sequential([keras.Input((20,)), coarse, L.Dense(5, dtype=policy)])
    result = _compare(model, loss="mean_squared_error")
    assert result.failures()[0].tensor.startswith("0 dense")
    coarse.digits = 24
    _compare(model, loss="mean_squared_error").raise_for_failure()


def test_bfloat16_where_float16_was_declared_is_seen():
    class Below(L.Dense):
        def call(self, inputs, training=None):
            z: Any = super().call(inputs, training)
            return tf.cast(tf.cast(z, "bfloat16"), z.dtype)

    Below.__name__ = "Dense"
    keras.utils.set_random_seed(3)
    below = Below(16, activation="relu", dtype="mixed_float16")
    model: Any = keras.Sequential([keras.Input((20,)), below, L.Dense(5, dtype="mixed_float16")])
    failed = [row.tensor for row in _compare(model, loss="mean_squared_error").failures()]
    assert failed[0].startswith("0 dense")


def _pictures(policy):
    return [
        L.Conv2D(4, 3, activation="relu", dtype=policy),
        L.BatchNormalization(dtype=policy),
        L.MaxPooling2D(dtype=policy),
        L.DepthwiseConv2D(3, dtype=policy),
        L.LayerNormalization(dtype=policy),
        L.Dropout(0.5, dtype=policy),
        L.Flatten(dtype=policy),
        L.Dense(5, activation="softmax", dtype="float32"),
    ]


def _sequence(policy):
    return [
        L.Conv1D(6, 3, activation="gelu", dtype=policy),
        L.LSTM(5, return_sequences=True, recurrent_initializer="glorot_uniform", dtype=policy),
        L.GlobalAveragePooling1D(dtype=policy),
        L.Dense(5, activation="softmax", dtype=policy),
    ]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("build", "shape"), [(_pictures, (12, 12, 2)), (_sequence, (9, 4))])
def test_other_layers_are_not_accused(policy, build, shape):
    keras.utils.set_random_seed(1)
    model: Any = keras.Sequential([keras.Input(shape), *build(policy)])
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, *shape)).astype(np.float32)
    y = np.eye(5, dtype=np.float32)[rng.integers(0, 5, 3)]
    network = parity.numpy_twin(model)
    result = parity.compare(model, network, x, y, loss="categorical_crossentropy")
    failed = [row for row in result.rows if row.verdict is Verdict.DIFFERENT]
    assert not failed, str(result)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_branches_shared_layers_and_several_outputs_pass_under_a_global_policy(policy):
    before: Any = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(0)
        ends: Any = [keras.Input((12,), name=name) for name in ("a", "b")]
        shared = L.Dense(8, activation="relu", name="shared")
        p, q = (shared(end) for end in ends)
        both = L.Add(name="both")([p, q])
        residual = L.Add(name="residual")([both, L.Dense(8, activation="tanh", name="t")(both)])
        joined = L.Concatenate(name="joined")([residual, p])
        outputs = [
            L.Dense(4, activation="softmax", dtype="float32", name="first")(joined),
            L.Dense(1, name="second")(residual),
        ]
        model = keras.Model(ends, outputs)
        rng = np.random.default_rng(0)
        x = [rng.normal(size=(5, 12)).astype(np.float32) for _ in ends]
        y = [np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 1]], rng.normal(size=(5, 1))]
        network = parity.numpy_twin(model)
        losses_of = ["categorical_crossentropy", "mean_squared_error"]
        result = parity.compare(model, network, x, y, loss=losses_of, loss_weights=[1.0, 0.5])
        result.raise_for_failure()
        network.layers[0].__class__ = _Transposed
        failed = parity.compare(model, network, x, y, loss=losses_of)
        assert [row.tensor for row in failed.failures()] == ["shared/kernel"]
        table: Any = keras.Sequential([keras.Input((2,)), L.Embedding(2100, 3), L.Flatten()])
        numbers, twin = np.array([[1, 2050], [2049, 2051]], np.float32), parity.numpy_twin(table)
        with pytest.raises(ValueError, match=r"class numbers that .*float16 holds.*Received: 20"):
            parity.compare(table, twin, numbers, np.zeros((2, 6)), loss="mean_squared_error")
    finally:
        keras.config.set_dtype_policy(before)


def test_numbers_beyond_float16_are_undecided_and_named():
    model = _model("mixed_float16", (4, 3, 2), "linear", "linear")
    model.layers[0].kernel.assign(np.full((4, 3), 30000.0))
    result = _compare(model, loss="mean_squared_error")
    first = result.section("forward")[0]
    assert first.verdict is Verdict.UNDECIDED
    assert "beyond 65504, float16's largest" in first.note
    assert not [row for row in result.rows if row.verdict is Verdict.DIFFERENT]


def test_what_cannot_be_compared_is_one_line():
    model = _model("mixed_float16", (4, 3, 2))
    with pytest.raises(ValueError, match=r"no optimizer: .*scaling of losses.*float16"):
        _compare(model, optimizer=keras.optimizers.SGD())
    both: Any = keras.Sequential(
        [keras.Input((4,)), L.Dense(3, dtype="float16"), L.Dense(2, dtype="bfloat16")]
    )
    with pytest.raises(ValueError, match=r"one dtype of less than float32 .*'bfloat16', 'float16'"):
        _compare(both, parity.numpy_twin(both))
    layer = L.Dense(2, kernel_regularizer="l2", dtype="mixed_bfloat16")
    penalized: Any = keras.Sequential([keras.Input((4,)), layer])
    with pytest.raises(ValueError, match="without regularizers"):
        _compare(penalized)
    with pytest.raises(ValueError, match=r"float32, whose products are in tensorfloat32"):
        _compare(model, matmul_precision="tensorfloat32")


# ---- Somebody's own network ----


def _own(activation, digits):
    """Return a network written by hand whose numbers are all rounded by ``digits``."""
    rng = np.random.default_rng(4)
    w = [rng.normal(0, 0.3, size).astype(np.float32) for size in ((20, 12), (12,), (12, 5), (5,))]

    def forward(x):
        cut = digits
        a = cut(activation(cut(cut(cut(np.asarray(x)) @ cut(w[0])) + cut(w[1]))))
        z = cut(cut(a @ cut(w[2])) + cut(w[3]))
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    return parity.Candidate(get_weights=lambda: w, forward=forward)


def test_a_right_network_in_bfloat16_is_called_low_precision_and_not_wrong():
    reference = _model("mixed_bfloat16", (20, 12, 5))
    report = parity.check(_own(np.tanh, BFLOAT16.rounded), reference=reference)
    assert report.outcome is parity.Outcome.UNKNOWN
    assert "numbers of 7 bits go (bfloat16)" in str(report)
    exact = parity.check(_own(np.tanh, np.asarray), reference=reference)
    assert exact.outcome is parity.Outcome.RIGHT


def test_a_wrong_network_in_bfloat16_is_wrong_all_the_same():
    reference = _model("mixed_bfloat16", (20, 12, 5))
    wrong = parity.check(_own(lambda z: np.tanh(z) ** 2, BFLOAT16.rounded), reference=reference)
    assert wrong.outcome is parity.Outcome.WRONG
    # What is off by as much, but computes in more digits, has no such excuse.
    off = parity.check(_own(lambda z: 1.01 * np.tanh(z), np.asarray), reference=reference)
    assert off.outcome is parity.Outcome.WRONG


# ---- TensorFloat-32 ----


@contextmanager
def _products_as_on_a_card(monkeypatch):
    """Take the factors of Keras's matrix products, forward and backward, to ten bits."""
    product: Any = tf.matmul

    def rounded(x):
        bits = tf.bitcast(x, tf.int32)
        return tf.bitcast(tf.bitwise.bitwise_and(bits + 0x1000, ~0x1FFF), tf.float32)

    @tf.custom_gradient
    def matmul(x, y):
        def backward(d):
            return (
                product(rounded(d), rounded(y), transpose_b=True),
                product(rounded(x), rounded(d), transpose_a=True),
            )

        return product(rounded(x), rounded(y)), backward

    with monkeypatch.context() as patch:
        patch.setattr(
            "keras.src.ops.matmul", lambda x, y: matmul(*map(tf.convert_to_tensor, (x, y)))
        )
        yield


@pytest.mark.parametrize("seed", range(3))
def test_tensorfloat32_is_rounding_where_it_was_declared(seed, monkeypatch):
    model = _model("float32", (300, 60, 40, 10), "relu", seed=seed)
    _compare(model).raise_for_failure()
    with _products_as_on_a_card(monkeypatch):
        plain = _compare(model, seed=seed)
        declared = _compare(model, seed=seed, matmul_precision="tensorfloat32")
    assert "0 dense" in [row.tensor.split("_")[0] for row in plain.failures()]
    declared.raise_for_failure()
    assert "rounding of tensorfloat32" in str(declared)


def test_bfloat16_in_products_is_more_than_tensorfloat32(monkeypatch):
    model = _model("float32", (30, 20, 5), "relu")
    product: Any = tf.matmul

    def matmul(x, y):
        return product(tf.cast(tf.cast(x, "bfloat16"), "float32"), y)

    monkeypatch.setattr("keras.src.ops.matmul", matmul)
    assert not _compare(model, matmul_precision="tensorfloat32").passed


@pytest.mark.skipif(
    not tf.config.list_physical_devices("GPU"), reason="needs a card; TensorFlow sees none here"
)
def test_a_real_card_is_within_the_bound_of_tensorfloat32():
    model = _model("float32", (784, 200, 10), "relu")
    _compare(model, n=64, matmul_precision="tensorfloat32").raise_for_failure()


# ---- The figures ----


@pytest.mark.parametrize("dtype", KINDS)
def test_formats_round_as_tensorflow_does(dtype):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=20000) * 10.0 ** rng.integers(-9, 5, 20000)).astype(np.float32)
    cast = tf.cast(tf.cast(x, dtype), tf.float32).numpy()
    assert np.array_equal(KINDS[dtype].rounded(x), cast)
    assert KINDS[dtype].rounded(x).dtype == np.float32


def test_units_are_those_of_the_formats():
    assert [f.unit for f in (FLOAT16, BFLOAT16, TENSORFLOAT32)] == [2.0**-11, 2.0**-8, 2.0**-11]
    assert (FLOAT32.unit, FLOAT32.tiny) == (2.0**-24, float(np.finfo(np.float32).tiny))
    assert TENSORFLOAT32.rounded(np.array(1 + 2.0**-11)) == 1  # to the even one
    assert TENSORFLOAT32.rounded(np.array(1 + 3 * 2.0**-11)) == 1 + 2.0**-9
    assert FLOAT16.rounded(np.array([65519.0, 65520.0, 2.0**-25, 3 * 2.0**-25])).tolist() == [
        65504.0, np.inf, 0.0, 2.0**-23,
    ]  # fmt: skip


def test_a_sum_that_stops_growing_is_within_its_bound():
    # 1 + 1 + ... in bfloat16 stays at 256: the roundings all go one way.
    total, n = 0.0, 2000
    for _ in range(n):
        total = float(BFLOAT16.rounded(np.array(total + 1)))
    assert total == 256
    bounded = Rounding("bfloat16").exact(np.ones(n)).sum()
    assert abs(total - n) <= bounded.bound


@pytest.mark.census(keep=16, by=lambda name, dtype: dtype)
@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", [n for n in activations.ACTIVATIONS if "softmax" not in n])
def test_functions_are_as_exact_as_the_bounds_assume_on_every_number(name, dtype):
    low, function = KINDS[dtype], activations.get(name)
    z = tf.bitcast(tf.constant(np.arange(2**16, dtype=np.uint16)), dtype)
    z = tf.boolean_mask(z, tf.abs(tf.cast(z, "float32")) < 80)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value: Any = keras.activations.get(keras_activation(function))(z)
    slope = tape.gradient(value, z)
    z, value, slope = (tf.cast(a, tf.float64).numpy() for a in (z, value, slope))
    e = EVALUATIONS.get(name, Evaluation())
    exact = function.value(z)
    meant = function.derivative(z, exact)
    size = np.abs(z)
    scale = {"none": 0.0, "one": 1.0, "z": size}[e.scale]
    allowed = e.value * low.unit * (np.abs(exact) + size * np.abs(meant) + scale) + low.tiny
    inside = np.abs(exact) < low.largest
    assert np.all((np.abs(value - exact) <= allowed)[inside])
    # At a kink, and as far from it as rounding goes, the slope may be that of either side.
    far = np.ones(z.shape, bool)
    for kink in function.kinks:
        far &= np.abs(z - kink) > e.derivative * low.unit * (size + (e.scale == "one")) + low.tiny
    room = e.derivative * low.unit * (1 + np.abs(meant)) * (1 + size * e.gated) + low.tiny
    assert np.all((np.abs(slope - meant) <= room)[inside & far & (np.abs(meant) < low.largest)])
