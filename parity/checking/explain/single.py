"""Code that takes one sample a call, or that takes a batch apart: asked one sample a call."""

from dataclasses import replace

from parity.checking.asking.gradients import Step
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.explain.answered import Answered
from parity.checking.explain.forms import Asking
from parity.checking.model.probe import Form, Probe, label_forms

_ONE_BY_ONE = (
    "Step: with a batch it makes several updates, one after each sample (online learning). Each "
    "was checked, one sample a call; with a batch it does the same as with its samples one after "
    "the other."
)


def answer(asking: Asking, form: Form) -> Answered:
    """Ask in one form, and where it is not taken, in those for one sample a call.

    Raises:
        TheirError: The user's code takes none; the error is the first form's.
    """
    outputs, first = asking.plan.sizes[-1], None
    single = [each for each in asking.sample_forms() if each.samples == "single" != form.samples]
    others = (each for one in single for each in label_forms(one, asking.candidate, outputs))
    for each in (form, *others):
        try:
            found = asking.answer(each)
        except TheirError as error:
            first = first or error
            continue
        found.refused = first if form.samples != "single" else None
        return one_by_one(asking, found) or found
    assert first is not None
    raise first


def one_by_one(asking: Asking, answered: Answered) -> Answered | None:
    """Return the answer to one sample a call, where a step with a batch is many such steps.

    None where the answer to a batch is right, or where a batch is something else than that. What
    leaves the same weights as one step after the other is judged sample by sample, right or wrong.
    """
    assessment = answered.assessment
    if not asking.by_step or assessment is None or not answered.cost:
        return None
    form, fixed = assessment.form, asking.candidate.batch_size is not None
    if fixed or form.samples == "single" or len(assessment.probes[0].x) == 1:
        return None
    batch = assessment.probes[0]
    one = Asking(
        asking.subject, asking.sample, asking.plan, asking.preferred, asking.seed, True,
        asking.own, batch=1,
    )  # fmt: skip
    try:
        if not _takes_apart(asking.subject.fresh(), batch):
            return None
        found = one.answer(form)
    except TheirError:
        return None
    found.remarks.append(_ONE_BY_ONE)
    return found


def _takes_apart(subject: Subject, batch: Probe) -> bool:
    """Return whether a step with a batch leaves what steps with its samples leave."""
    step = Step(subject)
    step.change(batch)
    whole = step.taken[-1].after
    for n in range(len(batch.x)):
        x, y = batch.x[n : n + 1], batch.y[n : n + 1]
        step.change(replace(batch, x=x, y=y), reset=n == 0)
    return all(alike(a, b) for a, b in zip(whole, step.taken[-1].after, strict=True))
