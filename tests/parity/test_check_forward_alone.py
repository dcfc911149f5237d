"""Networks of which only the forward pass is there."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.layers import Dense
from parity.reports.report import CheckReport, Outcome
from tests.cases import load

REFERENCE = [Dense(5, "tanh"), Dense(3, "softmax")]


def forward_of(slip: float = 0.0, rounding: Any = None) -> parity.Candidate:
    rng = np.random.default_rng(0)
    w = [rng.normal(size=shape) for shape in ((4, 5), 5, (5, 3), 3)]

    def round_off(array: Any) -> Any:
        return array if rounding is None else rounding(array)

    def forward(x: Any) -> Any:
        h = np.tanh(round_off(x) @ round_off(w[0]) + w[1])
        z = round_off(h) @ round_off(w[2]) + w[3] + slip * np.eye(3)[0]
        e = np.exp(z)
        a = e / e.sum(axis=1, keepdims=True)
        return a if rounding is None else np.float32(a)

    return parity.Candidate(get_weights=lambda: w, forward=forward)


def checked(candidate: parity.Candidate) -> CheckReport:
    return parity.check(candidate, REFERENCE, keras=False)


def test_a_right_forward_pass():
    report = checked(forward_of())
    assert report.outcome is Outcome.RIGHT
    assert report.summary == (
        "Equal to 4-5-3 (tanh, softmax) up to rounding: forward pass. "
        "Not tested: gradients and steps (none are given)."
    )


@pytest.mark.parametrize("slip", [1e-3, 0.5])
def test_a_wrong_forward_pass(slip: float):
    assert checked(forward_of(slip)).outcome is Outcome.WRONG


def test_without_a_reference_it_is_refused():
    with pytest.raises(ValueError, match="for forward alone a reference"):
        parity.check(forward_of())


def ten_bits(array: Any) -> Any:
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.round(mantissa * 2**11) / 2**11, exponent)


def test_ten_bits_are_low_precision():
    report = checked(forward_of(rounding=lambda a: ten_bits(np.float32(a))))
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert [finding.code for finding in report.findings] == ["low-precision"]


@pytest.mark.parametrize("slip", [0.5, 0.1])
def test_low_precision_excuses_no_bug(slip: float):
    report = checked(forward_of(slip, rounding=lambda a: ten_bits(np.float32(a))))
    assert report.outcome is not Outcome.RIGHT
    assert "low-precision" not in [finding.code for finding in report.findings]


def test_the_dense_layer_of_the_field():
    hand = load("networks/22_hand")
    reference = [Dense(5, use_bias=False)]
    assert parity.check(hand.make(), reference, keras=False).passed
    assert parity.check(hand.make_dummy(), reference, keras=False).passed
    report = parity.check(hand.make_tf32(), reference, keras=False)
    assert report.outcome is Outcome.UNKNOWN
    assert "TensorFloat-32" in report.summary
