"""Do steps follow the optimizer that is declared, with all its options or one of them otherwise?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from numpy_impl.types import Array
from parity.bounds.optimizers import CLIPPING
from parity.checking.asking.gradients import Anew, Taken
from parity.checking.bugs.optimizers import RATE_OTHER
from parity.checking.explain.steps.course import Course, Gradients, course, of_loss
from parity.checking.explain.steps.departures import Departure, departures, of_another_library
from parity.checking.explain.steps.followed_rule import Factors
from parity.checking.explain.steps.identified import Identified
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, kinds, reductions
from parity.checking.model.probe import Probe
from parity.checking.model.rules import OptimizerRule

_AVERAGES = ("beta_1", "momentum")
# A course, the rule that it may follow, and what a schedule multiplies the learning rates by.
Form = tuple[Course, DeclaredOptimizer | OptimizerRule, tuple[float, ...]]


class Reading:
    """Reads steps beside one kind of gradients as those of declared optimizers.

    Args:
        draft: The steps, and what is said of them so far.
        layout: How the weights are read.
        keys: The tensors that are looked at.
        usual: What the gradients may be multiplied by.
    """

    def __init__(
        self, draft: Identified, layout: Layout, keys: Sequence[Key], usual: Factors
    ) -> None:
        self._draft = draft
        self._layout = layout
        self._keys = keys
        self._usual = usual
        self._made: dict[tuple[float | None, ...], tuple[list[Course], Array]] = {}

    def as_declared(self, declared: DeclaredOptimizer) -> Identified | None:
        """Return the steps read as an optimizer's, if they follow it with all its options."""
        if declared.kind is None:
            return None
        # Most part at the first step, and all of them take many times as long to compute.
        begun, gradients = self._begun(declared)
        fitting = [one.begins_as(rule, gradients) for one, rule, _ in _in_forms(begun[0], declared)]
        usual = zip(begun, self._usual, strict=True)
        for first, (factor, words) in compress(usual, np.any(fitting, axis=0)):
            if not any(one.follows(rule) for one, rule, _ in _in_forms(first, declared)):
                continue
            for whole, rule, multiples in forms(self._draft, self._layout, declared, factor):
                if whole.only(self._keys).follows(rule):
                    return replace(
                        self._draft, rule=rule, factor=factor, words=words, declared=True,
                        multiples=multiples,
                    )  # fmt: skip
        return None

    def as_departed(self, declared: DeclaredOptimizer) -> Identified | None:
        """Return the steps read as an optimizer's with one thing otherwise, if they are.

        With epsilon where and as another library has it, too, which is no bug, another thing may
        be.
        """
        if declared.kind is None:
            return None
        others = [each.optimizer for each in of_another_library(declared)]
        for optimizer in (declared, *others):
            found = self._at_another_rate(optimizer)
            if found is not None:
                return found
            for departure in departures(optimizer, len(self._draft.history)):
                if departure.is_convention and optimizer is not declared:
                    continue
                found = self.as_declared(departure.optimizer)
                if found is not None:
                    return replace(found, declared=False, departure=departure)
        return None

    def _at_another_rate(self, declared: DeclaredOptimizer) -> Identified | None:
        """Return the same, where a step's own learning rate is another than was said of it."""
        first = self._draft.history[0]
        # What gradients are multiplied by has to be known.
        if not (self._draft.own and first.keeps_rate) or declared.schedule is not None:
            return None
        begun = self._begun(declared)[0][0]
        (expected,) = begun.run(declared, [1.0])
        size = float(np.vdot(expected.value, expected.value))
        times = float(np.vdot(begun.changes[0], expected.value)) / size if size else 0.0
        rate = float(f"{times * first.rate:.6g}")
        # That many times as long are the steps of an average whose new share is 1, too.
        averages = (1 / (1 - (declared.options.get(name) or 0.0)) for name in _AVERAGES)
        if times <= 0 or any(abs(times - usual) <= 1e-6 * usual for usual in averages):
            return None
        found = self.as_declared(replace(declared, times=rate / first.rate))
        if found is None:
            return None
        departure = Departure(RATE_OTHER, f"{rate:g} in place of {first.rate:g}", declared)
        return replace(found, declared=False, departure=departure)

    def _begun(self, declared: DeclaredOptimizer) -> tuple[list[Course], Array]:
        """Return the first step at each factor, and in rows the gradients, clipped as declared."""
        limits = tuple(declared.options.get(name) for name in CLIPPING)
        if limits not in self._made:
            begun = replace(self._draft, history=self._draft.history[:1])
            first = [
                declared_course(begun, self._layout, declared, factor).only(self._keys)
                for factor, _ in self._usual
            ]
            self._made[limits] = first, np.stack([one.gradients[0].value for one in first])
        return self._made[limits]


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
    every = losses or kinds(plan.activations[-1].name)
    sources = [of_loss(kind) for kind in every]

    def readings(steps: Sequence[Taken]) -> Iterator[Reading]:
        for kind, source in zip(every, sources, strict=True):
            draft = Identified(None, kind, 1.0, "", steps, source)
            usual = reductions(kind, batch, plan.sizes[-1])
            yield Reading(draft, layout, layout.keys, usual)

    ordinary = list(readings(history))
    begun = (started_anew(history, way) for way in in_part(history))
    partly = (reading for steps in begun for reading in readings(steps))
    tries = (
        *((Reading.as_declared, reading) for reading in (*ordinary, *partly)),
        *((Reading.as_departed, reading) for reading in ordinary),
    )
    return next(filter(None, (read(reading, declared) for read, reading in tries)), None)


def in_part(history: Sequence[Taken]) -> Sequence[Anew]:
    """Return what set_weights may start anew of the state, if some steps went on without it.

    An optimizer that keeps its averages by the identity of the arrays starts these anew where
    set_weights puts others in their place, and counts its steps on.
    """
    begun = [taken for taken in history if taken.on_set and not taken.anew]
    goes_on = any(not (taken.on_set or taken.anew) for taken in history)
    return ("averages", "count") if begun and goes_on else ()


def started_anew(history: Sequence[Taken], way: Anew) -> list[Taken]:
    """Return the steps as if ``set_weights`` started that anew of the state."""
    return [replace(taken, anew=way) if taken.on_set else taken for taken in history]


def forms(
    draft: Identified, layout: Layout, declared: DeclaredOptimizer, factor: float = 1.0
) -> Iterator[Form]:
    """Yield the steps beside what is declared, in each form that this may have."""
    return _in_forms(declared_course(draft, layout, declared, factor), declared)


def _in_forms(whole: Course, declared: DeclaredOptimizer) -> Iterator[Form]:
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
