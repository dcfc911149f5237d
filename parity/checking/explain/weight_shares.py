"""The weights' own shares in their gradients, and in the slopes of the user's own loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from parity.bounds.rounding import Approx
from parity.checking.asking.gradients import Source
from parity.checking.asking.subject import TheirError
from parity.checking.explain.agreement import Shares
from parity.checking.explain.assessment import Assessment, Assessor
from parity.checking.explain.own_loss import LossSlope, OwnLoss
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind, correct_gradients
from parity.checking.model.probe import Probe

_OTHER_PROBE = 51
# Two batch sizes differ by more, and rounding by less.
_NEAR = 1e-3


@dataclass(frozen=True)
class LossShares:
    """What the derivative of a loss has of the weights, and of the data.

    Attributes:
        shares: The multiple of each weight, and its uncertainty.
        factor: What comes of the data has it on the loss that is summed over batch and outputs.
        uncertainty: Of the factor.
    """

    shares: Shares
    factor: float
    uncertainty: float


def divided_by_batch(assessor: Assessor, source: Source, assessment: Assessment) -> bool | None:
    """Ask for gradients on a batch of another size: do the weights' shares shrink as it grows?

    Returns:
        Whether they are divided by the batch size; None if that cannot be told.
    """
    found = {
        key: match.decay
        for key, match in assessment.matches.items()
        if match is not None and match.decay
    }
    first = len(assessment.probes[0].x)
    if not found or first == 1 or assessor.fixed_batch:
        return None
    try:
        probe, _ = assessor.ask(source, assessment.form, _OTHER_PROBE, avoid=first)
    except TheirError:
        return None
    shares = _fitted(probe, assessment.kind)
    verdicts: set[bool] = set()
    for key, share in found.items():
        ratio = shares.get(key, 0.0) / share
        verdicts |= {False} if abs(ratio - 1) < _NEAR else set()
        verdicts |= {True} if abs(ratio - first / len(probe.x)) < _NEAR else set()
    return verdicts.pop() if len(verdicts) == 1 else None


def shares_of_loss(own: OwnLoss, assessment: Assessment) -> LossShares | None:
    """Return each weight's share in the slopes of a loss that is the gradients' one otherwise.

    This tells a penalty that differs from layer to layer. Its factor may be another than theirs.
    None if the loss is something else.
    """
    probes, base = assessment.probes, assessment.factor
    rights = [correct_gradients(assessment.kind, p.forward(tracked=True), p.y) for p in probes]
    rows = [_Row.of(slope, rights[slope.probe], probes[slope.probe]) for slope in own.slopes]
    for factor, spread in ((base, 0.0), _factor(rows)):
        shares = _shares(rows, factor, spread, float(np.finfo(probes[0].dtype).eps))
        if shares is not None and factor > 0:
            return LossShares(shares, factor, spread)
    return None


@dataclass(frozen=True)
class _Row:
    """A slope of the loss beside what it may be made of.

    Attributes:
        key: In which tensor.
        slope: As measured, and its error.
        data: The gradient of the summed loss along the same direction, and its bound.
        weight: The weight along it.
    """

    key: Key
    slope: tuple[float, float]
    data: tuple[float, float]
    weight: float

    @classmethod
    def of(cls, slope: LossSlope, rights: Mapping[Key, Approx], probe: Probe) -> Self:
        right = rights[slope.key]
        along = float(np.sum(right.value * slope.direction))
        weight = float(np.sum(probe.weights[slope.key] * slope.direction))
        bound = 4 * float(np.sum(right.bound))
        return cls(slope.key, (slope.value, slope.error), (along, bound), weight)


def _factor(rows: Sequence[_Row]) -> tuple[float, float]:
    """Return the one factor of what comes of the data, with any share of each weight; and its
    uncertainty. 0 where it does not follow.
    """
    keys = list(dict.fromkeys(row.key for row in rows))
    if len(rows) < 2 * (1 + len(keys)):
        return 0.0, 0.0
    matrix = np.array([[row.data[0], *(row.weight * (row.key == k) for k in keys)] for row in rows])
    spread = np.linalg.pinv(matrix)
    factor = float(spread[0] @ np.array([row.slope[0] for row in rows]))
    room = np.array([row.slope[1] + abs(factor) * row.data[1] for row in rows])
    return factor, float(np.abs(spread[0]) @ room) + 1e-9 * abs(factor)


def _shares(rows: Sequence[_Row], factor: float, spread: float, unit: float) -> Shares | None:
    """Return the shares beside one factor of what comes of the data; None if they do not fit."""
    measured: dict[Key, list[tuple[float, float, float]]] = {}
    for row in rows:
        (value, error), (data, bound) = row.slope, row.data
        along = factor * data
        room = error + abs(factor) * bound + 64 * unit * abs(along) + spread * abs(data)
        measured.setdefault(row.key, []).append((row.weight, value - along, room))
    found = {key: _one_share(each, unit) for key, each in measured.items()}
    return None if None in found.values() else {k: s for k, s in found.items() if s is not None}


def _one_share(rows: list[tuple[float, float, float]], unit: float) -> tuple[float, float] | None:
    """Return the factor from weights to rests, and its uncertainty; None if they do not fit."""
    weight, rest, room = (np.array(column) for column in zip(*rows, strict=True))
    size = float(weight @ weight)
    share = float(weight @ rest) / size if size else 0.0
    room = room + 64 * unit * np.abs(share * weight)
    moved = float(np.abs(weight) @ room) / size if size else 0.0
    if not np.all(np.abs(rest - share * weight) <= room + np.abs(weight) * moved):
        return None
    return (share if abs(share) > moved else 0.0), moved


def _fitted(probe: Probe, kind: LossKind) -> dict[Key, float]:
    """Return each weight's share in its gradient, by least squares."""
    rights = correct_gradients(kind, probe.forward(tracked=False), probe.y)
    shares: dict[Key, float] = {}
    for key, w, g, _ in probe.tensors():
        matrix = np.stack([rights[key].value.ravel(), w.ravel()], axis=1)
        shares[key] = float(np.linalg.lstsq(matrix, g.ravel().astype(float), rcond=None)[0][1])
    return shares
