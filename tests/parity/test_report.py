"""What a person reads."""

import numpy as np
import pytest

import parity
from parity.bounds.rounding import Approx, Rounding
from parity.comparing.result import Comparison
from parity.comparing.rows import Row, Verdict, compare_tensors


def _row(keras, numpy, bound) -> Row:
    r = Rounding("float64")
    keras, numpy = np.array(keras), np.array(numpy)
    return compare_tensors("gradients", "0/kernel", keras, numpy, Approx(keras, np.array(bound), r))


def test_the_worst_element_is_the_worst_for_its_bound():
    # The error of 1e-3 is within its bound of 2 * 1e-2; that of 1e-6 is not within 2 * 1e-8.
    row = _row([1.0, 2.0], [1.001, 2.000001], [1e-2, 1e-8])
    assert row.index == (1,)
    assert row.verdict is Verdict.DIFFERENT
    assert row.ratio == pytest.approx(1e-6 / 2e-8)


def test_ulps_are_units_of_the_last_place_of_the_largest_value():
    # The largest value is 4, whose neighbour above is 2^-50 away.
    row = _row([4.0, 1.0], [4.0, 1.0 + 3 * 2.0**-50], [1e-12, 1e-12])
    assert row.ulps == 3
    assert row.verdict is Verdict.ROUNDING


def test_equal_bits_are_identical():
    assert _row([1.0, -0.5], [1.0, -0.5], [0.0, 0.0]).verdict is Verdict.IDENTICAL


def test_a_bound_as_large_as_the_values_decides_nothing():
    row = _row([1.0, 0.5], [1.1, 0.5], [2.0, 2.0])
    assert row.verdict is Verdict.UNDECIDED
    assert not Comparison("t", [row]).passed


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_what_is_not_finite_fails_even_with_an_infinite_bound(bad, side):
    values = [[1.0, 2.0], [1.0, 2.0]]
    values[side][1] = bad
    row = _row(values[0], values[1], [np.inf, np.inf])
    assert row.verdict is Verdict.DIFFERENT
    assert row.index == (1,)


def test_other_shapes_fail_and_say_so():
    row = compare_tensors("weights", "0/kernel", np.ones((2, 3)), np.ones((3, 2)), None)
    assert row.verdict is Verdict.DIFFERENT
    assert "shape (2, 3) in Keras, (3, 2) in NumPy" in str(Comparison("t", [row]))


def test_an_empty_comparison_has_not_passed():
    assert not Comparison("nothing").passed


def test_the_text_names_tensor_place_values_and_verdict():
    text = str(Comparison("a title", [_row([1.0, 2.0], [1.0, 2.5], [1e-3, 1e-3])], ["a remark"]))
    for expected in ("a title", "gradients", "0/kernel", "[1]", "2.5", "DIFFERENT", "a remark"):
        assert expected in text
    assert "NOT shown to be identical: gradients 0/kernel." in text
    assert "\x1b" not in text  # readable without colour


def test_raise_for_failure_raises_only_on_failure():
    good = Comparison("t", [_row([1.0], [1.0], [0.0])])
    good.raise_for_failure()
    with pytest.raises(parity.ParityError, match="NOT shown to be identical"):
        Comparison("t", [_row([1.0], [2.0], [0.0])]).raise_for_failure()
