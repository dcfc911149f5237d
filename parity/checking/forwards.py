"""Forward passes that go wrong: which of them gives the user's outputs, and where it parts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from parity.bounds.rounding import Approx
from parity.checking.catalogue.variant import COMMON, ELEMENTWISE, LEAKY, OUTPUTS
from parity.checking.conventions import Sample, within
from parity.checking.engine import Pass
from parity.checking.plan import Plan
from parity.findings import Finding


@dataclass(frozen=True)
class Fault:
    """A forward pass that explains the user's outputs.

    Attributes:
        finding: What is wrong.
        plan: The network that the user's forward pass really is, if it is one; the gradients are
            then compared with that network's.
    """

    finding: Finding
    plan: Plan | None = None


def explain(sample: Sample, plan: Plan) -> Fault | None:
    """Return the one thing wrong with a forward pass; None if none of the catalogue explains it."""
    for fault, kind in _faults(sample, plan):
        if sample.agrees(fault.plan or plan, kind):
            return fault
    return None


def parting_layer(sample: Sample, plan: Plan) -> int | None:
    """Return the first layer whose activations differ though what it takes agrees.

    Each layer is fed the user's own activations of the layer below. None where ``forward`` gives
    the outputs alone, or where all layers agree.
    """
    fwd = sample.expected(plan, tracked=True)
    signal = fwd.inputs[0]
    for layer, observed in enumerate(sample.first.layers):
        a = fwd.activation(layer, fwd.weighted(layer, signal))
        if not within(a, observed):
            return layer
        signal = fwd.rounding.exact(observed)
    return None


def _faults(sample: Sample, plan: Plan) -> Iterator[tuple[Fault, type[Pass]]]:
    for layer in range(plan.depth):
        where = f"layer {layer + 1}, forward"
        meant = plan.activations[layer].name
        last = layer == plan.depth - 1
        for other in OUTPUTS if last else ELEMENTWISE:
            if other.name == meant:
                continue
            activations = list(plan.activations)
            activations[layer] = other
            if other.name == "linear":
                code, title = (
                    "activation-missing",
                    f"activation {meant} missing in the forward pass",
                )
            else:
                code = "other-activation"
                title = f"another activation in the forward pass: {other.name} instead of {meant}"
            finding = Finding(code, title, where, f"apply {meant} there")
            yield Fault(finding, replace(plan, activations=tuple(activations))), Pass
        if plan.has_bias[layer]:
            finding = Finding(
                "forward-bias-missing", "bias missing in the forward pass", where,
                "add the bias to the pre-activation",
            )  # fmt: skip
            yield Fault(finding), _without_bias(layer)
        n = plan.sizes[layer : layer + 2]
        if n[0] == n[1]:
            finding = Finding(
                "forward-transposed", "kernel transposed in the forward pass", where, "transpose it"
            )
            yield Fault(finding), _turned(layer)
    yield from _everywhere(plan)
    if plan.activations[-1].name == "softmax" and len(sample.first.x) > 1:
        for axis, words in ((0, "over the wrong axis (over the batch)"), (None, "over everything")):
            finding = Finding(
                "softmax-axis", f"softmax {words} in the forward pass", "the output, forward",
                "normalise each sample over its own outputs, the maximum too",
            )  # fmt: skip
            # The maximum taken off cancels, unless it is another axis's.
            yield Fault(finding), _softmax_over(axis, by_sample=False)
            yield Fault(finding), _softmax_over(axis, by_sample=True)
    for factor in (1 / 255, 1 / 16, 255.0, 16.0):
        finding = Finding(
            "inputs-scaled", f"inputs multiplied by {factor:.4g} inside forward", "the inputs",
            "scale the data outside, or add a Rescaling layer to the reference",
        )  # fmt: skip
        scaled = replace(plan, scale=plan.scale * factor, offset=plan.offset * factor)
        yield Fault(finding, scaled), Pass


def _everywhere(plan: Plan) -> Iterator[tuple[Fault, type[Pass]]]:
    """Yield the faults that all (hidden) layers share."""
    where = f"layer 1 to {plan.depth - 1}, forward"
    last = plan.activations[-1]
    for other in ELEMENTWISE if plan.depth > 2 else ():
        names = {function.name for function in plan.activations[:-1]}
        if names == {other.name}:
            continue
        meant = " and ".join(sorted(names))
        if other.name == "linear":
            code, title = "activation-missing", f"activation {meant} missing in the forward pass"
        else:
            code = "other-activation"
            title = f"another activation in the forward pass: {other.name} instead of {meant}"
        changed = replace(plan, activations=(*[other] * (plan.depth - 1), last))
        yield Fault(Finding(code, title, where, f"apply {meant} there"), changed), Pass
    if sum(plan.has_bias) > 1:
        finding = Finding(
            "forward-bias-missing", "biases missing in the forward pass",
            f"layer 1 to {plan.depth}, forward",
            "add each layer's bias to its pre-activation",
        )  # fmt: skip
        yield Fault(finding), _without_bias(None)


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


def usual_plans(sample: Sample, name: str) -> Iterator[Plan]:
    """Yield networks that a forward pass may be meant to be, where no reference says it."""
    layout = sample.layout
    depth = len(layout.sizes) - 1
    for hidden in (*COMMON, LEAKY[0]):
        for output in OUTPUTS[:4]:
            activations = (hidden,) * (depth - 1) + (output,)
            yield Plan(name, layout.sizes, activations, layout.has_bias, (0.0,) * depth)
        if depth == 1:
            return
