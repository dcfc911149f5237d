"""The second stage: gradients and steps, once it is known what ``forward`` computes."""

from collections.abc import Sequence

import numpy as np

from numpy_impl.types import Array
from parity.checking import rows, steps
from parity.checking.asking.sources import Direct
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.table import STEP_EXCEPTION, VACUOUS
from parity.checking.explain import keras_gradients, own_loss, second_look, shares
from parity.checking.explain.answers import Answered, Asking
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.second_look import Followed
from parity.checking.explain.shares import Shares
from parity.checking.explain.weight_decay import Decays
from parity.checking.forward import Forward
from parity.checking.model.layout import Key
from parity.checking.model.losses import Declared, LossKind
from parity.checking.model.rules import Rule
from parity.checking.stage import Notes
from parity.checking.verdict import Judge, Judgement
from parity.reports.findings import Finding, TensorResult, Witness


class Backward:
    """Compares the user's gradients, or steps, with the right ones.

    Args:
        forward: What is known of the user's code.
        declared: The loss that was named; None if none was.
        seed: Of the probes.
        keras: Whether to ask Keras.
        before: What was found before: then nothing is asked twice.
    """

    def __init__(
        self,
        forward: Forward,
        declared: Declared | None,
        seed: int,
        keras: bool,
        before: Sequence[Finding],
    ) -> None:
        self.subject = forward.subject
        self.candidate = forward.subject.candidate
        self.sample = forward.sample
        self.layout = forward.sample.layout
        assert forward.plan is not None
        self.plan = forward.plan
        self.declared = declared
        self.seed = seed
        self.keras = keras
        self.before = before
        self.samples_text = forward.notes.conventions["samples"]
        self.forward_rows = forward.notes.tensors
        self.notes = Notes()

    def run(self) -> Notes:
        """Return what was found."""
        with self.notes.until_blocked():
            self._run()
        return self.notes

    def _run(self) -> None:
        by_step = self.candidate.gradients is None
        kind = self.declared.kind if self.declared is not None else None
        answered = self._asking(kind, by_step).best()
        self._note(answered, "step" if by_step else "gradients")
        self._look_again(answered)
        if not by_step and self.candidate.step is not None and answered.assessment is not None:
            self._also_step(answered.assessment)
        if self._nothing_found:
            self.notes.add(self._vacuous())

    @property
    def _nothing_found(self) -> bool:
        return not self.before and not self.notes.findings

    def _asking(self, kind: LossKind | None, by_step: bool, own: Direct | None = None) -> Asking:
        known = None if own is None or kind is None else (own, kind)
        return Asking(self.subject, self.sample, self.plan, kind, self.seed, by_step, known)

    def _note(self, answered: Answered, source: str) -> None:
        notes = self.notes
        notes.findings += answered.findings
        notes.remarks += answered.remarks + answered.assessor.remarks
        assessment, stepping = answered.assessment, answered.stepping
        if assessment is None:
            if stepping is not None:
                notes.add(steps.of_stateful(self.subject, self.layout, answered))
            return
        loss_known = self.candidate.loss is not None or self.declared is not None
        judgement = self._judged(answered, assessment, loss_known)
        if stepping is not None:
            notes.add(steps.of_plain(stepping, self.candidate))
        notes.conventions |= self._conventions(assessment, judgement)
        witness, theirs = self._ask_keras(assessment, judgement.shares)
        notes.witnesses.append(witness)
        own, remarks = self._own_witness(assessment, judgement)
        notes.witnesses.append(own)
        notes.remarks += remarks
        if own.agrees and judgement.unknown_loss:
            notes.remarks.append(
                "Loss: it is none that is known here, and your gradients are its derivative as "
                "measured along random directions."
            )
            return
        notes.tensors += rows.gradient_rows(
            assessment, self.layout, self.subject.names, source, theirs, judgement.shares
        )
        notes.findings += judgement.findings
        notes.remarks += judgement.remarks

    def _judged(self, answered: Answered, assessment: Assessment, loss_known: bool) -> Judgement:
        names = {key: self.subject.names[self.layout.place(key)] for key in self.layout.keys}
        own, source = assessment.own, answered.source
        over = None
        if source is not None:
            over = shares.divided_by_batch(answered.assessor, source, assessment)
        given, has_loss = self.candidate.weight_decay, callable(self.candidate.loss)
        decays = Decays(assessment, names, own, has_loss, given, over)
        return Judge(assessment, names, self.declared, own, decays, loss_known).judge()

    def _look_again(self, answered: Answered) -> None:
        """What looks right is asked on another batch size, and step after step."""
        assessment, source = answered.assessment, answered.source
        if not self._nothing_found:
            return
        if assessment is not None and source is not None and assessment.scale.base:
            self.notes.add(second_look.other_batch(answered.assessor, source, assessment))
        followed = self._followed(answered)
        if followed is not None and self._nothing_found:
            self.notes.add(second_look.course_of_steps(answered.assessor, followed))

    def _followed(self, answered: Answered) -> Followed | None:
        """Return what steps one after the other have to follow; None if that is not known."""
        optimizer, stepping, assessment = (
            answered.optimizer, answered.stepping, answered.assessment,
        )  # fmt: skip
        outputs = self.plan.sizes[-1]
        if optimizer is not None and not optimizer.own:
            batch = len(optimizer.history[0].probe.x)
            return Followed(optimizer.rule, optimizer.kind, optimizer.factor, batch, outputs)
        if stepping is None or assessment is None or assessment.cost or assessment.masked:
            return None
        rule = Rule("sgd", decay=stepping.momentum)
        batch = len(assessment.probes[0].x)
        base, kind = assessment.scale.base, assessment.explanation.kind
        return Followed(rule, kind, base, batch, outputs, stepping.rate_power is None)

    def _also_step(self, direct: Assessment) -> None:
        """With gradients and step both given: what is wrong with the step besides."""
        notes = self.notes
        try:
            source = Direct(self.subject) if self._nothing_found else None
            asking = self._asking(direct.explanation.kind, True, source)
            answered = asking.answer(direct.form)
        except TheirError as error:
            finding = Finding(STEP_EXCEPTION, "step", evidence=error.reason, detail=error.trace)
            notes.findings.append(finding)
            return
        notes.remarks += answered.remarks
        notes.findings += answered.findings
        stepping, assessment = answered.stepping, answered.assessment
        assert stepping is not None
        if assessment is None:
            if self._nothing_found:
                notes.add(steps.of_stateful(self.subject, self.layout, answered, True))
                self._look_again(answered)
            return
        notes.add(steps.of_plain(stepping, self.candidate))
        assessment.own = direct.own
        known = {(f.code, f.where) for f in (*self.before, *notes.findings)}
        judgement = self._judged(answered, assessment, loss_known=True)
        notes.findings += [f for f in judgement.findings if (f.code, f.where) not in known]
        notes.tensors += rows.gradient_rows(
            assessment, self.layout, self.subject.names, "step", None, judgement.shares
        )
        self._look_again(answered)

    def _conventions(self, assessment: Assessment, judgement: Judgement) -> dict[str, str]:
        found = {}
        given = " (given)" if self.candidate.labels is not None else ""
        found["labels"] = assessment.form.label_text + given
        if assessment.form.samples != self.sample.form.samples:
            found["samples"] = f"{self.samples_text}; for gradients {assessment.form.sample_text}"
        if judgement.loss:
            same = self.declared and self.declared.kind is assessment.explanation.kind
            stated = " (given)" if same else ""
            found["loss"] = judgement.loss + stated
        found["batch"] = f"{len(assessment.probes[0].x)} samples a probe"
        return found

    def _ask_keras(
        self, assessment: Assessment, shares: Shares
    ) -> tuple[Witness, dict[Key, Array] | None]:
        name = "Keras's autodiff"
        if not self.keras:
            return Witness(name, None, "not asked (keras=False)"), None
        kind = assessment.explanation.kind
        try:
            _, theirs = keras_gradients.ask(assessment.probes[0], kind)
        except keras_gradients.NotAsked as reason:
            return Witness(name, None, str(reason)), None
        agree = rows.agree_with(assessment, theirs, shares)
        comment = "your gradients are Keras's up to rounding" if agree else "your gradients differ"
        return Witness(name, agree, f"{comment} (loss: {kind.name})"), theirs

    def _own_witness(
        self, assessment: Assessment, judgement: Judgement
    ) -> tuple[Witness, list[str]]:
        name = "the derivative of your own loss"
        own = assessment.own
        if own is None:
            stated = callable(self.candidate.loss)
            comment = "the loss could not be called" if stated else "no loss function is given"
            return Witness(name, None, comment), []
        agrees = own_loss.follows(own, assessment.probes)
        what = own.kind.name if own.kind is not None else "a function unknown here"
        remarks = []
        if own.kind is None and not agrees and not judgement.findings:
            remarks.append(
                f"Loss: your gradients are those of {judgement.loss}, and not the derivative of "
                "your own loss as measured. What is printed is not what is descended."
            )
        return Witness(name, agrees, f"{what}, measured by {own.method}"), remarks

    def _vacuous(self) -> Notes:
        """A tensor whose every bound is as large as its values could not have failed.

        Where a layer's other tensor could, its delta is judged by that, and it is only remarked.
        """
        notes = Notes()
        judged = [row for row in (*self.forward_rows, *self.notes.tensors) if row.right]
        vacuous = [
            row
            for row in judged
            if row.bounds is not None and np.min(row.bounds) >= row.largest > 0
        ]

        def layer(row: TensorResult) -> tuple[str, str]:
            return row.kind, row.name.rsplit(" ", 1)[0]

        sound = {layer(row) for row in judged if row not in vacuous}
        for row in vacuous:
            if layer(row) in sound:
                notes.remarks.append(
                    f"Precision: in {self.sample.dtype} rounding may be as large as {row.name} "
                    f"({row.own_name}), which is judged by its layer's other tensor alone."
                )
            else:
                notes.findings.append(Finding(VACUOUS, f"{row.name} ({row.own_name})"))
        return notes
