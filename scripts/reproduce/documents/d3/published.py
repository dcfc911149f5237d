"""D3's program as it was published, in our words; what ``parity.check`` sees of its defects."""

import numpy as np

import parity
from numpy_impl import activations
from numpy_impl.network import Sequential
from numpy_impl.training import Schedule
from numpy_impl.types import Array
from parity.reports.report import CheckReport

from ...results import Table
from .training import BATCHES, NETWORK

# The output layer's weights are multiplied by these to find out when exp(z) overflows.
FACTORS = (1, 3, 10, 30, 100)


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    """Return the document's softmax of columns, which subtracts no maximum: exp(z) may be inf."""
    e = np.exp(z)
    return e / e.sum(axis=0)


def clipped(samples: int, batches: int) -> list[slice]:
    """Return the document's batches: the end of each is clipped to the *index* of the last sample.

    An end is not included, so the last sample is in no batch.
    """
    size = -(-samples // batches)
    return [slice(begin, min(begin + size, samples - 1)) for begin in range(0, samples, size)]


def clipped_batches(samples: int, rng: np.random.Generator) -> Schedule:
    """Return the document's schedule: its ten batches, of a new order every epoch."""
    batches = clipped(samples, BATCHES)

    def epoch(number: int) -> list[Array]:
        order = rng.permutation(samples)
        return [order[batch] for batch in batches]

    return epoch


class PublishedNetwork:
    """784-64-10 as the document computes it: samples in columns, weights (units, inputs).

    Args:
        rng: Draws the weights from N(0, 1); the biases are 0.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.weights: list[Array] = [
            rng.standard_normal((64, 784)), np.zeros((64, 1)),
            rng.standard_normal((10, 64)), np.zeros((10, 1)),
        ]  # fmt: skip

    def forward(self, x: Array) -> Array:
        """Return the outputs, shape (10, N), for samples of shape (784, N)."""
        w1, b1, w2, b2 = self.weights
        self.a1 = sigmoid(w1 @ x + b1)
        return softmax(w2 @ self.a1 + b2)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        """Return the gradients of the mean cross-entropy, in the order of the weights."""
        delta2 = (self.forward(x) - y) / x.shape[1]
        delta1 = self.weights[2].T @ delta2 * self.a1 * (1 - self.a1)
        return [
            delta1 @ x.T,
            delta1.sum(axis=1, keepdims=True),
            delta2 @ self.a1.T,
            delta2.sum(axis=1, keepdims=True),
        ]

    def epoch(self, x: Array, y: Array, rate: float, order: Array, batches: int = BATCHES) -> None:
        """Go once through the samples in an order, a step for each clipped batch."""
        for batch in clipped(len(order), batches):
            gradients = self.gradients(x[:, order[batch]], y[:, order[batch]])
            self.weights = [w - rate * g for w, g in zip(self.weights, gradients, strict=True)]


def check_gradients(keras: bool) -> CheckReport:
    """Ask ``parity.check`` about the document's gradients."""
    net = PublishedNetwork(np.random.default_rng(0))
    candidate = parity.Candidate(
        get_weights=lambda: net.weights, forward=net.forward, gradients=net.gradients,
        name="D3's gradients",
    )  # fmt: skip
    return parity.check(candidate, NETWORK, keras=keras)


def check_epoch(keras: bool) -> CheckReport:
    """Ask ``parity.check`` about an epoch of the document: a step that is one batch of all."""
    net = PublishedNetwork(np.random.default_rng(0))

    def epoch(x: Array, y: Array, rate: float) -> None:
        net.epoch(x, y, rate, np.arange(x.shape[1]), batches=1)

    candidate = parity.Candidate(
        get_weights=lambda: net.weights,
        set_weights=lambda new: setattr(net, "weights", new),
        forward=net.forward,
        step=epoch,
        name="D3's epoch",
    )
    return parity.check(candidate, NETWORK, keras=keras)


def overflow(network: Sequential, x: Array) -> Table:
    """Return how many outputs are no numbers once a trained network's logits are large.

    Args:
        network: A trained 784-64-10. Its output weights are multiplied by ``FACTORS``.
        x: Pictures, shape (N, 784).
    """
    hidden = network.layers[0].forward(x)
    rows = []
    for factor in FACTORS:
        z = factor * (hidden @ network.weights[2]) + network.weights[3]
        with np.errstate(over="ignore", invalid="ignore"):
            theirs = [softmax(z.T.astype(dtype)) for dtype in ("float64", "float32")]
        outputs = [*theirs, activations.softmax(z).T]
        lost = [int(np.isnan(each).any(axis=0).sum()) for each in outputs]
        rows.append([str(factor), f"{z.max():.1f}", *(f"{count:,}" for count in lost)])
    title = f"Of {len(x):,} test pictures, those with an output that is no number (NaN)"
    columns = ["output weights times", "largest logit", "document, float64", "document, float32"]
    return Table(title, [*columns, "here, float32"], rows)
