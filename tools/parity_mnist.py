"""Train a network on MNIST by its recipe in both engines, and compare step by step.

``python -m tools.parity_mnist``: 784-500-300-10 by D4's recipe, batches of 100, 10 epochs (6,000
steps), float64, the same starting weights and the same order. After every epoch it says how far the
two trainings, left to themselves, are apart, how far two NumPy trainings are that started one unit
in the last place apart, and how many of the 10,000 test pictures get the same label from both
engines. ``--network lenet --steps 200`` does so with convolutions, after every quarter.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import terminal_io
from digit_data.datasets import DatasetError
from numpy_impl import Sequential, models
from scripts import engines, recipes
from scripts.recipes import RecipeSamples
from terminal_io import FAILURE, CliError, Parser, run

if TYPE_CHECKING:
    from keras_impl import keras
    from parity import Distance

DTYPE, SEED = "float64", 0
NAMES = ("784-500-300-10", "lenet")
RATES = {"rmsprop": 0.001, "sgd": 0.1, "adam": 0.001}


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = Parser(prog="python -m tools.parity_mnist", description=__doc__)
    parser.add_argument("--network", default=NAMES[0], choices=NAMES, help=f"({NAMES[0]})")
    parser.add_argument("--optimizer", choices=list(RATES), help="(that of the network's recipe)")
    parser.add_argument("--epochs", type=int, default=10, metavar="N")
    parser.add_argument("--steps", type=int, metavar="N", help="so many steps of these epochs")
    parser.add_argument("--data", type=Path, metavar="PATH", help="MNIST (MNIST_PATH)")
    parser.add_argument(
        "--check-every", type=int, default=10, metavar="N",
        help="compare each Nth step from Keras's own state (10); all steps are taken",
    )  # fmt: skip
    options = parser.parse_args(argv)
    options.optimizer = options.optimizer or recipes.get(options.network).optimizer
    if min(options.epochs, options.check_every) < 1:
        raise CliError(
            "expected --epochs and --check-every of at least 1. "
            f"Received: {options.epochs} and {options.check_every}"
        )
    if options.steps is not None and options.steps < 1:
        raise CliError(f"expected --steps of at least 1. Received: {options.steps}")
    return options


class Agreement:
    """Counts, now and then, the test pictures that get the same label from both engines."""

    def __init__(self, model: "keras.Model", network: Sequential, samples: RecipeSamples) -> None:
        self.model, self.network, self.samples = model, network, samples
        self.same: list[int] = []
        self.accuracies = 0.0, 0.0

    def measure(self) -> None:
        """Ask both engines about all test pictures."""
        theirs = np.argmax(np.asarray(self.model.predict_on_batch(self.samples.x_test)), axis=1)
        ours = np.argmax(self.network.predict(self.samples.x_test), axis=1)
        right = np.argmax(self.samples.y_test, axis=1)
        self.same.append(int(np.count_nonzero(theirs == ours)))
        self.accuracies = float(np.mean(theirs == right)), float(np.mean(ours == right))


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    recipe = recipes.get(options.network)
    weights_rng, order_rng, split_rng = np.random.default_rng(SEED).spawn(3)
    try:
        samples = recipe.load(options.data, split_rng, DTYPE)
    except DatasetError as error:
        raise CliError(str(error)) from error
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    epochs = [schedule(epoch) for epoch in range(options.epochs)]
    import keras_impl
    import parity

    with keras_impl.precision(DTYPE):
        network = models.build(options.network, weights_rng, dtype=DTYPE)
        agreement = Agreement(parity.keras_twin(network), network, samples)
        return _compare(agreement, epochs, options)


def _compare(agreement: Agreement, epochs: list[list[np.ndarray]], options: Namespace) -> int:
    import parity
    from parity.comparing.result import render

    console = terminal_io.console()
    batches = [batch for epoch in epochs for batch in epoch][: options.steps]
    every = len(epochs[0]) if options.steps is None else max(1, len(batches) // 4)
    rate = {"learning_rate": RATES[options.optimizer]}
    bars = TextColumn(options.network), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*bars, console=console) as progress:
        task = progress.add_task("", total=len(batches))

        def on_step(done: int) -> None:
            progress.update(task, completed=done)
            if done % every == 0:
                agreement.measure()

        result = parity.compare_training(
            agreement.model, agreement.network, agreement.samples.x_train,
            agreement.samples.y_train, loss=recipes.get(options.network).loss, batches=batches,
            optimizer=engines.keras_optimizer(options.optimizer, rate),
            check_every=options.check_every, measure_every=every, on_step=on_step,
        )  # fmt: skip
    render(result, console)
    console.print(_table(result.distances, agreement.same))
    theirs, ours = agreement.accuracies
    console.print(f"Test accuracy: Keras {theirs:.2%}, NumPy {ours:.2%}")
    return 0 if result.passed else FAILURE


def _table(distances: "list[Distance]", same: list[int]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("steps", "Keras and NumPy apart", "NumPy and NumPy apart", "same labels"):
        table.add_column(column, justify="right")
    for distance, count in zip(distances, same, strict=True):
        engines, control = f"{distance.engines:.1e}", f"{distance.control:.1e}"
        table.add_row(str(distance.steps), engines, control, str(count))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 0 if every checked step is the same up to rounding."""
    return run("parity_mnist", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
