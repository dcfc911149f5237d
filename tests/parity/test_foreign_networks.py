"""Networks of scikit-learn and PyTorch: their NumPy networks compute what they compute."""

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.signal import correlate
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

import parity
from numpy_impl import layers
from numpy_impl.layers import Layer
from numpy_impl.network import Sequential
from parity.bounds import analyse_outputs
from parity.comparing.foreign import of_scikit_learn
from parity.comparing.rows import Verdict, compare_tensors


def assert_same(network: Sequential, x: np.ndarray, expected: np.ndarray) -> None:
    """Raise unless outputs are a network's up to rounding."""
    bound = analyse_outputs(network, x)[-1]
    row = compare_tensors("forward", "outputs", expected, network.predict(x), bound)
    assert row.verdict in (Verdict.IDENTICAL, Verdict.ROUNDING), row


def fitted(estimator: Any, targets: Any, dtype: str = "float64") -> tuple[Any, np.ndarray]:
    """Return an estimator after three epochs, and its inputs."""
    x = np.random.default_rng(0).standard_normal((40, 5)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.set_params(max_iter=3, random_state=0).fit(x, targets(x)), x


# scikit-learn


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_a_classifier_of_scikit_learn(activation: str) -> None:
    made = MLPClassifier((7, 4), activation=activation)
    estimator, x = fitted(made, lambda x: np.argmax(x[:, :3], axis=1))
    assert_same(parity.numpy_twin(estimator), x, estimator.predict_proba(x))


def test_two_classes_and_a_regression_of_scikit_learn() -> None:
    estimator, x = fitted(MLPClassifier((6,)), lambda x: x[:, 0] > 0, "float32")
    network = parity.numpy_twin(estimator)
    assert network.dtype == np.float32
    assert_same(network, x, estimator.predict_proba(x)[:, 1:])
    estimator, x = fitted(MLPRegressor(hidden_layer_sizes=(6,)), lambda x: x[:, 0])
    assert_same(parity.numpy_twin(estimator), x, estimator.predict(x)[:, None])


def test_a_wrong_weight_of_scikit_learn_is_seen() -> None:
    estimator, x = fitted(MLPRegressor(hidden_layer_sizes=(6,)), lambda x: x[:, :2])
    expected = estimator.predict(x)
    estimator.coefs_[0][2, 3] *= 1 + 1e-9
    with pytest.raises(AssertionError, match="DIFFERENT"):
        assert_same(parity.numpy_twin(estimator), x, expected)


def test_an_unknown_activation_of_scikit_learn_is_named() -> None:
    estimator, _ = fitted(MLPRegressor(hidden_layer_sizes=(6,)), lambda x: x[:, :2])
    estimator.out_activation_ = "swish"
    with pytest.raises(ValueError, match="Received: swish"):
        of_scikit_learn(estimator)


# PyTorch: its formulas are written out here as its documentation has them, channels first


def _convolution(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    outputs = [[sum(correlate(sample[c], kernel[c], "valid") for c in range(len(sample)))
                for kernel in weight] for sample in x]  # fmt: skip
    return np.array(outputs) + bias.reshape(1, -1, *(1,) * (x.ndim - 2))


def _normalization(x: np.ndarray, state: dict[str, np.ndarray], name: str) -> np.ndarray:
    gamma, beta, mean, variance = (
        state[f"{name}.{part}"].reshape(1, -1, *(1,) * (x.ndim - 2))
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def picture_state() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "0.weight": rng.standard_normal((4, 2, 3, 3)),
        "0.bias": rng.standard_normal(4),
        "1.weight": rng.standard_normal(4),
        "1.bias": rng.standard_normal(4),
        "1.running_mean": rng.standard_normal(4),
        "1.running_var": rng.uniform(0.5, 2, 4),
        "1.num_batches_tracked": np.array(7),
        "4.weight": rng.standard_normal((3, 4 * 4 * 3)),
        "4.bias": rng.standard_normal(3),
    }


def picture_network(first: bool = False) -> Sequential:
    order, axis = ("channels_first", 1) if first else ("channels_last", -1)
    stack: list[Layer] = [
        layers.Conv2D(4, 3, data_format=order),
        layers.BatchNormalization(axis, epsilon=1e-5),
        layers.Activation("relu"),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(3),
    ]
    return Sequential(stack, (2, 6, 5) if first else (6, 5, 2), dtype="float64")


@pytest.mark.parametrize("first", [False, True])
def test_pictures_of_a_torch_module(first: bool) -> None:
    state, network = picture_state(), picture_network(first)
    x = np.random.default_rng(2).standard_normal((3, 2, 6, 5))
    a = np.maximum(
        _normalization(_convolution(x, state["0.weight"], state["0.bias"]), state, "1"), 0
    )
    expected = a.reshape(3, -1) @ state["4.weight"].T + state["4.bias"]
    parity.load_state_dict(network, state)
    assert_same(network, x if first else np.moveaxis(x, 1, -1), expected)


def test_sequences_and_vectors_of_a_torch_module() -> None:
    rng = np.random.default_rng(3)
    state = {
        "conv.weight": rng.standard_normal((3, 2, 4)),
        "conv.bias": rng.standard_normal(3),
        "linear.weight": rng.standard_normal((5, 3 * 6)),
        "last.weight": rng.standard_normal((2, 5)),
        "last.bias": rng.standard_normal(2),
    }
    stack: list[Layer] = [
        layers.Conv1D(3, 4), layers.Flatten(), layers.Dense(5, "tanh", use_bias=False),
        layers.Dense(2),
    ]  # fmt: skip
    network = Sequential(stack, (9, 2), dtype="float64")
    x = rng.standard_normal((4, 2, 9))
    z = _convolution(x, state["conv.weight"], state["conv.bias"]).reshape(4, -1)
    hidden = np.tanh(z @ state["linear.weight"].T)
    parity.load_state_dict(network, state)
    expected = hidden @ state["last.weight"].T + state["last.bias"]
    assert_same(network, np.moveaxis(x, 1, -1), expected)


def test_grey_pictures_that_are_flattened_at_once_keep_their_order() -> None:
    rng = np.random.default_rng(4)
    state = {"1.weight": rng.standard_normal((2, 12)), "1.bias": rng.standard_normal(2)}
    stack: list[Layer] = [layers.Flatten(), layers.Dense(2)]
    network = Sequential(stack, (3, 4), dtype="float64")
    parity.load_state_dict(network, state)
    x = rng.standard_normal((5, 3, 4))
    assert_same(network, x, x.reshape(5, 12) @ state["1.weight"].T + state["1.bias"])


def _without(state: dict, name: str) -> dict:
    return {k: v for k, v in state.items() if k != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: _without(s, "0.bias"), "Expected bias for 0/bias. Received: 1.weight"),
        (lambda s: _without(s, "4.bias"), "Expected bias for 5/bias. Received: no further array"),
        (lambda s: s | {"5.weight": np.ones(2)}, "Received: 5.weight"),
        (
            lambda s: s | {"4.weight": np.ones((3, 5))},
            r"makes 5/kernel \(48, 3\). Received: \(3, 5",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_named(change, message: str) -> None:
    network = picture_network()
    with pytest.raises(ValueError, match=message):
        parity.load_state_dict(network, change(picture_state()))
    assert not network.parameters.any()


def test_a_layer_that_torch_has_otherwise_is_named() -> None:
    network = Sequential([layers.LSTM(2)], (3, 4))
    with pytest.raises(ValueError, match=r"which PyTorch keeps likewise\. Received: LSTM '0'"):
        parity.load_state_dict(network, {})
