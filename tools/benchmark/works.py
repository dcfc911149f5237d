"""What is measured: networks of the documents, trained and asked, on data that all share."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from digit_data import datasets

Array = NDArray[np.float32]

D4, D1, LENET = "784-500-300-10", "784-30-10", "lenet"
# The networks as their documents have them: activations of the layers, biases, dropout, loss.
ACTIVATIONS = {
    "64-40-10": ("sigmoid", "sigmoid"),
    D1: ("sigmoid", "sigmoid"),
    "64-200-10": ("tanh", "softmax"),
    D4: ("relu", "relu", "softmax"),
}
RATES = {"sgd": 0.1, "rmsprop": 0.001, "adam": 0.001}


@dataclass(frozen=True)
class Work:
    """One thing to be timed.

    Attributes:
        name: How the report calls it.
        network: The network, by the sizes of its layers.
        batch: Samples a step, or samples asked for at once.
        samples: Samples an epoch, or in the data asked about.
        optimizer: "sgd", "rmsprop" or "adam".
        do: Whether an epoch is trained, outputs are asked for, or the network is checked.
        repeat: How often the samples are asked for in one measurement.
        of_a_step: Whether the name speaks of one step (or call), and not of all that is measured.
        busy: Whether another process keeps one core busy meanwhile.
        one_core: Whether everybody has one core, and processor time is measured. A small network's
            products are too small to share: threads only wait for one another, which makes
            PyTorch's step take 65 times the processor time on a busy machine, and JAX's 1.7 times.
    """

    name: str
    network: str
    batch: int
    samples: int
    optimizer: str = "sgd"
    do: Literal["train", "predict", "check"] = "train"
    repeat: int = 1
    of_a_step: bool = False
    busy: bool = False
    one_core: bool = False

    @property
    def sizes(self) -> list[int]:
        """The sizes of the layers, inputs first; of LeNet those of inputs and outputs."""
        if self.network == LENET:
            return [784, 10]
        return [int(size) for size in self.network.split("-")]

    @property
    def has_bias(self) -> bool:
        """Whether the layers have biases."""
        return self.network != "64-200-10"

    @property
    def dropout(self) -> float:
        """The dropout rate after the hidden layer."""
        return 0.5 if self.network == "64-200-10" else 0.0

    @property
    def activations(self) -> tuple[str, ...]:
        """The activation of each layer; networks in no document are rectified like D4's."""
        given = ACTIVATIONS.get(self.network)
        return given or ("relu",) * (len(self.sizes) - 2) + ("softmax",)

    @property
    def is_quadratic(self) -> bool:
        """Whether the quadratic cost is descended, and not the cross-entropy."""
        return self.activations[-1] == "sigmoid"

    @property
    def steps(self) -> int:
        """Optimizer steps, or calls, in one measurement."""
        return self.repeat * math.ceil(self.samples / self.batch)

    @property
    def flops(self) -> float:
        """Multiplications and additions of the matrix products in one measurement.

        Forward 2 n m a sample and layer, as much for the gradient of the kernel, and as much for
        the gradient of the input, which the first layer need not have.
        """
        products = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        total = sum(products) if self.do == "predict" else 3 * sum(products) - products[0]
        return 2.0 * total * self.samples * self.repeat


_TRAINED = (
    Work("784-500-300-10, SGD, one epoch", D4, 100, 60_000, "sgd"),
    Work("784-500-300-10, RMSprop, one epoch", D4, 100, 60_000, "rmsprop"),
    Work("784-500-300-10, Adam, one epoch", D4, 100, 60_000, "adam"),
)
BUSY = ", one core busy"
_CHECKED = Work("784-500-300-10, parity.check", D4, 100, 100, do="check")
WORKS = (
    *_TRAINED,
    *(replace(work, name=work.name + BUSY, busy=True) for work in _TRAINED),
    Work("784-30-10, batch 10, one epoch", D1, 10, 50_000, one_core=True),
    Work("64-40-10, batch 15, a step", "64-40-10", 15, 15_000, of_a_step=True, one_core=True),
    Work("64-200-10, batch 1, a step", "64-200-10", 1, 1_000, of_a_step=True, one_core=True),
    Work(
        "784-500-300-10, outputs of one picture", D4, 1, 1, do="predict", repeat=200, of_a_step=True
    ),
    Work("784-500-300-10, outputs of 10,000", D4, 10_000, 10_000, do="predict"),
    Work("lenet, Adam, an epoch of 12,000", LENET, 100, 12_000, "adam"),
    _CHECKED,
    replace(_CHECKED, name=_CHECKED.name + BUSY, busy=True),
)
SMALLER = 10


def quick(work: Work) -> Work:
    """Return the same work with a tenth of the samples, except where they are few."""
    few = work.samples < 10_000
    return work if few else replace(work, samples=work.samples // SMALLER)


def samples(work: Work) -> tuple[Array, Array]:
    """Return the inputs, float32 in 0..1, and the one-hot targets of a work.

    MNIST where the network takes it, the 8x8 digits, or random numbers; repeated or cut to length.

    Raises:
        DatasetError: MNIST cannot be had.
    """
    inputs, outputs = work.sizes[0], work.sizes[-1]
    if (inputs, outputs) == (784, 10):
        mnist = datasets.load_mnist()
        x, labels = mnist.x_train.reshape(-1, 784) / np.float32(255), mnist.y_train
    elif (inputs, outputs) == (64, 10):
        pictures, labels = datasets.load_digits()
        x = pictures.reshape(-1, 64) / 16
    else:
        rng = np.random.default_rng(0)
        x = rng.random((1000, inputs), dtype=np.float32)
        labels = rng.integers(outputs, size=1000)
    which = np.arange(work.samples) % len(x)
    return x[which].astype(np.float32, copy=False), np.eye(outputs, dtype=np.float32)[labels[which]]
