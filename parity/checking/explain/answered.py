"""What the user's code answered when it was asked for gradients, or for a step, in one form."""

from dataclasses import dataclass, field

from parity.checking.asking.gradients import Source
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.factors import same
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.outputs import ONE_SAMPLE
from parity.checking.bugs.table import WRONG_SHAPE
from parity.checking.bugs.tensors import BIAS_NOT_SUMMED
from parity.checking.explain.assessment import Assessment, Assessor
from parity.checking.explain.steps.identified import Identified
from parity.checking.explain.steps.stepping import Stepping
from parity.checking.model.losses import reductions


@dataclass
class Answered:
    """What the user's code answered in one form.

    Attributes:
        assessor: By whom it was asked.
        assessment: The gradients, explained; None where there are none to be read off.
        source: Where they came from.
        stepping: What kind of update the step is; None for ``gradients``.
        findings: What is wrong already.
        remarks: What is worth knowing.
        random: Whether the answer is no ground for a verdict.
        optimizer: The one inside a step that keeps a state, where it is known.
        broadcast: What to say where only targets of other axes than the user's would do.
        refused: Where samples go one a call though ``forward`` takes batches: what a batch raised,
            or what is wrong with the shapes of the answer to it.
    """

    assessor: Assessor
    assessment: Assessment | None = None
    source: Source | None = None
    stepping: Stepping | None = None
    findings: list[Finding] = field(default_factory=list[Finding])
    remarks: list[str] = field(default_factory=list[str])
    random: bool = False
    optimizer: Identified | None = None
    broadcast: Finding | None = None
    refused: TheirError | Finding | None = None

    @property
    def cost(self) -> float:
        """How many things are wrong."""
        if self.optimizer is not None:
            return 0
        return self.assessment.flaws if self.assessment is not None else float("inf")

    @property
    def reads_one_sample(self) -> bool:
        """Whether one sample of each batch explains the gradients, and all samples do not."""
        if self.assessment is None or self.assessment.agreed is not None:
            return False
        fits = self.assessment.analysis.explanation.layers
        return any(delta.bug is ONE_SAMPLE for fit in fits for delta in fit.deltas)

    @property
    def is_misshapen(self) -> bool:
        """Whether gradients of a batch have shapes that no mistake gives: not for batches, then.

        An outer product of whole batches is one.
        """
        assessment = self.assessment
        return assessment is not None and any(f.bug is WRONG_SHAPE for f in assessment.misfits)

    @property
    def goes_one_a_call(self) -> bool:
        """Whether code that takes one sample a call would answer a batch like this.

        It leaves the batch's axis in the biases' gradients, and nowhere divides by the batch size.
        """
        assessment = self.assessment
        if assessment is None or {f.code for f in assessment.misfits} != {BIAS_NOT_SUMMED.code}:
            return False
        batch, outputs = assessment.probes[0].y.shape
        usual = reductions(assessment.kind, batch, outputs)
        summed = [factor for factor, words in usual if "summed over the batch" in words]
        scale = assessment.analysis.scale
        return any(same(scale.base, factor, scale.uncertainty) for factor in summed)
