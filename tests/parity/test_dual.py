"""Numbers that carry their slopes: against complex steps, and against sums in another order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity.bounds.dual import Dual, independent, joined

RNG = np.random.default_rng(0)
UNIT = 2.0**-53


def dual(array: np.ndarray) -> Dual:
    """Return an array that is differentiated by each of its elements."""
    return independent(array.reshape(-1), np.eye(array.size), UNIT).reshape(*array.shape)


def softmax(z: Any) -> Any:
    e = np.exp(z - np.max(z.real, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# Each once for Dual and once for NumPy's complex numbers, of x (3, 4).
FUNCTIONS: dict[str, tuple[Callable[[Dual], Dual], Callable[[Any], Any]]] = {
    "sum": (lambda x: x.sum(1), lambda x: x.sum(axis=1, keepdims=True)),
    "mean": (lambda x: x - x.mean(0, 1), lambda x: x - x.mean()),
    "product": (lambda x: x * x[0], lambda x: x * x[0]),
    "broadcast": (lambda x: x[:, 0:1] * x + x[0], lambda x: x[:, 0:1] * x + x[0]),
    "matmul": (lambda x: x @ x.transpose(1, 0) @ x, lambda x: x @ x.T @ x),
    "quotient": (lambda x: 1.0 - x / (x * x + 2.0), lambda x: 1 - x / (x * x + 2)),
    "root": (lambda x: (x * x + 1.0).sqrt(), lambda x: np.sqrt(x * x + 1)),
    "tanh": (lambda x: x.tanh(), np.tanh),
    "sigmoid": (lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    "softmax": (lambda x: x.softmax(1), softmax),
    "joined": (lambda x: joined([x, x * 2.0], 1), lambda x: np.concatenate([x, x * 2], axis=1)),
    "chosen": (lambda x: (x * 3.0)[1:, ::2], lambda x: (x * 3)[1:, ::2]),
    "clipped": (
        lambda x: (x * 0.7).clipped(-0.5, 0.5),
        lambda x: np.where(abs(x.real * 0.7) < 0.5, x * 0.7, np.sign(x.real) * 0.5),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_slopes_are_those_of_a_complex_step_within_their_bound(name: str):
    x = RNG.normal(size=(3, 4))
    ours, theirs = FUNCTIONS[name]
    found = ours(dual(x))
    assert np.all(np.abs(found.value - theirs(x)) <= 2 * found.error)
    for place in range(x.size):
        step = np.zeros(x.size)
        step[place] = 1e-30
        slope = theirs(x + 1j * step.reshape(x.shape)).imag / 1e-30
        assert np.all(np.abs(found.slope[place] - slope) <= 2 * found.slope_error[place])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_error_beyond_rounding_is_beyond_the_bound(name: str):
    found = FUNCTIONS[name][0](dual(RNG.normal(size=(3, 4))))
    size = np.max(np.abs(found.slope))
    assert np.max(found.slope_error) < 1e-12 * size
    assert np.max(found.error) < 1e-12 * np.max(np.abs(found.value))


def test_what_is_frozen_has_no_slope_and_what_is_bent_has_anothers():
    x = dual(np.array([1.0, 2.0]))
    assert not np.any(x.frozen().slope)
    bent = (x * x).bent(x * 5.0)
    np.testing.assert_array_equal(bent.value, [1, 4])
    np.testing.assert_array_equal(bent.slope, [[5, 0], [0, 5]])


def test_errors_of_values_are_carried_to_slopes_by_the_second_derivative():
    # (1 / v)'' = 2 / v^3 is 16 at 0.5: an error of 1e-6 there moves the slope by 16e-6, and that
    # of the value, 1 / v^2 = 4, moves the value by 4e-6. Rounding is far below either.
    one = np.ones((1, 1))
    inverse = Dual(0.5 * one[0], one, 1e-6 * one[0], 0 * one, 2.0**-53).reciprocal()
    np.testing.assert_allclose(inverse.slope, [[-4]], rtol=1e-15)
    np.testing.assert_allclose(inverse.error, [4e-6], rtol=1e-4)
    np.testing.assert_allclose(inverse.slope_error, [[16e-6]], rtol=1e-4)


def test_parts_are_joined_along_the_axis_counted_from_the_front():
    first, second = (Dual(a, a[None], 0 * a, 0 * a[None], 2.0**-53)
                     for a in (np.ones((2, 3)), np.zeros((4, 3))))  # fmt: skip
    both = joined([first, second], 0)
    assert both.value.shape == (6, 3)
    assert both.slope.shape == (1, 6, 3)
    np.testing.assert_array_equal(both.slope[0], both.value)
