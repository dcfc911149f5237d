"""Ways in which a normalization layer goes wrong, each as the Keras layer with that changed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from parity.checking.bugs.change import LayerChange, LayerScene
from parity.checking.bugs.table import Bug

EPSILON = Bug(
    "epsilon",
    "epsilon is {theirs} in a normalization, and {meant} in the reference's",
    "x_hat = (x - mean) / np.sqrt(var + 1e-5)  # where the layer has epsilon=1e-3",
    "use the layer's epsilon, {meant} (Keras's default is 1e-3, others' is often 1e-5)",
)
EPSILON_PLACE = Bug(
    "epsilon-place",
    "epsilon ({theirs}) is added to the standard deviation, and not to the variance",
    "x_hat = (x - mean) / (np.sqrt(var) + eps)",
    "add it inside of the root: np.sqrt(var + epsilon)",
)
VARIANCE_OVER_N_MINUS_1 = Bug(
    "variance-over-n-minus-1",
    "the variance is divided by n - 1{also}",
    "var = x.var(axis=-1, ddof=1)",
    "divide by n: x.var(axis=-1)",
)
VARIANCE_WITHOUT_ROOT = Bug(
    "variance-without-root",
    "the normalization divides by the variance, and not by its root",
    "x_hat = (x - mean) / (var + eps)",
    "take the square root of it",
)
NORMALIZED_AXIS = Bug(
    "normalized-axis",
    "the normalization takes mean and variance over {over}",
    "mean = x.mean(axis=0)  # where each sample has its own",
    "take them over the axes that the layer normalises: {meant}",
)
BATCH_STATISTICS = Bug(
    "batch-statistics",
    "mean and variance are those of the batch, and not the moving ones{also}",
    "x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)  # in inference",
    "use moving_mean and moving_variance where nothing is trained",
)
_EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 1e-4, 1e-2, 0.0)


def changes(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield the wrong ways of a layer that has an epsilon; nothing for others."""
    layer, epsilon = scene.layer, scene.attribute("epsilon")
    if not isinstance(epsilon, float | int):
        return
    meant = f"{epsilon:g}"
    others = [e for e in _EPSILONS if abs(e - epsilon) > 1e-3 * epsilon]
    for other in others:
        values = {"theirs": f"{other:g}", "meant": meant}
        yield LayerChange(EPSILON, layer, values, settings=[(layer, "epsilon", other)])
    variable = scene.attribute("moving_variance")
    variance = None if variable is None else scene.value(variable)
    if variance is not None:
        for other in (epsilon, *others):
            own = (np.sqrt(variance) + other) ** 2 - epsilon
            yield LayerChange(
                EPSILON_PLACE, layer, {"theirs": f"{other:g}"}, weights={id(variable): own}
            )
        own = (variance + epsilon) ** 2 - epsilon
        yield LayerChange(VARIANCE_WITHOUT_ROOT, layer, weights={id(variable): own})
        yield from _of_batch(scene, epsilon, others)
    elif scene.attribute("gamma") is not None or scene.attribute("beta") is not None:
        yield from _of_sample(scene, epsilon, others)


def _of_batch(scene: LayerScene, epsilon: float, others: Sequence[float]) -> Iterator[LayerChange]:
    """Yield batch normalizations that use the statistics of their batch."""
    axis = scene.layer.axis % scene.output.ndim
    axes = [n for n in range(scene.output.ndim) if n != axis]
    for less, also in ((0, ""), (1, "; the variance is divided by n - 1")):
        call = _normalizing(scene, axes, epsilon, True, less, axis=axis)
        yield LayerChange(BATCH_STATISTICS, scene.layer, {"also": also}, call=call)
    for other in others:
        also = f"; epsilon is {other:g}, where the layer has {epsilon:g}"
        call = _normalizing(scene, axes, other, True, axis=axis)
        yield LayerChange(BATCH_STATISTICS, scene.layer, {"also": also}, call=call)


def _of_sample(scene: LayerScene, epsilon: float, others: Sequence[float]) -> Iterator[LayerChange]:
    """Yield layer normalizations that go wrong: over the last axis, in Keras's default."""
    layer, last = scene.layer, scene.output.ndim - 1
    axis = layer.axis
    own = [a % (last + 1) for a in ([axis] if isinstance(axis, int) else list(axis))]
    if own != [last] or scene.attribute("rms_scaling") or scene.attribute("groups"):
        return
    for other in (epsilon, *others):
        yield LayerChange(
            EPSILON_PLACE,
            layer,
            {"theirs": f"{other:g}"},
            call=_normalizing(scene, own, other, False),
        )
    call = _normalizing(scene, own, epsilon, True, less=1)
    yield LayerChange(VARIANCE_OVER_N_MINUS_1, layer, {"also": ""}, call=call)
    for other in (epsilon, *others):  # with ddof=1 the epsilon is often another one, and outside
        values = {"also": f"; epsilon ({other:g}) is added to the standard deviation"}
        call = _normalizing(scene, own, other, False, less=1)
        yield LayerChange(VARIANCE_OVER_N_MINUS_1, layer, values, call=call)
    yield LayerChange(
        VARIANCE_WITHOUT_ROOT, layer, call=_normalizing(scene, own, epsilon, True, power=1.0)
    )
    words = {(0,): "the batch", tuple(range(1, last + 1)): "all axes of a sample", (1,): "axis 1"}
    words[tuple(range(last + 1))] = "everything"
    for axes, over in words.items():
        if list(axes) != own:
            values = {"over": over, "meant": "the last"}
            call = _normalizing(scene, list(axes), epsilon, True)
            yield LayerChange(NORMALIZED_AXIS, layer, values, call=call)


def _normalizing(
    scene: LayerScene,
    axes: list[int],
    epsilon: float,
    inside: bool,
    less: int = 0,
    power: float = 0.5,
    axis: int = -1,
) -> Any:
    """Return a layer's call that normalises over some axes, with epsilon in or outside of the root.

    Args:
        scene: The layer.
        axes: Those over which mean and variance are taken.
        epsilon: Is added to the variance, or to its root.
        inside: Whether it is inside of the root.
        less: The variance is divided by n less this.
        power: Of the variance by which is divided.
        axis: The one along which scale and offset lie.
    """
    ops, layer = scene.keras.ops, scene.layer

    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = args[0]
        n = int(np.prod([x.shape[a] for a in axes]))
        centred = x - ops.mean(x, axis=axes, keepdims=True)
        variance = ops.sum(centred**2, axis=axes, keepdims=True) / max(n - less, 1)
        root = (variance + epsilon) ** power if inside else ops.sqrt(variance) + epsilon
        y = centred / root
        shape = [1] * len(x.shape)
        shape[axis] = x.shape[axis]
        if layer.gamma is not None:
            y = y * ops.reshape(layer.gamma, shape)
        return y if layer.beta is None else y + ops.reshape(layer.beta, shape)

    return call
