"""Rounding bounds of activation functions, forward and backward."""

from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

import numpy as np

from numpy_impl.activations import ActivationFunction, LogSoftmax, SoftmaxFunction
from numpy_impl.types import Array
from parity.bounds.rounding import Approx


@dataclass(frozen=True)
class Evaluation:
    """How exactly math libraries evaluate an activation function, in units roundoff.

    An evaluation of f errs by ``value * u * (|f(z)| + |z f'(z)| + scale)`` and one of f' by
    ``derivative * u * (1 + |f'(z)|) * (1 + |z| if gated)``; ``scale`` is 1 or ``|z|`` where f is a
    difference of terms of that size. ``tests/parity/test_function_accuracy.py`` measures every
    function in both engines, in both precisions, against these figures.
    """

    value: float = 8.0
    derivative: float = 16.0
    scale: Literal["none", "one", "z"] = "none"
    gated: bool = False


_SELECTS = Evaluation(value=0, derivative=0)  # only compares and selects: no rounding at all
EVALUATIONS = {
    **dict.fromkeys(["linear", "relu", "relu6", "hard_tanh", "hard_shrink"], _SELECTS),
    # exp(z) - 1 is what TensorFlow computes for these two, also close to 0.
    **dict.fromkeys(["elu", "selu"], Evaluation(scale="one")),
    **dict.fromkeys(["squareplus", "tanh_shrink"], Evaluation(scale="z")),
    **dict.fromkeys(["silu", "mish", "gelu", "gelu (tanh)"], Evaluation(scale="z", gated=True)),
}


def _of(function: ActivationFunction) -> Evaluation:
    # Of an elu with another alpha as of elu.
    name = "elu" if function.name.startswith("elu(") else function.name
    return EVALUATIONS.get(name, Evaluation())


def evaluation(function: ActivationFunction, z: Approx) -> tuple[Evaluation, Array | float]:
    """Return how exactly a function is evaluated, and the scale that its errors are relative to.

    Written out in exponentials by hand (``Rounding.handwritten``), as tanh by e^z and e^-z, a
    function errs relative to the 1 that these are near, also where its own value is near 0.
    """
    e = _of(function)
    scale: Array | float = {"none": 0.0, "one": 1.0, "z": np.abs(z.value)}[e.scale]
    if z.rounding.handwritten and e is not _SELECTS and e.scale != "one":
        scale = scale + 1.0
    return e, scale


@singledispatch
def activate(function: ActivationFunction, z: Approx) -> Approx:
    """Return the bounded value of an activation function."""
    if not z.rounding.tracked:
        return Approx(function.value(z.value), None, z.rounding)
    e, scale = evaluation(function, z)
    steepest = _steepest(function, z)
    a = z.monotone(function.value, e.value, scale + np.abs(z.value) * steepest)
    # At a flat piece's end all of the error may pass: take the steepest slope nearby as well.
    own = e.value * z.rounding.unit * scale
    bounded = Approx(a.value, np.maximum(a.bound, steepest * z.bound + own), z.rounding)
    if z.length is None:
        return bounded
    slopes = _nearby(function, z)
    across = np.max(slopes, axis=0) - np.min(slopes, axis=0) + steepest
    whole = np.abs(a.value) + a.bound + scale + np.abs(z.value) * steepest
    evaluated = e.value * z.rounding.unit * whole + z.rounding.tiny
    return bounded.of_length(
        np.max(across, axis=-1, keepdims=True) * z.lengths
        + np.linalg.norm(evaluated, axis=-1, keepdims=True)
    )


@activate.register
def _(function: SoftmaxFunction, z: Approx) -> Approx:
    return softmax(z)


@activate.register
def _(function: LogSoftmax, z: Approx) -> Approx:
    shifted, _, total = shifted_exponentials(z)
    return shifted - total.monotone(np.log, 4.0)


def _nearby(function: ActivationFunction, z: Approx) -> list[Array]:
    """Return f' at z and at both ends of its error, widened by the error of evaluating f'."""
    e, u = _of(function), z.rounding.unit
    width = z.bound + e.derivative * u * (np.abs(z.value) + (1.0 if e.scale == "one" else 0.0))
    points = (z.value, z.value - width, z.value + width)
    return [function.derivative(p, function.value(p)) for p in points]


def _steepest(function: ActivationFunction, z: Approx) -> Array:
    return np.max(np.abs(_nearby(function, z)), axis=0)


def slope(function: ActivationFunction, z: Approx) -> Approx:
    """Return the bounded derivative; at a kink within the error of z, the whole jump counts."""
    if not z.rounding.tracked:
        return Approx(function.derivative(z.value, function.value(z.value)), None, z.rounding)
    e = _of(function)
    value, low, high = _nearby(function, z)
    propagated = np.maximum(np.abs(low - value), np.abs(high - value))
    scale = (1 + np.abs(value)) * (1 + np.abs(z.value) * e.gated)
    own = e.derivative * z.rounding.unit * scale
    return Approx(value, propagated + own, z.rounding)


def shifted_exponentials(z: Approx) -> tuple[Approx, Approx, Approx]:
    # The maximum that is taken off cancels exactly, whatever its error: any number would do.
    shifted = z - np.max(z.value, axis=-1, keepdims=True)
    e = shifted.monotone(np.exp, 4.0)
    return shifted, e, e.sum(axis=-1, keepdims=True)


def softmax(z: Approx) -> Approx:
    _, e, total = shifted_exponentials(z)
    return e / total


@singledispatch
def through(function: ActivationFunction, z: Approx, a: Approx, delta: Approx) -> Approx:
    """Return the bounded gradient at the pre-activation, from ``delta`` at the activation."""
    return delta * slope(function, z)


@through.register
def _(function: SoftmaxFunction, z: Approx, a: Approx, delta: Approx) -> Approx:
    return a * (delta - (delta * a).sum(axis=-1, keepdims=True))


@through.register
def _(function: LogSoftmax, z: Approx, a: Approx, delta: Approx) -> Approx:
    return delta - softmax(z) * delta.sum(axis=-1, keepdims=True)
