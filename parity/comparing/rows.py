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
    k, n = np.asarray(keras, np.float64), np.asarray(numpy, np.float64)
    allowed = np.zeros(k.shape)
    if bounded is not None:
        allowed = (bounded.bound + (bounded if own is None else own).bound).reshape(k.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        allowed = np.where(np.isnan(allowed), np.inf, allowed)  # 0 times infinity: nothing known
        error = np.abs(k - n)
        ratio = np.where(error == 0, 0.0, error / allowed)
    # A NaN or infinity on either side is never rounding, whatever the bound.
    ratio = np.where(np.isfinite(k) & np.isfinite(n), ratio, np.inf)
    # But what may be too large for float16, and what follows from it, cannot be compared.
    beyond = np.zeros(k.shape, bool)
    if low is not None and low.overflows:
        beyond = ~np.isfinite(k) & np.isinf(allowed)
        ratio, error = (np.where(beyond, 0.0, array) for array in (ratio, error))
    lost = int(np.count_nonzero(beyond)) if np.all(ratio <= 1) else 0
    if not k.size:
        raise ValueError(f"Expected a tensor with elements. Received: {tensor} of shape {k.shape}")
    # Among equal ratios (all zero, say) the largest error is the one to show.
    worst = np.flatnonzero(ratio == np.max(ratio))
    index = np.unravel_index(int(worst[np.argmax(error.ravel()[worst])]), k.shape)
    scale = float(np.max(np.abs(k), initial=least_scale, where=np.isfinite(k)))
    ulp = low.spacing(scale) if low else float(np.spacing(np.asarray(scale, keras.dtype)))
    return Row(
        section=section,
        tensor=tensor,
        shape=k.shape,
        index=tuple(int(i) for i in index),
        keras=float(k[index]),
        numpy=float(n[index]),
        error=float(error[index]),
        ulps=float(error[index]) / ulp,
        bound=float(allowed[index]) / ulp,
        ratio=float(ratio[index]),
        verdict=Verdict.UNDECIDED if lost else _verdict(ratio, error, allowed, scale),
        note=_beyond(lost, low) if lost and low else "",
        precision=low.name if low else "",
    )


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


def _verdict(ratio: Array, error: Array, allowed: Array, scale: float) -> Verdict:
    if not np.all(ratio <= 1):
        return Verdict.DIFFERENT
    if not np.any(error):
        return Verdict.IDENTICAL
    return Verdict.ROUNDING if np.min(allowed) < scale else Verdict.UNDECIDED
