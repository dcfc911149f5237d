"""D0's training as published, and what is changed in it step by step to make it sound."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from digit_data import datasets
from digit_data.datasets import Digits
from numpy_impl import Sequential, losses, models, optimizers, training
from numpy_impl.layers import Dense
from numpy_impl.training import Schedule
from numpy_impl.types import Array, Precision

from .... import recipes
from ....samples import RecipeSamples
from ...results import Context
from ...training import Training
from .reading import Reading, judge

NAME = "64-40-10"
BRIGHTEST = 16
# One training sample in so many is held out where something is chosen.
HELD_OUT = 5
_D0 = recipes.get(NAME)
BATCH_SIZE = _D0.batch_size


@dataclass(frozen=True)
class Protocol:
    """A way to train 64-40-10.

    Attributes:
        title: What to call it.
        scale: What the pixels, 0..16, are multiplied by.
        order: ``(samples, batch_size, rng) -> Schedule``.
        epochs: How many.
        shrunk: Whether the weights are drawn from N(0, 1/inputs) with biases 0, instead of all
            from N(0, 1).
        learning_rate: Of gradient descent.
        nudged: Whether every weight starts one unit in the last place larger.
    """

    title: str
    scale: float
    order: Callable[[int, int, np.random.Generator], Schedule]
    epochs: int
    shrunk: bool = False
    learning_rate: float = _D0.options["learning_rate"]
    nudged: bool = False

    @property
    def start(self) -> str:
        """What the first forward pass is made of."""
        brightest = round(BRIGHTEST * self.scale)
        return f"pixels 0..{brightest}, weights N(0, {'1/inputs' if self.shrunk else '1'})"

    def at(self, learning_rate: float) -> "Protocol":
        """Return the same with another learning rate."""
        return replace(self, learning_rate=learning_rate)

    def nudge(self) -> "Protocol":
        """Return the same from weights that are one unit in the last place larger."""
        return replace(self, title=f"{self.title}, nudged", nudged=True)

    def schedule(self, samples: int, rng: np.random.Generator) -> Schedule:
        """Return which samples make up the batches of each epoch."""
        return self.order(samples, BATCH_SIZE, rng)

    def network(self, rng: np.random.Generator, dtype: Precision) -> Sequential:
        """Return the network before training, its weights drawn from ``rng``."""
        if self.shrunk:
            layers = [Dense(n, "sigmoid", kernel_initializer="scaled_normal") for n in (40, 10)]
            network = Sequential(layers, 64, rng, dtype, NAME)
        else:
            network = models.build(NAME, rng, dtype=dtype)
        if self.nudged:
            np.nextafter(network.parameters, np.inf, out=network.parameters)
        return network

    def inputs(self, pictures: Array, dtype: Precision) -> Array:
        """Return pictures (N, 8, 8) as the network takes them, (N, 64)."""
        return pictures.reshape(len(pictures), -1).astype(dtype) * np.dtype(dtype).type(self.scale)


PUBLISHED = Protocol("as published", 1.0, _D0.order, _D0.epochs)
SCALED = replace(PUBLISHED, title="and pixels in 0..1", scale=1 / BRIGHTEST)
# 20 cycles of 1439 windows and 300 epochs of 96 batches are the same number of updates, and of
# samples in them, within one in a thousand.
SHUFFLED = replace(SCALED, title="and shuffled batches", order=training.shuffled, epochs=300)
SOUND = replace(SHUFFLED, title="and weights from N(0, 1/inputs)", shrunk=True)
LADDER = (PUBLISHED, SCALED, SHUFFLED, SOUND)
# The two that are compared in everything, and what they are called then.
NAMES = {PUBLISHED: "as published", SOUND: "sound"}


@dataclass(frozen=True)
class D0Run:
    """One trained network.

    Attributes:
        network: It.
        outputs: Its answers to the test pictures, shape (N, 10).
        labels: What these are, shape (N,).
        curve: Test accuracy in percent by argmax after each epoch.
    """

    network: Sequential
    outputs: Array
    labels: Array
    curve: list[float]

    @property
    def reading(self) -> Reading:
        """How the answers fare by each rule."""
        return judge(self.outputs, self.labels)


def set_up(protocol: Protocol, data: Digits, seed: int, context: Context) -> Training:
    """Return the training of a network by a protocol.

    Args:
        protocol: How.
        data: On what, and on what it is tested.
        seed: Draws the weights and the order of the samples, as ``scripts.train`` does.
        context: What the reproduction was given.
    """
    weights_rng, order_rng, *_ = context.generators(seed)
    count = context.at_most(len(data.x_train), 150)
    x, x_test = (protocol.inputs(p, context.dtype) for p in (data.x_train[:count], data.x_test))
    y, y_test = (
        datasets.one_hot(labels, dtype=context.dtype)
        for labels in (data.y_train[:count], data.y_test)
    )
    return Training.of(
        protocol.network(weights_rng, context.dtype),
        losses.get(_D0.loss),
        optimizers.get(_D0.optimizer, learning_rate=protocol.learning_rate),
        RecipeSamples(x, y, x_test, y_test, x_test, y_test),
        protocol.schedule(len(x), order_rng),
        context.at_most(protocol.epochs, 1),
    )


def train(protocol: Protocol, data: Digits, seed: int, context: Context) -> D0Run:
    """Train a network as :func:`set_up` has it, and test it."""
    training = set_up(protocol, data, seed, context)
    test = training.data.x_test, training.data.y_test
    history = training.run(validation_data=test)
    curve = [100 * accuracy for accuracy in history.epochs["val_accuracy"]]
    network = training.network()
    return D0Run(network, network.predict(test[0]), data.y_test, curve)


def trainings(
    protocol: Protocol, data: Callable[[int], Digits], seeds: int, context: Context
) -> list[D0Run]:
    """Train with the seeds 0, 1, ... on the data that ``data`` gives for each."""
    runs = []
    for seed in range(seeds):
        context.status(f"64-40-10 {protocol.title}: {seed + 1} of {seeds}")
        runs.append(train(protocol, data(seed), seed, context))
    return runs


def last_359(seed: int) -> Digits:
    """Return D0's own split, the same for every seed."""
    return datasets.load_digits_split("last359")


def random_split(seed: int, context: Context) -> Digits:
    """Return a random split, as ``scripts.train`` draws it for a seed."""
    return datasets.load_digits_split("random", context.generators(seed)[2])


def held_out(seed: int) -> Digits:
    """Return D0's training pictures alone, the last fifth in file order being tested on.

    Settings are chosen on these, so that the test pictures choose nothing.
    """
    whole = last_359(seed)
    count = -(-len(whole.x_train) // HELD_OUT)
    x, y = whole.x_train, whole.y_train
    return Digits(x[:-count], y[:-count], x[-count:], y[-count:])
