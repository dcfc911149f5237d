"""Losses that add a little to what they take the logarithm of: gradients are of log(p) alone."""

from typing import Any

import numpy as np
import pytest

import parity
from parity.reports.report import Outcome

EPS = 1e-8


class Guarded:
    """tanh and softmax; cross-entropy with a guard inside its logarithm."""

    guard = 1e-7

    def __init__(self, wrong: str = "") -> None:
        r = np.random.default_rng(1)
        self.W1, self.b1 = r.normal(size=(3, 4)), 0.1 * r.normal(size=4)
        self.W2, self.b2 = r.normal(size=(4, 3)), 0.1 * r.normal(size=3)
        self.wrong = wrong

    def forward(self, x: Any) -> Any:
        self.h = np.tanh(x @ self.W1 + self.b1)
        e = np.exp(self.h @ self.W2 + self.b2)
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, x: Any, y: Any) -> Any:
        return -np.mean(np.sum(y * np.log(self.forward(x) + self.guard), axis=1))

    def gradients(self, x: Any, y: Any) -> Any:
        dz = (self.forward(x) - y) / len(x)
        slope = 1 - self.h if self.wrong == "slope" else 1 - self.h**2
        dh = dz @ self.W2.T * slope
        dW2 = self.h.T @ dz
        return x.T @ dh, dh.sum(axis=0), 2 * dW2 if self.wrong == "factor" else dW2, dz.sum(axis=0)


class OfModule(Guarded):
    """The guard is the module's."""

    def loss(self, x: Any, y: Any) -> Any:
        return -(y * np.log(EPS + self.forward(x))).sum() / len(x)


def looked_at(x: Any) -> None:
    del x


class Looking(Guarded):
    """The loss calls a function in which nothing is computed."""

    def loss(self, x: Any, y: Any) -> Any:
        looked_at(x)
        return super().loss(x, y)


class Smoothed(Guarded):
    """What is added is no little: it belongs to the loss, and the gradients forget it."""

    guard = 0.1


class Exact(Guarded):
    """The gradients have the guard as the loss has it."""

    guard = 1e-3

    def gradients(self, x: Any, y: Any) -> Any:
        p = self.forward(x)
        dp = -y / (p + self.guard) / len(x)
        dz = p * (dp - (dp * p).sum(axis=1, keepdims=True))
        slope = 1 - self.h if self.wrong == "slope" else 1 - self.h**2
        dh = dz @ self.W2.T * slope
        return x.T @ dh, dh.sum(axis=0), self.h.T @ dz, dz.sum(axis=0)


def checked(net: Guarded, **more: Any) -> parity.CheckReport:
    def data(rng: np.random.Generator) -> Any:
        return rng.normal(size=(5, 3)), np.eye(3)[rng.integers(0, 3, 5)]

    return parity.check(
        parity.Candidate(
            get_weights=lambda: [net.W1, net.b1, net.W2, net.b2], gradients=net.gradients,
            loss=net.loss, data=data, **more,
        )
    )  # fmt: skip


@pytest.mark.parametrize("kind", [Guarded, OfModule, Exact, Looking])
def test_gradients_of_the_loss_without_its_guard_are_right_and_the_report_says_so(kind: Any):
    net = kind()
    before = type(net).loss.__code__
    report = checked(net)
    assert report.outcome is Outcome.RIGHT, report
    said = [remark for remark in report.remarks if remark.startswith("Loss: it takes logarithms")]
    assert len(said) == (kind is not Exact)
    assert all(("EPS" if kind is OfModule else "self.guard") in remark for remark in said)
    assert type(net).loss.__code__ is before


def test_what_is_no_little_belongs_to_the_loss():
    assert checked(Smoothed()).outcome is Outcome.WRONG


@pytest.mark.search
@pytest.mark.parametrize("kind", [Guarded, Exact])
def test_a_wrong_line_is_found_beside_a_guard(kind: Any):
    report = checked(kind("slope"))
    assert report.outcome is Outcome.WRONG
    assert report.findings[0].code == "one-change", report
    new = str(report.findings[0].values["new"])
    assert "1 - self.h * self.h" in new or "1 - self.h ** 2 if" in new
    assert report.findings[0].where == "weights[0], weights[1]"


def test_a_factor_is_told_beside_a_guard():
    report = checked(Guarded("factor"))
    assert [(f.code, f.where) for f in report.findings] == [("factor", "weights[2]")], report


def test_the_same_with_forward_and_samples_of_ones_own():
    net = Guarded()
    assert checked(net, forward=net.forward).outcome is Outcome.RIGHT


def test_steps_alone_beside_a_guard():
    net = Guarded()
    weights = [net.W1, net.b1, net.W2, net.b2]

    def step(x: Any, y: Any, learning_rate: float) -> None:
        for weight, gradient in zip(weights, net.gradients(x, y), strict=True):
            weight -= learning_rate * gradient

    def data(rng: np.random.Generator) -> Any:
        return rng.normal(size=(5, 3)), np.eye(3)[rng.integers(0, 3, 5)]

    candidate = parity.Candidate(get_weights=lambda: weights, step=step, loss=net.loss, data=data)
    report = parity.check(candidate)
    assert report.outcome is Outcome.RIGHT, report
    assert any(remark.startswith("Loss: it takes logarithms") for remark in report.remarks)
