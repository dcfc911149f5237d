"""Gradient descent, its momenta, and what moves by a sign alone."""

import numpy as np

from parity.bounds.rounding import Approx
from parity.bounds.updates.rule import (
    Computation,
    Number,
    Options,
    State,
    UpdateForm,
    UpdateRule,
    in_words,
)


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
    if form == "grows" and before is not None:
        m = state["momentum"] = m + before
    if form == "before":
        return g * 0.0 if before is None else before
    if form == "and-gradient":
        return m - step
    if form == "nesterov-plus":
        ahead = m * (1 + o["momentum"])
        return ahead if before is None else before * mu + ahead
    return m * mu - step if o.get("nesterov") or form == "nesterov" else m


# By which of the betas the step goes, and by which the average, where it is another than Lion's.
_LION_BETAS: dict[UpdateForm, tuple[int, int]] = {
    "m-by-beta_1": (0, 0), "m-by-beta_2": (1, 1), "m-exchanged": (1, 0),
}  # fmt: skip


def _lion(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    betas = o["beta_1"], o["beta_2"]
    if o.get("rounds_betas", True):
        betas = by.cast(betas[0]), by.cast(betas[1])
    of_step, of_average = _LION_BETAS.get(form, (0, 1))
    old = state.get("momentum")
    state["momentum"] = by.mean(old, g, betas[of_average])
    m = by.mean(state["momentum"] if form == "m-first" else old, g, betas[of_step])
    return -(m.monotone(np.sign, 0.0) * lr)


def _sign(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    return -(g.monotone(np.sign, 0.0) * lr)


RULES: dict[str, UpdateRule] = {
    "sgd": UpdateRule(
        "SGD", _sgd, lambda o: f"SGD with momentum {o['momentum']:g}" if o["momentum"] else "SGD",
        decay="momentum", beta="dampening", feels_scale=True, cast=("momentum",),
    ),
    "sign": UpdateRule("signSGD", _sign, lambda o: "signSGD", decay="", usual=((0.0,),)),
    "lion": UpdateRule(
        "Lion", _lion, in_words("Lion", "beta_1", "beta_2"), decay="beta_2", beta="beta_1",
        usual=((0.99, 0.9),), cast=("beta_1", "beta_2"),
    ),
}  # fmt: skip
