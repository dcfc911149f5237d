"""Ways to get the deltas wrong on the way down: propagation, dropout, activation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from numpy_impl.activations import ActivationFunction
from parity.bounds.activations import activate, through
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug
from parity.checking.bugs.variant import (
    LayerVariant,
    Scene,
    Variant,
    from_activation,
)
from parity.checking.model.functions import COMMON, LEAKY, OTHERS
from parity.checking.model.layout import Key

Across = Literal["row", "column"]
LayerCompute = Callable[[Scene, int, Approx], Approx | None]
_SLOPES = [f for f in (*COMMON, *LEAKY, *OTHERS) if f.name != "linear"]

_CALL_WITH_Z = "call the derivative of {activation} with z, not with a = {activation}(z)"
MISSING_DERIVATIVE = Bug(
    "missing-derivative",
    "missing activation derivative{hint}",
    "delta1 = delta2 @ W2.T  # and no * a1 * (1 - a1)",
    "multiply the delta by {activation}'(z), elementwise",
)
DERIVATIVE_AT_DROPPED = Bug(
    "derivative-at-dropped",
    "{activation}'s derivative taken at the dropped and rescaled activation instead of at the "
    "activation itself (that is, not at the pre-activation z)",
    "a1 = a1 * mask / keep; ...; delta1 = e * (1 - a1**2)",
    "keep the activation as it was before dropout for the derivative",
)
DERIVATIVE_AT_ACTIVATION = Bug(
    "derivative-at-activation",
    "{activation}'s derivative taken at the activation instead of the pre-activation",
    "def d_sigmoid(z): return sigmoid(z) * (1 - sigmoid(z)); delta1 = e * d_sigmoid(a1)",
    _CALL_WITH_Z,
)
DERIVATIVE_OF_DROPPED = Bug(
    "derivative-at-dropped",
    "{activation}'s derivative taken at the dropped activation instead of the pre-activation",
    "a1 = a1 * mask / keep; ...; delta1 = e * d_tanh(a1)",
    _CALL_WITH_Z,
)
DERIVATIVE_AT_PRE_ACTIVATION = Bug(
    "derivative-at-pre-activation",
    "{activation}'s derivative, written in terms of the activation, taken at the pre-activation",
    "def d_sigmoid(a): return a * (1 - a); delta1 = e * d_sigmoid(z1)",
    "the formula needs a = {activation}(z), not z",
)
OTHER_DERIVATIVE = Bug(
    "other-derivative",
    "another activation's derivative: {other} in a layer of {activation}",
    "a1 = np.tanh(z1); ...; delta1 = e * a1 * (1 - a1)",
    "use the derivative of {activation}",
)
DERIVATIVE_TWICE = Bug(
    "derivative-twice",
    "{activation}'s derivative multiplied in twice",
    "delta1 = e * d_tanh(z1); dz1 = delta1 * d_tanh(z1)",
    "multiply by it once",
)
DERIVATIVE_OF_DELTA = Bug(
    "derivative-of-delta",
    "{activation} or its derivative taken of the incoming delta instead of z: {form} in place of "
    "{activation}'(z) * delta",
    "delta1 = relu(delta2 @ W2.T)  # relu'(z1) is meant",
    "multiply the incoming delta by {activation}'(z), z being the layer's own pre-activation",
)
ACTIVATION_FOR_DERIVATIVE = Bug(
    "activation-for-derivative",
    "the delta is multiplied by the activation {activation}(z) itself, not by its derivative",
    "delta1 = (delta2 @ W2.T) * sigmoid(z1)",
    "multiply by {activation}'(z)",
)
DERIVATIVE_SLIP = Bug(
    "derivative-slip",
    "{activation}'s derivative is written wrong: {form} in place of {right}",
    "delta1 = e * (1 - a1)  # sigmoid' is a1 * (1 - a1)",
    "write {right}",
)
DELTA_LEFT_OUT = Bug(
    "delta-left-out",
    "the layer's delta is {activation}'(z) alone: what comes from the layer above is left out",
    "delta1 = d_tanh(z1)",
    "multiply {activation}'(z) by what the layer above propagates",
)
DELTA_LEFT_OUT_BELOW = Bug(
    "delta-left-out",
    "where z < 0 the layer's delta is {activation}'(z) alone: what comes from the layer above is "
    "left out there",
    "delta1 = delta2 @ W2.T; delta1[z1 < 0] = alpha",
    "multiply it by the slope: delta1[z1 < 0] *= alpha",
)
DERIVATIVE_OF_OTHER_LAYER = Bug(
    "derivative-of-other-layer",
    "activation derivative taken at the {which} layer's {where}",
    "delta1 = (delta2 @ W2.T) * d_tanh(z2)",
    "use the pre-activation of the same layer",
)
SLOPE_NOT_PROPAGATED = Bug(
    "slope-not-propagated",
    "{whose} error is propagated without {whose} {activation}'(z), which its own gradients have",
    "dW2 = a1.T @ (e2 * d_sigmoid(z2)); e1 = e2 @ W2.T",
    "propagate the delta, not the error: (e * {activation}'(z)) @ W.T",
)
SLOPE_PROPAGATED_TWICE = Bug(
    "slope-propagated-twice",
    "{whose} delta is multiplied by {whose} {activation}'(z) once more before it is propagated",
    "dW2 = a1.T @ delta2; e1 = (delta2 * d_sigmoid(z2)) @ W2.T  # delta2 = a2 - y",
    "propagate the delta that the layer's own gradients have",
)
DELTA_AVERAGED = Bug(
    "delta-averaged",
    "the delta is averaged over the batch before it is propagated: every sample gets the mean",
    "e1 = delta2.mean(axis=0) @ W2.T",
    "propagate each sample's own delta",
)
UPDATED_WEIGHTS = Bug(
    "updated-weights",
    "delta propagated with already updated weights",
    "W2 -= learning_rate * dW2; delta1 = (delta2 @ W2.T) * d_tanh(z1)",
    "compute all gradients first, then update; or keep a copy of the kernel",
)
PROPAGATION_TRANSPOSED = Bug(
    "propagation-transposed",
    "delta propagated through the kernel untransposed (transposed the wrong way)",
    "delta1 = (delta2 @ W2) * d_tanh(z1)  # W2 is square",
    "transpose the kernel in the backward pass",
)
BIAS_COLUMN = Bug(
    "bias-column",
    "{across} {number} (counted from 0) is cut out of the kernel in place of the bias {across}, "
    "which is the {where}: the delta is propagated with the bias in place of a weight",
    "delta1 = (delta2 @ W2[:, :-1])  # the bias is the first column of W2",
    "cut the bias out of the kernel (it is its own row or column) before you transpose it",
)
WRONG_LAYER = Bug(
    "wrong-layer",
    "delta propagated through the wrong layer's kernel",
    "delta1 = (delta2 @ W1.T) * d_tanh(z1)",
    "use the kernel of the layer that the delta comes from",
)
DROPOUT_MASK_MISSING = Bug(
    "dropout-mask-missing",
    "dropout mask missing in the backward pass",
    "a1 = a1 * mask / keep; ...; delta1 = (delta2 @ W2.T) * d_tanh(z1)",
    "multiply the gradient by the same mask (and scale) as the activations",
)
DROPOUT_MASK_REDRAWN = Bug(
    "dropout-mask-redrawn",
    "dropout mask redrawn for the backward pass",
    "delta1 = (delta2 @ W2.T) * draw_mask() / keep",
    "keep the mask of the forward pass and use it again",
)


def slope_variants(
    function: ActivationFunction, scales: Sequence[float] = ()
) -> list[LayerVariant]:
    """Return the ways to pass a delta through an element-wise activation, the right one first.

    Each takes ``(scene, layer, e)``, e the gradient at the activation.

    Args:
        function: The activation.
        scales: By what the user's own e may be multiplied, for what is not linear in it.
    """
    name = function.name

    def right(scene: Scene, layer: int, e: Approx) -> Approx:
        return through(function, scene.fwd.z[layer], scene.fwd.a[layer], e)

    def missing(scene: Scene, layer: int, e: Approx) -> Approx:
        return e

    def at_activation(scene: Scene, layer: int, e: Approx) -> Approx | None:
        return e * scene.slope(function, scene.fwd.a[layer])

    def at_dropped(scene: Scene, layer: int, e: Approx) -> Approx | None:
        if scene.fwd.masks[layer] is None:
            return None
        return e * scene.slope(function, scene.fwd.inputs[layer + 1])

    def form_at_z(scene: Scene, layer: int, e: Approx) -> Approx | None:
        form = from_activation(name, scene.fwd.z[layer])
        return None if form is None else e * form

    def form_at_dropped(scene: Scene, layer: int, e: Approx) -> Approx | None:
        if scene.fwd.masks[layer] is None:
            return None
        form = from_activation(name, scene.fwd.inputs[layer + 1])
        return None if form is None else e * form

    def twice(scene: Scene, layer: int, e: Approx) -> Approx:
        slope = scene.slope(function, scene.fwd.z[layer])
        return e * slope * slope

    hint = " (or ReLU's mask tested on the post-activation with >=, which always holds)"
    own = {"activation": name}
    others = list(_other_slopes(function))
    if name == "linear":  # whose derivative is 1, wherever it is taken
        return [Variant(right), *(v for v in others if v.bug is OTHER_DERIVATIVE)]
    found = [
        Variant(right),
        Variant(missing, MISSING_DERIVATIVE, {**own, "hint": hint if name == "relu" else ""}),
        Variant(form_at_dropped, DERIVATIVE_AT_DROPPED, own),
        Variant(at_activation, DERIVATIVE_AT_ACTIVATION, own),
        Variant(at_dropped, DERIVATIVE_OF_DROPPED, own),
        Variant(form_at_z, DERIVATIVE_AT_PRE_ACTIVATION, own),
        *_slips(function),
        *others,
    ]
    if not name.startswith(("relu", "leaky")):
        found.append(Variant(twice, DERIVATIVE_TWICE, own))
    return [*found, *_of_delta(function, scales)]


def _slips(function: ActivationFunction) -> Iterator[LayerVariant]:
    """Yield factors that are written where the derivative is meant."""
    name = function.name
    own = {"activation": name}
    right = {"sigmoid": "a(1 - a)", "tanh": "1 - a^2", "relu": "z > 0"}.get(name, f"{name}'(z)")

    def times(factor: Callable[[Approx, Approx], Approx]) -> LayerCompute:
        return lambda scene, layer, e: e * factor(scene.fwd.z[layer], scene.fwd.a[layer])

    def alone(scene: Scene, layer: int, e: Approx) -> Approx:
        return scene.slope(function, scene.fwd.z[layer])

    yield Variant(times(lambda z, a: a), ACTIVATION_FOR_DERIVATIVE, own)
    formulas: dict[str, dict[str, Callable[[Approx, Approx], Approx]]] = {
        "sigmoid": {
            "1 - a": lambda z, a: 1.0 - a,
            "(1 - a)^2": lambda z, a: (1.0 - a) * (1.0 - a),
            "a(1 + a)": lambda z, a: a * (1.0 + a),
            "z(1 - a)": lambda z, a: z * (1.0 - a),
        },
        "tanh": {
            "1 - a": lambda z, a: 1.0 - a,
            "1 + a^2": lambda z, a: 1.0 + a * a,
            "(1 - a)^2": lambda z, a: (1.0 - a) * (1.0 - a),
            "a^2": lambda z, a: a * a,
        },
        "relu": {"z < 0": lambda z, a: z.rounding.exact(1.0 * (z.value < 0))},
    }
    for form, factor in formulas.get(name, {}).items():
        yield Variant(times(factor), DERIVATIVE_SLIP, {**own, "form": form, "right": right})
    yield Variant(alone, DELTA_LEFT_OUT, own)


def _of_delta(function: ActivationFunction, scales: Sequence[float]) -> Iterator[LayerVariant]:
    """Yield what comes of the activation, or its derivative, put at the incoming delta."""
    name = function.name

    def at(scale: float, formula: Callable[[Scene, Approx], Approx | None]) -> LayerCompute:
        def compute(scene: Scene, layer: int, e: Approx) -> Approx | None:
            made = formula(scene, e * scale)
            return None if made is None else made * (1 / scale)

        return compute

    def form(scene: Scene, e: Approx) -> Approx | None:
        return from_activation(name, e)

    def form_times(scene: Scene, e: Approx) -> Approx | None:
        slope = from_activation(name, e)
        return None if slope is None else e * slope

    def above_alone(scale: float) -> LayerCompute:
        def compute(scene: Scene, layer: int, e: Approx) -> Approx:
            z = scene.fwd.z[layer]
            below = scene.slope(function, z).where(z.value < 0) * (1 / scale)
            return scene.through(layer, e).where(z.value >= 0) + below

        return compute

    if name.startswith(("leaky", "elu", "selu")):
        for scale in scales:
            yield Variant(above_alone(scale), DELTA_LEFT_OUT_BELOW, {"activation": name})
    formulas: dict[str, Callable[[Scene, Approx], Approx | None]] = {
        f"{name}(delta)": lambda scene, e: activate(function, e),
        f"{name}'(delta) * delta": lambda scene, e: e * scene.slope(function, e),
        f"{name}'(delta)": lambda scene, e: scene.slope(function, e),
    }
    if name in ("sigmoid", "tanh"):
        written = "delta * (1 - delta)" if name == "sigmoid" else "(1 - delta^2)"
        formulas |= {f"{written} * delta": form_times, written: form}
    for shown, formula in formulas.items():
        for scale in scales:
            values = {"activation": name, "form": shown}
            yield Variant(at(scale, formula), DERIVATIVE_OF_DELTA, values)


def _other_slopes(function: ActivationFunction) -> Iterator[LayerVariant]:
    def values(other: str) -> dict[str, str]:
        return {"activation": function.name, "other": other}

    def of(other: ActivationFunction) -> LayerVariant:
        return Variant(
            lambda scene, layer, e: e * scene.slope(other, scene.fwd.z[layer]),
            OTHER_DERIVATIVE,
            values(f"{other.name}'s"),
        )

    def of_form(name: str) -> LayerVariant:
        def compute(scene: Scene, layer: int, e: Approx) -> Approx | None:
            form = from_activation(name, scene.fwd.a[layer])
            return None if form is None else e * form

        shown = "a(1 - a)" if name == "sigmoid" else "1 - a^2"
        return Variant(compute, OTHER_DERIVATIVE, values(f"{name}'s {shown}"))

    def elsewhere(which: str, of: Callable[[Scene, int], int], at_a: bool = False) -> LayerVariant:
        def compute(scene: Scene, layer: int, e: Approx) -> Approx | None:
            other = of(scene, layer)
            if other == layer or not 0 <= other < scene.fwd.plan.depth:
                return None
            z = scene.fwd.z[other]
            if z.value.shape != e.value.shape:
                return None
            form = from_activation(function.name, scene.fwd.a[other]) if at_a else None
            slope = form if at_a else scene.slope(function, z)
            return None if slope is None else e * slope

        where = "activation" if at_a else "pre-activation"
        return Variant(compute, DERIVATIVE_OF_OTHER_LAYER, {"which": which, "where": where})

    def output(scene: Scene, layer: int) -> int:
        last = scene.fwd.plan.depth - 1
        return last if layer < last - 1 else layer

    yield from (of_form(name) for name in ("sigmoid", "tanh") if name != function.name)
    yield from (of(other) for other in _SLOPES if other.name != function.name)
    yield elsewhere("next", lambda scene, layer: layer + 1)
    yield elsewhere("previous", lambda scene, layer: layer - 1)
    yield elsewhere("output", output)
    # In terms of another layer's activation: another number where that is another function's.
    if function.name in ("sigmoid", "tanh"):
        yield elsewhere("next", lambda scene, layer: layer + 1, at_a=True)
        yield elsewhere("output", output, at_a=True)


def propagation_variants(across: Across = "row", units: int = 0) -> list[LayerVariant]:
    """Return the ways to bring a delta from a layer to the one below, the right one first.

    Each takes ``(scene, layer, delta)`` with the delta of ``layer + 1`` and returns the gradient at
    the input of ``layer + 1``.

    Args:
        across: What of the user's kernel belongs to one input.
        units: Of the layer below: so many inputs the bias may be mistaken for.
    """

    def right(scene: Scene, layer: int, delta: Approx) -> Approx:
        return delta @ scene.fwd.kernels[layer + 1].T

    def updated(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        after = scene.probe.after.get(Key(layer + 1, "kernel"))
        return None if after is None else delta @ scene.exact(after).T

    def turned(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        kernel = scene.fwd.kernels[layer + 1]
        return delta @ kernel if kernel.value.shape[0] == kernel.value.shape[1] else None

    def averaged(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        batch = len(delta.value)
        if batch < 2:
            return None
        mean = delta.sum(axis=0, keepdims=True) * (1 / batch)
        return right(scene, layer, mean * np.ones((batch, 1)))

    def other(offset: int, turned: bool) -> LayerCompute:
        def compute(scene: Scene, layer: int, delta: Approx) -> Approx | None:
            index = layer + 1 + offset
            if not 0 <= index < scene.fwd.plan.depth:
                return None
            kernel = scene.fwd.kernels[index] if turned else scene.fwd.kernels[index].T
            fits = (delta.value.shape[1], scene.fwd.z[layer].value.shape[1])
            return delta @ kernel if kernel.value.shape == fits else None

        return compute

    return [
        Variant(right),
        Variant(updated, UPDATED_WEIGHTS),
        Variant(turned, PROPAGATION_TRANSPOSED),
        *(Variant(other(n, turned), WRONG_LAYER) for n in (-1, 1) for turned in (False, True)),
        Variant(averaged, DELTA_AVERAGED),
        *_bias_taken_along(across, units),
    ]


def _bias_taken_along(across: Across, units: int) -> Iterator[LayerVariant]:
    """Yield what is propagated where another input's weights are cut out than the bias."""

    def cut(number: int, last: bool, after: bool) -> LayerCompute:
        def compute(scene: Scene, layer: int, delta: Approx) -> Approx | None:
            tensors = scene.probe.after if after else scene.probe.weights
            kernel = tensors.get(Key(layer + 1, "kernel"))
            bias = tensors.get(Key(layer + 1, "bias"))
            if kernel is None or bias is None:
                return None
            parts = [kernel, bias[None]] if last else [bias[None], kernel]
            left = np.delete(np.concatenate(parts), number, axis=0)
            return delta @ scene.exact(left).T

        return compute

    for after in (False, True):
        for last in (True, False):
            for number in range(units) if last else range(1, units + 1):
                where = "last" if last else "first"
                where += " (and the weights are already updated)" if after else ""
                values = {"across": across, "number": number, "where": where}
                yield Variant(cut(number, last, after), BIAS_COLUMN, values)


def dropout_variants() -> list[LayerVariant]:
    """Return the ways to pass a gradient back through dropout, the right one first.

    A missing or doubled scale shows as a factor, not here. Each takes ``(scene, layer, e)``.
    """

    def right(scene: Scene, layer: int, e: Approx) -> Approx:
        return scene.fwd.dropped(layer, e)

    def missing(scene: Scene, layer: int, e: Approx) -> Approx | None:
        return None if scene.fwd.masks[layer] is None else e

    def redrawn(scene: Scene, layer: int, e: Approx) -> Approx | None:
        observed = scene.probe.gradients.get(Key(layer, "kernel"))
        if scene.fwd.masks[layer] is None or observed is None:
            return None
        return (e * scene.fwd.drop_scale(layer)).where(np.any(observed != 0, axis=0)[None])

    return [
        Variant(right),
        Variant(missing, DROPOUT_MASK_MISSING),
        Variant(redrawn, DROPOUT_MASK_REDRAWN),
    ]
