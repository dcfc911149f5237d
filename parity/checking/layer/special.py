"""What shows only where elements are equal, or in a second call."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.layers import STALE, STATE_NOT_RESET
from parity.checking.layer.fit import Fit, LayerDraw
from parity.checking.layer.gradients import assigned
from parity.checking.layer.theirs import Theirs


def at_ties(theirs: Theirs, fit: Fit, seed: int) -> Notes:
    """Return to which of equal elements a gradient goes, on inputs that are 0 or 1."""
    notes = Notes()
    if not fit.reference.kind.at_ties:
        return notes
    rng = np.random.default_rng([seed, 5])
    arrays = [rng.integers(0, 2, a.shape).astype(a.dtype) for a in theirs.arrays]
    douts = [rng.standard_normal(out.shape) for out in theirs.outputs(arrays)[: theirs.douts]]
    answer = theirs.ask(arrays, lambda outputs: douts)
    own, _ = assigned(answer.gradients, theirs.names, [a.shape for a in arrays])
    draw = LayerDraw(arrays, answer.outputs, douts, own)

    def agrees(values: list[np.ndarray], bounds: list[np.ndarray]) -> bool:
        return all(
            g is not None and g.shape == v.shape and np.all(np.abs(g - v) <= b)
            for g, v, b in zip(own, values, bounds, strict=True)
        )

    if agrees(*fit.gradients(draw)):
        notes.tested.append("equal maxima")
        return notes
    for slip, right in fit.reference.kind.at_ties:
        if agrees(*fit.gradients(draw, slip)):
            if right:
                notes.tested.append("equal maxima")
            else:
                evidence = "inputs of 0 and 1 show it; where no two are equal it is right"
                notes.findings.append(Finding(slip.bug, f"d{theirs.names[0]}", {}, evidence))
            return notes
    notes.untested.append("equal maxima (their gradient goes no way that is known)")
    return notes


def begun_anew(theirs: Theirs, fit: Fit, draw: LayerDraw) -> Notes:
    """Return whether a second call of a recurrent layer begins in the state that the first left."""
    notes = Notes()
    if (
        "h" not in fit.reading.places or "h" in fit.reading.axes
    ):  # there is no state, or it is given
        return notes
    none = np.zeros((0, sum(a.size for a in draw.arrays) + 2))
    _, *state = fit.computed(draw, none)
    again = theirs.ask(draw.arrays, lambda outputs: draw.douts, before=draw.arrays)
    options = {**fit.reference.options, "begin": [part.value for part in state]}
    late = replace(fit, reference=replace(fit.reference, options=options))
    expected = late.computed(draw, none)
    other = not all(map(np.array_equal, again.outputs, draw.outputs))
    if other and all(map(np.all, late.near(replace(draw, outputs=again.outputs), expected))):
        evidence = "a second call on equal input goes on from the first one's last state"
        notes.findings.append(Finding(STATE_NOT_RESET, "forward", evidence=evidence))
    return notes


def stale(
    theirs: Theirs, draw: LayerDraw, gradients: Sequence[Array], before: Sequence[Array]
) -> Notes:
    """Return where a call on other input before it makes a difference.

    Args:
        theirs: The user's layer, of which a second call on equal input says the same.
        draw: What a new one says.
        gradients: All of it that ``backward`` said.
        before: What it is called with before.
    """
    notes = Notes()
    douts = [d.astype(o.dtype) for d, o in zip(draw.douts, draw.outputs, strict=False)]
    try:
        answer = theirs.ask(draw.arrays, lambda outputs: douts, before)
    except TheirError:  # on those numbers it fails, which is told elsewhere
        return notes
    for name, pairs in (
        ("forward", zip(draw.outputs, answer.outputs, strict=False)),
        ("backward", zip(gradients, answer.given, strict=False)),
    ):
        if not all(alike(one, other) for one, other in pairs):
            evidence = "the first call of a new layer is answered otherwise"
            notes.findings.append(Finding(STALE, name, {"function": name}, evidence))
            break
    return notes
