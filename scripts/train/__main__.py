"""Train a named network by its own recipe, in either engine: ``python -m scripts.train``."""

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from digit_data import on_disk
from numpy_impl.optimizers import OPTIMIZERS, get
from terminal_io import CliError, Parser, Signals, printable, run

from .. import engines, recipes, starting
from ..run_files import CHECKPOINT, RESULTS
from . import adding, checkpoint, folder, processes
from .session import Every, Settings, train

_WITH_MOMENTUM = [n for n, kind in OPTIMIZERS.items() if "momentum" in signature(kind).parameters]
BELOW_ONE = math.nextafter(1, 0)
# What a checkpoint keeps of the command line; the last of them may be others when it goes on.
OPTIONS = (
    "name", "engine", "optimizer", "learning_rate", "momentum", "batch_size", "seed", "dtype",
    "dropout", "weight_decay", "decay", "add", "epochs", "data", "checkpoint_every",
)  # fmt: skip
CHANGEABLE = OPTIONS[-3:]

EPILOG = f"""\
networks:
  {", ".join(recipes.RECIPES)},
  or sigmoid:n0-...-10 with any sizes between n0 = 64 or 784 inputs and 10 outputs

examples:
  python -m scripts.train 64-40-10 --engine numpy
  python -m scripts.train 784-500-300-10 --data mnist.npz
  python -m scripts.train lenet --engine numpy
  python -m scripts.train 784-30-10 --optimizer adam --epochs 5 --out runs/adam
  python -m scripts.train 784-30-10 --out runs/adam --resume
  python -m scripts.train mnist-robust --add my-digits --engine numpy

Networks with 64 inputs use the digits that scikit-learn ships. For those with 784, MNIST is looked
for in --data, then MNIST_PATH, then Keras's cache, and else downloaded.
--data may also be a folder with {", ".join(on_disk.ARRAYS)}
(labels 0 to 9 in y), or with train/0 to train/9 and test/0 to test/9, with pictures of the
network's size. Such a set stays on the disk and may be larger than memory: it is read a batch at a
time, in the same order by both engines.
--add goes on from the weights that come with the project, on your pictures in FOLDER/0 to FOLDER/9,
such as "python -m scripts.draw --save FOLDER" leaves, and on a part of MNIST if that is there. It
shows how many are right before and after; a fifth of yours is held out. The weights that come with
the project are left as they are: --model of the other commands takes the new ones.
A training works in DIR{folder.WORK}, where {CHECKPOINT} is saved after every epoch, or with
--checkpoint-every 60s every minute, in the middle of an epoch too. When it is over, the folder
becomes DIR, with {", ".join(RESULTS)}.
--resume goes on after the last checkpoint, with the options of the training, to the same weights as
if nothing had stopped it; --epochs N trains further. Without --out it takes the latest training of
NAME. Ctrl-C ends the training and saves it up to its last whole epoch.
Exit codes: 0 done, 1 failed on the way (full disk, loss not finite or enormous), 2 wrong options or
data, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP (the terminal was closed).
"""


def parser() -> Parser:
    """Return the command's options."""
    p = starting.parser("train", __doc__, EPILOG)
    p.add_argument("name", metavar="NAME", help="the network, see below")
    add = p.add_argument_group("options; where none is said, the recipe's value holds").add_argument
    add("--engine", choices=engines.ENGINES, default="keras", help="default: keras")
    add(
        "--optimizer", choices=tuple(OPTIMIZERS), metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)}; one that is not the recipe's gets Keras's defaults",
    )  # fmt: skip
    add("--learning-rate", type=float, metavar="F", help="step size, at least 0")
    add("--momentum", type=float, metavar="F", help=f"0 to 1, for {' and '.join(_WITH_MOMENTUM)}")
    add("--epochs", type=int, metavar="N", help="how many at most, 0 or more")
    add("--batch-size", type=int, metavar="N", help="samples a step, 1 or more")
    add("--seed", type=int, default=0, metavar="N", help="of weights, order and split; default: 0")
    add("--dtype", choices=("float32", "float64"), default="float32", help="default: float32")
    add("--data", type=Path, metavar="PATH", help="MNIST, or a set of your own: see below")
    added = "train the weights that come with the project further, on your own labelled pictures"
    add("--add", type=Path, metavar="FOLDER", help=added)
    add("--out", type=Path, metavar="DIR", help="where to write; default: runs/NAME, then -run2")
    add("--force", action="store_true", help="replace the training in --out when this one is over")
    add("--resume", action="store_true", help="go on with a training that was stopped, see below")
    add(
        "--checkpoint-every", type=_every, default="1", metavar="N",
        help="epochs, or with an s seconds, such as 60s, also within an epoch; default: 1",
    )  # fmt: skip
    add("--dropout", type=float, metavar="F", help="rate after each hidden layer, 0 to 1; 0: none")
    add("--no-dropout", action="store_const", dest="dropout", const=0.0, help="as --dropout 0")
    add("--weight-decay", type=float, metavar="F", help="decoupled, times the learning rate")
    add("--decay", choices=recipes.DECAYS, help="how the learning rate falls from epoch to epoch")
    processes.add_options(p)
    return p


def settings(args: argparse.Namespace) -> Settings:
    """Return the settings that the options ask for.

    Raises:
        CliError: An unknown network, a value out of range, or options that exclude each other.
    """
    try:
        recipe = recipes.get(args.name)
    except ValueError as error:
        raise CliError(str(error)) from error
    _check_ranges(args)
    if args.add is not None:
        recipe = adding.recipe_with(recipe, args.add)
        adding.check_place(args.out)
    if args.data is not None and on_disk.is_set(args.data.expanduser()):
        recipe = _from_disk(recipe, args)
    elif args.data is not None and recipe.inputs == 64:
        raise CliError(
            f"--data: expected a network with 784 inputs, or a folder with {on_disk.ARRAYS[0]} or "
            f"{on_disk.PARTS[0]}; {recipe.name} is trained on the digits that scikit-learn ships. "
            f"Received: {args.data}"
        )
    optimizer = args.optimizer or recipe.optimizer
    if args.momentum is not None and optimizer not in _WITH_MOMENTUM:
        raise CliError(
            f"--momentum: expected {' or '.join(_WITH_MOMENTUM)}; {optimizer} has none. "
            f"Received: {args.momentum}"
        )
    names = ("learning_rate", "momentum", "weight_decay")
    options = {name: getattr(args, name) for name in names}
    given = {name: value for name, value in options.items() if value is not None}
    own = optimizer == recipe.optimizer
    base = dict(recipe.options) if own else {"learning_rate": get(optimizer).learning_rate}
    recipe = replace(
        recipe,
        optimizer=optimizer,
        options=base | given,
        epochs=recipe.epochs if args.epochs is None else args.epochs,
        batch_size=recipe.batch_size if args.batch_size is None else args.batch_size,
        dropout=recipe.dropout if args.dropout is None else args.dropout,
        decay=args.decay or recipe.decay,
    )
    every = _parsed(args.checkpoint_every)
    kept = {name: getattr(args, name) for name in OPTIONS}
    for name in ("data", "add"):
        kept[name] = None if kept[name] is None else str(kept[name])
    own = args.add is not None
    return Settings(
        recipe, args.engine, args.seed, args.dtype, args.data, every, kept, own,
        processes.member(args),
    )  # fmt: skip


def _from_disk(recipe: recipes.Recipe, args: argparse.Namespace) -> recipes.Recipe:
    if args.add is not None:
        raise CliError(f"--add: expected MNIST as --data with it. Received: {args.data}")
    try:
        return recipes.from_disk(recipe)
    except ValueError as error:
        raise CliError(f"--data: {error}. Received: {args.data}") from error


def _every(text: str) -> str:
    """Return how often to save, as it was written; see :func:`_parsed`."""
    if not re.fullmatch(r"[1-9]\d*|\d+(\.\d+)?s", text):
        raise argparse.ArgumentTypeError(f"expected epochs or seconds, 5 or 60s. Received: {text}")
    return text


def _parsed(text: str) -> Every:
    return Every(float(text.removesuffix("s")), text.endswith("s"))


def _default_place(name: str) -> Path:
    return Path("runs") / name.replace(":", "_")  # Windows allows no colon


def _begin(args: argparse.Namespace, saves: bool, stack: ExitStack) -> folder.RunFolder:
    """Return the folder of a new training: claimed and entered in ``stack``, if this one saves."""
    if not saves:
        return folder.RunFolder(args.out or _default_place(args.name))
    if args.out is not None:
        place = stack.enter_context(folder.RunFolder(args.out))
        place.claim("force" if args.force else "new")
        return place
    if args.force:
        raise CliError("--force: expected --out, as without it nothing is replaced")
    base = _default_place(args.name)
    place = stack.enter_context(folder.new(base))
    if place.place != base:
        print(f"{base} is there already; this is {place.place}", file=sys.stderr, flush=True)
    return place


def _go_on(
    args: argparse.Namespace, argv: Sequence[str] | None, saves: bool, stack: ExitStack
) -> tuple[folder.RunFolder, checkpoint.Checkpoint, Settings]:
    """Return the folder of a stopped training, its checkpoint and its settings.

    The folder is claimed, and entered in ``stack``, if this process saves.

    Raises:
        CliError: There is none, or other options are asked for than it has.
    """
    if args.force:
        raise CliError("--resume: expected no --force with it")
    place = folder.RunFolder(args.out or folder.newest(_default_place(args.name)))
    if saves:
        stack.enter_context(place).claim("resume")
    found = checkpoint.read(place.latest)
    options: dict[str, Any] = {name: found.options.get(name) for name in OPTIONS}
    for name in ("data", "add"):
        options[name] = None if options[name] is None else Path(options[name])
    own_name = options.pop("name")
    again = parser()
    again.set_defaults(**options)
    args = again.parse_args(argv)
    for name, value in {**options, "name": own_name}.items():
        if name not in CHANGEABLE and getattr(args, name) != value:
            raise CliError(
                f"--resume: expected the training's own {name.replace('_', ' ')}, {value}. "
                f"Received: {getattr(args, name)}; the training is {printable(place.latest)}"
            )
    try:
        choice = settings(args)
    except TypeError as error:
        raise CliError(
            f"{printable(place.latest)}: expected options of a training. Received: {error}"
        ) from error
    return place, found, choice


def _check_ranges(args: argparse.Namespace) -> None:
    """Check every number that was given; a NaN is in no range."""
    ranges = {
        "learning_rate": (0, math.inf, "a finite number of at least 0"),
        "momentum": (0, 1, "a number in 0..1"),
        "weight_decay": (0, math.inf, "a finite number of at least 0"),
        "dropout": (0, BELOW_ONE, "a rate from 0 to below 1"),
        "epochs": (0, math.inf, "0 or more"),
        "batch_size": (1, math.inf, "1 or more"),
        "seed": (0, math.inf, "0 or more"),
    }
    for name, (low, high, expected) in ranges.items():
        value = getattr(args, name)
        if value is not None and not (low <= value <= high and value < math.inf):
            option = "--" + name.replace("_", "-")
            raise CliError(f"{option}: expected {expected}. Received: {value}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Args:
        argv: The arguments; None takes the process's own.
    """

    def body() -> int:
        args = parser().parse_args(argv)
        choice, found = settings(args), None
        engines.check_backend()
        if choice.member is not None:
            if choice.member.process < 0:
                given = sys.argv[1:] if argv is None else argv
                return processes.supervise(given, choice.member.processes)
            os.environ.setdefault("KERAS_BACKEND", "jax")
            os.environ.setdefault("JAX_PLATFORMS", "cpu")
        with Signals() as signals, ExitStack() as stack:
            if args.resume:
                place, found, choice = _go_on(args, argv, choice.saves, stack)
            else:
                place = _begin(args, choice.saves, stack)
            return train(choice, place, signals, found)

    return processes.end(run("train", body))


if __name__ == "__main__":
    sys.exit(main())
