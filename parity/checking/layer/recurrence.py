"""Recurrent layers, unrolled in time: SimpleRNN, LSTM, GRU, in Keras's order of gates."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual, joined
from parity.checking.bugs.layers import (
    CELL_FUNCTION_MISSING,
    DC_NEXT,
    DERIVATIVE_MISSING,
    DH_NEXT,
    FORGET_GATE_MISSING,
    GATE_DELTA_MISSING,
    GATE_ORDER,
    GRU_RESET,
    GRU_RESET_KERNEL,
    GRU_RESET_PLACE,
    GRU_SECOND_BIAS,
    GRU_UPDATE,
    GRU_UPDATE_BACKWARD,
    HARD_SIGMOID,
    KERNEL_UNTRANSPOSED,
    MASK_IGNORED,
    OTHER_TIME,
    PATH_MISSING,
    SLOPE_OF_OTHER_GATE,
    STEP_LEFT_OUT,
    STEPS_OVERWRITTEN,
    TRUNCATED,
)
from parity.checking.layer.kind import (
    FUNCTIONS,
    NO_SLIPS,
    SLOPES,
    Arrays,
    FormulaSlip,
    Kind,
    Options,
    Role,
    Slips,
    activation,
    activation_slips,
    hard_sigmoid,
    old_hard_sigmoid,
)

State = tuple[Dual, ...]
_LSTM_GATES = {
    "i": "the input gate", "f": "the forget gate", "g": "the candidate", "o": "the output gate",
}  # fmt: skip
_GRU_GATES = {"z": "the update gate", "r": "the reset gate", "g": "the candidate"}
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


def _times(
    x: Dual, kernel: Dual, slips: Slips, gates: int, which: str, late: Dual | None = None
) -> Dual:
    """Return ``x @ kernel``, or with the slips of its derivative.

    Args:
        x: The inputs, or the state.
        kernel: A block for each gate.
        slips: With which it is computed.
        gates: How many.
        which: The kernel's name.
        late: What stands for x in the kernel's gradient, with the slip.
    """

    def untransposed() -> Dual:
        blocks = [b.transpose(1, 0) for b in _blocks(kernel.frozen(), gates)]
        return x @ joined(blocks, 1) + x.frozen() @ kernel

    def without(gate: int) -> Dual:
        blocks = enumerate(_blocks(kernel, gates))
        return joined([(x.frozen() if n == gate else x) @ block for n, block in blocks], 1)

    product = slips.bent(KERNEL_UNTRANSPOSED, x @ kernel, untransposed, which)
    for gate in range(gates):
        product = slips.bent(PATH_MISSING, product, lambda n=gate: without(n), (which, gate))
    if late is not None:
        product = product.bent(x @ kernel.frozen() + late.frozen() @ kernel)
    return product


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


def _late(cell: Cell, x: Dual, state: State, w: Weights, options: Options, slips: Slips) -> Any:
    """Return the state behind the step where a slip takes it for the one before; else None."""
    if slips.has(OTHER_TIME, "h"):
        return cell(x, state, w, options, NO_SLIPS)[0]
    return None


def _opened(gate: Dual, slips: Slips, letter: str) -> Dual:
    """Return a gate; with the slip nothing comes back through it."""
    return slips.frozen(GATE_DELTA_MISSING, gate, letter)


def _simple(x: Dual, state: State, w: Weights, options: Options, slips: Slips) -> State:
    (h,) = state
    name = options["activation"]
    late = _late(_simple, x, state, w, options, slips)
    outer = _times(x, w.kernel, slips, 1, "kernel") + w.bias
    z = outer + _times(h, w.recurrent, slips, 1, "recurrent kernel", late) + w.recurrent_bias
    new = activation(name, z, slips)
    if name in SLOPES:
        new = slips.bent(OTHER_TIME, new, lambda: z * SLOPES[name](h).frozen(), "slope")

    def unsloped() -> Dual:
        through = h @ w.recurrent.frozen()
        return FUNCTIONS[name](z - through + through.frozen()) + through

    return (slips.bent(DERIVATIVE_MISSING, new, unsloped, "to the step before"),)


def _lstm(x: Dual, state: State, w: Weights, options: Options, slips: Slips) -> State:
    h, c = state
    late = _late(_lstm, x, state, w, options, slips)
    z = _times(x, w.kernel, slips, 4, "kernel") + w.bias
    z = z + _times(h, w.recurrent, slips, 4, "recurrent kernel", late) + w.recurrent_bias
    zs = dict(zip("ifgo", _blocks(_reordered(z, 4, slips), 4), strict=True))
    at = {n: _gate(zs[n], options, slips, _LSTM_GATES[n]) for n in "ifo"}
    at["g"] = activation(options["activation"], zs["g"], slips, "the candidate")
    other: tuple[str, str] | None = slips.how(SLOPE_OF_OTHER_GATE)
    if other is not None:
        slope = SLOPES[options["recurrent_activation"]](at[other[1]]).frozen()
        at[other[0]] = at[other[0]].bent(zs[other[0]] * slope)
    i, f, g, o = (_opened(at[n], slips, n) for n in "ifgo")
    new = f * c + i * g
    new = slips.bent(FORGET_GATE_MISSING, new, lambda: f * c.frozen() + c + i * g)
    new = slips.bent(OTHER_TIME, new, lambda: f * new.frozen() + f.frozen() * c + i * g, "c of f")
    name = options["activation"]
    shown = activation(name, slips.frozen(PATH_MISSING, new, ("c", 0)), slips, "the function of c")
    if name in SLOPES:
        old = FUNCTIONS[name](c).frozen()
        shown = slips.bent(OTHER_TIME, shown, lambda: new * SLOPES[name](old).frozen(), "slope")
    out = slips.instead(CELL_FUNCTION_MISSING, o * shown, lambda: o * new, "forward")
    if slips.has(CELL_FUNCTION_MISSING, "backward"):
        out = out.bent(o * new.frozen() + o.frozen() * shown)
    if slips.has(OTHER_TIME, "c of o"):
        out = out.bent(o * FUNCTIONS[name](c).frozen() + o.frozen() * shown)
    return out, new


def _gru(x: Dual, state: State, w: Weights, options: Options, slips: Slips) -> State:
    (h,) = state
    late = _late(_gru, x, state, w, options, slips)
    second = slips.frozen(GRU_SECOND_BIAS, w.recurrent_bias)
    inner = _times(h, w.recurrent, slips, 3, "recurrent kernel", late) + second
    outer = _times(x, w.kernel, slips, 3, "kernel") + w.bias
    outer = slips.bent(GRU_SECOND_BIAS, outer, lambda: outer + w.recurrent_bias)
    outer, inner = _reordered(outer, 3, slips), _reordered(inner, 3, slips)
    (xz, xr, xg), (hz, hr, hg) = _blocks(outer, 3), _blocks(inner, 3)
    z = _opened(_gate(xz + hz, options, slips, _GRU_GATES["z"]), slips, "z")
    r = _gate(xr + hr, options, slips, _GRU_GATES["r"])
    if slips.has(GRU_RESET, "backward"):
        r = r.frozen()
    after = options["reset_after"] != (GRU_RESET_PLACE in slips)
    kernel, bias = _blocks(w.recurrent, 3)[2], _blocks(w.recurrent_bias, 3)[2]

    def before(part: Dual) -> Dual:
        seen = None if late is None else r * late
        return _times(part, kernel, slips, 1, "candidate's recurrent kernel", seen) + bias

    through = slips.frozen(PATH_MISSING, h, ("recurrent kernel", 2))
    reset = r * hg if after else before(r * through)
    reset = slips.instead(GRU_RESET, reset, lambda: hg, "forward")
    unreset = r * hg.frozen() + hg if after else before((r * h).bent(r * h.frozen() + h))
    reset = slips.bent(GRU_RESET, reset, lambda: unreset, "factor")
    if GRU_RESET_KERNEL in slips:
        way = r * (h @ kernel.frozen() + bias) if after else (r * h) @ kernel.frozen() + bias
        reset = reset.bent(way + h.frozen() @ kernel)
    g = activation(options["activation"], xg + reset, slips, "the candidate")
    g = _opened(g, slips, "g")
    kept = h.frozen() if slips.has(DH_NEXT, "kept") else h
    new = z * kept + (1.0 - z) * g
    what: str | None = slips.how(GRU_UPDATE_BACKWARD)
    if what is not None:
        new = new.bent(_UPDATES[what](z, kept, g, new))
    return (slips.instead(GRU_UPDATE, new, lambda: (1.0 - z) * kept + z * g),)


def _with_z_alone(z: Dual, h: Dual, g: Dual) -> Dual:
    return z * h.frozen() + (1.0 - z) * g.frozen()


# What has the wrong derivatives of a GRU's last line, of z, h, g and what it gives.
_UPDATES: dict[str, Callable[[Dual, Dual, Dual, Dual], Dual]] = {
    "its delta has the wrong sign": lambda z, h, g, new: z.bent(-z) * h + (1.0 - z.bent(-z)) * g,
    "its delta lacks the old state's part": lambda z, h, g, new: z.frozen() * h + (1.0 - z) * g,
    "its delta lacks the candidate's part": lambda z, h, g, new: z * h + (1.0 - z.frozen()) * g,
    "its delta has the new state where the old one is meant": lambda z, h, g, new: (
        _with_z_alone(z, new, g) + z.frozen() * h + (1.0 - z.frozen()) * g
    ),
    "z and 1 - z have changed places": lambda z, h, g, new: (
        _with_z_alone(z, h, g) + (1.0 - z.frozen()) * h + z.frozen() * g
    ),
    "the candidate's delta has z in place of 1 - z": lambda z, h, g, new: (
        _with_z_alone(z, h, g) + z.frozen() * (h + g)
    ),
    "what goes to the old state has 1 - z in place of z": lambda z, h, g, new: (
        _with_z_alone(z, h, g) + (1.0 - z.frozen()) * (h + g)
    ),
    "the candidate's delta lacks 1 - z": lambda z, h, g, new: (
        _with_z_alone(z, h, g) + z.frozen() * h + g
    ),
    "what goes to the old state lacks z": lambda z, h, g, new: (
        _with_z_alone(z, h, g) + h + (1.0 - z.frozen()) * g
    ),
}


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
            if slips.has(STEP_LEFT_OUT, t):  # the loop ends before the first, or begins too late
                new = tuple(
                    a.bent(b) if t == 0 else a.frozen() for a, b in zip(new, state, strict=True)
                )
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
        how = slips.how(TRUNCATED)
        if how is not None and how[0] == "windows":
            outputs = [_window(step, course, t, how[1]) for t in range(steps)]
            course[-1] = (outputs[-1], *course[-1][1:])
        if mask is not None and not slips.has(MASK_IGNORED, "forward"):
            for t in range(steps):
                # In Keras a step that is masked says again what was said before, at first 0.
                valid = np.asarray(mask[:, t : t + 1], bool)
                before = outputs[t - 1] if t else outputs[0] * 0.0
                said = outputs[t].where(valid) + before.where(~valid)
                outputs[t] = slips.bent(MASK_IGNORED, said, lambda h=outputs[t]: h, "backward")
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


def _common_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    steps = sizes.get("t", 1)
    if sizes["i"] == sizes["u"]:
        yield FormulaSlip(KERNEL_UNTRANSPOSED, "kernel", {"kernel": "kernel"})
    yield FormulaSlip(KERNEL_UNTRANSPOSED, "recurrent kernel", {"kernel": "recurrent kernel"})
    yield FormulaSlip(
        OTHER_TIME, "h", {"taken": "the state h behind the step", "meant": "that before it"}
    )
    if steps > 1:
        for which, words in ((0, "first"), (steps - 1, "last")):
            yield FormulaSlip(STEP_LEFT_OUT, which, {"which": words})
        yield FormulaSlip(DH_NEXT, "h")
        for which, words in ((0, "the first"), (steps - 1, "the last")):
            yield FormulaSlip(STEPS_OVERWRITTEN, which, {"which": words})
    for length in range(1, min(steps - 1, _LONGEST)):
        yield FormulaSlip(TRUNCATED, ("windows", length), {"steps": length})
    for length in range(2, min(steps, _LONGEST)):
        yield FormulaSlip(TRUNCATED, ("chunks", length), {"steps": length})
    if options.get("mask") is not None:
        yield FormulaSlip(MASK_IGNORED, "forward", {"where_it_is": ""})
        yield FormulaSlip(MASK_IGNORED, "backward", {"where_it_is": " in backward"})


def _gated_slips(
    gates: Mapping[str, str], sizes: Mapping[str, int], options: Options
) -> Iterator[FormulaSlip]:
    """Yield the slips that a cell with gates can have."""
    yield from _common_slips(sizes, options)
    yield from activation_slips(
        options["recurrent_activation"], "the gates", *(w for n, w in gates.items() if n != "g")
    )
    for how in ("old", "new"):
        yield FormulaSlip(HARD_SIGMOID, how, {"where_it_is": ""})
        yield FormulaSlip(HARD_SIGMOID, f"{how} in backward", {"where_it_is": " in backward"})
    for order in list(permutations(range(len(gates))))[1:]:
        yield FormulaSlip(GATE_ORDER, order, {"order": ", ".join(list(gates)[k] for k in order)})
    for n, (letter, words) in enumerate(gates.items()):
        if letter != "r":  # which has a name of its own
            yield FormulaSlip(GATE_DELTA_MISSING, letter, {"gate": words})
        arrays = {"kernel": "x", "recurrent kernel": "the h of the step before"}
        for kernel, array in arrays.items():
            yield FormulaSlip(PATH_MISSING, (kernel, n), {"array": array, "through": words})


def _simple_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    yield from _common_slips(sizes, options)
    name = options["activation"]
    yield from activation_slips(name)
    yield FormulaSlip(
        DERIVATIVE_MISSING,
        "to the step before",
        {"function": f"{name} on the way to the step before"},
    )
    values = {"taken": "the activation of the step before", "meant": "that of the step"}
    yield FormulaSlip(OTHER_TIME, "slope", values)


def _lstm_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    yield from _gated_slips(_LSTM_GATES, sizes, options)
    yield from activation_slips(options["activation"], "the candidate", "the function of c")
    yield FormulaSlip(DC_NEXT, "given")  # what the caller hands back for the last c
    if sizes.get("t", 1) > 1:
        yield FormulaSlip(DC_NEXT)
    yield FormulaSlip(FORGET_GATE_MISSING)
    yield FormulaSlip(PATH_MISSING, ("c", 0), {"array": "c", "through": "the output h"})
    new, old = "the c behind the step", "the c before it"
    yield FormulaSlip(
        OTHER_TIME, "c of f", {"taken": new, "meant": f"{old}, in the forget gate's delta,"}
    )
    yield FormulaSlip(
        OTHER_TIME, "c of o", {"taken": old, "meant": f"{new}, in the output gate's delta,"}
    )
    yield FormulaSlip(OTHER_TIME, "slope", {"taken": old, "meant": f"{new}, in tanh's derivative,"})
    if options["activation"] != "linear":
        for how, where in (("forward", ""), ("backward", ", in the output gate's delta")):
            values = {"function": options["activation"], "where_it_is": where}
            yield FormulaSlip(CELL_FUNCTION_MISSING, how, values)
    if options["recurrent_activation"] in SLOPES:
        for one, other in permutations("ifo", 2):
            values = {"gate": _LSTM_GATES[one], "other": _LSTM_GATES[other]}
            yield FormulaSlip(SLOPE_OF_OTHER_GATE, (one, other), values)


def _gru_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    yield from _gated_slips(_GRU_GATES, sizes, options)
    yield from activation_slips(options["activation"], "the candidate")
    yield FormulaSlip(DH_NEXT, "kept")
    for how in ("forward", "backward", "factor"):
        yield FormulaSlip(
            GRU_RESET, how, {"where_it_is": "" if how == "forward" else " in backward"}
        )
    yield FormulaSlip(GRU_RESET_KERNEL)
    if options["reset_after"]:
        yield FormulaSlip(GRU_SECOND_BIAS)
    found, meant = ("before", "after") if options["reset_after"] else ("after", "before")
    yield FormulaSlip(GRU_RESET_PLACE, None, {"found": found, "meant": meant})
    yield FormulaSlip(GRU_UPDATE)
    for what in _UPDATES:
        yield FormulaSlip(GRU_UPDATE_BACKWARD, what, {"what": what})


def _options(config: Options) -> Options:
    if config.get("go_backwards"):
        raise ValueError("Expected a layer that goes forwards. Received: go_backwards=True")
    names = ("activation", "recurrent_activation", "reset_after", "units", "use_bias")
    return {name: config[name] for name in names if name in config}


def _for_keras(ops: Any, arrays: Mapping[str, Any], options: Options) -> list[Any]:
    one, two = arrays["bias"], arrays["recurrent_bias"]
    bias = ops.stack([one, two]) if options.get("reset_after") else one + two
    return [arrays["kernel"], arrays["recurrent_kernel"], bias]


def _kind(cell: Cell, gates: int, states: int, slips: Callable[..., Iterator[FormulaSlip]]) -> Kind:
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
        paired=("bias", "recurrent_bias"),
        keras=_for_keras,
    )


SIMPLE_RNN = _kind(_simple, 1, 1, _simple_slips)
LSTM = _kind(_lstm, 4, 2, _lstm_slips)
GRU = _kind(_gru, 3, 1, _gru_slips)
