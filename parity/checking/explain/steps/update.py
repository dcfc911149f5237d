"""What is to be said of a step's update, once it is known which optimizer is inside."""

from dataclasses import replace

import numpy as np

from parity.bounds.updates import RULES
from parity.candidate import Candidate
from parity.checking.asking.gradients import OTHER_RATE, Step
from parity.checking.asking.held import sets_more
from parity.checking.asking.subject import Subject
from parity.checking.bugs.deltas import UPDATED_WEIGHTS
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.optimizers import (
    AHEAD_ADDED,
    BUGS,
    DECAY_SIGN,
    MOMENTUM_CONVENTION,
    OPTION_NOT_CHECKED,
    SET_WEIGHTS_RESTARTS,
    STATE_CROSSED,
    STATE_SHARED,
    STEP_LEAVES,
    TENSORS_DIFFER,
)
from parity.checking.bugs.table import (
    ACCUMULATED,
    LEARNING_RATE_DECAY,
    OTHER_OPTIMIZER,
    UNKNOWN_OPTIMIZER,
    UNKNOWN_UPDATE,
    UPDATE_SIGN,
    Severity,
)
from parity.checking.explain.steps.course import Course, course
from parity.checking.explain.steps.declared import Reading, declared_course
from parity.checking.explain.steps.departures import Departure
from parity.checking.explain.steps.identified import Identified
from parity.checking.explain.steps.parting import differs_by, from_before
from parity.checking.explain.steps.shared_state import Shared
from parity.checking.model import declared_optimizer
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Key, Layout
from parity.checking.model.rules import ADAPTIVE, FORMS, PLACES, OptimizerRule

_NEITHER = f"its changes on equal input differ; they follow neither momentum nor {ADAPTIVE}"
_STARTS = "; it is as if your set_weights started the optimizer's state anew, or a part of it"
_SETS_MORE = "; your set_weights changes more than weights, perhaps a part of what the step keeps"
_PARTS = {"averages": "the averages, and not their count", "count": "their count"}
_IN_PART = (
    "Step: your set_weights starts a part of what the step keeps anew ({}). Steps are read so."
)
_STEPS = "every step taken follows it up to rounding"


def declared_optimizer_of(candidate: Candidate) -> DeclaredOptimizer | None:
    """Return the optimizer that a candidate declares.

    Raises:
        ValueError: It is none.
    """
    given = candidate.optimizer
    return None if given is None else declared_optimizer.of(given)


def unchecked(stated: DeclaredOptimizer | None) -> list[Finding]:
    """Return what of a declaration the check does not know."""
    if stated is None:
        return []
    options = [*stated.unchecked, *([f"of class {stated.title}"] if stated.kind is None else [])]
    values = [{"option": option} for option in options]
    return [Finding(OPTION_NOT_CHECKED, "the declared optimizer", value) for value in values]


class Updates:
    """Says what the update of a step is.

    Args:
        stated: The declared optimizer, if there is one.
        layout: How the weights are read.
        subject: The user's code.
    """

    def __init__(
        self,
        stated: DeclaredOptimizer | None,
        layout: Layout,
        subject: Subject,
    ) -> None:
        self.stated = stated
        self.layout = layout
        self.names = subject.names
        self._subject = subject

    @property
    def checkable(self) -> DeclaredOptimizer | None:
        """The declared optimizer, if it is one whose options are all known."""
        stated = self.stated
        return stated if stated is not None and stated.kind and not stated.unchecked else None

    def of_plain(self, found: OptimizerRule) -> Notes:
        """Return what a plain or momentum step makes, of gradients that are not right."""
        stated = self.checkable
        if stated is None:
            return Notes(conventions={"optimizer": found.words})
        notes = Notes(conventions={"optimizer": f"{found.words} (declared: {stated.words})"})
        momentum = stated.options.get("momentum", 0.0)
        same = abs(momentum - found.decay) <= 1e-6
        if stated.named:  # of whatever size
            same = bool(momentum) == bool(found.decay)
        if stated.kind != "sgd" or not same:
            notes.findings.append(self._other(found.words, "", f"declared is {stated.words}"))
        return notes

    def of_unknown(self, kind: str, gradients_right: bool) -> Notes:
        """Return what is to be said of a step that no rule explains."""
        # Declared or not: in float32 rounding may hide which it is.
        if kind == "decay":
            return Notes(findings=[Finding(LEARNING_RATE_DECAY, "step")])
        if kind == "interrupted":
            return Notes(findings=[Finding(SET_WEIGHTS_RESTARTS, "step")])
        if gradients_right:
            return Notes(findings=[Finding(UNKNOWN_UPDATE, "step", evidence=_NEITHER)])
        evidence = f"{_NEITHER} with the gradients of any known loss"
        return Notes(findings=[Finding(UNKNOWN_OPTIMIZER, "step", evidence=evidence)])

    def of_identified(self, found: Identified) -> Notes:
        """Return what the optimizer is that the steps follow, and what is wrong with it."""
        notes = Notes()
        words = found.rule.words if found.rule is not None else "SGD, its learning rate changing"
        words = found.ahead.words if found.ahead is not None else words
        suffix = " (declared)" if found.declared else ""
        if found.departure is not None and found.departure.is_convention:
            suffix = f" ({found.departure.found})"
        notes.conventions["optimizer"] = words + suffix
        if not found.own:
            notes.conventions["labels"] = found.history[0].probe.form.label_text
            notes.conventions["loss"] = found.words
        parts = {taken.anew for taken in found.history} & {*_PARTS}
        notes.remarks += [_IN_PART.format(_PARTS[part]) for part in parts]
        if found.idle:
            notes.findings.append(self.left_alone(found.idle))
        if found.piled:
            where = f"step, {self._listed(found.piled)}"
            notes.findings.append(Finding(ACCUMULATED, where, evidence=_STEPS))
        elif found.shared is not None and isinstance(found.rule, OptimizerRule):
            notes.findings += self._sharing(found.shared, found.rule)
        elif found.ahead is not None and found.ahead.added:
            notes.findings.append(Finding(AHEAD_ADDED, "step", evidence=f"{words}: {_STEPS}"))
        elif found.crossed is not None:
            values = {"name": self._listed([found.crossed.key])}
            values["other"] = self._listed([found.crossed.source])
            where, evidence = f"step, {values['name']}", f"so read, {words}: {_STEPS}"
            notes.findings.append(Finding(STATE_CROSSED, where, values, evidence))
        elif found.departure is not None:
            if found.departure.bug is MOMENTUM_CONVENTION and self._by_rate(
                found.departure.optimizer
            ):
                notes.remarks.append(self._at_one_rate(words))
            elif found.departure.is_convention:
                notes.remarks.append(self._convention(found, found.departure))
            else:
                notes.findings.append(self._departing(found, found.departure))
        elif found.declared:
            notes.remarks += self.besides(found)
            if self.stated is not None:
                given = (found.gradients_at(taken.probe) for taken in found.history)
                scaled = ({key: g * found.factor for key, g in each.items()} for each in given)
                notes.untested += self.stated.unmet(scaled)
        else:
            notes.add(self._judged(found))
        if found.misled:
            notes.findings += self._misled(found, words)
        if found.factor < 0:
            notes.findings.append(Finding(UPDATE_SIGN, "step", evidence=_STEPS))
        return notes

    def _misled(self, found: Identified, words: str) -> list[Finding]:
        """Return what is wrong with the gradients that the optimizer is given."""
        evidence = f"with it every step follows {words} up to rounding"
        depth = found.history[0].probe.plan.depth
        findings: list[Finding] = []
        for mistake in found.mistakes:
            layer, variant = mistake.layer, mistake.variant
            where = f"layer {layer + 1}'s delta" + (", at the output" if layer + 1 == depth else "")
            if mistake.part != "delta":
                key = Key(layer, "bias" if mistake.part == "bias" else "kernel")
                where = f"layer {layer + 1} {mistake.part} ({self._listed([key])})"
            assert variant.bug is not None
            findings.append(Finding(variant.bug, where, variant.values, evidence))
        if found.updated:
            places = [f"layer {layer}'s delta" for layer in range(depth - 1, 0, -1)]
            findings += [Finding(UPDATED_WEIGHTS, where, evidence=evidence) for where in places]
        return findings

    def left_alone(self, keys: tuple[Key, ...]) -> Finding:
        """Return that no step changes some tensors."""
        values = {"names": self._listed(keys)}
        evidence = "their gradients are not zero, and no step has changed them"
        return Finding(STEP_LEAVES, "step", values, evidence)

    def _sharing(self, shared: Shared, rule: OptimizerRule) -> list[Finding]:
        """Return which arrays, or rows of one, share a state."""
        rows = "the rows of " * shared.rows
        return [
            Finding(
                STATE_SHARED,
                f"step, {self._listed(group)}",
                {"names": rows + self._listed(group), "optimizer": rule.words},
                f"updated one after the other from one state, {_STEPS}",
            )
            for group in shared.groups
        ]

    def parted(self, draft: Identified, found: str = "", certain: bool = False) -> Finding | None:
        """Return where the steps part from what is declared; None if it cannot be said.

        Args:
            draft: The steps, and the gradients that they are given.
            found: What they are instead, in words.
            certain: Whether they follow that from a state of 0.
        """
        stated = self.checkable
        if stated is None or stated.named:
            return None
        factor = abs(draft.factor)
        whole = declared_course(draft, self.layout, stated, factor)
        moving = [key for key in whole.parts if key not in draft.idle]
        parting = self._parting(draft, stated, whole.only(moving), found, certain)
        if parting is None:  # with the factor that they have, which may be any
            return None
        departed = Reading(draft, self.layout, moving, [(factor, draft.words)]).as_departed(stated)
        if departed is not None and departed.departure is not None:
            if departed.departure.is_convention:
                return None  # it is told as a remark
            return self._departing(replace(departed, idle=draft.idle), departed.departure)
        if stated.averages and not stated.overwrites:
            evidence = f"{parting.evidence}; perhaps get_weights returns the averages: let it "
            evidence += "return the weights"
            return replace(parting, evidence=evidence, severity=Severity.UNCERTAIN)
        return parting

    def _by_place(self, found: Identified) -> list[str]:
        """Say it where a rule is the declared one but for a convention of where epsilon stands."""
        stated = self.checkable
        if stated is None or stated.named:
            return []
        keys = [key for key in self.layout.keys if key not in found.idle]
        usual = [(abs(found.factor), found.words)]
        read = Reading(found, self.layout, keys, usual).as_departed(stated)
        if read is None or read.departure is None or not read.departure.is_convention:
            return []
        return [self._convention(read, read.departure)]

    def _parting(
        self,
        draft: Identified,
        stated: DeclaredOptimizer,
        whole: Course,
        found: str = "",
        certain: bool = True,
    ) -> Finding | None:
        """Return at which step the steps part from what is declared, as :meth:`parted` does."""
        ones = [1.0] * len(whole.rates)
        runs = {
            tuple(m): whole.at_rates(m).parts_at(stated, ones) for m in stated.rates(whole.rates)
        }
        multiples = max(runs, key=lambda m: len(ones) if runs[m] is None else runs[m] or 0)
        k = runs[multiples]
        if k is None:
            return None
        ratio, evidence = differs_by(whole.at_rates(multiples), stated, k)
        parts = f", and parts at step {k + 1}{ratio}"
        counted = self._counted(draft, stated, multiples)
        evidence += f"; steps are counted from 1{counted}"
        finding = self._other(found or "none that is known here", parts, evidence)
        placing = self._subject.placing
        counts = stated.schedule is not None or stated.overwrites
        if placing.interrupts and (counts or not certain):  # what is counted may go on
            return replace(finding, evidence=evidence + _STARTS, severity=Severity.UNCERTAIN)
        renewed = self._subject.renew is not None or placing.restarts
        if not renewed and from_before(whole, stated, certain or k > 0):
            evidence += (
                "; the state may be from before the check: hand over a function that makes the "
                "candidate anew"
            )
            return replace(finding, evidence=evidence, severity=Severity.UNCERTAIN)
        if self._subject.keeps_state and not placing.restarts:
            Step(self._subject, OTHER_RATE).change(self._subject.history[-1].probe)
            if sets_more(self._subject):
                return replace(finding, evidence=evidence + _SETS_MORE, severity=Severity.UNCERTAIN)
        return finding

    def _departing(self, found: Identified, departure: Departure) -> Finding:
        """Return what is otherwise than declared, and at which step the steps part from that."""
        stated = self.checkable
        assert stated is not None
        whole = declared_course(found, self.layout, stated, abs(found.factor))
        whole = whole.only([key for key in whole.parts if key not in found.idle])
        parting = self._parting(found, stated, whole)
        values = {**departure.values, "declared": stated.words, "parts": ""}
        evidence = f"with it {_STEPS}"
        if parting is not None:
            values["parts"] = parting.values["parts"]
            at = str(values["parts"]).removeprefix(", and ")
            evidence = f"{evidence}; without, it {at}: {parting.evidence}"
        severity = None if parting is None else parting.severity
        return Finding(departure.bug, "step", values, evidence, severity=severity)

    def _convention(self, found: Identified, departure: Departure) -> str:
        """Say that epsilon stands where another library has it, and what that makes."""
        finding = self._departing(found, departure)
        return (
            f"Optimizer: it has {departure.found}{finding.values['parts']} from what is declared, "
            f"{finding.values['declared']}. Libraries and papers differ in it: a "
            "convention, and no bug."
        )

    def _judged(self, found: Identified) -> Notes:
        notes, rule = Notes(), found.rule
        if isinstance(rule, OptimizerRule):
            notes.add(self._form(rule, ""))
            wrong = bool(notes.findings)
            if rule.form.startswith("restarted"):
                notes.findings = [self._not_kept(found, rule, notes.findings[0])]
            stated = self.checkable
            if stated is not None and stated.named:
                own = stated.kind != rule.kind or (
                    rule.kind == "sgd" and bool(rule.decay) != bool(stated.options.get("momentum"))
                )
                if own and not wrong:
                    evidence = f"declared is {stated.words}"
                    notes.findings.append(self._other(rule.words, "", evidence))
        for key, other in found.others.items():
            notes.add(self._tensor(key, other, rule))
        if found.sizes or found.formula is not None:
            notes.remarks.append(_at_changing_rates(found))
        words = found.rule.words if found.rule else "SGD at changing rates"
        if found.formula is not None:
            words = f"{found.rule.words if found.rule else 'SGD'}, {found.formula.words}"
        if found.ahead is not None:
            words, stated = found.ahead.words, self.checkable
            if stated is not None and stated.options.get("nesterov"):
                # Keras keeps the weights that look ahead, and the other form those behind them.
                return notes
        parting = self.parted(found, words, certain=True)
        steady = rule if isinstance(rule, OptimizerRule) and found.formula is None else None
        if parting is not None and steady is not None and self._by_rate(steady):
            notes.remarks.append(self._at_one_rate(words))
        elif parting is not None and not notes.findings:
            notes.findings.append(parting)
        elif parting is None:
            notes.remarks += self._by_place(found)
        return notes

    def _by_rate(self, rule: OptimizerRule | DeclaredOptimizer) -> bool:
        """Return whether a rule has the declared momentum, but for where the learning rate stands.

        Inside of the velocity or outside of it, that is one as long as the rate does not change.
        """
        stated = self.checkable
        forms = "nesterov", "torch-nesterov", "keras", "torch"
        if stated is None or {stated.kind, rule.kind} != {"sgd"} or rule.form not in forms:
            return False
        momentum = stated.options.get("momentum", 0.0)
        if isinstance(rule, DeclaredOptimizer):
            return True  # all else is as declared
        if rule.weight_decay or stated.overwrites:
            return False
        same = rule.form.endswith("nesterov") == bool(stated.options.get("nesterov"))
        return same and bool(momentum) and abs(momentum - rule.decay) <= 1e-6

    def besides(self, found: Identified) -> list[str]:
        """Say what is to be known of steps that are as declared.

        The declared momentum may have its learning rate in another place, and an average of the
        weights may be kept that no step shows.
        """
        remarks = (
            [self._at_one_rate(found.rule.words)] if isinstance(found.rule, OptimizerRule) else []
        )
        stated = self.stated
        if stated is not None and stated.averages and not stated.overwrites:
            remarks.append(
                "Average: the weights' moving average (use_ema) is not compared, as a step does "
                "not show it; ema_overwrite_frequency puts it in their place."
            )
        return remarks

    def _at_one_rate(self, words: str) -> str:
        assert self.stated is not None
        return (
            f"Optimizer: with one learning rate the step is {self.stated.words}, as declared. It "
            f"is {words}: with a rate that changes that is another, as the velocity has the rate "
            "in it or not."
        )

    def _not_kept(self, found: Identified, rule: OptimizerRule, finding: Finding) -> Finding:
        """Say where a state that starts anew parts from one that is kept."""
        form = "uncorrected" if rule.form == "restarted-uncorrected" else "keras"
        kept = replace(rule, form=form)
        whole = course(found.history, self.layout, found.gradients_at)
        whole = whole.only([key for key in whole.parts if key not in found.idle])
        k = whole.parts_at(kept, [found.factor] * len(found.history))
        if k is None:
            return finding
        ratio, shown = differs_by(whole, kept, k, found.factor)
        evidence = f"parts from {kept.words} at step {k + 1}{ratio}: {shown}; {finding.evidence}"
        return replace(finding, evidence=evidence)

    def _tensor(self, key: Key, rule: OptimizerRule | None, most: object) -> Notes:
        name = self._listed([key])
        if rule is not None:
            notes = self._form(rule, name)
            if not notes.findings:
                notes.remarks.append(f"Optimizer: {name} follows {rule.words}, unlike the rest.")
            return notes
        optimizer = most.words if isinstance(most, OptimizerRule) else "another"
        values = {"names": name, "optimizer": optimizer}
        evidence = "its gradient, as your own code gives it, does not explain its changes"
        open_ = Severity.UNCERTAIN  # a share of the weights, say, is no bug
        return Notes(findings=[Finding(TENSORS_DIFFER, name, values, evidence, severity=open_)])

    def _form(self, rule: OptimizerRule, name: str) -> Notes:
        where = f"step, {name}" if name else "step"
        if rule.form in BUGS:
            values = {"optimizer": rule.known.title}
            if rule.form.startswith("restarted"):
                values = {"optimizer": "Adam's, RMSprop's or Adagrad's average"}
            finding = Finding(BUGS[rule.form], where, values, f"{rule.words}: {_STEPS}")
            return Notes(findings=[finding])
        if rule.weight_decay < 0:
            values = {"optimizer": rule.known.title}
            return Notes(findings=[Finding(DECAY_SIGN, where, values, f"{rule.words}: {_STEPS}")])
        if rule.weight_decay and rule.coupled:
            of = f" of {name}" if name else ""
            also = "" if rule.plain else " (a part of the gradient, and not decoupled from it)"
            remark = (
                f"Weight decay: the step adds {rule.weight_decay:g} times the weights to the "
                f"gradients{of}, which your own gradients do not have{also}; whether that is meant "
                "is not known."
            )
            return Notes(remarks=[remark])
        if rule.weight_decay:
            times = "learning rate times " if rule.decay_at_rate else ""
            besides = f"{name} besides" if name else "besides"
            remark = (
                f"Weight decay: the step takes {times}{rule.weight_decay:g} times the weights off "
                f"{besides}, as AdamW does; whether that is meant is not known. A declared "
                "optimizer tells: optimizer=keras.optimizers.AdamW(...)."
            )
            return Notes(remarks=[remark])
        if (rule.form in FORMS and rule.form != "nesterov") or rule.place in PLACES:
            return Notes(remarks=[f"Optimizer: {rule.words}; Keras's differs in that. No bug."])
        return Notes()

    def _listed(self, keys: tuple[Key, ...] | list[Key]) -> str:
        names = [self.names[self.layout.place(key)] for key in keys]
        *others, last = dict.fromkeys(names)
        return f"{', '.join(others)} and {last}" if others else last

    def _other(self, found: str, parts: str, evidence: str) -> Finding:
        assert self.stated is not None
        values = {"found": found, "declared": self.stated.words, "parts": parts}
        return Finding(OTHER_OPTIMIZER, "step", values, evidence)

    def _counted(
        self, found: Identified, stated: DeclaredOptimizer, multiples: tuple[float, ...]
    ) -> str:
        """Say whether a schedule counts something else than steps."""
        if stated.schedule is None or not found.sizes:
            return ""
        own = np.array([s / t.rate for s, t in zip(found.sizes, found.history, strict=True)])
        for each in range(2, len(own)):
            counted = np.array([multiples[k // each] for k in range(len(own))])
            if np.allclose(own / own[0], counted / counted[0], rtol=1e-6, atol=0):
                return f". Your rate follows it, but is counted on once in {each} steps (epochs?)"
        return ""


def _at_changing_rates(found: Identified) -> str:
    """Say how the learning rate of steps changes, and by which schedule if that is known."""
    rule = found.rule
    each = "Each step goes down its gradient" if rule is None else f"Each step is {rule.words}"
    start = f"Learning rate: it changes inside the step. {each}, by "
    if found.formula is not None:
        falling = found.formula.falling
        scale = f" times {found.formula.scale:.6g}" if found.formula.scale != 1 else ""
        rate = f"the rate it is given{scale}"
        if not found.formula.given:
            rate = f"a rate of its own, {found.formula.scale:.6g}"
        declare = falling.as_declared("SGD" if rule is None else RULES[str(rule.kind)].title)
        return f"{start}{rate} times {falling.words}, t the steps before it.{declare}"
    rates = [size / taken.rate for size, taken in zip(found.sizes, found.history, strict=True)]
    scale = max(rates)
    listed = ", ".join(f"{rate / scale:.4g}" for rate in rates[:8])
    return (
        f"{start}the rate it is given times {scale:.6g} times {listed}... A schedule can be "
        "declared: optimizer=keras.optimizers.SGD(schedule)."
    )
