"""The documents' quadratic cost as a Keras loss, and losses by name."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras


@keras.saving.register_keras_serializable(package="keras_impl")
class Quadratic(keras.losses.Loss):
    """``1/2 sum_c (y_pred - y_true)^2``, averaged over the batch; Keras has no such loss.

    Its mean squared error divides by the number of outputs and lacks the 1/2.

    Reference: Nielsen (2015), "Neural networks and deep learning", eq. 6; documents D0 and D1.
    """

    def __init__(
        self,
        name: str = "quadratic",
        reduction: str = "sum_over_batch_size",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each sample, shape (N,)."""
        total: Any = keras.ops.sum(keras.ops.square(y_pred - y_true), axis=-1)
        return 0.5 * total


class WeightedSum:
    """The losses of several outputs, ``sum_i weight_i loss_i``, as ``compile`` adds them.

    Args:
        losses: The loss of each output.
        weights: The weight of each; None: all are 1.
    """

    def __init__(
        self, losses: Sequence[keras.losses.Loss], weights: Sequence[float] | None = None
    ) -> None:
        self.losses = list(losses)
        self.weights = [1.0] * len(losses) if weights is None else [float(w) for w in weights]
        if len(self.weights) != len(self.losses):
            raise ValueError(
                f"Expected a weight for each of {len(losses)} losses. Received: {weights}"
            )

    def __call__(
        self,
        y_true: Sequence[Any],
        y_pred: Sequence[Any],
        sample_weight: Sequence[Any] | None = None,
    ) -> Any:
        """Return the cost, given the targets, outputs and sample weights of each output."""
        counts = [None] * len(self.losses) if sample_weight is None else sample_weight
        rows = zip(self.losses, self.weights, y_true, y_pred, counts, strict=True)
        costs: list[Any] = [loss(y, p, count) * weight for loss, weight, y, p, count in rows]
        return sum(costs[1:], costs[0])


AnyLoss = keras.losses.Loss | WeightedSum


def of_outputs(
    losses: Any, outputs: Sequence[str], weights: Sequence[float] | None = None
) -> AnyLoss:
    """Return the loss of a model with these outputs.

    Args:
        losses: A loss or its name; of several outputs a list of them, or a mapping from outputs.
        outputs: The outputs' names.
        weights: The weight of each output's loss.

    Raises:
        ValueError: Another number of losses or weights than of outputs, or an unknown name.
    """
    several: list[Any] = [losses]
    if isinstance(losses, list | tuple):
        several = list(cast(Sequence[Any], losses))
    elif isinstance(losses, Mapping):
        named = dict(cast(Mapping[str, Any], losses))
        several = [named.pop(name) for name in outputs if name in named] + list(named.values())
    if len(several) != len(outputs):
        raise ValueError(
            f"Expected a loss for each output, {', '.join(outputs)}. Received: {losses!r}"
        )
    if len(several) == 1 and weights is None:
        return get(several[0])
    return WeightedSum([get(loss) for loss in several], weights)


def get(identifier: str | keras.losses.Loss) -> keras.losses.Loss:
    """Return the loss called ``identifier``: "quadratic", or one of Keras's own names.

    Raises:
        ValueError: Neither Keras nor this module knows the name.
    """
    if isinstance(identifier, keras.losses.Loss):
        return identifier
    if identifier == "quadratic":
        return Quadratic()
    # keras.losses.get would return a bare function, which has no reduction.
    class_name = {"mse": "MeanSquaredError", "mae": "MeanAbsoluteError"}.get(
        identifier, "".join(word.capitalize() for word in identifier.split("_"))
    )
    loss = getattr(keras.losses, class_name, None)
    if not (isinstance(loss, type) and issubclass(loss, keras.losses.Loss)):
        raise ValueError(
            "Unknown loss. Expected quadratic, categorical_crossentropy, mean_squared_error or "
            f"another of Keras's. Received: {identifier!r}"
        )
    return loss()
