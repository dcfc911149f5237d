"""Ways to get the output's error wrong before backpropagation has begun."""

from collections.abc import Callable

import numpy as np

from numpy_impl.activations import ActivationFunction
from parity.bounds.activations import through
from parity.bounds.rounding import Approx
from parity.checking.catalogue.variant import Scene, Variant, from_activation
from parity.checking.losses import LossKind


def error_variants(kind: LossKind, function: ActivationFunction) -> list[Variant]:
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
        Variant(
            of_batch(averaged), "error-averaged",
            "the output's error is averaged over the batch before it is propagated: every sample "
            "gets the mean error",
            "keep a row of errors for each sample, and average the gradients x.T @ delta",
        ),
        Variant(
            of_batch(divided), "outputs-divided",
            "the outputs are divided by the batch size before the targets are taken off: a/m - y "
            "instead of (a - y)/m",
            "take the targets off first, then divide the difference",
        ),
        Variant(
            overwritten, "derivative-at-error",
            f"{function.name}'s derivative taken at the error a - y instead of at a, as where the "
            "error is computed in place and so overwrites the outputs",
            "compute the error in an array of its own: error = a - y, not a -= y",
        ),
    ]  # fmt: skip
