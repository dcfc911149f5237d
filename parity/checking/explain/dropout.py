"""Dropout in the user's gradients: which units were dropped, at which rate, with which scale?

One sample a call shows it. The next kernel's gradient is then the outer product of what the layer
passes on and the delta above, which is that layer's bias gradient. A dropped unit's row is zero;
the others' rows over the delta are what was passed on, and that over the activation is the scale.
Units whose activation is 0 all the same (ReLU's, half of them) tell nothing of either.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import (
    TRAINING_DROPOUT_MULTIPLIED,
    TRAINING_DROPOUT_TWICE,
    TRAINING_DROPOUT_UNSCALED,
    UNITS_LEFT_OUT,
)
from parity.checking.explain.explainer import Explainer
from parity.checking.model.layout import Key
from parity.checking.model.network import INVERTED, MULTIPLIED, UNSCALED, Plan
from parity.checking.model.probe import Probe

# Tried where the scale cannot be read off (there are no biases, or their gradients are wrong).
_RATES = (0.5, 0.2, 0.25, 0.3, 0.4, 0.1, 0.6, 0.7, 0.75, 0.8, 0.15, 0.05, 0.9)
# So many units are to be seen: at rate 0.1, half of them silent, no mask drops one in 1 of 4000
# checks (0.9^80).
_UNITS_SEEN, _FEWEST_PROBES = 160, 4
# Each takes as long as a whole check.
_MOST_TRIED = 3
REMARK = (
    "Dropout draws other masks each time: each was read off the gradients (a dropped unit's row is "
    "zero), one sample a call. What shows in batches only (a sum that is not divided by the batch "
    "size, say) is seen with dropout off: rate 0, or training=False."
)
FIXED = (
    "Dropout with equal masks in each call: they were read off the gradients (a dropped unit's row "
    "is zero), one sample a call. What shows in batches only (a sum that is not divided by the "
    "batch size, say) is seen with dropout off: rate 0, or training=False."
)


def probes_needed(plan: Plan) -> int:
    """Return from how many samples masks are to be read."""
    return max(_FEWEST_PROBES, -(-_UNITS_SEEN // min(plan.sizes[1:-1], default=_UNITS_SEEN)))


def readings(probes: Sequence[Probe]) -> Iterator[list[Probe]]:
    """Yield the probes with their masks, for each likely set of rates; the likeliest first."""
    # Where a whole layer is dropped nothing is to be seen of those below.
    telling = [
        p for p in probes if all(np.any(g) for k, g in p.gradients.items() if k.part == "kernel")
    ]
    probes = telling or probes
    plan = probes[0].plan
    if any(plan.dropout):
        for power in sorted((INVERTED, UNSCALED, MULTIPLIED), key=lambda p: p != plan.drop_meant):
            yield _read(probes, plan.dropout, power)
        return
    shares, rates, power = _measured(probes)
    if any(rates):
        yield _read(probes, rates, power)
    if not any(0 < share < 1 for share in shares):
        return
    near = sorted(_RATES, key=lambda rate: abs(rate - max(shares)))
    others = [_read(probes, tuple(r if s else 0.0 for s in shares), INVERTED) for r in near]
    others.append(_read(probes, shares, UNSCALED))
    # Those whose output layer is right; else the nearest, unless the scale was there to be read.
    right = [read for read in others if Explainer(read).output_is_right()]
    yield from right or ([] if any(rates) else others[:_MOST_TRIED])


def scale_finding(probes: Sequence[Probe]) -> Finding | None:
    """Return what is wrong with the scale of the units that are kept, in training."""
    plan = probes[0].plan
    if plan.drop_power == plan.drop_meant or not any(plan.dropout):
        return None
    layers = [str(layer + 1) for layer, rate in enumerate(plan.dropout) if rate]
    where = f"dropout behind layer {' and '.join(layers)}"
    if plan.drop_power == INVERTED:
        evidence = (
            "what is kept is divided by 1 - rate in training, and multiplied by it in forward"
        )
        return Finding(TRAINING_DROPOUT_TWICE, where, evidence=evidence)
    if plan.drop_power == MULTIPLIED:
        evidence = "with that all gradients are explained"
        return Finding(TRAINING_DROPOUT_MULTIPLIED, where, evidence=evidence)
    if _fixed(probes):
        evidence = "with these units at zero all gradients are explained"
        return Finding(UNITS_LEFT_OUT, where, evidence=evidence)
    evidence = "the units that are kept pass on their activation as it is, in training and in "
    return Finding(TRAINING_DROPOUT_UNSCALED, where, evidence=evidence + "forward")


def drops_units(probes: Sequence[Probe]) -> bool:
    """Return whether units are dropped, that are not silent, behind each layer with dropout."""
    for layer, rate in enumerate(probes[0].plan.dropout):
        masks = [p.masks[layer] for p in probes if p.masks is not None] if rate else []
        active = [_activation(p, layer) != 0 for p in probes] if rate else []
        pairs = zip(masks, active, strict=True)
        if rate and not any(m is not None and np.any(a & ~m[0]) for m, a in pairs):
            return False
    return True


def _fixed(probes: Sequence[Probe]) -> bool:
    """Return whether each probe leaves out the same units, as far as they are not silent."""
    first = probes[0].plan.dropout
    for layer in (layer for layer, rate in enumerate(first) if rate):
        kept, dropped = 0, 0
        for probe in probes:
            mask = probe.masks[layer] if probe.masks is not None else None
            if mask is not None:
                active = _activation(probe, layer) != 0
                kept, dropped = kept | (active & mask[0]), dropped | (active & ~mask[0])
        if np.any(kept & dropped):
            return False
    return True


def _read(probes: Sequence[Probe], rates: Sequence[float], power: int) -> list[Probe]:
    """Return the probes read as those of a network with dropout."""
    plan = replace(probes[0].plan, dropout=tuple(rates), drop_power=power)
    read = [replace(p, plan=plan, masks=[None] * plan.depth) for p in probes]
    for layer in range(plan.depth - 1):
        if rates[layer]:
            for probe, mask in zip(read, _masks(read, layer), strict=True):
                assert probe.masks is not None
                probe.masks[layer] = None if mask is None else mask[None]
    return read


def _masks(probes: Sequence[Probe], layer: int) -> list[Array | None]:
    """Return which of a layer's units are kept, on each probe; None where no gradient tells."""
    kept: list[Array] = []
    reached: list[Array] = []
    for probe in probes:
        above, below = (probe.gradients.get(Key(n, "kernel")) for n in (layer + 1, layer))
        if above is None:
            return [None] * len(probes)
        silent = _activation(probe, layer) == 0
        passed = np.any(above != 0, axis=1)
        kept.append(passed | silent)
        reached.append(kept[-1] if below is None else np.any(below != 0, axis=0))
        # A silent unit's mask matters in the backward pass alone.
        kept[-1] = np.where(silent, reached[-1], passed)
    # If the kernel's gradient knows of no mask, the backward pass may have it alone.
    return [*(kept if any(_dropped(p, layer) for p in probes) else reached)]


def _dropped(probe: Probe, layer: int) -> bool:
    """Return whether a unit of a layer that is not silent has no share in the next kernel's."""
    above = probe.gradients.get(Key(layer + 1, "kernel"))
    active = _activation(probe, layer) != 0
    return above is not None and bool(np.any(active & ~np.any(above != 0, axis=1)))


def _activation(probe: Probe, layer: int) -> Array:
    return probe.forward(tracked=False).a[layer].value[0]


def _measured(probes: Sequence[Probe]) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Return each layer's share of dropped units, its rate, and the power of the scale."""
    depth = probes[0].plan.depth
    shares, rates = [0.0] * depth, [0.0] * depth
    power = INVERTED
    for layer in range(depth - 1):
        read = _read(probes, rates, power)
        masks = [(p, m) for p, m in zip(read, _masks(read, layer), strict=True) if m is not None]
        if not masks:
            continue
        active = [mask[_activation(probe, layer) != 0] for probe, mask in masks]
        shares[layer] = 1 - float(np.mean(np.concatenate(active)))
        passed = [_passed_on(probe, layer, mask) for probe, mask in masks]
        scale = _simplest(*(np.concatenate(parts) for parts in zip(*passed, strict=True)))
        if scale is None or scale <= 0 or (scale == 1 and not shares[layer]):
            continue
        power = UNSCALED if scale == 1 else INVERTED if scale < 1 else MULTIPLIED
        rates[layer] = float(1 - min(scale, 1 / scale)) or shares[layer]
    return tuple(shares), tuple(rates), power


def _passed_on(probe: Probe, layer: int, mask: Array) -> tuple[Array, Array]:
    """Return activation over what was passed on, for each unit that was kept, and its bound."""
    kernel, bias = Key(layer + 1, "kernel"), Key(layer + 1, "bias")
    above, delta = probe.gradients.get(kernel), probe.gradients.get(bias)
    if above is None or delta is None or not np.any(delta):
        return np.empty(0), np.empty(0)
    fwd = probe.forward(tracked=True)
    a, bound, rounding = fwd.a[layer].value[0], fwd.a[layer].bound[0], fwd.rounding
    size = delta @ delta
    signal = above @ delta / size
    noise, noise_of_delta = probe.noise.get(kernel, 0.0), probe.noise.get(bias, 0.0)
    lost = np.broadcast_to(noise, above.shape) @ np.abs(delta)
    lost = lost + 3 * np.abs(above) @ np.broadcast_to(noise_of_delta, delta.shape)
    # Elements err by a few roundings each; no terms of these sums cancel.
    room = bound + (8 * rounding.unit + rounding.gamma(len(delta))) * np.abs(a)
    kept = mask & (a != 0) & (signal != 0)
    ratio = a[kept] / signal[kept]
    return ratio, (room[kept] + np.abs(ratio) * lost[kept] / size) / np.abs(signal[kept])


def _simplest(ratios: Array, rooms: Array) -> Fraction | None:
    """Return the simplest fraction within the bounds of all ratios.

    A rate has few digits, and then so has what is kept: 0.8 or 2/3, found again exactly. Where the
    bounds exclude each other (a bug, or another precision), the median is as good as any.
    """
    if not ratios.size:
        return None
    low, high = float(np.max(ratios - rooms)), float(np.min(ratios + rooms))
    if low > high:
        low = high = float(np.median(ratios))
    middle = Fraction(low) / 2 + Fraction(high) / 2
    for digits in range(1, 7):
        simple = middle.limit_denominator(10**digits)
        if low <= simple <= high:
            return simple
    return middle if low < high else middle.limit_denominator(1000)
