"""Ask for gradients in every form of samples and labels.

The form in which the fewest things are wrong is the one that the user's code is made for.
"""

from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np

from parity.candidate import Candidate
from parity.checking.asking.conventions import Sample
from parity.checking.asking.falling import FallingStep
from parity.checking.asking.gradients import Direct, Source, Taken
from parity.checking.asking.repeating import alike, repeat
from parity.checking.asking.shapes import observe
from parity.checking.asking.subject import Subject, TheirError, called
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.outputs import TARGETS_BROADCAST
from parity.checking.bugs.table import CLIPPED, NONDETERMINISTIC
from parity.checking.explain import clipping, dropout, of_weights, own_error, own_loss, slopes
from parity.checking.explain.answered import Answered
from parity.checking.explain.assessment import Assessment, Assessor
from parity.checking.explain.own_loss import OwnLoss
from parity.checking.explain.steps.declared import of_any_loss
from parity.checking.explain.steps.identified import Identified
from parity.checking.explain.steps.optimizer import clipped_descent, identify
from parity.checking.explain.steps.stepping import classify
from parity.checking.model import declared_optimizer
from parity.checking.model.losses import LossKind
from parity.checking.model.network import INVERTED, Plan
from parity.checking.model.probe import Form, Probe, given_labels, label_forms, sample_forms

_RANDOM = Finding(
    NONDETERMINISTIC, "gradients",
    evidence="calls with the same weights, x and y differ. Looked for, one sample a call: dropout "
    "behind the hidden layers, each unit dropped (a row of zeros in the next kernel's gradient) or "
    "multiplied by one scale. No layer's gradients are explained by that",
)  # fmt: skip

# Two masks of a small layer are equal in a fifth of all cases; so often all of these are not.
_REPEATED = 8


class Asking:
    """Asks in one form after the other.

    Args:
        subject: The user's code.
        sample: How ``forward`` is called, and how the weights are read.
        plan: What is computed.
        preferred: The loss that was named; None if none was.
        seed: Of the probes.
        by_step: Whether gradients are to be read off ``step``.
        own: The user's ``gradients``, which are right, and of which loss they are.
        batch: The batch size, where it has to be a certain one.

    Attributes:
        drops: Whether a step drops units, as the gradients do; None where that is not known.
    """

    def __init__(
        self,
        subject: Subject,
        sample: Sample,
        plan: Plan,
        preferred: LossKind | None,
        seed: int,
        by_step: bool,
        own: tuple[Direct, LossKind] | None = None,
        batch: int | None = None,
    ) -> None:
        self.subject = subject
        self.sample = sample
        self.plan = plan
        self.preferred = preferred
        self.seed = seed
        self.by_step = by_step
        self.own = own
        self.batch = batch
        self.drops: bool | None = None
        self._asked = False
        self._loss_known = False

    @property
    def candidate(self) -> Candidate:
        """The user's callables."""
        return self.subject.candidate

    def best(self) -> Answered:
        """Return the answer in the form in which the fewest things are wrong.

        Raises:
            TheirError: The user's code takes none.
        """
        found = self._best_form()
        assessment = found.assessment
        if self._given_by_one and found.reads_one_sample and assessment is not None:
            # Of batches as theirs are, with one sample, the first is all.
            self.batch = 1
            return self.answer(assessment.form)
        if assessment is not None and not assessment.masked:
            assessment = found.assessment = self._with_measured_slopes(found, assessment)
        if not self.by_step and assessment is not None and not assessment.masked:
            # Last, as it takes seconds: nothing simpler has explained the answers by now.
            self._with_fixed_masks(found, assessment)
            self._with_penalties(found)
        return found

    @property
    def _given_by_one(self) -> bool:
        """Whether the user's own samples come one a batch, and nothing else is said of its size."""
        data = self.candidate.data
        if data is None or self.batch is not None or self.candidate.batch_size is not None:
            return False
        x, y = called("data", data, np.random.default_rng(self.seed)) if callable(data) else data
        return len(np.shape(x)) == len(np.shape(y)) == 2 and len(x) == len(y) == 1

    def _best_form(self) -> Answered:
        best: Answered | None = None
        first: TheirError | None = None
        given, outputs, taken = given_labels(self.candidate), self.plan.sizes[-1], False
        for samples in self.sample_forms():
            for form in label_forms(samples, self.candidate, outputs):
                batch = samples.samples != "single"
                as_given = batch and given is not None and form.has_labels_of(given, outputs)
                if best is not None and taken and batch and not as_given:
                    # It is called with targets as the user has them, and judged with those.
                    best.broadcast = best.broadcast or self._broadcast(form)
                    continue
                try:
                    found = self.answer(form)
                except TheirError as error:
                    first = first or error
                    continue
                taken = taken or as_given
                if best is not None and found.reads_one_sample:
                    continue  # it takes targets in another form, and stops at their end
                if best is None or found.cost < best.cost:
                    found.refused = _refusal(form, self.sample.form, best, first)
                    best = found
                if not best.cost:
                    return best
            if best is not None and not best.goes_one_a_call and not best.is_misshapen:
                return best
        if best is None:
            assert first is not None
            raise first
        return best

    def _broadcast(self, other: Form) -> Finding | None:
        """Return what to say where all is right with targets (n, 1) in place of (n,), or so."""
        usual = other.labels == "one-hot" and other.turned_labels == other.turned_outputs
        if self.plan.sizes[-1] != 1 or not usual:
            return None
        try:
            if self.answer(other).cost:
                return None
        except TheirError:
            return None
        shapes = ["(n, 1)", "(n,)"] if other.flat else ["(n,)", "(n, 1)"]
        evidence = f"with targets {shapes[1]} it is right, and with {shapes[0]} as yours it is not"
        values = {"given": f"targets {shapes[0]}", "other": f"outputs {shapes[1]}"}
        where = "step" if self.by_step else "gradients"
        return Finding(TARGETS_BROADCAST, where, values, evidence)

    def sample_forms(self) -> list[Form]:
        """Return how samples may be passed: as ``forward`` takes them, or else one a call."""
        own = self.sample.form
        single = [f for f in sample_forms(self.candidate) if f.samples == "single"]
        return [own, *(form for form in single if form != own)]

    def answer(self, form: Form) -> Answered:
        """Ask in one form.

        Raises:
            TheirError: The user's code does not take it.
        """
        if self.by_step and self._asked:
            self.subject = self.subject.fresh()
        self._asked = True
        layout, dtype = self.sample.layout, self.sample.dtype
        assessor = Assessor(self.subject, layout, self.plan, dtype, self.preferred, self.seed)
        assessor.batch, assessor.of_steps = self.batch, self.by_step
        own = assessor.own = self._own_loss(assessor, form)
        answered = Answered(assessor)
        self._by_step(answered, form) if self.by_step else self._directly(answered, form)
        if answered.assessment is not None:
            answered.assessment.beside(own)
            self._in_float32(answered, form)
        return answered

    def _directly(self, answered: Answered, form: Form) -> None:
        repeated = repeat(self.subject, answered.assessor.draw(form, 0))
        answered.source = repeated.source
        answered.findings += repeated.findings
        if not repeated.random:
            answered.assessment = answered.assessor.assess(repeated.source, form)
            if self._only_clipped(answered, "all gradients"):
                return
            if answered.assessment.explains_all or not self._differ_elsewhere(
                answered, repeated.source, form
            ):
                return
            answered.assessment = None
        if not self._masked(answered, form, repeated.source):
            # What is left to chance may be which unit's share arrives, or another sample's mask.
            found = answered.assessor.assess(repeated.source, form)
            if found.explains_all and found.cost:
                answered.assessment = found
                return
            answered.findings.append(_RANDOM)
            answered.random = True

    def _only_clipped(self, answered: Answered, where: str) -> bool:
        """Return whether all that can be told of gradients is that they are clipped, and say so."""
        found, own = answered.assessment, answered.assessor.own
        if found is None or found.agreed is not None or found.misfits:
            return False
        limit = None if own is not None and not self.by_step else clipping.certain(found.probes)
        if limit is not None:
            answered.findings.append(Finding(CLIPPED, where, {"how": limit.words}))
            answered.assessment = None
        return limit is not None

    def _differ_elsewhere(self, answered: Answered, source: Source, form: Form) -> bool:
        """Return whether answers on equal input differ after all.

        A few masks may be equal by chance.
        """
        for number in range(_REPEATED):
            probe = answered.assessor.draw(form, number)
            pairs = zip(source.ask(probe).arrays, source.ask(probe).arrays, strict=True)
            if not all(b is None if a is None else b is not None and alike(a, b) for a, b in pairs):
                return True
        return False

    def _by_step(self, answered: Answered, form: Form) -> None:
        assessor = answered.assessor
        first, second = assessor.draw(form, 0), assessor.draw(form, 1)
        stepping = classify(self.subject, first, second, self.sample.layout)
        answered.stepping, answered.source = stepping, stepping.source
        answered.findings += stepping.findings
        answered.remarks += stepping.remarks
        if stepping.source is not None:
            answered.assessment = assessor.assess(stepping.source, form)
            if not answered.assessment.explains_all and stepping.kind == "plain":
                history = self._history(form)
                one = self._optimizer(answered, form) if stepping.of_one_size else None
                given = self.candidate.optimizer
                if one is None and history and given is not None and self.own is None:
                    one = of_any_loss(history, self.sample.layout, declared_optimizer.of(given))
                clipped = clipped_descent(history, self.sample.layout) if history else None
                answered.optimizer = one or clipped
                if answered.optimizer is not None:
                    answered.assessment = None
                elif self._may_drop(answered, stepping.source, form):
                    self._masked(answered, form, stepping.source)
            if answered.optimizer is None:
                self._only_clipped(answered, "the step's changes")
        else:
            answered.optimizer, given = self._optimizer(answered, form), self.candidate.optimizer
            source = None if self.drops is False else stepping.plain_source
            if answered.optimizer is None and source and self._masked(answered, form, source):
                answered.stepping = replace(stepping, kind="plain")
            # What is declared with its options has a rate of its own.
            stated = None if given is None else declared_optimizer.of(given)
            may_fall = stated is None or (stated.named and stated.kind == "sgd")
            if answered.optimizer is None and stepping.falling is not None and may_fall:
                self._at_falling_rates(answered, form, stepping.falling)

    def _may_drop(self, answered: Answered, source: Source, form: Form) -> bool:
        known = self.drops
        return self._differ_elsewhere(answered, source, form) if known is None else known

    def _at_falling_rates(self, answered: Answered, form: Form, source: FallingStep) -> None:
        """Read gradients off steps whose rate goes by a formula, as long as it does."""
        assessor = answered.assessor
        found = assessor.assess(source, form)
        # A rate that has come to its floor meanwhile would be read as a factor of the gradients.
        if source.still(assessor.draw(form, 0)) and (found.explains_all or assessor.own):
            answered.source, answered.assessment = source, found
            answered.remarks.append(source.remark)

    def _history(self, form: Form) -> list[Taken]:
        """Return the steps taken in one form; none where one of them left other shapes behind."""
        history = [taken for taken in self.subject.history if taken.probe.form == form]
        shapes = list(self.sample.layout.shapes)
        return history if all([c.shape for c in t.change] == shapes for t in history) else []

    def _optimizer(self, answered: Answered, form: Form) -> Identified | None:
        """Return the optimizer that every step so far follows."""
        history = self._history(form)
        if not history:
            return None
        given = self.candidate.optimizer
        declared = None if given is None else declared_optimizer.of(given)
        probes = {id(taken.probe): taken.probe for taken in history}
        measured = answered.assessor.own_kind([*probes.values()]) if self.own is None else None
        return identify(history, self.sample.layout, declared, self.own, measured)

    def _masked(self, answered: Answered, form: Form, source: Source) -> bool:
        """Read the answers as those of a network with dropout, one sample a call."""
        found = self._dropout(answered.assessor, form, source)
        if found is None or not found.explains_something:
            return False
        answered.assessment = found
        answered.remarks.append(dropout.REMARK)
        return True

    def _with_measured_slopes(self, answered: Answered, before: Assessment) -> Assessment:
        """Where nothing explains a hidden layer, see what stands in its derivative's place."""
        source, assessor = answered.source, answered.assessor
        if source is None or before.explains_all:
            return before

        def ask(probe: Probe) -> None:
            self._ask_again(source, probe)

        explainer, explanation = before.analysis.explainer, before.analysis.explanation
        kind = explainer.own
        try:
            if kind is not None and not before.misfits:
                explanation = own_error.explain(explainer, explanation, kind, ask)
            found = slopes.explain(explainer, explanation, ask)
        except TheirError:
            return before
        if found is before.analysis.explanation:
            return before
        return assessor.with_explanation(before, found)

    def _ask_again(self, source: Source, probe: Probe) -> None:
        """Fill in the gradients of a probe that was changed."""
        probe.arrays = self.sample.layout.pack(probe.weights)
        observe(source, self.sample.layout, self.subject.names, probe)

    def _with_penalties(self, answered: Answered) -> None:
        """Without a loss, see whether what nothing explains in kernels depends on weights alone."""
        source, found = answered.source, answered.assessment
        if source is None or found is None or found.own is not None or found.explains_all:
            return
        with suppress(TheirError):
            found.penalised = of_weights.penalised(found, partial(self._ask_again, source))

    def _with_fixed_masks(self, answered: Answered, before: Assessment) -> None:
        """Where nothing explains the answers, read them as those of dropout with equal masks."""
        assessor, source = answered.assessor, answered.source
        if source is None or before.explains_all or self.candidate.batch_size is not None:
            return
        try:
            found = self._dropout(assessor, before.form, source)
        except TheirError:  # takes no single sample
            found = None
        if found is None or not found.explains_all or not dropout.drops_units(found.probes):
            assessor.batch = self.batch
            return
        found.beside(before.own)
        answered.assessment = found
        if found.probes[0].plan.drop_power == INVERTED:  # else it may be no dropout
            answered.remarks.append(dropout.FIXED)

    def _dropout(self, assessor: Assessor, form: Form, source: Source) -> Assessment | None:
        """Return the best reading with masks; None if there are no signs of any."""
        assessor.batch = 1
        assessor.plan = assessor.plan.training or assessor.plan
        probes: list[Probe] = []
        misfits: list[Finding] = []
        for number in range(dropout.probes_needed(assessor.plan)):
            probe, misfits = assessor.ask(source, form, number)
            probes.append(probe)
        best: Assessment | None = None
        for read in dropout.readings(probes):
            found = assessor.explained(read, form, misfits)
            if best is None or found.cost < best.cost:
                best = found
            if best.explains_all:
                break
        return best

    def _own_loss(self, assessor: Assessor, form: Form) -> OwnLoss | None:
        """Return what the user's own loss is, if there is one and it takes this form.

        Raises:
            TheirError: It is a known loss with targets in another form, and none in this one.
        """
        if not callable(self.candidate.loss):
            return None
        try:
            probes = [assessor.draw(form, number) for number in range(assessor.count(form))]
            self.subject.loss_repeats = own_loss.repeats(self.subject, probes[0])
            if not self.subject.loss_repeats:
                return None
            own = own_loss.measure(self.subject, self.sample.layout, probes)
        except TheirError:
            return None
        # What is a known loss with targets in one form is not meant to take them in another one.
        if own.kind is None and self._loss_known:
            raise TheirError("loss", "expected targets in another form")
        self._loss_known = own.kind is not None
        assessor.preferred = assessor.preferred or own.kind
        return own

    def _in_float32(self, answered: Answered, form: Form) -> None:
        """Where float64 answers are off everywhere, but right for float32, take them as float32's.

        Rounding shrinks with the precision, bugs do not: a bug of this size would sit in a few
        elements, or be the same in float32.
        """
        assessor, before = answered.assessor, answered.assessment
        assert before is not None
        assert before.probes
        # What is explained to float64's rounding is no rounding of float32.
        if before.explains_all or assessor.dtype != np.float64 or assessor.batch is not None:
            return
        if before.misfits:
            return
        probes = [replace(probe, dtype=np.dtype(np.float32)) for probe in before.probes]
        found = assessor.explained(probes, form, [], right=True)
        # What is only measured is measured in the precision that the answers have.
        if found.times is not None or found.flaws or not before.widely_off(found):
            return
        found.own, answered.assessment = before.own, found
        assessor.dtype = np.dtype(np.float32)
        answered.remarks.append(
            "Precision: although the weights are float64, the answers are right to float32's "
            "rounding only. A part of the computation is in float32, or a small constant is in it, "
            "such as an epsilon in a logarithm. Errors smaller than that are not seen."
        )


def _refusal(
    form: Form, of_forward: Form, before: Answered | None, error: TheirError | None
) -> TheirError | Finding | None:
    """Return why a batch cannot be what the code takes, where it takes single samples."""
    if form.samples != "single" or of_forward.samples == "single" or before is None:
        return error if form.samples == "single" != of_forward.samples else None
    if before.refused is not None or before.assessment is None:
        return before.refused
    return next(iter(before.assessment.misfits), None)
