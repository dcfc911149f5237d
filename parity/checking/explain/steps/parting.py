"""Where steps part from the declared optimizer: by how much, and for what other reason."""

from itertools import pairwise, product

import numpy as np

from parity.checking.explain.steps.course import Course
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.rules import Update

# So many steps a program may have taken before it is checked, where it goes by a schedule.
_MOST_STEPS_BEFORE = 1_000


def differs_by(whole: Course, stated: Update, k: int, factor: float = 1.0) -> tuple[str, str]:
    """Return by what a step differs from the declared, in the title's and the evidence's words."""
    first = whole.until(k + 1)
    *_, expected = first.run(stated, [factor] * (k + 1))
    change = whole.changes[k]
    large = np.abs(expected.value) >= 0.01 * np.max(np.abs(expected.value))
    with np.errstate(all="ignore"):
        ratios = change[large] / expected.value[large]
    worst = int(np.argmax(np.abs(change - expected.value)))
    shown = (
        f"a change is {change[worst]:.6g} where {stated.words} gives {expected.value[worst]:.6g}"
    )
    if not ratios.size or not np.all(np.isfinite(ratios)):
        return "", shown
    middle = float(np.median(ratios))
    if np.ptp(ratios) <= 1e-5 * abs(middle):
        return f", ×{middle:.6g}", shown
    return f", ×{np.min(ratios):.6g} to ×{np.max(ratios):.6g}", shown


def from_before(whole: Course, stated: DeclaredOptimizer, certain: bool) -> bool:
    """Return whether a state from before the check may be why steps part.

    Args:
        whole: The steps.
        stated: The declared optimizer.
        certain: Whether they follow something else from a state of 0, or do not part at once.
    """
    if stated.overwrites or _on_schedule(whole, stated):
        return True
    if certain or not stated.keeps_state:
        return False
    return not stated.plain_momentum or _lingers(whole, stated)


def _on_schedule(whole: Course, stated: DeclaredOptimizer) -> bool:
    """Return whether plain steps go by the declared schedule, from a later step on.

    But for a common factor, as the gradients' own may be open.
    """
    sizes = whole.sizes() if stated.schedule is not None else None
    if sizes is None or not all(sizes):
        return False
    own = np.array(sizes) / np.array(whole.rates)
    return any(
        all(multiples) and np.allclose(own / own[0], np.array(multiples) / multiples[0], rtol=1e-6)
        for first in range(1, _MOST_STEPS_BEFORE)
        for multiples in stated.rates(whole.rates, first)
    )


def _lingers(whole: Course, stated: DeclaredOptimizer) -> bool:
    """Return whether steps are the declared momentum's but for a velocity that dies away."""
    momentum, ones = stated.options["momentum"], [1.0] * len(whole.rates)
    updates = product((stated, stated.at_one_rate()), (ones, whole.rates))
    for update, rates in updates:
        run = zip(whole.run(update, ones), whole.changes, whole.noise, rates, strict=True)
        left = [((c - e.value) / r, (2 * e.bound + noise) / r) for e, c, noise, r in run]
        if all(
            np.all(np.abs(now - momentum * before) <= room + more)
            for (before, more), (now, room) in pairwise(left)
        ):
            return True
    return False
