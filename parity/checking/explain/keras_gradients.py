"""What Keras's automatic differentiation says on a probe."""

from collections.abc import Callable
from typing import Any

from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.checking.bugs.findings import NotAsked
from parity.checking.model.layout import Key
from parity.checking.model.losses import (
    ABSOLUTE,
    BINARY,
    BINARY_LOGITS,
    CATEGORICAL,
    LOGITS,
    SQUARED,
    LossKind,
)
from parity.checking.model.network import INVERTED, Plan
from parity.checking.model.probe import Probe

NO_SUCH_LOSS = "Keras has no such loss"


def ask(probe: Probe, kind: LossKind) -> tuple[Array, dict[Key, Array]]:
    """Return Keras's outputs and its gradients, the loss summed over the batch.

    Everything is built and computed in the probe's precision, in which Keras then starts from the
    same weights. Dropout has the probe's masks.

    Raises:
        NotAsked: Keras cannot compute this.
    """
    try:
        from keras_impl import keras, precision
        from keras_impl.autodiff import Autodiff
    except ImportError as error:
        raise NotAsked(f"Keras could not be imported: {error}") from error

    plan, dtype = probe.plan, str(probe.dtype)
    if plan.drop_power != INVERTED:
        raise NotAsked("Keras's dropout divides what it keeps by 1 - rate, yours does not")
    if dtype not in ("float32", "float64"):
        raise NotAsked(f"Keras does not compute in {dtype}")
    try:
        with precision(dtype):
            model = _model(keras, plan)
            model.set_weights(list(probe.weights.values()))
            autodiff = Autodiff(model, _loss(keras, kind, plan), eager=True)
            masks = [m for m in probe.masks or [] if m is not None]
            x, y = probe.x * plan.scale + plan.offset, probe.y
            outputs = autodiff.layer_outputs(x.astype(dtype))[-1]
            _, gradients = autodiff.loss_and_gradients(x.astype(dtype), y.astype(dtype), masks)
    except ValueError as error:
        raise NotAsked(str(error)) from error
    return outputs, dict(zip(probe.weights, gradients, strict=True))


def _model(keras: Any, plan: Plan) -> Any:
    layers = [keras.Input((plan.sizes[0],))]
    for units, function, bias, rate in zip(
        plan.sizes[1:], plan.activations, plan.has_bias, plan.dropout, strict=True
    ):
        layers.append(keras.layers.Dense(units, _activation(keras, function), use_bias=bias))
        if rate:
            layers.append(keras.layers.Dropout(rate))
    return keras.Sequential(layers)


def _activation(keras: Any, function: ActivationFunction) -> str | Callable[[Any], Any]:
    formula = function.keras
    if formula is not None:
        return lambda z: formula(keras.ops, z)
    if getattr(keras.activations, function.name, None) is None:
        raise NotAsked(f"Keras has no activation {function.name}")
    return function.name


def _loss(keras: Any, kind: LossKind, plan: Plan) -> Callable[[Any, Any], Any]:
    """Return Keras's own loss where it has this one, scaled to a sum over batch and outputs."""
    losses, outputs, output = keras.losses, plan.sizes[-1], plan.activations[-1].name
    built_in: dict[tuple[LossKind, str], tuple[Any, float]] = {
        (SQUARED, output): (losses.MeanSquaredError(reduction="sum"), outputs / 2),
        (ABSOLUTE, output): (losses.MeanAbsoluteError(reduction="sum"), outputs),
        (CATEGORICAL, "softmax"): (losses.CategoricalCrossentropy(reduction="sum"), 1),
        (LOGITS, "linear"): (
            losses.CategoricalCrossentropy(from_logits=True, reduction="sum"), 1,
        ),
        (BINARY_LOGITS, "linear"): (
            losses.BinaryCrossentropy(from_logits=True, reduction="sum"), outputs,
        ),
        (BINARY, "sigmoid"): (losses.BinaryCrossentropy(reduction="sum"), outputs),
    }  # fmt: skip
    if (kind, output) in built_in:
        loss, factor = built_in[kind, output]
        return lambda y, a: loss(y, a) * factor
    cost = kind.cost
    if cost is None:
        raise NotAsked(NO_SUCH_LOSS)
    # Keras renormalises outputs that are no softmax's, which -sum y ln a does not.
    return lambda y, a: cost(keras.ops, a, y)
