"""The factors in a user's gradients: one for all is a reduction, another somewhere is a bug."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from parity.checking.bugs.factors import same
from parity.checking.explain.explainer import Explanation
from parity.checking.explain.fit import Match
from parity.checking.model.layout import Key, Part

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
    deviations: list[Deviation] = field(default_factory=list)


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
        goes_on = _next(explanation, index)
        if goes_on is not None and _equal(goes_on, matches[0]):
            found.append(_deviation(fit.layer, "delta", matches[0], current))
            current = matches[0]
        else:
            part = "gradients" if len(own) > 1 else next(iter(own)).part
            found.append(_deviation(fit.layer, part, matches[0], current))
    return found


def _next(explanation: Explanation, index: int) -> Match | None:
    """Return a factor of the next layer down, a kernel's if possible."""
    for fit in explanation.layers[index + 1 : index + 2]:
        own = fit.matched
        return own.get(Key(fit.layer, "kernel")) or own.get(Key(fit.layer, "bias"))
    return None


def _equal(one: Match, other: Match) -> bool:
    return same(one.ratio, other.ratio, one.uncertainty + other.uncertainty)


def _deviation(layer: int, part: Scaled, match: Match, current: Match) -> Deviation:
    factor = match.ratio / current.ratio
    spread = match.uncertainty / abs(match.ratio) + current.uncertainty / abs(current.ratio)
    return Deviation(layer, part, factor, abs(factor) * spread)
