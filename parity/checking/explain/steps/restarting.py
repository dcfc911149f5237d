"""Does ``set_weights`` start the optimizer anew, and can weights be handed over without it?

A network that is made anew from the weights it is given has a new optimizer, too. Steps with
``set_weights`` before each of them then are first steps all, and say nothing of the state.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.gradients import COURSE_RATE, LEARNING_RATE, OTHER_RATE, Step, Taken
from parity.checking.asking.nested import same
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.model.layout import Layout
from parity.checking.model.probe import Probe

# Two steps are another where they differ by this share: weights that are set may be rounded.
_DIFFERENT = {np.dtype(np.float64): 1e-6}
_DIFFERENT_ROUGHLY = 1e-3
# By how much answers may be apart where set_weights rounds to a precision that a step does not.
_ROUNDED = 1e-4
# Learning rates of the steps one after the other, from weights that are set. The first three tell
# a momentum; then it changes, as a velocity may have it inside or outside.
_COURSES = (
    (OTHER_RATE, OTHER_RATE, OTHER_RATE, COURSE_RATE, COURSE_RATE, COURSE_RATE),
    (LEARNING_RATE, COURSE_RATE, COURSE_RATE, COURSE_RATE),
)


def by_set_weights(subject: Subject, probe: Probe, other: Probe, layout: Layout) -> bool:
    """Return whether ``set_weights`` starts anew what a step keeps, and note what can be done.

    Steps have been equal so far, with ``set_weights`` before each. A step that goes on from where
    the one before has led is compared with one from the same weights that are set.

    Args:
        subject: The user's code; its ``placing`` is changed.
        probe: Weights and a batch.
        other: Another batch.
        layout: How the weights are read.
    """
    if subject.placing.in_place or not subject.history:
        return False
    before = len(subject.history)
    step = Step(subject, OTHER_RATE)
    try:
        here = _further(subject.history[-1], other, layout)
        if here is None:
            return False
        going_on, from_set = step.change(here, reset=False), step.change(here)
        if not _differ(going_on, from_set, here):
            return False
        there = _further(subject.history[-1], other, layout)
        carried = None if there is None else _answers(subject, there)
        if there is None or carried is None:
            del subject.history[before:]
            return False
        subject.set_weights(there.arrays)
        answers = _answers(subject, there)
        share = 0.0 if same(subject.weights(), there.arrays) else _ROUNDED
    except TheirError:
        del subject.history[before:]
        return False
    # What set_weights starts anew may be in the network: a recurrent state, a generator.
    if answers is None or not _alike(carried, answers, share):
        del subject.history[before:]
        return False
    subject.placing.restarts = True
    after = subject.history[-1].after
    subject.placing.in_place = _writes(subject, (probe, other), here, after, there, answers, share)
    return True


def go_on(subject: Subject, probe: Probe, other: Probe, layout: Layout) -> None:
    """Take some steps from where the weights are: ``set_weights`` may start a part anew."""
    step = Step(subject, COURSE_RATE)
    for batch in (other, probe, other):
        further = _further(step.taken[-1], batch, layout)
        if further is None:
            return
        step.change(further, reset=False)


def take_steps(subject: Subject, probe: Probe, other: Probe, layout: Layout) -> None:
    """Take steps one after the other, from weights that are set: twice, and no more often."""
    for first, rates in zip((probe, other), _COURSES, strict=True):
        batches = (other, probe) if first is probe else (probe, other)
        step, now = Step(subject), first
        for k, rate in enumerate(rates):
            step.rate = rate
            step.change(now, reset=k == 0)
            further = _further(step.taken[-1], batches[k % 2], layout)
            if further is None:
                return
            now = further


def _further(taken: Taken, batch: Probe, layout: Layout) -> Probe | None:
    """Return a batch at the weights that a step has left; None where they are not usable."""
    after, shapes = taken.after, list(layout.shapes)
    if [a.shape for a in after] != shapes or not all(np.all(np.isfinite(a)) for a in after):
        return None
    return replace(batch, arrays=after, weights=layout.unpack(after))


def _differ(going_on: Sequence[Array], from_set: Sequence[Array], here: Probe) -> bool:
    """Return whether two steps are more apart than rounding puts them."""
    dtype = lowest(here.dtype, *(c.dtype for c in from_set))
    share, unit = _DIFFERENT.get(dtype, _DIFFERENT_ROUGHLY), float(np.finfo(dtype).eps)
    for a, b, w in zip(going_on, from_set, here.arrays, strict=True):
        size = max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
        if np.any(np.abs(a - b) > share * size + 16 * unit * (2 * np.abs(w) + size)):
            return True
    return False


def _answers(subject: Subject, probe: Probe) -> list[Array | None] | None:
    """Return outputs and gradients at the weights that are there; None where there are none."""
    found: list[Array | None] = []
    x, y = probe.form.x(probe.x), probe.form.y(probe.y)
    with suppress(TheirError):
        found += [] if subject.candidate.forward is None else subject.forward(x)
    with suppress(TheirError):
        found += [] if subject.candidate.gradients is None else subject.gradients(x, y)
    return found or None


def _alike(some: Sequence[Array | None], others: Sequence[Array | None], share: float) -> bool:
    """Return whether arrays are equal, or up to a share of the largest number of each."""
    return len(some) == len(others) and all(
        a is b or (a is not None and b is not None and (alike(a, b) or _near(a, b, share)))
        for a, b in zip(some, others, strict=True)
    )


def _near(a: Array, b: Array, share: float) -> bool:
    room = share * np.max(np.abs(a), initial=0.0)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= room))


def _writes(
    subject: Subject, others: Sequence[Probe], here: Probe, after: Sequence[Array], there: Probe,
    answers: Sequence[Array | None], share: float,
) -> bool:  # fmt: skip
    """Return whether weights written into the user's arrays are those that all of it computes by.

    From a new state a step has to be the same as after ``set_weights``, and so have outputs and
    gradients when the step has been taken. A step may leave weights as they are: others are written
    in between, so that it shows whether anything is.
    """
    try:
        subject.start_anew(others[0].arrays)
        subject.placing.in_place = True
        subject.set_weights(others[1].arrays)
        subject.set_weights(here.arrays)
        step = Step(subject, OTHER_RATE)
        step.change(here, reset=False)
        if not _alike(step.taken[-1].after, after, share):
            return False
        subject.set_weights(others[0].arrays)
        subject.set_weights(there.arrays)
        again = _answers(subject, there)
        return again is not None and _alike(again, answers, share)
    except TheirError:
        return False
    finally:
        subject.placing.in_place = False
