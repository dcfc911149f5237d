"""The last stage: what the findings mean together, and which of them a second check bears out.

A verdict of "wrong" is asked for twice: on other weights and samples, and another batch size.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from parity.candidate import Candidate
from parity.checking.asking.conventions import Sample
from parity.checking.asking.subject import Subject
from parity.checking.bugs.findings import OWN_LOSS, Finding, Notes, TensorResult, listed
from parity.checking.bugs.optimizers import OF_UPDATE
from parity.checking.bugs.table import SHARED_GRADIENTS, UNCONFIRMED, VACUOUS, Severity
from parity.checking.bugs.tensors import BIAS_OF_OTHER_LAYER
from parity.reports.report import CheckReport, Outcome

# Added to the seed of the first time.
OTHER_SEED = 1_000_003
OWN_LOSS_UNTESTED = "your own loss"
_ACCUSING = (Severity.WRONG, Severity.CONCLUSIVE)


def conclude(subject: Subject, sample: Sample, notes: Notes) -> None:
    """Complete the notes of all stages by what only all of them together can tell."""
    if not notes.findings:
        notes.add(_vacuous(sample, notes.tensors))
    found = _with_aliasing(subject, notes.findings)
    if not found:
        notes.add(_scope(subject.candidate, notes))
    # What is wrong stands before what is not there.
    notes.findings = sorted(found, key=lambda finding: finding.follows is Severity.INCOMPLETE)


def _scope(candidate: Candidate, notes: Notes) -> Notes:
    """Return what "right" covers, and what it does not."""
    scope = Notes(tested=["forward pass"])
    if candidate.gradients is None and candidate.step is None:
        scope.untested += ["gradients and steps (none are given)"]
        return scope
    if candidate.gradients is not None:
        scope.tested.append("gradients")
    if candidate.step is None:
        scope.untested.append("a step (none is given)")
    else:
        optimizer = notes.conventions.get("optimizer", "")
        scope.tested.append(f"steps ({optimizer})" if optimizer else "steps")
    several = [str(size) for size in sorted(notes.batches) if size > 1]
    if several:
        scope.tested.append(f"batches of {listed(several)} samples")
    else:
        scope.untested.append("batches (it is called with one sample at a time)")
    if len(several) == 1:
        scope.untested.append("batches of other sizes")
    own = {witness.name: witness.agrees for witness in notes.witnesses}.get(OWN_LOSS)
    if own:
        scope.tested.append("the derivative of your own loss")
    elif callable(candidate.loss):
        scope.untested.append(OWN_LOSS_UNTESTED)
    elif "(given)" not in notes.conventions.get("loss", ""):
        scope.untested.append("your loss (none is given)")
    if "dropout" not in notes.tested:
        scope.untested.append("dropout (none was met)")
    return scope


def _vacuous(sample: Sample, tensors: list[TensorResult]) -> Notes:
    """A tensor whose every bound is as large as its values could not have failed.

    Where a layer's other tensor could, its delta is judged by that, and it is only remarked.
    """
    notes = Notes()
    judged = [row for row in tensors if row.right]
    vacuous = [
        row for row in judged if row.bounds is not None and np.min(row.bounds) >= row.largest > 0
    ]

    def layer(row: TensorResult) -> tuple[str, str]:
        return row.kind, row.name.rsplit(" ", 1)[0]

    sound = {layer(row) for row in judged if row not in vacuous}
    for row in vacuous:
        if layer(row) in sound:
            notes.remarks.append(
                f"Precision: in {sample.dtype} rounding may be as large as {row.name} "
                f"({row.own_name}), which is judged by its layer's other tensor alone."
            )
        else:
            notes.findings.append(Finding(VACUOUS, f"{row.name} ({row.own_name})"))
    return notes


def _with_aliasing(subject: Subject, findings: list[Finding]) -> list[Finding]:
    """Return the findings, before them the arrays that the user's code should have left alone.

    Arrays that it changed are findings in themselves; gradients that are one array, only where
    something is wrong.
    """
    found = [*subject.aliasing(), *findings]
    if not found or subject.shared is None:
        return found
    one, other, together = subject.shared
    if not together and any(finding.bug is BIAS_OF_OTHER_LAYER for finding in found):
        return found
    evidence = "they are equal to the last digit, the one written last in both places"
    shared = Finding(SHARED_GRADIENTS, "gradients", {"one": one, "other": other}, evidence)
    return [shared, *found]


def doubtful(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that a second time has to bear out.

    What is wrong with an update has been seen on several draws, one step after the other.
    """
    return [f for f in findings if f.follows in _ACCUSING and f.bug not in OF_UPDATE]


def without_step(candidate: Candidate) -> Candidate:
    """Return a candidate without its step, whose state is used up or of which nothing is asked."""
    return replace(candidate, step=None, optimizer=None, learning_rate=None)


def surviving(first: CheckReport, second: CheckReport, asked: Sequence[Finding]) -> list[Finding]:
    """Return the findings of the first time that the second time bears out.

    Where it bears out none, and finds nothing else wrong, it cannot be told. Where it finds
    something else, or could not be carried through, all stay as they are.

    Args:
        first: Whose outcome is "wrong".
        second: Of the same network, with other weights, samples and batch size.
        asked: The findings of the first that the second could bear out; the others stay.
    """
    found = first.findings
    again = {(finding.code, finding.where) for finding in second.findings}
    if any(finding.follows is Severity.BLOCKING for finding in second.findings):
        return found
    recurring = [f for f in asked if (f.code, f.where) in again]
    if recurring:
        return [f for f in found if f not in asked or f in recurring]
    if second.outcome is Outcome.WRONG:
        return found
    instead = "nothing was wrong" if not second.findings else f"it was: {second.findings[0].title}"
    what = ", ".join(f"{finding.title} ({finding.where})" for finding in asked)
    evidence = f"on the first ones: {what}; on the others {instead}"
    unsure = [replace(finding, severity=Severity.UNCERTAIN) for finding in asked]
    others = [finding for finding in found if finding not in asked]
    sure = [finding for finding in others if finding.follows in _ACCUSING]
    rest = [finding for finding in others if finding not in sure]
    return [*sure, Finding(UNCONFIRMED, "the whole check", evidence=evidence), *unsure, *rest]
