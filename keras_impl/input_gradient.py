"""The gradient of a model's outputs by its inputs, by the backend's automatic differentiation."""

from typing import Any

import keras
import numpy as np

from keras_impl.pullback import Tensors, pullback


def input_gradient(model: keras.Model, x: np.ndarray, dout: np.ndarray) -> np.ndarray:
    """Return the gradient of ``sum(outputs * dout)`` by the inputs, outside training.

    Args:
        model: Has one input and one output.
        x: A batch, (N, *input_shape).
        dout: What each output counts, of the outputs' shape.

    Raises:
        ValueError: Keras's backend differentiates nothing.
    """
    called: Any = model

    def outputs(tensors: Tensors) -> Any:
        return called(tensors["x"], training=False)

    dtype = model.compute_dtype
    return pullback(outputs, {"x": np.asarray(x, dtype)}, [np.asarray(dout, dtype)])[1]["x"]
