"""A network that looks right is asked once more: on another batch size, and step after step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from parity.checking.asking.gradients import COURSE_RATE, Source, Step, Taken
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.table import BATCH_SIZE, TRAJECTORY, Severity
from parity.checking.explain import own_loss
from parity.checking.explain.agreement import Added, compared
from parity.checking.explain.assessment import Assessment, Assessor
from parity.checking.explain.steps.course import Gradients, GradientsAt, course, of_loss
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, correct_gradients, reductions
from parity.checking.model.probe import Probe
from parity.checking.model.rules import OptimizerRule

STEPS = 8
# Beyond such pre-activations, where a training that runs away gets, formulas written out in
# exponentials overflow in float32.
_FARTHEST = 40.0
_OTHER_PROBE, _FIRST_OF_COURSE = 50, 60
_ONSET = {
    0: "the starting weights or the data",
    1: "the scale of the gradient, or what the first step left behind",
    2: "the optimizer's state",
}


@dataclass(frozen=True)
class Followed:
    """What a course of steps is to follow.

    Attributes:
        rule: The optimizer.
        kind: The loss.
        base: The factor of its gradients,
        batch: on batches of this size.
        outputs: Number of outputs.
        ignores_rate: Whether the step does not depend on its learning rate.
        own: The user's own gradients, where these are to be followed.
        idle: Tensors that the steps leave alone.
    """

    rule: OptimizerRule | DeclaredOptimizer
    kind: LossKind
    base: float
    batch: int
    outputs: int
    ignores_rate: bool = False
    own: GradientsAt | None = None
    idle: tuple[Key, ...] = ()

    def factor(self, batch: int) -> float:
        """Return the factor on batches of another size."""
        if self.own is not None:
            return self.base
        old = reductions(self.kind, self.batch, self.outputs)
        new = reductions(self.kind, batch, self.outputs)
        pairs = zip(old, new, strict=True)
        return next((n for (o, _), (n, _) in pairs if abs(self.base) == o), abs(self.base)) * (
            1 if self.base > 0 else -1
        )

    def parts_at(self, steps: Sequence[Taken], layout: Layout) -> int | None:
        """Return the first step that is not the rule's; None if all are."""
        if self.ignores_rate:
            steps = [replace(taken, rate=1.0) for taken in steps]
        rule = self.rule
        whole = course(steps, layout, self._gradients)
        if self.idle:
            whole = whole.only([key for key in whole.parts if key not in self.idle])
        ones = [1.0] * len(steps)
        if not isinstance(rule, DeclaredOptimizer):
            return whole.parts_at(rule, ones)
        given = [taken.rate for taken in steps]
        parted = [whole.at_rates(m).parts_at(rule, ones) for m in rule.rates(given)]
        return None if None in parted else max(k for k in parted if k is not None)

    def is_bounded(self, probe: Probe) -> bool:
        """Return whether it is known how far right gradients may be off at a probe."""
        return all(np.all(np.isfinite(g.bound)) for g in self._gradients(probe).values())

    def is_longest(self, steps: Sequence[Taken]) -> bool:
        """Return whether the last step has the longest gradient, or the largest entry of all."""
        every = [[g.value for g in self._gradients(taken.probe).values()] for taken in steps]
        lengths = [float(np.linalg.norm([np.linalg.norm(g) for g in each])) for each in every]
        largest = [max(float(np.max(np.abs(g))) for g in each) for each in every]
        return any(sizes[-1] == max(sizes) for sizes in (lengths, largest))

    def _gradients(self, probe: Probe) -> Gradients:
        gradients = (self.own or of_loss(self.kind))(probe)
        factor = self.factor(len(probe.x))
        if factor != 1:
            gradients = {key: g * factor for key, g in gradients.items()}
        rule = self.rule
        if isinstance(rule, DeclaredOptimizer) and rule.clips:
            return rule.clipped(gradients)
        return gradients


def other_batch(assessor: Assessor, source: Source, assessment: Assessment) -> Notes:
    """Ask for gradients on a batch of another size.

    Returns:
        A finding if they are wrong there, a remark if the factor is another than the reduction
        says, nothing if all is as before.
    """
    first = len(assessment.probes[0].x)
    if first == 1 or assessor.subject.candidate.batch_size is not None:
        return Notes()
    probe, misfits = assessor.ask(source, assessment.form, _OTHER_PROBE, avoid=first)
    if misfits:
        return Notes(findings=misfits[:1])
    kind, outputs = assessment.kind, probe.y.shape[1]
    base = assessment.factor
    followed = Followed(OptimizerRule("sgd"), kind, base, first, outputs)
    expected = followed.factor(len(probe.x))
    averaged = base * first / len(probe.x)  # a factor of no reduction, over the batch size

    def agrees() -> bool:
        return any(
            _agree(probe, kind, factor, assessment, shared)
            for factor in (expected, averaged)
            for shared in (True, False)
        )

    # What is clipped may be met here for the first time.
    if agrees() or (assessor.clipped([probe], kind) and agrees()):
        return Notes(batches={len(probe.x)})
    if _agree(probe, kind, base, assessment):
        remark = (
            f"Scale: the factor of the gradients is {base:.7g} whatever the batch size; it is only "
            f"for {first} samples that it looks like an average."
        )
        return Notes(remarks=[remark], batches={len(probe.x)})
    values = {"first": first, "other": len(probe.x)}
    return Notes(findings=[Finding(BATCH_SIZE, "all gradients", values)])


def other_batch_measured(assessor: Assessor, source: Source, assessment: Assessment) -> Notes:
    """Ask on a batch of another size whether gradients are the derivative of the user's own loss.

    As in :func:`other_batch`, for a loss that is none known here.
    """
    first, own = len(assessment.probes[0].x), assessment.own
    if first == 1 or assessor.fixed_batch or own is None:
        return Notes()
    before = own_loss.follows(own, assessment.probes)
    size, failed = 0, 0
    # A kink of a loss whose kinks are not known may spoil a measurement: three have to fail.
    for number in range(_OTHER_PROBE, _OTHER_PROBE + 3):
        probe, misfits = assessor.ask(source, assessment.form, number, avoid=first)
        if misfits or before is None:
            return Notes(findings=misfits[:1])
        size = len(probe.x)
        again = own_loss.measure(assessor.subject, assessor.layout, [probe])
        now = own_loss.follows(again, [probe])
        if not own_loss.tells(again, [probe]):
            continue
        if now is not None and (again.added_up or abs(now - before) <= 1e-3 * before):
            return Notes(batches={size})
        failed += 1
    values = {"first": first, "other": size}
    found = [Finding(BATCH_SIZE, "all gradients", values)] if failed == 3 else []
    return Notes(findings=found)


def factor_elsewhere(
    assessor: Assessor, source: Source, assessment: Assessment
) -> tuple[int, float] | None:
    """Return another batch size and the gradients' factor on it, as the output layer has it.

    None where no other size can be asked for, or the layer's own gradients are wrong.
    """
    first, layer = len(assessment.probes[0].x), assessment.analysis.explanation.layers[0]
    right = [key for key, m in layer.tensors.items() if m is not None and m.variant.bug is None]
    wrong = any(variant.bug is not None for variant in layer.deltas)
    if first == 1 or assessor.fixed_batch or assessment.masked or wrong or not right:
        return None
    try:
        probe, _ = assessor.ask(source, assessment.form, _OTHER_PROBE, avoid=first)
    except TheirError:
        return None
    kind, key = assessment.kind, right[0]
    if key not in probe.gradients:
        return None
    value = correct_gradients(kind, probe.forward(tracked=False), probe.y)[key].value.ravel()
    matrix = np.stack([value, probe.weights[key].ravel()], axis=1)
    own = probe.gradients[key].ravel().astype(float)  # half precision is unknown to linalg
    found = np.linalg.lstsq(matrix, own, rcond=None)[0]
    return len(probe.x), float(found[0])


def _agree(
    probe: Probe, kind: LossKind, factor: float, assessment: Assessment, shared: bool = True
) -> bool:
    unit, smaller = float(np.finfo(probe.dtype).eps) / 2, len(assessment.probes[0].x) / len(probe.x)
    times = 1.0 if shared else smaller  # lambda / m, as some divide it too, shrinks with the batch
    found = {key: match for key, match in assessment.matches.items() if match is not None}
    added: Added = {}
    for key, match in found.items():
        w, decay = probe.weights[key], times * match.decay
        if match.penalty:
            share, spread = match.added(w)
            added[key] = times * share, 4 * times * spread
        elif decay:
            added[key] = decay * w, (8 * unit * abs(decay) + 4 * match.uncertainty) * np.abs(w)
    for each in compared(probe, kind, factor, added):
        match = found.get(each.key)
        room = each.bound + (match.uncertainty if match is not None else 0.0) * np.abs(each.right)
        if not np.all(np.abs(each.own - each.expected(each.right)) <= room):
            return False
    return True


def course_of_steps(assessor: Assessor, followed: Followed) -> Notes:
    """Take some steps one after the other, the weights not put back, one batch shorter.

    Each is compared with the rule's from the user's own weights before it, so that roundings do
    not add up: what parts, parts in that very step.
    """
    subject = assessor.subject
    if subject.placing.interrupts:  # such steps were taken already
        return Notes()
    history = subject.history
    before, form = len(history), history[-1].probe.form
    step = Step(subject, COURSE_RATE)
    layout = assessor.layout
    arrays = assessor.draw(form, _FIRST_OF_COURSE).arrays
    # What divides by a root does not show its reduction, as long as batches are of one size.
    shortens = followed.rule.kind == "sgd" and not assessor.fixed_batch
    for k in range(STEPS):
        drawn = assessor.draw(form, _FIRST_OF_COURSE + k)
        keep = max(len(drawn.x) - (k == STEPS - 3 and shortens), 1)
        x, y, weights = drawn.x[:keep], drawn.y[:keep], layout.unpack(arrays)
        probe = replace(drawn, x=x, y=y, arrays=arrays, weights=weights)
        step.change(probe, reset=k == 0)
        arrays = history[-1].after
    steps = [taken for taken in history if taken.probe.form == form]
    start = len(steps) - (len(history) - before)
    if not all(np.all(np.isfinite(array)) for taken in steps for array in taken.after):
        return Notes()
    parted = followed.parts_at(steps, layout)
    if parted is None or parted < start:  # before that the state was not yet known
        return Notes()
    z = steps[parted].probe.forward(tracked=False).z
    if max(float(np.max(np.abs(value.value))) for value in z) > _FARTHEST:
        return Notes()
    # Where an output is rounded to 1 its logarithm's derivative has no bound.
    if not followed.is_bounded(steps[parted].probe):
        return Notes()
    n = parted - start
    suggests = _ONSET.get(n, "an epoch's edge: shuffling, or a short last batch")
    evidence = f"each step is compared from your own weights before it: those before step {n} are "
    values = {"step": n, "suspect": suggests}
    found = Finding(TRAJECTORY, "step", values, evidence + "right")
    if not isinstance(followed.rule, DeclaredOptimizer) and followed.is_longest(
        steps[: parted + 1]
    ):
        evidence += "right. The gradient is longer there than before, and may be clipped"
        found = replace(found, evidence=evidence, severity=Severity.UNCERTAIN)
    # Where training has led, float32 has more roundings than are bounded: exponentials of large
    # numbers, roots of small ones.
    if np.float32 in (steps[parted].probe.dtype, subject.own_dtype):
        found = replace(found, severity=Severity.UNCERTAIN)
    return Notes(findings=[found])
