"""Gradients that are right for some loss, beside a loss of the user's own that is another one.

Where the user's own loss is none that is known here, it may still be a function of the loss whose
gradients they are, such as its root: then it falls where that falls, its derivative on each probe
is a multiple of the gradients, and all that is to be said is that what is printed is not what is
descended. Otherwise what is printed need not fall at all.
"""

from collections.abc import Callable, Sequence

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.derivative import OTHER_LOSS
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import L1_MISSING
from parity.checking.explain.own_loss import LossSlope, OwnLoss, tells
from parity.checking.model.probe import Probe

# A small number against a logarithm of 0, or a clipped probability, moves a derivative by less.
_ANOTHER = 1e-2
# A share of the weights' signs is named if it explains the difference to so many digits.
_ALIKE = 1e-5


def find(own: OwnLoss, probes: Sequence[Probe], found: str) -> list[Finding]:
    """Return that the gradients are not those of the user's own loss, nor of a function of it.

    Args:
        own: That loss, none that is known here.
        probes: With the user's gradients, which are right for another loss.
        found: What that is, in words.
    """
    if not tells(own, probes):
        return []
    for number, probe in enumerate(probes):
        slopes = [s for s in own.slopes if s.probe == number and s.key in probe.gradients]
        along = np.array([float(np.sum(probe.gradients[s.key] * s.direction)) for s in slopes])
        values, errors = (np.array([getattr(s, n) for s in slopes]) for n in ("value", "error"))
        if np.all(np.abs(values) <= errors):  # a count of right answers, say
            return []
        factor = float(along @ values) / float(values @ values)
        off = np.abs(along - factor * values)
        room = _ANOTHER * np.max(np.abs(along)) + abs(factor) * errors
        if np.any(off > room):
            return [_signs(own.slopes, probes) or _other(slopes, off, along, found)]
    return []


def _other(slopes: Sequence[LossSlope], off: Array, along: Array, found: str) -> Finding:
    worst = int(np.argmax(off))
    slope = slopes[worst]
    where = f"layer {slope.key.layer + 1} {slope.key.part}"
    evidence = (
        f"along one direction in the {where} your gradient is {along[worst]:.6g}, and the "
        f"derivative of your own loss {slope.value:.6g}"
    )
    return Finding(OTHER_LOSS, "the output's delta", {"found": found}, evidence)


def _signs(every: Sequence[LossSlope], probes: Sequence[Probe]) -> Finding | None:
    """Return that the derivative has a share of the kernels' signs that the gradients lack.

    One and the same share on all probes: on one of them a few weights may have it by chance.
    """
    slopes = [s for s in every if s.key in probes[s.probe].gradients]

    def column(shares: Callable[[LossSlope, Array], Array], parts: tuple[str, ...]) -> Array:
        return np.array(
            [
                float(np.sum(shares(s, probes[s.probe].weights[s.key]) * s.direction))
                if s.key.part in parts
                else 0.0
                for s in slopes
            ]
        )

    along = column(lambda s, w: probes[s.probe].gradients[s.key], ("kernel", "bias"))
    signs = column(lambda s, w: np.sign(w), ("kernel",))
    weights = column(lambda s, w: w, ("kernel",))
    values = np.array([s.value for s in slopes])
    columns = along, signs, weights
    matrix = np.stack(columns, axis=1)
    known = sum(probe.gradients[key].size for probe in probes for key in probe.gradients)
    if min(len(slopes), known) < 2 * matrix.shape[1]:
        return None
    fit = np.linalg.lstsq(matrix, values, rcond=None)[0]
    size = float(np.max(np.abs(values)))
    if fit[0] <= 0 or np.any(np.abs(matrix @ fit - values) > _ALIKE * size):
        return None
    share, weight = float(fit[1]), float(fit[2])
    if share <= 0 or share * np.max(np.abs(columns[1])) <= 1e2 * _ALIKE * size:
        return None
    instead = abs(weight) * np.max(np.abs(columns[2])) > 1e2 * _ALIKE * size
    how = f", and have {-weight / fit[0]:.4g} W in its place" if instead else ""
    values_ = {"amount": f"{share:.4g}", "how": how}
    evidence = "with it the derivative of your own loss agrees along every direction tried"
    return Finding(L1_MISSING, "kernel gradients", values_, evidence)
