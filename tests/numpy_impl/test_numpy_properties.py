"""What holds for the gradients and outputs of any network and any batch, whatever the numbers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_impl import losses, models
from numpy_impl.layers import Activation, Dense, Dropout, Layer, Rescaling
from numpy_impl.losses import Loss
from numpy_impl.network import Sequential
from numpy_impl.types import Array
from tests import census
from tests.numpy_impl import textbook

ACTIVATIONS = ("sigmoid", "tanh", "softplus", "elu", "linear")
LOSSES = ("quadratic", "mse", "binary_crossentropy", "categorical_crossentropy")
EXAMPLES = census.count(200, 40)


class Scaled(Loss):
    """A loss times a factor."""

    def __init__(self, loss: Loss, factor: float) -> None:
        self.loss, self.factor = loss, factor

    def values(self, y_pred: Array, y_true: Array) -> Array:
        return self.factor * self.loss.values(y_pred, y_true)

    def gradient(self, y_pred: Array, y_true: Array, out: Array | None = None) -> Array:
        gradient = self.loss.gradient(y_pred, y_true, out)
        gradient *= self.factor
        return gradient


class Sum(Loss):
    """The sum of two losses."""

    def __init__(self, one: Loss, other: Loss) -> None:
        self.one, self.other = one, other

    def values(self, y_pred: Array, y_true: Array) -> Array:
        return self.one.values(y_pred, y_true) + self.other.values(y_pred, y_true)

    def gradient(self, y_pred: Array, y_true: Array, out: Array | None = None) -> Array:
        other = self.other.gradient(y_pred, y_true).copy()
        gradient = self.one.gradient(y_pred, y_true, out)
        gradient += other
        return gradient


@st.composite
def networks(draw: st.DrawFn) -> Sequential:
    """A small network in double precision."""
    layers: list[Layer] = []
    for _ in range(draw(st.integers(0, 2))):
        layers.append(Dense(draw(st.integers(1, 6)), draw(st.sampled_from(ACTIVATIONS))))
        if draw(st.booleans()):
            layers.append(draw(st.sampled_from((Rescaling(0.5, 0.25), Activation("tanh")))))
    layers.append(Dense(3, draw(st.sampled_from(("sigmoid", "softmax")))))
    network = Sequential(layers, draw(st.integers(1, 5)), dtype="float64")
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    network.set_weights([0.5 * rng.standard_normal(w.shape) for w in network.weights])
    return network


def batch(network: Sequential, size: int, seed: int) -> tuple[Array, Array]:
    """Return inputs and targets."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (size, *network.input_shape))
    return x, np.eye(3)[rng.integers(0, 3, size)]


def gradients(network: Sequential, x: Array, y: Array, loss: Loss) -> Array:
    """Return all gradients in one vector, copied."""
    network.loss_and_gradients(x, y, loss)
    return network.gradients.copy()


def off(one: Array, other: Array, network: Sequential, x: Array) -> float:
    """Return the greatest difference, in units of the rounding bound of one gradient."""
    return float(np.max(np.abs(one - other))) / textbook.roundoff(network, x)


BATCHES = (networks(), st.integers(1, 12), st.integers(0, 2**32), st.sampled_from(LOSSES))


@given(*BATCHES, st.data())
@settings(max_examples=EXAMPLES)
def test_the_parts_of_a_batch_add_up(
    network: Sequential, size: int, seed: int, name: str, data: st.DataObject
) -> None:
    x, y = batch(network, size, seed)
    loss, whole = losses.get(name), gradients(network, x, y, losses.get(name))
    cut = data.draw(st.integers(0, size))
    parts = [
        len(part[0]) / size * gradients(network, *part, loss)
        for part in ((x[:cut], y[:cut]), (x[cut:], y[cut:]))
        if len(part[0])
    ]
    # The whole, the weighted mean of the parts, and the weighting may each be off by the bound.
    assert off(whole, np.sum(parts, axis=0), network, x) <= 3


@given(*BATCHES)
@settings(max_examples=EXAMPLES)
def test_the_order_of_a_batch_does_not_matter(
    network: Sequential, size: int, seed: int, name: str
) -> None:
    x, y = batch(network, size, seed)
    order = np.random.default_rng(seed).permutation(size)
    one, other = (
        gradients(network, *part, losses.get(name)) for part in ((x, y), (x[order], y[order]))
    )
    assert off(one, other, network, x) <= 2


@given(*BATCHES, st.integers(-20, 20))
@settings(max_examples=EXAMPLES)
def test_gradients_go_with_the_loss(
    network: Sequential, size: int, seed: int, name: str, exponent: int
) -> None:
    x, y = batch(network, size, seed)
    factor = 2.0**exponent
    loss = losses.get(name)
    # A power of two changes no digit of any product or sum.
    scaled = gradients(network, x, y, Scaled(loss, factor))
    assert np.array_equal(scaled, factor * gradients(network, x, y, loss))


@given(*BATCHES, st.sampled_from(LOSSES))
@settings(max_examples=EXAMPLES)
def test_the_gradient_of_a_sum_is_the_sum(
    network: Sequential, size: int, seed: int, name: str, other: str
) -> None:
    x, y = batch(network, size, seed)
    one, two = losses.get(name), losses.get(other)
    apart = gradients(network, x, y, one) + gradients(network, x, y, two)
    assert off(gradients(network, x, y, Sum(one, two)), apart, network, x) <= 4


def test_a_gradient_that_forgets_a_sample_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Sequential([Dense(4, "tanh"), Dense(3, "sigmoid")], 5, np.random.default_rng(0))
    network = network.clone("float64")
    x, y = batch(network, 6, 1)
    whole = gradients(network, x, y, losses.get("mse"))
    half = [gradients(network, x[i : i + 3], y[i : i + 3], losses.get("mse")) for i in (0, 3)]
    assert off(whole, np.mean(half, axis=0), network, x) <= 3
    wrong = gradients(network, x[:5], y[:5], losses.get("mse")) * (5 / 6)
    assert off(whole, wrong, network, x) > 1000


@given(networks(), st.integers(0, 2**32))
@settings(max_examples=census.count(40, 10))
def test_an_output_does_not_depend_on_the_others(network: Sequential, seed: int) -> None:
    x, _ = batch(network, 9, seed)
    whole = network.predict(x)
    alone = np.concatenate([network.predict(x[i : i + 1]) for i in range(9)])
    assert off(whole, alone, network, x) <= 2


# ---- Several threads ----


@pytest.mark.parametrize("name", ["64-40-10", "784-500-300-10"])
def test_threads_that_share_a_network_do_not_disturb_each_other(name: str) -> None:
    network = models.build(name, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    # Of different sizes, and with inputs that are 0 throughout, so that each goes its own way.
    batches = [rng.random((1 + i % 7, *network.input_shape)) for i in range(40)]
    for i, x in enumerate(batches):
        x[:, rng.random(x.shape[1]) < (i % 4) / 4] = 0
    expected = [network.forward(x.astype("float32")) for x in batches]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            found = list(pool.map(lambda x: network.forward(x.astype("float32")), batches))
            assert all(map(np.array_equal, found, expected))


# ---- Seeds ----


@given(st.integers(0, 2**63 - 1))
@settings(max_examples=census.count(20, 5))
def test_the_same_seed_gives_the_same_bits(seed: int) -> None:
    def trained() -> Array:
        layers = [Dense(6, "tanh"), Dropout(0.5), Dense(3, "softmax")]
        network = Sequential(layers, 5, np.random.default_rng(seed))
        x, y = batch(network, 8, seed)
        for _ in range(5):
            network.loss_and_gradients(x.astype("f4"), y.astype("f4"), losses.get("mse"))
            network.parameters -= np.float32(0.5) * network.gradients
        return network.parameters

    one, again = trained(), trained()
    assert one.tobytes() == again.tobytes()
    assert np.isfinite(one).all()
