"""The length of a row's errors: it holds for errors at their worst, and it is worth having."""

import numpy as np
import pytest

from numpy_impl import activations, losses
from numpy_impl.layers import GRU, LSTM, Dense, SimpleRNN, formula
from numpy_impl.network import Sequential
from numpy_impl.types import Precision
from parity.bounds import analyse
from parity.bounds.activations import activate
from parity.bounds.rounding import Approx, Rounding

SIGMOID, TANH = (activations.get(name) for name in ("sigmoid", "tanh"))
MATRIX = np.random.default_rng(1).normal(size=(6, 8))
FACTOR = np.random.default_rng(2).normal(size=(4, 6))

# What the plain arrays themselves may be off by: some ten operations on numbers below 10.
ROUNDED = 100 * np.finfo(float).eps

# What is done to a number with errors, and to the plain arrays within them.
OPERATIONS = {
    "sum": (lambda a, b: a + b, lambda a, b: a + b),
    "difference": (lambda a, b: a - b, lambda a, b: a - b),
    "one less": (lambda a, b: 1 - a, lambda a, b: 1 - a),
    "product": (lambda a, b: a * b, lambda a, b: a * b),
    "known factor": (lambda a, b: a * FACTOR, lambda a, b: a * FACTOR),
    "matrix": (lambda a, b: a @ a.rounding.exact(MATRIX), lambda a, b: a @ MATRIX),
    "columns": (lambda a, b: a[:, 1:4], lambda a, b: a[:, 1:4]),
    "joined": (
        lambda a, b: np.concatenate([a, b], axis=1), lambda a, b: np.concatenate([a, b], axis=1),
    ),
    "three terms": (
        lambda a, b: formula.added(a, b, a), lambda a, b: a + b + a,
    ),
    "sigmoid": (lambda a, b: activate(SIGMOID, a), lambda a, b: SIGMOID(a)),
    "tanh": (lambda a, b: activate(TANH, a), lambda a, b: TANH(a)),
    "relu": (
        lambda a, b: activate(activations.get("relu"), a), lambda a, b: np.maximum(a, 0),
    ),
}  # fmt: skip


def _within(rng, error, length):
    """Return errors as large as they may be: at the bounds, or in the worst direction."""
    left, _, _ = np.linalg.svd(MATRIX)
    directions = [
        rng.choice([-1.0, 1.0], error.shape) * error,
        rng.normal(size=error.shape),
        np.broadcast_to(left[:, 0], error.shape),
        np.eye(error.shape[1])[rng.integers(0, error.shape[1], len(error))],
    ]
    d = directions[rng.integers(len(directions))]
    d = d * length / np.linalg.norm(d, axis=1, keepdims=True)
    return np.clip(d, -error, error)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("size", [1e-6, 0.3])
def test_errors_stay_within_their_length(name, size):
    bounded, plain = OPERATIONS[name]
    r, rng = Rounding("float64"), np.random.default_rng(0)
    values = rng.normal(size=(2, 4, 6))
    errors = size * rng.uniform(0.5, 1, (2, 4, 6))
    lengths = size * rng.uniform(0.5, 1, (2, 4, 1))
    a, b = (Approx(v, e, r, s) for v, e, s in zip(values, errors, lengths, strict=True))
    result, exact = bounded(a, b), plain(*values)
    assert result.length is not None
    worst = 0.0
    for _ in range(300):
        changed = [v + _within(rng, e, s) for v, e, s in zip(values, errors, lengths, strict=True)]
        off = plain(*changed) - exact
        assert np.all(np.abs(off) <= result.bound + ROUNDED)
        reached = np.linalg.norm(off, axis=1, keepdims=True) / (result.length + ROUNDED)
        worst = max(worst, float(reached.max()))
    assert 0.25 < worst <= 1  # a quarter of it would be too little
    without = bounded(*(Approx(v, e, r) for v, e in zip(values, errors, strict=True)))
    assert without.length is None
    assert np.all(result.bound <= without.bound)


def test_a_repeated_number_is_not_followed():
    """One error at six places is as long as six: the length of one says nothing."""
    r = Rounding("float64")
    one = Approx(np.ones((4, 1)), np.full((4, 1), 0.1), r).followed()
    for result in (one + r.exact(np.ones((4, 6))), one * r.exact(np.ones((4, 6)))):
        assert result.length is None
        np.testing.assert_allclose(result.bound, 0.1)


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_bounds_of_a_wide_layer_hold_and_are_of_use(kind):
    """64 units, 20 steps: float32 stays within its bound, and in float64 six digits are left."""
    rng = np.random.default_rng(0)
    network = Sequential([kind(64), Dense(3)], (20, 8), rng, "float32")
    x, y = (v.astype(np.float32) for v in (rng.normal(size=(5, 20, 8)), rng.normal(size=(5, 3))))
    loss, exact = losses.get("mse"), network.clone("float64")
    exact.loss_and_gradients(x, y, loss)
    enough: dict[Precision, float] = {"float32": np.inf, "float64": 1e-6}
    for dtype, most in enough.items():
        own = network.clone(dtype)
        own.loss_and_gradients(x, y, loss)
        bounded = analyse(own, x, y, loss, [])
        for found, right, bound in zip(
            own.weight_gradients, exact.weight_gradients, bounded.gradients, strict=True
        ):
            assert np.all(np.abs(found - right) <= bound.bound)
            assert np.max(bound.bound) < most * np.max(np.abs(right))
