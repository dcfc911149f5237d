"""Backpropagation through whole networks against complex step and central differences."""

import numpy as np
import pytest

from numpy_impl import losses
from numpy_impl.layers import Activation, Dense, Dropout, Flatten, Layer, Rescaling
from numpy_impl.losses import Loss
from numpy_impl.network import Sequential
from tests.numpy_impl import textbook
from tests.numpy_impl.textbook import unit

Masks = list[np.ndarray]


def _weights(network: Sequential, seed: int) -> Sequential:
    rng = np.random.default_rng(seed)
    network.set_weights([0.7 * rng.standard_normal(w.shape) for w in network.weights])
    return network


def _network(*layers: Layer, inputs: int | tuple[int, ...] = 5, seed: int = 1) -> Sequential:
    return _weights(Sequential(layers, inputs, dtype="float64"), seed)


def _data(network: Sequential, samples: int = 6, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (samples, *network.input_shape))
    outputs = network.output_shape[-1]
    return x, np.eye(outputs)[rng.integers(0, outputs, samples)]


def _masks(network: Sequential, samples: int) -> Masks:
    rng = np.random.default_rng(3)
    dropouts = [layer for layer in network.dropouts if isinstance(layer, Dropout)]
    return [rng.random((samples, *d.input_shape)) >= d.rate for d in dropouts]


def _errors(
    network: Sequential, loss: Loss, cost: str, masks: Masks | None = None, logits: bool = False
) -> tuple[float, list[float]]:
    """Return the error of the cost and of each gradient, in units of the rounding bound."""
    x, y = _data(network)
    targets = np.argmax(y, axis=1) if loss.sparse else y
    value, gradients = network.loss_and_gradients(x, targets, loss, masks)

    def textbook_cost(weights: list[np.ndarray]) -> complex:
        out = textbook.outputs(network, weights, x, masks or (), logits)
        return textbook.LOSSES[cost](y, out)

    exact = textbook.gradients(textbook_cost, network.weights)
    bound = textbook.roundoff(network, x)
    errors = [float(np.max(np.abs(g - e))) for g, e in zip(gradients, exact, strict=True)]
    off = abs(value - np.real(textbook_cost([w.astype(complex) for w in network.weights])))
    assert all(np.any(e) for e in exact)  # or the comparison would be empty
    return off / bound, [error / bound for error in errors]


def _assert_equal(*arguments, **options) -> None:
    off, errors = _errors(*arguments, **options)
    assert off <= 1
    assert max(errors) <= 1


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_every_loss_on_outputs(name: str) -> None:
    network = _network(Dense(4, "tanh"), Dense(3, "softmax"))
    _assert_equal(network, losses.get(name), name.removeprefix("sparse_"))


@pytest.mark.parametrize("name", [n for n in sorted(losses.LOSSES) if "crossentropy" in n])
def test_every_crossentropy_on_logits(name: str) -> None:
    network = _network(Dense(4, "sigmoid"), Dense(3))
    loss = losses.get(name, from_logits=True)
    _assert_equal(network, loss, name.removeprefix("sparse_") + "@logits")


@pytest.mark.parametrize("as_layer", [False, True])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", [n for n in sorted(losses.LOSSES) if "crossentropy" in n])
def test_every_fused_crossentropy(name: str, activation: str, as_layer: bool) -> None:
    # The last activation is left out of the cost, whichever it is, as on TensorFlow.
    last = [Dense(3), Activation(activation)] if as_layer else [Dense(3, activation)]
    network = _network(Dense(4, "tanh"), *last)
    loss = losses.get(name, fused=True)
    _assert_equal(network, loss, name.removeprefix("sparse_") + "@logits", logits=True)


@pytest.mark.parametrize("activation", sorted(set(textbook.ACTIVATIONS) - {"exponential"}))
def test_every_activation_inside_a_network(activation: str) -> None:
    network = _network(Dense(6, activation), Dense(4, "tanh"), Dense(2, activation))
    _assert_equal(network, losses.Quadratic(), "quadratic")


MIXED = {
    "dropout": (5, lambda: [Dense(6, "tanh"), Dropout(0.5), Dense(3, "softmax")]),
    "dropout first": (5, lambda: [Dropout(0.2), Dense(3, "sigmoid")]),
    "two dropouts": (
        5,
        lambda: [Dense(6, "tanh"), Dropout(0.25), Dense(6, "tanh"), Dropout(0.5), Dense(3)],
    ),
    "flatten": ((2, 3), lambda: [Flatten(), Dense(4, "tanh"), Dense(3, "softmax")]),
    "rescaling": (5, lambda: [Rescaling(0.5, -0.25), Dense(4, "tanh"), Rescaling(3.0), Dense(3)]),
    "activations": (
        5,
        lambda: [Activation("tanh"), Dense(4), Activation("softplus"), Dense(3), Activation("elu")],
    ),
    "no biases": (
        5,
        lambda: [Dense(6, "tanh", use_bias=False), Dense(3, "softmax", use_bias=False)],
    ),
    "everything": (
        (2, 2),
        lambda: [
            Rescaling(2.0, 0.5), Flatten(), Dense(5, "silu", use_bias=False), Dropout(0.5),
            Activation("tanh"), Dense(3), Activation("softmax"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MIXED)
def test_every_layer_inside_a_network(kind: str) -> None:
    inputs, layers = MIXED[kind]
    network = _network(*layers(), inputs=inputs)
    masks = _masks(network, samples=6)
    for mask in masks:
        assert 0 < mask.mean() < 1
    _assert_equal(network, losses.Quadratic(), "quadratic", masks=masks)


@pytest.mark.parametrize("kind", MIXED)
def test_gradient_with_respect_to_the_input(kind: str) -> None:
    inputs, layers = MIXED[kind]
    network = _network(*layers(), inputs=inputs)
    x, y = _data(network)
    masks = _masks(network, len(x))
    out = network.forward(x, training=True, masks=masks)
    delta = losses.Quadratic().gradient(out, y)
    for layer in reversed(network.layers):
        delta = layer.backward(delta)

    def cost(at: list[np.ndarray]) -> complex:
        return textbook.LOSSES["quadratic"](
            y, textbook.outputs(network, network.weights, at[0], masks)
        )

    assert np.max(np.abs(delta - textbook.gradients(cost, [x])[0])) <= textbook.roundoff(network, x)


class _Wrong(Dense):
    """A dense layer with a bug in its backward pass."""

    def __init__(self, bug: str) -> None:
        super().__init__(4, "tanh")
        self.bug = bug

    def backward(self, delta: np.ndarray, input_gradient: bool = True) -> np.ndarray:
        if self.bug == "derivative left out":
            self.given_logits_gradient = True
        passed = super().backward(delta, input_gradient)
        if self.bug == "sum instead of mean":
            self.bias_gradient *= len(delta)
        if self.bug == "one element, 1e-9 off":
            self.kernel_gradient[2, 1] *= 1 + 1e-9
        return passed


@pytest.mark.parametrize(
    "bug", ["derivative left out", "sum instead of mean", "one element, 1e-9 off"]
)
def test_a_planted_bug_is_seen(bug: str) -> None:
    network = _network(_Wrong(bug), Dense(3, "softmax"))
    _, errors = _errors(network, losses.Quadratic(), "quadratic")
    assert max(errors) > 1


def _slope(network: Sequential, loss: Loss, masks: Masks, way: np.ndarray) -> tuple[float, float]:
    """Return the cost's slope along ``way`` by central differences, and a bound on its error.

    D(h) = C' + c h^2 + O(h^4): D(h/2) is off by (D(h) - D(h/2)) / 3, here taken threefold for the
    O(h^4); each of its two costs is off by ``roundoff``, which is divided by h.
    """
    x, y = _data(network)
    start = network.parameters.copy()

    def cost(distance: float) -> float:
        network.parameters[:] = start + distance * way
        outputs = network.forward(x, training=True, masks=masks)
        return loss.value(network.loss_input(outputs, loss), y)

    h = 1e-3
    wide = (cost(h) - cost(-h)) / (2 * h)
    near = (cost(h / 2) - cost(-h / 2)) / h
    network.parameters[:] = start
    return near, abs(wide - near) + 2 * textbook.roundoff(network, x) / h


@pytest.mark.parametrize("name", ["quadratic", "categorical_crossentropy", "binary_crossentropy"])
@pytest.mark.parametrize("seed", range(4))
def test_random_networks_agree_with_their_own_cost(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    for _ in range(rng.integers(1, 4)):
        activation = str(rng.choice(["tanh", "sigmoid", "softplus", "silu", "gelu", "mish"]))
        layers += [Dense(int(rng.integers(2, 7)), activation, use_bias=bool(rng.integers(2)))]
        layers += [Dropout(0.3)] * int(rng.integers(2))
    network = _network(*layers, Dense(3, "softmax"), seed=seed)
    loss = losses.get(name, **({} if name == "quadratic" else {"fused": bool(seed % 2)}))
    x, y = _data(network)
    masks = _masks(network, len(x))
    network.loss_and_gradients(x, y, loss, masks)
    gradient = network.gradients.copy()
    way = rng.standard_normal(gradient.size)
    way /= np.linalg.norm(way)
    slope, bound = _slope(network, loss, masks, way)
    assert abs(gradient @ way - slope) <= bound
    # Sharp enough to see one part in a thousand of a gradient of this size.
    assert bound < 1e-3 * np.linalg.norm(gradient)


def test_fused_equals_unfused_where_nothing_is_clipped() -> None:
    # Both are p - y at the logits; unfused it goes through y / p, at most 1 / 0.01 here.
    network = _network(Dense(4, "tanh"), Dense(3, "softmax"))
    x, y = _data(network)
    assert network.forward(x).min() > 0.01
    found = []
    for fused in (False, True):
        value, gradients = network.loss_and_gradients(
            x, y, losses.CategoricalCrossentropy(fused=fused)
        )
        found.append((value, [g.copy() for g in gradients]))
    bound = 100 * textbook.roundoff(network, x)
    assert abs(found[0][0] - found[1][0]) <= bound
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert np.max(np.abs(one - other)) <= bound


def test_fused_goes_on_where_the_clipped_form_stops() -> None:
    # Logits (30, 0), true class 1: p_true = 9e-14 is clipped, so its gradient is 0; fused it is
    # p - y = (1, -1).
    for fused, expected in ((False, [0.0, 0.0]), (True, [1.0, -1.0])):
        network = Sequential([Dense(2, "softmax", use_bias=False)], 1, dtype="float64")
        network.set_weights([np.array([[30.0, 0.0]])])
        _, gradients = network.loss_and_gradients(
            np.ones((1, 1)), np.array([[0.0, 1.0]]), losses.CategoricalCrossentropy(fused=fused)
        )
        assert np.max(np.abs(gradients[0] - expected)) <= 2e-13  # 1 - p = 9e-14


def test_fused_needs_logits() -> None:
    network = _network(Dense(3, "tanh"))
    x, y = _data(network)
    with pytest.raises(ValueError, match=r"A fused loss expects .* softmax or sigmoid\.") as caught:
        network.loss_and_gradients(x, y, losses.CategoricalCrossentropy(fused=True))
    assert "Received: Dense with {'units': 3, 'activation': 'tanh'" in str(caught.value)


def test_float32_gradients_are_the_float64_ones_rounded() -> None:
    network = _network(Dense(4, "tanh"), Dense(3, "softmax"))
    single = Sequential([Dense(4, "tanh"), Dense(3, "softmax")], 5, dtype="float32")
    single.set_weights(network.weights)
    network.set_weights(single.weights)  # the same numbers in both
    x, y = _data(network)
    x = x.astype("float32")
    loss = losses.Quadratic()
    wide, narrow = (n.loss_and_gradients(x, y, loss)[1] for n in (network, single))
    bound = textbook.roundoff(network, x) * unit("float32") / unit()
    for exact, rounded in zip(wide, narrow, strict=True):
        assert rounded.dtype == "float32"
        assert np.max(np.abs(exact - rounded)) <= bound
