"""The report's rows: each of the user's tensors beside the right one."""

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.assess import Assessment
from parity.checking.catalogue.variant import Scene
from parity.checking.conventions import Sample
from parity.checking.decay_numbers import Shares
from parity.checking.fit import scaled_bound
from parity.checking.identify import Identified
from parity.checking.layout import Layout
from parity.checking.losses import correct_gradients
from parity.checking.plan import Plan
from parity.checking.probe import Probe
from parity.checking.rules import State
from parity.checking.subject import lowest
from parity.findings import TensorResult

KernelsAndBiases = tuple[list[Array], list[Array | None]]


def row(
    kind: str,
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
    rows, signal = [], fwd.inputs[0]
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
    source: str,
    keras: KernelsAndBiases | None,
    shares: Shares,
) -> list[TensorResult]:
    """Return a row for each gradient on the first probe, with the user's own factor.

    ``shares``, of the weights themselves, are added.
    """
    probe = assessment.probes[0]
    scene = Scene(probe, probe.forward(tracked=True))
    kernels, biases = correct_gradients(assessment.explanation.kind, scene.fwd, scene.y)
    base = assessment.scale.base or 1.0
    rows = []
    for layer in range(probe.plan.depth):
        for part, right, own, index in (
            ("kernel", kernels[layer], probe.kernel_gradients[layer], 0),
            ("bias", biases[layer], probe.bias_gradients[layer], 1),
        ):
            if right is None or own is None:
                continue
            noise = probe.noise[layer][index] if probe.noise else 0.0
            theirs = None if keras is None else keras[index][layer]
            share, spread = _share(probe, shares, layer, part)
            bound = scaled_bound(right, base) + noise + spread
            arrays = [own, base * right.value + share, bound]
            arrays += [] if theirs is None else [base * theirs + share]
            turned = [_as_theirs(a, layout, layer, part) for a in arrays]
            name = names[layout.place(layer, part)]
            if layout.fold:
                name += f" ({part})"
            kind = "gradient" if source == "gradients" else "step"
            rows.append(row(kind, f"layer {layer + 1} {part}", name, *turned))
    return rows


def _share(
    probe: Probe, shares: Shares, layer: int, part: str
) -> tuple[Array | float, Array | float]:
    """Return the weight's own share in its gradient, and what is not known of it."""
    share, spread = shares.get((layer, part), (0.0, 0.0))
    weight = probe.kernels[layer] if part == "kernel" else probe.biases[layer]
    if not share or weight is None:
        return 0.0, 0.0
    return share * weight, spread * np.abs(weight)


def agree_with(assessment: Assessment, other: KernelsAndBiases, shares: Shares) -> bool:
    """Return whether the user's gradients are another engine's up to rounding on both sides."""
    probe, base = assessment.probes[0], assessment.scale.base or 1.0
    fwd = probe.forward(tracked=True)
    right = correct_gradients(assessment.explanation.kind, fwd, probe.y)
    own = probe.kernel_gradients, probe.bias_gradients
    for index in (0, 1):
        for layer, (g, v, k) in enumerate(zip(own[index], right[index], other[index], strict=True)):
            if g is None or v is None or k is None:
                continue
            noise = probe.noise[layer][index] if probe.noise else 0.0
            part = ("kernel", "bias")[index]
            share, spread = _share(probe, shares, layer, part)
            room = scaled_bound(v, base) + noise + spread
            if not np.all(np.abs(g - base * k - share) <= room):
                return False
    return True


def step_rows(layout: Layout, found: Identified, names: list[str]) -> list[TensorResult]:
    """Return a row for each weight: what the last step changed, beside what the rule says."""
    states: dict[tuple[int, str], State] = {}
    rows: list[TensorResult] = []
    for taken in found.history:
        scene = Scene(taken.probe, taken.probe.forward(tracked=True))
        right = correct_gradients(found.kind, scene.fwd, scene.y)
        changes = layout.unpack(taken.change)
        rows = []
        for layer in range(len(right[0])):
            for index, part in enumerate(("kernel", "bias")):
                g, change = right[index][layer], changes[index][layer]
                if g is None or change is None:
                    continue
                state = states.setdefault((layer, part), {})
                expected = found.rule.change(state, g * found.factor, taken.rate)
                weight = layout.unpack(taken.probe.arrays)[index][layer]
                assert weight is not None
                unit = float(np.finfo(lowest(change.dtype)).eps) / 2
                lost = 2 * unit * (2 * np.abs(weight) + np.abs(change))
                bound = 2 * expected.bound + lost + 16 * unit * np.abs(expected.value)
                arrays = [change, expected.value, bound]
                turned = [_as_theirs(a, layout, layer, part) for a in arrays]
                own_name = names[layout.place(layer, part)]
                rows.append(row("step", f"layer {layer + 1} {part}", own_name, *turned))
    return rows


def _as_theirs(array: Array, layout: Layout, layer: int, part: str) -> Array:
    """Return a kernel or bias in the user's shape; a folded one without the other part."""
    array = np.broadcast_to(array, np.shape(array))
    if part == "kernel":
        array = array.T if layout.orientation == "out-in" else array
        return array if layout.fold else array.reshape(layout.shapes[layout.kernels[layer]])
    index = layout.biases[layer]
    return array if index is None else array.reshape(layout.shapes[index])
