"""What all layers have in common.

The contract. ``build`` fixes the shapes; ``bind`` hands a layer the pieces of the network's two
long vectors (parameters and gradients) that belong to it; ``forward`` remembers what ``backward``
will need; ``backward`` takes the gradient of the cost with respect to the layer's output, writes
the gradients of the layer's own weights, and returns the gradient with respect to its input.

In training a layer computes in its *workspace*: arrays that are allocated at the first step and
written again at every later one, so what ``forward(training=True)`` and ``backward`` return is
only good until the next step. ``forward`` outside training returns arrays of its own.

A layer that is not met in every step of a long training is better written as in ``formula``: two
functions, without a workspace.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from numpy_impl import constraints, regularizers
from numpy_impl.constraints import Constraint
from numpy_impl.regularizers import L1L2
from numpy_impl.types import Array, DTypeLike, Shape


class Workspace:
    """A layer's arrays by name, kept from step to step and made anew when the shape changes."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def __call__(self, name: str, shape: Shape, dtype: np.dtype) -> Array:
        """Return the array ``name`` of ``shape``; what it holds is left from its last use."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype is not dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array


class Layer:
    """A layer without weights that passes its input on; the others override what they need.

    ``x`` has shape (batch, *input_shape), the output (batch, *output_shape).
    """

    # What is trained, and then what a training keeps beside it (moving statistics); the arrays are
    # attributes of these names, in Keras's order.
    weight_names: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ()
    # Keras's options that have to have this value, as there is no other way here. An option that
    # the constructor does not have either has to be None.
    fixed: ClassVar[Mapping[str, Any]] = {}
    # Where Keras's files keep the weights and states, in this order, below the layer's own group.
    groups: tuple[str, ...] = ("",)
    # Whether ``forward`` is handed, as ``mask``, which steps of a sequence count; and whether this
    # holds of its outputs too, without more ado. ``step_masks`` says which mask that is.
    uses_mask = False
    passes_mask = False
    # Whether Keras gives the layer its mask when the model is made, and whether the layer takes the
    # masks off the arrays that it is called on, so that later layers do not find them.
    notes_mask: bool = False
    removes_masks = False
    # Whether, of several inputs that all have masks, the output has the steps of any of them.
    joins_masks = False
    # Whether it takes a list of arrays, and hands back a list of gradients (``Functional`` alone).
    merges: bool = False
    # Weights whose gradients are 0 in exact arithmetic, so that all that is left is rounding.
    vanishing: ClassVar[tuple[str, ...]] = ()
    # Of Keras's method ``call``: the arguments that are inputs, if they are no list, and those that
    # are options of the layer here.
    call_inputs: ClassVar[tuple[str, ...]] = ()
    call_options: ClassVar[tuple[str, ...]] = ()
    # For an input that may be missing, the layer's attribute that says whether it is there.
    call_flags: ClassVar[Mapping[str, str]] = {}
    # Which of these inputs the calls of Keras's layer have; None where it was not read from Keras.
    flagged: tuple[str, ...] | None = None
    # Attributes that are constants which Keras on TensorFlow rounds to float32.
    cast_constants: ClassVar[tuple[str, ...]] = ()
    # The penalty on each weight that has one, by its name, and the constraint likewise; a wrapper
    # has those of what it wraps.
    regularizers: Mapping[str, L1L2] = {}
    constraints: Mapping[str, Constraint] = {}
    # What a call leaves for the next one, which begins where it ended; and what the last one left.
    carried_names: tuple[str, ...] = ()
    carried: Mapping[str, Array] = {}
    # Of a layer that drops in training: where its masks come from, if they are not given.
    rng: np.random.Generator
    workspace: Workspace
    # Sequential sets these. Whether it belongs to a network,
    built = False
    # whether it is that network's first layer with weights,
    sees_data = False
    # and whether ``backward`` is given ``dC/dz`` instead of ``dC/da``, ``z`` being the logits: so
    # it is in the last layer where the loss includes its activation.
    given_logits_gradient = False

    def build(self, input_shape: Shape) -> Shape:
        """Fix the shapes; return the output shape, without the batch axis."""
        self.input_shape = input_shape
        # A new one, as a copied layer must not write into the arrays of its original.
        self.workspace = Workspace()
        return input_shape

    def build_many(self, input_shapes: Sequence[Shape]) -> Shape:
        """Fix the shapes for a call on several inputs; a layer that ``merges`` has its own."""
        if len(input_shapes) != 1:
            raise ValueError(
                f"{type(self).__name__} expects one input. Received: {len(input_shapes)}"
            )
        return self.build(input_shapes[0])

    def further_shapes(self) -> list[Shape]:
        """Return the shapes of what it returns beside its output, without the batch axis.

        If there is any, ``forward`` returns a list and ``backward`` takes one, with None for what
        nobody uses (``Functional`` alone).
        """
        return []

    def weight_shapes(self) -> list[Shape]:
        """Return the shape of each weight in ``weight_names``."""
        return []

    def state_shapes(self) -> list[Shape]:
        """Return the shape of each state in ``state_names``."""
        return []

    def bind_states(self, states: list[Array]) -> None:
        """Take the arrays that hold the states, and start them."""
        for name, state in zip(self.state_names, states, strict=True):
            setattr(self, name, state)
        self.start_states()

    def start_states(self) -> None:
        """Write what the states are before training; they are zeros so far."""

    def reset_state(self) -> None:
        """Forget what the last call has left for the next one; see ``carried_names``."""
        self.carried = {}

    def bind(self, weights: list[Array], gradients: list[Array]) -> None:
        """Take the arrays (views into the network's vectors) that hold weights and gradients."""
        for name, weight, gradient in zip(self.weight_names, weights, gradients, strict=True):
            setattr(self, name, weight)
            setattr(self, f"{name}_gradient", gradient)

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the initial weights."""

    def drops(self) -> list[tuple[float, Shape]]:
        """Return the rate and the shape, without the batch axis, of each mask that training takes.

        A layer with any is handed them as ``forward(..., dropout_masks=...)``, or draws them.
        """
        return []

    def draw_masks(self, batch_size: int, rng: np.random.Generator | None = None) -> list[Array]:
        """Return a boolean mask of shape (batch, ...), True where kept, for each of ``drops``.

        They are drawn from ``rng`` if given, else from the layer's own generator.
        """
        source = self.rng if rng is None else rng
        return [source.random((batch_size, *shape)) >= rate for rate, shape in self.drops()]

    def forward(self, x: Array, training: bool = False, mask: Any = None) -> Array:
        """Return the output for a batch ``x``.

        Args:
            x: The batch.
            training: Whether this is a step of training.
            mask: What is left in, True: of Dropout the inputs, of the same shape; of a layer that
                ``uses_mask`` the steps, shape (batch, time). Of one that ``merges`` a list.
        """
        return x

    def compute_mask(self, x: Any, mask: Any) -> Array | None:
        """Return which steps of the output for ``x`` count, shape (batch, time); None: all of them.

        Args:
            x: The inputs.
            mask: Which steps of these count; a list where the inputs are one.

        Raises:
            ValueError: There is a mask, and what Keras's layer does with it is not done here.
        """
        given = mask if self.merges else [mask]
        if self.passes_mask or all(one is None for one in given):
            return given[0]
        raise ValueError(
            "Expected, after Masking or mask_zero, layers that hand the mask on, up to one that "
            f"returns no sequence. Received: {type(self).__name__}"
        )

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        """Return ``dC/dx`` from ``delta = dC/d(output)`` and set the weights' gradients.

        ``input_gradient=False`` says that nobody needs ``dC/dx`` (true of a network's first
        layer), so the layer may skip that work and return ``delta``.
        """
        return delta

    def config(self) -> dict[str, object]:
        """Return what the constructor needs to make this layer again, without its weights.

        The names are Keras's, and so are the values, as JSON has them.
        """
        return {}

    @classmethod
    def from_keras(cls, config: Mapping[str, Any]) -> Self:
        """Return the layer, without weights, for the options of Keras's layer of this name.

        Regularizers and constraints that are known here become ``regularizers`` and
        ``constraints``; others, and what starts the weights, are passed over. Activations are
        functions of ``activations`` already.

        Raises:
            ValueError: An option that would change the numbers has a value that is not known here.
        """
        options: dict[str, Any] = {}
        taken = inspect.signature(cls).parameters
        for option, value in config.items():
            if option in _PASSED_OVER or option.endswith(_PASSED_OVER_ENDS):
                continue
            if option in taken:
                options[option] = value
            elif value != cls.fixed.get(option):
                raise ValueError(f"{option}={value!r}")
        made = cls(**options)
        names = made.weight_names
        penalties = _of_weights(config, "_regularizer", regularizers.from_keras, names)
        limits = _of_weights(config, "_constraint", constraints.from_keras, names)
        made.regularizers = {**made.regularizers, **penalties}
        made.constraints = {**made.constraints, **limits}
        return made


def _of_weights(
    config: Mapping[str, Any], end: str, read: Callable[[Any], Any], names: Sequence[str]
) -> dict[str, Any]:
    """Return, by the weight, what Keras's options with such an end are; what is unknown is not."""
    found: dict[str, Any] = {}
    for option, value in config.items():
        if value is not None and option.endswith(end):
            try:
                found |= dict.fromkeys(weights_of(option, names), read(value))
            except ValueError:
                continue
    return found


def weights_of(option: str, weight_names: Sequence[str]) -> list[str]:
    """Return the weights that an option such as Keras's "recurrent_regularizer" is about.

    That of "kernel" is the weight of this name; of a layer that has none, each whose name ends so.
    """
    stem = option.rpartition("_")[0]
    own = [name for name in weight_names if name in (stem, f"{stem}_kernel")]
    if stem == "depthwise" and not own:  # DepthwiseConv2D has no other kernel
        own = [name for name in weight_names if name == "kernel"]
    return own or [name for name in weight_names if name.endswith(f"_{stem}")]


_PASSED_OVER = ("name", "trainable", "dtype", "seed", "build_config")
_PASSED_OVER_ENDS = ("_initializer", "_regularizer", "_constraint")


def allocate_states(layers: list[Layer], dtype: DTypeLike) -> None:
    """Give each layer arrays of zeros for its states."""
    for layer in layers:
        layer.bind_states([np.zeros(shape, dtype) for shape in layer.state_shapes()])


def allocate(layers: list[Layer], dtype: DTypeLike) -> tuple[Array, Array, list[slice]]:
    """Allocate one vector for all parameters and one for all gradients, and bind the layers.

    One vector each, because an optimizer then needs no loop over layers and its state is a vector
    of the same length.

    Returns:
        The parameters and the gradients, both of shape (total,), and the slice of each weight.
    """
    shapes = [shape for layer in layers for shape in layer.weight_shapes()]
    ends = np.cumsum([math.prod(shape) for shape in shapes], dtype=int).tolist()
    slices = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    total = ends[-1] if ends else 0
    parameters, gradients = np.zeros(total, dtype), np.zeros(total, dtype)
    weights = [parameters[s].reshape(shape) for s, shape in zip(slices, shapes, strict=True)]
    grads = [gradients[s].reshape(shape) for s, shape in zip(slices, shapes, strict=True)]
    first = 0
    for layer in layers:
        last = first + len(layer.weight_names)
        layer.bind(weights[first:last], grads[first:last])
        first = last
    return parameters, gradients, slices
