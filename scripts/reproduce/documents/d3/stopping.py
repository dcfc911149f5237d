"""Watching a training: the losses of two parts on the way, and early stopping by one of them."""

import math
from dataclasses import dataclass, field

import numpy as np

from numpy_impl import training
from numpy_impl.network import Sequential

from ....samples import RecipeSamples
from .training import LOSS


@dataclass
class LossRecorder:
    """Measures the loss of the training part and of another one after every tenth epoch.

    Attributes:
        network: What is being trained.
        data: Whose training and validation part are measured.
        every: After how many epochs.
        epochs: When it was measured, counted from 1.
        train: The training losses, a value for each of ``epochs``.
        valid: Those of the validation part.
        accuracy: The share of the validation part that is right.
    """

    network: Sequential
    data: RecipeSamples
    every: int = 10
    epochs: list[int] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    valid: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def __call__(self, epoch: int, logs: dict[str, float]) -> None:
        if (epoch + 1) % self.every:
            return
        d = self.data
        train = training.evaluate(self.network, LOSS, d.x_train, d.y_train)
        valid = training.evaluate(self.network, LOSS, d.x_valid, d.y_valid)
        self.epochs.append(epoch + 1)
        self.train.append(train["loss"])
        self.valid.append(valid["loss"])
        self.accuracy.append(valid["accuracy"])

    @property
    def lowest(self) -> int:
        """Where in the lists the validation loss is lowest: from there on the network overfits."""
        return int(np.argmin(self.valid))


class EarlyStopping:
    """Ends a training when its validation loss has stopped falling, and keeps the best weights.

    It stops after the epoch ``e`` with ``e - best >= patience``, ``best`` being the epoch with the
    lowest validation loss so far. To be given to ``fit`` as ``on_epoch``, with validation data.

    Args:
        network: What is being trained.
        patience: So many epochs in a row may bring nothing better.

    Attributes:
        best_epoch: The epoch with the lowest validation loss, from 0; -1 before any.
        best_loss: That loss.

    Reference: L. Prechelt (1998), "Early stopping - but when?".
    """

    def __init__(self, network: Sequential, patience: int) -> None:
        self.network = network
        self.patience = patience
        self.best_epoch = -1
        self.best_loss = math.inf
        self._weights = network.get_weights()

    def __call__(self, epoch: int, logs: dict[str, float]) -> bool:
        """Return whether to stop after this epoch, whose "val_loss" stands in ``logs``."""
        if logs["val_loss"] < self.best_loss:
            self.best_epoch, self.best_loss = epoch, logs["val_loss"]
            self._weights = self.network.get_weights()
        return epoch - self.best_epoch >= self.patience

    def restore(self) -> None:
        """Put the weights of the best epoch back."""
        self.network.set_weights(self._weights)
