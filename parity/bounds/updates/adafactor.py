"""Adafactor, which takes each weight array as a whole."""

import math

from parity.bounds.rounding import Approx
from parity.bounds.updates.rule import (
    Computation,
    Number,
    Options,
    State,
    UpdateForm,
    UpdateRule,
    in_words,
    larger,
    smaller,
)


def _adafactor(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    exact, t = g.rounding.exact, float(state["t"])
    exponent = exact(o["beta_2_decay"]) * 1.0
    growth = abs(o["beta_2_decay"]) * math.log(t)
    beta = 1.0 - exponent.monotone(lambda e: t**e, 4.0 + growth)
    rate = smaller(exact(0.0) + lr, exact(1.0) / exact(t).sqrt())
    alpha = larger(exact(0.0) + by.constant(by.cast(o["epsilon_2"])), _rms(state["w"])) * rate
    square = g * g + by.constant(o["epsilon_1"])
    if g.value.ndim > 1:
        rows, columns = g.value.shape[-2:]
        r = state["row"] * beta + square.sum(-1, keepdims=True) / columns * (1.0 - beta)
        c = state["column"] * beta + square.sum(-2, keepdims=True) / rows * (1.0 - beta)
        v = r / (r.sum(-2, keepdims=True) / rows) * c
        state["row"], state["column"] = r, c
    else:
        v = state["velocity"] * beta + square * (1.0 - beta)
    state["velocity"] = v
    u = g / v.sqrt()
    clip = larger(exact(1.0), _rms(u) / by.constant(o["clip_threshold"]))
    return -(u / clip * alpha)


def _rms(values: Approx) -> Approx:
    return ((values * values).sum() / float(values.value.size)).sqrt()


RULES: dict[str, UpdateRule] = {
    "adafactor": UpdateRule(
        "Adafactor", _adafactor, in_words("Adafactor", "beta_2_decay"), decay="beta_2_decay",
        cast=("epsilon_2",), whole=True,
    ),
}  # fmt: skip
