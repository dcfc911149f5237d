"""Steps whose optimizer keeps a state: which optimizer it is, and what is wrong with it."""

from parity.candidate import Candidate
from parity.checking.asking.subject import Subject
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.optimizers import BUGS
from parity.checking.bugs.table import (
    LEARNING_RATE_DECAY,
    OTHER_OPTIMIZER,
    UNKNOWN_OPTIMIZER,
    UNKNOWN_UPDATE,
    UPDATE_SIGN,
)
from parity.checking.explain.answers import Answered
from parity.checking.explain.optimizer import Identified
from parity.checking.explain.rows import step_rows
from parity.checking.explain.stepping import Stepping
from parity.checking.model.layout import Layout
from parity.checking.model.rules import FORMS, Rule, of_optimizer

_NEITHER = (
    "its changes on equal input differ; they follow neither momentum nor RMSprop, Adagrad or Adam"
)
_OPTIMIZERS = {"rmsprop": "RMSprop", "adam": "Adam", "adagrad": "Adagrad"}


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
    subject: Subject, layout: Layout, answered: Answered, gradients_right: bool = False
) -> Notes:
    """Return the optimizer that all steps taken so far follow, or that none known does.

    Args:
        subject: The user's code.
        layout: How its weights are read.
        answered: What its step answered.
        gradients_right: Whether the gradients are given and have been found right.
    """
    notes, found = Notes(), answered.optimizer
    if found is None:
        # Declared or not: in float32 rounding may hide which it is.
        if answered.stepping is not None and answered.stepping.kind == "decay":
            notes.findings.append(Finding(LEARNING_RATE_DECAY, "step"))
        elif gradients_right:
            notes.findings.append(Finding(UNKNOWN_UPDATE, "step", evidence=_NEITHER))
        else:
            evidence = f"{_NEITHER} with the gradients of any known loss"
            notes.findings.append(Finding(UNKNOWN_OPTIMIZER, "step", evidence=evidence))
        return notes
    given = subject.candidate.optimizer
    notes.conventions["optimizer"] = found.rule.words
    notes.conventions["labels"] = found.history[0].probe.form.label_text
    if not found.own:
        notes.conventions["loss"] = found.words
        notes.tensors += step_rows(layout, found, subject.names)
    notes.add(_judged(found, None if given is None else of_optimizer(given)))
    return notes


def _judged(found: Identified, declared: Rule | None) -> Notes:
    notes, rule = Notes(), found.rule
    steps = "every step taken follows it up to rounding"
    if rule.form in BUGS:
        values = {"optimizer": _OPTIMIZERS[rule.kind]}
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
