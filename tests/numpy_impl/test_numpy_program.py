"""A training runs from a record what its first step did: that must be what each step would do."""

import functools

import numpy as np
import pytest

from numpy_impl import activations, losses, optimizers, training
from numpy_impl.layers import Activation, Dense, Dropout, Flatten, Layer, Rescaling
from numpy_impl.network import Sequential
from numpy_impl.program import Do, Program, now, recordable
from numpy_impl.types import Array, Precision

# Two steps of one length, two of another, then the first again.
BATCHES = [np.arange(*ends) for ends in ((0, 6), (6, 12), (12, 15), (15, 18), (18, 24))]


def test_a_program_repeats_its_calls_in_order_on_what_is_there_then() -> None:
    a, b = np.array([1.0, 2.0]), np.zeros(2)
    do = Program()
    assert do(np.add, a, 1, out=b) is b
    assert do(np.sum, b) == 5
    do(np.multiply, b, b, out=b)
    np.testing.assert_array_equal(b, [4, 9])
    a[:] = [2, -1]
    do.run()
    np.testing.assert_array_equal(b, [9, 0])


@pytest.mark.parametrize("do", [now, Program()])
@pytest.mark.parametrize("function", [np.add, np.maximum, np.dot, np.matmul])
def test_out_is_written_however_it_is_handed_on(function: np.ufunc, do: Do) -> None:
    a, out = np.array([[1.0, 2.0], [3.0, 4.0]]), np.empty((2, 2))
    assert do(function, a, a, out=out) is out
    np.testing.assert_array_equal(out, function(a, a))


def test_an_error_is_raised_by_the_call_that_makes_it() -> None:
    with pytest.raises(ValueError, match="shapes"):
        Program()(np.dot, np.ones((2, 3)), np.ones((2, 3)))


def _by_steps(
    network: Sequential, loss: losses.Loss, optimizer: optimizers.Optimizer, x: Array, y: Array
) -> None:
    for batch in BATCHES:
        network.loss_and_gradients(x[batch], y[batch], loss)
        optimizer.apply(network.gradients, network.parameters)


def _trained_both_ways(layers: list[Layer], loss: losses.Loss, dtype: Precision) -> list[Array]:
    """Return the parameters after the same five steps, recorded and each by itself."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(24, 2, 6)).astype(dtype)
    y = np.eye(4, dtype=dtype)[rng.integers(4, size=24)]
    one = Sequential(layers, (2, 6), np.random.default_rng(0), dtype)
    other, before = one.clone(), one.clone()
    for dropout, twin in zip(one.dropouts, other.dropouts, strict=True):
        dropout.rng, twin.rng = np.random.default_rng(7), np.random.default_rng(7)
    training.train_epoch(one, loss, optimizers.get("adam"), x, y, BATCHES)
    _by_steps(other, loss, optimizers.get("adam"), x, y)
    assert (one.parameters != before.parameters).any()
    return [one.parameters, other.parameters]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(activations.ACTIVATIONS))
def test_the_record_of_every_activation_is_complete(name: str, dtype: Precision) -> None:
    layers = [Flatten(), Dense(5, name), Dense(5, "tanh"), Activation(name), Dense(4, name)]
    one, other = _trained_both_ways(layers, losses.get("mean_squared_error"), dtype)
    np.testing.assert_array_equal(one, other)


LOSSES = {
    "quadratic": losses.Quadratic(),
    "mean_absolute_error": losses.MeanAbsoluteError(),
    "clipped": losses.CategoricalCrossentropy(),
    "from logits": losses.CategoricalCrossentropy(from_logits=True),
    "fused": losses.CategoricalCrossentropy(fused=True),
    "fused, linked to another": losses.BinaryCrossentropy(fused=True),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("last", ["softmax", "activation of its own"])
def test_the_record_of_every_loss_and_layer_is_complete(loss: losses.Loss, last: str) -> None:
    end = [Dense(4, "softmax")] if last == "softmax" else [Dense(4), Activation("softmax")]
    layers = [Rescaling(0.5, -0.1), Flatten(), Dense(7, "tanh", use_bias=False), Dropout(0.4)]
    one, other = _trained_both_ways(
        [*layers, Dense(5, "relu"), Dropout(0.2), *end], loss, "float64"
    )
    np.testing.assert_array_equal(one, other)


def test_a_large_first_layer_looks_anew_for_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpy_impl.layers.dense.LARGE", 1)
    rng = np.random.default_rng(5)
    x, y = np.zeros((24, 30)), np.eye(4)[rng.integers(4, size=24)]
    for row in x:
        row[rng.integers(30, size=3)] = 1
    one = Sequential([Dense(6, "relu"), Dense(4, "softmax")], 30, rng, "float64")
    other = one.clone()
    loss = losses.CategoricalCrossentropy(fused=True)
    training.train_epoch(one, loss, optimizers.get("sgd"), x, y, BATCHES)
    _by_steps(other, loss, optimizers.get("sgd"), x, y)
    np.testing.assert_array_equal(one.parameters, other.parameters)


@recordable
class Unrecorded(Dense):
    """A layer that computes in the first step only: what the tests of records are there to find."""

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        a = super().forward(x, training, mask, do)
        a *= 2
        return a


@recordable
class Recorded(Unrecorded):
    """The same layer, right."""

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        a = Dense.forward(self, x, training, mask, do)
        do(np.multiply, a, 2, out=a)
        return a


class Naive(Dense):
    """A layer as somebody writes it who has not read of ``do``; it counts its calls."""

    calls = 0

    def forward(self, x: Array, training: bool = False) -> Array:  # type: ignore[override]
        self.calls += training
        return super().forward(x, training)

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:  # type: ignore[override]
        delta = super().backward(delta, input_gradient)
        self.kernel_gradient += 0.1 * self.kernel
        return delta


class Careless(Naive):
    """One that takes ``do`` since the others do, and makes nothing of it."""

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        return super().forward(x, training)

    def backward(self, delta: Array, input_gradient: bool = True, do: Do = now) -> Array:
        return super().backward(delta, input_gradient)


@pytest.mark.parametrize("kind", [Naive, Careless])
@pytest.mark.parametrize("place", ["hidden", "last"])
def test_a_layer_of_ones_own_is_computed_in_every_step(kind: type[Naive], place: str) -> None:
    own = kind(5, "tanh") if place == "hidden" else kind(4, "softmax")
    loss = losses.CategoricalCrossentropy(fused=True)
    layers = [own, Dense(4, "softmax")] if place == "hidden" else [Dense(5, "tanh"), own]
    one, other = _trained_both_ways([Flatten(), *layers], loss, "float64")
    np.testing.assert_array_equal(one, other)
    assert own.calls == len(BATCHES)
    plain, _ = _trained_both_ways(
        [Flatten(), Dense(5, "tanh"), Dense(4, "softmax")], loss, "float64"
    )
    assert (one != plain).any()


class Doubled(activations.ActivationFunction):
    """An activation of one's own that computes without ``do``."""

    def __call__(self, z: Array, out: Array | None = None, do: Do = now) -> Array:
        if out is None:
            return 2 * z
        out[...] = 2 * z
        return out


def test_an_activation_of_ones_own_is_computed_in_every_step() -> None:
    doubled = Doubled("doubled", lambda z: 2 * z, lambda z, a: 2 + 0 * z)
    for layers in ([Dense(5, doubled)], [Dense(5), Activation(doubled)]):
        one, other = _trained_both_ways(
            [Flatten(), *layers, Dense(4)], losses.Quadratic(), "float64"
        )
        np.testing.assert_array_equal(one, other)


def test_what_is_left_out_of_the_record_is_seen() -> None:
    train = functools.partial(_trained_both_ways, loss=losses.Quadratic(), dtype="float64")
    one, other = train([Flatten(), Unrecorded(5), Dense(4)])
    assert (one != other).any()
    one, other = train([Flatten(), Recorded(5), Dense(4)])
    np.testing.assert_array_equal(one, other)


def test_inputs_of_another_dtype_are_the_networks_in_every_step() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random((24, 5)), np.eye(3, dtype="float32")[rng.integers(3, size=24)]
    one = Sequential([Dense(3, "sigmoid")], 5, rng, "float32")
    other = one.clone()
    training.train_epoch(one, losses.Quadratic(), optimizers.get("sgd"), x, y, BATCHES)
    _by_steps(other, losses.Quadratic(), optimizers.get("sgd"), x, y)
    np.testing.assert_array_equal(one.parameters, other.parameters)
