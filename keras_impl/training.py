"""Training with ``compile`` and ``fit``, on the batches that a schedule names.

A schedule is a function of the epoch's number that returns a list of index arrays, one a batch, as
in ``numpy_impl.training``: Keras's own shuffling differs from backend to backend.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeGuard

import keras
import numpy as np

Schedule = Callable[[int], list[np.ndarray]]
Logs = dict[str, float]


class Rows(Protocol):
    """Samples that are read a batch at a time, as they are too many to be in memory.

    Attributes:
        shape: As an array of all of them would have it, (N, ...).
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: np.ndarray, /) -> np.ndarray: ...


Part = Callable[[np.ndarray], np.ndarray]


def _is_read_by_batch(x: object) -> TypeGuard[Rows]:
    """Return whether samples are :class:`Rows`: they have a shape and cannot become an array."""
    return hasattr(x, "shape") and not hasattr(x, "__array__")


class _Batches(keras.utils.PyDataset):
    """The batches of one epoch, of any lengths, each read when its turn comes.

    Args:
        x: Inputs.
        y: Targets.
        batches: The indices of each batch's samples.
        part: Which of a batch's indices to read; None: all.
        check: Called with what was read, where it was not checked before.

    Attributes:
        error: What reading a batch raised. TensorFlow hides it behind an error of its own.
    """

    def __init__(
        self,
        x: np.ndarray | Rows,
        y: np.ndarray | Rows,
        batches: list[np.ndarray],
        part: Part | None = None,
        check: Callable[[np.ndarray, np.ndarray], None] | None = None,
    ) -> None:
        super().__init__()
        self.x, self.y, self.batches = x, y, batches
        self.part, self.check = part, check
        self.error: Exception | None = None

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        batch = self.batches[index]
        try:
            rows = batch if self.part is None else self.part(batch)
            x, y = self.x[rows], self.y[rows]
            self._check(rows, x, y)
        except Exception as error:
            self.error = error
            raise
        return x, y

    def _check(self, rows: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        if self.check is None:
            return
        try:
            self.check(x, y)
        except ValueError as error:
            for i, sample in enumerate(rows.tolist()):
                try:
                    self.check(x[i : i + 1], y[i : i + 1])
                except ValueError as one:
                    raise ValueError(f"sample {sample}, alone: {one}") from error
            raise


class _OnBatch(keras.callbacks.Callback):
    def __init__(self, on_batch: Callable[[int, Logs], None], initial_step: int, last: int) -> None:
        super().__init__()
        self.report = on_batch
        self.initial_step, self.last = initial_step, last

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        # Keras counts as if the last execution had as many steps as the others.
        done = min(self.initial_step + batch + 1, self.last)
        self.report(done, {k: float(v) for k, v in (logs or {}).items()})


class _GoOn(keras.callbacks.Callback):
    """Gives the running means back, which Keras clears where an epoch begins."""

    def __init__(self, means: Sequence[tuple[Any, float]]) -> None:
        super().__init__()
        self.means = means

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        for variable, value in self.means:
            variable.assign(value)


def _squared_error(y_true: Any, y_pred: Any) -> Any:
    """Return ``sum_c (a_c - y_c)^2`` of each sample."""
    return keras.ops.sum(keras.ops.square(y_pred - y_true), axis=-1)


def _metric(name: str, sparse: bool) -> keras.metrics.Metric:
    accuracy = "sparse_categorical_accuracy" if sparse else "categorical_accuracy"
    functions = {
        "accuracy": getattr(keras.metrics, accuracy),
        "squared_error": _squared_error,
    }
    if name not in functions:
        raise ValueError(f"Expected a metric of {', '.join(functions)}. Received: {name!r}")
    return keras.metrics.MeanMetricWrapper(functions[name], name=name)


def compile_model(
    model: keras.Model,
    loss: keras.losses.Loss,
    optimizer: keras.optimizers.Optimizer,
    metrics: Sequence[str] = ("accuracy",),
    steps_per_execution: int | None = None,
) -> list[Any]:
    """Compile with the metrics "accuracy" (by argmax) and "squared_error", or one of them.

    Returns the variables, two for the loss and for each metric, of which Keras computes the means.
    The model's ``metrics_variables`` are these, but only after a step.

    ``steps_per_execution`` steps run in one call of the backend, which for these small networks
    is several times faster than a call a step and computes the same. None: 32, or on PyTorch 1,
    as Keras allows no other there.
    """
    if steps_per_execution is None:
        steps_per_execution = 1 if keras.backend.backend() == "torch" else 32
    sparse = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    measured = [_metric(name, sparse) for name in metrics]
    model.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=measured,
        steps_per_execution=steps_per_execution,
    )
    of_the_loss: Any = model.metrics[0]
    return [variable for one in (of_the_loss, *measured) for variable in one.variables]


def fit(
    model: keras.Model,
    x: np.ndarray | Rows,
    y: np.ndarray | Rows,
    *,
    epochs: int,
    initial_epoch: int = 0,
    initial_step: int = 0,
    means: Sequence[tuple[Any, float]] = (),
    schedule: Schedule,
    validation_data: tuple[np.ndarray, np.ndarray] | None = None,
    learning_rate: Callable[[int], float] | None = None,
    augment: Callable[[int, np.ndarray], np.ndarray] | None = None,
    on_batch: Callable[[int, Logs], None] | None = None,
    on_epoch: Callable[[int, Logs], bool | None] | None = None,
    part: Part | None = None,
) -> dict[str, list[float]]:
    """Train a compiled model up to ``epochs`` epochs in all; return each metric's value an epoch.

    Args:
        initial_epoch: How many of them lie behind; the optimizer goes on with the state it has.
        initial_step: How many batches of the next epoch lie behind, too.
        means: The variables that :func:`compile_model` returned, each with what it was then.
        x: Inputs, shape (N, ...), in the model's dtype. Or :class:`Rows`, of which a few batches at
            a time are in memory, and which are checked batch by batch.
        y: Targets as the compiled loss wants them, or ``Rows`` of these.
        schedule: Which samples make up each epoch's batches.
        validation_data: Inputs and targets evaluated after each epoch, as "val_...".
        learning_rate: Gives the learning rate of each epoch, counted from 0; None leaves the
            optimizer's own.
        augment: Gives what an epoch is trained on in place of ``x``, for example distorted copies:
            called with the epoch and ``x``, returns the same shape. Epochs are asked for in order.
        on_batch: Called with the number of batches done in this epoch and the running logs.
        on_epoch: Called after each epoch with its number from 0 and its logs; returning True stops.
        part: Gives the indices that this process reads of a batch's, where several processes train
            together (``data_parallel``); None: all.

    Raises:
        ValueError: Inputs of another shape or with a NaN or infinity, targets of another length or
            shape, or a label out of range; Keras itself would train on most of these.
    """
    by_batch = _is_read_by_batch(x) or _is_read_by_batch(y)
    if by_batch and len(x) != len(y):
        raise ValueError(f"Expected {len(x)} targets. Received: {len(y)}")
    if by_batch and augment is not None:
        raise ValueError("Expected no augment with samples that are read batch by batch")
    if not by_batch:
        _check(model, np.asarray(x), np.asarray(y))
    if validation_data is not None:
        _check(model, *validation_data)
    history: dict[str, list[float]] = {}
    optimizer: Any = model.optimizer
    for epoch in range(initial_epoch, epochs):
        if learning_rate is not None:
            optimizer.learning_rate = learning_rate(epoch)
        seen = x if augment is None else augment(epoch, np.asarray(x))
        step = initial_step if epoch == initial_epoch else 0
        batches = schedule(epoch)
        if by_batch or part is not None:
            check = partial(_check, model) if by_batch else None
            data: dict[str, Any] = {"x": _Batches(seen, y, batches[step:], part, check)}
        else:
            data = _arguments(np.asarray(seen), np.asarray(y), batches, step)
        callbacks: list[Any] = [_GoOn(means)] if step else []
        if on_batch is not None:
            callbacks.append(_OnBatch(on_batch, step, len(batches)))
        with _unfinished(optimizer), _told(data["x"]):
            done = model.fit(
                **data,
                initial_epoch=epoch,
                epochs=epoch + 1,
                validation_data=validation_data,
                validation_batch_size=1000,
                shuffle=False,
                verbose=0,  # pyright: ignore[reportArgumentType] (the stub says str alone)
                callbacks=callbacks,
            )
        logs = {name: float(values[-1]) for name, values in done.history.items()}
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        if on_epoch is not None and on_epoch(epoch, logs):
            break
    if history:
        optimizer.finalize_variable_values(model.trainable_variables)
    return history


@contextmanager
def _unfinished(optimizer: Any) -> Generator[None]:
    """Keep the weights as they are where a call of Keras's ``fit`` ends, which is one epoch here.

    With ``use_ema`` it would put their average in their place, and the next epoch go on from that.
    """

    def leave(variables: Any) -> None:
        del variables

    optimizer.finalize_variable_values = leave
    try:
        yield
    finally:
        del optimizer.finalize_variable_values


@contextmanager
def _told(data: Any) -> Generator[None]:
    """Raise what reading a batch raised, in place of what the backend makes of it."""
    try:
        yield
    except Exception as error:
        own = getattr(data, "error", None)
        if own is None or own is error:
            raise
        raise own from None


def _check(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    inputs, outputs = model.input_shape[1:], model.output_shape[-1]
    if x.shape[1:] != inputs:
        expected = ", ".join(["N", *map(str, inputs)])
        raise ValueError(f"Expected inputs of shape ({expected}). Received: shape {x.shape}")
    for name, values in (("inputs", x), ("targets", y)):
        finite = np.isfinite(values)
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(f"Expected finite {name}. Received: {values[where]} at index {where}")
    if y.ndim > 1 or y.dtype.kind not in "iu":
        if y.shape != (len(x), outputs):
            raise ValueError(
                f"Expected targets of shape ({len(x)}, {outputs}). Received: shape {y.shape}"
            )
        return
    wrong = np.flatnonzero((y < 0) | (y >= outputs))
    if len(y) != len(x) or wrong.size:
        received = f"{y[wrong[0]]} at index {wrong[0]}" if wrong.size else f"{len(y)} labels"
        raise ValueError(f"Expected {len(x)} labels in 0..{outputs - 1}. Received: {received}")


def _arguments(
    x: np.ndarray, y: np.ndarray, batches: list[np.ndarray], done: int
) -> dict[str, Any]:
    """Return what ``fit`` takes, for an epoch's batches after the first ones that are done."""
    # Arrays are much faster in fit than a PyDataset, but allow only the last batch to be shorter.
    sizes = {len(batch) for batch in batches[:-1]} or {len(batches[-1])}
    if len(sizes) == 1 and len(batches[-1]) <= max(sizes):
        order = np.concatenate(batches[done:])
        return {"x": x[order], "y": y[order], "batch_size": max(sizes)}
    return {"x": _Batches(x, y, batches[done:])}
