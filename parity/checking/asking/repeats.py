"""Are gradients the same on equal input? If not: do they pile up, is it dropout, or is it noise?"""

from dataclasses import dataclass, field

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.conventions import Sample
from parity.checking.asking.nested import same
from parity.checking.asking.sources import LEARNING_RATE, Accumulating, Direct, Source
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import ACCUMULATED
from parity.checking.model.form import batch_size, label_forms
from parity.checking.model.plan import Plan
from parity.checking.model.probe import Probe, draw_probe

_PILE = Finding(
    ACCUMULATED, "gradients",
    evidence="a third call on equal input added the same again as the second",
)  # fmt: skip


@dataclass
class Repeated:
    """What asking again has shown.

    Attributes:
        source: To get gradients from.
        random: Whether the answers differ without rule.
        findings: What is wrong already.
    """

    source: Source
    random: bool = False
    findings: list[Finding] = field(default_factory=list)


def repeat(subject: Subject, probe: Probe) -> Repeated:
    """Ask for gradients three times on equal input.

    Raises:
        TheirError: The user's code fails on it.
    """
    direct = Direct(subject)
    first = direct.ask(probe).arrays
    if not same(subject.weights(), probe.arrays):
        subject.modified.append("gradients changes the weights")
    second, third = (direct.ask(probe).arrays for _ in range(2))
    if _same(first, second) and _same(second, third):
        return Repeated(direct)
    if _piles_up(first, second, third):
        return Repeated(Accumulating(subject, third), findings=[_PILE])
    return Repeated(direct, random=True)


def _same(one: list[Array | None], other: list[Array | None]) -> bool:
    return len(one) == len(other) and all(
        a is b or (a is not None and b is not None and alike(a, b))
        for a, b in zip(one, other, strict=True)
    )


def alike(a: Array, b: Array) -> bool:
    """Return whether two answers are equal, or as near as sums in another order are.

    A library may add up in another order when an array lies elsewhere in memory.
    """
    if a.shape != b.shape:
        return False
    room = 64 * np.finfo(a.dtype).eps * np.max(np.abs(a), initial=0.0, where=np.isfinite(a))
    same = (np.abs(a - b) <= room) | (a == b) | (np.isnan(a) & np.isnan(b))
    return bool(np.all(same))


def _piles_up(
    first: list[Array | None], second: list[Array | None], third: list[Array | None]
) -> bool:
    for a, b, c in zip(first, second, third, strict=True):
        if a is None or b is None or c is None or not a.shape == b.shape == c.shape:
            return False
        if not np.all(np.isfinite(c)):
            return False
        unit = float(np.finfo(c.dtype).eps)
        if np.any(np.abs((c - b) - (b - a)) > 4 * unit * (np.abs(a) + np.abs(b) + np.abs(c))):
            return False
    return True


def takes_batches(subject: Subject, sample: Sample, plan: Plan) -> bool:
    """Return whether the gradients of a batch have the weights' shapes, in some form of labels."""
    rng = np.random.default_rng(0)
    candidate, sizes = subject.candidate, sample.layout.sizes
    for form in label_forms(sample.form, candidate, sizes[-1]):
        batch = batch_size(candidate, form, sizes)
        probe, _ = draw_probe(plan, sample.layout, form, sample.dtype, batch, rng)
        try:
            subject.set_weights(probe.arrays)
            if candidate.gradients is None:
                subject.step(form.x(probe.x), form.y(probe.y), LEARNING_RATE)
                shapes = [array.shape for array in subject.weights()]
            else:
                arrays = subject.gradients(form.x(probe.x), form.y(probe.y))
                shapes = [None if array is None else array.shape for array in arrays]
        except TheirError:
            continue
        if shapes == list(sample.layout.shapes):
            return True
    return False
