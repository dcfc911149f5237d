"""What a hypothesis is: another way to compute one piece of backpropagation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, ParamSpec

from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.activations import slope, through
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug, Values
from parity.checking.model.network import Pass
from parity.checking.model.probe import Probe

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
