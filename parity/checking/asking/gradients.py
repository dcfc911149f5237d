"""The user's gradients: where they come from, how they are read, and whether they repeat."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.asking.conventions import Sample
from parity.checking.asking.nested import same
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import (
    ACCUMULATED,
    BIAS_NOT_RETURNED,
    LAYER_ORDER,
    NOT_FINITE,
    NOT_GIVEN,
    WRONG_COUNT,
    WRONG_SHAPE,
    Bug,
    Values,
)
from parity.checking.bugs.tensors import (
    BIAS_AXIS,
    BIAS_NOT_SUMMED,
    KERNEL_ONE_NUMBER,
    TRANSPOSED,
)
from parity.checking.model.layout import Key, Layout, Part
from parity.checking.model.network import Plan
from parity.checking.model.probe import Probe, batch_size, draw_probe, label_forms

Noise = list[Array | float]
# Powers of two, so that dividing by them is exact.
LEARNING_RATE = 0.5
OTHER_RATE = 0.125


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
    """One step that the user's code has taken: from where and on what, and what it changed."""

    probe: Probe
    rate: float
    change: list[Array]
    after: list[Array]


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
        after = self.subject.weights()
        # In the weights' own type, by which it is seen what the difference may have lost.
        changed = [
            (now - before).astype(now.dtype) if now.shape == before.shape else now - before
            for now, before in zip(after, probe.arrays, strict=True)
        ]
        self.taken.append(Taken(probe, self.rate, changed, after))
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


def observe(source: Source, layout: Layout, names: Sequence[str], probe: Probe) -> list[Finding]:
    """Fill in a probe's gradients; return what is wrong with their shapes."""
    answer = source.ask(probe)
    arrays, findings = _in_order(answer.arrays, layout)
    fitted: list[Array | None] = []
    not_given = [name for name, array in zip(names, arrays, strict=True) if array is None]
    if not_given and not findings:
        if len(not_given) == len(names):
            raise TheirError(source.name, "expected arrays. Received: None for each weight")
        findings.append(Finding(NOT_GIVEN, f"gradients of {', '.join(not_given)}"))
    for index, array in enumerate(arrays):
        what = f"{_part(layout, index)} gradient of {names[index]}"
        misfit, usable = _fit(array, index, layout, len(probe.x))
        if misfit is not None and array is not None:
            bug, values = misfit
            evidence = _misfitting(what, layout.shapes[index], array.shape, len(probe.x))
            findings.append(Finding(bug, f"{what}, from {source.name}", values, evidence))
        fitted.append(usable)
    probe.gradients = layout.unpack(fitted)
    if answer.after:
        _fill_step(probe, layout, answer)
    return findings


def _in_order(
    arrays: list[Array | None], layout: Layout
) -> tuple[list[Array | None], list[Finding]]:
    """Return one entry a weight, in the weights' order."""
    shapes = [None if a is None else a.shape for a in arrays]
    expected = list(layout.shapes)
    if shapes == expected:
        return arrays, []
    if len(arrays) == len(expected):
        turned = _reversed_layers(arrays, layout)
        if [None if a is None else a.shape for a in turned] == expected:
            evidence = f"expected shapes {expected}. Received: {shapes}"
            return turned, [Finding(LAYER_ORDER, "gradients", evidence=evidence)]
        return arrays, []
    for part in (slice(len(expected)), slice(-len(expected), None)):
        if len(arrays) > len(expected) and shapes[part] == expected:
            return arrays[part], [_count(expected, shapes)]
    kernels = sorted(layout.kernels)
    if [shapes[i] for i in range(len(arrays))] == [expected[k] for k in kernels]:
        evidence = f"expected {len(expected)} arrays. Received: {len(arrays)}"
        finding = Finding(BIAS_NOT_RETURNED, "gradients", evidence=evidence)
        by_place = dict(zip(kernels, arrays, strict=True))
        return [by_place.get(i) for i in range(len(expected))], [finding]
    return [None] * len(expected), [_count(expected, shapes)]


def _count(expected: Sequence[Shape], shapes: Sequence[Shape | None]) -> Finding:
    evidence = (
        f"expected {len(expected)} arrays, shapes {expected}. Received: {len(shapes)}, {shapes}"
    )
    return Finding(WRONG_COUNT, "gradients", evidence=evidence)


def _reversed_layers(arrays: Sequence[Array | None], layout: Layout) -> list[Array | None]:
    """Return the arrays with each layer's in the place of its mirror image."""
    new: list[Array | None] = list(arrays)
    for places in (layout.kernels, [b for b in layout.biases if b is not None]):
        for place, mirrored in zip(places, reversed(places), strict=True):
            new[place] = arrays[mirrored]
    straight = [None if a is None else a.shape for a in new] == list(layout.shapes)
    return new if straight else list(reversed(arrays))


def reversed_observation(probe: Probe) -> None:
    """Read a probe's gradients as listed last layer first, where the shapes allow it."""
    last = probe.plan.depth - 1
    probe.gradients = {Key(last - n, part): g for (n, part), g in probe.gradients.items()}


def _part(layout: Layout, index: int) -> Part:
    return "kernel" if index in layout.kernels else "bias"


def _fit(
    array: Array | None, index: int, layout: Layout, batch: int
) -> tuple[tuple[Bug, Values] | None, Array | None]:
    """Return what is wrong with an array's shape, if anything, and the array in its weight's shape.

    The latter is None where no such array can be made of it.
    """
    shape = layout.shapes[index]
    kernel = index in layout.kernels
    if array is None:
        return None, None
    if not np.all(np.isfinite(array)):
        return (NOT_FINITE, {}), None
    if array.shape == shape:
        return None, array
    if [n for n in array.shape if n > 1] == [n for n in shape if n > 1]:
        return None, array.reshape(shape)
    if kernel and array.T.shape == shape:
        return (TRANSPOSED, {"how": ""}), array.T
    units = int(np.prod(shape))
    if kernel and array.size == 1:
        return (KERNEL_ONE_NUMBER, {}), None
    if not kernel and array.ndim == 2 and array.size == units * batch:
        axis = array.shape.index(batch) if batch in array.shape else 0
        total = array.sum(axis=axis).reshape(shape) if batch > 1 else None
        return (BIAS_NOT_SUMMED, {"how": ""}), total
    if not kernel and array.size == batch:
        return (BIAS_AXIS, {"how": ""}), None
    if not kernel and array.size == 1:
        return (BIAS_AXIS, {"how": " (over all units, to one number)"}), None
    return (WRONG_SHAPE, {}), None


def _misfitting(what: str, expected: Shape, received: Shape, batch: int) -> str:
    said = f"{what}: expected shape {expected}. Received: shape {received}"
    if batch > 1 and batch in received and batch not in expected:
        return f"{said}, in which {batch} is the batch: it is not summed over the samples"
    return said


def _fill_step(probe: Probe, layout: Layout, answer: Answer) -> None:
    if all(a.shape == s for a, s in zip(answer.after, layout.shapes, strict=True)):
        probe.after = layout.unpack(answer.after)
    pairs = zip(answer.noise, layout.shapes, strict=True)
    probe.noise = layout.unpack([np.asarray(n) if np.shape(n) == s else None for n, s in pairs])


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
    findings: list[Finding] = field(default_factory=list[Finding])


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
    piled = _piled_up(subject, first, second, third)
    return piled or Repeated(direct, random=True)


def _piled_up(
    subject: Subject,
    first: list[Array | None],
    second: list[Array | None],
    third: list[Array | None],
) -> Repeated | None:
    """Return what takes the calls' shares apart where each call adds its own to some arrays.

    The other arrays have to be the same in each call.
    """
    if not len(first) == len(second) == len(third):
        return None
    triples = list(zip(first, second, third, strict=True))
    piling = [not (_same([a], [b]) and _same([b], [c])) for a, b, c in triples]
    if not all(_piles_up(*triple) for triple, piles in zip(triples, piling, strict=True) if piles):
        return None
    where = "gradients"
    if not all(piling) and len(piling) == len(subject.names):
        names = [name for name, piles in zip(subject.names, piling, strict=True) if piles]
        where = f"gradients of {', '.join(names)}"
    evidence = "a third call on equal input added the same again as the second"
    last = [c if piles else None for c, piles in zip(third, piling, strict=True)]
    return Repeated(
        Accumulating(subject, last), findings=[Finding(ACCUMULATED, where, evidence=evidence)]
    )


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


def _piles_up(a: Array | None, b: Array | None, c: Array | None) -> bool:
    """Return whether the last of three answers adds the same to the second as that to the first."""
    if a is None or b is None or c is None or not a.shape == b.shape == c.shape:
        return False
    if not np.all(np.isfinite(c)):
        return False
    unit = float(np.finfo(c.dtype).eps)
    room = 4 * unit * (np.abs(a) + np.abs(b) + np.abs(c))
    return not np.any(np.abs((c - b) - (b - a)) > room)


def takes_batches(subject: Subject, sample: Sample, plan: Plan) -> bool:
    """Return whether the gradients of a batch have the weights' shapes, in some form of labels."""
    rng = np.random.default_rng(0)
    candidate, sizes = subject.candidate, sample.layout.sizes
    for form in label_forms(sample.form, candidate, sizes[-1]):
        batch = batch_size(candidate, form, sizes, subject.avoid)
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
