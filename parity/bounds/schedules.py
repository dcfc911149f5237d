"""How exactly the two engines compute a learning-rate schedule.

The formulas of ``numpy_impl.schedules`` once more, in bounded arithmetic. Where the rate jumps at a
step that rounding may put on either side, the whole jump is in the bound.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numpy_impl import schedules
from parity.bounds.rounding import Approx, Rounding

# Math libraries are good to this many units roundoff, times the condition of the function.
_FUNCTION = 4.0


def bounded_rate(schedule: schedules.LearningRateSchedule, step: int) -> Approx:
    """Return the learning rate after ``step`` steps, with its bound.

    Raises:
        TypeError: No bound is known for a schedule of this class.
    """
    formula = _FORMULAS.get(type(schedule))
    if formula is None:
        raise TypeError(f"No error analysis for schedule {type(schedule).__name__}")
    return formula(schedule, Rounding(schedule.dtype).exact(step) * 1.0)


def _constants(schedule: schedules.LearningRateSchedule) -> Callable[[str], Approx]:
    """Return a function from an option's name to its value, rounded."""
    exact = Rounding(schedule.dtype).exact
    return lambda name: exact(getattr(schedule, name)) * 1.0


def _power(base: Approx, exponent: Approx) -> Approx:
    """Return ``base ^ exponent`` of a base and an exponent of at least 0."""

    def raised(e: Approx, b: float) -> Approx:
        growth = abs(float(e.value) * math.log(b)) if b > 0 else 0.0
        return e.monotone(lambda v: np.power(b, np.maximum(v, 0.0)), _FUNCTION + growth)

    # In the base it grows; the widest of both ends covers what lies between.
    middle = raised(exponent, float(base.value))
    ends = [raised(exponent, max(float(base.value + s * base.bound), 0.0)) for s in (-1, 1)]
    error = max(float(np.abs(e.value - middle.value) + e.bound) for e in ends)
    return Approx(middle.value, np.asarray(error), middle.rounding)


def _half_wave(part: Approx) -> Approx:
    """Return ``1 + cos(pi part)``."""
    turn = part * (part.rounding.exact(math.pi) * 1.0)
    error = turn.bound + _FUNCTION * turn.rounding.unit  # the cosine changes no faster
    return Approx(np.cos(turn.value), error, turn.rounding) + 1.0


def _least(k: Approx, n: Approx) -> Approx:
    return k if float(k.value) < float(n.value) else n


def _decayed_steps(s: Any, k: Approx) -> Approx:
    p = k / _constants(s)("decay_steps")
    # A quotient that is a whole number is computed exactly, and rounding never jumps over one.
    return p.rounding.exact(np.floor(p.value)) if s.staircase else p


def _exponential(s: Any, k: Approx) -> Approx:
    c = _constants(s)
    return c("initial_learning_rate") * _power(c("decay_rate"), _decayed_steps(s, k))


def _inverse(s: Any, k: Approx) -> Approx:
    c = _constants(s)
    return c("initial_learning_rate") / (c("decay_rate") * _decayed_steps(s, k) + 1.0)


def _piecewise(s: schedules.PiecewiseConstantDecay, k: Approx) -> Approx:
    return k.rounding.exact(s.rate(k.value[()])) * 1.0


def _polynomial(s: Any, k: Approx) -> Approx:
    c = _constants(s)
    n = c("decay_steps")
    if s.cycle:
        n = n * max(float(np.ceil(k.value / s.decay_steps)), 1.0)
    else:
        k = _least(k, n)
    end = c("end_learning_rate")
    return (c("initial_learning_rate") - end) * _power(1.0 - k / n, c("power")) + end


def _cosine(s: Any, k: Approx) -> Approx:
    c = _constants(s)
    start, n = c("initial_learning_rate"), c("decay_steps")
    if s.warmup_target is not None:
        target, warmup = c("warmup_target"), c("warmup_steps")
        if float(k.value) < s.warmup_steps:
            return (target - start) * (k / warmup) + start
        start, k = target, k - warmup
    alpha = k.rounding.exact(1 - s.alpha) * 1.0
    return start * (alpha * (_half_wave(_least(k, n) / n) * 0.5) + c("alpha"))


def _restarts(s: Any, k: Approx) -> Approx:
    c = _constants(s)
    done, t = k / c("first_decay_steps"), c("t_mul")
    if s.t_mul == 1:
        wave = done.rounding.exact(np.floor(done.value))
        part = done - wave
    else:
        ratio = (1.0 - done * (1.0 - t)).monotone(np.log, _FUNCTION) / t.monotone(np.log, _FUNCTION)
        wave = ratio.monotone(np.floor, 0.0)
        longer = _power(t, wave)
        part = (done - (1.0 - longer) / (1.0 - t)) / longer
    height = _power(c("m_mul"), wave) * _half_wave(part) * 0.5
    return c("initial_learning_rate") * ((1.0 - c("alpha")) * height + c("alpha"))


_FORMULAS: dict[type, Callable[[Any, Approx], Approx]] = {
    schedules.ExponentialDecay: _exponential,
    schedules.InverseTimeDecay: _inverse,
    schedules.PiecewiseConstantDecay: _piecewise,
    schedules.PolynomialDecay: _polynomial,
    schedules.CosineDecay: _cosine,
    schedules.CosineDecayRestarts: _restarts,
}
