"""Rules that divide by a root of squares of gradients."""

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.bounds.updates.rule import (
    ROOTED,
    Computation,
    Number,
    Options,
    State,
    UpdateForm,
    UpdateRule,
    in_words,
)


def _rmsprop(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    rho = 1 - o["rho"] if form == "swapped" else o["rho"]
    before = None if form == "restarted" else state.get("velocity")
    if before is None and form in ("from-gradient", "from-one"):
        before = g * g if form == "from-gradient" else g * 0.0 + 1.0
    square = by.mean(before, g * g, rho)
    if form == "grows" and before is not None:
        square = square + before
    if form == "unweighted":
        square = g * g * 1.0 if before is None else before * rho * 1.0 + g * g
    state["velocity"] = square
    if form == "stale":
        square = g * 0.0 if before is None else before
    if o["centered"]:
        b = state["average_gradient"] = by.mean(state.get("average_gradient"), g, rho)
        square = square - b * b
    step = _divided(g * lr, square, o, form, by)
    if o["momentum"]:
        before = state.get("momentum")
        if form == "torch":
            step = _divided(g * 1.0, square, o, form, by)
        step = step if before is None else before * by.constant(o["momentum"]) + step
        state["momentum"] = step
        step = step * lr if form == "torch" else step
    return -step


def _adagrad(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    added = state["w"] if form == "of-weights" else g
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
    return change if form == "rateless" else change * lr


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


def _ftrl(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    w, l1 = state["w"], o["l1_regularization_strength"]
    n = state.get("accumulator", g * 0.0 + by.constant(o["initial_accumulator_value"]))
    after = state["accumulator"] = n + g * g
    fall, power = (_power(sums, -o["learning_rate_power"]) for sums in (n, after))
    shrunk = g + w * by.constant(2 * o["l2_shrinkage_regularization_strength"])
    moved = shrunk - (power - fall) / lr * w
    z = state["linear"] = state["linear"] + moved if "linear" in state else moved
    l2 = by.constant(o["beta"]) / (lr * 2.0) + by.constant(o["l2_regularization_strength"])

    def clipped_off(v: Array) -> Array:
        return np.clip(v, -l1, l1) - v

    new = z.monotone(clipped_off, 1.0) / (power / lr + l2 * 2.0)
    # The weights are set and not moved: what is added to them has the error of the new ones.
    return Approx(new.value - w.value, new.bound, new.rounding)


def _power(base: Approx, exponent: float) -> Approx:
    # Libraries are good to a few roundings, more where they compute it as exp(exponent log base).
    positive = np.maximum(base.value, base.rounding.tiny)
    growth = np.abs(exponent * np.log(positive))
    return base.monotone(lambda v: np.maximum(v, 0.0) ** exponent, 4.0 + growth)


RULES: dict[str, UpdateRule] = {
    "rmsprop": UpdateRule(
        "RMSprop", _rmsprop, in_words("RMSprop", "rho", "epsilon"), decay="rho",
        usual=((0.9,), (0.99,), (0.95,), (0.999,), (0.8,), (0.5,)),
        places=ROOTED, wrong=("no-root", "swapped", "restarted", "grows"),
        rare=("epsilon-apart", "unweighted", "stale"),
        others={"momentum": 0.0, "centered": False},
    ),
    "adagrad": UpdateRule(
        "Adagrad", _adagrad, in_words("Adagrad", "epsilon"), decay="initial_accumulator_value",
        usual=((0.1,), (0.0,)), places=ROOTED, wrong=("of-weights",),
        rare=("rootless", "epsilon-apart", "of-sizes", "restarted"), feels_scale=True,
        cast=("initial_accumulator_value",),
    ),
    "adadelta": UpdateRule(
        "Adadelta", _adadelta, in_words("Adadelta", "rho", "epsilon"), decay="rho",
        usual=((0.95,), (0.9,), (0.99,)), right=("rateless",), epsilon_sets_size=True,
    ),
    "ftrl": UpdateRule(
        "Ftrl", _ftrl, in_words("Ftrl", "learning_rate_power"), decay="learning_rate_power",
        cast=("initial_accumulator_value",),
    ),
}  # fmt: skip
