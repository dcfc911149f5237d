"""What shows only farther from the user's weights, where units are shut that are open near them."""

from typing import Any

import numpy as np
import pytest

import parity
from parity.reports.report import Outcome


class Open:
    """Two ReLUs whose biases keep them open for every sample near the weights."""

    def __init__(
        self, masked: bool = True, clip: float | None = None, epsilon: float = 0.0, bias: float = 4
    ):
        r = np.random.default_rng(3)
        self.weights = [r.normal(size=(3, 2)), np.full(2, bias), 0.3 * r.normal(size=(2, 3))]
        self.masked, self.clip, self.epsilon = masked, clip, epsilon

    def forward(self, x: Any) -> Any:
        w1, b1, w2 = self.weights
        self.z = x @ w1 + b1
        self.h = np.maximum(self.z, 0)
        e = np.exp(self.h @ w2)
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p

    def loss(self, x: Any, y: Any) -> Any:
        return -np.mean(np.sum(y * np.log(self.forward(x) + self.epsilon), axis=1))

    def gradients(self, x: Any, y: Any) -> Any:
        dz2 = (self.forward(x) - y) / len(x)
        dh = dz2 @ self.weights[2].T
        dz = dh * (self.z > 0) if self.masked else dh
        found = [x.T @ dz, dz.sum(axis=0), self.h.T @ dz2]
        if self.clip is not None:
            norm = np.sqrt(sum(np.sum(g**2) for g in found))
            found = [g * min(1.0, self.clip / norm) for g in found]
        return found


def checked(net: Open) -> parity.CheckReport:
    def data(rng: np.random.Generator) -> Any:
        return 0.5 * rng.normal(size=(4, 3)), np.eye(3)[rng.integers(0, 3, 4)]

    return parity.check(
        parity.Candidate(
            get_weights=lambda: net.weights, gradients=net.gradients, loss=net.loss, data=data
        )
    )


@pytest.mark.search
def test_a_derivative_that_is_missing_where_units_are_shut_is_seen():
    report = checked(Open(masked=False))
    assert report.outcome is Outcome.WRONG
    assert report.findings[0].code == "one-change", report
    assert "self.z > 0" in str(report.findings[0].values["new"])


@pytest.mark.parametrize(
    "options",
    [{}, {"epsilon": 1e-8}, {"clip": 5.0}, {"clip": 1.0}, {"clip": 0.5}],
    ids=["plain", "epsilon", "clip 5", "clip 1", "clip 0.5"],
)
def test_what_is_right_near_the_weights_is_not_accused_farther_off(options: dict[str, Any]):
    report = checked(Open(**options))
    assert report.outcome is not Outcome.WRONG, report
    if "clip" not in options:
        assert report.outcome is Outcome.RIGHT


def test_a_sample_that_reaches_no_weight_of_the_last_layer_is_no_division_by_zero():
    """Without a last bias the loss's derivative by an output is measured at a weight of it."""
    net = Open(bias=0.1)
    candidate = parity.Candidate(
        get_weights=lambda: net.weights, gradients=net.gradients, loss=net.loss, forward=net.forward
    )
    assert parity.check(candidate).outcome is Outcome.RIGHT


@pytest.mark.parametrize("masked", [True, False])
def test_gradients_that_are_read_off_steps_are_asked_there_too(masked: bool):
    net = Open(masked=masked)

    def step(x: Any, y: Any, learning_rate: float) -> None:
        for weight, gradient in zip(net.weights, net.gradients(x, y), strict=True):
            weight -= learning_rate * gradient

    def data(rng: np.random.Generator) -> Any:
        return 0.5 * rng.normal(size=(4, 3)), np.eye(3)[rng.integers(0, 3, 4)]

    candidate = parity.Candidate(
        get_weights=lambda: net.weights, step=step, loss=net.loss, data=data
    )
    assert parity.check(candidate).outcome is (Outcome.RIGHT if masked else Outcome.WRONG)


class Squeeze:
    """Squeeze and excitation, (N, C, H, W): the gate's ReLU is open for all that is drawn first."""

    def __init__(self, masked: bool):
        r = np.random.default_rng(0)
        self.masked = masked
        self.W1, self.W2 = r.normal(size=(2, 4)), r.normal(size=(4, 2))
        self.b1 = np.full(2, 2.0)

    def forward(self, x: Any) -> Any:
        self.x, self.s = x, x.mean(axis=(2, 3))
        self.h = np.maximum(self.s @ self.W1.T + self.b1, 0)
        self.g = 1 / (1 + np.exp(-self.h @ self.W2.T))
        return x * self.g[:, :, None, None]

    def backward(self, dout: Any) -> Any:
        dz = (dout * self.x).sum(axis=(2, 3)) * self.g * (1 - self.g)
        dh = dz @ self.W2
        self.dW2 = dz.T @ self.h
        at = dh * (self.h > 0)
        self.dW1, self.db1 = (at if self.masked else dh).T @ self.s, at.sum(axis=0)
        n = self.x.shape[2] * self.x.shape[3]
        return dout * self.g[:, :, None, None] + (at @ self.W1)[:, :, None, None] / n


@pytest.mark.parametrize("masked", [True, False])
def test_a_layer_is_asked_there_too(masked: bool):
    report = parity.check_layer(lambda: Squeeze(masked), inputs=(3, 4, 5, 2))
    assert report.outcome is (Outcome.RIGHT if masked else Outcome.WRONG), report
