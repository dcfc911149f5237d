"""A Keras layer of any kind as the reference: Keras computes it, and differentiates it.

Where no formula of ours is the user's forward, Keras's own layer stands for the formula. It runs in
float64; what rounding may do is measured on it, by running it on numbers that are disturbed.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual, independent
from parity.checking.any_layers.noise import Noise, bounds, spread, terms
from parity.checking.any_layers.opened import Opened, Run
from parity.checking.asking import nested
from parity.checking.bugs.findings import TensorResult
from parity.checking.layer.any_layout import (
    Order,
    as_keras,
    every,
    in_words,
    layouts,
    spelled,
)
from parity.checking.layer.fit import Draw, Fit, matched
from parity.checking.layer.kind import NO_SLIPS, Arrays, Kind, Options, Role, Slip, Slips
from parity.checking.layer.reading import MOST, Reading, flat, readings
from parity.checking.layer.reference import Reference
from parity.checking.layer.theirs import is_float

_FLOAT32 = 2.0**-24
# Discards at a glance what is no rounding even in float32: see docs/tolerances.md.
_GLANCE = 1e-3
_PRECISION = (
    "Precision: forward agrees with Keras's layer as far as float32's rounding goes, in which "
    "Keras computes a part of it; smaller errors are not seen."
)
# So many ways to read the arrays are tried for each layout of the inputs.
_MOST_READINGS = 200
# Of arrays with more axes not every order is tried.
_MOST_AXES = 4
# Weights that a layer may be written without, by Keras's names, and what they are then.
_LEFT_OUT = {"bias": 0.0, "beta": 0.0, "gamma": 1.0}


class Asked:
    """A Keras layer, called with inputs that lie in one way.

    Args:
        layer: The layer.
        given: Examples of the inputs as the user's forward takes them.
        layout: How those lie by which a layer is differentiated.

    Attributes:
        kind: What our formulas have, with Keras itself as the formula.

    Raises:
        Exception: Whatever Keras raises that does not take such inputs.
    """

    def __init__(self, layer: Any, given: Sequence[Any], layout: Sequence[Order]) -> None:
        self.given = [np.asarray(value) for value in given if nested.is_array(value)]
        self.differentiable = [is_float(value) for value in self.given]
        floats = [v.shape for v, yes in zip(self.given, self.differentiable, strict=True) if yes]
        shapes = [as_keras(shape, order) for shape, order in zip(floats, layout, strict=True)]
        self.opened = Opened(_model(layer, self._with([np.zeros(shape) for shape in shapes])))
        self.trained = [v for v in self.opened.variables if v.trainable]
        self.names = [_short(p) for p in self.opened.paths]
        if len(set(self.names)) < len(self.names):
            self.names = list(self.opened.paths)
        self.names = [
            name
            for name, v in zip(self.names, self.opened.variables, strict=True)
            if v.trainable
        ]
        run = self.run([np.zeros(shape) for shape in shapes], self.opened.values())
        self.kind = self._kind(shapes, layout, [output.shape for output in run.outputs])

    def _with(self, arrays: Sequence[Any]) -> list[Any]:
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
        for n, (name, v) in enumerate(zip(self.names, self.trained, strict=True)):
            shape, last = tuple(v.shape), name.rpartition("/")[2]
            axes = every(letters(f"w{n}", shape, batch=False), shape)
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
        )

    def run(self, inputs: Sequence[Any], values: Mapping[int, Any], **how: Any) -> Run:
        """Return what Keras computes of inputs, and of weights by the variables' ``id``."""
        return self.opened.run(self._with(inputs), values, **how)

    def _parts(self, arrays: Mapping[str, Any]) -> tuple[list[Any], dict[int, Any]]:
        """Return inputs and weights of arrays by role."""
        inputs = [arrays[name] for name in list(arrays)[: sum(self.differentiable)]]
        values: dict[int, Any] = {**self.opened.values()}
        values |= {id(v): arrays[n] for n, v in zip(self.names, self.trained, strict=True)}
        return inputs, values

    def roughly(self, arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
        """Return the outputs, with room for what might be rounding at a glance."""
        run = self.run(*self._parts({role: array.value for role, array in arrays.items()}))
        rooms = [
            np.full(a.shape, _GLANCE / 2 * max(np.max(np.abs(a), initial=0.0), 1e-300))
            for a in run.outputs
        ]
        return _duals(arrays, run, rooms)

    def exactly(self, unit: float, arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
        """Return the outputs with the room that rounding has: of theirs and of Keras's."""
        inputs, values = self._parts({role: array.value for role, array in arrays.items()})
        run, unit = self.run(inputs, values), self.unit(arrays, unit)
        rooms = bounds(self.opened, self._with(inputs), values, run, unit)
        return _duals(arrays, run, rooms[-1])

    def unit(self, arrays: Arrays, unit: float) -> float:
        """Return the larger of the roundings of the user's numbers, Keras's, and another one."""
        return max(unit, self.opened.unit, *(array.unit for array in arrays.values()))

    def gradients(
        self, arrays: Mapping[str, Array], douts: Sequence[Array | None]
    ) -> dict[str, Array]:
        """Return the gradients of ``sum(output * dout)`` by Keras, by role."""
        from keras_impl import precision
        from keras_impl.pullback import pullback

        opened = self.opened

        def call(tensors: Mapping[str, Any]) -> Any:
            whole: Any = self.run(*self._parts(tensors), written=False).whole[0, 0][1]
            return opened.keras.tree.flatten(whole)

        cast = {name: array.astype(opened.dtype) for name, array in arrays.items()}
        lowered = [None if d is None else d.astype(opened.dtype) for d in douts]
        with precision(opened.dtype):
            return pullback(call, cast, lowered)[1]

    def rooms(
        self, arrays: Mapping[str, Array], douts: Sequence[Array | None], unit: float
    ) -> dict[str, Array]:
        """Return how far rounding may take the gradients: a backward pass is a layer, too."""
        longest = max(terms(self.run(*self._parts(arrays))).values())

        def disturbed(noise: Noise) -> list[Array]:
            moved = {
                name: noise.weight(array) if name in self.names else noise.taken(None, array)
                for name, array in arrays.items()
            }
            given = [None if d is None else noise.taken(None, d) for d in douts]
            return [noise.given(gradient) for gradient in self.gradients(moved, given).values()]

        right = list(self.gradients(arrays, douts).values())
        found = spread(right, disturbed, max(unit, self.opened.unit), {id(None): longest})
        return dict(zip(arrays, found, strict=True))

    @property
    def is_fixed(self) -> bool:
        """Whether the layer is a function of inputs and weights: no dropout, no moving averages."""
        random = any(
            hasattr(layer, "seed_generator")
            and (getattr(layer, "dropout", 1) or getattr(layer, "recurrent_dropout", 0))
            for layer in self.opened.layers
        )
        moving = len(self.trained) < len(self.opened.variables)
        return not random and not moving

    @property
    def recurs(self) -> bool:
        """Whether there is a recurrence in it."""
        return bool(self.opened.cells)


def _duals(arrays: Arrays, run: Run, rooms: Sequence[Array]) -> list[Dual]:
    """Return outputs without slopes along the directions of the arrays; Keras has those."""
    some = next(iter(arrays.values()))
    none = [np.zeros((len(some.slope), *a.shape)) for a in run.outputs]
    return [
        Dual(a.astype(np.float64), slope, room, slope, some.unit)
        for a, slope, room in zip(run.outputs, none, rooms, strict=True)
    ]


def _short(path: str) -> str:
    return path.rpartition("/")[2]


def _model(layer: Any, examples: Sequence[Array]) -> Any:
    """Return a model that calls a layer with inputs of some shapes, in a list or one by one."""
    from keras_impl import keras

    fresh = layer if layer.built else _copied(layer)
    inputs = [
        keras.Input(batch_shape=a.shape, dtype="int32" if a.dtype.kind in "iu" else None)
        for a in examples
    ]
    if len(inputs) == 1:
        return keras.Model(inputs[0], fresh(inputs[0]))
    try:
        return keras.Model(inputs, fresh(inputs))
    except Exception:  # whatever a layer raises that does not take a list
        return keras.Model(inputs, _copied(layer)(*inputs))


def _copied(layer: Any) -> Any:
    """Return a layer with the same options, that is not built yet."""
    try:
        return type(layer).from_config(layer.get_config())
    except Exception:  # a layer of the user's that does not say its options
        return deepcopy(layer)


@dataclass(frozen=True)
class AskedFit(Fit):
    """How a user's forward is a Keras layer of any kind.

    Attributes:
        asked: Keras's layer.
        unit: The rounding with which it agrees, where that is coarser than the user's numbers'.
        rooms: What rounding may do to the gradients of each draw, where it has been measured.
    """

    asked: Any = None
    unit: float = 0.0
    rooms: dict[Any, list[Array]] = field(default_factory=dict[Any, list[Array]])

    def slopes(
        self, draw: Draw, directions: Array, *slips: Slip, douts: Sequence[Array] | None = None
    ) -> tuple[Array, Array]:
        """Return the derivatives of ``sum(output * dout)`` along directions, and their bounds."""
        values, rooms = self.gradients(draw, *slips, douts=douts)
        along = directions[:, :-2]
        value, room = (np.concatenate([a.reshape(-1) for a in each]) for each in (values, rooms))
        return along @ value, np.abs(along) @ room

    def gradients(
        self, draw: Draw, *slips: Slip, douts: Sequence[Array] | None = None
    ) -> tuple[list[Array], list[Array]]:
        """Return the gradient of each of the user's arrays in its shape, and the bounds."""
        none = np.zeros((0, sum(array.size for array in draw.arrays) + 2))
        shapes = [out.shape for out in self.computed(draw, none)]
        arrays, own = self.canonical(draw), self.canonical_douts(draw, shapes)
        key = tuple(array.tobytes() for array in draw.arrays)
        if key not in self.rooms:
            rooms = self.asked.rooms(arrays, own, max(self.unit, draw.unit))
            self.rooms[key] = [2 * room for room in self.back(rooms, draw)]
        if douts is not None:  # a part of the draw's own, with no more room than that
            own = self.canonical_douts(replace(draw, douts=list(douts)), shapes)
        return self.back(self.asked.gradients(arrays, own), draw), self.rooms[key]

    @property
    def by_keras(self) -> bool:
        """Whether the gradients are those of Keras's automatic differentiation."""
        return True

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the comparison."""
        return [_PRECISION] if max(self.unit, self.asked.opened.unit) >= _FLOAT32 else []

    @property
    def conventions(self) -> dict[str, str]:
        """How the arrays lie beside Keras's, in words."""
        kind = self.reference.kind
        own = {role.name: role.axes[0] for role in kind.roles}
        found = {name: in_words(axes, own[name]) for name, axes in self.reading.axes.items()}
        outputs = [in_words(axes, kind.outputs[which][0]) for which, axes in self.outputs]
        return {**found, "outputs": ", ".join(outputs)}


@dataclass(frozen=True)
class Beside:
    """What Keras's layer says where no layout makes forward equal to it.

    Attributes:
        words: What it takes; or why it could not be asked.
        row: The output beside Keras's, where each array lies as Keras has it.
        is_all: Whether every layout that there could be has been tried.
    """

    words: str
    row: TensorResult | None = None
    is_all: bool = False


def asked(
    reference: Reference, draws: Sequence[Draw], given: Sequence[Any], inputs: int
) -> Fit | Beside:
    """Return how the user's forward is a Keras layer; or what that layer says instead.

    Args:
        reference: What it is meant to be.
        draws: What the user's layer said; the outputs have to fit in all of them.
        given: Examples of the inputs as forward takes them.
        inputs: How many of the arrays are given at each call.
    """
    if not hasattr(reference.layer, "get_config"):
        return Beside(f"{reference.words} is compared in the layouts that are known here alone")
    shapes = [array.shape for array in draws[0].arrays]
    first: Beside | None = None
    refused, most = "", 0
    for layout in layouts([len(shape) for shape in shapes[:inputs]]):
        try:
            keras = Asked(reference.layer, given, layout)
        except Exception as error:  # whatever a layer raises that does not take such inputs
            refused = refused or f"{type(error).__name__}: {error}".strip().partition("\n")[0]
            continue
        own = replace(reference, kind=keras.kind, options={})
        ways = list(islice(readings(keras.kind, {}, shapes, inputs), _MOST_READINGS))
        most = max(most, len(ways))
        fit = next(_fits(own, keras, ways, draws), None)
        if fit is not None:
            return fit
        first = first or _beside(keras, reference, ways, draws)
    if first is None:
        return Beside(f"{reference.words} does not take such inputs: {refused}")
    some = most == _MOST_READINGS or inputs > 1 or any(len(shape) > _MOST_AXES for shape in shapes)
    return replace(first, is_all=first.is_all and not some)


def _fits(
    own: Reference, keras: Asked, ways: Sequence[Reading], draws: Sequence[Draw]
) -> Iterator[Fit]:
    """Yield the readings with which the user's forward is Keras's up to rounding."""
    for reading in ways:
        if matched(own, reading, draws, None) is None:
            continue
        for unit in (0.0, _FLOAT32):
            exact = replace(own, kind=replace(own.kind, formula=partial(keras.exactly, unit)))
            fit = matched(exact, reading, draws, None)
            if fit is not None:
                yield AskedFit(own, reading, fit.outputs, asked=keras, unit=unit)


def _beside(
    keras: Asked, reference: Reference, ways: Sequence[Reading], draws: Sequence[Draw]
) -> Beside:
    """Return what Keras says of arrays that lie as it has them."""
    takes = ", ".join(
        f"{name} {tuple(v.shape)}" for name, v in zip(keras.names, keras.trained, strict=True)
    )
    words = f"{reference.words} has {takes or 'no weights'}"
    own = {role.name: role.axes[0] for role in keras.kind.roles}
    as_it_has = [way for way in ways if way.axes == own]
    said = draws[0].outputs[0]
    if not as_it_has:
        return Beside(words)
    vector = flat(draws[0].arrays)
    whole = independent(vector, np.zeros((0, vector.size)), draws[0].unit)
    arrays = {role: whole.taken(places) for role, places in as_it_has[0].places.items()}
    meant = keras.exactly(_FLOAT32, arrays, {}, NO_SLIPS)[0]
    if meant.shape != said.shape:
        return Beside(f"{words}, and outputs of shape {meant.shape}")
    row = TensorResult.of_arrays(
        "forward", "output", "forward", said, meant.value, 2 * meant.error
    )
    return Beside(words, row, keras.is_fixed and _all_known(keras, reference, draws))


def _all_known(keras: Asked, reference: Reference, draws: Sequence[Draw]) -> bool:
    """Return whether the formula of the reference's kind has been tried in every layout, too.

    Of a recurrence it knows the orders of gates. A mask may be meant the other way round.
    """
    arrays = draws[0].arrays
    given = sum(keras.differentiable)
    shapes = [array.shape for array in arrays]
    count = sum(1 for _ in readings(reference.kind, reference.options, shapes, given))
    random = reference.kind.observed(draws[0].outputs)
    known = 0 < count < MOST or (count == 0 and not keras.recurs)
    return known and not random and "mask" not in reference.options
