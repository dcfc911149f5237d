"""Optimizers written by hand, right and wrong, in three styles: the wrong ones are seen and named.

A case is a step, what it is declared to be, and the code that a report has to give; none for right.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from numpy_impl.types import Array
from parity import Outcome
from parity.checking.model import declared_optimizer

K = keras.optimizers
S = K.schedules
# From the state of an array, its gradient, itself and the learning rate to what is taken off.
Update = Callable[["State", Array, Array, float], Array]


class State:
    """What an optimizer keeps of one array, and what it knows of the others."""

    def __init__(self, like: Array, place: int) -> None:
        self.m, self.v, self.u = (np.zeros_like(like) for _ in range(3))
        self.place, self.t, self.p = place, 0, 1.0
        self.others: list[State] = []


class Net:
    """6-4-4-4, tanh and linear: biases of one shape, and kernels. Squared error, its mean."""

    sizes = (6, 4, 4, 4)

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.arrays = [
            0.5 * rng.normal(size=shape)
            for n, m in zip(self.sizes, self.sizes[1:], strict=False)
            for shape in ((n, m), m)
        ]
        self.states = [State(w, k) for k, w in enumerate(self.arrays)]
        for state in self.states:
            state.others = self.states

    def forward(self, x: Array) -> Array:
        self.a = [x]
        for k in range(0, len(self.arrays), 2):
            z = self.a[-1] @ self.arrays[k] + self.arrays[k + 1]
            self.a.append(z if k == len(self.arrays) - 2 else np.tanh(z))
        return self.a[-1]

    def gradients(self, x: Array, y: Array) -> list[Array]:
        delta, found = 2 * (self.forward(x) - y) / y.size, list[Array]()
        for k in range(len(self.a) - 2, -1, -1):
            found = [self.a[k].T @ delta, delta.sum(axis=0), *found]
            delta = delta @ self.arrays[2 * k].T * (1 - self.a[k] ** 2)
        return found


def sgd(s: State, g: Array, w: Array, lr: float) -> Array:
    return lr * g


def velocity(mu: float = 0.9, nesterov: bool = False) -> Update:
    """Keras's: the learning rate inside the velocity."""

    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.m = mu * s.m - lr * g
        return lr * g - mu * s.m if nesterov else -s.m

    return update


def torch_sgd(mu: float = 0.9, dampening: float = 0.0, nesterov: bool = False) -> Update:
    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.m = g.copy() if s.t == 1 else mu * s.m + (1 - dampening) * g
        return lr * (g + mu * s.m if nesterov else s.m)

    return update


def average(s: State, g: Array, w: Array, lr: float) -> Array:
    s.m = 0.9 * s.m + 0.1 * g
    return lr * s.m


def old_velocity(s: State, g: Array, w: Array, lr: float) -> Array:
    step, s.m = s.m, 0.9 * s.m - lr * g
    return -step


def grown_velocity(s: State, g: Array, w: Array, lr: float) -> Array:
    s.m = s.m + 0.9 * s.m - lr * g
    return -s.m


def velocity_of(source: int, place: int, updated: bool) -> Update:
    """Momentum in which one array goes on from another's velocity."""

    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        other = s.others[source]
        crossed = s.place == place
        before = (other.m if updated else other.u) if crossed else s.m
        s.u, s.m = s.m, 0.9 * before - lr * g
        return -s.m

    return update


def adam(
    place: str = "keras",
    epsilon: float = 1e-7,
    betas: tuple[float, float] = (0.9, 0.999),
    one: Callable[[int], float] | None = None,
    two: Callable[[int], float] | None = None,
    count: Callable[[State], int] = lambda s: s.t,
    coupled: float = 0.0,
    decoupled: float = 0.0,
    whatever_rate: bool = False,
    after: bool = False,
    largest: bool = False,
    start: str = "",
    kept: bool = True,
    stale: bool = False,
    written_back: bool = False,
    corrected_decay: bool = False,
) -> Update:
    """Adam, right unless something is said."""
    b1, b2 = betas

    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        g = g + coupled * w
        if s.t == 1 and start:
            s.m, s.v = (g, g * g) if start == "gradient" else (s.m, np.ones_like(g))
        if not kept:
            s.m, s.v = np.zeros_like(g), np.zeros_like(g)
        old = s.m, s.v
        s.m, s.v = b1 * s.m + (1 - b1) * g, b2 * s.v + (1 - b2) * g * g
        s.u = np.maximum(s.u, s.v)
        m, v = old if stale else (s.m, s.u if largest else s.v)
        t = count(s)
        first, second = (one or (lambda t: 1 - b1**t))(t), (two or (lambda t: 1 - b2**t))(t)
        m, v = m / first, v / second
        if written_back:
            s.m, s.v = m, v
        # Keras's epsilon stands beside the root that is not corrected yet.
        beside = epsilon / np.sqrt(second) if place == "keras" else epsilon
        root = np.sqrt(v + epsilon) if place == "inside" else np.sqrt(v) + beside
        step = lr * m / root
        rate = lr * np.sqrt(second) / first if corrected_decay else lr
        return step + (1 if whatever_rate else rate) * decoupled * (w - step * after)

    return update


def rmsprop(
    inside: bool = True, epsilon: float = 1e-7, rho: float = 0.9, start: float = 0.0,
    coupled: float = 0.0, root: bool = True, kept: bool = True,
) -> Update:  # fmt: skip
    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        g = g + coupled * w
        if s.t == 1 or not kept:
            s.v = np.full_like(g, start)
        s.v = rho * s.v + (1 - rho) * g * g
        if not root:
            return lr * g / (s.v + epsilon)
        return lr * g / (np.sqrt(s.v + epsilon) if inside else np.sqrt(s.v) + epsilon)

    return update


def adagrad(start: float = 0.1, inside: bool = True, epsilon: float = 1e-7) -> Update:
    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.v = (start if s.t == 1 else s.v) + g * g
        return lr * g / (np.sqrt(s.v + epsilon) if inside else np.sqrt(s.v) + epsilon)

    return update


def adadelta(rho: float = 0.95, epsilon: float = 1e-7, rate: bool = True) -> Update:
    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.v = rho * s.v + (1 - rho) * g * g
        step = np.sqrt(s.u + epsilon) / np.sqrt(s.v + epsilon) * g
        s.u = rho * s.u + (1 - rho) * step * step
        return step * (lr if rate else 1.0)

    return update


def adamax(inside: bool = False, corrected: bool = True) -> Update:
    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.m = 0.9 * s.m + 0.1 * g
        s.u = np.maximum(0.999 * s.u, np.abs(g) + (1e-8 if inside else 0.0))
        bottom = s.u if inside else s.u + 1e-7
        return lr / (1 - 0.9**s.t if corrected else 1.0) * s.m / bottom

    return update


def nadam(form: str = "keras", epsilon: float = 1e-7) -> Update:
    """Keras's, PyTorch's, or one with a constant momentum."""

    def mu(t: int) -> float:
        return 0.9 * (1 - 0.5 * 0.96 ** (t * (0.004 if form == "torch" else 1)))

    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        s.m, s.v = 0.9 * s.m + 0.1 * g, 0.999 * s.v + 0.001 * g * g
        bottom = np.sqrt(s.v / (1 - 0.999**s.t)) + epsilon
        if form == "constant":
            return lr / bottom * (0.9 * s.m / (1 - 0.9**s.t) + 0.1 * g / (1 - 0.9**s.t))
        s.p *= mu(s.t)
        ahead = mu(s.t + 1)
        look = ahead * s.m / (1 - s.p * ahead) + (1 - mu(s.t)) * g / (1 - s.p)
        return lr * look / bottom

    return update


def lion(
    decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.99), first: bool = False
) -> Update:
    """Lion; ``first``: the average is updated before the step."""
    one, two = betas

    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        old = s.m
        s.m = two * s.m + (1 - two) * g
        step = np.sign(one * (s.m if first else old) + (1 - one) * g)
        return lr * (step + decay * w)

    return update


def scheduled(count: Callable[[int], int], falls: bool = True) -> Update:
    """Descent whose rate falls as ``1 / (1 + count / 2)``."""
    return lambda s, g, w, lr: lr * g / (1 + 0.5 * count(s.t - 1) * falls)


def clipped(kind: str, limit: float = 0.05) -> Update:
    def update(s: State, g: Array, w: Array, lr: float) -> Array:
        if kind == "clipvalue":
            return lr * np.clip(g, -limit, limit)
        return lr * g * limit / max(float(np.linalg.norm(g)), limit)

    return update


def per_layer(s: State) -> int:
    return (s.t - 1) * 3 + s.place // 2 + 1


def per_layer_down(s: State) -> int:
    return (s.t - 1) * 3 + 3 - s.place // 2


def per_array(s: State) -> int:
    return (s.t - 1) * 6 + s.place + 1


def one_of(beta: float) -> Callable[[int], float]:
    return lambda t: 1 - beta**t


def falling() -> Any:
    return K.SGD(S.InverseTimeDecay(0.1, 1, 0.5))


Case = tuple[Update, Callable[[], Any], str]
UNDECLARED: Callable[[], Any] = lambda: None  # noqa: E731
RIGHT: dict[str, tuple[Update, Callable[[], Any]]] = {
    "SGD": (sgd, lambda: K.SGD(0.1)),
    "momentum": (velocity(), lambda: K.SGD(0.1, momentum=0.9)),
    "Nesterov": (velocity(nesterov=True), lambda: K.SGD(0.1, momentum=0.9, nesterov=True)),
    "AdamW": (adam(decoupled=0.01), lambda: K.AdamW(weight_decay=0.01)),
    "AMSGrad": (adam(largest=True), lambda: K.Adam(amsgrad=True)),
    "RMSprop": (rmsprop(), K.RMSprop),
    "Adagrad": (adagrad(), K.Adagrad),
    "Adadelta": (adadelta(), K.Adadelta),
    "Adamax": (adamax(), K.Adamax),
    "Nadam": (nadam(), K.Nadam),
    "Lion": (lion(0.1), lambda: K.Lion(weight_decay=0.1)),
    "schedule": (scheduled(lambda k: k), falling),
    "torch.SGD": (torch_sgd(), lambda: "torch.SGD(momentum=0.9)"),
    "torch.SGD, dampening": (
        torch_sgd(dampening=0.5), lambda: "torch.SGD(momentum=0.9, dampening=0.5)",
    ),
    "torch.SGD, Nesterov": (
        torch_sgd(nesterov=True), lambda: "torch.SGD(momentum=0.9, nesterov=True)",
    ),
    "torch.Adam": (adam("paper", 1e-8, coupled=0.1), lambda: "torch.Adam(weight_decay=0.1)"),
    "torch.AdamW": (adam("paper", 1e-8, decoupled=0.01), lambda: "torch.AdamW"),
    "torch.RMSprop": (rmsprop(False, 1e-8, 0.99), lambda: "torch.RMSprop"),
    "torch.Adagrad": (adagrad(0.0, False, 1e-10), lambda: "torch.Adagrad"),
    "torch.Adadelta": (adadelta(0.9, 1e-6), lambda: "torch.Adadelta"),
    "torch.Adamax": (adamax(inside=True), lambda: "torch.Adamax"),
    "torch.NAdam": (nadam("torch", 1e-8), lambda: "torch.NAdam"),
    "AdamW, undeclared": (adam("paper", 1e-8, decoupled=0.01), UNDECLARED),
    "AMSGrad, undeclared": (adam(largest=True), UNDECLARED),
    "Adagrad, undeclared": (adagrad(0.0, False, 1e-8), UNDECLARED),
    "Adadelta, undeclared": (adadelta(0.9, 1e-6), UNDECLARED),
    "Adadelta of the paper, undeclared": (adadelta(0.95, 1e-6, rate=False), UNDECLARED),
    "Adamax, undeclared": (adamax(), UNDECLARED),
    "Adamax, epsilon inside, undeclared": (adamax(inside=True), UNDECLARED),
    "Nadam, undeclared": (nadam(), UNDECLARED),
    "Nadam of PyTorch, undeclared": (nadam("torch"), UNDECLARED),
    "Nadam, constant momentum, undeclared": (nadam("constant", 1e-8), UNDECLARED),
    "Lion, undeclared": (lion(), UNDECLARED),
}  # fmt: skip
WRONG: dict[str, Case] = {
    "state not kept": (adam(kept=False), K.Adam, "state-not-kept"),
    "state not kept, RMSprop": (rmsprop(kept=False), K.RMSprop, "state-not-kept"),
    "written back": (adam(written_back=True), K.Adam, "adam-correction-kept"),
    "written back, undeclared": (adam(written_back=True), UNDECLARED, "adam-correction-kept"),
    "no correction": (adam(one=lambda t: 1, two=lambda t: 1), K.Adam, "adam-no-correction"),
    "no correction of v": (adam(two=lambda t: 1), K.Adam, "adam-one-correction"),
    "constant correction": (
        adam(one=lambda t: 0.1, two=lambda t: 0.001), K.Adam, "adam-correction-without-power",
    ),
    "t from 2": (adam(count=lambda s: s.t + 1), K.Adam, "adam-count"),
    "t per array": (adam(count=per_array), K.Adam, "adam-count"),
    "t per layer": (adam(count=per_layer), K.Adam, "adam-count"),
    "t per layer, from the last": (adam(count=per_layer_down), K.Adam, "adam-count"),
    "t per layer, undeclared": (adam(count=per_layer), UNDECLARED, "adam-count"),
    "v by beta_1": (adam(two=one_of(0.9)), K.Adam, "adam-other-beta"),
    "v by beta_1, undeclared": (adam(two=one_of(0.9)), UNDECLARED, "adam-other-beta"),
    "m by beta_2": (adam(one=one_of(0.999)), K.Adam, "adam-other-beta"),
    "crossed": (adam(one=one_of(0.999), two=one_of(0.9)), K.Adam, "adam-crossed-correction"),
    "betas swapped": (adam(betas=(0.999, 0.9)), K.Adam, "adam-betas-swapped"),
    "starts at the gradient": (adam(start="gradient"), K.Adam, "state-start"),
    "starts at 1": (adam(start="one"), K.Adam, "state-start"),
    "starts at 1, RMSprop": (rmsprop(start=1.0), K.RMSprop, "state-start"),
    "stale": (adam(stale=True), K.Adam, "state-from-before"),
    "stale, undeclared": (adam(stale=True), UNDECLARED, "state-from-before"),
    "coupled": (
        adam(coupled=0.1), lambda: K.AdamW(weight_decay=0.1), "weight-decay-enters",
    ),
    "decoupled": (
        adam("paper", 1e-8, decoupled=0.1), lambda: "torch.Adam(weight_decay=0.1)",
        "weight-decay-enters",
    ),
    "coupled, torch.AdamW": (
        adam("paper", 1e-8, coupled=0.01), lambda: "torch.AdamW", "weight-decay-enters",
    ),
    "decay after": (
        adam(decoupled=0.1, after=True), lambda: K.AdamW(weight_decay=0.1), "weight-decay-enters",
    ),
    "decay whatever the rate": (
        adam(decoupled=0.1, whatever_rate=True), lambda: K.AdamW(weight_decay=0.1),
        "weight-decay-enters",
    ),
    "decay with the correction": (
        adam(decoupled=0.1, corrected_decay=True), lambda: K.AdamW(weight_decay=0.1),
        "weight-decay-enters",
    ),
    "no decay": (adam(), lambda: K.AdamW(weight_decay=0.1), "weight-decay-missing"),
    "no decay, SGD": (sgd, lambda: K.SGD(0.1, weight_decay=0.1), "weight-decay-missing"),
    "coupled, RMSprop": (
        rmsprop(coupled=0.1), lambda: K.RMSprop(weight_decay=0.1), "weight-decay-enters",
    ),
    "decay of the wrong sign": (adam("paper", 1e-8, decoupled=-0.1), UNDECLARED,
                                "weight-decay-sign"),
    "epsilon inside": (adam("inside", 1e-5), lambda: K.Adam(epsilon=1e-5), "epsilon-place"),
    "epsilon of another size": (adam(epsilon=1e-4), K.Adam, "epsilon-size"),
    "epsilon of another size, torch": (
        adam("paper", 1e-5), lambda: "torch.Adam", "epsilon-size",
    ),
    "accumulator": (adagrad(0.0), K.Adagrad, "accumulator-start"),
    "accumulator, torch": (adagrad(0.1, False, 1e-10), lambda: "torch.Adagrad",
                           "accumulator-start"),
    "average for momentum": (average, lambda: K.SGD(0.1, momentum=0.9), "momentum-convention"),
    "average for torch's": (average, lambda: "torch.SGD(momentum=0.9)", "momentum-convention"),
    "plain for Nesterov": (
        velocity(), lambda: K.SGD(0.1, momentum=0.9, nesterov=True), "nesterov-form",
    ),
    "Nesterov for plain": (
        velocity(nesterov=True), lambda: K.SGD(0.1, momentum=0.9), "nesterov-form",
    ),
    "Nesterov for torch's": (
        torch_sgd(nesterov=True), lambda: "torch.SGD(momentum=0.9)", "nesterov-form",
    ),
    "old velocity": (old_velocity, lambda: K.SGD(0.1, momentum=0.9), "velocity-from-before"),
    "old velocity, undeclared": (old_velocity, UNDECLARED, "velocity-from-before"),
    "velocity added": (grown_velocity, lambda: K.SGD(0.1, momentum=0.9), "average-added"),
    "b2 from b1's velocity": (
        velocity_of(1, 3, updated=True), lambda: K.SGD(0.1, momentum=0.9), "state-crossed",
    ),
    "b2 from b1's velocity, undeclared": (
        velocity_of(1, 3, updated=True), UNDECLARED, "state-crossed",
    ),
    "W3 from W2's velocity, undeclared": (
        velocity_of(2, 4, updated=True), UNDECLARED, "state-crossed",
    ),
    "clipped by value": (
        clipped("clipvalue"), lambda: K.SGD(0.1, clipnorm=0.05), "clipping-kind",
    ),
    "clipped by norm": (
        clipped("clipnorm"), lambda: K.SGD(0.1, clipvalue=0.05), "clipping-kind",
    ),
    "not clipped": (sgd, lambda: K.SGD(0.1, clipnorm=0.05), "clipping-kind"),
    "schedule per epoch": (scheduled(lambda k: k // 3), falling, "schedule-count"),
    "schedule from 1": (
        lambda s, g, w, lr: lr * g * 1.5 / (1 + 0.5 * s.t), falling, "schedule-ahead",
    ),
    "schedule behind": (scheduled(lambda k: max(k - 1, 0)), falling, "schedule-behind"),
    "no schedule": (scheduled(lambda k: 0), falling, "schedule-count"),
    "no root": (rmsprop(root=False), UNDECLARED, "rmsprop-no-root"),
    "rho swapped": (rmsprop(rho=0.1), K.RMSprop, "rmsprop-rho-swapped"),
    "not corrected, Adamax": (adamax(corrected=False), K.Adamax, "adam-no-correction"),
    "constant momentum for Nadam": (nadam("constant"), K.Nadam, "other-optimizer"),
    "torch's Nadam for Keras's": (nadam("torch"), K.Nadam, "other-optimizer"),
    "betas of Lion swapped": (lion(betas=(0.99, 0.9)), K.Lion, "lion-average"),
    "beta_1 twice, Lion": (lion(betas=(0.9, 0.9)), K.Lion, "lion-average"),
    "beta_2 twice, Lion": (lion(betas=(0.99, 0.99)), K.Lion, "lion-average"),
    "the average first, Lion": (lion(first=True), K.Lion, "lion-average"),
    "beta_1 twice, Lion with decay": (
        lion(0.1, betas=(0.9, 0.9)), lambda: K.Lion(weight_decay=0.1), "lion-average",
    ),
    "a velocity made anew at each step": (
        sgd, lambda: K.SGD(0.1, momentum=0.9), "momentum-missing",
    ),
    "coupled, and the paper's epsilon": (
        adam("paper", 1e-8, coupled=0.1), lambda: K.AdamW(weight_decay=0.1), "weight-decay-enters",
    ),
    "another momentum": (velocity(0.5), lambda: K.SGD(0.1, momentum=0.9), "other-optimizer"),
    "SGD for Adam": (sgd, K.Adam, "other-optimizer"),
}  # fmt: skip
# What steps alone do not tell: whose gradients they are, and which factor their loss has, of which
# 1 - momentum may be a part.
OPEN = {
    "average for momentum": Outcome.RIGHT,
    "average for torch's": Outcome.RIGHT,
}
# Keras and PyTorch have epsilon in different places. Each is right, and what differs is said.
CONVENTIONS: dict[str, tuple[Update, Callable[[], Any], str]] = {
    "Adam, the paper's": (
        adam("paper", 1e-3), lambda: K.Adam(epsilon=1e-3), "epsilon beside the corrected root",
    ),
    "Adam, PyTorch's default": (
        adam("paper", 1e-8), K.Adam, "epsilon beside the corrected root",
    ),
    "Adam, PyTorch's size in Keras's place": (adam("keras", 1e-8), K.Adam, "epsilon 1e-08"),
    "AdamW, the paper's": (
        adam("paper", 1e-8, decoupled=0.1), lambda: K.AdamW(epsilon=1e-8, weight_decay=0.1),
        "epsilon beside the corrected root",
    ),
    "RMSprop, PyTorch's": (rmsprop(inside=False), K.RMSprop, "epsilon outside the root"),
    "torch.RMSprop, Keras's": (
        rmsprop(True, 1e-8, 0.99), lambda: "torch.RMSprop", "epsilon where Keras has it",
    ),
    "Adagrad, PyTorch's": (adagrad(inside=False), K.Adagrad, "epsilon outside the root"),
}  # fmt: skip
STYLES = ("both", "step alone", "columns")


def report(update: Update, optimizer: Any, style: str = "both") -> parity.CheckReport:
    """Check a step in one of the styles."""

    def make() -> parity.Candidate:
        net = Net()
        turned = style == "columns"

        def step(x: Array, y: Array, learning_rate: float) -> None:
            x, y = (x.T, y.T) if turned else (x, y)
            gradients = net.gradients(x, y)
            for w, g, state in zip(net.arrays, gradients, net.states, strict=True):
                state.t += 1
                w -= update(state, g, w, learning_rate)

        def weights() -> list[Array]:
            if not turned:
                return net.arrays
            return [w.T if w.ndim == 2 else w[:, None] for w in net.arrays]

        def forward(x: Array) -> Array:
            return net.forward(x.T).T if turned else net.forward(x)

        def gradients(x: Array, y: Array) -> list[Array]:
            found = net.gradients(x.T, y.T) if turned else net.gradients(x, y)
            return [g.T if g.ndim == 2 else g[:, None] for g in found] if turned else found

        return parity.Candidate(
            get_weights=weights, forward=forward, step=step, optimizer=optimizer,
            gradients=None if style == "step alone" else gradients,
        )  # fmt: skip

    return parity.check(make, keras=False)


@pytest.mark.census(keep=5)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", RIGHT)
def test_no_right_optimizer_is_accused(name: str, style: str) -> None:
    update, optimizer = RIGHT[name]
    found = report(update, optimizer(), style)
    assert found.outcome is Outcome.RIGHT, str(found)


@pytest.mark.census(keep=5)
@pytest.mark.parametrize("style", STYLES[:2])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_optimizer_is_named(name: str, style: str) -> None:
    update, optimizer, code = WRONG[name]
    found = report(update, optimizer(), style)
    if style == "step alone" and name in OPEN:
        assert found.outcome is OPEN[name], str(found)
        return
    assert found.outcome is Outcome.WRONG, str(found)
    assert {f.code for f in found.findings} == {code}, str(found)


@pytest.mark.parametrize("style", STYLES[:2])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_convention_of_where_epsilon_stands_is_a_remark(name: str, style: str) -> None:
    update, optimizer, words = CONVENTIONS[name]
    found = report(update, optimizer(), style)
    assert found.outcome is Outcome.RIGHT, str(found)
    (remark,) = [r for r in found.remarks if r.startswith("Optimizer: it has ")]
    assert f"it has {words}" in remark
    assert "and parts at step 1, ×" in remark
    assert remark.endswith("a convention, and no bug.")
    assert words in found.conventions["optimizer"]


def test_enough_cases_are_tried() -> None:
    assert len(RIGHT) + len(WRONG) + len(CONVENTIONS) >= 60
    assert sum(code != "other-optimizer" for *_, code in WRONG.values()) >= 0.9 * len(WRONG)


def test_the_report_says_where_a_step_parts_from_what_is_declared() -> None:
    found = report(adam("inside", 1e-5), K.Adam(epsilon=1e-5))
    (finding,) = found.findings
    assert found.summary.startswith(
        "Adam has epsilon in another place than declared: epsilon inside the root, and parts at "
        "step 1, ×"
    )
    assert "with it every step taken follows it up to rounding; without, it parts at step 1, ×" in (
        finding.evidence
    )


def test_a_text_with_options_declares_what_the_keras_object_does() -> None:
    text = "AdamW(learning_rate=0.002, weight_decay=0.01, epsilon=1e-8, global_clipnorm=1.0)"
    one = declared_optimizer.of(text)
    other = declared_optimizer.of(eval(f"keras.optimizers.{text}"))
    names = ("beta_1", "beta_2", "epsilon", "amsgrad", "weight_decay", "global_clipnorm")
    assert [one.options[name] for name in names] == [other.options[name] for name in names]
    assert (one.title, one.kind, one.words, one.named) == ("AdamW", "adam", other.words, False)
    assert declared_optimizer.of("Adam()").named is False
    assert declared_optimizer.of("Adam").named is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch.Rprop", r"with a name of SGD, Adam, .*\. Received: 'torch\.Rprop'"),
        ("torch.SGD(0.1)", r"expected torch\.NAME or torch\.NAME\(option=number, \.\.\.\)"),
        ("torch.SGD(momentum=", r"expected torch\.NAME .*Received: 'torch\.SGD\(momentum='"),
        ("torch.SGD(fused=True)", r"options of torch\.SGD that .*: momentum, .*Received: fused"),
        ("torch.SGD(momentum='a')", r"expected momentum like 0\.0\. Received: 'a'"),
        ("torch.SGD(nesterov=1)", r"expected nesterov like False\. Received: 1"),
        (
            "SGD(0.1)",
            r"Keras has them \(SGD\(momentum=0\.9\)\).*Received: 'SGD\(0\.1\)'",
        ),
        ("SGD(fused=True)", r"expected SGD with Keras's options.* argument 'fused'$"),
        ("SGD(momentum=2)", r"Received: 'SGD\(momentum=2\)': Expected momentum in \[0, 1\]"),
        ("sign(beta=1)", r"expected a name of .*Received: 'sign\(beta=1\)'"),
        ("shampoo", r"expected a name of rmsprop, .*adamw.*torch\.SGD.*Received: 'shampoo'"),
    ],
)
def test_what_is_no_optimizer_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        declared_optimizer.of(text)
    assert "\n" not in str(caught.value)


def test_pytorchs_options_are_read() -> None:
    found = declared_optimizer.of("torch.Adam(lr=0.1, betas=(0.8, 0.99), weight_decay=1)")
    assert (found.options["beta_1"], found.options["beta_2"]) == (0.8, 0.99)
    assert (found.options["epsilon"], found.decay) == (1e-8, "coupled")
    assert found.words.startswith("torch.Adam, beta_1 0.8, beta_2 0.99, epsilon 1e-08")


@pytest.mark.parametrize("style", STYLES[:2])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("torch", [False, True])
def test_where_the_rate_stands_in_a_momentum_is_a_remark(
    torch: bool, nesterov: bool, style: str
) -> None:
    """With one rate the two are the same steps."""
    declared = f"torch.SGD(momentum=0.9, nesterov={nesterov})"
    if torch:
        declared = K.SGD(0.1, momentum=0.9, nesterov=nesterov)
    update = torch_sgd(nesterov=nesterov) if torch else velocity(nesterov=nesterov)
    found = report(update, declared, style)
    assert found.outcome is Outcome.RIGHT, str(found)
    title = "SGD" if torch else "torch.SGD"
    assert any(f"with one learning rate the step is {title}" in r for r in found.remarks)
