"""Train recurrent networks in both engines from equal weights, and compare step by step.

``python -m tools.parity_sequences rows``: an LSTM reads MNIST row by row, 28 steps of 28 pixels,
one epoch in batches of 100. ``python -m tools.parity_sequences text``: a model of characters
(Embedding, recurrent layer, softmax at each step) learns the project's licence, 200 steps.

Both are in float64: a bound takes every step of the sequence to push an error on as far as it can,
so that after 28 steps float32 has none left (docs/layers/recurrent.md).
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

import terminal_io
from digit_data.datasets import DatasetError, load_mnist, one_hot
from numpy_impl import layers, losses
from numpy_impl.network import Sequential
from numpy_impl.training import shuffled
from numpy_impl.types import Array
from terminal_io import FAILURE, CliError, Parser, run

SEED, DTYPE = 0, "float64"
LICENCE = Path(__file__).parents[1] / "LICENSE"
CHARACTERS = 40  # of one sample
RATES = {"rows": 0.002, "text": 0.01}  # of Adam
MEASURED = 8  # times, the loss of the last ten batches
KINDS = {kind.__name__: kind for kind in (layers.SimpleRNN, layers.LSTM, layers.GRU)}
Task = tuple[Sequential, Array, Array, str, list[Array]]


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = Parser(prog="python -m tools.parity_sequences", description=__doc__)
    parser.add_argument("what", choices=["rows", "text"])
    parser.add_argument("--layer", default="LSTM", choices=list(KINDS), help="(LSTM)")
    parser.add_argument("--units", type=int, default=32, metavar="N", help="(32)")
    parser.add_argument("--steps", type=int, metavar="N", help="(600 of rows, 200 of text)")
    parser.add_argument(
        "--checked", type=int, default=20, metavar="N",
        help="compare so many steps from Keras's own state (20); all steps are taken",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="PATH", help="MNIST (MNIST_PATH)")
    options = parser.parse_args(argv)
    options.steps = options.steps or {"rows": 600, "text": 200}[options.what]
    if min(options.units, options.steps, options.checked) < 1:
        raise CliError(
            "expected --units, --steps and --checked of at least 1. "
            f"Received: {options.units}, {options.steps} and {options.checked}"
        )
    return options


def _rows(options: Namespace) -> Task:
    rng, order = np.random.default_rng(SEED).spawn(2)
    try:
        digits = load_mnist(options.data)
    except DatasetError as error:
        raise CliError(str(error)) from error
    recurrent = KINDS[options.layer](options.units)
    stack = [recurrent, layers.Dense(10, "softmax")]
    network = Sequential(stack, (28, 28), rng, DTYPE, f"{options.layer}-rows")
    x, y = digits.x_train / 255.0, one_hot(digits.y_train)
    return network, x, y, "categorical_crossentropy", shuffled(len(x), 100, order)(0)


def _text(options: Namespace) -> Task:
    rng, order = np.random.default_rng(SEED).spawn(2)
    characters, numbers = np.unique(list(LICENCE.read_text(encoding="utf-8")), return_inverse=True)
    pieces = np.lib.stride_tricks.sliding_window_view(numbers, CHARACTERS + 1)
    stack = [
        layers.Embedding(len(characters), 16),
        KINDS[options.layer](options.units, return_sequences=True),
        layers.Dense(len(characters), "softmax"),
    ]
    network = Sequential(stack, CHARACTERS, rng, DTYPE, f"{options.layer}-text")
    batches = [order.integers(0, len(pieces), 32) for _ in range(options.steps)]
    return network, pieces[:, :-1], pieces[:, 1:], "sparse_categorical_crossentropy", batches


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    network, x, y, loss, batches = (_rows if options.what == "rows" else _text)(options)
    batches = batches[: options.steps]
    import keras_impl
    import parity
    from keras_impl import keras
    from parity.comparing.result import render

    every = max(1, len(batches) // MEASURED)
    sample, console = np.concatenate(batches[-10:]), terminal_io.console()
    table = Table("steps", "loss in Keras", "loss in NumPy", box=None, pad_edge=False)
    with keras_impl.precision(DTYPE):
        model = parity.keras_twin(network)

        def on_step(done: int) -> None:
            if done % every == 0:
                theirs = np.asarray(model.predict_on_batch(x[sample].astype(DTYPE)))
                both = theirs, network.predict(x[sample])
                values = [losses.get(loss).value(outputs, y[sample]) for outputs in both]
                table.add_row(str(done), *(f"{value:.10f}" for value in values))

        result = parity.compare_training(
            model, network, x, y, loss=loss, optimizer=keras.optimizers.Adam(RATES[options.what]),
            batches=batches, check_every=max(1, len(batches) // options.checked),
            on_step=on_step,
        )  # fmt: skip
    render(result, console)
    console.print(table)
    return 0 if result.passed else FAILURE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 0 if every checked step is the same up to rounding."""
    return run("parity_sequences", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
