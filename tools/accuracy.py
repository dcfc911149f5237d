"""Train every documented network with several seeds in both engines.

``python -m tools.accuracy`` prints a line for each training and at the end a table of the test
accuracies; the results stand in a JSON file too. Both engines start from the same weights and see
the same batches for the same seed; the masks of dropout differ.
"""

import json
import statistics
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

import terminal_io
from digit_data.datasets import DatasetError
from numpy_impl.types import Precision
from scripts import engines, recipes
from terminal_io import CliError, Parser, run, write_text

# The least mean accuracy that the project promises, and where the figure is from.
TARGETS = {
    "784-30-10": 0.945,
    "64-200-10": 0.97,
    "784-500-300-10": 0.98,
    "mnist-regularized": 0.986,
    "mnist-robust": 0.993,
    "lenet": 0.99,
    "lstm": 0.98,
}
# All but those of which a training takes minutes.
NAMES = ("64-40-10", "784-30-10", "64-200-10", "784-64-10", "784-500-300-10")

EPILOG = """\
example:
  python -m tools.accuracy --names 784-500-300-10 --seeds 5 --data mnist.npz
"""


def measure(
    name: str, engine: str, seed: int, dtype: Precision, data: Path | None
) -> dict[str, object]:
    """Train one network by its own recipe and test it.

    Returns:
        "name", "engine", "seed", "epochs" trained, test "accuracy" at the end and "seconds".
    """
    recipe = recipes.get(name)
    weights_rng, order_rng, split_rng, picture_rng = np.random.default_rng(seed).spawn(4)
    samples = recipe.load(data, split_rng, dtype)
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    plan = engines.TrainingPlan.of(recipe, dtype)
    epochs = 0

    def on_epoch(epoch: int, logs: engines.Logs) -> bool:
        nonlocal epochs
        epochs = epoch + 1
        return recipe.is_done(logs, samples)

    started = time.monotonic()
    with engines.trainer(engine, plan, weights_rng) as trainer:
        trainer.fit(
            samples.x_train, samples.y_train, epochs=recipe.epochs, schedule=schedule,
            learning_rate=recipe.learning_rate, augment=recipe.augment(picture_rng),
            on_epoch=on_epoch,
        )  # fmt: skip
        seconds = time.monotonic() - started
        right = np.argmax(trainer.predict(samples.x_test), 1) == np.argmax(samples.y_test, 1)
    return {
        "name": name,
        "engine": engine,
        "seed": seed,
        "epochs": epochs,
        "accuracy": float(np.mean(right)),
        "seconds": round(seconds, 1),
    }


def table(results: Sequence[dict[str, object]]) -> Table:
    """Return mean, standard deviation and range of the accuracies, a row a network and engine."""
    shown = Table(title="Test accuracy in percent", title_justify="left", box=None, pad_edge=False)
    for column in ("network", "engine"):
        shown.add_column(column)
    for column in ("seeds", "epochs", "mean", "std", "min", "max", "target", "seconds"):
        shown.add_column(column, justify="right")
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    for result in results:
        groups.setdefault((str(result["name"]), str(result["engine"])), []).append(result)
    for (name, engine), group in groups.items():
        accuracies = [100 * float(str(r["accuracy"])) for r in group]
        epochs = [int(str(r["epochs"])) for r in group]
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        target = f"{100 * TARGETS[name]:.1f}" if name in TARGETS else ""
        shown.add_row(
            name,
            engine,
            str(len(group)),
            str(epochs[0]) if len(set(epochs)) == 1 else f"{min(epochs)}-{max(epochs)}",
            f"{statistics.mean(accuracies):.2f}",
            f"{spread:.2f}",
            f"{min(accuracies):.2f}",
            f"{max(accuracies):.2f}",
            target,
            f"{statistics.mean(float(str(r['seconds'])) for r in group):.0f}",
        )
    return shown


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = Parser(prog="python -m tools.accuracy", description=__doc__, epilog=EPILOG)
    parser.add_argument("--names", nargs="+", default=list(NAMES), metavar="NAME")
    parser.add_argument("--engines", nargs="+", default=["numpy", "keras"], metavar="ENGINE")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0..N-1 (5)")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--data", type=Path, metavar="PATH", help="MNIST (MNIST_PATH)")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy.json"), metavar="FILE")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        raise CliError(f"expected --seeds of at least 1. Received: {options.seeds}")
    unknown = [engine for engine in options.engines if engine not in engines.ENGINES]
    if unknown:
        raise CliError(f"expected engines of {engines.ENGINES}. Received: {unknown[0]!r}")
    return options


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    results: list[dict[str, object]] = []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        for name in options.names:
            for engine in options.engines:
                for seed in range(options.seeds):
                    result = measure(name, engine, seed, options.dtype, options.data)
                    results.append(result)
                    print(
                        f"{name} {engine} seed {seed}: {result['accuracy']:.2%} "
                        f"after {result['epochs']} epochs in {result['seconds']} s",
                        flush=True,
                    )
                    write_text(options.out, json.dumps(results, indent=1) + "\n")
    except (DatasetError, ValueError) as error:
        raise CliError(str(error)) from error
    terminal_io.console().print(table(results))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run("accuracy", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
