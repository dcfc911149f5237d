"""What a layer's formula computes otherwise than Keras: bounds beside float32 in Keras's order."""

import numpy as np
import pytest

from numpy_impl.layers import formula
from parity.bounds.rounding import Approx, Rounding

r = Rounding("float32", 1000)


def single(rng, *shape, mean=0.0):
    return (mean + rng.normal(size=shape)).astype(np.float32)


def within(bounded: Approx, computed: np.ndarray, useful: float) -> None:
    error = np.abs(computed.astype(np.float64) - bounded.value)
    assert np.all(error <= bounded.bound)
    assert np.max(bounded.bound) < useful * np.max(np.abs(bounded.value))


@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_normalize_allows_the_order_of_keras(mean):
    rng = np.random.default_rng(0)
    x, gamma, beta = single(rng, 50, 8, mean=mean), single(rng, 8), single(rng, 8)
    center, inverse = np.mean(x, axis=0), np.full(8, 1.3, np.float32)
    scale = inverse * gamma
    y, h = formula.normalize(*map(r.exact, (x, center, inverse, gamma, beta)))
    within(y, x * scale + (beta - center * scale), 1e-3)
    within(h, x * inverse - center * inverse, 1e-3)
    plain = formula.normalize(x, center, inverse, gamma, beta)
    within(y, plain[0], 1e-3)
    within(h, plain[1], 1e-3)


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_weigh_standardized_allows_the_order_of_keras(mean):
    rng = np.random.default_rng(1)
    x, d = single(rng, 200, 8, mean=mean), single(rng, 200, 8)
    center, inverse = np.mean(x, axis=0), np.full(8, 1.3, np.float32)
    bounded = formula.weigh_standardized(*map(r.exact, (d, x, center, inverse)), (0,))
    theirs = (np.sum(d * x, axis=0) - center * np.sum(d, axis=0)) * inverse
    within(bounded, theirs[None], 1e-2)
    within(bounded, formula.weigh_standardized(d, x, center, inverse, (0,)), 1e-2)


def test_the_bound_of_one_order_would_be_too_small_for_the_other():
    rng = np.random.default_rng(1)
    x, d = single(rng, 200, 8, mean=100.0), single(rng, 200, 8)
    center = np.mean(x, axis=0)
    theirs = np.sum(d * x, axis=0) - center * np.sum(d, axis=0)
    book = (r.exact(d) * (r.exact(x) - r.exact(center))).sum(axis=0)
    assert np.any(np.abs(theirs - book.value) > book.bound)


def test_sums_of_products_may_be_added_in_any_order():
    rng = np.random.default_rng(2)
    a, b = single(rng, 60, 5), single(rng, 60, 5)

    def function(a, b):
        total = np.zeros_like(a[0])
        for one, other in zip(a, b, strict=True):
            total = total + one * other
        return total

    bounded = formula.sum_products(r.exact(a), r.exact(b), function=function, terms=60)
    for _ in range(20):
        order = rng.permutation(60)
        within(bounded, function(a[order], b[order]), 1e-4)
    # Errors of the factors go through, each with the other's magnitude.
    e, zero = np.full(a.shape, 1e-3), np.zeros(a.shape)
    off = formula.sum_products(Approx(a, e, r), Approx(b, zero, r), function=function, terms=60)
    np.testing.assert_allclose(off.bound, function(e, np.abs(b)), rtol=0.02)
