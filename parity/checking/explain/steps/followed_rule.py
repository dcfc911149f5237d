"""The rule that steps follow: plain descent, momentum, or one that divides by a root.

The gradients are known but for a factor.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress, product

import numpy as np

from parity.checking.asking.falling import Falling, named
from parity.checking.explain.steps.course import Course
from parity.checking.model.layout import Key
from parity.checking.model.rules import EPSILONS, OptimizerRule, adaptive, momenta

# What gradients may be multiplied by, in words: the reductions of a loss.
Factors = Sequence[tuple[float, str]]
# The rule, and the factor with its words.
Found = tuple[OptimizerRule, float, str]


def rule_of(exact: Course, usual: Factors, right: bool = False) -> Found | None:
    """Return the first rule that the steps follow, with the factor of the gradients.

    Of what divides by a root only the right forms are tried where that is asked for.
    """
    plain = descent(exact, usual)
    if plain is not None:
        return plain
    quick, flat = exact.bare, exact.flat
    signed = [(sign * factor, words) for factor, words in usual for sign in (1, -1)]
    rows = exact.multiplied([factor for factor, _ in signed])
    rules = (r for r in adaptive(right) if flat or r.known.feels_scale or r.form != "keras")
    for rule in (rule for rule in rules if _likely(quick, rule, usual)):
        for place in rule.known.places:
            for epsilon in EPSILONS:
                whole = replace(rule, place=place, epsilon=epsilon)
                fitting = exact.begins_as(whole, rows)
                for factor, words in compress(signed, fitting):
                    if exact.follows(whole, factor):
                        return whole, factor, words
    return None


def descent(exact: Course, usual: Factors) -> Found | None:
    """Return the plain descent or momentum that the steps follow, with the gradients' factor."""
    for rule, factors in _linear(exact, usual):
        for factor, words in factors:
            for sign in (1, -1):
                if exact.follows(rule, sign * factor):
                    return rule, sign * factor, words
    return None


def piled_up(exact: Course, usual: Factors) -> tuple[tuple[Key, ...], float, str] | None:
    """Return the tensors whose gradients pile up in plain descent, with the gradients' factor.

    None if there are none, or another tensor is not plain descent.
    """
    plain, piling = OptimizerRule("sgd"), OptimizerRule("sgd", "torch", 1.0)
    tensors = {key: exact.only([key]) for key in exact.parts}
    for factor, words in usual:
        keys = tuple(key for key, alone in tensors.items() if alone.follows(piling, factor))
        others = (alone for key, alone in tensors.items() if key not in keys)
        if keys and all(alone.follows(plain, factor) for alone in others):
            return keys, factor, words
    return None


def decayed(exact: Course, usual: Factors) -> tuple[Found, list[Key]] | None:
    """Return an adaptive rule that takes shares of the weights off besides, if the steps follow it.

    With it the tensors that it takes none off: the biases, or none.
    """
    biases = [key for key in exact.parts if key.part == "bias"]
    kernels = [key for key in exact.parts if key.part == "kernel"]
    for plain in ([], biases) if biases and kernels else ([],):
        some = exact.only(kernels) if plain else exact
        for rule in adaptive(right=True):
            amount = _amount(some, replace(rule, epsilon=1e-8), usual[0][0])
            if amount is None:
                continue
            for place, epsilon in product(rule.known.places, EPSILONS):
                whole = replace(rule, place=place, epsilon=epsilon)
                for factor, words in usual:
                    found = _with_decay(some, whole, factor)
                    left = exact.only(plain) if plain else None
                    if found and (left is None or left.follows(whole, factor)):
                        return (found, factor, words), plain
    return None


def _amount(course: Course, rule: OptimizerRule, factor: float) -> tuple[float, float] | None:
    """Return what a rule leaves of the first and the last step, in multiples of the weights.

    None where that is no multiple of them, at a glance.
    """
    expected = list(course.run(rule, [factor] * len(course.changes)))
    found: list[float] = []
    for k in (0, len(course.changes) - 1):
        w, rest = course.weights[k], expected[k].value - course.changes[k]
        large = np.abs(w) >= 0.3 * np.max(np.abs(w))
        amounts = rest[large] / w[large]
        amount = float(np.median(amounts))
        # Where a gradient is small, epsilon matters, which is still open.
        if not amount or np.mean(np.abs(amounts - amount) <= 0.1 * abs(amount)) < 0.8:
            return None
        found.append(amount)
    return found[0], found[1]


def _with_decay(course: Course, rule: OptimizerRule, factor: float) -> OptimizerRule | None:
    """Return the rule with the weight decay that all steps have, if they follow that."""
    amounts = _amount(course, rule, factor)
    if amounts is None:
        return None
    rates = course.rates[0], course.rates[-1]
    for at_rate in (True, False):
        sizes = [a / (r if at_rate else 1.0) for a, r in zip(amounts, rates, strict=True)]
        amount = float(f"{sizes[0]:.4g}")
        whole = replace(rule, weight_decay=amount, decay_at_rate=at_rate)
        if course.follows(whole, factor):
            return whole
    return None


def _linear(exact: Course, usual: Factors) -> Iterator[tuple[OptimizerRule, Factors]]:
    """Yield plain descent and momenta that the first steps may be, with likely factors."""
    start = exact.until(3)
    on_one = len({id(probe) for probe in start.probes}) == 1
    # Where weights cannot be put back without a new state, steps are on one after the other.
    sizes = start.sizes() if on_one else start.responses() if start.anew[0] else None
    if sizes is None or len(sizes) < 3:
        return
    measured = sizes[0] / start.rates[0]
    factors = [*usual]
    if len(usual) > 1 or usual[0][1] == "":  # of a loss the factor is open
        factors.append((abs(measured), f"times {abs(measured):.7g}"))
    for rule in momenta(sizes, start.rates[0]):
        yield rule, factors


def _likely(quick: Course, rule: OptimizerRule, usual: Factors) -> bool:
    """Return whether steps look like a rule's with epsilon left open, and mostly the factor too."""
    epsilons = EPSILONS if rule.known.epsilon_sets_size else (1e-8,)
    roughs = [replace(rule, epsilon=epsilon) for epsilon in epsilons]
    # What divides by a root does not feel the factor, but for its sign.
    feels = rule.known.feels_scale or rule.form in ("no-root", "rootless")
    factors = [f for f, _ in usual] if feels else []
    factors += [usual[0][0], -usual[0][0]]
    rows = quick.multiplied(factors)
    return any(
        quick.roughly(rough, factor)
        for rough in roughs
        for factor in compress(factors, quick.begins_as(rough, rows, roughly=True))
    )


def changing_sizes(exact: Course) -> tuple[tuple[float, float], ...] | None:
    """Return how many times its gradient each step goes down, if that changes beside the rates.

    Each with how far it may be off.
    """
    measured = exact.measured_sizes()
    if measured is None or not all(size > 0 for size, _ in measured):
        return None
    own = np.array([size for size, _ in measured]) / np.array(exact.rates)
    return tuple(measured) if np.ptp(own) > 1e-9 * np.max(own) else None


@dataclass(frozen=True)
class RateFormula:
    """By which formula the learning rate changes from step to step.

    Attributes:
        falling: The formula.
        given: Whether it is a factor of the rate that the step is given; else that has no say.
        scale: What the formula is multiplied by: the rate of its own, or a factor of the given one.
    """

    falling: Falling
    given: bool
    scale: float

    @property
    def words(self) -> str:
        """Keras's schedule of that formula, or else the formula."""
        return self.falling.keras or f"the rate times {self.falling.words}"


def rate_formula(
    measured: Sequence[tuple[float, float]], rates: Sequence[float]
) -> RateFormula | None:
    """Return the formula by which sizes of steps change, beside the rates given or without."""
    for given in (True, False):
        scales = rates if given else [1.0] * len(rates)
        pairs = [(s / r, e / r) for (s, e), r in zip(measured, scales, strict=True)]
        found = named(*zip(*pairs, strict=True))
        if found is not None:
            scale = pairs[0][0] / found.multiple(0)[0]
            return RateFormula(found, given, 1.0 if abs(scale - 1) <= 1e-9 else scale)
    return None
