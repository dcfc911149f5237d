"""In which ways a step may depart from the optimizer that is declared, each with its bug.

A departure is an optimizer of its own: the declared one with one thing otherwise. It is named only
if every step follows it up to rounding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from numpy_impl.schedules import LearningRateSchedule
from parity.bounds.optimizers import CLIPPING
from parity.bounds.updates import RULES
from parity.bounds.updates.rule import Place, UpdateForm
from parity.checking.bugs.optimizers import (
    ACCUMULATOR_START,
    BUGS,
    CLIPPING_KIND,
    DECAY_ENTERS,
    DECAY_MISSING,
    EPSILON_PLACE,
    EPSILON_SIZE,
    MOMENTUM_CONVENTION,
    MOMENTUM_MISSING,
    NESTEROV,
    SCHEDULE_AHEAD,
    SCHEDULE_BEHIND,
    SCHEDULE_COUNT,
)
from parity.checking.bugs.table import Bug
from parity.checking.model.declared_optimizer import Decay, DeclaredOptimizer
from parity.checking.model.rules import EPSILONS, FORMS, PLACES
from parity.checking.model.torch_optimizers import conventions


@dataclass(frozen=True)
class Departure:
    """One thing that is otherwise than declared.

    Attributes:
        bug: What it is,
        found: and what it is here, in words.
        optimizer: The declared optimizer with it.
        is_convention: Whether it is as another library has it, which is no bug.
    """

    bug: Bug
    found: str
    optimizer: DeclaredOptimizer
    is_convention: bool = False

    @property
    def values(self) -> Mapping[str, object]:
        """What the texts of the bug hold open."""
        title = RULES[str(self.optimizer.kind)].title
        return {"optimizer": title, "found": self.found, "times": ""}


def departures(declared: DeclaredOptimizer, steps: int) -> Iterator[Departure]:
    """Yield departures from what is declared, the likelier ones first.

    Args:
        declared: With all its options.
        steps: How many steps are looked at.
    """
    yield from _of_decay(declared)
    yield from _of_momentum(declared)
    yield from of_another_library(declared)
    yield from _of_epsilon(declared)
    yield from _of_clipping(declared)
    yield from _of_schedule(declared, steps)
    if declared.kind == "adagrad":
        for value in (0.0, 0.1, 1.0):
            if value != declared.options["initial_accumulator_value"]:
                other = _with(declared, initial_accumulator_value=value)
                yield Departure(ACCUMULATOR_START, f"{value:g}", other)
    if declared.form != "keras":
        return
    for form in _wrong_forms(declared):
        yield Departure(BUGS[form], FORMS[form], replace(declared, form=form))


def _with(declared: DeclaredOptimizer, **options: Any) -> DeclaredOptimizer:
    return replace(declared, options={**declared.options, **options})


_OF_THE_PAPER = 1e-8
_OF_MOMENTUM: tuple[UpdateForm, ...] = (
    "before", "and-gradient", "nesterov-plus", "raw", "raw-rate", "added", "grows",
)  # fmt: skip
_OF_LION: tuple[UpdateForm, ...] = "m-by-beta_1", "m-by-beta_2", "m-exchanged", "m-first"
_ENTERS: dict[Decay, str] = {
    "before": "decoupled from the gradient, learning rate times it times the weights",
    "coupled": "a part of the gradient, and so of the averages",
    "after": "taken off the weights after the step in place of before it",
    "whatever rate": "taken off without the learning rate",
    "corrected rate": "multiplied by the rate that the bias correction is a part of",
}


def _wrong_forms(declared: DeclaredOptimizer) -> tuple[UpdateForm, ...]:
    known = RULES[str(declared.kind)]
    if declared.kind == "sgd":
        return _OF_MOMENTUM if declared.options.get("momentum") else ()
    if declared.kind == "lion":
        return _OF_LION
    starting: tuple[UpdateForm, ...] = (
        ("from-gradient", "from-one") if declared.kind == "rmsprop" else ()
    )
    return (*known.wrong, *known.rare, *starting)


def _of_decay(declared: DeclaredOptimizer) -> Iterator[Departure]:
    if not declared.options.get("weight_decay"):
        return
    for enters, words in _ENTERS.items():
        corrects = enters != "corrected rate" or declared.kind == "adam"
        if enters != declared.decay and corrects:
            yield Departure(DECAY_ENTERS, words, replace(declared, decay=enters))
    yield Departure(DECAY_MISSING, "", _with(declared, weight_decay=None))


def _of_momentum(declared: DeclaredOptimizer) -> Iterator[Departure]:
    o = declared.options
    if declared.kind != "sgd" or not o.get("momentum"):
        return
    if o.get("nesterov"):
        plain = _with(declared, nesterov=False)
        yield Departure(NESTEROV, "the plain form", replace(plain, form="keras"))
        yield Departure(NESTEROV, "the plain form", replace(plain, form="torch"))
    else:
        yield Departure(NESTEROV, "Nesterov's form", _with(declared, nesterov=True))
        torch = replace(declared, form="torch-nesterov")
        yield Departure(NESTEROV, "Nesterov's form", torch)
    others: tuple[UpdateForm, ...] = ("average", "average-inside", "torch", "keras")
    for form in others:
        if form != declared.form and not o.get("nesterov"):
            words = FORMS.get(form, "the learning rate inside the velocity")
            yield Departure(MOMENTUM_CONVENTION, words, replace(declared, form=form))
    yield Departure(MOMENTUM_MISSING, "", _with(declared, momentum=0.0, nesterov=False))


def _of_epsilon(declared: DeclaredOptimizer) -> Iterator[Departure]:
    if "epsilon" not in declared.options:
        return
    own, kind = declared.options.get("epsilon_place", "keras"), str(declared.kind)
    published = {place for place, _ in conventions(kind)}
    for place in RULES[kind].places:
        if place != own and place not in published:
            yield Departure(EPSILON_PLACE, _place(place), _with(declared, epsilon_place=place))
    for epsilon in EPSILONS:
        if epsilon != declared.options["epsilon"]:
            yield Departure(EPSILON_SIZE, f"{epsilon:g}", _with(declared, epsilon=epsilon))


def of_another_library(declared: DeclaredOptimizer) -> Iterator[Departure]:
    """Yield epsilon where Keras or PyTorch has it, and of the size that is usual.

    That is a default there, or that of Adam's paper (Kingma and Ba 2014), which code written by
    hand has in every rule. Of another size only where the declared one is a default: who gives one
    means that one.
    """
    known, o = conventions(str(declared.kind)), declared.options
    if "epsilon" not in o:
        return
    defaults = list(dict.fromkeys([*(epsilon for _, epsilon in known), _OF_THE_PAPER]))
    own = o.get("epsilon_place", "keras"), o["epsilon"]
    sizes = dict.fromkeys([own[1], *(defaults if own[1] in defaults else [])])
    for place in dict.fromkeys([own[0], *(place for place, _ in known)]):
        for epsilon in sizes:
            if (place, epsilon) == own:
                continue
            words = [_place(place)] if place != own[0] else []
            words += [f"epsilon {epsilon:g}"] if epsilon != own[1] else []
            other = _with(declared, epsilon_place=place, epsilon=epsilon)
            yield Departure(EPSILON_PLACE, ", ".join(words), other, is_convention=True)


def _place(place: str) -> str:
    return PLACES.get(cast(Place, place), "epsilon where Keras has it")


def _of_clipping(declared: DeclaredOptimizer) -> Iterator[Departure]:
    own = next((name for name in CLIPPING if declared.options.get(name)), None)
    if own is None:
        return
    limit, none = declared.options[own], dict.fromkeys(CLIPPING)
    for name in CLIPPING:
        if name != own:
            yield Departure(CLIPPING_KIND, name, _with(declared, **{**none, name: limit}))
    yield Departure(CLIPPING_KIND, "none at all", _with(declared, **none))


class _CountedSteps(LearningRateSchedule):
    """A schedule that counts something else than steps."""

    def __init__(self, schedule: LearningRateSchedule, each: int, first: int) -> None:
        self.schedule, self.each, self.first = schedule, each, first
        self.initial_learning_rate = getattr(schedule, "initial_learning_rate", None)
        self.warmup_target = getattr(schedule, "warmup_target", None)

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        return self.schedule(max(step // self.each + self.first, 0))


class _Compounded(LearningRateSchedule):
    """A schedule whose factor is applied to the rate that it has shrunk already."""

    def __init__(self, schedule: LearningRateSchedule) -> None:
        self.schedule = schedule
        self.initial_learning_rate = getattr(schedule, "initial_learning_rate", None)
        self.warmup_target = None

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        start = self.schedule(0)
        factors = [self.schedule(number) / start for number in range(1, step + 1)] if start else []
        return start * float(np.prod(factors))


def _of_schedule(declared: DeclaredOptimizer, steps: int) -> Iterator[Departure]:
    schedule = declared.schedule
    if schedule is None:
        return
    for bug, first in ((SCHEDULE_AHEAD, 1), (SCHEDULE_BEHIND, -1)):
        yield Departure(bug, "", replace(declared, schedule=_CountedSteps(schedule, 1, first)))
    for each in range(2, steps):
        words = f"it is counted on once in {each} steps (epochs?)"
        yield Departure(
            SCHEDULE_COUNT, words, replace(declared, schedule=_CountedSteps(schedule, each, 0))
        )
    words = "what has decayed decays again at each step, and so it compounds"
    yield Departure(SCHEDULE_COUNT, words, replace(declared, schedule=_Compounded(schedule)))
    yield Departure(SCHEDULE_COUNT, "the rate stays as it is", replace(declared, schedule=None))
