"""Ways in which a recurrent layer goes wrong, each as the Keras layer with that changed."""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.change import Change, Scene
from parity.checking.bugs.table import Bug

GATE_ORDER = Bug(
    "gate-order",
    "the gates are read in the order {theirs}, and lie in the order {meant}",
    "i, f, o, g = np.split(z, 4, axis=1)  # Keras's LSTM has i, f, c, o",
    "split in Keras's order: {meant}",
)
GATE_ACTIVATION = Bug(
    "gate-activation",
    "the gates' activation is {theirs} instead of {meant}",
    "i = np.clip(0.2 * z + 0.5, 0, 1)  # hard_sigmoid, where the layer has sigmoid",
    "use the layer's recurrent_activation, {meant}",
)
RESET_PLACE = Bug(
    "reset-place",
    "the reset gate is applied {theirs} the recurrent kernel's product, and not {meant} it",
    "h_new = np.tanh(x @ W + (r * h) @ U + b)  # where the layer has reset_after=True",
    "with reset_after=True it is r * (h @ U + b_recurrent), with False (r * h) @ U",
)
UPDATE_GATE = Bug(
    "update-gate",
    "the update gate is turned round: z and 1 - z have changed places",
    "h = (1 - z) * h + z * h_new",
    "Keras keeps the share z of the old state: h = z * h + (1 - z) * h_new",
)
FORGET_BIAS = Bug(
    "forget-bias",
    "1 is added to the forget gate, whose bias has it already",
    "f = sigmoid(z_f + 1.0)",
    "leave it out: unit_forget_bias only sets the bias at the start",
)
STATE_ACTIVATION_MISSING = Bug(
    "state-activation-missing",
    "the cell's state goes into the output without its activation",
    "h = o * c",
    "h = o * tanh(c)",
)
CANDIDATE_ACTIVATION_MISSING = Bug(
    "candidate-activation-missing",
    "the candidate goes into the cell's state without its activation",
    "c = f * c + i * z_c",
    "c = f * c + i * tanh(z_c)",
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
RECURRENT_BIAS = Bug(
    "recurrent-bias",
    "the recurrent bias is left out",
    "z = sigmoid(x @ Wz + h @ Uz + b[0])  # and b[1] is not used",
    "add b[0] to the input's product and b[1] to the state's",
)
_GATES = {4: ("i", "f", "c", "o"), 3: ("z", "r", "h")}


def changes(scene: Scene) -> Iterator[Change]:
    """Yield the wrong ways of a layer that has a cell, or two directions; nothing for others."""
    layer, cell = scene.layer, scene.attribute("cell")
    if scene.attribute("merge_mode") == "concat":
        yield Change(DIRECTIONS_SWAPPED, layer, call=_swapped(scene))
    if cell is None:
        return
    yield from _gates(scene, cell)
    yield from _activations(scene, cell)
    yield from _reset(scene, cell)
    now = bool(layer.go_backwards)
    yield Change(TIME_REVERSED, layer, settings=[(layer, "go_backwards", not now)])


def _kernels(scene: Scene, cell: Any) -> list[tuple[Any, Array]]:
    """Return the variables of a cell that have a block for each gate, with their values."""
    names = ("kernel", "recurrent_kernel", "bias")
    found = [getattr(cell, name, None) for name in names]
    return [(v, value) for v in found if v is not None if (value := scene.value(v)) is not None]


def _gates(scene: Scene, cell: Any) -> Iterator[Change]:
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

    def one(number: int, function: Any) -> dict[int, Array]:
        def change(w: Array) -> Array:
            new = w.copy()
            new[..., number, :] = function(w[..., number, :])
            return new

        return blocks(change)

    if count == 3:
        yield Change(UPDATE_GATE, scene.layer, weights=one(0, np.negative))
    else:
        for v, bias in kernels[2:]:
            more = np.zeros_like(bias).reshape(count, -1)
            more[1] = 1
            yield Change(FORGET_BIAS, scene.layer, weights={id(v): bias + more.ravel()})
    for theirs in permutations(gates):
        if theirs != gates:
            order = [theirs.index(gate) for gate in gates]
            values = {"theirs": ", ".join(theirs), "meant": ", ".join(gates)}
            weights = blocks(_ordered(order))
            yield Change(GATE_ORDER, scene.layer, values, weights=weights)


def _activations(scene: Scene, cell: Any) -> Iterator[Change]:
    ops = scene.keras.ops
    own = getattr(cell, "recurrent_activation", None)
    if own is not None:
        meant = getattr(own, "__name__", "another")
        others: dict[str, Callable[[Any], Any]] = {
            "sigmoid": ops.sigmoid,
            "hard_sigmoid": ops.hard_sigmoid,
            "hard_sigmoid (0.2 z + 0.5)": lambda z: ops.clip(0.2 * z + 0.5, 0, 1),
            "tanh": ops.tanh,
            "linear": lambda z: z,
        }
        for theirs, function in others.items():
            if theirs != meant:
                yield Change(
                    GATE_ACTIVATION,
                    scene.layer,
                    {"theirs": theirs, "meant": meant},
                    settings=[(cell, "recurrent_activation", function)],
                )
    if own is not None and getattr(cell, "reset_after", None) is None:
        # A cell calls its activation for the candidate, and then for the state.
        for turn, bug in ((0, CANDIDATE_ACTIVATION_MISSING), (1, STATE_ACTIVATION_MISSING)):
            without = _Without(turn, cell.activation)
            settings = [(cell, "activation", without)]
            yield Change(bug, scene.layer, settings=settings, call=without.whole)


class _Without:
    """A cell's activation, left out at one of the two places where a step calls it."""

    def __init__(self, turn: int, function: Any) -> None:
        self.turn = turn
        self.function = function
        self.times = 0

    def __call__(self, z: Any) -> Any:
        self.times += 1
        return z if (self.times - 1) % 2 == self.turn else self.function(z)

    def whole(self, own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the layer, from its first step on."""
        self.times = 0
        return own(*args, **kwargs)


def _ordered(order: Sequence[int]) -> Callable[[Array], Array]:
    return lambda w: w[..., order, :]


def _reset(scene: Scene, cell: Any) -> Iterator[Change]:
    now = getattr(cell, "reset_after", None)
    if now is None:
        return
    settings = [(cell, "reset_after", not now)]
    if "reset_after" in vars(scene.layer):
        settings.append((scene.layer, "reset_after", not now))
    values = (
        {"theirs": "before", "meant": "after"} if now else {"theirs": "after", "meant": "before"}
    )
    bias = None if cell.bias is None else scene.value(cell.bias)
    if bias is None:
        yield Change(RESET_PLACE, scene.layer, values, settings)
        return
    for other in [bias.sum(axis=0), bias[0]] if now else []:
        yield Change(RESET_PLACE, scene.layer, values, settings, {id(cell.bias): other})
    if not now:
        # The variable has another shape, which the cell asks for.
        pair = scene.keras.ops.convert_to_tensor(np.stack([bias, 0 * bias]))
        yield Change(RESET_PLACE, scene.layer, values, [*settings, (cell, "bias", pair)])
    if now:
        without = np.stack([bias[0], 0 * bias[1]])
        yield Change(RECURRENT_BIAS, scene.layer, weights={id(cell.bias): without})
        # The same number is used for all of it where both are added to the outer sum.
        outer = np.stack([bias[0] + bias[1], 0 * bias[1]])
        yield Change(RESET_PLACE, scene.layer, values, weights={id(cell.bias): outer})


def _swapped(scene: Scene) -> Any:
    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        done = own(*args, **kwargs)
        half = done.shape[-1] // 2
        return scene.keras.ops.concatenate([done[..., half:], done[..., :half]], axis=-1)

    return call
