"""Ways to add up wrongly what flows into a unit from the units of the layer above.

The right sum is ``e[j] = sum over k of delta[k] W[j, k]``: one share from each unit k above. Code
that loops over units, and automatic differentiation of single numbers, form it share by share.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug
from parity.checking.bugs.variant import LayerVariant, Scene, Variant
from parity.checking.model.layout import Key

ONE_SHARE = Bug(
    "one-share",
    "of what flows in from the {units} units above only the share of unit {number} (the {which}) "
    "arrives: the shares are assigned, not added up",
    "def backward(): x.grad = w.data * out.grad  # and x is used by several units",
    "add each unit's share to those before: x.grad += w.data * out.grad",
    symptom=True,
)
ONE_SHARE_EACH = Bug(
    "one-share",
    "of what flows in from the {units} units above only one share arrives at each unit, of another "
    "unit above from case to case: the shares are assigned, not added up",
    "def backward(): x.grad = w.data * out.grad  # and x is used by several units",
    "add each unit's share to those before: x.grad += w.data * out.grad",
)
SHARE_LEFT_OUT = Bug(
    "share-left-out",
    "of what flows in from the {units} units above the share of unit {number} (the {which}) is "
    "left out",
    "for k in range(n_out - 1): error += delta2[k] * W2[j][k]",
    "let the sum go over all units of the layer above",
)
WEIGHT_OF_ABOVE = Bug(
    "weight-of-above",
    "each unit of the layer gets the same sum: the weight is indexed by the unit above alone, "
    "W[k, k] in place of W[k, j]",
    "for k, above in enumerate(out): error += above.delta * above.weights[k]  # [j] is meant",
    "take the weight from this unit j to the unit above: above.weights[j]",
)
SUM_NOT_RESET = Bug(
    "sum-not-reset",
    "the error's sum is not set back to 0 for each unit: unit j gets those of the units {span}",
    "error = 0; for j in hidden: for k in out: error += delta2[k] * W2[j][k]",
    "begin each unit's sum at 0: error = 0 inside of the loop over j",
)
UNIT_SKIPPED = Bug(
    "unit-skipped",
    "unit {number} (the {which}) of the layer gets no delta: the loop over the units misses it",
    "for j in range(n_hidden - 1): delta1[j] = error[j] * d_tanh(z1[j])",
    "let the loop reach each of the layer's units",
)


def sum_variants(units: int, above: int, scales: Sequence[float] = ()) -> list[LayerVariant]:
    """Return the wrong ways to sum what a layer's activations get from the layer above.

    Each takes ``(scene, layer, delta)``, as those of ``propagation_variants`` do.

    Args:
        units: Of the layer.
        above: Units of the layer above it.
        scales: What the user's own deltas may be, in multiples of those here.
    """
    return [
        *_shares(above),
        *_running(units),
        *_skipped(units),
        *_same_for_all(units, above),
        *_chosen(above, scales),
    ]


def _shares(above: int) -> Iterator[LayerVariant]:
    """Yield sums in which some of the shares are missing."""
    for number, which in _ends(above):
        values = {"units": above, "number": number, "which": which}
        only = np.zeros((1, above))
        only[0, number] = 1.0
        yield Variant(_summed(only), ONE_SHARE, values)
    # Of two units one's share alone is the other's left out.
    for number, which in reversed(list(_ends(above))) if above > 2 else ():
        values = {"units": above, "number": number, "which": which}
        others = np.ones((1, above))
        others[0, number] = 0.0
        yield Variant(_summed(others), SHARE_LEFT_OUT, values)


def _chosen(above: int, scales: Sequence[float]) -> Iterator[LayerVariant]:
    """Yield what each unit gets where one share arrives, of any of the units above.

    Which one is read off the user's own gradient of one sample, as it may be left to chance: the
    one that comes nearest.
    """

    def of(scale: float) -> Callable[[Scene, int, Approx], Approx | None]:
        def compute(scene: Scene, layer: int, delta: Approx) -> Approx | None:
            observed = scene.probe.gradients.get(Key(layer, "kernel"))
            function = scene.function(layer)
            if observed is None or len(delta.value) > 1 or not function.elementwise:
                return None
            kernel = scene.fwd.kernels[layer + 1].value  # (units, above)
            slope = scene.slope(function, scene.fwd.z[layer]).value  # (1, units)
            x = scene.fwd.inputs[layer].value  # (1, inputs)
            size = float(np.vdot(x, x))
            if not size:
                return None
            shares = scale * slope.T * kernel * delta.value  # (units, above)
            arrived = (x @ observed).T / size  # (units, 1)
            nearest = np.argmin(np.abs(shares - arrived), axis=1)
            only = np.zeros_like(kernel)
            only[np.arange(len(kernel)), nearest] = 1.0
            return delta @ (scene.fwd.kernels[layer + 1] * only).T

        return compute

    for scale in scales if above > 1 else ():
        yield Variant(of(scale), ONE_SHARE_EACH, {"units": above})


def _same_for_all(units: int, above: int) -> Iterator[LayerVariant]:
    """Yield a sum whose weights are indexed by the unit above alone."""

    def compute(scene: Scene, layer: int, delta: Approx) -> Approx:
        diagonal = np.zeros((units, above))
        diagonal[np.arange(above), np.arange(above)] = 1.0
        own = scene.fwd.kernels[layer + 1] * diagonal
        return (delta @ own.T).sum(axis=1, keepdims=True) * np.ones((1, units))

    if 1 < above <= units:
        yield Variant(compute, WEIGHT_OF_ABOVE)


def _running(units: int) -> Iterator[LayerVariant]:
    """Yield sums that go on from one unit of the layer to the next."""
    if units > 1:
        upto = np.triu(np.ones((units, units)))
        yield Variant(_carried(upto), SUM_NOT_RESET, {"span": "0 to j"})
        yield Variant(_carried(upto.T), SUM_NOT_RESET, {"span": "j to the last"})


def _skipped(units: int) -> Iterator[LayerVariant]:
    """Yield what leaves out a unit of the layer itself."""
    for number, which in reversed(list(_ends(units))):
        kept = np.eye(units)
        kept[number, number] = 0.0
        yield Variant(_carried(kept), UNIT_SKIPPED, {"number": number, "which": which})


def _ends(units: int) -> Iterator[tuple[int, str]]:
    """Yield the first and the last unit, counted from 0, where there are two."""
    if units > 1:
        yield 0, "first"
        yield units - 1, "last"


def _summed(weights: Array) -> Callable[[Scene, int, Approx], Approx]:
    """Return the sum in which the shares of the units above have weights, (1, above)."""
    return lambda scene, layer, delta: (delta * weights) @ scene.fwd.kernels[layer + 1].T


def _carried(matrix: Array) -> Callable[[Scene, int, Approx], Approx]:
    """Return the right sums times a matrix of the layer's units, (units, units)."""

    def compute(scene: Scene, layer: int, delta: Approx) -> Approx:
        return (delta @ scene.fwd.kernels[layer + 1].T) @ scene.exact(matrix)

    return compute
