"""What a check finds, as data: tensors, findings and witnesses; and the notes of one stage."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.table import Bug, Severity, Values

TensorKind = Literal["forward", "gradient", "step"]
# The names of the witnesses.
FORWARD_PASS = "your forward and the reference's"
KERAS = "Keras's autodiff"
OWN_LOSS = "the derivative of your own loss"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


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

    kind: TensorKind
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

    @classmethod
    def of_arrays(
        cls,
        kind: TensorKind,
        name: str,
        own_name: str,
        value: Array,
        expected: Array,
        bound: Array,
        keras: Array | None = None,
    ) -> Self:
        """Compare element by element; all arrays have the shape of the user's tensor."""
        with np.errstate(all="ignore"):
            errors = np.abs(value - expected)
            ratio = np.where(errors == 0, 0.0, errors / bound)
        ratio = np.where(np.isfinite(value), ratio, np.inf)
        worst = np.unravel_index(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)), ratio.shape)
        vv, gv, gg = (
            float(np.vdot(a, b)) for a, b in ((expected,) * 2, (value, expected), (value,) * 2)
        )
        return cls(
            kind=kind,
            name=name,
            own_name=own_name,
            shape=value.shape,
            index=tuple(int(i) for i in worst),
            value=float(value[worst]),
            expected=float(expected[worst]),
            keras=None if keras is None else float(keras[worst]),
            error=float(errors[worst]),
            bound=float(bound[worst]),
            ratio=float(ratio[worst]),
            scale=gv / vv if vv else float("nan"),
            cosine=gv / np.sqrt(vv * gg) if vv and gg else float("nan"),
            right=bool(np.all(ratio <= 1)),
            errors=errors,
            bounds=bound,
            largest=float(np.max(np.abs(expected))),
        )


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that cannot be told, with its place, reason and remedy.

    Attributes:
        bug: Which one, of the table in :mod:`parity.checking.bugs`.
        where: Its place: "layer 2 kernel", "the output's delta", "step".
        values: What fills the places that the bug's texts hold open.
        evidence: What was measured that shows it.
        detail: More lines, such as the user's own traceback; may be empty.
        severity: Where it is another than the table's; None: the table's.
    """

    bug: Bug
    where: str
    values: Values = field(default_factory=dict[str, object])
    evidence: str = ""
    detail: str = ""
    severity: Severity | None = None

    @property
    def code(self) -> str:
        """The bug's stable identifier, such as "softmax-diagonal"."""
        return self.bug.code

    @property
    def title(self) -> str:
        """The bug in words."""
        return self.bug.title.format_map(self.values)

    @property
    def fix(self) -> str:
        """What would put it right, in one line."""
        return self.bug.fix.format_map(self.values)

    @property
    def follows(self) -> Severity:
        """What follows from it for the whole check."""
        return self.severity or self.bug.severity


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


class NotAsked(Exception):
    """A witness cannot be asked; the message says why."""


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
    """What a stage of the check found; the attributes are those of :class:`parity.CheckReport`."""

    conventions: dict[str, str] = field(default_factory=dict[str, str])
    findings: list[Finding] = field(default_factory=list[Finding])
    remarks: list[str] = field(default_factory=list[str])
    tensors: list[TensorResult] = field(default_factory=list[TensorResult])
    witnesses: list[Witness] = field(default_factory=list[Witness])
    batches: set[int] = field(default_factory=set[int])
    tested: list[str] = field(default_factory=list[str])
    untested: list[str] = field(default_factory=list[str])

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
        self.batches |= other.batches
        self.tested += other.tested
        self.untested += other.untested

    @contextmanager
    def until_blocked(self) -> Generator[None]:
        """Write down why the stage ends, if it cannot go on; what was found so far stays."""
        try:
            yield
        except Unreadable as reason:
            self.findings.insert(0, reason.finding)
