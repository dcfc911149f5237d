"""Constraints on weights: where an optimizer's step has led is put back into what is allowed.

>>> layer = Dense(10)
>>> layer.constraints = {"kernel": MaxNorm(3)}

They are applied after every step, to the weights themselves, and neither to a gradient nor to the
weights that a training begins with (``keras/src/constraints/constraints.py``,
``keras/src/optimizers/base_optimizer.py``). A norm is the Euclidean one over ``axis``: of a Dense
kernel, (inputs, units), over axis 0, so each unit has one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

# An array, or what computes like one.
Number = Any
Constraint = Callable[[Number], Number]

# keras.config.epsilon(): added to norms, so that nothing is divided by 0.
EPSILON = 1e-7


def _norms(w: Number, axis: int | tuple[int, ...]) -> Number:
    return np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True))


@dataclass(frozen=True)
class MaxNorm:
    """``w * min(n, max_value) / (n + EPSILON)`` with the norms ``n``: none is above a largest one.

    Reference: Srebro and Shraibman (2005), "Rank, trace-norm and max-norm", COLT.
    """

    max_value: float = 2.0
    axis: int | tuple[int, ...] = 0

    def __call__(self, w: Number) -> Number:
        n = _norms(w, self.axis)
        return w * (np.minimum(n, self.max_value) / (n + EPSILON))


@dataclass(frozen=True)
class NonNeg:
    """``max(w, 0)``."""

    def __call__(self, w: Number) -> Number:
        return np.maximum(w, 0)


@dataclass(frozen=True)
class UnitNorm:
    """``w / (n + EPSILON)`` with the norms ``n``: all are 1."""

    axis: int | tuple[int, ...] = 0

    def __call__(self, w: Number) -> Number:
        return w / (_norms(w, self.axis) + EPSILON)


@dataclass(frozen=True)
class MinMaxNorm:
    """``w * (rate * clip(n, min_value, max_value) + (1 - rate) * n) / (n + EPSILON)``.

    With ``rate`` 1 the norms ``n`` end between both values; with less they go a part of the way.
    """

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: int | tuple[int, ...] = 0

    def __call__(self, w: Number) -> Number:
        n = _norms(w, self.axis)
        clipped = np.minimum(np.maximum(n, self.min_value), self.max_value)
        wanted = clipped * self.rate + n * (1 - self.rate)
        return w * (wanted / (n + EPSILON))


CONSTRAINTS: dict[str, Callable[..., Constraint]] = {
    kind.__name__: kind for kind in (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)
}


def from_keras(entry: Any) -> Constraint | None:
    """Return the constraint for what Keras's ``get_config`` or file has; None for none.

    Raises:
        ValueError: It is another one than Keras's own.
    """
    if entry is None:
        return None
    written: Mapping[str, Any] = (
        cast(Mapping[str, Any], entry) if isinstance(entry, Mapping) else {}
    )
    if written.get("class_name") not in CONSTRAINTS:
        raise ValueError(f"Expected one of {', '.join(CONSTRAINTS)}. Received: {entry!r}")
    options: dict[str, Any] = dict(written["config"])
    if isinstance(axes := options.get("axis"), list):
        options["axis"] = tuple(cast(list[int], axes))
    return CONSTRAINTS[written["class_name"]](**options)
