"""Dense leaves out inputs that are zero in the whole batch; nothing but rounding may change."""

import numpy as np
import pytest

from numpy_impl import Sequential, losses
from numpy_impl.layers import Dense, Flatten, Rescaling, dense
from numpy_impl.types import Precision
from tests.numpy_impl.textbook import unit

INPUTS, UNITS = 400, 300  # kernels above SMALLEST_KERNEL


def _network(dtype: Precision = "float64") -> Sequential:
    layers = [Flatten(), Dense(UNITS, "relu"), Dense(3, "softmax")]
    return Sequential(layers, (20, 20), np.random.default_rng(1), dtype)


def _first(network: Sequential) -> Dense:
    layer = network.layers[1]
    assert isinstance(layer, Dense)
    return layer


def _pictures(n: int = 7, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 20, 20))  # of both signs, so that columns may sum to zero
    x[:, :, rng.permutation(20)[:9]] = 0
    x[0, 0, 0], x[1, 0, 0] = 1, -1
    return x, np.eye(3)[rng.integers(3, size=n)]


def _dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "LONGEST_BATCH", -1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_and_gradients_are_those_of_the_whole_product(
    dtype: Precision, monkeypatch
) -> None:
    x, y = _pictures()
    loss = losses.CategoricalCrossentropy(fused=True)
    network = _network(dtype)
    cost, gradients = network.loss_and_gradients(x, y, loss)
    used = _first(network).used
    assert used is not None
    assert 0 < len(used) < INPUTS
    asked = network.predict(x)
    gradients = [gradient.copy() for gradient in gradients]
    _dense(monkeypatch)
    whole = _network(dtype)
    expected_cost, expected = whole.loss_and_gradients(x, y, loss)
    assert _first(whole).used is None
    # Sums of 400 products of numbers of the size of 1, in another order, through two layers.
    allowed = 4 * INPUTS * unit(dtype)
    assert abs(cost - expected_cost) <= allowed
    np.testing.assert_allclose(asked, whole.predict(x), rtol=0, atol=allowed)
    for own, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=allowed)
    unused = (x == 0).all(axis=0).ravel()
    assert unused.any()
    assert not gradients[0][unused].any()


def test_no_gradient_is_left_from_the_step_before() -> None:
    network, loss = _network(), losses.Quadratic()
    for seed in (2, 3, 4):  # other columns each time
        x, y = _pictures(seed=seed)
        network.loss_and_gradients(x, y, loss)
        own = network.weight_gradients[0].copy()
        fresh = _network()
        fresh.loss_and_gradients(x, y, loss)
        np.testing.assert_array_equal(own, fresh.weight_gradients[0])


@pytest.mark.parametrize("n", [1, 7])
def test_a_batch_of_nothing(n: int) -> None:
    network = _network()
    _, bias, last, _ = network.weights
    bias[...] = 0.5
    x = np.zeros((n, 20, 20))
    _, gradients = network.loss_and_gradients(x, np.eye(3)[[0] * n], losses.Quadratic())
    assert not gradients[0].any()
    assert gradients[1].any()
    logits = bias @ last
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(network.predict(x)[0], expected, rtol=0, atol=2 * UNITS * unit())


def test_a_batch_that_uses_nearly_all_is_computed_whole() -> None:
    network = _network()
    x, y = _pictures()
    network.loss_and_gradients(np.where(x == 0, 1, x), y, losses.Quadratic())
    assert _first(network).used is None


def test_only_the_layer_that_sees_the_data() -> None:
    layers = [Rescaling(2.0), Dense(400, "relu"), Dense(400, "relu"), Dense(2)]
    network = Sequential(layers, 300, np.random.default_rng(0))
    assert [layer.sees_data for layer in network.layers] == [False, True, False, False]
    assert [layer.sees_data for layer in network.clone().layers] == [False, True, False, False]
