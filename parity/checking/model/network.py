"""The network that is meant: what it computes, and its forward pass with bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.activations import activate
from parity.bounds.layers import masked, weighted
from parity.bounds.rounding import Approx, Rounding
from parity.checking.model.layout import Key

# Dropout multiplies what it keeps by this power of 1 - rate.
INVERTED, UNSCALED, MULTIPLIED = -1, 0, 1


@dataclass(frozen=True)
class Plan:
    """A chain of Dense layers, each with its activation and perhaps dropout behind it.

    Attributes:
        name: What to call it.
        sizes: Inputs, then the units of each layer; inputs are 0 where it is left open.
        activations: One a layer.
        has_bias: One a layer.
        dropout: Rate behind each layer, 0 for none.
        scale: Inputs are first multiplied by this,
        offset: and this is added.
        loss: Name of the loss that the reference was compiled with; None if it was not.
        drop_power: Dropout multiplies what it keeps by this power of 1 - rate.
        drop_meant: The power that is right: -1, but for 0 where forward multiplies by 1 - rate.
        training: The same network in training, where dropout makes it another one than forward is.
    """

    name: str
    sizes: tuple[int, ...]
    activations: tuple[ActivationFunction, ...]
    has_bias: tuple[bool, ...]
    dropout: tuple[float, ...]
    scale: float = 1.0
    offset: float = 0.0
    loss: str | None = None
    drop_power: int = INVERTED
    drop_meant: int = INVERTED
    training: "Plan | None" = None

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.activations)

    @property
    def text(self) -> str:
        """Sizes and activations in words: "64-40-10 (sigmoid, sigmoid)"."""
        sizes = "-".join(map(str, self.sizes))
        words = [f.name for f in self.activations]
        words = [
            w + (f", dropout {r:g}" if r else "") for w, r in zip(words, self.dropout, strict=True)
        ]
        bias = "" if any(self.has_bias) else ", no biases"
        alone = "the one layer " if self.depth == 1 else ""
        return f"{alone}{sizes} ({', '.join(words)}{bias})"

    def with_inputs(self, sizes: tuple[int, ...]) -> "Plan":
        """Return the plan with its number of inputs, where a list of layers leaves it open."""
        return self if self.sizes[0] else replace(self, sizes=sizes)

    def fits(self, sizes: Sequence[int], has_bias: Sequence[bool]) -> bool:
        """Return whether weights of these sizes can be this network's."""
        start = 0 if self.sizes[0] else 1
        return tuple(sizes)[start:] == self.sizes[start:] and tuple(has_bias) == self.has_bias


class Pass:
    """One forward pass; layers are counted from 0.

    Attributes:
        inputs: What each layer takes: ``inputs[0]`` are the network's.
        z: Pre-activation of each layer, (N, units).
        a: Activation of each layer, before dropout.
        kernels: (inputs, units) of each layer.
        biases: (units,) of each layer, or None.
        masks: Dropout mask behind each layer, or None.
    """

    def __init__(
        self,
        plan: Plan,
        weights: Mapping[Key, Array],
        x: Array,
        rounding: Rounding,
        masks: Sequence[Array | None] | None = None,
        weight_errors: Mapping[Key, Array] | None = None,
    ) -> None:
        self.plan = plan
        self.rounding = r = rounding
        exact = {key: r.exact(weight) for key, weight in weights.items()}
        for key, error in (weight_errors or {}).items():
            exact[key] = Approx(exact[key].value, error, r)
        self.kernels = [exact[Key(layer, "kernel")] for layer in range(plan.depth)]
        self.biases = [exact.get(Key(layer, "bias")) for layer in range(plan.depth)]
        self.masks = list(masks) if masks is not None else [None] * plan.depth
        self.inputs: list[Approx] = []
        self.z: list[Approx] = []
        self.a: list[Approx] = []
        signal = r.exact(x)
        if plan.scale != 1 or plan.offset:
            signal = signal * plan.scale + plan.offset
        for layer in range(plan.depth):
            self.inputs.append(signal)
            self.z.append(self.weighted(layer, signal))
            self.a.append(self.activation(layer, self.z[layer]))
            signal = self.dropped(layer, self.a[layer])
        self.output = signal

    def weighted(self, layer: int, signal: Approx) -> Approx:
        """Return ``signal @ kernel + bias``."""
        return weighted(signal, self.kernels[layer], self.biases[layer])

    def activation(self, layer: int, z: Approx) -> Approx:
        """Return the activation function of the pre-activation."""
        return activate(self.plan.activations[layer], z)

    def dropped(self, layer: int, a: Approx) -> Approx:
        """Return what goes on behind the dropout of a layer."""
        mask = self.masks[layer]
        return a if mask is None else masked(a, mask, self.drop_scale(layer))

    def drop_scale(self, layer: int) -> Approx:
        """Return by what dropout multiplies the units it keeps.

        Either the rate or the share that is kept is what is written down, and rounded.
        """
        one = self.rounding.exact(1.0)
        keep = one - one * self.plan.dropout[layer]
        return {INVERTED: one / keep, UNSCALED: one, MULTIPLIED: keep}[self.plan.drop_power]


def rounding_for(plan: Plan, batch: int, dtype: np.dtype, tracked: bool = True) -> Rounding:
    """Return the rounding of a comparison of one network's tensors."""
    sizes = plan.sizes
    units = sum(n * m for n, m in pairwise(sizes)) + batch * sum(sizes)
    return Rounding(dtype, 2 * units, tracked, handwritten=True)
