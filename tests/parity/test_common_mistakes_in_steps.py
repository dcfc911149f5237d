"""Mistakes that people make in the step of an optimizer, or in the gradients inside of one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity import CheckReport, Outcome
from tests.parity.mistakes import Net, Piece, at, errors_down, hidden, right_down

# From the state of an array, its gradient, itself and the learning rate, to what is taken off.
Update = Callable[["State", Array, Array, float], Array]


class State:
    """What an optimizer keeps of one array."""

    def __init__(self, like: Array) -> None:
        self.t = 0
        self.m, self.v = np.zeros_like(like), np.zeros_like(like)


class Trained(Net):
    """A network with a step, whose update may be wrong."""

    def __init__(self, update: Update, **net: Any) -> None:
        super().__init__(**net)
        self.update = update
        self.states = [State(w) for w in self.weights()]

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        gradients = self.gradients(x, y)
        for w, g, state in zip(self.weights(), gradients, self.states, strict=True):
            state.t += 1
            w -= self.update(state, g, w, learning_rate)


def said(update: Update, net: dict[str, Any] | None = None, **declared: Any) -> CheckReport:
    """Check a step that takes ``update(state, gradient, weight, rate)`` off each array."""

    def make() -> parity.Candidate:
        trained = Trained(update, **{"sizes": (6, 5, 4), "hidden": "tanh", **(net or {})})
        return replace(trained.candidate(), gradients=None, step=trained.step, **declared)

    return parity.check(make, keras=False)


def adam(
    m: Callable[[Array, Array], Array] = lambda m, g: 0.9 * m + 0.1 * g,
    v: Callable[[Array, Array, Array], Array] = lambda v, g, m: 0.999 * v + 0.001 * g * g,
    one: Callable[[int], float] = lambda t: 1 - 0.9**t,
    two: Callable[[int], float] = lambda t: 1 - 0.999**t,
    change: Callable[..., Array] = lambda m, v, g, w, lr: lr * m / (np.sqrt(v) + 1e-8),
) -> Update:
    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.m = m(s.m, g)
        s.v = v(s.v, g, s.m)
        return change(s.m / one(s.t), s.v / two(s.t), g, w, lr)

    return update


def rmsprop(
    v: Callable[[Array, Array], Array] = lambda v, g: 0.9 * v + 0.1 * g * g,
    change: Callable[..., Array] = lambda v, g, lr: lr * g / (np.sqrt(v) + 1e-8),
) -> Update:
    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.v = v(s.v, g)
        return change(s.v, g, lr)

    return update


def momentum(change: Callable[[Array, Array, Array, float], Array]) -> Update:
    """Momentum 0.9 whose weights move by ``change(new velocity, old velocity, gradient, rate)``."""

    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        before = s.v
        s.v = 0.9 * s.v - lr * g
        return -change(s.v, before, g, lr)

    return update


def adagrad(square: Callable[[Array], Array], change: Callable[..., Array]) -> Update:
    return rmsprop(lambda v, g: v + square(g), change)


def apart(m: Array, v: Array, g: Array, w: Array, lr: float) -> Array:
    return lr * m / np.sqrt(v) + 1e-8


UPDATES: dict[str, tuple[Update, str]] = {
    "adam, brackets of the divisor": (adam(change=apart), "epsilon-apart"),
    "adam, epsilon 1e-3": (
        adam(change=lambda m, v, g, w, lr: lr * m / np.sqrt(v) + 1e-3), "epsilon-apart",
    ),
    "adam, no root": (adam(change=lambda m, v, g, w, lr: lr * m / (v + 1e-8)), "no-root"),
    "adam, betas": (
        adam(
            lambda m, g: 0.999 * m + 0.001 * g, lambda v, g, m: 0.9 * v + 0.1 * g * g,
            lambda t: 1 - 0.999**t, lambda t: 1 - 0.9**t,
        ),
        "adam-betas-swapped",
    ),
    "adam, v with 1 - beta_1": (
        adam(v=lambda v, g, m: 0.999 * v + 0.1 * g * g), "average-share",
    ),
    "adam, m with 1 - beta_2": (adam(lambda m, g: 0.9 * m + 0.001 * g), "average-share"),
    "adam, m + g": (adam(lambda m, g: 0.9 * m + g), "average-share"),
    "adam, v + g^2": (adam(v=lambda v, g, m: 0.999 * v + g * g), "average-share"),
    "adam, g for m": (
        adam(change=lambda m, v, g, w, lr: lr * g / (np.sqrt(v) + 1e-8)), "average-unused",
    ),
    "adam, power of the rest": (
        adam(one=lambda t: 0.1**t, two=lambda t: 0.001**t), "adam-power-of-rest",
    ),
    "adam, squares of m": (
        adam(v=lambda v, g, m: 0.999 * v + 0.001 * m * m), "square-of-average",
    ),
    "adam, decay of the wrong sign": (
        adam(change=lambda m, v, g, w, lr: lr * (m / (np.sqrt(v) + 1e-8) - 0.01 * w)),
        "weight-decay-sign",
    ),
    "rmsprop, brackets of the divisor": (
        rmsprop(change=lambda v, g, lr: lr * g / np.sqrt(v) + 1e-8), "epsilon-apart",
    ),
    "rmsprop, v + g^2": (rmsprop(lambda v, g: 0.9 * v + g * g), "average-share"),
    "adagrad, no root": (
        adagrad(lambda g: g * g, lambda v, g, lr: lr * g / (v + 1e-8)), "no-root",
    ),
    "adagrad, brackets of the divisor": (
        adagrad(lambda g: g * g, lambda v, g, lr: lr * g / np.sqrt(v) + 1e-7), "epsilon-apart",
    ),
    "adagrad, sizes": (
        adagrad(np.abs, lambda v, g, lr: lr * g / (np.sqrt(v) + 1e-8)), "sizes-for-squares",
    ),
    "momentum, old velocity": (momentum(lambda v, old, g, lr: old), "velocity-from-before"),
    "momentum, gradient besides": (momentum(lambda v, old, g, lr: v - lr * g), "gradient-besides"),
    "nesterov, sign": (momentum(lambda v, old, g, lr: 0.9 * old + 1.9 * v), "nesterov-sign"),
}  # fmt: skip
NETS: list[dict[str, Any]] = [
    {},
    {"output": "softmax", "fused": True, "columns": True},
    {"sizes": (5, 7, 6, 3), "hidden": "sigmoid", "output": "linear", "seed": 3},
]


@pytest.mark.census(keep=5)
@pytest.mark.parametrize("net", NETS, ids=lambda net: str(net.get("output", "sigmoid")))
@pytest.mark.parametrize("name", UPDATES)
def test_a_wrong_update_is_named(name: str, net: dict[str, Any]):
    update, code = UPDATES[name]
    report = said(update, net)
    assert report.outcome is Outcome.WRONG, str(report)
    assert [(f.code, f.where) for f in report.findings] == [(code, "step")], str(report)


RIGHT: dict[str, Update] = {
    "adam": adam(),
    "rmsprop": rmsprop(),
    "adagrad": adagrad(lambda g: g * g, lambda v, g, lr: lr * g / (np.sqrt(v) + 1e-8)),
    "momentum": momentum(lambda v, old, g, lr: v),
    "nesterov": momentum(lambda v, old, g, lr: 1.9 * v - 0.9 * old),
}


@pytest.mark.parametrize("net", NETS, ids=lambda net: str(net.get("output", "sigmoid")))
@pytest.mark.parametrize("name", RIGHT)
def test_the_right_update_is_right(name: str, net: dict[str, Any]):
    report = said(RIGHT[name], net)
    assert report.outcome is Outcome.RIGHT, str(report)


@pytest.mark.parametrize("whatever_rate", [False, True])
@pytest.mark.parametrize("kernels_alone", [False, True])
def test_adamw_is_found_undeclared(kernels_alone: bool, whatever_rate: bool):
    def change(m: Array, v: Array, g: Array, w: Array, lr: float) -> Array:
        decays = w.ndim > 1 or not kernels_alone
        decay = (1 if whatever_rate else lr) * 0.01 * w if decays else 0.0
        return lr * m / (np.sqrt(v) + 1e-8) + decay

    report = said(adam(change=change))
    assert report.outcome is Outcome.RIGHT, str(report)
    times = "" if whatever_rate else "learning rate times "
    assert any(f"the step takes {times}0.01 times the weights off" in r for r in report.remarks)


INSIDE: dict[str, tuple[dict[str, Piece], list[tuple[str, str]]]] = {
    "slope missing": (
        {"slope": hidden(lambda net, layer, e: e)},
        [("missing-derivative", "layer 2's delta"), ("missing-derivative", "layer 1's delta")],
    ),
    "slope missing in one layer": (
        {"slope": at(0, lambda net, layer, e: e, lambda net, layer, e: e * net.prime(layer))},
        [("missing-derivative", "layer 1's delta")],
    ),
    "slope missing at the output": (
        {"slope": at(-1, lambda net, layer, e: e, lambda net, layer, e: e * net.prime(layer))},
        [("missing-derivative", "layer 3's delta, at the output")],
    ),
    "error propagated": (
        {"down": at(-1, errors_down, right_down)},
        [("slope-not-propagated", "layer 2's delta")],
    ),
    "bias over all units": (
        {"bias": lambda net, layer, delta: np.full(delta.shape[1], delta.sum())},
        [("bias-axis", f"layer {n} bias (weights[{2 * n - 1}])") for n in (3, 2, 1)],
    ),
}


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("update", [adam(), rmsprop()], ids=["adam", "rmsprop"])
@pytest.mark.parametrize("name", INSIDE)
def test_a_wrong_gradient_is_named_inside_of_a_step_that_keeps_a_state(name: str, update: Update):
    pieces, told = INSIDE[name]
    net = {"sizes": (6, 5, 7, 4), "output": "tanh", "pieces": pieces}
    report = said(update, net)
    assert report.outcome is Outcome.WRONG, str(report)
    assert [(f.code, f.where) for f in report.findings] == told, str(report)


class UpdatedLayerByLayer(Trained):
    """Updates each layer before the error is passed through it."""

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        a = self.run(x)
        delta = (a - y) / len(x) * self.prime(self.depth - 1)
        for layer in reversed(range(self.depth)):
            tensors = self.a[layer].T @ delta, delta.sum(axis=0)
            for n, g in enumerate(tensors):
                w, state = self.weights()[2 * layer + n], self.states[2 * layer + n]
                state.t += 1
                w -= self.update(state, g, w, learning_rate)
            if layer:
                delta = (delta @ self.kernels[layer].T) * self.prime(layer - 1)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("sizes", [(6, 5, 4), (5, 7, 6, 3)])
@pytest.mark.parametrize("name", ["adam", "rmsprop", "momentum"])
def test_updated_weights_are_told_inside_of_a_step_that_keeps_a_state(name: str, sizes):
    def make() -> parity.Candidate:
        net = UpdatedLayerByLayer(RIGHT[name], sizes=sizes, hidden="tanh")
        return replace(net.candidate(), gradients=None, step=net.step)

    report = parity.check(make, keras=False)
    assert report.outcome is Outcome.WRONG, str(report)
    places = [f"layer {layer}'s delta" for layer in range(len(sizes) - 2, 0, -1)]
    assert [(f.code, f.where) for f in report.findings] == [
        ("updated-weights", place) for place in places
    ], str(report)


@pytest.mark.parametrize("which", ["biases", "kernels", "all"])
def test_gradients_that_pile_up_from_step_to_step_are_named(which):
    """As where zero_grad forgets some of them."""

    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        kept = which == "all" or (w.ndim == 1) == (which == "biases")
        s.m = s.m * kept + g
        return lr * s.m

    report = said(update)
    (finding,) = report.findings
    assert finding.code == "accumulated", str(report)
    places = {"biases": (1, 3), "kernels": (0, 2), "all": (0, 1, 2, 3)}[which]
    assert [f"weights[{n}]" in finding.where for n in range(4)] == [n in places for n in range(4)]


@pytest.mark.parametrize("seed", range(3))
def test_a_learning_rate_that_goes_in_twice_is_seen_in_wide_layers(seed):
    """The roundings of a velocity are larger there than those of one step."""

    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.m = 0.9 * s.m + lr * g
        return lr * s.m

    def make() -> parity.Candidate:
        trained = Trained(update, sizes=(64, 40, 10), hidden="relu", output="linear")
        return replace(trained.candidate(), step=trained.step, loss="mean_squared_error")

    report = parity.check(make, seed=seed, keras=False)
    assert [finding.code for finding in report.findings][:1] == ["learning-rate-twice"], str(report)


def test_a_step_that_leaves_other_shapes_behind_ends_in_a_report():
    """A vector minus a column is a matrix."""

    class Broken(Trained):
        def step(self, x: Array, y: Array, learning_rate: float) -> None:
            gradients = self.gradients(x, y)
            self.biases[1] = self.biases[1] - learning_rate * gradients[3][:, None]

    def make() -> parity.Candidate:
        trained = Broken(lambda s, g, w, lr: lr * g, sizes=(6, 5, 4))
        return replace(trained.candidate(), gradients=None, step=trained.step)

    assert parity.check(make, keras=False).outcome is not Outcome.RIGHT
