"""Keras's own numbers, laid open: layer outputs, loss, gradients and optimizer steps.

The gradients are those of the backend's automatic differentiation (``tf.GradientTape``,
``jax.value_and_grad``, ``torch.autograd``); nothing here derives anything by hand. Dropout masks
are arguments, because each backend draws its own from a seed.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib import import_module
from itertools import pairwise
from typing import Any, NamedTuple, cast

import keras
import numpy as np

from keras_impl.dropping import dropping, mask_count
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

    Args:
        x: The inputs.

    Raises:
        ValueError: In training, another number of masks than calls of layers take.
    """
    counts = [mask_count(call.layer) if training else 0 for call in found.calls]
    if training and len(masks) != sum(counts):
        raise ValueError(f"Expected {sum(counts)} dropout masks. Received: {len(masks)}")
    given = iter(masks)
    tensors = dict(zip(found.inputs, x, strict=True))
    noted: dict[str, Any] = {}
    for call, count in zip(found.calls, counts, strict=True):
        own = [next(given) for _ in range(count)]
        with dropping(call.layer, own) if own else nullcontext():
            tensors |= call.run(tensors, training, noted)
    return tensors


def as_list(arrays: Any) -> list[Any]:
    """Return the arrays of several inputs or outputs, or the only one, as a list."""
    return list(cast(Sequence[Any], arrays)) if isinstance(arrays, list | tuple) else [arrays]


class Observed(NamedTuple):
    """What a pass forward and backward in training computed.

    Attributes:
        loss: The loss.
        gradients: Its gradient for each trained variable.
        tensors: What each call of a layer returned, by name.
        deltas: The gradients of the loss by these; without those that it does not depend on.
    """

    loss: float
    gradients: list[np.ndarray]
    tensors: dict[str, np.ndarray]
    deltas: dict[str, np.ndarray]


def _carried(layer: Any) -> list[Any]:
    """Return the variables in which a stateful layer keeps its state, which are no weights."""
    two = isinstance(layer, keras.layers.Bidirectional)
    inner: list[Any] = [layer.forward_layer, layer.backward_layer] if two else [layer]
    return [v for one in inner if getattr(one, "stateful", False) for v in one.states]


class Autodiff:
    """A Keras model, a loss and an optimizer, run outside ``fit``, batch by batch.

    Args:
        model: A Sequential or Functional model.
        loss: A Keras loss, or any function ``(y_true, y_pred) -> loss`` of its operations; with
            sample weights they are its third argument. Of a model with several outputs it is given
            lists.
        optimizer: A Keras optimizer; needed by :meth:`step` only. It is built here.
        eager: On TensorFlow, compute operation by operation: slower, but nothing is traced first,
            so it is quicker for a single batch.
        layers: The names of the model's layers (:class:`keras_impl.graph.Graph`) in the order in
            which the weights are to be listed; None: in Keras's.

    Where the model has several inputs, ``x`` is a list of arrays, and so are ``y`` and
    ``sample_weight`` of several outputs.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: Callable[..., Any],
        optimizer: keras.optimizers.Optimizer | None = None,
        eager: bool = False,
        layers: Sequence[str] | None = None,
    ) -> None:
        self.graph = graph(model)
        own = self.graph.layers
        ordered = [own[name] for name in (own if layers is None else layers)]
        self.trained: list[Any] = [v for layer in ordered for v in layer.trainable_variables]
        self.kept: list[Any] = [v for layer in ordered for v in layer.non_trainable_weights]
        self.carried: list[Any] = [v for layer in ordered for v in _carried(layer)]
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
        """Return the outputs of every call of a layer for a batch, each of shape (N, ...)."""
        inputs = [keras.ops.convert_to_tensor(array, dtype=self.dtype) for array in as_list(x)]
        tensors = all_outputs(self.graph, inputs, training, [np.asarray(m) for m in masks])
        return [to_numpy(tensors[name]) for name in self.graph.tensor_names]

    def loss_and_gradients(
        self, x: Any, y: Any, masks: Masks = (), sample_weight: Any = None
    ) -> tuple[float, list[np.ndarray]]:
        """Return the loss in training mode and its gradient for each trainable variable.

        Moving statistics and the states of stateful layers are left as they were.
        """
        before = self.states()
        loss, gradients = self._engine.gradients(*self._tensors(x, y, masks, sample_weight))
        for variable, value in zip([*self.kept, *self.carried], before, strict=True):
            variable.assign(value)
        return float(to_numpy(loss)), [to_numpy(gradient) for gradient in gradients]

    def observe(self, x: Any, y: Any, masks: Masks = (), sample_weight: Any = None) -> Observed:
        """Return the same and all numbers on the way, of one and the same pass.

        Raises:
            ValueError: Another backend than TensorFlow.
        """
        if not isinstance(self._engine, _TensorFlow):
            raise ValueError(
                "Expected Keras on TensorFlow, for what layers compute on the way. "
                f"Received: {keras.backend.backend()}"
            )
        before = self.states()
        loss, gradients, tensors, deltas = self._engine.observe(
            *self._tensors(x, y, masks, sample_weight)
        )
        for variable, value in zip(self.kept, before, strict=True):
            variable.assign(value)
        return Observed(
            float(to_numpy(loss)),
            [to_numpy(gradient) for gradient in gradients],
            {name: to_numpy(tensor) for name, tensor in tensors.items()},
            {name: to_numpy(delta) for name, delta in deltas.items() if delta is not None},
        )

    def step(self, x: Any, y: Any, masks: Masks = (), sample_weight: Any = None) -> float:
        """Take one optimizer step on a batch; return the loss before it."""
        return float(to_numpy(self._engine.step(*self._tensors(x, y, masks, sample_weight))))

    def weights(self) -> list[np.ndarray]:
        """Return copies of the trainable variables."""
        return [to_numpy(variable) for variable in self.trained]

    def states(self) -> list[np.ndarray]:
        """Return copies of what is not trained: moving statistics, then stateful layers' states."""
        return [to_numpy(variable) for variable in [*self.kept, *self.carried]]

    def reset_state(self) -> None:
        """Let all stateful layers begin anew."""
        for variable in self.carried:
            variable.assign(np.zeros(variable.shape))

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

    def _tensors(self, x: Any, y: Any, masks: Masks, sample_weight: Any) -> tuple[list[Any], ...]:
        convert = keras.ops.convert_to_tensor
        targets = [np.asarray(array) for array in as_list(y)]
        counts = [] if sample_weight is None else as_list(sample_weight)
        # Keras takes losses in ``floatx`` also where layers compute in less.
        wide = "float32" if self.dtype in ("float16", "bfloat16") else self.dtype
        return (
            [convert(array, dtype=self.dtype) for array in as_list(x)],
            [convert(t, dtype="int32" if t.dtype.kind in "iu" else wide) for t in targets],
            [convert(m, dtype="bool") for m in masks],
            [convert(array, dtype=wide) for array in counts],
        )

    def cost(
        self,
        x: Sequence[Any],
        y: Sequence[Any],
        masks: Sequence[Any],
        sample_weight: Sequence[Any],
    ) -> Any:
        """Return the loss of a batch in training mode with the weights' penalties, as a tensor."""
        return self.cost_of(all_outputs(self.graph, x, True, masks), y, sample_weight)

    def cost_of(self, tensors: dict[str, Any], y: Sequence[Any], counts: Sequence[Any]) -> Any:
        """Return the same for the tensors of a pass."""
        ends = [y, [tensors[name] for name in self.graph.outputs]]
        ends += [counts] if counts else []
        single = len(self.graph.outputs) == 1
        cost = self.loss(*(arrays[0] if single else arrays for arrays in ends))
        for variable in self.trained:
            if variable.regularizer is not None:
                cost = cost + variable.regularizer(variable)
        return cost


class _TensorFlow:
    def __init__(self, owner: Autodiff) -> None:
        self.owner = owner
        self.variables = owner.trained
        self._compiled: dict[Any, Any] = {}

    def gradients(self, *batch: Any) -> Any:
        return self._graph(self._gradients, *batch)

    def step(self, *batch: Any) -> Any:
        return self._graph(self._step, *batch)

    def observe(self, x: Any, y: Any, masks: Any, sample_weight: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tensors = all_outputs(self.owner.graph, x, True, masks)
            cost = self.owner.cost_of(tensors, y, sample_weight)
        own = {name: tensors[name] for name in self.owner.graph.tensor_names}
        grads, deltas = tape.gradient(cost, ([v.value for v in self.variables], own))
        return cost, [g if g is None else tf.convert_to_tensor(g) for g in grads], own, deltas

    def _gradients(self, *batch: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            cost = self.owner.cost(*batch)
        grads = tape.gradient(cost, [variable.value for variable in self.variables])
        # That of an Embedding comes as rows, which may stand for the same row of the table. Keras's
        # optimizers take them one by one, and Adam then squares each instead of their sum
        # (docs/keras-semantics.md). Added up first they are the gradient, as on other backends.
        # Of what the loss does not depend on it is None, and zeros on other backends.
        pairs = zip(grads, self.variables, strict=True)
        return cost, [
            tf.zeros_like(v.value) if g is None else tf.convert_to_tensor(g) for g, v in pairs
        ]

    def _step(self, *batch: Any) -> Any:
        cost, grads = self._gradients(*batch)
        assert self.owner.optimizer is not None
        self.owner.optimizer.apply(grads, self.variables)
        return cost

    def _graph(self, function: Any, *batch: Any) -> Any:
        """Run ``function`` as a graph, traced once for all batch sizes."""
        import tensorflow as tf

        if self.owner.eager:
            return function(*batch)
        # A graph takes the tensors of all parts one after the other.
        ends = np.cumsum([0, *(len(part) for part in batch)])
        tensors = [tensor for part in batch for tensor in part]
        specs = tuple(tf.TensorSpec([None, *t.shape[1:]], t.dtype) for t in tensors)
        key = function.__name__, tuple(ends), specs
        if key not in self._compiled:

            def of_all(*given: Any) -> Any:
                return function(*(given[i:j] for i, j in pairwise(ends)))

            self._compiled[key] = tf.function(of_all, autograph=False).get_concrete_function(*specs)
        return self._compiled[key](*tensors)


class _Jax:
    def __init__(self, owner: Autodiff) -> None:
        jax: Any = import_module("jax")
        stateless: Any = keras.StatelessScope
        self.owner = owner
        self.variables, self.states = owner.trained, [*owner.kept, *owner.carried]

        def cost(values: Any, states: Any, *batch: Any) -> Any:
            mapping = list(zip([*self.variables, *self.states], [*values, *states], strict=True))
            with stateless(state_mapping=mapping) as scope:
                value = owner.cost(*batch)
                return value, [scope.get_current_value(state) for state in self.states]

        self._value_and_grad = jax.jit(jax.value_and_grad(cost, has_aux=True))

    def gradients(self, *batch: Any) -> Any:
        (cost, _), grads = self._differentiated(*batch)
        return cost, grads

    def step(self, *batch: Any) -> Any:
        (cost, states), grads = self._differentiated(*batch)
        assert self.owner.optimizer is not None
        self.owner.optimizer.apply(grads, self.variables)
        for variable, value in zip(self.states, states, strict=True):
            variable.assign(value)
        return cost

    def _differentiated(self, *batch: Any) -> Any:
        values = [[v.value for v in group] for group in (self.variables, self.states)]
        return self._value_and_grad(*values, *batch)


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

    def gradients(self, *batch: Any) -> Any:
        cost = self.owner.cost(*batch)
        return cost.detach(), torch_gradients(cost, [v.value for v in self.variables])

    def step(self, *batch: Any) -> Any:
        torch: Any = import_module("torch")
        cost, grads = self.gradients(*batch)
        assert self.owner.optimizer is not None
        with torch.no_grad():
            self.owner.optimizer.apply(list(grads), self.variables)
        return cost


ENGINES = {"tensorflow": _TensorFlow, "jax": _Jax, "torch": _Torch}
