"""Forward passes that go wrong, each as the pass that gives its outputs."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from numpy_impl.activations import ActivationFunction
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug, Values
from parity.checking.model.functions import ELEMENTWISE, OUTPUTS
from parity.checking.model.network import Pass, Plan

ACTIVATION_MISSING = Bug(
    "activation-missing",
    "activation {meant} missing in the forward pass",
    "a1 = x @ W1 + b1",
    "apply {meant} there",
)
OTHER_ACTIVATION = Bug(
    "other-activation",
    "another activation in the forward pass: {other} instead of {meant}",
    "a1 = np.tanh(z1)  # where the reference has sigmoid",
    "apply {meant} there",
)
BIAS_MISSING = Bug(
    "forward-bias-missing",
    "{bias} missing in the forward pass",
    "z1 = x @ W1",
    "add {the} bias to {its} pre-activation",
)
TRANSPOSED = Bug(
    "forward-transposed",
    "kernel transposed in the forward pass",
    "z2 = a1 @ W2.T  # W2 is square",
    "transpose it",
)
SOFTMAX_AXIS = Bug(
    "softmax-axis",
    "softmax {over} in the forward pass",
    "e = np.exp(z2 - z2.max()); a2 = e / e.sum(axis=0)",
    "normalise each sample over its own outputs, the maximum too",
)
DROPOUT_SCALED = Bug(
    "dropout-scaled",
    "forward multiplies by {factor} where the reference has dropout",
    "a1 = a1 * (1 - rate)  # in inference",
    "leave it out: Keras scales in training, by 1 / (1 - rate)",
)
INPUTS_SCALED = Bug(
    "inputs-scaled",
    "inputs multiplied by {factor:.4g} inside forward",
    "z1 = (x / 255) @ W1 + b1",
    "scale the data outside, or add a Rescaling layer to the reference",
)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a forward pass.

    Attributes:
        bug: What is wrong.
        where: Its place.
        values: What fills the places that the bug's texts hold open.
        plan: The network that the user's forward pass really is, if it is one; the gradients are
            then compared with that network's.
        passing: How it computes.
    """

    bug: Bug
    where: str
    values: Values = field(default_factory=dict[str, object])
    plan: Plan | None = None
    passing: type[Pass] = Pass


def faults(plan: Plan, batch: int) -> Iterator[Fault]:
    """Yield the ways in which a plan's forward pass may go wrong, the likeliest first.

    Args:
        plan: What is meant.
        batch: Number of samples that were passed.
    """
    for layer in range(plan.depth):
        yield from _in_layer(plan, layer)
    yield from _everywhere(plan)
    if plan.activations[-1].name == "softmax" and batch > 1:
        for axis, over in ((0, "over the wrong axis (over the batch)"), (None, "over everything")):
            # The maximum taken off cancels, unless it is another axis's.
            for by_sample in (False, True):
                passing = _softmax_over(axis, by_sample)
                yield Fault(SOFTMAX_AXIS, "the output, forward", {"over": over}, passing=passing)
    for keep in {1 - rate for rate in plan.dropout if rate}:
        for factor in (keep, 1 / keep):
            dropped = [layer for layer, rate in enumerate(plan.dropout) if rate]
            for which in (*dropped, *([None] if len(dropped) > 1 else [])):
                yield _scaled_by_dropout(factor, which)
    for factor in (1 / 255, 1 / 16, 255.0, 16.0):
        scaled = replace(plan, scale=plan.scale * factor, offset=plan.offset * factor)
        yield Fault(INPUTS_SCALED, "the inputs", {"factor": factor}, scaled)


def _in_layer(plan: Plan, layer: int) -> Iterator[Fault]:
    where = f"layer {layer + 1}, forward"
    meant = plan.activations[layer].name
    for other in OUTPUTS if layer == plan.depth - 1 else ELEMENTWISE:
        if other.name != meant:
            activations = list(plan.activations)
            activations[layer] = other
            yield _activated(other, meant, where, replace(plan, activations=tuple(activations)))
    if plan.has_bias[layer]:
        values = {"bias": "bias", "the": "the", "its": "the"}
        yield Fault(BIAS_MISSING, where, values, passing=_without_bias(layer))
    if plan.sizes[layer] == plan.sizes[layer + 1]:
        yield Fault(TRANSPOSED, where, passing=_turned(layer))


def _activated(other: ActivationFunction, meant: str, where: str, plan: Plan) -> Fault:
    bug = ACTIVATION_MISSING if other.name == "linear" else OTHER_ACTIVATION
    return Fault(bug, where, {"other": other.name, "meant": meant}, plan)


def _everywhere(plan: Plan) -> Iterator[Fault]:
    """Yield the faults that all (hidden) layers share."""
    where = f"layer 1 to {plan.depth - 1}, forward"
    names = {function.name for function in plan.activations[:-1]}
    for other in ELEMENTWISE if plan.depth > 2 else ():
        if names != {other.name}:
            activations = (*[other] * (plan.depth - 1), plan.activations[-1])
            changed = replace(plan, activations=activations)
            yield _activated(other, " and ".join(sorted(names)), where, changed)
    if sum(plan.has_bias) > 1:
        values = {"bias": "biases", "the": "each layer's", "its": "its"}
        where = f"layer 1 to {plan.depth}, forward"
        yield Fault(BIAS_MISSING, where, values, passing=_without_bias(None))


def _scaled_by_dropout(factor: float, which: int | None) -> Fault:
    class Scaled(Pass):
        def activation(self, layer: int, z: Approx) -> Approx:
            a = super().activation(layer, z)
            here = self.plan.dropout[layer] and which in (None, layer)
            return a * factor if here else a

    where = "layers with dropout" if which is None else f"layer {which + 1}"
    values = {"factor": f"{factor:.4g}"}
    return Fault(DROPOUT_SCALED, f"{where}, forward", values, passing=Scaled)


def _without_bias(missing: int | None) -> type[Pass]:
    class WithoutBias(Pass):
        def weighted(self, layer: int, signal: Approx) -> Approx:
            if missing is not None and layer != missing:
                return super().weighted(layer, signal)
            return signal @ self.kernels[layer]

    return WithoutBias


def _turned(which: int) -> type[Pass]:
    class Turned(Pass):
        def weighted(self, layer: int, signal: Approx) -> Approx:
            if layer != which:
                return super().weighted(layer, signal)
            z, bias = signal @ self.kernels[layer].T, self.biases[layer]
            return z if bias is None else z + bias

    return Turned


def _softmax_over(axis: int | None, by_sample: bool) -> type[Pass]:
    class OtherAxis(Pass):
        def activation(self, layer: int, z: Approx) -> Approx:
            if layer < self.plan.depth - 1:
                return super().activation(layer, z)
            highest = np.max(z.value, axis=-1 if by_sample else None, keepdims=True)
            e = (z - highest).monotone(np.exp, 4.0)
            return e / e.sum(axis=axis, keepdims=True)

    return OtherAxis
