"""A training that is set up and has not begun: what decides its steps, in one place.

A document sets up what it trains as one of these; ``first_steps`` begins the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from numpy_impl import Sequential, training
from numpy_impl.losses import Loss
from numpy_impl.optimizers import Optimizer
from numpy_impl.training import Schedule
from numpy_impl.types import Array

from ..samples import RecipeSamples


@dataclass(frozen=True)
class FirstSteps:
    """How a training begins.

    Attributes:
        sizes: How much is trained on and tested on, and for how long.
        values: The losses of the first batches, each measured before its own step, and a last value
            that is measured after these steps.
    """

    sizes: Mapping[str, int]
    values: Sequence[float]


class Begun(Protocol):
    """A training that is set up."""

    @property
    def weights(self) -> Sequence[Array]:
        """The arrays that it changes in place."""
        ...

    def first_steps(self, count: int) -> FirstSteps:
        """Take so many steps."""
        ...


@dataclass(frozen=True)
class Training:
    """A network with its initial weights, its data, and how it is trained.

    Attributes:
        network: Returns the network as it is now.
        predict: Returns its outputs for samples.
        weights: The arrays that the training changes in place.
        fit: Trains; it takes what ``numpy_impl.training.fit`` takes after the optimizer. The
            learning rate is the same in all epochs.
        data: Its training part is learned.
        schedule: The batches of each epoch.
        epochs: How many at most.
    """

    network: Callable[[], Sequential]
    predict: Callable[[Array], Array]
    weights: Sequence[Array]
    fit: Callable[..., Any]
    data: RecipeSamples
    schedule: Schedule
    epochs: int

    @classmethod
    def of(
        cls,
        network: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        data: RecipeSamples,
        schedule: Schedule,
        epochs: int,
    ) -> "Training":
        """Return the training of a network by the NumPy engine."""

        def fit(x: Array, y: Array, **options: Any) -> training.History:
            return training.fit(network, loss, optimizer, x, y, **options)

        return cls(
            lambda: network, network.predict, [network.parameters], fit, data, schedule, epochs
        )

    def run(self, **options: Any) -> Any:
        """Train to the end; the options are further ones of ``fit``, which returns the result."""
        d = self.data
        return self.fit(d.x_train, d.y_train, epochs=self.epochs, schedule=self.schedule, **options)

    def first_steps(self, count: int) -> "FirstSteps":
        """Take the first steps alone, each as an epoch of one batch, and test.

        The last value is the mean of ``1/2 |a - y|^2`` over the test samples.
        """
        d, losses = self.data, []
        batches = self.schedule(0)
        batches_an_epoch = len(batches)
        epochs = 1
        while len(batches) < count:
            batches = [*batches, *self.schedule(epochs)]
            epochs += 1
        self.fit(
            d.x_train, d.y_train, epochs=count, schedule=lambda step: [batches[step]],
            on_epoch=lambda step, logs: losses.append(logs["loss"]),
        )  # fmt: skip
        error = self.predict(d.x_test) - d.y_test
        sizes = {
            "trained on": len(d.x_train),
            "tested on": len(d.x_test),
            "batches an epoch": batches_an_epoch,
            "epochs": self.epochs,
        }
        return FirstSteps(sizes, [*losses, 0.5 * float(np.sum(np.square(error))) / len(error)])
