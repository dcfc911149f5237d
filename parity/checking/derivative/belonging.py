"""Whether it matters to a loss which target belongs to which sample."""

from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.nested import is_ndarray
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.bugs.findings import Finding, Unreadable
from parity.checking.bugs.outputs import TARGETS_BROADCAST
from parity.checking.derivative.samples import samples, spread

# So many outputs have to differ, and so many orders of the targets are tried.
_FEWEST, _ORDERS = 3, 4
_SHAPES = ("(n,)", "(n, 1)")


def broadcast(subject: Subject, seed: int) -> Finding | None:
    """Return that targets (n,) and outputs (n, 1), or so, are compared all with all.

    Then the loss is the same whichever target belongs to which sample, and with targets of the
    outputs' shape it is not. Gradients may well be the derivative of such a loss.

    Args:
        subject: The user's code, with ``forward``, ``loss`` and samples of the user's own.
        seed: Of weights and samples.
    """
    candidate = subject.candidate
    if candidate.forward is None or candidate.data is None:
        return None
    rng = np.random.default_rng([seed, 29])
    try:
        x, y = samples(subject, rng).draw(rng)
        subject.set_weights(spread(subject.weights(), rng, 1.0))
        outputs = subject.forward(x)[-1] if is_ndarray(y) and y.dtype.kind in "fiu" else None
        if outputs is None or sorted((outputs.ndim, y.ndim)) != [1, 2]:
            return None
        if outputs.size != y.size or len(outputs) != len(y) or not _tell_samples_apart(y, outputs):
            return None
        other = y.reshape(outputs.shape)
        own = np.asarray(subject.loss(x, y)).dtype  # a loss may be rounded more than outputs are
        precision = lowest(outputs.dtype, *[own] * (own.kind == "f"))
        unit = float(np.finfo(precision).eps)
        same = (_same_for_any_order(subject, x, targets, unit) for targets in (y, other))
        if not next(same) or next(same):
            return None
    except (TheirError, Unreadable):
        return None
    given, theirs = _SHAPES if outputs.ndim == 2 else _SHAPES[::-1]
    values = {"given": f"targets {given}", "other": f"outputs {theirs}"}
    evidence = (
        f"the loss is the same whichever target belongs to which sample; with targets {theirs} it "
        "is not"
    )
    return Finding(TARGETS_BROADCAST, "loss", values, evidence)


def _tell_samples_apart(y: Array, outputs: Array) -> bool:
    """Return whether a loss has to change where these targets change places."""
    kinds, several = len(np.unique(y)), len(np.unique(np.round(outputs, 6)))
    return kinds > 1 and several >= _FEWEST


def _same_for_any_order(subject: Subject, x: Any, y: Array, unit: float) -> bool:
    """Return whether losses are the same up to rounding of n by n terms, added in another order.

    Their roundings are as often up as down: some n of them are left.
    """
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(y)) for _ in range(_ORDERS)]
    targets = [y, *(y[order] for order in orders if not np.array_equal(y[order], y))]
    losses = [float(subject.loss(x, t)) for t in targets]
    room = 4 * len(y) * unit * np.max(np.abs(losses))
    return len(targets) > 1 and bool(np.ptp(losses) <= room)
