"""The gradient of a network's outputs by its inputs: what a pixel more or less would change.

Backpropagation as in training, but outside it (dropout inactive, moving statistics instead of a
batch's), begun with a direction of the outputs instead of a loss, and followed to the inputs.
"""

from typing import Any

import numpy as np

from numpy_impl.functional import AnyNetwork, gradients_of
from numpy_impl.types import Array


def input_gradient(network: AnyNetwork, x: Array, dout: Array) -> Array:
    """Return the gradient of ``sum(outputs * dout)`` by the inputs.

    Args:
        network: Has one input and one output. It is left as it is.
        x: A batch, (N, *input_shape).
        dout: What each output counts, (N, *output_shape); of one output alone 1 and the others 0.

    Returns:
        An array of the shape of ``x``, in the network's dtype.

    Raises:
        ValueError: Several inputs or outputs, or arrays of other shapes.

    Reference:
        K. Simonyan, A. Vedaldi, A. Zisserman (2014), "Deep inside convolutional networks".
    """
    if len(network.input_names) != 1 or len(network.output_names) != 1:
        raise ValueError(
            "Expected a network with one input and one output. "
            f"Received: {len(network.input_names)} and {len(network.output_names)}"
        )
    (source,), (output,) = network.input_names, network.output_names
    shapes = (len(x), *network.shapes[source]), (len(x), *network.shapes[output])
    if (np.shape(x), np.shape(dout)) != shapes:
        raise ValueError(
            f"Expected arrays of shapes {shapes[0]} and {shapes[1]}. "
            f"Received: {np.shape(x)} and {np.shape(dout)}"
        )
    own = network.clone()
    for layer in own.layers:
        layer.sees_data = False  # else it leaves out zeros, and some kinds return no gradient
    own.forward(np.asarray(x, own.dtype))
    deltas = {output: np.array(dout, own.dtype)}
    for call in reversed(own.calls):
        back: Any = call.layer.backward(gradients_of(call, deltas))
        for name, delta in zip(call.sources, back if call.layer.merges else [back], strict=True):
            # Copied: what a layer returned may be its workspace.
            deltas[name] = deltas[name] + delta if name in deltas else np.array(delta)
    return deltas[source].reshape(shapes[0])
