"""Which optimizer is inside a step that keeps a state, and what is wrong with it?

Every step taken so far has to follow it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.candidate import Candidate
from parity.checking.asking.gradients import Direct, Taken
from parity.checking.asking.subject import lowest
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.optimizers import BUGS
from parity.checking.bugs.table import (
    LEARNING_RATE_DECAY,
    OTHER_OPTIMIZER,
    UNKNOWN_OPTIMIZER,
    UNKNOWN_UPDATE,
    UPDATE_SIGN,
)
from parity.checking.explain.stepping import Stepping
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, correct_gradients, kinds, reductions
from parity.checking.model.probe import Probe
from parity.checking.model.rules import (
    ADAPTIVE,
    EPSILONS,
    FORMS,
    Rule,
    State,
    adaptive,
    of_optimizer,
    siblings,
)

# A first look at a rule, with epsilon and the reduction still open, may be off by this much.
_ROUGH = 0.1
_MOST_NUMBERS = 400


@dataclass(frozen=True)
class Identified:
    """The optimizer, and the loss whose gradients it is given.

    Attributes:
        rule: The optimizer.
        kind: The loss.
        factor: On its summed form.
        words: The reduction.
        history: The steps that follow it.
        own: Whether the gradients are the user's own.
    """

    rule: Rule
    kind: LossKind
    factor: float
    words: str
    history: Sequence[Taken]
    own: bool = False


@dataclass(frozen=True)
class Course:
    """Steps as vectors: what each changed, at which rate, from which gradient."""

    changes: list[np.ndarray]
    noise: list[np.ndarray]
    rates: list[float]
    gradients: list[Approx]

    def follows(self, rule: Rule, factor: float) -> bool:
        """Return whether every step is the rule's up to rounding."""
        return self.parts_at(rule, [factor] * len(self.changes)) is None

    def parts_at(self, rule: Rule, factors: Sequence[float]) -> int | None:
        """Return the first step, from 0, that is not the rule's; None if all are."""
        for k, (expected, change, noise) in enumerate(self._run(rule, factors)):
            room = 2 * expected.bound + noise + 16 * expected.rounding.unit * np.abs(expected.value)
            if not np.all(np.abs(change - expected.value) <= room):
                return k
        return None

    def roughly(self, rule: Rule, factor: float) -> bool:
        """Return whether the steps look like the rule's at a first glance."""
        run = self._run(rule, [factor] * len(self.changes))
        for (expected, change, _), g in zip(run, self.gradients, strict=True):
            # Where the gradient is small, epsilon matters.
            large = np.abs(g.value) >= 0.3 * np.max(np.abs(g.value))
            off = np.abs(change - expected.value)[large]
            if not np.all(off <= _ROUGH * np.max(np.abs(expected.value[large]))):
                return False
        return True

    def _run(
        self, rule: Rule, factors: Sequence[float]
    ) -> Iterator[tuple[Approx, np.ndarray, np.ndarray]]:
        state: State = {}
        steps = zip(self.gradients, factors, self.rates, self.changes, self.noise, strict=True)
        with np.errstate(all="ignore"):
            for g, factor, rate, change, noise in steps:
                yield rule.change(state, g * factor, rate), change, noise


def course(history: Sequence[Taken], layout: Layout, kind: LossKind, tracked: bool) -> Course:
    """Return the steps taken, with the gradients of one loss at the same weights and batches."""

    def gradients(probe: Probe) -> dict[Key, Approx]:
        return correct_gradients(kind, probe.forward(tracked), probe.y)

    return _course(history, layout, gradients)


def course_of_own(history: Sequence[Taken], layout: Layout, source: Direct) -> Course:
    """Return the steps taken, with the user's own gradients at the same weights and batches."""

    def gradients(probe: Probe) -> dict[Key, Approx]:
        pairs = zip(source.ask(probe).arrays, layout.shapes, strict=True)
        own = layout.unpack([None if a is None else a.reshape(shape) for a, shape in pairs])
        rounding = probe.forward(tracked=True).rounding
        return {key: rounding.exact(g) * 1.0 * 1.0 for key, g in own.items()}

    return _course(history, layout, gradients)


def _course(
    history: Sequence[Taken], layout: Layout, gradients_at: Callable[[Probe], dict[Key, Approx]]
) -> Course:
    """Of large networks a fixed selection of numbers is looked at."""
    changes: list[Array] = []
    noise: list[Array] = []
    gradients: list[Approx] = []
    for taken in history:
        unit = float(np.finfo(lowest(*(c.dtype for c in taken.change))).eps) / 2
        parts: list[Approx] = []
        own: list[Array] = []
        lost: list[Array] = []
        changed = layout.unpack(taken.change)
        for key, g in gradients_at(taken.probe).items():
            c, w = changed[key], taken.probe.weights[key]
            keep = _selection(c.size)
            parts.append(g.reshape(-1)[keep])
            own.append(c.ravel()[keep])
            lost.append(2 * unit * (2 * np.abs(w) + np.abs(c)).ravel()[keep])
        value = np.concatenate([part.value for part in parts])
        bound = np.concatenate([part.bound for part in parts])
        gradients.append(Approx(value, bound, parts[0].rounding))
        changes.append(np.concatenate(own))
        noise.append(np.concatenate(lost))
    return Course(changes, noise, [taken.rate for taken in history], gradients)


def _selection(size: int) -> np.ndarray:
    if size <= _MOST_NUMBERS:
        return np.arange(size)
    return np.random.default_rng(size).choice(size, _MOST_NUMBERS, replace=False)


def identify(
    history: Sequence[Taken],
    layout: Layout,
    declared: Rule | None,
    own: tuple[Direct, LossKind] | None = None,
) -> Identified | None:
    """Return the optimizer and loss that all steps follow; None if none known does.

    Args:
        history: Every step taken since the candidate was made.
        layout: How the weights are read.
        declared: What the step is meant to be, tried first.
        own: The user's own gradients, and of which loss they are, where they are known.
    """
    rules = [*([declared] if declared else []), *adaptive()]
    if own is not None:
        source, kind = own
        steps = course_of_own(history, layout, source)
        found = _rule(steps, steps, rules, [(1.0, "your own gradients")])
        return None if found is None else Identified(found[0], kind, *found[1:], history, True)
    plan, batch = history[0].probe.plan, len(history[0].probe.x)
    for kind in kinds(plan.activations[-1].name):
        quick, exact = (course(history, layout, kind, tracked) for tracked in (False, True))
        found = _rule(quick, exact, rules, reductions(kind, batch, plan.sizes[-1]))
        if found is not None:
            return Identified(found[0], kind, *found[1:], history)
    return None


def _rule(
    quick: Course, exact: Course, rules: Sequence[Rule], usual: Sequence[tuple[float, str]]
) -> tuple[Rule, float, str] | None:
    """Return the first rule that the steps follow, with the factor of the gradients."""
    likely = [rule for rule in rules if _likely(quick, rule, usual)]
    for rule in likely:
        for form in siblings(rule):
            for epsilon in dict.fromkeys((rule.epsilon or 1e-7, *EPSILONS)):
                whole = replace(rule, form=form, epsilon=epsilon)
                for factor, words in usual:
                    for sign in (1, -1):
                        if exact.follows(whole, sign * factor):
                            return whole, sign * factor, words
    return None


def _likely(quick: Course, rule: Rule, usual: Sequence[tuple[float, str]]) -> bool:
    """Return whether steps look like a rule's with epsilon left open, and mostly the factor too."""
    rough = replace(rule, epsilon=1e-8)
    # What divides by a root does not feel the factor, but for its sign.
    factors = [f for f, _ in usual] if rule.form == "no-root" or rule.known.feels_scale else []
    factors += [usual[0][0], -usual[0][0]]
    return any(quick.roughly(rough, factor) for factor in factors)


_NEITHER = f"its changes on equal input differ; they follow neither momentum nor {ADAPTIVE}"


def of_plain(stepping: Stepping, candidate: Candidate) -> Notes:
    """Return what update a plain or momentum step makes, and whether another is declared."""
    found = Rule("sgd", decay=stepping.momentum)
    if candidate.optimizer is None:
        return Notes(conventions={"optimizer": found.words})
    declared = of_optimizer(candidate.optimizer)
    notes = Notes(conventions={"optimizer": f"{found.words} (declared: {declared.words})"})
    if declared.kind != "sgd" or abs(declared.decay - found.decay) > 1e-6:
        notes.findings.append(_other(declared, found))
    return notes


def of_stateful(
    candidate: Candidate,
    stepping: Stepping,
    found: Identified | None,
    gradients_right: bool = False,
) -> Notes:
    """Return the optimizer that all steps taken so far follow, or that none known does.

    Args:
        candidate: The user's callables.
        stepping: What kind of update the step makes.
        found: The optimizer; None if it is none that is known.
        gradients_right: Whether the gradients are given and have been found right.
    """
    notes = Notes()
    if found is None:
        # Declared or not: in float32 rounding may hide which it is.
        if stepping.kind == "decay":
            notes.findings.append(Finding(LEARNING_RATE_DECAY, "step"))
        elif gradients_right:
            notes.findings.append(Finding(UNKNOWN_UPDATE, "step", evidence=_NEITHER))
        else:
            evidence = f"{_NEITHER} with the gradients of any known loss"
            notes.findings.append(Finding(UNKNOWN_OPTIMIZER, "step", evidence=evidence))
        return notes
    given = candidate.optimizer
    notes.conventions["optimizer"] = found.rule.words
    notes.conventions["labels"] = found.history[0].probe.form.label_text
    if not found.own:
        notes.conventions["loss"] = found.words
    notes.add(_judged(found, None if given is None else of_optimizer(given)))
    return notes


def _judged(found: Identified, declared: Rule | None) -> Notes:
    notes, rule = Notes(), found.rule
    steps = "every step taken follows it up to rounding"
    if rule.form in BUGS:
        values = {"optimizer": rule.known.title}
        notes.findings.append(Finding(BUGS[rule.form], "step", values, f"{rule.words}: {steps}"))
    elif rule.form in FORMS:
        notes.remarks.append(f"Optimizer: {rule.words}; Keras's differs in that. No bug.")
    elif declared is not None and rule != declared:
        notes.findings.append(_other(declared, rule))
    if found.factor < 0:
        notes.findings.append(Finding(UPDATE_SIGN, "step", evidence=steps))
    return notes


def _other(declared: Rule, found: Rule) -> Finding:
    values = {"found": found.words, "declared": declared.words}
    return Finding(OTHER_OPTIMIZER, "step", values, f"declared is {declared.words}")
