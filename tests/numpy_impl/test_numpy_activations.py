"""Every activation and its backward pass against the textbook's formula, by complex step."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from numpy_impl import activations
from numpy_impl.activations import ACTIVATIONS
from tests.numpy_impl import textbook
from tests.numpy_impl.textbook import H, unit

ELEMENTWISE = sorted(name for name, f in ACTIVATIONS.items() if f.elementwise)
DTYPES = ["float32", "float64"]


def _points() -> np.ndarray:
    rng = np.random.default_rng(1)
    z = np.concatenate([np.linspace(-8, 8, 641), rng.uniform(-8, 8, 400), [1e-9, -1e-9]])
    # At a kink the derivative is a matter of convention; test_kinks has those.
    return z[np.min(np.abs(np.abs(z)[:, None] - textbook.KINKS), axis=1) > 1e-10]


def _allowed(z: np.ndarray, exact: np.ndarray) -> np.ndarray:
    # At most 16 operations on either side, each with an error u relative to an intermediate
    # result of at most (1 + z^2)(1 + |f|): the largest factors are z^2 (hard_silu) and f = exp(z).
    return 32 * unit() * (1 + z**2) * (1 + np.abs(exact))


def _wrong(name: str, function: activations.ActivationFunction) -> tuple[int, int]:
    """Count the points at which value and derivative are not the textbook's."""
    z = _points()
    exact = textbook.ACTIVATIONS[name](z + 1j * H)
    a = function.value(z)
    value = np.abs(a - exact.real) > _allowed(z, exact.real)
    slope = exact.imag / H
    derivative = np.abs(function.derivative(z, a) - slope) > _allowed(z, slope)
    return int(value.sum()), int(derivative.sum())


def test_the_textbook_has_every_activation() -> None:
    assert set(textbook.ACTIVATIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_and_derivative(name: str) -> None:
    assert _wrong(name, ACTIVATIONS[name]) == (0, 0)


def test_a_planted_error_is_seen() -> None:
    good = ACTIVATIONS["softsign"]
    # Off by 1e-12 relative, and with one function's derivative for the other's.
    bad = activations.ActivationFunction("bad", lambda z: good(z) * (1 + 1e-12), good.derivative)
    assert _wrong("softsign", bad)[0] > 500
    bad = activations.ActivationFunction("bad", good.value, ACTIVATIONS["tanh"].derivative)
    assert _wrong("softsign", bad)[1] > 500


def test_sigmoid_s_overflow_is_no_error_and_nobody_else_s_business() -> None:
    z = np.array([-1e4, 0.0, 1e4])
    with np.errstate(over="raise"):
        assert activations.sigmoid(z).tolist() == [0.0, 0.5, 1.0]
        # What the caller wants of overflows is as it was.
        with pytest.raises(FloatingPointError):
            np.exp(z)


def test_several_threads_may_be_inside_of_sigmoid_at_once() -> None:
    z, threads = np.linspace(-1e3, 1e3, 1_000_000), 4
    expected, barrier = activations.sigmoid(z), Barrier(threads)

    def ask(_: int) -> np.ndarray:
        barrier.wait()
        return activations.sigmoid(z)

    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(ask, range(threads)):
            np.testing.assert_array_equal(found, expected)


def test_kinks_follow_keras() -> None:
    # At a kink: the derivative that Keras on TensorFlow gives.
    at: dict[str, list[tuple[float, float]]] = {
        "relu": [(0, 0)],
        "relu6": [(0, 0), (6, 0)],
        "leaky_relu": [(0, 0.2)],
        "elu": [(0, 1)],
        "softsign": [(0, 1)],
        "hard_sigmoid": [(-3, 0), (3, 0)],
        "hard_shrink": [(-0.5, 0), (0.5, 0)],
    }
    for name, pairs in at.items():
        z, expected = np.array(pairs, float).T
        assert ACTIVATIONS[name].derivative(z, ACTIVATIONS[name](z)).tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_is_multiplied_by_its_whole_jacobian(name: str) -> None:
    rng = np.random.default_rng(2)
    z, delta = rng.normal(0, 3, (7, 5)), rng.standard_normal((7, 5))
    function, exact = ACTIVATIONS[name], textbook.ACTIVATIONS[name]
    # sum_i delta_i da_i/dz_j, one j at a time.
    product = np.stack(
        [np.sum(delta * exact(z + 1j * H * np.eye(5)[j]).imag / H, axis=1) for j in range(5)], 1
    )
    a = function(z)
    # Sums of five terms and some ten operations, with |z| <= 10 and |a| <= 20 in them.
    allowed = 2 * 15 * unit() * (1 + np.abs(a)) * np.abs(delta).sum(axis=1, keepdims=True)
    assert np.all(np.abs(a - exact(z)) <= 30 * unit() * (1 + np.abs(a)))
    assert np.all(np.abs(function.backward(z, a, delta) - product) <= allowed)
    # The diagonal alone, document D2's mistake, would be seen.
    diagonal = delta * function.derivative(z, a)
    assert np.mean(np.abs(diagonal - product) > allowed) > 0.9


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_no_overflow_and_dtype_kept(name: str, dtype: str) -> None:
    largest = 80.0 if name == "exponential" else 1e4
    z = np.array([0, 1e-30, 1, 20, 90, 100, 709, 745, 1e4])
    z = np.concatenate([-z, z]).clip(-largest, largest).astype(dtype).reshape(3, 6)
    function = ACTIVATIONS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Underflow to 0 is meant; overflow, division by zero and inf - inf are not.
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            a = function(z)
            arrays = [a, function.derivative(z, a), function.backward(z, a, np.ones_like(z))]
    for array in arrays:
        assert array.dtype == dtype
        assert array.shape == z.shape
        assert np.isfinite(array).all()


def test_far_out_each_is_a_straight_line() -> None:
    # name -> (slope, offset) on the left and on the right, where |z| = 1e4.
    lines = {
        "sigmoid": ((0, 0), (0, 1)),
        "tanh": ((0, -1), (0, 1)),
        "softplus": ((0, 0), (1, 0)),
        "silu": ((0, 0), (1, 0)),
        "gelu": ((0, 0), (1, 0)),
        "mish": ((0, 0), (1, 0)),
        "log_sigmoid": ((1, 0), (0, 0)),
        "elu": ((0, -1), (1, 0)),
        "tanh_shrink": ((1, 1), (1, -1)),
        "hard_silu": ((0, 0), (1, 0)),
    }
    for name, pairs in lines.items():
        z = np.array([-1e4, 1e4])
        slope, offset = np.array(pairs, float).T
        a = ACTIVATIONS[name](z)
        np.testing.assert_array_equal(a, slope * z + offset, err_msg=name)
        np.testing.assert_array_equal(ACTIVATIONS[name].derivative(z, a), slope, err_msg=name)


def test_softmax_of_large_logits() -> None:
    # exp(1e4) overflows; the difference of 1 between the two logits is what counts:
    # softmax = (1, e^-1) / (1 + e^-1), and exp(-2e4) = 0.
    z = np.array([[1e4, 1e4 - 1, -1e4]])
    expected = np.array([[1, np.exp(-1), 0]]) / (1 + np.exp(-1))
    np.testing.assert_allclose(ACTIVATIONS["softmax"](z), expected, rtol=4 * unit(), atol=0)
    logs = ACTIVATIONS["log_softmax"](z)
    assert logs[0, 2] == -2e4 - np.log1p(np.exp(-1))


def test_nan_stays_nan() -> None:
    # hard_shrink is 0 where |z| > 0.5 does not hold, NaN included, in Keras too.
    for name in sorted(set(ACTIVATIONS) - {"hard_shrink"}):
        assert np.isnan(ACTIVATIONS[name](np.full((1, 2), np.nan))).all(), name


def test_get() -> None:
    assert activations.get(None) is activations.get("linear")
    assert activations.get("swish") is activations.get("silu")
    own = activations.leaky_relu(0.5)
    assert activations.get(own) is own
    assert own(np.array([-2.0, 4.0])).tolist() == [-1.0, 4.0]


def test_functions_with_options_have_them_in_their_names() -> None:
    """By hand: e^0 - 1 = 0, and (z - 1) / 10 below the threshold 1."""
    half = activations.elu(0.5)
    np.testing.assert_allclose(half(np.array([-np.log(2.0), 0.0, 3.0])), [-0.25, 0.0, 3.0])
    options = activations.relu(2.0, 0.1, 1.0)
    np.testing.assert_allclose(options(np.array([-1.0, 0.5, 1.5, 7.0])), [-0.2, -0.05, 1.5, 2.0])
    for function in (half, options, activations.relu(5.0), activations.relu(threshold=0.3)):
        again, z = activations.get(function.name), np.linspace(-3, 7, 40)
        a = function.value(z)
        assert np.array_equal(again.value(z), a)
        slope = (function.value(z + 1e-6) - function.value(z - 1e-6)) / 2e-6
        np.testing.assert_allclose(function.derivative(z, a), slope, atol=1e-8)
    assert activations.relu(6.0) is activations.get("relu6")
    assert activations.relu(negative_slope=0.2).name == "leaky_relu"
    assert activations.elu(1) is activations.get("elu")
    with pytest.raises(ValueError, match=r"of at least 0\. Received: relu\(-1\.0, 0\.0, 0\.0\)"):
        activations.relu(-1)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="Unknown activation") as caught:
        activations.get("rellu")
    known = ", ".join(sorted(activations.ACTIVATIONS))
    assert f"Expected one of: {known}. " in str(caught.value)
    assert str(caught.value).endswith("Received: 'rellu'")
