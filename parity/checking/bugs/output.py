"""Ways to get the deltas at the output wrong: ``dC/dz``, and the samples that it is made of."""

from collections.abc import Callable

import numpy as np

from numpy_impl.activations import ActivationFunction
from parity.bounds.activations import softmax, through
from parity.checking.bugs.hidden import slope_variants
from parity.checking.bugs.table import Bug
from parity.checking.bugs.variant import Scene, Variant, from_activation
from parity.checking.model.losses import LossKind
from parity.tolerances import Approx

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
ERROR_AVERAGED = Bug(
    "error-averaged",
    "the output's error is averaged over the batch before it is propagated: every sample gets the "
    "mean error",
    "error = np.mean(a2 - y, axis=0)",
    "keep a row of errors for each sample, and average the gradients x.T @ delta",
)
OUTPUTS_DIVIDED = Bug(
    "outputs-divided",
    "the outputs are divided by the batch size before the targets are taken off: a/m - y instead "
    "of (a - y)/m",
    "delta2 = a2 / len(x) - y",
    "take the targets off first, then divide the difference",
)
DERIVATIVE_AT_ERROR = Bug(
    "derivative-at-error",
    "{activation}'s derivative taken at the error a - y instead of at a, as where the error is "
    "computed in place and so overwrites the outputs",
    "a2 -= y; delta2 = a2 * a2 * (1 - a2)",
    "compute the error in an array of its own: error = a - y, not a -= y",
)
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


def output_variants(kind: LossKind, function: ActivationFunction) -> list[Variant]:
    """Return the ways to get ``dC/dz`` at the output layer, the right one first."""
    right = Variant(lambda scene: kind.delta(scene.fwd, scene.y))
    if function.name in ("softmax", "log_softmax"):
        return [right, *_softmax_variants(kind), *_error_variants(kind, function)]

    def with_slope(variant: Variant) -> Variant:
        def compute(scene: Scene) -> Approx | None:
            incoming = kind.slope(scene.fwd.output, scene.y)
            return variant.compute(scene, scene.fwd.plan.depth - 1, incoming)

        return Variant(compute, variant.bug, variant.values)

    slopes = (with_slope(variant) for variant in slope_variants(function)[1:])
    return [right, *slopes, *_error_variants(kind, function)]


def _softmax_variants(kind: LossKind) -> list[Variant]:
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
        Variant(again, SOFTMAX_TWICE),
        Variant(fused_diagonal, SOFTMAX_FUSED_DIAGONAL),
        Variant(of(lambda z, a, g: g * (softmax(a) * (1.0 - softmax(a)))), DIAGONAL_OF_ACTIVATION),
        Variant(of(lambda z, a, g: g * (z * (1.0 - z))), DIAGONAL_OF_LOGITS),
        Variant(of(at_activation), SOFTMAX_OF_ACTIVATION),
    ]


def _error_variants(kind: LossKind, function: ActivationFunction) -> list[Variant]:
    """Return ways to get ``dC/dz`` at the output layer from a wrong error.

    The error is ``dC/da``, or ``a - y`` where the loss cancels the activation's derivative.
    """
    fused = kind.cancels(function)

    def error(a: Approx, scene: Scene) -> Approx:
        return a - scene.y if fused else kind.slope(a, scene.y)

    def of_batch(wrong: Callable[[Scene, int], Approx]) -> Callable[[Scene], Approx | None]:
        def compute(scene: Scene) -> Approx | None:
            e = wrong(scene, len(scene.y))
            z, a = scene.fwd.z[-1], scene.fwd.a[-1]
            return None if len(scene.y) == 1 else e if fused else through(function, z, a, e)

        return compute

    def averaged(scene: Scene, batch: int) -> Approx:
        mean = error(scene.fwd.a[-1], scene).sum(axis=0, keepdims=True) * (1 / batch)
        return mean * np.ones((batch, 1))

    def divided(scene: Scene, batch: int) -> Approx:
        # What the targets are taken off from may be a softmax that only the loss computes.
        predicted = error(scene.fwd.a[-1], scene) + scene.y
        return predicted * (1 / batch) - scene.y

    def overwritten(scene: Scene) -> Approx | None:
        e = error(scene.fwd.a[-1], scene)
        form = None if fused else from_activation(function.name, e)
        return None if form is None else e * form

    return [
        Variant(of_batch(averaged), ERROR_AVERAGED),
        Variant(of_batch(divided), OUTPUTS_DIVIDED),
        Variant(overwritten, DERIVATIVE_AT_ERROR, {"activation": function.name}),
    ]


def row_variants(batch: int) -> list[Variant]:
    """Return what may happen to samples of the batch, as changes of the output's delta."""

    def weighted(index: int, weight: float) -> Callable[[Scene, Approx], Approx]:
        def compute(scene: Scene, delta: Approx) -> Approx:
            weights = np.ones((batch, 1))
            weights[index] = weight
            return delta * weights

        return compute

    found = [Variant(lambda scene, delta: delta)]
    if batch < 2:
        return found
    order = [batch - 1, 0, *range(1, batch - 1)]
    for i in order:
        which = {0: "first", 1: "second", 2: "third", batch - 1: "last"}.get(i, f"{i + 1}th")
        found.append(Variant(weighted(i, 0.0), SAMPLE_LEFT_OUT, {"which": which}))
        found.append(Variant(weighted(i, 2.0), SAMPLE_TWICE, {"which": which}))
    return found
