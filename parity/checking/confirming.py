"""A verdict of "wrong" is asked for twice: on other weights and samples, and another batch size."""

from collections.abc import Sequence
from dataclasses import replace

from parity.candidate import Candidate
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.optimizers import OF_UPDATE
from parity.checking.bugs.table import UNCONFIRMED, Severity
from parity.reports.report import CheckReport, Outcome

# Added to the seed of the first time.
OTHER_SEED = 1_000_003
_ACCUSING = (Severity.WRONG, Severity.CONCLUSIVE)


def doubtful(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that a second time has to bear out.

    What is wrong with an update has been seen on several draws, one step after the other.
    """
    return [f for f in findings if f.follows in _ACCUSING and f.bug not in OF_UPDATE]


def without_step(candidate: Candidate) -> Candidate:
    """Return a candidate whose step keeps a state that is no longer new, without that step."""
    return replace(candidate, step=None, optimizer=None)


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
