"""An experiment: with which error does somebody's backpropagation start, sample by sample?

Asked for one sample, the gradient of the output's bias is the delta ``dC/dz`` itself. Beside the
derivative of the user's own loss it shows where that is written wrong. It is the explanation only
if with it the gradients of whole batches agree.
"""

from dataclasses import replace

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.bugs.measured import MeasuredError
from parity.checking.bugs.variant import Scene, Variant
from parity.checking.explain.explainer import Explainer, Explanation
from parity.checking.explain.slopes import Ask
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind
from parity.checking.model.probe import Probe


def explain(
    explainer: Explainer, explanation: Explanation, kind: LossKind, ask: Ask
) -> Explanation:
    """Return an explanation with a measured error where nothing else explains the output layer.

    Args:
        explainer: Of the probes.
        explanation: What it found.
        kind: The user's own loss, as measured.
        ask: Asks for gradients.

    Raises:
        TheirError: The user's code fails.
    """
    top = explanation.layers[0]
    if any(match is not None for match in top.tensors.values()):
        return explanation
    probes = [scene.probe for scene in explainer.observed.quick]
    values: list[Array] = []
    errors: list[Array] = []
    for probe in probes:
        measured = _deltas(probe, ask)
        if measured is None:
            return explanation
        values.append(measured[0])
        errors.append(measured[1])
    passes = [probe.forward(tracked=False) for probe in probes]
    found = MeasuredError(
        np.concatenate([fwd.output.value for fwd in passes]),
        np.concatenate([probe.y for probe in probes]),
        np.concatenate(values),
        np.concatenate(
            [kind.delta(fwd, probe.y).value for fwd, probe in zip(passes, probes, strict=True)]
        ),
    )
    words = found.words()
    if not words:
        return explanation
    places = explainer.places

    def compute(scene: Scene) -> Approx | None:
        place = places.get(id(scene.probe))
        if place is None:
            return None
        return Approx(values[place], errors[place], scene.fwd.rounding)

    return explainer.from_output(kind, Variant(compute, found.bug, words)) or explanation


def _deltas(probe: Probe, ask: Ask) -> tuple[Array, Array] | None:
    """Return the delta that the user's code has for each sample, and how far it may be off."""
    last = probe.plan.depth - 1
    key = Key(last, "bias")
    key = key if key in probe.weights else Key(last, "kernel")
    fwd = probe.forward(tracked=True)
    unit = float(np.finfo(probe.dtype).eps)
    value, error = np.zeros(probe.y.shape), np.zeros(probe.y.shape)
    for n in range(len(probe.x)):
        row = slice(n, n + 1)
        alone = replace(probe, x=probe.x[row], y=probe.y[row], gradients={}, noise={}, after={})
        ask(alone)
        if key not in alone.gradients:
            return None
        noise = np.broadcast_to(alone.noise.get(key, 0.0), alone.weights[key].shape)
        if key.part == "bias":
            value[n], error[n] = alone.gradients[key], noise
        else:
            signal = fwd.inputs[last].value[n]
            i = int(np.argmax(np.abs(signal)))
            value[n] = alone.gradients[key][i] / signal[i]
            error[n] = noise[i] / abs(signal[i])
    # The outputs themselves are off by rounding, and so is what is made of them.
    room = 64 * unit * np.abs(value) + 4 * fwd.output.bound
    return value, error + room
