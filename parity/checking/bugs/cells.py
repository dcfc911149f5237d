"""Ways in which one step of a recurrence goes wrong, each as the Keras cell with that changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.change import LayerChange, LayerScene
from parity.checking.bugs.table import Bug, Values

GATE_ACTIVATION = Bug(
    "gate-activation",
    "the gates' activation is {theirs} instead of {meant}",
    "i = np.clip(0.2 * z + 0.5, 0, 1)  # hard_sigmoid, where the layer has sigmoid",
    "use the layer's recurrent_activation, {meant}",
)
PLACE_ACTIVATION = Bug(
    "gate-activation",
    "{place} has the activation {theirs} instead of {meant}",
    "g = sigmoid(z_g)  # all four blocks of z alike, where the candidate has tanh",
    "use {meant} there",
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
OLD_STATE_SHOWN = Bug(
    "old-cell-state",
    "the output is made of the cell's state before the step, and not of the new one",
    "h = o * np.tanh(c); c = f * c + i * g",
    "c = f * c + i * g first, and then h = o * tanh(c)",
)
CELL_STATE_RETURNED = Bug(
    "cell-state-returned",
    "the cell's state c is returned where h is meant",
    "outputs.append(c)",
    "return h = o * tanh(c)",
)
GATE_LEFT_OUT = Bug(
    "gate-left-out",
    "{gate} is left out",
    "h_new = np.tanh(x @ W + h @ U + b)  # without r",
    "multiply by it: {formula}",
)
GATES_COUPLED = Bug(
    "gates-coupled",
    "{gate} is taken to be 1 less {other}",
    "c = f * c + (1 - f) * g",
    "compute it of its own block: c = f * c + i * g",
)
UPDATE_GATE = Bug(
    "update-gate",
    "the update gate is turned round: z and 1 - z have changed places",
    "h = (1 - z) * h + z * h_new",
    "Keras keeps the share z of the old state: h = z * h + (1 - z) * h_new",
)
RESET_PLACE = Bug(
    "reset-place",
    "the reset gate is applied {theirs} the recurrent kernel's product, and not {meant} it{also}",
    "h_new = np.tanh(x @ W + (r * h) @ U + b)  # where the layer has reset_after=True",
    "with reset_after=True it is r * (h @ U + b_recurrent), with False (r * h) @ U",
)
CANDIDATE_BIAS_PLACE = Bug(
    "recurrent-bias-place",
    "the candidate's recurrent bias is added outside of what the reset gate multiplies",
    "h_new = np.tanh(x @ W + r * (h @ U) + b[0] + b[1])  # or b.sum(axis=0) for all gates",
    "the reset gate multiplies it too: tanh(x @ W + b[0] + r * (h @ U + b[1]))",
)
RECURRENT_BIAS = Bug(
    "recurrent-bias",
    "the recurrent bias is left out",
    "z = sigmoid(x @ Wz + h @ Uz + b[0])  # and b[1] is not used",
    "add b[0] to the input's product and b[1] to the state's",
)
INPUT_BIAS = Bug(
    "recurrent-bias",
    "the input's bias is left out, of the two that the layer has",
    "z = sigmoid(x @ Wz + h @ Uz + b[1])  # and b[0] is not used",
    "add b[0] to the input's product and b[1] to the state's",
)
BIASES_SWAPPED = Bug(
    "recurrent-bias",
    "the input's and the recurrent bias have changed places",
    "recurrent_bias, input_bias = b",
    "add b[0] to the input's product and b[1] to the state's",
)
Function = Callable[[Any], Any]


class _Step(Protocol):
    """A formula of one step."""

    def call(self, ops: Any, cell: Any) -> Callable[..., Any]:
        """Return a cell's call."""
        ...


@dataclass(frozen=True)
class _Lstm:
    """An LSTM's step, some of whose parts are others; None: Keras's own.

    Attributes:
        gates: Activations of the gates "i", "f" and "o", and of the candidate "g".
        coupled: A gate that is 1 less another: both letters.
        shown: ``(old c, new c) -> c`` of which the output is made.
        state: Its activation.
        returned: ``(h, c)`` to what is returned of a step.
    """

    gates: Mapping[str, Function] = field(default_factory=dict[str, Function])
    coupled: str = ""
    shown: Callable[[Any, Any], Any] = lambda old, new: new
    state: Function | None = None
    returned: Callable[[Any, Any], Any] = lambda h, c: h

    def call(self, ops: Any, cell: Any) -> Callable[..., Any]:
        """Return a cell's call."""
        sigma = cell.recurrent_activation
        gates = {"i": sigma, "f": sigma, "g": cell.activation, "o": sigma} | dict(self.gates)

        def call(inputs: Any, states: Any, training: bool = False) -> Any:
            h, c = states
            z = ops.matmul(inputs, cell.kernel) + ops.matmul(h, cell.recurrent_kernel)
            if cell.bias is not None:
                z = z + cell.bias
            blocks = zip(gates.items(), ops.split(z, 4, axis=-1), strict=True)
            at = {gate: function(block) for (gate, function), block in blocks}
            if self.coupled:
                at[self.coupled[0]] = 1 - at[self.coupled[1]]
            new = at["f"] * c + at["i"] * at["g"]
            h = at["o"] * (self.state or cell.activation)(self.shown(c, new))
            return self.returned(h, new), [h, new]

        return call


@dataclass(frozen=True)
class _Gru:
    """A GRU's step, some of whose parts are others; None: Keras's own.

    Attributes:
        z: The update gate's activation.
        r: The reset gate's activation.
        inner: ``(r, h, u, bx, bh)`` to what is added to the candidate's product with the inputs: u
            is its recurrent kernel, bx and bh are its biases.
        mixed: ``(z, h, g)`` to the new state.
    """

    z: Function | None = None
    r: Function | None = None
    inner: Callable[[Any, Any, Any, Any, Any], Any] | None = None
    mixed: Callable[[Any, Any, Any], Any] = lambda z, h, g: z * h + (1 - z) * g

    def call(self, ops: Any, cell: Any) -> Callable[..., Any]:
        """Return a cell's call."""
        own = cell.recurrent_activation
        inner = self.inner or (_after if cell.reset_after else _before)

        def call(inputs: Any, states: Any, training: bool = False) -> Any:
            (h,) = states
            # None, one, or two: one for the product with the inputs, one for that with the state.
            bias = 0 * cell.kernel[:1] if cell.bias is None else cell.bias
            bias = ops.reshape(bias, (-1, 3 * cell.units))
            both = bias[0], bias[1] if len(bias) > 1 else 0 * bias[0]
            bx, bh = (ops.split(b, 3, axis=-1) for b in both)
            x = ops.split(ops.matmul(inputs, cell.kernel), 3, axis=-1)
            u = ops.split(ops.convert_to_tensor(cell.recurrent_kernel), 3, axis=-1)
            z = (self.z or own)(x[0] + bx[0] + h @ u[0] + bh[0])
            r = (self.r or own)(x[1] + bx[1] + h @ u[1] + bh[1])
            g = cell.activation(x[2] + inner(r, h, u[2], bx[2], bh[2]))
            h = self.mixed(z, h, g)
            return h, [h]

        return call


def _after(r: Any, h: Any, u: Any, bx: Any, bh: Any) -> Any:
    return bx + r * (h @ u + bh)


def _before(r: Any, h: Any, u: Any, bx: Any, bh: Any) -> Any:
    return bx + (r * h) @ u + bh


@dataclass(frozen=True)
class _Way:
    """One way in which a step goes wrong."""

    bug: Bug
    step: _Step
    values: Values = field(default_factory=dict[str, object])
    weights: Mapping[int, Array] = field(default_factory=dict[int, Array])


def changes(scene: LayerScene, cell: Any) -> Iterator[LayerChange]:
    """Yield the wrong steps of a cell with gates; nothing for others."""
    if getattr(cell, "recurrent_activation", None) is None:
        return
    yield from _gate_activations(scene, cell)
    after = getattr(cell, "reset_after", None)
    ways = _lstm_ways(scene, cell) if after is None else _gru_ways(scene, cell, after)
    layer = scene.layer
    # Keras may have one operation for the whole layer, in which no step is seen.
    whole = [(layer, "use_cudnn", False)] if "use_cudnn" in vars(layer) else []
    for way in ways:
        settings = [*whole, (cell, "call", way.step.call(scene.keras.ops, cell))]
        yield LayerChange(way.bug, layer, way.values, settings, way.weights)
    yield from _two_biases(scene, cell)


def _gate_activations(scene: LayerScene, cell: Any) -> Iterator[LayerChange]:
    ops, meant = scene.keras.ops, _name(cell.recurrent_activation)
    others: dict[str, Function] = {
        "sigmoid": ops.sigmoid,
        "hard_sigmoid": ops.hard_sigmoid,
        "hard_sigmoid (0.2 z + 0.5)": lambda z: ops.clip(0.2 * z + 0.5, 0, 1),
        "tanh": ops.tanh,
        "linear": lambda z: z,
    }
    for theirs, function in others.items():
        if theirs != meant:
            values = {"theirs": theirs, "meant": meant}
            settings = [(cell, "recurrent_activation", function)]
            yield LayerChange(GATE_ACTIVATION, scene.layer, values, settings)


def _name(function: Any) -> str:
    return getattr(function, "__name__", "another")


def _at(
    scene: LayerScene, place: str, own: Any, names: Sequence[str], step: Callable[[Function], _Step]
) -> Iterator[_Way]:
    """Yield steps with another activation at one place."""
    for theirs in names:
        if theirs != _name(own):
            values = {"place": place, "theirs": theirs, "meant": _name(own)}
            function: Function = getattr(scene.keras.activations, theirs)
            yield _Way(PLACE_ACTIVATION, step(function), values)


_OF_GATES, _OF_STATES = ("sigmoid", "tanh", "linear"), ("sigmoid", "tanh", "relu")
_LSTM_GATES = {"i": "the input gate", "f": "the forget gate", "o": "the output gate"}


def _lstm_ways(scene: LayerScene, cell: Any) -> Iterator[_Way]:
    yield _Way(CANDIDATE_ACTIVATION_MISSING, _Lstm({"g": lambda z: z}))
    yield _Way(STATE_ACTIVATION_MISSING, _Lstm(state=lambda c: c))
    yield _Way(OLD_STATE_SHOWN, _Lstm(shown=lambda old, new: old))
    yield _Way(CELL_STATE_RETURNED, _Lstm(returned=lambda h, c: c))
    for gate, words in _LSTM_GATES.items():
        formula = "h = o * tanh(c)" if gate == "o" else "c = f * c + i * g"
        values = {"gate": words, "formula": formula}
        yield _Way(GATE_LEFT_OUT, _Lstm({gate: lambda z: 0 * z + 1}), values)
    for pair in ("if", "fi"):
        values = {"gate": _LSTM_GATES[pair[0]], "other": _LSTM_GATES[pair[1]]}
        yield _Way(GATES_COUPLED, _Lstm(coupled=pair), values)
    own, gates = cell.activation, cell.recurrent_activation
    yield from _at(scene, "the candidate", own, _OF_STATES, lambda f: _Lstm({"g": f}))
    yield from _at(scene, "the cell's state", own, _OF_STATES, lambda f: _Lstm(state=f))
    for gate, words in _LSTM_GATES.items():
        yield from _at(scene, words, gates, _OF_GATES, lambda f, gate=gate: _Lstm({gate: f}))


def _gru_ways(scene: LayerScene, cell: Any, after: bool) -> Iterator[_Way]:
    bias = None if cell.bias is None else scene.value(cell.bias)
    if after and bias is not None:
        outside = _Gru(inner=lambda r, h, u, bx, bh: bx + r * (h @ u) + bh)
        yield _Way(CANDIDATE_BIAS_PLACE, outside)
    yield _Way(UPDATE_GATE, _Gru(mixed=lambda z, h, g: (1 - z) * h + z * g))
    theirs, meant = ("before", "after") if after else ("after", "before")
    place = {"theirs": theirs, "meant": meant, "also": ""}
    yield _Way(RESET_PLACE, _Gru(inner=_before if after else _after), place)
    if bias is not None and after:
        less = place | {"also": "; the recurrent bias is left out as well"}
        first = np.stack([bias[0], 0 * bias[1]])
        yield _Way(RESET_PLACE, _Gru(inner=_before), less, {id(cell.bias): first})
    elif bias is not None:
        more = place | {"also": "; it multiplies the bias too"}
        yield _Way(RESET_PLACE, _Gru(inner=lambda r, h, u, bx, bh: r * (h @ u + bx)), more)
    formula = "r * (h @ U + b_recurrent)" if after else "(r * h) @ U"
    values = {"gate": "the reset gate", "formula": f"tanh(x @ W + {formula})"}
    yield _Way(GATE_LEFT_OUT, _Gru(r=lambda z: 0 * z + 1), values)
    formula = "h = z * h + (1 - z) * h_new"
    values = {"gate": "1 - z, the candidate's share,", "formula": formula}
    yield _Way(GATE_LEFT_OUT, _Gru(mixed=lambda z, h, g: z * h + g), values)
    values = {"gate": "z, the old state's share,", "formula": formula}
    yield _Way(GATE_LEFT_OUT, _Gru(mixed=lambda z, h, g: h + (1 - z) * g), values)
    own = cell.recurrent_activation
    yield from _at(scene, "the update gate", own, _OF_GATES, lambda f: _Gru(z=f))
    yield from _at(scene, "the reset gate", own, _OF_GATES, lambda f: _Gru(r=f))


def _two_biases(scene: LayerScene, cell: Any) -> Iterator[LayerChange]:
    """Yield that one of two biases is left out, or that they have changed places."""
    bias = None if cell.bias is None else scene.value(cell.bias)
    if bias is None or bias.ndim != 2:
        return
    for bug, rows in (
        (RECURRENT_BIAS, (bias[0], 0 * bias[1])),
        (INPUT_BIAS, (0 * bias[0], bias[1])),
        (BIASES_SWAPPED, (bias[1], bias[0])),
    ):
        yield LayerChange(bug, scene.layer, weights={id(cell.bias): np.stack(rows)})
