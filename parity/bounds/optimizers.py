"""The update rules of optimizers, each formula once, in bounded arithmetic.

``RULES`` has them by name. Who computes a step decides how its constants are rounded and in which
order a running mean is formed: :class:`ByEngines` as Keras does, :class:`ByAnyone` in any of the
usual ways. A formula asks for both, so the same one bounds a step of the two engines
(:func:`analyse_step`) and says whether somebody's own step follows the rule
(``parity.checking.rules``). For the latter a formula knows the ``form`` in which it is often
written otherwise, or wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
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
    "keras",
    # momentum
    "nesterov", "torch", "torch-nesterov", "average", "average-inside", "dampened",
    "raw", "raw-rate", "added", "before", "and-gradient", "nesterov-plus",
    # what divides by a root
    "no-root", "swapped", "of-weights", "restarted", "grows",
    "epsilon-apart", "unweighted", "of-sizes",
    # Adam
    "amsgrad", "uncorrected", "constant", "m-alone", "v-alone", "crossed", "late", "per-array",
    "restarted-uncorrected", "restarted-first", "m-grows", "v-grows",
    "kept-corrected", "m-kept-corrected", "v-kept-corrected",
    "m-unweighted", "v-unweighted", "m-share-of-v", "v-share-of-m", "gradient-for-m",
    "power-of-rest", "square-of-m", "exchanged", "rootless",
]  # fmt: skip
# Where epsilon stands, apart from Keras's own place: an option beside Keras's.
Place = Literal["keras", "outside", "inside", "paper"]


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

    def one_minus_power(self, beta: float, t: Any) -> Number:
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

    def one_minus_power(self, beta: float, t: Any) -> Approx:
        # Both engines raise the rounded beta; the power itself is good to a few units roundoff,
        # more for large t where it is computed as exp(t log beta).
        rounded = self.constant(beta)
        exponent = 0.0 if rounded.value == 0 else t * abs(float(np.log(rounded.value)))
        return 1.0 - rounded.monotone(lambda b: b**t, 4.0 + exponent)


@dataclass(frozen=True)
class ByAnyone:
    """A program of unknown make: constants are Python's numbers, put in in any order."""

    rounding: Rounding

    def constant(self, value: float) -> float:
        return value

    def mean(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        average = new * (1 - decay) * 1.0
        return average if old is None else old * decay * 1.0 + average

    def moved(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        return self.mean(old, new, decay)

    def one_minus_power(self, beta: float, t: Any) -> Approx:
        # The power may be multiplied up step by step, and so be off by t roundings.
        power = np.asarray(float(beta) ** np.asarray(t, float))
        error = (t + 4.0) * self.rounding.unit * np.abs(power)
        return 1.0 - Approx(power, np.asarray(error), self.rounding)


CLIPPING = ("clipvalue", "global_clipnorm", "clipnorm")

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
        places: Where a check tries epsilon, Keras's place first.
        right: Other forms that a check tries, and that are no bugs,
        wrong: and those that are.
        rare: More that are, tried last and with the most usual values only.
        others: What a check takes for the remaining options where nothing is declared.
        feels_scale: Whether its steps change with the scale of the gradients.
    """

    title: str
    change: Change
    words: Callable[[Options], str]
    decay: str
    beta: str = ""
    usual: tuple[tuple[float, ...], ...] = ()
    places: tuple[Place, ...] = ("keras",)
    right: tuple[UpdateForm, ...] = ()
    wrong: tuple[UpdateForm, ...] = ()
    rare: tuple[UpdateForm, ...] = ()
    others: Options = field(default_factory=dict[str, Any])
    feels_scale: bool = False


def _sgd(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    step = g * lr
    if not o["momentum"]:
        return -step
    mu, before = by.constant(o["momentum"]), state.get("momentum")
    if form in ("raw", "raw-rate"):
        state["momentum"] = g
        if before is None:
            return -step
        return -(before * mu + step) if form == "raw" else -((before * mu + g) * lr)
    if form in ("torch", "torch-nesterov", "average", "dampened"):
        share = {"average": 1 - o["momentum"], "dampened": 1 - o.get("dampening", 0.0)}.get(form, 1)
        new = g if share == 1 or (form == "dampened" and before is None) else g * share
        v = state["momentum"] = new if before is None else before * mu + new
        return -((v * mu + g if form == "torch-nesterov" else v) * lr)
    if form == "average-inside":
        step = step * (1 - o["momentum"])
    m = before * mu - step if before is not None else -step
    state["momentum"] = m if form != "added" or before is None else before + m
    if form == "before":
        return g * 0.0 if before is None else before
    if form == "and-gradient":
        return m - step
    if form == "nesterov-plus":
        ahead = m * (1 + o["momentum"])
        return ahead if before is None else before * mu + ahead
    return m * mu - step if o.get("nesterov") or form == "nesterov" else m


def _rmsprop(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    rho = 1 - o["rho"] if form == "swapped" else o["rho"]
    before = None if form == "restarted" else state.get("velocity")
    square = by.mean(before, g * g, rho)
    if form == "grows" and before is not None:
        square = square + before
    if form == "unweighted":
        square = g * g * 1.0 if before is None else before * rho * 1.0 + g * g
    state["velocity"] = square
    if o["centered"]:
        b = state["average_gradient"] = by.mean(state.get("average_gradient"), g, rho)
        square = square - b * b
    step = _divided(g * lr, square, o, form, by)
    if o["momentum"]:
        before = state.get("momentum")
        step = step if before is None else before * by.constant(o["momentum"]) + step
        state["momentum"] = step
    return -step


def _adagrad(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    added = g.rounding.exact(state["w"]) if form == "of-weights" else g
    square = g.monotone(np.abs, 0.0) if form == "of-sizes" else added * added
    start = o["initial_accumulator_value"]
    v = square + (start if form == "restarted" else state.get("accumulator", start))
    state["accumulator"] = v
    return -_divided(g * lr, v, o, form, by)


def _adadelta(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    square = state["accumulated_grad"] = by.mean(state.get("accumulated_grad"), g * g, o["rho"])
    before = state.get("accumulated_delta_var")
    epsilon = by.constant(o["epsilon"])
    root = (g * 0.0 + epsilon if before is None else before + epsilon).sqrt()
    change = -(root * g / (square + epsilon).sqrt())
    state["accumulated_delta_var"] = by.mean(before, change * change, o["rho"])
    return change * lr


def _lion(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    m = by.mean(state.get("momentum"), g, o["beta_1"])
    state["momentum"] = by.mean(state.get("momentum"), g, o["beta_2"])
    return -(m.monotone(np.sign, 0.0) * lr)


def _sign(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    return -(g.monotone(np.sign, 0.0) * lr)


def _divided(step: Approx, square: Approx, o: Options, form: UpdateForm, by: Computation) -> Approx:
    if form == "epsilon-apart":
        return step / square.sqrt() + by.constant(o["epsilon"])
    return step / _root(square, o, form, by)


def _root(square: Approx, o: Options, form: UpdateForm, by: Computation) -> Approx:
    epsilon = by.constant(o["epsilon"])
    if form in ("no-root", "rootless"):
        return square + epsilon
    outside = o.get("epsilon_place") == "outside"
    return square.sqrt() + epsilon if outside else (square + epsilon).sqrt()


def _adam(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    old = state if not form.startswith("restarted") else State()
    beta, gamma = o["beta_1"], o["beta_2"]
    if form == "exchanged":
        beta, gamma = gamma, beta
    m = by.moved(old.get("momentum"), g, beta)
    v = by.moved(old.get("velocity"), (m * m if form == "square-of-m" else g * g), gamma)
    if form in _SHARES:
        one, two = _SHARES[form](beta, gamma)
        m = _weighted(old.get("momentum"), g, beta, one)
        v = _weighted(old.get("velocity"), g * g, gamma, two)
    if form in ("grows", "m-grows") and "momentum" in old:
        m = m + old["momentum"]
    if form in ("grows", "v-grows") and "velocity" in old:
        v = v + old["velocity"]
    state["momentum"], state["velocity"] = m, v
    if form == "amsgrad" or o.get("amsgrad"):
        v = state["velocity_hat"] = _larger(state.get("velocity_hat"), v)
    epsilon = by.constant(o["epsilon"])
    if form in ("uncorrected", "restarted-uncorrected"):
        return -(m * lr / (v.sqrt() + epsilon))
    betas = o.get("correction_betas") or (beta, gamma)
    t = _counted(form, state)
    one, two = (by.one_minus_power(beta, t) for beta in betas)
    if form == "power-of-rest":
        one, two = ((1 - beta) ** t for beta in betas)
    if form == "rootless":
        return -(m / one * lr / (v / two + epsilon))
    if form == "epsilon-apart":
        return -(m / one * lr / (v / two).sqrt() + epsilon)
    if form == "gradient-for-m":
        return -(g * lr / ((v / two).sqrt() + epsilon))
    one, two = {"m-alone": (one, 1.0), "v-alone": (1.0, two), "crossed": (two, one)}.get(
        form, (one, two)
    )
    if form in ("kept-corrected", "m-kept-corrected"):
        state["momentum"] = m / one
    if form in ("kept-corrected", "v-kept-corrected"):
        state["velocity"] = v / two
    place = o.get("epsilon_place", "keras")
    if place == "paper":
        return -(m / one * lr / ((v / two).sqrt() + epsilon))
    if place == "inside":
        return -(m / one * lr / (v / two + epsilon).sqrt())
    rate = lr if isinstance(lr, Approx) else g.rounding.exact(lr)
    root = two.sqrt() if isinstance(two, Approx) else np.sqrt(two)
    return -(m * (rate * root / one) / (v.sqrt() + epsilon))


# Shares of the gradient and of its square in the averages, by beta_1 and beta_2.
_SHARES: dict[UpdateForm, Callable[[float, float], tuple[float, float]]] = {
    "unweighted": lambda one, two: (1.0, 1.0),
    "m-unweighted": lambda one, two: (1.0, 1 - two),
    "v-unweighted": lambda one, two: (1 - one, 1.0),
    "m-share-of-v": lambda one, two: (1 - two, 1 - two),
    "v-share-of-m": lambda one, two: (1 - one, 1 - one),
}


def _weighted(old: Approx | None, new: Approx, decay: float, share: float) -> Approx:
    added = new * share * 1.0
    return added if old is None else old * decay * 1.0 + added


def _counted(form: UpdateForm, state: State) -> Any:
    """Return the number of the step that Adam's correction is raised to."""
    if form in ("constant", "restarted-first"):
        return 1
    if form == "per-array":  # counted up for each array of weights
        return (state["t"] - 1) * state["arrays"] + state["place"] + 1
    return state["t"] + (form == "late")


def _larger(old: Approx | None, new: Approx) -> Approx:
    if old is None:
        return new
    return Approx(np.maximum(old.value, new.value), np.maximum(old.bound, new.bound), new.rounding)


def _in_words(title: str, *names: str) -> Callable[[Options], str]:
    return lambda o: ", ".join([title, *(f"{name} {o[name]:g}" for name in names)])


_RHOS = ((0.9,), (0.99,), (0.95,), (0.999,), (0.8,), (0.5,))
_BETAS = (
    (0.999, 0.9), (0.99, 0.9), (0.999, 0.5), (0.95, 0.9), (0.999, 0.8), (0.999, 0.95),
    (0.9999, 0.9), (0.999, 0.99), (0.9, 0.9),
)  # fmt: skip

_ROOTED: tuple[Place, ...] = ("keras", "outside")
# The names are those of ``numpy_impl.optimizers.OPTIMIZERS``, and of Keras's that those lack.
RuleName = Literal["sgd", "rmsprop", "adagrad", "adam", "adadelta", "lion", "sign"]
RULES: dict[RuleName, UpdateRule] = {
    "sgd": UpdateRule(
        "SGD", _sgd, lambda o: f"SGD with momentum {o['momentum']:g}" if o["momentum"] else "SGD",
        decay="momentum", beta="dampening", feels_scale=True,
    ),
    "rmsprop": UpdateRule(
        "RMSprop", _rmsprop, _in_words("RMSprop", "rho", "epsilon"), decay="rho", usual=_RHOS,
        places=_ROOTED, wrong=("no-root", "swapped", "restarted", "grows"),
        rare=("epsilon-apart", "unweighted"),
        others={"momentum": 0.0, "centered": False},
    ),
    "adagrad": UpdateRule(
        "Adagrad", _adagrad, _in_words("Adagrad", "epsilon"), decay="initial_accumulator_value",
        usual=((0.1,), (0.0,)), places=_ROOTED, wrong=("of-weights",),
        rare=("rootless", "epsilon-apart", "of-sizes", "restarted"), feels_scale=True,
    ),
    "adam": UpdateRule(
        "Adam", _adam, _in_words("Adam", "beta_1", "beta_2", "epsilon"), decay="beta_2",
        beta="beta_1", usual=_BETAS, places=("keras", "paper", "inside"),
        right=("amsgrad",),
        wrong=(
            "uncorrected", "constant", "m-alone", "v-alone", "crossed", "late", "per-array",
            "restarted", "restarted-uncorrected", "restarted-first", "kept-corrected",
            "m-kept-corrected", "v-kept-corrected", "grows", "m-grows", "v-grows",
        ),
        rare=(
            "epsilon-apart", "rootless", "exchanged", "v-share-of-m", "m-share-of-v",
            "m-unweighted", "v-unweighted", "unweighted", "gradient-for-m", "power-of-rest",
            "square-of-m",
        ),
    ),
    "adadelta": UpdateRule(
        "Adadelta", _adadelta, _in_words("Adadelta", "rho", "epsilon"), decay="rho",
    ),
    "sign": UpdateRule("signSGD", _sign, lambda o: "signSGD", decay="", usual=((0.0,),)),
    "lion": UpdateRule(
        "Lion", _lion, _in_words("Lion", "beta_1", "beta_2"), decay="beta_2", beta="beta_1",
        usual=((0.99, 0.9),),
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
    if not any(vars(optimizer)[name] for name in CLIPPING):
        return g
    parts = clipped(vars(optimizer), [g[s] for s in optimizer.slices])
    value = np.concatenate([p.value for p in parts])
    return Approx(value, np.concatenate([p.bound for p in parts]), g.rounding)


def clipped(options: Options, gradients: Sequence[Approx]) -> list[Approx]:
    """Return the gradients of all weights as an optimizer with these options clips them."""
    if limit := options.get("clipvalue"):
        clip = partial(np.clip, a_min=-limit, a_max=limit)
        return [g.monotone(clip, 1.0) for g in gradients]
    if limit := options.get("global_clipnorm"):
        total = sum(((g * g).sum() for g in gradients), start=gradients[0].rounding.exact(0.0))
        return [_scaled_to(g, limit, total) for g in gradients]
    if limit := options.get("clipnorm"):
        return [_scaled_to(g, limit, (g * g).sum()) for g in gradients]
    return list(gradients)


def _scaled_to(g: Approx, limit: float, square: Approx) -> Approx:
    norm = square.sqrt().monotone(lambda v: np.maximum(v, limit), 1.0)
    # Three roundings, in whichever order the product and the quotient are formed.
    return g * (norm.rounding.exact(limit) * 1.0 / norm) * 1.0
