"""Bugs from the field and their siblings are seen, and named as what they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.layers import Dense
from numpy_impl.types import Array
from parity import CheckReport
from tests.cases import load
from tests.parity.mistakes import (
    MISTAKES,
    SLOPES,
    VALUES,
    Net,
    Piece,
    at,
    error,
    errors_down,
    hidden,
    right_down,
    right_slope,
    sigmoid,
)


def said(path: str, make: str = "make", **options: Any) -> CheckReport:
    return parity.check(getattr(load(path), make), **{"keras": False, **options})


def found(report: CheckReport) -> list[tuple[str, str]]:
    """Return code and place of each finding."""
    return [(finding.code, finding.where) for finding in report.findings]


def test_an_error_that_is_propagated_without_the_outputs_slope_is_named():
    report = said("wrong/repro_error_without_slope")
    assert report.outcome.exit_code == 1
    assert found(report) == [("slope-not-propagated", "layer 1's delta")]
    text = "the output's error is propagated without the output's sigmoid'(z)"
    assert text in report.findings[0].title
    assert "what flows in" not in str(report)


@pytest.mark.parametrize("make", ["make", "make_early"])
def test_the_column_that_is_cut_in_place_of_the_biass_is_named(make: str):
    report = said("wrong/repro_wrong_column_cut", make)
    assert report.outcome.exit_code == 1
    assert found(report) == [("bias-column", "layer 1's delta")]
    assert "column 5 (counted from 0) is cut out of the kernel" in report.findings[0].title
    assert ("already updated" in report.findings[0].title) == (make == "make_early")


def test_at_the_width_that_is_written_into_it_the_same_code_is_right():
    assert said("wrong/repro_wrong_column_cut", "make_right").passed


@pytest.mark.parametrize("make", ["make", "make_own"])
def test_gradients_that_vanish_are_wrong_whatever_the_loss(make: str):
    report = said("wrong/repro_vanishing", make)
    assert report.outcome.exit_code == 1
    assert found(report) == [("vanishing", "all gradients")]
    assert "softmax's Jacobian is summed instead of multiplied" in report.findings[0].title


@pytest.mark.parametrize("make", ["make", "make_gradients"])
def test_a_kernel_gradient_that_is_one_number_is_wrong_whatever_the_loss(make: str):
    report = said("wrong/repro_scalar_update", make)
    assert report.outcome.exit_code == 1
    assert [code for code, _ in found(report)] == ["kernel-one-number"] * 2
    assert "np.dot in place of np.outer" in report.findings[0].title


@pytest.mark.parametrize("make", ["make", "make_single", "make_loss"])
def test_a_slope_that_is_missing_in_one_gradient_alone_is_one_finding(make: str):
    report = said("networks/06_hand", make)
    assert report.outcome.exit_code == 1
    assert found(report) == [("missing-derivative", "layer 2's own gradients alone")]
    assert "what this layer hands down is right" in report.findings[0].evidence
    assert "sigmoid'(z)" in report.findings[0].fix


@pytest.mark.parametrize("make", ["make", "make_loss"])
def test_bias_gradients_that_are_the_kernels_sums_and_relu_of_the_delta_are_named(make: str):
    report = said("networks/12_hand", make)
    assert report.outcome.exit_code == 1
    assert found(report) == [
        ("bias-of-kernel", "layer 2 bias (weights[3])"),
        ("derivative-of-delta", "layer 1's delta"),
        ("bias-of-kernel", "layer 1 bias (weights[2])"),
    ]
    assert "relu(delta) in place of relu'(z) * delta" in report.findings[1].title


def half_right(net: Net, layer: int, delta: Any, e: Any) -> Any:
    return right_slope(net, layer, e) @ net.w[layer].T


def no_slope(net: Net, layer: int, e: Any) -> Any:
    return e


def slope_of_delta_alone(net: Net, layer: int, e: Any) -> Any:
    return SLOPES[net.names[layer]](e)


def value_of_delta(net: Net, layer: int, e: Any) -> Any:
    return VALUES[net.names[layer]](e)


OUTPUT, SECOND, FIRST = "layer 3's delta, at the output", "layer 2's delta", "layer 1's delta"
BOTH = [SECOND, FIRST]
# Beside the mistakes of the table: what is wrong, and where it is to be said.
PLACES: dict[str, list[str]] = {
    "delta-averaged": [FIRST],
    "derivative-of-delta": BOTH,
    "delta-left-out": [SECOND],
    "activation-for-derivative": BOTH,
    "kernel-averaged": ["layer 2 kernel (weights[2])"],
    "kernel-not-summed": ["layer 1 kernel (weights[0])"],
    "kernel-one-number": ["layer 2 kernel (weights[2])"],
    "bias-of-kernel": [f"layer {n} bias (weights[{2 * n - 1}])" for n in (3, 2, 1)],
    "targets-ignored": [OUTPUT],
    "targets-added": [OUTPUT],
    "targets-turned": [OUTPUT],
    "targets-shifted": [OUTPUT],
    "targets-of-one-sample": [OUTPUT],
    "loss-value": [OUTPUT],
    "one-sample": [OUTPUT],
}  # fmt: skip
SIBLINGS: dict[str, tuple[dict[str, Piece], str, list[str]]] = {
    **{code: (MISTAKES[code], code, places) for code, places in PLACES.items()},
    "behind a hidden layer": (
        {"down": at(1, errors_down, right_down)}, "slope-not-propagated", [FIRST],
    ),
    "in a hidden layer's own gradients": (
        {"slope": at(1, no_slope, right_slope), "down": at(1, half_right, right_down)},
        "missing-derivative", ["layer 2's own gradients alone"],
    ),
    "f'(delta)": ({"slope": hidden(slope_of_delta_alone)}, "derivative-of-delta", BOTH),
    "f(delta)": ({"slope": hidden(value_of_delta)}, "derivative-of-delta", BOTH),
    "size": ({"error": error(lambda a, y: abs(a - y))}, "loss-value", [OUTPUT]),
}  # fmt: skip
NETWORKS = [
    Net((6, 5, 4, 3)),
    Net((6, 5, 4, 3), "tanh", "softmax", True, columns=True, seed=1),
    Net((6, 5, 4, 3), "relu", "linear", True, seed=2),
    Net((7, 8, 6, 4), "tanh", "tanh", columns=True, seed=3),
]  # fmt: skip


def changed(net: Net, pieces: dict[str, Piece]) -> Net:
    return Net(
        net.sizes, net.hidden, net.output, net.fused, net.bias, net.columns, pieces, net.seed
    )


@pytest.mark.parametrize("net", NETWORKS, ids=lambda net: f"{net.hidden}-{net.output}")
def test_the_networks_are_right_without_a_mistake(net: Net):
    assert parity.check(changed(net, {}).candidate(), keras=False).passed


# ReLU's derivative of a delta of zeros and ones gives the layer below a delta of ones, and of that
# the checker says nothing: a gap. What it says of the layer above is right.
GAPS = {("f'(delta)", "relu", "linear")}


@pytest.mark.census(keep=4)
@pytest.mark.parametrize("net", NETWORKS, ids=lambda net: f"{net.hidden}-{net.output}")
@pytest.mark.parametrize("sibling", SIBLINGS)
def test_a_common_mistake_is_named_and_nothing_else_is(sibling: str, net: Net):
    pieces, code, places = SIBLINGS[sibling]
    report = parity.check(changed(net, pieces).candidate(), keras=False)
    assert report.outcome.exit_code == 1, str(report)
    told = places[:1] if (sibling, net.hidden, net.output) in GAPS else places
    assert found(report) == [(code, place) for place in told], str(report)


@pytest.mark.parametrize("make", ["make", "make_layers"])
@pytest.mark.parametrize("referred", [False, True])
def test_a_sigmoid_without_its_brackets_is_named(make: str, referred: bool):
    layers = [Dense(7, "sigmoid"), Dense(4, "softmax")]
    report = said("wrong/repro_sigmoid_precedence", make, reference=layers if referred else None)
    assert report.outcome.exit_code == 1
    assert found(report) == [("activation-slip", "layer 1, forward")]
    text = "layer 1's activation is 1 + exp(-z): brackets of 1 / (1 + exp(-z)) missing"
    assert report.findings[0].title == text


SLIPS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "1 + exp(z)": ("sigmoid", lambda z: 1 / 1 + np.exp(z)),
    "1 / (1 - exp(-z))": ("sigmoid", lambda z: 1 / (1 - np.exp(-z))),
    "exp(z) - exp(-z) / exp(z) + exp(-z)": (
        "tanh",
        lambda z: np.exp(z) - np.exp(-z) / np.exp(z) + np.exp(-z),
    ),
    "(exp(z) - exp(-z)) / exp(z) + exp(-z)": (
        "tanh",
        lambda z: (np.exp(z) - np.exp(-z)) / np.exp(z) + np.exp(-z),
    ),
}


@dataclass
class Slipping(Net):
    """Writes its hidden activation with a slip, and takes the derivative from the activation."""

    slip: Callable[[Array], Array] = sigmoid

    def run(self, x: Array) -> Array:
        self.upright()
        self.z, self.a = [], [x]
        for layer, name in enumerate(self.names):
            self.z.append(self.a[-1] @ self.w[layer] + self.b[layer])
            hidden = layer < self.depth - 1
            self.a.append(self.slip(self.z[-1]) if hidden else VALUES[name](self.z[-1]))
        return self.a[-1]

    def prime(self, layer: int) -> Array:
        a = self.a[layer + 1]
        return a * (1 - a) if self.names[layer] == "sigmoid" else 1 - a * a


# Two layers of exponentials of exponentials overflow.
@pytest.mark.parametrize(
    ("slip", "sizes"), [*((slip, (5, 4, 3)) for slip in SLIPS), ("1 + exp(z)", (6, 5, 4, 3))]
)
def test_a_slip_in_an_activation_is_named_in_each_layer_that_has_it(
    slip: str, sizes: tuple[int, ...]
):
    meant, value = SLIPS[slip]
    net = Slipping(sizes, meant, "softmax", True, columns=len(sizes) == 3, slip=value)
    report = parity.check(net.candidate(), keras=False)
    assert report.outcome.exit_code == 1
    places = "layer 1, forward" if len(sizes) == 3 else "layers 1 and 2, forward"
    assert found(report) == [("activation-slip", places)], str(report)
    assert slip in report.findings[0].title


def test_classical_dropout_is_right():
    report = said("wrong/repro_classical_dropout")
    assert report.passed, str(report)
    assert any("as classical dropout does" in remark for remark in report.remarks)


@dataclass
class Dropping(Net):
    """Dropout behind the hidden layers that multiplies by ``keep`` when predicting.

    Attributes:
        scale: By what the masks are multiplied in training.
        training: Whether gradients have masks.
    """

    keep: float = 0.5
    scale: float = 1.0
    training: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rng = np.random.default_rng(1)
        self.drops = False

    def run(self, x: Array) -> Array:
        self.upright()
        self.z, self.a, self.masks, signal = [], [x], [], x
        for layer, name in enumerate(self.names):
            self.z.append(signal @ self.w[layer] + self.b[layer])
            drawn = self.rng.random(self.z[-1].shape) < self.keep
            mask = drawn * self.scale if self.drops else np.full(drawn.shape, self.keep)
            last = layer == self.depth - 1
            self.masks.append(np.ones(drawn.shape) if last else mask)
            signal = VALUES[name](self.z[-1]) * self.masks[-1]
            self.a.append(signal)
        return signal

    def gradients(self, x: Array, y: Array) -> list[Array]:
        self.drops = self.training
        self.pieces = {"slope": self.masked}
        try:
            return super().gradients(x, y)
        finally:
            self.drops = False

    @staticmethod
    def masked(net: Net, layer: int, e: Array) -> Array:
        assert isinstance(net, Dropping)
        return right_slope(net, layer, e * net.masks[layer])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("hidden", "keep"), [("tanh", 0.5), ("relu", 0.8), ("sigmoid", 0.9)])
def test_classical_dropout_of_other_kinds_is_right(hidden: str, keep: float, training: bool):
    net = Dropping((7, 40, 3), hidden, "softmax", True, keep=keep, training=training)
    report = parity.check(net.candidate(), keras=False)
    assert report.passed, str(report)


def test_dropout_that_is_scaled_in_training_and_in_prediction_is_wrong():
    net = Dropping((7, 40, 3), "tanh", "softmax", True, keep=0.5, scale=2.0)
    report = parity.check(net.candidate(), keras=False)
    assert report.outcome.exit_code == 1
    assert found(report) == [("dropout-scale-twice", "dropout behind layer 1")], str(report)
