"""Steps alone that go by what they have updated already: right only as the rate falls."""

from typing import Any

import numpy as np
import pytest

import parity
from parity import CheckReport
from parity.reports.report import Outcome


class Factors:
    """Ratings as products of a user's and an item's numbers, one rating a step."""

    def __init__(self, kept: Any, limit: float = np.inf, wrong: float = 1.0) -> None:
        r = np.random.default_rng(0)
        self.P, self.Q = r.normal(size=(4, 3)), r.normal(size=(5, 3))
        self.kept, self.limit, self.wrong = kept, limit, wrong

    def loss(self, x: Any, y: Any) -> float:
        u, i = x
        return 0.5 * float(y - self.P[u] @ self.Q[i]) ** 2

    def step(self, x: Any, y: Any, rate: float) -> None:
        u, i = x
        e, p = y - self.P[u] @ self.Q[i], self.kept(self.P[u])
        self.P[u] += self.wrong * rate * e * self.Q[i]
        self.Q[i] += rate * e * p
        self.P *= np.minimum(1, self.limit / np.linalg.norm(self.P, axis=1, keepdims=True))


def checked(factors: Factors, **declared: Any) -> CheckReport:
    def make() -> parity.Candidate:
        return parity.Candidate(
            get_weights=lambda: [factors.P, factors.Q], step=factors.step, loss=factors.loss,
            data=((1, 2), 0.7), **declared,
        )  # fmt: skip

    return parity.check(make)


def test_a_view_that_is_updated_before_it_is_used_is_named() -> None:
    report = checked(Factors(lambda p: p), optimizer="SGD()")
    assert report.outcome is Outcome.WRONG, str(report)
    [finding] = report.findings
    assert (finding.code, finding.where) == ("updated-weights", "step, weights[1]")
    assert checked(Factors(np.copy), optimizer="SGD()").outcome is Outcome.RIGHT


def test_what_nobody_declared_may_be_meant() -> None:
    report = checked(Factors(lambda p: p))
    assert report.outcome is Outcome.UNKNOWN
    assert [finding.code for finding in report.findings] == ["updated-weights"]


@pytest.mark.parametrize("factors", [
    Factors(np.copy, limit=0.5),  # what a limit does is no multiple of the rate, and no bug
    Factors(lambda p: p, wrong=1.5),  # nor is the derivative what it tends to
])  # fmt: skip
def test_other_steps_are_not_judged(factors: Factors) -> None:
    report = checked(factors, optimizer="SGD()")
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert "no plain one" in str(report)
