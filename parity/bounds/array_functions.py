"""NumPy's functions on numbers with bounds, so that a layer's own formula can be evaluated on them.

A layer of ``numpy_impl.layers.formula`` is written in plain NumPy. Handed :class:`Approx` instead
of arrays, NumPy asks here what each function means: :data:`UFUNCS` and :data:`FUNCTIONS` of
``rounding`` are the tables. A function that is in neither is refused by NumPy with a TypeError, so
nothing is ever computed without its bound.

Reference: NumPy enhancement proposals 13 (``__array_ufunc__``) and 18 (``__array_function__``).
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import FUNCTIONS, UFUNCS, Approx, Rounding

Number = Approx | Array | float


def _rounding(*numbers: Any) -> Rounding:
    return next(n.rounding for n in numbers if isinstance(n, Approx))


def _approx(number: Number, r: Rounding) -> Approx:
    return number if isinstance(number, Approx) else r.exact(number)


def _binary(operation: Callable[[Approx, Approx], Approx]) -> Callable[[Number, Number], Approx]:
    def computed(a: Number, b: Number) -> Approx:
        r = _rounding(a, b)
        return operation(_approx(a, r), _approx(b, r))

    return computed


def _larger(a: Approx, b: Approx) -> Approx:
    # Choosing one of two rounds nothing. The larger lies between the larger of the lower ends and
    # that of the upper ends: what is surely smaller, however inexact, does not matter.
    value = np.maximum(a.value, b.value)
    if a.error is None and b.error is None:
        return Approx(value, None, a.rounding)
    with np.errstate(invalid="ignore"):
        high = np.maximum(a.value + a.bound, b.value + b.bound) - value
        low = value - np.maximum(a.value - a.bound, b.value - b.bound)
        return Approx(value, np.maximum(high, low), a.rounding)


def _smaller(a: Approx, b: Approx) -> Approx:
    return -_larger(-a, -b)


def _square(x: Approx) -> Approx:
    return x * x


def _exp(x: Approx) -> Approx:
    return x.monotone(np.exp, 4.0)


def _log(x: Approx) -> Approx:
    # What may be 0 or below gets a logarithm so large that nothing can be concluded from it.
    return x.monotone(lambda v: np.log(np.maximum(v, x.rounding.tiny)), 4.0)


def _absolute(x: Approx) -> Approx:
    return Approx(np.abs(x.value), x.error, x.rounding)


def _sign(x: Approx) -> Approx:
    return x.monotone(np.sign, 0.0)


def _add_at(total: Approx, places: Any, new: Number) -> None:
    """Add with repeated places: ``np.add.at``, each sum rounded as often as it has terms."""
    new, r = _approx(new, total.rounding), total.rounding
    assert total.error is not None  # made by np.zeros_like
    magnitude, count = np.abs(total.value) + total.error, np.zeros_like(total.value)
    np.add.at(magnitude, places, new.magnitude)
    np.add.at(count, places, 1.0)
    np.add.at(total.value, places, new.value)
    np.add.at(total.error, places, new.bound)
    gamma = np.array([r.gamma(n) for n in range(int(count.max()) + 1)])
    total.error[...] += magnitude * gamma[count.astype(int)]


UFUNCS.update(
    {
        (np.add, "__call__"): _binary(Approx.__add__),
        (np.subtract, "__call__"): _binary(Approx.__sub__),
        (np.multiply, "__call__"): _binary(Approx.__mul__),
        (np.true_divide, "__call__"): _binary(Approx.__truediv__),
        (np.matmul, "__call__"): _binary(Approx.__matmul__),
        (np.maximum, "__call__"): _binary(_larger),
        (np.minimum, "__call__"): _binary(_smaller),
        (np.negative, "__call__"): Approx.__neg__,
        (np.square, "__call__"): _square,
        (np.sqrt, "__call__"): Approx.sqrt,
        (np.exp, "__call__"): _exp,
        (np.log, "__call__"): _log,
        (np.absolute, "__call__"): _absolute,
        (np.sign, "__call__"): _sign,
        (np.add, "at"): _add_at,
    }
)


def _moving(function: Callable[..., Array]) -> Callable[..., Approx]:
    """Return what only moves numbers to other places, for the values and their errors alike."""

    def moved(x: Approx, *arguments: Any, **named: Any) -> Approx:
        error = None if x.error is None else function(x.error, *arguments, **named)
        return Approx(function(x.value, *arguments, **named), error, x.rounding)

    return moved


def _joining(function: Callable[..., Array]) -> Callable[..., Approx]:
    def joined(parts: Sequence[Number], axis: int = 0) -> Approx:
        r = _rounding(*parts)
        given = [_approx(part, r) for part in parts]
        values = function([part.value for part in given], axis=axis)
        if all(part.error is None for part in given):
            return Approx(values, None, r)
        result = Approx(values, function([part.bound for part in given], axis=axis), r)
        followed = function is np.concatenate and any(part.length is not None for part in given)
        if not followed or axis not in (-1, values.ndim - 1):
            return result
        return result.of_length(np.sqrt(sum(np.square(part.lengths) for part in given)))

    return joined


def _pad(x: Approx, widths: Any, constant_values: float = 0.0) -> Approx:
    value = np.pad(x.value, widths, constant_values=constant_values)
    return Approx(value, None if x.error is None else np.pad(x.error, widths), x.rounding)


def _where(condition: Array, a: Number, b: Number) -> Approx:
    r = _rounding(a, b)
    a, b = _approx(a, r), _approx(b, r)
    value = np.where(condition, a.value, b.value)
    if a.error is None and b.error is None:
        return Approx(value, None, r)
    return Approx(value, np.where(condition, a.bound, b.bound), r)


def _zeros_like(x: Approx, shape: Any = None) -> Approx:
    value = np.zeros(x.shape if shape is None else shape)
    return Approx(value, np.zeros_like(value), x.rounding)


def _einsum(subscripts: str, a: Number, b: Number) -> Approx:
    """Return the sum of products of two operands, "ij,jk->ik" as NumPy reads it."""
    r = _rounding(a, b)
    a, b = _approx(a, r), _approx(b, r)
    value = np.einsum(subscripts, a.value, b.value)
    if not r.tracked:
        return Approx(value, None, r)
    inputs, output = subscripts.replace(" ", "").split("->")
    sizes = {
        axis: n
        for axes, x in zip(inputs.split(","), (a, b), strict=True)
        for axis, n in zip(axes, x.shape, strict=True)
    }
    terms = int(np.prod([n for axis, n in sizes.items() if axis not in output]))
    gamma = r.product_gamma(terms)
    error = np.einsum(subscripts, np.abs(a.value), b.bound + gamma * b.magnitude)
    if a.error is not None:
        error = error + np.einsum(subscripts, (1 + gamma) * a.error, b.magnitude)
    return r.product(value, error, terms)


FUNCTIONS.update(
    {
        **{
            function: _moving(function)
            for function in cast(
                tuple[Callable[..., Array], ...], (
                np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.flip,
                np.reshape, np.broadcast_to, np.take, np.take_along_axis, np.repeat, np.tile,
                np.lib.stride_tricks.sliding_window_view,
            ))
        },
        np.concatenate: _joining(np.concatenate),
        np.stack: _joining(np.stack),
        np.pad: _pad,
        np.where: _where,
        np.zeros_like: _zeros_like,
        np.sum: Approx.sum,
        np.mean: Approx.mean,
        np.max: Approx.max,
        np.einsum: _einsum,
    }
)  # fmt: skip
