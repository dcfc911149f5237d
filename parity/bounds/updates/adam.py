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
    old = _before(form, state, g)
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
    stale = [old.get(name, g * 0.0) for name in ("momentum", "velocity")]
    state["momentum"], state["velocity"] = m, v
    if form == "stale":
        m, v = stale
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
    if form in ("by-beta_1", "by-beta_2"):
        one = two = one if form == "by-beta_1" else two
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


def _before(form: UpdateForm, state: State, g: Approx) -> State:
    """Return the averages that a step goes on from."""
    if form.startswith("restarted"):
        return State()
    if form == "from-gradient" and "momentum" not in state:
        return {"momentum": g, "velocity": g * g}
    if form == "from-one" and "momentum" not in state:
        return {"velocity": g * 0.0 + 1.0}
    return state


def _weighted(old: Approx | None, new: Approx, decay: float, share: float) -> Approx:
    added = new * share * 1.0
    return added if old is None else old * decay * 1.0 + added


_COUNTED_UP: dict[UpdateForm, tuple[str, str, bool]] = {
    "per-array": ("place", "arrays", False),
    "per-array-down": ("place", "arrays", True),
    "per-layer": ("layer", "layers", False),
    "per-layer-down": ("layer", "layers", True),
}


def _counted(form: UpdateForm, state: State) -> Any:
    """Return the number of the step that Adam's correction is raised to."""
    if form in ("constant", "restarted-first"):
        return 1
    if form in _COUNTED_UP:  # for each array of weights, or layer, in this order or from the end
        which, number, down = _COUNTED_UP[form]
        turn, turns = state[which], state[number]
        return (state["t"] - 1) * turns + (turns - turn if down else turn + 1)
    return state["t"] + (form == "late")


def _adamax(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    m = state["momentum"] = by.moved(state.get("momentum"), g, o["beta_1"])
    size, old = g.monotone(np.abs, 0.0), state.get("norm")
    inside = o.get("epsilon_place") == "maximum"
    size = size + by.constant(o["epsilon"]) if inside else size
    size = state["norm"] = larger(None if old is None else old * by.constant(o["beta_2"]), size)
    beta = (o.get("correction_betas") or (o["beta_1"],))[0]
    root = size if inside else size + by.constant(o["epsilon"])
    one = 1.0 if form == "uncorrected" else 1.0 - by.power(beta, state["t"])
    return -(m * lr / (root * one))


def _nadam(
    o: Options, form: UpdateForm, state: State, g: Approx, lr: Number, by: Computation
) -> Approx:
    t, decay = state["t"], by.cast(o.get("decay", _NADAM_DECAY))
    if form == "slow":
        decay = decay**TORCH_MOMENTUM_DECAY
    beta_1, beta_2 = by.cast(o["beta_1"]), by.cast(o["beta_2"])
    own = (beta_1, beta_2) if o.get("rounds_betas", True) else (o["beta_1"], o["beta_2"])
    m = state["momentum"] = by.moved(state.get("momentum"), g, own[0])
    v = state["velocity"] = by.moved(state.get("velocity"), g * g, own[1])
    beta, other = o.get("product_terms") or (beta_1, decay)
    product = _multiplied(_momenta(beta, other, np.arange(1, t + 1), by))
    now, ahead = (_momenta(beta_1, decay, k, by) for k in (t, t + 1))
    m_hat = m * ahead / (1.0 - product * ahead) + g * (1.0 - now) / (1.0 - product)
    if form in ("unscheduled", "corrected-alike"):
        one = 1.0 - by.power(beta_1, t)
        later = one if form == "corrected-alike" else 1.0 - by.power(beta_1, t + 1)
        m_hat = m * beta_1 / later + g * (1.0 - beta_1) / one
    v_hat = v / (1.0 - by.power(beta_2, t))
    return -(m_hat * lr / (v_hat.sqrt() + by.constant(o["epsilon"])))


_NADAM_DECAY = 0.96
# PyTorch's momentum_decay: its momenta are those of 0.96^(0.004 t).
TORCH_MOMENTUM_DECAY = 0.004


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
            "uncorrected", "constant", "m-alone", "v-alone", "crossed", "by-beta_1", "by-beta_2",
            "late", "per-array", "per-layer", "per-array-down", "per-layer-down",
            "restarted", "restarted-uncorrected", "restarted-first", "kept-corrected",
            "m-kept-corrected", "v-kept-corrected", "grows", "m-grows", "v-grows",
        ),
        rare=(
            "epsilon-apart", "rootless", "exchanged", "v-share-of-m", "m-share-of-v",
            "m-unweighted", "v-unweighted", "unweighted", "gradient-for-m", "power-of-rest",
            "square-of-m", "from-gradient", "from-one", "stale",
        ),
    ),
    "adamax": UpdateRule(
        "Adamax", _adamax, in_words("Adamax", "beta_1", "beta_2", "epsilon"), decay="beta_2",
        beta="beta_1", usual=_BETAS[:3], places=("keras", "maximum"), wrong=("uncorrected",),
    ),
    "nadam": UpdateRule(
        "Nadam", _nadam, in_words("Nadam", "beta_1", "beta_2", "epsilon"), decay="beta_2",
        beta="beta_1", usual=_BETAS[:3], right=("slow", "unscheduled", "corrected-alike"),
        cast=("beta_1", "beta_2", "decay"),
    ),
}  # fmt: skip
