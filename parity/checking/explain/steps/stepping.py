"""What kind of update a ``step`` makes: plain, with momentum, or with another optimizer's state.

The weights are put back before every step, so that the gradient is known to be the same on the
same batch: what still changes from step to step is the optimizer's own state.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from numpy_impl.types import Array
from parity.bounds.updates.rule import UpdateForm
from parity.checking.asking.falling import Falling, FallingStep, falling
from parity.checking.asking.gradients import LEARNING_RATE, OTHER_RATE, Answer, Step
from parity.checking.asking.subject import Subject, lowest
from parity.checking.bugs.findings import Finding, listed
from parity.checking.bugs.table import (
    DECAY_WITHOUT_RATE,
    LEARNING_RATE_MISSING,
    LEARNING_RATE_TWICE,
    NO_CHANGE,
    VELOCITY_WITHOUT_RATE,
    Bug,
)
from parity.checking.explain.steps import restarting
from parity.checking.explain.steps.by_rate import ByRate, by_rate
from parity.checking.model import declared_optimizer
from parity.checking.model.layout import Layout
from parity.checking.model.probe import Probe

# A sign shows little of the average that it is taken of. Where steps are signs, so many times four
# more are taken, in which that average moves from one batch's gradients to the other's.
_TURNS = 8
_IGNORED = (
    "The step does not depend on the learning rate that it is given: the factor of its gradients "
    "has the code's own learning rate in it."
)
_WRITTEN = (
    "Step: your set_weights starts anew what the step keeps, such as the optimizer's state. So "
    "that it goes on, weights were written into the arrays that get_weights returns."
)
_INTERRUPTED = (
    "Step: from the same weights it is another after set_weights than after the step before, as if "
    "the optimizer were started anew there. Some were taken one after the other, without "
    "set_weights."
)


@dataclass
class Stepping:
    """How the user's step updates.

    Attributes:
        source: Gives gradients from steps; None where they cannot be read off.
        kind: "plain", "momentum", "state", or "decay" of the learning rate; "interrupted" where
            weights cannot be set without a start anew of what is kept.
        momentum: For the second.
        rate_power: With which power of the learning rate the change goes, the highest of the
            arrays; None if with none.
        findings: What is wrong already.
        remarks: What is worth knowing.
        plain_source: Reads each change as a gradient all the same, as dropout's changes may be.
        form: Of the momentum: Nesterov's or the plain one.
        of_one_size: Whether all weights move by about the same: by the sign of the gradient, say.
        falling: Gives gradients from steps at a rate that changes by a formula.
        start: How many steps of the subject's history were taken before.
    """

    source: Step | None
    kind: Literal["plain", "momentum", "state", "decay", "interrupted"]
    momentum: float = 0.0
    rate_power: int | None = 1
    findings: list[Finding] = field(default_factory=list[Finding])
    remarks: list[str] = field(default_factory=list[str])
    plain_source: Step | None = None
    form: UpdateForm = "keras"
    of_one_size: bool = False
    falling: FallingStep | None = None
    start: int = 0


def classify(subject: Subject, probe: Probe, other: Probe, layout: Layout) -> Stepping:
    """Take steps on two batches, at two learning rates, and say what kind of update it is.

    Where ``set_weights`` starts the optimizer anew, weights are from then on written into the
    user's arrays, if they can be.

    Raises:
        TheirError: The user's step fails on these.
    """
    placing, start = subject.placing, len(subject.history)
    if not placing.restarts:
        stepping = replace(_classified(subject, probe, other), start=start)
        if stepping.kind != "plain" or not restarting.by_set_weights(subject, probe, other, layout):
            subject.keeps_state |= stepping.kind != "plain"
            if stepping.kind == "state" and not placing.in_place:
                restarting.go_on(subject, probe, other, layout)
            return stepping
    subject.start_anew(probe.arrays)
    if placing.in_place:
        stepping = _classified(subject, probe, other)
        stepping.remarks.append(_WRITTEN)
        return stepping
    restarting.take_steps(subject, probe, other, layout)
    return Stepping(None, "interrupted", remarks=[_INTERRUPTED])


def _classified(subject: Subject, probe: Probe, other: Probe) -> Stepping:
    step = Step(subject)
    start = len(step.taken)

    def on(p: Probe, rate: float = LEARNING_RATE) -> list[Array]:
        step.rate = rate
        return step.change(p)

    first, second, third = on(probe), on(probe), on(probe)
    shapes = [array.shape for array in probe.arrays]
    if [c.shape for c in first] != shapes:
        return Stepping(Step(subject), "plain")
    between = on(other)
    later, slow = on(probe), on(probe, OTHER_RATE)
    if not any(np.any(c) for c in (*first, *second)):
        return Stepping(Step(subject), "plain", findings=[Finding(NO_CHANGE, "step")])
    if _of_signs(second, probe):
        for batch in (probe, probe, probe, other) * _TURNS:
            on(batch)
    # Not the first: it may have been from weights of another type than those it has left.
    if all(_close(c, second, 1.0, probe) for c in (third, later)):
        plain = _plain(subject, second, slow, probe)
        plain.of_one_size = _of_one_size(second)
        return plain
    rule = _falling([first, second, third, later], probe)
    scheduled = None if rule is None else _scheduled(subject, rule, start, later, slow)
    if scheduled is not None or _shrinking(first, second, third, probe) is not None:
        return Stepping(None, "decay", falling=scheduled)
    momentum = _momentum(first, second, third, probe)
    form = None if momentum is None else _form(momentum, second, third, between, later, probe)
    if momentum is None or form is None:
        return Stepping(None, "state", plain_source=Step(subject))
    power = _momentum_power(subject, probe, momentum)
    stepping = Stepping(None, "momentum", momentum, power, form=form)
    stepping.source = MomentumStep(subject, momentum, power)
    if power is None:
        stepping.findings.append(Finding(VELOCITY_WITHOUT_RATE, "step"))
    elif power == 2:
        stepping.findings.append(Finding(LEARNING_RATE_TWICE, "step"))
    return stepping


def _ratio(subject: Subject) -> float:
    """Return how many times the larger rate is the smaller: once, where a step has its own."""
    return subject.rate(LEARNING_RATE) / subject.rate(OTHER_RATE)


class MomentumStep(Step):
    """Gradients from a step with momentum: the second of two steps on the same batch tells them.

    In Keras's, Nesterov's and the averaging form alike, on a constant gradient each change is
    ``momentum`` times the one before, less ``learning_rate * g`` (in the last, less 1 - momentum
    of it).
    """

    def __init__(self, subject: Subject, momentum: float, power: int | None) -> None:
        super().__init__(subject, momentum=momentum, power=power)

    def ask(self, probe: Probe) -> Answer:
        """Return the gradients, as in :class:`Step`."""
        self.last = self.change(probe)
        return super().ask(probe)


def _plain(subject: Subject, fast: list[Array], slow: list[Array], probe: Probe) -> Stepping:
    ratio = _ratio(subject)
    if _close(fast, slow, ratio, probe):
        return Stepping(Step(subject), "plain")
    if _close(fast, slow, ratio**2, probe):
        return Stepping(
            Step(subject, power=2),
            "plain",
            rate_power=2,
            findings=[Finding(LEARNING_RATE_TWICE, "step")],
        )
    if _close(fast, slow, 1.0, probe):
        source = Step(subject, power=None)
        return Stepping(source, "plain", rate_power=None, remarks=[_IGNORED])
    return _by_array(subject, fast, slow, probe) or Stepping(Step(subject), "plain")


def _by_array(
    subject: Subject, fast: list[Array], slow: list[Array], probe: Probe
) -> Stepping | None:
    """Return a plain step whose arrays go with the learning rate in more than one way."""
    ratio = _ratio(subject)
    unit = float(np.finfo(lowest(probe.dtype, *(c.dtype for c in fast))).eps)
    noise = [
        unit * (2 * np.abs(w) + 9 * np.abs(c)) for w, c in zip(probe.arrays, fast, strict=True)
    ]
    found = by_rate(fast, slow, ratio, probe.arrays, noise)
    given = subject.candidate.optimizer
    stated = None if given is None else declared_optimizer.of(given)
    decays = stated is not None and stated.options.get("weight_decay")
    if found is None or (decays and any(each.share for each in found)):
        return None  # what is declared is compared as a whole
    powers = [each.power for each in found]
    shares = [each.share for each in found]
    stepping = Stepping(Step(subject, power=powers, shares=shares if any(shares) else ()), "plain")
    stepping.rate_power = max(powers)
    if max(powers) > 1:
        _say(stepping, LEARNING_RATE_TWICE, subject, [power > 1 for power in powers])
        high = [f"{n}: power {p}" for n, p in zip(subject.names, powers, strict=True) if p > 2]
        stepping.findings[-1] = replace(stepping.findings[-1], evidence=", ".join(high))
    if min(powers) < 1:
        _say(stepping, LEARNING_RATE_MISSING, subject, [power < 1 for power in powers])
    if any(shares):
        _of_decay(stepping, subject, found)
    return stepping


def _say(stepping: Stepping, bug: Bug, subject: Subject, which: list[bool]) -> None:
    names = [name for name, one in zip(subject.names, which, strict=True) if one]
    values = {"names": listed(list(dict.fromkeys(names)))}
    stepping.findings.append(Finding(bug, f"step, {values['names']}", values))


def _of_decay(stepping: Stepping, subject: Subject, found: list[ByRate]) -> None:
    """Say that weights are taken off whatever the learning rate: whether that is meant or not."""
    _say(stepping, DECAY_WITHOUT_RATE, subject, [bool(each.share) for each in found])
    sizes = dict.fromkeys(f"{each.share:.6g}" for each in found if each.share)
    evidence = f"{listed(list(sizes))} times the weights are taken off at two learning rates alike"
    finding = replace(stepping.findings.pop(), evidence=evidence)
    if subject.candidate.weight_decay is not None or callable(subject.candidate.loss):
        stepping.findings.append(finding)
        return
    stepping.remarks.append(
        f"Weight decay: {evidence} ({finding.where}), without the rate as a factor; it is not "
        "known whether that is meant, as of one rate it is a matter of numbers."
    )


def _momentum(
    first: list[Array], second: list[Array], third: list[Array], probe: Probe
) -> float | None:
    """Return the factor between successive differences of changes, if it is one for all."""
    one = np.concatenate([(b - a).ravel() for a, b in zip(first, second, strict=True)])
    two = np.concatenate([(b - a).ravel() for a, b in zip(second, third, strict=True)])
    size = float(np.vdot(one, one))
    if not size:
        return None
    momentum = float(np.vdot(two, one)) / size
    noise = _noise(probe, first)
    if not 0 < momentum < 1 or not np.all(np.abs(two - momentum * one) <= 8 * noise):
        return None
    # sign(g) alone, as adaptive rules give it on a constant gradient, is no momentum.
    if _of_one_size(first):
        return None
    rounded = round(momentum, 4)
    return rounded if abs(rounded - momentum) <= 1e-6 else momentum


def _of_one_size(step: list[Array]) -> bool:
    changes = np.abs(np.concatenate([c.ravel() for c in step]))
    moving = changes[changes > 0]
    return moving.size > 2 and bool(np.ptp(moving) <= 0.05 * np.mean(moving))


def _of_signs(step: list[Array], probe: Probe) -> bool:
    """Return whether all weights that move do so by the same, up to rounding."""
    changes = np.abs(np.concatenate([c.ravel() for c in step]))
    noise = _noise(probe, step)
    moving = changes > noise
    return moving.sum() > 2 and bool(np.ptp(changes[moving]) <= 2 * np.max(noise))


def _form(
    momentum: float,
    second: list[Array],
    third: list[Array],
    between: list[Array],
    later: list[Array],
    probe: Probe,
) -> UpdateForm | None:
    """Return which momentum it is, by a step on another batch and one on the first again.

    Less ``momentum`` times the change before, a step is its own gradient's alone, or Nesterov's
    ``(1 + momentum) g - momentum`` times the gradient before. None where it is neither: what falls
    or grows from step to step by itself may look like momentum on one batch.
    """
    mu = momentum
    one, two, other, last = (
        np.concatenate([c.ravel() for c in step]) for step in (second, third, between, later)
    )
    # A momentum of 1 forgets nothing: gradients that pile up, say.
    if not all(c.size == one.size for c in (two, other, last)) or abs(mu) >= 1 - 1e-6:
        return None
    own, after, again = two - mu * one, other - mu * two, last - mu * other
    noise = 16 * (1 + mu) / (1 - mu) * (_noise(probe, second) + _noise(probe, between))
    if np.all(np.abs(again - own) <= noise):
        return "keras"
    elsewhere = (after + mu * own) / (1 + mu)
    ahead = (1 + mu) * own - mu * elsewhere
    return "nesterov" if np.all(np.abs(again - ahead) <= noise) else None


def _momentum_power(subject: Subject, probe: Probe, momentum: float) -> int | None:
    """Return with which power of the learning rate the gradient enters the velocity."""

    def entering(rate: float) -> list[Array]:
        step = Step(subject, rate)
        before, now = step.change(probe), step.change(probe)
        return [c - momentum * b for c, b in zip(now, before, strict=True)]

    rates = OTHER_RATE, LEARNING_RATE
    slow, fast = (np.concatenate([c.ravel() for c in entering(rate)]) for rate in rates)

    def off(power: int) -> float:
        return float(np.linalg.norm(fast - _ratio(subject) ** power * slow))

    # A choice of three that are far apart; each gradient is compared by its bound.
    return min((1, 0, 2), key=off) or None


def _falling(steps: list[list[Array]], probe: Probe) -> Falling | None:
    """Return the formula of the rate of the first three steps and the fifth, if they have one."""
    whole = [np.concatenate([c.ravel() for c in step]) for step in steps]
    if len({step.size for step in whole}) > 1:
        return None
    return falling(whole, (0, 1, 2, 4), _noise(probe, steps[0]))


def _scheduled(
    subject: Subject, rule: Falling, start: int, later: list[Array], slow: list[Array]
) -> FallingStep | None:
    """Return what reads gradients off, if a sixth step at another rate goes by the formula too."""
    power = 1
    before, now = (rule.multiple(t)[0] for t in (4, 5))
    a, b = (np.concatenate([c.ravel() for c in step]) for step in (later, slow))
    size = float(np.vdot(b, a)) / float(np.vdot(a, a)) / (now / before)
    for power, ratio in ((1, 1 / _ratio(subject)), (None, 1.0)):
        if abs(size - ratio) <= 1e-6:  # a choice of two; each gradient is compared by its bound
            return FallingStep(subject, rule, start, power)
    return None


def _shrinking(
    first: list[Array], second: list[Array], third: list[Array], probe: Probe
) -> float | None:
    """Return the factor from each change to the next, if it is one for all and stays."""
    one, two, three = (np.concatenate([c.ravel() for c in x]) for x in (first, second, third))
    size = float(np.vdot(one, one))
    factor = float(np.vdot(two, one)) / size if size else 0.0
    room = 8 * _noise(probe, first)
    steady = np.all(np.abs(two - factor * one) <= room)
    steady = steady and np.all(np.abs(three - factor * two) <= room)
    changed = np.any(np.abs(two - one) > room)
    return factor if steady and changed and 0 < factor < 1 else None


def _noise(probe: Probe, change: list[Array]) -> Array:
    """Return what the difference of two weights has lost, element by element."""
    unit = float(np.finfo(lowest(probe.dtype, *(c.dtype for c in change))).eps)
    pairs = zip(probe.arrays, change, strict=True)
    return np.concatenate([unit * (2 * np.abs(w) + np.abs(c)).ravel() for w, c in pairs])


def _close(fast: list[Array], slow: list[Array], ratio: float, probe: Probe) -> bool:
    """Return whether ``fast`` is ``ratio * slow`` up to rounding."""
    a = np.concatenate([c.ravel() for c in fast])
    b = np.concatenate([c.ravel() for c in slow])
    unit = float(np.finfo(lowest(probe.dtype, *(c.dtype for c in fast))).eps)
    room = (1 + ratio) * _noise(probe, fast) + 8 * unit * np.abs(a)
    return bool(np.all(np.abs(a - ratio * b) <= room))
