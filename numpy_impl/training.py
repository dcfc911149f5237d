"""Training by mini-batches: one epoch, many epochs, evaluation. Nothing here prints.

A *schedule* says which samples make up the batches of an epoch: a function of the epoch's number
(from 0) that returns a list of index arrays. Both engines take the same schedule, so that they see
the same samples in the same order.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from numpy_impl import validation
from numpy_impl.losses import Loss
from numpy_impl.network import Sequential
from numpy_impl.optimizers import Optimizer
from numpy_impl.types import Array

Schedule = Callable[[int], list[Array]]


@dataclass
class History:
    """What happened: for each metric ("loss", "accuracy", "val_loss"...) one value an epoch."""

    epochs: dict[str, list[float]] = field(default_factory=dict)

    def append(self, logs: dict[str, float]) -> None:
        """Add one epoch's values."""
        for name, value in logs.items():
            self.epochs.setdefault(name, []).append(value)


def shuffled(samples: int, batch_size: int, rng: np.random.Generator) -> Schedule:
    """Return the usual schedule: a new random order every epoch, the last batch as long as it is.

    Epochs have to be asked for in order, as each draws from ``rng``.
    """
    return lambda epoch: split(rng.permutation(samples), batch_size)


def in_order(samples: int, batch_size: int) -> Schedule:
    """Return the schedule that visits the samples in file order, epoch after epoch."""
    return lambda epoch: split(np.arange(samples), batch_size)


def split(order: Array, batch_size: int) -> list[Array]:
    """Cut ``order`` into batches of ``batch_size``; the last may be shorter, none is lost."""
    if batch_size < 1:
        raise ValueError(f"Expected batch_size >= 1. Received: {batch_size}")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def correct(outputs: Array, y: Array) -> int:
    """Count the samples whose largest output is at the label (or at the one-hot target's 1)."""
    labels = y if y.ndim == 1 else np.argmax(y, axis=-1)
    return int(np.count_nonzero(np.argmax(outputs, axis=-1) == labels))


def squared_error(outputs: Array, y: Array) -> float:
    """Return ``sum_n sum_c (a_nc - y_nc)^2``; ``y`` are vectors."""
    return float(np.sum(np.square(outputs - y)))


# Name -> sum over a batch's samples; what is logged is the mean over samples.
METRICS: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": correct,
    "squared_error": squared_error,
}


class _Means:
    """Running means, over samples, of the loss and the metrics."""

    def __init__(self, metrics: Sequence[str]) -> None:
        for name in metrics:
            if name not in METRICS:
                raise ValueError(f"Expected a metric of {', '.join(METRICS)}. Received: {name!r}")
        self.functions = {name: METRICS[name] for name in metrics}
        self.sums = dict.fromkeys(("loss", *metrics), 0.0)
        self.samples = 0

    def add(self, cost: float, outputs: Array, targets: Array) -> None:
        self.samples += len(targets)
        self.sums["loss"] += len(targets) * cost
        for name, function in self.functions.items():
            self.sums[name] += function(outputs, targets)

    def logs(self) -> dict[str, float]:
        return {name: total / max(self.samples, 1) for name, total in self.sums.items()}


class _Gather:
    """Copies the samples of a batch into arrays that are kept from step to step."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x, y
        self.inputs, self.targets = x[:0], y[:0]

    def __call__(self, batch: Array) -> tuple[Array, Array]:
        # np.take copies into a given array at once only if it need not stop at a wrong index.
        if len(batch) and not 0 <= batch.min() <= batch.max() < len(self.x):
            raise IndexError(
                f"Expected indices of samples in 0..{len(self.x) - 1}. "
                f"Received: {batch.min()}..{batch.max()}"
            )
        if len(self.inputs) != len(batch):
            self.inputs = np.empty((len(batch), *self.x.shape[1:]), self.x.dtype)
            self.targets = np.empty((len(batch), *self.y.shape[1:]), self.y.dtype)
        self.x.take(batch, 0, self.inputs, "clip")
        self.y.take(batch, 0, self.targets, "clip")
        return self.inputs, self.targets


def train_epoch(
    network: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Array,
    y: Array,
    batches: Iterable[Array],
    metrics: Sequence[str] = ("accuracy",),
    on_batch: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, float]:
    """Take one optimizer step for each batch of indices into ``x`` and ``y``.

    Args:
        metrics: Names of ``METRICS`` to measure beside the loss.
        on_batch: Called after each step with the running means.

    Returns:
        Means of "loss" and the metrics over the epoch's samples, each measured before its own step
        and with dropout active, as Keras reports them.
    """
    means = _Means(metrics)
    take = _Gather(x, y)
    for batch in batches:
        inputs, targets = take(batch)
        outputs = network.forward(inputs, training=True)
        means.add(network.backward(outputs, targets, loss), outputs, targets)
        optimizer.apply(network.gradients, network.parameters)
        if on_batch is not None:
            on_batch(means.logs())
    return means.logs()


def evaluate(
    network: Sequential,
    loss: Loss,
    x: Array,
    y: Array,
    metrics: Sequence[str] = ("accuracy",),
    batch_size: int = 1000,
) -> dict[str, float]:
    """Return means of "loss" and metrics over all samples, dropout inactive; checks its input."""
    x = validation.inputs(x, network.input_shape, network.dtype)
    y = validation.targets(y, len(x), network.output_shape[-1], loss.sparse, network.dtype)
    means = _Means(metrics)
    for batch in split(np.arange(len(x)), batch_size):
        outputs = network.forward(x[batch])
        means.add(network.loss(outputs, y[batch], loss), outputs, y[batch])
    return means.logs()


def fit(
    network: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    x: Array,
    y: Array,
    *,
    epochs: int,
    schedule: Schedule,
    metrics: Sequence[str] = ("accuracy",),
    validation_data: tuple[Array, Array] | None = None,
    learning_rate: Callable[[int], float] | None = None,
    augment: Callable[[int, Array], Array] | None = None,
    on_batch: Callable[[dict[str, float]], None] | None = None,
    on_epoch: Callable[[int, dict[str, float]], bool | None] | None = None,
) -> History:
    """Train for ``epochs`` epochs.

    Args:
        x: Inputs, shape (N, *input_shape); checked for shape and finiteness.
        y: One-hot targets (N, outputs), or integer labels (N,) for a sparse loss; checked.
        schedule: Which samples make up each epoch's batches.
        metrics: Names of ``METRICS`` to measure beside the loss.
        validation_data: Inputs and targets evaluated after each epoch, as "val_loss" and so on.
        learning_rate: Gives the learning rate of each epoch, counted from 0; None leaves the
            optimizer's own.
        augment: Gives what an epoch is trained on in place of ``x``, for example distorted copies:
            called with the epoch and ``x``, returns the same shape. Epochs are asked for in order.
        on_batch: See :func:`train_epoch`.
        on_epoch: Called after each epoch with its number from 0 and its logs; returning True stops.

    Raises:
        ValueError: Inputs or targets that do not fit the network.
    """
    x = validation.inputs(x, network.input_shape, network.dtype)
    y = validation.targets(y, len(x), network.output_shape[-1], loss.sparse, network.dtype)
    optimizer.build(network.parameters, network.slices)
    history = History()
    for epoch in range(epochs):
        if learning_rate is not None:
            optimizer.learning_rate = learning_rate(epoch)
        seen = x if augment is None else augment(epoch, x)
        logs = train_epoch(network, loss, optimizer, seen, y, schedule(epoch), metrics, on_batch)
        if validation_data is not None:
            measured = evaluate(network, loss, *validation_data, metrics)
            logs |= {f"val_{name}": value for name, value in measured.items()}
        history.append(logs)
        if on_epoch is not None and on_epoch(epoch, logs):
            break
    return history
