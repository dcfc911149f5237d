"""Attention: ``softmax(q k^T / sqrt(d)) v``, in one head or in several with their projections."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual
from parity.checking.bugs.attending import ATTENTION_SCALE as OTHER_SCALE
from parity.checking.bugs.layers import (
    ATTENTION_AXIS,
    ATTENTION_HEADS,
    ATTENTION_MASK,
    ATTENTION_SCALE,
    ATTENTION_TRANSPOSED,
    BRANCH_OVERWRITTEN,
    MASK_IGNORED,
    SOFTMAX_BY_DIAGONAL,
    SOFTMAX_FORM,
)
from parity.checking.layer.kind import (
    SOFTMAX_FORMS,
    Arrays,
    FormulaSlip,
    Kind,
    Options,
    Role,
    Slips,
    softmax_bent,
)

# Scales nearer to each other than this are one.
_SAME = 1e-9
_OVER_QUERIES = "the sum goes over the queries"


def attended(q: Dual, k: Dual, v: Dual, options: Options, slips: Slips) -> Dual:
    """Return the outputs of heads, (batch, heads, queries, size); q, k and v lie alike."""
    mask: Array | None = options.get("mask")
    scale = 1 / math.sqrt(q.shape[-1]) if options["scaled"] else 1.0
    raw = q @ k.transpose(0, 1, 3, 2)
    across = (0, 1, 3, 2)
    of_q, of_k = q @ k.frozen().transpose(*across), q.frozen() @ k.transpose(*across)
    raw = slips.bent(ATTENTION_TRANSPOSED, raw, lambda: of_q.transpose(*across) + of_k, "dq")
    raw = slips.bent(ATTENTION_TRANSPOSED, raw, lambda: of_q + of_k.transpose(*across), "dk")
    scores = slips.instead(ATTENTION_SCALE, raw * scale, lambda: raw, "forward")
    scores = slips.bent(ATTENTION_SCALE, scores, lambda: raw, "backward")
    for words, other in _scales(q.shape[-1], q.shape[1]).items():
        scores = slips.instead(OTHER_SCALE, scores, lambda by=other: raw * by, words)
    hidden = None
    if mask is not None and not slips.has(MASK_IGNORED, "forward"):
        # (batch, queries, keys), or what is broadcast to it.
        shown = np.broadcast_to(np.asarray(mask, bool), (q.shape[0], q.shape[2], k.shape[2]))
        hidden = np.broadcast_to(~shown[:, None], scores.shape)
    if hidden is not None and ATTENTION_MASK not in slips:
        scores = scores.where(~hidden) + np.where(hidden, -1e9, 0.0)
    a = scores.softmax(-2 if ATTENTION_AXIS in slips else -1)
    a = softmax_bent(a, scores, slips)
    crossed = (scores * a.frozen()).sum(2)
    a = slips.bent(SOFTMAX_FORM, a, lambda: (scores - crossed) * a.frozen(), _OVER_QUERIES)
    if hidden is not None and ATTENTION_MASK in slips:
        a = a.where(~hidden)
    out, fixed = a @ v, a.frozen()
    return slips.bent(
        ATTENTION_TRANSPOSED, out, lambda: a @ v.frozen() + fixed.transpose(*across) @ v, "dv"
    )


def _scales(size: int, heads: int) -> dict[str, float]:
    """Return what scores are multiplied by in place of 1/sqrt(d), d being the size of a head."""
    found = {"1/sqrt(d of all heads)": 1 / math.sqrt(size * heads), "1/d": 1 / size}
    return {words: by for words, by in found.items() if abs(by * math.sqrt(size) - 1) > _SAME}


def _slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    if options["scaled"]:
        for words in ("1/sqrt(d of all heads)", "1/d"):
            values = {"theirs": words, "meant": "1/sqrt(d)"}
            yield FormulaSlip(OTHER_SCALE, words, values)
        yield FormulaSlip(ATTENTION_SCALE, "forward", {"where_it_is": ""})
        yield FormulaSlip(ATTENTION_SCALE, "backward", {"where_it_is": " in backward"})
    yield FormulaSlip(ATTENTION_AXIS)
    yield FormulaSlip(SOFTMAX_BY_DIAGONAL)
    for form in (*SOFTMAX_FORMS, _OVER_QUERIES):
        yield FormulaSlip(SOFTMAX_FORM, form, {"form": form})
    if sizes.get("t") == sizes.get("s", sizes.get("t")):
        for where in ("dq", "dk"):
            yield FormulaSlip(
                ATTENTION_TRANSPOSED, where, {"what": "scores' deltas", "where": where}
            )
        yield FormulaSlip(ATTENTION_TRANSPOSED, "dv", {"what": "attention weights", "where": "dv"})
    if options.get("mask") is not None:
        yield FormulaSlip(ATTENTION_MASK)
        yield FormulaSlip(MASK_IGNORED, "forward", {"where_it_is": ""})


def _single(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    q, k, v = (arrays[name].transpose(0, 2, 1, 3) for name in ("query", "key", "value"))
    return [attended(q, k, v, options, slips).transpose(0, 2, 1, 3)]


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


def _multi_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    yield from _slips(sizes, options)
    if options["heads"] > 1:
        yield FormulaSlip(ATTENTION_HEADS)
    for name in ("query", "key", "value"):
        yield FormulaSlip(BRANCH_OVERWRITTEN, name, {"which": f"the {name}"})


def _for_keras(ops: Any, arrays: Mapping[str, Any], options: Options) -> list[Any]:
    """Return Keras's weights, whose kernels are (features, heads, size) and back."""
    heads, found = int(options["heads"]), list[Any]()
    for name in ("query", "key", "value"):
        kernel = arrays[name]
        found.append(ops.reshape(kernel, (kernel.shape[0], heads, -1)))
        found.append(ops.reshape(arrays[f"{name}_bias"], (heads, -1)))
    found.append(ops.reshape(arrays["output"], (heads, -1, arrays["output"].shape[1])))
    return [*found, arrays["output_bias"]]


def _masks(mask: Array) -> list[Array]:
    """Return a mask of two axes as one of queries and keys, and as one of each sample's keys."""
    return [mask, mask[:, None, :]] if mask.ndim == 2 else [mask]


_WAYS = ("b t d", "t b d", "t d")
ATTENTION = Kind(
    inputs=(
        Role("query", ("b t m d", "b m t d", "b t d", "t b d", "t d")),
        Role("key", ("b s m d", "b m s d", "b s d", "s b d", "s d")),
        Role("value", ("b s m e", "b m s e", "b s e", "s b e", "s e")),
    ),
    weights=(),
    outputs=(("b t m e", "b m t e", "b t e", "t b e", "t e"),),
    formula=_single,
    slips=_slips,
    options=lambda config: {name: bool(config.get(name)) for name in ("scaled", "several")},
    sizes=lambda options: {} if options["several"] else {"m": 1},
    keras_dtype="float32",  # its softmax, in keras.ops.dot_product_attention
    masks=_masks,
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
    masks=_masks,
)
