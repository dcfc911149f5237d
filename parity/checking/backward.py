"""The second half of a check: gradients and steps, once it is known what ``forward`` computes."""

import numpy as np

from parity.checking import rows, steps
from parity.checking.asking.sources import Direct
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.explain import keras_gradients, own_loss, second_look, shares
from parity.checking.explain.answers import Answered, Asking
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.second_look import Followed
from parity.checking.explain.shares import Shares
from parity.checking.explain.weight_decay import Decays
from parity.checking.forward import Forward
from parity.checking.model.losses import Declared, LossKind
from parity.checking.model.rules import Rule
from parity.checking.verdict import Judge, Judgement
from parity.reports.findings import CheckReport, Finding, Outcome, Witness


class Backward:
    """Compares the user's gradients, or steps, with the right ones.

    Args:
        subject: The user's code.
        forward: What is known of it.
        declared: The loss that was named; None if none was.
        seed: Of the probes.
        keras: Whether to ask Keras.
    """

    def __init__(
        self, subject: Subject, forward: Forward, declared: Declared | None, seed: int, keras: bool
    ) -> None:
        self.subject = subject
        self.candidate = subject.candidate
        self.sample = forward.sample
        self.layout = forward.sample.layout
        assert forward.plan is not None
        self.plan = forward.plan
        self.declared = declared
        self.seed = seed
        self.keras = keras

    def run(self, report: CheckReport) -> None:
        """Fill in the report.

        Raises:
            TheirError: The user's code takes no form of samples and labels.
        """
        by_step = self.candidate.gradients is None
        kind = self.declared.kind if self.declared is not None else None
        answered = self._asking(kind, by_step).best()
        self._report(report, answered, "step" if by_step else "gradients")
        self._look_again(report, answered)
        if not by_step and self.candidate.step is not None and answered.assessment is not None:
            self._also_step(report, answered.assessment)
        self._conclude(report)

    def _asking(self, kind: LossKind | None, by_step: bool, own: Direct | None = None) -> Asking:
        known = None if own is None or kind is None else (own, kind)
        return Asking(self.subject, self.sample, self.plan, kind, self.seed, by_step, known)

    def _report(self, report: CheckReport, answered: Answered, source: str) -> None:
        report.findings += answered.findings
        report.remarks += answered.remarks + answered.assessor.remarks
        assessment, stepping = answered.assessment, answered.stepping
        if assessment is None:
            if stepping is not None:
                steps.report(self.subject, self.layout, answered, report)
            else:
                report.outcome = Outcome.UNKNOWN
            return
        judgement = self._judged(answered, assessment)
        if stepping is not None:
            report.conventions["optimizer"] = steps.check_kind(stepping, self.candidate, report)
        self._conventions(report, assessment, judgement)
        shares = judgement.shares
        theirs = self._ask_keras(report, assessment, shares)
        report.tensors += rows.gradient_rows(
            assessment, self.layout, self.subject.names, source, theirs, shares
        )
        if self._own_witness(report, assessment, judgement) and judgement.unknown_loss:
            report.remarks.append(
                "Loss: it is none that is known here, and your gradients are its derivative as "
                "measured along random directions."
            )
            for row in [row for row in report.tensors if row.kind != "forward"]:
                report.tensors.remove(row)
            return
        report.findings += judgement.findings
        report.remarks += judgement.remarks
        if judgement.unknown_loss and self.candidate.loss is None and self.declared is None:
            report.outcome = Outcome.UNKNOWN

    def _judged(self, answered: Answered, assessment: Assessment) -> Judgement:
        names = [
            {p: self.subject.names[self.layout.place(layer, p)] for p in ("kernel", "bias")}
            for layer in range(self.plan.depth)
        ]
        own, source = assessment.own, answered.source
        over = None
        if source is not None:
            over = shares.divided_by_batch(answered.assessor, source, assessment)
        given, has_loss = self.candidate.weight_decay, callable(self.candidate.loss)
        decays = Decays(assessment, names, own, has_loss, given, over)
        return Judge(assessment, names, self.declared, own, decays).judge()

    def _look_again(self, report: CheckReport, answered: Answered) -> None:
        """What looks right is asked on another batch size, and step after step."""
        assessment, source = answered.assessment, answered.source
        if report.findings or report.outcome is not Outcome.RIGHT:
            return
        if assessment is not None and source is not None and assessment.scale.base:
            found = second_look.other_batch(answered.assessor, source, assessment)
            if isinstance(found, Finding):
                report.findings.append(found)
            elif found is not None:
                report.remarks.append(found)
        followed = self._followed(answered)
        if followed is not None and not report.findings:
            found = second_look.course_of_steps(answered.assessor, followed)
            report.findings += [found] if found is not None else []

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

    def _also_step(self, report: CheckReport, direct: Assessment) -> None:
        """With gradients and step both given: what is wrong with the step besides."""
        try:
            source = None if report.findings else Direct(self.subject)
            asking = self._asking(direct.explanation.kind, True, source)
            answered = asking.answer(direct.form)
        except TheirError as error:
            trace = Finding(
                "exception", "step raises an exception", "step", "", error.reason, error.trace
            )
            report.findings.append(trace)
            return
        report.remarks += answered.remarks
        report.findings += answered.findings
        stepping, assessment = answered.stepping, answered.assessment
        assert stepping is not None
        if assessment is None:
            if not report.findings:
                steps.report(self.subject, self.layout, answered, report, gradients_right=True)
                self._look_again(report, answered)
            return
        report.conventions["optimizer"] = steps.check_kind(stepping, self.candidate, report)
        assessment.own = direct.own
        known = {(f.code, f.where) for f in report.findings}
        judgement = self._judged(answered, assessment)
        report.findings += [f for f in judgement.findings if (f.code, f.where) not in known]
        report.tensors += rows.gradient_rows(
            assessment, self.layout, self.subject.names, "step", None, judgement.shares
        )
        self._look_again(report, answered)

    def _conventions(
        self, report: CheckReport, assessment: Assessment, judgement: Judgement
    ) -> None:
        given = " (given)" if self.candidate.labels is not None else ""
        report.conventions["labels"] = assessment.form.label_text + given
        if assessment.form.samples != self.sample.form.samples:
            report.conventions["samples"] += f"; for gradients {assessment.form.sample_text}"
        if judgement.loss:
            same = self.declared and self.declared.kind is assessment.explanation.kind
            stated = " (given)" if same else ""
            report.conventions["loss"] = judgement.loss + stated
        report.conventions["batch"] = f"{len(assessment.probes[0].x)} samples a probe"

    def _ask_keras(
        self, report: CheckReport, assessment: Assessment, shares: Shares
    ) -> rows.KernelsAndBiases | None:
        name = "Keras's autodiff"
        if not self.keras:
            report.witnesses.append(Witness(name, None, "not asked (keras=False)"))
            return None
        kind = assessment.explanation.kind
        try:
            _, kernels, biases = keras_gradients.ask(assessment.probes[0], kind)
        except keras_gradients.NotAsked as reason:
            report.witnesses.append(Witness(name, None, str(reason)))
            return None
        agree = rows.agree_with(assessment, (kernels, biases), shares)
        comment = "your gradients are Keras's up to rounding" if agree else "your gradients differ"
        report.witnesses.append(Witness(name, agree, f"{comment} (loss: {kind.name})"))
        return kernels, biases

    def _own_witness(
        self, report: CheckReport, assessment: Assessment, judgement: Judgement
    ) -> bool:
        name = "the derivative of your own loss"
        own = assessment.own
        if own is None:
            stated = callable(self.candidate.loss)
            comment = "the loss could not be called" if stated else "no loss function is given"
            report.witnesses.append(Witness(name, None, comment))
            return False
        agrees = own_loss.follows(own, assessment.probes)
        what = own.kind.name if own.kind is not None else "a function unknown here"
        report.witnesses.append(Witness(name, agrees, f"{what}, measured by {own.method}"))
        if own.kind is None and not agrees and not judgement.findings:
            report.remarks.append(
                f"Loss: your gradients are those of {judgement.loss}, and not the derivative of "
                "your own loss as measured. What is printed is not what is descended."
            )
        return agrees

    def _vacuous(self, report: CheckReport) -> None:
        """A tensor whose every bound is as large as its values could not have failed.

        Where a layer's other tensor could, its delta is judged by that, and it is only remarked.
        """
        judged = [row for row in report.tensors if row.right]
        vacuous = [
            row
            for row in judged
            if row.bounds is not None and np.min(row.bounds) >= row.largest > 0
        ]
        sound = {(row.kind, row.name.rsplit(" ", 1)[0]) for row in judged if row not in vacuous}
        for row in vacuous:
            if (row.kind, row.name.rsplit(" ", 1)[0]) in sound:
                report.remarks.append(
                    f"Precision: in {self.sample.dtype} rounding may be as large as {row.name} "
                    f"({row.own_name}), which is judged by its layer's other tensor alone."
                )
                continue
            report.outcome = Outcome.UNKNOWN
            report.findings.append(
                Finding(
                    "vacuous", "nothing could have failed: rounding may be as large as the values",
                    f"{row.name} ({row.own_name})", "check it in float64",
                )
            )  # fmt: skip

    def _conclude(self, report: CheckReport) -> None:
        if not report.findings:
            self._vacuous(report)
        if report.findings and report.outcome is Outcome.RIGHT:
            report.outcome = Outcome.WRONG
        if report.findings:
            first = report.findings[0]
            report.summary = report.summary or f"{first.title}: {first.where}."
        else:
            report.summary = "Forward pass and gradients are right, up to rounding."
