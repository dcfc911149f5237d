"""Rounding bounds of one optimizer step."""

from functools import singledispatch

import numpy as np

from numpy_impl import optimizers
from numpy_impl.types import Array
from parity.bounds.rounding import Approx


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
    exact = gradient.rounding.exact
    slots = {name: exact(value) for name, value in optimizer.state.items()}
    w = exact(parameters)
    lr = exact(optimizer.learning_rate) * 1.0  # rounded to the precision
    if optimizer.weight_decay is not None:
        w = w - w * (exact(optimizer.weight_decay) * 1.0) * lr
    return _rule(optimizer, _clipped(optimizer, gradient), w, slots, lr)


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


@singledispatch
def _rule(
    optimizer: optimizers.Optimizer, g: Approx, w: Approx, slots: dict[str, Approx], lr: Approx
) -> dict[str, Approx]:
    raise TypeError(f"No error analysis for optimizer {type(optimizer).__name__}")


@_rule.register
def _(
    optimizer: optimizers.SGD, g: Approx, w: Approx, slots: dict[str, Approx], lr: Approx
) -> dict[str, Approx]:
    step = g * lr
    if not optimizer.momentum:
        return {"weights": w - step}
    mu = g.rounding.exact(optimizer.momentum) * 1.0
    m = slots["momentum"] * mu - step
    return {"weights": w + (m * mu - step) if optimizer.nesterov else w + m, "momentum": m}


@_rule.register
def _(
    optimizer: optimizers.RMSprop, g: Approx, w: Approx, slots: dict[str, Approx], lr: Approx
) -> dict[str, Approx]:
    exact = g.rounding.exact
    rho, rest = exact(optimizer.rho) * 1.0, exact(1 - optimizer.rho) * 1.0
    after = {"velocity": slots["velocity"] * rho + g * g * rest}
    mean_square = after["velocity"]
    if optimizer.centered:
        b = slots["average_gradient"] * rho + g * rest
        after["average_gradient"] = b
        mean_square = mean_square - b * b
    step = g * lr / (mean_square + exact(optimizer.epsilon) * 1.0).sqrt()
    if optimizer.momentum:
        step = slots["momentum"] * (exact(optimizer.momentum) * 1.0) + step
        after["momentum"] = step
    return {"weights": w - step, **after}


@_rule.register
def _(
    optimizer: optimizers.Adam, g: Approx, w: Approx, slots: dict[str, Approx], lr: Approx
) -> dict[str, Approx]:
    exact, t = g.rounding.exact, optimizer.iterations + 1
    m = slots["momentum"] + (g - slots["momentum"]) * (exact(1 - optimizer.beta_1) * 1.0)
    v = slots["velocity"] + (g * g - slots["velocity"]) * (exact(1 - optimizer.beta_2) * 1.0)
    beta_1, beta_2 = (exact(beta) * 1.0 for beta in optimizer.correction_betas)
    alpha = lr * _one_minus_power(beta_2, t).sqrt() / _one_minus_power(beta_1, t)
    step = m * alpha / (v.sqrt() + exact(optimizer.epsilon) * 1.0)
    return {"weights": w - step, "momentum": m, "velocity": v}


def _one_minus_power(beta: Approx, t: int) -> Approx:
    # Both engines raise the rounded beta; the power itself is good to a few units roundoff, more
    # for large t where it is computed as exp(t log beta).
    exponent = 0.0 if beta.value == 0 else t * abs(float(np.log(beta.value)))
    return 1.0 - beta.monotone(lambda b: b**t, 4.0 + exponent)
