"""Ways in which activations, dropout and joins go wrong, each as the Keras layer changed."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity.checking.bugs.change import LayerChange, LayerScene
from parity.checking.bugs.forward import (
    ACTIVATION_MISSING,
    DROPOUT_SCALED,
    INPUTS_SCALED,
    OTHER_ACTIVATION,
    SOFTMAX_AXIS,
)
from parity.checking.bugs.table import Bug

GELU_FORM = Bug(
    "gelu-form",
    "GELU in its other form: {theirs} instead of {meant}",
    "0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))",
    "Keras's gelu is {meant}; its form by tanh is gelu with approximate=True",
)
LEAKY_SLOPE = Bug(
    "leaky-slope",
    "the factor below zero (a slope, or alpha of ELU) is {theirs} instead of {meant}",
    "np.where(z > 0, z, 0.01 * z)  # Keras's leaky_relu has 0.2, LeakyReLU() 0.3",
    "multiply by {meant}",
)
INPUTS_SHIFTED = Bug(
    "inputs-scaled",
    "inputs are brought to another range inside forward: {theirs}",
    "x = x / 127.5 - 1  # where the reference takes x as it is",
    "give forward what the reference is given, or add a Rescaling layer to the reference",
)
RESCALING = Bug(
    "rescaling",
    "the inputs are not rescaled as the layer does it: {theirs} instead of {meant}",
    "z1 = x @ W1 + b1  # and x / 255 is forgotten",
    "compute {meant} first",
)
DROPOUT_ON = Bug(
    "dropout-on",
    "dropout is left on in forward",
    "a1 = a1 * (rng.random(a1.shape) > rate) / (1 - rate)  # also in inference",
    "leave it out where nothing is trained (training=False)",
)
LAYER_LEFT_OUT = Bug(
    "layer-left-out",
    "the layer is left out",
    "h = conv(x); h = relu(h)  # the normalization between them is missing",
    "compute it",
)
JOINED_ORDER = Bug(
    "joined-order",
    "the inputs of the join are taken in another order",
    "np.concatenate([right, left], axis=-1)",
    "take them in the layer's order",
)
INPUT_LEFT_OUT = Bug(
    "input-left-out",
    "the join leaves out {which} of its inputs",
    "y = block(x)  # and x is not added",
    "join all of them: y = x + block(x)",
)
# Names that keras.activations has, the likelier first.
_NAMES = (
    "linear", "relu", "tanh", "sigmoid", "softmax", "gelu", "leaky_relu", "elu", "selu",
    "softplus", "swish", "hard_sigmoid", "softsign", "relu6", "mish",
)  # fmt: skip
_LAYERS_OF_ACTIVATIONS = "keras.src.layers.activations"
_SLOPES = (0.01, 0.1, 0.2, 0.3, 0.05, 0.5, 0.0)
_ALPHAS = (1.0, 0.1, 0.5, 1.6732632423543772)
_RANGES = (
    (1 / 255, 0.0, "x / 255"), (255.0, 0.0, "255 x"), (1 / 127.5, -1.0, "x / 127.5 - 1"),
    (2.0, -1.0, "2 x - 1"), (1 / 256, 0.0, "x / 256"), (0.5, 0.5, "(x + 1) / 2"),
    (1 / 16, 0.0, "x / 16"), (127.5, 127.5, "127.5 (x + 1)"),
)  # fmt: skip


def changes(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield the wrong ways of a layer with an activation, dropout, or several inputs to join."""
    yield from _activations(scene)
    yield from _slopes(scene)
    yield from _dropped(scene)
    yield from _rescaled(scene)
    yield from _joined(scene)
    if scene.inputs and scene.inputs[0].shape == scene.output.shape:
        yield LayerChange(LAYER_LEFT_OUT, scene.layer, call=lambda own, args, kwargs: args[0])


def gelu(ops: Any, z: Any, approximate: bool = False) -> Any:
    """Return GELU in one of its two forms, computed in the precision of z.

    Args:
        ops: Keras's operations.
        z: The pre-activation.
        approximate: Whether by tanh, or else by the normal distribution.
    """
    if approximate:
        return 0.5 * z * (1 + ops.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    return 0.5 * z * (1 + ops.erf(z / math.sqrt(2)))


def scaled_inputs(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield the model with its inputs in another range."""
    for factor, offset, theirs in _RANGES:
        bug = INPUTS_SHIFTED if offset else INPUTS_SCALED
        values = {"theirs": theirs} if offset else {"factor": factor}
        yield LayerChange(bug, scene.layer, values, call=_ranged(scene, factor, offset))


def _ranged(scene: LayerScene, factor: float, offset: float) -> Any:
    def one(x: Any) -> Any:
        is_float = scene.keras.backend.is_float_dtype(x.dtype)
        return factor * x + offset if is_float else x

    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return own(*scene.keras.tree.map_structure(one, args), **kwargs)

    return call


def _name(function: Any) -> str:
    return getattr(function, "__name__", "another function")


def _activations(scene: LayerScene) -> Iterator[LayerChange]:
    holder = scene.attribute("cell") or scene.layer
    own = getattr(holder, "activation", None)
    if own is None or "activation" not in vars(holder):
        return
    ops, meant = scene.keras.ops, _name(own)

    def change(bug: Bug, theirs: str, function: Any, **values: object) -> LayerChange:
        values = {"theirs": theirs, "other": theirs, "meant": meant} | values
        return LayerChange(bug, scene.layer, values, settings=[(holder, "activation", function)])

    if meant == "gelu":
        forms = {False: "z Phi(z)", True: "the form by tanh"}
        for approximate, theirs in forms.items():
            yield change(
                GELU_FORM,
                theirs,
                functools.partial(gelu, ops, approximate=approximate),
                meant=forms[not approximate],
            )
    if meant == "leaky_relu":
        for slope in _SLOPES:
            function = _leaky(scene, slope)
            yield change(LEAKY_SLOPE, f"{slope:g}", function, meant="0.2")
    if meant == "softmax":
        yield from _softmaxes(scene, [(holder, "activation")])
    for theirs, function in _functions(scene):
        if theirs != meant:
            bug = ACTIVATION_MISSING if theirs == "linear" else OTHER_ACTIVATION
            yield change(bug, theirs, function)


def _functions(scene: LayerScene) -> Iterator[tuple[str, Any]]:
    """Yield activation functions with their names."""
    ops = scene.keras.ops
    for name in _NAMES:
        yield name, getattr(scene.keras.activations, name)
    for slope in _SLOPES[:2]:
        yield f"leaky_relu ({slope:g})", _leaky(scene, slope)
    forms: dict[str, Callable[[Any], Any]] = {
        "hard_sigmoid (0.2 z + 0.5)": lambda z: ops.clip(0.2 * z + 0.5, 0, 1),
        "z sigmoid(1.702 z)": lambda z: z * ops.sigmoid(1.702 * z),
        "1.7159 tanh(2 z / 3)": lambda z: 1.7159 * ops.tanh(2 * z / 3),
    }
    yield from forms.items()


def _softmaxes(scene: LayerScene, places: list[tuple[Any, str]]) -> Iterator[LayerChange]:
    ops = scene.keras.ops
    last = scene.output.ndim - 1
    ways: list[tuple[Any, str]] = [(0, "over the wrong axis (over the batch)"), (None, "over all")]
    ways += [(axis, f"over the wrong axis ({axis})") for axis in range(1, last)]
    for axis, over in ways:

        def function(z: Any, axis: Any = axis) -> Any:
            e = ops.exp(z - ops.max(z))
            return e / ops.sum(e, axis=axis, keepdims=True)

        settings = [(where, name, function) for where, name in places]
        yield LayerChange(SOFTMAX_AXIS, scene.layer, {"over": over}, settings=settings)


def _leaky(scene: LayerScene, slope: float) -> Any:
    def leaky(z: Any) -> Any:
        return scene.keras.ops.where(z > 0, z, slope * z)

    return leaky


def _slopes(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield layers that are activations themselves, with other options."""
    layer = scene.layer
    if scene.weights or not scene.inputs:
        return
    for name, others in (("negative_slope", _SLOPES), ("alpha", _ALPHAS)):
        own = scene.attribute(name)
        if isinstance(own, float | int):
            for other in others:
                if abs(other - own) > 1e-6:
                    values = {"theirs": f"{other:g}", "meant": f"{own:g}"}
                    yield LayerChange(LEAKY_SLOPE, layer, values, settings=[(layer, name, other)])
    if type(layer).__module__.startswith(_LAYERS_OF_ACTIVATIONS):
        for theirs, function in _functions(scene):

            def call(own: Any, args: Any, kwargs: Any, function: Any = function) -> Any:
                return function(args[0])

            values = {"theirs": theirs, "other": theirs, "meant": type(layer).__name__}
            bug = ACTIVATION_MISSING if theirs == "linear" else OTHER_ACTIVATION
            yield LayerChange(bug, layer, values, call=call)
    whole = scene.output.sum(axis=-1)
    if scene.attribute("axis") is not None and np.allclose(whole, 1) and np.all(scene.output >= 0):
        for change in _softmaxes(scene, []):
            function = _softmax_over(scene, change)
            yield LayerChange(change.bug, layer, change.values, call=function)


def _softmax_over(scene: LayerScene, change: LayerChange) -> Any:
    words = str(change.values["over"])
    ops = scene.keras.ops
    axis = None if "all" in words else 0 if "batch" in words else int(words[-2])

    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        e = ops.exp(args[0] - ops.max(args[0]))
        return e / ops.sum(e, axis=axis, keepdims=True)

    return call


def _dropped(scene: LayerScene) -> Iterator[LayerChange]:
    rate = scene.attribute("rate")
    if not isinstance(rate, float) or not 0 < rate < 1:
        return
    for factor in (1 - rate, 1 / (1 - rate), rate):

        def call(own: Any, args: Any, kwargs: Any, factor: float = factor) -> Any:
            return factor * args[0]

        yield LayerChange(DROPOUT_SCALED, scene.layer, {"factor": f"{factor:.4g}"}, call=call)


def _rescaled(scene: LayerScene) -> Iterator[LayerChange]:
    scale, offset = scene.attribute("scale"), scene.attribute("offset")
    if not isinstance(scale, float | int) or not isinstance(offset, float | int):
        return
    meant = f"{scale:.6g} x" + (f" + {offset:g}" if offset else "")
    for other, shift, theirs in ((1.0, 0.0, "x as it is"), *_RANGES):
        values = {"theirs": theirs, "meant": meant}

        def call(own: Any, args: Any, kwargs: Any, a: float = other, b: float = shift) -> Any:
            return a * args[0] + b

        yield LayerChange(RESCALING, scene.layer, values, call=call)


def _joined(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield joins (of a list of inputs) in another order, or of all but one of them."""
    if len(scene.inputs) < 2 or scene.weights:
        return

    def turned(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return own(list(args[0])[::-1], **kwargs)

    yield LayerChange(JOINED_ORDER, scene.layer, call=turned)
    for number in range(len(scene.inputs)):

        def without(own: Any, args: Any, kwargs: Any, number: int = number) -> Any:
            kept = [x for n, x in enumerate(args[0]) if n != number]
            return own(kept, **kwargs) if len(kept) > 1 else kept[0]

        values = {"which": f"number {number + 1}"}
        yield LayerChange(INPUT_LEFT_OUT, scene.layer, values, call=without)
