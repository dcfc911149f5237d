"""One thing changed in a Keras layer: what a wrong forward pass is compared with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy_impl.types import Array
from parity.checking.bugs.table import Bug, Values

# (the layer's own call, its arguments, its keyword arguments) -> its outputs
Replacement = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
# What replaces the value of an attribute: (object, its name, the new value).
Setting = tuple[Any, str, Any]


@dataclass(frozen=True)
class LayerChange:
    """A layer with one thing changed; the rest of the model stays as it is.

    Attributes:
        bug: What somebody's code does that computes this.
        layer: The Keras layer, whose call is replaced.
        values: What fills the places that the bug's texts hold open.
        settings: Attributes with other values.
        weights: Variables (by ``id``) with other values.
        call: What is computed instead; None: the layer's own call.
    """

    bug: Bug
    layer: Any
    values: Values = field(default_factory=dict[str, object])
    settings: Sequence[Setting] = ()
    weights: Mapping[int, Array] = field(default_factory=dict[int, Array])
    call: Replacement | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """What two changes have in common that do the same in two layers."""
        return self.bug, *sorted((name, str(value)) for name, value in self.values.items())


@dataclass(frozen=True)
class LayerScene:
    """A layer in a run of the model, for the functions that say how it may go wrong.

    Attributes:
        keras: The library.
        layer: The layer.
        inputs: Arrays that it was called with, in order.
        output: Its first output.
        weights: Its variables, each with its value: pairs.
        masked: Whether it was given a mask.
    """

    keras: Any
    layer: Any
    inputs: Sequence[Array]
    output: Array
    weights: Sequence[tuple[Any, Array]]
    masked: bool = False

    def value(self, variable: Any) -> Array | None:
        """Return the value of one of the layer's variables; None if it has it not."""
        return next((value for own, value in self.weights if own is variable), None)

    def attribute(self, name: str) -> Any:
        """Return an attribute of the layer, or None."""
        return getattr(self.layer, name, None)


Changes = Callable[[LayerScene], Iterator[LayerChange]]
