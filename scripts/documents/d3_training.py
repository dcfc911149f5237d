"""What the trainings of 784-64-10 share: the two splits of MNIST, the ten batches, the loop."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numpy_impl import losses, models, training
from numpy_impl.network import Sequential
from numpy_impl.optimizers import SGD
from numpy_impl.training import History, Schedule
from numpy_impl.types import Array
from scripts import recipes
from scripts.documents.results import Context
from scripts.samples import Samples

NETWORK = "784-64-10"
LOSS = losses.get("categorical_crossentropy", fused=True)
BATCHES = 10
# Of the 70,000 pictures the document asks for 60,000 and 10,000.
PARTS = 7

OnEpoch = Callable[[int, dict[str, float]], bool | None]


def intended(context: Context) -> Samples:
    """Return MNIST as the document means to use it: 60,000 pictures to train on, 10,000 to test.

    They are MNIST's own two parts, so that a training equals that of ``scripts.train``.
    """
    whole = recipes.get(NETWORK).load(context.data, context.generators(0)[2], "float32")
    train = context.at_most(len(whole.x_train), 600)
    test = context.at_most(len(whole.x_test), 100)
    x_test, y_test = whole.x_test[:test], whole.y_test[:test]
    return Samples(whole.x_train[:train], whole.y_train[:train], x_test, y_test, x_test, y_test)


def published(whole: Samples, seed: int) -> Samples:
    """Return the document's own split of all pictures: six sevenths of them become the *test* set.

    ``train_test_split(x, y, test_size=60000)`` of 70,000 pictures leaves 10,000 to train on.

    Args:
        whole: Both parts, as :func:`intended` has them.
        seed: Of scikit-learn's shuffle; the document sets none.
    """
    # Late, because importing scikit-learn takes about a second.
    from sklearn.model_selection import train_test_split

    x = np.concatenate([whole.x_train, whole.x_test])
    y = np.concatenate([whole.y_train, whole.y_test])
    test_size = len(x) * (PARTS - 1) // PARTS
    train, test = train_test_split(np.arange(len(x)), test_size=test_size, random_state=seed)
    x_test, y_test = x[test], y[test]
    return Samples(x[train], y[train], x_test, y_test, x_test, y_test)


@dataclass
class Trained:
    """A network after its training.

    Attributes:
        network: The network.
        history: Its losses and accuracies, epoch by epoch.
        samples: How many it was trained on.
        predicted: The digit it says for each test picture, shape (N,).
        correct: How many of those are right.
    """

    network: Sequential
    history: History
    samples: int
    predicted: Array
    correct: int

    @property
    def right(self) -> float:
        """Percent of the test part right."""
        return 100 * self.correct / len(self.predicted)

    @property
    def epochs(self) -> int:
        """How many epochs it was trained."""
        return len(self.history.epochs["loss"])


def train(
    context: Context,
    what: str,
    network: Sequential,
    data: Samples,
    *,
    rate: float,
    epochs: int,
    schedule: Schedule,
    validate: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train by stochastic gradient descent on the cross-entropy, and test.

    Args:
        context: Is told how far it is.
        what: What is trained, for the status.
        network: Trained in place.
        data: Its training part is learned, its test part tested.
        rate: The learning rate.
        epochs: How many at most.
        schedule: The batches of each epoch.
        validate: Whether loss and accuracy of the validation part are measured after every epoch.
        on_epoch: Called after each epoch; returning True stops, as in ``numpy_impl.training.fit``.
    """

    def after(epoch: int, logs: dict[str, float]) -> bool | None:
        context.status(f"{what}: epoch {epoch + 1} of {epochs}")
        return None if on_epoch is None else on_epoch(epoch, logs)

    history = training.fit(
        network, LOSS, SGD(rate), data.x_train, data.y_train, epochs=epochs, schedule=schedule,
        validation_data=(data.x_valid, data.y_valid) if validate else None, on_epoch=after,
    )  # fmt: skip
    return tested(network, history, data)


def tested(network: Sequential, history: History, data: Samples) -> Trained:
    """Return a trained network with what it says of the test part."""
    predicted = np.argmax(network.predict(data.x_test), axis=1)
    correct = int(np.count_nonzero(predicted == labels(data)))
    # A copy has the weights without what backpropagation keeps, here up to 60,000 pictures.
    return Trained(network.clone(), history, len(data.x_train), predicted, correct)


def labels(data: Samples) -> Array:
    """Return the true digits of the test part, shape (N,)."""
    return np.argmax(data.y_test, axis=1)


def whole_batches(samples: int, rng: np.random.Generator) -> Schedule:
    """Return ten batches an epoch, of a new order each time, with no sample lost."""
    return training.shuffled(samples, -(-samples // BATCHES), rng)


def build(context: Context, seed: int) -> tuple[Sequential, np.random.Generator]:
    """Return the document's network, weights from N(0, 1), and what draws the order of samples."""
    weights, order, *_ = context.generators(seed)
    return models.build(NETWORK, weights), order
