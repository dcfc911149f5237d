"""References as people write them, and a forward pass that scales its inputs."""

import numpy as np
import pytest

import parity
from keras_impl import keras
from numpy_impl.layers import Dense
from numpy_impl.network import Sequential
from numpy_impl.types import Array
from parity.checking.reference import resolve


def network(scale: float = 1.0, missing: bool = False) -> parity.Candidate:
    """ReLU and softmax with cross-entropy; ``missing`` leaves the scale out of the gradient."""
    rng = np.random.default_rng(0)
    w1, b1 = rng.normal(size=(6, 5)), rng.normal(size=5)
    w2, b2 = rng.normal(size=(5, 3)), rng.normal(size=3)

    def passed(x: Array) -> tuple[Array, Array]:
        h = np.maximum(x * scale @ w1 + b1, 0)
        e = np.exp(h @ w2 + b2)
        return h, e / e.sum(axis=1, keepdims=True)

    def gradients(x: Array, y: Array) -> list[Array]:
        h, a = passed(x)
        delta = (a - y) / len(x)
        hidden = delta @ w2.T * (h > 0)
        inputs = x if missing else x * scale
        return [inputs.T @ hidden, hidden.sum(axis=0), h.T @ delta, delta.sum(axis=0)]

    return parity.Candidate(
        get_weights=lambda: [w1, b1, w2, b2], forward=lambda x: passed(x)[1], gradients=gradients
    )


def test_a_sequential_model_without_its_input_is_a_reference() -> None:
    layers = [keras.layers.Dense(5, activation="relu"), keras.layers.Dense(3, "softmax")]
    report = parity.check(network(), keras.Sequential(layers, name="mine"))
    assert report.passed, str(report)
    assert "5-3 (relu, softmax)" in report.reference
    other = keras.Sequential([keras.layers.Dense(5, "tanh"), keras.layers.Dense(3, "softmax")])
    assert not parity.check(network(), other).passed


def test_a_dense_layer_on_each_row_is_no_reference() -> None:
    """Without Flatten, Keras applies the layer to each of two rows: another network."""
    rows = keras.Sequential([keras.Input((2, 3)), keras.layers.Dense(5), keras.layers.Dense(3)])
    report = parity.check(network(), rows)
    assert [finding.code for finding in report.findings] == ["weights-not-matched"]
    assert report.outcome is parity.Outcome.UNKNOWN
    with pytest.raises(ValueError, match=r"put Flatten before.* inputs of shape \(2, 3\)"):
        resolve(rows)


def test_inputs_that_forward_scales_are_no_bug_where_nothing_says_otherwise() -> None:
    report = parity.check(network(scale=1 / 255), keras=False)
    assert report.passed, str(report)
    assert any("inputs multiplied by 0.003922" in remark for remark in report.remarks)
    wrong = parity.check(network(scale=1 / 255, missing=True), keras=False)
    assert not wrong.passed
    assert "layer 1" in wrong.findings[0].where
    named = parity.check(
        network(scale=1 / 255), [keras.layers.Dense(5, "relu"), keras.layers.Dense(3, "softmax")]
    )
    assert [f.code for f in named.findings] == ["inputs-scaled"]


@pytest.mark.parametrize(("rates", "where"), [((0.4, 0.0), "layer 1"), ((0.4, 0.4), "layers with")])
def test_a_forward_that_scales_where_the_reference_drops_is_named(
    rates: tuple[float, float], where: str
) -> None:
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(6, 5)), rng.normal(size=(5, 4)), rng.normal(size=(4, 3))]
    layers: list[keras.layers.Layer] = []
    for units, rate in zip((5, 4), rates, strict=True):
        layers += [keras.layers.Dense(units, "tanh", use_bias=False), keras.layers.Dropout(rate)]
    layers.append(keras.layers.Dense(3, use_bias=False))

    def forward(x: Array, keep: tuple[float, ...] = (0.6, 1 - rates[1])) -> Array:
        for w, kept in zip(weights, keep, strict=False):
            x = np.tanh(x @ w) * kept
        return x @ weights[-1]

    candidate = parity.Candidate(get_weights=lambda: weights, forward=forward)
    report = parity.check(candidate, layers)
    assert [f.code for f in report.findings] == ["dropout-scaled"], str(report)
    assert "multiplies by 0.6 " in report.findings[0].title
    assert report.findings[0].where.startswith(where)


def test_references_that_are_no_chains_of_matrices_are_refused():
    x = keras.Input((4,))
    branches = keras.layers.Add()([keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)])
    with pytest.raises(ValueError, match=r"layers that follow one another\. Received: .* branch"):
        resolve(keras.Model(x, branches))
    with pytest.raises(
        ValueError, match=r"put Flatten before them\. Received: Dense on inputs of shape \(3, 4\)"
    ):
        resolve(Sequential([Dense(2)], (3, 4)))
