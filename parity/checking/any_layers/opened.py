"""A Keras model of any kind, run in float64 with every layer's inputs and outputs laid open.

A model that holds numbers of its own in float32 is run in that.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from numpy_impl.types import Array, Precision
from parity.checking.any_layers.exact import exact
from parity.checking.asking import nested
from parity.checking.bugs.change import LayerChange, Setting

_NOTHING = object()


@dataclass(frozen=True)
class WatchedCall:
    """One call of a layer in a run.

    Attributes:
        layer: The Keras layer.
        name: Its name; with the number of the call behind it from the second one on.
        depth: How many calls it stands in: the model itself has 0, its own layers 1.
        inputs: Arrays that it was called with, in order.
        outputs: Its outputs, in order.
        masked: Whether it was given a mask.
    """

    layer: Any
    name: str
    depth: int
    inputs: list[Array]
    outputs: list[Array]
    masked: bool = False


@dataclass
class Run:
    """What a run computed.

    Attributes:
        calls: Calls of layers, in the order in which they ended.
        outputs: The model's outputs, in order.
        whole: For each call, by the number of calls that had ended before it and its depth: how
            many had behind it, and what it returned.
    """

    calls: list[WatchedCall] = field(default_factory=list[WatchedCall])
    outputs: list[Array] = field(default_factory=list[Array])
    whole: dict[tuple[int, int], tuple[int, Any]] = field(
        default_factory=dict[tuple[int, int], tuple[int, Any]], repr=False
    )

    def layers(self, depth: int = 1) -> list[WatchedCall]:
        """Return the calls of the model's own layers, without its inputs."""
        return [call for call in self.calls if call.depth == depth and call.inputs]


class Disturbance(Protocol):
    """What stands for rounding in a run."""

    def taken(self, layer: Any, array: Array) -> Array:
        """Return what a layer takes instead of an array."""
        ...

    def given(self, array: Array) -> Array:
        """Return what a layer gives instead of an array."""
        ...

    def weight(self, array: Array) -> Array:
        """Return what stands for a weight."""
        ...


class Opened:
    """A model whose weights, attributes and layers can be replaced for a run.

    Nothing of it is changed: weights come from a scope of Keras's, and what is set for a run is put
    back behind it. Whatever its layers' dtype is, they compute in float64.

    Args:
        model: A built ``keras.Model``, functional, sequential or subclassed.

    Attributes:
        dtype: In which it is run; float32 where a layer has numbers of its own in it, which
            TensorFlow does not add to others.
    """

    def __init__(self, model: Any) -> None:
        from keras_impl import keras

        self.keras: Any = keras
        self.model = model
        self.dtype: Precision = "float64"
        self.layers: list[Any] = list(model._flatten_layers())
        self.cells = {id(layer.cell) for layer in self.layers if hasattr(layer, "cell")}
        self.variables: list[Any] = [
            v for v in model.variables if keras.backend.is_float_dtype(v.dtype)
        ]

        self.paths = _unique([v.path for v in self.variables])
        self.exact: list[Setting] = [s for layer in self.layers for s in exact(keras, layer)]

    @property
    def unit(self) -> float:
        """Unit roundoff of the dtype in which it is run."""
        return float(np.finfo(self.dtype).eps) / 2

    def values(self) -> dict[int, Array]:
        """Return the weights as they are, in float64, by the variables' ``id``."""
        return {id(v): np.asarray(v.numpy(), np.float64) for v in self.variables}

    def run(
        self,
        inputs: Sequence[Array],
        values: Mapping[int, Array],
        changes: Sequence[LayerChange] = (),
        disturbed: Disturbance | None = None,
        base: Run | None = None,
        upto: int | None = None,
        written: bool = True,
    ) -> Run:
        """Return what the model computes.

        Args:
            inputs: Its inputs, in order.
            values: The weights.
            changes: What is done otherwise.
            disturbed: What stands for rounding; None for none.
            base: The run without changes, from which is taken what comes before them.
            upto: The place of the last call that is of interest; None for all.
            written: Whether to write down the arrays that calls take and give; not while JAX
                differentiates, when there are none.
        """
        from keras_impl import precision

        weights = dict(values)
        settings: list[Setting] = []
        calls: dict[int, Any] = {}
        for change in changes:
            weights |= change.weights
            settings += change.settings
            if change.call is not None:
                calls[id(change.layer)] = change.call
        if disturbed is not None:
            weights = {key: disturbed.weight(array) for key, array in weights.items()}
        run = Run()
        changed = {id(change.layer) for change in changes}
        watch = _Watch(self, run, calls, disturbed, base, changed, upto, written)
        with ExitStack() as stack:
            stack.enter_context(precision(self.dtype))
            policy = self.keras.DTypePolicy(self.dtype)
            for where, name, value in self.exact if self.dtype == "float64" else ():
                stack.enter_context(_set(where, name, value))
            for layer in self.layers:
                if self.keras.backend.is_float_dtype(layer.compute_dtype):
                    stack.enter_context(_set(layer, "_dtype_policy", policy))
                # A recurrence is one layer, whose cell has as many calls as there are steps.
                if id(layer) not in self.cells:
                    stack.enter_context(_set(layer, "call", watch.watched(layer)))
            for tensor in self._inputs():
                if self.keras.backend.is_float_dtype(tensor.dtype):
                    stack.enter_context(_set(tensor, "_dtype", self.dtype))
            for where, name, value in settings:
                stack.enter_context(_set(where, name, value))
            scope = stack.enter_context(self.keras.StatelessScope())
            for variable in self.variables:
                # The scope itself would cast to the variable's own dtype.
                scope.state_mapping[id(variable)] = self.keras.ops.convert_to_tensor(
                    weights[id(variable)], dtype=self.dtype
                )
            with suppress(_Enough):
                self.model(*self.arguments(inputs), training=False)
        run.outputs = run.calls[-1].outputs
        return run

    def _inputs(self) -> Iterator[Any]:
        """Yield what has the dtype to which the model, and each one inside of it, casts its inputs.

        That are the symbolic inputs, and of a sequential model its first layer as well; it keeps a
        functional one, which is no layer of it. What is cast to float32 there has lost its digits,
        and a layer that does not cast (normalization) would compute in it.
        """
        for layer in self.layers:
            for graph in (layer, getattr(layer, "_functional", None)):
                yield from getattr(graph, "_inputs", ())
            if isinstance(layer, self.keras.layers.InputLayer):
                yield layer

    def arguments(self, inputs: Sequence[Array]) -> list[Any]:
        """Return the inputs as the model is called with them: a list of all, or each by itself."""
        if len(inputs) == 1:
            return [inputs[0]]
        return [list(inputs)] if hasattr(self.model, "_inputs") else list(inputs)


class _Enough(BaseException):
    """All that is of interest has been computed; Keras catches exceptions of other kinds."""


class _Watch:
    """Writes down what layers take and give, disturbs it, and puts other calls in their places."""

    def __init__(
        self,
        opened: Opened,
        run: Run,
        replaced: Mapping[int, Any],
        disturbed: Disturbance | None,
        base: Run | None,
        changed: set[int],
        upto: int | None,
        writes: bool,
    ) -> None:
        self.upto = upto
        self.writes = writes
        self.keras, self.dtype = opened.keras, opened.dtype
        self.written = run
        self.replaced = replaced
        self.disturbed = disturbed
        self.base = base
        self.changed = changed
        self.dirty = False
        self.depth = 0
        self.times: dict[int, int] = {}

    def watched(self, layer: Any) -> Callable[..., Any]:
        """Return what stands for a layer's call in this run."""
        own, replacement = layer.call, self.replaced.get(id(layer))
        inside = {id(each) for each in layer._flatten_layers()}

        def call(*args: Any, **kwargs: Any) -> Any:
            start, calls = len(self.written.calls), self.written.calls
            if self.base is not None and not self.dirty and not inside & self.changed:
                end, done = self.base.whole[start, self.depth]
                calls += self.base.calls[start:end]
                self._enough()
                return done
            self.dirty = self.dirty or id(layer) in self.changed
            disturbed = self.disturbed
            if disturbed is not None:
                args = self._map(lambda a: disturbed.taken(layer, a), args)
                kwargs = self._map(lambda a: disturbed.taken(layer, a), kwargs)
            inputs = self._arrays([args, kwargs])
            self.depth += 1
            try:
                done = replacement(own, args, kwargs) if replacement else own(*args, **kwargs)
            finally:
                self.depth -= 1
            if disturbed is not None:
                done = self._map(disturbed.given, done)
            number = self.times[id(layer)] = self.times.get(id(layer), 0) + 1
            name = layer.name if number == 1 else f"{layer.name} ({number})"
            outputs = self._arrays(done)
            masks = [v for key, v in kwargs.items() if key.endswith("mask")]
            masked = any(self.keras.ops.is_tensor(m) for m in self.keras.tree.flatten(masks))
            calls.append(WatchedCall(layer, name, self.depth, inputs, outputs, masked))
            self.written.whole[start, self.depth] = len(calls), done
            self._enough()
            return done

        return call

    def _enough(self) -> None:
        """End the run where nothing behind it is of interest."""
        if self.upto is not None and len(self.written.calls) > self.upto:
            raise _Enough

    def _map(self, function: Callable[[Array], Array], nest: Any) -> Any:
        """Return a nest with the floating-point arrays in it replaced; masks stay on them."""

        def one(tensor: Any) -> Any:
            if not self._is_float(tensor):
                return tensor
            array = function(self.keras.ops.convert_to_numpy(tensor))
            new = self.keras.ops.convert_to_tensor(array, dtype=self.dtype)
            mask = getattr(tensor, "_keras_mask", None)
            if mask is not None:
                new._keras_mask = mask
            return new

        return self.keras.tree.map_structure(one, nest)

    def _is_float(self, tensor: Any) -> bool:
        keras = self.keras
        return keras.ops.is_tensor(tensor) and keras.backend.is_float_dtype(
            keras.backend.standardize_dtype(tensor.dtype)
        )

    def _arrays(self, nest: Any) -> list[Array]:
        if not self.writes:
            return []
        flat = self.keras.tree.flatten(nest)
        return [t for t in map(self._numpy, flat) if t is not None]

    def _numpy(self, tensor: Any) -> Array | None:
        ops = self.keras.ops
        if nested.is_ndarray(tensor):
            return tensor
        return ops.convert_to_numpy(tensor) if ops.is_tensor(tensor) else None


def in_place(run: Run, base: Run, upto: int | None = None) -> Run | None:
    """Return a run with its calls in the places of another's, which may have made more of them.

    A layer that is computed otherwise may not call the layers inside of it.
    """
    keys, own = _keys(base), _keys(run)
    last = len(keys) - 1 if upto is None else upto
    if own == keys[: last + 1]:
        return run
    left = dict(zip(own, run.calls, strict=True))
    if keys[last] not in left or len(own) > len(keys):
        return None
    calls = [left.get(key, call) for key, call in zip(keys, base.calls, strict=True)]
    return Run(calls, run.outputs)


def _keys(run: Run) -> list[tuple[int, int]]:
    """Return for each call its layer's ``id`` and which of that layer's calls it is."""
    times: dict[int, int] = {}
    found: list[tuple[int, int]] = []
    for call in run.calls:
        key = id(call.layer)
        found.append((key, times.setdefault(key, 0)))
        times[key] += 1
    return found


def _unique(paths: Sequence[str]) -> list[str]:
    """Return paths with a number behind those that are there already."""
    return [
        f"{path} ({paths[:n].count(path) + 1})" if path in paths[:n] else path
        for n, path in enumerate(paths)
    ]


@contextmanager
def _set(where: Any, name: str, value: Any) -> Generator[None]:
    """Give an attribute another value for a while, behind the back of Keras's own bookkeeping."""
    before: Any = where.__dict__.get(name, _NOTHING)
    object.__setattr__(where, name, value)
    try:
        yield
    finally:
        if before is _NOTHING:
            object.__delattr__(where, name)
        else:
            object.__setattr__(where, name, before)
