"""The answer of :func:`parity.check`: outcome and summary follow from the findings."""

from dataclasses import dataclass, field
from enum import Enum

from parity.bounds.rounding import ParityError
from parity.checking.bugs.findings import Finding, TensorResult, Witness
from parity.checking.bugs.table import Severity


class Outcome(Enum):
    """The answer, with the exit code that the command gives for it."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "cannot tell"

    @property
    def exit_code(self) -> int:
        """0, 1 or 2."""
        return list(Outcome).index(self)


_STRONGEST_FIRST = (
    (Severity.BLOCKING, Outcome.UNKNOWN),
    (Severity.CONCLUSIVE, Outcome.WRONG),
    (Severity.UNCERTAIN, Outcome.UNKNOWN),
    (Severity.WRONG, Outcome.WRONG),
    (Severity.INCOMPLETE, Outcome.UNKNOWN),
)


@dataclass
class CheckReport:
    """The whole answer; ``print`` it, or see ``parity.reports`` for JSON and HTML.

    Outcome and summary follow from the findings.

    Attributes:
        name: What was checked.
        reference: What it was compared with, such as "64-40-10 (sigmoid, sigmoid)".
        conventions: What was found out about the user's code, by topic: samples, kernel, bias,
            labels, loss, dtype, optimizer...; each value says "(given)" where it was not found out.
        findings: What is wrong, the first to be mended first.
        remarks: What is not wrong but worth knowing: scale, loss, redrawn probes, limits.
        tensors: One row for each tensor.
        witnesses: Who agrees with whom.
        batches: The numbers of samples on which the gradients were compared.
        tested: What was compared, where nothing is wrong.
        untested: What was not, and why, where nothing is wrong.
    """

    name: str
    reference: str
    conventions: dict[str, str] = field(default_factory=dict[str, str])
    findings: list[Finding] = field(default_factory=list[Finding])
    remarks: list[str] = field(default_factory=list[str])
    tensors: list[TensorResult] = field(default_factory=list[TensorResult])
    witnesses: list[Witness] = field(default_factory=list[Witness])
    batches: set[int] = field(default_factory=set[int])
    tested: list[str] = field(default_factory=list[str])
    untested: list[str] = field(default_factory=list[str])

    @property
    def outcome(self) -> Outcome:
        """Right, wrong, or cannot tell."""
        severities = {finding.follows for finding in self.findings}
        outcomes = (outcome for severity, outcome in _STRONGEST_FIRST if severity in severities)
        return next(outcomes, Outcome.RIGHT if self.tested else Outcome.UNKNOWN)

    @property
    def summary(self) -> str:
        """The answer in one sentence; where it is "right", with what was tested and what not."""
        if not self.findings and not self.tested:
            return "Nothing was compared."
        if not self.findings:
            equal = f"Equal to {self.reference} up to rounding: {', '.join(self.tested)}."
            return f"{equal} Not tested: {'; '.join(self.untested) or 'nothing'}."
        first = self.findings[0]
        return first.bug.summary.format(title=first.title, where=first.where)

    @property
    def passed(self) -> bool:
        """Whether the outcome is "right"."""
        return self.outcome is Outcome.RIGHT

    def raise_for_failure(self) -> None:
        """Raise :class:`parity.ParityError`, with the report as message, unless it is right."""
        __tracebackhide__ = True  # pytest shows the caller's line and the report, not this line
        if not self.passed:
            raise ParityError(f"\n{self}")

    def __str__(self) -> str:
        from parity.reports import to_text

        return to_text(self)
