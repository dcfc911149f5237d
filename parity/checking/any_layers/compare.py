"""A forward pass of any layers beside a Keras model: which layer parts first, and why."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.any_layers import matching
from parity.checking.any_layers.answers import Answer, ObservedArray
from parity.checking.any_layers.causes import Cause, Causes
from parity.checking.any_layers.noise import bounds
from parity.checking.any_layers.opened import Opened
from parity.checking.any_layers.probes import ForwardProbe, Probes
from parity.checking.asking.subject import Subject
from parity.checking.bugs.activating import DROPOUT_ON
from parity.checking.bugs.change import LayerChange
from parity.checking.bugs.findings import (
    FORWARD_PASS,
    Finding,
    Notes,
    TensorResult,
    Unreadable,
    Witness,
)
from parity.checking.bugs.forward_alone import (
    IN_LOW_PRECISION,
    OTHER_LAYER,
    WEIGHTS_NOT_MATCHED,
)
from parity.checking.bugs.reading import LOW
from parity.checking.bugs.table import NONDETERMINISTIC_FORWARD, UNKNOWN_FORWARD, VACUOUS, Severity

_FLOAT64, _FLOAT32 = 2.0**-53, 2.0**-24
# So many things wrong are looked for, one after the other, where activations are given.
_MOST_CAUSES = 4
_PRECISION = (
    "Precision: forward agrees with the reference as far as float32's rounding goes; smaller "
    "errors are not seen. (Keras itself rounds some constants to float32.)"
)
_REFERENCE = (
    "Precision: the reference runs in float32 only, as a layer of its own holds numbers in that; "
    "forward agrees as far as float32's rounding goes, and smaller errors are not seen."
)


class AnyLayers:
    """Compares ``forward`` alone with a Keras model.

    Attributes:
        reference: What it is compared with, in words.
    """

    def __init__(self, subject: Subject, model: Any, seed: int) -> None:
        self.subject = subject
        self.seed = seed
        self.notes = Notes()
        self.opened = Opened(model)
        self.reference = f"the Keras model {model.name} ({len(model.layers)} layers)"
        self._rooms: dict[tuple[int, float], list[list[Array]]] = {}

    def run(self) -> Notes:
        """Return what was found."""
        with self.notes.until_blocked():
            self._run()
        return self.notes

    def _run(self) -> None:
        self.probes = Probes(self.opened, self.subject, self.seed, self._match())
        self._conventions()
        self.notes.remarks += self.probes.reading.remarks
        if self._random():
            return
        unit = max(self.opened.unit, _FLOAT32 if self._is_float32() else _FLOAT64)
        if not self._parting(unit):
            self._right(unit)
        elif not self._explained(unit):
            # A part of it may be in float32, but for a bug in a few numbers.
            lower = unit == _FLOAT64 and self._mostly_off(unit)
            if lower and not self._parting(_FLOAT32):
                self._right(_FLOAT32)
            elif not (lower and self._explained(_FLOAT32)):
                self._unexplained(_FLOAT32 if lower else unit)

    def _match(self) -> matching.WeightMatch | None:
        """Return which of the user's arrays is which variable; None where none are given.

        Raises:
            Unreadable: They are others.
        """
        subject = self.subject
        if subject.candidate.get_weights is None:
            return None
        match = matching.matched(self.opened, subject.names, subject.weights())
        if not match.complete:
            without = [f"{name}, which is none of its variables" for name in match.arrays]
            without += [f"no array of the shape of {path}" for path in match.variables]
            count = len(self.opened.variables)
            evidence = (
                f"expected {count} arrays like the reference's variables. Received: "
                f"{len(subject.names)}; {'; '.join(without)}"
            )
            raise Unreadable(Finding(WEIGHTS_NOT_MATCHED, "get_weights", evidence=evidence))
        return match

    def _conventions(self) -> None:
        probes, found = self.probes, self.notes.conventions
        found["samples"] = probes.reading.words
        shapes = ", ".join(str(a.shape) for a in probes.all[0].inputs)
        found["inputs"] = f"{shapes}, " + ("of data" if probes.given else "drawn")
        rows = probes.match.rows
        turned = [r for r in rows if list(r.axes) != sorted(r.axes)]
        if not rows:
            found["weights"] = "those that forward holds"
        else:
            found["weights"] = f"{len(rows)} arrays, set to the reference's"
            if turned:
                pairs = ", ".join(f"{r.array} is {r.variable} transposed {r.axes}" for r in turned)
                found["weights"] += f"; {pairs}"
        found["layers"] = f"{len({e.call for e in probes.reading.observed})} compared"
        if rows:
            self._order()

    def _order(self) -> None:
        """Say so if the arrays are the model's in another order than its own, which fits too."""
        rows, variables = self.probes.match.rows, self.opened.variables
        if [row.shape for row in rows] != [tuple(v.shape) for v in variables]:
            return
        pairs = zip(rows, self.opened.paths, strict=True)
        moved = [f"{row.array} is {row.variable}" for row, path in pairs if row.variable != path]
        if moved:
            self.notes.remarks.append(
                f"Order: the arrays were tried in other orders too, and with forward "
                f"{', '.join(moved)}. That is not the order of model.get_weights(): if they are "
                "read in that, they are exchanged."
            )

    # ---- Comparing ----

    def _room(self, number: int, unit: float) -> list[list[Array]]:
        """Return how far two right computations may be apart on a probe.

        The reference has the rounding of its dtype, the user's forward that of ``unit``.
        """
        if (number, unit) not in self._rooms:
            probe = self.probes.all[number]
            room = bounds(self.opened, probe.inputs, probe.values, probe.run, unit)
            if unit != self.opened.unit:
                exact = self._room(number, self.opened.unit)
                room = [
                    [a + b for a, b in zip(*both, strict=True)]
                    for both in zip(room, exact, strict=True)
                ]
            else:
                room = [[2 * a for a in each] for each in room]
            self._rooms[number, unit] = room
        return self._rooms[number, unit]

    def _rooms_of(self, unit: float) -> list[list[list[Array]]]:
        return [self._room(number, unit) for number in range(len(self.probes.all))]

    def _off(self, number: int, each: ObservedArray, unit: float) -> Array:
        """Return which numbers of what is observed are beyond rounding."""
        probe = self.probes.all[number]
        meant = probe.run.calls[each.call].outputs[each.output]
        array = each.array(probe.answer, meant.shape)
        if array.shape != meant.shape:
            return np.ones(array.shape, bool)
        return ~(np.abs(array - meant) <= self._room(number, unit)[each.call][each.output])

    def _parting(self, unit: float) -> list[ObservedArray]:
        """Return what differs, in the order in which it is computed."""
        return [
            each
            for each in self.probes.reading.observed
            if any(np.any(self._off(n, each, unit)) for n in range(len(self.probes.all)))
        ]

    def _mostly_off(self, unit: float) -> bool:
        """Return whether most numbers that differ at all differ by more than rounding.

        Then a part of it may be in a lower precision; a bug in a few numbers is none.
        """
        first = self._parting(unit)[0]
        for number, probe in enumerate(self.probes.all):
            meant = probe.run.calls[first.call].outputs[first.output]
            array = first.array(probe.answer, meant.shape)
            if array.shape != meant.shape:
                return False
            off = self._off(number, first, unit)
            if 2 * np.count_nonzero(off) < np.count_nonzero(array != meant):
                return False
        return True

    def _is_float32(self) -> bool:
        return all(
            np.asarray(leaf.value).dtype.itemsize < 8
            for probe in self.probes.all
            for leaf in probe.answer
        )

    # ---- Verdicts ----

    def _right(self, unit: float) -> None:
        notes = self.notes
        notes.tensors = self._rows(unit)
        wide = [r for r in notes.tensors if r.bounds is not None and np.min(r.bounds) >= r.largest]
        if any(r.largest > 0 for r in wide):
            notes.findings.append(Finding(VACUOUS, wide[0].name))
            return
        if unit == _FLOAT32:
            own = self.opened.unit == _FLOAT32
            notes.remarks.append(_REFERENCE if own else _PRECISION)
        notes.witnesses.append(Witness(FORWARD_PASS, True, "equal up to rounding"))
        layers = {each.call for each in self.probes.reading.observed}
        notes.tested = [f"forward pass, {len(layers)} of {len(self._own_layers())} layers seen"]
        if len(layers) == 1:
            notes.tested = ["forward pass"]
        notes.untested = ["gradients and steps (none are given)", *self._idle()]

    def _own_layers(self) -> list[Any]:
        return self.probes.all[0].run.layers()

    def _idle(self) -> list[str]:
        """Say which weights could be used wrongly without a difference."""
        if self.probes.match.rows:
            return []
        values = self.probes.all[0].values
        idle = [
            v.path
            for v in self.opened.variables
            if values[id(v)].size and np.ptp(values[id(v)]) == 0 and values[id(v)].flat[0] in (0, 1)
        ]
        return [f"what is done with {', '.join(idle)} (all 0 or 1)"] if idle else []

    def _explained(self, unit: float) -> bool:
        """Say what is wrong, if something explains it; return whether it does."""
        causes = self._causes(unit, self._parting(unit))
        evidence = "with it the outputs agree up to rounding"
        for cause in causes:
            self.notes.findings.append(Finding(cause.bug, cause.where, cause.values, evidence))
        if causes:
            self._differs(unit, self.notes.findings[0].title)
        return bool(causes)

    def _unexplained(self, unit: float) -> None:
        low = self._tried(_FLOAT32).low_precision()
        finding = None if low is None else Finding(low.bug, "forward", low.values)
        finding = finding or self._stored_low() or self._unknown(unit)
        self.notes.findings.append(finding)
        self._differs(unit, finding.title)

    def _tried(self, unit: float) -> Causes:
        probes = self.probes
        rooms = self._rooms_of(unit)
        return Causes(self.opened, probes.all, probes.reading.observed, unit, rooms)

    def _causes(self, unit: float, parting: Sequence[ObservedArray]) -> list[Cause]:
        """Return what is wrong, one after the other as far as activations are given."""
        causes = self._tried(unit)
        known: list[list[LayerChange]] = [[] for _ in self.probes.all]
        found: list[Cause] = []
        while parting and len(found) < _MOST_CAUSES:
            cause = causes.find(self._suspects(parting, causes, known), parting[0].call, known)
            if cause is None or any(c.where == cause.where for c in found):
                break
            found.append(cause)
            known = cause.changes
            parting = [each for each in parting if not causes.agrees(each, known)]
        return found

    def _suspects(
        self, parting: Sequence[ObservedArray], causes: Causes, known: list[list[LayerChange]]
    ) -> list[int]:
        """Return the places of calls that may be to blame: up to the parting one, it first."""
        calls = self.probes.all[0].run.calls
        right = {
            each.call for each in self.probes.reading.observed
            if all(each.call != other.call for other in parting)
        }  # fmt: skip
        seen: set[int] = set()
        found: list[int] = []
        for place in reversed(range(parting[0].call + 1)):
            key = id(calls[place].layer)
            if place not in right and key not in seen:
                seen.add(key)
                found.append(place)
        whole = len(calls) - 1
        return [place for place in found if place != whole] + [whole]

    def _differs(self, unit: float, comment: str) -> None:
        self.notes.tensors = self._rows(unit)
        self.notes.witnesses.append(Witness(FORWARD_PASS, False, comment))

    def _unknown(self, unit: float) -> Finding:
        first = self._parting(unit)[0]
        call = self.probes.all[0].run.calls[first.call]
        probe = self.probes.all[0]
        meant, array = call.outputs[first.output], np.asarray(probe.answer[first.place].value)
        if array.size != meant.size:
            evidence = f"expected shape {meant.shape}. Received: shape {array.shape}"
        else:
            evidence = "it differs by more than rounding"
        if call.depth == 0:
            return Finding(UNKNOWN_FORWARD, "forward", evidence=evidence)
        before = [e for e in self.probes.reading.observed if e.call < first.call]
        if before:
            name = self.probes.all[0].run.calls[before[-1].call].name
            evidence += f"; what is compared before it, up to layer {name}, agrees"
        return Finding(OTHER_LAYER, f"layer {call.name}, forward", evidence=evidence)

    def _stored_low(self) -> Finding | None:
        """Return that all outputs are numbers of a lower precision, and right to its rounding."""
        for kind, low in LOW.items():
            arrays = [np.asarray(leaf.value) for p in self.probes.all for leaf in p.answer]
            if all(np.array_equal(low.rounded(a.astype(np.float64)), a) for a in arrays):
                if self._parting(low.unit):
                    continue
                values = {"what": "the outputs have", "kind": kind}
                return Finding(IN_LOW_PRECISION, "forward", values)
        return None

    def _random(self) -> bool:
        """Ask once more on equal input; say so where the answer is another one."""
        last = self.probes.all[-1]
        again = self.probes.again()
        same = [
            np.array_equal(np.asarray(a.value), np.asarray(b.value), equal_nan=True)
            for a, b in zip(last.answer, again, strict=True)
        ]
        if all(same):
            return False
        finding = Finding(NONDETERMINISTIC_FORWARD, "forward")
        rates = [
            (call.name, call.layer.rate)
            for call in last.run.calls
            if isinstance(getattr(call.layer, "rate", None), float) and call.layer.rate > 0
        ]
        if rates:
            names = ", ".join(f"{name} (rate {rate:g})" for name, rate in rates)
            evidence = f"two answers to equal input differ; the reference has dropout in {names}"
            severity = None if self._kept_and_scaled(last, again) else Severity.UNCERTAIN
            where = f"layer {rates[0][0]}, forward"
            finding = Finding(DROPOUT_ON, where, evidence=evidence, severity=severity)
        self.notes.findings.append(finding)
        return True

    def _kept_and_scaled(self, probe: ForwardProbe, again: Answer) -> bool:
        """Return whether a dropout's activations are dropped or scaled, each of them."""
        for each in self.probes.reading.observed:
            call = probe.run.calls[each.call]
            rate = getattr(call.layer, "rate", None)
            if not isinstance(rate, float):
                continue
            meant = call.outputs[each.output]
            array = each.array(again, meant.shape)
            kept = meant / (1 - rate)
            near = np.abs(array - kept) <= 1e-3 * np.max(np.abs(kept))
            return array.shape == meant.shape and bool(np.all((array == 0) | near))
        return False

    def _rows(self, unit: float) -> list[TensorResult]:
        """Return a row for each that is observed, of the probe where most is off."""
        worst = max(
            range(len(self.probes.all)),
            key=lambda n: sum(
                np.count_nonzero(self._off(n, e, unit)) for e in self.probes.reading.observed
            ),
        )
        probe = self.probes.all[worst]
        rows: list[TensorResult] = []
        for each in self.probes.reading.observed:
            call = probe.run.calls[each.call]
            meant, bound = (
                call.outputs[each.output],
                self._room(worst, unit)[each.call][each.output],
            )
            array = each.array(probe.answer, meant.shape)
            name = "output" if call.depth == 0 else call.name
            name += f" {each.output + 1}" if len(call.outputs) > 1 else ""
            if array.shape == meant.shape:
                rows.append(TensorResult.of_arrays("forward", name, each.name, array, meant, bound))
        return rows
