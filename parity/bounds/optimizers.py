"""The update rules of optimizers, each formula once, in bounded arithmetic.

``RULES`` has them by name. Who computes a step decides how its constants are rounded and in which
order a running mean is formed: :class:`ByEngines` as Keras does, :class:`ByAnyone` in any of the
usual ways. A formula asks for both, so the same one bounds a step of the two engines
(:func:`analyse_step`) and says whether somebody's own step follows the rule
(``parity.checking.rules``). For the latter a formula knows the ``form`` in which it is often
written otherwise, or wrong.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from numpy_impl import optimizers
from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array
from parity.bounds.rounding import Approx, Rounding
from parity.bounds.schedules import bounded_rate

# A constant is a bounded number where it is rounded, and a plain one where it is not.
Number = Any
State = dict[str, Any]
Options = Mapping[str, Any]
# "keras" is Keras's own form of a rule; the others are as they are often written, right or wrong.
UpdateForm = Literal[
    "keras", "outside", "no-root", "swapped", "uncorrected", "paper", "nesterov", "average"
]


class Computation(Protocol):
    """How whoever takes a step computes what the formula leaves open."""

    def constant(self, value: float) -> Number:
        """Return a setting as it enters the formula."""
        ...

    def mean(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        """Return ``decay * old + (1 - decay) * new``; ``old`` is None before the first step."""
        ...

    def moved(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        """Return the same mean, which Keras forms as ``old + (1 - decay) * (new - old)``."""
        ...

    def one_minus_power(self, beta: float, t: int) -> Number:
        """Return ``1 - beta^t``."""
        ...


@dataclass(frozen=True)
class ByEngines:
    """Keras and the NumPy engine: all constants are rounded to the precision; Keras's order."""

    rounding: Rounding

    def constant(self, value: float) -> Approx:
        return self.rounding.exact(value) * 1.0

    def mean(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        assert old is not None, "the engines' slots have values from the start"
        return old * self.constant(decay) + new * self.constant(1 - decay)

    def moved(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        assert old is not None, "the engines' slots have values from the start"
        return old + (new - old) * self.constant(1 - decay)

    def one_minus_power(self, beta: float, t: int) -> Approx:
        # Both engines raise the rounded beta; the power itself is good to a few units roundoff,
        # more for large t where it is computed as exp(t log beta).
        rounded = self.constant(beta)
        exponent = 0.0 if rounded.value == 0 else t * abs(float(np.log(rounded.value)))
        return 1.0 - rounded.monotone(lambda b: b**t, 4.0 + exponent)


class ByAnyone:
    """A program of unknown make: constants are Python's numbers, put in in any order."""

    def constant(self, value: float) -> float:
        return value

    def mean(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        average = new * (1 - decay) * 1.0
        return average if old is None else old * decay * 1.0 + average

    def moved(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        return self.mean(old, new, decay)

    def one_minus_power(self, beta: float, t: int) -> float:
        return 1 - beta**t


# From options, form, state, gradient, learning rate and who computes to the change of the weights;
# the state is updated. ``state["t"]`` counts the steps, this one included.
Change = Callable[[Options, UpdateForm, State, Approx, Number, Computation], Approx]


@dataclass(frozen=True)
class UpdateRule:
    """What is known of an optimizer.

    Attributes:
        title: What to call it.
        change: Its formula.
        words: Returns the rule in words, from its options.
        decay: Which option a check takes as the decay,
        beta: and which as the second one, if there is one.
        usual: Values of ``decay``, ``beta`` that a check tries where nothing is declared.
        beside: The form that differs by the place of epsilon alone, and is tried with Keras's.
        wrong: Other forms that a check tries.
        off: Options that a check knows at these values only.
        limits: ``off`` in words.
        feels_scale: Whether its steps change with the scale of the gradients.
    """

    title: str
    change: Change
    words: Callable[[Options], str]
    decay: str
    beta: str = ""
    usual: tuple[tuple[float, ...], ...] = ()
    beside: UpdateForm | None = None
    wrong: tuple[UpdateForm, ...] = ()
    off: Options = field(default_factory=dict[str, Any])
    limits: str = ""
    feels_scale: bool = False


def _sgd(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    step = g * lr
    if not o["momentum"]:
        return -step
    mu = by.constant(o["momentum"])
    m = state["momentum"] * mu - step if "momentum" in state else -step
    state["momentum"] = m
    return m * mu - step if o.get("nesterov") or form == "nesterov" else m


def _rmsprop(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    rho = 1 - o["rho"] if form == "swapped" else o["rho"]
    square = state["velocity"] = by.mean(state.get("velocity"), g * g, rho)
    if o["centered"]:
        b = state["average_gradient"] = by.mean(state.get("average_gradient"), g, rho)
        square = square - b * b
    step = g * lr / _root(square, o, form, by)
    if o["momentum"]:
        step = state["momentum"] * by.constant(o["momentum"]) + step
        state["momentum"] = step
    return -step


def _adagrad(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    v = g * g + state.get("accumulator", o["initial_accumulator_value"])
    state["accumulator"] = v
    return -(g * lr / _root(v, o, form, by))


def _root(square: Approx, o: Options, form: UpdateForm, by: Computation) -> Approx:
    epsilon = by.constant(o["epsilon"])
    if form == "no-root":
        return square + epsilon
    return square.sqrt() + epsilon if form == "outside" else (square + epsilon).sqrt()


def _adam(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    m = state["momentum"] = by.moved(state.get("momentum"), g, o["beta_1"])
    v = state["velocity"] = by.moved(state.get("velocity"), g * g, o["beta_2"])
    epsilon = by.constant(o["epsilon"])
    if form == "uncorrected":
        return -(m * lr / (v.sqrt() + epsilon))
    betas = o.get("correction_betas") or (o["beta_1"], o["beta_2"])
    one, two = (by.one_minus_power(beta, state["t"]) for beta in betas)
    if form == "paper":
        return -(m * (1 / one) * lr / ((v * (1 / two)).sqrt() + epsilon))
    root = two.sqrt() if isinstance(two, Approx) else math.sqrt(two)
    return -(m * (lr * root / one) / (v.sqrt() + epsilon))


def _in_words(title: str, *names: str) -> Callable[[Options], str]:
    return lambda o: ", ".join([title, *(f"{name} {o[name]:g}" for name in names)])


_RHOS = ((0.9,), (0.99,), (0.95,), (0.999,), (0.8,), (0.5,))
_BETAS = (
    (0.999, 0.9), (0.99, 0.9), (0.999, 0.5), (0.95, 0.9), (0.999, 0.8), (0.999, 0.95),
    (0.9999, 0.9), (0.999, 0.99), (0.9, 0.9),
)  # fmt: skip

# The names are those of ``numpy_impl.optimizers.OPTIMIZERS``, and of Adagrad, which that lacks.
RuleName = Literal["sgd", "rmsprop", "adagrad", "adam"]
RULES: dict[RuleName, UpdateRule] = {
    "sgd": UpdateRule(
        "SGD", _sgd, lambda o: f"SGD with momentum {o['momentum']:g}" if o["momentum"] else "SGD",
        decay="momentum",
    ),
    "rmsprop": UpdateRule(
        "RMSprop", _rmsprop, _in_words("RMSprop", "rho", "epsilon"), decay="rho", usual=_RHOS,
        beside="outside", wrong=("no-root", "swapped"), off={"momentum": 0.0, "centered": False},
        limits="without momentum and not centered",
    ),
    "adagrad": UpdateRule(
        "Adagrad", _adagrad, _in_words("Adagrad", "epsilon"), decay="initial_accumulator_value",
        usual=((0.1,), (0.0,)), beside="outside", feels_scale=True,
    ),
    "adam": UpdateRule(
        "Adam", _adam, _in_words("Adam", "beta_1", "beta_2", "epsilon"), decay="beta_2",
        beta="beta_1", usual=_BETAS, beside="paper", wrong=("uncorrected",),
    ),
}  # fmt: skip


def name_of(optimizer: optimizers.Optimizer) -> RuleName:
    """Return the name in ``RULES`` of an optimizer of the NumPy engine, or of one derived from it.

    Raises:
        TypeError: No rule is known for it.
    """
    for name in RULES:
        kind = optimizers.OPTIMIZERS.get(name)
        if kind is not None and isinstance(optimizer, kind):
            return name
    raise TypeError(f"No error analysis for optimizer {type(optimizer).__name__}")


@np.errstate(invalid="ignore", over="ignore")  # infinite bounds
def analyse_step(
    optimizer: optimizers.Optimizer, gradient: Approx, parameters: Array
) -> dict[str, Approx]:
    """Bound one optimizer step from exact parameters and state; nothing is changed.

    Args:
        optimizer: Gives the settings, the state before the step, and the number of steps taken.
        gradient: The gradient vector, with its bounds.
        parameters: The parameter vector before the step.

    Returns:
        The vectors after the step: "weights", and each slot under its name.
    """
    exact, by = gradient.rounding.exact, ByEngines(gradient.rounding)
    state: State = {name: exact(value) for name, value in optimizer.state.items()}
    state["t"] = optimizer.iterations + 1
    w, lr = exact(parameters), _rate(optimizer, by)
    if optimizer.weight_decay is not None:
        w = w - w * by.constant(optimizer.weight_decay) * lr
    g, change = _clipped(optimizer, gradient), RULES[name_of(optimizer)].change
    weights = w + change(vars(optimizer), "keras", state, g, lr, by)
    return {"weights": weights, **{name: state[name] for name in optimizer.state}}


def _rate(optimizer: optimizers.Optimizer, by: ByEngines) -> Approx:
    """Return the learning rate of the step, which a schedule computes in a precision of its own."""
    if not isinstance(optimizer.learning_rate, LearningRateSchedule):
        return by.constant(optimizer.learning_rate)
    rate = bounded_rate(optimizer.learning_rate, optimizer.iterations)
    return Approx(rate.value, rate.error, by.rounding) * 1.0


def _clipped(optimizer: optimizers.Optimizer, g: Approx) -> Approx:
    if optimizer.clipvalue is not None:
        limit = optimizer.clipvalue
        return g.monotone(lambda v: np.clip(v, -limit, limit), 1.0)
    if optimizer.global_clipnorm is not None:
        return _scaled_to(g, optimizer.global_clipnorm)
    if optimizer.clipnorm is not None:
        limit = optimizer.clipnorm
        parts = [_scaled_to(g[s], limit) for s in optimizer.slices]
        value = np.concatenate([p.value for p in parts])
        return Approx(value, np.concatenate([p.bound for p in parts]), g.rounding)
    return g


def _scaled_to(g: Approx, limit: float) -> Approx:
    norm = (g * g).sum().sqrt().monotone(lambda v: np.maximum(v, limit), 1.0)
    # Three roundings, in whichever order the product and the quotient are formed.
    return g * (norm.rounding.exact(limit) * 1.0 / norm) * 1.0
