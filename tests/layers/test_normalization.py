"""Normalization layers: see ``harness`` for what is asked of each."""

import numpy as np
import pytest

import parity
from keras_impl import keras
from keras_impl.precision import precision
from numpy_impl import Sequential
from numpy_impl.layers import BatchNormalization, LayerNormalization
from parity.comparing.rows import Verdict
from tests.layers import harness

L = keras.layers


def behind_another(make, front=lambda: L.Conv2D(4, 2, padding="same", use_bias=False)):
    """Return what makes a layer between others. What it takes off must not be what those learn.

    A shift in front of a layer that takes the mean off has a gradient of 0, and nothing to compare.
    """
    return lambda: [front(), make(), L.Flatten(), L.Dense(2)]


MODELS = {
    "layer normalization": ((5,), lambda: [L.LayerNormalization(), L.Dense(2)]),
    "of sequences": ((4, 3), lambda: [L.LayerNormalization(epsilon=1e-5), L.Flatten(), L.Dense(2)]),
    "without gamma": ((5,), lambda: [L.LayerNormalization(scale=False), L.Dense(2)]),
    "without beta": ((5,), lambda: [L.LayerNormalization(center=False), L.Dense(2)]),
    "behind a layer": (
        (5,),
        lambda: [L.Dense(6, "tanh"), L.LayerNormalization(axis=1), L.Dense(2)],
    ),
    "of two axes": ((3, 2, 4), behind_another(lambda: L.LayerNormalization(axis=[-1, -2]))),
    "of the first axis": ((3, 2, 4), behind_another(lambda: L.LayerNormalization(axis=1))),
    "of all axes": (
        (3, 2, 4), behind_another(lambda: L.LayerNormalization(axis=[3, 1, 2], center=False)),
    ),
    "of axes apart": (
        (3, 2, 4), behind_another(lambda: L.LayerNormalization(axis=[1, 3], scale=False)),
    ),
    "batch": ((5,), lambda: [L.Dense(6, "tanh"), L.BatchNormalization(), L.Dense(2)]),
    "batch, two": (
        (5,),
        lambda: [
            L.BatchNormalization(momentum=0.5, scale=False), L.Dense(3, "tanh"),
            L.BatchNormalization(epsilon=1e-5, center=False), L.Dense(2),
        ],
    ),
    "batch, pictures": (
        (3, 2, 4),
        behind_another(L.BatchNormalization),
    ),
    "batch, channels first": (
        (3, 2, 4),
        behind_another(lambda: L.BatchNormalization(axis=1)),
    ),
    "group": ((6,), lambda: [L.Dense(6, "tanh"), L.GroupNormalization(3), L.Dense(2)]),
    "group, pictures": (
        (3, 2, 4),
        behind_another(lambda: L.GroupNormalization(2)),
    ),
    "group, channels first": (
        (4, 3, 2),
        behind_another(lambda: L.GroupNormalization(2, axis=1, scale=False)),
    ),
    "instance": (
        (3, 2, 4),
        behind_another(lambda: L.GroupNormalization(-1, center=False)),
    ),
    "rms": (
        (4, 3),
        behind_another(L.RMSNormalization, lambda: L.Conv1D(4, 2)),
    ),
}  # fmt: skip
each = pytest.mark.parametrize("name", MODELS)


@pytest.mark.census(keep=4)
@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    shape, layers = MODELS[name]
    harness.agrees_with_keras(layers, shape, dtype)


@each
def test_backward_is_the_derivative_of_forward(name):
    shape, layers = MODELS[name]
    harness.backward_is_the_derivative_of_forward(layers, shape)


@pytest.mark.census(keep=2)
@each
def test_survives_files(name, tmp_path):
    shape, layers = MODELS[name]
    harness.survives_files(layers, shape, tmp_path)


@pytest.mark.parametrize("name", ["behind a layer", "batch", "group, pictures", "rms"])
def test_a_wrong_gradient_is_seen(name):
    shape, layers = MODELS[name]
    harness.sees_a_wrong_gradient(layers, shape)


@pytest.mark.parametrize("axis", [0, 4, -4, [1, 1], [-1, 1], []])
def test_axes_that_cannot_be_are_refused(axis):
    """Of [-1, 1] Keras sorts the numbers, and gives gamma the shape of the axes turned round."""
    with pytest.raises(ValueError, match=r"expects axes of 1 to 3, .*Received: axis="):
        LayerNormalization(axis).build((3, 2, 4))


def test_layer_normalization_of_two_axes_by_hand():
    layer = LayerNormalization([1, 2], epsilon=0.0)
    network = Sequential([layer], (2, 2), np.random.default_rng(0), "float64")
    # Mean 4 and variance 4, over the four numbers; gamma lies as they do.
    network.set_weights([np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 2))])
    y = network.forward(np.array([[[2.0, 2.0], [6.0, 6.0]]]))
    np.testing.assert_array_equal(y, [[[-1, -2], [3, 4]]])


def test_batch_normalization_by_hand():
    layer = BatchNormalization(momentum=0.9, epsilon=0.0)
    network = Sequential([layer], (1,), np.random.default_rng(0), "float64")
    # Mean 2 and variance 1; h is -1 and 1.
    x, delta = np.array([[1.0], [3.0]]), np.array([[1.0], [0.0]])
    np.testing.assert_array_equal(network.forward(x, training=True), [[-1.0], [1.0]])
    np.testing.assert_allclose(layer.moving_mean, [0.2])
    np.testing.assert_allclose(layer.moving_variance, [1.0])
    # d - mean(d) - h mean(d h) = [1, 0] - 1/2 + [-1/2, 1/2]: two samples can only lie at -1 and 1.
    np.testing.assert_allclose(layer.backward(delta), [[0.0], [0.0]], atol=1e-15)
    assert network.weight_gradients == [-1.0, 1.0]
    np.testing.assert_allclose(network.forward(x), (x - 0.2) / 1.0)


def batch_normalized():
    with precision("float32"):
        _, layers = MODELS["batch"]
        return harness.pair(layers, (5,), samples=12)


def trained(model, network, x, y):
    return parity.compare_training(
        model, network, x, y, loss="mean_squared_error", optimizer=keras.optimizers.Adam(0.01),
        batches=[np.arange(6) + 6 * (step % 2) for step in range(20)],
    )  # fmt: skip


def test_moving_statistics_agree_through_a_training():
    with precision("float32"):
        result = trained(*batch_normalized())
    assert result.passed, str(result)
    rows = {row.tensor for row in result.rows if row.section == "steps"}
    assert {"1/moving_mean", "1/moving_variance"} <= rows


def test_a_wrong_update_of_the_moving_statistics_is_seen(monkeypatch):
    right = BatchNormalization.updated_states

    def by_n_minus_1(self, kept, w):
        x, h, mean, variance, *rest = kept
        unbiased = variance * (len(x) / (len(x) - 1))
        return right(self, (x, h, mean, unbiased, *rest), w)

    monkeypatch.setattr(BatchNormalization, "updated_states", by_n_minus_1)
    with precision("float32"):
        result = trained(*batch_normalized())
    wrong = {row.tensor for row in result.failures() if row.section == "steps"}
    assert wrong == {"1/moving_variance"}, str(result)


def test_a_bias_that_is_taken_off_again_cannot_be_told():
    with precision("float64"):
        model, network, x, y = harness.pair(
            lambda: [L.Dense(3), L.BatchNormalization(), L.Dense(2)], (5,)
        )
        result = parity.compare(model, network, x, y, loss="mean_squared_error")
    verdicts = {row.tensor: row.verdict for row in result.rows if row.section == "gradients"}
    assert verdicts.pop("0/bias") is Verdict.UNDECIDED
    assert set(verdicts.values()) <= {Verdict.ROUNDING, Verdict.IDENTICAL}


@pytest.mark.parametrize("kind", ["BatchNormalization", "LayerNormalization", "GroupNormalization"])
def test_a_large_mean_is_not_called_different(kind):
    # Keras takes the mean off last, and loses as many digits as it is larger than the deviation.
    options = {"groups": 3} if kind == "GroupNormalization" else {}

    def layers():
        shifted = L.Rescaling(1.0, 300.0), L.Dense(6, use_bias=False)
        return [*shifted, getattr(L, kind)(**options), L.Dense(2)]

    with precision("float32"):
        model, network, x, y = harness.pair(layers, (5,), samples=12)
        result = parity.compare(model, network, x, y, loss="mean_squared_error")
    assert not [row for row in result.rows if row.verdict is Verdict.DIFFERENT], str(result)
    assert all(
        row.verdict is not Verdict.UNDECIDED for row in result.rows if row.section == "forward"
    ), str(result)
