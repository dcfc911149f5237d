"""Ask for gradients in every form of samples and labels, and explain what comes back.

The form in which the fewest things are wrong is the one that the user's code is made for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from parity.bounds.rounding import Approx
from parity.candidate import Candidate
from parity.checking.asking.conventions import Sample
from parity.checking.asking.falling import FallingStep
from parity.checking.asking.gradients import Direct, Source, observe, repeat, reversed_observation
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.bugs.factors import same
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import LAYER_ORDER, NONDETERMINISTIC, WRONG_SHAPE
from parity.checking.bugs.tensors import BIAS_NOT_SUMMED
from parity.checking.explain import dropout, own_error, own_kind, own_loss, slopes
from parity.checking.explain.explainer import Explainer, Explanation, Scale, analyse
from parity.checking.explain.fit import MEANT, scaled_bound
from parity.checking.explain.optimizer import Identified, clipped_descent, identify
from parity.checking.explain.own_kind import MeasuredLoss
from parity.checking.explain.own_loss import OwnLoss
from parity.checking.explain.stepping import Stepping, classify
from parity.checking.model import declared_optimizer
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, correct_gradients, reductions
from parity.checking.model.network import INVERTED, Plan
from parity.checking.model.probe import (
    Form,
    Probe,
    batch_size,
    draw_probe,
    label_forms,
    sample_forms,
    wide,
)

# A tensor of one element fits any factor; so many probes make sure that it does not fit by that.
_MOST_PROBES, _FEWEST_PROBES, _ENOUGH_NUMBERS = 6, 2, 6
# Fewer elements than this are off by a bug, not by the rounding of a lower precision.
_MANY = 8


@dataclass
class Assessment:
    """What was asked and how it is explained.

    Attributes:
        form: How samples and labels were passed.
        probes: With the user's gradients.
        explanation: The likeliest, from the output down.
        scale: The factor of the gradients, and who deviates.
        misfits: What is wrong with the shapes of the answer.
        own: The user's own loss as measured on the first probe; None if there is none.
        times: Where that loss is none known here, how many times its derivative the gradients
            are, which then is the verdict; None where they are not that.
    """

    form: Form
    probes: list[Probe]
    explanation: Explanation
    scale: Scale
    explainer: Explainer
    misfits: list[Finding] = field(default_factory=list[Finding])
    own: OwnLoss | None = None
    times: float | None = None

    @property
    def cost(self) -> int:
        """How many things are wrong."""
        if self.times is not None:
            return 0
        known = self.explanation.cost + len(self.scale.deviations) + len(self.misfits)
        return known + 2 * self._unusable

    @property
    def _unusable(self) -> int:
        """How many tensors have no gradient of a usable shape: nothing is known of them."""
        return len(self.probes[0].weights.keys() - self.probes[0].gradients.keys())

    @property
    def flaws(self) -> int:
        """How many things are wrong, penalties of weights not counted: they may be meant."""
        every = self.explanation.tensors.values()
        decays = [match for match in every if match and (match.decay or match.penalty in MEANT)]
        return self.cost - len(decays)

    @property
    def masked(self) -> bool:
        """Whether dropout was active."""
        return self.probes[0].masks is not None

    @property
    def explains_something(self) -> bool:
        """Whether any tensor is explained."""
        return any(match is not None for match in self.explanation.tensors.values())

    @property
    def explains_all(self) -> bool:
        """Whether every tensor is explained."""
        return self.times is not None or None not in self.explanation.tensors.values()

    @property
    def vanishes(self) -> bool:
        """Whether all gradients are zero but for rounding, and not exactly zero, though not meant.

        They are no larger than the rounding errors of right gradients, of the loss summed over
        batch and outputs.
        """
        kind = self.explanation.kind
        some = False
        for probe in self.probes:
            rights = correct_gradients(kind, probe.forward(tracked=True), probe.y)
            for key, _, gradient, noise in probe.tensors():
                bound = np.max(rights[key].bound)
                telling = bound <= wide(rights[key].rounding) * np.max(np.abs(rights[key].value))
                if not telling or np.any(np.abs(gradient) > bound + noise):
                    return False
                some = some or bool(np.any(gradient))
        return some

    def widely_off(self, rounded: "Assessment") -> bool:
        """Return whether what nothing explains is off nearly everywhere, as it is by rounding.

        A bug that is as small as float32's rounding sits in a few elements.

        Args:
            rounded: The same gradients, all explained up to a lower precision's rounding.
        """
        kind, number = rounded.explanation.kind, 0
        rights = [correct_gradients(kind, p.forward(tracked=True), p.y) for p in self.probes]
        for key, match in self.explanation.tensors.items():
            if match is not None:
                continue
            off, of = self._off(key, [right[key] for right in rights], rounded)
            if off * 2 <= of:
                return False
            number += off
        return number >= _MANY

    def _off(self, key: Key, rights: Sequence[Approx], rounded: "Assessment") -> tuple[int, int]:
        """Return how many elements of a tensor are off on all probes, and of how many."""
        base, probes = rounded.scale.base, self.probes
        pairs = list(zip(probes, rights, strict=True))
        rest = np.concatenate([(p.gradients[key] - base * v.value).ravel() for p, v in pairs])
        bound = np.concatenate([scaled_bound(v, base).ravel() for v in rights])
        match = rounded.explanation.tensors[key]
        if match is not None and match.decay:  # the median: a few wrong do not move it
            weight = np.concatenate([p.weights[key].ravel() for p in probes])
            rest = rest - np.median(rest / weight) * weight
        return int(np.count_nonzero(np.abs(rest) > bound)), rest.size


class Assessor:
    """Asks for gradients in any form, for one reading of the weights and one plan."""

    def __init__(
        self,
        subject: Subject,
        layout: Layout,
        plan: Plan,
        dtype: np.dtype,
        preferred: LossKind | None,
        seed: int,
    ) -> None:
        self.subject = subject
        self.layout = layout
        self.plan = plan
        self.dtype = dtype
        self.preferred = preferred
        self.seed = seed
        self.remarks: list[str] = []
        self.batch: int | None = None
        self.own: OwnLoss | None = None
        self.measured: MeasuredLoss | None = None

    @property
    def fixed_batch(self) -> bool:
        """Whether the user's code takes batches of one size only."""
        return self.subject.candidate.batch_size is not None

    def draw(self, form: Form, number: int, avoid: int = 0) -> Probe:
        """Return the probe of a number; the same number gives the same weights."""
        rng = np.random.default_rng([self.seed, number])
        taken = (avoid, *self.subject.avoid)
        batch = self.batch or batch_size(self.subject.candidate, form, self.layout.sizes, taken)
        probe, in_vain = draw_probe(self.plan, self.layout, form, self.dtype, batch, rng, number)
        remark = (
            "No probe keeps every unit away from its kink and alive; where one is at its kink, the "
            "bound has the whole jump in it."
        )
        if in_vain and remark not in self.remarks:
            self.remarks.append(remark)
        return probe

    def ask(
        self, source: Source, form: Form, number: int, avoid: int = 0
    ) -> tuple[Probe, list[Finding]]:
        """Return a probe with the user's gradients, and what is wrong with their shapes."""
        probe = self.draw(form, number, avoid)
        misfits = observe(source, self.layout, self.subject.names, probe)
        probe.dtype = lowest(self.dtype, *(g.dtype for g in probe.gradients.values()))
        return probe, misfits

    def assess(self, source: Source, form: Form) -> Assessment:
        """Ask for gradients on several probes, and explain them.

        Raises:
            TheirError: The user's code does not take this form.
        """
        probes: list[Probe] = []
        misfits: list[Finding] = []
        for number in range(self.count(form)):
            probe, found = self.ask(source, form, number)
            probes.append(probe)
            misfits = misfits or found
        best = self.explained(probes, form, misfits)
        if best.cost and self._symmetric():
            for probe in probes:
                reversed_observation(probe)
            evidence = "read in the reverse order they fit"
            finding = Finding(LAYER_ORDER, "gradients", evidence=evidence)
            other = self.explained(probes, form, [*misfits, finding])
            # The order is only what it is taken for if nothing else is left open then.
            if other.cost < best.cost and other.explains_all:
                return other
            for probe in probes:
                reversed_observation(probe)
        return best

    def explained(
        self, probes: Sequence[Probe], form: Form, misfits: Sequence[Finding]
    ) -> Assessment:
        """Explain what was observed on some probes.

        What is the derivative of a loss that is none known here needs no other explanation.
        """
        times: float | None = None
        if self.own is not None and self.own.kind is None and not misfits:
            times = own_loss.follows(self.own, probes)
        explainer = Explainer(probes, self.preferred, self.own_kind(probes) if not times else None)
        if times is not None and not explainer.is_usual():
            explanation, scale = explainer.unexplained(), Scale(0.0, 0.0)
            return Assessment(form, list(probes), explanation, scale, explainer, times=times)
        explanation = explainer.explain()
        probe = probes[0]
        usual = [f for f, _ in reductions(explanation.kind, len(probe.x), probe.y.shape[1])]
        scale = analyse(explanation, usual)
        found = Assessment(form, list(probes), explanation, scale, explainer, list(misfits))
        return replace(found, times=times) if times is not None and found.flaws else found

    def own_kind(self, probes: Sequence[Probe]) -> MeasuredLoss | None:
        """Return the user's own loss where it is none that is known here, and can be measured."""
        if self.own is None or self.own.kind is not None or not own_loss.tells(self.own, probes):
            return None
        form = probes[0].form
        if self.measured is None or self.measured.form != form:
            self.measured = own_kind.of(self.subject, self.layout, form)
        return self.measured if self.measured.known(probes) else None

    def count(self, form: Form) -> int:
        """Return how many probes to take."""
        smallest = min(int(np.prod(shape)) for shape in self.layout.shapes)
        needed = -(-_ENOUGH_NUMBERS // max(smallest, 1))
        least = _FEWEST_PROBES if form.samples != "single" else 2 * _FEWEST_PROBES
        return min(max(needed, least), _MOST_PROBES)

    def _symmetric(self) -> bool:
        """Return whether the layers' shapes read the same last layer first."""
        sizes = self.layout.sizes
        pairs = list(pairwise(sizes))
        return len(pairs) > 1 and pairs == pairs[::-1]


_RANDOM = Finding(
    NONDETERMINISTIC, "gradients",
    evidence="calls with the same weights, x and y differ. Looked for, one sample a call: dropout "
    "behind the hidden layers, each unit dropped (a row of zeros in the next kernel's gradient) or "
    "multiplied by one scale. No layer's gradients are explained by that",
)  # fmt: skip


@dataclass
class Answered:
    """What the user's code answered in one form.

    Attributes:
        assessor: By whom it was asked.
        assessment: The gradients, explained; None where there are none to be read off.
        source: Where they came from.
        stepping: What kind of update the step is; None for ``gradients``.
        findings: What is wrong already.
        remarks: What is worth knowing.
        random: Whether the answer is no ground for a verdict.
        optimizer: The one inside a step that keeps a state, where it is known.
        refused: Where samples go one a call though ``forward`` takes batches: what a batch raised,
            or what is wrong with the shapes of the answer to it.
    """

    assessor: Assessor
    assessment: Assessment | None = None
    source: Source | None = None
    stepping: Stepping | None = None
    findings: list[Finding] = field(default_factory=list[Finding])
    remarks: list[str] = field(default_factory=list[str])
    random: bool = False
    optimizer: Identified | None = None
    refused: TheirError | Finding | None = None

    @property
    def cost(self) -> float:
        """How many things are wrong."""
        if self.optimizer is not None:
            return 0
        return self.assessment.flaws if self.assessment is not None else float("inf")


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
        may_drop: Whether a step may be read as one with dropout.
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
        self.may_drop = True
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
        if assessment is not None and not assessment.masked:
            assessment = found.assessment = self._with_measured_slopes(found, assessment)
        if not self.by_step and assessment is not None and not assessment.masked:
            # Last, as it takes seconds: nothing simpler has explained the answers by now.
            self._with_fixed_masks(found, assessment)
        return found

    def _best_form(self) -> Answered:
        best: Answered | None = None
        first: TheirError | None = None
        for samples in self.sample_forms():
            for form in label_forms(samples, self.candidate, self.plan.sizes[-1]):
                try:
                    found = self.answer(form)
                except TheirError as error:
                    first = first or error
                    continue
                if best is None or found.cost < best.cost:
                    found.refused = _refusal(form, self.sample.form, best, first)
                    best = found
                if not best.cost:
                    return best
            if best is not None and not _one_a_call(best) and not _misshapen(best):
                return best
        if best is None:
            assert first is not None
            raise first
        return best

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
        assessor.batch = self.batch
        own = assessor.own = self._own_loss(assessor, form)
        answered = Answered(assessor)
        self._by_step(answered, form) if self.by_step else self._directly(answered, form)
        if answered.assessment is not None:
            answered.assessment.own = own
            self._in_float32(answered, form)
        return answered

    def _directly(self, answered: Answered, form: Form) -> None:
        repeated = repeat(self.subject, answered.assessor.draw(form, 0))
        answered.source = repeated.source
        answered.findings += repeated.findings
        if not repeated.random:
            answered.assessment = answered.assessor.assess(repeated.source, form)
        elif not self._masked(answered, form, repeated.source):
            # What is left to chance may be which unit's share arrives, or another sample's mask.
            found = answered.assessor.assess(repeated.source, form)
            if found.explains_all and found.explanation.cost:
                answered.assessment = found
                return
            answered.findings.append(_RANDOM)
            answered.random = True

    def _by_step(self, answered: Answered, form: Form) -> None:
        assessor = answered.assessor
        stepping = classify(self.subject, assessor.draw(form, 0), assessor.draw(form, 1))
        answered.stepping, answered.source = stepping, stepping.source
        self.subject.keeps_state |= stepping.kind != "plain"
        answered.findings += stepping.findings
        answered.remarks += stepping.remarks
        if stepping.source is not None:
            answered.assessment = assessor.assess(stepping.source, form)
            if not answered.assessment.explains_all and stepping.kind == "plain":
                history = [t for t in self.subject.history if t.probe.form == form]
                one = self._optimizer(answered, form) if stepping.of_one_size else None
                answered.optimizer = one or clipped_descent(history, self.sample.layout)
                if answered.optimizer is not None:
                    answered.assessment = None
        else:
            answered.optimizer = self._optimizer(answered, form)
            source = stepping.plain_source if self.may_drop else None
            if answered.optimizer is None and source and self._masked(answered, form, source):
                answered.stepping = replace(stepping, kind="plain")
            # What is declared with its options has a rate of its own.
            may_fall = self.candidate.optimizer in (None, "sgd")
            if answered.optimizer is None and stepping.falling is not None and may_fall:
                self._at_falling_rates(answered, form, stepping.falling)

    def _at_falling_rates(self, answered: Answered, form: Form, source: FallingStep) -> None:
        """Read gradients off steps whose rate goes by a formula, as long as it does."""
        assessor = answered.assessor
        found = assessor.assess(source, form)
        # A rate that has come to its floor meanwhile would be read as a factor of the gradients.
        if source.still(assessor.draw(form, 0)) and (found.explains_all or assessor.own):
            answered.source, answered.assessment = source, found
            answered.remarks.append(source.remark)

    def _optimizer(self, answered: Answered, form: Form) -> Identified | None:
        """Return the optimizer that every step so far follows."""
        history = [taken for taken in self.subject.history if taken.probe.form == form]
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
            probe.arrays = assessor.layout.pack(probe.weights)
            observe(source, assessor.layout, assessor.subject.names, probe)

        explanation, kind = before.explanation, before.explainer.own
        try:
            if kind is not None and not before.misfits:
                explanation = own_error.explain(before.explainer, explanation, kind, ask)
            found = slopes.explain(before.explainer, explanation, ask)
        except TheirError:
            return before
        if found is before.explanation:
            return before
        probe = before.probes[0]
        usual = [f for f, _ in reductions(found.kind, len(probe.x), probe.y.shape[1])]
        return replace(before, explanation=found, scale=analyse(found, usual))

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
        found.own, answered.assessment = before.own, found
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
        """Return what the user's own loss is, if there is one and it takes this form."""
        if not callable(self.candidate.loss):
            return None
        try:
            probes = [assessor.draw(form, number) for number in range(assessor.count(form))]
            own = own_loss.measure(self.subject, self.sample.layout, probes)
        except TheirError:
            return None
        # What is a known loss with targets in one form is not meant to take them in another one.
        if own.kind is None and self._loss_known:
            return None
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
        probes = [replace(probe, dtype=np.dtype(np.float32)) for probe in before.probes]
        found = assessor.explained(probes, form, before.misfits)
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


def _misshapen(best: Answered) -> bool:
    """Return whether gradients of a batch have shapes that no mistake gives: not for batches, then.

    An outer product of whole batches is one.
    """
    assessment = best.assessment
    return assessment is not None and any(f.bug is WRONG_SHAPE for f in assessment.misfits)


def _one_a_call(best: Answered) -> bool:
    """Return whether code that takes one sample a call would answer a batch like this.

    It leaves the batch's axis in the biases' gradients, and nowhere divides by the batch size.
    """
    assessment = best.assessment
    if assessment is None or {f.code for f in assessment.misfits} != {BIAS_NOT_SUMMED.code}:
        return False
    batch, outputs = assessment.probes[0].y.shape
    usual = reductions(assessment.explanation.kind, batch, outputs)
    summed = [factor for factor, words in usual if "summed over the batch" in words]
    scale = assessment.scale
    return any(same(scale.base, factor, scale.uncertainty) for factor in summed)
