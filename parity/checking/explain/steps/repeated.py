"""A step that updates several times in one call, as where the update stands inside a loop."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from numpy_impl.types import Array
from parity.bounds.activations import through
from parity.bounds.layers import weight_gradients
from parity.checking.asking.gradients import Step
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.optimizers import UPDATE_REPEATED
from parity.checking.explain.assessment import Assessor
from parity.checking.model.layout import PARTS, Key
from parity.checking.model.losses import LossKind, kinds, reductions
from parity.checking.model.probe import Form, Probe, wide

_PROBES = (80, 81)
# So small that errors do not grow from update to update.
_RATE = 2.0**-7


@dataclass(frozen=True)
class Repetition:
    """One way to update several times.

    Attributes:
        kind: The loss.
        factor: Of its gradients.
        times: How often.
        forward: Whether the forward pass is made again each time.
        in_turn: Whether a layer's delta goes down through the kernel that is updated already.
    """

    kind: LossKind
    factor: float
    times: int
    forward: bool
    in_turn: bool

    def change(self, probe: Probe, rate: float) -> dict[Key, Array]:
        """Return what the step changes."""
        now = dict(probe.weights)
        fwd = probe.forward(tracked=False)
        for turn in range(self.times):
            if turn and self.forward:
                fwd = replace(probe, weights=now).forward(tracked=False)
            delta = self.kind.delta(fwd, probe.y)
            for layer in reversed(range(probe.plan.depth)):
                kernel, bias = weight_gradients(fwd.inputs[layer], delta)
                used = now[Key(layer, "kernel")]
                for part, g in zip(PARTS, (kernel, bias), strict=True):
                    key = Key(layer, part)
                    if key in now:
                        now[key] = now[key] - rate * self.factor * g.value
                if layer:
                    passing = now[Key(layer, "kernel")] if self.in_turn else used
                    e = fwd.dropped(layer - 1, delta @ fwd.rounding.exact(passing).T)
                    function = probe.plan.activations[layer - 1]
                    delta = through(function, fwd.z[layer - 1], fwd.a[layer - 1], e)
        return {key: now[key] - w for key, w in probe.weights.items()}


def find(assessor: Assessor, form: Form) -> Finding | None:
    """Return in which way a plain step updates several times, if it does.

    This is a name for what is wrong already, so it is compared far above any rounding.
    """
    step = Step(assessor.subject, _RATE)
    taken: list[tuple[Probe, dict[Key, Array]]] = []
    try:
        for number in _PROBES:
            probe = assessor.draw(form, number)
            changed = step.change(probe)
            if [c.shape for c in changed] != list(assessor.layout.shapes):
                return None
            taken.append((probe, assessor.layout.unpack(changed)))
    except TheirError:
        return None
    batch = len(taken[0][0].x)
    for way in _ways(taken[0][0]):
        if all(_same(way.change(probe, _RATE), changed, probe) for probe, changed in taken):
            times = f"m = {way.times}" if way.times == batch else f"{way.times}"
            how = ", the forward pass with it" if way.forward else ""
            evidence = "so many updates, one after the other, give the changes of all weights"
            values = {"times": times, "how": how}
            return Finding(UPDATE_REPEATED, "step", values, evidence)
    return None


def _ways(probe: Probe) -> Iterator[Repetition]:
    batch, outputs = probe.y.shape
    for kind in kinds(probe.plan.activations[-1].name):
        for factor, _ in reductions(kind, batch, outputs):
            for times in sorted({batch, 2} - {1}, reverse=True):
                for forward, in_turn in (
                    (False, True),
                    (False, False),
                    (True, False),
                    (True, True),
                ):
                    yield Repetition(kind, factor, times, forward, in_turn)


def _same(one: dict[Key, Array], other: dict[Key, Array], probe: Probe) -> bool:
    rough = wide(probe.forward(tracked=False).rounding)
    with np.errstate(all="ignore"):
        return all(
            np.max(np.abs(one[key] - change)) <= rough * np.max(np.abs(change))
            for key, change in other.items()
        )
