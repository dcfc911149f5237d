"""The networks that have names: those of the documents, and two of other layers than Dense.

========================  ========  ==========================================================
name                      document  network
========================  ========  ==========================================================
``64-40-10``              D0        sigmoid, sigmoid; weights and biases from N(0, 1)
``784-30-10``             D1        sigmoid, sigmoid; weights and biases from N(0, 1)
``784-100-10``            D1        the same with 100 hidden units
``64-200-10``             D2        tanh, dropout 1/2, softmax; no biases, weights from U[-1, 1)
``784-64-10``             D3        sigmoid, softmax; weights from N(0, 1), biases 0
``784-500-300-10``        D4        ReLU, ReLU, softmax; Glorot uniform weights, biases 0
``sigmoid:n0-n1-...-nk``  D1        sigmoid in every layer; weights and biases from N(0, 1)
``lenet``                           two convolutions, each with a max pooling, then dense layers
``lstm``                            an LSTM that reads a picture row by row, then a dense layer
========================  ========  ==========================================================

Pictures lie flat in the inputs of all of them; ``lenet`` and ``lstm`` give them their 28 rows back.
Their initial values are Keras's own.

``dropout`` puts another rate, and a dropout layer after each hidden layer, into any of them; layers
without an activation, such as poolings, do not count.
``keras_impl.models`` builds the same ones in Keras; a test holds the two together.
"""

from collections.abc import Callable, Sequence

import numpy as np

from numpy_impl.layers import LSTM, Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D, Reshape
from numpy_impl.network import Sequential
from numpy_impl.types import DTypeLike


def _sigmoid(sizes: Sequence[int]) -> list[Layer]:
    return [
        Dense(
            n, "sigmoid", kernel_initializer="standard_normal", bias_initializer="standard_normal"
        )
        for n in sizes
    ]


def _tanh_network() -> list[Layer]:
    return [
        Dense(200, "tanh", use_bias=False, kernel_initializer="uniform_one"),
        Dense(10, "softmax", use_bias=False, kernel_initializer="uniform_one"),
    ]


def _softmax_network() -> list[Layer]:
    return [
        Dense(64, "sigmoid", kernel_initializer="standard_normal"),
        Dense(10, "softmax", kernel_initializer="standard_normal"),
    ]


def _relu_network() -> list[Layer]:
    return [Dense(500, "relu"), Dense(300, "relu"), Dense(10, "softmax")]


def _lenet() -> list[Layer]:
    """LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to document
    recognition", fig. 2, with ReLU, max pooling and 20, 50 and 500 units, as usual since Caffe.
    """
    return [
        Reshape((28, 28, 1)),
        Conv2D(20, 5, activation="relu"),
        MaxPooling2D(),
        Conv2D(50, 5, activation="relu"),
        MaxPooling2D(),
        Flatten(),
        Dense(500, "relu"),
        Dense(10, "softmax"),
    ]


def _lstm() -> list[Layer]:
    return [Reshape((28, 28)), LSTM(128), Dense(10, "softmax")]


# Name -> (inputs, layers without dropout)
ARCHITECTURES: dict[str, tuple[int, Callable[[], list[Layer]]]] = {
    "64-40-10": (64, lambda: _sigmoid([40, 10])),
    "784-30-10": (784, lambda: _sigmoid([30, 10])),
    "784-100-10": (784, lambda: _sigmoid([100, 10])),
    "64-200-10": (64, _tanh_network),
    "784-64-10": (784, _softmax_network),
    "784-500-300-10": (784, _relu_network),
    "lenet": (784, _lenet),
    "lstm": (784, _lstm),
}
# The dropout rates that the documents state; elsewhere there is none.
DROPOUT = {"64-200-10": 0.5}


def build(
    name: str | Sequence[int],
    rng: np.random.Generator | None = None,
    *,
    dtype: DTypeLike = "float32",
    dropout: float | None = None,
) -> Sequential:
    """Build a network that has a name.

    Args:
        name: One of ``ARCHITECTURES``; or, for a sigmoid network of any depth, a list of at least
            two layer sizes, also written "sigmoid:2-2-1-3".
        rng: Draws the initial weights; None leaves them all 0, to be filled by ``set_weights``.
        dtype: "float32" or "float64".
        dropout: Rate, in [0, 1), of a dropout layer after each hidden layer; 0 for none, None for
            the document's own (``DROPOUT``).

    Raises:
        ValueError: An unknown name, sizes that are not two or more positive integers, or a rate out
            of range.
    """
    if isinstance(name, str) and name in ARCHITECTURES:
        inputs, make = ARCHITECTURES[name]
        rate = DROPOUT.get(name, 0.0) if dropout is None else dropout
        return Sequential(_with_dropout(make(), rate), inputs, rng, dtype, name)
    sizes = parse_sizes(name)
    title = "sigmoid:" + "-".join(map(str, sizes))
    layers = _with_dropout(_sigmoid(sizes[1:]), dropout or 0.0)
    return Sequential(layers, sizes[0], rng, dtype, title)


def _with_dropout(layers: list[Layer], rate: float) -> list[Layer]:
    """Put a dropout layer after each layer with an activation but the last."""
    if rate == 0:
        return layers
    *hidden, output = layers
    dropped: list[Layer] = []
    for layer in hidden:
        dropped += [layer, Dropout(rate)] if hasattr(layer, "activation") else [layer]
    return [*dropped, output]


def parse_sizes(name: str | Sequence[int]) -> list[int]:
    """Return the layer sizes that a list, or a name "sigmoid:n0-n1-...", gives.

    Raises:
        ValueError: It gives none.
    """
    pieces: Sequence[str | int] = name
    if isinstance(name, str):
        prefix, _, rest = name.partition(":")
        if prefix != "sigmoid":
            raise ValueError(
                f"Unknown architecture. Expected one of: {', '.join(ARCHITECTURES)}, "
                f"or sigmoid:n0-n1-... for sigmoid layers of any sizes. Received: {name!r}"
            )
        pieces = rest.split("-")
    sizes = [int(piece) if str(piece).isdecimal() else 0 for piece in pieces]
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"Expected two or more positive layer sizes, such as 64-40-10. Received: {name!r}"
        )
    return sizes
