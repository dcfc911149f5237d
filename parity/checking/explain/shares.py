"""The numbers of weight decay: as declared, as expected, and as they grow with the batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from parity.checking.asking.sources import Source
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.factors import same
from parity.checking.explain.assessment import Assessment, Assessor
from parity.checking.explain.fit import Match
from parity.checking.explain.own_loss import OwnLoss
from parity.checking.model.layout import PARTS, Key, Part
from parity.checking.model.losses import LossKind, correct_gradients, reductions
from parity.checking.model.probe import Probe

# The multiple of the weight in its gradient, and how far it is not known.
Shares = dict[Key, tuple[float, float]]
Declared = float | Sequence[float | Sequence[float]]
_OTHER_PROBE = 51
# Two batch sizes differ by more, and rounding by less.
_NEAR = 1e-3


@dataclass(frozen=True)
class Expected:
    """The share that one gradient should have.

    Attributes:
        share: The multiple of the weight,
        room: give or take this much.
        source: What says so.
        words: How the number comes about.
        scaled: Whether all gradients have a factor that the source has not.
    """

    share: float
    room: float
    source: str
    words: str = ""
    scaled: bool = False

    def has(self, share: float) -> bool:
        """Return whether a share found is this one."""
        return abs(share - self.share) <= self.room


@dataclass(frozen=True)
class Reading:
    """One way to understand a declared number.

    Attributes:
        factor: The gradients have this times the number.
        words: How that comes about, with the number to be filled in.
        divided: Whether it is divided by the batch size.
    """

    factor: float
    words: str = ""
    divided: bool = False


def readings(assessment: Assessment, over_batch: bool | None) -> list[Reading]:
    """Return the ways to understand a declared number, the likeliest first.

    Args:
        assessment: The gradients, explained.
        over_batch: Whether the share is divided by the batch size; None if that is not known.
    """
    probe, base = assessment.probes[0], abs(assessment.scale.base or 1.0)
    batch, outputs = probe.y.shape
    divided = Reading(1 / batch, f" = {{:.6g}} / {batch}", divided=True)
    found = [Reading(1.0)]
    if batch > 1 and over_batch is not False:
        found = [divided, *found] if over_batch else [*found, divided]
    usual = [factor for factor, _ in reductions(assessment.explanation.kind, batch, outputs)]
    if not any(same(base, factor, assessment.scale.uncertainty) for factor in usual):
        # A learning rate of the code's own, say, on the averaged or the summed loss.
        for factor in (base * batch, base):
            words = f" = {factor:.6g} · {{:.6g}} ({factor:.6g}: the factor of all gradients)"
            found.append(Reading(factor, words))
    return found


def declared_shares(given: Declared | None, depth: int) -> dict[Key, float] | None:
    """Return the number declared for each kernel and bias; None if none is.

    Raises:
        ValueError: Numbers for another number of layers.
    """
    if given is None:
        return None
    if not isinstance(given, Sequence):
        given = [given] * depth
    if len(given) != depth:
        raise ValueError(
            f"Candidate: expected weight_decay to be one number, or one for each of {depth} "
            f"layers. Received: {len(given)}"
        )
    shares: dict[Key, float] = {}
    for layer, entry in enumerate(given):
        pair = entry if isinstance(entry, Sequence) else (entry, 0.0)
        shares |= {Key(layer, p): float(v) for p, v in zip(PARTS, pair, strict=True)}
    return shares


def written(found: Mapping[Key, Match], depth: int, times: int, uncertainty: float) -> str:
    """Return as Python what declares the shares found, times a batch size they are divided by."""

    def number(layer: int, part: Part) -> float:
        match = found.get(Key(layer, part))
        return rounded(match.decay * times, uncertainty * times) if match is not None else 0.0

    pairs = [(number(layer, "kernel"), number(layer, "bias")) for layer in range(depth)]
    entries = [pair if pair[1] else pair[0] for pair in pairs]
    if isinstance(entries[0], float) and len(set(entries)) == 1:
        return repr(entries[0])
    return repr(tuple(entries))


def in_words(found: Mapping[Key, Match], depth: int, number: Callable[[float], str]) -> str:
    """Return the shares found in words: "0.1 times the kernel added in layer 1, none in layer 2".

    Args:
        found: The gradients, explained, from the first layer on.
        depth: Number of layers.
        number: Writes a share.
    """
    places: dict[tuple[str, str], list[str]] = {}
    for (layer, part), match in found.items():
        text = f"{number(match.decay)} times the {part} added" if match.decay else "none"
        if match.decay or part == "kernel":
            places.setdefault((part, text), []).append(str(layer + 1))
    words = []
    for (_, text), layers in sorted(places.items(), key=lambda item: item[0][1] == "none"):
        listed = f"{', '.join(layers[:-1])} and {layers[-1]}" if layers[1:] else layers[0]
        place = f"layers {listed}" if layers[1:] else f"layer {listed}"
        words.append(f"{text} in {'every layer' if 1 < depth == len(layers) else place}")
    return ", ".join(words)


def rounded(number: float, uncertainty: float) -> float:
    """Return the shortest number that this one may be, of six digits at most."""
    room = min(uncertainty, 1e-4 * abs(number)) + 1e-9 * abs(number)
    for digits in range(1, 6):
        short = float(f"{number:.{digits}g}")
        if abs(short - number) <= room:
            return short
    return float(f"{number:.6g}")


def divided_by_batch(assessor: Assessor, source: Source, assessment: Assessment) -> bool | None:
    """Ask for gradients on a batch of another size: do the weights' shares shrink as it grows?

    Returns:
        Whether they are divided by the batch size; None if that cannot be told.
    """
    found = {
        key: match.decay
        for key, match in assessment.explanation.tensors.items()
        if match is not None and match.decay
    }
    first = len(assessment.probes[0].x)
    if not found or first == 1 or assessor.fixed_batch:
        return None
    try:
        probe, _ = assessor.ask(source, assessment.form, _OTHER_PROBE, avoid=first)
    except TheirError:
        return None
    shares = _fitted(probe, assessment.explanation.kind)
    verdicts = set()
    for key, share in found.items():
        ratio = shares.get(key, 0.0) / share
        verdicts |= {False} if abs(ratio - 1) < _NEAR else set()
        verdicts |= {True} if abs(ratio - first / len(probe.x)) < _NEAR else set()
    return verdicts.pop() if len(verdicts) == 1 else None


def shares_of_loss(own: OwnLoss, assessment: Assessment) -> Shares | None:
    """Return each weight's share in the slopes of a loss that is the gradients' one otherwise.

    This tells a penalty that differs from layer to layer. None if the loss is something else.
    """
    probes, base = assessment.probes, assessment.scale.base
    unit = float(np.finfo(probes[0].dtype).eps)
    rights = [
        correct_gradients(assessment.explanation.kind, p.forward(tracked=True), p.y) for p in probes
    ]
    measured: dict[Key, list[tuple[float, float, float]]] = {}
    for slope in own.slopes:
        v, w = rights[slope.probe][slope.key], probes[slope.probe].weights[slope.key]
        along = base * float(np.sum(v.value * slope.direction))
        rounding = 4 * abs(base) * float(np.sum(v.bound)) + 64 * unit * abs(along)
        weight = float(np.sum(w * slope.direction))
        rest = slope.value - along, slope.error + rounding
        measured.setdefault(slope.key, []).append((weight, *rest))
    found = {key: _one_share(rows, unit) for key, rows in measured.items()}
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
        shares[key] = float(np.linalg.lstsq(matrix, g.ravel(), rcond=None)[0][1])
    return shares
