"""What a kind of layer is: the arrays that it takes, its formula, and the slips in it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numpy_impl.types import Array, Precision
from parity.bounds.dual import Dual, joined
from parity.checking.bugs.layers import (
    DERIVATIVE_FORM,
    DERIVATIVE_MISSING,
    FUNCTION_FOR_DERIVATIVE,
    SOFTMAX_BY_DIAGONAL,
    SOFTMAX_FORM,
)
from parity.checking.bugs.table import Bug, Values

# A layer's arrays by the names of their roles: "x", "kernel", "bias".
Arrays = Mapping[str, Dual]
# What Keras's config says of a layer, and what is given beside: "strides", "mask".
Options = Mapping[str, Any]


@dataclass(frozen=True)
class FormulaSlip:
    """One bug as a change of a formula.

    Attributes:
        bug: Which.
        how: Which of several ways, where there are some: an order of gates, an axis.
        values: What fills the places that the bug's texts hold open.
    """

    bug: Bug
    how: Any = None
    values: Values = field(default_factory=dict[str, object])


class Slips:
    """The slips with which a formula is computed; none: it is computed rightly."""

    def __init__(self, *slips: FormulaSlip) -> None:
        self._how = {slip.bug: slip.how for slip in slips}

    def __contains__(self, bug: Bug) -> bool:
        return bug in self._how

    def has(self, bug: Bug, how: Any) -> bool:
        """Return whether a bug is there in one of its ways."""
        return bug in self._how and self._how[bug] == how

    def how(self, bug: Bug) -> Any:
        """Return in which way a bug is there; None if it is not."""
        return self._how.get(bug)

    def frozen(self, bug: Bug, value: Dual, how: Any = None) -> Dual:
        """Return what a slip takes for a constant."""
        return value.frozen() if self.has(bug, how) else value

    def bent(self, bug: Bug, right: Dual, wrong: Callable[[], Dual], how: Any = None) -> Dual:
        """Return the right values; with the slip, differentiated as if they were others."""
        return right.bent(wrong()) if self.has(bug, how) else right

    def instead(self, bug: Bug, right: Dual, wrong: Callable[[], Dual], how: Any = None) -> Dual:
        """Return the right values; with the slip, others."""
        return wrong() if self.has(bug, how) else right


NO_SLIPS = Slips()


@dataclass(frozen=True)
class Role:
    """One array that a layer takes.

    Attributes:
        name: Keras's name of it.
        axes: How its axes may lie, the formula's own way first: "b h w c", "b c h w". A number
            before a letter, "4u", is a multiple; "i+u" a sum. A letter that is left out has length
            1, as the batch's where one sample is given a call.
        needed: Whether the layer cannot be without it.
        left_out: What stands in all places of one that is not there.
        option: Keras's option that says whether it is there.
    """

    name: str
    axes: tuple[str, ...]
    needed: bool = True
    left_out: float = 0.0
    option: str = "use_bias"


@dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Attributes:
        inputs: What it is given at each call.
        weights: What it keeps, in Keras's order.
        outputs: How the axes of each output may lie.
        formula: ``(arrays, options, slips) -> outputs``.
        slips: ``(sizes, options) -> slips`` that can be in it.
        options: ``(config of the Keras layer) -> options``.
        sizes: ``(options) -> lengths`` that are known from the reference, by letter.
        varied: ``(options) -> attributes`` that are others with them.
        gates: How many blocks a weight has, which may lie in any order.
        stacked: Two weights that may be one array, one below the other.
        paired: Two weights of one shape that may be one array, as two rows, columns or halves.
        keras: ``(keras.ops, weights by role, options) -> weights`` as Keras's layer takes them.
        keras_dtype: The precision of Keras's own computation.
        at_ties: Slips that differ only where elements are equal, and whether each is right.
        moving: Whether it keeps moving averages of mean and variance.
        observed: ``(the user's outputs) -> options`` that a call decides, as dropout's mask.
        masks: ``(mask) -> masks`` of the formula that it may stand for, itself first.
    """

    inputs: tuple[Role, ...]
    weights: tuple[Role, ...]
    outputs: tuple[tuple[str, ...], ...]
    formula: Callable[[Arrays, Options, Slips], list[Dual]]
    slips: Callable[[Mapping[str, int], Options], Iterable[FormulaSlip]]
    options: Callable[[Options], Options] = dict
    sizes: Callable[[Options], dict[str, int]] = lambda options: {}
    varied: Callable[[Options], dict[str, Any]] = lambda options: {}
    gates: int = 1
    stacked: tuple[str, str] | None = None
    paired: tuple[str, str] | None = None
    keras: Callable[[Any, Mapping[str, Any], Options], list[Any]] = lambda ops, weights, options: (
        list(weights.values())
    )
    keras_dtype: Precision = "float64"
    at_ties: tuple[tuple[FormulaSlip, bool], ...] = ()
    moving: bool = False
    observed: Callable[[Sequence[Array]], dict[str, Any]] = lambda outputs: {}
    masks: Callable[[Array], Sequence[Array]] = lambda mask: [mask]

    @property
    def roles(self) -> tuple[Role, ...]:
        """All arrays."""
        return (*self.inputs, *self.weights)


def activation(name: str, z: Dual, slips: Slips, *places: str) -> Dual:
    """Return an activation function; with a slip, without its derivative or with itself for it.

    Args:
        name: Keras's name, one of FUNCTIONS.
        z: Its argument.
        slips: With which it is computed.
        places: By which a slip names it; none: by the function's name.
    """
    a = right = FUNCTIONS[name](z)
    for place in places or (name,):
        a = slips.bent(DERIVATIVE_MISSING, a, lambda: z, place)
        a = slips.bent(FUNCTION_FOR_DERIVATIVE, a, lambda: z * right.frozen(), place)
        for form, slope in WRONG_SLOPES.get(name, {}).items():
            a = slips.bent(
                DERIVATIVE_FORM, a, lambda s=slope: z * s(z, right).frozen(), (place, form)
            )
    return a


def activation_slips(name: str, *places: str) -> Iterator[FormulaSlip]:
    """Yield the slips that there can be in an activation function, at some places or by its name.

    Args:
        name: Keras's name.
        places: Where it is computed; none: in one place, which its own name stands for.
    """
    if name == "linear":
        return
    for place in places or (name,):
        for bug in (DERIVATIVE_MISSING, FUNCTION_FOR_DERIVATIVE):
            yield FormulaSlip(bug, place, {"function": place})
        for form in WRONG_SLOPES.get(name, {}):
            values = {"function": place, "form": form, "right": _WRITTEN[name]}
            yield FormulaSlip(DERIVATIVE_FORM, (place, form), values)


# Wrong forms of softmax's derivative over the last axis: of z, and of the fixed values a.
SOFTMAX_FORMS: dict[str, Callable[[Dual, Dual], Dual]] = {
    "it is left out": lambda z, a: z,
    "a * da, and nothing is taken off for the sum": lambda z, a: z * a,
    "da - sum(da * a), which is not multiplied by a": lambda z, a: z - a * _added(z),
    "a * (da - sum(da)), and not the sum of da * a": lambda z, a: z * a - _added(z * a),
    "a * (da + sum(da * a)), with a plus for the minus": lambda z, a: a * (z + _added(z * a)),
    "-a * sum(da * a), and the part of the diagonal is left out": lambda z, a: -(a * _added(z * a)),
    "da * z * (1 - z), with the inputs z in the place of the outputs a": lambda z, a: (
        z * (z * (1.0 - z)).frozen()
    ),
    "z * (da - sum(da * z)), with the inputs z in the place of the outputs a": lambda z, a: (
        _through(z, z.frozen())
    ),
    "s * (da - sum(da * s)), where s is softmax(a) and not a": lambda z, a: _through(
        z, a.softmax(-1)
    ),
    "da * s * (1 - s), where s is softmax(a)": lambda z, a: (
        z * (a.softmax(-1) * (1.0 - a.softmax(-1)))
    ),
}


def _through(z: Dual, s: Dual) -> Dual:
    """Return what softmax's own formula passes on with fixed values s."""
    return s * (z - _added(z * s))


def _added(z: Dual) -> Dual:
    return z.sum(len(z.shape) - 1)


def softmax_bent(a: Dual, z: Dual, slips: Slips) -> Dual:
    """Return softmax a of z over the last axis; with a slip, differentiated in a wrong form."""
    a = slips.bent(SOFTMAX_BY_DIAGONAL, a, lambda: z * (a * (1.0 - a)).frozen())
    form: str | None = slips.how(SOFTMAX_FORM)
    return a.bent(SOFTMAX_FORMS[form](z, a.frozen())) if form in SOFTMAX_FORMS else a


def hard_sigmoid(z: Dual) -> Dual:
    """Return Keras's hard sigmoid, relu6(z + 3) / 6."""
    return (z * (1 / 6) + 0.5).clipped(0.0, 1.0)


def old_hard_sigmoid(z: Dual) -> Dual:
    """Return the hard sigmoid of Keras 1 and 2, clip(0.2 z + 0.5, 0, 1)."""
    return (z * 0.2 + 0.5).clipped(0.0, 1.0)


FUNCTIONS: dict[str, Callable[[Dual], Dual]] = {
    "linear": lambda z: z,
    "sigmoid": Dual.sigmoid,
    "tanh": Dual.tanh,
    "relu": lambda z: z.where(z.value > 0),
    "softmax": lambda z: z.softmax(-1),
    "exponential": Dual.exp,
    "hard_sigmoid": hard_sigmoid,
}
# Derivatives in terms of the activation a, how they are written, and wrong forms of them.
SLOPES: dict[str, Callable[[Dual], Dual]] = {
    "tanh": lambda a: 1.0 - a * a,
    "sigmoid": lambda a: a * (1.0 - a),
}
_WRITTEN = {"tanh": "1 - a^2", "sigmoid": "a * (1 - a)"}
WRONG_SLOPES: dict[str, dict[str, Callable[[Dual, Dual], Dual]]] = {
    "tanh": {
        "1 - z^2": lambda z, a: SLOPES["tanh"](z),
        "1 - tanh(a)^2": lambda z, a: SLOPES["tanh"](a.tanh()),
        "a * (1 - a), which is the sigmoid's,": lambda z, a: SLOPES["sigmoid"](a),
        "1 - a": lambda z, a: 1.0 - a,
        "1 + a^2": lambda z, a: 1.0 + a * a,
        "(1 - a^2)^2": lambda z, a: SLOPES["tanh"](a) * SLOPES["tanh"](a),
    },
    "sigmoid": {
        "z * (1 - z)": lambda z, a: SLOPES["sigmoid"](z),
        "sigmoid(a) * (1 - sigmoid(a))": lambda z, a: SLOPES["sigmoid"](a.sigmoid()),
        "1 - a^2, which is tanh's,": lambda z, a: SLOPES["tanh"](a),
        "1 - a": lambda z, a: 1.0 - a,
        "a * (1 + a)": lambda z, a: a * (1.0 + a),
        "(a * (1 - a))^2": lambda z, a: SLOPES["sigmoid"](a) * SLOPES["sigmoid"](a),
    },
}


def padded(x: Dual, widths: list[tuple[int, int]]) -> Dual:
    """Return an array with zeros around it."""
    flat = joined([x.reshape(x.value.size), x.constant(np.zeros(1))], 0)
    places: Array = np.arange(x.value.size).reshape(x.shape)
    return flat.taken(np.pad(places, widths, constant_values=x.value.size))
