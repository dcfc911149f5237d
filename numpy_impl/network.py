"""Networks of layers: forward pass, backpropagation, and access to the weights.

:class:`Network` is what all have in common. :class:`Sequential` is the usual one, a stack of
layers; ``functional`` has the one whose layers branch and meet again.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, Self

import numpy as np

from numpy_impl import activations, threads, validation
from numpy_impl.layers import Activation, Dense, Layer, allocate, allocate_states
from numpy_impl.losses import Loss
from numpy_impl.step_masks import StepMasks
from numpy_impl.types import Array, DTypeLike, Precision, Shape

# The activations whose logits Keras on TensorFlow remembers for the loss (``_keras_logits``).
FUSABLE = ("softmax", "sigmoid")


class Call(NamedTuple):
    """A layer applied to tensors of a network.

    Attributes:
        name: What its output is called; no two calls have the same.
        layer: The layer.
        sources: The names of what it takes: inputs, and outputs of earlier calls.
    """

    name: str
    layer: Layer
    sources: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of all that the layer returns: "lstm", and "lstm:1", "lstm:2" for states."""
        return output_names(self.name, 1 + len(self.layer.further_shapes()))


def output_names(call: str, count: int) -> tuple[str, ...]:
    """Return the names of what a call returns."""
    return (call, *(f"{call}:{i}" for i in range(1, count)))


class Network:
    """What all networks have in common: their vectors, their weights, and copies of them.

    All parameters live in one vector, ``parameters``, and all gradients in another, ``gradients``;
    the layers' kernels and biases are views into them
    (see :func:`numpy_impl.layers.base.allocate`). States that are not trained, such as the moving
    statistics of batch normalization, are arrays of their layers.

    Attributes:
        layers: The layers, each once.
        layer_names: What each is called in the names of weights.
        calls: What is computed, in this order.
        owners: For each call, the name of its layer.
        input_names: The names of the inputs, as ``calls`` has them.
        output_names: The names of the outputs.
        shapes: The shape of every tensor by name, without the batch axis.
        trained: The outputs that a weight acts on, that of their layer or of one before.
        masks_steps: Whether any tensor has a mask of steps.
        masks_part: Whether live masks of steps are others than noted ones (``step_masks``).
    """

    layers: list[Layer]
    layer_names: list[str]
    calls: list[Call]
    owners: list[str]
    input_names: list[str]
    output_names: list[str]
    shapes: dict[str, Shape]
    masks_steps: bool
    masks_part: bool

    def _allocate(self, dtype: DTypeLike, name: str) -> None:
        """Give the built layers their weights, states and gradients, all zero."""
        self.name = name
        self.dtype = validation.float_dtype(dtype)
        self.parameters, self.gradients, self.slices = allocate(self.layers, self.dtype)
        allocate_states(self.layers, self.dtype)
        self._check_masks()
        # Backpropagation ends where nothing before has weights.
        self.trained: set[str] = set()
        for call in self.calls:
            if call.layer.weight_names or self.trained & set(call.sources):
                self.trained.update(call.outputs)

    def _check_masks(self) -> None:
        """Check, with a sample of zeros, that no mask of steps reaches what cannot take it."""
        masks = StepMasks(self.input_names)
        for call in self.calls:
            zero = np.zeros((), self.dtype)
            taken = [np.broadcast_to(zero, (1, *self.shapes[source])) for source in call.sources]
            given = taken if call.layer.merges else taken[0]
            masks.hand_on(call.layer, call.sources, given, call.outputs)
        self.masks_steps = any(mask is not None for mask in masks.noted.values())
        self.masks_part = masks.parted
        for name in self.output_names:
            if masks.live[name] is not None:
                raise ValueError(
                    "Expected, after Masking or mask_zero, a layer that returns no sequence, such "
                    "as a recurrent one, as losses here do not leave out steps. Received: outputs "
                    f"of shape (batch, {', '.join(map(str, self.shapes[name]))}) with a mask"
                )

    def _initialize(self, rng: np.random.Generator | None) -> None:
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
    def dropouts(self) -> list[Layer]:
        """The layers that drop, from the input on; one for each call of a layer."""
        return [call.layer for call in self.calls if call.layer.drops()]

    @property
    def tensor_names(self) -> list[str]:
        """The names of all that is computed, in this order."""
        return [name for call in self.calls for name in call.outputs]

    @property
    def weight_names(self) -> list[str]:
        """Names of ``weights`` in their order: "0/kernel", "0/bias", "1/kernel"..."""
        return [
            f"{own}/{name}"
            for own, layer in zip(self.layer_names, self.layers, strict=True)
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
        return [
            f"{own}/{name}"
            for own, layer in zip(self.layer_names, self.layers, strict=True)
            for name in layer.weight_names
        ]

    @property
    def states(self) -> dict[str, Array]:
        """What training keeps beside the trained weights, by name, as views."""
        return {
            f"{own}/{name}": getattr(layer, name)
            for own, layer in zip(self.layer_names, self.layers, strict=True)
            for name in layer.state_names
        }

    @property
    def carried(self) -> dict[str, Array]:
        """What the last call of each stateful layer left for the next one, by name."""
        return {
            f"{own}/{name}": value
            for own, layer in zip(self.layer_names, self.layers, strict=True)
            for name, value in layer.carried.items()
        }

    def reset_state(self) -> None:
        """Let all stateful layers begin anew, with states of zeros."""
        for layer in self.layers:
            layer.reset_state()

    @property
    def weight_gradients(self) -> list[Array]:
        """The gradients of the trained weights that the last backward pass left, as views."""
        return [
            getattr(layer, f"{name}_gradient")
            for layer in self.layers
            for name in layer.weight_names
        ]

    @property
    def regularized(self) -> bool:
        """Whether a weight has a penalty."""
        return any(layer.regularizers for layer in self.layers)

    def penalty(self) -> float:
        """Return what the regularizers add to the cost."""
        return float(
            sum(
                regularizer.penalty(getattr(layer, name))
                for layer in self.layers
                for name, regularizer in layer.regularizers.items()
            )
        )

    def add_penalty_gradients(self) -> None:
        """Add the regularizers' gradients to those of the loss."""
        for layer in self.layers:
            for name, regularizer in layer.regularizers.items():
                gradient = getattr(layer, f"{name}_gradient")
                gradient += regularizer.gradient(getattr(layer, name))

    @property
    def constrained(self) -> bool:
        """Whether a weight has a constraint."""
        return any(layer.constraints for layer in self.layers)

    def constrain(self) -> None:
        """Put the weights that have a constraint back into it, as after each step."""
        for layer in self.layers:
            for name, constraint in layer.constraints.items():
                weight = getattr(layer, name)
                weight[...] = constraint(weight)

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

    def clone(self, dtype: DTypeLike | None = None) -> Self:
        """Return an independent network with the same layers and weights, in ``dtype`` if given.

        Its dropout layers go on from the same random state: the same masks, drawn apart.
        """
        layers = [copy.copy(layer) for layer in self.layers]
        for layer in layers:
            layer.built = False
        twin = self._of_layers(layers, dtype or self.dtype)
        twin.set_weights(self.weights)
        for own, copied in zip(self.dropouts, twin.dropouts, strict=True):
            copied.rng = copy.deepcopy(own.rng)
        return twin

    def _of_layers(self, layers: list[Layer], dtype: DTypeLike) -> Self:
        """Return a new network like this one whose layers are ``layers``, in the same order."""
        raise TypeError(f"{type(self).__name__} defines no _of_layers")

    def __deepcopy__(self, memo: object) -> Self:
        # A plain deep copy would cut the layers' weights off from the parameter vector.
        return self.clone()

    def draw_masks(self, batch_size: int, rng: np.random.Generator | None = None) -> list[Array]:
        """Draw one mask for each dropout layer, to be given to several networks alike.

        A layer that has dropout inside may need several: ``Layer.drops`` says which. They are drawn
        from ``rng`` if given, else from the layers' own generators.
        """
        return [mask for layer in self.dropouts for mask in layer.draw_masks(batch_size, rng)]

    def masks_of_layers(self, masks: Sequence[Array] | None) -> Iterator[dict[str, Any]]:
        """Yield, for each call, what its layer's ``forward`` is handed of the dropout masks.

        Raises:
            ValueError: Another number of masks than :meth:`draw_masks` returns.
        """
        expected = 0 if masks is None else sum(len(layer.drops()) for layer in self.dropouts)
        if masks is not None and len(masks) != expected:
            raise ValueError(f"Expected {expected} dropout masks. Received: {len(masks)}")
        given = iter(masks or ())
        for call in self.calls:
            own = [next(given) for _ in call.layer.drops()] if masks else []
            yield {"dropout_masks": own} if own else {}


class Sequential(Network):
    """Layers applied one after the other.

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
        self.layer_names = self.owners = [str(i) for i in range(len(layers))]
        self.input_shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
        shape = self.input_shape
        self.input_names, self.output_names = ["input"], self.layer_names[-1:]
        self.shapes, self.calls = {"input": shape}, []
        for own, source, layer in zip(
            self.layer_names, ["input", *self.layer_names], self.layers, strict=False
        ):
            check_new(layer)
            if layer.further_shapes():
                raise ValueError(
                    "Sequential expects layers with one output; Functional takes others, with "
                    "return_state=True or merge_mode=None. "
                    f"Received: {type(layer).__name__} with {1 + len(layer.further_shapes())}"
                )
            shape = self.shapes[own] = layer.build(shape)
            layer.built = True
            self.calls.append(Call(own, layer, (source,)))
        self.output_shape = shape
        self._allocate(dtype, name)
        # Backpropagation ends at the first layer with weights.
        trained = (i for i, layer in enumerate(self.layers) if layer.weight_names)
        self.first_trained = next(trained, len(self.layers))
        for i, layer in enumerate(self.layers):
            layer.sees_data = i == self.first_trained
        self._initialize(rng)

    def _of_layers(self, layers: list[Layer], dtype: DTypeLike) -> Self:
        return type(self)(layers, self.input_shape, dtype=dtype, name=self.name)

    def forward(
        self,
        x: Array,
        training: bool = False,
        masks: Sequence[Array] | None = None,
    ) -> Array:
        """Return the outputs for a batch ``x`` of shape (N, *input_shape), in the network's dtype.

        Args:
            x: The batch; it is not checked here, see :meth:`predict`.
            training: Whether dropout is active. The outputs are then the network's own array, which
                the next training step overwrites; otherwise they are the caller's.
            masks: Boolean masks (True: kept) as ``draw_masks`` has them; None draws new ones.
        """
        return self.layer_outputs(x, training, masks)[-1]

    def layer_outputs(
        self,
        x: Array,
        training: bool = False,
        masks: Sequence[Array] | None = None,
    ) -> list[Array]:
        """Return the output of every layer; arguments as in :meth:`forward`.

        Raises:
            ValueError: Another number of masks than of dropout layers, or one of another shape.
        """
        x = np.asarray(x, self.dtype)
        outputs: list[Array] = []
        steps = StepMasks(self.input_names)
        for call, named in zip(self.calls, self.masks_of_layers(masks), strict=True):
            layer, sources = call.layer, call.sources
            if self.masks_steps and layer.uses_mask:
                named["mask"] = steps.of(layer, sources)
            if self.masks_steps:
                steps.hand_on(layer, sources, x, call.outputs)
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
        # A few samples are not worth finding out about the threads.
        with threads.own_threads() if len(x) > batch_size else nullcontext():
            for i in range(0, len(x), batch_size):
                outputs[i : i + batch_size] = self.forward(x[i : i + batch_size])
        return outputs

    def loss_and_gradients(
        self,
        x: Array,
        y: Array,
        loss: Loss,
        masks: Sequence[Array] | None = None,
        sample_weight: Array | None = None,
    ) -> tuple[float, list[Array]]:
        """Run forward and backward in training mode on one batch.

        Args:
            x: The batch.
            y: Its targets.
            loss: The cost.
            masks: As in :meth:`forward`.
            sample_weight: How much each place of the outputs counts, of shape (N,), or of
                sequences (N, time); None: 1.

        Returns:
            The cost with the penalties, and the gradient of each trained weight in the order of
            ``trained_names``.
            These are views that the next call overwrites.
        """
        outputs = self.forward(x, training=True, masks=masks)
        self.backward(outputs, y, loss, sample_weight)
        cost = loss.value(self.loss_input(outputs, loss), y, sample_weight) + self.penalty()
        return cost, self.weight_gradients

    def loss_input(self, outputs: Array, loss: Loss) -> Array:
        """Return what ``loss`` is evaluated at, after a forward pass with these ``outputs``.

        They are the outputs themselves or, for a fused loss, the last layer's logits.
        """
        return fused_layer(self.layers[-1]).z if loss.fused else outputs

    def backward(
        self, outputs: Array, y: Array, loss: Loss, sample_weight: Array | None = None
    ) -> None:
        """Backpropagate the cost of the last forward pass, whose ``outputs`` are given.

        The gradients of the regularizers' penalties are added.
        """
        delta = loss_gradient(self.layers[-1], outputs, y, loss, sample_weight)
        for i in reversed(range(self.first_trained, len(self.layers))):
            further = i > self.first_trained
            delta = self.layers[i].backward(delta, input_gradient=further)
        if self.regularized:
            self.add_penalty_gradients()


def check_new(layer: Layer) -> None:
    """Raise ValueError if a layer belongs to a network already."""
    if layer.built:
        raise ValueError(
            f"Expected new layers. Received: a {type(layer).__name__} that already belongs "
            f"to a network"
        )


def loss_gradient(
    last: Layer, outputs: Array, y: Array, loss: Loss, sample_weight: Array | None = None
) -> Array:
    """Return what the layer ``last``, which gave ``outputs``, is handed by the loss.

    That is ``dC/d(outputs)`` or, for a fused loss, ``dC/dz``, and ``last`` is told which. Either is
    ``w_n`` times what it is without sample weights.
    """
    delta = last.workspace("loss_gradient", outputs.shape, outputs.dtype)
    last.given_logits_gradient = loss.fused
    if loss.fused:
        last = fused_layer(last)
        p = outputs
        if last.activation.name != loss.link:
            p = last.workspace("linked", outputs.shape, outputs.dtype)
            activations.get(loss.link)(last.z, p)
        delta = loss.logits_gradient(p, y, delta)
    else:
        delta = loss.gradient(outputs, y, delta)
    if sample_weight is not None:
        delta *= sample_weight[..., np.newaxis]
    return delta


def fused_layer(last: Layer) -> Dense | Activation:
    """Return an output layer, whose activation a fused loss includes."""
    if isinstance(last, Dense | Activation) and last.activation.name in FUSABLE:
        return last
    raise ValueError(
        f"A fused loss expects a last layer with activation {' or '.join(FUSABLE)}. "
        f"Received: {type(last).__name__} with {last.config()}"
    )
