"""The report's rows: each of the user's tensors beside the right one."""

from collections.abc import Mapping

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.subject import lowest
from parity.checking.bugs.findings import TensorKind, TensorResult
from parity.checking.explain.agreement import Added, Shares, compared
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.fit import MEANT
from parity.checking.explain.steps.identified import Identified
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Key, Layout
from parity.checking.model.rules import State


def gradient_rows(
    assessment: Assessment,
    layout: Layout,
    names: list[str],
    kind: TensorKind,
    keras: Mapping[Key, Array] | None,
    shares: Shares,
) -> list[TensorResult]:
    """Return a row for each gradient on the first probe, with the user's own factor.

    ``shares``, of the weights themselves, are added.
    """
    base = assessment.factor or 1.0
    rows: list[TensorResult] = []
    for each in compared(assessment.probes[0], assessment.kind, base, _added(assessment, shares)):
        key = each.key
        arrays = [each.own, each.expected(each.right), each.bound]
        arrays += [] if keras is None else [each.expected(keras[key])]
        turned = [layout.as_given(array, key) for array in arrays]
        name = names[layout.place(key)]
        if layout.fold:
            name += f" ({key.part})"
        title = f"layer {key.layer + 1} {key.part}"
        rows.append(TensorResult.of_arrays(kind, title, name, *turned))
    return rows


def agreeing(assessment: Assessment, other: Mapping[Key, Array], shares: Shares) -> list[bool]:
    """Return of each gradient of the user's whether it is another engine's up to rounding."""
    base = assessment.factor or 1.0
    found = compared(assessment.probes[0], assessment.kind, base, _added(assessment, shares))
    return [each.equals(other[each.key]) for each in found]


def _added(assessment: Assessment, shares: Shares) -> Added:
    """Return what the weights themselves have in their gradients, as it is meant."""
    weights = assessment.probes[0].weights
    found = {
        k: (s * weights[k], spread * np.abs(weights[k]))
        for k, (s, spread) in shares.items()
        if k in weights
    }
    for key, match in assessment.matches.items():
        if match is not None and match.penalty in MEANT:
            added, room = match.added(weights[key])
            found[key] = added, 4 * room
    return found


def step_rows(layout: Layout, found: Identified, names: list[str]) -> list[TensorResult]:
    """Return a row for each weight: what the last step changed, beside what the rule says."""
    rule = found.rule
    assert rule is not None
    states: dict[Key, State] = {}
    rows: list[TensorResult] = []
    multiples = found.multiples or (1.0,) * len(found.history)
    for taken, multiple in zip(found.history, multiples, strict=True):
        right = {k: g * found.factor * 1.0 for k, g in found.gradients_at(taken.probe).items()}
        if isinstance(rule, DeclaredOptimizer) and rule.clips:
            right = rule.clipped(right)
        rows = []
        for key, change in layout.unpack(taken.change).items():
            if key in found.idle or key not in right:
                continue
            here = State(
                place=layout.place(key), arrays=len(layout.shapes),
                layer=key.layer, layers=taken.probe.plan.depth,
            )  # fmt: skip
            state, weight = states.setdefault(key, here), taken.probe.weights[key]
            expected = rule.change(state, right[key], taken.rate * multiple, weight)
            unit = float(np.finfo(lowest(change.dtype)).eps) / 2
            lost = 2 * unit * (2 * np.abs(weight) + np.abs(change))
            bound = 2 * expected.bound + lost + 16 * unit * np.abs(expected.value)
            arrays = [change, expected.value, bound]
            turned = [layout.as_given(array, key) for array in arrays]
            name = f"layer {key.layer + 1} {key.part}"
            own_name = names[layout.place(key)]
            rows.append(TensorResult.of_arrays("step", name, own_name, *turned))
    return rows
