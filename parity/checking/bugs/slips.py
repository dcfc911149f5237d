"""Activations with a slip, brackets or a sign forgotten; and those that dropout has scaled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.activations import activate
from parity.bounds.rounding import Approx
from parity.checking.bugs.forward import Fault
from parity.checking.bugs.table import Bug, Severity
from parity.checking.model.functions import COMMON, LEAKY, OUTPUTS
from parity.checking.model.network import INVERTED, UNSCALED, Plan

SLIPPED = Bug(
    "activation-slip",
    "{which} activation is {found}: {slip}",
    "def sigmoid(z): return 1 / 1 + np.exp(-z)",
    "write {written}",
    Severity.CONCLUSIVE,
)
# Shares that dropout keeps, as people write them; the likeliest first.
_KEPT = (0.5, 0.8, 0.75, 0.9, 0.7, 0.6, 0.4, 0.3, 0.25, 0.2, 0.1, 0.95, 0.85, 2 / 3, 1 / 3)
_USUAL_OUTPUTS = OUTPUTS[:4]


@dataclass(frozen=True)
class Slip:
    """One activation that nobody means.

    Attributes:
        function: What is computed. Its derivative is that of what is meant, in terms of the
            activation; nothing is propagated back through it.
        meant: The name of what is meant.
        written: How that is written.
        words: What is wrong with it.
    """

    function: ActivationFunction
    meant: str
    written: str
    words: str


@dataclass(frozen=True)
class Slipped(ActivationFunction):
    """An activation that is a sum of terms, which may cancel.

    Attributes:
        terms: The sum of their sizes, to which rounding errors are relative.
    """

    terms: Callable[[Array], Array] = np.ones_like


@activate.register
def _(function: Slipped, z: Approx) -> Approx:
    # An exponential errs by z times a rounding as well; nine roundings in all are not exceeded.
    return z.monotone(function.value, 16.0, function.terms(z.value) * (1 + np.abs(z.value)))


def _sigmoid(name: str, value: Callable[[Array], Array], words: str) -> Slip:
    function = Slipped(name, value, lambda z, a: a * (1 - a), terms=lambda z: 1 + abs(value(z)))
    return Slip(function, "sigmoid", "1 / (1 + exp(-z))", words.format("1 / (1 + exp(-z))"))


def _tanh(name: str, value: Callable[[Array], Array], words: str) -> Slip:
    def terms(z: Array) -> Array:
        return 1 + np.exp(np.abs(z)) + np.exp(-2 * z) + np.abs(value(z)) * (1 + np.exp(np.abs(z)))

    function = Slipped(name, value, lambda z, a: 1 - a * a, terms=terms)
    written = "(exp(z) - exp(-z)) / (exp(z) + exp(-z))"
    return Slip(function, "tanh", written, words.format(written))


SLIPS = [
    _sigmoid("1 + exp(-z)", lambda z: 1 + np.exp(-z), "brackets of {} missing"),
    _sigmoid("1 + exp(z)", lambda z: 1 + np.exp(z), "brackets and minus of {} missing"),
    _sigmoid("1 / (1 - exp(-z))", lambda z: 1 / (1 - np.exp(-z)), "a minus for the plus of {}"),
    _sigmoid("1 / 1 - exp(-z)", lambda z: 1 - np.exp(-z), "brackets of {} missing, and a minus"),
    _sigmoid("1 / (1 + exp(-z^2))", lambda z: 1 / (1 + np.exp(-z * z)), "a square in {}"),
    _tanh(
        "exp(z) - exp(-z) / exp(z) + exp(-z)",
        lambda z: np.exp(z) - np.exp(-2 * z) + np.exp(-z),
        "brackets of {} missing",
    ),
    _tanh(
        "(exp(z) - exp(-z)) / exp(z) + exp(-z)",
        lambda z: 1 - np.exp(-2 * z) + np.exp(-z),
        "brackets below the line of {} missing",
    ),
    _tanh(
        "exp(z) - exp(-z) / (exp(z) + exp(-z))",
        lambda z: np.exp(z) - np.exp(-z) / (np.exp(z) + np.exp(-z)),
        "brackets above the line of {} missing",
    ),
    _tanh(
        "(exp(z) + exp(-z)) / (exp(z) - exp(-z))",
        lambda z: 1 / np.tanh(z),
        "above and below the line of {} exchanged",
    ),
    _tanh("2 / 1 + exp(-2z) - 1", lambda z: 1 + np.exp(-2 * z), "brackets missing in tanh, {}"),
]


def slipped(draft: Plan, meant: Plan | None) -> Iterator[tuple[Fault, Plan]]:
    """Yield what a forward pass is with one slip in it, and what is meant.

    Args:
        draft: Sizes and biases of the network.
        meant: The reference; None where the other activations are to be guessed as well.
    """
    depth = draft.depth
    hidden = tuple(range(depth - 1))
    places = [hidden] if depth > 1 else []
    places += [(layer,) for layer in range(depth) if (layer,) != hidden]
    places += [tuple(range(depth))] if depth > 1 else []
    for where in places:
        for slip in SLIPS:
            for plan in [meant] if meant is not None else _around(draft, where, slip):
                if all(plan.activations[layer].name == slip.meant for layer in where):
                    yield _fault(plan, where, slip), plan


def _around(draft: Plan, where: tuple[int, ...], slip: Slip) -> Iterator[Plan]:
    """Yield networks with what the slip means in its layers and usual activations elsewhere."""
    function = next(f for f in COMMON if f.name == slip.meant)
    last = draft.depth - 1
    others = COMMON if any(layer not in where for layer in range(last)) else COMMON[:1]
    for other, output in product(others, _USUAL_OUTPUTS if last not in where else [function]):
        activations = [function if layer in where else other for layer in range(last)]
        yield replace(draft, activations=(*activations, output))


def _fault(plan: Plan, where: tuple[int, ...], slip: Slip) -> Fault:
    activations = list(plan.activations)
    for layer in where:
        activations[layer] = slip.function
    listed = " and ".join(str(layer + 1) for layer in where)
    which = f"layer {listed}'s" if len(where) == 1 else f"in layers {listed} the"
    values = {
        "which": which, "found": slip.function.name, "slip": slip.words, "written": slip.written,
    }  # fmt: skip
    place = f"layer {listed}, forward" if len(where) == 1 else f"layers {listed}, forward"
    return Fault(SLIPPED, place, values, replace(plan, activations=tuple(activations)))


def predicting_with_dropout(draft: Plan) -> Iterator[tuple[Plan, tuple[float, ...]]]:
    """Yield networks that multiply hidden activations by the share that dropout keeps.

    So does classical dropout when predicting (Srivastava et al. 2014, "Dropout: a simple way to
    prevent neural networks from overfitting"); in training its masks then have no scale.

    Returns:
        The network as it predicts, which knows what it is in training; and the rates.
    """
    layers = draft.depth - 1
    alike = [(keep,) * layers for keep in _KEPT]
    unlike = [k for k in product((*_KEPT[:6], 1.0), repeat=layers) if len(set(k)) > 1]
    for kept in [*alike, *unlike] if 0 < layers < 4 else ():
        for hidden, output in product([*COMMON, LEAKY[0]], _USUAL_OUTPUTS):
            rates = tuple(1 - keep for keep in kept)
            training = replace(
                draft, activations=(hidden,) * layers + (output,), dropout=(*rates, 0.0),
                drop_power=UNSCALED, drop_meant=UNSCALED,
            )  # fmt: skip
            scaled = tuple(_times(keep, hidden) for keep in kept)
            yield (
                replace(
                    training, activations=(*scaled, output), dropout=draft.dropout,
                    drop_power=INVERTED, training=training,
                ),
                rates,
            )  # fmt: skip


def _times(factor: float, function: ActivationFunction) -> ActivationFunction:
    if factor == 1:
        return function
    return ActivationFunction(
        f"{factor:.4g} {function.name}",
        lambda z: factor * function.value(z),
        lambda z, a: factor * function.derivative(z, function.value(z)),
        function.kinks,
    )
