"""The second stage: gradients and steps, once it is known what ``forward`` computes."""

from dataclasses import replace

from parity.checking.asking.conventions import Sample, no_batches
from parity.checking.asking.falling import FallingStep
from parity.checking.asking.gradients import Direct
from parity.checking.asking.held import OF_STEPS, Held
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.findings import Finding, Notes, TensorKind
from parity.checking.bugs.table import (
    BATCH_EXCEPTION,
    STEP_EXCEPTION,
    Severity,
)
from parity.checking.explain import own_loss, rows, second_look, single, witnesses
from parity.checking.explain.agreement import Agreement
from parity.checking.explain.answered import Answered
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.forms import Asking
from parity.checking.explain.judge import Judge, Judgement
from parity.checking.explain.mending import OfChain
from parity.checking.explain.second_look import Followed
from parity.checking.explain.steps import repeated
from parity.checking.explain.steps.course import of_source
from parity.checking.explain.steps.identified import Identified
from parity.checking.explain.steps.mending import with_its_line
from parity.checking.explain.steps.notes import StepNotes
from parity.checking.explain.steps.update import unchecked
from parity.checking.explain.weight_decay import Decays, OfStep
from parity.checking.explain.weight_shares import divided_by_batch
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.losses import SQUARED, Declared, LossKind, meant
from parity.checking.model.network import Plan
from parity.checking.model.probe import Probe
from parity.checking.model.rules import OptimizerRule
from parity.checking.repairing.telling import mended

_OWN_LOSS_UNKNOWN = (
    "Loss: it is none that is known here, and your gradients are its derivative as measured along "
    "random directions."
)


class Backward:
    """Compares the user's gradients, or steps, with the right ones.

    Args:
        subject: The user's code.
        sample: One answer of its ``forward``, read as it is meant.
        plan: The network that the gradients are to be compared with.
        declared: The loss that was named; None if none was.
        seed: Of the probes.
        keras: Whether to ask Keras.
        before: What was found before: where something is wrong, nothing is asked twice.
        search: Whether to search for the line where nothing explains what is wrong.
    """

    def __init__(
        self,
        subject: Subject,
        sample: Sample,
        plan: Plan,
        declared: Declared | None,
        seed: int,
        keras: bool,
        before: Notes,
        search: bool = True,
    ) -> None:
        self.search = search
        self.subject = subject
        self.candidate = subject.candidate
        self.sample = sample
        self.layout = sample.layout
        self.plan = plan
        self.declared = meant(declared, plan.activations[-1].name) if declared else None
        self.seed = seed
        self.keras = keras
        self.before = before
        self.notes = Notes()
        if declared is not None and self.declared is not None and declared != self.declared:
            self.notes.remarks.append(
                f"Loss: {declared.name} is taken as the {self.declared.kind.name}, as forward "
                "returns these and no probabilities (from_logits=True in Keras)."
            )
        self.step_notes = StepNotes(subject, self.layout, plan.sizes[-1])
        self.of_gradients: list[Finding] = []

    def run(self) -> Notes:
        """Return what was found."""
        with self.notes.until_blocked():
            self._run()
        return self.notes

    def _run(self) -> None:
        by_step = self.candidate.gradients is None
        kind = self.declared.kind if self.declared is not None else None
        asking = self._asking(kind, by_step)
        answered = asking.best()
        if by_step:
            answered = single.one_by_one(asking, answered) or answered
        self._note(answered, "step" if by_step else "gradient")
        self._look_again(answered)
        self.of_gradients = [] if by_step else [*self.notes.findings]
        if not by_step and self.candidate.step is not None and answered.assessment is not None:
            known, theirs = len(self.notes.findings), vars(answered.assessor.subject.candidate)
            searched = self.search and self._nothing_found and theirs["optimizer"] is not None
            before = Held(filter(callable, theirs.values()), OF_STEPS) if searched else None
            self._also_step(answered, answered.assessment)
            if before is not None:
                found = self.notes.findings[known:]
                self.notes.findings[known:] = self._line_of_step(answered, found, before)
        if self.candidate.step is not None:
            self.notes.findings += unchecked(self.step_notes.updates.stated)

    @property
    def _nothing_found(self) -> bool:
        return not self.before.findings and not self.notes.findings

    def _asking(self, kind: LossKind | None, by_step: bool, own: Direct | None = None) -> Asking:
        known = None if own is None or kind is None else (own, kind)
        return Asking(self.subject, self.sample, self.plan, kind, self.seed, by_step, known)

    def _note(self, answered: Answered, kind: TensorKind) -> None:
        notes = self.notes
        notes.findings += answered.findings
        notes.remarks += answered.remarks + answered.assessor.remarks
        assessment, stepping = answered.assessment, answered.stepping
        if assessment is None:
            if stepping is not None:
                notes.add(self.step_notes.with_state(stepping, answered.optimizer, False))
            return
        judgement = self._judged(answered, assessment, self._loss_known(assessment))
        if stepping is not None:
            notes.add(self.step_notes.plain(stepping, assessment))
        notes.conventions |= self._conventions(assessment, judgement)
        notes.batches.add(len(assessment.probes[0].x))
        if assessment.masked:
            notes.tested.append("dropout")
        witness, theirs = witnesses.ask_keras(assessment, judgement.shares, self.keras)
        notes.witnesses.append(witness)
        notes.add(witnesses.own_loss_of(self.subject, assessment, judgement))
        if self._settled(assessment):
            return
        notes.tensors += rows.gradient_rows(
            assessment, self.layout, self.subject.names, kind, theirs, judgement.shares
        )
        notes.findings += self._named(answered, assessment, judgement)
        notes.remarks += judgement.remarks
        self._without_batches(answered, kind)

    def _loss_known(self, assessment: Assessment) -> bool:
        """Return whether gradients of no loss that is known here are wrong for certain."""
        own = assessment.own
        measured = own is not None and own_loss.tells(own, assessment.probes)
        return self.declared is not None or measured

    def _settled(self, assessment: Assessment) -> bool:
        """Return whether the derivative of the user's own loss is the verdict, and say so."""
        own, times = assessment.own, assessment.times
        if own is None or times is None:
            return False
        remarks = [_OWN_LOSS_UNKNOWN]
        if times != 1 and not own.added_up:
            remarks.append(
                f"Scale: your gradients are {times:.6g} times the derivative of your own loss. "
                "That acts like a learning rate; it is no bug."
            )
        self.notes.remarks += [remark for remark in remarks if remark not in self.notes.remarks]
        return True

    def _without_batches(self, answered: Answered, kind: TensorKind) -> None:
        """Where only single samples are taken, say that, and what comes of a batch."""
        refused = answered.refused
        if refused is None:
            return
        name = "gradients" if kind == "gradient" else kind
        if isinstance(refused, Finding):
            why = f"as forward takes them the shapes are not the weights': {refused.evidence}"
        else:
            why = f"as forward takes them it raises {refused.words}"
        explained = answered.assessment is None or answered.assessment.explains_all
        if isinstance(refused, Finding) or explained:
            said = any(remark.startswith("Batches:") for remark in self.notes.remarks)
            self.notes.remarks += [] if said else [no_batches(name, why)]
            return
        # Where nothing explains single samples either, the exception is the best clue there is.
        known = {finding.follows for finding in self.notes.findings}
        severity = Severity.UNCERTAIN if known == {Severity.UNCERTAIN} else None
        values = {"callable": refused.callable_name}
        where = f"{refused.callable_name}, called with a batch"
        self.notes.findings.insert(
            0, Finding(BATCH_EXCEPTION, where, values, refused.reason, refused.trace, severity)
        )

    def _named(
        self, answered: Answered, assessment: Assessment, judgement: Judgement
    ) -> list[Finding]:
        """Return the findings, with a name for a step that updates several times in one call."""
        stepping = answered.stepping
        if answered.broadcast is not None:
            return [answered.broadcast]
        plain = stepping is not None and stepping.kind == "plain" and stepping.rate_power == 1
        if plain and not assessment.explains_all and not assessment.masked:
            found = repeated.find(answered.assessor, assessment.form)
            if found is not None:
                return [found]
        if stepping is None and all(finding.bug.symptom for finding in judgement.findings):
            return self._mended(answered, assessment, judgement.findings)
        return judgement.findings

    def _mended(
        self, answered: Answered, assessment: Assessment, unknown: list[Finding]
    ) -> list[Finding]:
        """Return the one change with which gradients that nothing explains are right, or these."""
        source, own, declared = answered.source, assessment.own, self.declared
        decays = own is not None and own.penalised
        if not unknown or not self.search or source is None or decays:
            return unknown
        if self.candidate.weight_decay is not None or assessment.misfits or assessment.masked:
            return unknown
        factor = assessment.factor
        if own is not None and own.kind is assessment.kind and not own.added_up:
            factor = own.factor
        elif declared is not None and declared.kind is assessment.kind and not factor:
            factor = declared.factor(*assessment.probes[0].y.shape) or 0.0
        if not factor:
            return unknown
        known = own if own is not None and own_loss.tells(own, assessment.probes) else None
        trial = OfChain(answered.assessor, source, assessment.form, assessment.kind, factor, known)
        return mended(trial, self.subject, unknown)

    def _line_of_step(
        self, answered: Answered, found: list[Finding], before: Held
    ) -> list[Finding]:
        """Return the one change with which a step is what is declared, or what was found.

        Args:
            answered: The gradients, which are right.
            found: What is known of the step.
            before: All that the user's code kept before the first step.
        """
        assessor, source, assessment = answered.assessor, answered.source, answered.assessment
        if not isinstance(source, Direct) or assessment is None:
            return found
        if assessment.masked or assessment.misfits:
            return found
        form, at = assessment.form, of_source(source, self.layout)
        draft = Identified(None, assessment.kind, 1.0, "", [], at, own=True)

        def draw(number: int) -> Probe:
            return assessor.draw(form, number)

        return with_its_line(
            found, assessor.subject, self.layout, draft, self.step_notes.updates.stated, draw,
            before.put_back, mended,
        )  # fmt: skip

    def _as_meant(self, agreed: Agreement, assessment: Assessment) -> bool:
        """Return whether right gradients are of the loss that is meant, and nothing is to be said.

        Without a loss any is; but a softmax's squared error is seldom meant.
        """
        own, declared = assessment.own, self.declared
        if self.candidate.weight_decay is not None:
            return False
        if declared is not None:
            meant = declared.factor(*assessment.probes[0].y.shape)
            return declared.kind is agreed.kind and agreed.factor == meant
        if callable(self.candidate.loss):
            decays = own is not None and own.penalised
            if own is None or own.kind is not agreed.kind or decays or own.added_up:
                return False
            return abs(own.factor - agreed.factor) <= own.uncertainty
        return agreed.kind is not SQUARED or self.plan.activations[-1].name != "softmax"

    def _judged(self, answered: Answered, assessment: Assessment, loss_known: bool) -> Judgement:
        own, source, agreed = assessment.own, answered.source, assessment.agreed
        if agreed is not None and self._as_meant(agreed, assessment):
            return Judgement(loss=agreed.words)
        names = {key: self.subject.names[self.layout.place(key)] for key in self.layout.keys}
        over = None
        if source is not None:
            over = divided_by_batch(answered.assessor, source, assessment)
        given, has_loss = self.candidate.weight_decay, callable(self.candidate.loss)
        # Of numbers that are added up it is not known what they are to be divided by.
        has_loss = has_loss and not (own is not None and own.added_up)
        stepping, measured = answered.stepping, own if has_loss else None
        of_rate = stepping is not None and stepping.rate_power != 1
        # A decay of the step's own may be meant, unless the optimizer is declared with its options.
        stated = self.step_notes.updates.checkable
        of_step: OfStep | None = None
        if stepping is not None and (stated is None or stated.named):
            of_step = "alone" if self.candidate.gradients is None else "beside gradients"
        decays = Decays(assessment, names, measured, has_loss, given, over, of_rate, of_step)

        def elsewhere() -> tuple[int, float] | None:
            if source is None:
                return None
            return second_look.factor_elsewhere(answered.assessor, source, assessment)

        judge = Judge(assessment, names, self.declared, own, decays, loss_known, elsewhere)
        return judge.judge()

    def _look_again(self, answered: Answered) -> None:
        """What looks right is asked on another batch size, and step after step."""
        assessment, source = answered.assessment, answered.source
        if not self._nothing_found:
            return
        found = Notes()
        settled = assessment is not None and assessment.times is not None
        if assessment is not None and source is not None and assessment.factor and not settled:
            found = second_look.other_batch(answered.assessor, source, assessment)
        elif assessment is not None and source is not None and assessment.own is not None:
            found = second_look.other_batch_measured(answered.assessor, source, assessment)
        if found.findings and isinstance(source, FallingStep) and assessment is not None:
            # A rate that has come to its floor meanwhile is not the batch's fault.
            if source.still(answered.assessor.draw(assessment.form, 0)):
                self.notes.add(found)
            return
        self.notes.add(found)
        followed = self._followed(answered)
        if followed is not None and self._nothing_found:
            self.notes.add(second_look.course_of_steps(answered.assessor, followed))

    def _followed(self, answered: Answered) -> Followed | None:
        """Return what steps one after the other have to follow; None if that is not known."""
        optimizer, stepping, assessment = (
            answered.optimizer, answered.stepping, answered.assessment,
        )  # fmt: skip
        outputs = self.plan.sizes[-1]
        if optimizer is not None and isinstance(optimizer.rule, DeclaredOptimizer):
            # Where every step seen is clipped, the reduction of what is clipped stays open.
            return None
        if optimizer is not None and (optimizer.others or optimizer.misled):
            return None
        kind = None if optimizer is None else optimizer.kind
        if optimizer is not None and not optimizer.own and optimizer.rule is not None and kind:
            batch = len(optimizer.history[0].probe.x)
            return Followed(optimizer.rule, kind, optimizer.factor, batch, outputs)
        if stepping is None or assessment is None or assessment.cost or assessment.masked:
            return None
        if stepping.kind == "decay":
            return None
        rule = OptimizerRule("sgd", stepping.form, stepping.momentum)
        batch = len(assessment.probes[0].x)
        base, kind = assessment.factor, assessment.kind
        return Followed(rule, kind, base, batch, outputs, stepping.rate_power is None)

    def _also_step(self, given: Answered, direct: Assessment) -> None:
        """With gradients and step both given: what is wrong with the step besides."""
        notes = self.notes
        own = self.step_notes.by_gradients(given, direct, self._nothing_found)
        if own is not None:
            notes.add(own)
            return
        try:
            source = Direct(self.subject) if self._nothing_found else None
            asking = self._asking(direct.kind, True, source)
            # Gradients with other masks each time are read one sample a call, and so are steps.
            asking.batch = len(direct.probes[0].x) if direct.masked else None
            asking.drops = direct.masked
            answered = single.answer(asking, direct.form)
        except TheirError as error:
            finding = Finding(STEP_EXCEPTION, "step", evidence=error.reason, detail=error.trace)
            notes.findings.append(finding)
            return
        notes.remarks += [r for r in answered.remarks if r not in notes.remarks]
        notes.findings += answered.findings
        stepping, assessment = answered.stepping, answered.assessment
        assert stepping is not None
        if assessment is None:
            if answered.optimizer is None:
                notes.findings += self.step_notes.unlike_gradients(
                    stepping, [], self._nothing_found
                )
            elif self._nothing_found:
                notes.add(self.step_notes.with_state(stepping, answered.optimizer, True))
                self._look_again(answered)
            return
        notes.add(self.step_notes.plain(stepping, assessment))
        assessment.own = direct.own
        if self._settled(assessment):
            self._look_again(answered)
            return
        known = {(f.code, f.where) for f in (*self.before.findings, *notes.findings)}
        known_loss = direct.explains_all or self._loss_known(direct)
        judgement = self._judged(answered, assessment, known_loss)
        findings = self._named(answered, assessment, judgement)
        if not assessment.explains_all and findings is judgement.findings:
            findings = self.step_notes.unlike_gradients(stepping, findings, self._nothing_found)
        if not findings and self._nothing_found:
            findings = self.step_notes.decayed(assessment)
        if not findings:
            notes.remarks += [r for r in judgement.remarks if r not in notes.remarks]
        if self._nothing_found:  # the gradients that are given are right: these are the step's own
            findings = [
                f if f.where.startswith("step") else replace(f, where=f"step: {f.where}")
                for f in findings
            ]
        notes.findings += [f for f in findings if (f.code, f.where) not in known]
        notes.tensors += rows.gradient_rows(
            assessment, self.layout, self.subject.names, "step", None, judgement.shares
        )
        self._without_batches(answered, "step")
        self._look_again(answered)

    def _conventions(self, assessment: Assessment, judgement: Judgement) -> dict[str, str]:
        found: dict[str, str] = {}
        given = " (given)" if self.candidate.labels is not None else ""
        found["labels"] = assessment.form.label_text + given
        if assessment.form.samples != self.sample.form.samples:
            before = self.before.conventions["samples"]
            found["samples"] = f"{before}; for gradients {assessment.form.sample_text}"
        if judgement.loss:
            same = self.declared and self.declared.kind is assessment.kind
            stated = " (given)" if same else ""
            found["loss"] = judgement.loss + stated
        found["batch"] = f"{len(assessment.probes[0].x)} samples a probe"
        return found
