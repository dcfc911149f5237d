"""Gradients that are wrong in some of their elements only, and lists that hold the weights."""

import math

import numpy as np
import pytest

from numpy_impl.types import Array
from parity import Candidate, Outcome
from tests.parity.test_wrong_sums import Net, Tensor, checked, codes, zeroed

# A part of a kernel's gradient, (inputs, units), that is zero: number and axis, and what is said.
PARTS = [
    (-1, 0, "input {last} (the last, counted from 0), and right everywhere else: a loop that ends"),
    (0, 0, "input 0 (the first, counted from 0), and right everywhere else: a loop that begins"),
    (-1, 1, "unit {last} (the last, counted from 0), and right everywhere else: a loop that ends"),
    (2, 1, "unit 2 (counted from 0), and right everywhere else"),
]


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("by", ["gradients", "step"])
@pytest.mark.parametrize(("number", "axis", "said"), PARTS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_part_of_a_kernel_without_gradient_is_named(by, number, axis, said, turned) -> None:
    sizes = (4, 6, 5, 7)
    net = Net(sizes, kernel=zeroed(number, axis != turned), layers=(1,), turned=turned)
    report = checked(net.candidate(by))
    assert report.outcome is Outcome.WRONG
    assert codes(report) == [("kernel-part-missing", "layer 2 kernel")], str(report)
    assert said.format(last=sizes[1 + axis] - 1) in report.findings[0].title


def test_parts_in_every_layer_are_named_in_each() -> None:
    report = checked(Net(kernel=zeroed(-1, 0)).candidate())
    expected = [("kernel-part-missing", f"layer {n} kernel") for n in (3, 2, 1)]
    assert codes(report) == expected, str(report)


def test_inputs_and_units_may_both_be_left_out() -> None:
    def inner(gradient: Array) -> Array:
        return zeroed(-1, 1)(zeroed(-1, 0)(gradient))

    report = checked(Net((4, 6, 3), kernel=inner, layers=(0,)).candidate())
    assert codes(report) == [("kernel-part-missing", "layer 1 kernel")], str(report)
    title = report.findings[0].title
    assert "input 3 (the last, counted from 0) and unit 5 (the last, counted from 0)" in title


@pytest.mark.census(keep=1)
@pytest.mark.parametrize(
    ("number", "said"), [(-1, "unit 4 (the last"), (0, "unit 0 (the first"), (2, "unit 2 (")]
)
def test_a_part_of_a_bias_without_gradient_is_named(number: int, said: str) -> None:
    report = checked(Net((4, 6, 5, 3), bias=zeroed(number, 0), layers=(1,)).candidate())
    assert codes(report) == [("bias-part-missing", "layer 2 bias")], str(report)
    assert f"zero for {said}" in report.findings[0].title


def test_zeros_beside_another_mistake_are_no_explanation() -> None:
    def both(gradient: Array) -> Array:
        gradient = zeroed(-1, 0)(gradient)
        gradient[0, 0] += 1
        return gradient

    report = checked(Net((4, 6, 3), kernel=both, layers=(0,)).candidate())
    assert codes(report) == [("unknown", "layer 1 kernel")], str(report)


def test_of_what_is_wrong_in_part_it_is_said_which_part() -> None:
    def part(gradient: Array) -> Array:
        gradient = gradient.copy()
        gradient[:, 2] *= np.linspace(2, 3, len(gradient))
        return gradient

    report = checked(Net((4, 6, 3), kernel=part, layers=(0,)).candidate())
    (finding,) = report.findings
    assert finding.code == "unknown"
    assert "4 of 24 elements are off" in finding.evidence
    assert "belong to unit 2 (counted from 0), and the others are right" in finding.evidence


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("sizes", [(4, 6, 3), (5, 3, 8), (2, 7, 4)], ids=str)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "mixed",
    [
        lambda g: g.ravel("F").reshape(g.shape),
        lambda g: g.ravel().reshape(g.shape, order="F"),
        lambda g: np.ascontiguousarray(g.T).reshape(g.shape),
    ],
)
def test_elements_in_another_order_are_named(sizes, turned: bool, mixed: Tensor) -> None:
    report = checked(Net(sizes, kernel=mixed, layers=(1,), turned=turned).candidate())
    assert codes(report) == [("kernel-reordered", "layer 2 kernel")], str(report)
    assert "flattened row by row and unpacked column by column" in report.findings[0].title


def test_a_shuffle_is_not_taken_for_another_order() -> None:
    order = np.random.default_rng(1).permutation(24)
    report = checked(
        Net((4, 6, 3), kernel=lambda g: g.ravel()[order].reshape(4, 6), layers=(0,)).candidate()
    )
    assert codes(report) == [("unknown", "layer 1 kernel")], str(report)


def lists(neurons: bool, last: int = 0) -> Candidate:
    """Pure Python: a neuron is a list of its weights with its bias behind them.

    Args:
        neurons: Whether get_weights makes the list around the neurons anew at every call.
        last: How many of the inputs the update leaves out.
    """
    rng = np.random.default_rng(2)
    layers = [
        [{"w": rng.normal(size=a + 1).tolist()} for _ in range(b)] for a, b in ((3, 4), (4, 2))
    ]

    def forward(x: Array) -> list[list[float]]:
        signals = [list(x)]
        for layer in layers:
            below = signals[-1]
            z = [n["w"][-1] + sum(w * v for w, v in zip(n["w"], below)) for n in layer]  # noqa: B905
            signals.append([1 / (1 + math.exp(-v)) for v in z])
        return signals

    def step(x: Array, y: Array, learning_rate: float) -> None:
        signals = forward(x)
        deltas = [(a - t) * a * (1 - a) for a, t in zip(signals[-1], y, strict=True)]
        below = [
            sum(d * n["w"][j] for d, n in zip(deltas, layers[1], strict=True)) * a * (1 - a)
            for j, a in enumerate(signals[1])
        ]
        for layer, ds, signal in zip(layers, (below, deltas), signals, strict=False):
            for neuron, d in zip(layer, ds, strict=True):
                for i in range(len(signal) - last):
                    neuron["w"][i] -= learning_rate * d * signal[i]
                neuron["w"][-1] -= learning_rate * d

    made = [[neuron["w"] for neuron in layer] for layer in layers]
    return Candidate(
        get_weights=lambda: [[n["w"] for n in layer] for layer in layers] if neurons else made,
        forward=lambda x: forward(x)[-1],
        step=step,
        samples="single",
        bias="folded-last",
    )


@pytest.mark.parametrize("neurons", [False, True])
def test_lists_are_taken_though_the_list_around_them_is_made_anew(neurons: bool) -> None:
    report = checked(lambda: lists(neurons))
    assert report.outcome is Outcome.RIGHT, str(report)


def test_lists_are_put_back() -> None:
    candidate = lists(True)
    assert candidate.get_weights is not None
    before = [[list(row) for row in layer] for layer in candidate.get_weights()]
    rows = [row for layer in candidate.get_weights() for row in layer]
    checked(candidate)
    assert candidate.get_weights() == before
    after = [row for layer in candidate.get_weights() for row in layer]
    assert all(one is other for one, other in zip(rows, after, strict=True))


def test_the_last_weight_that_is_never_updated_is_named() -> None:
    report = checked(lambda: lists(True, last=1))
    assert [f.code for f in report.findings] == ["kernel-part-missing"] * 2, str(report)
    assert "input 3 (the last" in report.findings[0].title
    assert "input 2 (the last" in report.findings[1].title
