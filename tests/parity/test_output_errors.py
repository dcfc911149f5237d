"""Errors at the output that whole batches show, and what is said of the layers below."""

from collections.abc import Callable

import numpy as np
import pytest

import parity
from numpy_impl.types import Array

SIZES = (6, 5, 4)
Error = Callable[[Array, Array], Array]


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def network(output: Callable[[Array], Array], delta: Error, **declared) -> parity.Candidate:
    """A sigmoid layer and an output layer whose delta is ``delta(outputs, targets)``."""
    rng = np.random.default_rng(0)
    w1, b1 = rng.normal(size=SIZES[:2]), rng.normal(size=SIZES[1])
    w2, b2 = rng.normal(size=SIZES[1:]), rng.normal(size=SIZES[2])

    def hidden(x: Array) -> Array:
        return sigmoid(x @ w1 + b1)

    def gradients(x: Array, y: Array) -> list[Array]:
        h = hidden(x)
        d2 = delta(output(h @ w2 + b2), y)
        d1 = d2 @ w2.T * h * (1 - h)
        return [x.T @ d1, d1.sum(axis=0), h.T @ d2, d2.sum(axis=0)]

    return parity.Candidate(
        get_weights=lambda: [w1, b1, w2, b2],
        forward=lambda x: output(hidden(x) @ w2 + b2),
        gradients=gradients,
        **declared,
    )


def averaged(a: Array, y: Array) -> Array:
    return (a - y).mean(axis=0) * a * (1 - a) / len(a)


def overwritten(a: Array, y: Array) -> Array:
    a -= y
    return a * a * (1 - a) / len(a)


@pytest.mark.parametrize(
    ("output", "delta", "code"),
    [
        (sigmoid, averaged, "error-averaged"),
        (sigmoid, overwritten, "derivative-at-error"),
        (sigmoid, lambda a, y: (a / len(a) - y) * a * (1 - a), "outputs-divided"),
        (softmax, lambda a, y: a / len(a) - y, "outputs-divided"),
        (lambda z: z, lambda a, y: softmax(a) / len(a) - y, "outputs-divided"),
    ],
)
def test_a_wrong_error_is_named(output, delta: Error, code: str) -> None:
    report = parity.check(network(output, delta), keras=False)
    assert [f.code for f in report.findings] == [code], str(report)
    assert report.outcome is parity.Outcome.WRONG


def test_one_unknown_delta_does_not_blame_the_layers_below() -> None:
    unknown = network(sigmoid, lambda a, y: np.sin(7 * (a - y)) * a)
    report = parity.check(unknown, keras=False)
    (finding,) = report.findings
    assert finding.code == "unknown"
    assert "layer 2's delta" in finding.where
    assert "the layers below depend on it and are not judged" in finding.evidence
    # It may be the gradient of a loss that is not known; declared, it is not.
    assert report.outcome is parity.Outcome.UNKNOWN
    declared = network(sigmoid, lambda a, y: np.sin(7 * (a - y)) * a, loss="mean_squared_error")
    assert parity.check(declared, keras=False).outcome is parity.Outcome.WRONG


def test_one_array_for_two_layers_is_seen_though_it_is_copied_in_the_end() -> None:
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(5, 5)) for _ in range(2)]

    def gradients(x: Array, y: Array) -> list[Array]:
        h = sigmoid(x @ weights[0])
        a = sigmoid(h @ weights[1])
        sums = [np.zeros((5, 5))] * 2
        delta = (a - y) * a * (1 - a)
        sums[1] += h.T @ delta
        sums[0] += x.T @ (delta @ weights[1].T * h * (1 - h))
        return [total / len(x) for total in sums]

    candidate = parity.Candidate(
        get_weights=lambda: weights,
        forward=lambda x: sigmoid(sigmoid(x @ weights[0]) @ weights[1]),
        gradients=gradients,
    )
    report = parity.check(candidate, keras=False)
    assert report.outcome is parity.Outcome.WRONG
    assert report.findings[0].code == "aliasing"
