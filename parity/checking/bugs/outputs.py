"""Ways to get the output's delta wrong: from the loss, through softmax, and sample by sample."""

from collections.abc import Callable, Sequence

import numpy as np

from numpy_impl.activations import ActivationFunction
from parity.bounds.activations import softmax, through
from parity.bounds.rounding import Approx
from parity.checking.bugs.deltas import slope_variants
from parity.checking.bugs.errors import error_variants
from parity.checking.bugs.table import Bug
from parity.checking.bugs.variant import LayerVariant, OutputVariant, RowVariant, Scene, Variant
from parity.checking.model.losses import LossKind

_JACOBIAN = "multiply by the whole Jacobian: delta = a * (g - sum(g * a)) with g = dC/da"
_FUSED = "for softmax with cross-entropy use delta = a - y as it is"
SOFTMAX_MISSING = Bug(
    "softmax-missing", "softmax Jacobian missing",
    "delta2 = -y / a2  # dC/da, taken for dC/dz", _JACOBIAN,
)  # fmt: skip
SOFTMAX_DIAGONAL = Bug(
    "softmax-diagonal", "softmax Jacobian cut to its diagonal a(1 - a)",
    "delta2 = (a2 - y) * a2 * (1 - a2)  # squared error", _JACOBIAN,
)  # fmt: skip
SOFTMAX_PLUS = Bug(
    "softmax-plus",
    "softmax Jacobian with a plus for the minus: the part off its diagonal has the wrong sign",
    "delta2 = a2 * (g + (g * a2).sum(axis=1, keepdims=True))",
    "take the sum off: delta = a * (g - sum(g * a)) with g = dC/da",
)
SOFTMAX_SUM_MISSING = Bug(
    "softmax-sum-missing", "softmax Jacobian without its sum: only a * g is left of it",
    "delta2 = a2 * (a2 - y)  # squared error", _JACOBIAN,
)  # fmt: skip
SOFTMAX_TWICE = Bug(
    "softmax-twice", "softmax Jacobian taken twice (the fused p - y passed through it again)",
    "g = a2 - y; delta2 = a2 * (g - (g * a2).sum(axis=1, keepdims=True))", _FUSED,
)  # fmt: skip
SOFTMAX_FUSED_DIAGONAL = Bug(
    "softmax-fused-diagonal",
    "fused p - y passed through the softmax derivative p(1 - p) again (softmax taken twice)",
    "delta2 = (a2 - y) * a2 * (1 - a2)  # cross-entropy", _FUSED,
)  # fmt: skip
DIAGONAL_OF_ACTIVATION = Bug(
    "softmax-diagonal-of-activation",
    "softmax Jacobian cut to its diagonal, and evaluated at softmax(softmax(z)): the derivative is "
    "taken at the activation instead of the pre-activation",
    "delta2 = g * softmax(a2) * (1 - softmax(a2))  # d_softmax(a2)",
    f"hand the derivative z, not a, and {_JACOBIAN}",
)  # fmt: skip
DIAGONAL_OF_LOGITS = Bug(
    "softmax-diagonal-of-logits",
    "softmax Jacobian cut to its diagonal, and a(1 - a) put at the pre-activation",
    "delta2 = g * z2 * (1 - z2)", _JACOBIAN,
)  # fmt: skip
SOFTMAX_OF_ACTIVATION = Bug(
    "softmax-of-activation",
    "softmax Jacobian evaluated at softmax(softmax(z)): taken at the activation instead of the "
    "pre-activation",
    "s = softmax(a2); delta2 = s * (g - (g * s).sum(axis=1, keepdims=True))",
    "hand the derivative z, not a",
)  # fmt: skip
ONE_SAMPLE = Bug(
    "one-sample",
    "only the {which} sample of the batch is used",
    "delta2 = forward(x[0]) - y[0]  # and x has many rows",
    "go through all samples and add their gradients up; or, if it is meant for one sample a call, "
    'say samples="single"',
)
TARGETS_BROADCAST = Bug(
    "targets-broadcast",
    "targets and outputs are broadcast against each other: {given} against {other} gives (n, n)",
    "delta = a - y  # a is (n, 1) and y is (n,)",
    "give both the same axes first: y.reshape(-1, 1) beside outputs (n, 1), or outputs[:, 0] "
    "beside y of shape (n,)",
)  # fmt: skip
SAMPLE_LEFT_OUT = Bug(
    "sample-left-out", "{which} sample of the batch left out",
    "for i in range(len(x) - 1): ...",
    "let the loop or slice over the batch reach its {which} sample (x[i:j] ends before j)",
)  # fmt: skip
SAMPLE_TWICE = Bug(
    "sample-twice", "{which} sample of the batch counted twice",
    "for i in [0, *range(len(x))]: ...",
    "let the loop or slice over the batch visit each sample once",
)  # fmt: skip


def output_variants(kind: LossKind, function: ActivationFunction) -> Sequence[OutputVariant]:
    """Return the ways to get ``dC/dz`` at the output layer, the right one first."""
    right = OutputVariant(lambda scene: kind.delta(scene.fwd, scene.y))
    own = kind.family == "own"
    if not function.elementwise:
        if own:
            return [right]
        return [right, *_softmax_variants(kind), *error_variants(kind, function)]

    def with_slope(variant: LayerVariant) -> OutputVariant:
        def compute(scene: Scene) -> Approx | None:
            incoming = kind.incoming(scene.fwd, scene.y)
            if incoming is None:
                return None
            return variant.compute(scene, scene.fwd.plan.depth - 1, incoming)

        return Variant(compute, variant.bug, variant.values)

    slopes = (with_slope(variant) for variant in slope_variants(function)[1:])
    return [right, *slopes, *(() if own else error_variants(kind, function))]


def _softmax_variants(kind: LossKind) -> list[OutputVariant]:
    def of(formula: Callable[[Approx, Approx, Approx], Approx]) -> Callable[[Scene], Approx]:
        def compute(scene: Scene) -> Approx:
            z, a = scene.fwd.z[-1], scene.fwd.a[-1]
            return formula(z, a, kind.slope(a, scene.y))

        return compute

    def again(scene: Scene) -> Approx:
        z, a = scene.fwd.z[-1], scene.fwd.a[-1]
        return through(scene.function(-1), z, a, kind.delta(scene.fwd, scene.y))

    def fused_diagonal(scene: Scene) -> Approx:
        a = scene.fwd.a[-1]
        return kind.delta(scene.fwd, scene.y) * (a * (1.0 - a))

    def at_activation(z: Approx, a: Approx, g: Approx) -> Approx:
        return softmax(a) * (g - (g * softmax(a)).sum(axis=-1, keepdims=True))

    return [
        Variant(of(lambda z, a, g: g), SOFTMAX_MISSING),
        Variant(of(lambda z, a, g: g * (a * (1.0 - a))), SOFTMAX_DIAGONAL),
        Variant(of(lambda z, a, g: a * (g + (g * a).sum(axis=-1, keepdims=True))), SOFTMAX_PLUS),
        Variant(of(lambda z, a, g: a * g), SOFTMAX_SUM_MISSING),
        Variant(again, SOFTMAX_TWICE),
        Variant(fused_diagonal, SOFTMAX_FUSED_DIAGONAL),
        Variant(of(lambda z, a, g: g * (softmax(a) * (1.0 - softmax(a)))), DIAGONAL_OF_ACTIVATION),
        Variant(of(lambda z, a, g: g * (z * (1.0 - z))), DIAGONAL_OF_LOGITS),
        Variant(of(at_activation), SOFTMAX_OF_ACTIVATION),
    ]


def row_variants(batch: int) -> list[RowVariant]:
    """Return what may happen to samples of the batch, as changes of the output's delta."""

    def weighted(
        index: int, weight: float, others: float = 1.0
    ) -> Callable[[Scene, Approx], Approx]:
        def compute(scene: Scene, delta: Approx) -> Approx:
            weights = np.full((batch, 1), others)
            weights[index] = weight
            return delta * weights

        return compute

    found = [RowVariant(lambda scene, delta: delta)]
    if batch < 2:
        return found
    for i, which in ((0, "first"), (batch - 1, "last")):
        found.append(Variant(weighted(i, 1.0, others=0.0), ONE_SAMPLE, {"which": which}))
    order = [batch - 1, 0, *range(1, batch - 1)]
    for i in order:
        which = {0: "first", 1: "second", 2: "third", batch - 1: "last"}.get(i, f"{i + 1}th")
        found.append(Variant(weighted(i, 0.0), SAMPLE_LEFT_OUT, {"which": which}))
        found.append(Variant(weighted(i, 2.0), SAMPLE_TWICE, {"which": which}))
    return found
