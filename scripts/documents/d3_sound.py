"""784-64-10 by a recipe that reaches 97 %: Glorot's weights, and batches of 100."""

import math
from dataclasses import dataclass

import numpy as np

from numpy_impl import training
from numpy_impl.layers import Dense
from numpy_impl.network import Sequential
from numpy_impl.types import Array
from scripts.documents.d3_training import NETWORK, Trained, train
from scripts.documents.results import Context
from scripts.samples import Samples, hold_out

# What the rate and the length are chosen from.
RATES = (0.3, 1.0, 3.0)
EPOCHS, BATCH_SIZE = 20, 100
HELD_OUT = 6


def glorot(rng: np.random.Generator) -> Sequential:
    """Return the same layers with Glorot's uniform weights, which leave no unit saturated.

    Reference: X. Glorot, Y. Bengio (2010), "Understanding the difficulty of training deep
    feedforward neural networks", eq. 16.
    """
    return Sequential([Dense(64, "sigmoid"), Dense(10, "softmax")], 784, rng, name=NETWORK)


def saturated(network: Sequential, x: Array, least: float = 0.01) -> float:
    """Return the percentage of hidden activations whose slope ``a (1 - a)`` is below ``least``.

    Args:
        network: A 784-64-10.
        x: Pictures, shape (N, 784).
        least: Of 1/4, the steepest slope of the sigmoid; less passes hardly any gradient on.
    """
    a = network.layers[0].forward(x)
    return 100 * float(np.mean(a * (1 - a) < least))


@dataclass(frozen=True)
class Choice:
    """A learning rate tried: the epoch after which most of the validation part was right.

    Attributes:
        rate: The learning rate.
        epochs: That epoch, counted from 1.
        right: Percent of the validation part right after it.
    """

    rate: float
    epochs: int
    right: float


def train_one(context: Context, data: Samples, seed: int, choice: Choice) -> Trained:
    """Train by the sound recipe: Glorot's weights, batches of 100, all training pictures."""
    weights, order, *_ = context.generators(seed)
    return train(
        context, f"sound recipe, seed {seed}", glorot(weights), data, rate=choice.rate,
        epochs=choice.epochs, schedule=training.shuffled(len(data.x_train), BATCH_SIZE, order),
    )  # fmt: skip


def choices(context: Context, data: Samples) -> list[Choice]:
    """Try the rates with seed 0 on five sixths of the training pictures, judged by the last sixth.

    The test pictures are not looked at.
    """
    data, tried = hold_out(data, HELD_OUT), []
    for rate in RATES:
        whole = Choice(rate, context.at_most(EPOCHS, 2), math.nan)
        weights, order, *_ = context.generators(0)
        done = train(
            context, f"rate {rate:g}", glorot(weights), data, rate=rate, epochs=whole.epochs,
            schedule=training.shuffled(len(data.x_train), BATCH_SIZE, order), validate=True,
        )  # fmt: skip
        accuracies = done.history.epochs["val_accuracy"]
        best = int(np.argmax(accuracies))
        tried.append(Choice(rate, best + 1, 100 * accuracies[best]))
    return tried


def best(tried: list[Choice]) -> Choice:
    """Return the one with the most of the validation part right; of equals the first."""
    return max(tried, key=lambda choice: choice.right)
