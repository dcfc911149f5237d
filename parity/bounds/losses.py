"""Rounding bounds of losses: value and gradient."""

from functools import singledispatch

import numpy as np

from numpy_impl import losses
from numpy_impl.types import Array
from parity.bounds.activations import shifted_exponentials, softmax
from parity.bounds.rounding import Approx


def cost(
    loss: losses.Loss, pred: Approx, y: Array, sample_weight: Array | None = None
) -> tuple[Approx, Approx]:
    """Return the cost and its gradient at what the loss is evaluated at."""
    values, delta = by_place(loss, pred, y)
    if sample_weight is not None:
        values, delta = values * sample_weight, delta * sample_weight[..., np.newaxis]
    return values.sum() / values.size, delta


@singledispatch
def by_place(loss: losses.Loss, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    """Return the loss at each place, and the gradient of their mean."""
    raise TypeError(f"No error analysis for loss {type(loss).__name__}")


@by_place.register
def _(loss: losses.Quadratic, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    error, n = pred - y, losses.places(pred.value)
    return (error * error).sum(axis=-1) * 0.5, error / n


@by_place.register
def _(loss: losses.MeanSquaredError, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    error = pred - y
    return (error * error).mean(axis=-1), error * 2.0 / y.size


@by_place.register
def _(loss: losses.MeanAbsoluteError, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    error = pred - y
    return error.monotone(np.abs, 0.0).mean(axis=-1), error.monotone(np.sign, 0.0) / y.size


@by_place.register
def _(loss: losses.CategoricalCrossentropy, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    n = losses.places(pred.value)
    if loss.sparse:
        y = np.eye(pred.value.shape[-1])[y]
    if loss.on_logits:
        shifted, _, total = shifted_exponentials(pred)
        log_p = shifted - _log(total)
        return -(log_p * y).sum(axis=-1), (softmax(pred) - y) / n
    total = pred.sum(axis=-1, keepdims=True)
    q = pred / total
    clipped, inside = _clip(q)
    slope = pred.rounding.exact(y) / clipped * inside
    gradient = ((slope * q).sum(axis=-1, keepdims=True) - slope) / total / n
    return -(_log(clipped) * y).sum(axis=-1), gradient


@by_place.register
def _(loss: losses.BinaryCrossentropy, pred: Approx, y: Array) -> tuple[Approx, Approx]:
    size = y.size
    if loss.on_logits:
        positive = pred.monotone(lambda z: np.maximum(z, 0), 0.0)
        tail = pred.monotone(lambda z: np.log1p(np.exp(-np.abs(z))), 8.0)
        values = (positive - pred * y + tail).mean(axis=-1)
        p = pred.monotone(_sigmoid, 8.0, np.abs(pred.value) * _sigmoid(-np.abs(pred.value)))
        return values, (p - y) / size
    p, inside = _clip(pred)
    rest = 1.0 - p
    values = -(_log(p) * y + _log(rest) * (1 - y)).mean(axis=-1)
    exact = pred.rounding.exact
    return values, (exact(1 - y) / rest - exact(y) / p) * inside / size


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
