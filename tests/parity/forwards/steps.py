"""Recurrent layers by hand beside Keras models, with one thing wrong in a step or in time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import parity
from parity.checking.bugs import cells, recurring
from parity.checking.bugs.table import Bug
from parity.reports.report import CheckReport
from tests.parity.forwards.common import sigmoid


class Planted(NamedTuple):
    """A forward pass by hand with one bug.

    Attributes:
        bug: What is to be found.
        words: A part of its title.
        report: Checks it.
    """

    bug: Bug | None
    words: str
    report: Callable[[], CheckReport]


def gru(w: list[Any], x: Any, slip: str = "", after: bool = True) -> Any:
    """Return all states, (batch, time, units)."""
    kernel, u, b = w
    bx, bh = b if after else (b, 0 * b)
    if slip == "no recurrent bias" or "and no bias" in slip:
        bh = 0 * bh
    if slip == "no input bias":
        bx = 0 * bx
    if slip == "biases swapped":
        bx, bh = bh, bx
    uz, ur, ug = np.split(u, 3, axis=1)
    h, states = np.zeros((len(x), len(u))), list[Any]()
    for t in range(x.shape[1]):
        xz, xr, xg = np.split(x[:, t] @ kernel + bx, 3, axis=1)
        hz, hr, hg = np.split(bh, 3)
        z, r = sigmoid(xz + h @ uz + hz), sigmoid(xr + h @ ur + hr)
        if slip == "no reset":
            r = 1.0
        if slip == "tanh update":
            z = np.tanh(xz + h @ uz + hz)
        inner = r * (h @ ug + hg) if after else (r * h) @ ug
        if slip.startswith("before"):
            inner = (r * h) @ ug + hg
        if slip == "bias outside":
            inner = r * (h @ ug) + hg
        if slip == "after":
            inner = r * (h @ ug)
        if slip == "after with bias":
            bg = np.split(bx, 3)[2]
            inner = r * (h @ ug + bg) - bg
        g = np.tanh(xg + inner)
        h = (1 - z) * h + z * g if slip == "turned" else z * h + (1 - z) * g
        states.append(h)
    return np.stack(states, axis=1)


def lstm(w: list[Any], x: Any, slip: str = "", h: Any = None, c: Any = None) -> Any:
    """Return all states, (batch, time, units); the last h and c too, where a first one is given."""
    kernel, u, b = w
    given = h is not None
    h = np.zeros((len(x), len(u))) if h is None else h
    c, states = h if c is None else c, list[Any]()
    if not given:
        c = 0 * h
    for t in range(x.shape[1]):
        zi, zf, zg, zo = np.split(x[:, t] @ kernel + h @ u + b, 4, axis=1)
        i, f, o = sigmoid(zi), sigmoid(zf), sigmoid(zo)
        g = sigmoid(zg) if slip == "sigmoid candidate" else np.tanh(zg)
        i = {"no input gate": 1.0, "coupled": 1 - f}.get(slip, i)
        o = {"no output gate": 1.0, "linear output gate": zo}.get(slip, o)
        new = f * c + i * g
        h = o * np.tanh(c if slip == "old c" else new)
        if slip == "relu of c":
            h = o * np.maximum(new, 0)
        c = new
        states.append(c if slip == "c for h" else h)
    whole = np.stack(states, axis=1)
    return (whole, h, c) if given else whole


def both(w: list[Any], x: Any, slip: str = "") -> Any:
    """Return the states of two directions, side by side."""
    first, second = w[:3], w[3:]
    if slip == "weights swapped":
        first, second = second, first
    if slip == "shared weights":
        second = first
    ahead, back = lstm(first, x), lstm(second, x[:, ::-1])[:, ::-1]
    if slip == "not turned back":
        back = back[:, ::-1]
    if slip == "not turned at all":
        back = lstm(second, x)
    return ahead, back


def _report(layer: str, forward: Callable[..., Any], steps: int = 4, **options: Any) -> CheckReport:
    from keras_impl import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    two = options.pop("merge_mode", None)
    inner = getattr(layers, layer)(3, name="rnn", **options)
    model = keras.Sequential(
        [
            keras.Input((steps, 2)),
            layers.Bidirectional(inner, merge_mode=two, name="both") if two else inner,
        ]
    )
    w = [np.array(v, np.float64) for v in model.get_weights()]
    return parity.check(
        parity.Candidate(get_weights=lambda: w, forward=lambda x: forward(w, x)), model
    )


def _one(layer: str, slip: str, after: bool = True, choose: Any = None) -> CheckReport:
    options: dict[str, Any] = {"return_sequences": choose is None}
    if layer == "GRU":
        options["reset_after"] = after

    def forward(w: list[Any], x: Any) -> Any:
        out = gru(w, x, slip, after) if layer == "GRU" else lstm(w, x, slip)
        return out if choose is None else choose(out)

    return _report(layer, forward, **options)


def _two(slip: str, join: Callable[..., Any], mode: str, sequences: bool = True) -> CheckReport:
    return _report(
        "LSTM", lambda w, x: join(*both(w, x, slip)), merge_mode=mode, return_sequences=sequences
    )


def side(a: Any, b: Any) -> Any:
    return np.concatenate([a, b], axis=-1)


def _ends(a: Any, b: Any) -> Any:
    return side(a[:, -1], b[:, 0])


def _decoder(slip: str) -> CheckReport:
    from keras_impl import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    i, j = keras.Input((3, 2)), keras.Input((4, 2))
    _, h, c = layers.LSTM(3, return_state=True, name="encoder")(i)
    out = layers.LSTM(3, return_sequences=True, name="decoder")(j, initial_state=[h, c])
    model = keras.Model([i, j], out)
    w = [np.array(v, np.float64) for v in model.get_weights()]

    def forward(*inputs: Any) -> Any:
        x, y = inputs
        zero = np.zeros((len(x), 3))
        _, h, c = lstm(w[:3], x, "", zero, zero)
        h, c = {"swapped": (c, h), "left out": (zero, zero)}.get(slip, (h, c))
        return lstm(w[3:], y, "", h, c)[0]

    return parity.check(parity.Candidate(get_weights=lambda: w, forward=forward), model)


def carried(w: list[Any], x: Any) -> Any:
    zero, outs = np.zeros((1, 3)), list[Any]()
    h, c = zero, zero
    for row in x:
        out, h, c = lstm(w, row[None], "", h, c)
        outs.append(out[0])
    return np.stack(outs)


def late(states: Any) -> Any:
    return np.concatenate([0 * states[:, :1], states[:, :-1]], axis=1)


PLANTED: list[Planted] = []


def _plant(bug: Bug | None, words: str, report: Callable[..., CheckReport], *given: Any) -> None:
    PLANTED.append(Planted(bug, words, lambda: report(*given)))


for bug, words, slip, after in (
    (None, "", "", True),
    (None, "", "", False),
    (cells.CANDIDATE_BIAS_PLACE, "outside of what the reset gate multiplies", "bias outside", True),
    (cells.RESET_PLACE, "applied before the recurrent kernel's product", "before", True),
    (cells.RESET_PLACE, "the recurrent bias is left out as well", "before and no bias", True),
    (cells.RESET_PLACE, "applied after the recurrent kernel's product", "after", False),
    (cells.RESET_PLACE, "it multiplies the bias too", "after with bias", False),
    (cells.RECURRENT_BIAS, "the recurrent bias is left out", "no recurrent bias", True),
    (cells.INPUT_BIAS, "the input's bias is left out", "no input bias", True),
    (cells.BIASES_SWAPPED, "have changed places", "biases swapped", True),
    (cells.GATE_LEFT_OUT, "the reset gate is left out", "no reset", True),
    (cells.GATE_LEFT_OUT, "the reset gate is left out", "no reset", False),
    (cells.UPDATE_GATE, "z and 1 - z", "turned", False),
    (cells.PLACE_ACTIVATION, "the update gate has the activation tanh", "tanh update", True),
):
    _plant(bug, words, _one, "GRU", slip, after)
for bug, words, slip in (
    (None, "", ""),
    (cells.OLD_STATE_SHOWN, "the cell's state before the step", "old c"),
    (cells.CELL_STATE_RETURNED, "the cell's state c is returned", "c for h"),
    (cells.GATE_LEFT_OUT, "the input gate is left out", "no input gate"),
    (cells.GATE_LEFT_OUT, "the output gate is left out", "no output gate"),
    (cells.GATES_COUPLED, "the input gate is taken to be 1 less the forget gate", "coupled"),
    (cells.PLACE_ACTIVATION, "the candidate has the activation sigmoid", "sigmoid candidate"),
    (cells.PLACE_ACTIVATION, "the cell's state has the activation relu", "relu of c"),
    (cells.PLACE_ACTIVATION, "the output gate has the activation linear", "linear output gate"),
):
    _plant(bug, words, _one, "LSTM", slip)
for bug, words, choose in (
    (None, "", lambda out: out[:, -1]),
    (recurring.OTHER_STATE, "behind the first step", lambda out: out[:, 0]),
    (recurring.OTHER_STATE, "the mean of all states", lambda out: out.mean(axis=1)),
    (recurring.OTHER_STATE, "the last state but one", lambda out: out[:, -2]),
):
    _plant(bug, words, _one, "LSTM", "", True, choose)
for bug, words, slip, join, mode in (
    (None, "", "", side, "concat"),
    (None, "", "", lambda a, b: (a + b) / 2, "ave"),
    (recurring.SEQUENCE_TURNED, "the other order of time", "not turned back", side, "concat"),
    (recurring.SEQUENCE_TURNED, "the other order of time", "not turned back", np.multiply, "mul"),
    (recurring.TIME_REVERSED, "in the other direction", "not turned at all", side, "concat"),
    (recurring.MERGE_MODE, 'by "sum" instead of "ave"', "", np.add, "ave"),
    (recurring.MERGE_MODE, 'by "mul" instead of "sum"', "", np.multiply, "sum"),
    (recurring.DIRECTIONS_WEIGHTS, "each direction", "weights swapped", side, "concat"),
    (recurring.DIRECTIONS_WEIGHTS, "the backward direction", "shared weights", side, "concat"),
):
    _plant(bug, words, _two, slip, join, mode)
_plant(None, "", _two, "", _ends, "concat", False)
_plant(
    recurring.OTHER_STATE, "behind the first step that it goes through", _two, "",
    lambda a, b: side(a[:, -1], b[:, -1]), "concat", False,
)  # fmt: skip
for bug, words, slip in (
    (None, "", ""),
    (recurring.INITIAL_STATE_LEFT_OUT, "is left out", "left out"),
    (recurring.INITIAL_STATE_SWAPPED, "c is taken for h", "swapped"),
):
    _plant(bug, words, _decoder, slip)
_plant(
    recurring.STATE_CARRIED, "from one sample to the next",
    lambda: _report("LSTM", carried, return_sequences=True),
)  # fmt: skip
_plant(
    recurring.OTHER_STATE, "at each step the state before it",
    lambda: _report("LSTM", lambda w, x: late(lstm(w, x)), return_sequences=True),
)  # fmt: skip
