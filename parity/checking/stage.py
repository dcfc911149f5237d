"""What a stage of the check writes down, and how it ends where it cannot go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from parity.checking.asking.subject import TheirError
from parity.checking.bugs.table import EXCEPTION, UNUSABLE_ANSWER, Severity
from parity.reports.findings import Finding, TensorResult, Witness


class Unreadable(Exception):
    """The check cannot go on.

    Attributes:
        finding: Why.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.title)
        self.finding = finding


@dataclass
class Notes:
    """What a stage found; the attributes are those of :class:`parity.CheckReport`."""

    conventions: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    tensors: list[TensorResult] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)

    @property
    def blocked(self) -> bool:
        """Whether the check cannot go on."""
        return any(finding.follows is Severity.BLOCKING for finding in self.findings)

    def add(self, other: "Notes") -> None:
        """Write down what another stage, or a part of this one, found."""
        self.conventions |= other.conventions
        self.findings += other.findings
        self.remarks += other.remarks
        self.tensors += other.tensors
        self.witnesses += other.witnesses

    @contextmanager
    def until_blocked(self) -> Iterator[None]:
        """Write down why the stage ends, if it cannot go on; what was found so far stays."""
        try:
            yield
        except Unreadable as reason:
            self.findings.insert(0, reason.finding)
        except TheirError as error:
            bug = EXCEPTION if error.trace else UNUSABLE_ANSWER
            values = {"callable": error.callable_name}
            where, reason, trace = error.callable_name, error.reason, error.trace
            self.findings.insert(0, Finding(bug, where, values, reason, trace))
