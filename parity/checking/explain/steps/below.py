"""Backpropagation inside a step that keeps a state: which mistake gives each layer's steps?

The output layer's steps tell the optimizer, where its gradients are right. From a state that an
optimizer keeps gradients cannot be read off; but what a mistake makes of them can be handed to the
same optimizer, layer by layer from the output down, and its steps are compared with the user's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.asking.gradients import Taken
from parity.checking.bugs.tensors import KernelVariant, bias_variants, kernel_variants
from parity.checking.bugs.variant import OutputVariant, Scene, Variant
from parity.checking.explain.explainer import Explainer, delta_of
from parity.checking.explain.fit import LayerFit, Make, Match
from parity.checking.explain.steps.course import Course, Gradients, course
from parity.checking.model.layout import PARTS, Key, Layout
from parity.checking.model.losses import LossKind, correct_gradients
from parity.checking.model.probe import Probe
from parity.checking.model.rules import OptimizerRule

# With what is to be seen in every element, a mistake is told by two batches.
_FEWEST = 2


@dataclass(frozen=True)
class Mistake:
    """One mistake in the gradients that an optimizer is given.

    Attributes:
        layer: Counted from 0.
        part: Whether it is in the layer's delta, or in one of its tensors alone.
        variant: The mistake.
    """

    layer: int
    part: str
    variant: Variant[...]


class Below:
    """Follows the steps of one optimizer down from the output layer.

    Args:
        history: The steps.
        layout: How the weights are read.
        kind: The loss.
        rule: The optimizer, as the output layer's steps have it.
        factor: Of the loss's gradients.
        output: How the output's delta is computed.
    """

    def __init__(
        self,
        history: Sequence[Taken],
        layout: Layout,
        kind: LossKind,
        rule: OptimizerRule,
        factor: float,
        output: OutputVariant,
    ) -> None:
        self.history = history
        self.layout = layout
        self.kind = kind
        self.rule = rule
        self.factor = factor
        self.output = output
        self.probes = list({id(taken.probe): taken.probe for taken in history}.values())
        self.scenes: dict[int, Scene] = {}

    def mistakes(self) -> list[Mistake] | None:
        """Return what explains the steps of all layers; None where some are not explained."""
        # The right gradients in the place of the user's: of these only the steps are known.
        probes = [replace(p, gradients=self._values(p), noise={}) for p in self.probes]
        explainer, last = Explainer(probes, self.kind), self.probes[0].plan.depth - 1
        for given, probe in zip(self.probes, probes, strict=True):
            self.scenes[id(given)] = Scene(probe, probe.forward(tracked=True))
        if len(probes) < _FEWEST:
            return None
        output = self.output
        found = [Mistake(last, "delta", output)] if output.bug is not None else []
        above = self._fit(last, (output,), output.compute)
        above.incoming = lambda scene: self.kind.incoming(scene.fwd, scene.y)
        tensors = self._tensor_mistakes(last, above.make)
        if tensors is None:
            return None
        found += tensors
        for layer in reversed(range(last)):
            step = self._layer(explainer, layer, above)
            if step is None:
                return None
            above, mistakes = step
            found += mistakes
        return found

    def _values(self, probe: Probe) -> dict[Key, Array]:
        rights = correct_gradients(self.kind, probe.forward(tracked=False), probe.y)
        return {key: self.factor * right.value for key, right in rights.items()}

    def _layer(
        self, explainer: Explainer, layer: int, above: LayerFit
    ) -> tuple[LayerFit, list[Mistake]] | None:
        keys, combinations = self._keys(layer), explainer.combinations(layer, above, self.kind)
        for combination in combinations:
            cost = sum(variant.cost for variant in combination)
            incoming, make = delta_of(layer, combination)
            if cost <= 1 and self._follow(keys, make):
                fit = self._fit(layer, combination, make)
                fit.incoming = incoming
                bugs = [v for v in combination if v.bug is not None]
                return fit, [Mistake(layer, "delta", variant) for variant in bugs]
        incoming, make = delta_of(layer, combinations[0])
        mistakes = self._tensor_mistakes(layer, make)
        fit = self._fit(layer, combinations[0], make)
        fit.incoming = incoming
        return None if mistakes is None else (fit, mistakes)

    def _tensor_mistakes(self, layer: int, make: Make) -> list[Mistake] | None:
        """Return what is wrong with a layer's tensors, given its delta; None if that is open."""
        found: list[Mistake] = []
        for key in self._keys(layer):
            every = bias_variants(1) if key.part == "bias" else kernel_variants()
            fitting = (v for v in every if self._follow([key], make, {key: v}))
            variant = next(fitting, None)
            if variant is None:
                return None
            found += [Mistake(layer, key.part, variant)] if variant.bug is not None else []
        return found

    def _keys(self, layer: int) -> list[Key]:
        return [key for key in (Key(layer, part) for part in PARTS) if key in self.layout.keys]

    def _follow(
        self, keys: Sequence[Key], make: Make, ways: dict[Key, Variant[...]] | None = None
    ) -> bool:
        """Return whether the steps of some tensors are the rule's with gradients made so."""
        made: dict[int, Gradients] = {}
        for probe in self.probes:
            scene = self.scenes[id(probe)]
            with np.errstate(all="ignore"):
                delta = make(scene)
            if delta is None or not np.all(np.isfinite(delta.value)):
                return False
            gradients = {key: self._made(key, scene, delta, ways) for key in keys}
            whole = {key: g for key, g in gradients.items() if g is not None}
            if len(whole) < len(keys) or any(
                g.value.shape != probe.weights[key].shape or not np.any(g.value)
                for key, g in whole.items()
            ):
                return False
            made[id(probe)] = {key: g * self.factor for key, g in whole.items()}
        steps: Course = course(self.history, self.layout, lambda probe: made[id(probe)])
        return steps.follows(self.rule)

    def _made(
        self, key: Key, scene: Scene, delta: Approx, ways: dict[Key, Variant[...]] | None
    ) -> Approx | None:
        way = (ways or {}).get(key)
        if isinstance(way, KernelVariant):
            return way.gradient(scene, key.layer, delta)
        if way is not None:
            return way.compute(scene, key.layer, delta)
        right = scene.fwd.inputs[key.layer].T @ delta
        return right if key.part == "kernel" else delta.sum(axis=0)

    def _fit(self, layer: int, deltas: tuple[Variant[...], ...], make: Make) -> LayerFit:
        """Return a layer that hands down the delta that explains its steps."""
        match = Match(Variant(make), self.factor, 0.0)
        return LayerFit(layer, deltas, make, dict.fromkeys(self._keys(layer), match), 0)
