"""The two sides of a comparison, and the comparisons that need no training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_impl import keras
from keras_impl import losses as keras_losses
from keras_impl.autodiff import Autodiff
from keras_impl.graph import graph
from keras_impl.precision import computes_in
from numpy_impl import losses, optimizers, validation
from numpy_impl.functional import AnyNetwork, as_list, one_or_list
from numpy_impl.network import Network, Sequential
from numpy_impl.training import weights_of_classes
from numpy_impl.types import Array
from parity.bounds import analyse, analyse_outputs
from parity.comparing import twins
from parity.comparing.low_precision import LowPrecision, MatmulPrecision
from parity.comparing.rows import Row, Verdict, compare_tensors

# A loss of Keras or its name; of several outputs one for each.
Losses = str | keras.losses.Loss | Sequence[str | keras.losses.Loss]


class Pair:
    """A Keras model and a NumPy network with their losses and optimizers.

    ``loss`` and ``optimizer`` are the NumPy side's own, which may be what is being tested; the
    bounds come from ``reference_loss`` and ``reference_optimizer``, the twins of Keras's.
    """

    def __init__(
        self,
        model: keras.Model,
        network: AnyNetwork,
        loss: Losses | None,
        own_loss: losses.Loss | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        own_optimizer: optimizers.Optimizer | None = None,
        loss_weights: Sequence[float] | None = None,
        matmul_precision: MatmulPrecision | None = None,
    ) -> None:
        found = graph(model)
        if loss is None:
            loss, loss_weights = _compiled_loss(model)
        keras_loss = keras_losses.of_outputs(loss, found.outputs, loss_weights)
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
        # A Functional network may list the layers in another order.
        own = {_plain(name): name for name in found.layers}
        names = [_plain(name) for name in network.layer_names]
        order = (
            [own[name] for name in names] if sorted(own) == sorted(names) else list(own.values())
        )
        self.layers = [found.layers[name] for name in order]
        self.low = LowPrecision(model, found, self.layers, matmul_precision)
        _check_precision(model, network, self.low)
        if self.low.format is not None and optimizer is not None:
            raise ValueError(
                "Expected no optimizer: steps, and the scaling of losses, are compared in float32 "
                f"and float64. Received: layers in {self.low.format.name}"
            )
        self.tensors = found.tensor_names
        self.keras = Autodiff(model, keras_loss, fresh, layers=order)
        self.names = network.trained_names
        carried = sum(len(layer.carried_names) for layer in network.layers)
        if carried != len(self.keras.carried):
            raise ValueError(
                "Expected a NumPy network with the states that Keras's stateful layers carry on, "
                f"{len(self.keras.carried)}. Received: {carried}"
            )

    def check(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        """Return inputs and targets in the networks' precision; raise ValueError if unfit."""
        network, given, targets = self.network, as_list(x), as_list(y)
        ends = network.input_names, network.output_names
        if [len(given), len(targets)] != [len(names) for names in ends]:
            raise ValueError(
                f"Expected {len(ends[0])} inputs and targets of {len(ends[1])} outputs. "
                f"Received: {len(given)} and {len(targets)}"
            )
        inputs = [
            validation.inputs(array, network.shapes[name], network.dtype)
            for name, array in zip(ends[0], given, strict=True)
        ]
        n = len(inputs[0])
        if any(len(array) != n for array in inputs):
            raise ValueError(
                f"Expected as many samples of each input. Received: {[len(a) for a in inputs]}"
            )
        inputs = self.low.inputs(inputs)
        rows = zip(ends[1], targets, self.loss.terms(), strict=True)
        return inputs, [
            validation.targets(y, n, network.shapes[name], term.sparse, network.dtype)
            for name, y, (term, _) in rows
        ]

    def sample_weights(
        self, y: list[Array], sample_weight: Any, class_weight: Mapping[int, float] | None
    ) -> list[Array] | None:
        """Return a weight for each place of each output, or None; raise ValueError if unfit.

        Weights of samples are repeated along the steps of a sequence. Keras does not do that: it
        would take them for those of the steps, if there are as many.
        """
        network, ends = self.network, self.network.output_names
        if class_weight is not None:
            if sample_weight is not None or len(ends) > 1:
                raise ValueError(
                    "Expected class_weight alone, of one output. "
                    f"Received: {len(ends)} outputs, sample_weight={sample_weight!r}"
                )
            outputs = network.shapes[ends[0]][-1]
            sample_weight = weights_of_classes(y[0], class_weight, outputs)
        if sample_weight is None:
            return None
        given = as_list(sample_weight)
        if len(given) != len(ends):
            raise ValueError(
                f"Expected sample weights of {len(ends)} outputs. Received: {len(given)} arrays"
            )
        n, dtype = len(y[0]), network.dtype
        rows = zip(given, ends, strict=True)
        return [validation.sample_weights(w, n, network.shapes[name], dtype) for w, name in rows]

    def get_weights(self) -> list[Array]:
        """Return Keras's weights in the order of the network's."""
        return [array for layer in self.layers for array in layer.get_weights()]

    def least_scales(self, tensors: Sequence[Array]) -> list[float]:
        """Return from which size on a number counts in each tensor, one for each trained weight.

        It is 0; but where a gradient is 0 in exact arithmetic, the largest number of its layer.
        """
        network = self.network
        layers = zip(network.layer_names, network.layers, strict=True)
        vanishing = {f"{own}/{name}" for own, layer in layers for name in layer.vanishing}
        owners = [name.rpartition("/")[0] for name in self.names]
        largest: dict[str, float] = {}
        for owner, tensor in zip(owners, tensors, strict=True):
            largest[owner] = max(largest.get(owner, 0.0), float(np.max(np.abs(tensor))))
        pairs = zip(self.names, owners, strict=True)
        return [largest[owner] if name in vanishing else 0.0 for name, owner in pairs]

    def compare_weights(self) -> list[Row]:
        """Compare the weights, which have to be the same bit for bit."""
        theirs, ours = self.get_weights(), self.network.weights
        if len(theirs) != len(ours):
            raise ValueError(
                f"Expected as many weights as the Keras model has, {len(theirs)}. "
                f"Received: {len(ours)}"
            )
        triples = zip(self.network.weight_names, theirs, ours, strict=True)
        low = self.low.format
        rows = [compare_tensors("weights", *triple, None, low=low) for triple in triples]
        note = "copy them first: parity.copy_weights"
        return [replace(r, note=note) if r.verdict is Verdict.DIFFERENT else r for r in rows]

    def reset_state(self) -> None:
        """Let the stateful layers of both sides begin anew."""
        self.network.reset_state()
        self.keras.reset_state()

    def check_batch(self, samples: int) -> None:
        """Raise ValueError if Keras's stateful layers are made for batches of another size."""
        for size in {variable.shape[0] for variable in self.keras.carried} - {samples}:
            raise ValueError(
                f"Expected batches of {size} samples, for which Keras's stateful layers are made. "
                f"Received: {samples}"
            )

    def carry_over(self, network: AnyNetwork) -> None:
        """Let a network's stateful layers go on from the states of Keras's."""
        states = iter(self.keras.states()[len(self.keras.kept) :])
        for layer in network.layers:
            layer.carried = dict(zip(layer.carried_names, states, strict=False))

    def compare_outputs(self, x: list[Array]) -> list[Row]:
        """Compare every layer's output with dropout inactive.

        Stateful layers have run once before on both sides, and begin with what Keras's then left.
        """
        if self.keras.carried:
            self.check_batch(len(x[0]))
            self.reset_state()
            self.keras.layer_outputs(x)
            self.carry_over(self.network)
        bounded = analyse_outputs(self.network, x)
        ours = self.network.layer_outputs(one_or_list(x))
        theirs = self.keras.layer_outputs(x)
        titles, order = self.order()
        found = dict(zip(self.tensors, theirs, strict=True))
        carried = self.network.carried
        titles, ours = [*titles, *carried], [*ours, *carried.values()]
        theirs = [*(found[name] for name in order), *self.keras.states()[len(self.keras.kept) :]]
        rows = zip(titles, theirs, ours, bounded, strict=True)
        return [compare_tensors("forward", *row) for row in rows]

    def order(self) -> tuple[list[str], list[str]]:
        """Return what to call the network's tensors, and Keras's names of the same ones."""
        names = {_plain(name): name for name in self.tensors}
        own = [_plain(name) for name in self.network.tensor_names]
        if sorted(own) == sorted(names):  # perhaps in another order
            return own, [names[name] for name in own]
        if isinstance(self.network, Sequential):
            own = [f"{i} {name}" for i, name in enumerate(names)]
        return own, list(self.tensors)

    def compare_gradients(
        self,
        x: list[Array],
        y: list[Array],
        masks: Sequence[Array],
        sample_weight: list[Array] | None = None,
    ) -> list[Row]:
        """Compare the loss and the gradient of every weight, in training mode."""
        self.carry_over(self.network)
        bounded = analyse(self.network, x, y, self.reference_loss, masks, sample_weight)
        before = self.network.get_weights()
        batch = one_or_list(x), one_or_list(y)
        counts = None if sample_weight is None else one_or_list(sample_weight)
        cost, grads = self.network.loss_and_gradients(*batch, self.loss, masks, counts)
        self.network.set_weights(before)  # a pass in training moves the moving statistics
        keras_cost, keras_grads = self.keras.loss_and_gradients(x, y, masks, sample_weight)
        theirs, own = (np.asarray([value], self.network.dtype) for value in (keras_cost, cost))
        rows = [compare_tensors("loss", "loss", theirs, own, bounded.loss.reshape(1))]
        scales = self.least_scales(keras_grads)
        each = zip(self.names, keras_grads, grads, bounded.gradients, scales, strict=True)
        return rows + [compare_tensors("gradients", *one) for one in each]

    @property
    def precision(self) -> str:
        """In what the comparison is, in a word."""
        return self.network.dtype.name if self.low.format is None else self.low.format.name


def _plain(name: str) -> str:
    """Return a layer's name as Keras may have it, which allows no "/"."""
    return name.replace("/", "_")


def _compiled_loss(model: keras.Model) -> tuple[Any, Sequence[float] | None]:
    """Return the losses that a model was compiled with, and their weights."""
    loss = getattr(model, "loss", None)
    if loss is None:
        raise ValueError("Expected a loss, or a model compiled with one. Received: neither")
    compiled: dict[str, Any] = model.get_compile_config() or {}
    weights: Any = compiled.get("loss_weights")
    if isinstance(weights, dict):
        raise ValueError(f"Expected loss_weights as a list. Received: {weights}")
    return loss, weights


def _check_precision(model: keras.Model, network: Network, low: LowPrecision) -> None:
    dtype = model.compute_dtype
    if low.format is not None and dtype == low.format.name:
        dtype = "float32"  # of the losses
    found = {
        "Keras model": dtype,
        "NumPy network": network.dtype.name,
        "keras.config.floatx()": keras.config.floatx(),
    }
    if len(set(found.values())) > 1:
        raise ValueError(
            "Expected one precision on both sides (build the Keras model, and compare, within "
            f"keras_impl.precision). Received: {found}"
        )
    if not computes_in(network.dtype.name):
        raise ValueError(
            f"Expected {network.dtype.name} as keras_impl.precision sets it; by itself Keras takes "
            f"some of it in float32 on this backend. Received: {keras.backend.backend()}"
        )


def _check_slots(own: optimizers.Optimizer, reference: optimizers.Optimizer) -> None:
    if set(own.slots) != set(reference.slots):
        raise ValueError(
            f"Expected a NumPy optimizer with the slots that Keras's has, {reference.slots}. "
            f"Received: {type(own).__name__} with {own.slots}"
        )
