"""Rounding bounds of one whole forward and backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpy_impl import layers, losses
from numpy_impl.network import Sequential
from numpy_impl.types import Array
from parity.bounds.layers import backward, exact_arrays, forward
from parity.bounds.losses import cost
from parity.bounds.rounding import Approx, Rounding


@dataclass(frozen=True)
class Analysis:
    """Bounded values of one batch's tensors; the lists are in the order of the network's own.

    Attributes:
        outputs: Output of every layer.
        loss: The cost, a scalar.
        gradients: Gradient of every trained weight.
        states: The states after the forward pass, by name; in training only.
    """

    outputs: list[Approx]
    loss: Approx
    gradients: list[Approx]
    states: dict[str, Approx]


@np.errstate(invalid="ignore", over="ignore")  # infinite bounds
def analyse(
    network: Sequential, x: Array, y: Array, loss: losses.Loss, masks: Sequence[Array] | None = None
) -> Analysis:
    """Bound the rounding errors of a forward and backward pass.

    Args:
        network: Gives the layers, their weights and the precision; it is not changed.
        x: One batch of inputs, as both engines get it.
        y: Its targets.
        loss: The NumPy loss.
        masks: One boolean mask for each dropout layer; None: the network is not in training.
    """
    training = masks is not None
    r = Rounding(network.dtype, _count(network, len(x)))
    given = None if masks is None else iter(masks)
    signal = r.exact(x)
    outputs: list[Approx] = []
    caches: list[Any] = []
    states: dict[str, Approx] = {}
    steps: Array | None = None
    for i, layer in enumerate(network.layers):
        mask = next(given) if given and isinstance(layer, layers.Dropout) else None
        mask = steps if layer.uses_mask else mask
        steps = layer.compute_mask(signal.value, steps)
        signal, cache = forward(layer, signal, mask, training)
        outputs.append(signal)
        caches.append(cache)
        if training and isinstance(layer, layers.FormulaLayer):
            updated = layer.updated_states(cache, exact_arrays(layer, r))
            states |= {f"{i}/{name}": state for name, state in updated.items()}
    entry = caches[-1][1] if loss.fused else signal
    value, delta = cost(loss, entry, y)
    gradients: list[Approx] = []
    # Backpropagation ends at the first layer with weights, whose input's gradient nobody needs.
    for i in reversed(range(network.first_trained, len(network.layers))):
        skip_activation = loss.fused and i == len(network.layers) - 1
        own, delta = backward(network.layers[i], caches[i], delta, skip_activation)
        gradients = own + gradients
    return Analysis(outputs, value, gradients, states)


def _count(network: Sequential, batch: int) -> int:
    numbers = sum(weight.size for weight in network.weights)
    shapes = [network.input_shape, *(layer.input_shape for layer in network.layers)]
    return 2 * (numbers + batch * sum(int(np.prod(s)) for s in [*shapes, network.output_shape]))
