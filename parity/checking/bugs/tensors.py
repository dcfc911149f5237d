"""Ways to get a layer's kernel and bias gradient from its delta."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug, Severity
from parity.checking.bugs.variant import LayerVariant, Scene, Variant
from parity.checking.model.layout import Key

_OWN_INPUT = "use the layer's own input: x for the first layer, else the activation below"
KERNEL_MISSING = Bug(
    "kernel-missing", "kernel gradient missing (all zeros)", "dW1 = np.zeros_like(W1)",
    "kernel gradient = input.T @ delta",
)  # fmt: skip
BIAS_MISSING = Bug(
    "bias-missing", "bias gradient missing (all zeros)", "db1 = np.zeros_like(b1)",
    "bias gradient = delta summed over the batch",
)  # fmt: skip
TRANSPOSED = Bug(
    "transposed", "kernel gradient transposed", "dW2 = delta2.T @ a1",
    "transpose it{how}",
)  # fmt: skip
PRE_ACTIVATION_INPUT = Bug(
    "pre-activation-input",
    "kernel gradient formed with the pre-activation z of the layer below instead of its activation",
    "dW2 = z1.T @ delta2", _OWN_INPUT,
)  # fmt: skip
UNDROPPED_INPUT = Bug(
    "undropped-input",
    "kernel gradient formed with the activation below as it was before dropout: the dropout mask "
    "is missing there", "dropped = a1 * mask / keep; z2 = dropped @ W2; dW2 = a1.T @ delta2",
    _OWN_INPUT,
)  # fmt: skip
WRONG_INPUT = Bug(
    "wrong-input", "kernel gradient formed with the wrong layer's activation ({which})",
    "dW2 = x.T @ delta2", _OWN_INPUT,
)  # fmt: skip
OVERWRITTEN_INPUT = Bug(
    "aliasing",
    "aliasing: the activation below is overwritten in place by its derivative before the kernel "
    "gradient is formed with it", "a1 *= 1 - a1; ...; dW2 = a1.T @ delta2",
    "write a * (1 - a) to a new array", summary="{title}.",
)  # fmt: skip
INPUT_MISSING = Bug(
    "input-missing", "kernel gradient formed without the layer's input",
    "dW2 = np.ones_like(a1).T @ delta2", _OWN_INPUT,
)  # fmt: skip
KERNEL_AVERAGED = Bug(
    "kernel-averaged",
    "kernel gradient formed of means: the batch's mean input times its mean delta",
    "dW2 = np.outer(a1.mean(axis=0), delta2.mean(axis=0))",
    "form the product sample by sample, and sum (or average) the products: input.T @ delta",
)
KERNEL_NOT_SUMMED = Bug(
    "kernel-not-summed", "kernel gradient of the {which} sample alone, not of the batch",
    "dW2 = np.outer(a1[-1], delta2[-1])",
    "kernel gradient = input.T @ delta, over all samples{cause}",
    symptom=True,
)  # fmt: skip
KERNEL_ONE_NUMBER = Bug(
    "kernel-one-number",
    "kernel gradient is one number for all its elements: np.dot in place of np.outer",
    "dW2 = np.dot(delta2, a2)  # of one sample",
    "kernel gradient = np.outer(delta, input) for one sample, of the kernel's own shape",
    Severity.CONCLUSIVE,
)

# Why one sample alone may be left of a batch.
_OF_LAST = "; likely a loop over the samples assigns (=), and writes over those before: += is meant"
_OF_FIRST = "; likely the loop over the samples ends with the first: a return or break inside of it"
_BATCH_SUM = "sum the delta over the samples: delta.sum(axis=0) with samples in rows"
BIAS_AXIS = Bug(
    "bias-axis", "bias gradient summed over the wrong axis{how}", "db2 = np.sum(delta2)",
    _BATCH_SUM,
)  # fmt: skip
BIAS_NOT_SUMMED = Bug(
    "bias-not-summed", "bias gradient not summed over the batch{how}", "db2 = delta2",
    _BATCH_SUM + "{cause}",
)  # fmt: skip
BIAS_MULTIPLIED = Bug(
    "bias-multiplied", "bias gradient multiplied by the bias",
    "db2 = (delta2 * b2).sum(axis=0)", _BATCH_SUM,
)  # fmt: skip
BIAS_OF_ACTIVATION = Bug(
    "bias-of-activation", "bias gradient summed from the activation instead of the delta",
    "db2 = a2.sum(axis=0)", _BATCH_SUM,
)  # fmt: skip
BIAS_OF_KERNEL = Bug(
    "bias-of-kernel",
    "bias gradient is the kernel's gradient summed over the layer's inputs, not the delta summed "
    "over the batch",
    "db2 = dW2.sum(axis=0)", _BATCH_SUM,
)  # fmt: skip
BIAS_OF_OTHER_LAYER = Bug(
    "bias-of-other-layer",
    "bias gradient is layer {number}'s: its delta is summed, or its array stands here",
    "db1 = delta2.sum(axis=0)  # delta1 is meant",
    "sum the layer's own delta over the batch",
)
BIAS_CONSTANT = Bug(
    "bias-constant", "bias gradient is a constant", "db2 = np.ones_like(b2)", _BATCH_SUM,
)  # fmt: skip
# What does not depend on the layer's delta, and so tells nothing of it.
WITHOUT_DELTA = BIAS_CONSTANT, BIAS_OF_ACTIVATION, BIAS_OF_OTHER_LAYER


@dataclass(frozen=True)
class KernelVariant(Variant[[Scene, int]]):
    """A way to compute a kernel's gradient: ``left.T @ delta``, perhaps transposed.

    ``compute(scene, layer)`` returns ``left``, (N, inputs).
    """

    turned: bool = False

    def gradient(self, scene: Scene, layer: int, delta: Approx) -> Approx | None:
        """Return the gradient."""
        left = self.compute(scene, layer)
        if left is None or not self._fits(scene, layer, left):
            return None
        return delta.T @ left if self.turned else left.T @ delta

    def glimpse(self, scene: Scene, layer: int, delta: Approx, p: Array) -> Approx | None:
        """Return ``gradient @ p`` without forming the gradient."""
        left = self.compute(scene, layer)
        if left is None or not self._fits(scene, layer, left):
            return None
        q = scene.exact(p)
        return delta.T @ (left @ q) if self.turned else left.T @ (delta @ q)

    def _fits(self, scene: Scene, layer: int, left: Approx) -> bool:
        shape = scene.fwd.kernels[layer].value.shape
        return left.value.shape[1] == shape[0] and not (self.turned and shape[0] != shape[1])


@cache
def kernel_variants() -> Sequence[KernelVariant]:
    """Return the ways to compute a kernel's gradient, the right one first."""

    def own(scene: Scene, layer: int) -> Approx:
        return scene.fwd.inputs[layer]

    def pre_activation(scene: Scene, layer: int) -> Approx | None:
        return scene.fwd.z[layer - 1] if layer else None

    def undropped(scene: Scene, layer: int) -> Approx | None:
        return scene.fwd.a[layer - 1] if layer and scene.fwd.masks[layer - 1] is not None else None

    def other(offset: int) -> Callable[[Scene, int], Approx | None]:
        def compute(scene: Scene, layer: int) -> Approx | None:
            every = [*scene.fwd.inputs, scene.fwd.output]
            return every[layer + offset] if 0 <= layer + offset < len(every) else None

        return compute

    def derivative(scene: Scene, layer: int) -> Approx | None:
        if not layer:
            return None
        function = scene.function(layer - 1)
        return None if function.name == "softmax" else scene.slope(function, scene.fwd.z[layer - 1])

    def means(scene: Scene, layer: int) -> Approx | None:
        signal = scene.fwd.inputs[layer]
        batch = len(signal.value)
        mean = signal.sum(axis=0, keepdims=True) * (1 / batch)
        return None if batch < 2 else mean * np.ones((batch, 1))

    def alone(index: int) -> Callable[[Scene, int], Approx | None]:
        def compute(scene: Scene, layer: int) -> Approx | None:
            signal = scene.fwd.inputs[layer]
            rows = np.zeros((len(signal.value), 1))
            rows[index] = 1.0
            return None if len(rows) < 2 else signal * rows

        return compute

    def ones(scene: Scene, layer: int) -> Approx:
        return scene.exact(np.ones_like(scene.fwd.inputs[layer].value))

    turned = {"how": ": for kernels of shape (inputs, units) it is input.T @ delta"}
    return [
        KernelVariant(own),
        KernelVariant(own, TRANSPOSED, turned, turned=True),
        KernelVariant(pre_activation, PRE_ACTIVATION_INPUT),
        KernelVariant(undropped, UNDROPPED_INPUT),
        KernelVariant(other(1), WRONG_INPUT, {"which": "the layer's own output"}),
        KernelVariant(other(-1), WRONG_INPUT, {"which": "the one below its input"}),
        KernelVariant(derivative, OVERWRITTEN_INPUT),
        KernelVariant(ones, INPUT_MISSING),
        KernelVariant(means, KERNEL_AVERAGED),
        KernelVariant(alone(-1), KERNEL_NOT_SUMMED, {"which": "last", "cause": _OF_LAST}),
        KernelVariant(alone(0), KERNEL_NOT_SUMMED, {"which": "first", "cause": _OF_FIRST}),
    ]


@cache
def bias_variants(depth: int) -> Sequence[LayerVariant]:
    """Return the ways to compute a bias's gradient, the right one first; arguments likewise.

    Args:
        depth: Number of layers, whose other biases' gradients may stand there.
    """

    def right(scene: Scene, layer: int, delta: Approx) -> Approx:
        return delta.sum(axis=0)

    def everything(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        units = delta.value.shape[1]
        return None if units == 1 else delta.sum() * np.ones(units)

    def over_units(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        batch, units = delta.value.shape
        return delta.sum(axis=1) if batch == units > 1 else None

    def one_row(index: int) -> Callable[[Scene, int, Approx], Approx | None]:
        def compute(scene: Scene, layer: int, delta: Approx) -> Approx | None:
            # Of those that are visited: a sample that is left out has no delta.
            visited = np.flatnonzero(np.any(delta.value != 0, axis=1))
            if len(visited) < 2:
                return None
            row = int(visited[index])
            return delta[row : row + 1].sum(axis=0)

        return compute

    def ones(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        units: int = delta.value.shape[1]
        return scene.exact(np.ones(units))

    def of_kernel(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        signal = scene.fwd.inputs[layer]
        if signal.value.shape[1] < 2:
            return None
        return (delta * signal.sum(axis=1, keepdims=True)).sum(axis=0)

    def of_bias(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        bias = scene.fwd.biases[layer]
        return None if bias is None else delta.sum(axis=0) * bias

    def other_layer(offset: int) -> Callable[[Scene, int, Approx], Approx | None]:
        def compute(scene: Scene, layer: int, delta: Approx) -> Approx | None:
            if not 0 <= layer + offset < scene.fwd.plan.depth:
                return None
            signal = scene.fwd.a[layer + offset]
            return signal.sum(axis=0) if signal.value.shape == delta.value.shape else None

        return compute

    def of_layer(number: int) -> Callable[[Scene, int, Approx], Approx | None]:
        def compute(scene: Scene, layer: int, delta: Approx) -> Approx | None:
            gradient = scene.probe.gradients.get(Key(number, "bias"))
            if gradient is None or number == layer or gradient.shape != delta.value.shape[1:]:
                return None
            return scene.exact(gradient)

        return compute

    alone = " (the {} sample's delta alone)"
    return [
        Variant(right),
        Variant(everything, BIAS_AXIS, {"how": " (over all units, to one number)"}),
        Variant(over_units, BIAS_AXIS, {"how": ""}),
        Variant(one_row(-1), BIAS_NOT_SUMMED, {"how": alone.format("last"), "cause": _OF_LAST}),
        Variant(one_row(0), BIAS_NOT_SUMMED, {"how": alone.format("first"), "cause": _OF_FIRST}),
        Variant(of_kernel, BIAS_OF_KERNEL),
        Variant(of_bias, BIAS_MULTIPLIED),
        Variant(other_layer(0), BIAS_OF_ACTIVATION),
        *(Variant(of_layer(n), BIAS_OF_OTHER_LAYER, {"number": n + 1}) for n in range(depth)),
        Variant(ones, BIAS_CONSTANT),
    ]
