"""How well a delta explains one layer's gradients: the kernel's and the bias's, right or wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.catalogue.tensors import KernelVariant, bias_variants, kernel_variants
from parity.checking.catalogue.variant import Scene, Variant
from parity.checking.fit import Data, Make, Match
from parity.checking.probe import Probe

# A tensor that nothing explains weighs as much as so many wrong things that are named.
_UNEXPLAINED = 3
MISSING = {
    "kernel": Variant(
        lambda *_: None, "kernel-missing", "kernel gradient missing (all zeros)",
        "kernel gradient = input.T @ delta",
    ),
    "bias": Variant(
        lambda *_: None, "bias-missing", "bias gradient missing (all zeros)",
        "bias gradient = delta summed over the batch",
    ),
}  # fmt: skip


@dataclass
class LayerFit:
    """What explains one layer.

    Attributes:
        layer: Counted from 0.
        deltas: The ways by which its delta comes about.
        make: Computes that delta.
        tensors: "kernel" and "bias": the match, None where nothing explains it; a tensor that the
            user does not have is not in it.
        cost: How many things are wrong.
    """

    layer: int
    deltas: tuple[Variant, ...]
    make: Make
    tensors: dict[str, Match | None]
    cost: int


class LayerFits:
    """The user's gradients on some probes, and what a delta makes of them.

    Attributes:
        quick: Scenes of the probes that compute values alone.
        bounded: Scenes that compute bounds as well.
    """

    def __init__(self, probes: Sequence[Probe]) -> None:
        self.probes = probes
        self.plan = probes[0].plan
        self.quick = [Scene(p, p.forward(tracked=False)) for p in probes]
        self.bounded = [Scene(p, p.forward(tracked=True)) for p in probes]
        self._data: dict[tuple[int, str], Data | None] = {}
        self._decaying = False

    def data(self, layer: int, part: str) -> Data | None:
        """Return a tensor of the user's; None where there is none."""
        key = layer, part
        if key not in self._data:
            self._data[key] = self._collect(layer, part)
        return self._data[key]

    def _collect(self, layer: int, part: str) -> Data | None:
        if part == "kernel":
            observed = [p.kernel_gradients[layer] for p in self.probes]
            weights = [p.kernels[layer] for p in self.probes]
        else:
            observed = [p.bias_gradients[layer] for p in self.probes]
            weights = [p.biases[layer] for p in self.probes]
        arrays = [g for g in observed if g is not None]
        own = [w for w in weights if w is not None]
        if len(arrays) < len(self.probes) or len(own) < len(self.probes):
            return None
        index = int(part == "bias")
        noise = [p.noise[layer][index] if p.noise else 0.0 for p in self.probes]
        if part == "bias":
            return Data(self.quick, self.bounded, arrays, own, noise)
        p = _projection(self.plan.sizes[layer + 1])
        return Data(self.quick, self.bounded, arrays, own, noise, lambda kernel: kernel @ p)

    def fit(
        self, layer: int, deltas: tuple[Variant, ...], make: Make, wrong: bool = False
    ) -> LayerFit | None:
        """Return how well a delta explains a layer's gradients; None if it explains none.

        Args:
            layer: Counted from 0.
            deltas: The ways by which the delta comes about.
            make: Computes it.
            wrong: Whether to look at wrong ways to get both gradients from it. Otherwise one of the
                two has to be right: most deltas fail at that, and soon.
        """
        make = remembered(make)
        if make(self.quick[0]) is None:
            return None
        parts = [part for part in ("bias", "kernel") if self.data(layer, part) is not None]
        if self._silent(layer):
            zeros = {part: Match(MISSING[part], 0.0, 0.0) for part in parts}
            return self._scored(layer, deltas, make, {**zeros})
        sharp = any(variant.title for variant in deltas)
        ways = {part: _ways(self, layer, part, make) for part in parts}
        tensors = {p: self._right(layer, p, ways[p][0], sharp, not deltas[0].title) for p in parts}
        if not wrong and parts and not any(m is not None and m.ratio for m in tensors.values()):
            return None
        for part in parts:
            if tensors[part] is None:
                tensors[part] = self._wrong(layer, part, ways[part][1:])
        if parts and not any(m is not None and m.ratio for m in tensors.values()):
            return None
        return self._scored(layer, deltas, make, tensors)

    def unexplained(self, layer: int, deltas: tuple[Variant, ...], make: Make) -> LayerFit:
        """Return the fit of a layer that nothing explains."""
        parts = [part for part in ("bias", "kernel") if self.data(layer, part) is not None]
        cost = _UNEXPLAINED * (len(parts) + 1)
        return LayerFit(layer, deltas, remembered(make), dict.fromkeys(parts), cost)

    def _scored(
        self, layer: int, deltas: tuple[Variant, ...], make: Make, tensors: dict[str, Match | None]
    ) -> LayerFit:
        named = [match for match in tensors.values() if match is not None]
        cost = sum(variant.cost for variant in deltas) + sum(match.cost for match in named)
        cost += _UNEXPLAINED * (len(tensors) - len(named))
        return LayerFit(layer, deltas, make, tensors, cost)

    def _right(
        self, layer: int, part: str, way: tuple[Variant, Make, Make], sharp: bool, decay: bool
    ) -> Match | None:
        """Return the match of the right way, perhaps with weight decay added."""
        data = self.data(layer, part)
        assert data is not None
        if data.zero:
            return Match(MISSING[part], 0.0, 0.0)
        match = data.test(*way, decay=False, sharp=sharp)
        if match is None and (decay or self._decaying):
            match = data.test(*way, decay=True, sharp=sharp)
            self._decaying = self._decaying or match is not None
        return match

    def _wrong(
        self, layer: int, part: str, ways: Sequence[tuple[Variant, Make, Make]]
    ) -> Match | None:
        data = self.data(layer, part)
        assert data is not None
        for way in ways:
            match = data.test(*way, sharp=True) or data.vanishing(way[0], way[1])
            if match is not None:
                return match
        return None

    def _silent(self, layer: int) -> bool:
        """Return whether all of a layer's gradients are zeros: no delta ever reaches it."""
        own = [data for part in ("kernel", "bias") if (data := self.data(layer, part)) is not None]
        return bool(own) and all(data.zero for data in own)


def _ways(fits: LayerFits, layer: int, part: str, make: Make) -> list[tuple[Variant, Make, Make]]:
    """Return each way to compute a gradient from the delta, whole and at a glance."""
    if part == "bias":

        def of(variant: Variant) -> Make:
            return _then(make, lambda scene, delta: variant.compute(scene, layer, delta))

        return [(v, of(v), of(v)) for v in bias_variants()]
    p = _projection(fits.plan.sizes[layer + 1])

    def whole(v: KernelVariant) -> Make:
        return _then(make, lambda scene, delta: v.gradient(scene, layer, delta))

    def glimpse(v: KernelVariant) -> Make:
        return _then(make, lambda scene, delta: v.glimpse(scene, layer, delta, p))

    return [(v, whole(v), glimpse(v)) for v in kernel_variants()]


def _then(make: Make, tensor: Callable[[Scene, Approx], Approx | None]) -> Make:
    """Return what computes a tensor from the delta that ``make`` gives."""

    def made(scene: Scene) -> Approx | None:
        delta = make(scene)
        return None if delta is None else tensor(scene, delta)

    return made


@cache
def _projection(units: int) -> Array:
    """Return two fixed vectors by which kernels are compared at a glance, (units, 2)."""
    return np.random.default_rng(units).standard_normal((units, 2))


def remembered(make: Make) -> Make:
    """Return ``make`` so that it computes once for each scene."""
    known: dict[int, Approx | None] = {}

    def remembered(scene: Scene) -> Approx | None:
        if id(scene) not in known:
            with np.errstate(all="ignore"):
                known[id(scene)] = make(scene)
        return known[id(scene)]

    return remembered
