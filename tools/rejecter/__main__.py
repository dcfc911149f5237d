"""Train the network that tells a digit from what is none: ``python -m tools.rejecter``.

The shipped network's first layer stays as it is, 784 to 500; what follows, 500-128-11, is trained
and written as ``digit-or-none.npz``. ``python -m tools.rejecter.measuring`` writes its card.
"""

import hashlib
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digit_data.datasets import one_hot
from digit_data.distortions import Distortions
from numpy_impl import Sequential as Network
from numpy_impl import losses, optimizers, serialization, training
from numpy_impl.layers import Dense
from numpy_impl.types import Array
from scripts import model_files
from scripts.model_files import SHIPPED_MODEL, SHIPPED_REJECTER
from terminal_io import Parser, run, writable_directory

from . import training_set

HIDDEN = 256
BATCH = 256
LEARNING_RATE = 0.002
# Less than for the network that answers: a letter shall not be bent into a digit.
STRENGTH = 0.7
# This share of each kind of held-out digits may be turned down.
LOST = 0.005

EPILOG = """\
example:
  python -m tools.rejecter --data mnist.npz    # some ten minutes on one core
"""


def parser() -> Parser:
    """Return the command's options."""
    p = Parser(prog="python -m tools.rejecter", description=__doc__, epilog=EPILOG)
    p.add_argument("--data", type=Path, metavar="PATH", help="where MNIST is")
    p.add_argument("--epochs", type=int, default=12, metavar="N", help="default: 12")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    p.add_argument(
        "--out", type=Path, metavar="DIR", default=SHIPPED_REJECTER.parent,
        help="default: where the shipped weights are",
    )  # fmt: skip
    return p


def first_layer(pictures: Array) -> Array:
    """Return what the shipped network's first layer makes of pictures, (N, 784) to (N, 500)."""
    kernel, bias = serialization.load(SHIPPED_MODEL).weights[:2]
    return np.maximum(pictures @ kernel + bias, 0)


def trained(x: Array, labels: Array, epochs: int, rng: np.random.Generator) -> Network:
    """Train what follows the first layer on pictures, (N, 784) in 0..1, and labels 0..10, (N,)."""
    weights_rng, order_rng, picture_rng = rng.spawn(3)
    classes = training_set.NO_DIGIT + 1
    # A rejecter belongs to the network whose first layer it has.
    name = f"{SHIPPED_REJECTER.stem}-{hashlib.sha256(SHIPPED_MODEL.read_bytes()).hexdigest()[:12]}"
    units = serialization.load(SHIPPED_MODEL).weights[0].shape[1]
    layers = [Dense(HIDDEN, "relu"), Dense(classes, "softmax")]
    network = Network(layers, units, weights_rng, "float32", name)
    loss = losses.get("categorical_crossentropy", fused=True)
    optimizer = optimizers.get("adam", learning_rate=LEARNING_RATE)
    targets = one_hot(labels, classes, "float32")
    schedule = training.shuffled(len(x), BATCH, order_rng)
    distortions = Distortions()
    for epoch in range(epochs):
        inputs = first_layer(distortions(x, picture_rng, STRENGTH))
        optimizer.learning_rate = LEARNING_RATE * (1 + np.cos(np.pi * epoch / epochs)) / 2
        logs = training.train_epoch(network, loss, optimizer, inputs, targets, schedule(epoch))
        print(f"epoch {epoch + 1}: loss {logs['loss']:.4f}, {logs['accuracy']:.2%}", flush=True)
    return network


def set_boundary(network: Network, kinds: dict[str, Array]) -> dict[str, float]:
    """Move the last bias so that the score of a digit is 1/2 where the boundary shall be.

    Args:
        network: What follows the first layer; changed in place.
        kinds: Held-out digits by kind, (N, 28, 28), of each of which at most the share ``LOST``
            shall fall below.

    Returns:
        The score below which that share of each kind was before; the least is the boundary.
    """
    whole = model_files.rejecter(serialization.load(SHIPPED_MODEL), network)
    scores = {
        kind: 1 - whole.predict(digits.reshape(-1, 784))[:, training_set.NO_DIGIT]
        for kind, digits in kinds.items()
    }
    asked = {kind: float(np.quantile(score, LOST)) for kind, score in scores.items()}
    boundary = min(asked.values())
    # Odds are multiplied by exp(bias): those of no digit become 1 at the boundary.
    network.weights[-1][training_set.NO_DIGIT] -= np.log((1 - boundary) / boundary)
    return asked


def _run(args: Namespace) -> int:
    out = writable_directory(args.out, (SHIPPED_REJECTER.name,))
    set_rng, train_rng = np.random.default_rng(args.seed).spawn(2)
    digits, labels = training_set.digits(args.data, set_rng)
    none = training_set.negatives(digits[: training_set.MNIST_USED], set_rng)
    whole, own, fragments = training_set.cut_apart(args.data, set_rng)
    digits, labels = np.concatenate([digits, whole]), np.concatenate([labels, own])
    none = np.concatenate([none, fragments]).astype(np.float32)
    print(f"{len(digits):,} digits, {len(none):,} that are none", flush=True)
    # In whole 255ths, as MNIST's own are.
    x = np.rint(255 * np.concatenate([digits, none]).reshape(-1, 784)) / np.float32(255)
    labels = np.concatenate([labels, np.full(len(none), training_set.NO_DIGIT)])
    network = trained(x, labels, args.epochs, train_rng)
    asked = set_boundary(network, training_set.boundary(args.data, set_rng))
    serialization.save(network, out / SHIPPED_REJECTER.name)
    told = ", ".join(f"{kind} {score:.4f}" for kind, score in asked.items())
    print(f"boundary at the least of {told}; wrote {out / SHIPPED_REJECTER.name}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run("rejecter", lambda: _run(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
