"""Networks as objects: shapes, weights as views, copies, masks, and what is refused."""

import copy

import numpy as np
import pytest

from numpy_impl import Sequential, losses, models, validation
from numpy_impl.layers import Dense, Dropout, Flatten, Layer, Rescaling
from numpy_impl.types import Precision

NAN = float("nan")


def _network(dtype: Precision = "float64") -> Sequential:
    layers = [Dense(4, "tanh"), Dropout(0.5), Dense(3, "softmax", use_bias=False)]
    return Sequential(layers, 5, np.random.default_rng(1), dtype)


def test_names_shapes_and_views() -> None:
    network = _network()
    assert network.weight_names == ["0/kernel", "0/bias", "2/kernel"]
    assert [w.shape for w in network.weights] == [(5, 4), (4,), (4, 3)]
    assert network.parameters.shape == network.gradients.shape == (36,)
    assert network.output_shape == (3,)
    network.parameters[:] = np.arange(36)
    np.testing.assert_array_equal(network.weights[0], np.arange(20).reshape(5, 4))
    np.testing.assert_array_equal(network.weights[1], np.arange(20, 24))
    np.testing.assert_array_equal(network.weights[2], np.arange(24, 36).reshape(4, 3))
    network.weights[1][2] = -1
    assert network.parameters[22] == -1
    for part, weight in zip(network.slices, network.weights, strict=True):
        np.testing.assert_array_equal(network.parameters[part], weight.ravel())


def test_gradients_are_views() -> None:
    network = _network()
    x, y = np.ones((2, 5)), np.eye(3)[:2]
    _, gradients = network.loss_and_gradients(x, y, losses.Quadratic())
    np.testing.assert_array_equal(np.concatenate([g.ravel() for g in gradients]), network.gradients)
    assert all(np.shares_memory(g, network.gradients) for g in gradients)
    assert network.gradients.any()


def test_get_and_set_weights() -> None:
    network = _network()
    kept = network.get_weights()
    assert not any(np.shares_memory(w, network.parameters) for w in kept)
    network.set_weights([w + 1 for w in kept])
    np.testing.assert_array_equal(network.weights[0], kept[0] + 1)
    network.set_weights(kept)
    np.testing.assert_array_equal(network.weights[2], kept[2])
    single = _network("float32")
    single.set_weights(kept)
    assert single.weights[0].dtype == "float32"
    np.testing.assert_array_equal(single.weights[0], kept[0].astype("float32"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: [w[0] + 1, w[1] + 1, w[2].T],
            r"Expected shape \(4, 3\) for 2/kernel\. Received",
        ),
        (lambda w: [w[0] + 1, np.zeros(5), w[2]], r"for 0/bias\. Received: shape \(5,\)"),
        (lambda w: w[:2], r"Expected 3 arrays \(0/kernel \(5, 4\), 0/bias \(4,\), 2/kernel"),
        (lambda w: [*w, w[0]], "Received: 4"),
        (lambda w: [w[0] + 1, w[1], np.float64(0)], r"Received: shape \(\)"),
    ],
)
def test_wrong_weights_change_nothing(change, message: str) -> None:
    network = _network()
    before = network.parameters.copy()
    with pytest.raises(ValueError, match=message):
        network.set_weights(change(network.get_weights()))
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize("copied", [Sequential.clone, copy.deepcopy])
def test_copies_are_independent(copied) -> None:
    network = _network("float32")
    twin = copied(network)
    assert (twin.name, twin.dtype, twin.input_shape) == (network.name, "float32", (5,))
    np.testing.assert_array_equal(twin.parameters, network.parameters)
    before = network.parameters.copy()
    twin.parameters[:] = 0
    assert not any(w.any() for w in twin.weights)  # still views of their own vector
    np.testing.assert_array_equal(network.parameters, before)
    twin.loss_and_gradients(np.ones((2, 5)), np.eye(3)[:2], losses.Quadratic())
    assert not network.gradients.any()


@pytest.mark.parametrize("copied", [Sequential.clone, copy.deepcopy])
def test_copies_draw_masks_of_their_own(copied) -> None:
    network = _network()
    twin, other = copied(network), copied(network)
    drawn = twin.draw_masks(50)[0]
    # The copy's draw moved neither the original nor the other copy; all go on from one state.
    np.testing.assert_array_equal(network.draw_masks(50)[0], drawn)
    np.testing.assert_array_equal(other.draw_masks(50)[0], drawn)
    assert (network.draw_masks(50)[0] != drawn).any()


def test_dropout() -> None:
    network = Sequential([Dropout(0.25)], 1000, np.random.default_rng(1), "float64")
    x = np.ones((10, 1000))
    np.testing.assert_array_equal(network.forward(x), x)
    dropped = network.forward(x, training=True)
    assert set(np.unique(dropped)) == {0.0, 1 / 0.75}
    # 10,000 draws of probability 0.75: within five standard deviations.
    assert abs(np.mean(dropped > 0) - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 1e4)
    mask = np.arange(10_000).reshape(10, 1000) % 2 == 0
    given = network.forward(x, training=True, masks=[mask])
    np.testing.assert_array_equal(given, np.where(mask, 1 / 0.75, 0))
    np.testing.assert_array_equal(Dropout(0.0).forward(x, training=True), x)
    assert network.forward(x.astype("float32")).dtype == "float64"


def test_same_seed_same_masks() -> None:
    one, two = _network(), _network()
    np.testing.assert_array_equal(one.draw_masks(20)[0], two.draw_masks(20)[0])
    layers = [Dropout(0.5), Dropout(0.5)]
    both = Sequential(layers, 50, np.random.default_rng(1)).draw_masks(20)
    assert (both[0] != both[1]).any()


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], r"Expected 1 dropout masks\. Received: 0"),
        ([np.ones((2, 4), bool)] * 2, r"Expected 1 dropout masks\. Received: 2"),
        ([np.ones((1, 4), bool)], r"mask of shape \(2, 4\)\. Received: shape \(1, 4\)"),
        ([np.ones(4, bool)], r"mask of shape \(2, 4\)\. Received: shape \(4,\)"),
    ],
)
def test_masks_that_do_not_fit(masks: list[np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _network().forward(np.ones((2, 5)), training=True, masks=masks)


def test_layer_outputs_and_predict() -> None:
    network = _network()
    x = np.random.default_rng(2).standard_normal((7, 5))
    outputs = network.layer_outputs(x)
    assert [o.shape for o in outputs] == [(7, 4), (7, 4), (7, 3)]
    np.testing.assert_array_equal(outputs[0], outputs[1])  # no dropout outside training
    kernel, bias, last = network.weights
    hidden = np.tanh(x @ kernel + bias)
    np.testing.assert_array_equal(outputs[0], hidden)
    exp = np.exp(hidden @ last)
    # Five roundings in sums of four products and in the softmax.
    expected = exp / exp.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs[2], expected, rtol=40 * 2.0**-53, atol=0)
    np.testing.assert_array_equal(network.predict(x), outputs[2])
    # BLAS may sum another number of rows in another order: 9 products in all, norms below 8.
    pieces = network.predict(x, batch_size=3)
    assert np.max(np.abs(pieces - outputs[2])) <= 9 * 8 * 2.0**-53
    empty = network.predict(np.empty((0, 5)))
    assert (empty.shape, empty.dtype) == ((0, 3), "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_keeps_the_dtype(dtype: Precision) -> None:
    layers = [Flatten(), Rescaling(1 / 3, 0.1), Dropout(0.3), Dense(4, "gelu"), Dense(2, "elu")]
    network = Sequential(layers, (2, 2), np.random.default_rng(1), dtype)
    outputs = network.layer_outputs(np.ones((3, 2, 2)), training=True)
    assert {out.dtype.name for out in outputs} == {dtype}
    delta = np.ones((3, 2), dtype)
    for layer in reversed(network.layers):
        delta = layer.backward(delta)
        assert delta.dtype == dtype


def test_flatten_is_row_major_and_takes_an_empty_batch() -> None:
    network = Sequential([Flatten()], (2, 3), dtype="float64")
    assert network.forward(np.arange(6).reshape(1, 2, 3)).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert network.forward(np.empty((0, 2, 3))).shape == (0, 6)


def test_rescaling() -> None:
    network = Sequential([Rescaling(0.5, -1)], 2, dtype="float32")
    out = network.forward(np.array([[2.0, 4.0]]))
    assert out.dtype == "float32"
    assert out.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential([], 3), r"expects at least one layer\. Received: \[\]"),
        (
            lambda: Sequential([Dense(2)] * 2, 2),
            r"new layers\. Received: a Dense that already belo",
        ),
        (lambda: Sequential(Sequential([Dense(2)], 2).layers, 2), "already belongs to a network"),
        (lambda: Sequential([Dense(2)], ()), r"\(batch, \.\.\., inputs\)\. Received: input_shape="),
        (lambda: Sequential([Dense(2)], 3, dtype="float16"), r"float32 or float64\. Received: 'fl"),  # type: ignore[arg-type]
        (lambda: Sequential([Dense(2)], 3, dtype="nonsense"), r"Received: 'nonsense'"),  # type: ignore[arg-type]
        (lambda: Sequential([Dense(2)], 3, dtype=None), r"Received: None"),  # type: ignore[arg-type]
        (lambda: Sequential([Dense(2)], 3, dtype=">f8"), r"Received: '>f8'"),  # type: ignore[arg-type]
        (lambda: Dense(0), r"at least one unit\. Received: units=0"),
        (lambda: Dense(2, "rellu"), r"Unknown activation.*Received: 'rellu'"),
        (lambda: Dense(2, kernel_initializer="he"), r"Unknown initializer.*Received: 'he'"),
        (lambda: Dropout(1.0), r"rate in \[0, 1\)\. Received: rate=1\.0"),
        (lambda: Dropout(NAN), r"Received: rate=nan"),
        (lambda: Dropout(-0.1), r"Received: rate=-0\.1"),
        (lambda: Rescaling("much"), "could not convert"),  # type: ignore[arg-type]
    ],
)
def test_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_plain_layer_passes_everything_on() -> None:
    layer, x = Layer(), np.ones((2, 3))
    assert layer.build((3,)) == (3,)
    assert layer.forward(x) is x
    assert layer.backward(x) is x
    assert layer.config() == {}


X = np.zeros((4, 3))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 2)), r"Expected inputs of shape \(N, 3\)\. Received: shape \(4, 2\)"),
        (np.zeros(3), r"Expected inputs of shape \(N, 3\)\. Received: shape \(3,\)"),
        (np.float64(1), r"Received: shape \(\)"),
        (np.array([["a", "b", "c"]]), r"Expected real numbers as inputs\. Received: dtype <U1"),
        (np.zeros((4, 3), complex), r"Received: dtype complex128"),
        (
            np.array([[0, 0, 0], [0, NAN, 0]]),
            r"Expected finite inputs\. Received: nan at index \(1, 1",
        ),
        (np.array([[0, 0, np.inf]]), r"Received: inf at index \(0, 2\)"),
        (np.array([[1e300, 0, 0]]), r"Received: inf at index \(0, 0\)"),  # in float32
    ],
)
def test_inputs_are_checked(x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validation.inputs(x, (3,), "float32")


def test_good_inputs_pass() -> None:
    for dtype in ("uint8", "int64", "bool", "float64"):
        x = np.ones((4, 3), dtype)
        assert validation.inputs(x, (3,), "float32").dtype == "float32"
    kept = np.ones((4, 3), "float32")
    assert validation.inputs(kept, (3,), "float32") is kept


@pytest.mark.parametrize(
    ("y", "sparse", "message"),
    [
        (
            np.zeros(4),
            False,
            r"\(4, 3\); use one-hot targets or a sparse loss\. Received: shape \(4",
        ),
        (np.zeros((4, 2)), False, r"Expected targets of shape \(4, 3\)\. Received: shape \(4, 2\)"),
        (np.zeros((5, 3)), False, r"Received: shape \(5, 3\)"),
        (np.full((4, 3), NAN), False, r"Expected finite targets\. Received: nan at index \(0, 0\)"),
        (
            np.zeros((4, 3)),
            True,
            r"Expected 4 integer labels, shape \(4,\)\. Received: shape \(4, 3\)",
        ),
        (np.zeros(4), True, r"Received: shape \(4,\), dtype float64"),
        (np.zeros(3, int), True, r"Expected 4 integer labels"),
        (np.array([0, 1, 3, 7]), True, r"Expected labels in 0\.\.2\. Received: 3 at index 2"),
        (np.array([0, -1, 0, 0]), True, r"Expected labels in 0\.\.2\. Received: -1 at index 1"),
    ],
)
def test_targets_are_checked(y: np.ndarray, sparse: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validation.targets(y, 4, 3, sparse, "float64")


def test_good_targets_pass() -> None:
    assert validation.targets(np.eye(3, dtype=int), 3, 3, False, "float32").dtype == "float32"
    labels = np.array([0, 2, 1], "uint8")
    assert validation.targets(labels, 3, 3, True, "float32") is labels


def test_predict_checks_its_input() -> None:
    with pytest.raises(ValueError, match=r"Expected inputs of shape \(N, 5\)"):
        _network().predict(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"Received: nan at index \(0, 3\)"):
        _network().predict(np.array([[0, 0, 0, NAN, 0]]))


def test_a_clone_in_another_dtype_has_the_same_weights_rounded():
    network = models.build("64-40-10", np.random.default_rng(0), dtype="float64")
    twin = network.clone("float32")
    assert twin.dtype == np.float32
    assert network.dtype == np.float64
    for own, copied in zip(network.weights, twin.weights, strict=True):
        assert np.array_equal(own.astype(np.float32), copied)
