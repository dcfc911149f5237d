"""Sums of backpropagation that are formed wrongly, and gradients that are wrong in part."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity import Candidate, CheckReport, Outcome

Propagate = Callable[[Array, Array], Array]
Tensor = Callable[[Array], Array]


class Net:
    """A chain of tanh layers with a linear output, samples in rows; parts of it replaceable.

    Args:
        sizes: Inputs, then the units of each layer.
        propagate: From a delta, (N, units above), and the kernel, (units, units above), to the
            gradient at the activations below.
        kernel: What becomes of a kernel's gradient, (inputs, units).
        bias: What becomes of a bias's gradient.
        layers: In which layers, counted from 0, these are in place.
        turned: Whether kernels are kept as (units, inputs).
    """

    def __init__(
        self,
        sizes: Sequence[int] = (4, 6, 5, 3),
        propagate: Propagate | None = None,
        kernel: Tensor | None = None,
        bias: Tensor | None = None,
        layers: Sequence[int] = (0, 1, 2),
        turned: bool = False,
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        pairs = list(pairwise(sizes))
        self.kernels = [rng.normal(size=(b, a) if turned else (a, b)) for a, b in pairs]
        self.biases = [rng.normal(size=n) for n in sizes[1:]]
        self.propagate, self.kernel, self.bias = propagate, kernel, bias
        self.layers, self.turned = layers, turned

    def weights(self) -> list[Array]:
        return [w for pair in zip(self.kernels, self.biases, strict=True) for w in pair]

    def upright(self, layer: int) -> Array:
        return self.kernels[layer].T if self.turned else self.kernels[layer]

    def activations(self, x: Array) -> list[Array]:
        signals = [x]
        for layer in range(len(self.kernels)):
            z = signals[-1] @ self.upright(layer) + self.biases[layer]
            signals.append(z if layer == len(self.kernels) - 1 else np.tanh(z))
        return signals

    def gradients(self, x: Array, y: Array) -> list[Array]:
        signals = self.activations(x)
        delta, found = (signals[-1] - y) / len(x), []
        for layer in reversed(range(len(self.kernels))):
            kernel, bias = signals[layer].T @ delta, delta.sum(axis=0)
            kernel = kernel.T if self.turned else kernel
            if layer in self.layers:
                kernel = self.kernel(kernel) if self.kernel else kernel
                bias = self.bias(bias) if self.bias else bias
            found = [kernel, bias, *found]
            if layer:
                right = layer - 1 not in self.layers or self.propagate is None
                w = self.upright(layer)
                e = delta @ w.T if right or not self.propagate else self.propagate(delta, w)
                delta = e * (1 - signals[layer] ** 2)
        return found

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        for w, g in zip(self.weights(), self.gradients(x, y), strict=True):
            w -= learning_rate * g

    def candidate(self, by: str = "gradients") -> Candidate:
        given: dict[str, Any] = {by: getattr(self, by)}
        return Candidate(
            get_weights=self.weights, forward=lambda x: self.activations(x)[-1], **given
        )


def checked(candidate: Any) -> CheckReport:
    return parity.check(candidate, keras=False)


def codes(report: CheckReport) -> list[tuple[str, str]]:
    return [(f.code, f.where.split("(")[0].strip()) for f in report.findings]


def zeroed(number: int, axis: int) -> Tensor:
    """Leave a row (or column) of a gradient at zero."""

    def part(gradient: Array) -> Array:
        gradient = gradient.copy()
        np.moveaxis(gradient, axis, 0)[number] = 0
        return gradient

    return part


def only(*numbers: int) -> Propagate:
    """The shares of some units above."""
    return lambda delta, w: delta[:, list(numbers)] @ w[:, list(numbers)].T


def without(number: int) -> Propagate:
    return lambda delta, w: np.delete(delta, number, 1) @ np.delete(w, number, 1).T


def running(delta: Array, w: Array) -> Array:
    """The sum is not set back to 0 for each unit."""
    e, total = np.empty((len(delta), len(w))), np.zeros(len(delta))
    for j in range(len(w)):
        for k in range(w.shape[1]):
            total = total + delta[:, k] * w[j, k]
        e[:, j] = total
    return e


def running_down(delta: Array, w: Array) -> Array:
    return np.cumsum((delta @ w.T)[:, ::-1], axis=1)[:, ::-1]


def skipped(number: int) -> Propagate:
    return lambda delta, w: zeroed(number, 1)(delta @ w.T)


# What is done in place of the right sum, its code, and what the sentence has to say.
SUMS = [
    (only(0), "one-share", "unit 0 (the first) arrives"),
    (only(-1), "one-share", "(the last) arrives"),
    (without(-1), "share-left-out", "(the last) is left out"),
    (without(0), "share-left-out", "unit 0 (the first) is left out"),
    (running, "sum-not-reset", "those of the units 0 to j"),
    (running_down, "sum-not-reset", "those of the units j to the last"),
    (skipped(-1), "unit-skipped", "(the last) of the layer gets no delta"),
    (skipped(0), "unit-skipped", "unit 0 (the first) of the layer gets no delta"),
]


@pytest.mark.parametrize("sizes", [(4, 6, 5, 3), (7, 3, 4, 9)], ids=str)
@pytest.mark.parametrize(("propagate", "code", "said"), SUMS)
def test_a_wrong_sum_is_named(sizes, propagate: Propagate, code: str, said: str) -> None:
    report = checked(Net(sizes, propagate, seed=len(said)).candidate())
    assert report.outcome is Outcome.WRONG
    assert codes(report) == [(code, "layer 2's delta"), (code, "layer 1's delta")], str(report)
    assert all(said in finding.title for finding in report.findings)


@pytest.mark.parametrize(("propagate", "code", "said"), SUMS)
def test_a_wrong_sum_in_one_layer_leaves_the_others_alone(propagate, code, said) -> None:
    report = checked(Net((5, 4, 6, 3), propagate, layers=(1,), turned=True).candidate("step"))
    assert codes(report) == [(code, "layer 2's delta")], str(report)
    assert said in report.findings[0].title


def test_the_numbers_are_those_of_the_units() -> None:
    report = checked(Net((4, 6, 5, 3), without(-1)).candidate())
    first, second = report.findings
    assert "from the 3 units above the share of unit 2 (the last)" in first.title
    assert "from the 5 units above the share of unit 4 (the last)" in second.title


def test_of_units_in_the_middle_nothing_is_claimed() -> None:
    report = checked(Net((4, 6, 5), only(1, 3), layers=(0,)).candidate())
    assert codes(report) == [("unknown", "layer 1's delta")], str(report)


class Number:
    """A number that knows its gradient, and what it is used for."""

    def __init__(self, data: float, back: Callable[[], None] = lambda: None, inputs=()) -> None:
        self.data, self.grad, self.back, self.inputs = data, 0.0, back, inputs

    def __add__(self, other: "Number") -> "Number":
        out = Number(self.data + other.data, inputs=(self, other))

        def back() -> None:
            self.grad += out.grad
            other.grad += out.grad

        out.back = back
        return out

    def times(self, other: "Number", assigned: bool) -> "Number":
        out = Number(self.data * other.data, inputs=(self, other))

        def back() -> None:
            self.grad = other.data * out.grad + (0 if assigned else self.grad)
            other.grad = self.data * out.grad + (0 if assigned else other.grad)

        out.back = back
        return out

    def of(self, value: float, slope: float) -> "Number":
        out = Number(value, inputs=(self,))

        def back() -> None:
            self.grad += slope * out.grad

        out.back = back
        return out

    def backward(self) -> None:
        order: list[Number] = []

        def visit(node: Number) -> None:
            if node not in order:
                for below in node.inputs:
                    visit(below)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            node.back()


def scalar_network(assigned: bool, sizes: Sequence[int]) -> Candidate:
    """A network of Numbers; ``assigned``: a product's gradients replace those from elsewhere."""
    rng = np.random.default_rng(5)
    pairs = list(pairwise(sizes))
    kernels = [[[Number(rng.normal()) for _ in range(a)] for _ in range(b)] for a, b in pairs]
    biases = [[Number(rng.normal()) for _ in range(b)] for _, b in pairs]

    def read(what: str) -> list[Any]:
        found: list[Any] = []
        for kernel, bias in zip(kernels, biases, strict=True):
            found.append([[getattr(n, what) for n in row] for row in kernel])
            found.append([getattr(n, what) for n in bias])
        return found

    def put(arrays: Sequence[Any]) -> None:
        for n, kernel in enumerate(kernels):
            rows = [*zip(kernel, arrays[2 * n], strict=True), (biases[n], arrays[2 * n + 1])]
            for row, values in rows:
                for number, value in zip(row, values, strict=True):
                    number.data = float(value)

    def forward(x: Array) -> list[Number]:
        signal = [Number(float(v)) for v in x]
        for n, kernel in enumerate(kernels):
            z = list(biases[n])
            for j, row in enumerate(kernel):
                for weight, value in zip(row, signal, strict=True):
                    z[j] = z[j] + weight.times(value, assigned)
            last = n == len(kernels) - 1
            signal = z if last else [v.of(math.tanh(v.data), 1 - math.tanh(v.data) ** 2) for v in z]
        return signal

    def gradients(x: Array, y: Array) -> list[Any]:
        for number in [n for rows in [*kernels, biases] for row in rows for n in row]:
            number.grad = 0.0
        total = Number(0.0)
        for out, target in zip(forward(x), y, strict=True):
            off = out.data - float(target)
            total = total + out.of(off * off, 2 * off)
        total.backward()
        return read("grad")

    return Candidate(
        get_weights=lambda: read("data"),
        set_weights=put,
        forward=lambda x: [n.data for n in forward(x)],
        gradients=gradients,
        samples="single",
    )


def test_automatic_differentiation_that_assigns_is_named() -> None:
    report = checked(scalar_network(True, (3, 4, 3)))
    assert codes(report) == [("one-share", "layer 1's delta")], str(report)
    assert "assigned, not added up" in report.findings[0].title
    assert "from the 3 units above only the share of unit 0" in report.findings[0].title


def test_automatic_differentiation_that_adds_up_is_right() -> None:
    assert checked(scalar_network(False, (3, 4, 3))).outcome is Outcome.RIGHT


# A part of a kernel's gradient, (inputs, units), that is zero: number and axis, and what is said.
PARTS = [
    (-1, 0, "input {last} (the last, counted from 0), and right everywhere else: a loop that ends"),
    (0, 0, "input 0 (the first, counted from 0), and right everywhere else: a loop that begins"),
    (-1, 1, "unit {last} (the last, counted from 0), and right everywhere else: a loop that ends"),
    (2, 1, "unit 2 (counted from 0), and right everywhere else"),
]


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
