"""A derivative that is written wrong, whatever the slip, is told by the numbers that it gives."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity import Candidate, CheckReport, Outcome

Function = Callable[[Array], Array]
# An activation, the derivative that is right, and the one that is written.
Written = tuple[Function, Function, Function]


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softplus(z: Array) -> Array:
    return np.logaddexp(0, z)


def elu(z: Array, alpha: float = 1.0) -> Array:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def d_elu(z: Array) -> Array:
    return np.where(z > 0, 1, np.exp(np.minimum(z, 0)))


def silu(z: Array) -> Array:
    return z * sigmoid(z)


def d_silu(z: Array) -> Array:
    return sigmoid(z) * (1 + z * (1 - sigmoid(z)))


def d_tanh(z: Array) -> Array:
    return 1 - np.tanh(z) ** 2


C = math.sqrt(2 / math.pi)


def gelu(z: Array) -> Array:
    return 0.5 * z * (1 + np.tanh(C * (z + 0.044715 * z**3)))


def d_gelu(z: Array, three: float = 3.0) -> Array:
    t = np.tanh(C * (z + 0.044715 * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * C * (1 + three * 0.044715 * z**2)


SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772
TANH: Written = (np.tanh, d_tanh, d_tanh)
SLIPS: dict[str, Written] = {
    "gelu (tanh)": (gelu, d_gelu, lambda z: d_gelu(z, 1.0)),
    "elu": (elu, d_elu, lambda z: np.where(z > 0, 1, elu(z))),
    "silu": (silu, d_silu, lambda z: silu(z) + sigmoid(z) * (1 - sigmoid(z))),
    "softplus": (softplus, sigmoid, lambda z: sigmoid(z) * softplus(z)),
    "softsign": (
        lambda z: z / (1 + np.abs(z)),
        lambda z: 1 / (1 + np.abs(z)) ** 2,
        lambda z: 1 / (1 + np.abs(z)),
    ),
    "selu": (
        lambda z: SCALE * elu(z, ALPHA),
        lambda z: SCALE * np.where(z > 0, 1, ALPHA * np.exp(np.minimum(z, 0))),
        lambda z: np.where(z > 0, SCALE, ALPHA * np.exp(np.minimum(z, 0)) * 0.5),
    ),
    "tanh": (np.tanh, d_tanh, lambda z: 1 - np.abs(np.tanh(z))),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z)), lambda z: sigmoid(z)**3),
    "leaky_relu(0.2)": (
        lambda z: np.where(z > 0, z, 0.2 * z),
        lambda z: np.where(z > 0, 1, 0.2),
        lambda z: np.where(z > 0, 1, -0.7),
    ),
}  # fmt: skip


@dataclass
class Net:
    """Hidden layers with derivatives as written, and softmax with cross-entropy above them."""

    sizes: tuple[int, ...] = (5, 7, 6, 3)
    hidden: tuple[Written, ...] = (TANH, TANH)
    bias: bool = True
    columns: bool = False
    single: bool = False
    dtype: Any = np.float64
    pieces: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        rng = np.random.default_rng(len(self.sizes))
        shapes = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        self.w = [rng.normal(size=s).astype(self.dtype) for s in shapes]
        self.b = [np.zeros(n, self.dtype) for n in self.sizes[1:]]

    def weights(self) -> list[Array]:
        if not self.bias:
            return self.w
        return [a for pair in zip(self.w, self.b, strict=True) for a in pair]

    def run(self, x: Array) -> Array:
        self.z, self.a = [], [x]
        for n, (w, b) in enumerate(zip(self.w, self.b, strict=True)):
            self.z.append(self.a[-1] @ w + b)
            last = n == len(self.w) - 1
            a = softmax(self.z[-1]) if last else self.hidden[n][0](self.z[-1])
            self.a.append(a.astype(self.dtype))
        return self.a[-1]

    def forward(self, x: Array) -> Array:
        a = self.run(x.T if self.columns else np.atleast_2d(x))
        return a.T if self.columns else a[0] if self.single else a

    def slope(self, n: int) -> Array:
        return self.hidden[n][2](self.z[n])

    def gradients(self, x: Array, y: Array) -> list[Array]:
        x, y = (x.T, y.T) if self.columns else (np.atleast_2d(x), np.atleast_2d(y))
        delta = (self.run(x) - y) / len(x)
        found: list[Array] = []
        for n in reversed(range(len(self.w))):
            found[:0] = [self.a[n].T @ delta, *([delta.sum(axis=0)] if self.bias else [])]
            if n:
                delta = delta @ self.w[n].T * self.pieces.get("slope", Net.slope)(self, n - 1)
                delta = delta.astype(self.dtype)
        return found

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        for w, g in zip(self.weights(), self.gradients(x, y), strict=True):
            w -= learning_rate * g

    def candidate(self, by: str = "gradients") -> Candidate:
        form = "columns" if self.columns else "single" if self.single else "rows"
        given: dict[str, Any] = {by: getattr(self, by), "samples": form}
        return Candidate(get_weights=self.weights, forward=self.forward, **given)

    def said(self, by: str = "gradients", seed: int = 0) -> CheckReport:
        return parity.check(self.candidate(by), keras=False, seed=seed)


def slipped(name: str) -> Candidate:
    """Return a network with one hidden layer, its derivative written wrong."""
    return Net((5, 7, 3), (SLIPS[name],)).candidate()


def assert_told(report: CheckReport, written: dict[str, Written]) -> None:
    """Assert that just these derivatives, by place, are found, and the values given are true."""
    assert report.outcome is Outcome.WRONG
    found = [(f.code, f.where) for f in report.findings]
    assert found == [("wrong-derivative", place) for place in written], str(report)
    for finding in report.findings:
        _, right, wrong = written[finding.where]
        numbers = [
            (float(z), float(own), float(true))
            for z, own, true in re.findall(
                r"at z = (\S+) your code has (\S+), and .*?'\(z\) is ([^;\s]+)", finding.title
            )
        ]
        assert numbers
        for z, own, true in numbers:
            place = np.array([z])
            # Of z four digits are printed.
            assert own == pytest.approx(float(wrong(place)[0]), abs=3e-3)
            assert true == pytest.approx(float(right(place)[0]), abs=3e-3)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("name", SLIPS)
def test_every_slip_is_told_in_every_layer_that_has_it(name: str):
    slip = SLIPS[name]
    report = Net(hidden=(slip, slip)).said()
    assert_told(report, {"layer 2's delta": slip, "layer 1's delta": slip})
    assert all(
        f.title.startswith(f"{name}'s derivative is written wrong: ") for f in report.findings
    )


@pytest.mark.census(keep=2)
@pytest.mark.parametrize(
    ("by", "options"),
    [
        ("step", {}),
        ("gradients", {"columns": True}),
        ("gradients", {"bias": False}),
        ("step", {"single": True}),
        ("gradients", {"single": True, "bias": False}),
    ],
    ids=str,
)
def test_a_slip_is_told_in_every_convention(by: str, options: dict[str, Any]):
    slip = SLIPS["silu"]
    report = Net(hidden=(slip, slip), **options).said(by)
    assert_told(report, {"layer 2's delta": slip, "layer 1's delta": slip})


@pytest.mark.census(keep=1)
@pytest.mark.parametrize("by", ["gradients", "step"])
def test_a_slip_is_told_in_float32(by: str):
    slip = SLIPS["silu"]
    report = Net(hidden=(TANH, slip), dtype=np.float32).said(by)
    assert_told(report, {"layer 2's delta": slip})


@pytest.mark.census(keep=1)
@pytest.mark.parametrize("seed", range(2))
def test_a_slip_is_told_with_every_seed(seed: int):
    slip = SLIPS["elu"]
    report = Net((4, 9, 2), (slip,)).said(seed=seed)
    assert_told(report, {"layer 1's delta": slip})
    assert report.findings[0].title.endswith("; for z > 0 it is right")


def test_a_slip_in_one_layer_leaves_the_others_right():
    slip = SLIPS["softplus"]
    assert_told(Net(hidden=(TANH, slip)).said(), {"layer 2's delta": slip})
    assert_told(Net(hidden=(slip, TANH)).said(), {"layer 1's delta": slip})


def test_a_bug_below_the_slip_is_found_as_well():
    slip = SLIPS["gelu (tanh)"]
    net = Net(hidden=((np.tanh, d_tanh, np.ones_like), slip))
    found = [(f.code, f.where) for f in net.said().findings]
    assert found == [
        ("wrong-derivative", "layer 2's delta"),
        ("missing-derivative", "layer 1's delta"),
    ]


def by_place(net: Net, n: int) -> Array:
    """Return a slope that depends on the unit besides z."""
    z = net.z[n]
    return d_tanh(z) * np.linspace(0.5, 1.5, z.shape[1])


def by_neighbours(net: Net, n: int) -> Array:
    """Return a slope that depends on the other units."""
    return d_tanh(net.z[n]) - 0.1 * np.tanh(net.z[n]).sum(axis=1, keepdims=True)


def by_sample(net: Net, n: int) -> Array:
    """Return a slope that depends on the place in the batch."""
    return d_tanh(net.z[n]) * np.linspace(0.5, 1.5, len(net.z[n]))[:, None]


def by_input(net: Net, n: int) -> Array:
    """Return a slope that depends on what comes to the layer."""
    return d_tanh(net.z[n]) * (1 + net.a[n][:, :1] ** 2)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("wrong", [by_place, by_neighbours, by_sample, by_input])
def test_what_is_no_function_of_z_is_not_called_a_wrong_derivative(wrong: Any):
    report = Net(pieces={"slope": wrong}).said()
    assert report.outcome is Outcome.WRONG
    assert [(f.code, f.where) for f in report.findings] == [("unknown", "layer 2's delta")]


@pytest.mark.parametrize("name", ["gelu (tanh)", "selu"])
def test_the_right_derivative_is_right(name: str):
    value, right, _ = SLIPS[name]
    assert Net(hidden=((value, right, right),) * 2).said().outcome is Outcome.RIGHT


def bipolar(z: Array) -> Array:
    return 2 / (1 + np.exp(-z)) - 1


def d_bipolar(z: Array) -> Array:
    return 0.5 * (1 + bipolar(z)) * (1 - bipolar(z))


def test_the_bipolar_sigmoid_is_known_and_its_slips_are_told():
    right: Written = (bipolar, d_bipolar, d_bipolar)
    report = Net(hidden=(right, right)).said()
    assert report.outcome is Outcome.RIGHT
    assert "tanh(0.5 z)" in str(report)
    of_sigmoid: Written = (bipolar, d_bipolar, lambda z: bipolar(z) * (1 - bipolar(z)))
    report = Net((5, 6, 3), (of_sigmoid,)).said()
    assert [(f.code, f.where) for f in report.findings] == [("other-derivative", "layer 1's delta")]
    assert "sigmoid's a(1 - a) in a layer of tanh(0.5 z)" in report.findings[0].title
    slip: Written = (bipolar, d_bipolar, lambda z: 0.5 * (1 + bipolar(z) ** 2))
    assert_told(Net((5, 6, 3), (slip,)).said(), {"layer 1's delta": slip})
