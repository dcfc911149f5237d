"""The gradients of anything that Keras computes, by the backend's automatic differentiation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from keras_impl.autodiff import to_numpy


def pullback(
    function: Callable[[Mapping[str, Any]], Any],
    arrays: Mapping[str, np.ndarray],
    douts: Sequence[np.ndarray | None],
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Return the outputs of a function, and the gradients of ``sum(output * dout)``.

    Only with TensorFlow as Keras's backend.

    Args:
        function: ``(tensors by name) -> output``, or a list of outputs, in Keras's operations.
        arrays: What it takes, in the precision in which it is to be computed.
        douts: For each output an array of its shape; None for one that does not count.
    """
    import tensorflow as tf

    variables = {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
    with tf.GradientTape() as tape:
        tape.watch(list(variables.values()))
        said: Any = function(variables)
        several = isinstance(said, list | tuple)
        outputs = cast(list[Any], [*said] if several else [said])
        total: Any = 0.0
        for output, dout in zip(outputs, douts, strict=False):
            if dout is not None:
                total += tf.reduce_sum(output * np.reshape(dout, output.shape))
    found: list[Any] = tape.gradient(total, list(variables.values()))
    gradients = {
        name: np.zeros_like(array) if g is None else to_numpy(tf.convert_to_tensor(g))
        for (name, array), g in zip(arrays.items(), found, strict=True)
    }
    return [to_numpy(output) for output in outputs], gradients
