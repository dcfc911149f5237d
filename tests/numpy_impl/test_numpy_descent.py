"""Gradient descent on hand-worked arithmetic."""

import tracemalloc

import numpy as np
import pytest

from numpy_impl.descent import descend, gradient_descent


def double(x):
    """The derivative of x^2."""
    return 2 * x


def test_three_steps_by_hand():
    # On x^2 a step multiplies x by 1 - 2 rate: by 1/2.
    assert gradient_descent(double, 8, 0.25, 3).tolist() == [8, 4, 2, 1]
    assert gradient_descent(double, 8, 0.25, 0).tolist() == [8]


def test_many_runs_are_the_single_runs():
    starts, rates = np.array([-3.0, 0.5, 2.0]), np.array([[0.1], [0.7]])
    ends = descend(np.sin, starts, rates, 20)
    assert ends.shape == (2, 3)
    for (row, column), end in np.ndenumerate(ends):
        alone = gradient_descent(np.sin, starts[column], rates[row, 0], 20)
        assert end == alone[-1]


def test_a_run_that_leaves_the_finite_numbers_says_so():
    # x^4: from 10 with step 1, x - 4 x^3 = -3990; overflow after some more. From 0.1 it is fine.
    def gradient(x):
        return 4 * x**3

    with pytest.raises(OverflowError, match=r"Received: 1, .* run from 10 .* in step \d+"):
        gradient_descent(gradient, np.array([0.1, 10.0]), 1.0, 100)
    path = gradient_descent(gradient, np.array([0.1, 10.0]), 1.0, 100, diverged="nan")
    assert np.isfinite(path[:, 0]).all()
    first = int(np.argmax(np.isnan(path[:, 1])))
    assert path[1, 1] == 10 - 4000
    assert 1 < first < 10
    assert np.isnan(path[first:, 1]).all()


def test_the_starts_are_not_changed():
    starts = np.array([1.0, 2.0])
    path = gradient_descent(double, starts, 0.5, 1)
    path[0] = 7
    assert starts.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((double, 1.0, 0.1, -1), "steps of 0 or more. Received: -1"),
        ((double, np.nan, 0.1, 1), "finite starts. Received: nan"),
        ((double, 1.0, 0.0, 1), "above 0. Received: 0.0"),
        ((double, 1.0, 0.1, 1, "clip"), "Received: 'clip'"),
        ((lambda x: np.zeros(2), 1.0, 0.1, 1), r"shape \(\). Received: \(2,\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        gradient_descent(*arguments)


def test_the_end_alone_does_not_cost_the_memory_of_the_path():
    starts = np.linspace(-1, 1, 10_000)
    tracemalloc.start()
    try:
        descend(lambda x: x, starts, 0.1, 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * starts.nbytes  # the path is 101
