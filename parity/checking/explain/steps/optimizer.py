"""Which optimizer is inside a step, is it the declared one, and what is wrong with it?

Every step taken so far has to follow it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.gradients import Anew, Direct, Taken
from parity.checking.bugs.outputs import output_variants
from parity.checking.explain.steps import (
    crossed_state,
    decay,
    free_rates,
    look_ahead,
    shared_state,
)
from parity.checking.explain.steps.below import Below
from parity.checking.explain.steps.course import (
    Course,
    GradientsAt,
    course,
    of_loss,
    of_output,
    of_source,
    of_updated,
)
from parity.checking.explain.steps.declared import (
    Reading,
    in_part,
    of_any_loss,
    started_anew,
)
from parity.checking.explain.steps.followed_rule import (
    Factors,
    Found,
    changing_sizes,
    decayed,
    descent,
    piled_up,
    rate_formula,
    rule_of,
)
from parity.checking.explain.steps.identified import Identified
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, kinds, reductions
from parity.checking.model.probe import wide
from parity.checking.model.rules import OptimizerRule


def identify(
    history: Sequence[Taken],
    layout: Layout,
    declared: DeclaredOptimizer | None,
    own: tuple[Direct, LossKind] | None = None,
    measured: LossKind | None = None,
) -> Identified | None:
    """Return the optimizer and loss that all steps follow; None if none known does.

    Args:
        history: Every step taken since the candidate was made.
        layout: How the weights are read.
        declared: What the step is meant to be, tried first.
        own: The user's own gradients, and of which loss they are, where they are known.
        measured: The user's own loss, where it is none of the catalogue's.
    """
    if own is not None:
        source, kind = own
        draft = of_own(history, of_source(source, layout), kind)
        found = identify_own(draft, layout, declared)
        if found is not None and None not in found.others.values():
            return found
        return (
            _looking_ahead(draft, kind, layout, [(1.0, draft.words)])
            or found
            or _wrong_below(replace(draft, own=False), kind, layout)
        )
    plan, batch = history[0].probe.plan, len(history[0].probe.x)
    later: list[_Attempt] = []
    every = kinds(plan.activations[-1].name)
    every = [*every, measured] if measured is not None else every
    stated = of_any_loss(history, layout, declared, every)
    if stated is not None:
        return stated
    for kind in every:
        draft = Identified(None, kind, 1.0, "", history, of_loss(kind))
        exact = course(history, layout, draft.gradients_at)
        usual = reductions(kind, batch, plan.sizes[-1])
        attempt = _Attempt(draft, layout, exact, usual)
        found = attempt.identified(declared)
        # Rates that change are read by their formula where the loss is none of the catalogue's.
        if found is not None and not (kind is measured and found.rule is None):
            return found
        later.append(attempt)
    pairs = list(zip(later, every, strict=True))
    searches = chain(
        (attempt.of_shared_state() for attempt in later),
        (attempt.of_crossed_state() for attempt in later),
        (_looking_ahead(one.draft, kind, layout, one.usual) for one, kind in pairs),
        (_wrong_below(one.draft, kind, layout) for one, kind in pairs),
    )
    return next((found for found in searches if found is not None), None)


def of_own(history: Sequence[Taken], at: GradientsAt, kind: LossKind | None = None) -> Identified:
    """Return what is to be said of steps by the user's own gradients, no rule being known yet."""
    return Identified(None, kind, 1.0, "your own gradients", history, at, own=True)


def identify_own(
    draft: Identified, layout: Layout, declared: DeclaredOptimizer | None
) -> Identified | None:
    """Return the optimizer that all steps follow by the user's own gradients, whatever the layers.

    Where no rule is known for some of the tensors, its ``others`` have None.
    """
    whole = course(draft.history, layout, draft.gradients_at)
    attempt = _Attempt(draft, layout, whole, [(1.0, draft.words)])
    found = attempt.identified(declared)
    if found is not None and None not in found.others.values():
        return found
    return attempt.of_shared_state() or attempt.of_crossed_state() or found


def of_own_decayed(draft: Identified, layout: Layout) -> Identified | None:
    """Return the optimizer of steps that have shares of the weights beside own gradients."""
    exact = course(draft.history, layout, draft.gradients_at)
    idle = idle_tensors(exact)
    moving = [key for key in exact.parts if key not in idle]
    found = decay.decayed(exact.only(moving), [(1.0, draft.words)]) if moving else None
    return None if found is None else draft.following(found[0], others=found[1], idle=idle)


def of_own_at_changing_rates(draft: Identified, layout: Layout) -> Identified | None:
    """Return an optimizer with a state whose rate changes by a formula, by own gradients."""
    exact = course(draft.history, layout, draft.gradients_at)
    idle = idle_tensors(exact)
    moving = [key for key in exact.parts if key not in idle]
    found = free_rates.at_changing_rates(exact.only(moving)) if moving else None
    return None if found is None else replace(draft, rule=found[0], formula=found[1], idle=idle)


def of_most(draft: Identified, layout: Layout) -> Identified | None:
    """Return the rule that most of the tensors follow by the user's own gradients, if one is."""
    exact, usual = course(draft.history, layout, draft.gradients_at), [(1.0, draft.words)]
    moving = [key for key in exact.parts if key not in draft.idle]
    return _by_tensor(draft, exact.only(moving), usual) if moving else None


def _looking_ahead(
    draft: Identified, kind: LossKind, layout: Layout, usual: Factors
) -> Identified | None:
    """Return momentum with the gradient at look-ahead weights, if the steps follow that."""
    ahead = look_ahead.find(draft.history, layout, kind)
    if ahead is None:
        return None
    likely = min(usual, key=lambda pair: abs(pair[0] - ahead.factor))
    same = draft.own or abs(likely[0] - ahead.factor) <= 1e-9 * abs(ahead.factor)
    words = likely[1] if same else f"times {ahead.factor:.7g}"
    return replace(draft, factor=1.0 if draft.own else ahead.factor, words=words, ahead=ahead)


def _wrong_below(draft: Identified, kind: LossKind, layout: Layout) -> Identified | None:
    """Return the optimizer of steps that are given wrong gradients below the output layer.

    That layer tells the rule. The deltas may be propagated through weights that are updated.
    """
    probe = draft.history[0].probe
    # In float32 what divides by a root follows too much: there is room for another gradient in it.
    if probe.dtype != np.float64:
        return None
    plan, usual = probe.plan, reductions(kind, len(probe.x), probe.y.shape[1])
    top = [key for key in layout.keys if key.layer == plan.depth - 1]
    for output in output_variants(kind, plan.activations[-1]):
        at = of_output(output)
        if output.bug is not None and not _downhill(draft.history[0], layout, at):
            continue
        whole = course(draft.history, layout, at)
        for some in [top, *([key] for key in top)] if len(top) > 1 else [top]:
            alone = whole.only(some)
            found = rule_of(alone, usual, right=True)
            if found is None:
                continue
            rule, factor, _ = found
            # Errors that are zero but for rounding have any steps for a multiple.
            if not any(abs(abs(factor) - number) <= 1e-6 * number for number, _ in usual):
                continue
            one = draft.following(found)
            if output.bug is None and some is top and _of_updated(one, kind, layout):
                return replace(one, updated=True)
            below = Below(draft.history, layout, kind, rule, factor, output)
            mistakes = below.mistakes()
            if mistakes:
                return replace(one, mistakes=mistakes)
    return None


def _of_updated(draft: Identified, kind: LossKind, layout: Layout) -> bool:
    """Return whether the deltas of all steps are propagated through updated weights."""
    history = [
        replace(taken, probe=replace(taken.probe, after=layout.unpack(taken.after)))
        for taken in draft.history
    ]
    assert draft.rule is not None
    return course(history, layout, of_updated(kind, draft.factor)).follows(draft.rule)


def _downhill(taken: Taken, layout: Layout, at: GradientsAt) -> bool:
    """Return whether a step goes down all gradients that are not small beside the others.

    From a state of 0 every known rule goes down all of them, and however they are clipped.
    """
    changes, gradients = layout.unpack(taken.change), at(taken.probe)
    for key, g in gradients.items():
        large = np.abs(g.value) > wide(g.rounding) * np.max(np.abs(g.value))
        if g.value.shape != changes[key].shape or np.any((changes[key] * g.value)[large] > 0):
            return False
    return bool(gradients)


@dataclass(frozen=True)
class _Attempt:
    """The steps beside gradients of one kind.

    Attributes:
        draft: What is said of them so far.
        layout: How the weights are read.
        exact: The course of the steps.
        usual: What the gradients are likely multiplied by.
    """

    draft: Identified
    layout: Layout
    exact: Course
    usual: Factors

    def identified(self, declared: DeclaredOptimizer | None) -> Identified | None:
        """Return the optimizer that the steps follow, each array with a state of its own."""
        idle = idle_tensors(self.exact)
        moving = [key for key in self.exact.parts if key not in idle]
        if not moving:
            return None
        if not idle:
            return self._moving(declared)
        draft = replace(self.draft, idle=idle)
        return replace(self, draft=draft, exact=self.exact.only(moving))._moving(declared)

    def _moving(self, declared: DeclaredOptimizer | None) -> Identified | None:
        draft, layout, exact, usual = self.draft, self.layout, self.exact, self.usual
        moving = list(exact.parts)
        if declared is not None and not declared.named and not declared.unchecked:
            reading = Reading(draft, layout, moving, usual)
            fitting = reading.as_declared(declared) or next(
                filter(None, (self._begun(way).declared(declared) for way in self._ways)), None
            )
            if fitting is not None:
                return fitting
            # Of gradients that are known; of a loss that is still open other readings come first.
            departed = reading.as_departed(declared) if draft.own else None
            if departed is not None:
                return departed
        found = rule_of(exact, usual)
        if found is not None:
            return draft.following(found)
        for way in self._ways:
            begun = self._begun(way)
            found = rule_of(begun.exact, usual, right=True)
            if found is not None:
                return begun.draft.following(found)
        clipping = _clipping(draft, layout, moving) if draft.own else None
        if clipping is not None:
            return replace(draft, rule=clipping)
        with_decay = decayed(exact, usual)
        if with_decay is not None:
            found, plain = with_decay
            others: dict[Key, OptimizerRule | None] = {
                k: replace(found[0], weight_decay=0.0) for k in plain
            }
            return draft.following(found, others=others)
        piled = piled_up(exact, usual)
        if piled is not None:
            keys, factor, words = piled
            return draft.following((OptimizerRule("sgd"), factor, words), piled=keys)
        measured = changing_sizes(exact)
        if measured is not None:
            sizes = tuple(size for size, _ in measured)
            factor = 1.0 if draft.own else sizes[0] / exact.rates[0]
            words = draft.words or (draft.kind.name if draft.kind is not None else "")
            formula = rate_formula(measured, exact.rates)
            return replace(draft, sizes=sizes, factor=factor, words=words, formula=formula)
        by_tensor = _by_tensor(draft, exact, usual) if draft.own else None
        # What plain descent leaves open may be a share of the weights, looked for elsewhere.
        open_ = by_tensor is not None and None in by_tensor.others.values()
        rule = None if by_tensor is None else by_tensor.rule
        return None if open_ and rule is not None and rule.kind == "sgd" else by_tensor

    @property
    def _ways(self) -> Sequence[Anew]:
        """What set_weights may start anew of the state, where that can be told at all."""
        return in_part(self.draft.history)

    def _begun(self, way: Anew) -> "_Attempt":
        """Return the same as if ``set_weights`` started that anew."""
        history = started_anew(self.draft.history, way)
        anew = [taken.anew for taken in history]
        draft = replace(self.draft, history=history)
        return replace(self, draft=draft, exact=replace(self.exact, anew=anew))

    def declared(self, declared: DeclaredOptimizer) -> Identified | None:
        """Return the steps read as what is declared, if they follow it."""
        moving = list(self.exact.parts)
        return Reading(self.draft, self.layout, moving, self.usual).as_declared(declared)

    def of_shared_state(self) -> Identified | None:
        """Return the optimizer of steps in which arrays share a state, if they follow one."""

        def followed(alone: Course) -> Found | None:
            return rule_of(alone, self.usual)

        found = shared_state.find(self.exact, self.layout, followed, self.usual)
        if found is None:
            return None
        rule, shared = found[0][0], found[1]
        if rule.kind == "sgd" and not rule.decay:  # which has no state to share
            return None
        return self.draft.following(found[0], shared=shared)

    def of_crossed_state(self) -> Identified | None:
        """Return the optimizer of steps in which an array goes on from another's state."""

        def followed(alone: Course) -> Found | None:
            # Of a loss that is still open all rules would be tried too often.
            if not self.draft.own:
                return descent(alone, self.usual)
            return rule_of(alone, self.usual, right=True)

        found = crossed_state.find(self.exact, self.layout, followed)
        return None if found is None else self.draft.following(found[0], crossed=found[1])


def idle_tensors(whole: Course) -> tuple[Key, ...]:
    """Return the tensors that no step changes, although they have gradients.

    A gradient counts that would show: rate times it is more than the rounding of the weight. (That
    of a bias which cancels in the loss is rounding itself.)
    """
    steps = list(zip(whole.rates, whole.gradients, whole.noise, strict=True))
    return tuple(
        key
        for key, part in whole.parts.items()
        if not any(np.any(change[part]) for change in whole.changes)
        and any(
            np.any(rate * np.abs(g.value[part]) > rate * g.bound[part] + noise[part])
            for rate, g, noise in steps
        )
    )


def _by_tensor(draft: Identified, exact: Course, usual: Factors) -> Identified | None:
    """Return the rule that most of the tensors follow, and what the others do."""
    found = {key: rule_of(alone, usual) for key in exact.parts for alone in [exact.only([key])]}
    rules = [rule for rule in found.values() if rule is not None]
    if not rules:
        return None
    most = max(rules, key=rules.count)
    others = {k: r[0] if r else None for k, r in found.items() if r != most}
    if not others or rules.count(most) == 1 < len(found) - 1:
        return None
    return draft.following(most, others=others)


def clipped_descent(history: Sequence[Taken], layout: Layout) -> Identified | None:
    """Return plain descent with clipping of the gradients of any known loss, if steps follow it."""
    plan, batch = history[0].probe.plan, len(history[0].probe.x)
    for kind in kinds(plan.activations[-1].name):
        if not all(_downhill(taken, layout, of_loss(kind, tracked=False)) for taken in history):
            continue
        draft = Identified(None, kind, 1.0, "", history, of_loss(kind))
        for factor in reductions(kind, batch, plan.sizes[-1]):
            scaled = replace(draft, gradients_at=of_loss(kind, factor=factor[0]), words=factor[1])
            clipping = _clipping(scaled, layout, layout.keys)
            if clipping is not None:
                return replace(draft, rule=clipping, factor=factor[0], words=factor[1])
    return None


def _clipping(draft: Identified, layout: Layout, keys: Sequence[Key]) -> DeclaredOptimizer | None:
    """Return plain descent with the kind of clipping that the steps have, if they have one."""
    for name, limit in _limits(draft, layout):
        clipped = DeclaredOptimizer("SGD", "sgd", {"momentum": 0.0, name: limit})
        if Reading(draft, layout, keys, [(1.0, draft.words)]).as_declared(clipped) is not None:
            return clipped
    return None


def _limits(draft: Identified, layout: Layout) -> Iterator[tuple[str, float]]:
    """Yield the limits that gradients may be clipped to: those that two batches have reached."""
    reached: dict[str, dict[int, float]] = {"global_clipnorm": {}, "clipnorm": {}, "clipvalue": {}}
    for taken in draft.history:
        moved = [c / taken.rate for c in layout.unpack(taken.change).values()]
        whole = np.concatenate([c.ravel() for c in moved])
        sizes = _norm(whole), max(map(_norm, moved)), float(np.max(np.abs(whole)))
        for name, size in zip(reached, sizes, strict=True):
            reached[name][id(taken.probe)] = size
    for name, sizes in reached.items():
        limit = max(sizes.values())
        if sum(size >= limit * (1 - 1e-6) for size in sizes.values()) > 1:
            yield name, limit


def _norm(values: Array) -> float:
    return float(np.linalg.norm(values))
