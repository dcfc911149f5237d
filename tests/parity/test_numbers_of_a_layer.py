"""A layer whose forward gives NaN, or fails, on standard normal numbers is asked on tamer ones."""

from typing import Any

import numpy as np
import pytest

import parity
from parity import CheckReport, Outcome
from parity.checking.bugs import layers
from tests.parity.layers import functions
from tests.parity.layers.planted import keras_layer


def positive_alone(x: Any) -> Any:
    """The identity, as long as x is above 0."""
    return np.exp(np.log(x)), x


def complaining(x: Any) -> Any:
    with np.errstate(all="raise"):
        return positive_alone(x)


def never(x: Any) -> Any:
    return np.sqrt(-1 - x**2), x


def unchanged(dout: Any, cache: Any) -> Any:
    return dout


def beside_linear(forward: Any, backward: Any = unchanged, **how: Any) -> CheckReport:
    given = {"inputs": (3, 4), **how}
    return parity.check_layer(forward, backward, keras_layer("Activation", "linear"), **given)


def _root(dtype: Any, slope: float = 0.5) -> CheckReport:
    from keras_impl import keras

    class Root(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return keras.ops.sqrt(x)

    return parity.check_layer(
        lambda x: (np.sqrt(x), x),
        lambda dout, x: dtype(slope) * dout / np.sqrt(x),
        Root(),
        inputs=np.ones((3, 4), dtype) / 2,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_root_is_compared_where_it_is_a_number_and_it_is_said_where_it_is_none(dtype: Any):
    report = _root(dtype)
    assert report.outcome is Outcome.RIGHT, report
    x = np.random.default_rng([0, 0]).standard_normal((3, 4)).astype(dtype)
    first = np.argwhere(x < 0)[0]
    remark = report.remarks[-1]
    assert f"forward gives nan, first at {first.tolist()} of its output, where x is" in remark
    assert "on standard normal numbers (x from" in remark
    assert "what is said here is of inputs between 0.1 and 0.9" in remark
    assert _root(dtype, slope=1.0).outcome is Outcome.WRONG


def test_a_forward_that_is_no_number_where_the_reference_is_one_is_wrong():
    report = beside_linear(positive_alone)
    assert report.outcome is Outcome.WRONG, report
    assert [(f.bug, f.where) for f in report.findings] == [(layers.NOT_FINITE_BEYOND, "forward")]
    assert "yours is nan, the reference's -" in report.findings[0].evidence
    assert not report.tested
    alone = parity.check_layer(positive_alone, unchanged, inputs=(3, 4))
    assert alone.outcome is Outcome.RIGHT
    assert "forward gives nan" in alone.remarks[-1]


def test_a_complaint_is_told_with_the_numbers_that_it_is_about():
    report = beside_linear(complaining)
    assert report.outcome is Outcome.UNKNOWN, report
    assert [f.bug for f in report.findings] == [layers.RAISES_BEYOND]
    remark = report.remarks[-1]
    assert "forward raises FloatingPointError: invalid value encountered in log on" in remark
    # What is wrong on tamer numbers is wrong all the same.
    spoiled = beside_linear(complaining, lambda dout, x: np.sin(dout))
    assert spoiled.outcome is Outcome.WRONG, spoiled


def test_what_is_never_a_number_is_not_called_random():
    report = beside_linear(never)
    assert report.outcome is Outcome.UNKNOWN, report
    assert [f.bug for f in report.findings] == [layers.NEVER_FINITE]
    said = report.findings[0].evidence
    assert "forward gives nan, first at [0, 0] of its output" in said
    assert "numbers between 0.1 and 0.9" in said
    # Arrays on which it gives numbers are a way out.
    far = np.random.default_rng(0).uniform(20.0, 30.0, (3, 4))
    report = parity.check_layer(
        lambda x: (np.sqrt(x - 10), x), lambda dout, x: dout / 2 / np.sqrt(x - 10), inputs=far
    )
    assert report.outcome is Outcome.RIGHT, report
    assert "numbers within a tenth of those that were given" in report.remarks[-1]


def test_the_weight_that_is_to_blame_is_named():
    """A variance that is a weight has to be above 0."""
    report = parity.check_layer(
        lambda x, gamma, v: (gamma * x / np.sqrt(v), (x, gamma, v)),
        lambda d, c: (
            d * c[1] / np.sqrt(c[2]),
            (d * c[0] / np.sqrt(c[2])).sum(axis=0),
            (d * c[1] * c[0]).sum(axis=0) * -0.5 * c[2] ** -1.5,
        ),
        inputs=(5, 3),
        weights=[(3,), (3,)],
    )
    assert report.outcome is Outcome.RIGHT, report
    remark = report.remarks[-1]
    assert "on standard normal numbers (v from -" in remark
    assert "gamma from" not in remark


def test_nan_beside_the_output_is_no_randomness():
    """Scores that are kept for a look may be infinite, or NaN, where nothing is seen."""
    report = parity.check_layer(
        lambda x: (2 * x, np.full(3, np.nan), x), lambda dout, cache: 2 * dout, inputs=(3, 4)
    )
    assert report.outcome is Outcome.RIGHT, report
    assert not report.remarks


def test_what_fails_on_all_numbers_says_what_it_said_first():
    report = parity.check_layer(
        lambda x, w: functions.affine()[0](x, w, w), unchanged, inputs=(5, 3), weights=[(3, 4)]
    )
    assert report.outcome is Outcome.UNKNOWN
    assert report.findings[0].code == "exception"
    assert "ValueError: operands could not be broadcast" in report.findings[0].evidence
