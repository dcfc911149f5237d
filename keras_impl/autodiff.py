"""Keras's own numbers, laid open: layer outputs, loss, gradients and optimizer steps.

The gradients are those of the backend's automatic differentiation (``tf.GradientTape``,
``jax.value_and_grad``, ``torch.autograd``); nothing here derives anything by hand. Dropout masks
are arguments, because each backend draws its own from a seed.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, cast

import keras
import numpy as np

from keras_impl.graph import Graph, graph

Masks = Sequence[np.ndarray]


def to_numpy(tensor: Any) -> np.ndarray:
    """Return a copy of a backend's tensor, or of a variable's value, as an array."""
    convert: Any = keras.ops.convert_to_numpy
    return np.array(convert(tensor))


def chain(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of a model that applies one after the other, without its input layer.

    Models inside it are laid flat.

    Raises:
        ValueError: The model is not such a chain.
    """
    found = graph(model)
    if not found.is_chain:
        raise ValueError(
            "Expected a model whose layers follow one another, such as keras.Sequential. "
            f"Received: {type(model).__name__} {model.name!r}"
        )
    return [call.layer for call in found.calls]


def all_outputs(
    found: Graph, x: Sequence[Any], training: bool, masks: Sequence[Any]
) -> dict[str, Any]:
    """Return every tensor of a model by name; in training, dropout uses ``masks`` in order.

    The masked product is Keras's: kept inputs times ``1 / (1 - rate)``, others 0.

    Args:
        x: The inputs.

    Raises:
        ValueError: In training, another number of masks than of calls of dropout layers.
    """
    dropouts = sum(isinstance(call.layer, keras.layers.Dropout) for call in found.calls)
    if training and len(masks) != dropouts:
        raise ValueError(f"Expected {dropouts} dropout masks. Received: {len(masks)}")
    given = iter(masks)
    tensors = dict(zip(found.inputs, x, strict=True))
    for call in found.calls:
        if training and isinstance(call.layer, keras.layers.Dropout):
            ((_, source),) = call.sources
            scaled = tensors[source] * (1.0 / (1.0 - call.layer.rate))
            dropped = keras.ops.where(next(given), scaled, keras.ops.zeros_like(scaled))
            tensors[call.name] = dropped
        else:
            tensors[call.name] = call.run(tensors, training)
    return tensors


def as_list(arrays: Any) -> list[Any]:
    """Return the arrays of several inputs or outputs, or the only one, as a list."""
    return list(cast(Sequence[Any], arrays)) if isinstance(arrays, list | tuple) else [arrays]


class Autodiff:
    """A Keras model, a loss and an optimizer, run outside ``fit``, batch by batch.

    Args:
        model: A Sequential or Functional model.
        loss: A Keras loss, or any function ``(y_true, y_pred) -> loss`` of its operations. Of a
            model with several outputs it is given lists.
        optimizer: A Keras optimizer; needed by :meth:`step` only. It is built here.
        eager: On TensorFlow, compute operation by operation: slower, but nothing is traced first,
            so it is quicker for a single batch.
        layers: The names of the model's layers (:class:`keras_impl.graph.Graph`) in the order in
            which the weights are to be listed; None: in Keras's.

    Where the model has several inputs, ``x`` is a list of arrays, and so is ``y`` of several
    outputs.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: Callable[[Any, Any], Any],
        optimizer: keras.optimizers.Optimizer | None = None,
        eager: bool = False,
        layers: Sequence[str] | None = None,
    ) -> None:
        self.graph = graph(model)
        own = self.graph.layers
        ordered = [own[name] for name in (own if layers is None else layers)]
        self.trained: list[Any] = [v for layer in ordered for v in layer.trainable_variables]
        self.kept: list[Any] = [v for layer in ordered for v in layer.non_trainable_weights]
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.dtype = model.compute_dtype
        self.eager = eager
        if optimizer is not None:
            optimizer.build(self.trained)
        backend = keras.backend.backend()
        if backend not in ENGINES:
            raise ValueError(
                f"Expected one of the Keras backends {', '.join(ENGINES)}, which differentiate. "
                f"Received: {backend}"
            )
        self._engine = ENGINES[backend](self)

    def layer_outputs(self, x: Any, training: bool = False, masks: Masks = ()) -> list[np.ndarray]:
        """Return the output of every call of a layer for a batch, each of shape (N, ...)."""
        inputs = [keras.ops.convert_to_tensor(array, dtype=self.dtype) for array in as_list(x)]
        tensors = all_outputs(self.graph, inputs, training, [np.asarray(m) for m in masks])
        return [to_numpy(tensors[call.name]) for call in self.graph.calls]

    def loss_and_gradients(
        self, x: Any, y: Any, masks: Masks = ()
    ) -> tuple[float, list[np.ndarray]]:
        """Return the loss in training mode and its gradient for each trainable variable.

        Moving statistics are left as they were.
        """
        before = self.states()
        loss, gradients = self._engine.gradients(*self._tensors(x, y, masks))
        for variable, value in zip(self.kept, before, strict=True):
            variable.assign(value)
        return float(to_numpy(loss)), [to_numpy(gradient) for gradient in gradients]

    def step(self, x: Any, y: Any, masks: Masks = ()) -> float:
        """Take one optimizer step on a batch; return the loss before it."""
        return float(to_numpy(self._engine.step(*self._tensors(x, y, masks))))

    def weights(self) -> list[np.ndarray]:
        """Return copies of the trainable variables."""
        return [to_numpy(variable) for variable in self.trained]

    def states(self) -> list[np.ndarray]:
        """Return copies of what is not trained, such as moving statistics."""
        return [to_numpy(variable) for variable in self.kept]

    def slots(self) -> dict[str, list[np.ndarray]]:
        """Return copies of the optimizer's state by name: "momentum", "velocity"..."""
        if self.optimizer is None:
            return {}
        # Keras calls a slot after the variable that it belongs to: "dense_kernel_momentum".
        owners = [v.path.replace("/", "_") + "_" for v in self.trained]
        found: dict[str, list[np.ndarray]] = {}
        for variable in self.optimizer.variables:
            named = [owner for owner in owners if variable.name.startswith(owner)]
            if named:
                slot = variable.name.removeprefix(max(named, key=len))
                found.setdefault(slot, []).append(to_numpy(variable))
        if isinstance(self.optimizer, keras.optimizers.Adafactor):
            found |= self._factored(self.optimizer)
        return found

    def _factored(self, optimizer: Any) -> dict[str, list[np.ndarray]]:
        """Return Adafactor's means of rows and columns, repeated along these; 0 for vectors.

        Keras gives them the names of the variables, which other slots are told from.
        """
        found: dict[str, list[np.ndarray]] = {"row": [], "column": []}
        for i, variable in enumerate(self.model.trainable_variables):
            empty, matrix = np.zeros(variable.shape, self.dtype), len(variable.shape) > 1
            row, column = to_numpy(optimizer._r[i]), to_numpy(optimizer._c[i])
            found["row"].append(empty + row[..., None] if matrix else empty)
            found["column"].append(empty + column[..., None, :] if matrix else empty)
        return found

    def _tensors(self, x: Any, y: Any, masks: Masks) -> tuple[list[Any], list[Any], list[Any]]:
        convert = keras.ops.convert_to_tensor
        targets = [np.asarray(array) for array in as_list(y)]
        return (
            [convert(array, dtype=self.dtype) for array in as_list(x)],
            [convert(t, dtype="int32" if t.dtype.kind in "iu" else self.dtype) for t in targets],
            [convert(m, dtype="bool") for m in masks],
        )

    def cost(self, x: Sequence[Any], y: Sequence[Any], masks: Sequence[Any]) -> Any:
        """Return the loss of a batch in training mode with the weights' penalties, as a tensor."""
        tensors = all_outputs(self.graph, x, True, masks)
        outputs = [tensors[name] for name in self.graph.outputs]
        cost = self.loss(y, outputs) if len(outputs) > 1 else self.loss(y[0], outputs[0])
        for variable in self.trained:
            if variable.regularizer is not None:
                cost = cost + variable.regularizer(variable)
        return cost


class _TensorFlow:
    def __init__(self, owner: Autodiff) -> None:
        self.owner = owner
        self.variables = owner.trained
        self._compiled: dict[Any, Any] = {}

    def gradients(self, x: Any, y: Any, masks: Any) -> Any:
        return self._graph(self._gradients, x, y, masks)

    def step(self, x: Any, y: Any, masks: Any) -> Any:
        return self._graph(self._step, x, y, masks)

    def _gradients(self, *tensors: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            cost = self.owner.cost(*self._parted(tensors))
        grads = tape.gradient(cost, [variable.value for variable in self.variables])
        # That of an Embedding comes as rows, which may stand for the same row of the table. Keras's
        # optimizers take them one by one, and Adam then squares each instead of their sum
        # (docs/keras-semantics.md). Added up first they are the gradient, as on other backends.
        return cost, [g if g is None else tf.convert_to_tensor(g) for g in grads]

    def _parted(self, tensors: Any) -> tuple[Any, Any, Any]:
        """Return inputs, targets and masks, which a graph takes one after the other."""
        inputs = len(self.owner.graph.inputs)
        given = inputs + len(self.owner.graph.outputs)
        return tensors[:inputs], tensors[inputs:given], tensors[given:]

    def _step(self, *tensors: Any) -> Any:
        cost, grads = self._gradients(*tensors)
        assert self.owner.optimizer is not None
        self.owner.optimizer.apply(grads, self.variables)
        return cost

    def _graph(self, function: Any, x: Any, y: Any, masks: Any) -> Any:
        """Run ``function`` as a graph, traced once for all batch sizes."""
        import tensorflow as tf

        tensors = [*x, *y, *masks]
        if self.owner.eager:
            return function(*tensors)
        specs = tuple(tf.TensorSpec([None, *t.shape[1:]], t.dtype) for t in tensors)
        key = function.__name__, specs
        if key not in self._compiled:
            self._compiled[key] = tf.function(function, autograph=False).get_concrete_function(
                *specs
            )
        return self._compiled[key](*tensors)


class _Jax:
    def __init__(self, owner: Autodiff) -> None:
        jax: Any = import_module("jax")
        stateless: Any = keras.StatelessScope
        self.owner = owner
        self.variables, self.states = owner.trained, owner.kept

        def cost(values: Any, states: Any, x: Any, y: Any, masks: Any) -> Any:
            mapping = list(zip([*self.variables, *self.states], [*values, *states], strict=True))
            with stateless(state_mapping=mapping) as scope:
                value = owner.cost(x, y, masks)
                return value, [scope.get_current_value(state) for state in self.states]

        self._value_and_grad = jax.jit(jax.value_and_grad(cost, has_aux=True))

    def gradients(self, x: Any, y: Any, masks: Any) -> Any:
        (cost, _), grads = self._differentiated(x, y, masks)
        return cost, grads

    def step(self, x: Any, y: Any, masks: Any) -> Any:
        (cost, states), grads = self._differentiated(x, y, masks)
        assert self.owner.optimizer is not None
        self.owner.optimizer.apply(grads, self.variables)
        for variable, value in zip(self.states, states, strict=True):
            variable.assign(value)
        return cost

    def _differentiated(self, x: Any, y: Any, masks: Any) -> Any:
        values = [[v.value for v in group] for group in (self.variables, self.states)]
        return self._value_and_grad(*values, x, y, masks)


def torch_gradients(cost: Any, tensors: Sequence[Any]) -> Sequence[Any]:
    """Return PyTorch's gradients of a number, which are 0 where it does not depend on a tensor.

    Raises:
        ValueError: PyTorch has none, as of a float64 convolution of one filter.
    """
    torch: Any = import_module("torch")
    try:
        return torch.autograd.grad(cost, list(tensors), allow_unused=True, materialize_grads=True)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"Expected a model that PyTorch differentiates. Received: {reason}"
        ) from error


class _Torch:
    def __init__(self, owner: Autodiff) -> None:
        self.owner = owner
        self.variables = owner.trained

    def gradients(self, x: Any, y: Any, masks: Any) -> Any:
        cost = self.owner.cost(x, y, masks)
        return cost.detach(), torch_gradients(cost, [v.value for v in self.variables])

    def step(self, x: Any, y: Any, masks: Any) -> Any:
        torch: Any = import_module("torch")
        cost, grads = self.gradients(x, y, masks)
        assert self.owner.optimizer is not None
        with torch.no_grad():
            self.owner.optimizer.apply(list(grads), self.variables)
        return cost


ENGINES = {"tensorflow": _TensorFlow, "jax": _Jax, "torch": _Torch}
