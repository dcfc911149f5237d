"""Activations that are known ones stretched: softmax(-z), softmax(z / 2), 2 sigmoid(z) - 1."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from numpy_impl import activations
from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.activations import activate, through
from parity.bounds.rounding import Approx

# How far from a nice number a measured constant may be to be taken for it, relatively; whether
# it is that number is then seen up to rounding.
_NICE = 1e-5
_CLOSE = 1e-4


class Stretched(ActivationFunction):
    """``a = after * f(before * z) + plus`` of a known function ``f``.

    Attributes:
        inner: The function f, also softmax.
        before, after, plus: The constants.
    """

    def __init__(
        self, inner: ActivationFunction, before: float = 1.0, after: float = 1.0, plus: float = 0.0
    ) -> None:
        name, formula = inner.name, inner.keras

        def keras(ops: Any, z: Any) -> Any:
            inside = z * before
            if formula is not None:
                return formula(ops, inside) * after + plus
            return (inside if name == "linear" else getattr(ops, name)(inside)) * after + plus

        super().__init__(
            _words(name, before, after, plus),
            lambda z: after * inner.value(before * z) + plus,
            lambda z, a: after * before * inner.derivative(before * z, inner.value(before * z)),
            tuple(kink / before for kink in inner.kinks),
            keras=keras,
        )
        # The dataclass is frozen.
        own = {"inner": inner, "before": before, "after": after, "plus": plus}
        for field, value in own.items():
            object.__setattr__(self, field, value)

    inner: ActivationFunction
    before: float
    after: float
    plus: float


def _words(name: str, before: float, after: float, plus: float) -> str:
    inside = {1.0: "z", -1.0: "-z"}.get(before, f"{before:.6g} z")
    text = inside if name == "linear" else f"{name}({inside})"
    text = text if after == 1 else f"{after:.6g} {text}"
    return f"{text} {'+' if plus > 0 else '-'} {abs(plus):.6g}" if plus else text


@activate.register
def _(function: Stretched, z: Approx) -> Approx:
    a = activate(function.inner, z * function.before) * function.after
    return a + function.plus if function.plus else a


@through.register
def _(function: Stretched, z: Approx, a: Approx, delta: Approx) -> Approx:
    inside = z * function.before
    inner = activate(function.inner, inside)
    return through(function.inner, inside, inner, delta * function.after) * function.before


SOFTMIN = Stretched(activations.get("softmax"), before=-1.0)


def fitting(z: Array, a: Array) -> Iterator[Stretched]:
    """Yield the stretched functions that give about the activations ``a`` of ``z``, (N, units)."""
    with np.errstate(all="ignore"):
        total = a.sum(axis=1)
        if a.shape[1] > 1 and np.all(a * total[:, None] > 0) and np.ptp(total) <= _close(total):
            logarithms = np.log(a / total[:, None])
            centred = logarithms - logarithms.mean(axis=1, keepdims=True)
            for before in _slopes(z - z.mean(axis=1, keepdims=True), centred):
                for after in _nice(float(total.mean())):
                    yield Stretched(activations.get("softmax"), before, after)
        for name, inverse in (("sigmoid", np.log(a / (1 - a))), ("tanh", np.arctanh(a))):
            for before in _slopes(z, inverse):
                yield Stretched(activations.get(name), before)
        for name in ("linear", "sigmoid", "tanh", "relu", "softplus"):
            inner = activations.get(name)
            yield from _affine(inner, inner.value(z), a)


def _affine(inner: ActivationFunction, f: Array, a: Array) -> Iterator[Stretched]:
    matrix = np.stack([f.ravel(), np.ones(f.size)], axis=1)
    (after, plus), *_ = np.linalg.lstsq(matrix, a.ravel(), rcond=None)
    if abs(after) > _CLOSE and np.max(np.abs(after * f + plus - a)) <= _close(a):
        for scale in _nice(float(after)):
            for shift in _nice(float(plus)) if abs(plus) > _close(a) else (0.0,):
                yield Stretched(inner, 1.0, scale, shift)


def _slopes(z: Array, line: Array) -> Iterator[float]:
    """Yield the factor of two arrays, if it is one for all, as nice numbers."""
    slope = float(np.sum(z * line) / np.sum(z * z))
    if np.isfinite(slope) and slope and np.max(np.abs(slope * z - line)) <= _close(line):
        yield from _nice(slope)


def _nice(value: float) -> Iterator[float]:
    """Yield the number that a measured one was written as, whole, a fraction or a decimal."""
    known: list[float] = []
    for limit in (1, 100):
        known.append(float(Fraction(value).limit_denominator(limit)))
    known.append(float(f"{value:.5g}"))
    for number in dict.fromkeys(known):
        if number and abs(number - value) <= _NICE * abs(value):
            yield number


def _close(values: Array) -> float:
    return _CLOSE * float(np.max(np.abs(values)))
