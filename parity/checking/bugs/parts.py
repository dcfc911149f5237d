"""Gradients whose elements are right, but not all of them there, or not in their places."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug
from parity.checking.bugs.tensors import KernelVariant
from parity.checking.bugs.variant import LayerVariant, Scene, Variant

KERNEL_PART_MISSING = Bug(
    "kernel-part-missing",
    "kernel gradient is zero for {what}, and right everywhere else{hint}",
    "for i in range(n_in - 1): dW1[i][j] += x[i] * delta1[j]",
    "let the loops reach every input and every unit: the gradient of W[i, j] is the sum of "
    "input[i] * delta[j] over the samples",
)
BIAS_PART_MISSING = Bug(
    "bias-part-missing",
    "bias gradient is zero for {what}, and right everywhere else{hint}",
    "for j in range(n_out - 1): db1[j] += delta1[j]",
    "let the loop reach every unit: the gradient of b[j] is the sum of delta[j] over the samples",
)
KERNEL_REORDERED = Bug(
    "kernel-reordered",
    "kernel gradient has the right numbers in wrong places: they are flattened row by row and "
    "unpacked column by column, or the other way round (as by a reshape that is to transpose)",
    'gradient = dW2.ravel("F"); dW2 = gradient.reshape(W2.shape)',
    "flatten and reshape in one and the same order; to exchange rows and columns, transpose: .T",
)


@dataclass(frozen=True)
class PartialKernel(KernelVariant):
    """The right gradient, but for some units, which have none.

    Attributes:
        units: (1, units), 1 for those that have one and 0 for the others.
    """

    units: Array = field(default_factory=lambda: np.ones((1, 1)))

    def gradient(self, scene: Scene, layer: int, delta: Approx) -> Approx | None:
        """Return the gradient."""
        return super().gradient(scene, layer, delta * self.units)

    def glimpse(self, scene: Scene, layer: int, delta: Approx, p: Array) -> Approx | None:
        """Return ``gradient @ p`` without forming the gradient."""
        return super().glimpse(scene, layer, delta * self.units, p)


@dataclass(frozen=True)
class ReorderedKernel(KernelVariant):
    """The right gradient with its elements written in one order and read in the other.

    Attributes:
        written: "C" for row by row, "F" for column by column, of (inputs, units).
    """

    written: Literal["C", "F"] = "C"

    def gradient(self, scene: Scene, layer: int, delta: Approx) -> Approx | None:
        """Return the gradient."""
        right = super().gradient(scene, layer, delta)
        if right is None:
            return None
        inputs, units = right.value.shape
        if self.written == "C":
            return right.reshape(units, inputs).T
        return right.T.reshape(inputs, units)

    def glimpse(self, scene: Scene, layer: int, delta: Approx, p: Array) -> Approx | None:
        """Return ``gradient @ p``."""
        gradient = self.gradient(scene, layer, delta)
        return None if gradient is None else gradient @ scene.exact(p)


def partial_kernels(observed: Sequence[Array]) -> Iterator[KernelVariant]:
    """Yield the gradient without the inputs and units for which the observed ones are all zero.

    Args:
        observed: A kernel's gradient on each probe, (inputs, units).
    """
    some = np.any([g != 0 for g in observed], axis=0)
    inputs, units = some.any(axis=1), some.any(axis=0)
    if not np.any(some) or (np.all(inputs) and np.all(units)):
        return
    what = " and ".join(_named(kept, noun) for kept, noun in ((inputs, "input"), (units, "unit")))
    what = what.removeprefix(" and ").removesuffix(" and ")
    values = {"what": what, "hint": _hint([kept for kept in (inputs, units) if not np.all(kept)])}

    def left(scene: Scene, layer: int) -> Approx:
        return scene.fwd.inputs[layer] * (1.0 * inputs)

    yield PartialKernel(left, KERNEL_PART_MISSING, values, units=1.0 * units[None])


def partial_biases(observed: Sequence[Array]) -> Iterator[LayerVariant]:
    """Yield the gradient without the units for which the observed ones are zero.

    Args:
        observed: A bias's gradient on each probe, (units,).
    """
    some = np.any([g != 0 for g in observed], axis=0)
    if np.any(some) and not np.all(some):
        values = {"what": _named(some, "unit"), "hint": _hint([some])}
        yield Variant(_kept(some), BIAS_PART_MISSING, values)


def reordered_kernels() -> list[KernelVariant]:
    """Return the ways to mix up the two orders in which a matrix is flattened."""

    def own(scene: Scene, layer: int) -> Approx:
        return scene.fwd.inputs[layer]

    return [
        ReorderedKernel(own, KERNEL_REORDERED, written="C"),
        ReorderedKernel(own, KERNEL_REORDERED, written="F"),
    ]


def among(marked: Array, noun: str) -> str:
    """Return which of a layer's inputs or units are marked: "input 3 (the last, ...)"."""
    numbers = [int(n) for n in np.flatnonzero(marked)]
    if len(numbers) == 1:
        (n,) = numbers
        which = {len(marked) - 1: "the last, ", 0: "the first, "}.get(n, "")
        return f"{noun} {n} ({which}counted from 0)"
    shown = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    return f"{len(numbers)} of the {len(marked)} {noun}s ({shown}, counted from 0)"


def _named(kept: Array, noun: str) -> str:
    return "" if np.all(kept) else among(~kept, noun)


def _hint(kept: Sequence[Array]) -> str:
    """Return how a single one at the end comes to be missing."""
    if any(np.count_nonzero(~k) != 1 for k in kept):
        return ""
    if all(not k[-1] for k in kept):
        return ": a loop that ends one too early"
    return ": a loop that begins one too late" if all(not k[0] for k in kept) else ""


def _kept(some: Array) -> Callable[[Scene, int, Approx], Approx]:
    return lambda scene, layer, delta: delta.sum(axis=0) * (1.0 * some)
