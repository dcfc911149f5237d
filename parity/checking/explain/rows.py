"""The report's rows: each of the user's tensors beside the right one."""

from collections.abc import Mapping

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.asking.conventions import Sample
from parity.checking.asking.subject import lowest
from parity.checking.bugs.findings import TensorKind, TensorResult
from parity.checking.explain.agreement import Added, Shares, compared
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.fit import MEANT
from parity.checking.explain.optimizer import Identified
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Key, Layout
from parity.checking.model.network import Plan
from parity.checking.model.rules import State


def row(
    kind: TensorKind,
    name: str,
    own_name: str,
    value: Array,
    expected: Array,
    bound: Array,
    keras: Array | None = None,
) -> TensorResult:
    """Return one row; all arrays have the shape of the user's tensor."""
    with np.errstate(all="ignore"):
        errors = np.abs(value - expected)
        ratio = np.where(errors == 0, 0.0, errors / bound)
    ratio = np.where(np.isfinite(value), ratio, np.inf)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)), ratio.shape)
    vv, gv, gg = (
        float(np.vdot(a, b)) for a, b in ((expected,) * 2, (value, expected), (value,) * 2)
    )
    return TensorResult(
        kind=kind,
        name=name,
        own_name=own_name,
        shape=value.shape,
        index=tuple(int(i) for i in worst),
        value=float(value[worst]),
        expected=float(expected[worst]),
        keras=None if keras is None else float(keras[worst]),
        error=float(errors[worst]),
        bound=float(bound[worst]),
        ratio=float(ratio[worst]),
        scale=gv / vv if vv else float("nan"),
        cosine=gv / np.sqrt(vv * gg) if vv and gg else float("nan"),
        right=bool(np.all(ratio <= 1)),
        errors=errors,
        bounds=bound,
        largest=float(np.max(np.abs(expected))),
    )


def forward_rows(sample: Sample, plan: Plan) -> list[TensorResult]:
    """Return a row for the outputs, or for every layer's activations where ``forward`` gives them.

    Each layer is computed from the user's own activations below it.
    """
    fwd = sample.expected(plan, tracked=True)
    draw = sample.first
    if not draw.layers:
        out = fwd.output
        return [_forward_row(plan.depth - 1, "forward(x)", draw.output, out)]
    rows: list[TensorResult] = []
    signal = fwd.inputs[0]
    for layer, observed in enumerate(draw.layers):
        a = fwd.activation(layer, fwd.weighted(layer, signal))
        rows.append(_forward_row(layer, f"forward(x)[{layer}]", observed, a))
        signal = fwd.rounding.exact(observed)
    return rows


def _forward_row(layer: int, own_name: str, observed: Array, expected: Approx) -> TensorResult:
    name = f"layer {layer + 1} activation"
    return row("forward", name, own_name, observed, expected.value, 2 * expected.bound)


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
        rows.append(row(kind, f"layer {key.layer + 1} {key.part}", name, *turned))
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
            rows.append(row("step", name, names[layout.place(key)], *turned))
    return rows
