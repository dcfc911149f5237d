"""Recurrent layers, unrolled in time: SimpleRNN, LSTM, GRU, in Keras's order of gates."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual, joined
from parity.checking.bugs.layers import (
    DC_NEXT,
    DH_NEXT,
    GATE_ORDER,
    GRU_RESET,
    GRU_RESET_PLACE,
    GRU_UPDATE,
    HARD_SIGMOID,
    KERNEL_UNTRANSPOSED,
    MASK_IGNORED,
    STEPS_OVERWRITTEN,
    TRUNCATED,
)
from parity.checking.layer.kind import (
    Arrays,
    Kind,
    Options,
    Role,
    Slip,
    Slips,
    activation,
    activation_slips,
    hard_sigmoid,
    old_hard_sigmoid,
)

State = tuple[Dual, ...]
# Truncation after so many steps and more is not looked for.
_LONGEST = 11


@dataclass(frozen=True)
class Weights:
    """A cell's weights in one time step."""

    kernel: Dual
    recurrent: Dual
    bias: Dual
    recurrent_bias: Dual

    def frozen(self) -> "Weights":
        """Return the same values, that depend on nothing."""
        parts = (self.kernel, self.recurrent, self.bias, self.recurrent_bias)
        return Weights(*(part.frozen() for part in parts))


Cell = Callable[[Dual, State, Weights, Options, Slips], State]


def _times(x: Dual, kernel: Dual, slips: Slips, gates: int, which: str) -> Dual:
    """Return ``x @ kernel``; with the slip, differentiated as if each gate's were its transpose."""

    def untransposed() -> Dual:
        blocks = [b.transpose(1, 0) for b in _blocks(kernel.frozen(), gates)]
        return x @ joined(blocks, 1) + x.frozen() @ kernel

    return slips.bent(KERNEL_UNTRANSPOSED, x @ kernel, untransposed, which)


def _blocks(z: Dual, gates: int) -> list[Dual]:
    n = z.shape[-1] // gates
    return [z[..., k * n : (k + 1) * n] for k in range(gates)]


def _reordered(z: Dual, gates: int, slips: Slips) -> Dual:
    """Return z; with the slip, differentiated with its gates in another order."""
    order: tuple[int, ...] | None = slips.how(GATE_ORDER)
    if order is None:
        return z
    blocks = _blocks(z, gates)
    return z.bent(joined([blocks[k] for k in order], -1))


def _gate(z: Dual, options: Options, slips: Slips, place: str) -> Dual:
    """Return a gate, with the recurrent activation function."""
    a = activation(options["recurrent_activation"], z, slips, place, "the gates")
    for how, function in (("old", old_hard_sigmoid), ("new", hard_sigmoid)):
        a = slips.instead(HARD_SIGMOID, a, lambda f=function: f(z), how)
        a = slips.bent(HARD_SIGMOID, a, lambda f=function: f(z), f"{how} in backward")
    return a


def _simple(x: Dual, state: State, w: Weights, options: Options, slips: Slips) -> State:
    (h,) = state
    z = _times(x, w.kernel, slips, 1, "kernel") + w.bias
    z = z + _times(h, w.recurrent, slips, 1, "recurrent kernel") + w.recurrent_bias
    return (activation(options["activation"], z, slips),)


def _lstm(x: Dual, state: State, w: Weights, options: Options, slips: Slips) -> State:
    h, c = state
    z = _times(x, w.kernel, slips, 4, "kernel") + w.bias
    z = z + _times(h, w.recurrent, slips, 4, "recurrent kernel") + w.recurrent_bias
    zi, zf, zg, zo = _blocks(_reordered(z, 4, slips), 4)
    i = _gate(zi, options, slips, "the input gate")
    f = _gate(zf, options, slips, "the forget gate")
    o = _gate(zo, options, slips, "the output gate")
    g = activation(options["activation"], zg, slips, "the candidate")
    c = f * c + i * g
    return o * activation(options["activation"], c, slips, "the function of c"), c


def _gru(x: Dual, state: State, w: Weights, options: Options, slips: Slips) -> State:
    (h,) = state
    inner = _times(h, w.recurrent, slips, 3, "recurrent kernel") + w.recurrent_bias
    outer = _times(x, w.kernel, slips, 3, "kernel") + w.bias
    outer, inner = _reordered(outer, 3, slips), _reordered(inner, 3, slips)
    (xz, xr, xg), (hz, hr, hg) = _blocks(outer, 3), _blocks(inner, 3)
    z = _gate(xz + hz, options, slips, "the update gate")
    r = _gate(xr + hr, options, slips, "the reset gate")
    if slips.has(GRU_RESET, "backward"):
        r = r.frozen()
    after = options["reset_after"] != (GRU_RESET_PLACE in slips)

    def before() -> Dual:
        kernel = _blocks(w.recurrent, 3)[2]
        return _times(r * h, kernel, slips, 1, "recurrent kernel") + _blocks(w.recurrent_bias, 3)[2]

    reset = r * hg if after else before()
    reset = slips.instead(GRU_RESET, reset, lambda: hg, "forward")
    reset = slips.bent(GRU_RESET, reset, lambda: r * hg.frozen() + hg, "factor")
    g = activation(options["activation"], xg + reset, slips, "the candidate")
    kept = h.frozen() if slips.has(DH_NEXT, "kept") else h
    new = z * kept + (1.0 - z) * g
    return (slips.instead(GRU_UPDATE, new, lambda: (1.0 - z) * kept + z * g),)


def _unrolled(cell: Cell, states: int) -> Callable[[Arrays, Options, Slips], list[Dual]]:
    """Return the formula of a layer, whose outputs are all h, the last h, and the last c."""

    def formula(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
        x, steps = arrays["x"], arrays["x"].shape[1]
        weights = Weights(
            *(arrays[name] for name in ("kernel", "recurrent_kernel", "bias", "recurrent_bias"))
        )
        mask: Array | None = options.get("mask")

        def step(t: int, state: State) -> State:
            one = slips.how(STEPS_OVERWRITTEN)
            w = weights if one in (None, t) else weights.frozen()
            new = cell(x[:, t], _cut(t, state), w, options, slips)
            if mask is None or slips.has(MASK_IGNORED, "forward"):
                return new
            valid = np.asarray(mask[:, t : t + 1], bool)
            kept = tuple(a.where(valid) + b.where(~valid) for a, b in zip(new, state, strict=True))
            ignored = slips.has(MASK_IGNORED, "backward")
            return tuple(a.bent(b) for a, b in zip(kept, new, strict=True)) if ignored else kept

        def _cut(t: int, state: State) -> State:
            if t == 0:
                return state
            h, *others = state
            h = slips.frozen(DH_NEXT, h, "h")
            others = [slips.frozen(DC_NEXT, c) for c in others]
            if slips.has(TRUNCATED, ("chunks", _chunk(slips))) and t % _chunk(slips) == 0:
                return tuple(part.frozen() for part in state)
            return (h, *others)

        state: State = tuple(arrays[name] for name in ("h", "c")[:states])
        if "begin" in options:
            state = tuple(x.constant(array) for array in options["begin"])
        course, outputs = [state], list[Dual]()
        for t in range(steps):
            course.append(step(t, course[-1]))
            outputs.append(course[-1][0])
            if mask is not None and MASK_IGNORED not in slips:
                # In Keras a step that is masked says again what was said before, at first 0.
                valid = np.asarray(mask[:, t : t + 1], bool)
                before = outputs[-2] if t else outputs[-1] * 0.0
                outputs[-1] = outputs[-1].where(valid) + before.where(~valid)
        how = slips.how(TRUNCATED)
        if how is not None and how[0] == "windows":
            outputs = [_window(step, course, t, how[1]) for t in range(steps)]
            course[-1] = (outputs[-1], *course[-1][1:])
        whole = joined([h.reshape(h.shape[0], 1, h.shape[1]) for h in outputs], 1)
        last, *others = course[-1]
        return [whole, last, *(slips.frozen(DC_NEXT, c, "given") for c in others)]

    return formula


def _chunk(slips: Slips) -> int:
    how = slips.how(TRUNCATED)
    return how[1] if how is not None and how[0] == "chunks" else 0


def _window(
    step: Callable[[int, State], State], course: list[State], last: int, length: int
) -> Dual:
    """Return an output, differentiated through so many steps back and no further."""
    first = max(0, last - length)
    state = course[first]
    if first:
        state = tuple(part.frozen() for part in state)
    for t in range(first, last + 1):
        state = step(t, state)
    return state[0]


def _common_slips(sizes: Mapping[str, int], options: Options, *places: str) -> Iterator[Slip]:
    steps = sizes.get("t", 1)
    if sizes["i"] == sizes["u"]:
        yield Slip(KERNEL_UNTRANSPOSED, "kernel", {"kernel": "kernel"})
    yield Slip(KERNEL_UNTRANSPOSED, "recurrent kernel", {"kernel": "recurrent kernel"})
    yield from activation_slips(*places)
    if steps > 1:
        yield Slip(DH_NEXT, "h")
        for which, words in ((0, "the first"), (steps - 1, "the last")):
            yield Slip(STEPS_OVERWRITTEN, which, {"which": words})
    for length in range(1, min(steps - 1, _LONGEST)):
        yield Slip(TRUNCATED, ("windows", length), {"steps": length})
    for length in range(2, min(steps, _LONGEST)):
        yield Slip(TRUNCATED, ("chunks", length), {"steps": length})
    if options.get("mask") is not None:
        yield Slip(MASK_IGNORED, "forward", {"where_it_is": ""})
        yield Slip(MASK_IGNORED, "backward", {"where_it_is": " in backward"})


def _gated_slips(gates: str, *places: str) -> Callable[..., Iterator[Slip]]:
    def slips(sizes: Mapping[str, int], options: Options) -> Iterator[Slip]:
        yield from _common_slips(sizes, options, "the gates", *places)
        if gates == "zrg":
            yield Slip(DH_NEXT, "kept")
        else:
            yield Slip(DC_NEXT, "given")  # what the caller hands back for the last c
            if sizes.get("t", 1) > 1:
                yield Slip(DC_NEXT)
        for how in ("old", "new"):
            yield Slip(HARD_SIGMOID, how, {"where_it_is": ""})
            yield Slip(HARD_SIGMOID, f"{how} in backward", {"where_it_is": " in backward"})
        for order in list(permutations(range(len(gates))))[1:]:
            yield Slip(GATE_ORDER, order, {"order": ", ".join(gates[k] for k in order)})

    return slips


_lstm_slips = _gated_slips(
    "ifgo",
    "the input gate", "the forget gate", "the output gate", "the candidate", "the function of c",
)  # fmt: skip
_gated = _gated_slips("zrg", "the update gate", "the reset gate", "the candidate")


def _simple_slips(sizes: Mapping[str, int], options: Options) -> Iterator[Slip]:
    yield from _common_slips(sizes, options, options["activation"])


def _gru_slips(sizes: Mapping[str, int], options: Options) -> Iterator[Slip]:
    yield from _gated(sizes, options)
    for how in ("forward", "backward", "factor"):
        yield Slip(GRU_RESET, how, {"where_it_is": "" if how == "forward" else " in backward"})
    found, meant = ("before", "after") if options["reset_after"] else ("after", "before")
    yield Slip(GRU_RESET_PLACE, None, {"found": found, "meant": meant})
    yield Slip(GRU_UPDATE)


def _options(config: Options) -> Options:
    if config.get("go_backwards"):
        raise ValueError("Expected a layer that goes forwards. Received: go_backwards=True")
    names = ("activation", "recurrent_activation", "reset_after", "units", "use_bias")
    return {name: config[name] for name in names if name in config}


def _for_keras(ops: Any, arrays: Mapping[str, Any], options: Options) -> list[Any]:
    one, two = arrays["bias"], arrays["recurrent_bias"]
    bias = ops.stack([one, two]) if options.get("reset_after") else one + two
    return [arrays["kernel"], arrays["recurrent_kernel"], bias]


def _kind(cell: Cell, gates: int, states: int, slips: Callable[..., Iterator[Slip]]) -> Kind:
    g = str(gates) if gates > 1 else ""
    times = ("b t i", "t b i", "b i", "i b", "t i", "i b t", "b i t")
    state = ("b u", "u b", "u")
    return Kind(
        inputs=(
            Role("x", times),
            *(Role(name, state, needed=False) for name in ("h", "c")[:states]),
        ),
        weights=(
            Role("kernel", (f"i {g}u", f"{g}u i")),
            Role("recurrent_kernel", (f"v {g}u", f"{g}u v")),
            Role("bias", (f"{g}u",), needed=False),
            Role("recurrent_bias", (f"{g}u",), needed=False),
        ),
        outputs=(
            ("b t u", "t b u", "b u", "u b", "t u", "u b t", "b u t"),
            *[("b u", "u b", "u")] * states,
        ),
        formula=_unrolled(cell, states),
        slips=slips,
        options=_options,
        sizes=lambda options: {"u": int(options["units"]), "v": int(options["units"])},
        gates=gates,
        stacked=("kernel", "recurrent_kernel"),
        keras=_for_keras,
    )


SIMPLE_RNN = _kind(_simple, 1, 1, _simple_slips)
LSTM = _kind(_lstm, 4, 2, _lstm_slips)
GRU = _kind(_gru, 3, 1, _gru_slips)
