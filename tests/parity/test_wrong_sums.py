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


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("sizes", [(4, 6, 5, 3), (7, 3, 4, 9)], ids=str)
@pytest.mark.parametrize(("propagate", "code", "said"), SUMS)
def test_a_wrong_sum_is_named(sizes, propagate: Propagate, code: str, said: str) -> None:
    report = checked(Net(sizes, propagate, seed=len(said)).candidate())
    assert report.outcome is Outcome.WRONG
    assert codes(report) == [(code, "layer 2's delta"), (code, "layer 1's delta")], str(report)
    assert all(said in finding.title for finding in report.findings)


@pytest.mark.census(keep=2)
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


class Piling(Net):
    """Biases' gradients (or those that ``piles`` says) are never set back to 0."""

    def __init__(self, piles: Callable[[int], bool] = lambda n: n % 2 == 1) -> None:
        super().__init__()
        self.piles = piles
        self.sums = [np.zeros_like(w) for w in self.weights()]

    def gradients(self, x: Array, y: Array) -> list[Array]:
        found = super().gradients(x, y)
        for n, g in enumerate(found):
            self.sums[n] = self.sums[n] + g if self.piles(n) else g
        return [g.copy() for g in self.sums]


def test_only_the_gradients_that_pile_up_are_accused() -> None:
    report = checked(lambda: Piling().candidate())
    (finding,) = report.findings
    assert finding.code == "accumulated", str(report)
    assert finding.where == "gradients of weights[1], weights[3], weights[5]"


def test_one_kernel_that_piles_up_is_named() -> None:
    (finding,) = checked(lambda: Piling(lambda n: n == 2).candidate()).findings
    assert (finding.code, finding.where) == ("accumulated", "gradients of weights[2]")


def test_where_all_pile_up_all_are_accused() -> None:
    (finding,) = checked(lambda: Piling(lambda n: True).candidate()).findings
    assert (finding.code, finding.where) == ("accumulated", "gradients")


def test_a_layer_off_by_itself_is_not_said_to_hand_it_down() -> None:
    net = Net((4, 6, 5, 3), kernel=lambda g: 3 * g, bias=lambda g: 3 * g, layers=(1,))
    (finding,) = checked(net.candidate()).findings
    assert finding.where == "layer 2, kernel and bias", finding


def test_factors_of_layers_on_their_own_are_told_from_those_of_deltas() -> None:
    """Layer 3's tensors are both tripled, layer 2's kernel is doubled; its bias is right."""

    class Two(Net):
        def gradients(self, x: Array, y: Array) -> list[Array]:
            w1, b1, w2, b2, w3, b3, *rest = super().gradients(x, y)
            return [w1, b1, 2 * w2, b2, 3 * w3, 3 * b3, *rest]

    report = checked(Two((4, 6, 5, 7, 3)).candidate())
    assert [f.where.split("(")[0].strip() for f in report.findings] == [
        "layer 3, kernel and bias", "layer 2 kernel",
    ], str(report)  # fmt: skip
