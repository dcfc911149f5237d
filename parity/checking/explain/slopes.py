"""An experiment: what does somebody's code multiply by where an activation's derivative belongs?

With a kernel of zeros a layer's pre-activations are its biases, ``z_j = b_j``, whatever the sample.
A factor that depends on z alone is then one number ``s(b_j)`` for all that comes to unit j, and is
read off its column: ``dC/dW_ij = s(b_j) sum_n x_ni e_nj``, ``e`` being the gradient at the layer's
activation. So the factor is measured at every z of the probes. It is the explanation only if with
it the gradients of the probes themselves agree, where every sample has another z.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.bugs.measured import MeasuredSlope
from parity.checking.bugs.variant import Scene
from parity.checking.explain.explainer import Explainer, Explanation
from parity.checking.explain.fit import LayerFit, scaled_bound
from parity.checking.model.layout import PARTS, Key
from parity.checking.model.probe import Probe, wide

# Fills in the gradients of a probe.
Ask = Callable[[Probe], None]
# What is not measured to this part of the width that bugs are told by is measured again, under
# other weights, as little may come to a unit under some.
_SHARP, _ROUNDS = 1 / 16, 6


def explain(explainer: Explainer, explanation: Explanation, ask: Ask) -> Explanation:
    """Return the explanation with measured slopes where nothing else explains a hidden layer.

    Args:
        explainer: Of the probes.
        explanation: What it found.
        ask: Asks for gradients.

    Raises:
        TheirError: The user's code fails.
    """
    plan = explainer.plan
    measured: list[int] = []
    while True:
        fit = next((f for f in explanation.layers if not f.matched), None)
        # The output's delta has no layer above.
        if fit is None or fit.layer == plan.depth - 1 or fit.layer in measured:
            return explanation
        layer, at = fit.layer, fit.layer
        if measured:
            # What comes to this layer was measured at the probes' z alone. So the function is
            # measured in the layer above once more; that it is the same here, the fit will show.
            at = measured[0]
            if plan.activations[at].name != plan.activations[layer].name:
                return explanation
        slope = _measured(explainer, explanation, layer, at, ask)
        if slope is None or not slope.words(plan.activations[layer]):
            return explanation
        measured.append(layer)
        explanation = explainer.resumed(explanation, layer, slope)


def _measured(
    explainer: Explainer, explanation: Explanation, layer: int, at: int, ask: Ask
) -> MeasuredSlope | None:
    """Return the factor that layer ``at`` has at each z of ``layer`` in the probes.

    None if it is no function of z alone.
    """
    scenes, fit, above = explainer.observed.quick, explanation.fit(at), explanation.fit(at + 1)
    factors = [match.ratio for _, match in sorted(above.matched.items(), reverse=True)]
    z = np.stack([scene.fwd.z[layer].value for scene in scenes])
    value, spread = np.full(z.size, np.nan), np.full(z.size, np.inf)
    if not factors or any(match.decay for match in above.matched.values()):
        return None
    # Which unit under which weights measures which z is left to chance.
    rng = np.random.default_rng(0)
    units = explainer.plan.sizes[at + 1]
    vague, sharp = np.arange(z.size), _SHARP * wide(scenes[0].fwd.rounding)
    for _ in range(_ROUNDS):
        order = rng.permutation(vague)
        for start in range(0, len(order), units):
            chosen = np.resize(order[start : start + units], units)
            host = scenes[int(rng.integers(len(scenes)))].probe
            found = _at(host, z.ravel()[chosen], fit, ask)
            if found is None:
                return None
            factor, error = found[0] / factors[0], found[1] / abs(factors[0])
            better = error < spread[chosen]
            value[chosen[better]], spread[chosen[better]] = factor[better], error[better]
        vague = np.flatnonzero(~(spread <= sharp * np.nanmax(np.abs(value))))
    if not np.all(np.isfinite(spread)):
        return None
    return MeasuredSlope(z, value.reshape(z.shape), spread.reshape(z.shape))


def _at(host: Probe, z: Array, fit: LayerFit, ask: Ask) -> tuple[Array, Array] | None:
    """Return the factor of each unit at its z (units,), and how far it may be off.

    Where nothing comes to the unit, that is infinitely far. None if what comes to some unit has no
    one factor, or if there are no gradients to read.
    """
    layer, scene = fit.layer, Scene(host, host.forward(tracked=False))
    kernel, bias = Key(layer, "kernel"), Key(layer, "bias")
    x, weights = host.x, dict(host.weights)
    if bias in weights:
        weights |= {kernel: np.zeros_like(weights[kernel]), bias: z}
    else:  # one sample, again and again, and a kernel that leads it to these z
        x = np.repeat(x[:1], len(x), axis=0)
        signal = scene.fwd.inputs[layer].value[0]
        size = float(signal @ signal)
        if not size:
            return None
        weights[kernel] = np.outer(signal, z) / size
    probe = replace(host, x=x, weights=weights, gradients={}, noise={}, after={})
    ask(probe)
    scene = Scene(probe, probe.forward(tracked=True))
    e = fit.incoming(scene) if fit.incoming is not None else None
    if e is None:
        return None
    made = {"kernel": scene.fwd.inputs[layer].T @ e, "bias": e.sum(axis=0, keepdims=True)}
    keys = [key for key in (Key(layer, part) for part in PARTS) if key in probe.gradients]
    if not keys:
        return None
    observed = np.concatenate([np.atleast_2d(probe.gradients[key]) for key in keys])
    noise = np.concatenate([_rows(probe.noise.get(key, 0.0), probe.weights[key]) for key in keys])
    return _one_factor(observed, [made[key.part] for key in keys], noise)


def _rows(noise: Array | float, weight: Array) -> Array:
    return np.atleast_2d(np.broadcast_to(noise, weight.shape))


def _one_factor(
    observed: Array, made: Sequence[Approx], noise: Array
) -> tuple[Array, Array] | None:
    """Fit ``observed = factor * made`` in each column; None if some column has no one factor."""
    value = np.concatenate([a.value for a in made])
    bound = np.concatenate([a.bound for a in made])
    size = np.sum(value * value, axis=0)
    # What rounding alone may have left of nothing tells nothing.
    empty = np.max(np.abs(value), axis=0) <= 1e3 * np.max(bound, axis=0)
    with np.errstate(all="ignore"):
        factor = np.sum(observed * value, axis=0) / size
        allowed = scaled_bound(Approx(value, bound, made[0].rounding), 1.0) * np.abs(factor) + noise
        spread = np.sum(allowed * np.abs(value), axis=0) / size
        off = np.abs(observed - factor * value) > allowed + spread * np.abs(value)
    if np.any(off[:, ~empty]):
        return None
    return np.where(empty, np.nan, factor), np.where(empty, np.inf, spread)
