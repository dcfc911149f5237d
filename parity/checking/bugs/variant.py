"""What a hypothesis is: another way to compute one piece of backpropagation."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec

import numpy as np

from numpy_impl import activations
from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.activations import slope, through
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug, Values
from parity.checking.model.network import Pass
from parity.checking.model.probe import Probe
from parity.checking.model.stretched import SOFTMIN, Stretched

# What a piece is computed from: the scene, and which layer and delta where there is a choice.
P = ParamSpec("P")


@dataclass(frozen=True)
class Variant(Generic[P]):
    """One way to compute a piece; the right way has no bug and costs nothing.

    Attributes:
        compute: Returns the piece, or None where this way makes no sense.
        bug: What is wrong with it; None with the right way.
        values: What fills the places that the bug's texts hold open.
    """

    compute: Callable[P, Approx | None]
    bug: Bug | None = None
    values: Values = field(default_factory=dict[str, object])

    @property
    def cost(self) -> int:
        """How many things have to be wrong for this to be the explanation."""
        return int(self.bug is not None)


class Scene:
    """One probe's forward pass, from which the pieces of a backward pass are computed.

    Attributes:
        fwd: The forward pass.
        y: One-hot targets.
        probe: Where it comes from.
    """

    def __init__(self, probe: Probe, fwd: Pass) -> None:
        self.probe = probe
        self.fwd = fwd
        self.y = probe.y

    def function(self, layer: int) -> ActivationFunction:
        """Return a layer's activation function."""
        return self.fwd.plan.activations[layer]

    def exact(self, array: Array) -> Approx:
        """Return an array that every party has exactly."""
        return self.fwd.rounding.exact(array)

    def slope(self, function: ActivationFunction, at: Approx) -> Approx:
        """Return the bounded derivative of a function at a point."""
        return slope(function, at)

    def through(self, layer: int, e: Approx) -> Approx:
        """Return a layer's right delta from the gradient at its activation."""
        return through(self.function(layer), self.fwd.z[layer], self.fwd.a[layer], e)


# At the output: dC/dz, and then what becomes of its rows.
OutputVariant = Variant[[Scene]]
RowVariant = Variant[[Scene, Approx]]
# Anywhere: what becomes of the delta or gradient that comes to a layer.
LayerVariant = Variant[[Scene, int, Approx]]


def from_activation(name: str, a: Approx) -> Approx | None:
    """Return the derivative that is written in terms of the activation, put at ``a``.

    sigmoid' = a (1 - a), tanh' = 1 - a^2; None for functions that have no such form.
    """
    if name in ("sigmoid", "softmax"):
        return a * (1.0 - a)
    if name == "tanh":
        return 1.0 - a * a
    return None


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
