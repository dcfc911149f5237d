"""The table of bugs: every entry is whole, is planted here or among the cases, and is found."""

import string
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.layers import Dense
from numpy_impl.types import Array
from parity import Candidate, CheckReport
from parity.__main__ import main
from parity.checking.bugs import (
    TABLE,
    Bug,
    deltas,
    derivative,
    errors,
    factors,
    layers,
    measured,
    optimizers,
    outputs,
    parts,
    slips,
    sums,
    table,
)  # fmt: skip
from parity.checking.bugs.table import Severity
from tests.cases import load
from tests.parity import test_common_mistakes as common
from tests.parity import test_factors_beside_penalties as penalties
from tests.parity import test_numbers_of_a_layer as of_numbers
from tests.parity import test_own_rate as own_rate
from tests.parity import test_restarting_set_weights as restarting
from tests.parity import test_state_not_reset as state_not_reset
from tests.parity import test_weights_left_out as left_out
from tests.parity import test_wrong_by_layer as wrong_by_layer
from tests.parity import test_wrong_sums as wrong_sums
from tests.parity.forwards.small import SMALL
from tests.parity.forwards.steps import PLANTED as STEPS
from tests.parity.forwards.wiring import PLANTED as WIRED
from tests.parity.layers.functions import affine
from tests.parity.layers.planted import PLANTED as PLANTED_IN_LAYERS
from tests.parity.mistakes import MISTAKES, mistaken
from tests.parity.planted import BUGS, cases
from tests.parity.planted.bug import answer
from tests.parity.tagger import MUTATIONS, Tagger, data
from tests.parity.tagger import checked as tagged
from tests.parity.test_asked_on_their_samples import of_one_output
from tests.parity.test_check_dropout import Net as DropoutNet
from tests.parity.test_common_mistakes_in_steps import UPDATES, said
from tests.parity.test_forward_of_any_layers import WRONG as FORWARDS
from tests.parity.test_forward_of_any_layers import checked as beside_keras
from tests.parity.test_one_change import loaded as wrong_line
from tests.parity.test_optimizer_census import WRONG as OPTIMIZERS
from tests.parity.test_optimizer_census import report as report_of_step
from tests.parity.test_output_errors import averaged, network, overwritten, sigmoid
from tests.parity.test_samples_that_count import Margin, of_margin
from tests.parity.test_steps_in_the_limit import Factors
from tests.parity.test_steps_in_the_limit import checked as limited
from tests.parity.test_wrong_slopes import slipped
from tests.parity.test_wrong_steps import loaded as wrong_step

PAGE = Path(__file__).parents[2] / "docs" / "bugs.md"
FORMS = [form for forms in TABLE.values() for form in forms]


class Net:
    """5-6-3, tanh and sigmoid, with the gradient of the averaged squared error, in rows."""

    def __init__(self, dtype: Any = np.float64) -> None:
        rng = np.random.default_rng(0)
        self.w1, self.b1 = rng.normal(size=(5, 6)).astype(dtype), rng.normal(size=6).astype(dtype)
        self.w2, self.b2 = rng.normal(size=(6, 3)).astype(dtype), rng.normal(size=3).astype(dtype)
        self.t = 0
        self.v: list[Any] = [0.0 * w for w in self.weights()]

    def weights(self) -> list[Array]:
        return [self.w1, self.b1, self.w2, self.b2]

    def hidden(self, x: Array) -> Array:
        return np.tanh(x @ self.w1 + self.b1)

    def forward(self, x: Array) -> Array:
        return 1 / (1 + np.exp(-(self.hidden(x) @ self.w2 + self.b2)))

    def deltas(self, x: Array, y: Array) -> tuple[Array, Array]:
        h, a = self.hidden(x), self.forward(x)
        d2 = (a - y) * a * (1 - a) / len(x)
        return d2 @ self.w2.T * (1 - h * h), d2

    def gradients(self, x: Array, y: Array) -> Any:
        d1, d2 = self.deltas(x, y)
        return [x.T @ d1, d1.sum(axis=0), self.hidden(x).T @ d2, d2.sum(axis=0)]

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        for w, g in zip(self.weights(), self.gradients(x, y), strict=True):
            w -= learning_rate * g

    def candidate(self, **changes: Any) -> Candidate:
        given = {
            "get_weights": self.weights,
            "forward": self.forward,
            "gradients": self.gradients,
        }
        return Candidate(**given | changes)


def checked(candidate: Any, reference: Any = None) -> CheckReport:
    return parity.check(candidate, reference, keras=False)


def of(overrides: dict[str, Callable[..., Any]], **changes: Any) -> CheckReport:
    """Check the network with some of its methods replaced."""
    kind = type("Changed", (Net,), overrides)

    def make() -> Candidate:
        net = kind()
        own = {name: getattr(net, name) for name in ("step",) if name in overrides}
        return net.candidate(**own | changes)

    return checked(make)


def with_a_penalty(net: Net, x: Array, y: Array) -> Any:
    g = Net.gradients(net, x, y)
    return [g[0] + 0.1 * np.tanh(net.w1), g[1], g[2] + 0.1 * np.tanh(net.w2), g[3]]


def cut_off(net: Net, x: Array, y: Array) -> Any:
    return [np.clip(-2.0 * g, -0.01, 0.01) for g in Net.gradients(net, x, y)]


def step_with_state(net: Net, x: Array, y: Array, learning_rate: float) -> None:
    """A rule that nobody has."""
    gradients = net.gradients(x, y)
    net.v = [v + abs(g) for v, g in zip(net.v, gradients, strict=True)]
    for w, g, v in zip(net.weights(), gradients, net.v, strict=True):
        w -= learning_rate * g / (0.1 + v)


def step_that_decays(net: Net, x: Array, y: Array, learning_rate: float) -> None:
    net.t += 1
    for w, g in zip(net.weights(), net.gradients(x, y), strict=True):
        w -= 0.9**net.t * g


def step_that_stumbles(net: Net, x: Array, y: Array, learning_rate: float) -> None:
    """Momentum that loses its velocity in the fifth step of the course that the check takes."""
    net.t += 1
    if net.t == 15:
        net.v = [0.0 * w for w in net.weights()]
    net.v = [0.9 * v - learning_rate * g for v, g in zip(net.v, net.gradients(x, y), strict=True)]
    for w, v in zip(net.weights(), net.v, strict=True):
        w += v


def wrong_and_decaying(net: Net, x: Array, y: Array, learning_rate: float) -> None:
    net.t += 1
    for w, g in zip(net.weights(), net.gradients(x, y), strict=True):
        w -= 0.9**net.t * np.sin(3 * g)


Change = Callable[[Net, int, Array, float], Array]


def by_change(change: Change, **declared: Any) -> CheckReport:
    """Check a step that adds ``change(net, number of the array, gradient, rate)``."""

    def step(net: Net, x: Array, y: Array, learning_rate: float) -> None:
        net.t += 1
        for k, g in enumerate(net.gradients(x, y)):
            w = net.weights()[k]
            w += change(net, k, g, learning_rate)

    return of({"step": step}, **declared)


def adam(one: Callable[[int, int], float], two: Callable[[int, int], float]) -> Change:
    """Adam with corrections of the number of the step and of the array."""

    def change(net: Net, k: int, g: Array, rate: float) -> Array:
        m, v = np.zeros_like(g), np.zeros_like(g)
        if net.t > 1:
            m, v = net.v[k]
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        net.v[k] = m, v
        m, v = m / one(net.t, k), v / two(net.t, k)
        return -rate * m / (np.sqrt(v) + 1e-8)

    return change


def of_one(t: int, k: int) -> float:
    return 1 - 0.9**t


def of_two(t: int, k: int) -> float:
    return 1 - 0.999**t


def sign_like(net: Net, k: int, g: Array, rate: float) -> Array:
    return -rate * 0.1 * g / (np.sqrt(0.001 * g * g) + 1e-8)


def raw_momentum(net: Net, k: int, g: Array, rate: float) -> Array:
    last, net.v[k] = net.v[k], g
    return -rate * g - 0.5 * last


def ahead_added(net: Net, x: Array, y: Array, learning_rate: float) -> None:
    net.t += 1
    if net.t == 1:
        net.v = [0.0 * w for w in net.weights()]
    for w, v in zip(net.weights(), net.v, strict=True):
        w += 0.9 * v
    for w, v, g in zip(net.weights(), net.v, net.gradients(x, y), strict=True):
        v *= 0.9
        v -= learning_rate * g
        w += v


def one_row(net: Net, k: int, g: Array, rate: float) -> Array:
    if g.ndim == 1:
        return -rate * g
    v, changes = net.v[k] if net.t > 1 else 0.0 * g[0], np.empty_like(g)
    for n, row in enumerate(g):
        v = net.v[k] = changes[n] = 0.5 * v - rate * row
    return changes


def corrected_in_place(net: Net, k: int, g: Array, rate: float) -> Array:
    m, v = net.v[k] if net.t > 1 else (0.0, 0.0)
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    m, v = net.v[k] = m / of_one(net.t, k), v / of_two(net.t, k)
    return -rate * m / (np.sqrt(v) + 1e-8)


def cache_grows(net: Net, k: int, g: Array, rate: float) -> Array:
    net.v[k] = net.v[k] + 0.9 * net.v[k] + 0.1 * g**2
    return -rate * g / (np.sqrt(net.v[k]) + 1e-7)


def velocity_added(net: Net, k: int, g: Array, rate: float) -> Array:
    change = 0.9 * net.v[k] - rate * g
    net.v[k] = net.v[k] + change
    return change


def adagrad(of_biases: Callable[[Net, int, Array], Array]) -> Change:
    def change(net: Net, k: int, g: Array, rate: float) -> Array:
        net.v[k] = net.v[k] + (of_biases(net, k, g) if k % 2 else g) ** 2
        return -rate * g / (np.sqrt(net.v[k]) + 1e-7)

    return change


def keras_sgd(**options: Any) -> Any:
    from keras.optimizers import SGD

    return SGD(0.01, **options)


def step_in_samples(net: Net, x: Array, y: Array, learning_rate: float) -> None:
    h, d2 = net.hidden(x), net.deltas(x, y)[1]
    for _ in x:
        d1 = d2 @ net.w2.T * (1 - h * h)
        net.w2 -= learning_rate * h.T @ d2
        net.b2 -= learning_rate * d2.sum(axis=0)
        net.w1 -= learning_rate * x.T @ d1
        net.b1 -= learning_rate * d1.sum(axis=0)


def raising_step(net: Net, x: Array, y: Array, learning_rate: float) -> None:
    raise KeyError("velocity")


def fixed_batch(net: Net, x: Array, y: Array) -> list[Array]:
    d1, d2 = net.deltas(x, y)
    d1, d2 = d1 * len(x) / 11, d2 * len(x) / 11
    rows = slice(11)
    h = net.hidden(x)
    return [x[rows].T @ d1[rows], d1[rows].sum(0), h[rows].T @ d2[rows], d2[rows].sum(0)]


def unknown_delta(net: Net, x: Array, y: Array) -> list[Array]:
    _, _, w2, b2 = Net.gradients(net, x, y)
    d1 = np.sin(net.deltas(x, y)[0] * 99)
    return [x.T @ d1, d1.sum(axis=0), w2, b2]


def times_outputs(net: Net, x: Array, y: Array) -> list[Array]:
    w1, b1, w2, b2 = Net.gradients(net, x, y)
    return [w1, b1, w2, 3 * b2]


def over_m_plus_1(net: Net, x: Array, y: Array) -> list[Array]:
    w1, b1, w2, b2 = Net.gradients(net, x, y)
    return [w1, b1, w2, b2 * len(x) / (len(x) + 1)]


def three_tenths(net: Net, x: Array, y: Array) -> list[Array]:
    w1, b1, w2, b2 = Net.gradients(net, x, y)
    return [w1, b1, w2, 0.3 * b2]


def dropped(bug: str, **changes: Any) -> CheckReport:
    return checked(DropoutNet(bug=bug, **changes).connect)


def other_forward(reference: Any) -> CheckReport:
    net = Net()
    return checked(net.candidate(forward=lambda x: np.cbrt(net.forward(x))), reference)


class DropoutInPlace(DropoutNet):
    """Takes tanh's derivative at what dropout has made of the activation."""

    def gradients(self, x: Array, y: Array) -> list[Array]:
        delta = (self.forward(x, training=True) - y) / len(x)
        dropped = self.inputs[1]
        at = np.tanh(dropped) if self.bug == "derivative called" else dropped
        below = delta @ self.kernels[1].T * self.masks[0] * (1 - at**2)
        return [x.T @ below, below.sum(axis=0), dropped.T @ delta, delta.sum(axis=0)]


def raising_with_batches(net: Net, x: Array, y: Array) -> list[Array]:
    if len(x) > 1:
        raise ValueError("shapes not aligned")
    return [np.sin(g) for g in Net.gradients(net, x, y)]


def of_first_sample(net: Net, x: Array, y: Array) -> list[Array]:
    return Net.gradients(net, x[:1], y[:1])


def wrong_for_eleven(net: Net, x: Array, y: Array) -> list[Array]:
    first, *rest = Net.gradients(net, x, y)
    return [first * (3 if len(x) == 11 else 1), *rest]


def dropout_twice() -> CheckReport:
    net = DropoutNet(bug="")

    def forward(x: Array) -> Array:
        kernels = net.kernels[1]
        net.kernels[1] = kernels * (1 - net.rate)
        try:
            return net.forward(x)
        finally:
            net.kernels[1] = kernels

    return checked(lambda: replace(net.connect(), forward=forward))


def vacuous() -> CheckReport:
    """float16, in which some hundred roundings are as large as the values."""
    rng = np.random.default_rng(0)
    w1, w2 = (rng.normal(size=s).astype(np.float16) for s in ((2000, 3), (3, 2)))

    def gradients(x: Array, y: Array) -> list[Array]:
        x, y = x.astype(np.float16), y.astype(np.float16)
        h = np.tanh(x @ w1)
        d2 = ((h @ w2) - y) / np.float16(len(x))
        return [x.T @ (d2 @ w2.T * (1 - h * h)), h.T @ d2]

    candidate = Candidate(
        get_weights=lambda: [w1, w2],
        forward=lambda x: np.tanh(x.astype(np.float16) @ w1) @ w2,
        gradients=gradients,
    )
    return checked(candidate)


def in_ten_bits() -> CheckReport:
    w = np.zeros((2, 5), np.float32)

    def forward(x: Array) -> Array:
        return x.astype(np.float16).astype(np.float32) @ w.astype(np.float16).astype(np.float32)

    return checked(Candidate(get_weights=lambda: [w], forward=forward), [Dense(5, use_bias=False)])


def penalized() -> Tagger:
    net = Tagger()
    net.DECAY = 0.2
    return net


def rounded(net: Tagger) -> CheckReport:
    return parity.check_gradients(
        lambda x, y: round(net.loss(x, y), 3), lambda: net.w, net.gradients, data
    )


def other_loss() -> CheckReport:
    net = Net()
    calls = net.candidate()
    assert calls.gradients is not None
    return parity.check_gradients(
        lambda x, y: float(np.mean(np.abs(net.forward(x) - y))),
        calls.get_weights, calls.gradients,
        lambda rng: (rng.normal(size=(7, 5)), rng.normal(size=(7, 3))),
        forward=net.forward,
    )  # fmt: skip


def scaled(factor: float) -> CheckReport:
    return tagged(lambda net, g, x, y: {name: factor * array for name, array in g.items()})


# Forms that MUTATIONS does not bring out.
DERIVATIVES: dict[str, Callable[[], CheckReport]] = {
    "NO_SAMPLES": lambda: tagged(data=None),
    "NOT_MEASURED": lambda: rounded(Tagger()),
    "DECAY_MISSING": lambda: tagged(net=penalized()),
    "OF_SOME_SAMPLES": lambda: tagged(lambda net, g, x, y: net.gradients(x[:-1], y[:-1])),
    "FIRST_SAMPLE": lambda: tagged(lambda net, g, x, y: net.gradients(x[:1], y[:1])),
    "LAST_SAMPLE": lambda: tagged(lambda net, g, x, y: net.gradients(x[-1:], y[-1:])),
    "CONDITION_TURNED": lambda: of_margin(Margin(turned=True)),
    "WEIGHTS_LEFT_OUT": lambda: left_out.given_with_the_data(True),
    "WEIGHTS_DIFFER": lambda: left_out.tagged(True),
    "STATE_KEPT": lambda: state_not_reset.as_functions(False),
    "OTHER_MODE": lambda: state_not_reset.of_a_mode(training=False),
    "OTHER_LOSS": other_loss,
    "SIGN": lambda: scaled(-1.0),
    "FACTOR": lambda: scaled(0.3),
}
# What no case of tests.parity.planted brings out.
PLANTED: list[tuple[Bug, Callable[[], CheckReport]]] = [
    (derivative.UPDATED_FIRST, lambda: limited(Factors(lambda p: p), optimizer="SGD()")),
    (table.UNREADABLE, lambda: of({"weights": lambda net: [net.w1, net.b1, net.w1, net.b2]})),
    (table.OTHER_SIZES, lambda: checked(Net().candidate(), "64-40-10")),
    (table.OUTPUTS_SHAPE, lambda: of({"forward": lambda net, x: np.ones((17, 2))})),
    (table.EXCEPTION, lambda: of({"gradients": lambda net, x, y: net.cache})),
    (table.UNUSABLE_ANSWER, lambda: of({"gradients": lambda net, x, y: None})),
    (table.BATCH_EXCEPTION, lambda: of({"gradients": raising_with_batches})),
    (table.STEP_EXCEPTION, lambda: of({"step": raising_step})),
    (table.LOW_PRECISION, in_ten_bits),
    (table.UNKNOWN_FORWARD, lambda: other_forward([Dense(6, "tanh"), Dense(3, "sigmoid")])),
    (table.UNKNOWN_LAYERS, lambda: other_forward(None)),
    (table.CLIPPED, lambda: of({"gradients": cut_off})),
    (table.UNKNOWN, lambda: of({"gradients": unknown_delta})),
    (table.UNKNOWN_LOSS, lambda: checked(network(sigmoid, lambda a, y: np.sin(7 * (a - y)) * a))),
    (table.PENALTY_UNKNOWN, lambda: of({"gradients": with_a_penalty})),
    (
        table.NOT_GIVEN,
        lambda: of({"gradients": lambda net, x, y: [None, *Net.gradients(net, x, y)[1:]]}),
    ),
    (
        table.BIAS_NOT_RETURNED,
        lambda: of({"gradients": lambda net, x, y: Net.gradients(net, x, y)[::2]}),
    ),
    (table.BATCH_SIZE, lambda: of({"gradients": fixed_batch})),
    (table.UNCONFIRMED, lambda: of({"gradients": wrong_for_eleven})),
    (table.VACUOUS, vacuous),
    (table.UNITS_LEFT_OUT, lambda: dropped("unscaled", reseeded=True)),
    (table.TRAINING_DROPOUT_MULTIPLIED, lambda: dropped("multiplied")),
    (slips.SLIPPED, lambda: checked(load("wrong/repro_sigmoid_precedence").make)),
    (table.TRAINING_DROPOUT_TWICE, dropout_twice),
    (table.TRAINING_DROPOUT_UNSCALED, lambda: dropped("unscaled")),
    (table.NO_CHANGE, lambda: of({"step": lambda *_: None}, gradients=None)),
    (table.LEARNING_RATE_DECAY, lambda: of({"step": wrong_and_decaying}, gradients=None)),
    (table.UNKNOWN_OPTIMIZER, lambda: of({"step": step_with_state}, gradients=None)),
    (table.UNKNOWN_UPDATE, lambda: of({"step": step_with_state})),
    (table.TRAJECTORY, lambda: of({"step": step_that_stumbles})),
    (outputs.TARGETS_BROADCAST, lambda: of_one_output("as they are", 1)),
    (outputs.ONE_SAMPLE, lambda: of({"gradients": of_first_sample})),
    (errors.ERROR_AVERAGED, lambda: checked(network(sigmoid, averaged))),
    (
        errors.OUTPUTS_DIVIDED,
        lambda: checked(network(sigmoid, lambda a, y: (a / len(a) - y) * a * (1 - a))),
    ),
    (errors.DERIVATIVE_AT_ERROR, lambda: checked(network(sigmoid, overwritten))),
    (deltas.DERIVATIVE_AT_DROPPED, lambda: checked(DropoutInPlace(hidden="tanh").connect)),
    (
        deltas.DERIVATIVE_OF_DROPPED,
        lambda: checked(DropoutInPlace(hidden="tanh", bug="derivative called").connect),
    ),
    (measured.WRONG_DERIVATIVE, lambda: checked(slipped("elu"))),
    *((derivative.__dict__[name], check) for name, check in DERIVATIVES.items()),
    (
        errors.TARGETS_OF_EVERY_SAMPLE,
        lambda: checked(
            wrong_by_layer.layered(
                (4, 6, 5),
                ("tanh", "linear"),
                wrong_by_layer.right,
                error=wrong_by_layer.of_columns,
                labels="integer",
            )
        ),
    ),
    (
        deltas.DELTA_LEFT_OUT_BELOW,
        lambda: checked(
            wrong_by_layer.layered((4, 6, 3), ("leaky", "linear"), wrong_by_layer.below_alone)
        ),
    ),
    (sums.ONE_SHARE, lambda: checked(wrong_sums.Net(propagate=wrong_sums.only(0)).candidate())),
    (
        sums.SHARE_LEFT_OUT,
        lambda: checked(wrong_sums.Net(propagate=wrong_sums.without(0)).candidate()),
    ),
    (
        sums.SUM_NOT_RESET,
        lambda: checked(wrong_sums.Net(propagate=wrong_sums.running).candidate()),
    ),
    (
        sums.UNIT_SKIPPED,
        lambda: checked(wrong_sums.Net(propagate=wrong_sums.skipped(0)).candidate()),
    ),
    (
        parts.KERNEL_PART_MISSING,
        lambda: checked(wrong_sums.Net(kernel=wrong_sums.zeroed(0, 0)).candidate()),
    ),
    (
        parts.BIAS_PART_MISSING,
        lambda: checked(wrong_sums.Net(bias=wrong_sums.zeroed(0, 0)).candidate()),
    ),
    (
        parts.KERNEL_REORDERED,
        lambda: checked(wrong_sums.Net(kernel=lambda g: g.ravel("F").reshape(g.shape)).candidate()),
    ),
    (
        table.LEARNING_RATE_MISSING,
        lambda: by_change(lambda net, k, g, rate: -g * (rate if k else 1), gradients=None),
    ),
    (
        table.DECAY_WITHOUT_RATE,
        lambda: by_change(
            lambda net, k, g, rate: -rate * g - 0.01 * net.weights()[k] * (k % 2 == 0),
            gradients=None,
            weight_decay=0.01,
        ),
    ),
    (
        factors.IN_LOOP,
        lambda: by_change(lambda net, k, g, rate: -rate * g * (1, 5, 1, 6)[k], gradients=None),
    ),
    (optimizers.CONSTANT_CORRECTION, lambda: by_change(adam(lambda t, k: 0.1, lambda t, k: 0.001))),
    (optimizers.ONE_CORRECTION, lambda: by_change(adam(of_one, lambda t, k: 1))),
    (optimizers.CROSSED_CORRECTION, lambda: by_change(adam(of_two, of_one))),
    (
        optimizers.LATE_CORRECTION,
        lambda: by_change(adam(lambda t, k: of_one(t + 1, k), lambda t, k: of_two(t + 1, k))),
    ),
    (
        optimizers.COUNT_PER_ARRAY,
        lambda: by_change(
            adam(lambda t, k: of_one(4 * t - 3 + k, 0), lambda t, k: of_two(4 * t - 3 + k, 0))
        ),
    ),
    (optimizers.STATE_NOT_KEPT, lambda: by_change(sign_like, gradients=None)),
    (optimizers.AHEAD_ADDED, lambda: of({"step": ahead_added}, gradients=None)),
    (optimizers.STATE_SHARED, lambda: by_change(one_row)),
    (optimizers.CORRECTION_KEPT, lambda: by_change(corrected_in_place)),
    (optimizers.AVERAGE_GROWS, lambda: by_change(cache_grows)),
    (optimizers.RAW_MOMENTUM, lambda: by_change(raw_momentum)),
    (optimizers.VELOCITY_ADDED, lambda: by_change(velocity_added, gradients=None)),
    (
        optimizers.ACCUMULATOR_OF_WEIGHTS,
        lambda: by_change(adagrad(lambda net, k, g: net.weights()[k])),
    ),
    (optimizers.TENSORS_DIFFER, lambda: by_change(adagrad(lambda net, k, g: np.cos(g)))),
    (optimizers.STEP_LEAVES, lambda: by_change(lambda net, k, g, rate: -rate * g * (k < 2))),
    (optimizers.UPDATE_REPEATED, lambda: of({"step": step_in_samples}, gradients=None)),
    (
        optimizers.OPTION_NOT_CHECKED,
        lambda: by_change(
            lambda net, k, g, rate: -rate * g, optimizer=keras_sgd(loss_scale_factor=8.0)
        ),
    ),
    (
        optimizers.RATE_OTHER,
        lambda: own_rate.checked("sgd", 0.1, optimizer="SGD(learning_rate=0.03)"),
    ),
    (
        optimizers.SET_WEIGHTS_RESTARTS,
        lambda: restarting.checked(restarting.cubes, copies=True),
    ),
    (
        layers.NOT_OF_FORWARD,
        lambda: parity.check_layer(*affine("dw nonsense"), inputs=(5, 3), weights=[(3, 4), (4,)]),
    ),
    (layers.NOT_FINITE_BEYOND, lambda: of_numbers.beside_linear(of_numbers.positive_alone)),
    (layers.NEVER_FINITE, lambda: of_numbers.beside_linear(of_numbers.never)),
    (layers.RAISES_BEYOND, lambda: of_numbers.beside_linear(of_numbers.complaining)),
    (factors.OVER_M_PLUS_1, lambda: of({"gradients": over_m_plus_1})),
    (factors.TIMES_OUTPUTS, lambda: of({"gradients": times_outputs})),
    (factors.FACTOR, lambda: of({"gradients": three_tenths})),
    (derivative.DATA_FACTOR, lambda: penalties.Elman(2.0).check()),
    (
        derivative.TWO_SCALES,
        lambda: (net := penalties.Elman(2.0)).check(gradients=None, step=net.step),
    ),
]


def planted(form: Bug) -> Iterator[CheckReport]:
    """Yield reports of networks with the bug in them, the cheapest first."""
    yield from (check() for bug, check in PLANTED if bug == form)
    yield from (check() for code, check in common.PLANTED.items() if code == form.code)
    yield from (case.report() for case in PLANTED_IN_LAYERS if case.bug == form)
    yield from (said(update) for update, code in UPDATES.values() if code == form.code)
    for update, optimizer, code in OPTIMIZERS.values():
        if code == form.code:
            yield report_of_step(update, optimizer())
    yield from (tagged(mutate) for code, _, _, mutate in MUTATIONS if code == form.code)
    yield from (beside_keras(case) for case in FORWARDS if form.code in case.code.split())
    yield from (case.report() for case in [*STEPS, *WIRED] if case.bug == form)
    if form.code in SMALL:
        yield SMALL[form.code]()
    if form.code == "unknown-forward":
        yield from (beside_keras(case) for case in FORWARDS if case.code == "?")
    if form.code in MISTAKES:
        yield checked(mistaken(form.code).candidate())
    for bug in BUGS:
        if form.code in (*bug.codes.split(), *bug.companions.split()):
            yield answer(cases([bug])[0]).report


@pytest.mark.census(keep=20)
@pytest.mark.parametrize(
    "form",
    # What is found by a search has its own tests: below, and test_wrong_values.py.
    [form for form in FORMS if form.code not in ("one-change", "wrong-value")],
    ids=lambda form: f"{form.code}: {form.title[:40]}",
)
def test_every_bug_of_the_table_is_planted_and_found(form: Bug):
    found: list[str] = []
    for report in planted(form):
        if any(finding.bug == form for finding in report.findings):
            return
        found.append(str(report))
    pytest.fail("\n\n".join(found) or "it is planted nowhere")


@pytest.mark.search
def test_one_change_is_planted_and_found(tmp_path: Path):
    module, _ = wrong_line("recurrent", tmp_path, ("dz @ self.Wh.T", "dz @ self.Wh"))
    assert [f.bug for f in parity.check(module.make).findings] == [derivative.ONE_CHANGE]


@pytest.mark.search
def test_one_change_in_part_is_planted_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("parity.checking.repairing.search.SECONDS", 60.0)  # on a busy machine, too
    module, _ = wrong_line(
        "vae", tmp_path, ("dmean = dz + mean / n", "dmean = dz - mean / n"),
        ("z.T @ dout", "np.cbrt(z.T @ dout)"),
    )  # fmt: skip
    assert [f.bug for f in parity.check(module.make).findings] == [derivative.ONE_CHANGE_IN_PART]


@pytest.mark.search
def test_one_change_of_a_step_is_planted_and_found(tmp_path: Path):
    module, _ = wrong_step("gradients_in_place", tmp_path, ("buf *= self.m", "buf *= 2 * self.m"))
    assert [f.bug for f in parity.check(module.make).findings] == [optimizers.STEP_LINE]


def test_every_code_that_a_case_expects_is_in_the_table():
    assert {code for bug in BUGS for code in bug.codes.split()} <= set(TABLE)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.code}: {form.title[:40]}")
def test_an_entry_is_whole(form: Bug):
    assert form.title
    assert form.example
    # What blocks the check says what it received; nothing of ours can mend an exception in a step.
    assert form.fix or form in (table.UNUSABLE_ANSWER, table.STEP_EXCEPTION)
    assert {name for _, name, _, _ in string.Formatter().parse(form.summary) if name} <= {
        "title",
        "where",
    }
    blocking = form.severity is Severity.BLOCKING
    assert form.summary.startswith("It cannot be checked: ") == blocking


def test_the_page_is_the_table(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "--all"]) == 0
    assert PAGE.read_text(encoding="utf-8") == capsys.readouterr().out


def test_a_code_is_explained(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "aliasing"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("aliasing\n\nAliasing: ‹change› in place. The network is wrong.\n")
    assert said.count("Fix: ") == len(TABLE["aliasing"]) == 3


def test_a_code_that_is_none_is_refused_with_what_is_near(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "softmax-diag"]) == 2
    assert capsys.readouterr().err == (
        "parity: expected a code such as softmax-diagonal, softmax-axis, softmax-missing. "
        "Received: 'softmax-diag'\n"
    )
    assert main(["explain", "--", "?"]) == 2
    said = capsys.readouterr().err
    assert said == "parity: expected a code that --all lists. Received: '?'\n"
