"""The two sides of a comparison, and the comparisons that need no training."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keras_impl import keras
from keras_impl import losses as keras_losses
from keras_impl.autodiff import Autodiff, chain
from numpy_impl import losses, optimizers, validation
from numpy_impl.network import Sequential
from numpy_impl.types import Array
from parity.bounds import analyse
from parity.comparing import twins
from parity.comparing.rows import Row, Verdict, compare_tensors


class Pair:
    """A Keras model and a NumPy network with their losses and optimizers.

    ``loss`` and ``optimizer`` are the NumPy side's own, which may be what is being tested; the
    bounds come from ``reference_loss`` and ``reference_optimizer``, the twins of Keras's.
    """

    def __init__(
        self,
        model: keras.Model,
        network: Sequential,
        loss: str | keras.losses.Loss | None,
        own_loss: losses.Loss | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        own_optimizer: optimizers.Optimizer | None = None,
    ) -> None:
        _check_precision(model, network)
        keras_loss = keras_losses.get(loss if loss is not None else _compiled_loss(model))
        fresh = None
        if optimizer is not None:
            fresh = type(optimizer).from_config(optimizer.get_config())
            self.reference_optimizer = twins.numpy_optimizer(optimizer)
            self.optimizer = own_optimizer or twins.numpy_optimizer(optimizer)
            _check_slots(self.optimizer, self.reference_optimizer)
        self.reference_loss = twins.numpy_loss(keras_loss, model)
        self.loss = own_loss or self.reference_loss
        self.model = model
        self.network = network
        self.keras = Autodiff(model, keras_loss, fresh)
        self.names = network.trained_names

    def check(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return inputs and targets in the networks' precision; raise ValueError if unfit."""
        network = self.network
        x = validation.inputs(x, network.input_shape, network.dtype)
        return x, validation.targets(
            y, len(x), network.output_shape, self.loss.sparse, network.dtype
        )

    def compare_weights(self) -> list[Row]:
        """Compare the weights, which have to be the same bit for bit."""
        theirs, ours = self.model.get_weights(), self.network.weights
        if len(theirs) != len(ours):
            raise ValueError(
                f"Expected as many weights as the Keras model has, {len(theirs)}. "
                f"Received: {len(ours)}"
            )
        triples = zip(self.network.weight_names, theirs, ours, strict=True)
        rows = [compare_tensors("weights", *triple, None) for triple in triples]
        note = "copy them first: parity.copy_weights"
        return [replace(r, note=note) if r.verdict is Verdict.DIFFERENT else r for r in rows]

    def compare_outputs(self, x: Array, y: Array) -> list[Row]:
        """Compare every layer's output with dropout inactive."""
        ours = self.network.layer_outputs(x)
        theirs = self.keras.layer_outputs(x)
        bounded = analyse(self.network, x, y, self.reference_loss).outputs
        names = [f"{i} {layer.name}" for i, layer in enumerate(chain(self.model))]
        rows = zip(names, theirs, ours, bounded, strict=True)
        return [compare_tensors("forward", *row) for row in rows]

    def compare_gradients(self, x: Array, y: Array, masks: Sequence[Array]) -> list[Row]:
        """Compare the loss and the gradient of every weight, in training mode."""
        bounded = analyse(self.network, x, y, self.reference_loss, masks)
        before = self.network.get_weights()
        cost, grads = self.network.loss_and_gradients(x, y, self.loss, masks)
        self.network.set_weights(before)  # a pass in training moves the moving statistics
        keras_cost, keras_grads = self.keras.loss_and_gradients(x, y, masks)
        costs = np.asarray([keras_cost], x.dtype), np.asarray([cost], x.dtype)
        rows = [compare_tensors("loss", "loss", *costs, bounded.loss.reshape(1))]
        quads = zip(self.names, keras_grads, grads, bounded.gradients, strict=True)
        return rows + [compare_tensors("gradients", *quad) for quad in quads]


def _compiled_loss(model: keras.Model) -> str | keras.losses.Loss:
    loss = getattr(model, "loss", None)
    if loss is None:
        raise ValueError("Expected a loss, or a model compiled with one. Received: neither")
    return loss


def _check_precision(model: keras.Model, network: Sequential) -> None:
    found = {
        "Keras model": model.compute_dtype,
        "NumPy network": network.dtype.name,
        "keras.config.floatx()": keras.config.floatx(),
    }
    if len(set(found.values())) > 1:
        raise ValueError(
            "Expected one precision on both sides (build the Keras model, and compare, within "
            f"keras_impl.precision). Received: {found}"
        )


def _check_slots(own: optimizers.Optimizer, reference: optimizers.Optimizer) -> None:
    if set(own.slots) != set(reference.slots):
        raise ValueError(
            f"Expected a NumPy optimizer with the slots that Keras's has, {reference.slots}. "
            f"Received: {type(own).__name__} with {own.slots}"
        )
