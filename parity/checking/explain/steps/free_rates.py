"""Optimizers with a state whose learning rate changes inside the step, by a formula.

The rate of each step is free at first: what a rule makes of the gradients is a direction, of which
each step has to be a multiple. Only where these multiples go by a formula is the rule told.
"""

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.explain.steps.course import Course
from parity.checking.explain.steps.followed_rule import RateFormula, rate_formula
from parity.checking.model.rules import EPSILONS, OptimizerRule, adaptive

# Momenta that are tried; their rate may stand in the velocity or outside of it.
_MOMENTA = (0.9, 0.8, 0.5, 0.95, 0.99)
# With epsilon still open, a step may be so far from a multiple of the rule's.
_ROUGH = 0.05
# A direction of fewer numbers says too little.
_FEWEST = 4

Sizes = list[tuple[float, float]]


def at_changing_rates(course: Course) -> tuple[OptimizerRule, RateFormula] | None:
    """Return the rule that steps follow at a rate of its own formula, and the formula."""
    if len(course.places) < _FEWEST:
        return None
    for momentum in _MOMENTA:
        for rule, sizes in (
            (OptimizerRule("sgd", "keras", momentum), _of_velocity(course, momentum)),
            (
                OptimizerRule("sgd", "torch", momentum),
                _of_rule(course, OptimizerRule("sgd", "torch", momentum)),
            ),
        ):
            found = None if sizes is None else _formula(course, sizes)
            if found is not None:
                return rule, found
    for rule in _likely(course):
        sizes = _of_rule(course, rule)
        found = None if sizes is None else _formula(course, sizes)
        if found is not None:
            return rule, found
    return None


def _likely(course: Course) -> Iterator[OptimizerRule]:
    """Yield the rules that divide by a root whose steps are about multiples of the user's."""
    for rule in adaptive(right=True):
        rough = OptimizerRule(rule.kind, rule.form, rule.decay, rule.beta, epsilon=1e-8)
        if not course.flat and not rule.known.feels_scale:
            continue
        run = zip(course.run(rough, [1.0] * len(course.changes)), course.changes, strict=True)
        if all(_near(change, expected.value) for expected, change in run):
            for place, epsilon in product(rule.known.places, EPSILONS):
                yield OptimizerRule(rule.kind, rule.form, rule.decay, rule.beta, epsilon, place)


def _near(change: Array, direction: Array) -> bool:
    square = float(direction @ direction)
    left = change - direction * (float(change @ direction) / square if square else 0.0)
    return bool(np.linalg.norm(left) <= _ROUGH * np.linalg.norm(change))


def _of_rule(course: Course, rule: OptimizerRule) -> Sizes | None:
    """Return in which multiples of the rates given each step is a rule's; None if one is not."""
    run = course.run(rule, [1.0] * len(course.changes))
    parts = zip(course.changes, course.noise, run, course.rates, strict=True)
    found = [_multiple(change, noise, expected, rate) for change, noise, expected, rate in parts]
    sizes = [size for size in found if size is not None]
    return sizes if len(sizes) == len(found) else None


def _of_velocity(course: Course, momentum: float) -> Sizes | None:
    """Return the rates of steps ``v = momentum v - rate g``; None if one is no such step."""
    zero = np.zeros_like(course.changes[0])
    pairs = pairwise([(zero, zero), *zip(course.changes, course.noise, strict=True)])
    found: Sizes = []
    steps = zip(pairs, course.gradients, course.anew, strict=True)
    for ((before, lost), (change, noise)), g, anew in steps:
        if anew in ("all", "averages"):
            before, lost = zero, zero
        left, room = change - momentum * before, noise + momentum * lost
        size = _multiple(left, room, -g, 1.0)
        if size is None:
            return None
        found.append(size)
    return found


def _multiple(
    change: Array, noise: Array, direction: Approx, rate: float
) -> tuple[float, float] | None:
    """Return which multiple of a direction a change is, times a rate, and how far it may be off."""
    d = direction.value
    square = float(d @ d)
    if not square:
        return None
    size = float(change @ d) / square
    bound = 2 * direction.bound + 16 * direction.rounding.unit * np.abs(d)
    error = float(np.abs(d) @ (noise + abs(size) * bound)) / square
    room = noise + abs(size) * bound + error * np.abs(d)
    return (size * rate, error * rate) if np.all(np.abs(change - size * d) <= room) else None


def _formula(course: Course, sizes: Sizes) -> RateFormula | None:
    """Return the formula by which the rates change; None where they do not, or by none known."""
    return rate_formula(sizes, course.rates) if all(size > 0 for size, _ in sizes) else None
