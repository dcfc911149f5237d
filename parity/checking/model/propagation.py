"""The mathematics of a network in :class:`parity.tolerances.Approx` arithmetic.

With ``Rounding(tracked=False)`` it computes values alone, fast enough to try hundreds of
hypotheses; with tracking it gives the bound of each of a hypothesis's tensors.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from numpy_impl.types import Array
from parity.bounds.activations import activate
from parity.checking.model.layout import Key
from parity.checking.model.plan import INVERTED, MULTIPLIED, UNSCALED, Plan
from parity.tolerances import Approx, Rounding


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
    ) -> None:
        self.plan = plan
        self.rounding = r = rounding
        exact = {key: r.exact(weight) for key, weight in weights.items()}
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
        z, bias = signal @ self.kernels[layer], self.biases[layer]
        return z if bias is None else z + bias

    def activation(self, layer: int, z: Approx) -> Approx:
        """Return the activation function of the pre-activation."""
        return activate(self.plan.activations[layer], z)

    def dropped(self, layer: int, a: Approx) -> Approx:
        """Return what goes on behind the dropout of a layer."""
        mask = self.masks[layer]
        return a if mask is None else ((a * self.drop_scale(layer)) * 1.0).where(mask)

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
