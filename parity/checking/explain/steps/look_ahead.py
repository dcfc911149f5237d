"""Nesterov's momentum as the textbooks have it: the gradient is taken where the velocity leads.

``v = mu v - learning_rate g(W + mu v); W += v``. Each step needs gradients at weights of its own,
which those at the weights that are handed over do not tell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.asking.gradients import Taken
from parity.checking.asking.subject import lowest
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, correct_gradients
from parity.checking.model.probe import Probe

_ITERATIONS = 30
# Rates of momentum from which the one that a step has is looked for.
_STARTS = (0.9, 0.5)
# Less is none: what is fitted to plain descent is rounding.
_LEAST = 1e-6


@dataclass(frozen=True)
class LookAhead:
    """Momentum with the gradient at ``W + momentum * v``.

    Attributes:
        momentum: mu.
        factor: On the gradients of the loss in its summed form.
        added: Whether the look-ahead is not taken back, and the whole velocity added to it.
    """

    momentum: float
    factor: float
    added: bool = False

    @property
    def words(self) -> str:
        """The rule with its settings."""
        return f"SGD with momentum {self.momentum:g} (Nesterov's, by look-ahead weights)"


def find(history: Sequence[Taken], layout: Layout, kind: LossKind) -> LookAhead | None:
    """Return the momentum with look-ahead that steps follow from a velocity of 0; None if none.

    Args:
        history: The steps; the first two on one batch, from the same weights.
        layout: How the weights are read.
        kind: The loss.
    """
    if len(history) < 3 or history[0].probe is not history[1].probe:
        return None
    first = history[0]
    g = correct_gradients(kind, first.probe.forward(tracked=True), first.probe.y)
    change, slope = layout.unpack(first.change), {key: a.value for key, a in g.items()}
    square = _dot(slope, slope)
    if not square:
        return None
    factor = -_dot(change, slope) / square / first.rate
    if factor <= 0 or not _fits(
        change, {key: a * (-factor * first.rate) for key, a in g.items()}, _noise(first, layout)
    ):
        return None
    for added in (False, True):
        momentum = _momentum(history[1], layout, kind, change, factor, added)
        if momentum is None:
            continue
        rule = LookAhead(momentum, factor, added)
        if _follow(history, layout, kind, rule):
            return rule
    return None


def _ahead(
    taken: Taken, kind: LossKind, velocity: Mapping[Key, Array], mu: float,
    errors: Mapping[Key, Array] | None = None,
) -> Mapping[Key, Approx]:  # fmt: skip
    """Return the loss's gradients where the velocity leads; bounded if its errors are given."""
    at: Probe = taken.probe
    weights = {key: w + mu * velocity[key] for key, w in at.weights.items()}
    tracked = errors is not None
    moved = replace(at, weights=weights, weight_errors=dict(errors or {}))
    return correct_gradients(kind, moved.forward(tracked), at.y)


def _momentum(
    second: Taken, layout: Layout, kind: LossKind, velocity: dict[Key, Array], factor: float,
    added: bool,
) -> float | None:  # fmt: skip
    """Return the momentum by which the second step goes along the first, by the secant method."""
    change, times = layout.unpack(second.change), 2.0 if added else 1.0

    def off(mu: float) -> float:
        g = _ahead(second, kind, velocity, mu)
        rest = {
            key: c - times * mu * velocity[key] + second.rate * factor * g[key].value
            for key, c in change.items()
        }
        return _dot(rest, velocity)

    return _root(off)


def _root(off: Callable[[float], float]) -> float | None:
    a, b = _STARTS
    off_a, off_b = off(a), off(b)
    for _ in range(_ITERATIONS):
        if off_a == off_b or not np.isfinite(b):
            break
        a, b = b, b - off_b * (b - a) / (off_b - off_a)
        if abs(b) > 2:
            return None
        off_a, off_b = off_b, off(b)
        if abs(b - a) <= 1e-14:
            break
    if not _LEAST < b < 1:
        return None
    short = round(b, 4)
    return short if abs(short - b) <= 1e-6 else b


def _follow(history: Sequence[Taken], layout: Layout, kind: LossKind, rule: LookAhead) -> bool:
    mu = rule.momentum
    velocity = {key: np.zeros_like(w) for key, w in history[0].probe.weights.items()}
    errors = {key: np.zeros_like(w) for key, w in velocity.items()}
    for taken in history:
        noise = _noise(taken, layout)
        unit = float(np.finfo(taken.probe.dtype).eps)
        # What is known of the velocity is what the weights have changed by.
        moved = {
            key: mu * e + 2 * unit * (np.abs(taken.probe.weights[key]) + np.abs(velocity[key]))
            for key, e in errors.items()
        }
        g = _ahead(taken, kind, velocity, mu, moved)
        rounding = next(iter(g.values())).rounding
        times = mu * (2.0 if rule.added else 1.0)
        expected = {
            key: Approx(velocity[key], errors[key], rounding) * times
            - a * (rule.factor * taken.rate)
            for key, a in g.items()
        }
        change = layout.unpack(taken.change)
        if not _fits(change, expected, noise):
            return False
        for key, c in change.items():
            left = mu * velocity[key] if rule.added else 0.0
            errors[key] = noise[key] + (mu * errors[key] if rule.added else 0.0)
            velocity[key] = c - left
    return True


def _fits(
    change: Mapping[Key, Array], expected: Mapping[Key, Approx], noise: Mapping[Key, Array]
) -> bool:
    return all(
        np.all(
            np.abs(change[key] - e.value)
            <= 2 * e.bound + noise[key] + 16 * e.rounding.unit * np.abs(e.value)
        )
        for key, e in expected.items()
    )


def _noise(taken: Taken, layout: Layout) -> dict[Key, Array]:
    """Return what the difference of two weights has lost."""
    unit = float(np.finfo(lowest(*(c.dtype for c in taken.change))).eps)
    weights, changes = taken.probe.weights, layout.unpack(taken.change)
    return {key: unit * (2 * np.abs(weights[key]) + np.abs(c)) for key, c in changes.items()}


def _dot(one: Mapping[Key, Array], other: Mapping[Key, Array]) -> float:
    return sum(float(np.vdot(one[key], other[key])) for key in one)
