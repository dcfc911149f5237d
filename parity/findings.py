"""What :func:`parity.check` found, as data: tensors, findings, and the outcome."""

from dataclasses import dataclass, field
from enum import Enum

from numpy_impl.types import Array
from parity.bounds.rounding import ParityError


class Outcome(Enum):
    """The answer, with the exit code that the command gives for it."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "cannot tell"

    @property
    def exit_code(self) -> int:
        """0, 1 or 2."""
        return list(Outcome).index(self)


@dataclass(frozen=True)
class TensorResult:
    """One tensor of the user's beside the reference's.

    Attributes:
        kind: "forward", "gradient" or "step".
        name: Which tensor, by layer: "layer 1 kernel", "layer 2 output".
        own_name: Which array of the user's it is: "weights[0]" or "weights['W1']".
        shape: Its shape in the user's layout.
        index: Place of the worst element (largest error for its bound), in the user's layout.
        value: The user's value there.
        expected: What the reference says there, with the user's own reduction.
        keras: What Keras's automatic differentiation says there; None where it was not asked.
        error: ``|value - expected|`` there.
        bound: What rounding can explain there.
        ratio: Largest ``error / bound`` over the tensor; above 1 is beyond rounding.
        scale: The factor that fits best: the user's tensor is about ``scale * expected``.
        cosine: Cosine of the angle between the two, 1 where they are proportional.
        right: Whether the whole tensor agrees up to rounding.
        errors: ``|value - expected|`` of each element, in the user's layout.
        bounds: What rounding can explain at each element; None where only ``bound`` is known.
        largest: Largest magnitude of what is expected.
    """

    kind: str
    name: str
    own_name: str
    shape: tuple[int, ...]
    index: tuple[int, ...]
    value: float
    expected: float
    keras: float | None
    error: float
    bound: float
    ratio: float
    scale: float
    cosine: float
    right: bool
    errors: Array = field(repr=False, compare=False)
    bounds: Array | None = field(default=None, repr=False, compare=False)
    largest: float = 0.0


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that cannot be told, with its place, reason and remedy.

    Attributes:
        code: A stable identifier, such as "softmax-diagonal"; "unknown" where nothing explains it.
        title: The bug in words.
        where: Its place: "layer 2 kernel", "the output's delta", "step".
        fix: What would put it right, in one line.
        evidence: What was measured that shows it.
        detail: More lines, such as the user's own traceback; may be empty.
    """

    code: str
    title: str
    where: str
    fix: str = ""
    evidence: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Witness:
    """One of the three: what it is, and whether the user's gradient agrees with it.

    Attributes:
        name: "Keras's autodiff", "derivative of your own loss", "your forward and the reference's".
        agrees: True or False; None where it could not be asked.
        comment: What was measured, or why it could not be asked.
    """

    name: str
    agrees: bool | None
    comment: str


@dataclass
class CheckReport:
    """The whole answer; ``print`` it, or see ``parity.reports`` for JSON and HTML.

    Attributes:
        name: What was checked.
        reference: What it was compared with, such as "64-40-10 (sigmoid, sigmoid)".
        outcome: Right, wrong, or cannot tell.
        summary: The answer in one sentence.
        conventions: What was found out about the user's code, by topic: samples, kernel, bias,
            labels, loss, dtype, optimizer...; each value says "(given)" where it was not found out.
        findings: What is wrong, the first to be mended first.
        remarks: What is not wrong but worth knowing: scale, loss, redrawn probes, limits.
        tensors: One row for each tensor.
        witnesses: Who agrees with whom.
    """

    name: str
    reference: str
    outcome: Outcome
    summary: str
    conventions: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    tensors: list[TensorResult] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)

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
