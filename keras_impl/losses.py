"""The documents' quadratic cost as a Keras loss, and losses by name."""

from typing import Any

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
