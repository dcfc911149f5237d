"""The rounding bounds hold for real float32 and float64 arithmetic, and are not loose for show."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.bounds.rounding import FAILURE_PROBABILITY, Approx, Rounding

DTYPES = ["float32", "float64"]


def test_unit_roundoff_is_half_the_spacing_of_one():
    assert Rounding("float32").unit == 2.0**-24
    assert Rounding("float64").unit == 2.0**-53


def test_gamma_of_few_terms_is_the_certain_bound():
    # gamma_3 = 3u / (1 - 3u); three terms are too few for the probabilistic form to be smaller.
    u = 2.0**-24
    assert Rounding("float32").gamma(3) == 3 * u / (1 - 3 * u)


def test_gamma_of_many_terms_grows_with_the_root():
    r = Rounding("float64", count=1000)
    # lambda = sqrt(2 ln(2 * 1000 / 1e-6)) = 6.5445...
    assert math.isclose(r.confidence, math.sqrt(2 * math.log(2000 / FAILURE_PROBABILITY)))
    expected = r.confidence * 100 * r.unit
    assert math.isclose(r.gamma(10_000), expected, rel_tol=1e-9)
    assert r.gamma(10_000) < 10_000 * r.unit


def test_gamma_promises_nothing_where_the_theory_ends():
    # n u is 1, just above, and 1.5: beyond 1, n u / (1 - n u) would be negative.
    for n in (2**24, 2**24 + 1, 3 * 2**23):
        assert Rounding("float32").gamma(n) == math.inf
    assert Rounding("float32").gamma(2**60) == math.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", ["+", "-", "*", "/"])
def test_one_operation_errs_by_one_rounding(dtype, operation):
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(5000).astype(dtype) for _ in range(2))
    r = Rounding(dtype)
    python = {"+": "__add__", "-": "__sub__", "*": "__mul__", "/": "__truediv__"}[operation]
    computed = getattr(a, python)(b)
    bounded = getattr(r.exact(a), python)(r.exact(b))
    # Exact rational arithmetic, so that float64 itself is judged as well.
    exact = [
        getattr(Fraction(float(p)), python)(Fraction(float(q))) for p, q in zip(a, b, strict=True)
    ]
    errors = [abs(Fraction(float(c)) - e) for c, e in zip(computed, exact, strict=True)]
    assert all(e <= Fraction(float(d)) for e, d in zip(errors, bounded.bound, strict=True))
    # One rounding: the bound is u |result| and hardly more.
    assert np.all(bounded.bound <= 1.01 * r.unit * np.abs(bounded.value) + 2 * r.tiny)


@given(
    n=st.integers(1, 400),
    seed=st.integers(0, 2**32 - 1),
    positive=st.booleans(),
)
def test_float32_products_stay_within_the_bound(n, seed, positive):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal((3, n)).astype(np.float32) for _ in range(2))
    if positive:
        a, b = np.abs(a), np.abs(b)
    r = Rounding("float32", count=9)
    bounded = r.exact(a) @ r.exact(b).T
    exact = a.astype(np.float64) @ b.astype(np.float64).T  # float64 is exact enough to judge
    for computed in (a @ b.T, _one_by_one(a, b)):
        assert np.all(np.abs(computed - exact) <= bounded.bound)


def _one_by_one(a, b):
    """Add up from left to right, the order with the largest error."""
    total = np.zeros((len(a), len(b)), np.float32)
    for k in range(a.shape[1]):
        total = total + a[:, k, None] * b[None, :, k]
    return total


def test_an_error_of_a_few_bounds_is_outside():
    # The checker checked: the same product with one term left out.
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((3, 400)).astype(np.float32) for _ in range(2))
    r = Rounding("float32", count=9)
    bounded = r.exact(a) @ r.exact(b).T
    wrong = a[:, 1:] @ b[:, 1:].T
    assert np.any(np.abs(wrong - bounded.value) > bounded.bound)


def test_errors_of_the_operands_are_carried_along():
    r = Rounding("float64")
    a = Approx(np.array([2.0]), np.array([0.1]), r)
    b = Approx(np.array([4.0]), np.array([0.5]), r)
    # The extreme products are 1.9 * 3.5 and 2.1 * 4.5: at most 1.45 away from 8.
    assert math.isclose((a * b).bound[0], 2.1 * 4.5 - 8, rel_tol=1e-12)
    # The extreme quotients are 1.9 / 4.5 and 2.1 / 3.5 = 0.6, so 0.1 away from 0.5.
    assert math.isclose((a / b).bound[0], 0.1, rel_tol=1e-12)
    assert math.isclose((a - b).bound[0], 0.6, rel_tol=1e-12)
    # sqrt(4.5) - 2 = 0.1213, 2 - sqrt(3.5) = 0.1292: the lower side is farther.
    assert math.isclose(b.sqrt().bound[0], 2 - math.sqrt(3.5), rel_tol=1e-12)


def test_a_quotient_by_what_may_be_zero_has_no_bound():
    r = Rounding("float64")
    maybe_zero = Approx(np.array([1e-3, 1.0]), np.array([2e-3, 2e-3]), r)
    assert np.isinf((r.exact(np.ones(2)) / maybe_zero).bound).tolist() == [True, False]


def test_a_step_within_the_error_counts_with_its_whole_height():
    r = Rounding("float64")
    near = Approx(np.array([1e-9, 1.0]), np.array([1e-8, 1e-8]), r)
    bounds = near.monotone(np.sign, 0.0).bound
    assert bounds[0] >= 2.0
    assert bounds[1] <= r.tiny


def test_sums_are_bounded_in_any_order():
    rng = np.random.default_rng(3)
    values = rng.standard_normal(20_000).astype(np.float32)
    r = Rounding("float32")
    bounded = r.exact(values).sum()
    exact = math.fsum(values.tolist())
    forward = np.add.accumulate(values)[-1]
    assert abs(float(forward) - exact) <= bounded.bound
    assert abs(float(np.sum(values)) - exact) <= bounded.bound


def test_the_mean_along_an_axis_is_of_what_lies_along_it():
    values = np.arange(6.0).reshape(2, 3)
    one = Rounding("float64").exact(values)
    for axis in (0, 1, None):
        np.testing.assert_array_equal(one.mean(axis).value, values.mean(axis))
