"""Right layers by chance: of any kind, of any size, in any layout."""

from collections.abc import Callable
from typing import Any

import numpy as np

import parity
from parity import CheckReport
from tests.parity.layers import functions, recurrent
from tests.parity.layers.functions import Pair
from tests.parity.layers.layouts import gates_moved, reordered, reshaped, turned
from tests.parity.layers.objects import Attributes
from tests.parity.layers.planted import keras_layer

Shape = tuple[int, ...]


class Draw:
    """What is drawn for one layer: sizes, layout, style."""

    def __init__(self, number: int) -> None:
        self.rng = np.random.default_rng([2026, number])

    def size(self, low: int = 1, high: int = 5) -> int:
        return int(self.rng.integers(low, high + 1))

    def one_of(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def check(
        self, pair: Pair, reference: Any, shapes: list[Shape], inputs: int, output: int = 0,
        turns: list[tuple[tuple[int, ...] | None, ...]] | None = None,
    ) -> CheckReport:  # fmt: skip
        """Check a layer in a layout of chance.

        Args:
            pair: The layer.
            reference: Keras's.
            shapes: Of the arrays, as the layer takes them.
            inputs: How many of them are inputs.
            output: How many axes the output has.
            turns: Orders of axes, for each array and then the output.
        """
        if turns:
            *axes, out = self.one_of(*turns)
            pair = turned(pair, axes, out)
            shapes = [
                shape if order is None else tuple(shape[k] for k in order)
                for shape, order in zip(shapes, axes, strict=True)
            ]
        for place in range(inputs, len(shapes)):
            if len(shapes[place]) == 1 and self.rng.random() < 0.4:
                column = bool(self.rng.random() < 0.5)
                pair = reshaped(pair, place, column)
                n = shapes[place][0]
                shapes[place] = (n, 1) if column else (1, n)
        several = len(shapes) > 1
        if several and inputs == 1 and self.rng.random() < 0.3:
            arrays = [np.ones(shape) for shape in shapes[1:]]
            return parity.check_layer(Attributes(pair, *arrays), None, reference, inputs=shapes[0])
        if several and len({tuple(sorted(s)) for s in shapes}) == len(shapes):
            pair = reordered(pair, self.rng.permutation(len(shapes)).tolist())
        backward: Callable[..., Any] = pair[1]
        return parity.check_layer(
            pair[0], backward, reference, inputs=list(shapes[:inputs]), weights=shapes[inputs:]
        )


def dense(d: Draw) -> CheckReport:
    n, i, o = d.size(1, 6), d.size(), d.size()
    turns = [(None, None, None, None), (None, (1, 0), None, None), ((1, 0), (1, 0), None, (1, 0))]
    shapes: list[Shape] = [(n, i), (i, o), (o,)]
    return d.check(functions.affine(), keras_layer("Dense", o), shapes, 1, turns=turns)


def activation(d: Draw) -> CheckReport:
    name = d.one_of("relu", "tanh", "softmax")
    pair = functions.activation(name)
    return d.check(pair, keras_layer("Activation", name), [(d.size(), d.size(2))], 1)


def conv(d: Draw) -> CheckReport:
    k, stride = d.size(1, 3), d.size(1, 2)
    pad = k // 2 if k % 2 and stride == 1 else 0
    n, c, f = d.size(1, 2), d.size(1, 3), d.size(1, 3)
    shapes: list[Shape] = [(n, c, k + d.size(1, 3), k + d.size(1, 3)), (f, c, k, k), (f,)]
    reference = keras_layer("Conv2D", f, k, strides=stride, padding="same" if pad else "valid")
    last = (0, 2, 3, 1)
    turns = [(None, None, None, None), (last, (2, 3, 1, 0), None, last), (last, last, None, last)]
    return d.check(functions.conv("", stride, pad), reference, shapes, 1, turns=turns)


def pool(d: Draw) -> CheckReport:
    k, stride, largest = d.size(1, 3), d.size(1, 3), d.one_of(True, False)
    name = "MaxPooling2D" if largest else "AveragePooling2D"
    shape = (d.size(1, 2), d.size(1, 3), k + d.size(1, 3), k + d.size(1, 3))
    pair = functions.pool(largest, "", k, stride)
    turns = [(None, None), ((0, 2, 3, 1), (0, 2, 3, 1))]
    return d.check(pair, keras_layer(name, k, strides=stride), [shape], 1, turns=turns)


def norm(d: Draw) -> CheckReport:
    layer = d.one_of(True, False)
    name = "LayerNormalization" if layer else "BatchNormalization"
    eps, n, c = d.one_of(1e-3, 1e-5), d.size(2, 6), d.size(2, 6)
    turns = [(None, None, None, None), ((1, 0), None, None, (1, 0))]
    shapes: list[Shape] = [(n, c), (c,), (c,)]
    reference = keras_layer(name, epsilon=eps)
    return d.check(functions.norm(layer, "", eps), reference, shapes, 1, turns=turns)


def embedding(d: Draw) -> CheckReport:
    v, width = d.size(2), d.size()
    indices = d.rng.integers(0, v, (d.size(), d.size()))
    reference = keras_layer("Embedding", v, width)
    return parity.check_layer(
        *functions.embedding(), reference, inputs=indices, weights=[(v, width)]
    )


def attention(d: Draw) -> CheckReport:
    n, t, s, width, out = (d.size() for _ in range(5))
    shapes: list[Shape] = [(n, t, width), (n, s, width), (n, s, out)]
    return d.check(functions.attention(), keras_layer("dot_product_attention"), shapes, 3)


def multi_head(d: Draw) -> CheckReport:
    heads, size = d.size(1, 3), d.size(1, 3)
    width = heads * size
    reference = keras_layer("MultiHeadAttention", heads, size, use_bias=False)
    shapes: list[Shape] = [(d.size(), d.size(), width), *[(width, width)] * 4]
    return d.check(functions.multi_head(heads), reference, shapes, 1)


def simple_rnn(d: Draw) -> CheckReport:
    n, t, i, u = d.size(), d.size(), d.size(), d.size()
    first = d.one_of(True, False)
    shapes: list[Shape] = [(t, n, i) if first else (n, t, i), (n, u), (i, u), (u, u), (u,)]
    return d.check(recurrent.rnn("", first), keras_layer("SimpleRNN", u), shapes, 2)


def lstm(d: Draw) -> CheckReport:
    n, t, i, u = d.size(), d.size(), d.size(), d.size()
    if d.one_of(True, False):
        shapes: list[Shape] = [(n, t, i), (n, u), (i + u, 4 * u), (4 * u,)]
        return d.check(recurrent.lstm(), keras_layer("LSTM", u), shapes, 2)
    pair = gates_moved(recurrent.lstm_step(), d.rng.permutation(4).tolist(), (3, 4, 5))
    shapes = [(n, i), (n, u), (n, u), (i, 4 * u), (u, 4 * u), (4 * u,)]
    return d.check(pair, keras_layer("LSTM", u), shapes, 3)


def gru(d: Draw) -> CheckReport:
    n, i, u, after = d.size(), d.size(), d.size(), d.one_of(True, False)
    pair = gates_moved(recurrent.gru_step("", after), d.one_of((0, 1, 2), (1, 0, 2)), (2, 3, 4, 5))
    shapes: list[Shape] = [(n, i), (n, u), (i, 3 * u), (u, 3 * u), (3 * u,), (3 * u,)]
    return d.check(pair, keras_layer("GRU", u, reset_after=after), shapes, 2)


def dropout(d: Draw) -> CheckReport:
    rate = d.one_of(0.1, 0.25, 0.5, 0.8)
    pair = functions.dropout(rate, seed=d.size(1, 1000))
    return d.check(pair, keras_layer("Dropout", rate), [(20, d.size(1, 20))], 1)


KINDS = (
    dense, activation, conv, pool, norm, embedding, attention, multi_head, simple_rnn, lstm, gru,
    dropout,
)  # fmt: skip


def right(number: int) -> CheckReport:
    """Check the right layer of a number."""
    return KINDS[number % len(KINDS)](Draw(number))
