"""The gradients of a chain of dense layers, asked for while the line that is wrong is searched."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.gradients import Source
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.derivative import ONE_CHANGE, ONE_CHANGE_IN_PART
from parity.checking.bugs.table import Bug
from parity.checking.explain.agreement import compared
from parity.checking.explain.assessment import Assessor
from parity.checking.explain.own_loss import OwnLoss, is_derivative
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind
from parity.checking.model.probe import Form, Probe

# Probes beyond those that were explained, on which a change is confirmed.
_MORE = (11, 12)
# The number of one of another size.
_ELSEWHERE = 13


class OfChain:
    """The gradients beside those of the chain's loss: a trial of the search for a change.

    Args:
        assessor: Asks for them.
        source: What is asked.
        form: How samples and labels are passed.
        kind: Of which loss they are meant to be.
        factor: On the loss that is summed over batch and outputs.
        own: The user's own loss, as it was measured on the first probes: its derivative is right,
            too, as where a guard in its logarithm keeps it from being the usual one to rounding.

    Attributes:
        names: Of the user's arrays.
    """

    of_steps = measures = False
    numbers: Sequence[float] = ()
    bug, agreement = ONE_CHANGE, "all gradients agree"
    bug_in_part: Bug | None = ONE_CHANGE_IN_PART

    def __init__(
        self, assessor: Assessor, source: Source, form: Form, kind: LossKind, factor: float,
        own: OwnLoss | None,
    ) -> None:  # fmt: skip
        self._assessor, self._source, self._form = assessor, source, form
        self._kind, self._factor, self._own = kind, factor, own
        self._more = _MORE if own is None else sorted({slope.probe for slope in own.slopes})
        self._probe = assessor.draw(form, 0)
        self._keys: list[Key] = list(self._probe.weights)
        layout, names = assessor.layout, assessor.subject.names
        self.names = [names[layout.place(key)] for key in self._keys]
        self._outputs = [self._output(number) for number in (0, *self._more)]

    def _output(self, number: int) -> Array:
        probe, subject = self._assessor.draw(self._form, number), self._assessor.subject
        subject.set_weights(probe.arrays)
        return subject.forward(probe.form.x(probe.x))[-1]

    def _asked(self, number: int) -> Probe:
        probe, misfits = self._assessor.ask(self._source, self._form, number)
        if misfits or probe.gradients.keys() != probe.weights.keys():
            raise TheirError("gradients", "expected arrays of the weights' shapes")
        return probe

    def _right(self, number: int, probe: Probe) -> list[bool]:
        pairs = {each.key: each for each in compared(probe, self._kind, self._factor)}
        right = [pairs[key].equals(pairs[key].right) for key in self._keys]
        if self._own is None:
            return right
        return [
            yes or is_derivative(self._own, number, key, pairs[key].own, probe.dtype)
            for yes, key in zip(right, self._keys, strict=True)
        ]

    def values(self) -> list[Array]:
        """Return the gradients of the first probe."""
        self._probe = self._asked(0)
        return [self._probe.gradients[key] for key in self._keys]

    def fits(self, values: Sequence[Array], share: float = 0.0) -> list[bool]:
        """Return which of them are right, up to rounding."""
        self._probe.gradients = dict(zip(self._keys, values, strict=True))
        return self._right(0, self._probe)

    def loss(self) -> Any:
        """Call forward alone: what runs there as well is less likely to be wrong."""
        return self._output(0)

    def confirmed(self) -> list[bool]:
        """Return which are right on other probes; none if forward computes something else."""
        again = [self._output(number) for number in (0, *self._more)]
        if not all(map(np.allclose, again, self._outputs)):
            return [False] * len(self._keys)
        found = [self._right(number, self._asked(number)) for number in self._more]
        return [all(each) for each in zip(*found, strict=True)]

    def settle(self, put_back: Callable[[], None]) -> None:
        """Find nothing out: weights are set for every probe."""

    def fits_its_own_loss(self) -> list[bool]:
        """Return that none is: what forward computes is known here, and judged before."""
        return [False] * len(self._keys)

    def elsewhere(self, right: Sequence[bool]) -> list[bool] | None:
        """Return which are right on a batch of another size; None where it is not known.

        By those that are right without a change it is known whether the loss is averaged.
        """
        first = len(self._assessor.draw(self._form, 0).x)
        if first == 1 or self._assessor.fixed_batch or not any(right):
            return None
        probe, misfits = self._assessor.ask(self._source, self._form, _ELSEWHERE, avoid=first)
        if misfits or probe.gradients.keys() != probe.weights.keys() or len(probe.x) == first:
            return None
        for factor in (self._factor * first / len(probe.x), self._factor):
            pairs = {each.key: each for each in compared(probe, self._kind, factor)}
            found = [pairs[key].equals(pairs[key].right) for key in self._keys]
            if all(f or not r for f, r in zip(found, right, strict=True)):
                return found
        return None
