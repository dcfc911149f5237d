"""Weight decay: the share that the weights themselves have in their gradients.

All numbers are multiples of the weight in the gradients as the user's code returns them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from parity.candidate import WeightDecay
from parity.checking.bugs.factors import same
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import (
    WEIGHT_DECAY_FACTOR,
    WEIGHT_DECAY_MISSING,
    WEIGHT_DECAY_ON_BIASES,
    Bug,
    Values,
)
from parity.checking.explain import own_loss
from parity.checking.explain.agreement import Shares
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.fit import Match
from parity.checking.explain.own_loss import OwnLoss
from parity.checking.explain.weight_shares import LossShares, shares_of_loss
from parity.checking.model.layout import PARTS, Key, Part
from parity.checking.model.losses import reductions

OfStep = Literal["alone", "beside gradients"]
_OF_STEP = ", as an optimizer's own; whether it is meant is not known. A declared optimizer tells."


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
    source: Literal["your loss", "weight_decay"]
    words: str = ""
    scaled: bool = False

    def has(self, share: float) -> bool:
        """Return whether a share found is this one."""
        return abs(share - self.share) <= self.room


@dataclass(frozen=True)
class DecayReading:
    """One way to understand a declared number.

    Attributes:
        factor: The gradients have this times the number.
        words: How that comes about, with the number to be filled in.
        divided: Whether it is divided by the batch size.
    """

    factor: float
    words: str = ""
    divided: bool = False


def readings(assessment: Assessment, over_batch: bool | None) -> list[DecayReading]:
    """Return the ways to understand a declared number, the likeliest first.

    Args:
        assessment: The gradients, explained.
        over_batch: Whether the share is divided by the batch size; None if that is not known.
    """
    probe, base = assessment.probes[0], abs(assessment.factor or 1.0)
    batch, outputs = probe.y.shape
    divided = DecayReading(1 / batch, f" = {{:.6g}} / {batch}", divided=True)
    found = [DecayReading(1.0)]
    if batch > 1 and over_batch is not False:
        found = [divided, *found] if over_batch else [*found, divided]
    usual = [factor for factor, _ in reductions(assessment.kind, batch, outputs)]
    if not any(same(base, factor, assessment.analysis.scale.uncertainty) for factor in usual):
        # A learning rate of the code's own, say, on the averaged or the summed loss.
        for factor in (base * batch, base):
            words = f" = {factor:.6g} · {{:.6g}} ({factor:.6g}: the factor of all gradients)"
            found.append(DecayReading(factor, words))
    return found


def declared_shares(given: WeightDecay | None, depth: int) -> dict[Key, float] | None:
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
    words: list[str] = []
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


# The report prints six digits, and who declares them as printed is right.
_AS_PRINTED = 1e-5
_ABOUT = 1e-4
_PENALTIES = "a penalty of (λ/2)·w² has the gradient λ·w, one of λ·w² has 2·λ·w"


class Decays:
    """Compares the weights' own share in the gradients with what it is meant to be.

    Args:
        assessment: The gradients, explained.
        names: The user's name of the array that holds each tensor.
        own: The user's own loss as measured; None if there is none.
        has_loss: Whether the user has a loss, known or not.
        weight_decay: What the user declares; None if it is to be found out.
        over_batch: Whether the share is divided by the batch size; None if that is not known.
        of_rate: Whether they are read off steps that may have a learning rate of their own in them.
        of_step: How steps are given that may have a decay of their own, if they are read off these.

    Attributes:
        apart: The user's own loss, where the shares are its own as they are, though what comes of
            the data has another factor: that is then what is wrong. None where it is not so.
        shares: After ``judge``: the share that each gradient should have, and its uncertainty.

    Raises:
        ValueError: Numbers are declared for another number of layers.
    """

    def __init__(
        self,
        assessment: Assessment,
        names: Mapping[Key, str],
        own: OwnLoss | None,
        has_loss: bool,
        weight_decay: WeightDecay | None,
        over_batch: bool | None,
        of_rate: bool = False,
        of_step: OfStep | None = None,
    ) -> None:
        self.of_step = of_step
        self.names = names
        self.own = own if own is not None and own.kind is not None else None
        self.follows = own is not None and own_loss.follows(own, assessment.probes) is not None
        differs = own is not None and own.kind is None and not self.follows
        self.base = assessment.factor or 1.0
        self.found = _matches(assessment)
        self.unsure = max((m.decay_uncertainty for m in self.found.values()), default=0.0)
        by_layer = shares_of_loss(own, assessment) if own is not None and differs else None
        self.penalised = self.own is not None and self.own.penalised
        self.unmeasured = has_loss and self.own is None
        self.depth = assessment.probes[0].plan.depth
        self.given = declared_shares(weight_decay, self.depth)
        self.over_batch = over_batch
        self.batch = len(assessment.probes[0].x)
        self.readings = readings(assessment, over_batch)
        self.shares: Shares = {k: (m.decay, m.decay_uncertainty) for k, m in self.found.items()}
        self.findings: list[Finding] = []
        self.remarks: list[str] = []
        # Where the loss is none that is known, its shares are comparable beside the same factor,
        # or where they are what the gradients have.
        self.apart = by_layer if by_layer is not None else self._of_known_loss()
        if of_rate or self.apart is None or not self._is_apart(self.apart):
            self.apart = None
        same = by_layer is not None and by_layer.factor == self.base
        self.by_layer = by_layer.shares if by_layer is not None and (same or self.apart) else None

    def _of_known_loss(self) -> LossShares | None:
        """Return the shares and the factor of a loss of the user's that is a known one."""
        own = self.own
        if own is None:
            return None
        kernel, bias, room = own.kernel_decay, own.bias_decay, self._room(own)
        shares = {key: (kernel if key.part == "kernel" else bias, room / 64) for key in self.names}
        return LossShares(shares, own.factor, own.uncertainty)

    def _is_apart(self, of_loss: LossShares) -> bool:
        """Return whether more shares are the loss's as they are than with the other's factor."""
        times = self.base / of_loss.factor

        def having(factor: float) -> int:
            return sum(
                abs(match.decay - factor * share) <= 64 * room + self.unsure + 1e-9 * abs(share)
                for key, match in self.found.items()
                for share, room in [of_loss.shares.get(key, (0.0, 0.0))]
                if share
            )

        another = abs(times - 1) > of_loss.uncertainty / of_loss.factor + 1e-6
        return another and having(1.0) > having(times)

    def _scaled(self, own: OwnLoss) -> bool:
        """Return whether what comes of the data has another factor than in the user's own loss."""
        return abs(self.base / own.factor - 1) > own.uncertainty / own.factor + 1e-6

    def _room(self, own: OwnLoss) -> float:
        """Return how far a share may be from the one that was measured, and be the same."""
        return (64 * own.decay_uncertainty / own.factor + 1e-12) * abs(self.base) + self.unsure

    def judge(self) -> tuple[list[Finding], list[str]]:
        """Return what is wrong with the share, and what is worth knowing."""
        own, given = self.own, self.given
        if own is not None and given is None and self._added(own):
            return self.findings, self.remarks
        if own is not None and (given is None or self.penalised):
            self._compare(self._of_loss(own))
            self._declared_besides()
        elif self.by_layer is not None:
            found = self.by_layer.items()
            self._compare(
                {k: Expected(s, 64 * u + self.unsure, "your loss") for k, (s, u) in found}
            )
        elif self.follows:
            self._declared_besides()
        elif given is not None:
            self._against_declared(given)
        else:
            self._undeclared()
        return self.findings, self.remarks

    def _added(self, own: OwnLoss) -> bool:
        """Say it where a step has one share more than the loss: the decay of an optimizer."""
        # Where the loss has one, and no gradients tell, another share may be that one done wrong.
        if self.of_step is None or (self.penalised and self.of_step == "alone"):
            return False
        wanted = self._of_loss(own)
        more = {key: match.decay - wanted[key].share for key, match in self.found.items()}
        most = max(more.values(), default=0.0)
        room = max(each.room for each in wanted.values()) + self.unsure + _AS_PRINTED * most
        kernels, biases = ([s for key, s in more.items() if key.part == p] for p in PARTS)
        everywhere = all(most - share <= room for share in biases)
        alike = everywhere or all(abs(share) <= room for share in biases)
        if not (kernels and alike and most > room >= most - min(kernels)):
            return False
        what = "weight" if biases and everywhere else "kernel"
        words = f"the step has {self._number(most)} times the {what} more than your loss"
        self.remarks.append(f"Weight decay: {words}{_OF_STEP}")
        return True

    def _of_loss(self, own: OwnLoss) -> dict[Key, Expected]:
        """Return the shares of the user's own loss, times the factor of all gradients.

        Where the shares are right without it, they need no factor: what is beside them does.
        """
        times = 1.0 if self.apart else self.base / own.factor
        scaled, spread = not self.apart and self._scaled(own), self._room(own)
        wanted: dict[Key, Expected] = {}
        for key in self.names:
            share = own.kernel_decay if key.part == "kernel" else own.bias_decay
            room = spread + 1e-9 * abs(share * times)
            words = f" ({share:.6g}·w in your loss, which all gradients are {times:.6g} times)"
            words = words if scaled and share else ""
            wanted[key] = Expected(share * times, room, "your loss", words, scaled)
        return wanted

    def _against_declared(self, given: dict[Key, float]) -> None:
        """Compare with what is declared."""
        wanted, reading = self._declared(given)
        self._compare(wanted)
        numbers = {given[key]: wanted[key] for key in self.found if given[key]}
        agrees = all(wanted[key].has(match.decay) for key, match in self.found.items())
        if not agrees or not numbers:
            return
        shares = [f"{self._number(e.share)}{e.words}" for e in numbers.values()]
        self.remarks.append(
            f"Weight decay: the gradients have {' and '.join(shares)} times the weight added, as "
            f"declared{self._at_other_batches(reading)}"
        )
        if self.own is not None:
            self.remarks[-1] += " Your loss, as measured, does not have it."

    def _at_other_batches(self, reading: DecayReading) -> str:
        if reading.divided:
            asked = "" if self.over_batch else "; with another it could not be asked"
            return f": your code divides it by the batch size{asked}."
        if self.over_batch:
            return (
                f", but for {self.batch} samples only: your code divides it by the batch size. "
                f"weight_decay={self._as_found()} declares it for all."
            )
        return "." if self.over_batch is None else ", whatever the batch size."

    def _declared(self, given: dict[Key, float]) -> tuple[dict[Key, Expected], DecayReading]:
        """Return what is declared, in the reading that most gradients agree with."""

        def expected(reading: DecayReading, sign: float) -> dict[Key, Expected]:
            return {
                key: Expected(
                    sign * number * reading.factor,
                    self.unsure + _AS_PRINTED * abs(number * reading.factor),
                    "weight_decay",
                    reading.words.format(rounded(number, 0.0)) if number else "",
                )
                for key, number in given.items()
            }

        def agreeing(way: tuple[DecayReading, float]) -> int:
            wanted = expected(*way)
            return sum(wanted[k].has(m.decay) for k, m in self.found.items() if given[k])

        # Beside a gradient with its sign turned the share may be right as it is.
        signs = (-1.0, 1.0) if self.base < 0 else (1.0,)
        best = max(((r, sign) for sign in signs for r in self.readings), key=agreeing)
        return expected(*best), best[0]

    def _declared_besides(self) -> None:
        """Where the user's own loss decides: say if what is declared is something else."""
        if self.given is None or self.findings:
            return
        wanted, _ = self._declared(self.given)
        if not all(wanted[key].has(match.decay) for key, match in self.found.items()):
            self.remarks.append(
                "Weight decay: your gradients are as your own loss has it, which is what counts "
                f"here; weight_decay says otherwise. weight_decay={self._as_found()} agrees."
            )

    def _undeclared(self) -> None:
        biases = [k for k, m in self.found.items() if k.part == "bias" and m.decay]
        decays = any(m.decay for m in self.found.values())
        if decays and self.of_step == "beside gradients":
            self.remarks.append(f"Weight decay: the step has {self._in_words()}{_OF_STEP}")
        elif biases and not self.unmeasured and not self._is_everywhere():
            share = self.found[biases[0]].decay
            self._on_biases([layer for layer, _ in biases], share, "", self._or_declared())
            self.shares |= dict.fromkeys(biases, (0.0, 0.0))
        elif decays:
            over = f" ({self.batch} is the batch size: your code divides by it)"
            self.remarks.append(
                f"Weight decay: the gradients have {self._in_words()}"
                f"{over if self.over_batch else ''}; it is not known from a loss of yours whether "
                f"that is meant. weight_decay={self._as_found()} has it checked."
            )

    def _is_everywhere(self) -> bool:
        """Return whether all kernels and biases have one share, as where all parameters decay."""
        shares = [match.decay for match in self.found.values()]
        same = max(shares) - min(shares) <= 2 * self.unsure + _AS_PRINTED * abs(max(shares))
        return same and len(shares) == len(self.names)

    def _compare(self, wanted: dict[Key, Expected]) -> None:
        """Report each gradient whose share is another, those alike together."""
        groups: list[tuple[Key, list[int]]] = []
        for key in sorted(wanted):
            expected, match = wanted[key], self.found.get(key)
            if match is not None and expected.has(match.decay):
                continue
            self.shares[key] = expected.share, expected.room
            # With all of a gradient off by a factor, that is found already.
            if match is None or expected.has(match.decay * self.base / match.ratio):
                continue
            for other, layers in groups:
                if self._alike(key, other, wanted):
                    layers.append(key.layer)
                    break
            else:
                groups.append((key, [key.layer]))
        for key, layers in groups:
            self._differs(key.part, layers, self.found[key].decay, wanted[key])

    def _alike(self, key: Key, other: Key, wanted: dict[Key, Expected]) -> bool:
        pairs = (
            (self.found[key].decay, self.found[other].decay),
            (wanted[key].share, wanted[other].share),
        )
        near = all(abs(a - b) <= 2 * self.unsure + _AS_PRINTED * abs(b) for a, b in pairs)
        return near and key.part == other.part

    def _differs(self, part: Part, layers: list[int], share: float, expected: Expected) -> None:
        either = "" if self.penalised or self.by_layer else self._or_declared()
        parts = {"kernel": "kernels", "bias": "biases"}[part]
        number = f"{self._number(expected.share)}·w{expected.words}"
        if not share:
            evidence = f"{expected.source} has it"
            if any(m.decay for (_, p), m in self.found.items() if p == part):
                evidence += f"; the gradients have {self._in_words()}"
            values = {"parts": parts, "number": number, "either": either}
            self._add(WEIGHT_DECAY_MISSING, values, part, layers, evidence)
        elif part == "bias" and not expected.share:
            self._on_biases(layers, share, f", which {expected.source} does not have", either)
        else:
            ratio = share / expected.share if expected.share else 0.0
            times = f"×{ratio:.6g}" if ratio else f"which {expected.source} does not have"
            if self._is_batch(ratio) and not expected.words:
                number += f" = ({self._number(share)} / {self.batch})·w"
            hint = self._hint(ratio, expected)
            values = {"times": times, "parts": parts, "hint": hint, "number": number}
            contain = self._contain(part, share)
            self._add(WEIGHT_DECAY_FACTOR, {**values, "either": either}, part, layers, contain)

    def _hint(self, ratio: float, expected: Expected) -> str:
        if expected.scaled:
            return "scale it as the rest of the gradient"
        if not ratio:
            return "leave it out"
        if abs(ratio + 1) <= _ABOUT:
            return "turn its sign round"
        if self._is_batch(ratio):
            whose = ", as your loss does" if expected.source == "your loss" else ""
            return f"divide it by the batch size, {self.batch}{whose}"
        if self._is_batch(1 / ratio):
            return f"do not divide it by the batch size, {self.batch}"
        return _PENALTIES

    def _is_batch(self, ratio: float) -> bool:
        return self.batch > 1 and abs(ratio / self.batch - 1) <= _ABOUT

    def _on_biases(self, layers: list[int], share: float, than: str, either: str) -> None:
        values, contain = {"than": than, "either": either}, self._contain("bias", share)
        self._add(WEIGHT_DECAY_ON_BIASES, values, "bias", layers, contain)

    def _contain(self, part: Part, share: float) -> str:
        return f"the gradients contain {self._number(share)} times the {part} itself"

    def _add(self, bug: Bug, values: Values, part: Part, layers: list[int], evidence: str) -> None:
        every = [layer for layer, p in self.found if p == part]
        where = f"{part} gradients"
        if len(layers) < len(every):
            where = f"{part} gradients of " + " and ".join(
                f"layer {layer + 1} ({self.names[Key(layer, part)]})" for layer in layers
            )
        self.findings.append(Finding(bug, where, values, evidence))

    def _or_declared(self) -> str:
        return f"; if it is meant as it is now, weight_decay={self._as_found()} declares it"

    def _as_found(self) -> str:
        """Return what to declare for the gradients as they are."""
        times = self.batch if self.over_batch else 1
        return written(self.found, self.depth, times, self.unsure)

    def _number(self, share: float) -> str:
        return f"{rounded(share, self.unsure):.6g}"

    def _in_words(self) -> str:
        def number(share: float) -> str:
            whole = f" = {self._number(share * self.batch)} / {self.batch}"
            return self._number(share) + (whole if self.over_batch else "")

        return in_words(self.found, self.depth, number)


def _matches(assessment: Assessment) -> dict[Key, Match]:
    found = {
        key: match
        for key, match in assessment.analysis.explanation.tensors.items()
        if match is not None and match.ratio and match.variant.bug is None and not match.penalty
    }
    return dict(sorted(found.items()))
