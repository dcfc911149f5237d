"""A verdict of "wrong" is asked for twice: on other weights and samples, and another batch size."""

from dataclasses import replace

from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import UNCONFIRMED, Severity
from parity.reports.report import CheckReport, Outcome

# Added to the seed of the first time.
OTHER_SEED = 1_000_003
_ACCUSING = (Severity.WRONG, Severity.CONCLUSIVE)


def surviving(first: CheckReport, second: CheckReport) -> list[Finding]:
    """Return the findings of the first time that the second time bears out.

    Where it bears out none, and finds nothing else wrong, it cannot be told. Where it finds
    something else, or could not be carried through, all stay as they are.

    Args:
        first: Whose outcome is "wrong".
        second: Of the same network, with other weights, samples and batch size.
    """
    found = first.findings
    again = {(finding.code, finding.where) for finding in second.findings}
    if any(finding.follows is Severity.BLOCKING for finding in second.findings):
        return found
    accusing = [finding for finding in found if finding.follows in _ACCUSING]
    recurring = [f for f in accusing if (f.code, f.where) in again]
    if recurring:
        return [f for f in found if f not in accusing or f in recurring]
    if second.outcome is Outcome.WRONG:
        return found
    instead = "nothing was wrong" if not second.findings else f"it was: {second.findings[0].title}"
    what = ", ".join(f"{finding.title} ({finding.where})" for finding in accusing)
    evidence = f"on the first ones: {what}; on the others {instead}"
    doubtful = [replace(finding, severity=Severity.UNCERTAIN) for finding in accusing]
    others = [finding for finding in found if finding not in accusing]
    return [Finding(UNCONFIRMED, "the whole check", evidence=evidence), *doubtful, *others]
