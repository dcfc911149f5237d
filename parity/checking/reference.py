"""What a network is compared with: a reference, as it is given, read as a plan or a Keras model."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

from numpy_impl import layers, models
from numpy_impl.activations import ActivationFunction
from numpy_impl.network import Sequential
from parity.candidate import Candidate
from parity.checking.model.network import Plan


def keras_model(reference: Any) -> Any:
    """Return the model, read from its file where it is one.

    Raises:
        ValueError: There is no such file, or no model in it that Keras can read safely.
    """
    if not isinstance(reference, str | Path) or Path(reference).suffix != ".keras":
        return reference
    from keras_impl import keras

    try:
        # Code in a file (a Lambda's) is not run: safe_mode is Keras's default.
        return keras.saving.load_model(reference, compile=False)
    except Exception as error:  # whatever h5py, zipfile or Keras says of it
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ValueError(f"expected a .keras file. Received: {reference}: {reason}") from error


def is_of_any_layers(candidate: Candidate, reference: Any) -> bool:
    """Return whether a candidate is compared with a reference as a model of any layers.

    A chain of dense layers is not, unless ``forward`` is alone and holds its weights itself, or
    says which layers it returns: its bounds follow from its formulas.
    """
    if not hasattr(reference, "_flatten_layers") or candidate.forward is None:
        return False
    told = candidate.get_weights is None or candidate.layer_map is not None
    if candidate.forward_alone and told:
        return True
    try:
        resolve(reference)
    except (ValueError, TypeError, AttributeError, NotImplementedError):
        return True
    return False


def resolve(reference: Any) -> Plan:
    """Return the plan of a reference.

    Args:
        reference: The name of a documented architecture; a ``keras.Model``; a
            ``numpy_impl.Sequential``; or a list of layers of either engine, which leaves the number
            of inputs open.

    Raises:
        ValueError: An unknown name, or a layer that the NumPy engine does not have.
    """
    if isinstance(reference, str):
        return _from_network(models.build(reference), reference)
    if isinstance(reference, Sequential):
        return _from_network(reference, reference.name)
    if _is_list(reference):
        # Copies, since a network keeps its layers, and the list may be given again.
        plan = _from_network(Sequential(deepcopy(_numpy_layers(reference)), 1), "your layers")
        return replace(plan, sizes=(0, *plan.sizes[1:]))
    if not hasattr(reference, "layers"):
        raise ValueError(
            "reference: expected a documented name, a keras.Model, or a list of layers. "
            f"Received: {type(reference).__name__}"
        )
    loss = loss_name(getattr(reference, "loss", None))
    if not getattr(reference, "built", True):  # a keras.Sequential without Input: sizes not known
        return replace(resolve(reference.layers), name=reference.name, loss=loss)
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
    reader = _PlanReader()
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
    return Plan(
        name,
        (prod(network.input_shape), *reader.units),
        tuple(reader.activations),
        tuple(reader.has_bias),
        tuple(reader.dropout),
        reader.scale,
        reader.offset,
    )


class _PlanReader:
    def __init__(self) -> None:
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
