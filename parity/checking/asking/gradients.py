"""Where the user's gradients come from: from ``gradients``, or read off a ``step``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.subject import Subject, lowest
from parity.checking.model.probe import Probe

# What of an optimizer's state is new: its averages while its steps are counted on, or their count.
Anew = Literal["", "all", "averages", "count"]
Noise = list[Array | float]
# Powers of two, so that dividing by them is exact.
LEARNING_RATE = 0.5
OTHER_RATE = 0.125
# Of steps one after the other: small, so that no training runs away.
COURSE_RATE = 2.0**-7


@dataclass
class Answer:
    """One answer in the user's own shapes.

    Attributes:
        arrays: The gradients; None where the user gave None.
        noise: What the way to get them has lost, one entry an array; empty where nothing.
        after: The weights after a step; empty where there was none.
    """

    arrays: list[Array | None]
    noise: Noise = field(default_factory=Noise)
    after: list[Array] = field(default_factory=list[Array])


@dataclass(frozen=True)
class Taken:
    """One step that the user's code has taken: from where and on what, and what it changed.

    Attributes:
        probe: The weights and samples.
        rate: The learning rate.
        change: Of each array.
        after: The arrays after it.
        keeps_rate: Whether the rate is the code's own, by what was said of it.
        anew: What of the optimizer's state was started anew before it.
        on_set: Whether the user's set_weights was called before it.
    """

    probe: Probe
    rate: float
    change: list[Array]
    after: list[Array]
    keeps_rate: bool = False
    anew: Anew = ""
    on_set: bool = False


class Direct:
    """The user's ``gradients``."""

    name = "gradients"

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def ask(self, probe: Probe) -> Answer:
        """Return the gradients at the probe's weights."""
        self.subject.set_weights(probe.arrays)
        return Answer(self.subject.gradients(probe.form.x(probe.x), probe.form.y(probe.y)))


class Accumulating(Direct):
    """``gradients`` that adds each call's to those of the calls before.

    Args:
        subject: The user's code.
        last: The arrays of its last answer; None for those that do not pile up.
    """

    def __init__(self, subject: Subject, last: Sequence[Array | None]) -> None:
        super().__init__(subject)
        self.last = list(last)

    def ask(self, probe: Probe) -> Answer:
        """Return what this call added."""
        answer = super().ask(probe)
        unit = float(np.finfo(self.subject.dtype).eps)
        added: list[Array | None] = []
        for now, before in zip(answer.arrays, self.last, strict=True):
            if now is None or before is None:
                added.append(now)
                answer.noise.append(0.0)
                continue
            added.append(now - before)
            answer.noise.append(unit * (np.abs(now) + np.abs(before)))
        pairs = zip(answer.arrays, self.last, strict=True)
        self.last = [None if before is None else now for now, before in pairs]
        return Answer(added, answer.noise)


class Step:
    """What one ``step`` changes, divided by its learning rate.

    Args:
        rate: The learning rate of the steps.
        momentum: How much of the change before is in each change (0 for a plain step).
        power: With which power of the learning rate the change goes, 0 and None being with none;
            or the powers of the arrays.
        shares: How many times the weights themselves are taken off besides, whatever the rate, an
            array. They are read as if the rate were a factor of them.
    """

    name = "step"

    def __init__(
        self,
        subject: Subject,
        rate: float = LEARNING_RATE,
        momentum: float = 0.0,
        power: int | Sequence[int] | None = 1,
        shares: Sequence[float] = (),
    ) -> None:
        self.subject = subject
        self.rate = rate
        self.momentum = momentum
        self.power = power
        self.shares = shares
        self.last: list[Array] = []

    def change(self, probe: Probe, reset: bool = True) -> list[Array]:
        """Take a step from the probe's weights; return what changed.

        ``reset=False``: the user's code has these weights already, and keeps them as they are.
        """
        if reset:
            self.subject.set_weights(probe.arrays)
        self.subject.step(probe.form.x(probe.x), probe.form.y(probe.y), self.rate)
        self.rate = self.subject.rate(self.rate)
        after = self.subject.weights()
        # In the weights' own type, by which it is seen what the difference may have lost.
        changed = [
            (now - before).astype(now.dtype) if now.shape == before.shape else now - before
            for now, before in zip(after, probe.arrays, strict=True)
        ]
        keeps_rate = self.subject.candidate.learning_rate is not None
        placing = self.subject.placing
        anew: Anew = "all" if reset and placing.interrupts else ""
        on_set = reset and not placing.in_place
        self.taken.append(Taken(probe, self.rate, changed, after, keeps_rate, anew, on_set))
        return changed

    @property
    def taken(self) -> list[Taken]:
        """Every step that this candidate's code has taken, from the first."""
        return self.subject.history

    def ask(self, probe: Probe) -> Answer:
        """Return ``-change / learning_rate`` with what its rounding may have lost."""
        change = self.change(probe)
        after = self.taken[-1].after
        # Adding the change to the weight rounds by half a unit in the last place of the result.
        powers = self.power if isinstance(self.power, Sequence) else [self.power] * len(change)
        rates = [self.rate ** (power or 0) for power in powers]
        unit = float(np.finfo(lowest(*(array.dtype for array in after))).eps)
        noise: Noise = [
            unit * (np.abs(a) + np.abs(a - c)) / rate
            for a, c, rate in zip(after, change, rates, strict=True)
        ]
        plain = change
        if self.momentum:
            plain = [c - self.momentum * p for c, p in zip(change, self.last, strict=True)]
            size = [np.abs(p) * unit * 4 / r for p, r in zip(self.last, rates, strict=True)]
            noise = [2 * n + s for n, s in zip(noise, size, strict=True)]
            self.last = change
        if self.shares:
            taken = zip(plain, self.shares, probe.arrays, strict=True)
            plain = [c + share * w * (1 - self.rate) for c, share, w in taken]
            noise = [2 * n for n in noise]
        return Answer([-c / rate for c, rate in zip(plain, rates, strict=True)], noise, after)


Source = Direct | Step
