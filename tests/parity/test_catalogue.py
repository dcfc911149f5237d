"""The catalogue of ways to compute: complete, and named after what it computes."""

import numpy as np
import pytest

import parity
from numpy_impl.activations import ACTIVATIONS
from parity.checking.model.functions import ELEMENTWISE, OUTPUTS


def test_every_activation_of_the_engine_is_known() -> None:
    elementwise = {name for name, f in ACTIVATIONS.items() if f.elementwise}
    # celu with Keras's alpha is elu; leaky ReLU stands there with each of its usual slopes.
    assert elementwise - {f.name for f in ELEMENTWISE} == {"celu", "leaky_relu"}
    assert {f.name for f in OUTPUTS} >= set(ACTIVATIONS) - elementwise
    assert len({f.name for f in ELEMENTWISE}) == len(ELEMENTWISE)


@pytest.mark.parametrize("function", ELEMENTWISE, ids=lambda f: f.name)
def test_a_derivative_jumps_at_the_kinks_and_nowhere_else(function) -> None:
    z = np.linspace(-8, 8, 3201)  # every 0.005, all kinks among them
    ends = z[:, None] + [-1e-9, 1e-9]
    jump = np.abs(np.diff(function.derivative(ends, function.value(ends)), axis=1)[:, 0])
    scale = 1 + np.abs(function.derivative(z, function.value(z)))
    step = np.abs(np.diff(function.value(ends), axis=1)[:, 0])
    found = z[(jump > 1e-4 * scale) | (step > 1e-4 * scale)]
    # A function may bend at a kink of the formula without a jump of f': elu, softsign.
    assert set(np.round(found, 9)) <= set(function.kinks)


@pytest.mark.parametrize("name", ["squareplus", "hard_silu", "tanh_shrink", "sparse_plus"])
def test_a_network_with_a_rare_activation_is_understood(name: str) -> None:
    function = ACTIVATIONS[name]
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(6, 5)), rng.normal(size=5), rng.normal(size=(5, 3))]

    def forward(x):
        w1, b1, w2 = weights
        z = x @ w1 + b1
        return z, function.value(z), function.value(z) @ w2

    def gradients(x, y):
        z, a, output = forward(x)
        delta = (output - y) / len(x)
        hidden = delta @ weights[2].T * function.derivative(z, a)
        return [x.T @ hidden, hidden.sum(axis=0), a.T @ delta]

    report = parity.check(
        parity.Candidate(
            get_weights=lambda: weights, forward=lambda x: forward(x)[-1], gradients=gradients
        ),
        keras=False,
    )
    assert report.passed, str(report)
    assert name in str(report)
