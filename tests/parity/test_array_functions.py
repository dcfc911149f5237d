"""NumPy's functions on numbers with bounds: what is promised holds for float32 arithmetic."""

from typing import Any

import numpy as np
import pytest

from numpy_impl.layers import formula
from parity.bounds import array_functions as array_functions
from parity.bounds import layers as layers
from parity.bounds.rounding import Approx, Rounding

R = Rounding("float32", 1000)


def _inexact(value, error) -> Approx:
    return Approx(np.asarray(value, float), np.asarray(error, float), R)


@pytest.mark.parametrize("choose", [np.maximum, np.minimum])
def test_the_chosen_of_two_lies_where_it_may_lie(choose):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500))
    errors = rng.uniform(0, 1, size=(2, 500)) * rng.integers(0, 2, size=(2, 500))
    chosen = choose(_inexact(a, errors[0]), _inexact(b, errors[1]))
    np.testing.assert_array_equal(chosen.value, choose(a, b))
    # Every pair of true values within the errors, at their ends and between.
    ends = np.linspace(-1, 1, 9)
    worst = np.zeros(500)
    for s in ends:
        for t in ends:
            true = choose(a + s * errors[0], b + t * errors[1])
            worst = np.maximum(worst, np.abs(true - chosen.value))
    np.testing.assert_allclose(worst, chosen.bound, rtol=1e-12, atol=1e-12)


def test_what_is_surely_smaller_does_not_matter_however_inexact():
    choose: Any = np.maximum
    larger = choose(_inexact([1.0], [1e-6]), _inexact([-9.0], [5.0]))
    assert larger.bound == pytest.approx([1e-6])


def test_a_factor_is_sure_where_rounding_cannot_turn_it():
    a, b = (
        _inexact([1.0, 1.0, 1.0, 2.0], [0.1, 0.1, 0.0, 0.0]),
        _inexact([2.0, 1.05, 1.0, 1.0], 0.0),
    )
    factor = formula.not_less(a, Approx(b.value, np.zeros(4), R))
    assert factor.value.tolist() == [0, 0, 1, 1]
    assert factor.bound.tolist() == [0, 1, 0, 0]


def test_numbers_without_axes_can_be_reshaped():
    total = _inexact([1.0, 2.0], [0.1, 0.1]).sum()
    assert total.reshape().shape == ()
    assert total.reshape(1).bound.tolist() == [total.bound]
