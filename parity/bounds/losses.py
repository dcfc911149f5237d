"""Rounding bounds of losses: value and gradient."""

from functools import singledispatch

import numpy as np

from numpy_impl import losses
from numpy_impl.types import Array
from parity.bounds.activations import shifted_exponentials, softmax
from parity.bounds.rounding import Approx


@singledispatch
def cost(loss: losses.Loss, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    raise TypeError(f"No error analysis for loss {type(loss).__name__}")


@cost.register
def _(loss: losses.Quadratic, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    error, n = pred - y, losses.places(pred.value)
    return (error * error).sum() * 0.5 / n, error / n


@cost.register
def _(loss: losses.MeanSquaredError, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    error, size = pred - y, y.size
    return (error * error).sum() / size, error * 2.0 / size


@cost.register
def _(loss: losses.MeanAbsoluteError, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    error, size = pred - y, y.size
    return error.monotone(np.abs, 0.0).sum() / size, error.monotone(np.sign, 0.0) / size


@cost.register
def _(loss: losses.CategoricalCrossentropy, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    n = losses.places(pred.value)
    if loss.sparse:
        y = np.eye(pred.value.shape[-1])[y]
    if loss.on_logits:
        shifted, _, total = shifted_exponentials(pred)
        log_p = shifted - _log(total)
        return -(log_p * y).sum() / n, (softmax(pred) - y) / n
    total = pred.sum(axis=-1, keepdims=True)
    q = pred / total
    clipped, inside = _clip(q)
    slope = pred.rounding.exact(y) / clipped * inside
    gradient = ((slope * q).sum(axis=-1, keepdims=True) - slope) / total / n
    return -(_log(clipped) * y).sum() / n, gradient


@cost.register
def _(loss: losses.BinaryCrossentropy, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    size = y.size
    if loss.on_logits:
        positive = pred.monotone(lambda z: np.maximum(z, 0), 0.0)
        tail = pred.monotone(lambda z: np.log1p(np.exp(-np.abs(z))), 8.0)
        value = (positive - pred * y + tail).sum() / size
        p = pred.monotone(_sigmoid, 8.0, np.abs(pred.value) * _sigmoid(-np.abs(pred.value)))
        return value, (p - y) / size
    p, inside = _clip(pred)
    rest = 1.0 - p
    value = -(_log(p) * y + _log(rest) * (1 - y)).sum() / size
    exact = pred.rounding.exact
    return value, (exact(1 - y) / rest - exact(y) / p) * inside / size


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def _clip(p: Approx) -> tuple[Approx, Approx]:
    """Return p clipped as the losses do, and the indicator of where it was not clipped."""
    real = np.dtype(p.rounding.dtype).type
    low, high = float(real(losses.EPSILON)), float(real(1 - losses.EPSILON))
    clipped = p.monotone(lambda v: np.clip(v, low, high), 0.0)
    inside = [
        ((v >= low) & (v <= high)).astype(float)
        for v in (p.value, p.value - p.bound, p.value + p.bound)
    ]
    return clipped, Approx(inside[0], np.ptp(inside, axis=0), p.rounding)


def _log(p: Approx) -> Approx:
    # What may be 0 or below gets a logarithm so large that nothing can be concluded from it.
    return p.monotone(lambda v: np.log(np.maximum(v, p.rounding.tiny)), 4.0)
