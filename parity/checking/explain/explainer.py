"""From the output layer down: which way of computing each piece gives the user's gradients?

At every layer the deltas that flow in are known, as the layer above has been explained. So the ways
of the catalogue are tried for the one layer, the fewest wrong things first, until one gives the
user's kernel and bias gradients up to a factor and rounding. Then the factors are read: one for all
is a reduction, another somewhere is a bug.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from parity.bounds.rounding import Approx
from parity.checking.bugs.deltas import (
    BIAS_COLUMN,
    DELTA_LEFT_OUT,
    DELTA_LEFT_OUT_BELOW,
    DERIVATIVE_OF_DELTA,
    DERIVATIVE_SLIP,
    MISSING_DERIVATIVE,
    SLOPE_NOT_PROPAGATED,
    SLOPE_PROPAGATED_TWICE,
    dropout_variants,
    propagation_variants,
    slope_variants,
)
from parity.checking.bugs.factors import same
from parity.checking.bugs.measured import MeasuredSlope
from parity.checking.bugs.outputs import SOFTMAX_MISSING, output_variants, row_variants
from parity.checking.bugs.sums import (
    ONE_SHARE,
    ONE_SHARE_EACH,
    SHARE_LEFT_OUT,
    SUM_NOT_RESET,
    UNIT_SKIPPED,
    WEIGHT_OF_ABOVE,
    sum_variants,
)
from parity.checking.bugs.variant import LayerVariant, OutputVariant, RowVariant, Scene, Variant
from parity.checking.explain.fit import LayerFit, Make, Match, ObservedGradients
from parity.checking.model.layout import Key, Part
from parity.checking.model.losses import LossKind, kinds
from parity.checking.model.probe import Probe

# What a layer hands down: its delta, or what is taken for it.
HandedDown = Variant[[Scene]]
Combination = tuple[HandedDown, LayerVariant, LayerVariant, LayerVariant]
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
        own: The user's own loss, where it is none of the catalogue's and was measured.
        right: Whether to try the right ways alone, with or without a share of the weights.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        preferred: LossKind | None = None,
        own: LossKind | None = None,
        right: bool = False,
    ) -> None:
        self.right = right
        self.preferred = preferred
        self.own = own
        self.plan = probes[0].plan
        self.batch = len(probes[0].x)
        self.observed = ObservedGradients(probes)
        self._measured: dict[int, LayerVariant] = {}
        self._variants: dict[LossKind, Sequence[OutputVariant]] = {}

    def explain(self) -> Explanation:
        """Return the explanation with the fewest things wrong."""
        best: Explanation | None = None
        for kind, fit in self._outputs():
            if best is not None and fit.cost > best.cost:
                break
            layers = [fit]
            for layer in reversed(range(self.plan.depth - 1)):
                layers.append(self._hidden(layer, layers[-1], kind))
            found = Explanation(kind, layers)
            ranked = self._rank(found)
            if best is None or ranked < self._rank(best):
                best = found
            if not best.cost:
                break
        assert best is not None
        return best

    def resumed(self, explanation: Explanation, layer: int, measured: MeasuredSlope) -> Explanation:
        """Return an explanation followed on from a layer whose slope was measured meanwhile."""
        self._measured[layer] = measured.variant(self.places, self.plan.activations[layer])
        layers = [fit for fit in explanation.layers if fit.layer > layer]
        return self._continued(explanation.kind, layers)

    def from_output(self, kind: LossKind, measured: OutputVariant) -> Explanation | None:
        """Return an explanation that begins with a delta that was measured at the output.

        None where that does not explain the output layer's gradients.
        """
        row = row_variants(self.batch)[0]
        make = _at_output(measured, row)
        fit = self.observed.fit(self.plan.depth - 1, (measured, row), make, wrong=True)
        return None if fit is None else self._continued(kind, [fit])

    @property
    def places(self) -> dict[int, int]:
        """The number of each probe, by its id."""
        return {id(scene.probe): n for n, scene in enumerate(self.observed.quick)}

    def _continued(self, kind: LossKind, layers: list[LayerFit]) -> Explanation:
        for below in reversed(range(layers[-1].layer)):
            layers.append(self._hidden(below, layers[-1], kind))
        return Explanation(kind, layers)

    def unexplained(self) -> Explanation:
        """Return the explanation of nothing, where it is not asked for."""
        kind, deltas, make = next(self._output_ways(row_variants(self.batch)[:1]))
        layers = [self.observed.unexplained(self.plan.depth - 1, deltas, make)]
        for layer in reversed(range(self.plan.depth - 1)):
            ways = self.combinations(layer, layers[-1], kind)[0]
            _, make = delta_of(layer, ways)
            layers.append(self.observed.unexplained(layer, ways, make))
        return Explanation(kind, layers)

    def _rank(self, explanation: Explanation) -> tuple[int, bool, int, int]:
        """Return the cost, and of explanations as simple which is the likelier.

        That is the one of the loss that is known. Without one, an output whose own gradients have
        another slope than what it hands down is wrong in either: behind softmax its own gradients
        tell the loss; behind others the loss is the more usual one.
        """
        name, kind = self.plan.activations[-1].name, explanation.kind
        other = self.preferred is not None and kind is not self.preferred
        at_output = explanation.layers[0].cost if name == "softmax" else 0
        known = [self.own, *kinds(name)]
        place = known.index(kind) - 1 if kind in known else len(known)
        return explanation.cost, other, at_output, place

    def output_is_right(self) -> bool:
        """Return whether the output layer's gradients are those of a known loss."""
        found = self._usual_outputs(self.plan.depth - 1)
        return any(not fit.cost for _, fit in found)

    def is_usual(self) -> bool:
        """Return whether a loss that is known here explains all of the output layer."""
        found = self._usual_outputs(self.plan.depth - 1)
        return any(None not in fit.tensors.values() for _, fit in found)

    def _outputs(self) -> Iterator[tuple[LossKind, LayerFit]]:
        """Yield the best explanations of the output layer, the likeliest first."""
        layer = self.plan.depth - 1
        found: list[tuple[LossKind, LayerFit]] = []
        stages = (
            self._usual_outputs, self._row_outputs, self._wrong_outputs, self._paired_outputs,
        )  # fmt: skip
        for stage in stages[:1] if self.right else stages:
            found += stage(layer)
            whole = [entry for entry in found if None not in entry[1].tensors.values()]
            if whole:
                found = whole
                break
        if not found:
            kind, deltas, make = next(self._output_ways(row_variants(self.batch)[:1]))
            found = [(kind, self.observed.unexplained(layer, deltas, make))]
        # Of two mistakes the likelier is the one that needs no turned sign besides.
        found.sort(key=lambda entry: (entry[1].cost, entry[1].cost > 0 and entry[1].turned))
        for kind, fit in found[:_MOST_OUTPUTS]:
            fit.incoming = _at_output(OutputVariant(_slope_of(kind)), fit.deltas[1])
            yield kind, fit

    def _usual_outputs(self, layer: int) -> list[tuple[LossKind, LayerFit]]:
        rows = row_variants(self.batch)[:1]
        return self._fitted(layer, self._output_ways(rows, all_ways=not self.right))

    def _row_outputs(self, layer: int) -> list[tuple[LossKind, LayerFit]]:
        return self._fitted(layer, self._output_ways(row_variants(self.batch)[1:]))

    def _wrong_outputs(self, layer: int) -> list[tuple[LossKind, LayerFit]]:
        ways = self._output_ways(row_variants(self.batch)[:1])
        return self._fitted(layer, ways, wrong=True)

    def _paired_outputs(self, layer: int) -> list[tuple[LossKind, LayerFit]]:
        """Two things wrong: the slope missing, and a tensor or the samples besides."""
        rows = row_variants(self.batch)
        found = self._fitted(layer, self._without_slope(rows[:1]), wrong=True)
        if any(None not in fit.tensors.values() for _, fit in found):
            return found
        return found + self._fitted(layer, self._without_slope(rows[1:]))

    def _without_slope(
        self, rows: Sequence[RowVariant]
    ) -> Iterator[tuple[LossKind, tuple[Variant[...], ...], Make]]:
        for kind, deltas, make in self._output_ways(rows, all_ways=True):
            if deltas[0].bug in (MISSING_DERIVATIVE, SOFTMAX_MISSING):
                yield kind, deltas, make

    def _output_ways(
        self, rows: Sequence[RowVariant], all_ways: bool = False
    ) -> Iterator[tuple[LossKind, tuple[Variant[...], ...], Make]]:
        function = self.plan.activations[-1]
        every = kinds(function.name)
        if self.preferred is not None:
            every = [self.preferred, *(kind for kind in every if kind is not self.preferred)]
        every += [self.own] if self.own is not None else []
        for row in rows:
            for kind in every:
                if kind not in self._variants:
                    self._variants[kind] = output_variants(kind, function)
                variants = self._variants[kind]
                for variant in variants if all_ways else variants[:1]:
                    yield kind, (variant, row), _at_output(variant, row)

    def _fitted(
        self,
        layer: int,
        ways: Iterator[tuple[LossKind, tuple[Variant[...], ...], Make]],
        wrong: bool = False,
    ) -> list[tuple[LossKind, LayerFit]]:
        found: list[tuple[LossKind, LayerFit]] = []
        for kind, deltas, make in ways:
            fit = self.observed.fit(layer, deltas, make, wrong)
            if fit is not None:
                # That the gradient is of another family of losses than declared counts as well.
                preferred = self.preferred
                fit.cost += int(preferred is not None and kind.family != preferred.family)
                found.append((kind, fit))
        return found

    def _hidden(self, layer: int, above: LayerFit, kind: LossKind) -> LayerFit:
        combinations = self.combinations(layer, above, kind)
        best: LayerFit | None = None
        for wrong in (False,) if self.right else (False, True):
            for combination in combinations:
                cost = sum(variant.cost for variant in combination)
                if self.right and cost:
                    break
                if (best is not None and cost >= best.cost) or (wrong and cost > 1):
                    break
                incoming, make = delta_of(layer, combination)
                fit = self.observed.fit(layer, combination, make, wrong)
                if fit is not None and (best is None or fit.cost < best.cost):
                    best = fit
                    best.incoming = incoming
            if best is not None and None not in best.tensors.values():
                break
        if best is None:
            incoming, make = delta_of(layer, combinations[0])
            best = self.observed.unexplained(layer, combinations[0], make)
            best.incoming = incoming
        above.alone = best.deltas[0].values.get("alone", False) is True and bool(best.matched)
        return best

    def combinations(self, layer: int, above: LayerFit, kind: LossKind) -> list[Combination]:
        """Return what may have happened between two layers' deltas, the likeliest first.

        Each has what is handed down, how it is propagated, dropout, and the slope.
        """
        plan = self.plan
        folded = self.observed.folded(layer + 1)
        units, over = plan.sizes[layer + 1 : layer + 3]
        propagation = propagation_variants(folded or "row", units if folded else 0)
        scales = self._scales(above)
        propagation += sum_variants(units, over, scales)
        drops = dropout_variants() if plan.dropout[layer] else dropout_variants()[:1]
        slopes = slope_variants(plan.activations[layer], scales)
        if layer in self._measured:  # as none of the others explains the layer
            slopes = [self._measured[layer]]
        common = [slope for slope in slopes if slope.bug not in _ALONE]
        most = 3 if plan.dropout[layer] else 2
        every: list[Combination] = []
        for before in product(self._handed_down(above, kind), propagation, drops):
            wrong = sum(variant.cost for variant in before)
            if wrong < 2 and before[1].bug in _ALONE:
                every.append((*before, slopes[0]))
            elif before[1].bug not in _ALONE:
                every += [(*before, slope) for slope in (common if wrong else slopes)]
        costs = [(sum(variant.cost for variant in c), c) for c in every]
        return [c for cost, c in sorted(costs, key=lambda entry: entry[0]) if cost <= most]

    def _handed_down(self, above: LayerFit, kind: LossKind) -> Iterator[HandedDown]:
        """Yield what a layer may hand down: the delta of its own gradients, or another one."""
        yield HandedDown(above.make)
        layer, incoming = above.layer, above.incoming
        function = self.plan.activations[layer]
        output = layer == self.plan.depth - 1
        if incoming is None or not above.matched or function.name == "linear":
            return
        whose = {"whose": "the output's" if output else f"layer {layer + 1}'s"}
        values = {**whose, "activation": function.name}
        fused = output and kind.cancels(function)

        def through_slope(make: Make) -> Make:
            def made(scene: Scene) -> Approx | None:
                e = make(scene)
                return None if e is None else scene.through(layer, e)

            return made

        slope = above.deltas[0 if output else -1]
        if slope.bug is not None:
            yield HandedDown(through_slope(incoming), None, {"alone": True})
            return
        if not fused:
            yield HandedDown(incoming, SLOPE_NOT_PROPAGATED, values)
        if not fused or self.preferred is kind or function.name == "softmax":
            yield HandedDown(through_slope(above.make), SLOPE_PROPAGATED_TWICE, values)

    def _scales(self, above: LayerFit) -> list[float]:
        """Return by what the user's own delta of a layer may be larger than the one here."""
        ratios = [abs(match.ratio) for match in above.matched.values()][:1]
        sizes = {factor for r in ratios for factor in (r, r * self.batch, 1.0)} or {1.0}
        return [sign * size for size in sorted(sizes) for sign in (1, -1)]


def _slope_of(kind: LossKind) -> Callable[[Scene], Approx | None]:
    return lambda scene: kind.incoming(scene.fwd, scene.y)


def _at_output(variant: OutputVariant, row: RowVariant) -> Make:
    def make(scene: Scene) -> Approx | None:
        delta = variant.compute(scene)
        return None if delta is None else row.compute(scene, delta)

    return make


def delta_of(layer: int, combination: Combination) -> tuple[Make, Make]:
    """Return what computes the gradient at a layer's activation, and what its delta."""
    handed, propagate, drop, slope = combination

    def incoming(scene: Scene) -> Approx | None:
        delta = handed.compute(scene)
        e = None if delta is None else propagate.compute(scene, layer, delta)
        return None if e is None else drop.compute(scene, layer, e)

    def make(scene: Scene) -> Approx | None:
        e = incoming(scene)
        return None if e is None else slope.compute(scene, layer, e)

    return incoming, make


# Slopes and sums in many forms, each of them rare: tried with nothing else wrong.
_ALONE = {
    *(DERIVATIVE_OF_DELTA, DERIVATIVE_SLIP, DELTA_LEFT_OUT, DELTA_LEFT_OUT_BELOW, BIAS_COLUMN),
    *(ONE_SHARE, ONE_SHARE_EACH, SHARE_LEFT_OUT, SUM_NOT_RESET, UNIT_SKIPPED, WEIGHT_OF_ABOVE),
}

Scaled = Part | Literal["gradients", "delta"]


@dataclass(frozen=True)
class Deviation:
    """A factor that only a part of the gradients has.

    Attributes:
        layer: Counted from 0.
        part: "kernel", "bias", "gradients" (both of the layer), or "delta" (the layer's delta, and
            so all that is computed from it, down to the first layer).
        factor: Relative to the others'.
        uncertainty: How far rounding may have moved it.
    """

    layer: int
    part: Scaled
    factor: float
    uncertainty: float


@dataclass
class Scale:
    """One factor for all gradients, and who has another one.

    Attributes:
        base: The factor on the loss that is summed over batch and outputs; 0 if there is none.
        uncertainty: How far rounding may have moved it.
        deviations: From the output down.
    """

    base: float
    uncertainty: float
    deviations: list[Deviation] = field(default_factory=list[Deviation])


def analyse(explanation: Explanation, usual: Sequence[float]) -> Scale:
    """Return the factor that leaves the fewest parts deviating; of equals one that is usual.

    Args:
        explanation: Its matches carry the factors.
        usual: Factors that reductions have.
    """
    # Kernels first: among equals a bias is the likelier to be the odd one out.
    known = [item for fit in explanation.layers for item in fit.matched.items()]
    choices = [match for _, match in sorted(known, key=lambda item: item[0].part == "bias")]
    if not choices:
        return Scale(0.0, 0.0)
    best: tuple[tuple[int, bool], Scale] | None = None
    for match in choices:
        deviations = _deviations(explanation, match)
        base, usual_one = match.ratio, False
        for factor in usual:
            if same(base, factor, match.uncertainty):
                base, usual_one = factor, True
        rank = len(deviations), not usual_one
        if best is None or rank < best[0]:
            best = rank, Scale(base, match.uncertainty, deviations)
    assert best is not None
    return best[1]


def _deviations(explanation: Explanation, base: Match) -> list[Deviation]:
    """Go from the output down with the factor of ``base``, and note who leaves it."""
    found: list[Deviation] = []
    current = base
    for index, fit in enumerate(explanation.layers):
        own = fit.matched
        off = {key: m for key, m in own.items() if not _equal(m, current)}
        matches = list(own.values())
        if not off:
            continue
        together = len(off) == len(own) and all(_equal(m, matches[0]) for m in matches)
        if not together:
            found += [_deviation(*key, m, current) for key, m in off.items()]
            continue
        below = [m for fit in explanation.layers[index + 1 :][:1] for m in fit.matched.values()]
        # What both tensors of a layer have is its delta's, and so the next layer's as well,
        # whatever comes in there besides; unless that has the factor from before.
        if below and not any(_equal(m, current) for m in below):
            found.append(_deviation(fit.layer, "delta", matches[0], current))
            current = matches[0]
        else:
            part = "gradients" if len(own) > 1 else next(iter(own)).part
            found.append(_deviation(fit.layer, part, matches[0], current))
    return found


def _equal(one: Match, other: Match) -> bool:
    return same(one.ratio, other.ratio, one.uncertainty + other.uncertainty)


def _deviation(layer: int, part: Scaled, match: Match, current: Match) -> Deviation:
    factor = match.ratio / current.ratio
    spread = match.uncertainty / abs(match.ratio) + current.uncertainty / abs(current.ratio)
    return Deviation(layer, part, factor, abs(factor) * spread)
