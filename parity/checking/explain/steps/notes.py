"""What is to be said of a step once its gradients are known: read off it, or the user's own."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from numpy_impl.types import Shape
from parity.checking.asking.gradients import Direct, Taken
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.table import UNKNOWN, UNKNOWN_TENSOR
from parity.checking.bugs.tensors import BIAS_MISSING, KERNEL_MISSING
from parity.checking.explain import rows, second_look
from parity.checking.explain.answered import Answered
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.second_look import Followed
from parity.checking.explain.steps.course import course, of_loss, of_source
from parity.checking.explain.steps.declared import Reading
from parity.checking.explain.steps.identified import Identified
from parity.checking.explain.steps.optimizer import identify, idle_tensors
from parity.checking.explain.steps.stepping import Stepping, classify
from parity.checking.explain.steps.update import Updates, declared_optimizer_of
from parity.checking.model.layout import Layout
from parity.checking.model.rules import OptimizerRule


class StepNotes:
    """What is to be said of the user's step.

    Args:
        subject: The user's code.
        layout: How its weights are read.
        outputs: Number of outputs.

    Attributes:
        draft: The steps by the user's own gradients that are no known rule's; None as long as there
            are none.
    """

    def __init__(self, subject: Subject, layout: Layout, outputs: int) -> None:
        self.subject = subject
        self.candidate = subject.candidate
        self.layout = layout
        self.outputs = outputs
        self.draft: Identified | None = None

    @cached_property
    def updates(self) -> Updates:
        """What is to be said of a step's update.

        Raises:
            ValueError: What is declared is no optimizer.
        """
        return Updates(declared_optimizer_of(self.candidate), self.layout, self.subject)

    def with_state(self, stepping: Stepping, found: Identified | None, right: bool) -> Notes:
        """Return what is known of a step that keeps a state, with its rows."""
        if found is None:
            return self.updates.of_unknown(stepping.kind, right)
        notes = self.updates.of_identified(found)
        notes.batches |= {len(taken.probe.x) for taken in found.history}
        as_one = not (found.others or found.piled or found.shared or found.crossed or found.misled)
        if found.rule is not None and as_one:
            notes.tensors += rows.step_rows(self.layout, found, self.subject.names)
        return notes

    def plain(self, stepping: Stepping, assessment: Assessment) -> Notes:
        """Return whether a plain or momentum step is the declared optimizer, all options in it."""
        if stepping.kind == "decay":
            return Notes(conventions={"optimizer": "SGD, its learning rate changing"})
        rule, updates = OptimizerRule("sgd", stepping.form, stepping.momentum), self.updates
        stated, base = updates.checkable, assessment.factor
        if stated is not None:
            # Momentum is read as if all of a gradient went into it.
            base /= (1 - stated.options.get("dampening", 0.0)) or 1.0
        explained = not assessment.cost and not assessment.masked and base > 0
        if stated is None or stated.named or not explained or stepping.rate_power != 1:
            return updates.of_plain(rule)
        history = [t for t in self.subject.history if t.probe.form == assessment.form]
        if len(assessment.probes[0].x) == 1:  # a batch may be several updates
            alone = [t for t in history if len(t.probe.x) == 1]
            gaps = len(alone) < len(history) and stated.keeps_state
            history = [] if gaps else alone
        if not history:
            return updates.of_plain(rule)
        at = of_loss(assessment.kind, factor=base)
        draft = Identified(rule, assessment.kind, 1.0, "", history, at)
        words = f"{stated.words} (declared)"
        found = Reading(draft, self.layout, self.layout.keys, [(1.0, "")]).as_declared(stated)
        if found is not None:
            remarks = updates.besides(found)
            return Notes(conventions={"optimizer": words}, remarks=remarks)
        notes = updates.of_plain(rule)
        parting = updates.parted(draft, rule.words)
        notes.findings = [parting] if parting is not None else notes.findings
        return notes

    def by_gradients(
        self, answered: Answered, direct: Assessment, nothing_found: bool
    ) -> Notes | None:
        """Judge the step's update on the user's own gradients, be they right or wrong.

        None where they are not what it goes by, or no rule is known that it follows.
        """
        source, assessor = answered.source, answered.assessor
        if direct.masked or direct.misfits or not isinstance(source, Direct):
            return None
        subject, form = assessor.subject, direct.form
        try:
            first, second = assessor.draw(form, 0), assessor.draw(form, 1)
            stepping = classify(subject, first, second, self.layout)
            if stepping.findings or stepping.rate_power != 1:
                return None
            taken = subject.history[stepping.start :]
            history = [t for t in taken if _of_shapes(t, self.layout.shapes)]
            if len(history) < len(taken):
                return None
            kind = direct.kind
            found = identify(history, self.layout, self.updates.checkable, (source, kind))
        except TheirError:
            return None
        except ValueError:  # gradients of other shapes than the weights'
            return None
        if found is None:
            at = of_source(source, self.layout)
            draft = Identified(None, kind, 1.0, "", history, at, own=True)
            idle = idle_tensors(course(history, self.layout, at))
            self.draft = replace(draft, idle=idle)
            return None
        notes = self.with_state(stepping, found, True)
        notes.remarks += stepping.remarks
        if nothing_found and not notes.findings and found.rule is not None:
            batch, outputs = len(history[0].probe.x), self.outputs
            followed = Followed(
                found.rule, kind, 1.0, batch, outputs, own=found.gradients_at, idle=found.idle
            )
            notes.add(second_look.course_of_steps(assessor, followed))
        return notes

    def unlike_gradients(
        self, stepping: Stepping, judged: list[Finding], nothing_found: bool
    ) -> list[Finding]:
        """Return what is to be said of a step that is no known update by the user's gradients.

        Args:
            stepping: What kind of update it is.
            judged: What is wrong with it, read as gradients of its own.
            nothing_found: Whether nothing else is wrong.
        """
        draft, updates = self.draft, self.updates
        named = [f for f in judged if f.bug not in (UNKNOWN, UNKNOWN_TENSOR)]
        if draft is None:
            return judged or updates.of_unknown(stepping.kind, nothing_found).findings
        parting = updates.parted(draft)
        if draft.idle:
            left = [f for f in named if f.bug not in (KERNEL_MISSING, BIAS_MISSING)]
            return [updates.left_alone(draft.idle), *([parting] if parting else left)]
        if named:
            return named
        if parting is not None:
            return [parting]
        return updates.of_unknown(stepping.kind, True).findings if nothing_found else []

    def decayed(self, assessment: Assessment) -> list[Finding]:
        """Return what to say of a step that has a decay which neither gradients nor optimizer have.

        Args:
            assessment: The step's changes, read as gradients.
        """
        stated, draft = self.updates.checkable, self.draft
        if stated is None or stated.named or draft is None or self.candidate.weight_decay:
            return []
        if assessment.flaws == assessment.cost:
            return []
        parting = self.updates.parted(draft)
        return [] if parting is None else [parting]


def _of_shapes(taken: Taken, shapes: Sequence[Shape]) -> bool:
    return [c.shape for c in taken.change] == list(shapes)
