"""Activations that people use: the engine's, others, and known ones stretched.

Stretched ones are softmax(-z), softmax(z / 2), 2 sigmoid(z) - 1 and the like.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
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


def leaky(slope: float) -> ActivationFunction:
    """Return leaky ReLU with a name that says its slope."""
    return replace(activations.leaky_relu(slope), name=f"leaky_relu({slope:g})")


def _lecun_tanh() -> ActivationFunction:
    # LeCun, Bottou, Orr, Mueller (1998), "Efficient BackProp", section 4.4.
    return ActivationFunction(
        "1.7159 tanh(2z/3)",
        lambda z: 1.7159 * np.tanh(2 / 3 * z),
        lambda z, a: 1.7159 * 2 / 3 * (1 - np.tanh(2 / 3 * z) ** 2),
        keras=lambda ops, z: 1.7159 * ops.tanh(2 / 3 * z),
    )


def _gelu_tanh() -> ActivationFunction:
    c = float(np.sqrt(2 / np.pi))

    def inner(z: Array) -> Array:
        return np.tanh(c * (z + 0.044715 * z**3))

    return ActivationFunction(
        "gelu (tanh)",
        lambda z: 0.5 * z * (1 + inner(z)),
        lambda z, a: (
            0.5 * (1 + inner(z)) + 0.5 * z * (1 - inner(z) ** 2) * c * (1 + 3 * 0.044715 * z**2)
        ),
        keras=lambda ops, z: ops.gelu(z, approximate=True),
    )


def _own(
    name: str,
    value: Callable[[Array], Array],
    derivative: Callable[[Array], Array],
    keras: Callable[[Any, Any], Any],
) -> ActivationFunction:
    return ActivationFunction(name, value, lambda z, a: derivative(z), keras=keras)


def _old_hard_sigmoid() -> ActivationFunction:
    # Keras's before its version 3, and Theano's.
    return ActivationFunction(
        "hard_sigmoid (0.2z + 0.5)",
        lambda z: np.clip(0.2 * z + 0.5, 0, 1),
        lambda z, a: np.where(np.abs(z) < 2.5, 0.2, 0.0).astype(z.dtype),
        (-2.5, 2.5),
        keras=lambda ops, z: ops.clip(0.2 * z + 0.5, 0, 1),
    )


def _named(*names: str) -> list[ActivationFunction]:
    return [activations.get(name) for name in names]


def _rest(known: list[ActivationFunction]) -> list[ActivationFunction]:
    """Return the engine's functions of single elements that compute what none of ``known`` does."""
    formulas = {f.value for f in (activations.get("leaky_relu"), *known)}
    every = activations.ACTIVATIONS.values()
    return [f for f in every if f.elementwise and f.value not in formulas]


COMMON = _named("sigmoid", "tanh", "relu", "linear")
LEAKY = [leaky(s) for s in (0.01, 0.1, 0.2, 0.3, 0.05, 0.001, 0.02)]
_KNOWN = [
    *_named("softplus", "elu", "selu", "gelu", "silu", "softsign"),
    *_named("hard_sigmoid", "hard_tanh", "relu6", "mish", "exponential"),
    _lecun_tanh(),
    _old_hard_sigmoid(),
    _gelu_tanh(),
    _own("sin", np.sin, np.cos, lambda ops, z: ops.sin(z)),
    # The bipolar sigmoid 2 / (1 + e^-z) - 1; Fausett (1994), "Fundamentals of Neural Networks".
    Stretched(activations.get("tanh"), before=0.5),
    _own("arctan", np.arctan, lambda z: 1 / (1 + z * z), lambda ops, z: ops.arctan(z)),
    _own(
        "exp(-z^2)",
        lambda z: np.exp(-z * z),
        lambda z: -2 * z * np.exp(-z * z),
        lambda ops, z: ops.exp(-z * z),
    ),
    _own("z^2", lambda z: z * z, lambda z: 2 * z, lambda ops, z: z * z),
]
OTHERS = [*_KNOWN, *_rest([*COMMON, *_KNOWN])]
ELEMENTWISE = [*COMMON, *LEAKY, *OTHERS]
OUTPUTS = [
    *_named("softmax", "sigmoid", "linear", "tanh", "relu", "log_softmax"),
    *LEAKY,
    *OTHERS,
    SOFTMIN,
]
