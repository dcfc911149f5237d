"""Every bug of a layer that has a name, in code, with where it is to be found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import parity
from parity import CheckReport
from parity.checking.bugs import derivative, layers, table
from parity.checking.bugs.table import Bug
from tests.parity.layers import functions, paths, recurrent
from tests.parity.layers.objects import Attributes, BatchNorm, Dicts, Lists, Recurrent, several

INDICES = np.array([[0, 1, 1], [2, 0, 3]])
SEEN = np.array([[[1, 1, 0, 1, 0]] * 4, [[1, 0, 0, 1, 1]] * 4])
STEPS = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]])


def keras_layer(name: str, *given: Any, **options: Any) -> Any:
    """Return a layer of Keras's, which is imported only then."""
    from keras_impl import keras

    if name == "dot_product_attention":
        return keras.ops.dot_product_attention
    return getattr(keras.layers, name)(*given, **options)


@dataclass(frozen=True)
class Planted:
    """One layer with one bug; or with none. ``where`` is None if its arrays have other names."""

    kind: str
    bug: Bug | None
    where: str | None
    report: Callable[[], CheckReport]


PLANTED: list[Planted] = []
# The same functions of one input as methods of objects.
OBJECTS: list[Planted] = []


def plant(
    kind: str, bug: Bug | None, where: str, layer: Any, keras: tuple[Any, ...], inputs: Any,
    weights: Any = None, options: dict[str, Any] | None = None, **more: Any,
) -> None:  # fmt: skip
    def report(layer: Any = layer, weights: Any = weights) -> CheckReport:
        forward, backward = layer if isinstance(layer, tuple) else (layer, None)
        reference = keras_layer(*keras, **(options or {}))
        return parity.check_layer(
            forward, backward, reference, inputs=inputs, weights=weights, **more
        )

    PLANTED.append(Planted(kind, bug, where, report))
    # A line that mends what has no name is found in objects, as their functions are known.
    named = bug is not layers.GRADIENT_WRONG
    # Objects have one output, and what takes one step of an LSTM has two.
    if isinstance(layer, tuple) and named and kind != "LSTM step":
        arrays = [np.ones(shape) for shape in weights or ()]
        count = len(inputs) if isinstance(inputs, list) else 1
        for style in (Attributes, Dicts):
            made = partial(report, several(style, count)(layer, *arrays), None)
            OBJECTS.append(Planted(f"{kind}, {style.__name__.lower()}", bug, None, made))


for bug, where, name in (
    (None, "", ""),
    (layers.NOT_SUMMED, "db", "db not summed"),
    (derivative.FACTOR, "dw", "dw averaged"),
    (derivative.SIGN, "dw", "dw sign"),
    (layers.ONE_COUNTS, "dw", "dw overwritten"),
    (derivative.ZERO, "dw", "dw zero"),
    (layers.GRADIENT_WRONG, "dw", "dw nonsense"),
    (layers.KERNEL_UNTRANSPOSED, "dx", "untransposed"),
):
    shapes = [(3, 3), (3,)]
    pair = functions.affine(name)
    plant("affine", bug, where, pair, ("Dense", 3), (5, 3), shapes)
    weights = [np.ones((3, 3)), np.ones(3)]
    places = {"dw": "dW0", "db": "dW1"}
    for make in (Attributes, Dicts):
        plant(
            "affine class", bug, places.get(where, where), make(pair, *weights), ("Dense", 3),
            (5, 3), ["W0", "W1"],
        )  # fmt: skip
plant(
    "affine class", table.ACCUMULATED, "backward",
    lambda: Attributes(functions.affine(), np.ones((3, 3)), np.ones(3), adds=True),
    ("Dense", 3), (5, 3),
)  # fmt: skip
plant(
    "affine class", layers.STALE, "backward", lambda: Lists(functions.affine(), np.ones((3, 3)),
    np.ones(3)), ("Dense", 3), (5, 3),
)  # fmt: skip
for name, bugs in (
    ("relu", {"": None, "missing": layers.DERIVATIVE_MISSING}),
    ("tanh", {"": None, "function": layers.FUNCTION_FOR_DERIVATIVE}),
    ("softmax", {"": None, "diagonal": layers.SOFTMAX_BY_DIAGONAL}),
):
    for said, bug in bugs.items():
        pair = functions.activation(name, said)
        plant("activation", bug, "dx", pair, ("Activation", name), (5, 3))

for bug, where, name, stride, pad in (
    (None, "", "", 1, 0),
    (None, "", "", 2, 0),
    (None, "", "", 1, 1),
    (layers.KERNEL_FLIPPED, "forward", "flipped", 1, 0),
    (layers.KERNEL_NOT_FLIPPED, "dx", "unflipped", 1, 0),
    (layers.STRIDE_FORGOTTEN, "dx and dw", "stride", 2, 0),
    (layers.PADDING_FORGOTTEN, "dx", "padding", 1, 1),
    (layers.PADDING_FORGOTTEN, "dx", "border kept", 1, 1),
    (layers.WINDOWS_OVERWRITTEN, "dx", "overwritten", 1, 0),
    (layers.NOT_SUMMED, "db", "db not summed", 1, 0),
):
    options = {"strides": stride, "padding": "same" if pad else "valid"}
    pair, shapes = functions.conv(name, stride, pad), [(4, 2, 3, 3), (4,)]
    plant("conv", bug, where, pair, ("Conv2D", 4, 3), (2, 2, 6, 5), shapes, options)
    if name in ("", "unflipped", "overwritten"):
        arrays = [np.ones(shape) for shape in shapes]
        places = {"": "", "dx": "dx"}
        plant(
            "conv class", bug, places[where], Attributes(pair, *arrays), ("Conv2D", 4, 3),
            (2, 2, 6, 5), None, options,
        )  # fmt: skip

for bug, name in ((None, ""), (layers.DILATION_FORGOTTEN, "forgotten")):
    plant(
        "conv", bug, "dx", functions.dilated(name), ("Conv1D", 4, 3), (2, 3, 9),
        [(4, 3, 3), (4,)], {"dilation_rate": 2},
    )  # fmt: skip

PICTURE = (2, 3, 6, 4)
for bug, name in (
    (None, ""),
    (None, "shared"),
    (layers.MAX_TO_ALL, "to all"),
    (layers.TIES_ALL, "ties to all"),
    (layers.TIES_NONE, "ties lost"),
):
    plant("pool", bug, "dx", functions.pool(True, name), ("MaxPooling2D", 2), PICTURE)
for bug, name in ((None, ""), (layers.AVERAGE_NOT_DIVIDED, "undivided")):
    plant("pool", bug, "dx", functions.pool(False, name), ("AveragePooling2D", 2), PICTURE)
for bug, name in ((None, ""), (layers.WINDOWS_OVERWRITTEN, "overwritten")):
    pair = functions.pool(True, name, 3, 1)
    plant("pool", bug, "dx", pair, ("MaxPooling2D", 3), PICTURE, None, {"strides": 1})
plant(
    "pool class", layers.TIES_ALL, "dx", Attributes(functions.pool(True, "ties to all")),
    ("MaxPooling2D", 2), PICTURE,
)  # fmt: skip

for kind, layer in (("BatchNormalization", False), ("LayerNormalization", True)):
    for bug, where, name in (
        (None, "", ""),
        (layers.NORM_MEAN_TERM, "dx", "mean"),
        (layers.NORM_VARIANCE_TERM, "dx", "variance"),
        (layers.NORM_STATISTICS_TERMS, "dx", "both"),
        (layers.NORM_GAMMA, "dx", "gamma"),
        (layers.NORM_N_MINUS_1, "forward", "n - 1"),
        (layers.NORM_EPSILON_PLACE, "forward", "eps place"),
        (layers.NORM_EPSILON_BACKWARD, "dx", "eps back"),
        (layers.NORM_GAMMA_OF_X, "dgamma", "of x"),
        (layers.NORM_GAMMA_OF_X, "dgamma", "of centred"),
        (layers.NORM_AXIS, "forward", "axis"),
        (layers.NORM_AXIS_BACKWARD, "dx", "axis back"),
        (layers.NORM_COUNT, "dx", "wrong count"),
        (layers.NORM_COUNT, "dx", "first count"),
        (layers.NORM_SHARE, "dx", "no half"),
        (layers.NORM_INVERSE, "dx", "no inverse"),
        *([(layers.NORM_GAMMA_PLACE, "dx", "gamma behind")] if layer else []),
    ):
        pair = functions.norm(layer, name)
        plant(kind, bug, where, pair, (kind,), (6, 5), [(5,), (5,)])
    plant(
        kind, layers.NORM_EPSILON_VALUE, "forward", functions.norm(layer, "", 1e-5), (kind,),
        (6, 5), [(5,), (5,)],
    )  # fmt: skip
for bug, where, name in (
    (None, "", ""),
    (layers.NORM_INFERENCE, "forward", "inference"),
    (layers.NORM_MOMENTUM, "running_mean", "momentum"),
    (layers.NORM_N_MINUS_1, "running_var", "unbiased"),
):
    plant(
        "BatchNormalization class", bug, where, BatchNorm(name), ("BatchNormalization",), (6, 5),
        None, {"momentum": 0.9},
    )  # fmt: skip

for bug, name in ((None, ""), (layers.EMBEDDING_REPEATS, "repeats")):
    pair = functions.embedding(name)
    plant("embedding", bug, "dtable", pair, ("Embedding", 5, 4), INDICES, [(5, 4)])

QKV = [(2, 4, 3), (2, 5, 3), (2, 5, 6)]
for bug, where, name in (
    (None, "", ""),
    (layers.ATTENTION_SCALE, "forward", "scale"),
    (layers.ATTENTION_SCALE, "dq and dk", "scale back"),
    (layers.ATTENTION_AXIS, "forward", "axis"),
    (layers.SOFTMAX_BY_DIAGONAL, "dq and dk", "diagonal"),
    (layers.SOFTMAX_FORM, "dq and dk", "sum of da"),
    (layers.SOFTMAX_FORM, "dq and dk", "no softmax"),
    (layers.SOFTMAX_FORM, "dq and dk", "over queries"),
):
    plant("attention", bug, where, functions.attention(name), ("dot_product_attention",), QKV)
for bug, where, name in (
    (None, "", ""),
    (layers.ATTENTION_MASK, "forward", "mask after"),
    (layers.MASK_IGNORED, "forward", "mask"),
):
    pair = functions.attention(name)
    plant("attention", bug, where, pair, ("dot_product_attention",), QKV, arguments={"mask": SEEN})
for bug, where, name in (
    (None, "", ""),
    (layers.ATTENTION_SCALE, "dx, dwq and dwk", "scale back"),
    (layers.ATTENTION_HEADS, "forward", "heads"),
    (layers.BRANCH_OVERWRITTEN, "dx", "branch"),
):
    plant(
        "attention", bug, where, functions.multi_head(2, name), ("MultiHeadAttention", 2, 2),
        (2, 3, 4), [(4, 4)] * 4, {"use_bias": False},
    )  # fmt: skip

for bug, where, name in (
    (None, "", ""),
    (layers.DROPOUT_UNSCALED, "forward", "unscaled"),
    (layers.DROPOUT_RATE, "forward", "rate"),
    (layers.DROPOUT_MASK, "dx", "no mask"),
    (layers.DROPOUT_BACKWARD_UNSCALED, "dx", "no scale"),
):
    for make in (tuple, Attributes):
        pair = functions.dropout(0.3, name)
        plant("dropout", bug, where, make(pair), ("Dropout", 0.3), (20, 30))

EVERY = "dx, dh0, dwx, dwh and db"
for bug, where, name in (
    (None, "", ""),
    (layers.DH_NEXT, EVERY, "dh_next"),
    (layers.DERIVATIVE_MISSING, EVERY, "derivative"),
    (layers.FUNCTION_FOR_DERIVATIVE, EVERY, "function"),
    (layers.STEPS_OVERWRITTEN, "dwx, dwh and db", "overwritten"),
    (layers.KERNEL_UNTRANSPOSED, EVERY, "untransposed"),
    (layers.TRUNCATED, EVERY, "truncated"),
):
    plant(
        "SimpleRNN", bug, where, recurrent.rnn(name), ("SimpleRNN", 5), [(3, 4, 2), (3, 5)],
        [(2, 5), (5, 5), (5,)],
    )  # fmt: skip
plant(
    "SimpleRNN", layers.TRUNCATED, EVERY, recurrent.rnn_windows(2), ("SimpleRNN", 5),
    [(3, 4, 2), (3, 5)], [(2, 5), (5, 5), (5,)],
)  # fmt: skip
for bug, name in ((None, ""), (layers.STATE_NOT_RESET, "kept")):
    plant("SimpleRNN class", bug, "forward", Recurrent(name), ("SimpleRNN", 5), (3, 4, 2))

STEP = "dx, dh, dwx, dwh and db"
for bug, where, name in (
    (None, "", ""),
    (layers.HARD_SIGMOID, "forward", "hard"),
    (layers.HARD_SIGMOID, STEP, "hard back"),
    (layers.DERIVATIVE_MISSING, STEP, "gates"),
    (layers.FUNCTION_FOR_DERIVATIVE, STEP, "function for derivative"),
    (layers.DERIVATIVE_MISSING, "dx, dh, dc, dwx, dwh and db", "function of c"),
    (layers.DC_NEXT, "dx, dh, dc, dwx, dwh and db", "dc_next"),
    (layers.GATE_ORDER, STEP, "order"),
    (layers.CELL_FUNCTION_MISSING, "forward", "cell"),
    (layers.CELL_FUNCTION_MISSING, STEP, "cell back"),
    (layers.KERNEL_UNTRANSPOSED, "dh", "untransposed"),
):
    plant(
        "LSTM step", bug, where, recurrent.lstm_step(name), ("LSTM", 5), [(3, 2), (3, 5), (3, 5)],
        [(2, 20), (5, 20), (20,)],
    )  # fmt: skip
for bug, name, mask in (
    (None, "", None),
    (layers.DH_NEXT, "dh_next", None),
    (layers.DC_NEXT, "dc_next", None),
    (None, "", STEPS),
    (layers.MASK_IGNORED, "mask", STEPS),
    (layers.MASK_IGNORED, "mask back", STEPS),
):
    where = "forward" if name == "mask" else "dx, dh0, dw and db"
    plant(
        "LSTM", bug, where, recurrent.lstm(name), ("LSTM", 5), [(3, 4, 2), (3, 5)],
        [(7, 20), (20,)], arguments={} if mask is None else {"mask": mask},
    )  # fmt: skip

for after in (True, False):
    for bug, where, name in (
        (None, "", ""),
        (layers.GRU_RESET, "forward", "reset"),
        (layers.GRU_RESET, "dx, dh, dwx, dwh, db and dc", "reset back"),
        (layers.GRU_RESET_PLACE, "forward", "place"),
        (layers.GRU_UPDATE, "forward", "update"),
        (layers.DH_NEXT, "dh", "kept"),
    ):
        plant(
            "GRU step", bug, where, recurrent.gru_step(name, after), ("GRU", 5), [(3, 2), (3, 5)],
            [(2, 15), (5, 15), (15,), (15,)], {"reset_after": after},
        )  # fmt: skip
plant(
    "GRU step", layers.GRU_RESET, "dh, dwh and dc", recurrent.gru_step("reset factor"),
    ("GRU", 5), [(3, 2), (3, 5)], [(2, 15), (5, 15), (15,), (15,)],
)  # fmt: skip
plant(
    "affine", layers.NOT_THE_REFERENCE, "forward",
    (
        lambda x, w, b: (1.1 * (x @ w) + b, (x, w)),
        lambda d, cache: (1.1 * d @ cache[1].T, 1.1 * cache[0].T @ d, d.sum(axis=0)),
    ),
    ("Dense", 3), (5, 3), [(3, 3), (3,)],
)  # fmt: skip
plant(  # its kernel lies in another way than Keras's, so that other ways may be left to try
    "affine", layers.OTHER_FUNCTION, "forward",
    (
        lambda x, w, b: (1.1 * (x @ w.T) + b, (x, w)),
        lambda d, cache: (1.1 * d @ cache[1], 1.1 * d.T @ cache[0], d.sum(axis=0)),
    ),
    ("Dense", 4), (5, 3), [(4, 3), (4,)],
)  # fmt: skip

ALL = "dx, dw, du and db"
for bug, where, name in (
    (None, "", ""),
    (layers.DERIVATIVE_FORM, ALL, "1 - c^2"),
    (layers.DERIVATIVE_FORM, ALL, "sigmoid's"),
    (layers.DERIVATIVE_FORM, ALL, "z (1 - z)"),
    (layers.OTHER_TIME, ALL, "new c"),
    (layers.OTHER_TIME, ALL, "old c"),
    (layers.OTHER_TIME, ALL, "old c in tanh'"),
    (layers.OTHER_TIME, "du", "new h"),
    (layers.SLOPE_OF_OTHER_GATE, ALL, "slope of i"),
    (layers.GATE_DELTA_MISSING, ALL, "no do"),
    (layers.PATH_MISSING, ALL, "c of h"),
    (layers.PATH_MISSING, ALL, "h through i"),
    (layers.PATH_MISSING, ALL, "h through o"),
    (layers.FORGET_GATE_MISSING, ALL, "dc"),
    (layers.STEP_LEFT_OUT, "dx, dw and db", "first step"),
    (layers.STEP_LEFT_OUT, ALL, "last step"),
):
    plant(
        "LSTM paths", bug, where, paths.lstm_paths(name), ("LSTM", 3), (3, 4, 2),
        [(2, 12), (3, 12), (12,)],
    )  # fmt: skip
for after in (False, True):
    every = "dx, dw, du, db and darray 4" if after else ALL
    for bug, where, name in (
        (None, "", ""),
        (layers.PATH_MISSING, every, "candidate"),
        (layers.GRU_UPDATE_BACKWARD, every, "sign"),
        (layers.GRU_UPDATE_BACKWARD, every, "only g"),
        (layers.GRU_UPDATE_BACKWARD, every, "only h"),
        (layers.GRU_UPDATE_BACKWARD, every, "z for 1 - z"),
        (layers.GRU_UPDATE_BACKWARD, every, "no z"),
        (layers.GATE_DELTA_MISSING, every, "no dg"),
        (layers.GRU_RESET_KERNEL, "du", "no r in du"),
        *([] if after else [(layers.GRU_RESET, every, "no r")]),
        *([(layers.GRU_SECOND_BIAS, "darray 4", "biases alike")] if after else []),
    ):
        shapes = [(2, 9), (3, 9), (9,)] + [(9,)] * after
        plant(
            "GRU paths", bug, where, paths.gru_paths(name, after), ("GRU", 3), (3, 4, 2), shapes,
            {"reset_after": after},
        )  # fmt: skip
for bug, where, name in (
    (None, "", ""),
    (layers.OTHER_TIME, ALL, "old slope"),
    (layers.OTHER_TIME, "du", "new h"),
    (layers.DERIVATIVE_MISSING, ALL, "unsloped"),
):
    plant(
        "SimpleRNN paths", bug, where, paths.rnn_paths(name), ("SimpleRNN", 3), (3, 4, 2),
        [(2, 3), (3, 3), (3,)],
    )  # fmt: skip

for bug, where, name in (
    (layers.ATTENTION_TRANSPOSED, "dk", "dk turned"),
    (layers.ATTENTION_TRANSPOSED, "dv", "dv turned"),
):
    square = [(2, 4, 3), (2, 4, 3), (2, 4, 3)]
    plant("attention", bug, where, functions.attention(name), ("dot_product_attention",), square)


def _with_heads(pair: functions.Pair) -> functions.Pair:
    """Return attention on (batch, time, heads, size)."""

    def parted(z: Any) -> Any:
        return z.transpose(0, 2, 1, 3).reshape(-1, z.shape[1], z.shape[3])

    def whole(z: Any, heads: int = 2) -> Any:
        return z.reshape(-1, heads, *z.shape[1:]).transpose(0, 2, 1, 3)

    def forward(q: Any, k: Any, v: Any) -> Any:
        out, cache = pair[0](parted(q), parted(k), parted(v))
        return whole(out), cache

    return forward, lambda dout, cache: tuple(whole(g) for g in pair[1](parted(dout), cache))


for bug, where, name in (
    (None, "", ""),
    (layers.SOFTMAX_BY_DIAGONAL, "dq and dk", "diagonal"),
    (layers.ATTENTION_SCALE, "dq and dk", "scale back"),
):
    plant(
        "attention with heads", bug, where, _with_heads(functions.attention(name)),
        ("dot_product_attention",), [(2, 4, 2, 3), (2, 5, 2, 3), (2, 5, 2, 3)],
    )  # fmt: skip
