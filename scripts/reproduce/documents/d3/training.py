"""784-64-10 trained: the two splits of MNIST, the document's ten batches, and a sound recipe."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numpy_impl import losses, models, training
from numpy_impl.layers import Dense
from numpy_impl.network import Sequential
from numpy_impl.optimizers import SGD
from numpy_impl.training import History, Schedule
from numpy_impl.types import Array, Precision

from .... import recipes
from ....samples import RecipeSamples, hold_out
from ...results import Context
from ...training import Training

NETWORK = "784-64-10"
LOSS = losses.get("categorical_crossentropy", fused=True)
BATCHES = 10
# Of the 70,000 pictures the document asks for 60,000 and 10,000.
PARTS = 7
# What the rate and the length are chosen from.
TRIED_RATES = (0.3, 1.0, 3.0)
TRIED_EPOCHS, SOUND_BATCH = 20, 100
TRIED_ON = 6

OnEpoch = Callable[[int, dict[str, float]], bool | None]


def intended(context: Context) -> RecipeSamples:
    """Return MNIST as the document means to use it: 60,000 pictures to train on, 10,000 to test.

    They are MNIST's own two parts, so that a training equals that of ``scripts.train``.
    """
    whole = recipes.get(NETWORK).load(context.data, context.generators(0)[2], context.dtype)
    train = context.at_most(len(whole.x_train), 600)
    test = context.at_most(len(whole.x_test), 100)
    x_test, y_test = whole.x_test[:test], whole.y_test[:test]
    return RecipeSamples(
        whole.x_train[:train], whole.y_train[:train], x_test, y_test, x_test, y_test
    )


def published(whole: RecipeSamples, seed: int) -> RecipeSamples:
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
    return RecipeSamples(x[train], y[train], x_test, y_test, x_test, y_test)


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


def set_up(
    context: Context,
    seed: int,
    data: RecipeSamples,
    *,
    start: Callable[[np.random.Generator, Precision], Sequential],
    schedule: Callable[[int, np.random.Generator], Schedule],
    rate: float,
    epochs: int,
) -> Training:
    """Return a training by stochastic gradient descent on the cross-entropy.

    Args:
        context: Gives the generators.
        seed: Of weights and order.
        data: Its training part is learned, its test part tested.
        start: Draws the network: :func:`normal` or :func:`glorot`.
        schedule: ``(samples, rng) -> Schedule``.
        rate: The learning rate.
        epochs: How many at most.
    """
    weights, order, *_ = context.generators(seed)
    batches = schedule(len(data.x_train), order)
    network = start(weights, context.dtype)
    return Training.of(network, LOSS, SGD(rate), data, batches, epochs)


def train(
    context: Context,
    what: str,
    own: Training,
    *,
    validate: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train and test.

    Args:
        context: Is told how far it is.
        what: What is trained, for the status.
        own: The training.
        validate: Whether loss and accuracy of the validation part are measured after every epoch.
        on_epoch: Called after each epoch; returning True stops, as in ``numpy_impl.training.fit``.
    """

    def after(epoch: int, logs: dict[str, float]) -> bool | None:
        context.status(f"{what}: epoch {epoch + 1} of {own.epochs}")
        return None if on_epoch is None else on_epoch(epoch, logs)

    parts = (own.data.x_valid, own.data.y_valid) if validate else None
    history = own.run(validation_data=parts, on_epoch=after)
    return tested(own.network(), history, own.data)


def tested(network: Sequential, history: History, data: RecipeSamples) -> Trained:
    """Return a trained network with what it says of the test part."""
    predicted = np.argmax(network.predict(data.x_test), axis=1)
    correct = int(np.count_nonzero(predicted == labels(data)))
    # A copy has the weights without what backpropagation keeps, here up to 60,000 pictures.
    return Trained(network.clone(), history, len(data.x_train), predicted, correct)


def labels(data: RecipeSamples) -> Array:
    """Return the true digits of the test part, shape (N,)."""
    return np.argmax(data.y_test, axis=1)


def whole_batches(samples: int, rng: np.random.Generator) -> Schedule:
    """Return ten batches an epoch, of a new order each time, with no sample lost."""
    return training.shuffled(samples, -(-samples // BATCHES), rng)


def one_batch(samples: int, rng: np.random.Generator) -> Schedule:
    """Return gradient descent's batch: all samples."""
    # The order within a batch of all samples changes nothing but the rounding.
    return training.in_order(samples, samples)


def small_batches(samples: int, rng: np.random.Generator) -> Schedule:
    """Return the sound recipe's batches of 100, of a new order each epoch."""
    return training.shuffled(samples, SOUND_BATCH, rng)


def normal(rng: np.random.Generator, dtype: Precision) -> Sequential:
    """Return the document's network, weights from N(0, 1)."""
    return models.build(NETWORK, rng, dtype=dtype)


def glorot(rng: np.random.Generator, dtype: Precision) -> Sequential:
    """Return the same layers with Glorot's uniform weights, which leave no unit saturated.

    Reference: X. Glorot, Y. Bengio (2010), "Understanding the difficulty of training deep
    feedforward neural networks", eq. 16.
    """
    return Sequential([Dense(64, "sigmoid"), Dense(10, "softmax")], 784, rng, dtype, NETWORK)


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


def sound(context: Context, data: RecipeSamples, seed: int, rate: float, epochs: int) -> Training:
    """Return the training by the sound recipe: Glorot's weights, batches of 100."""
    return set_up(
        context, seed, data, start=glorot, schedule=small_batches, rate=rate, epochs=epochs
    )


def held_out(context: Context, data: RecipeSamples, rate: float) -> Training:
    """Return the training, with seed 0, of five sixths of the pictures, to try a rate."""
    epochs = context.at_most(TRIED_EPOCHS, 2)
    return sound(context, hold_out(data, TRIED_ON), 0, rate, epochs)


def choices(context: Context, data: RecipeSamples) -> list[Choice]:
    """Try the rates with seed 0 on five sixths of the training pictures, judged by the last sixth.

    The test pictures are not looked at.
    """
    tried = []
    for rate in TRIED_RATES:
        done = train(context, f"rate {rate:g}", held_out(context, data, rate), validate=True)
        accuracies = done.history.epochs["val_accuracy"]
        best = int(np.argmax(accuracies))
        tried.append(Choice(rate, best + 1, 100 * accuracies[best]))
    return tried


def best(tried: list[Choice]) -> Choice:
    """Return the one with the most of the validation part right; of equals the first."""
    return max(tried, key=lambda choice: choice.right)
