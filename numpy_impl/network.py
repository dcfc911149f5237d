"""A stack of layers: forward pass, backpropagation, and access to the weights."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_impl import activations, validation
from numpy_impl.layers import Activation, Dense, Dropout, Layer, allocate, allocate_states
from numpy_impl.losses import Loss
from numpy_impl.program import Do, are_recordable, now, recordable
from numpy_impl.types import Array, DTypeLike, Precision

# The activations whose logits Keras on TensorFlow remembers for the loss (``_keras_logits``).
FUSABLE = ("softmax", "sigmoid")


def _handed_on(do: Do) -> dict[str, Any]:
    """Return ``do`` as a named argument; none where it is the default, which a layer may lack."""
    return {} if do is now else {"do": do}


@recordable
class Sequential:
    """Layers applied one after the other.

    All parameters live in one vector, ``parameters``, and all gradients in another, ``gradients``;
    the layers' kernels and biases are views into them
    (see :func:`numpy_impl.layers.base.allocate`). States that are not trained, such as the moving
    statistics of batch normalization, are arrays of their layers.

    Args:
        layers: The layers, from the input on.
        input_shape: Shape of one sample, for example (64,) or (28, 28); an int n means (n,).
        rng: Source of the initial weights and of dropout masks; None starts all weights at 0.
        dtype: "float32" or "float64", of weights and computation.
        name: What to call the network in reports and files.

    Raises:
        ValueError: No layers, one that belongs to a network, shapes that do not fit together, or
            another dtype.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: int | tuple[int, ...],
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = "float32",
        name: str = "sequential",
    ) -> None:
        if not layers:
            raise ValueError("Sequential expects at least one layer. Received: []")
        self.layers = list(layers)
        self.name = name
        self.dtype = validation.float_dtype(dtype)
        self.input_shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
        shape, steps = self.input_shape, None
        for layer in self.layers:
            if layer.built:
                raise ValueError(
                    f"Expected new layers. Received: a {type(layer).__name__} that already belongs "
                    f"to a network"
                )
            given, shape = shape, layer.build(shape)
            # Of a sample of zeros: no mask of steps may reach what cannot take it.
            steps = layer.compute_mask(
                np.broadcast_to(np.zeros((), self.dtype), (1, *given)), steps
            )
            layer.built = True
        self.output_shape = shape
        if steps is not None:
            raise ValueError(
                "Expected, after Masking or mask_zero, a recurrent layer that returns no sequence, "
                "as losses here do not leave out steps. Received: outputs of shape "
                f"(batch, {', '.join(map(str, shape))}) with a mask"
            )
        self.parameters, self.gradients, self.slices = allocate(self.layers, self.dtype)
        allocate_states(self.layers, self.dtype)
        # Backpropagation ends at the first layer with weights.
        trained = (i for i, layer in enumerate(self.layers) if layer.weight_names)
        self.first_trained = next(trained, len(self.layers))
        for i, layer in enumerate(self.layers):
            layer.sees_data = i == self.first_trained
        if rng is not None:
            for layer in self.layers:
                layer.initialize(rng)
            for dropout, seeded in zip(self.dropouts, rng.spawn(len(self.dropouts)), strict=True):
                dropout.rng = seeded

    @property
    def precision(self) -> Precision:
        """The dtype by name."""
        return "float64" if self.dtype == np.float64 else "float32"

    @property
    def recordable(self) -> bool:
        """Whether all that a training step computes goes through ``do`` (numpy_impl.program)."""
        return are_recordable(self) and all(layer.is_recordable() for layer in self.layers)

    @property
    def dropouts(self) -> list[Dropout]:
        """The dropout layers, from the input on."""
        return [layer for layer in self.layers if isinstance(layer, Dropout)]

    @property
    def weight_names(self) -> list[str]:
        """Names of ``weights`` in their order: "0/kernel", "0/bias", "1/kernel"..."""
        return [
            f"{i}/{name}"
            for i, layer in enumerate(self.layers)
            for name in (*layer.weight_names, *layer.state_names)
        ]

    @property
    def weights(self) -> list[Array]:
        """The weights in Keras's order, as views: writing to them changes the network.

        A layer's states stand behind what is trained of it.
        """
        return [
            getattr(layer, name)
            for layer in self.layers
            for name in (*layer.weight_names, *layer.state_names)
        ]

    @property
    def trained_names(self) -> list[str]:
        """Names of the weights that are trained, in the order of ``slices``."""
        return [f"{i}/{name}" for i, layer in enumerate(self.layers) for name in layer.weight_names]

    @property
    def states(self) -> dict[str, Array]:
        """What training keeps beside the trained weights, by name, as views."""
        return {
            f"{i}/{name}": getattr(layer, name)
            for i, layer in enumerate(self.layers)
            for name in layer.state_names
        }

    @property
    def weight_gradients(self) -> list[Array]:
        """The gradients of the trained weights that the last backward pass left, as views."""
        return [
            getattr(layer, f"{name}_gradient")
            for layer in self.layers
            for name in layer.weight_names
        ]

    def get_weights(self) -> list[Array]:
        """Return copies of the weights in Keras's order."""
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Copy ``weights`` (in Keras's order) into the network, cast to its dtype.

        Raises:
            ValueError: Another number of arrays or another shape; nothing is changed then.
        """
        validation.same_shapes(self.weight_names, self.weights, weights)
        for own, new in zip(self.weights, weights, strict=True):
            own[...] = new

    def clone(self, dtype: DTypeLike | None = None) -> "Sequential":
        """Return an independent network with the same layers and weights, in ``dtype`` if given.

        Its dropout layers go on from the same random state: the same masks, drawn apart.
        """
        layers = [copy.copy(layer) for layer in self.layers]
        for layer in layers:
            layer.built = False
        twin = type(self)(layers, self.input_shape, dtype=dtype or self.dtype, name=self.name)
        twin.set_weights(self.weights)
        for own, copied in zip(self.dropouts, twin.dropouts, strict=True):
            copied.rng = copy.deepcopy(own.rng)
        return twin

    def __deepcopy__(self, memo: object) -> "Sequential":
        # A plain deep copy would cut the layers' weights off from the parameter vector.
        return self.clone()

    def draw_masks(self, batch_size: int, rng: np.random.Generator | None = None) -> list[Array]:
        """Draw one mask for each dropout layer, to be given to several networks alike.

        They are drawn from ``rng`` if given, else from the layers' own generators.
        """
        return [layer.draw_mask(batch_size, rng) for layer in self.dropouts]

    def forward(
        self,
        x: Array,
        training: bool = False,
        masks: Sequence[Array] | None = None,
        do: Do = now,
    ) -> Array:
        """Return the outputs for a batch ``x`` of shape (N, *input_shape), in the network's dtype.

        Args:
            x: The batch; it is not checked here, see :meth:`predict`.
            training: Whether dropout is active. The outputs are then the network's own array, which
                the next training step overwrites; otherwise they are the caller's.
            masks: One boolean mask (True: kept) for each dropout layer; None draws new ones.
            do: Makes the calls; a ``Program`` also remembers them (see ``numpy_impl.program``).
        """
        return self.layer_outputs(x, training, masks, do)[-1]

    def layer_outputs(
        self,
        x: Array,
        training: bool = False,
        masks: Sequence[Array] | None = None,
        do: Do = now,
    ) -> list[Array]:
        """Return the output of every layer; arguments as in :meth:`forward`.

        Raises:
            ValueError: Another number of masks than of dropout layers, or one of another shape.
        """
        if masks is not None and len(masks) != len(self.dropouts):
            raise ValueError(f"Expected {len(self.dropouts)} dropout masks. Received: {len(masks)}")
        x = np.asarray(x, self.dtype)
        given = iter(masks) if masks is not None else None
        outputs: list[Array] = []
        steps: Array | None = None
        for layer in self.layers:
            named = _handed_on(do)
            if given is not None and isinstance(layer, Dropout):
                named["mask"] = next(given)
            if layer.uses_mask:
                named["mask"] = steps
            steps = layer.compute_mask(x, steps)
            x = layer.forward(x, training, **named)
            outputs.append(x)
        return outputs

    def predict(self, x: Array, batch_size: int = 1000) -> Array:
        """Return the outputs for any number of samples, computed in batches, dropout inactive.

        Raises:
            ValueError: ``x`` has another shape than (N, *input_shape), or a NaN or infinity.
        """
        x = validation.inputs(x, self.input_shape, self.dtype)
        if not len(x):
            return np.empty((0, *self.output_shape), self.dtype)
        outputs = np.empty((len(x), *self.output_shape), self.dtype)
        for i in range(0, len(x), batch_size):
            outputs[i : i + batch_size] = self.forward(x[i : i + batch_size])
        return outputs

    def loss_and_gradients(
        self, x: Array, y: Array, loss: Loss, masks: Sequence[Array] | None = None
    ) -> tuple[float, list[Array]]:
        """Run forward and backward in training mode on one batch.

        Returns:
            The cost, and the gradient of each trained weight in the order of ``trained_names``.
            These are views that the next call overwrites.
        """
        outputs = self.forward(x, training=True, masks=masks)
        self.backward(outputs, y, loss)
        return loss.value(self.loss_input(outputs, loss), y), self.weight_gradients

    def loss_input(self, outputs: Array, loss: Loss) -> Array:
        """Return what ``loss`` is evaluated at, after a forward pass with these ``outputs``.

        They are the outputs themselves or, for a fused loss, the last layer's logits.
        """
        return self._fused_layer().z if loss.fused else outputs

    def backward(self, outputs: Array, y: Array, loss: Loss, do: Do = now) -> None:
        """Backpropagate the cost of the last forward pass, whose ``outputs`` are given."""
        last = self.layers[-1]
        delta = last.workspace("loss_gradient", outputs.shape, outputs.dtype)
        last.given_logits_gradient = loss.fused
        if loss.fused:
            last = self._fused_layer()
            p = outputs
            if last.activation.name != loss.link:
                p = last.workspace("linked", outputs.shape, outputs.dtype)
                activations.get(loss.link)(last.z, out=p, do=do)
            do(loss.logits_gradient, p, y, out=delta)
        else:
            do(loss.gradient, outputs, y, out=delta)
        for i in reversed(range(self.first_trained, len(self.layers))):
            further = i > self.first_trained
            delta = self.layers[i].backward(delta, input_gradient=further, **_handed_on(do))

    def _fused_layer(self) -> Dense | Activation:
        """Return the last layer, whose activation a fused loss includes."""
        last = self.layers[-1]
        if isinstance(last, Dense | Activation) and last.activation.name in FUSABLE:
            return last
        raise ValueError(
            f"A fused loss expects a last layer with activation {' or '.join(FUSABLE)}. "
            f"Received: {type(last).__name__} with {last.config()}"
        )
