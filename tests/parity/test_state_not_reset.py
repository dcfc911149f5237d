"""A recurrent state that lasts from one call to the next, in several styles of code."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from parity.reports.report import CheckReport, Outcome

Array = Any


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


class Reader:
    """A recurrent network that keeps ``h`` on itself; samples in rows, the mean of squares."""

    def __init__(self, resets: bool) -> None:
        rng = np.random.default_rng(0)
        self.resets = resets
        self.wx, self.wh, self.wy = (rng.normal(size=s) / 2 for s in ((3, 4), (4, 4), (4, 2)))
        self.h = np.zeros(4)

    def run(self, x: Array) -> Array:
        if self.resets:
            self.h = np.zeros((len(x), 4))
        self.states = [np.broadcast_to(self.h, (len(x), 4))]
        for t in range(x.shape[1]):
            self.states.append(np.tanh(x[:, t] @ self.wx + self.states[-1] @ self.wh))
        self.h = self.states[-1]
        return self.h @ self.wy

    def loss(self, x: Array, y: Array) -> float:
        return float(((self.run(x) - y) ** 2).sum() / 2 / len(x))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        d = (self.run(x) - y) / len(x)
        dwx, dwh, dwy = np.zeros((3, 4)), np.zeros((4, 4)), self.h.T @ d
        d = d @ self.wy.T
        for t in reversed(range(x.shape[1])):
            d = d * (1 - self.states[t + 1] ** 2)
            dwx, dwh = dwx + x[:, t].T @ d, dwh + self.states[t].T @ d
            d = d @ self.wh.T
        return [dwx, dwh, dwy]


def data(rng: np.random.Generator) -> Any:
    return rng.normal(size=(5, 3, 3)), rng.normal(size=(5, 2))


def as_a_class(resets: bool) -> CheckReport:
    net = Reader(resets)
    return parity.check(
        parity.Candidate(
            get_weights=lambda: [net.wx, net.wh, net.wy], loss=net.loss, gradients=net.gradients,
            data=data,
        ),
        keras=False,
    )  # fmt: skip


def as_functions(resets: bool) -> CheckReport:
    """The state in a closure, samples in columns, an update gate."""
    rng = np.random.default_rng(1)
    p = {"wz": rng.normal(size=(4, 7)) / 2, "wg": rng.normal(size=(4, 7)) / 2}
    memory = {"h": np.zeros((4, 1))}

    def forward(x: Array) -> list[Array]:
        h = np.zeros((4, x.shape[-1])) if resets else memory["h"] + np.zeros((4, x.shape[-1]))
        steps: list[Array] = []
        for row in x:
            joined = np.concatenate([h, row])
            z, g = sigmoid(p["wz"] @ joined), np.tanh(p["wg"] @ joined)
            steps.append((joined, z, g, h))
            h = z * h + (1 - z) * g
        memory["h"] = h
        return [h, steps]

    def loss(x: Array, y: Array) -> float:
        return float(((forward(x)[0] - y) ** 2).sum())

    def gradients(x: Array, y: Array) -> dict[str, Array]:
        h, steps = forward(x)
        dh, found = 2 * (h - y), {k: np.zeros_like(v) for k, v in p.items()}
        for joined, z, g, before in reversed(steps):
            dz, dg = dh * (before - g) * z * (1 - z), dh * (1 - z) * (1 - g * g)
            found["wz"] += dz @ joined.T
            found["wg"] += dg @ joined.T
            dh = dh * z + (p["wz"].T @ dz + p["wg"].T @ dg)[:4]
        return found

    def drawn(rng: np.random.Generator) -> Any:
        return rng.normal(size=(3, 3, 5)), rng.normal(size=(4, 5))

    return parity.check_gradients(loss, p, gradients, drawn)


def in_one_of_two(resets: bool) -> CheckReport:
    """The loss begins with zeros; the gradients go on from where they ended."""
    net, fresh = Reader(resets), Reader(True)
    fresh.wx, fresh.wh, fresh.wy = net.wx, net.wh, net.wy
    weights = [net.wx, net.wh, net.wy]
    return parity.check_gradients(fresh.loss, weights, net.gradients, data)


@pytest.mark.parametrize(
    ("make", "name"), [(as_a_class, "loss"), (as_functions, "loss"), (in_one_of_two, "gradients")]
)
def test_a_state_that_lasts_is_named(make: Callable[[bool], CheckReport], name: str) -> None:
    report = make(False)
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert [(f.code, f.where) for f in report.findings] == [("state-not-reset", name)]
    assert f"what {name} returns depends on the calls before it" in report.findings[0].title
    assert make(True).outcome is Outcome.RIGHT, str(make(True))


@pytest.mark.parametrize("kind", ["random", "counting", "every other"])
def test_what_is_no_state_is_not_called_one(kind: str) -> None:
    net, rng, calls = Reader(True), np.random.default_rng(2), [0]

    def loss(x: Array, y: Array) -> float:
        calls[0] += 1
        more = {"random": rng.normal(), "counting": 0.9 ** calls[0], "every other": calls[0] % 2}
        return net.loss(x, y) + 0.1 * more[kind]

    report = parity.check_gradients(loss, [net.wx, net.wh, net.wy], net.gradients, data)
    assert [f.code for f in report.findings] == ["nondeterministic"], str(report)


class Normalized:
    """5-4-3 with batch normalization; its loss may be that of training, or of prediction."""

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        self.w, self.v = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
        self.gamma, self.beta = rng.uniform(0.5, 1.5, 4), rng.normal(size=4)
        self.mean, self.variance = np.zeros(4), np.ones(4)

    def forward(self, x: Array, training: bool) -> tuple[Array, Array, Array, Array]:
        z = x @ self.w
        mean, variance = (z.mean(0), z.var(0)) if training else (self.mean, self.variance)
        if training:
            self.mean = 0.9 * self.mean + 0.1 * mean
            self.variance = 0.9 * self.variance + 0.1 * variance
        normal = (z - mean) / np.sqrt(variance + 1e-5)
        hidden = np.tanh(self.gamma * normal + self.beta)
        return hidden @ self.v, hidden, normal, np.sqrt(variance + 1e-5)

    def loss(self, x: Array, y: Array, training: bool = False) -> float:
        return 0.5 * float(((self.forward(x, training)[0] - y) ** 2).sum()) / len(x)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        output, hidden, normal, deviation = self.forward(x, True)
        d = (output - y) / len(x)
        below = d @ self.v.T * (1 - hidden**2)
        dn = below * self.gamma
        dz = (dn - dn.mean(0) - normal * (dn * normal).mean(0)) / deviation
        return [x.T @ dz, (below * normal).sum(0), below.sum(0), hidden.T @ d]


def of_a_mode(training: bool, factor: float = 1.0) -> CheckReport:
    net = Normalized()

    def gradients(x: Array, y: Array) -> list[Array]:
        first, *others = net.gradients(x, y)
        return [np.sign(first) * np.abs(first) ** factor, *others]

    def drawn(rng: np.random.Generator) -> Any:
        return rng.normal(size=(8, 5)), rng.normal(size=(8, 3))

    weights = [net.w, net.gamma, net.beta, net.v]
    return parity.check_gradients(lambda x, y: net.loss(x, y, training), weights, gradients, drawn)


def test_a_loss_by_moving_averages_is_no_ground_to_call_those_of_a_batch_wrong() -> None:
    report = of_a_mode(training=False)
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert [f.code for f in report.findings] == ["other-mode"], str(report)
    assert of_a_mode(training=True).outcome is Outcome.RIGHT
    assert of_a_mode(training=True, factor=1.1).outcome is Outcome.WRONG
