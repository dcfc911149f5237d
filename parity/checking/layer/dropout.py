"""Dropout: what is kept is divided by the share that is kept, the rest is 0.

The mask is drawn at each call; it is read off the outputs, and is then the same for backward.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual
from parity.checking.bugs.layers import (
    DROPOUT_BACKWARD_UNSCALED,
    DROPOUT_MASK,
    DROPOUT_RATE,
    DROPOUT_UNSCALED,
)
from parity.checking.layer.kind import Arrays, FormulaSlip, Kind, Options, Role, Slips


def _dropout(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    x, rate = arrays["x"], float(options["rate"])
    kept: Array = options["kept"].reshape(x.shape)
    scale = 1.0 / (rate if slips.has(DROPOUT_RATE, "scaled") else 1.0 - rate)
    if not _share_fits(kept, rate if DROPOUT_RATE in slips else 1.0 - rate):
        scale = np.nan  # this many would not be kept
    if DROPOUT_UNSCALED in slips:
        scale = 1.0
    out = (x * scale).where(kept)
    out = slips.bent(DROPOUT_BACKWARD_UNSCALED, out, lambda: x.where(kept))
    out = slips.bent(DROPOUT_MASK, out, lambda: x * scale, "scaled")
    return [slips.bent(DROPOUT_MASK, out, lambda: x, "alone")]


def _slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    rate = float(options["rate"])
    yield FormulaSlip(DROPOUT_UNSCALED)
    if rate != 0.5:
        for how in ("scaled", "share"):
            yield FormulaSlip(DROPOUT_RATE, how, {"kept": rate, "meant": 1 - rate})
    yield FormulaSlip(DROPOUT_BACKWARD_UNSCALED)
    yield FormulaSlip(DROPOUT_MASK, "scaled")
    yield FormulaSlip(DROPOUT_MASK, "alone")


def _share_fits(kept: Array, share: float) -> bool:
    """Return whether the share that is kept may be this, but for one chance in a million.

    Hoeffding (1963): the mean of n draws is more than e off with probability 2 exp(-2 n e^2).
    """
    return bool(abs(np.mean(kept) - share) <= np.sqrt(np.log(2e6) / (2 * kept.size)))


def _observed(outputs: Sequence[Array]) -> dict[str, Any]:
    return {"kept": outputs[0] != 0}  # no input is 0


_ANY = ("b h w c", "b h c", "b c", "c")
DROPOUT = Kind(
    inputs=(Role("x", _ANY),),
    weights=(),
    outputs=(_ANY,),
    formula=_dropout,
    slips=_slips,
    options=lambda config: {"rate": config["rate"]},
    observed=_observed,
)
