"""What is to be said of numbers of which the user's forward makes none, beside a reference."""

from dataclasses import replace

import numpy as np

from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.layers import NOT_FINITE_BEYOND, RAISES_BEYOND
from parity.checking.layer.drawing import Numbers, Wild, first_not_finite
from parity.checking.layer.fit import Fit, LayerDraw
from parity.checking.layer.theirs import Theirs


def beyond(wild: Wild, numbers: Numbers, theirs: Theirs, fit: Fit | None, tame: LayerDraw) -> Notes:
    """Return on which numbers a layer could not be judged, and whether the reference can be.

    Args:
        wild: These numbers, and what the layer said of them.
        numbers: On which it was judged.
        theirs: The layer.
        fit: How its forward is the reference; None: it is not, or there is none.
        tame: What it said of the numbers on which it was judged.
    """
    notes = Notes()
    said = wild.said(theirs, tame.arrays)
    notes.remarks.append(f"Numbers: {said}; what is said here is of {numbers.words}.")
    if fit is None or fit.reference.kind.observed(tame.outputs):
        return notes
    draw = replace(tame, arrays=wild.arrays)
    none = np.zeros((0, sum(array.size for array in draw.arrays) + 2))
    with np.errstate(all="ignore"):
        meant = [out.value for out in fit.laid(fit.computed(draw, none))]
    meant = meant[: len(tame.douts)]
    values = {"reference": fit.reference.words}
    if wild.error is not None:
        if first_not_finite(meant)[0] < 0:
            evidence = f"{wild.error.words}, on {wild.numbers.words}"
            notes.findings.append(Finding(RAISES_BEYOND, "forward", values, evidence))
        return notes
    # Where both are not finite there is nothing to compare.
    seen = [np.where(np.isfinite(b), a, 0.0) for a, b in zip(wild.outputs, meant, strict=True)]
    which, at = first_not_finite(seen)
    if which >= 0:
        evidence = (
            f"at {[int(i) for i in at]} yours is {wild.outputs[which][at]:g}, "
            f"the reference's {meant[which][at]:g}, on {wild.numbers.words}"
        )
        notes.findings.append(Finding(NOT_FINITE_BEYOND, "forward", values, evidence))
    return notes
