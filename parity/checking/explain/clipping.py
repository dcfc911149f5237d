"""Gradients of a chain that are clipped before they are returned, where no loss is given.

They are those of a loss that is known here, cut off entry by entry or shrunk to a norm, or nothing
can be told: what is beyond the limit cannot be seen. With a loss of the user's own,
:mod:`parity.checking.derivative.clipping` compares them with its derivative.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np

from numpy_impl.types import Array
from parity.checking.explain.agreement import agreement
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind, correct_gradients, kinds, reductions
from parity.checking.model.probe import Probe

By = Literal["entry", "norm", "norm of each"]
# How far a norm may be from the limit: some divide by the norm plus 1e-6.
_NEAR = 1e-5
# A limit that people write has so many digits.
_DIGITS = 3
# What two ways to compute a norm, and to multiply by the limit over it, round.
_ROUNDINGS = 16
_SIZES: dict[By, Callable[[Mapping[Key, Array]], list[float]]] = {
    "entry": lambda g: [max(float(np.max(np.abs(a), initial=0)) for a in g.values())],
    "norm": lambda g: [float(np.linalg.norm([np.linalg.norm(a.ravel()) for a in g.values()]))],
    "norm of each": lambda g: [float(np.linalg.norm(a.ravel())) for a in g.values()],
}


@dataclass(frozen=True)
class Limit:
    """To what gradients are clipped.

    Attributes:
        by: What does not exceed it: an entry, the norm of all gradients, or that of each.
        size: The largest one.
    """

    by: By
    size: float

    @property
    def words(self) -> str:
        """What is done to gradients, in words."""
        return f"cut off at {self.size:.6g}" if self.by == "entry" else (
            f"shrunk to the norm {self.size:.6g}" + ", each by itself" * (self.by != "norm")
        )  # fmt: skip


@dataclass(frozen=True)
class Clipping:
    """Of which loss gradients are that are clipped.

    Attributes:
        limit: To what.
        kind: The loss.
        reduction: Which of its reductions, by its place in :func:`reductions`.
    """

    limit: Limit
    kind: LossKind
    reduction: int

    @property
    def remark(self) -> str:
        """What was compared, in words."""
        compared = {
            "entry": "Where they are, it was compared that the right ones are no smaller; "
            "elsewhere, that they are equal",
        }.get(self.limit.by, "Of those that are, the direction was compared, and no factor")
        return f"Clipping: your gradients are {self.limit.words}. {compared}."

    def lift(self, probe: Probe) -> None:
        """Make a probe's gradients what they would be unclipped, where clipping explains them."""
        outputs, size = probe.y.shape[1], self.limit.size
        factor = reductions(self.kind, len(probe.x), outputs)[self.reduction][0]
        tracked = correct_gradients(self.kind, probe.forward(tracked=False), probe.y)
        rights = {key: factor * right.value for key, right in tracked.items()}
        unit = float(np.finfo(probe.dtype).eps)
        if self.limit.by == "entry":
            least = size - _room(probe, size)
            for key, own in probe.gradients.items():
                cut = (np.abs(own) >= least) & (own * rights[key] >= least**2)
                probe.gradients[key] = np.where(cut, rights[key].astype(own.dtype), own)
            return
        for keys in self._groups(probe):
            own = np.concatenate([probe.gradients[key].ravel() for key in keys])
            right = np.concatenate([rights[key].ravel() for key in keys])
            if np.linalg.norm(own) < size * (1 - _NEAR) or not np.any(right):
                continue
            times = float(own @ right / (right @ right))
            if not 0 < times <= 1:
                continue
            for key in keys:
                probe.gradients[key] = probe.gradients[key] / times
                lost = _ROUNDINGS * unit * np.abs(probe.gradients[key])
                probe.noise[key] = probe.noise.get(key, 0.0) + lost

    def _groups(self, probe: Probe) -> list[list[Key]]:
        keys = list(probe.gradients)
        return [keys] if self.limit.by == "norm" else [[key] for key in keys]


def find(
    probes: Sequence[Probe], preferred: LossKind | None, times: float | None = None
) -> Clipping | None:
    """Return how the gradients of a known loss are clipped, if they are.

    Args:
        probes: With the user's gradients, which are left as they are.
        preferred: The only loss to be tried; None to try all that may stand behind the outputs.
        times: The only factor of it on the summed form; None to try the usual reductions.
    """
    first = probes[0]
    if first.masks is not None or any(p.weights.keys() != p.gradients.keys() for p in probes):
        return None
    every = kinds(first.plan.activations[-1].name) if preferred is None else [preferred]
    for limit in limits(probes):
        for kind in every:
            usual = reductions(kind, len(first.x), first.y.shape[1])
            for place, (factor, _) in enumerate(usual):
                if times is not None and abs(times - factor) > _NEAR * factor:
                    continue
                found, lifted = Clipping(limit, kind, place), [_copied(p) for p in probes]
                for probe in lifted:
                    found.lift(probe)
                agreed = agreement(lifted, kind)
                if agreed is not None and any(map(_changed, probes, lifted)):
                    return found
    return None


def limits(probes: Sequence[Probe]) -> Iterator[Limit]:
    """Yield to what gradients seem to be clipped.

    The largest entry, or norm, is the same on two probes, or in several entries, or a number of
    few digits.
    """
    for by, sizes_of in _SIZES.items():
        sizes = [sizes_of(probe.gradients) for probe in probes]
        size = max(max(each) for each in sizes)
        if not 0 < size < np.inf:
            continue
        near = max(_room(probe, size) for probe in probes) / size
        near = near if by == "entry" else near + _NEAR
        reached = sum(max(each) >= size * (1 - near) for each in sizes)
        several = by == "entry" and any(_is_cut_off(probe, size) for probe in probes)
        few = _of_few_digits(size, near)
        if reached > 1 or several or few:
            yield Limit(by, float(f"{size:.{_DIGITS}g}") if few else size)


def certain(probes: Sequence[Probe]) -> Limit | None:
    """Return to what gradients are clipped whatever they are the gradients of; None if not.

    Every probe reaches the limit: by several entries of kernels, or by norms of few digits.
    """
    for limit in limits(probes):
        size = limit.size
        if limit.by == "entry":
            reached = all(_is_cut_off(probe, size) for probe in probes)
        else:
            norms = [max(_SIZES[limit.by](probe.gradients)) for probe in probes]
            reached = _of_few_digits(size, _NEAR) and min(norms) >= size * (1 - _NEAR)
        if reached and len(probes) > 1:
            return limit
    return None


def _room(probe: Probe, size: float) -> float:
    """Return how far rounding may move an entry, which is read off a step perhaps."""
    noise = max((float(np.max(noise, initial=0.0)) for noise in probe.noise.values()), default=0.0)
    return 4 * float(np.finfo(probe.dtype).eps) * size + 2 * noise


def _is_cut_off(probe: Probe, size: float) -> bool:
    """Return whether several entries of kernels are exactly at a limit, and not all one number."""
    kernels = [g.ravel() for key, g in probe.gradients.items() if key.part == "kernel"]
    least = size - _room(probe, size)
    several = sum(int(np.count_nonzero(np.abs(g) >= least)) for g in kernels) > 1
    return several and any(np.ptp(g) > 0 for g in kernels)


def _of_few_digits(size: float, near: float) -> bool:
    return abs(size - float(f"{size:.{_DIGITS}g}")) <= near * size


def _copied(probe: Probe) -> Probe:
    other = copy(probe)
    other.gradients, other.noise = dict(probe.gradients), dict(probe.noise)
    return other


def _changed(before: Probe, after: Probe) -> bool:
    return any(np.any(g != after.gradients[key]) for key, g in before.gradients.items())
