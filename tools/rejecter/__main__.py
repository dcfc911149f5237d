"""Train the network that tells a digit from what is none: ``python -m tools.rejecter``.

A small network of its own, two convolutions and a hidden layer, is trained and written as
``digit-or-none.npz``. It learns with batch normalization, which is then multiplied into the
kernels. ``python -m tools.rejecter.measuring`` writes its card.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digit_data.datasets import one_hot
from digit_data.distortions import Distortions
from numpy_impl import Sequential as Network
from numpy_impl import losses, optimizers, serialization, training
from numpy_impl.layers import Activation, BatchNormalization, Conv2D, Dense, Flatten, Layer, Reshape
from numpy_impl.types import Array
from scripts.model_files import SHIPPED_REJECTER
from terminal_io import Parser, run, writable_directory

from . import training_set

HIDDEN = 96
BATCH = 256
LEARNING_RATE = 0.004
# Less than for the network that answers: a letter shall not be bent into a digit.
STRENGTH = 0.7
# Of the moving statistics of batch normalization.
MOMENTUM = 0.95
# This share of each kind of held-out digits may be turned down.
LOST = 0.005

EPILOG = """\
example:
  python -m tools.rejecter --data mnist.npz    # its 14 epochs alone took 595 s
"""


def parser() -> Parser:
    """Return the command's options."""
    p = Parser(prog="python -m tools.rejecter", description=__doc__, epilog=EPILOG)
    p.add_argument("--data", type=Path, metavar="PATH", help="where MNIST is")
    p.add_argument("--epochs", type=int, default=14, metavar="N", help="default: 14")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    p.add_argument(
        "--out", type=Path, metavar="DIR", default=SHIPPED_REJECTER.parent,
        help="default: where the shipped weights are",
    )  # fmt: skip
    return p


def untrained(rng: np.random.Generator | None, normalized: bool = False) -> Network:
    """Return the network: (N, 784) in 0..1 to 11 scores, the last of which is for no digit.

    Few large windows, and no pooling: a folder of pictures shall not take longer to be asked about.

    Args:
        rng: Draws the weights; None leaves them at zero.
        normalized: With batch normalization, as it learns, or without, as it is shipped.
    """

    def after() -> list[Layer]:
        return [BatchNormalization(momentum=MOMENTUM), Activation("relu")] if normalized else []

    activation, use_bias = (None, False) if normalized else ("relu", True)
    layers = [
        Reshape((28, 28, 1)),
        Conv2D(48, 8, strides=4, activation=activation, use_bias=use_bias),
        *after(),
        Conv2D(48, 3, activation=activation, use_bias=use_bias),
        *after(),
        Flatten(),
        Dense(HIDDEN, activation, use_bias),
        *after(),
        Dense(training_set.NO_DIGIT + 1, "softmax"),
    ]
    return Network(layers, 784, rng, "float32", SHIPPED_REJECTER.stem)


def folded(network: Network) -> Network:
    """Return what computes the same without batch normalization.

    ``gamma (z - mean) / sqrt(variance + epsilon) + beta`` is ``z`` with another kernel and a bias.
    """
    weights: list[Array] = []
    for layer in network.layers:
        own = [np.asarray(getattr(layer, name), "float64") for name in layer.weight_names]
        if isinstance(layer, BatchNormalization):
            gamma, beta = own
            factor = gamma / np.sqrt(layer.moving_variance + layer.epsilon)
            weights[-1] = weights[-1] * factor
            own = [beta - layer.moving_mean * factor]
        weights += own
    plain = untrained(None)
    plain.set_weights(weights)
    return plain


def trained(x: Array, labels: Array, epochs: int, rng: np.random.Generator) -> Network:
    """Train the network on pictures, (N, 784) in 0..1, and labels 0..10, (N,)."""
    weights_rng, order_rng, picture_rng = rng.spawn(3)
    network = untrained(weights_rng, normalized=True)
    loss = losses.get("categorical_crossentropy", fused=True)
    optimizer = optimizers.get("adam", learning_rate=LEARNING_RATE)
    targets = one_hot(labels, training_set.NO_DIGIT + 1, "float32")
    schedule = training.shuffled(len(x), BATCH, order_rng)
    distortions = Distortions()
    for epoch in range(epochs):
        inputs = distortions(x, picture_rng, STRENGTH)
        optimizer.learning_rate = LEARNING_RATE * (1 + np.cos(np.pi * epoch / epochs)) / 2
        logs = training.train_epoch(network, loss, optimizer, inputs, targets, schedule(epoch))
        print(f"epoch {epoch + 1}: loss {logs['loss']:.4f}, {logs['accuracy']:.2%}", flush=True)
    return folded(network)


def set_boundary(network: Network, kinds: dict[str, Array]) -> dict[str, float]:
    """Move the last bias so that the score of a digit is 1/2 where the boundary shall be.

    Args:
        network: Changed in place.
        kinds: Held-out digits by kind, (N, 28, 28), of each of which at most the share ``LOST``
            shall fall below.

    Returns:
        The score below which that share of each kind was before; the least is the boundary.
    """
    double = network.clone("float64")
    scores = {
        kind: 1 - double.predict(digits.reshape(-1, 784))[:, training_set.NO_DIGIT]
        for kind, digits in kinds.items()
    }
    asked = {kind: float(np.quantile(score, LOST)) for kind, score in scores.items()}
    boundary = min(asked.values())
    # Odds are multiplied by exp(bias): those of no digit become 1 at the boundary.
    network.weights[-1][training_set.NO_DIGIT] -= np.log((1 - boundary) / boundary)
    return asked


def _run(args: Namespace) -> int:
    out = writable_directory(args.out, (SHIPPED_REJECTER.name,))
    set_rng, train_rng, things_rng = np.random.default_rng(args.seed).spawn(3)
    more = training_set.more_negatives(args.data, things_rng)
    digits, labels = training_set.digits(args.data, set_rng)
    none = training_set.negatives(digits[: training_set.MNIST_USED], set_rng)
    whole, own, fragments = training_set.cut_apart(args.data, set_rng)
    parts = [digits, whole, none, fragments, more]
    # In whole 255ths, as MNIST's own are.
    levels = [np.rint(255 * part).astype(np.uint8).reshape(-1, 784) for part in parts]
    x = np.concatenate(levels) / np.float32(255)
    count = len(labels) + len(own)
    print(f"{count:,} digits, {len(x) - count:,} that are none", flush=True)
    labels = np.concatenate([labels, own, np.full(len(x) - count, training_set.NO_DIGIT)])
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
