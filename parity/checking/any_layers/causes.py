"""What brings the difference down to rounding: one thing changed in one layer, or in all alike."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.any_layers.answers import ObservedArray
from parity.checking.any_layers.noise import bounds
from parity.checking.any_layers.opened import Opened, Run, in_place
from parity.checking.any_layers.probes import ForwardProbe
from parity.checking.bugs import (
    activating,
    attending,
    convolving,
    normalizing,
    reading,
    recurring,
    wiring,
)
from parity.checking.bugs.change import Changes, LayerChange, LayerScene
from parity.checking.bugs.findings import listed
from parity.checking.bugs.table import Bug, Values

# The likelier first: where two compute the same, the first is named.
_IN_LAYERS: tuple[Changes, ...] = (
    normalizing.changes,
    recurring.changes,
    attending.changes,
    convolving.changes,
    activating.changes,
    reading.changes,
)
# Discards at a glance what is farther off than so many times the bounds of the right one.
_NEAR = 64
# So many of those that are near are looked at.
_MOST_NEAR = 3
_OF_INPUTS: tuple[Changes, ...] = (activating.scaled_inputs, convolving.channels)


@dataclass(frozen=True)
class Cause:
    """What explains a difference.

    Attributes:
        bug: What is wrong.
        values: What fills the places that the bug's texts hold open.
        where: In which layers.
        changes: For each probe what is changed.
    """

    bug: Bug
    values: Values
    where: str
    changes: list[list[LayerChange]]


class Causes:
    """Tries changes of a model's layers against what the user's forward answered.

    Args:
        opened: The model.
        probes: The answers.
        observed: The arrays of them that stand for something.
        unit: Unit roundoff in which they are compared.
        rooms: How far rounding goes on each probe where nothing is changed.
    """

    def __init__(
        self,
        opened: Opened,
        probes: Sequence[ForwardProbe],
        observed: Sequence[ObservedArray],
        unit: float,
        rooms: Sequence[list[list[Array]]],
    ) -> None:
        self.opened, self.probes, self.observed = opened, probes, observed
        self.unit = unit
        self.rooms = rooms

    def find(
        self, suspects: Sequence[int], upto: int, known: list[list[LayerChange]]
    ) -> Cause | None:
        """Return what brings all that is observed up to a call to within rounding.

        Args:
            suspects: Places of calls that may go wrong, the likelier first.
            upto: The place of the last call that has to agree.
            known: For each probe what is changed already.
        """
        near: list[tuple[float, Cause]] = []

        def explaining(cause: Cause) -> Cause | None:
            ratio = self._ratio(cause, upto, known)
            if ratio <= 1 and (found := self._explains(cause, upto, known)):
                return found
            if ratio <= _NEAR:
                near.append((ratio, cause))
            return None

        for causes in (self._of_call, self._wired()):
            tried: dict[tuple[object, ...], list[Cause]] = {}
            for place in suspects:
                times: Counter[tuple[object, ...]] = Counter()
                for cause in causes(place):
                    if found := explaining(cause):
                        return found
                    # A bug may have several forms, which are tried in one order in each layer.
                    kind = cause.changes[0][0].kind
                    tried.setdefault((*kind, times[kind]), []).append(cause)
                    times[kind] += 1
            for alike in tried.values():
                layers = {id(cause.changes[0][0].layer) for cause in alike}
                if 1 < len(layers) == len(alike) and (found := explaining(_together(alike))):
                    return found
        # What is changed may have wider bounds than what is right.
        for _, cause in sorted(near, key=lambda pair: pair[0])[:_MOST_NEAR]:
            if found := self._explains(cause, upto, known):
                return found
        return None

    def low_precision(self) -> Cause | None:
        """Return the format to which all layers' operands are rounded, if there is one."""
        kinds: dict[tuple[object, ...], list[Cause]] = {}
        for place in range(len(self.probes[0].run.calls)):
            for cause in self._in(place, reading.low_precision):
                kinds.setdefault(cause.changes[0][0].kind, []).append(cause)
        none: list[list[LayerChange]] = [[] for _ in self.probes]
        last = len(self.probes[0].run.calls) - 1
        for alike in kinds.values():
            found = self._explains(_together(alike), last, none)
            if found is not None:
                return found
        return None

    def agrees(self, each: ObservedArray, changes: list[list[LayerChange]]) -> bool:
        """Return whether one array agrees, at a glance, where all this is changed."""
        for number, (probe, known) in enumerate(zip(self.probes, changes, strict=True)):
            run = self._run(probe, known)
            if run is None or self._error(number, each, run) > 1:
                return False
        return True

    def _error(self, number: int, each: ObservedArray, run: Run) -> float:
        """Return the largest error of an array beside a run, for the right one's bounds."""
        meant = run.calls[each.call].outputs[each.output]
        array = each.array(self.probes[number].answer, meant.shape)
        room = self.rooms[number][each.call][each.output]
        if array.shape != meant.shape or not np.all(np.isfinite(array)):
            return np.inf
        # What is changed may have another shape.
        room = room if room.shape == meant.shape else np.max(room, initial=0.0)
        return float(np.max(np.abs(array - meant) / room, initial=0.0))

    def _of_call(self, place: int) -> Iterator[Cause]:
        whole = self.probes[0].run.calls[place].depth == 0
        for changes in _OF_INPUTS if whole else _IN_LAYERS:
            yield from self._in(place, changes)

    def _wired(self) -> Callable[[int], Iterator[Cause]]:
        """Return what yields the ways in which a call may be put together with others."""
        calls = self.probes[0].run.calls
        places = [n for n, call in enumerate(calls) if call.depth == 1 and call.inputs]
        runs = [[self._scene(probe, n) for n in places] for probe in self.probes]
        does = [any(map(wiring.acts, scenes)) for scenes in zip(*runs, strict=True)]
        runs = [list(compress(run, does)) for run in runs]
        places = list(compress(places, does))
        graphs = [wiring.CallGraph(runs, number) for number in range(len(runs))]

        def causes(place: int) -> Iterator[Cause]:
            if place in places:
                each = [wiring.changes(graph, places.index(place)) for graph in graphs]
                for of_probes in zip(*each, strict=True):
                    first = of_probes[0][0]
                    where = f"layer {calls[place].name}, forward"
                    yield Cause(first.bug, first.values, where, list(of_probes))

        return causes

    def _in(self, place: int, changes: Changes) -> Iterator[Cause]:
        """Yield the ways in which one call may go wrong, each on all probes."""
        each = [changes(self._scene(probe, place)) for probe in self.probes]
        for of_probes in zip(*each, strict=True):
            first, call = of_probes[0], self.probes[0].run.calls[place]
            where = "the inputs" if call.depth == 0 else f"layer {call.name}, forward"
            yield Cause(first.bug, first.values, where, [[change] for change in of_probes])

    def _scene(self, probe: ForwardProbe, place: int) -> LayerScene:
        call = probe.run.calls[place]
        weights = [(v, probe.values[id(v)]) for v in call.layer.weights if id(v) in probe.values]
        keras = self.opened.keras
        return LayerScene(keras, call.layer, call.inputs, call.outputs[0], weights, call.masked)

    def _ratio(self, cause: Cause, upto: int, known: list[list[LayerChange]]) -> float:
        """Return the largest error for the right one's bounds where a cause is added to others."""
        largest = 0.0
        for number, (k, c) in enumerate(zip(known, cause.changes, strict=True)):
            run = self._run(self.probes[number], k + c, upto)
            if run is None:
                return np.inf
            for each in self.observed:
                if each.call <= upto:
                    largest = max(largest, self._error(number, each, run))
            if largest > _NEAR:
                break
        return largest

    def _explains(self, cause: Cause, upto: int, known: list[list[LayerChange]]) -> Cause | None:
        """Return the cause with all that is known, if with it everything agrees up to a call."""
        every = [k + c for k, c in zip(known, cause.changes, strict=True)]
        for probe, changes in zip(self.probes, every, strict=True):
            run = self._run(probe, changes)
            if run is None or not self._within(probe, changes, run, upto):
                return None
        return Cause(cause.bug, cause.values, cause.where, every)

    def _run(
        self, probe: ForwardProbe, changes: Sequence[LayerChange], upto: int | None = None
    ) -> Run | None:
        try:
            run = self.opened.run(probe.inputs, probe.values, changes, base=probe.run, upto=upto)
        except Exception:  # what makes no sense here: shapes that do not fit any more
            return None
        return in_place(run, probe.run, upto)

    def _within(
        self, probe: ForwardProbe, changes: Sequence[LayerChange], run: Run, upto: int
    ) -> bool:
        room = bounds(self.opened, probe.inputs, probe.values, run, self.unit, changes)
        for each in self.observed:
            if each.call <= upto:
                meant = run.calls[each.call].outputs[each.output]
                bound = room[each.call][each.output]
                error = np.abs(each.array(probe.answer, meant.shape) - meant)
                # A bound as wide as the values is no explanation.
                largest: Any = np.max(np.abs(meant), initial=0.0)
                if not np.all(error <= 2 * bound) or np.min(bound, initial=np.inf) >= largest > 0:
                    return False
        return True


def _together(alike: Sequence[Cause]) -> Cause:
    """Return one cause of what is done alike in several layers."""
    first = alike[0]
    names = [cause.changes[0][0].layer.name for cause in reversed(alike)]
    changes = [
        [change for cause in alike for change in cause.changes[n]]
        for n in range(len(first.changes))
    ]
    return Cause(first.bug, first.values, f"layers {listed(names)}, forward", changes)
