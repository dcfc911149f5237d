"""Weight decay: the share that the weights themselves have in their gradients.

All numbers are multiples of the weight in the gradients as the user's code returns them.
"""

from collections.abc import Mapping, Sequence

from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import (
    WEIGHT_DECAY_FACTOR,
    WEIGHT_DECAY_MISSING,
    WEIGHT_DECAY_ON_BIASES,
    Bug,
    Values,
)
from parity.checking.explain import own_loss
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.fit import Match
from parity.checking.explain.own_loss import OwnLoss
from parity.checking.explain.shares import (
    Expected,
    Reading,
    Shares,
    declared_shares,
    in_words,
    readings,
    rounded,
    shares_of_loss,
    written,
)
from parity.checking.model.layout import Key, Part

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

    Attributes:
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
        weight_decay: float | Sequence[float | Sequence[float]] | None,
        over_batch: bool | None,
    ) -> None:
        self.names = names
        self.own = own if own is not None and own.kind is not None else None
        self.follows = own is not None and own_loss.follows(own, assessment.probes)
        differs = own is not None and own.kind is None and not self.follows
        self.by_layer = shares_of_loss(own, assessment) if own is not None and differs else None
        self.penalised = self.own is not None and bool(self.own.kernel_decay or self.own.bias_decay)
        self.unmeasured = has_loss and self.own is None
        self.depth = assessment.probes[0].plan.depth
        self.given = declared_shares(weight_decay, self.depth)
        self.over_batch = over_batch
        self.batch = len(assessment.probes[0].x)
        self.base = assessment.scale.base or 1.0
        self.readings = readings(assessment, over_batch)
        self.found = _matches(assessment)
        self.unsure = max((m.decay_uncertainty for m in self.found.values()), default=0.0)
        self.shares: Shares = {k: (m.decay, m.decay_uncertainty) for k, m in self.found.items()}
        self.findings: list[Finding] = []
        self.remarks: list[str] = []

    def judge(self) -> tuple[list[Finding], list[str]]:
        """Return what is wrong with the share, and what is worth knowing."""
        own, given = self.own, self.given
        if own is not None and (given is None or self.penalised):
            self._against_loss(own)
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

    def _against_loss(self, own: OwnLoss) -> None:
        """Compare with the derivative of the user's own loss, times the factor of all gradients."""
        times = self.base / own.factor
        scaled = abs(times - 1) > own.uncertainty / own.factor + 1e-6
        spread = (64 * own.decay_uncertainty / own.factor + 1e-12) * abs(self.base) + self.unsure
        wanted = {}
        for key in self.names:
            share = own.kernel_decay if key.part == "kernel" else own.bias_decay
            room = spread + 1e-9 * abs(share * times)
            words = f" ({share:.6g}·w in your loss, which all gradients are {times:.6g} times)"
            words = words if scaled and share else ""
            wanted[key] = Expected(share * times, room, "your loss", words, scaled)
        self._compare(wanted)

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

    def _at_other_batches(self, reading: Reading) -> str:
        if reading.divided:
            asked = "" if self.over_batch else "; with another it could not be asked"
            return f": your code divides it by the batch size{asked}."
        if self.over_batch:
            return (
                f", but for {self.batch} samples only: your code divides it by the batch size. "
                f"weight_decay={self._as_found()} declares it for all."
            )
        return "." if self.over_batch is None else ", whatever the batch size."

    def _declared(self, given: dict[Key, float]) -> tuple[dict[Key, Expected], Reading]:
        """Return what is declared, in the reading that most gradients agree with."""
        sign = -1.0 if self.base < 0 else 1.0

        def expected(reading: Reading) -> dict[Key, Expected]:
            return {
                key: Expected(
                    sign * number * reading.factor,
                    self.unsure + _AS_PRINTED * abs(number * reading.factor),
                    "weight_decay",
                    reading.words.format(rounded(number, 0.0)) if number else "",
                )
                for key, number in given.items()
            }

        def agreeing(reading: Reading) -> int:
            wanted = expected(reading)
            return sum(wanted[k].has(m.decay) for k, m in self.found.items() if given[k])

        best = max(self.readings, key=agreeing)
        return expected(best), best

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
        if biases and not self.unmeasured:
            share = self.found[biases[0]].decay
            self._on_biases([layer for layer, _ in biases], share, "", self._or_declared())
            self.shares |= dict.fromkeys(biases, (0.0, 0.0))
        elif any(m.decay for m in self.found.values()):
            over = f" ({self.batch} is the batch size: your code divides by it)"
            self.remarks.append(
                f"Weight decay: the gradients have {self._in_words()}"
                f"{over if self.over_batch else ''}; it is not known from a loss of yours whether "
                f"that is meant. weight_decay={self._as_found()} has it checked."
            )

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
        for key, match in assessment.explanation.tensors.items()
        if match is not None and match.ratio and match.variant.bug is None
    }
    return dict(sorted(found.items()))
