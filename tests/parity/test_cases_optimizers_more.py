"""Optimizers whose state goes wrong: averages that grow, and what is written back into them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array

Update = Callable[[list[Array], list[Array], float], None]


class Program:
    """Layers of tanh under a softmax or a linear output, and any update of its list of weights."""

    def __init__(
        self, update: Callable[[list[Array]], Update], sizes: Sequence[int], output: str, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        self.p: list[Array] = []
        for n, m in pairwise(sizes):
            self.p += [rng.normal(size=(n, m)) / np.sqrt(n), rng.normal(size=m) * 0.1]
        self.output = output
        self.update = update(self.p)

    def forward(self, x: Array) -> Array:
        self.a = [x]
        for w, b in zip(self.p[:-2:2], self.p[1:-2:2], strict=True):
            self.a.append(np.tanh(self.a[-1] @ w + b))
        z = self.a[-1] @ self.p[-2] + self.p[-1]
        if self.output == "linear":
            return z
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        delta = (self.forward(x) - y) / len(x)
        found: list[Array] = []
        for k in reversed(range(len(self.a))):
            found = [self.a[k].T @ delta, delta.sum(axis=0), *found]
            delta = delta @ self.p[2 * k].T * (1 - self.a[k] ** 2)
        return found

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        self.update(self.p, self.gradients(x, y), learning_rate)


def checked(
    update: Callable[[list[Array]], Update],
    sizes: Sequence[int] = (5, 7, 3),
    output: str = "softmax",
    gives: str = "both",
    optimizer: Any = None,
    program: type[Program] = Program,
    seed: int = 0,
) -> parity.CheckReport:
    """Check such a program by its step, with or without its gradients."""

    def make() -> parity.Candidate:
        net = program(update, sizes, output, seed)
        return parity.Candidate(
            get_weights=lambda: net.p, forward=net.forward, step=net.step, optimizer=optimizer,
            gradients=net.gradients if gives == "both" else None,
        )  # fmt: skip

    return parity.check(make, keras=False)


def assert_named(report: parity.CheckReport, code: str, words: str) -> None:
    assert report.outcome is parity.Outcome.WRONG, str(report)
    assert [finding.code for finding in report.findings] == [code], str(report)
    assert words in report.summary


# Averages. ---------------------------------------------------------------------------------------


def rmsprop(grows: bool, rho: float = 0.9, inside: bool = False) -> Callable[[list[Array]], Update]:
    def begin(p: list[Array]) -> Update:
        cache = [np.zeros_like(w) for w in p]

        def update(p: list[Array], g: list[Array], learning_rate: float) -> None:
            for w, dw, c in zip(p, g, cache, strict=True):
                c *= (1 if grows else 0) + rho
                c += (1 - rho) * dw**2
                w -= learning_rate * dw / (np.sqrt(c + 1e-8) if inside else np.sqrt(c) + 1e-8)

        return update

    return begin


def adam(
    grows: str = "", kept: str = "", betas: tuple[float, float] = (0.9, 0.999)
) -> Callable[[list[Array]], Update]:
    """Adam; ``grows`` and ``kept`` name the averages of which that is wrong."""

    def begin(p: list[Array]) -> Update:
        state = [{"m": np.zeros_like(w), "v": np.zeros_like(w), "t": 0} for w in p]

        def update(p: list[Array], g: list[Array], learning_rate: float) -> None:
            for w, dw, s in zip(p, g, state, strict=True):
                s["t"] += 1
                hat = {}
                for name, beta, new in zip("mv", betas, (dw, dw * dw), strict=True):
                    s[name] = (beta + (name in grows)) * s[name] + (1 - beta) * new
                    hat[name] = s[name] / (1 - beta ** s["t"])
                    if name in kept:
                        s[name] = hat[name]
                w -= learning_rate * hat["m"] / (np.sqrt(hat["v"]) + 1e-8)

        return update

    return begin


@pytest.mark.parametrize("gives", ["both", "step"])
@pytest.mark.parametrize(("rho", "inside"), [(0.9, False), (0.99, True), (0.5, False)])
def test_a_cache_that_is_added_to_itself(gives, rho, inside):
    report = checked(rmsprop(True, rho, inside), gives=gives, output="linear")
    assert_named(report, "average-added", "RMSprop's average is added to itself")
    right = checked(rmsprop(False, rho, inside), gives=gives, output="linear")
    assert right.outcome is parity.Outcome.RIGHT


def test_it_is_named_beside_a_declared_optimizer():
    for declared in ("rmsprop", parity_rmsprop()):
        report = checked(rmsprop(True), optimizer=declared, sizes=(4, 3))
        assert report.outcome is parity.Outcome.WRONG
        assert report.findings[0].code == "average-added"


def parity_rmsprop() -> Any:
    from numpy_impl.optimizers import RMSprop

    return RMSprop(0.01)


@pytest.mark.parametrize("grows", ["m", "v", "mv"])
@pytest.mark.parametrize("gives", ["both", "step"])
def test_an_average_of_adam_that_is_added_to_itself(grows, gives):
    assert_named(checked(adam(grows=grows), gives=gives), "average-added", "Adam's average")


@pytest.mark.parametrize("kept", ["m", "v", "mv"])
@pytest.mark.parametrize("gives", ["both", "step"])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.999), (0.9, 0.99)])
def test_a_corrected_average_that_is_written_back(kept, gives, betas):
    report = checked(adam(kept=kept, betas=betas), gives=gives, sizes=(3, 4, 5, 2))
    assert_named(report, "adam-correction-kept", "written back into its averages")
    assert checked(adam(betas=betas), gives=gives).outcome is parity.Outcome.RIGHT


def test_one_average_corrected_over_again_is_told_from_both():
    evidence = [checked(adam(kept=kept)).findings[0].evidence for kept in ("m", "v", "mv")]
    assert ["m kept" in e for e in evidence] == [True, False, False]
    assert ["m and v kept" in e for e in evidence] == [False, False, True]


# Rates that fall. --------------------------------------------------------------------------------

RATES: dict[str, Callable[[int], float]] = {
    "1/(1 + 0.01 t)": lambda t: 1 / (1 + 0.01 * t),
    "1/(1 + 0.003 (t + 1))": lambda t: 1 / (1 + 0.003 * (t + 1)),
    "0.95^t": lambda t: 0.95**t,
    "1/sqrt(1 + 1 t)": lambda t: (t + 1) ** -0.5,
    "1 - 0.002 t": lambda t: 1 - t / 500,
}


class LogCosh(Program):
    """A loss that the check does not know, and hidden units that pass on a slope of theirs."""

    slope = 1.0

    def hidden(self, z: Array) -> Array:
        return np.tanh(z)

    def forward(self, x: Array) -> Array:
        self.a = [x, self.hidden(x @ self.p[0] + self.p[1])]
        return self.a[1] @ self.p[2] + self.p[3]

    def loss(self, x: Array, y: Array) -> float:
        return float(np.log(np.cosh(self.forward(x) - y)).sum() / len(x))

    def derivative(self) -> Array:
        return self.slope - self.a[1] ** 2

    def gradients(self, x: Array, y: Array) -> list[Array]:
        delta = np.tanh(self.forward(x) - y) / len(x)
        below = delta @ self.p[2].T * self.derivative()
        return [x.T @ below, below.sum(axis=0), self.a[1].T @ delta, delta.sum(axis=0)]


class Cubes(LogCosh):
    """Hidden units of z^3/(1 + z^2), which the check does not know either."""

    def hidden(self, z: Array) -> Array:
        return z**3 / (1 + z * z)

    def derivative(self) -> Array:
        return self.slope * (3 * self.z**2 + self.z**4) / (1 + self.z**2) ** 2

    def forward(self, x: Array) -> Array:
        self.z = x @ self.p[0] + self.p[1]
        return super().forward(x)


def at_rate(rate: Callable[[int], float]) -> Callable[[list[Array]], Update]:
    def begin(p: list[Array]) -> Update:
        count = [0]

        def update(p: list[Array], g: list[Array], learning_rate: float) -> None:
            for w, dw in zip(p, g, strict=True):
                w -= learning_rate * rate(count[0]) * dw
            count[0] += 1

        return update

    return begin


def falls(
    rate: Callable[[int], float], program: type[LogCosh] = LogCosh, slope: float = 1.0
) -> parity.CheckReport:
    def make() -> parity.Candidate:
        net = program(at_rate(rate), (4, 6, 2), "linear", 3)
        net.slope = slope
        return parity.Candidate(
            get_weights=lambda: net.p, forward=net.forward, step=net.step, loss=net.loss
        )

    return parity.check(make, keras=False)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("words", RATES)
@pytest.mark.parametrize("program", [LogCosh, Cubes])
def test_steps_of_an_unknown_loss_at_a_falling_rate_are_right(words, program):
    report = falls(RATES[words], program)
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert any(r.startswith("Learning rate: ") and words in r for r in report.remarks)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("words", RATES)
@pytest.mark.parametrize("program", [LogCosh, Cubes])
def test_a_falling_rate_hides_no_wrong_gradient(words, program):
    report = falls(RATES[words], program, slope=0.9)
    assert report.outcome is parity.Outcome.WRONG, str(report)
    assert not any(f.code == "learning-rate-decay" for f in report.findings)
    assert all("weights[2]" not in f.where for f in report.findings)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("floor", [0.985, 0.95, 0.9])
@pytest.mark.parametrize("program", [LogCosh, Cubes])
def test_a_rate_that_comes_to_its_floor_is_not_called_wrong(floor, program):
    report = falls(lambda t: max(0.99**t, floor), program)
    assert report.outcome is not parity.Outcome.WRONG, str(report)


def test_the_rate_of_steps_is_no_factor_of_a_known_loss():
    report = checked(at_rate(RATES["1/(1 + 0.01 t)"]), gives="step")
    assert report.outcome is parity.Outcome.RIGHT
    assert report.conventions["optimizer"] == "SGD, its learning rate changing"


# Weights in lists. -------------------------------------------------------------------------------


class Lists:
    """One sample a call, nested lists, and a list of them made anew whenever they are asked for."""

    def __init__(self, sizes: Sequence[int], slope: float = 1.0) -> None:
        rng = np.random.default_rng(2)
        pairs = list(pairwise(sizes))
        self.weights = [(rng.normal(size=(m, n)) * 0.5).tolist() for n, m in pairs]
        self.biases = [(rng.normal(size=m) * 0.1).tolist() for _, m in pairs]
        self.slope = slope

    def arrays(self) -> list[Any]:
        return [a for pair in zip(self.weights, self.biases, strict=True) for a in pair]

    def forward(self, x: Sequence[float]) -> list[float]:
        self.a: list[list[float]] = [[float(v) for v in x]]
        for rows, biases in zip(self.weights, self.biases, strict=True):
            z = [
                b + sum(w * v for w, v in zip(row, self.a[-1], strict=True))
                for row, b in zip(rows, biases, strict=True)
            ]
            self.a.append([float(1 / (1 + np.exp(-v))) for v in z])
        return self.a[-1]

    def step(self, x: Sequence[float], y: Sequence[float], learning_rate: float) -> None:
        error = [a - t for a, t in zip(self.forward(x), y, strict=True)]
        for layer in reversed(range(len(self.weights))):
            rows, last = self.weights[layer], layer == len(self.weights) - 1
            slope = 1.0 if last else self.slope
            delta = [e * a * (slope - a) for e, a in zip(error, self.a[layer + 1], strict=True)]
            inputs = range(len(rows[0]))
            error = [sum(d * row[k] for d, row in zip(delta, rows, strict=True)) for k in inputs]
            for unit, d in enumerate(delta):
                for k in inputs:
                    rows[unit][k] -= learning_rate * d * self.a[layer][k]
                self.biases[layer][unit] -= learning_rate * d


@pytest.mark.census(keep=1)
@pytest.mark.parametrize("sizes", [(4, 5, 3), (3, 1), (2, 3, 3, 2)])
def test_nested_lists_are_written_into_themselves(sizes):
    """``get_weights=lambda: [net.weights[0], ...]``: the outer list is no part of the network."""

    def make(slope: float) -> parity.Candidate:
        net = Lists(sizes, slope)
        return parity.Candidate(
            get_weights=net.arrays, forward=net.forward, step=net.step, samples="single"
        )

    assert parity.check(lambda: make(1.0), keras=False).outcome is parity.Outcome.RIGHT
    if len(sizes) > 2:
        wrong = parity.check(lambda: make(0.8), keras=False)
        assert wrong.outcome is parity.Outcome.WRONG
        assert all("layer" in f.where and f"layer {len(sizes) - 1}" not in f.where
                   for f in wrong.findings)  # fmt: skip


# One state for several arrays. -------------------------------------------------------------------


def by_shape(
    rule: str, turned: bool = False, keyed: Callable[[int, Array], Any] = lambda k, w: w.shape
) -> Callable[[list[Array]], Update]:
    """An optimizer that finds its state by the shape of the array, or by another key."""

    def begin(p: list[Array]) -> Update:
        states: dict[Any, dict[str, Any]] = {}
        count = [0]

        def update(p: list[Array], g: list[Array], learning_rate: float) -> None:
            count[0] += 1
            for k in reversed(range(len(p))) if turned else range(len(p)):
                s = states.setdefault(keyed(k, p[k]), {"m": 0.0, "v": 0.0})
                if rule == "momentum":
                    s["m"] = 0.8 * s["m"] - learning_rate * g[k]
                    p[k] += s["m"]
                elif rule == "torch":
                    s["m"] = 0.8 * s["m"] + g[k]
                    p[k] -= learning_rate * s["m"]
                else:
                    s["m"] = 0.9 * s["m"] + 0.1 * g[k]
                    s["v"] = 0.999 * s["v"] + 0.001 * g[k] ** 2
                    m, v = s["m"] / (1 - 0.9 ** count[0]), s["v"] / (1 - 0.999 ** count[0])
                    p[k] -= learning_rate * m / (np.sqrt(v) + 1e-8)

        return update

    return begin


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("gives", ["both", "step"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("rule", ["momentum", "torch", "adam"])
def test_arrays_of_one_shape_that_share_a_state(rule, turned, gives):
    report = checked(by_shape(rule, turned), sizes=(4, 6, 6, 3), gives=gives)
    assert_named(report, "state-shared", "share one state of ")
    names = ("weights[3] and weights[1]",) if turned else ("weights[1] and weights[3]",)
    assert report.findings[0].values["names"] in names
    own = checked(by_shape(rule, turned, lambda k, w: k), sizes=(4, 6, 6, 3), gives=gives)
    assert own.outcome is parity.Outcome.RIGHT


def test_a_folded_bias_shares_no_state_with_its_kernel():
    """Both are parts of one array, of unlike lengths: a rate that changes inside is told."""

    def make() -> parity.Candidate:
        rng = np.random.default_rng(0)
        weights = [rng.normal(size=(4, 4)), rng.normal(size=(2, 5))]
        velocity = [np.zeros_like(w) for w in weights]
        steps = [0]

        def extended(a: Array) -> Array:
            return np.hstack([a, np.ones((len(a), 1))])

        def forward(x: Array) -> Array:
            hidden = np.tanh(extended(x) @ weights[0].T)
            return extended(hidden) @ weights[1].T

        def loss(x: Array, y: Array) -> float:
            return float(np.mean(np.sum((forward(x) - y) ** 2, axis=1)) / 2)

        def gradients(x: Array, y: Array) -> list[Array]:
            hidden = np.tanh(extended(x) @ weights[0].T)
            delta = (forward(x) - y) / len(x)
            below = (delta @ weights[1][:, :-1]) * (1 - hidden**2)
            return [below.T @ extended(x), delta.T @ extended(hidden)]

        def step(x: Array, y: Array, learning_rate: float) -> None:
            rate = learning_rate / (1 + 0.01 * steps[0])
            steps[0] += 1
            for w, v, g in zip(weights, velocity, gradients(x, y), strict=True):
                v *= 0.8
                v -= rate * g
                w += v

        return parity.Candidate(
            get_weights=lambda: weights,
            forward=forward,
            loss=loss,
            gradients=gradients,
            step=step,
            data=(rng.normal(size=(5, 3)), rng.normal(size=(5, 2))),
        )

    report = parity.check(make, keras=False)
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert "InverseTimeDecay" in str(report)


@pytest.mark.parametrize("gives", ["both", "step"])
def test_where_no_array_has_a_state_of_its_own(gives):
    report = checked(by_shape("momentum"), sizes=(4, 4, 4), output="linear", gives=gives)
    assert report.outcome is parity.Outcome.WRONG
    assert {f.code for f in report.findings} == {"state-shared"}
    assert [f.values["names"] for f in report.findings] == [
        "weights[0] and weights[2]", "weights[1] and weights[3]",
    ]  # fmt: skip


def by_rows(own: bool, mu: float = 0.6) -> Callable[[list[Array]], Update]:
    """Momentum of the kernels alone, one velocity for all rows unless each has its own."""

    def begin(p: list[Array]) -> Update:
        def rows(w: Array) -> list[Array]:
            return [np.zeros(w.shape[1]) for _ in w] if own else [np.zeros(w.shape[1])] * len(w)

        velocity = {k: rows(w) for k, w in enumerate(p) if w.ndim == 2}

        def update(p: list[Array], g: list[Array], learning_rate: float) -> None:
            for k, (w, dw) in enumerate(zip(p, g, strict=True)):
                if w.ndim == 1:
                    w -= learning_rate * dw
                    continue
                for row, change, v in zip(w, dw, velocity[k], strict=True):
                    v *= mu
                    v -= learning_rate * change
                    row += v

        return update

    return begin


class OutIn(Program):
    """Keeps kernels of shape (units, inputs)."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.p = [w.T.copy() for w in self.p]
        self.update = arguments[0](self.p)

    def forward(self, x: Array) -> Array:
        self.p, own = [w.T for w in self.p], self.p
        try:
            return super().forward(x)
        finally:
            self.p = own

    def gradients(self, x: Array, y: Array) -> list[Array]:
        self.forward(x)
        own = self.p
        self.p = [w.T for w in own]
        try:
            delta = (Program.forward(self, x) - y) / len(x)
            found: list[Array] = []
            for k in reversed(range(len(self.a))):
                found = [delta.T @ self.a[k], delta.sum(axis=0), *found]
                delta = delta @ self.p[2 * k].T * (1 - self.a[k] ** 2)
            return found
        finally:
            self.p = own


@pytest.mark.parametrize("gives", ["both", "step"])
@pytest.mark.parametrize("program", [Program, OutIn])
def test_rows_that_share_a_velocity(program, gives):
    report = checked(by_rows(False), (4, 5, 3), gives=gives, program=program)
    assert report.outcome is parity.Outcome.WRONG, str(report)
    assert [f.code for f in report.findings] == ["state-shared"] * 2
    names = [f.values["names"] for f in report.findings]
    assert names == ["the rows of weights[0]", "the rows of weights[2]"]
    assert "momentum 0.6" in str(report.findings[0].values["optimizer"])
    own = checked(by_rows(True), (4, 5, 3), program=program)
    assert own.outcome is not parity.Outcome.WRONG


# Nesterov's by look-ahead. -----------------------------------------------------------------------


class Ahead(Program):
    """Nesterov's momentum with its gradient at ``W + mu v``, in several ways of writing it."""

    mu = 0.9
    way = "restored"
    v: list[Array] | None = None

    def step(self, x: Array, y: Array, learning_rate: float) -> None:
        v = self.v = self.v or [np.zeros_like(w) for w in self.p]
        before = [w.copy() for w in self.p]
        for w, velocity in zip(self.p, v, strict=True):
            w += self.mu * velocity
        found = self.gradients(x, y)
        for w, old, velocity, g in zip(self.p, before, v, found, strict=True):
            velocity *= self.mu
            velocity -= learning_rate * g
            if self.way == "restored":
                w[...] = old + velocity
            elif self.way == "gone on":
                w -= learning_rate * g
            elif self.way == "added":
                w += velocity
            else:  # half of it
                w += 0.5 * velocity


class Rows(Ahead):
    way = "gone on"
    mu = 0.75


class Added(Ahead):
    way = "added"


class AddedSlowly(Ahead):
    way = "added"
    mu = 0.5


class Half(Ahead):
    way = "half"


def ahead(program: type[Ahead], **options: Any) -> parity.CheckReport:
    return checked(at_rate(lambda t: 1.0), program=program, **options)


@pytest.mark.parametrize("gives", ["both", "step"])
@pytest.mark.parametrize("output", ["softmax", "linear"])
@pytest.mark.parametrize("program", [Ahead, Rows])
def test_nesterov_by_look_ahead_is_right(program, output, gives):
    report = ahead(program, output=output, gives=gives, sizes=(4, 6, 5, 3), seed=4)
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    said = report.conventions["optimizer"]
    assert said == f"SGD with momentum {program.mu:g} (Nesterov's, by look-ahead weights)"


@pytest.mark.parametrize("gives", ["both", "step"])
@pytest.mark.parametrize("output", ["softmax", "linear"])
@pytest.mark.parametrize("program", [Added, AddedSlowly])
def test_a_look_ahead_that_is_not_taken_back(program, output, gives):
    report = ahead(program, output=output, gives=gives, seed=5)
    assert_named(report, "look-ahead-kept", "look-ahead is not taken back")
    assert f"momentum {program.mu:g}" in report.findings[0].evidence


@pytest.mark.parametrize("gives", ["both", "step"])
def test_another_use_of_the_look_ahead_is_not_named(gives):
    report = ahead(Half, gives=gives)
    assert report.outcome is not parity.Outcome.RIGHT
    assert "look-ahead-kept" not in {f.code for f in report.findings}


def test_a_look_ahead_declared_as_keras_nesterov_is_no_other_optimizer():
    from numpy_impl.optimizers import SGD

    declared = SGD(0.1, momentum=0.9, nesterov=True)
    assert ahead(Ahead, optimizer=declared).outcome is parity.Outcome.RIGHT
    assert_named(ahead(Added, optimizer=declared), "look-ahead-kept", "not taken back")
    plain = ahead(Ahead, optimizer=SGD(0.1, momentum=0.9))
    assert [f.code for f in plain.findings] == ["other-optimizer"]
