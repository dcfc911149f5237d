"""Shares of the weights in an update, beside gradients that do not have them.

A weight decay is coupled where it is added to the gradient, and so goes into the optimizer's state,
and decoupled where it is taken off the weights besides. Of plain descent that is one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from numpy_impl.types import Array
from parity.checking.explain.steps.course import Course
from parity.checking.explain.steps.followed_rule import Factors, Found, descent, rule_of
from parity.checking.model.layout import Key
from parity.checking.model.rules import EPSILONS, OptimizerRule, adaptive

# So often a share is corrected, from each of these; it is known to so many digits.
_ITERATIONS, _STARTS, _DIGITS = 6, (0.0, 0.03), 4
# How a share enters: whether it is coupled, and whether it has the learning rate for a factor.
_ENTERS = (True, True), (False, True), (False, False)
# With epsilon still open, what a rule with the best share leaves of the steps may be so large.
_ROUGH = 0.05
# Of a rule that divides by a root numbers count whose gradient is no smaller share of the largest:
# where it is small the share of the weight turns the sign of the step.
_LARGE = 0.1


def decayed(whole: Course, usual: Factors) -> tuple[Found, dict[Key, OptimizerRule | None]] | None:
    """Return the rule with a share of the weights that steps follow, and the tensors without it.

    Args:
        whole: The steps.
        usual: What the gradients may be multiplied by: the user's own by 1 alone.

    Returns:
        The rule of the most tensors and what the others have; None where a tensor has no rule.
    """
    factor, words = usual[0]
    together = _descended(whole, usual) or _divided(whole, factor)
    if together is not None:
        return (together, factor, words), {}
    tensors = {key: whole.only([key]) for key in whole.parts}
    plain = {key: rule_of(alone, usual) for key, alone in tensors.items()}
    kept = [found[0] for found in plain.values() if found is not None]
    others = [key for key, found in plain.items() if found is None]
    if not others:
        return None
    if not kept:  # each with a share of its own
        found = {key: _descended(alone, usual) for key, alone in tensors.items()}
    else:
        base = max(kept, key=kept.count)
        found = {key: _share_of(tensors[key], base, factor) for key in others}
        found |= {key: rule[0] for key, rule in plain.items() if rule is not None}
    rules = [rule for rule in found.values() if rule is not None]
    if len(rules) < len(found) or len({_without(rule) for rule in rules}) > 1:
        return None
    most = max(rules, key=rules.count)
    return (most, factor, words), {key: rule for key, rule in found.items() if rule != most}


def _without(rule: OptimizerRule) -> OptimizerRule:
    return replace(rule, weight_decay=0.0, decay_at_rate=True, coupled=False)


def _descended(course: Course, usual: Factors) -> OptimizerRule | None:
    """Return a descent with a share of the weights that all steps follow."""
    factor = usual[0][0]
    for decay in _of_first_step(course, factor):
        # What is left without the share is the rule's alone.
        found = descent(_less(course, decay), [usual[0]])
        whole = None if found is None else replace(decay, **_settings(found[0]))
        if whole is not None and course.follows(whole, factor):
            return whole
    return None


def _divided(course: Course, factor: float) -> OptimizerRule | None:
    """Return a rule that divides by a root, with a share of the weights that all steps follow."""
    rules = (rule for rule in adaptive(right=True) if course.flat or rule.known.feels_scale)
    shares = (_share_of(course, rule, factor) for rule in rules)
    return next((rule for rule in shares if rule is not None), None)


def _settings(rule: OptimizerRule) -> dict[str, object]:
    return {"form": rule.form, "decay": rule.decay, "beta": rule.beta}


def _of_first_step(course: Course, factor: float) -> Iterator[OptimizerRule]:
    """Yield the shares that the first step of a descent may have: ``p g + q w`` is what it is."""
    g, w, rate = factor * course.gradients[0].value, course.weights[0], course.rates[0]
    (p, q), *_ = np.linalg.lstsq(np.stack([g, w], axis=1), course.changes[0], rcond=None)
    if not p or not np.isfinite(q / p):
        return
    for share, (coupled, at_rate) in zip((q / p, -q / rate, -q), _ENTERS, strict=True):
        short = float(f"{share:.{_DIGITS}g}")
        if short > 0:
            yield OptimizerRule("sgd", weight_decay=short, coupled=coupled, decay_at_rate=at_rate)


def _less(course: Course, decay: OptimizerRule) -> Course:
    """Return the course as if there were no share of the weights in it."""
    share = decay.weight_decay
    if decay.coupled:
        pairs = zip(course.gradients, course.weights, strict=True)
        gradients = [g + g.rounding.exact(w) * share for g, w in pairs]
        return replace(course, gradients=gradients)
    steps = zip(course.changes, course.weights, course.rates, strict=True)
    return replace(course, changes=[c + share * decay.taken_off(r) * w for c, w, r in steps])


def _share_of(course: Course, rule: OptimizerRule, factor: float) -> OptimizerRule | None:
    """Return a rule with a share of the weights that all steps follow, if one does."""
    settings = [*product(rule.known.places, EPSILONS)]
    if rule.kind == "sgd" or rule.epsilon:
        settings = [(rule.place, rule.epsilon)]
    open_ = rule if rule.kind == "sgd" or rule.epsilon else replace(rule, epsilon=1e-8)
    for coupled, at_rate in _ENTERS:
        decaying = replace(open_, coupled=coupled, decay_at_rate=at_rate)
        for share in _shares(course, decaying, factor):
            for place, epsilon in settings:
                whole = replace(decaying, weight_decay=share, place=place, epsilon=epsilon)
                if course.follows(whole, factor):
                    return whole
    return None


def _shares(course: Course, rule: OptimizerRule, factor: float) -> Iterator[float]:
    """Yield the shares with which a rule comes near to the steps, by Gauss and Newton."""
    large = [
        np.abs(g.value) >= _LARGE * np.max(np.abs(g.value), initial=0.0) for g in course.gradients
    ]
    pairs = zip(course.changes, course.rates, large, strict=True)
    size = max(float(np.max(np.abs(c[some] / rate))) for c, rate, some in pairs)
    seen: set[float] = set()
    for start in _STARTS:
        share, here = start, _rest(course, rule, start, factor, large)
        for _ in range(_ITERATIONS):
            step = 1e-6 * max(share, 1.0)
            slope = (_rest(course, rule, share + step, factor, large) - here) / step
            square = float(slope @ slope)
            if not square or not np.isfinite(square):
                break
            change = float(slope @ here) / square
            share -= change
            here = _rest(course, rule, share, factor, large)
            if abs(change) <= 10.0**-_DIGITS / 10 * abs(share):
                break
        short = float(f"{share:.{_DIGITS}g}")
        near = float(np.max(np.abs(here), initial=0.0)) <= _ROUGH * size
        if short > 0 and near and short not in seen:
            seen.add(short)
            yield short


def _rest(
    course: Course, rule: OptimizerRule, share: float, factor: float, large: Sequence[Array]
) -> Array:
    """Return what a rule with some share leaves of the steps, for the rate of each."""
    run = course.run(replace(rule, weight_decay=share), [factor] * len(course.changes))
    steps = zip(run, course.changes, course.rates, large, strict=True)
    return np.concatenate([((e.value - c) / rate)[some] for e, c, rate, some in steps])
