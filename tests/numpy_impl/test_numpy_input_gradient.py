"""The gradient of outputs by inputs: against complex step, differences and Keras."""

from collections.abc import Callable

import numpy as np
import pytest

from numpy_impl import Call, Functional, Sequential, layers
from numpy_impl.functional import AnyNetwork
from numpy_impl.input_gradient import input_gradient

EPS = float(np.finfo(np.float64).eps)


def _sequential(*stack: layers.Layer, inputs: tuple[int, ...]) -> Sequential:
    network = Sequential(stack, inputs, dtype="float64")
    rng = np.random.default_rng(1)
    network.set_weights([rng.uniform(0.1, 0.9, w.shape) - 0.4 for w in network.weights])
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance[...] = rng.uniform(0.5, 2, layer.moving_variance.shape)
    return network


def _branching() -> Functional:
    return Functional(
        {"x": 6},
        [
            Call("first", layers.Dense(5, "tanh"), ("x",)),
            Call("second", layers.Dense(5, "sigmoid"), ("first",)),
            Call("sum", layers.Add(), ("first", "second")),
            Call("last", layers.Dense(3, "softmax"), ("sum",)),
        ],
        ["last"],
        np.random.default_rng(2),
        "float64",
    )


NETWORKS: dict[str, Callable[[], AnyNetwork]] = {
    "dense": lambda: _sequential(
        layers.Dense(7, "tanh"), layers.Dense(3, "softmax"), inputs=(6,)
    ),
    "large enough to leave out zeros": lambda: _sequential(
        layers.Dense(400, "tanh"), layers.Dense(3, "sigmoid"), inputs=(300,)
    ),
    "scaled, with dropout": lambda: _sequential(
        layers.Rescaling(0.25, -0.5), layers.Flatten(), layers.Dense(6, "sigmoid"),
        layers.Dropout(0.5), layers.Dense(3, "softmax"), inputs=(4, 4),
    ),
    "convolution": lambda: _sequential(
        layers.Reshape((6, 6, 1)), layers.Conv2D(3, 3, activation="tanh"),
        layers.BatchNormalization(), layers.AveragePooling2D(2), layers.Flatten(),
        layers.Dense(3, "softmax"), inputs=(6, 6),
    ),
    "branches": _branching,
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_derivative(name: str):
    network = NETWORKS[name]()
    rng = np.random.default_rng(3)
    shape = network.shapes[network.input_names[0]]
    x = rng.uniform(-1, 1, (4, *shape))
    x[:, ..., : shape[-1] // 2] *= rng.integers(0, 2)  # zeros for all, in some networks
    dout = rng.normal(size=(4, 3))
    before = network.forward(x).copy()
    gradient = input_gradient(network, x, dout)
    assert gradient.shape == x.shape
    np.testing.assert_array_equal(network.forward(x), before)  # left as it was
    for _ in range(5):
        step = rng.normal(size=x.shape)
        step /= np.linalg.norm(step)
        # The fourth-order difference: its error is far below h^4 plus rounding / h.
        h = 1e-3

        def along(t: float, step: np.ndarray = step) -> float:
            return float(np.sum(network.forward(x + t * step) * dout))

        slope = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
        assert abs(slope - float(np.sum(gradient * step))) < 100 * h**4 + 1e4 * EPS / h


def test_weights_are_left_alone_and_training_goes_on():
    network = NETWORKS["dense"]()
    weights = network.get_weights()
    input_gradient(network, np.ones((2, 6)), np.ones((2, 3)))
    for own, kept in zip(network.weights, weights, strict=True):
        np.testing.assert_array_equal(own, kept)
    assert network.layers[0].sees_data


def test_several_inputs_and_other_shapes_are_refused():
    network = NETWORKS["dense"]()
    with pytest.raises(ValueError, match=r"shapes \(2, 6\) and \(2, 3\)"):
        input_gradient(network, np.ones((2, 6)), np.ones((2, 4)))
    two = Functional(
        {"a": 2, "b": 2}, [Call("sum", layers.Add(), ("a", "b"))], ["sum"], dtype="float64"
    )
    with pytest.raises(ValueError, match=r"one input and one output\. Received: 2 and 1"):
        input_gradient(two, np.ones((1, 2)), np.ones((1, 2)))
