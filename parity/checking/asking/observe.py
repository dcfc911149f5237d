"""Ask the user's code for gradients on a probe, and read its answer in the reference's layout."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.sources import Answer, Source
from parity.checking.model.layout import Layout
from parity.checking.model.probe import Probe
from parity.reports.findings import Finding

_SUM = "sum the delta over the samples: delta.sum(axis=0) with samples in rows"


@dataclass(frozen=True)
class Misfit:
    """An array of another shape than its weight's.

    Attributes:
        finding: What is wrong with it.
        usable: The array brought into shape all the same; None where that makes no sense.
    """

    finding: Finding
    usable: Array | None = None


def observe(source: Source, layout: Layout, names: Sequence[str], probe: Probe) -> list[Finding]:
    """Fill in a probe's gradients; return what is wrong with their shapes."""
    answer = source.ask(probe)
    arrays, findings = _in_order(answer.arrays, layout)
    fitted: list[Array | None] = []
    nothing = bool(findings) and not any(array is not None for array in arrays)
    for index, array in enumerate(arrays):
        misfit = _fit(array, index, layout, names[index], len(probe.x), source.name)
        if misfit.finding.code and not nothing:
            findings.append(misfit.finding)
        fitted.append(misfit.usable)
    _fill(probe, layout, fitted)
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
            finding = Finding(
                "layer-order", "gradients in the wrong layer order (last layer first)", "gradients",
                "reverse the list of gradients before you return it",
                f"expected shapes {expected}. Received: {shapes}",
            )  # fmt: skip
            return turned, [finding]
        return arrays, []
    for part in (slice(len(expected)), slice(-len(expected), None)):
        if len(arrays) > len(expected) and shapes[part] == expected:
            return arrays[part], [_count(expected, shapes)]
    kernels = sorted(layout.kernels)
    if [shapes[i] for i in range(len(arrays))] == [expected[k] for k in kernels]:
        finding = Finding(
            "bias-missing", "bias gradient missing (only the kernels' are returned)", "gradients",
            "return the biases' gradients too: delta summed over the batch",
            f"expected {len(expected)} arrays. Received: {len(arrays)}",
        )  # fmt: skip
        by_place = dict(zip(kernels, arrays, strict=True))
        return [by_place.get(i) for i in range(len(expected))], [finding]
    return [None] * len(expected), [_count(expected, shapes)]


def _count(expected: list, shapes: list) -> Finding:
    return Finding(
        "wrong-count", "another number of gradients than of weights", "gradients",
        "return one gradient a weight, in the order of get_weights",
        f"expected {len(expected)} arrays, shapes {expected}. Received: {len(shapes)}, {shapes}",
    )  # fmt: skip


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
    probe.kernel_gradients = probe.kernel_gradients[::-1]
    probe.bias_gradients = probe.bias_gradients[::-1]


def _fit(
    array: Array | None, index: int, layout: Layout, name: str, batch: int, source: str
) -> Misfit:
    """Return an array in its weight's shape, and what is wrong with it (code "" if nothing)."""
    shape = layout.shapes[index]
    kernel = index in layout.kernels
    what = f"{'kernel' if kernel else 'bias'} gradient of {name}"

    def wrong(code: str, title: str, fix: str, usable: Array | None = None) -> Misfit:
        received = "None" if array is None else f"shape {array.shape}"
        evidence = f"{what}: expected shape {shape}. Received: {received}"
        return Misfit(Finding(code, title, f"{what}, from {source}", fix, evidence), usable)

    fine = Finding("", "", "")
    if array is None:
        part = "kernel" if kernel else "bias"
        return wrong(f"{part}-missing", f"{part} gradient missing (None)", "return it")
    if not np.all(np.isfinite(array)):
        return wrong("not-finite", "gradient is NaN or infinite", "look for a division by 0, or a "
                     "logarithm or exponential out of range")  # fmt: skip
    if array.shape == shape:
        return Misfit(fine, array)
    if [n for n in array.shape if n > 1] == [n for n in shape if n > 1]:
        return Misfit(fine, array.reshape(shape))
    if kernel and array.T.shape == shape:
        return wrong("transposed", "kernel gradient transposed", "transpose it", array.T)
    units = int(np.prod(shape))
    if not kernel and array.ndim == 2 and array.size == units * batch:
        axis = array.shape.index(batch) if batch in array.shape else 0
        total = array.sum(axis=axis).reshape(shape) if batch > 1 else None
        title = "bias gradient not summed over the batch"
        return wrong("bias-not-summed", title, _SUM, total)
    if not kernel and array.size == batch:
        return wrong("bias-axis", "bias gradient summed over the wrong axis", _SUM)
    if not kernel and array.size == 1:
        title = "bias gradient summed over the wrong axis (over all units, to one number)"
        return wrong("bias-axis", title, _SUM)
    return wrong("wrong-shape", "gradient of another shape than its weight", "give it the shape of "
                 "the weight")  # fmt: skip


def _fill(probe: Probe, layout: Layout, arrays: Sequence[Array | None]) -> None:
    """Take the gradients apart into kernels' and biases'."""
    stand_in = [
        np.full(s, np.nan) if a is None else a for a, s in zip(arrays, layout.shapes, strict=True)
    ]
    kernels, biases = layout.unpack(stand_in)
    probe.kernel_gradients = [None if np.isnan(k).any() else k for k in kernels]
    probe.bias_gradients = [None if b is None or np.isnan(b).any() else b for b in biases]


def _fill_step(probe: Probe, layout: Layout, answer: Answer) -> None:
    if all(a.shape == s for a, s in zip(answer.after, layout.shapes, strict=True)):
        probe.after = layout.unpack(answer.after)[0]
    noise = [
        np.broadcast_to(np.asarray(n), s) if np.shape(n) == s else np.zeros(s)
        for n, s in zip(answer.noise, layout.shapes, strict=True)
    ]
    kernels, biases = layout.unpack(noise)
    probe.noise = [(k, 0.0 if b is None else b) for k, b in zip(kernels, biases, strict=True)]
