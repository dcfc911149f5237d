"""Training by mini-batches: one epoch, many epochs, evaluation. Nothing here prints.

A *schedule* says which samples make up the batches of an epoch: a function of the epoch's number
(from 0) that returns a list of index arrays. Both engines take the same schedule, so that they see
the same samples in the same order.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from numpy_impl import threads, validation
from numpy_impl.functional import AnyNetwork
from numpy_impl.losses import Loss
from numpy_impl.optimizers import Optimizer
from numpy_impl.types import Array, Rows, is_read_by_batch

Schedule = Callable[[int], list[Array]]

# While training the loss and the metrics are measured of about so many samples at a time: for a
# batch of a few samples that would take longer than the step itself.
MEASURED_TOGETHER = 1000


@dataclass
class History:
    """What happened: for each metric ("loss", "accuracy", "val_loss"...) one value an epoch."""

    epochs: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def append(self, logs: dict[str, float]) -> None:
        """Add one epoch's values."""
        for name, value in logs.items():
            self.epochs.setdefault(name, []).append(value)

    @property
    def length(self) -> int:
        """How many epochs there were."""
        return len(next(iter(self.epochs.values()), ()))


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


def weights_of_classes(y: Array, class_weight: Mapping[int, float], outputs: int) -> Array:
    """Return each sample's weight, which is that of its class; a class that is not named has 1.

    Args:
        y: One-hot targets (N, classes), labels (N,), or (N, 1) with a class of 0 or 1.
        class_weight: The weight of each class by its number.
        outputs: How many outputs there are: as many classes, or two with one output.

    Raises:
        ValueError: The targets are sequences, or there is no class of a number.

    Reference: ``keras/src/trainers/data_adapters/data_adapter_utils.py``.
    """
    y = np.asarray(y)
    if y.ndim > 2:
        raise ValueError(
            f"Expected one class for each sample. Received: targets of shape {y.shape}"
        )
    if y.ndim == 2:
        y = np.argmax(y, axis=1) if y.shape[1] > 1 else np.round(y[:, 0])
    weights = np.ones(len(y))
    for number, weight in class_weight.items():
        if number not in range(max(outputs, 2)):
            raise ValueError(
                f"Expected class_weight by numbers 0..{max(outputs, 2) - 1}. Received: {number!r}"
            )
        weights[y == number] = weight
    return weights


def correct(outputs: Array, y: Array) -> int:
    """Count the samples whose largest output is at the label (or at the one-hot target's 1).

    Where a sample has outputs at several steps, the steps are counted.
    """
    labels = y if y.ndim < outputs.ndim else np.argmax(y, axis=-1)
    return int(np.count_nonzero(np.argmax(outputs, axis=-1) == labels))


def accuracy(outputs: Array, y: Array) -> float:
    """Return what part of each sample's steps is right, summed over the samples."""
    return correct(outputs, y) / math.prod(outputs.shape[1:-1])


def squared_error(outputs: Array, y: Array) -> float:
    """Return ``sum_n sum_c (a_nc - y_nc)^2``; ``y`` are vectors."""
    return float(np.sum(np.square(outputs - y)))


# Name -> sum over a batch's samples; what is logged is the mean over samples.
METRICS: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": accuracy,
    "squared_error": squared_error,
}


class Means:
    """Running means, over an epoch's samples so far, of the loss and the metrics.

    Args:
        metrics: Names of ``METRICS`` to measure beside the loss.

    Attributes:
        sums: Of the loss and each metric, over the samples.
        samples: How many there were.

    Raises:
        ValueError: There is no metric of a name.
    """

    def __init__(self, metrics: Sequence[str] = ("accuracy",)) -> None:
        for name in metrics:
            if name not in METRICS:
                raise ValueError(f"Expected a metric of {', '.join(METRICS)}. Received: {name!r}")
        self.functions = {name: METRICS[name] for name in metrics}
        self.sums = dict.fromkeys(("loss", *metrics), 0.0)
        self.samples = 0

    def clear(self) -> None:
        """Begin another epoch."""
        self.sums, self.samples = dict.fromkeys(self.sums, 0.0), 0

    def add(self, cost: float, outputs: Array, targets: Array) -> None:
        """Add some samples: the mean of their losses, and what the metrics are measured of."""
        self.samples += len(targets)
        self.sums["loss"] += len(targets) * cost
        for name, function in self.functions.items():
            self.sums[name] += function(outputs, targets)

    def logs(self) -> dict[str, float]:
        """Return the means by name."""
        return {name: total / max(self.samples, 1) for name, total in self.sums.items()}


class _Rows:
    """Copies rows of a set, here a batch's, into an array that is kept from step to step."""

    def __init__(self, rows: Array) -> None:
        self.rows = rows
        self.copy = rows[:0]

    def __call__(self, indices: Array) -> Array:
        if len(self.copy) != len(indices):
            self.copy = np.empty((len(indices), *self.rows.shape[1:]), self.rows.dtype)
        # Only with "clip" does NumPy copy straight into the array; the indices have been checked.
        return self.rows.take(indices, 0, self.copy, "clip")


class _Read:
    """Reads a batch from samples that are not in memory, and checks it as :func:`fit` does all."""

    def __init__(self, rows: Rows, check: Callable[[Array], Array]) -> None:
        self.rows, self.check = rows, check

    def __call__(self, indices: Array) -> Array:
        batch = self.rows[indices]
        try:
            return self.check(batch)
        except ValueError as error:
            for sample, row in zip(indices.tolist(), batch, strict=True):
                try:
                    self.check(row[None])
                except ValueError as one:
                    raise ValueError(f"sample {sample}, alone: {one}") from error
            raise


def _inputs(network: AnyNetwork, x: Array | Rows) -> "_Rows | _Read":
    """Return what gives the inputs of a batch."""
    if not is_read_by_batch(x):
        return _Rows(np.asarray(x, network.dtype))
    return _Read(x, lambda rows: validation.inputs(rows, network.input_shape, network.dtype))


def _targets(network: AnyNetwork, y: Array | Rows, sparse: bool) -> "_Rows | _Read":
    """Return what gives the targets of a batch."""
    if not is_read_by_batch(y):
        return _Rows(np.asarray(y))
    shape, dtype = network.output_shape, network.dtype
    return _Read(y, lambda rows: validation.targets(rows, len(rows), shape, sparse, dtype))


class _Record:
    """The outputs of several steps, kept until they are measured together."""

    def __init__(
        self,
        network: AnyNetwork,
        loss: Loss,
        targets: Callable[[Array], Array],
        sample_weight: Array | None,
        longest_batch: int,
    ) -> None:
        shape = (MEASURED_TOGETHER + longest_batch, *network.output_shape)
        self.outputs = np.empty(shape, network.dtype)
        # What the loss is evaluated at: the outputs, or a fused loss's logits.
        self.loss_inputs = np.empty_like(self.outputs) if loss.fused else self.outputs
        self.loss, self.targets, self.sample_weight = loss, targets, sample_weight
        self.network = network
        self.batches: list[Array] = []
        self.samples = 0
        # The sum of the steps' penalties, each times its samples.
        self.penalties = 0.0

    def add(self, batch: Array, outputs: Array, loss_inputs: Array) -> None:
        end = self.samples + len(batch)
        self.outputs[self.samples : end] = outputs
        if self.loss.fused:
            self.loss_inputs[self.samples : end] = loss_inputs
        if self.network.regularized:
            self.penalties += len(batch) * self.network.penalty()
        self.batches.append(batch)
        self.samples = end

    def measure(self, means: Means) -> None:
        """Add what was kept to ``means`` and forget it."""
        if self.samples:
            outputs, loss_inputs = self.outputs[: self.samples], self.loss_inputs[: self.samples]
            order = np.concatenate(self.batches)
            targets, weights = self.targets(order), _of(order, self.sample_weight)
            cost = self.loss.value(loss_inputs, targets, weights) + self.penalties / self.samples
            means.add(cost, outputs, targets)
        self.batches, self.samples, self.penalties = [], 0, 0.0


def _of(batch: Array, sample_weight: Array | None) -> Array | None:
    return None if sample_weight is None else sample_weight[batch]


def train_epoch(
    network: AnyNetwork,
    loss: Loss,
    optimizer: Optimizer,
    x: Array | Rows,
    y: Array | Rows,
    batches: Iterable[Array],
    metrics: Sequence[str] = ("accuracy",),
    on_batch: Callable[[int, dict[str, float]], None] | None = None,
    sample_weight: Array | None = None,
    means: Means | None = None,
    initial_step: int = 0,
) -> dict[str, float]:
    """Take one optimizer step for each batch of indices into ``x`` and ``y``.

    Args:
        metrics: Names of ``METRICS`` to measure beside the loss.
        on_batch: Called with the number of steps done and the running means, after the steps in
            which ``MEASURED_TOGETHER`` samples or more went by and after the last step.
        sample_weight: How much each sample counts in the loss, as :func:`fit` makes them; metrics
            count all alike.
        means: What is measured is added to these, in place of new ones of ``metrics``.
        initial_step: How many of the batches lie behind, and are in ``means``.

    Returns:
        Means of "loss" and the metrics over the epoch's samples, each measured before its own step
        and with dropout active, as Keras reports them.

    Raises:
        IndexError: A batch has an index that no sample has; nothing is trained then.
    """
    means = Means(metrics) if means is None else means
    batches = list(batches)
    _check_indices(batches, len(x))
    inputs, targets = _inputs(network, x), _targets(network, y, loss.sparse)
    measured = _targets(network, y, loss.sparse)
    longest = max(map(len, batches), default=0)
    record = _Record(network, loss, measured, sample_weight, longest)
    if not optimizer.slices:
        optimizer.build_for(network)
    # What overflows becomes an infinity, which is told once, with the step and the layer.
    with threads.own_threads(), np.errstate(over="ignore"):
        for done, batch in enumerate(batches[initial_step:], initial_step + 1):
            outputs = network.forward(inputs(batch), training=True)
            record.add(batch, outputs, network.loss_input(outputs, loss))
            network.backward(outputs, targets(batch), loss, _of(batch, sample_weight))
            optimizer.apply(network.gradients, network.parameters)
            network.constrain()
            if record.samples >= MEASURED_TOGETHER or done == len(batches):
                record.measure(means)
                if on_batch is not None:
                    on_batch(done, means.logs())
    return means.logs()


def _check_indices(batches: list[Array], samples: int) -> None:
    order = np.concatenate(batches) if batches else np.empty(0, int)
    if order.size and not 0 <= order.min() <= order.max() < samples:
        raise IndexError(
            f"Expected batches of indices in 0..{samples - 1}. "
            f"Received: indices from {order.min()} to {order.max()}"
        )


def evaluate(
    network: AnyNetwork,
    loss: Loss,
    x: Array,
    y: Array,
    metrics: Sequence[str] = ("accuracy",),
    batch_size: int = 1000,
    sample_weight: Array | None = None,
) -> dict[str, float]:
    """Return means of "loss" and metrics over all samples, dropout inactive; checks its input."""
    x = validation.inputs(x, network.input_shape, network.dtype)
    y = validation.targets(y, len(x), network.output_shape, loss.sparse, network.dtype)
    weights = _sample_weights(network, y, sample_weight, None)
    means = Means(metrics)
    for batch in split(np.arange(len(x)), batch_size):
        outputs = network.forward(x[batch])
        cost = loss.value(network.loss_input(outputs, loss), y[batch], _of(batch, weights))
        means.add(cost + network.penalty(), outputs, y[batch])
    return means.logs()


def _augmented(augment: Callable[[int, Array], Array], epoch: int, x: Array | Rows) -> Array | Rows:
    if is_read_by_batch(x):
        raise ValueError("Expected no augment with samples that are read batch by batch")
    return augment(epoch, np.asarray(x))


def _sample_weights(
    network: AnyNetwork,
    y: Array | Rows,
    sample_weight: Array | None,
    class_weight: Mapping[int, float] | None,
) -> Array | None:
    if sample_weight is not None and class_weight is not None:
        raise ValueError("Expected sample_weight or class_weight. Received: both")
    if class_weight is not None:
        if is_read_by_batch(y):
            raise ValueError("Expected no class_weight with targets that are read batch by batch")
        sample_weight = weights_of_classes(np.asarray(y), class_weight, network.output_shape[-1])
    if sample_weight is None:
        return None
    return validation.sample_weights(sample_weight, len(y), network.output_shape, network.dtype)


def fit(
    network: AnyNetwork,
    loss: Loss,
    optimizer: Optimizer,
    x: Array | Rows,
    y: Array | Rows,
    *,
    epochs: int,
    initial_epoch: int = 0,
    initial_step: int = 0,
    schedule: Schedule,
    metrics: Sequence[str] = ("accuracy",),
    sample_weight: Array | None = None,
    class_weight: Mapping[int, float] | None = None,
    means: Means | None = None,
    validation_data: tuple[Array, Array] | tuple[Array, Array, Array] | None = None,
    learning_rate: Callable[[int], float] | None = None,
    augment: Callable[[int, Array], Array] | None = None,
    on_batch: Callable[[int, dict[str, float]], None] | None = None,
    on_epoch: Callable[[int, dict[str, float]], bool | None] | None = None,
) -> History:
    """Train up to ``epochs`` epochs in all; an optimizer with ``use_ema`` leaves the average.

    Args:
        initial_epoch: How many of them lie behind: the optimizer then goes on with the state that
            it has. Where nothing lies behind, it is built anew.
        initial_step: How many batches of the next epoch lie behind, too.
        x: Inputs, shape (N, *input_shape); checked for shape and finiteness. Or
            :class:`numpy_impl.types.Rows`, of which no more than a batch is ever in memory, and
            which are checked batch by batch.
        y: One-hot targets (N, outputs), or integer labels (N,) for a sparse loss; checked. Or
            ``Rows`` of these.
        schedule: Which samples make up each epoch's batches.
        metrics: Names of ``METRICS`` to measure beside the loss.
        sample_weight: How much each sample counts in the loss, shape (N,); of sequences perhaps
            (N, time). The loss is still divided by N, and metrics count all alike.
        class_weight: How much samples of each class count, by its number, in place of
            ``sample_weight``; see :func:`weights_of_classes`.
        means: What is measured in an epoch is added to these, in place of new ones of ``metrics``;
            with ``initial_step`` they hold what was measured before it.
        validation_data: Inputs and targets, and perhaps sample weights, evaluated after each epoch,
            as "val_loss" and so on.
        learning_rate: Gives the learning rate of each epoch, counted from 0; None leaves the
            optimizer's own.
        augment: Gives what an epoch is trained on in place of ``x``, for example distorted copies:
            called with the epoch and ``x``, returns the same shape. Epochs are asked for in order.
        on_batch: See :func:`train_epoch`.
        on_epoch: Called after each epoch with its number from 0 and its logs; returning True stops.

    Raises:
        ValueError: Inputs or targets that do not fit the network.
    """
    if not is_read_by_batch(x):
        x = validation.inputs(np.asarray(x), network.input_shape, network.dtype)
    if not is_read_by_batch(y):
        y = validation.targets(
            np.asarray(y), len(x), network.output_shape, loss.sparse, network.dtype
        )
    weights = _sample_weights(network, y, sample_weight, class_weight)
    if len(y) != len(x):
        raise ValueError(f"Expected {len(x)} targets. Received: {len(y)}")
    if initial_epoch == initial_step == 0:
        optimizer.build_for(network)
    means = Means(metrics) if means is None else means
    history = History()
    for epoch in range(initial_epoch, epochs):
        if learning_rate is not None:
            optimizer.learning_rate = learning_rate(epoch)
        seen = x if augment is None else _augmented(augment, epoch, x)
        step = initial_step if epoch == initial_epoch else 0
        if not step:
            means.clear()
        logs = train_epoch(
            network, loss, optimizer, seen, y, schedule(epoch), metrics, on_batch, weights,
            means, step,
        )  # fmt: skip
        if validation_data is not None:
            x_val, y_val, *given = validation_data
            w_val = given[0] if given else None
            names = tuple(means.functions)
            measured = evaluate(network, loss, x_val, y_val, names, sample_weight=w_val)
            logs |= {f"val_{name}": value for name, value in measured.items()}
        history.append(logs)
        if on_epoch is not None and on_epoch(epoch, logs):
            break
    if history.epochs:
        optimizer.finalize(network.parameters)
    return history
