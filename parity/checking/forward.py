"""The first stage: what ``forward`` computes, and whether it is what is meant."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from numpy_impl.types import Array, DTypeLike
from parity.checking.asking import conventions
from parity.checking.asking.coarse import in_bfloat16
from parity.checking.asking.conventions import Sample
from parity.checking.asking.repeating import alike
from parity.checking.asking.shapes import takes_batches
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.findings import (
    FORWARD_PASS,
    Finding,
    Notes,
    TensorResult,
    Unreadable,
    Witness,
)
from parity.checking.bugs.forward import INPUTS_SCALED, Fault, faults
from parity.checking.bugs.slips import predicting_with_dropout, slipped
from parity.checking.bugs.table import (
    LOW_PRECISION,
    NONDETERMINISTIC_FORWARD,
    OUTPUTS_SHAPE,
    UNKNOWN_FORWARD,
    UNKNOWN_LAYERS,
)
from parity.checking.model.functions import COMMON, LEAKY, OUTPUTS
from parity.checking.model.layout import Layout
from parity.checking.model.network import Plan
from parity.checking.model.probe import Form

_FLOAT32 = (
    "Precision: a part of forward is in float32 although the weights are float64, so all is "
    "checked to float32's rounding; errors smaller than that are not seen."
)
# A forward pass is explained for so many readings of the weights, the likeliest.
_MOST_EXPLAINED = 4


class Forward:
    """Finds out how to call the user's code and how to read its weights.

    Attributes:
        sample: One answer of ``forward``, read as it is meant.
        plan: The network that the gradients are to be compared with; None where there is none.
        reference: What ``forward`` was compared with, in words.
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
        self.reference = "" if plan is None else plan.with_inputs(layouts[0].sizes).text
        self.notes = Notes()
        self._refused: dict[str, str] = {}
        self._chained: dict[tuple[int, Form], bool] = {}

    def run(self) -> Notes:
        """Return conventions, forward findings and rows."""
        with self.notes.until_blocked():
            self._run()
        return self.notes

    def _run(self) -> None:
        answers = self._answers()
        if not self._understood(answers) and self.subject.own_dtype != self.subject.dtype:
            # Code that mixes float64 weights with float32 of its own: in its own precision, then.
            self.subject.dtype = self.subject.own_dtype
            answers = self._answers()
            self._understood(answers)
        if self.plan is None and self._rounded(answers, np.float64, np.float32):
            self.notes.remarks.append(_FLOAT32)
        # A reference says what to compare with; without one too much would agree so roughly.
        if self.plan is None and self.given and self._rounded(answers, np.float32, np.float16):
            values = {"digits": 10, "formats": "TensorFloat-32, float16"}
            self.notes.findings.append(Finding(LOW_PRECISION, "forward", values))
        self._conventions()
        random = self._random()
        if random:
            self.notes.findings.append(Finding(NONDETERMINISTIC_FORWARD, "forward"))
        if self.plan is None:
            if not random and not self._coarse():
                self._explain(answers)
            return
        found = self._fault_of_batches(answers)
        if found is None:
            self._agrees(self.plan)
            self._without_batches()
        else:
            sample, fault = found
            self._faulty(sample, self.plan, fault)

    def _coarse(self) -> bool:
        """Say so where all is in bfloat16, and right as far as can be told."""
        if self.given is None or not in_bfloat16(
            self.subject, self.sample, _sized(self.given, self.sample)
        ):
            return False
        values = {"digits": 7, "formats": "bfloat16"}
        self.notes.findings.append(Finding(LOW_PRECISION, "forward", values))
        self.notes.remarks.append("Gradients: not tested, as bfloat16 leaves too few digits.")
        return True

    def _rounded(self, answers: Sequence[Sample], own: DTypeLike, lower: DTypeLike) -> bool:
        """Return whether answers in one precision are right to the rounding of a lower one only.

        Where a few outputs are off it is a bug that the lower precision's rounding would hide.
        """
        dtypes = np.dtype(own), np.dtype(lower)
        rounded = [replace(s, dtype=dtypes[1]) for s in answers if s.dtype == dtypes[0]]
        if not self._understood(rounded):
            return False
        if not self._mostly_off(dtypes[0]):
            self.sample, self.plan = replace(self.sample, dtype=dtypes[0]), None
        return self.plan is not None

    def _without_batches(self) -> None:
        """Say that batches are not tested where ``forward`` takes none, and what it does there."""
        if self.sample.form.samples != "single" or self.subject.candidate.samples is not None:
            return
        tried = [f"{form} it {why}" for form, why in self._refused.items() if "batch" in form]
        self.notes.remarks.append(conventions.no_batches("forward", "; ".join(tried)))

    def _answers(self) -> list[Sample]:
        """Return what ``forward`` answers, the likeliest way to read it first and in ``sample``."""
        rng = np.random.default_rng([self.seed, 99])
        answers = list(conventions.samples(self.subject, self.layouts, rng, self._refused))
        if not answers:
            sizes = self.layouts[0].sizes
            tried = "; ".join(f"samples {form}: it {why}" for form, why in self._refused.items())
            evidence = (
                f"expected {sizes[-1]} outputs a sample for {sizes[0]} inputs. Received: {tried}"
            )
            raise Unreadable(Finding(OUTPUTS_SHAPE, "forward", evidence=evidence))
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
        answers = [sample for sample in answers if self._is_chain(sample)]
        for sample in answers:
            yield sample, conventions.guess(sample, name, mixed=False)
        for sample in answers:
            if sample.layout.plausible and not sample.first.layers:
                yield sample, conventions.guess(sample, name, mixed=True)
        for sample in answers:
            yield sample, conventions.guess_stretched(sample, name)

    def _is_chain(self, sample: Sample) -> bool:
        """Return whether nothing of x reaches the outputs once any one kernel is zero.

        So it is in every chain, whatever its activations, and in little else. Some seconds of
        guessing are saved where the weights can be read in hundreds of ways, and all are wrong.
        """
        for place in sample.layout.kernels:
            asked = place, sample.form
            if asked not in self._chained:
                self._chained[asked] = self._nothing_passes(sample, place)
            if not self._chained[asked]:
                return False
        return True

    def _nothing_passes(self, sample: Sample, place: int) -> bool:
        arrays = sample.layout.pack(sample.first.weights)
        arrays[place] = np.zeros_like(arrays[place])
        outputs: list[Array] = []
        try:
            self.subject.set_weights(arrays)
            for draw in sample.draws[:2]:  # where one sample goes a call, two of them
                answer = self.subject.forward(sample.form.x(draw.x))
                found = conventions.read(arrays, draw.x, answer, sample.layout, sample.form)
                outputs += [] if found is None else [found.output]
        except TheirError:
            return True
        if not outputs:
            return True
        rows = np.concatenate(outputs)
        return alike(rows, np.repeat(rows[:1], len(rows), axis=0))

    def _mostly_off(self, dtype: np.dtype) -> bool:
        """Return whether most outputs are off by more than a precision's rounding."""
        assert self.plan is not None
        sample = replace(self.sample, dtype=dtype)
        expected = sample.expected(self.plan, tracked=True).output
        off = np.abs(sample.first.output - expected.value) > 2 * expected.bound
        return bool(2 * np.count_nonzero(off) >= off.size)

    def _conventions(self) -> None:
        candidate, sample, found = self.subject.candidate, self.sample, self.notes.conventions

        def said(given: object) -> str:
            return " (given)" if given is not None else ""

        layout = sample.layout
        found["samples"] = sample.form.sample_text + said(candidate.samples)
        orientation = {"in-out": "(inputs, units)", "out-in": "(units, inputs)"}
        found["kernel"] = orientation[layout.orientation] + said(candidate.kernel)
        found["bias"] = layout.bias + said(candidate.bias)
        found["sizes"] = "-".join(map(str, layout.sizes))
        if self.plan is not None:
            names = ", ".join(f.name for f in self.plan.activations)
            found["activations"] = names + said(self.given)
        found["dtype"] = str(sample.dtype)
        if self.given is None and self.plan is not None:
            self.reference = self.plan.text

    def _random(self) -> bool:
        """Ask once more on equal input; return whether the answer is another one."""
        sample, draw = self.sample, self.sample.first
        arrays = sample.layout.pack(draw.weights)
        self.subject.set_weights(arrays)
        answer = self.subject.forward(sample.form.x(draw.x))
        again = conventions.read(arrays, draw.x, answer, sample.layout, sample.form)
        return again is None or not alike(again.output, draw.output)

    def _fault_of_batches(self, answers: Sequence[Sample]) -> tuple[Sample, Fault] | None:
        """Return a fault that shows in batches only, where the code is made for batches.

        One sample a call is right, then: a softmax over the batch's axis, say. Code that is made
        for one sample a call may do the same with a batch, and be right; but its gradients of a
        batch do not have the weights' shapes.
        """
        if self.sample.form.samples != "single" or self.subject.candidate.samples is not None:
            return None
        assert self.plan is not None
        for sample in answers:
            if sample.form.samples == "single" or sample.layout != self.sample.layout:
                continue
            fault = None if sample.agrees(self.plan) else _fault(sample, self.plan)
            if fault is not None and takes_batches(self.subject, sample, self.plan):
                return sample, fault
        return None

    def _explain(self, answers: Sequence[Sample]) -> None:
        """Say what is wrong with the forward pass."""
        name = self.subject.candidate.name
        for sample in answers[:_MOST_EXPLAINED]:
            draft = _draft(sample, name)
            for fault, meant in slipped(draft, self.given and _sized(self.given, sample)):
                if fault.plan is not None and sample.agrees(fault.plan):
                    self._faulty(sample, meant, fault)
                    # What flows back through it is of no use, and may overflow.
                    self.plan = None
                    self.notes.remarks.append("Gradients: not tested before forward is mended.")
                    return
            if self.given is None and self._predicts_with_dropout(sample, draft):
                return
        for sample in answers[:_MOST_EXPLAINED]:
            for meant in [self.given] if self.given else _usual_plans(sample, name):
                plan = _sized(meant, sample)
                fault = _fault(sample, plan)
                if fault is not None and fault.plan is not None and self.given is None:
                    self._as_it_is(sample, fault)
                    return
                if fault is not None:
                    self._faulty(sample, plan, fault)
                    return
        self._inexplicable(answers[0])

    def _predicts_with_dropout(self, sample: Sample, draft: Plan) -> bool:
        """Take hidden activations that forward multiplies as classical dropout's, if they are."""
        for plan, rates in predicting_with_dropout(draft):
            if sample.agrees(plan):
                self.sample, self.plan = sample, plan
                self._conventions()
                words = [f"layer {n}'s by {1 - rate:.4g}" for n, rate in enumerate(rates, 1)]
                self.notes.remarks.append(
                    f"Dropout: forward multiplies the activations ({', '.join(words)}), as "
                    "classical dropout does, whose masks have no scale in training: that share is "
                    "taken for 1 - rate."
                )
                self._agrees(plan)
                return True
        return False

    def _agrees(self, plan: Plan) -> None:
        self.notes.witnesses.append(Witness(FORWARD_PASS, True, "equal up to rounding"))
        self.notes.tensors += _rows(self.sample, plan)

    def _as_it_is(self, sample: Sample, fault: Fault) -> None:
        """Take the network that forward computes as it is, since no reference says otherwise."""
        assert fault.plan is not None
        self.sample, self.plan = sample, fault.plan
        self._conventions()
        if fault.bug is INPUTS_SCALED:
            self.notes.remarks.append(
                f"Inputs: {_finding(fault).title}, and so they are here; no reference says "
                "otherwise."
            )
        self._agrees(fault.plan)

    def _faulty(self, sample: Sample, plan: Plan, fault: Fault) -> None:
        self.sample = sample
        self._conventions()
        finding = _finding(fault)
        self.notes.findings.append(finding)
        self._differs(plan, finding.title)
        self.plan = fault.plan

    def _differs(self, plan: Plan, comment: str) -> None:
        self.notes.tensors += _rows(self.sample, plan)
        self.notes.witnesses.append(Witness(FORWARD_PASS, False, comment))

    def _inexplicable(self, sample: Sample) -> None:
        if self.given is None:
            evidence = "no reading of the weights and no known activations give its outputs"
            self.notes.findings.append(Finding(UNKNOWN_LAYERS, "forward", evidence=evidence))
            return
        self.sample = sample
        plan = _sized(self.given, sample)
        layer = _parting_layer(sample, plan)
        where = "forward" if layer is None else f"layer {layer + 1}, forward"
        shown = (
            "" if layer is None else "; the layers below agree, and this one is fed their values"
        )
        evidence = f"the outputs differ by more than rounding{shown}"
        self.notes.findings.append(Finding(UNKNOWN_FORWARD, where, evidence=evidence))
        self._differs(plan, evidence)


def _finding(fault: Fault) -> Finding:
    return Finding(fault.bug, fault.where, fault.values)


def _fault(sample: Sample, plan: Plan) -> Fault | None:
    """Return the one thing wrong with a forward pass; None if nothing known explains it."""
    for fault in faults(plan, len(sample.first.x)):
        if sample.agrees(fault.plan or plan, fault.passing):
            return fault
    return None


def _parting_layer(sample: Sample, plan: Plan) -> int | None:
    """Return the first layer whose activations differ though what it takes agrees.

    None where ``forward`` gives the outputs alone, or where all layers agree.
    """
    for layer, (observed, expected) in enumerate(sample.layer_by_layer(plan)):
        if not conventions.within(expected, observed):
            return layer
    return None


def _rows(sample: Sample, plan: Plan) -> list[TensorResult]:
    """Return a row for the outputs, or for every layer's activations where ``forward`` gives them.

    Each layer is computed from the user's own activations below it.
    """
    shown = [
        (layer, f"forward(x)[{layer}]", *pair)
        for layer, pair in enumerate(sample.layer_by_layer(plan))
    ]
    if not shown:
        expected = sample.expected(plan, tracked=True).output
        shown = [(plan.depth - 1, "forward(x)", sample.first.output, expected)]
    return [
        TensorResult.of_arrays(
            "forward", f"layer {layer + 1} activation", name, observed, expected.value,
            2 * expected.bound,
        )
        for layer, name, observed, expected in shown
    ]  # fmt: skip


def _usual_plans(sample: Sample, name: str) -> Iterator[Plan]:
    """Yield networks that a forward pass may be meant to be, where no reference says it."""
    draft = _draft(sample, name)
    for hidden in (*COMMON, LEAKY[0]):
        for output in OUTPUTS[:4]:
            yield replace(draft, activations=(hidden,) * (draft.depth - 1) + (output,))
        if draft.depth == 1:
            return


def _draft(sample: Sample, name: str) -> Plan:
    """Return sizes and biases of a network whose activations are to be filled in."""
    layout = sample.layout
    depth = len(layout.sizes) - 1
    return Plan(name, layout.sizes, (COMMON[0],) * depth, layout.has_bias, (0.0,) * depth)


def _sized(plan: Plan, sample: Sample) -> Plan:
    """Return the plan with the number of inputs that the weights have."""
    return plan.with_inputs(sample.layout.sizes)
