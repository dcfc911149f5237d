"""How the user's gradients are read: the order and shapes in which they come, right or wrong."""

from collections.abc import Sequence

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.asking.conventions import Sample
from parity.checking.asking.gradients import LEARNING_RATE, Answer, Source
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import (
    BIAS_NOT_RETURNED,
    LAYER_ORDER,
    NOT_FINITE,
    NOT_GIVEN,
    WRONG_COUNT,
    WRONG_SHAPE,
    Bug,
    Values,
)
from parity.checking.bugs.tensors import BIAS_AXIS, BIAS_NOT_SUMMED, KERNEL_ONE_NUMBER, TRANSPOSED
from parity.checking.model.layout import Key, Layout, Part
from parity.checking.model.network import Plan
from parity.checking.model.probe import Probe, batch_size, draw_probe, label_forms


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
        return (BIAS_NOT_SUMMED, {"how": "", "cause": ""}), total
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
