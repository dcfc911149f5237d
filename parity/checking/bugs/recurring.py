"""Ways in which a recurrent layer goes wrong, each as the Keras layer with that changed."""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs import cells
from parity.checking.bugs.change import LayerChange, LayerScene, Replacement
from parity.checking.bugs.table import Bug

GATE_ORDER = Bug(
    "gate-order",
    "the gates are read in the order {theirs}, and lie in the order {meant}",
    "i, f, o, g = np.split(z, 4, axis=1)  # Keras's LSTM has i, f, c, o",
    "split in Keras's order: {meant}",
)
FORGET_BIAS = Bug(
    "forget-bias",
    "1 is added to the forget gate's pre-activation, where the layer adds nothing",
    "f = sigmoid(z_f + 1.0)",
    "leave it out: unit_forget_bias only sets the bias at the start",
)
TIME_REVERSED = Bug(
    "time-reversed",
    "the sequence is gone through in the other direction",
    "for t in reversed(range(steps)): h = step(x[:, t], h)",
    "go from the first step to the last, or as go_backwards says",
)
DIRECTIONS_SWAPPED = Bug(
    "directions-swapped",
    "the two directions are joined in the other order",
    "np.concatenate([backward, forward], axis=-1)",
    "the forward layer's outputs come first",
)
SEQUENCE_TURNED = Bug(
    "sequence-turned",
    "the states lie in the other order of time",
    "back = lstm(x[:, ::-1])  # and joined as it is",
    "turn the backward direction's states round, back[:, ::-1], before they are joined; a layer "
    "with go_backwards=True by itself returns them in the order in which they were computed",
)
OTHER_STATE = Bug(
    "other-state",
    "the layer returns {theirs} instead of {meant}",
    "back = lstm(x[:, ::-1])[:, ::-1][:, -1]  # the last time, which comes first on the way back",
    "return {meant}",
)
STATE_CARRIED = Bug(
    "state-carried",
    "the state is carried over from one sample to the next",
    "for x in samples: h = run(x, h)",
    "begin each sample with zeros, or with the state that is given",
)
INITIAL_STATE_LEFT_OUT = Bug(
    "initial-state",
    "the initial state that the layer is given is left out",
    "h = np.zeros((len(x), units))  # in a decoder that begins in the encoder's last state",
    "begin with it",
)
INITIAL_STATE_SWAPPED = Bug(
    "initial-state",
    "the initial states have changed places: {how}",
    "c, h = encoder_states",
    "Keras's states are h and c, in this order",
)
MERGE_MODE = Bug(
    "merge-mode",
    "the two directions are joined by {theirs} instead of {meant}",
    'forward + backward  # where the layer has merge_mode="ave"',
    "join them as the layer does: {meant}",
)
DIRECTIONS_WEIGHTS = Bug(
    "directions-weights",
    "{which} with the weights of the other",
    "for x in (x, x[:, ::-1]): out.append(rnn(x, W, U, b))",
    "give each direction its own: the forward layer's weights come first",
)
_GATES = {4: ("i", "f", "c", "o"), 3: ("z", "r", "h")}


def changes(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield the wrong ways of a layer that has a cell, or two directions; nothing for others."""
    cell = scene.attribute("cell")
    if scene.attribute("merge_mode") is not None:
        yield from _directions(scene)
    if cell is None:
        return
    yield from _gates(scene, cell)
    yield from cells.changes(scene, cell)
    yield from _in_time(scene)
    yield from _states(scene)


def _first(function: Callable[[Any], Any]) -> Replacement:
    """Return a layer's call with its first output changed, of one or several."""

    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        done = own(*args, **kwargs)
        if isinstance(done, list | tuple):
            parts: list[Any] = list(done)  # pyright: ignore[reportUnknownArgumentType]
            return [function(parts[0]), *parts[1:]]
        return function(done)

    return call


def _in_time(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield other orders of time, and other states than those that are meant."""
    layer, ops = scene.layer, scene.keras.ops
    turned = _first(lambda out: ops.flip(out, axis=1))
    backwards = [(layer, "go_backwards", not layer.go_backwards)]
    yield LayerChange(TIME_REVERSED, layer, settings=backwards)
    if layer.return_sequences:
        # Gone through from the end, and each state put where its time is.
        yield LayerChange(TIME_REVERSED, layer, settings=backwards, call=turned)
        yield LayerChange(SEQUENCE_TURNED, layer, call=turned)
        values = {"theirs": "at each step the state before it", "meant": "the state behind it"}
        late = _first(lambda out: ops.concatenate([0 * out[:, :1], out[:, :-1]], axis=1))
        yield LayerChange(OTHER_STATE, layer, values, call=late)
        return
    others: dict[str, Callable[[Any], Any]] = {
        "the state behind the first step that it goes through": lambda out: out[:, 0],
        "the mean of all states": lambda out: ops.mean(out, axis=1),
        "the largest of all states": lambda out: ops.max(out, axis=1),
        "the sum of all states": lambda out: ops.sum(out, axis=1),
        "the last state but one": lambda out: out[:, -2],
    }
    for theirs, function in others.items():
        values = {"theirs": theirs, "meant": "the state behind the last"}
        settings = [(layer, "return_sequences", True)]
        yield LayerChange(OTHER_STATE, layer, values, settings, call=_first(function))


def _states(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield that a sequence does not begin in the state in which it is meant to."""
    layer, ops = scene.layer, scene.keras.ops

    def carried(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        states, outputs = kwargs.get("initial_state"), list[Any]()
        for n in range(len(args[0])):
            out, *states = own(args[0][n : n + 1], **kwargs | {"initial_state": states})
            outputs.append(out)
        return ops.concatenate(outputs, axis=0)

    if not layer.return_state and len(scene.inputs) == 1:
        yield LayerChange(
            STATE_CARRIED, layer, settings=[(layer, "return_state", True)], call=carried
        )
    if len(scene.inputs) > 1:
        yield LayerChange(INITIAL_STATE_LEFT_OUT, layer, call=_beginning(lambda states: None))
        values = {"how": "c is taken for h, and h for c"}
        yield LayerChange(INITIAL_STATE_SWAPPED, layer, values, call=_beginning(lambda s: s[::-1]))


def _beginning(change: Callable[[Any], Any]) -> Replacement:
    """Return a layer's call that begins in other states, if it is given a list of them."""

    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        states = kwargs.get("initial_state")
        if states is None:
            return own(*args, **kwargs)
        return own(*args, **kwargs | {"initial_state": change(list(states))})

    return call


def _directions(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield two directions that are joined otherwise, or have each other's weights."""
    layer, ops = scene.layer, scene.keras.ops
    meant = layer.merge_mode

    def swapped(out: Any) -> Any:
        half = out.shape[-1] // 2
        return ops.concatenate([out[..., half:], out[..., :half]], axis=-1)

    if meant == "concat":
        yield LayerChange(DIRECTIONS_SWAPPED, layer, call=_first(swapped))
    for theirs in ("concat", "sum", "ave", "mul"):
        if theirs != meant:
            values = {"theirs": f'"{theirs}"', "meant": f'"{meant}"'}
            yield LayerChange(MERGE_MODE, layer, values, settings=[(layer, "merge_mode", theirs)])
    ahead, back = layer.forward_layer.weights, layer.backward_layer.weights
    if [v.shape for v in ahead] != [v.shape for v in back]:
        return
    own = {id(v): scene.value(v) for v in [*ahead, *back]}
    both = list(zip(ahead, back, strict=True))
    turned = [(b, a) for a, b in both]
    for which, pairs in (
        ("each direction is computed", both + turned),
        ("the backward direction is computed", turned),
        ("the forward direction is computed", both),
    ):
        weights = {id(v): value for v, other in pairs if (value := own[id(other)]) is not None}
        yield LayerChange(DIRECTIONS_WEIGHTS, layer, {"which": which}, weights=weights)


def _kernels(scene: LayerScene, cell: Any) -> list[tuple[Any, Array]]:
    """Return the variables of a cell that have a block for each gate, with their values."""
    names = ("kernel", "recurrent_kernel", "bias")
    found = [getattr(cell, name, None) for name in names]
    return [(v, value) for v in found if v is not None if (value := scene.value(v)) is not None]


def _gates(scene: LayerScene, cell: Any) -> Iterator[LayerChange]:
    kernels = _kernels(scene, cell)
    if not kernels:
        return
    count = kernels[0][1].shape[-1] // cell.units
    gates = _GATES.get(count)
    if gates is None:
        return

    def blocks(change: Any) -> dict[int, Array]:
        return {
            id(v): change(w.reshape(*w.shape[:-1], count, -1)).reshape(w.shape) for v, w in kernels
        }

    if count == 4:
        for v, bias in kernels[2:]:
            more = np.zeros_like(bias).reshape(count, -1)
            more[1] = 1
            yield LayerChange(FORGET_BIAS, scene.layer, weights={id(v): bias + more.ravel()})
    for theirs in permutations(gates):
        if theirs != gates:
            order = [theirs.index(gate) for gate in gates]
            values = {"theirs": ", ".join(theirs), "meant": ", ".join(gates)}
            weights = blocks(_ordered(order))
            yield LayerChange(GATE_ORDER, scene.layer, values, weights=weights)


def _ordered(order: Sequence[int]) -> Callable[[Array], Array]:
    return lambda w: w[..., order, :]
