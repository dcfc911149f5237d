"""How samples and targets are handed over is found out; a wrong guess is no mistake of theirs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.checking.asking import conventions
from parity.checking.model.network import Plan


class OneByOne:
    """Loops over pairs of samples and targets, as programs without arrays do; one output."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.w1, self.b1 = rng.normal(size=(4, 3)), rng.normal(size=4)
        self.w2, self.b2 = rng.normal(size=(1, 4)), rng.normal(size=1)

    def forward(self, x: Array) -> Array:
        return np.tanh(np.tanh(x @ self.w1.T + self.b1) @ self.w2.T + self.b2)

    def loss(self, x: Array, y: Array) -> float:
        # With targets of shape (1, n) the loop ends after the first pair.
        pairs = list(zip(x, [float(row[0]) for row in y], strict=False))
        return sum((self.forward(row)[0] - t) ** 2 for row, t in pairs) / len(x)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        gradients = [0 * w for w in (self.w1, self.b1, self.w2, self.b2)]
        for row, target in zip(x, [float(t[0]) for t in y], strict=False):
            h = np.tanh(row @ self.w1.T + self.b1)
            o = np.tanh(h @ self.w2.T + self.b2)
            d2 = 2 * (o - target) * (1 - o * o) / len(x)
            d1 = d2 @ self.w2 * (1 - h * h)
            gradients[0] += np.outer(d1, row)
            gradients[1] = d1  # in place of +=
            gradients[2] += np.outer(d2, h)
            gradients[3] = d2
        return gradients

    def candidate(self) -> parity.Candidate:
        return parity.Candidate(
            get_weights=lambda: [self.w1, self.b1, self.w2, self.b2],
            forward=self.forward,
            gradients=self.gradients,
            loss=self.loss,
        )


@pytest.mark.parametrize("with_loss", [True, False])
def test_targets_that_end_a_loop_early_are_not_how_they_are_meant(with_loss: bool):
    candidate = OneByOne().candidate()
    report = parity.check(candidate if with_loss else replace(candidate, loss=None))
    assert {f.code for f in report.findings} == {"bias-not-summed"}, str(report)
    assert all(row.right for row in report.tensors if "kernel" in row.name), str(report)


class Online:
    """Updates after each sample of a batch; the output's kernel before it has done its work."""

    def __init__(self, early: bool) -> None:
        rng = np.random.default_rng(1)
        self.w1, self.w2 = rng.normal(size=(5, 4)), rng.normal(size=(3, 5))
        self.early = early

    def forward(self, x: Array) -> Array:
        return self.hidden(self.hidden(x, self.w1), self.w2)

    def hidden(self, x: Array, w: Array) -> Array:
        return 1 / (1 + np.exp(-x @ w.T))

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        for row, target in zip(x, y, strict=True):
            h = self.hidden(row, self.w1)
            o = self.hidden(h, self.w2)
            d2 = (o - target) * o * (1 - o)
            before = self.w2.copy()
            self.w2 -= learning_rate * np.outer(d2, h)
            d1 = d2 @ (self.w2 if self.early else before) * h * (1 - h)
            self.w1 -= learning_rate * np.outer(d1, row)


@pytest.mark.parametrize(("early", "codes"), [(True, ["updated-weights"]), (False, [])])
def test_a_step_that_updates_after_each_sample_is_judged_sample_by_sample(early, codes):
    def make() -> parity.Candidate:
        net = Online(early)
        return parity.Candidate(
            get_weights=lambda: [net.w1, net.w2], forward=net.forward, step=net.step
        )

    report = parity.check(make)
    assert [f.code for f in report.findings] == codes, str(report)
    assert report.outcome is (parity.Outcome.WRONG if early else parity.Outcome.RIGHT)


def test_what_is_no_chain_is_seen_before_hundreds_of_readings_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With every kernel alone at zero the outputs of a gated layer still depend on x."""
    rng = np.random.default_rng(0)
    shapes = [(3, 5), (5, 5), (5,)] * 3 + [(5, 1), (1,)]
    weights = [rng.normal(size=shape) for shape in shapes]
    guessed: list[int] = []
    guess = conventions.guess

    def counted(sample: conventions.Sample, name: str, mixed: bool) -> Plan | None:
        guessed.append(len(sample.layout.kernels))
        return guess(sample, name, mixed)

    def forward(x: Array) -> Array:
        (wz, uz, bz), (wr, ur, br), (wc, uc, bc) = (weights[n : n + 3] for n in (0, 3, 6))
        h = np.zeros((len(x), 5))
        for _ in range(2):
            z, r = (
                1 / (1 + np.exp(-(x @ w + h @ u + b))) for w, u, b in ((wz, uz, bz), (wr, ur, br))
            )
            h = z * h + (1 - z) * np.tanh(x @ wc + (r * h) @ uc + bc)
        return h @ weights[9] + weights[10]

    monkeypatch.setattr(conventions, "guess", counted)
    candidate = parity.Candidate(
        get_weights=lambda: weights, forward=forward,
        gradients=lambda x, y: [0 * w for w in weights],
        loss=lambda x, y: float(np.sum((forward(x) - y) ** 2)),
    )  # fmt: skip
    assert not parity.check(candidate, keras=False).passed
    assert not guessed
    chain = [rng.normal(size=shape) for shape in ((3, 5), (5,), (5, 2), (2,))]
    known = parity.Candidate(
        get_weights=lambda: chain, gradients=lambda x, y: None,
        forward=lambda x: np.tanh(x @ chain[0] + chain[1]) @ chain[2] + chain[3],
    )  # fmt: skip
    parity.check(known, keras=False)
    assert guessed


@pytest.mark.parametrize("wrong", [True, False])
def test_samples_that_come_one_a_batch_are_asked_for_so(wrong: bool):
    """Nielsen's way, ``backprop(x[0])`` with rows: the first sample is all that there is."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(5, 4)), rng.normal(size=(2, 5))]

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def forward(x: Any) -> Any:
        return sigmoid(sigmoid(x @ weights[0].T) @ weights[1].T)

    def gradients(x: Any, y: Any) -> Any:
        x, y = x[0][:, None], y[0][:, None]
        z = weights[0] @ x
        a = sigmoid(z)
        out = sigmoid(weights[1] @ a)
        delta = (out - y) * out * (1 - out)
        slope = sigmoid(a if wrong else z) * (1 - sigmoid(a if wrong else z))
        below = weights[1].T @ delta * slope
        return [below @ x.T, delta @ a.T]

    def checked(samples: int) -> parity.CheckReport:
        data = lambda rng: (rng.normal(size=(samples, 4)), rng.random((samples, 2)))  # noqa: E731
        return parity.check(
            parity.Candidate(
                get_weights=lambda: weights, forward=forward, gradients=gradients, data=data
            )
        )

    report = checked(1)
    codes = ["derivative-at-activation"] if wrong else []
    assert [finding.code for finding in report.findings] == codes, str(report)
    if not wrong:
        assert [finding.code for finding in checked(3).findings] == ["one-sample"]
