"""Adam and what is made of it."""

from collections.abc import Callable
from typing import Any

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
    larger,
)


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
        v = state["velocity_hat"] = larger(state.get("velocity_hat"), v)
    epsilon = by.constant(o["epsilon"])
    if form in ("uncorrected", "restarted-uncorrected"):
        return -(m * lr / (v.sqrt() + epsilon))
    betas = o.get("correction_betas") or (beta, gamma)
    t = _counted(form, state)
    one, two = (1.0 - by.power(beta, t) for beta in betas)
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


def _adamax(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    m = state["momentum"] = by.moved(state.get("momentum"), g, o["beta_1"])
    size, old = g.monotone(np.abs, 0.0), state.get("norm")
    size = state["norm"] = larger(None if old is None else old * by.constant(o["beta_2"]), size)
    beta = (o.get("correction_betas") or (o["beta_1"],))[0]
    root = (size + by.constant(o["epsilon"])) * (1.0 - by.power(beta, state["t"]))
    return -(m * lr / root)


def _nadam(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    t, decay = state["t"], by.cast(o.get("decay", NADAM_DECAY))
    beta_1, beta_2 = by.cast(o["beta_1"]), by.cast(o["beta_2"])
    m = state["momentum"] = by.moved(state.get("momentum"), g, beta_1)
    v = state["velocity"] = by.moved(state.get("velocity"), g * g, beta_2)
    beta, other = o.get("product_terms") or (beta_1, decay)
    product = _multiplied(_momenta(beta, other, np.arange(1, t + 1), by))
    now, ahead = (_momenta(beta_1, decay, k, by) for k in (t, t + 1))
    m_hat = m * ahead / (1.0 - product * ahead) + g * (1.0 - now) / (1.0 - product)
    v_hat = v / (1.0 - by.power(beta_2, t))
    return -(m_hat * lr / (v_hat.sqrt() + by.constant(o["epsilon"])))


NADAM_DECAY = 0.96


def _momenta(beta: float, decay: float, t: Any, by: Computation) -> Approx:
    """Return Nadam's momentum at step t, or at several."""
    return (1.0 - by.power(decay, t) * 0.5) * by.constant(beta)


def _multiplied(factors: Approx) -> Approx:
    """Return the product of all numbers of a vector, multiplied up one after the other."""
    value, size = np.asarray(np.prod(factors.value)), np.abs(factors.value)
    if not value:
        return factors.rounding.exact(value) * 1.0
    logs = np.log1p(factors.bound / size) + np.log1p(factors.rounding.unit)
    return Approx(value, np.abs(value) * np.expm1(np.sum(logs)), factors.rounding)


_BETAS = (
    (0.999, 0.9), (0.99, 0.9), (0.999, 0.5), (0.95, 0.9), (0.999, 0.8), (0.999, 0.95),
    (0.9999, 0.9), (0.999, 0.99), (0.9, 0.9),
)  # fmt: skip

RULES: dict[str, UpdateRule] = {
    "adam": UpdateRule(
        "Adam", _adam, in_words("Adam", "beta_1", "beta_2", "epsilon"), decay="beta_2",
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
    "adamax": UpdateRule(
        "Adamax", _adamax, in_words("Adamax", "beta_1", "beta_2", "epsilon"), decay="beta_2",
        beta="beta_1", usual=_BETAS[:3],
    ),
    "nadam": UpdateRule(
        "Nadam", _nadam, in_words("Nadam", "beta_1", "beta_2", "epsilon"), decay="beta_2",
        beta="beta_1", usual=_BETAS[:3], cast=("beta_1", "beta_2", "decay"),
    ),
}  # fmt: skip
