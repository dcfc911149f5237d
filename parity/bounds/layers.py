"""Rounding bounds of layers, forward and backward.

A layer written as a formula bounds itself: it is evaluated on numbers with bounds. The others have
their mathematics here. :func:`weighted`, :func:`weight_gradients` and :func:`masked` are that of
Dense and Dropout for whoever has weights and masks; ``activations`` is that of their functions.
"""

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from numpy_impl import layers
from numpy_impl.activations import ActivationFunction
from numpy_impl.functional import as_list
from numpy_impl.layers import formula
from numpy_impl.types import Array
from parity.bounds.activations import activate, through
from parity.bounds.rounding import Approx, Rounding


def weighted(x: Approx, kernel: Approx, bias: Approx | None) -> Approx:
    """Return the pre-activation ``x @ kernel + bias``, shape (N, units)."""
    z = x @ kernel
    return z if bias is None else z + bias


def weight_gradients(x: Approx, delta: Approx) -> tuple[Approx, Approx]:
    """Return the gradients of kernel and bias from ``delta`` at the pre-activation."""
    return x.T @ delta, delta.sum(axis=0)


def masked(x: Approx, mask: Array, factor: Approx | float) -> Approx:
    """Return what dropout lets through, forward and backward: ``x * factor`` where ``mask`` holds.

    The factor is itself rounded; one more multiplication by 1 accounts for that.
    """
    return ((x * factor) * 1.0).where(mask)


@singledispatch
def forward(
    layer: layers.Layer,
    x: Approx,
    mask: Any,
    training: bool,
    dropout_masks: Sequence[Array] = (),
) -> tuple[Approx, Any]:
    raise TypeError(f"No error analysis for layer {type(layer).__name__}")


@forward.register
def _(
    layer: layers.FormulaLayer,
    x: Any,
    mask: Any,
    training: bool,
    dropout_masks: Sequence[Array] = (),
) -> tuple[Approx, Any]:
    rounding = (x[0] if layer.merges else x).rounding
    named: dict[str, Any] = {"mask": mask} if layer.uses_mask else {}
    if dropout_masks:
        named["dropout_masks"] = dropout_masks
    return layer.compute(x, exact_arrays(layer, rounding), training, **named)


def exact_arrays(layer: layers.FormulaLayer, r: Rounding) -> dict[str, Approx]:
    """Return a layer's weights and states as what both engines have exactly."""
    return {name: r.exact(array) for name, array in layer.arrays.items()}


@formula.activate.register
def _(z: Approx, function: ActivationFunction) -> Approx:
    return activate(function, z)


@formula.through.register
def _(delta: Approx, function: ActivationFunction, z: Approx, a: Approx) -> Approx:
    return through(function, z, a, delta)


@formula.normalize.register
def _(
    x: Approx, mean: Approx, inverse: Approx, gamma: Approx | None, beta: Approx | None
) -> tuple[Approx, Approx]:
    # The order of Keras, where each term errs relative to itself, and so by more than in the other.
    h = x * inverse - mean * inverse
    scale = inverse if gamma is None else inverse * gamma
    shift = -mean * scale if beta is None else beta - mean * scale
    return x * scale + shift, h


@formula.weigh_standardized.register
def _(d: Approx, x: Approx, mean: Approx, inverse: Approx, axis: tuple[int, ...]) -> Approx:
    along = (d * x).sum(axis, keepdims=True) - mean * d.sum(axis, keepdims=True)
    return along * inverse


@formula.first_largest.register
def _(x: Approx, axis: int) -> Approx:
    return _chosen(x, formula.first_largest(x.value, axis), (axis,))


@formula.share_of_largest.register
def _(x: Approx, axis: tuple[int, ...]) -> Approx:
    return _chosen(x, formula.share_of_largest(x.value, axis), axis)


def _chosen(x: Approx, chosen: Array, axis: tuple[int, ...]) -> Approx:
    """Return what is chosen of the largest; anything in 0..1 where another may be the largest."""
    if x.error is None:
        return x.rounding.exact(chosen)
    lowest = np.max(x.value - x.error, axis=axis, keepdims=True)
    rivals = x.value + x.error >= lowest
    several = np.sum(rivals, axis=axis, keepdims=True) > 1
    unsure = np.any(rivals & (x.error > 0), axis=axis, keepdims=True)
    return Approx(chosen, np.where(rivals & several & unsure, 1.0, 0.0), x.rounding)


@formula.sum_products.register
def _(first: Approx, *others: Approx, function: Callable[..., Array], terms: int) -> Approx:
    factors, r = (first, *others), first.rounding
    value = function(*(f.value for f in factors))
    if not r.tracked:
        return Approx(value, None, r)
    sizes, magnitudes = [np.abs(f.value) for f in factors], [f.magnitude for f in factors]
    error = r.product_gamma(terms) * function(*magnitudes)
    for i, factor in enumerate(factors):
        if factor.error is not None:
            error = error + function(*magnitudes[:i], factor.error, *sizes[i + 1 :])
    return r.product(value, error, terms)


@formula.added.register
def _(*terms: Approx) -> Approx:
    if len(terms) == 1:
        return terms[0]
    # The sum over an axis is bounded for any order.
    given: list[Any] = list(terms)
    shape = np.broadcast_shapes(*(term.shape for term in terms))
    total: Approx = np.sum(np.stack([np.broadcast_to(term, shape) for term in given]), axis=0)
    followed = any(term.length is not None for term in terms)
    if not followed or any(term.error is not None and term.shape != shape for term in terms):
        return total
    own = total.bound - sum(term.bound for term in terms)
    lengths = sum((term.lengths for term in terms), np.zeros(1))
    return total.of_length(lengths + np.linalg.norm(own, axis=-1, keepdims=True))


@formula.dropped.register
def _(x: Approx, mask: Array, rate: float) -> Approx:
    return masked(x, mask, 1 / (1 - rate))


@formula.followed.register
def _(x: Approx) -> Approx:
    return x.followed() if x.rounding.tracked else x


@formula.whole.register
def _(x: Approx) -> Array:
    return formula.whole(x.value)


@formula.differs.register
def _(x: Approx, value: float) -> Array:
    if x.error is not None:
        raise ValueError(
            "Expected Masking of the network's inputs, and masks that are inputs. Received: a mask "
            "of computed numbers, which rounding may make equal to a number or not"
        )
    return formula.differs(x.value, float(x.rounding.format.rounded(np.asarray(value))))


@formula.not_less.register
def _(a: Approx, b: Any) -> Approx:
    difference = a - b
    value = (difference.value >= 0).astype(float)
    # The subtraction's own rounding never changes its sign.
    room = a.bound + (b.bound if isinstance(b, Approx) else 0.0)
    unsure = (np.abs(difference.value) <= room) & (room > 0)
    return Approx(value, unsure.astype(float), a.rounding)


@forward.register
def _(layer: layers.Dense, x: Approx, mask: Array | None, training: bool) -> tuple[Approx, Any]:
    exact = x.rounding.exact
    z = weighted(x, exact(layer.kernel), exact(layer.bias) if layer.use_bias else None)
    a = activate(layer.activation, z)
    return a, (x, z, a)


@forward.register
def _(
    layer: layers.Activation, x: Approx, mask: Array | None, training: bool
) -> tuple[Approx, Any]:
    a = activate(layer.activation, x)
    return a, (x, x, a)


@forward.register
def _(
    layer: layers.Dropout,
    x: Approx,
    mask: Array | None,
    training: bool,
    dropout_masks: Sequence[Array] = (),
) -> tuple[Approx, Any]:
    mask = dropout_masks[0] if dropout_masks else mask
    if mask is None or layer.rate == 0:
        return x, None
    return masked(x, mask, 1 / (1 - layer.rate)), mask


@forward.register
def _(layer: layers.Flatten, x: Approx, mask: Array | None, training: bool) -> tuple[Approx, Any]:
    return x.reshape(len(x.value), -1), None


@forward.register
def _(layer: layers.Rescaling, x: Approx, mask: Array | None, training: bool) -> tuple[Approx, Any]:
    # Scale and offset are rounded to the precision before use: one more rounding each.
    return (x * layer.scale) * 1.0 + x.rounding.exact(layer.offset) * 1.0, None


@forward.register
def _(
    layer: layers.TimeDistributed, x: Approx, mask: Array | None, training: bool
) -> tuple[Approx, Any]:
    y, cache = forward(layer.layer, _steps_as_rows(x), None, training)
    return y.reshape(*x.shape[:2], *y.shape[1:]), cache


def _steps_as_rows(x: Approx) -> Approx:
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


@singledispatch
def backward(
    layer: layers.Layer, cache: Any, delta: Approx, skip_activation: bool
) -> tuple[list[Approx], Approx]:
    raise TypeError(f"No error analysis for layer {type(layer).__name__}")


@backward.register
def _(
    layer: layers.FormulaLayer, cache: Any, delta: Any, skip_activation: bool
) -> tuple[list[Approx], Approx]:
    known = next(d for d in as_list(delta) if d is not None)
    arrays = exact_arrays(layer, known.rounding)
    gradients, delta = layer.differentiate(delta, cache, arrays)
    return [gradients[name] for name in layer.weight_names], delta


@backward.register
def _(
    layer: layers.Dense, cache: Any, delta: Approx, skip_activation: bool
) -> tuple[list[Approx], Approx]:
    x, z, a = cache
    if not skip_activation:
        delta = through(layer.activation, z, a, delta)
    rows = [v.reshape(-1, v.shape[-1]) for v in (x, delta)]
    gradients = weight_gradients(*rows)[: len(layer.weight_names)]
    return list(gradients), delta @ delta.rounding.exact(layer.kernel.T)


@backward.register
def _(
    layer: layers.Activation, cache: Any, delta: Approx, skip_activation: bool
) -> tuple[list[Approx], Approx]:
    _, z, a = cache
    return [], delta if skip_activation else through(layer.activation, z, a, delta)


@backward.register
def _(
    layer: layers.Dropout, cache: Any, delta: Approx, skip_activation: bool
) -> tuple[list[Approx], Approx]:
    return [], delta if cache is None else masked(delta, cache, 1 / (1 - layer.rate))


@backward.register
def _(
    layer: layers.Flatten, cache: Any, delta: Approx, skip_activation: bool
) -> tuple[list[Approx], Approx]:
    return [], delta.reshape(len(delta.value), *layer.input_shape)


@backward.register
def _(
    layer: layers.Rescaling, cache: Any, delta: Approx, skip_activation: bool
) -> tuple[list[Approx], Approx]:
    return [], (delta * layer.scale) * 1.0


@backward.register
def _(
    layer: layers.TimeDistributed, cache: Any, delta: Approx, skip_activation: bool
) -> tuple[list[Approx], Approx]:
    gradients, dx = backward(layer.layer, cache, _steps_as_rows(delta), False)
    return gradients, dx.reshape(*delta.shape[:2], *dx.shape[1:])
