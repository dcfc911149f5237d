"""A sequence read in both directions."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from numpy_impl.layers.base import Layer
from numpy_impl.layers.formula import FormulaLayer, Number, Weights
from numpy_impl.layers.recurrent import Recurrent
from numpy_impl.types import Array, Shape

Merge = Literal["concat", "sum", "ave", "mul"] | None
_DIRECTIONS = ("forward", "backward")


class Bidirectional(FormulaLayer):
    """Two recurrent layers on the same sequence, one of them from its end; their outputs merged.

    ``y = merge(forward(x), backward(x))``, where the outputs of each step are merged with those of
    the same step: what the backward layer returns as a sequence is turned round before. ``merge``
    puts them side by side ("concat"), or is their sum ("sum"), mean ("ave") or product ("mul");
    None leaves them apart: two outputs, that of the forward layer first.

    Behind them it returns the layers' last states, those of the forward layer first, if the layers
    return theirs.

    Backward, each layer gets its part of ``dC/dy`` and ``dC/dx`` is the sum of both.

    Args:
        layer: The recurrent layer that reads forward.
        merge_mode: How outputs are merged.
        backward_layer: The one that reads from the end; None is one like ``layer``.

    Reference: Schuster and Paliwal (1997), "Bidirectional recurrent neural networks", IEEE
    Transactions on Signal Processing 45(11), 2673-2681.
    """

    uses_mask = True
    notes_mask = True

    def __init__(
        self, layer: Layer, merge_mode: Merge = "concat", backward_layer: Layer | None = None
    ) -> None:
        both = [layer, _reversed(layer) if backward_layer is None else backward_layer]
        recurrent = [one for one in both if isinstance(one, Recurrent)]
        if len(recurrent) < 2 or merge_mode not in (*_MERGES, None):
            kinds = ", ".join(type(one).__name__ for one in both)
            raise ValueError(
                f"Bidirectional expects recurrent layers and merge_mode {', '.join(_MERGES)} or "
                f"None. Received: {kinds} and merge_mode={merge_mode!r}"
            )
        self.rng = np.random.default_rng()
        self.input_shape = ()  # until it is built
        self.forward_layer, self.backward_layer = (copy.copy(one) for one in recurrent)
        self.merge_mode: Merge = merge_mode
        options = ("go_backwards", "return_sequences", "return_state", "stateful", "units")
        found = [{name: getattr(one, name) for name in options} for one in self.both]
        if [{**found[0], "go_backwards": way} for way in (False, True)] != found:
            raise ValueError(
                "Bidirectional expects a layer that reads forward and one with go_backwards=True, "
                f"else alike. Received: {found[0]} and {found[1]}"
            )
        for one in self.both:
            one.zero_output_for_mask = one.return_sequences  # as Keras has it
        self.weight_names, self.carried_names = (
            tuple(
                f"{direction}_{name}"
                for direction, one in zip(_DIRECTIONS, self.both, strict=True)
                for name in getattr(one, kind)
            )
            for kind in ("weight_names", "carried_names")
        )
        self.regularizers = self._of_both("regularizers")
        self.constraints = self._of_both("constraints")
        self.groups = tuple(
            f"{direction}_layer/{group}"
            for direction, one in zip(_DIRECTIONS, self.both, strict=True)
            for group in one.groups
        )

    def _of_both(self, which: str) -> dict[str, Any]:
        """Return what both layers have for their weights, by the names that these have here."""
        return {
            f"{direction}_{name}": own
            for direction, one in zip(_DIRECTIONS, self.both, strict=True)
            for name, own in getattr(one, which).items()
        }

    @property
    def both(self) -> list[Recurrent]:
        """The layer that reads forward and the one that reads from the end."""
        return [self.forward_layer, self.backward_layer]

    def build(self, input_shape: Shape) -> Shape:
        super().build(input_shape)
        # Own ones, as a copied layer must not share them with its original.
        self.forward_layer, self.backward_layer = (copy.copy(one) for one in self.both)
        shape, _ = (one.build(input_shape) for one in self.both)
        return (*shape[:-1], 2 * shape[-1]) if self.merge_mode == "concat" else shape

    def further_shapes(self) -> list[Shape]:
        one = self.backward_layer
        apart = [(*self.input_shape[: one.return_sequences], one.units)]
        states = [shape for one in self.both for shape in one.further_shapes()]
        return states if self.merge_mode else apart + states

    def drops(self) -> list[tuple[float, Shape]]:
        return [mask for one in self.both for mask in one.drops()]

    def weight_shapes(self) -> list[Shape]:
        return [shape for one in self.both for shape in one.weight_shapes()]

    def bind(self, weights: list[Array], gradients: list[Array]) -> None:
        super().bind(weights, gradients)
        n = len(self.forward_layer.weight_names)
        self.forward_layer.bind(weights[:n], gradients[:n])
        self.backward_layer.bind(weights[n:], gradients[n:])

    def initialize(self, rng: np.random.Generator) -> None:
        for one in self.both:
            one.initialize(rng)

    def compute_mask(self, x: Array, mask: Array | None) -> Array | None:
        own = self.forward_layer.compute_mask(x, mask)
        if own is not None and self.merge_mode is None:
            raise ValueError(
                "Expected Bidirectional with merge_mode=None to return no sequences that have a "
                "mask. Received: return_sequences=True"
            )
        return own

    def _turned(self, y: Number) -> Number:
        """Return the backward layer's outputs in the order of the inputs; again puts them back."""
        return np.flip(y, 1) if self.backward_layer.return_sequences else y

    def compute(
        self,
        x: Number,
        w: Weights,
        training: bool,
        mask: Array | None = None,
        dropout_masks: Sequence[Array] | None = None,
    ) -> tuple[Any, Any]:
        given = dropout_masks or ()
        n = len(self.forward_layer.drops()) if given else 0
        (a, kept_a), (b, kept_b) = (
            one.compute(x, _of(direction, w), training, mask, own)
            for direction, one, own in zip(
                _DIRECTIONS, self.both, (given[:n], given[n:]), strict=True
            )
        )
        states: list[Number] = []
        if self.forward_layer.return_state:
            states = [*a[1:], *b[1:]]
            a, b = a[0], b[0]
        b = self._turned(b)
        outputs = [_MERGES[self.merge_mode][0](a, b)] if self.merge_mode else [a, b]
        outputs += states
        return outputs if len(outputs) > 1 else outputs[0], (a, b, kept_a, kept_b)

    def differentiate(self, delta: Any, kept: Any, w: Weights) -> tuple[dict[str, Number], Number]:
        a, b, *inner = kept
        da, *of_states = delta if self.further_shapes() else [delta]
        db = None
        if self.merge_mode is None:
            db, *of_states = of_states
        elif da is not None:
            da, db = _MERGES[self.merge_mode][1](da, a, b)
        db = None if db is None else self._turned(db)
        given: Any = da, db
        if self.forward_layer.return_state:
            n = len(self.forward_layer.parts)
            given = (da, *of_states[:n]), (db, *of_states[n:])
        parts = zip(_DIRECTIONS, self.both, given, inner, strict=True)
        gradients: dict[str, Number] = {}
        flows: list[Number] = []
        for direction, one, part, cache in parts:
            if part is None:  # of an output that nobody uses
                part = np.zeros_like(a)
            own, dx = one.differentiate(part, cache, _of(direction, w))
            gradients |= {f"{direction}_{name}": gradient for name, gradient in own.items()}
            flows.append(dx)
        return gradients, flows[0] + flows[1]

    def left_behind(self, kept: Any) -> dict[str, Number]:
        return {
            f"{direction}_{name}": state
            for direction, one, cache in zip(_DIRECTIONS, self.both, kept[2:], strict=True)
            for name, state in one.left_behind(cache).items()
        }

    def config(self) -> dict[str, object]:
        return {
            "layer": self.forward_layer,
            "merge_mode": self.merge_mode,
            "backward_layer": self.backward_layer,
        }


def _reversed(layer: Layer) -> Layer:
    turned = copy.copy(layer)
    if isinstance(turned, Recurrent):
        turned.go_backwards = True
    return turned


def _of(direction: str, w: Weights) -> dict[str, Number]:
    start = f"{direction}_"
    return {name.removeprefix(start): v for name, v in w.items() if name.startswith(start)}


def _split(delta: Number, a: Number, b: Number) -> tuple[Number, Number]:
    n = a.shape[-1]
    return delta[..., :n], delta[..., n:]


def _half(delta: Number, a: Number, b: Number) -> tuple[Number, Number]:
    return delta / 2, delta / 2


# How outputs are merged, and what of the gradient each layer gets.
_MERGES: dict[
    str,
    tuple[
        Callable[[Number, Number], Number],
        Callable[[Number, Number, Number], tuple[Number, Number]],
    ],
] = {
    "concat": (lambda a, b: np.concatenate([a, b], axis=-1), _split),
    "sum": (lambda a, b: a + b, lambda delta, a, b: (delta, delta)),
    "ave": (lambda a, b: (a + b) / 2, _half),
    "mul": (lambda a, b: a * b, lambda delta, a, b: (delta * b, delta * a)),
}
