"""The line that is wrong in a chain of dense layers: one change with which gradients are right."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.gradients import Source
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.findings import Finding
from parity.checking.explain.agreement import compared
from parity.checking.explain.assessment import Assessment, Assessor
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind
from parity.checking.model.probe import Form, Probe
from parity.checking.repairing.search import mended

# Probes beyond those that were explained, on which a change is confirmed.
_MORE = (11, 12)


class OfChain:
    """The gradients beside those of the chain's loss.

    Args:
        assessor: Asks for them.
        source: What is asked.
        form: How samples and labels are passed.
        kind: Of which loss they are meant to be.
        factor: On the loss that is summed over batch and outputs.
    """

    def __init__(
        self, assessor: Assessor, source: Source, form: Form, kind: LossKind, factor: float
    ) -> None:
        self._assessor, self._source, self._form = assessor, source, form
        self._kind, self._factor = kind, factor
        self._probe = assessor.draw(form, 0)
        self.keys: list[Key] = list(self._probe.weights)
        self._outputs = [self._output(number) for number in (0, *_MORE)]

    def _output(self, number: int) -> Array:
        probe, subject = self._assessor.draw(self._form, number), self._assessor.subject
        subject.set_weights(probe.arrays)
        return subject.forward(probe.form.x(probe.x))[-1]

    def _asked(self, number: int) -> Probe:
        probe, misfits = self._assessor.ask(self._source, self._form, number)
        if misfits or probe.gradients.keys() != probe.weights.keys():
            raise TheirError("gradients", "expected arrays of the weights' shapes")
        return probe

    def _right(self, probe: Probe) -> list[bool]:
        pairs = {each.key: each for each in compared(probe, self._kind, self._factor)}
        return [pairs[key].equals(pairs[key].right) for key in self.keys]

    def values(self) -> list[Array]:
        """Return the gradients of the first probe."""
        self._probe = self._asked(0)
        return [self._probe.gradients[key] for key in self.keys]

    def fits(self, values: Sequence[Array]) -> list[bool]:
        """Return which of them are right."""
        self._probe.gradients = dict(zip(self.keys, values, strict=True))
        return self._right(self._probe)

    def loss(self) -> Any:
        """Call forward alone: what runs there as well is less likely to be wrong."""
        return self._output(0)

    def confirmed(self) -> list[bool]:
        """Return which are right on other probes; none if forward computes something else."""
        again = [self._output(number) for number in (0, *_MORE)]
        if not all(map(np.allclose, again, self._outputs)):
            return [False] * len(self.keys)
        found = [self._right(self._asked(number)) for number in _MORE]
        return [all(each) for each in zip(*found, strict=True)]


def of_chain(
    assessor: Assessor,
    source: Source,
    assessment: Assessment,
    factor: float,
    located: list[Finding],
) -> list[Finding]:
    """Return the change that mends gradients that nothing explains, or what is known of them.

    Args:
        assessor: Asks for the gradients.
        source: What is asked.
        assessment: What was asked before.
        factor: Of right gradients, on the loss that is summed over batch and outputs.
        located: What is known of them without.
    """
    trial = OfChain(assessor, source, assessment.form, assessment.kind, factor)
    layout, names = assessor.layout, assessor.subject.names
    return mended(
        trial, assessor.subject, [names[layout.place(key)] for key in trial.keys], located
    )
