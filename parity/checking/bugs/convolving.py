"""Ways in which convolution, pooling and flattening go wrong, each as the Keras layer changed."""

import functools
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from parity.checking.bugs.change import LayerChange, LayerScene
from parity.checking.bugs.table import Bug

FLIPPED_KERNEL = Bug(
    "flipped-kernel",
    "the kernel is turned round {axes}: convolution, where the layer computes a correlation",
    "scipy.signal.convolve2d(x, k, mode='valid')",
    "take the kernel as it is: sum(x[i:i + h, j:j + w] * k), or correlate2d",
)
PADDING = Bug(
    "padding",
    'the padding is {theirs} instead of "{meant}"',
    "out = correlate(x, k, mode='valid')  # where the layer has padding=\"same\"",
    'pad as the layer does: "{meant}"; "same" puts the odd one at the end',
)
STRIDES = Bug(
    "strides",
    "the strides are {theirs} instead of {meant}",
    "for i in range(0, h, 2): ...  # where the layer has strides=1",
    "go on by {meant}",
)
DILATION = Bug(
    "dilation",
    "the dilation is {theirs} instead of {meant}",
    "x[i + 0], x[i + 1], x[i + 2]  # where the layer has dilation_rate=2",
    "leave {meant} - 1 places out between the kernel's entries",
)
POOLING = Bug(
    "pooling",
    "the pooling takes the {theirs} instead of the {meant}",
    "window.mean()  # where the layer takes the maximum",
    "take the {meant} of each window",
)
PADDING_COUNTED = Bug(
    "padding-counted",
    "the pooling counts the padding with it, as {value}",
    "np.pad(x, ...).mean()  # the zeros are no part of the picture",
    "leave the padding out of each window",
)
FLATTENED_ORDER = Bug(
    "flattened-order",
    "the array is flattened in another order of axes: {theirs}",
    "x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # channels first",
    "flatten (height, width, channels) as they lie: x.reshape(len(x), -1)",
)
CHANNEL_ORDER = Bug(
    "channel-order",
    "the channels of the inputs are taken in the other order (BGR for RGB)",
    "x = cv2.imread(name)  # blue comes first",
    "turn the last axis round: x[..., ::-1]",
)
_BY_RANK = {1: "", 2: "along both axes", 3: "along all axes"}


def changes(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield the wrong ways of a layer with windows, or one that only puts numbers elsewhere."""
    yield from _kernel(scene)
    yield from _pooled(scene)
    yield from _windows(scene)
    yield from _order(scene)


def channels(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield the model with the channels of its inputs in the other order."""
    if scene.inputs and scene.inputs[0].ndim == 4 and 1 < scene.inputs[0].shape[-1] <= 4:
        yield LayerChange(
            CHANNEL_ORDER,
            scene.layer,
            call=_with_first(functools.partial(scene.keras.ops.flip, axis=-1)),
        )


def _with_first(function: Callable[[Any], Any]) -> Any:
    """Return a layer's call with its first argument changed."""

    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return own(function(args[0]), *args[1:], **kwargs)

    return call


def _kernel(scene: LayerScene) -> Iterator[LayerChange]:
    for variable, value in scene.weights:
        spatial = tuple(range(value.ndim - 2))
        if not spatial or scene.attribute("kernel_size") is None:
            continue
        every = [spatial, *((a,) for a in spatial if len(spatial) > 1)]
        for axes in every:
            words = _BY_RANK[len(spatial)] if axes == spatial else f"along axis {axes[0]}"
            yield LayerChange(
                FLIPPED_KERNEL,
                scene.layer,
                {"axes": words} if words else {"axes": "along time"},
                weights={id(variable): np.flip(value, axes)},
            )


def _windows(scene: LayerScene) -> Iterator[LayerChange]:
    layer, padding = scene.layer, scene.attribute("padding")
    size = scene.attribute("kernel_size") or scene.attribute("pool_size")
    if padding not in ("same", "valid", "causal") or not isinstance(size, tuple):
        return
    sizes: tuple[int, ...] = tuple(size)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for theirs in ("same", "valid"):
        if theirs != padding:
            values = {"theirs": f'"{theirs}"', "meant": padding}
            yield LayerChange(PADDING, layer, values, settings=[(layer, "padding", theirs)])
    dilation = scene.attribute("dilation_rate") or (1,) * len(sizes)
    reach = [(n - 1) * d for n, d in zip(sizes, dilation, strict=True)]
    pooled = scene.attribute("pool_size") is not None
    ways: tuple[tuple[str, list[tuple[int, int]]], ...] = (
        ("the same at both ends", [(n // 2, n // 2) for n in reach]),
        ("the same at both ends, rounded up", [(n - n // 2, n - n // 2) for n in reach]),
        ("all at the beginning", [(n, 0) for n in reach]),
        ("all at the end", [(0, n) for n in reach]),
        ("the odd one at the beginning", [(n - n // 2, n // 2) for n in reach]),
    )
    for words, pads in ways:
        values = {"theirs": words, "meant": padding}
        call = _with_first(_padding(scene, pads, -np.inf if pooled else 0.0))
        yield LayerChange(PADDING, layer, values, [(layer, "padding", "valid")], call=call)
    if pooled and padding == "same":
        pads = _same(scene, sizes)
        call = _with_first(_padding(scene, pads, 0.0))
        yield LayerChange(
            PADDING_COUNTED, layer, {"value": "zeros"}, [(layer, "padding", "valid")], call=call
        )
    own = tuple(layer.strides)
    for theirs in dict.fromkeys([(1,) * len(sizes), (2,) * len(sizes), sizes, (3,) * len(sizes)]):
        if theirs != own:
            values = {"theirs": _short(theirs), "meant": _short(own)}
            yield LayerChange(STRIDES, layer, values, settings=[(layer, "strides", theirs)])
    if scene.attribute("dilation_rate") is not None:
        for theirs in ((1,) * len(sizes), (2,) * len(sizes)):
            if theirs != tuple(dilation):
                values = {"theirs": _short(theirs), "meant": _short(tuple(dilation))}
                yield LayerChange(
                    DILATION, layer, values, settings=[(layer, "dilation_rate", theirs)]
                )


def _short(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else str(tuple(sizes))


def _same(scene: LayerScene, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the padding of "same", the odd one at the end."""
    found: list[tuple[int, int]] = []
    shape = scene.inputs[0].shape[1:-1]
    for n, size, stride in zip(shape, sizes, scene.layer.strides, strict=True):
        total = max((-(-n // stride) - 1) * stride + size - n, 0)
        found.append((total // 2, total - total // 2))
    return found


def _padding(scene: LayerScene, pads: Sequence[tuple[int, int]], value: float) -> Any:
    whole = [(0, 0), *pads, (0, 0)]
    return functools.partial(scene.keras.ops.pad, pad_width=whole, constant_values=value)


def _pooled(scene: LayerScene) -> Iterator[LayerChange]:
    ops, layer = scene.keras.ops, scene.layer
    if scene.attribute("pool_size") is not None:
        for theirs, function in (("mean", ops.average_pool), ("maximum", ops.max_pool)):

            def call(own: Any, args: Any, kwargs: Any, function: Any = function) -> Any:
                x = args[0]
                return function(x, layer.pool_size, layer.strides, layer.padding, layer.data_format)

            meant = {"mean": "maximum", "maximum": "mean"}[theirs]
            yield LayerChange(POOLING, layer, {"theirs": theirs, "meant": meant}, call=call)
    elif scene.attribute("keepdims") is not None and not scene.weights and scene.inputs:
        axes = list(range(1, scene.inputs[0].ndim - 1))
        functions = {"mean": np.mean, "maximum": np.max, "sum": np.sum}
        plain = scene.output.reshape(scene.inputs[0].shape[0], -1)
        meant = next(
            (
                name
                for name, f in functions.items()
                if axes and np.allclose(f(scene.inputs[0], axis=tuple(axes)), plain, rtol=1e-9)
            ),
            "other",
        )
        for theirs, name in (("mean", "mean"), ("maximum", "max"), ("sum", "sum")):

            def reduced(own: Any, args: Any, kwargs: Any, name: str = name) -> Any:
                return getattr(ops, name)(args[0], axis=axes, keepdims=layer.keepdims)

            yield LayerChange(POOLING, layer, {"theirs": theirs, "meant": meant}, call=reduced)


def _order(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield other orders in which a layer without weights puts the same numbers."""
    if scene.weights or len(scene.inputs) != 1:
        return
    x, y, ops = scene.inputs[0], scene.output, scene.keras.ops
    if x.shape == y.shape or not np.array_equal(x.ravel(), y.ravel()):
        return
    for axes in permutations(range(1, x.ndim)):
        if list(axes) != sorted(axes):

            def call(own: Any, args: Any, kwargs: Any, axes: Any = axes) -> Any:
                turned = ops.transpose(args[0], (0, *axes))
                return ops.reshape(turned, (-1, *y.shape[1:]))

            values = {"theirs": ", ".join(map(str, axes))}
            yield LayerChange(FLATTENED_ORDER, scene.layer, values, call=call)
