"""Steps beside the optimizer that is meant, taken while the line that is wrong is searched."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.updates import RULES
from parity.checking.asking.gradients import COURSE_RATE, LEARNING_RATE, OTHER_RATE, Taken
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.optimizers import STEP_LINE
from parity.checking.bugs.table import Bug, Severity
from parity.checking.explain.steps.course import Course, course, noise_of, selected, within
from parity.checking.explain.steps.declared import forms
from parity.checking.explain.steps.departures import of_another_library
from parity.checking.explain.steps.identified import Identified
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Layout
from parity.checking.model.probe import Probe
from parity.checking.model.rules import EPSILONS, OptimizerRule, Update, adaptive

# The steps of a first look: on which probe, and at which learning rate. As few as these, and no
# more than until the user's own are wrong.
_FIRST = ((0, LEARNING_RATE), (1, LEARNING_RATE), (0, OTHER_RATE), (1, LEARNING_RATE))
_LONGER = tuple((number, LEARNING_RATE) for number in range(2, 12))
# A change is confirmed on probes from these numbers on: by steps from weights that are set, and by
# so many that go on from where they are. Those rates are small, so that no training runs away.
_DRAWS, _MORE = (20, 22), 6
# What people set a momentum to. Given by its name alone it may be any.
_MOMENTA = (0.9, 0.5, 0.99)
_OF_MOMENTUM = ("keras", "torch", "nesterov", "torch-nesterov")
# Of epsilon the usual sizes, where an optimizer is given by its name alone.
_USUAL_EPSILONS = EPSILONS[:3]


class OfOptimizer:
    """The user's steps beside those of the optimizer that is meant.

    It is a trial of the search for a change. Every run begins with the state from before the check.

    Args:
        subject: The user's code.
        layout: How the weights are read.
        draft: Says which gradients the steps are given: right ones.
        stated: The optimizer that is meant.
        draw: Returns weights and samples by their number.
        back: Makes all that the user's code keeps as it was before its first step.

    Attributes:
        names: Of the user's arrays.
        agreement: Which optimizer the steps were when they were confirmed last, in words.
    """

    of_steps, measures = True, False
    # A step is confirmed as a whole: of a change with which some arrays are right nothing is known.
    bug = STEP_LINE
    bug_in_part: Bug | None = None

    def __init__(
        self, subject: Subject, layout: Layout, draft: Identified, stated: DeclaredOptimizer,
        draw: Callable[[int], Probe], back: Callable[[], None],
    ) -> None:  # fmt: skip
        self._subject, self._layout, self._draft = subject, layout, draft
        self._stated, self._draw, self._back = stated, draw, back
        self._dtype = lowest(*(array.dtype for array in subject.weights()))
        self._look(_FIRST)
        for more in range(1, len(_LONGER) + 1):
            if not all(self.fits(self.values())):
                break
            self._look((*_FIRST, *_LONGER[:more]))
        self.names = [subject.names[layout.place(key)] for key in self._parts]
        self.agreement = ""
        own = [v for v in stated.options.values() if type(v) is float]
        self.numbers: Sequence[float] = list(dict.fromkeys(n for v in own for n in (v, 1 - v)))
        self._gradients = self.loss()

    def _look(self, plan: Sequence[tuple[int, float]]) -> None:
        """Let a first look be at steps on these probes, at these learning rates."""
        probes = {number: self._draw(number) for number, _ in plan}
        self._plan = [(probes[number], self._subject.rate(rate)) for number, rate in plan]
        history = [
            Taken(probe, rate, [np.zeros_like(a) for a in probe.arrays], [])
            for probe, rate in self._plan
        ]
        # What is meant does not depend on what the user's step does, from weights that are set.
        self._meant = [
            list(whole.run(rule, [1.0] * len(plan))) for whole, rule in self._readings(history)
        ]
        whole = course(history, self._layout, self._draft.gradients_at)
        self._parts, self._weights = whole.parts, whole.weights
        self._own: list[Array] = []

    def repeats(self) -> bool:
        """Return whether steps are wrong, and the same again, so that trials can be compared."""
        one, other = self.values(), self.values()
        same = all(alike(a, b) for a, b in zip(one, other, strict=True))
        self._own = []  # the search watches all steps when it first asks
        return same and not all(self.fits(one))

    def values(self) -> list[Array]:
        """Return what each step changes, from weights that are set, and a state of 0.

        Once all are wrong the later ones are not taken; those of the user's own code stand there.
        """
        self._back()
        changes: list[Array] = []
        fitting = self._all_fitting()
        for k, (probe, rate) in enumerate(self._plan):
            if self._own and not fitting.any():
                changes.append(self._own[k])
                continue
            self._subject.set_weights(probe.arrays)
            changed, _ = self._step(probe, rate)
            changes.append(selected(self._layout.unpack(changed), self._parts))
            fitting &= self._fitting(k, changes[-1])
        if not self._own:
            self._own = changes
        return [np.concatenate([c[part] for c in changes]) for part in self._parts.values()]

    def fits(self, values: Sequence[Array], share: float = 0.0) -> list[bool]:
        """Return of which arrays all changes are those of what is meant."""
        fitting = self._all_fitting()
        for k in range(len(self._plan)):
            parts = [np.split(value, len(self._plan))[k] for value in values]
            fitting &= self._fitting(k, np.concatenate(parts))
        return [bool(yes) for yes in max(fitting, key=np.count_nonzero)]

    def loss(self) -> Any:
        """Call for the gradients alone: they are right."""
        probe, _ = self._plan[0]
        self._subject.set_weights(probe.arrays)
        found = self._subject.gradients(probe.form.x(probe.x), probe.form.y(probe.y))
        return np.concatenate([g.ravel() for g in found if g is not None])

    def confirmed(self) -> list[bool]:
        """Return whether steps on other draws are those of what is meant: of all arrays, or none.

        Gradients have to be as before.
        """
        same = alike(self.loss(), self._gradients)
        right = same and all(self._is_meant(number) for number in _DRAWS)
        return [right] * len(self.names)

    def settle(self, put_back: Callable[[], None]) -> None:
        """Find nothing out: weights are set for every step."""

    def fits_its_own_loss(self) -> list[bool]:
        """Return that none is: gradients are right as they are."""
        return [False] * len(self.names)

    def elsewhere(self, right: Sequence[bool]) -> list[bool] | None:
        """Return None: what a step makes of gradients does not depend on the batch."""
        return None

    def _all_fitting(self) -> Array:
        return np.ones((len(self._meant), len(self._parts)), bool)

    def _fitting(self, k: int, change: Array) -> Array:
        """Return which arrays' changes of a step are those of each form that is meant."""
        noise = noise_of(self._dtype, change, self._weights[k])
        rows: list[list[Any]] = []
        for steps in self._meant:
            right = within(change, steps[k], noise)
            rows.append([np.all(right[part]) for part in self._parts.values()])
        return np.array(rows)

    def _step(self, probe: Probe, rate: float) -> tuple[list[Array], list[Array]]:
        """Take a step from where the weights are; return what it changes, and the weights then."""
        self._subject.step(probe.form.x(probe.x), probe.form.y(probe.y), rate)
        after = self._subject.weights()
        pairs = zip(after, probe.arrays, strict=True)
        return [(now - was).astype(now.dtype) for now, was in pairs], after

    def _is_meant(self, number: int) -> bool:
        """Return whether steps from a draw on are those of what is meant."""
        self._back()
        first, second = self._draw(number), self._draw(number + 1)
        taken: list[Taken] = []
        rate = self._subject.rate
        for probe, asked in ((first, LEARNING_RATE), (second, OTHER_RATE), (first, COURSE_RATE)):
            self._subject.set_weights(probe.arrays)
            taken.append(Taken(probe, rate(asked), *self._step(probe, asked)))
        for k in range(_MORE):
            batch, after = (second, first)[k % 2], taken[-1].after
            probe = replace(batch, arrays=after, weights=self._layout.unpack(after))
            taken.append(Taken(probe, rate(COURSE_RATE), *self._step(probe, COURSE_RATE)))
        if not all(np.all(np.isfinite(array)) for one in taken for array in one.after):
            return False
        for whole, rule in self._readings(taken):
            if whole.follows(rule):
                self.agreement = f"every step is {rule.words} up to rounding"
                return True
        return False

    def _readings(self, history: Sequence[Taken]) -> Iterator[tuple[Course, Update]]:
        """Yield the steps beside all that is called right: conventions are no bugs."""
        draft, stated = replace(self._draft, history=history), self._stated
        if stated.named:
            whole = course(history, self._layout, draft.gradients_at)
            yield from ((whole, rule) for rule in _usual(stated))
            return
        for one in (stated, *(other.optimizer for other in of_another_library(stated))):
            yield from ((whole, rule) for whole, rule, _ in forms(draft, self._layout, one))


def _usual(stated: DeclaredOptimizer) -> Iterator[OptimizerRule]:
    """Yield an optimizer that is given by its name alone, with usual settings."""
    if stated.kind == "sgd":
        forms = product(_OF_MOMENTUM, _MOMENTA)
        moving = bool(stated.options.get("momentum"))
        yield from (OptimizerRule("sgd", form, mu) for form, mu in forms if moving)
        yield from [] if moving else [OptimizerRule("sgd")]
        return
    for rule in adaptive(right=True):
        if rule.kind == stated.kind:
            for place, epsilon in product(RULES[rule.kind].places, _USUAL_EPSILONS):
                yield replace(rule, place=place, epsilon=epsilon)


def with_its_line(
    known: list[Finding], subject: Subject, layout: Layout, draft: Identified,
    stated: DeclaredOptimizer | None, draw: Callable[[int], Probe], back: Callable[[], None],
    search: Callable[[OfOptimizer, Subject, list[Finding]], list[Finding]],
) -> list[Finding]:  # fmt: skip
    """Return the one change with which steps are what is meant; what is known, if there is none.

    It is searched for where a step is not what is declared, and no bug of the table says why.

    Args:
        known: What is wrong with the step.
        subject: As of :class:`OfOptimizer`, and so are the next ones.
        layout: How the weights are read.
        draft: Which gradients the steps are given.
        stated: The declared optimizer, if there is one.
        draw: Returns weights and samples.
        back: Puts back what the user's code keeps.
        search: Searches by a trial.
    """
    if stated is None or stated.kind is None or stated.unchecked or subject.placing.interrupts:
        return known
    if not known or not all(finding.bug.symptom for finding in known):
        return known
    try:
        trial = OfOptimizer(subject, layout, draft, stated, draw, back)
        if not trial.repeats():
            return known
        found = search(trial, subject, known)
        # With all options stated, and a state that is new, a line that mends the step is wrong.
        sure = subject.renew is not None and not stated.named
        return found if sure else _as_sure(found, known)
    except TheirError:
        return known
    finally:
        back()


def _as_sure(findings: Sequence[Finding], known: Sequence[Finding]) -> list[Finding]:
    """Return a line that was found, as sure as what was known before it was searched.

    Of an optimizer that is given by its name alone the settings are open, and what differs from the
    usual ones may be meant; and a state may be from before the check.
    """
    unsure = Severity.UNCERTAIN
    if not all(finding.follows is unsure for finding in known):
        return [*findings]
    return [replace(finding, severity=unsure) for finding in findings]
