"""Learning-rate schedules: how the learning rate changes from step to step. Keras's own formulas.

A schedule is a function of the number k of steps taken so far, counted from 0, and so gives the
rate of the step that comes next. Each class has the name and the arguments of Keras's
(``keras/src/optimizers/schedules/learning_rate_schedule.py``), and every optimizer here takes one
as its ``learning_rate``::

    SGD(InverseTimeDecay(0.1, decay_steps=1000, decay_rate=0.5))

Mind that k counts batches, not epochs: "per epoch" is ``decay_steps`` of as many batches as an
epoch has, with ``staircase=True``.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numpy_impl.types import DTypeLike

Real = Any  # a NumPy number of the schedule's dtype


class LearningRateSchedule:
    """What all schedules share: the precision in which they compute.

    Attributes:
        dtype: "float64"; "float32" computes as Keras on TensorFlow does, whatever the network's
            precision.
    """

    dtype: DTypeLike = "float64"

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        return float(self.rate(self.real(step)))

    @property
    def real(self) -> Callable[[float], Real]:
        """Makes a number of the schedule's precision."""
        return np.dtype(self.dtype).type

    def rate(self, k: Real) -> Real:
        """Return the formula's value at k, in the precision of k."""
        raise TypeError(f"{type(self).__name__} defines no rate")


def _positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not value > 0:
            raise ValueError(f"Expected {name} > 0. Received: {value}")


class _Decay(LearningRateSchedule):
    """A formula in ``p = k / decay_steps``, the number of decays so far.

    With ``staircase`` p is rounded down: the rate falls once every ``decay_steps`` steps.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        _positive(decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase

    def decays(self, k: Real) -> Real:
        """Return p."""
        p = k / self.real(self.decay_steps)
        return np.floor(p) if self.staircase else p


class ExponentialDecay(_Decay):
    """``rate = initial_learning_rate decay_rate^p``, ``p = k / decay_steps``.

    With ``staircase`` p is rounded down: the rate falls once every ``decay_steps`` steps.
    """

    def rate(self, k: Real) -> Real:
        """Return the formula's value at k."""
        real = self.real
        return real(self.initial_learning_rate) * np.power(real(self.decay_rate), self.decays(k))


class InverseTimeDecay(_Decay):
    """``rate = initial_learning_rate / (1 + decay_rate p)``, ``p = k / decay_steps``.

    With ``staircase`` p is rounded down.
    """

    def rate(self, k: Real) -> Real:
        """Return the formula's value at k."""
        real = self.real
        return real(self.initial_learning_rate) / (real(1) + real(self.decay_rate) * self.decays(k))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` while ``k <= boundaries[0]``, then ``values[1]`` up to ``boundaries[1]``...

    After the last boundary it is ``values[-1]``.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float]) -> None:
        if not boundaries or len(boundaries) != len(values) - 1:
            raise ValueError(
                "Expected one value more than boundaries, and a boundary. "
                f"Received: {len(boundaries)} boundaries and {len(values)} values"
            )
        if list(boundaries) != sorted(boundaries):
            raise ValueError(f"Expected boundaries in order. Received: {list(boundaries)}")
        # Keras casts a boundary to the type of k, an integer.
        self.boundaries = [int(b) for b in boundaries]
        self.values = list(values)

    def rate(self, k: Real) -> Real:
        """Return the formula's value at k."""
        passed = sum(k > boundary for boundary in self.boundaries)
        return self.real(self.values[passed])


class PolynomialDecay(LearningRateSchedule):
    """``rate = (initial_learning_rate - end_learning_rate) (1 - k / n)^power + end_learning_rate``.

    n is ``decay_steps``, and k stays there when it gets there. With ``cycle`` n is instead the next
    multiple of ``decay_steps``, so that the rate jumps up and falls again.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        _positive(decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle

    def rate(self, k: Real) -> Real:
        """Return the formula's value at k."""
        real = self.real
        n, end = real(self.decay_steps), real(self.end_learning_rate)
        if self.cycle:
            n = n * (np.ceil(k / n) if k else real(1))
        else:
            k = min(k, n)
        fall = np.power(real(1) - k / n, real(self.power))
        return (real(self.initial_learning_rate) - end) * fall + end


class CosineDecay(LearningRateSchedule):
    """Half a wave of the cosine, from ``initial_learning_rate`` down to ``alpha`` of it.

    ``rate = initial_learning_rate ((1 - alpha) (1 + cos(pi k / decay_steps)) / 2 + alpha)``, and k
    stays at ``decay_steps`` when it gets there. With a ``warmup_target`` the rate first grows in a
    straight line from ``initial_learning_rate`` to the target, during ``warmup_steps``; the wave
    starts then and there.

    Reference: Loshchilov and Hutter (2017), "SGDR", arXiv:1608.03983, eq. 5.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        _positive(decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def rate(self, k: Real) -> Real:
        """Return the formula's value at k."""
        real = self.real
        start, n = real(self.initial_learning_rate), real(self.decay_steps)
        if self.warmup_target is not None:
            target, warmup = real(self.warmup_target), real(self.warmup_steps)
            if k < warmup:
                return (target - start) * (k / warmup) + start
            start, k = target, k - warmup
        wave = real(0.5) * (real(1) + np.cos(real(math.pi) * (min(k, n) / n)))
        return start * (real(1 - self.alpha) * wave + real(self.alpha))


class CosineDecayRestarts(LearningRateSchedule):
    """:class:`CosineDecay` over and over, each time longer and from another height.

    The first wave has ``first_decay_steps`` steps, each next one ``t_mul`` times as many; it starts
    from ``m_mul`` times the height.

    Reference: Loshchilov and Hutter (2017), "SGDR", arXiv:1608.03983, section 3.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
    ) -> None:
        _positive(first_decay_steps=first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha

    def rate(self, k: Real) -> Real:
        """Return the formula's value at k."""
        real = self.real
        one, t, m, alpha = real(1), real(self.t_mul), real(self.m_mul), real(self.alpha)
        done = k / real(self.first_decay_steps)  # in first waves
        if self.t_mul == 1:
            wave = np.floor(done)
            part = done - wave
        else:
            # After i waves (1 - t^i) / (1 - t) first waves are over.
            wave = np.floor(np.log(one - done * (one - t)) / np.log(t))
            part = (done - (one - np.power(t, wave)) / (one - t)) / np.power(t, wave)
        height = real(0.5) * np.power(m, wave) * (one + np.cos(real(math.pi) * part))
        return real(self.initial_learning_rate) * ((one - alpha) * height + alpha)


# By Keras's names.
SCHEDULES: dict[str, type[LearningRateSchedule]] = {
    kind.__name__: kind
    for kind in (
        ExponentialDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
        InverseTimeDecay,
        CosineDecay,
        CosineDecayRestarts,
    )
}
