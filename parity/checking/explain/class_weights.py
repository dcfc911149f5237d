"""A loss of the user's own that is a known one with its samples weighted by their classes.

Where the gradients are those of the known loss itself, the weights are left out of them. Probes
draw their own samples, so that a weight can only go by the class: ``sum_n w_c(n) C_n``, divided by
a number, or by the sum of the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.derivative import WEIGHTS_LEFT_OUT
from parity.checking.bugs.findings import Finding
from parity.checking.explain.own_loss import LossSlope, OwnLoss
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind, correct_gradients
from parity.checking.model.probe import Probe

# To so many digits; what fits by chance does not fit so many slopes more.
_ALIKE, _BEYOND = 1e-5, 4
_SHOWN = 10


def find(own: OwnLoss, probes: Sequence[Probe], kind: LossKind) -> Finding | None:
    """Return that the loss counts classes unlike, if that makes a known loss of it.

    Args:
        own: The user's own loss.
        probes: With gradients that are right for ``kind``.
        kind: That loss.
    """
    if any(probe.masks is not None for probe in probes):
        return None
    classes = [_classes(probe.y) for probe in probes]
    every = np.unique(np.concatenate(classes))
    count = len(own.slopes)
    if len(every) < 2 or count < len(every) + _BEYOND:
        return None
    parts = [
        [_of_class(p, c == k, kind) for k in every] for p, c in zip(probes, classes, strict=True)
    ]
    slopes = np.array([slope.value for slope in own.slopes])
    of_classes = np.array([[_along(part, s) for part in parts[s.probe]] for s in own.slopes])
    numbers = np.array(
        [[np.count_nonzero(classes[s.probe] == k) for k in every] for s in own.slopes]
    )
    outputs = probes[0].y.shape[1]
    # Divided by the same number in each probe; or by the sum of the weights, times a usual factor.
    fits = [_plain(of_classes, slopes)]
    for head, part in product((1.0, 2.0), (1.0, 1.0 / outputs)):
        fits.append(_divided(head * part * of_classes - numbers * slopes[:, None], of_classes))
    for weights in fits:
        if weights is None or np.min(weights) <= 0:
            continue
        if np.max(weights) - np.min(weights) <= 1e2 * _ALIKE * np.max(weights):
            continue
        return _finding(every, weights / np.min(weights))
    return None


def _finding(every: Array, weights: Array) -> Finding:
    shown = [f"{weight:.4g}" for weight in weights[:_SHOWN]]
    more = " : ..." if len(weights) > len(shown) else ""
    names = ", ".join(str(k) for k in every[:_SHOWN])
    values = {"what": f"classes {names}", "shares": " : ".join(shown) + more}
    evidence = (
        "with these weights the derivative of your own loss agrees along every direction tried"
    )
    return Finding(WEIGHTS_LEFT_OUT, "all gradients", values, evidence)


def _along(gradients: Mapping[Key, Array] | None, slope: LossSlope) -> float:
    return 0.0 if gradients is None else float(np.sum(gradients[slope.key] * slope.direction))


def _classes(y: Array) -> Array:
    return np.argmax(y, axis=1) if y.shape[1] > 1 else (y[:, 0] > 0.5).astype(int)


def _of_class(probe: Probe, chosen: Array, kind: LossKind) -> dict[Key, Array] | None:
    """Return the gradients of a loss, summed over the samples of a class; None: there are none."""
    if not np.any(chosen):
        return None
    some = replace(probe, x=probe.x[chosen], y=probe.y[chosen])
    found = correct_gradients(kind, some.forward(tracked=False), some.y)
    return {key: gradient.value for key, gradient in found.items()}


def _plain(of_classes: Array, slopes: Array) -> Array | None:
    fit, _, rank, _ = np.linalg.lstsq(of_classes, slopes, rcond=1e-8)
    off = np.abs(of_classes @ fit - slopes)
    good = rank == of_classes.shape[1] and np.all(off <= _ALIKE * np.max(np.abs(slopes)))
    return fit if good else None


def _divided(rows: Array, of_classes: Array) -> Array | None:
    """Return the weights, up to a factor, that make all rows 0; None where no or several do."""
    sizes, vectors = np.linalg.svd(rows)[1:]
    largest = float(np.max(np.abs(of_classes)))
    if sizes[-1] > _ALIKE * largest or sizes[-2] <= 1e3 * _ALIKE * largest:
        return None
    weights = vectors[-1]
    return weights * np.sign(weights[np.argmax(np.abs(weights))])
