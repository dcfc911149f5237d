"""Ways to start backpropagation from a wrong error at the output."""

from collections.abc import Callable, Iterator

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.activations import through
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug, Values
from parity.checking.bugs.variant import OutputVariant, Scene, Variant, from_activation
from parity.checking.model.losses import BINARY, BINARY_LOGITS, LOGITS, SQUARED, LossKind

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
ERROR_OF_OUTPUTS = Bug(
    "error-of-outputs",
    "the output's error is averaged over the outputs: every output gets the same error",
    "error = (a2 - y).mean(axis=1, keepdims=True)",
    "keep an error for each output",
)
ERROR_ONE_NUMBER = Bug(
    "error-one-number",
    "the output's error is averaged over batch and outputs to one number before it is propagated",
    "error = np.mean(a2 - y)",
    "keep an error for each sample and output",
)
LOSS_VALUE = Bug(
    "loss-value",
    "backpropagation starts from {value}, the loss's value or an error that has lost its sign, in "
    "place of the derivative",
    "delta2 = (a2 - y) ** 2 * a2 * (1 - a2)",
    "start from the derivative of the loss by the output: a - y for 1/2 (a - y)^2",
)
TERM_SIGN = Bug(
    "cross-entropy-sign",
    "the second term of the binary cross-entropy's derivative has the wrong sign: the minus stands "
    "before both terms",
    "da = -(y / a2 + (1 - y) / (1 - a2))  # -(y / a2 - (1 - y) / (1 - a2)) is meant",
    "write (1 - y) / (1 - a) - y / a",
)
TARGETS_IGNORED = Bug(
    "targets-ignored",
    "the targets are ignored: the output's error is the output a itself",
    "delta2 = a2 * a2 * (1 - a2)  # and no y",
    "take the targets off: a - y",
)
OUTPUTS_IGNORED = Bug(
    "outputs-ignored",
    "the outputs are ignored: the output's error is -y alone",
    "delta2 = -y",
    "add the outputs: a - y",
)
TARGETS_ADDED = Bug(
    "targets-added",
    "the targets are added to the outputs instead of taken off: a + y",
    "delta2 = a2 + y",
    "take them off: a - y",
)
TARGETS_TURNED = Bug(
    "targets-turned",
    "the targets are turned round: the error is a - (1 - y)",
    "delta2 = a2 - (1 - y)",
    "use the targets as they are given: a - y",
)
TARGETS_SHIFTED = Bug(
    "targets-shifted",
    "the targets are shifted by one class ({way})",
    "delta2[range(m), labels - 1] -= 1  # labels count from 0",
    "class 0 is the first output; if your labels count from 1, hand over y + 1",
)
TARGETS_OF_EVERY_SAMPLE = Bug(
    "targets-of-every-sample",
    "the targets of all samples are taken off every sample's outputs: the index picks whole "
    "columns, of every class that occurs in the batch",
    "delta2 = a2.copy(); delta2[:, labels] -= 1",
    "pick one element a row: delta2[np.arange(len(labels)), labels] -= 1",
)
TARGETS_OF_OTHER_SAMPLE = Bug(
    "targets-of-other-sample",
    "each sample of the batch is compared with another sample's target: {which}",
    "delta2 = a2 - y[::-1]",
    "keep samples and targets in the same order (shuffle both by one permutation)",
)
TARGETS_OF_ONE_SAMPLE = Bug(
    "targets-of-one-sample",
    "every sample of the batch is compared with the {which} sample's target",
    "delta2 = a2 - y[0]",
    "compare each sample with its own target",
)


def error_variants(kind: LossKind, function: ActivationFunction) -> list[OutputVariant]:
    """Return ways to get ``dC/dz`` at the output layer from a wrong error.

    The error is ``dC/da``, or ``a - y`` where the loss cancels the activation's derivative.
    """
    fused = kind.cancels(function)
    of_logits = kind in (LOGITS, BINARY_LOGITS)

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

    def of(wrong: Callable[[Approx, Array], Approx]) -> Callable[[Scene], Approx | None]:
        def compute(scene: Scene) -> Approx | None:
            z, a = scene.fwd.z[-1], scene.fwd.a[-1]
            # Behind logits the loss computes the probabilities, of which 0 is taken off here.
            e = wrong(kind.slope(a, np.zeros_like(scene.y)) if of_logits else a, scene.y)
            return e if fused or of_logits else through(function, z, a, e)

        return compute

    def both_terms(scene: Scene) -> Approx:
        z, a = scene.fwd.z[-1], scene.fwd.a[-1]
        terms = scene.exact(scene.y) / a + scene.exact(1 - scene.y) / (1.0 - a)
        return through(function, z, a, -terms)

    found: list[OutputVariant] = [
        Variant(of_batch(averaged), ERROR_AVERAGED),
        Variant(of_batch(divided), OUTPUTS_DIVIDED),
    ]
    for wrong, bug, values in _wrong_errors() if kind is SQUARED or fused or of_logits else ():
        # Through the slope, or behind a linear layer, -y is the derivative of the loss -sum y a.
        if bug is not OUTPUTS_IGNORED or (fused and function.name != "linear"):
            found.append(Variant(of(wrong), bug, values))
    if kind is BINARY:
        found.insert(0, Variant(both_terms, TERM_SIGN))
    if kind is SQUARED:
        found.append(Variant(overwritten, DERIVATIVE_AT_ERROR, {"activation": function.name}))
    return found


def _wrong_errors() -> Iterator[tuple[Callable[[Approx, Array], Approx], Bug, Values]]:
    """Yield what may stand in the place of a - y; ``(a, y)`` to it, its bug and its values."""

    def shifted(by: int) -> Callable[[Approx, Array], Approx]:
        return lambda a, y: a - np.roll(y, by, axis=1)

    def of_sample(index: int) -> Callable[[Approx, Array], Approx]:
        return lambda a, y: a - y[index][None]

    def moved(by: int) -> Callable[[Approx, Array], Approx]:
        return lambda a, y: a - np.roll(y, by, axis=0)

    def over_outputs(a: Approx, y: Array) -> Approx:
        return (a - y).sum(axis=1, keepdims=True) * np.full(y.shape, 1 / y.shape[1])

    yield lambda a, y: a * 1.0, TARGETS_IGNORED, {}
    yield lambda a, y: a.rounding.exact(-y), OUTPUTS_IGNORED, {}
    yield lambda a, y: a + y, TARGETS_ADDED, {}
    yield lambda a, y: a - (1 - y), TARGETS_TURNED, {}
    yield lambda a, y: (a - y) * (a - y), LOSS_VALUE, {"value": "(a - y)^2"}
    yield lambda a, y: (a - y).monotone(np.abs, 0.0), LOSS_VALUE, {"value": "|a - y|"}
    yield shifted(1), TARGETS_SHIFTED, {"way": "up: class k is taken for k + 1"}
    yield shifted(-1), TARGETS_SHIFTED, {"way": "down: class k is taken for k - 1"}
    yield lambda a, y: a - y.max(axis=0, keepdims=True), TARGETS_OF_EVERY_SAMPLE, {}
    yield of_sample(0), TARGETS_OF_ONE_SAMPLE, {"which": "first"}
    yield of_sample(-1), TARGETS_OF_ONE_SAMPLE, {"which": "last"}
    for by, which in ((1, "the one before"), (-1, "the one behind it")):
        yield moved(by), TARGETS_OF_OTHER_SAMPLE, {"which": which}
    yield lambda a, y: a - y[::-1], TARGETS_OF_OTHER_SAMPLE, {"which": "in the reverse order"}
    yield over_outputs, ERROR_OF_OUTPUTS, {}
    yield lambda a, y: (a - y).sum() * np.full(y.shape, 1 / y.size), ERROR_ONE_NUMBER, {}
