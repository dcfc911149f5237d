"""The gradients of anything that Keras computes, by the backend's automatic differentiation."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, cast

import keras
import numpy as np

from keras_impl.autodiff import to_numpy, torch_gradients

Tensors = Mapping[str, Any]


def pullback(
    function: Callable[[Tensors], Any],
    arrays: Mapping[str, np.ndarray],
    douts: Sequence[np.ndarray | None],
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Return the outputs of a function, and the gradients of ``sum(output * dout)``.

    Args:
        function: ``(tensors by name) -> output``, or a list of outputs, in Keras's operations.
        arrays: What it takes, in the precision in which it is to be computed.
        douts: For each output an array of its shape; None for one that does not count.

    Raises:
        ValueError: Keras's backend differentiates nothing, or not this.
    """

    def counted(tensors: Tensors) -> tuple[Any, list[Any]]:
        said: Any = function(tensors)
        several = isinstance(said, list | tuple)
        outputs = cast(list[Any], [*said] if several else [said])
        total: Any = 0.0
        for output, dout in zip(outputs, douts, strict=False):
            if dout is not None:
                weights = keras.ops.convert_to_tensor(np.reshape(dout, tuple(output.shape)))
                total = total + keras.ops.sum(output * weights)
        return total, outputs

    backend = keras.backend.backend()
    if backend not in _WAYS:
        raise ValueError(
            f"Expected one of the Keras backends {', '.join(_WAYS)}, which differentiate. "
            f"Received: {backend}"
        )
    outputs, found = _WAYS[backend](counted, arrays)
    gradients = {
        name: np.zeros_like(array) if g is None else to_numpy(g)
        for (name, array), g in zip(arrays.items(), found, strict=True)
    }
    return [to_numpy(output) for output in outputs], gradients


# From tensors to a number, and to what else there is.
_Counted = Callable[[Tensors], tuple[Any, list[Any]]]


def _tensorflow(counted: _Counted, arrays: Mapping[str, np.ndarray]) -> tuple[list[Any], list[Any]]:
    import tensorflow as tf

    variables = {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
    with tf.GradientTape() as tape:
        tape.watch(list(variables.values()))
        total, outputs = counted(variables)
    found: list[Any] = tape.gradient(total, list(variables.values()))
    # Of an embedding there are rows with their numbers.
    return outputs, [g if g is None else tf.convert_to_tensor(g) for g in found]


def _jax(counted: _Counted, arrays: Mapping[str, np.ndarray]) -> tuple[list[Any], list[Any]]:
    jax: Any = import_module("jax")

    def of_values(values: Sequence[Any]) -> tuple[Any, list[Any]]:
        # A dict would come back in the order of its names.
        return counted(dict(zip(arrays, values, strict=True)))

    tensors = [keras.ops.convert_to_tensor(array) for array in arrays.values()]
    (_, outputs), found = jax.value_and_grad(of_values, has_aux=True)(tensors)
    return outputs, found


def _torch(counted: _Counted, arrays: Mapping[str, np.ndarray]) -> tuple[list[Any], list[Any]]:
    tensors: dict[str, Any] = {
        name: keras.ops.convert_to_tensor(np.array(array)).requires_grad_()
        for name, array in arrays.items()
    }
    total, outputs = counted(tensors)
    return outputs, list(torch_gradients(total, list(tensors.values())))


_WAYS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
