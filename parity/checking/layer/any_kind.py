"""A Keras layer of any kind: Keras computes it, and differentiates it.

It runs in float64. What rounding may do is measured on it, by running it on numbers that are
disturbed (:mod:`parity.checking.any_layers.noise`).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array, Shape
from parity.bounds.dual import Dual
from parity.checking.any_layers.noise import Noise, bounds, spread, terms
from parity.checking.any_layers.opened import Opened, Run
from parity.checking.asking import nested
from parity.checking.layer.any_layout import Order, as_keras, every, spelled
from parity.checking.layer.kind import Arrays, Kind, Options, Role, Slips
from parity.checking.layer.masks import is_mask, without_each
from parity.checking.layer.reading import COMMON_ORDERS
from parity.checking.layer.theirs import is_float

# Discards at a glance what is no rounding even in float32: see docs/tolerances.md.
_GLANCE = 1e-3
# After so many glances at arrays of the same shapes it pays to compile one.
_OFTEN = 12
# Weights that a layer may be written without, by Keras's names, and what they are then.
_LEFT_OUT = {"bias": 0.0, "beta": 0.0, "gamma": 1.0}


class Asked:
    """A Keras layer, called with inputs that lie in one way.

    Args:
        layer: The layer.
        given: Examples of the inputs as the user's forward takes them.
        layout: How those lie by which a layer is differentiated.
        masks: What it is called with besides, by name: none of ``given`` is a mask then.

    Attributes:
        given: All inputs that are arrays; and of each whether it is differentiated by.
        trained: The layer's trained variables, with their names.
        kind: What our formulas have, with Keras itself as the formula.
        precision: Unit roundoff of what it answers.
        looks_at_masks: Whether each of the masks changes what it answers, unless all is True.

    Raises:
        Exception: Whatever Keras raises that does not take such inputs.
    """

    def __init__(
        self, layer: Any, given: Sequence[Any], layout: Sequence[Order], masks: Mapping[str, Any]
    ) -> None:
        arrays = [np.asarray(value) for value in given if nested.is_array(value)]
        self.given = [v for v in arrays if not (masks and is_mask(v))]
        self.differentiable = [is_float(value) for value in self.given]
        floats = [v.shape for v, yes in zip(self.given, self.differentiable, strict=True) if yes]
        shapes = [as_keras(shape, order) for shape, order in zip(floats, layout, strict=True)]
        # Of one sample the user's arrays, masks as well, are without the batch.
        alone = any(0 not in order for order in layout)
        own = _with_batch(masks) if alone else masks
        self.opened = Opened(_model(layer, self.with_rest([np.zeros(s) for s in shapes]), own))
        self.trained = [v for v in self.opened.variables if v.trainable]
        paths = dict(zip(map(id, self.opened.variables), self.opened.paths, strict=True))
        whole = [paths[id(v)] for v in self.trained]
        short = [path.rpartition("/")[2] for path in whole]
        self.names = short if len(set(short)) == len(short) else whole
        self._met: Counter[tuple[Shape, ...]] = Counter()
        rng = np.random.default_rng(0)
        inputs = [rng.standard_normal(shape) for shape in shapes]
        run = self._first(inputs, rng)
        self.looks_at_masks = self._looks(inputs, own)
        self.precision = max(map(_precision, run.outputs))
        self.kind = self._kind(shapes, layout, [output.shape for output in run.outputs])

    def _first(self, inputs: Sequence[Array], rng: np.random.Generator) -> Run:
        """Return a run; where the layer does not run in float64, it is run in float32 from now on.

        A layer that holds numbers of its own in float32 does not.
        """
        values = self.opened.values()
        values |= {id(v): rng.standard_normal(tuple(v.shape)) for v in self.trained}
        try:
            return self.run(inputs, values)
        except Exception:
            self.opened.dtype = "float32"
            return self.run(inputs, values)

    def _looks(self, inputs: Sequence[Array], masks: Mapping[str, Any]) -> bool:
        """Return whether each mask makes a difference that is not True everywhere anyway.

        Those that are inputs, as all else is, are masks too.
        """
        rng = np.random.default_rng(1)
        values = self.opened.values()
        values |= {id(v): rng.standard_normal(tuple(v.shape)) for v in self.trained}
        said = self.run(inputs, values).outputs
        layer: Any = self.opened.model.layers[-1]
        for others in without_each(masks):
            opened = Opened(_model(layer, self.with_rest(inputs), others))
            opened.dtype = self.opened.dtype
            if all(map(np.array_equal, said, opened.run(self.with_rest(inputs), values).outputs)):
                return False
        whole = self.with_rest(inputs)
        for k, (value, counts) in enumerate(zip(self.given, self.differentiable, strict=True)):
            if not counts and is_mask(value) and not np.all(value):
                others = [*whole[:k], np.ones_like(value), *whole[k + 1 :]]
                if all(map(np.array_equal, said, self.opened.run(others, values).outputs)):
                    return False
        return True

    def with_rest(self, arrays: Sequence[Any]) -> list[Any]:
        """Return all inputs, with arrays in the places of those that are differentiated by."""
        rest = iter(arrays)
        pairs = zip(self.given, self.differentiable, strict=True)
        return [next(rest) if yes else value for value, yes in pairs]

    def _kind(
        self,
        shapes: Sequence[tuple[int, ...]],
        layout: Sequence[Order],
        outputs: Sequence[tuple[int, ...]],
    ) -> Kind:
        batches = {shape[0] for shape in shapes if shape}
        one_batch = len(batches) == 1
        sizes: dict[str, int] = {}

        def letters(name: str, shape: tuple[int, ...], batch: bool) -> list[str]:
            found = [f"{name}.{axis}" for axis in range(len(shape))]
            if batch and one_batch and shape and shape[0] in batches:
                found[0] = "b"
            sizes.update(zip(found, shape, strict=True))
            return found

        inputs: list[Role] = []
        for n, (shape, order) in enumerate(zip(shapes, layout, strict=True)):
            own = letters(f"x{n}", shape, batch=True)
            axes = (" ".join(own), spelled(own, order))
            inputs.append(Role(f"x{n + 1}" if n else "x", tuple(dict.fromkeys(axes))))
        weights: list[Role] = []
        gates = self.gates
        for n, (name, v) in enumerate(zip(self.names, self.trained, strict=True)):
            shape, last = tuple(v.shape), name.rpartition("/")[2]
            own = letters(f"w{n}", shape, batch=False)
            if gates > 1 and id(v) in self._gated:
                # As in the formulas of recurrences: so many blocks, which may lie in any order.
                sizes[own[-1]] = shape[-1] // gates
                own[-1] = f"{gates}{own[-1]}"
            axes = every(own, shape)
            weights.append(Role(name, axes, last not in _LEFT_OUT, _LEFT_OUT.get(last, 0.0)))
        return Kind(
            inputs=tuple(inputs),
            weights=tuple(weights),
            outputs=tuple(
                every(letters(f"y{n}", shape, batch=True), shape) for n, shape in enumerate(outputs)
            ),
            formula=self.roughly,
            slips=lambda sizes, options: (),
            sizes=lambda options: dict(sizes),
            gates=gates,
        )

    @property
    def _gated(self) -> set[int]:
        """The ``id`` of each weight of a cell that has a recurrent kernel."""
        cells = [each for each in self.opened.layers if hasattr(each, "recurrent_kernel")]
        return {id(v) for cell in cells for v in cell.weights}

    @property
    def gates(self) -> int:
        """How many blocks the weights of its cells have, one for each gate; 1 if that differs."""
        kernels = [getattr(each, "recurrent_kernel", None) for each in self.opened.layers]
        counts = {int(k.shape[-1]) // int(k.shape[-2]) for k in kernels if k is not None}
        return counts.pop() if len(counts) == 1 and counts <= set(COMMON_ORDERS) else 1

    def run(self, inputs: Sequence[Any], values: Mapping[int, Any], **how: Any) -> Run:
        """Return what Keras computes of inputs, and of weights by the variables' ``id``."""
        return self.opened.run(self.with_rest(inputs), values, **how)

    def parts(
        self, arrays: Mapping[str, Any], held: Mapping[int, Any] | None = None
    ) -> tuple[list[Any], dict[int, Any]]:
        """Return inputs and weights of arrays by role, and all else that the layer holds."""
        inputs = [arrays[name] for name in list(arrays)[: sum(self.differentiable)]]
        values: dict[int, Any] = {**(self.opened.values() if held is None else held)}
        values |= {id(v): arrays[n] for n, v in zip(self.names, self.trained, strict=True)}
        return inputs, values

    def roughly(self, arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
        """Return the outputs, with room for what might be rounding at a glance."""
        outputs = self._outputs({role: array.value for role, array in arrays.items()})
        rooms = [
            np.full(a.shape, _GLANCE / 2 * max(np.max(np.abs(a), initial=0.0), 1e-300))
            for a in outputs
        ]
        return _duals(arrays, outputs, rooms)

    def _outputs(self, arrays: Mapping[str, Array]) -> list[Array]:
        """Return the outputs for a glance; of shapes that are met often by a compiled call."""
        shapes = tuple(array.shape for array in arrays.values())
        self._met[shapes] += 1
        if self._met[shapes] > _OFTEN:
            from keras_impl import precision

            try:
                with precision(self.opened.dtype):
                    return self._traced({k: a.astype(self.opened.dtype) for k, a in arrays.items()})
            except Exception:  # what Keras does not compile is called as before
                self._met[shapes] = -(10**9)
        return self.run(*self.parts(arrays)).outputs

    @cached_property
    def _traced(self) -> Callable[[Mapping[str, Array]], list[Array]]:
        from keras_impl.tracing import traced

        held = self.opened.values()

        def call(tensors: Mapping[str, Any]) -> list[Any]:
            run = self.run(*self.parts(tensors, held), written=False)
            return self.opened.keras.tree.flatten(run.whole[0, 0][1])

        return traced(call)

    def exactly(self, lowest: float, arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
        """Return the outputs with the room that rounding has: of theirs and of Keras's.

        ``lowest`` is a unit roundoff that is allowed in any case.
        """
        inputs, values = self.parts({role: array.value for role, array in arrays.items()})
        run = self.run(inputs, values)
        unit = max(lowest, self.precision, *(array.unit for array in arrays.values()))
        rooms = bounds(self.opened, self.with_rest(inputs), values, run, unit)
        return _duals(arrays, run.outputs, rooms[-1])

    def gradients(
        self, arrays: Mapping[str, Array], douts: Sequence[Array | None]
    ) -> dict[str, Array]:
        """Return the gradients of ``sum(output * dout)`` by Keras, by role."""
        from keras_impl import precision
        from keras_impl.pullback import pullback

        opened = self.opened

        def call(tensors: Mapping[str, Any]) -> Any:
            whole: Any = self.run(*self.parts(tensors), written=False).whole[0, 0][1]
            return opened.keras.tree.flatten(whole)

        cast = {name: array.astype(opened.dtype) for name, array in arrays.items()}
        lowered = [None if d is None else d.astype(opened.dtype) for d in douts]
        with precision(opened.dtype):
            return pullback(call, cast, lowered)[1]

    def rooms(
        self, arrays: Mapping[str, Array], douts: Sequence[Array | None], unit: float
    ) -> dict[str, Array]:
        """Return how far rounding may take the gradients: a backward pass is a layer, too."""
        longest = max(terms(self.run(*self.parts(arrays))).values())

        def disturbed(noise: Noise) -> list[Array]:
            moved = {
                name: noise.weight(array) if name in self.names else noise.taken(None, array)
                for name, array in arrays.items()
            }
            given = [None if d is None else noise.taken(None, d) for d in douts]
            return [noise.given(gradient) for gradient in self.gradients(moved, given).values()]

        right = list(self.gradients(arrays, douts).values())
        found = spread(right, disturbed, max(unit, self.precision), {id(None): longest})
        return dict(zip(arrays, found, strict=True))

    @property
    def random(self) -> list[str]:
        """Names of layers in it that draw numbers in training, as dropout does."""
        return [
            layer.name
            for layer in self.opened.layers
            if hasattr(layer, "seed_generator")
            and (getattr(layer, "dropout", 1) or getattr(layer, "recurrent_dropout", 0))
        ]

    @property
    def untrained(self) -> list[str]:
        """Names of the numbers in it that are not trained, as moving averages."""
        return [v.path for v in self.opened.variables if not v.trainable]

    @property
    def recurs(self) -> bool:
        """Whether there is a recurrence in it."""
        return bool(self.opened.cells)


def _duals(arrays: Arrays, outputs: Sequence[Array], rooms: Sequence[Array]) -> list[Dual]:
    """Return outputs without slopes along the directions of the arrays; Keras has those."""
    some = next(iter(arrays.values()))
    none = [np.zeros((len(some.slope), *a.shape)) for a in outputs]
    return [
        Dual(a.astype(np.float64), slope, room, slope, some.unit)
        for a, slope, room in zip(outputs, none, rooms, strict=True)
    ]


def _precision(output: Array) -> float:
    """Return the unit roundoff of an output: of numbers that are all float32's, that of float32.

    TensorFlow resizes pictures in float32, whatever it is given, and Keras casts that back.
    """
    is_low = np.array_equal(output, output.astype(np.float32)) and bool(np.any(output % 1))
    return float(np.finfo(np.float32 if is_low else output.dtype).eps) / 2


def _with_batch(masks: Mapping[str, Any]) -> dict[str, Any]:
    """Return masks as those of one sample."""

    def one(mask: Any) -> Any:
        return None if mask is None else mask[None]

    return {
        name: list(map(one, cast(list[Any], value))) if isinstance(value, list) else one(value)
        for name, value in masks.items()
    }


def _model(layer: Any, examples: Sequence[Array], masks: Mapping[str, Any]) -> Any:
    """Return a model that calls a layer with inputs of some shapes, in a list or one by one."""
    from keras_impl import keras

    fresh = layer if layer.built else _copied(layer)  # a call that fails may leave it half built
    inputs = [
        keras.Input(batch_shape=a.shape, dtype="int32" if a.dtype.kind in "iu" else None)
        for a in examples
    ]
    if len(inputs) == 1:
        try:
            return keras.Model(inputs[0], fresh(inputs[0], **masks))
        except TypeError:  # an attention that has to be given a value, too: it is that to itself
            again = layer if fresh is layer else _copied(layer)
            return keras.Model(inputs[0], again(inputs[0], inputs[0], **masks))
    try:
        return keras.Model(inputs, fresh(inputs, **masks))
    except Exception:  # whatever a layer raises that does not take a list
        again = layer if fresh is layer else _copied(layer)
        return keras.Model(inputs, again(*inputs, **masks))


def _copied(layer: Any) -> Any:
    """Return a layer with the same options, that is not built yet."""
    try:
        return layer.from_config(layer.get_config())
    except Exception:  # a layer of the user's that does not say its options
        return deepcopy(layer)
