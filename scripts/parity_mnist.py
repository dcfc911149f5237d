"""Train 784-500-300-10 on MNIST by D4's recipe in both engines, and compare every step.

``python -m scripts.parity_mnist``: RMSprop, batches of 100, 10 epochs (6,000 steps), float64, the
same starting weights and the same order. At the end the two trained networks have to agree within
1e-12 of the weights' scale and to predict the same label for each of the 10,000 test pictures.
"""

import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from digits.datasets import DatasetError
from numpy_impl import Sequential, models
from scripts import cli, engines, recipes
from scripts.recipes import Samples

NAME, DTYPE, SEED = "784-500-300-10", "float64", 0
LIMIT = 1e-12


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = cli.Parser(prog="python -m scripts.parity_mnist", description=__doc__)
    parser.add_argument("--epochs", type=int, default=10, metavar="N")
    parser.add_argument("--data", type=Path, metavar="PATH", help="MNIST (MNIST_PATH)")
    parser.add_argument(
        "--check-every", type=int, default=10, metavar="N",
        help="compare each Nth step from Keras's own state (10); all steps are taken",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if min(options.epochs, options.check_every) < 1:
        raise cli.CliError(
            "expected --epochs and --check-every of at least 1. "
            f"Received: {options.epochs} and {options.check_every}"
        )
    return options


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    recipe = recipes.get(NAME)
    weights_rng, order_rng, split_rng = np.random.default_rng(SEED).spawn(3)
    try:
        samples = recipe.load(options.data, split_rng, DTYPE)
    except DatasetError as error:
        raise cli.CliError(str(error)) from error
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    batches = [batch for epoch in range(options.epochs) for batch in schedule(epoch)]
    console = cli.console()
    import keras_impl

    with keras_impl.precision(DTYPE):
        network = models.build(NAME, weights_rng, dtype=DTYPE)
        return _compare(network, recipe, samples, batches, options.check_every, console)


def _compare(
    network: Sequential,
    recipe: recipes.Recipe,
    samples: Samples,
    batches: list[np.ndarray],
    check_every: int,
    console: Console,
) -> int:
    import parity
    from parity.report import render

    model = parity.keras_twin(network)
    started = time.monotonic()
    bars = TextColumn(NAME), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*bars, console=console) as progress:
        task = progress.add_task("", total=len(batches))
        result = parity.compare_training(
            model, network, samples.x_train, samples.y_train,
            loss=recipe.loss, optimizer=engines.keras_optimizer(recipe.optimizer, recipe.options),
            batches=batches, check_every=check_every,
            on_step=lambda done: progress.update(task, completed=done),
        )  # fmt: skip
    render(result, console)
    apart = parity.distance(model, network)
    theirs = np.argmax(np.asarray(model.predict_on_batch(samples.x_test)), axis=1)
    ours = np.argmax(network.predict(samples.x_test), axis=1)
    right = np.argmax(samples.y_test, axis=1)
    same = int(np.count_nonzero(theirs == ours))
    console.print(
        f"Weights after {len(batches)} steps: {apart:.1e} of their scale apart "
        f"(limit {LIMIT:.0e}).\n"
        f"Predicted labels: {same} of {len(right)} the same.\n"
        f"Test accuracy: Keras {np.mean(theirs == right):.2%}, NumPy {np.mean(ours == right):.2%} "
        f"({time.monotonic() - started:.0f} s)"
    )
    return 0 if result.passed and apart <= LIMIT and same == len(right) else cli.FAILURE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 0 if the two trainings are the same."""
    return cli.run("parity_mnist", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
