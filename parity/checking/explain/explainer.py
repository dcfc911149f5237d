"""From the output layer down: which way of computing each piece gives the user's gradients?

At every layer the deltas that flow in are known, as the layer above has been explained. So the ways
of the catalogue are tried for the one layer, the fewest wrong things first, until one gives the
user's kernel and bias gradients up to a factor and rounding. The factors are read afterwards
(:mod:`parity.checking.explain.scales`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from parity.checking.bugs.hidden import dropout_variants, propagation_variants, slope_variants
from parity.checking.bugs.output import output_variants, row_variants
from parity.checking.bugs.variant import Scene, Variant
from parity.checking.explain.fit import LayerFit, Make, Match, Observed
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind, kinds
from parity.checking.model.plan import Plan
from parity.checking.model.probe import Probe
from parity.tolerances import Approx

# So many explanations of the output layer are followed down; a second may win below.
_MOST_OUTPUTS = 4


@dataclass
class Explanation:
    """Loss and layers, from the output down."""

    kind: LossKind
    layers: list[LayerFit]

    @property
    def cost(self) -> int:
        """How many things are wrong, factors not counted."""
        return sum(fit.cost for fit in self.layers)

    @property
    def tensors(self) -> dict[Key, Match | None]:
        """What explains each tensor; None where nothing does."""
        return {key: match for fit in self.layers for key, match in fit.tensors.items()}

    def fit(self, layer: int) -> LayerFit:
        """Return what explains a layer."""
        return self.layers[len(self.layers) - 1 - layer]


class Explainer:
    """All probes of one check.

    Args:
        probes: With the user's gradients.
        preferred: The loss that was declared, if one was; others cost something.
    """

    def __init__(self, probes: Sequence[Probe], preferred: LossKind | None = None) -> None:
        self.preferred = preferred
        self.plan = probes[0].plan
        self.batch = len(probes[0].x)
        self.observed = Observed(probes)

    def explain(self) -> Explanation:
        """Return the explanation with the fewest things wrong."""
        best: Explanation | None = None
        for kind, fit in self._outputs():
            layers = [fit]
            for layer in reversed(range(self.plan.depth - 1)):
                layers.append(self._hidden(layer, layers[-1].make))
            found = Explanation(kind, layers)
            if best is None or found.cost < best.cost:
                best = found
            if not best.cost:
                break
        assert best is not None
        return best

    def output_is_right(self) -> bool:
        """Return whether the output layer's gradients are those of a known loss."""
        found = self._usual_outputs(self.plan.depth - 1)
        return any(not fit.cost for _, fit in found)

    def _outputs(self) -> Iterator[tuple[LossKind, LayerFit]]:
        """Yield the best explanations of the output layer, the likeliest first."""
        layer = self.plan.depth - 1
        found: list[tuple[LossKind, LayerFit]] = []
        for stage in (self._usual_outputs, self._row_outputs, self._wrong_outputs):
            found += stage(layer)
            if any(None not in fit.tensors.values() for _, fit in found):
                break
        if not found:
            kind, deltas, make = next(self._output_ways(row_variants(self.batch)[:1]))
            found = [(kind, self.observed.unexplained(layer, deltas, make))]
        found.sort(key=lambda entry: entry[1].cost)
        yield from found[:_MOST_OUTPUTS]

    def _usual_outputs(self, layer: int) -> list[tuple[LossKind, LayerFit]]:
        rows = row_variants(self.batch)[:1]
        return self._fitted(layer, self._output_ways(rows, all_ways=True))

    def _row_outputs(self, layer: int) -> list[tuple[LossKind, LayerFit]]:
        return self._fitted(layer, self._output_ways(row_variants(self.batch)[1:]))

    def _wrong_outputs(self, layer: int) -> list[tuple[LossKind, LayerFit]]:
        ways = self._output_ways(row_variants(self.batch)[:1])
        return self._fitted(layer, ways, wrong=True)

    def _output_ways(
        self, rows: Sequence[Variant], all_ways: bool = False
    ) -> Iterator[tuple[LossKind, tuple[Variant, ...], Make]]:
        function = self.plan.activations[-1]
        every = kinds(function.name)
        if self.preferred is not None:
            every = [self.preferred, *(kind for kind in every if kind is not self.preferred)]
        for row in rows:
            for kind in every:
                variants = output_variants(kind, function)
                for variant in variants if all_ways else variants[:1]:
                    yield kind, (variant, row), _at_output(variant, row)

    def _fitted(
        self,
        layer: int,
        ways: Iterator[tuple[LossKind, tuple[Variant, ...], Make]],
        wrong: bool = False,
    ) -> list[tuple[LossKind, LayerFit]]:
        found = []
        for kind, deltas, make in ways:
            fit = self.observed.fit(layer, deltas, make, wrong)
            if fit is not None:
                # That the gradient is of another family of losses than declared counts as well.
                preferred = self.preferred
                fit.cost += int(preferred is not None and kind.family != preferred.family)
                found.append((kind, fit))
        return found

    def _hidden(self, layer: int, above: Make) -> LayerFit:
        combinations = _combinations(self.plan, layer)
        best: LayerFit | None = None
        for wrong in (False, True):
            for combination in combinations:
                cost = sum(variant.cost for variant in combination)
                if (best is not None and cost >= best.cost) or (wrong and cost > 1):
                    break
                make = _below(layer, above, combination)
                fit = self.observed.fit(layer, combination, make, wrong)
                if fit is not None and (best is None or fit.cost < best.cost):
                    best = fit
            if best is not None and None not in best.tensors.values():
                return best
        if best is not None:
            return best
        likeliest = combinations[0]
        return self.observed.unexplained(layer, likeliest, _below(layer, above, likeliest))


def _at_output(variant: Variant, row: Variant) -> Make:
    def make(scene: Scene) -> Approx | None:
        delta = variant.compute(scene)
        return None if delta is None else row.compute(scene, delta)

    return make


def _below(layer: int, above: Make, combination: tuple[Variant, ...]) -> Make:
    propagate, drop, slope = combination

    def make(scene: Scene) -> Approx | None:
        delta = above(scene)
        e = None if delta is None else propagate.compute(scene, layer, delta)
        e = None if e is None else drop.compute(scene, layer, e)
        return None if e is None else slope.compute(scene, layer, e)

    return make


def _combinations(plan: Plan, layer: int) -> list[tuple[Variant, ...]]:
    drops = dropout_variants() if plan.dropout[layer] else dropout_variants()[:1]
    every = product(propagation_variants(), drops, slope_variants(plan.activations[layer]))
    return sorted(every, key=lambda c: sum(variant.cost for variant in c))
