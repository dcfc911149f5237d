"""Gradients as they are read off steps, where a step is all that there is."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.falling import Falling, falling
from parity.checking.asking.held import sets_more
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.derivative import UPDATED_FIRST
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.table import Severity
from parity.checking.derivative.pairs import TensorSlopes
from parity.checking.derivative.slopes import Place

# Rates by which a step's gradient is read off; powers of two, so that dividing by them is exact.
_RATES = (2.0**-3, 2.0**-5)
# Further down, to see what it tends to: each half the one before.
_SMALLER = tuple(2.0**-k for k in range(5, 11))
# Two estimates of what it tends to that differ by no more than this part are one.
_CONVERGED = 1e-9
# So large a share of a first step's entries is as large as their median, but for such a part: decay
# of weights adds a little, and where a gradient is tiny ε tells.
_MOST, _ALIKE = 0.8, 0.1
_FIRST_ONES = (
    "it changes all weights by as much, as the first step of an optimizer such as Adam or RMSprop "
    "does, and set_weights starts it anew each time: give gradients as well, or a set_weights that "
    "sets the weights alone"
)
_ONE_RATE = (
    "the step has its own learning rate, and at one rate a gradient cannot be told from the change "
    "of weights that are updated one after the other: give gradients as well, or a step that takes "
    "the rate"
)
_NO_PLAIN_ONE = (
    "the step is no plain one (weights -= learning_rate * gradient), from which gradients could be "
    "read off: give gradients as well"
)


class OfSteps:
    """Reads gradients off steps, (weights before - weights after) / learning rate.

    Args:
        subject: The user's code.
        notes: Takes what is found of the rate.

    Attributes:
        falling: The formula by which the rate goes on inside of the step, if it does.
        decays: How many times the weights themselves a step takes off besides, where that is known
            of an array, and no part of the gradient.
        updated: The arrays whose change is no multiple of the rate, and tends to one as it falls.
    """

    def __init__(self, subject: Subject, notes: Notes) -> None:
        self.subject, self.notes = subject, notes
        self.falling: Falling | None = None
        self.decays: dict[int, float] = {}
        self.updated: set[int] = set()
        self._steps = 0

    def gradients(self, place: Place) -> list[Array | None]:
        """Return them at a place.

        Raises:
            TheirError: The step is none from which they could be read off.
        """
        if self.subject.candidate.learning_rate is not None:
            raise TheirError("step", _ONE_RATE)
        changes = [self._change(place, rate) for rate in _RATES]
        found = self._plain(place, changes)
        if found is None and self.falling is None:
            self.falling = self._falling(place, changes)
            if self.falling is not None:
                found = self._plain(place, [self._change(place, rate) for rate in _RATES])
        if found is None:
            found = self._in_the_limit(place)
        if found is None:
            raise TheirError("step", _NO_PLAIN_ONE)
        for index, share in self.decays.items():
            if (whole := found[index]) is not None:
                found[index] = whole - share * place.arrays[index]
        return found

    def refuse_signs(self, gradients: Iterable[Array], place: Place) -> None:
        """Refuse what is as large everywhere, as first steps of Adam and its like are.

        All are first ones where ``set_weights`` starts the optimizer anew.

        Raises:
            TheirError: They are such steps.
        """
        if self.subject.candidate.gradients is not None:
            return
        sizes = [np.abs(gradient).ravel() for gradient in gradients]
        sizes = [size[size > 0] for size in sizes if np.any(size)]
        shares = [float(np.mean(np.abs(s / float(np.median(s)) - 1) < _ALIKE)) for s in sizes]
        alike = min(shares, default=0.0) > _MOST
        if alike and self.starts_anew(place):
            raise TheirError("step", _FIRST_ONES)

    def starts_anew(self, place: Place) -> bool:
        """Return whether ``set_weights`` changes more than weights, as where it resets a rate."""
        self._change(place, _RATES[0])
        return sets_more(self.subject)

    def _plain(self, place: Place, changes: list[list[Array]]) -> list[Array | None] | None:
        """Return the gradients of steps at two rates, if they are the same."""
        whole = zip(*changes, self.lost(place, changes[0]), strict=True)
        if not all(alike(a, b) or np.all(np.abs(a - b) <= room) for a, b, room in whole):
            return None
        return list(changes[0])

    def lost(self, place: Place, gradients: Sequence[Array | None]) -> list[Array | float]:
        """Return by how much what is read off two steps may differ, array by array."""
        rate, error = (1.0, 0.0) if self.falling is None else self.falling.multiple(self._steps)
        # A weight that is changed is rounded, by half a unit of its own.
        rounded = [2 * place.unit * np.max(np.abs(w), initial=0.0) for w in place.arrays]
        return [
            one / min(_RATES) / rate + (0.0 if g is None else 2 * error / rate * np.abs(g))
            for one, g in zip(rounded, gradients, strict=True)
        ]

    def _change(self, place: Place, rate: float) -> list[Array]:
        """Return what a step takes off the weights, divided by the learning rate that it has."""
        place.back()
        self.subject.step(place.x, place.y, rate)
        if self.falling is not None:
            rate *= self.falling.multiple(self._steps)[0]
        self._steps += 1
        after = self.subject.weights()
        return [(old - new) / rate for old, new in zip(place.arrays, after, strict=True)]

    def _falling(self, place: Place, changes: list[list[Array]]) -> Falling | None:
        """Return the formula by which the rate goes on from the first two steps, if any."""
        if self._steps > len(changes):
            return None
        steps = [*changes, *(self._change(place, _RATES[0]) for _ in range(3))]
        whole = [np.concatenate([c.ravel() for c in step]) for step in steps]
        noise = [2 * place.unit * np.abs(w).ravel() / min(_RATES) for w in place.arrays]
        rule = falling(whole, range(len(steps)), np.concatenate(noise))
        if rule is not None:
            words = f"Learning rate: it changes inside the step, as {rule.words} (t: steps before)."
            self.notes.remarks.append(words + rule.as_declared())
        return rule

    def _in_the_limit(self, place: Place) -> list[Array | None] | None:
        """Return what the changes tend to as the rate falls, if a step leaves no state behind."""
        first, again = (self._change(place, _SMALLER[0]) for _ in range(2))
        if self.falling is not None or not all(map(np.array_equal, first, again)):
            return None
        changes = [first, *(self._change(place, rate) for rate in _SMALLER[1:])]
        rounded = self.lost(place, [None] * len(first))
        found: list[Array | None] = []
        for index, each in enumerate(zip(*changes, strict=True)):
            coarse, fine = _towards_zero(each[:-1]), _towards_zero(each[1:])
            # Rounding of the weights grows as the rate falls, and the scheme takes up to 7.3 times
            # as much of its five values together: the product of (2^k + 1) / (2^k - 1).
            noise = 8 * rounded[index] * min(_RATES) / _SMALLER[-1]
            gap = np.abs(fine - coarse)
            if not np.all(gap <= noise + _CONVERGED * np.max(np.abs(fine), initial=0.0)):
                return None
            if np.any(np.abs(each[0] - fine) > noise):
                self.updated.add(index)
            found.append(fine)
        return found

    def conclude(self, tensors: Sequence[TensorSlopes]) -> None:
        """Say what steps are that are right in the limit alone.

        Where they are not right there either, they are none from which gradients can be read off.

        Raises:
            TheirError: They are none.
        """
        if not self.updated:
            return
        notes, declared = self.notes, self.subject.candidate.optimizer is not None
        if notes.findings:
            notes.findings.clear()
            notes.witnesses.clear()
            raise TheirError("step", _NO_PLAIN_ONE)
        names = ", ".join(t.name for t in tensors if t.index in self.updated)
        severity = None if declared else Severity.UNCERTAIN
        notes.findings.append(Finding(UPDATED_FIRST, f"step, {names}", severity=severity))
        notes.tested.clear()


def _towards_zero(values: Sequence[Array]) -> Array:
    """Return what a smooth function of the rate tends to; each rate is half the one before.

    Neville's scheme at 0: with n values it is exact for polynomials of degree n - 1.
    """
    row = [*values]
    for order in range(1, len(row)):
        row = [(2**order * b - a) / (2**order - 1) for a, b in pairwise(row)]
    return row[0]
