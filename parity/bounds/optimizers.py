"""How far rounding can lead in one step of an optimizer of the engines."""

from collections.abc import Sequence
from copy import copy
from functools import partial

import numpy as np

from numpy_impl import optimizers
from numpy_impl.constraints import Constraint
from numpy_impl.network import Network
from numpy_impl.schedules import LearningRateSchedule
from numpy_impl.types import Array
from parity.bounds.rounding import Approx, Rounding
from parity.bounds.schedules import bounded_rate
from parity.bounds.updates import RULES
from parity.bounds.updates.rule import ByEngines, Options, State, UpdateRule

CLIPPING = ("clipvalue", "global_clipnorm", "clipnorm")


def name_of(optimizer: optimizers.Optimizer) -> str:
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
    g, rule = _clipped(optimizer, gradient), RULES[name_of(optimizer)]
    state["w"] = w
    if rule.whole:
        change = _step_of_whole_weights(optimizer, rule, state, g, lr)
    else:
        change = rule.change(vars(optimizer), "keras", state, g, lr, by)
    weights = w + change
    if optimizer.use_ema:
        stays = by.cast(optimizer.ema_momentum if optimizer.iterations else 0.0)
        state["average"] = by.mean(state["average"], weights, stays)
        weights = state["average"] if optimizer.averages_overwrite else weights
    return {"weights": weights, **{name: state[name] for name in optimizer.state}}


@np.errstate(invalid="ignore", over="ignore")  # infinite bounds
def constrained(network: Network, weights: Approx) -> Approx:
    """Return the weights after a step, a vector, as the network's constraints leave them."""
    parts: list[Approx] = []
    layers = (layer for layer in network.layers for _ in layer.weight_names)
    names = (name for layer in network.layers for name in layer.weight_names)
    for layer, name, s in zip(layers, names, network.slices, strict=True):
        part, constraint = weights[s], layer.constraints.get(name)
        if constraint is not None:
            shape = getattr(layer, name).shape
            part = _with_constants(constraint, weights.rounding)(part.reshape(*shape)).reshape(-1)
        parts.append(part)
    return _joined(parts)


def _with_constants(constraint: Constraint, rounding: Rounding) -> Constraint:
    """Return a constraint whose settings are rounded to the weights' precision."""
    bounded = copy(constraint)
    for name, value in vars(constraint).items():
        if name != "axis":
            object.__setattr__(bounded, name, ByEngines(rounding).constant(value))
    return bounded


def _step_of_whole_weights(
    optimizer: optimizers.Optimizer, rule: UpdateRule, state: State, g: Approx, lr: Approx
) -> Approx:
    """Return what a step adds to the weights, by a rule that takes each array in its shape."""
    by, slots = ByEngines(g.rounding), [*optimizer.state, "w"]
    parts: dict[str, list[Approx]] = {name: [] for name in (*slots, "change")}
    for s, shape in zip(optimizer.slices, optimizer.shapes, strict=True):
        own = {**state, **{name: state[name][s].reshape(*shape) for name in slots}}
        change = rule.change(vars(optimizer), "keras", own, g[s].reshape(*shape), lr, by)
        for name, values in {**{name: own[name] for name in slots}, "change": change}.items():
            parts[name].append(values.reshape(-1))
    whole = {name: _joined(values) for name, values in parts.items()}
    change = whole.pop("change")
    state.update(whole)
    return change


def _joined(parts: Sequence[Approx]) -> Approx:
    value = np.concatenate([part.value for part in parts])
    return Approx(value, np.concatenate([part.bound for part in parts]), parts[0].rounding)


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
    return _joined(parts)


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
