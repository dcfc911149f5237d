"""The network that is meant: what it computes, and its forward pass with bounds."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeGuard

import numpy as np

from numpy_impl import layers, models
from numpy_impl.activations import ActivationFunction
from numpy_impl.network import Sequential
from numpy_impl.types import Array
from parity.bounds.activations import activate
from parity.bounds.layers import masked, weighted
from parity.bounds.rounding import Approx, Rounding
from parity.checking.model.layout import Key

# Dropout multiplies what it keeps by this power of 1 - rate.
INVERTED, UNSCALED, MULTIPLIED = -1, 0, 1


@dataclass(frozen=True)
class Plan:
    """A chain of Dense layers, each with its activation and perhaps dropout behind it.

    Attributes:
        name: What to call it.
        sizes: Inputs, then the units of each layer; inputs are 0 where it is left open.
        activations: One a layer.
        has_bias: One a layer.
        dropout: Rate behind each layer, 0 for none.
        scale: Inputs are first multiplied by this,
        offset: and this is added.
        loss: Name of the loss that the reference was compiled with; None if it was not.
        drop_power: Dropout multiplies what it keeps by this power of 1 - rate.
        drop_meant: The power that is right: -1, but for 0 where forward multiplies by 1 - rate.
        training: The same network in training, where dropout makes it another one than forward is.
    """

    name: str
    sizes: tuple[int, ...]
    activations: tuple[ActivationFunction, ...]
    has_bias: tuple[bool, ...]
    dropout: tuple[float, ...]
    scale: float = 1.0
    offset: float = 0.0
    loss: str | None = None
    drop_power: int = INVERTED
    drop_meant: int = INVERTED
    training: "Plan | None" = None

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.activations)

    @property
    def text(self) -> str:
        """Sizes and activations in words: "64-40-10 (sigmoid, sigmoid)"."""
        sizes = "-".join(map(str, self.sizes))
        words = [f.name for f in self.activations]
        words = [
            w + (f", dropout {r:g}" if r else "") for w, r in zip(words, self.dropout, strict=True)
        ]
        bias = "" if any(self.has_bias) else ", no biases"
        alone = "the one layer " if self.depth == 1 else ""
        return f"{alone}{sizes} ({', '.join(words)}{bias})"

    def with_inputs(self, sizes: tuple[int, ...]) -> "Plan":
        """Return the plan with its number of inputs, where a list of layers leaves it open."""
        return self if self.sizes[0] else replace(self, sizes=sizes)

    def fits(self, sizes: Sequence[int], has_bias: Sequence[bool]) -> bool:
        """Return whether weights of these sizes can be this network's."""
        start = 0 if self.sizes[0] else 1
        return tuple(sizes)[start:] == self.sizes[start:] and tuple(has_bias) == self.has_bias


def resolve(reference: Any, inputs: int | None = None) -> Plan:
    """Return the plan of a reference.

    Args:
        reference: The name of a documented architecture; a ``keras.Model``; a
            ``numpy_impl.Sequential``; or a list of layers of either engine.
        inputs: Number of inputs of a list of layers, where it is known.

    Raises:
        ValueError: An unknown name, or a layer that the NumPy engine does not have.
    """
    if isinstance(reference, str):
        return _from_network(models.build(reference), reference)
    if isinstance(reference, Plan):
        return reference
    if isinstance(reference, Sequential):
        return _from_network(reference, reference.name)
    if _is_list(reference):
        # Copies, since a network keeps its layers, and the list may be given again.
        layers = deepcopy(_numpy_layers(reference))
        plan = _from_network(Sequential(layers, inputs or 1), "your layers")
        return plan if inputs else replace(plan, sizes=(0, *plan.sizes[1:]))
    if not hasattr(reference, "layers"):
        raise ValueError(
            "reference: expected a documented name, a keras.Model, or a list of layers. "
            f"Received: {type(reference).__name__}"
        )
    loss = loss_name(getattr(reference, "loss", None))
    if not getattr(reference, "built", True):  # a keras.Sequential without Input: sizes not known
        return replace(resolve(reference.layers, inputs), name=reference.name, loss=loss)
    from parity.comparing.twins import numpy_twin

    network = numpy_twin(reference)
    if not isinstance(network, Sequential):
        raise ValueError(
            "reference: expected layers that follow one another. "
            f"Received: {reference.name!r}, whose layers branch"
        )
    return replace(_from_network(network, reference.name), loss=loss)


def _is_list(reference: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(reference, list | tuple)


def loss_name(loss: Any) -> str | None:
    """Return the name of a loss that a model was compiled with; None for none."""
    if loss is None or isinstance(loss, str):
        return loss
    name = type(loss).__name__
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    return snake + ("/logits" if getattr(loss, "from_logits", False) else "")


def _numpy_layers(given: Sequence[Any]) -> list[layers.Layer]:
    if all(isinstance(layer, layers.Layer) for layer in given):
        return list(given)
    from keras_impl import keras
    from parity.comparing.twins import numpy_layer

    kept = [layer for layer in given if not isinstance(layer, keras.layers.InputLayer)]
    return [numpy_layer(layer, keras.config.floatx()) for layer in kept]


def _from_network(network: Sequential, name: str) -> Plan:
    """Read a chain of layers: Dense with Activation and Dropout, Rescaling and Flatten ahead."""
    reader = _Reader(network)
    if network.regularized:
        raise ValueError(
            "reference: expected layers without regularizers; declare weight_decay for the penalty "
            "of your own code. Received: a regularizer"
        )
    if network.constrained:
        raise ValueError("reference: expected layers without constraints. Received: a constraint")
    for layer in network.layers:
        reader.read(layer)
    if not reader.activations:
        raise ValueError("reference: expected at least one Dense layer. Received: none")
    inputs = 1
    for n in network.input_shape:
        inputs *= n
    return Plan(
        name,
        (inputs, *reader.units),
        tuple(reader.activations),
        tuple(reader.has_bias),
        tuple(reader.dropout),
        reader.scale,
        reader.offset,
    )


class _Reader:
    def __init__(self, network: Sequential) -> None:
        self.units: list[int] = []
        self.activations: list[ActivationFunction] = []
        self.has_bias: list[bool] = []
        self.dropout: list[float] = []
        self.scale, self.offset = 1.0, 0.0

    def read(self, layer: layers.Layer) -> None:
        if isinstance(layer, layers.Dense):
            if len(layer.input_shape) != 1:
                raise ValueError(
                    "reference: expected Dense layers that take vectors; put Flatten before them. "
                    f"Received: Dense on inputs of shape {layer.input_shape}"
                )
            self.units.append(layer.units)
            self.activations.append(layer.activation)
            self.has_bias.append(layer.use_bias)
            self.dropout.append(0.0)
        elif isinstance(layer, layers.Flatten):
            return
        elif isinstance(layer, layers.Rescaling) and not self.units:
            self.offset = self.offset * layer.scale + layer.offset
            self.scale *= layer.scale
        elif isinstance(layer, layers.Dropout) and self.units and not self.dropout[-1]:
            self.dropout[-1] = layer.rate
        elif (
            isinstance(layer, layers.Activation)
            and self.units
            and not self.dropout[-1]
            and self.activations[-1].name == "linear"
        ):
            self.activations[-1] = layer.activation
        else:
            raise ValueError(
                "reference: expected Dense layers, each with at most one activation and then one "
                f"dropout, Rescaling and Flatten before them. Received: {type(layer).__name__} "
                f"after {len(self.units)} Dense layers"
            )


class Pass:
    """One forward pass; layers are counted from 0.

    Attributes:
        inputs: What each layer takes: ``inputs[0]`` are the network's.
        z: Pre-activation of each layer, (N, units).
        a: Activation of each layer, before dropout.
        kernels: (inputs, units) of each layer.
        biases: (units,) of each layer, or None.
        masks: Dropout mask behind each layer, or None.
    """

    def __init__(
        self,
        plan: Plan,
        weights: Mapping[Key, Array],
        x: Array,
        rounding: Rounding,
        masks: Sequence[Array | None] | None = None,
        weight_errors: Mapping[Key, Array] | None = None,
    ) -> None:
        self.plan = plan
        self.rounding = r = rounding
        exact = {key: r.exact(weight) for key, weight in weights.items()}
        for key, error in (weight_errors or {}).items():
            exact[key] = Approx(exact[key].value, error, r)
        self.kernels = [exact[Key(layer, "kernel")] for layer in range(plan.depth)]
        self.biases = [exact.get(Key(layer, "bias")) for layer in range(plan.depth)]
        self.masks = list(masks) if masks is not None else [None] * plan.depth
        self.inputs: list[Approx] = []
        self.z: list[Approx] = []
        self.a: list[Approx] = []
        signal = r.exact(x)
        if plan.scale != 1 or plan.offset:
            signal = signal * plan.scale + plan.offset
        for layer in range(plan.depth):
            self.inputs.append(signal)
            self.z.append(self.weighted(layer, signal))
            self.a.append(self.activation(layer, self.z[layer]))
            signal = self.dropped(layer, self.a[layer])
        self.output = signal

    def weighted(self, layer: int, signal: Approx) -> Approx:
        """Return ``signal @ kernel + bias``."""
        return weighted(signal, self.kernels[layer], self.biases[layer])

    def activation(self, layer: int, z: Approx) -> Approx:
        """Return the activation function of the pre-activation."""
        return activate(self.plan.activations[layer], z)

    def dropped(self, layer: int, a: Approx) -> Approx:
        """Return what goes on behind the dropout of a layer."""
        mask = self.masks[layer]
        return a if mask is None else masked(a, mask, self.drop_scale(layer))

    def drop_scale(self, layer: int) -> Approx:
        """Return by what dropout multiplies the units it keeps.

        Either the rate or the share that is kept is what is written down, and rounded.
        """
        one = self.rounding.exact(1.0)
        keep = one - one * self.plan.dropout[layer]
        return {INVERTED: one / keep, UNSCALED: one, MULTIPLIED: keep}[self.plan.drop_power]


def rounding_for(plan: Plan, batch: int, dtype: np.dtype, tracked: bool = True) -> Rounding:
    """Return the rounding of a comparison of one network's tensors."""
    sizes = plan.sizes
    units = sum(n * m for n, m in pairwise(sizes)) + batch * sum(sizes)
    return Rounding(dtype, 2 * units, tracked, handwritten=True)
