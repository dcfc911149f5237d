"""Keras's own numbers, laid open: layer outputs, loss, gradients and optimizer steps.

The gradients are those of the backend's automatic differentiation (``tf.GradientTape``,
``jax.value_and_grad``, ``torch.autograd``); nothing here derives anything by hand. Dropout masks
are arguments, because each backend draws its own from a seed.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import keras
import numpy as np

Masks = Sequence[np.ndarray]


def to_numpy(tensor: Any) -> np.ndarray:
    """Return a copy of a backend's tensor, or of a variable's value, as an array."""
    convert: Any = keras.ops.convert_to_numpy
    return np.array(convert(tensor))


def chain(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of a model that applies one after the other, without its input layer.

    Raises:
        ValueError: The model is not such a chain.
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    straight = isinstance(model, keras.Sequential) or _linked(model, layers)
    if not straight or any(isinstance(layer, keras.Model) for layer in layers):
        raise ValueError(
            "Expected a model whose layers follow one another, such as keras.Sequential. "
            f"Received: {type(model).__name__} {model.name!r}"
        )
    return layers


def _linked(model: keras.Model, layers: list[keras.Layer]) -> bool:
    """Return whether each layer takes what the one before gives, and the last gives the output.

    Operations such as ``x * 2`` are in no list of layers; they show as a missing link.
    """
    if any(len(layer._inbound_nodes) != 1 for layer in layers):
        return False
    nodes = [layer._inbound_nodes[0] for layer in layers]
    given = [model.inputs, *(node.output_tensors for node in nodes)]
    taken = [*(node.input_tensors for node in nodes), model.outputs]
    return all(len(a) == len(b) == 1 and a[0] is b[0] for a, b in zip(given, taken, strict=True))


def layer_outputs(model: keras.Model, x: Any, training: bool, masks: Sequence[Any]) -> list[Any]:
    """Return the output tensor of every layer; in training, dropout uses ``masks`` in order.

    The masked product is Keras's: kept inputs times ``1 / (1 - rate)``, others 0.

    Raises:
        ValueError: In training, another number of masks than of dropout layers.
    """
    layers = chain(model)
    dropouts = sum(isinstance(layer, keras.layers.Dropout) for layer in layers)
    if training and len(masks) != dropouts:
        raise ValueError(f"Expected {dropouts} dropout masks. Received: {len(masks)}")
    given = iter(masks)
    outputs: list[Any] = []
    for layer in layers:
        if training and isinstance(layer, keras.layers.Dropout):
            scaled = x * (1.0 / (1.0 - layer.rate))
            x = keras.ops.where(next(given), scaled, keras.ops.zeros_like(x))
        else:
            x = layer(x, training=training)
        outputs.append(x)
    return outputs


class Autodiff:
    """A Keras model, a loss and an optimizer, run outside ``fit``, batch by batch.

    Args:
        model: A chain of layers (:func:`chain`).
        loss: A Keras loss, or any function ``(y_true, y_pred) -> loss`` of its operations.
        optimizer: A Keras optimizer; needed by :meth:`step` only. It is built here.
        eager: On TensorFlow, compute operation by operation: slower, but nothing is traced first,
            so it is quicker for a single batch.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: Callable[[Any, Any], Any],
        optimizer: keras.optimizers.Optimizer | None = None,
        eager: bool = False,
    ) -> None:
        chain(model)
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.dtype = model.compute_dtype
        self.eager = eager
        if optimizer is not None:
            optimizer.build(model.trainable_variables)
        backend = keras.backend.backend()
        if backend not in _ENGINES:
            raise ValueError(
                f"Expected one of the Keras backends {', '.join(_ENGINES)}, which differentiate. "
                f"Received: {backend}"
            )
        self._engine = _ENGINES[backend](self)

    def layer_outputs(
        self, x: np.ndarray, training: bool = False, masks: Masks = ()
    ) -> list[np.ndarray]:
        """Return every layer's output for a batch, each of shape (N, ...)."""
        tensor = keras.ops.convert_to_tensor(x, dtype=self.dtype)
        outputs = layer_outputs(self.model, tensor, training, [np.asarray(m) for m in masks])
        return [to_numpy(output) for output in outputs]

    def loss_and_gradients(
        self, x: np.ndarray, y: np.ndarray, masks: Masks = ()
    ) -> tuple[float, list[np.ndarray]]:
        """Return the loss in training mode and its gradient for each trainable variable.

        Moving statistics are left as they were.
        """
        before = self.states()
        loss, gradients = self._engine.gradients(*self._tensors(x, y, masks))
        for variable, value in zip(self.model.non_trainable_weights, before, strict=True):
            variable.assign(value)
        return float(to_numpy(loss)), [to_numpy(gradient) for gradient in gradients]

    def step(self, x: np.ndarray, y: np.ndarray, masks: Masks = ()) -> float:
        """Take one optimizer step on a batch; return the loss before it."""
        return float(to_numpy(self._engine.step(*self._tensors(x, y, masks))))

    def weights(self) -> list[np.ndarray]:
        """Return copies of the trainable variables."""
        return [to_numpy(variable) for variable in self.model.trainable_variables]

    def states(self) -> list[np.ndarray]:
        """Return copies of what is not trained, such as moving statistics."""
        return [to_numpy(variable) for variable in self.model.non_trainable_weights]

    def slots(self) -> dict[str, list[np.ndarray]]:
        """Return copies of the optimizer's state by name: "momentum", "velocity"..."""
        if self.optimizer is None:
            return {}
        # Keras calls a slot after the variable that it belongs to: "dense_kernel_momentum".
        owners = [v.path.replace("/", "_") + "_" for v in self.model.trainable_variables]
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

    def _tensors(self, x: Any, y: Any, masks: Masks) -> tuple[Any, Any, list[Any]]:
        y = np.asarray(y)
        convert = keras.ops.convert_to_tensor
        y = convert(y, dtype="int32" if y.dtype.kind in "iu" else self.dtype)
        return convert(x, dtype=self.dtype), y, [convert(m, dtype="bool") for m in masks]

    def cost(self, x: Any, y: Any, masks: Sequence[Any]) -> Any:
        """Return the loss of a batch of tensors in training mode, as a tensor."""
        return self.loss(y, layer_outputs(self.model, x, True, masks)[-1])


class _TensorFlow:
    def __init__(self, owner: Autodiff) -> None:
        self.owner = owner
        self.variables = owner.model.trainable_variables
        self._compiled: dict[Any, Any] = {}

    def gradients(self, x: Any, y: Any, masks: Any) -> Any:
        return self._graph(self._gradients, x, y, masks)

    def step(self, x: Any, y: Any, masks: Any) -> Any:
        return self._graph(self._step, x, y, masks)

    def _gradients(self, x: Any, y: Any, *masks: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            cost = self.owner.cost(x, y, masks)
        grads = tape.gradient(cost, [variable.value for variable in self.variables])
        # That of an Embedding comes as rows, which may stand for the same row of the table. Keras's
        # optimizers take them one by one, and Adam then squares each instead of their sum
        # (docs/keras-semantics.md). Added up first they are the gradient, as on other backends.
        return cost, [g if g is None else tf.convert_to_tensor(g) for g in grads]

    def _step(self, x: Any, y: Any, *masks: Any) -> Any:
        cost, grads = self._gradients(x, y, *masks)
        assert self.owner.optimizer is not None
        self.owner.optimizer.apply(grads, self.variables)
        return cost

    def _graph(self, function: Any, x: Any, y: Any, masks: Any) -> Any:
        """Run ``function`` as a graph, traced once for all batch sizes."""
        import tensorflow as tf

        if self.owner.eager:
            return function(x, y, *masks)
        tensors = [x, y, *masks]
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
        self.owner = owner
        self.variables = owner.model.trainable_variables
        self.states = owner.model.non_trainable_weights

        def cost(values: Any, states: Any, x: Any, y: Any, masks: Any) -> Any:
            mapping = list(zip([*self.variables, *self.states], [*values, *states], strict=True))
            with keras.StatelessScope(state_mapping=mapping) as scope:
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


class _Torch:
    def __init__(self, owner: Autodiff) -> None:
        self.owner = owner
        self.variables = owner.model.trainable_variables

    def gradients(self, x: Any, y: Any, masks: Any) -> Any:
        torch: Any = import_module("torch")
        cost = self.owner.cost(x, y, masks)
        return cost.detach(), torch.autograd.grad(cost, [v.value for v in self.variables])

    def step(self, x: Any, y: Any, masks: Any) -> Any:
        torch: Any = import_module("torch")
        cost, grads = self.gradients(x, y, masks)
        assert self.owner.optimizer is not None
        with torch.no_grad():
            self.owner.optimizer.apply(list(grads), self.variables)
        return cost


_ENGINES = {"tensorflow": _TensorFlow, "jax": _Jax, "torch": _Torch}
