"""An experiment: does what nothing explains in a kernel's gradient depend on the weights alone?

The same weights are asked about with other samples. What is added to the right gradient, and is
the same again, is no part of backpropagation. If it is another under other weights, it is the
derivative of some penalty of the weights; whether that is meant, only a loss can tell.
"""

from dataclasses import replace

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.variant import Scene
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.fit import LayerFit, scaled_bound
from parity.checking.explain.slopes import Ask
from parity.checking.model.layout import Key
from parity.checking.model.probe import Probe

# What is left of a gradient, and how far that may be off.
Rest = tuple[Array, Array]


def penalised(assessment: Assessment, ask: Ask) -> frozenset[Key]:
    """Return the kernels whose gradients have an unknown function of the weights added.

    Raises:
        TheirError: The user's code fails.
    """
    found: set[Key] = set()
    for fit in assessment.analysis.explanation.layers:
        key = Key(fit.layer, "kernel")
        right = fit.matched and not any(variant.bug for variant in fit.deltas)
        if right and fit.tensors.get(key, 0) is None and _of_weights(assessment, fit, key, ask):
            found.add(key)
    return frozenset(found)


def _of_weights(assessment: Assessment, fit: LayerFit, key: Key, ask: Ask) -> bool:
    one, other = assessment.probes[:2]
    again = replace(one, x=other.x, y=other.y, gradients={}, noise={}, after={})
    ask(again)
    rests = [_rest(probe, fit, key) for probe in (one, again, other)]
    if any(rest is None for rest in rests):
        return False
    first, same_weights, other_weights = (rest for rest in rests if rest is not None)
    return _alike(first, same_weights) and not _alike(first, other_weights)


def _rest(probe: Probe, fit: LayerFit, key: Key) -> Rest | None:
    if key not in probe.gradients:
        return None
    scene = Scene(probe, probe.forward(tracked=True))
    delta = fit.make(scene)
    if delta is None:
        return None
    right = scene.fwd.inputs[key.layer].T @ delta
    ratio = next(iter(fit.matched.values())).ratio
    room = scaled_bound(right, ratio) + np.asarray(probe.noise.get(key, 0.0))
    return probe.gradients[key] - ratio * right.value, room


def _alike(one: Rest, other: Rest) -> bool:
    return bool(np.all(np.abs(one[0] - other[0]) <= 2 * (one[1] + other[1])))
