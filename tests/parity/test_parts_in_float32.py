"""A part of the gradients computed in float32 is rounded; a larger error in one tensor is none."""

from collections.abc import Callable

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity import CheckReport, Outcome

Change = Callable[[list[Array], list[Array], list[Array]], list[Array]]


def rounded(values: Array) -> Array:
    return values.astype(np.float32).astype(float)


def sums(g: list[Array], inputs: list[Array], deltas: list[Array]) -> list[Array]:
    biases = [delta.sum(axis=0, dtype=np.float32).astype(float) for delta in deltas]
    return [g[0], biases[0], g[2], biases[1]]


def products(g: list[Array], inputs: list[Array], deltas: list[Array]) -> list[Array]:
    kernels = [rounded(x).T @ rounded(delta) for x, delta in zip(inputs, deltas, strict=True)]
    return [kernels[0], g[1], kernels[1], g[3]]


def results(g: list[Array], inputs: list[Array], deltas: list[Array]) -> list[Array]:
    return [rounded(gradient) for gradient in g]


def off(place: int) -> Change:
    """Return what adds 1e-4 and less to one gradient: some thousand roundings of float32."""

    def change(g: list[Array], inputs: list[Array], deltas: list[Array]) -> list[Array]:
        wave = 1e-4 * np.cos(np.arange(g[place].size)).reshape(g[place].shape)
        return [*g[:place], g[place] + wave, *g[place + 1 :]]

    return change


def checked(change: Change, summed: bool, decay: float = 0.0) -> CheckReport:
    """Check 6-5-4 (tanh, softmax), whose gradients are changed."""
    rng = np.random.default_rng(2)
    w = [rng.normal(size=(6, 5)), rng.normal(size=5), rng.normal(size=(5, 4)), rng.normal(size=4)]

    def forward(x: Array) -> tuple[Array, Array]:
        hidden = np.tanh(x @ w[0] + w[1])
        e = np.exp(hidden @ w[2] + w[3])
        return hidden, e / e.sum(axis=1, keepdims=True)

    def gradients(x: Array, y: Array) -> list[Array]:
        hidden, output = forward(x)
        delta = (output - y) / (1 if summed else len(x))
        below = delta @ w[2].T * (1 - hidden**2)
        kernels = [x.T @ below + decay * w[0], hidden.T @ delta + decay * w[2]]
        g = [kernels[0], below.sum(axis=0), kernels[1], delta.sum(axis=0)]
        return change(g, [x, hidden], [below, delta])

    candidate = parity.Candidate(
        get_weights=lambda: w, forward=lambda x: forward(x)[1], gradients=gradients
    )
    return parity.check(candidate, keras=False)


@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("change", [sums, products, results])
def test_what_float32_rounds_is_right_and_it_is_said(change: Change, summed: bool):
    report = checked(change, summed)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert any(remark.startswith("Precision: ") for remark in report.remarks)


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_larger_error_in_one_tensor_is_none_of_float32(place: int, summed: bool, decay: float):
    report = checked(off(place), summed, decay)
    # Beside a decay that no loss is known of, more of the kernel may depend on the weights.
    wrong = {Outcome.WRONG, Outcome.UNKNOWN} if decay else {Outcome.WRONG}
    assert report.outcome in wrong, str(report)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_gradients_of_less_precision_than_the_weights_are_remarked(dtype: type):
    report = checked(lambda g, inputs, deltas: [a.astype(dtype) for a in g], False)
    assert report.outcome is Outcome.RIGHT, str(report)
    said = f"Precision: your gradients are {np.dtype(dtype)} where the weights are float64."
    assert any(remark.startswith(said) for remark in report.remarks), str(report)


def test_half_precision_beside_a_penalty_ends_in_no_exception():
    report = checked(lambda g, inputs, deltas: [a.astype(np.float16) for a in g], False, 0.01)
    assert report.outcome is not Outcome.WRONG, str(report)
