"""What must not be told as a cause: it fits whatever the mistake is, or is seen where none is."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.reports.report import Outcome


class Gain:
    """An autoencoder whose gain, one number, is used twice, and once in its gradient."""

    def __init__(self) -> None:
        r = np.random.default_rng(5)
        self.weights = [0.5 * r.normal(size=(6, 3)), np.array([1.3])]

    def loss(self, x: Array, y: Array) -> Any:
        w, gain = self.weights
        h = np.tanh(gain * (x @ w))
        return 0.5 * np.sum((gain * (h @ w.T) - y) ** 2) / len(x)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        w, gain = self.weights
        h = np.tanh(gain * (x @ w))
        d = (gain * (h @ w.T) - y) / len(x)
        inner = gain * (d @ w) * (1 - h**2)
        dw = gain * (d.T @ h) + gain * (x.T @ inner)
        return [dw, np.array([np.sum(d * (h @ w.T))])]


def test_a_gradient_of_one_number_is_not_that_of_one_sample_nor_without_decay():
    net = Gain()
    report = parity.check(
        parity.Candidate(
            get_weights=lambda: net.weights, gradients=net.gradients, loss=net.loss,
            data=lambda rng: (rng.normal(size=(8, 6)), rng.normal(size=(8, 6))),
        )
    )  # fmt: skip
    assert report.outcome is Outcome.WRONG
    assert [(f.code, f.where) for f in report.findings] == [("not-the-derivative", "weights[1]")]


class Balanced:
    """The loss is a mean over the classes that are there, and its gradient over all."""

    def __init__(self) -> None:
        r = np.random.default_rng(5)
        self.weights = [r.normal(size=(4, 3)), r.normal(size=3)]

    def shares(self, y: Array) -> Array:
        return 1 / np.maximum(np.bincount(y, minlength=3), 1)[y]

    def gap(self, x: Array, y: Array) -> Array:
        found = (np.sin(x) @ self.weights[0] + self.weights[1])[np.arange(len(y)), y]
        meant = np.ones(len(y))
        gap = found - meant
        return gap  # noqa: RET504 - the search changes how this is written

    def loss(self, x: Array, y: Array) -> Any:
        return np.sum(self.shares(y) * self.gap(x, y) ** 2) / len(np.unique(y))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        d = (2 * self.shares(y) * self.gap(x, y) / 3)[:, None] * np.eye(3)[y]
        return [np.sin(x).T @ d, d.sum(axis=0)]


@pytest.mark.search
@pytest.mark.parametrize("seed", range(2))
def test_a_change_of_the_loss_mends_nothing_that_other_samples_do_not_show(
    seed: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("parity.checking.repairing.search.SECONDS", 1.0)
    net = Balanced()

    def data(rng: np.random.Generator) -> Any:
        # In two of three batches a class is missing.
        y = np.r_[0, 1, 2, rng.integers(0, 3, 5)] if rng.random() < 0.33 else np.arange(8) % 2
        return rng.normal(size=(8, 4)), y

    report = parity.check(
        parity.Candidate(
            get_weights=lambda: net.weights, gradients=net.gradients, loss=net.loss, data=data
        ),
        seed=seed,
    )
    assert not any("your loss is another" in finding.evidence for finding in report.findings)
