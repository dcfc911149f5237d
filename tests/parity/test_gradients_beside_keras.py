"""Gradients beside a Keras model of other than dense layers: the wrong tensor is named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from parity.candidate import CandidateError

L = keras.layers


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Recurrence:
    """An Elman network whose weights lie in no order of Keras's."""

    def __init__(self, slip: str = "", reduced: Callable[[int], float] = lambda n: n) -> None:
        rng = np.random.default_rng(0)
        shapes = {"V": (4, 3), "Wh": (4, 4), "b": (4,), "c": (3,), "Wx": (4, 2)}
        self.w = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
        self.slip, self.reduced = slip, reduced

    def forward(self, x: np.ndarray) -> np.ndarray:
        w, h = self.w, np.zeros((len(x), 4))
        self.states = [h]
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ w["Wx"].T + h @ w["Wh"] + w["b"])
            self.states.append(h)
        return _softmax(h @ w["V"] + w["c"])

    def gradients(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        w, d = self.w, (self.forward(x) - y) / self.reduced(len(x))
        g = {name: np.zeros_like(array) for name, array in w.items()}
        g["V"], g["c"] = self.states[-1].T @ d, d.sum(axis=0)
        dh = d @ w["V"].T
        for t in reversed(range(x.shape[1])):
            dz = dh * (1 - self.states[t + 1] ** 2)
            g["Wx"] += dz.T @ x[:, t]
            g["b"] = dz.sum(axis=0) + (0 if self.slip == "bias of one step" else g["b"])
            g["Wh"] += self.states[t].T @ dz
            dh = dz @ (w["Wh"] if self.slip == "untransposed" else w["Wh"].T)
        return g

    def step(self, x: np.ndarray, y: np.ndarray, learning_rate: float) -> None:
        for name, gradient in self.gradients(x, y).items():
            self.w[name] -= learning_rate * gradient

    def candidate(self, **options: Any) -> parity.Candidate:
        options = {"gradients": self.gradients, "loss": "categorical_crossentropy"} | options
        return parity.Candidate(get_weights=lambda: self.w, forward=self.forward, **options)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return keras.Sequential([keras.Input((5, 2)), L.SimpleRNN(4), L.Dense(3, activation="softmax")])


def _witness(report: parity.CheckReport) -> bool | None:
    return next(w.agrees for w in report.witnesses if w.name == "Keras's autodiff")


def test_right(model: keras.Model) -> None:
    report = parity.check(Recurrence().candidate(), model)
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert _witness(report) is True
    assert any("gradients of 5 arrays" in what for what in report.tested)


def test_right_summed_over_the_batch(model: keras.Model) -> None:
    report = parity.check(Recurrence(reduced=lambda n: 1.0).candidate(), model)
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert _witness(report) is True
    assert any("batch size" in remark for remark in report.remarks)


def test_right_steps_and_labels(model: keras.Model) -> None:
    net = Recurrence()

    def step(x: np.ndarray, y: np.ndarray, learning_rate: float) -> None:
        net.step(x, np.eye(3)[y], learning_rate)

    candidate = net.candidate(gradients=None, step=step, labels="integer")
    report = parity.check(candidate, model)
    assert report.outcome is parity.Outcome.RIGHT, str(report)


@pytest.mark.parametrize(
    ("slip", "wrong"),
    [("untransposed", {"Wx", "Wh", "b"}), ("bias of one step", {"b"})],
)
def test_the_tensors_are_named(slip: str, wrong: set[str], model: keras.Model) -> None:
    report = parity.check(Recurrence(slip).candidate(), model)
    assert report.outcome is parity.Outcome.WRONG
    named = {row.name for row in report.tensors if row.kind == "gradient" and not row.right}
    assert named == {f"weights['{name}']" for name in wrong}
    assert _witness(report) is False


def test_a_wrong_forward_comes_first(model: keras.Model) -> None:
    other = keras.Sequential(
        [keras.Input((5, 2)), L.SimpleRNN(4, "relu"), L.Dense(3, activation="softmax")]
    )
    report = parity.check(Recurrence().candidate(), other)
    assert report.outcome is parity.Outcome.WRONG
    assert report.untested == ["gradients and steps (forward comes first)"]


def test_own_loss_is_taken(model: keras.Model) -> None:
    net = Recurrence()

    def loss(x: np.ndarray, y: np.ndarray) -> float:
        penalty = 0.05 * np.sum(net.w["V"] ** 2)
        return float(-np.sum(y * np.log(net.forward(x))) / len(x) + penalty)

    def gradients(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        return (found := net.gradients(x, y)) | {"V": found["V"] + 0.1 * net.w["V"]}

    def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.standard_normal((6, 5, 2)), np.eye(3)[rng.integers(0, 3, 6)]

    right = net.candidate(loss=loss, gradients=gradients, data=data)
    assert parity.check(right, model).outcome is parity.Outcome.RIGHT
    wrong = net.candidate(loss=loss, data=data)
    assert parity.check(wrong, model).outcome is parity.Outcome.WRONG


def test_refused(model: keras.Model) -> None:
    with pytest.raises(CandidateError, match="expected loss"):
        parity.check(Recurrence().candidate(loss=None), model)
    with pytest.raises(CandidateError, match="loss as a function"):
        parity.check(Recurrence().candidate(weight_decay=0.1), model)
    normalized = keras.Sequential(
        [keras.Input((5, 2)), L.BatchNormalization(), L.SimpleRNN(4), L.Dense(3)]
    )
    with pytest.raises(ValueError, match="no moving statistics"):
        parity.check(Recurrence().candidate(), normalized)


@pytest.mark.parametrize("power", [1, 2])
def test_a_loss_that_keras_does_not_have_is_not_asked_of_it(power: int):
    rng = np.random.default_rng(0)
    W, V = rng.normal(size=(6, 5)), rng.normal(size=(5, 3))

    def gradients(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        h = np.tanh(x @ W)
        d = np.tanh(h @ V - y) / len(x)  # of ln cosh(a - y)
        return [x.T @ (d @ V.T * (1 - h**power)), h.T @ d]

    candidate = parity.Candidate(
        get_weights=lambda: [W, V],
        forward=lambda x: np.tanh(x @ W) @ V,
        gradients=gradients,
        loss=lambda x, y: np.log(np.cosh(np.tanh(x @ W) @ V - y)).sum() / len(x),
    )
    report = parity.check(candidate, keras=True)
    codes = [finding.code for finding in report.findings]
    assert codes == {1: ["derivative-slip"], 2: []}[power], str(report)
    (keras_,) = [w for w in report.witnesses if w.name == "Keras's autodiff"]
    assert (keras_.agrees, keras_.comment) == (None, "Keras has no such loss")
