"""Ways in which attention goes wrong, each as the Keras layer with that changed."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.checking.bugs.change import LayerChange, LayerScene, Replacement
from parity.checking.bugs.table import Bug

ATTENTION_SCALE = Bug(
    "attention-scale",
    "the attention scores are multiplied by {theirs}, and not by {meant}",
    "scores = q @ k.transpose(0, 2, 1)  # without / np.sqrt(d)",
    "multiply the scores by {meant} (d is the size of one head's keys)",
)
ATTENTION_AXIS = Bug(
    "attention-axis",
    "the softmax of the attention scores goes over {over}",
    "w = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)  # (batch, query, key)",
    "normalise over the keys, the last axis of (..., queries, keys)",
)
CAUSAL_MASK = Bug(
    "causal-mask",
    "a causal mask is {theirs}",
    "scores = np.where(np.tri(steps), scores, -np.inf)",
    "mask later positions only where the layer is called with use_causal_mask=True",
)
MASK_IGNORED = Bug(
    "mask-ignored",
    "the mask of padded steps is ignored",
    "h = step(x[:, t], h)  # also where the class number is 0, with mask_zero=True",
    "keep the state, and give no weight, where the mask says that there is nothing",
)
ARGUMENTS_SWAPPED = Bug(
    "arguments-swapped",
    "{what} have changed places",
    "attention(memory, decoder)  # query and value",
    "give them in the layer's order",
)


def changes(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield the wrong ways of a layer with attention scores; nothing for others."""
    layer = scene.layer
    if scene.masked:
        yield LayerChange(MASK_IGNORED, layer, call=_without_mask)
    if scene.attribute("_inverse_sqrt_key_dim") is not None:
        yield from _heads(scene)
    elif scene.attribute("score_mode") == "dot":
        yield from _scores(scene)
    else:
        return
    for applied, theirs in ((True, "applied where there is none"), (False, "left out")):
        yield LayerChange(CAUSAL_MASK, layer, {"theirs": theirs}, call=_causal(applied))
    if len(scene.inputs) > 1 and scene.inputs[0].shape == scene.inputs[1].shape:
        yield LayerChange(ARGUMENTS_SWAPPED, layer, {"what": "query and value"}, call=_swapped)


def _heads(scene: LayerScene) -> Iterator[LayerChange]:
    ops, layer = scene.keras.ops, scene.layer
    d, all_heads = layer._key_dim, layer._key_dim * layer._num_heads
    scales = {
        "1": 1.0,
        "1/d": 1 / d,
        "1/sqrt(d of all heads)": 1 / math.sqrt(all_heads),
        "1/sqrt(size of the inputs)": 1 / math.sqrt(scene.inputs[0].shape[-1]),
        "sqrt(d)": math.sqrt(d),
    }
    for theirs, scale in scales.items():
        if abs(scale * math.sqrt(d) - 1) > 1e-9:
            values = {"theirs": theirs, "meant": "1/sqrt(d)"}
            # A number of NumPy's, as Keras would cast one of Python's to float32.
            setting = (layer, "_inverse_sqrt_key_dim", np.float64(scale))
            yield LayerChange(ATTENTION_SCALE, layer, values, settings=[setting])
    for axis, over in ((-2, "the queries"), (1, "the heads"), (None, "nothing: it is missing")):

        def attended(query: Any, key: Any, value: Any, *_: Any, axis: Any = axis, **__: Any) -> Any:
            scores = ops.einsum("btnh,bsnh->bnts", query, key) / math.sqrt(d)
            shares = scores if axis is None else ops.softmax(scores, axis=axis)
            return ops.einsum("bnts,bsnh->btnh", shares, value), None

        setting = (layer, "_compute_attention", attended)
        yield LayerChange(ATTENTION_AXIS, layer, {"over": over}, settings=[setting])

    def turned(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> Any:
        scores = ops.einsum("btnh,bsnh->bnts", key, query) / math.sqrt(d)
        return ops.einsum("bnts,bsnh->btnh", ops.softmax(scores, axis=-1), value), None

    setting = (layer, "_compute_attention", turned)
    yield LayerChange(ARGUMENTS_SWAPPED, layer, {"what": "query and key"}, settings=[setting])


def _scores(scene: LayerScene) -> Iterator[LayerChange]:
    ops, layer = scene.keras.ops, scene.layer
    d = scene.inputs[0].shape[-1]
    meant = "1" if layer.scale is None else "its own scale"
    scales: dict[str, float | None] = {"1/sqrt(d)": 1 / math.sqrt(d), "1/d": 1 / d}
    if layer.scale is not None:
        scales["1"] = None
    for theirs, scale in scales.items():
        values = {"theirs": theirs, "meant": meant}
        yield LayerChange(ATTENTION_SCALE, layer, values, settings=[(layer, "scale", scale)])
    for axis, over in ((-2, "the queries"), (None, "nothing: it is missing")):

        def applied(scores: Any, value: Any, *_: Any, axis: Any = axis, **__: Any) -> Any:
            shares = scores if axis is None else ops.softmax(scores, axis=axis)
            return ops.matmul(shares, value), shares

        setting = (layer, "_apply_scores", applied)
        yield LayerChange(ATTENTION_AXIS, layer, {"over": over}, settings=[setting])


def _causal(applied: bool) -> Replacement:
    return lambda own, args, kwargs: own(*args, **kwargs | {"use_causal_mask": applied})


def _without_mask(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    masks = {name: None for name in kwargs if name == "mask" or name.endswith("_mask")}
    masks.pop("use_causal_mask", None)
    return own(*args, **kwargs | masks)


def _swapped(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) > 1:
        return own(args[1], args[0], *args[2:], **kwargs)
    lists: Any = args
    first, second, *rest = lists[0]
    return own([second, first, *rest], **kwargs)
