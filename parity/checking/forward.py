"""The first half of a check: what ``forward`` computes, and whether it is what is meant."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from parity.checking import rows
from parity.checking.asking import conventions
from parity.checking.asking.conventions import Sample
from parity.checking.asking.repeats import alike, takes_batches
from parity.checking.asking.subject import Subject
from parity.checking.bugs import forwards
from parity.checking.model.layout import Layout
from parity.checking.model.plan import Plan
from parity.reports.findings import CheckReport, Finding, Outcome, Witness

_FLOAT32 = (
    "Precision: a part of forward is in float32 although the weights are float64, so all is "
    "checked to float32's rounding; errors smaller than that are not seen."
)
_NONDETERMINISTIC = Finding(
    "nondeterministic", "forward is nondeterministic: other outputs on equal input", "forward",
    "switch dropout (or other random parts) off in forward",
)  # fmt: skip
# A forward pass is explained for so many readings of the weights, the likeliest.
_MOST_EXPLAINED = 4


class Unreadable(Exception):
    """The check cannot go on.

    Attributes:
        finding: Why.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.title)
        self.finding = finding


class Forward:
    """Finds out how to call the user's code and how to read its weights.

    Attributes:
        sample: One answer of ``forward``, read as it is meant.
        plan: The network that the gradients are to be compared with; None where there is none.
    """

    sample: Sample
    plan: Plan | None

    def __init__(
        self, subject: Subject, layouts: Sequence[Layout], plan: Plan | None, seed: int
    ) -> None:
        self.subject = subject
        self.layouts = layouts
        self.given = plan
        self.seed = seed
        self.plan = None

    def run(self, report: CheckReport) -> None:
        """Fill in conventions, forward findings and rows.

        Raises:
            TheirError: The user's ``forward`` fails.
            Unreadable: Its outputs have no shape that fits the weights.
        """
        answers = self._answers()
        if not self._understood(answers) and self.subject.own_dtype != self.subject.dtype:
            # Code that mixes float64 weights with float32 of its own: in its own precision, then.
            self.subject.dtype = self.subject.own_dtype
            answers = self._answers()
            self._understood(answers)
        if self.plan is None:
            rounded = [replace(s, dtype=np.dtype(np.float32)) for s in answers if s.dtype == float]
            if self._understood(rounded) and not self._mostly_off():
                # A bug that float32's rounding would hide.
                self.sample, self.plan = replace(self.sample, dtype=np.dtype(float)), None
            elif self.plan is not None:
                report.remarks.append(_FLOAT32)
        self._conventions(report)
        random = self._random()
        if random:
            report.findings.append(_NONDETERMINISTIC)
            report.outcome = Outcome.UNKNOWN
            report.summary = f"{_NONDETERMINISTIC.title}."
        if self.plan is not None and self._for_batches(report, answers):
            return
        if self.plan is not None:
            text = "equal up to rounding"
            report.witnesses.append(Witness("your forward and the reference's", True, text))
            report.tensors += rows.forward_rows(self.sample, self.plan)
        elif not random:
            self._explain(report, answers)

    def _answers(self) -> list[Sample]:
        """Return what ``forward`` answers, the likeliest way to read it first and in ``sample``."""
        rng = np.random.default_rng([self.seed, 99])
        answers = list(conventions.samples(self.subject, self.layouts, rng))
        if not answers:
            sizes = self.layouts[0].sizes
            raise Unreadable(
                Finding(
                    "outputs-shape", "the outputs of forward have no shape that fits", "forward",
                    "return one row (or column) of outputs a sample",
                    f"expected {sizes[-1]} outputs a sample for {sizes[0]} inputs. Received: "
                    "another shape, with samples in rows, in columns, and one a call",
                )
            )  # fmt: skip
        self.sample = answers[0]
        return answers

    def _understood(self, answers: Sequence[Sample]) -> bool:
        for sample, plan in self._readings(answers):
            if plan is not None:
                self.sample, self.plan = sample, plan
                return True
        return False

    def _readings(self, answers: Sequence[Sample]) -> Iterator[tuple[Sample, Plan | None]]:
        """Yield each answer with the plan that it agrees with, if there is one."""
        if self.given is not None:
            for sample in answers:
                plan = _sized(self.given, sample)
                yield sample, plan if sample.agrees(plan) else None
            return
        name = self.subject.candidate.name
        for sample in answers:
            yield sample, conventions.guess(sample, name, mixed=False)
        for sample in answers:
            if sample.layout.plausible and not sample.first.layers:
                yield sample, conventions.guess(sample, name, mixed=True)

    def _mostly_off(self) -> bool:
        """Return whether most outputs are off by more than float64's rounding."""
        assert self.plan is not None
        sample = replace(self.sample, dtype=np.dtype(np.float64))
        expected = sample.expected(self.plan, tracked=True).output
        off = np.abs(sample.first.output - expected.value) > 2 * expected.bound
        return bool(2 * np.count_nonzero(off) >= off.size)

    def _conventions(self, report: CheckReport) -> None:
        candidate, sample = self.subject.candidate, self.sample

        def said(given: object) -> str:
            return " (given)" if given is not None else ""

        layout = sample.layout
        report.conventions["samples"] = sample.form.sample_text + said(candidate.samples)
        orientation = {"in-out": "(inputs, units)", "out-in": "(units, inputs)"}
        report.conventions["kernel"] = orientation[layout.orientation] + said(candidate.kernel)
        report.conventions["bias"] = layout.bias + said(candidate.bias)
        report.conventions["sizes"] = "-".join(map(str, layout.sizes))
        if self.plan is not None:
            names = ", ".join(f.name for f in self.plan.activations)
            report.conventions["activations"] = names + said(self.given)
        report.conventions["dtype"] = str(sample.dtype)
        if self.given is None and self.plan is not None:
            report.reference = self.plan.text

    def _random(self) -> bool:
        """Ask once more on equal input; return whether the answer is another one."""
        sample, draw = self.sample, self.sample.first
        arrays = sample.layout.pack(draw.kernels, draw.biases)
        self.subject.set_weights(arrays)
        answer = self.subject.forward(sample.form.x(draw.x))
        again = conventions.read(arrays, draw.x, answer, sample.layout, sample.form)
        return again is None or not alike(again.output, draw.output)

    def _for_batches(self, report: CheckReport, answers: Sequence[Sample]) -> bool:
        """Report a fault that shows in batches only, where the code is made for batches.

        One sample a call is right, then: a softmax over the batch's axis, say. Code that is made
        for one sample a call may do the same with a batch, and be right; but its gradients of a
        batch do not have the weights' shapes.
        """
        if self.sample.form.samples != "single" or self.subject.candidate.samples is not None:
            return False
        assert self.plan is not None
        for sample in answers:
            if sample.form.samples == "single" or sample.layout != self.sample.layout:
                continue
            fault = forwards.explain(sample, self.plan)
            if fault is not None and takes_batches(self.subject, sample, self.plan):
                self._faulty(report, sample, self.plan, fault)
                return True
        return False

    def _explain(self, report: CheckReport, answers: Sequence[Sample]) -> None:
        """Say what is wrong with the forward pass."""
        for sample in answers[:_MOST_EXPLAINED]:
            name = self.subject.candidate.name
            meant = [self.given] if self.given else list(forwards.usual_plans(sample, name))
            for plan in meant:
                fault = forwards.explain(sample, _sized(plan, sample))
                if (
                    fault is not None
                    and fault.finding.code == "inputs-scaled"
                    and self.given is None
                ):
                    self._scaled(report, sample, fault)
                    return
                if fault is not None:
                    self._faulty(report, sample, _sized(plan, sample), fault)
                    return
        self._inexplicable(report, answers)

    def _scaled(self, report: CheckReport, sample: Sample, fault: forwards.Fault) -> None:
        """Take inputs that forward scales as they are, since no reference says otherwise."""
        assert fault.plan is not None
        self.sample, self.plan = sample, fault.plan
        self._conventions(report)
        report.remarks.append(
            f"Inputs: {fault.finding.title}, and so they are here; no reference says otherwise."
        )
        text = "equal up to rounding"
        report.witnesses.append(Witness("your forward and the reference's", True, text))
        report.tensors += rows.forward_rows(sample, fault.plan)

    def _faulty(
        self, report: CheckReport, sample: Sample, plan: Plan, fault: forwards.Fault
    ) -> None:
        self.sample = sample
        self._conventions(report)
        report.findings.append(fault.finding)
        report.tensors += rows.forward_rows(sample, plan)
        report.witnesses.append(
            Witness("your forward and the reference's", False, fault.finding.title)
        )
        report.outcome = Outcome.WRONG
        report.summary = f"{fault.finding.title}: {fault.finding.where}."
        self.plan = fault.plan

    def _inexplicable(self, report: CheckReport, answers: Sequence[Sample]) -> None:
        sample = answers[0]
        given = self.given
        if given is None:
            report.outcome = Outcome.UNKNOWN
            report.summary = "It cannot be told what forward computes; give a reference."
            finding = Finding(
                "unknown-forward", "unknown: forward is no chain of layers with known activations",
                "forward", "give reference=..., with the layers that it is meant to have",
                "no reading of the weights and no known activations give its outputs",
            )  # fmt: skip
            report.findings.append(finding)
            return
        plan = _sized(given, sample)
        layer = forwards.parting_layer(sample, plan)
        where = "forward" if layer is None else f"layer {layer + 1}, forward"
        shown = (
            "" if layer is None else "; the layers below agree, and this one is fed their values"
        )
        finding = Finding(
            "unknown-forward", "unknown: the forward pass is another function than the reference's",
            where, "compare this layer's activation with the reference's",
            f"the outputs differ by more than rounding{shown}",
        )  # fmt: skip
        report.findings.append(finding)
        report.tensors += rows.forward_rows(sample, plan)
        report.witnesses.append(
            Witness("your forward and the reference's", False, finding.evidence)
        )
        report.outcome = Outcome.WRONG
        report.summary = f"{finding.title}: {where}."


def _sized(plan: Plan, sample: Sample) -> Plan:
    """Return the plan with the number of inputs that the weights have."""
    return plan if plan.sizes[0] else replace(plan, sizes=sample.layout.sizes)
