"""One tensor of both engines compared: the worst element, its bound, and the verdict."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np

from numpy_impl.types import Array
from parity.bounds.formats import Format
from parity.bounds.rounding import Approx

Section = Literal["weights", "forward", "loss", "gradients", "start", "steps", "training"]


class Verdict(Enum):
    """The outcome for one tensor."""

    IDENTICAL = "identical"  # bit for bit
    ROUNDING = "rounding"  # different, within the bound
    FOLLOWS = "follows"  # has no bound of its own: it follows from the steps
    DIFFERENT = "DIFFERENT"  # beyond the bound, or NaN, or another shape
    UNDECIDED = "UNDECIDED"  # nothing could have failed: the bound is as large as the values


@dataclass(frozen=True)
class Row:
    """One tensor's comparison.

    Attributes:
        section: "weights", "forward", "loss", "gradients", "start" (the optimizer's state before
            the first step), "steps" or "training".
        tensor: Name of the tensor, such as "0/kernel".
        shape: Its shape.
        index: Place of the worst element, the one with the largest error for its bound.
        keras: Keras's value there.
        numpy: The NumPy network's value there.
        error: Their absolute difference.
        ulps: ``error`` in units of the last place of the tensor's largest magnitude.
        bound: What rounding can explain at that element, in the same units as ``ulps``; None where
            the row has no bound of its own.
        ratio: Largest ``error / bound`` over the tensor; above 1 is beyond rounding.
        verdict: The outcome.
        step: The step (from 0) at which this was found, where there are several.
        note: What to know about the row.
        precision: Whose rounding it is, "bfloat16" say, where that is not the tensor's own.
    """

    section: Section
    tensor: str
    shape: tuple[int, ...]
    index: tuple[int, ...]
    keras: float
    numpy: float
    error: float
    ulps: float
    bound: float | None
    ratio: float
    verdict: Verdict
    step: int | None = None
    note: str = ""
    precision: str = ""

    @property
    def words(self) -> str:
        """The verdict, and whose rounding it is."""
        if self.verdict is not Verdict.ROUNDING or not self.precision:
            return self.verdict.value
        return f"{self.verdict.value} of {self.precision}"

    @property
    def rank(self) -> tuple[float, float]:
        """What orders rows from best to worst; a NaN counts as worse than anything."""
        return (np.inf if np.isnan(self.ratio) else self.ratio, self.error)


def compare_tensors(
    section: Section,
    tensor: str,
    keras: Array,
    numpy: Array,
    bounded: Approx | None,
    least_scale: float = 0.0,
    own: Approx | None = None,
    low: Format | None = None,
) -> Row:
    """Compare one tensor of both engines.

    Args:
        bounded: Its bound: each engine may be off by ``bounded.bound``, so twice that is allowed
            between them. None demands equality bit for bit.
        least_scale: The scale of a tensor that is 0 but for rounding: how large numbers are that
            are like it. A bound below that is one that something wrong would not keep.
        own: NumPy's own bound where it computes in another precision than Keras: each engine may
            then be off by its own.
        low: The format of fewer digits than the tensor's that Keras computes in, if there is one.
    """
    if keras.shape != numpy.shape:
        return _misshapen(section, tensor, keras.shape, numpy.shape)
    if not keras.size:
        raise ValueError(
            f"Expected a tensor with elements. Received: {tensor} of shape {keras.shape}"
        )
    worst = _Worst(least_scale, low is not None and low.overflows)
    sides = [keras, numpy]
    if bounded is not None:
        bounds = [side.bound for side in (bounded, bounded if own is None else own)]
        sides += [bound.reshape(keras.shape) for bound in bounds]
    flat = [side.reshape(-1) for side in sides]
    for start in range(0, keras.size, _BLOCK):
        worst.take(start, *(side[start : start + _BLOCK] for side in flat))
    index = np.unravel_index(worst.index, keras.shape)
    scale, lost = worst.scale, 0 if worst.ratio > 1 else worst.beyond
    ulp = low.spacing(scale) if low else float(np.spacing(np.asarray(scale, keras.dtype)))
    return Row(
        section=section,
        tensor=tensor,
        shape=keras.shape,
        index=tuple(int(i) for i in index),
        keras=float(keras[index]),
        numpy=float(numpy[index]),
        error=worst.error,
        ulps=worst.error / ulp,
        bound=worst.allowed / ulp,
        ratio=worst.ratio,
        verdict=Verdict.UNDECIDED if lost else worst.verdict,
        note=_beyond(lost, low) if lost and low else "",
        precision=low.name if low else "",
    )


# So many numbers are compared at a time: they, and what is computed from them, stay in the cache.
_BLOCK = 2**16


class _Worst:
    """The worst of a tensor's numbers, taken block by block.

    Attributes:
        index: Its place in the flat tensor.
        ratio: Its error in units of what is allowed.
        error: Its error.
        allowed: What is allowed there.
        scale: The largest finite magnitude of Keras's numbers.
        beyond: How many of Keras's may be too large for its format.
    """

    def __init__(self, least_scale: float, overflows: bool) -> None:
        self.index, self.ratio, self.error, self.allowed = 0, -1.0, 0.0, 0.0
        self.scale, self.beyond, self.overflows = least_scale, 0, overflows
        self._least, self._differs = np.inf, False

    def take(self, start: int, keras: Array, numpy: Array, *bounds: Array) -> None:
        """Take a block that starts at ``start``, and the bounds of both sides, if it has any."""
        k, n = np.asarray(keras, np.float64), np.asarray(numpy, np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            allowed = bounds[0] + bounds[1] if bounds else np.zeros(k.shape)
            allowed = np.where(np.isnan(allowed), np.inf, allowed)  # 0 times infinity: not known
            error = np.abs(k - n)
            ratio = np.where(error == 0, 0.0, error / allowed)
        # A NaN or infinity on either side is never rounding, whatever the bound.
        finite = np.isfinite(k)
        ratio = np.where(finite & np.isfinite(n), ratio, np.inf)
        # But what may be too large for float16, and what follows from it, cannot be compared.
        if self.overflows:
            beyond = ~finite & np.isinf(allowed)
            self.beyond += int(np.count_nonzero(beyond))
            ratio, error = (np.where(beyond, 0.0, array) for array in (ratio, error))
        self.scale = float(np.max(np.abs(k), initial=self.scale, where=finite))
        self._least = min(self._least, float(np.min(allowed)))
        self._differs = self._differs or bool(np.any(error))
        # Among equal ratios (all zero, say) the largest error is the one to show.
        places = np.flatnonzero(ratio == np.max(ratio))
        place = int(places[np.argmax(error[places])])
        new = float(ratio[place]), float(error[place])
        if _rank(*new) > _rank(self.ratio, self.error):
            self.index, (self.ratio, self.error) = start + place, new
            self.allowed = float(allowed[place])

    @property
    def verdict(self) -> Verdict:
        """The outcome."""
        if self.ratio > 1:
            return Verdict.DIFFERENT
        if not self._differs:
            return Verdict.IDENTICAL
        return Verdict.ROUNDING if self._least < self.scale else Verdict.UNDECIDED


def _rank(ratio: float, error: float) -> tuple[float, bool, float]:
    missing = bool(np.isnan(error))
    return ratio, missing, 0.0 if missing else error


def _beyond(count: int, low: Format) -> str:
    return f"{count} numbers may be beyond {low.largest:g}, {low.name}'s largest"


def _misshapen(
    section: Section, tensor: str, keras: tuple[int, ...], numpy: tuple[int, ...]
) -> Row:
    nan = float("nan")
    note = f"shape {keras} in Keras, {numpy} in NumPy"
    return Row(
        section, tensor, keras, (), nan, nan, nan, nan, None, nan, Verdict.DIFFERENT, note=note
    )
