"""A sparse Adagrad whose state counts a row as often as its word stands in the batch."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.reports.report import Outcome


class Words:
    """Predicts a number from the mean of some words' vectors.

    Args:
        repeated: Whether a row's square is added once for each time that its word occurs.
    """

    def __init__(self, repeated: bool) -> None:
        r = np.random.default_rng(2)
        self.weights = [r.normal(size=(7, 3)), r.normal(size=3)]
        self.sums = [np.full((7, 3), 0.1), np.full(3, 0.1)]
        self.repeated = repeated

    def loss(self, x: Array, y: Array) -> Any:
        return 0.5 * np.mean((self.weights[0][x].mean(axis=1) @ self.weights[1] - y) ** 2)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        h = self.weights[0][x].mean(axis=1)
        e = (h @ self.weights[1] - y) / len(y)
        rows = np.zeros_like(self.weights[0])
        np.add.at(rows, x, (np.outer(e, self.weights[1]) / x.shape[1])[:, None])
        return [rows, h.T @ e]

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        rows, last = self.gradients(x, y)
        words = x.ravel()
        if self.repeated:
            np.add.at(self.sums[0], words, rows[words] ** 2)
        else:
            self.sums[0][words] += rows[words] ** 2
        self.sums[1] += last**2
        self.weights[0] -= learning_rate * rows / np.sqrt(self.sums[0] + 1e-7)
        self.weights[1] -= learning_rate * last / np.sqrt(self.sums[1] + 1e-7)


def checked(repeated: bool, optimizer: str, anew: bool = True) -> parity.CheckReport:
    def make() -> parity.Candidate:
        net = Words(repeated)
        return parity.Candidate(
            get_weights=lambda: net.weights, gradients=net.gradients, loss=net.loss, step=net.step,
            data=lambda rng: (rng.integers(0, 7, (6, 4)), rng.normal(size=6)), optimizer=optimizer,
        )  # fmt: skip

    return parity.check(make if anew else make())


STATED = "Adagrad(initial_accumulator_value=0.1, epsilon=1e-7)"


def test_rows_that_count_once_are_right():
    assert checked(False, STATED).outcome is Outcome.RIGHT


@pytest.mark.search
def test_rows_that_count_again_are_wrong_with_their_line():
    report = checked(True, STATED)
    assert report.outcome is Outcome.WRONG
    [finding] = report.findings
    assert "one change mends the step" in finding.title
    assert finding.values["old"] == "np.add.at(self.sums[0], words, rows[words] ** 2)"
    assert finding.values["new"] == '"self.sums[0][words] += rows[words] ** 2"'


@pytest.mark.search
@pytest.mark.parametrize(("optimizer", "anew"), [("adagrad", True), (STATED, False)])
def test_where_settings_or_the_state_are_open_so_is_the_verdict(optimizer: str, anew: bool):
    assert checked(True, optimizer, anew).outcome is Outcome.UNKNOWN
