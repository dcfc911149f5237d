"""Attention: ``softmax(q k^T / sqrt(d)) v``, in one head or in several with their projections."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual
from parity.checking.bugs.layers import (
    ATTENTION_AXIS,
    ATTENTION_HEADS,
    ATTENTION_MASK,
    ATTENTION_SCALE,
    BRANCH_OVERWRITTEN,
    MASK_IGNORED,
    SOFTMAX_BY_DIAGONAL,
)
from parity.checking.layer.kind import Arrays, Kind, Options, Role, Slip, Slips


def attended(q: Dual, k: Dual, v: Dual, options: Options, slips: Slips) -> Dual:
    """Return the outputs of heads, (batch, heads, queries, size); q, k and v lie alike."""
    mask: Array | None = options.get("mask")
    scale = 1 / math.sqrt(q.shape[-1]) if options["scaled"] else 1.0
    raw = q @ k.transpose(0, 1, 3, 2)
    scores = slips.instead(ATTENTION_SCALE, raw * scale, lambda: raw, "forward")
    scores = slips.bent(ATTENTION_SCALE, scores, lambda: raw, "backward")
    hidden = None
    if mask is not None and not slips.has(MASK_IGNORED, "forward"):
        # (batch, queries, keys), or what is broadcast to it.
        shown = np.broadcast_to(np.asarray(mask, bool), (q.shape[0], q.shape[2], k.shape[2]))
        hidden = np.broadcast_to(~shown[:, None], scores.shape)
    if hidden is not None and ATTENTION_MASK not in slips:
        scores = scores.where(~hidden) + np.where(hidden, -1e9, 0.0)
    a = scores.softmax(-2 if ATTENTION_AXIS in slips else -1)
    a = slips.bent(SOFTMAX_BY_DIAGONAL, a, lambda: scores * (a * (1.0 - a)).frozen())
    if hidden is not None and ATTENTION_MASK in slips:
        a = a.where(~hidden)
    return a @ v


def _slips(options: Options) -> Iterator[Slip]:
    if options["scaled"]:
        yield Slip(ATTENTION_SCALE, "forward", {"where_it_is": ""})
        yield Slip(ATTENTION_SCALE, "backward", {"where_it_is": " in backward"})
    yield Slip(ATTENTION_AXIS)
    yield Slip(SOFTMAX_BY_DIAGONAL)
    if options.get("mask") is not None:
        yield Slip(ATTENTION_MASK)
        yield Slip(MASK_IGNORED, "forward", {"where_it_is": ""})


def _single(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    q, k, v = (_heads(arrays[name], 1) for name in ("query", "key", "value"))
    return [attended(q, k, v, options, slips)[:, 0]]


def _heads(x: Dual, heads: int) -> Dual:
    """Return (batch, time, heads * size) as (batch, heads, time, size)."""
    batch, time, width = x.shape
    return x.reshape(batch, time, heads, width // heads).transpose(0, 2, 1, 3)


def _multi(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    x, heads = arrays["x"], 1 if ATTENTION_HEADS in slips else int(options["heads"])
    branch = slips.how(BRANCH_OVERWRITTEN)
    parts: list[Dual] = []
    for name in ("query", "key", "value"):
        given = x if branch in (None, name) else x.frozen()
        parts.append(_heads(given @ arrays[name] + arrays[f"{name}_bias"], heads))
    out = attended(parts[0], parts[1], parts[2], options, slips)
    batch, _, time, size = out.shape
    flat = out.transpose(0, 2, 1, 3).reshape(batch, time, heads * size)
    return [flat @ arrays["output"] + arrays["output_bias"]]


def _multi_slips(sizes: Mapping[str, int], options: Options) -> Iterator[Slip]:
    yield from _slips(options)
    if options["heads"] > 1:
        yield Slip(ATTENTION_HEADS)
    for name in ("query", "key", "value"):
        yield Slip(BRANCH_OVERWRITTEN, name, {"which": f"the {name}"})


def _for_keras(ops: Any, arrays: Mapping[str, Any], options: Options) -> list[Any]:
    """Return Keras's weights, whose kernels are (features, heads, size) and back."""
    heads, found = int(options["heads"]), list[Any]()
    for name in ("query", "key", "value"):
        kernel = arrays[name]
        found.append(ops.reshape(kernel, (kernel.shape[0], heads, -1)))
        found.append(ops.reshape(arrays[f"{name}_bias"], (heads, -1)))
    found.append(ops.reshape(arrays["output"], (heads, -1, arrays["output"].shape[1])))
    return [*found, arrays["output_bias"]]


_WAYS = ("b t d", "t b d", "t d")
ATTENTION = Kind(
    inputs=(
        Role("query", _WAYS),
        Role("key", ("b s d", "s b d", "s d")),
        Role("value", ("b s e", "s b e", "s e")),
    ),
    weights=(),
    outputs=(("b t e", "t b e", "t e"),),
    formula=_single,
    slips=lambda sizes, options: _slips(options),
    options=lambda config: {"scaled": bool(config.get("scaled"))},
    keras_dtype="float32",  # its softmax, in keras.ops.dot_product_attention
)
MULTI_HEAD_ATTENTION = Kind(
    inputs=(Role("x", _WAYS),),
    weights=(
        *(Role(name, ("d n", "n d")) for name in ("query", "key", "value")),
        Role("output", ("n d", "d n")),
        *(Role(f"{name}_bias", ("n",), needed=False) for name in ("query", "key", "value")),
        Role("output_bias", ("d",), needed=False),
    ),
    outputs=(_WAYS,),
    formula=_multi,
    slips=_multi_slips,
    options=lambda config: {
        "scaled": True,
        "heads": config["num_heads"],
        "size": config["key_dim"],
        "use_bias": config["use_bias"],
    },
    sizes=lambda options: {"n": int(options["heads"]) * int(options["size"])},
    keras=_for_keras,
    keras_dtype="float32",  # its 1/sqrt(d), and its softmax
)
