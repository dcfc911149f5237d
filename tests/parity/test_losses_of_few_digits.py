"""Losses that are rounded, or held in less precision than the weights they are computed with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from parity.checking.asking.ridders import spacing
from parity.reports.report import CheckReport, Outcome
from tests.parity.tagger import Tagger, data

Shown = Callable[[float], Any]
ROUNDED: dict[str, Shown] = {
    **{f"to {d} decimals": lambda v, d=d: round(float(v), d) for d in (2, 3, 4, 6, 9, 12)},
    **{f"cut at {d} decimals": lambda v, d=d: int(v * 10**d) / 10**d for d in (2, 4, 6)},
    "printed in 4 digits": lambda v: float(f"{v:.4g}"),
    "float32": np.float32,
    "float32 to 2 decimals": lambda v: np.round(np.float32(v), 2),
    "float16": np.float16,
}


def checked(shown: Shown, factor: float, given: bool) -> CheckReport:
    """Check 4-3-2 with tanh, whose loss is shown in few digits; a factor other than 1 is a bug."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.5, shape) for shape in ((4, 3), (3,), (3, 2), (2,))]

    def forward(x: Any) -> tuple[Any, Any]:
        hidden = np.tanh(x @ weights[0] + weights[1])
        return hidden, hidden @ weights[2] + weights[3]

    def gradients(x: Any, y: Any) -> list[Any]:
        hidden, output = forward(x)
        delta = 2 * (output - y) / len(x)
        below = delta @ weights[2].T * (1 - hidden**2)
        return [factor * x.T @ below, below.sum(0), hidden.T @ delta, delta.sum(0)]

    candidate = parity.Candidate(
        get_weights=lambda: weights,
        forward=lambda x: forward(x)[1],
        gradients=gradients,
        loss=lambda x, y: shown(((forward(x)[1] - y) ** 2).sum() / len(x)),
        data=(rng.normal(size=(8, 4)), rng.normal(size=(8, 2))) if given else None,
    )
    return parity.check(candidate, keras=False)


@pytest.mark.parametrize("given", [False, True], ids=["", "their samples"])
@pytest.mark.parametrize("shown", ROUNDED.values(), ids=ROUNDED)
def test_right_gradients_are_right_beside_any_of_them(shown: Shown, given: bool):
    report = checked(shown, 1.0, given)
    assert report.outcome is Outcome.RIGHT, str(report)


@pytest.mark.parametrize("shown", ROUNDED.values(), ids=ROUNDED)
def test_a_wrong_tensor_is_seen_beside_any_of_them(shown: Shown):
    report = checked(shown, 1.01, True)
    assert report.outcome is Outcome.WRONG, str(report)
    assert [(f.code, f.where) for f in report.findings] == [
        ("factor", "layer 1 kernel (weights[0])")
    ]


@pytest.mark.parametrize(("digits", "measured"), [(2, False), (3, False), (8, True), (10, True)])
def test_what_few_digits_leave_open_is_not_judged(digits: int, measured: bool):
    """Where the layers are not known, the loss is all there is: right only if it tells."""
    net, wrong = Tagger(), Tagger()

    def slipped(x: Any, y: Any) -> Any:
        found = wrong.gradients(x, y)
        return found | {"inward": 1.2 * found["inward"]}

    for one, gradients, outcome in (
        (net, net.gradients, Outcome.RIGHT),
        (wrong, slipped, Outcome.WRONG),
    ):
        report = parity.check_gradients(
            lambda x, y, one=one: round(one.loss(x, y), digits), lambda one=one: one.w, gradients,
            data,
        )  # fmt: skip
        assert report.outcome is (outcome if measured else Outcome.UNKNOWN), str(report)


def test_how_far_values_of_few_digits_are_apart():
    assert spacing([0.25, 1.5, 3.01, 0.7]) == 0.01
    assert spacing([0.1 + 0.2, 0.7, 1.1 + 2.2, 1.4]) == 0.1  # sums that are no decimals exactly
    assert spacing([3.0, 2.0, 7.0, 5.0]) == 1.0
    assert spacing([float(np.float32(v)) for v in (0.1, 0.2, 0.3, 0.77)]) == 0.01
    thirds = [float(np.float32(v / 3)) for v in (1, 2, 4, 5)]
    assert spacing(thirds) == pytest.approx(2.0**-23 / 3)
    assert spacing([v / 3 for v in (1, 2, 4, 5)]) == 0.0
    # Large numbers are near to decimals whatever they are.
    assert spacing([1e10 / 3, 2e10 / 3, 1e10 / 7, 2e10 / 7]) == 0.0
    # A loss that is flat, or one hinge that is not met, says nothing of its digits.
    assert spacing([0.0, 0.5, 0.0, 1.0, 0.5]) == 0.0
    assert spacing([0.25, 1.5, 3.01, np.nan, 0.7, np.inf]) == 0.01
