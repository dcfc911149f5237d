"""Which optimizer is inside a step, is it the declared one, and what is wrong with it?

Every step taken so far has to follow it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.gradients import Direct, Taken
from parity.checking.bugs.outputs import output_variants
from parity.checking.explain.steps import (
    crossed_state,
    decay,
    free_rates,
    look_ahead,
    shared_state,
)
from parity.checking.explain.steps.below import Below, Mistake
from parity.checking.explain.steps.course import (
    Course,
    Gradients,
    GradientsAt,
    course,
    of_loss,
    of_output,
    of_source,
    of_updated,
)
from parity.checking.explain.steps.departures import (
    Departure,
    departures,
    of_another_library,
)
from parity.checking.explain.steps.followed_rule import (
    Factors,
    Found,
    RateFormula,
    changing_sizes,
    decayed,
    descent,
    piled_up,
    rate_formula,
    rule_of,
)
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, kinds, reductions
from parity.checking.model.probe import Probe, wide
from parity.checking.model.rules import OptimizerRule


@dataclass(frozen=True)
class Identified:
    """The optimizer, and the loss whose gradients it is given.

    Attributes:
        rule: The optimizer; None where the steps are the gradients at changing rates.
        kind: The loss; None where gradients are the user's own and their loss is not known.
        factor: On its summed form, or on the user's own gradients.
        words: The reduction.
        history: The steps that follow it.
        gradients_at: What it is given, but for the factor.
        own: Whether the gradients are the user's own.
        declared: Whether it is the declared one with all its options.
        idle: Tensors that the steps leave as they are.
        others: Tensors with another rule than the most, None for one that is not known.
        sizes: How many times its gradient each step goes down, where that changes.
        formula: By which formula that changes, if it is one that is known.
        multiples: Of the learning rate of each step, where a schedule gives it.
        shared: What shares one state, though each should have its own.
        ahead: Momentum whose gradients are taken at other weights; there is no rule then.
        piled: Tensors whose gradients pile up from step to step, as nothing sets them to zero.
        updated: Whether the deltas are propagated through weights that are updated already.
        mistakes: In the gradients that the rule is given, below the output layer.
        departure: What is otherwise than declared; the rule has it.
        crossed: Which tensor goes on from another's state.
    """

    rule: OptimizerRule | DeclaredOptimizer | None
    kind: LossKind | None
    factor: float
    words: str
    history: Sequence[Taken]
    gradients_at: GradientsAt
    own: bool = False
    declared: bool = False
    idle: tuple[Key, ...] = ()
    others: dict[Key, OptimizerRule | None] = field(default_factory=dict[Key, OptimizerRule | None])
    sizes: tuple[float, ...] = ()
    formula: RateFormula | None = None
    multiples: tuple[float, ...] = ()
    shared: shared_state.Shared | None = None
    ahead: look_ahead.LookAhead | None = None
    piled: tuple[Key, ...] = ()
    updated: bool = False
    mistakes: Sequence[Mistake] = ()
    departure: Departure | None = None
    crossed: crossed_state.Crossed | None = None

    @property
    def misled(self) -> bool:
        """Whether the rule is given wrong gradients."""
        return self.updated or bool(self.mistakes)

    def following(self, found: Found, **more: Any) -> "Identified":
        """Return this with the rule that is followed, and what else is known of it."""
        rule, factor, words = found
        return replace(self, rule=rule, factor=factor, words=words, **more)


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
        quick = course(history, layout, of_loss(kind, tracked=False))
        exact = course(history, layout, draft.gradients_at)
        usual = reductions(kind, batch, plan.sizes[-1])
        attempt = _Attempt(draft, layout, quick, exact, usual)
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
    attempt = _Attempt(draft, layout, whole, whole, [(1.0, draft.words)])
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
            found = rule_of(alone, alone, usual, right=True)
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


def of_any_loss(
    history: Sequence[Taken],
    layout: Layout,
    declared: DeclaredOptimizer | None,
    losses: Sequence[LossKind] = (),
) -> Identified | None:
    """Return the steps read as what is declared, or as one departure from it, by some loss."""
    plan, batch = history[0].probe.plan, len(history[0].probe.x)
    # In float32 what divides by a root follows too much to be read of any loss.
    single = history[0].probe.dtype != np.float64
    if declared is None or declared.named or declared.unchecked or single:
        return None
    for read in (as_declared, as_departed):
        for kind in losses or kinds(plan.activations[-1].name):
            draft = Identified(None, kind, 1.0, "", history, of_loss(kind))
            usual = reductions(kind, batch, plan.sizes[-1])
            found = read(draft, layout, declared, layout.keys, usual)
            if found is not None:
                return found
    return None


def as_departed(
    draft: Identified,
    layout: Layout,
    declared: DeclaredOptimizer,
    keys: Sequence[Key],
    usual: Factors,
) -> Identified | None:
    """Return the steps read as the declared optimizer's with one thing otherwise, if it is that.

    With epsilon where and as another library has it, too, which is no bug, another thing may be.
    """
    if declared.kind is None:
        return None
    others = [each.optimizer for each in of_another_library(declared)]
    for optimizer in (declared, *others):
        for departure in departures(optimizer, len(draft.history)):
            if departure.is_convention and optimizer is not declared:
                continue
            found = as_declared(draft, layout, departure.optimizer, keys, usual)
            if found is not None:
                return replace(found, declared=False, departure=departure)
    return None


@dataclass(frozen=True)
class _Attempt:
    """The steps beside gradients of one kind.

    Attributes:
        draft: What is said of them so far.
        layout: How the weights are read.
        quick: The course of the steps with gradients without bounds, and
        exact: with bounds.
        usual: What the gradients are likely multiplied by.
    """

    draft: Identified
    layout: Layout
    quick: Course
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
        quick, exact = self.quick.only(moving), self.exact.only(moving)
        return replace(self, draft=draft, quick=quick, exact=exact)._moving(declared)

    def _moving(self, declared: DeclaredOptimizer | None) -> Identified | None:
        draft, layout, exact, usual = self.draft, self.layout, self.exact, self.usual
        moving = list(exact.parts)
        if declared is not None and not declared.named and not declared.unchecked:
            fitting = as_declared(draft, layout, declared, moving, usual)
            if fitting is not None:
                return fitting
            # Of gradients that are known; of a loss that is still open other readings come first.
            departed = as_departed(draft, layout, declared, moving, usual) if draft.own else None
            if departed is not None:
                return departed
        found = rule_of(self.quick, exact, usual)
        if found is not None:
            return draft.following(found)
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

    def of_shared_state(self) -> Identified | None:
        """Return the optimizer of steps in which arrays share a state, if they follow one."""

        def followed(alone: Course) -> Found | None:
            return rule_of(self.quick.only(list(alone.parts)), alone, self.usual)

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
            return rule_of(self.quick.only(list(alone.parts)), alone, self.usual, right=True)

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


def as_declared(
    draft: Identified,
    layout: Layout,
    declared: DeclaredOptimizer,
    keys: Sequence[Key],
    usual: Factors,
) -> Identified | None:
    """Return the steps read as the declared optimizer's, if they follow it with all its options."""
    if declared.kind is None:
        return None
    # Most parts at the first step, and all of them take many times as long to compute.
    begun = replace(draft, history=draft.history[:1])
    for factor, words in usual:
        first = forms(begun, layout, declared, factor)
        if not any(part.only(keys).follows(rule) for part, rule, _ in first):
            continue
        for whole, rule, multiples in forms(draft, layout, declared, factor):
            if whole.only(keys).follows(rule):
                return replace(
                    draft, rule=rule, factor=factor, words=words, declared=True,
                    multiples=multiples,
                )  # fmt: skip
    return None


def forms(
    draft: Identified, layout: Layout, declared: DeclaredOptimizer, factor: float = 1.0
) -> Iterator[tuple[Course, DeclaredOptimizer | OptimizerRule, tuple[float, ...]]]:
    """Yield the steps beside what is declared, in each form that this may have.

    With the course stand the rule, and the multiples of the learning rates that its schedule gives.
    """
    whole = declared_course(draft, layout, declared, factor)
    for multiples in declared.rates(whole.rates):
        yield whole.at_rates(multiples), declared, tuple(multiples)
    # At a constant rate it is the same whether the velocity has the rate in it.
    if declared.plain_momentum:
        yield whole, declared.at_one_rate(), ()


def declared_course(
    draft: Identified, layout: Layout, declared: DeclaredOptimizer, factor: float
) -> Course:
    """Return the steps with the gradients clipped as declared."""

    def at(probe: Probe) -> Gradients:
        gradients = draft.gradients_at(probe)
        if factor != 1:
            gradients = {key: g * factor for key, g in gradients.items()}
        return declared.clipped(gradients) if declared.clips else gradients

    return course(draft.history, layout, at)


def _by_tensor(draft: Identified, exact: Course, usual: Factors) -> Identified | None:
    """Return the rule that most of the tensors follow, and what the others do."""
    found = {
        key: rule_of(alone, alone, usual) for key in exact.parts for alone in [exact.only([key])]
    }
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
        if as_declared(draft, layout, clipped, keys, [(1.0, draft.words)]) is not None:
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
