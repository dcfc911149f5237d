"""A user's forward function read as a Keras layer of any kind, where none of the formulas is it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from numpy_impl.types import Array, Shape
from parity.bounds.dual import independent
from parity.checking.any_layers.causes import Cause
from parity.checking.bugs.findings import TensorResult, listed
from parity.checking.layer.any_kind import Asked
from parity.checking.layer.any_layout import Order, in_words, is_usual, layouts
from parity.checking.layer.changed import cause_of
from parity.checking.layer.fit import Fit, LayerDraw, matched
from parity.checking.layer.kind import NO_SLIPS, FormulaSlip
from parity.checking.layer.masks import Named, in_keras, is_mask, ways
from parity.checking.layer.reading import MOST, LayerReading, flat, readings
from parity.checking.layer.reference import Reference

_FLOAT32 = 2.0**-24
# So many ways to read the arrays are tried for each layout of the inputs: of two LSTMs all orders
# of gates, side by side too, for each of the ways in which six arrays of three shapes are theirs.
_MOST_READINGS = 400
# So many layouts are compared with what Keras's layer gives where one thing in it is changed: its
# own alone, where the arrays have the shapes of that.
_MOST_CHANGED = 3
# Of arrays with more axes not every order is tried.
_MOST_AXES = 4
_PRECISION = (
    "Precision: Keras computes this layer in float32, and forward agrees with it as far as the "
    "rounding of that goes; smaller errors are not seen."
)


@dataclass(frozen=True)
class AskedFit(Fit):
    """How a user's forward is a Keras layer of any kind.

    Attributes:
        asked: Keras's layer.
        masks: What it is called with besides its inputs.
        rooms: What rounding may do to the gradients of each draw, where it has been measured.
    """

    asked: Any = None
    masks: Named = field(default_factory=dict[str, Any])
    rooms: dict[Any, list[Array]] = field(default_factory=dict[Any, list[Array]])

    def slopes(
        self,
        draw: LayerDraw,
        directions: Array,
        *slips: FormulaSlip,
        douts: Sequence[Array] | None = None,
    ) -> tuple[Array, Array]:
        """Return the derivatives of ``sum(output * dout)`` along directions, and their bounds."""
        values, rooms = self.gradients(draw, *slips, douts=douts)
        along = directions[:, :-2]
        value, room = (np.concatenate([a.reshape(-1) for a in each]) for each in (values, rooms))
        return along @ value, np.abs(along) @ room

    def gradients(
        self, draw: LayerDraw, *slips: FormulaSlip, douts: Sequence[Array] | None = None
    ) -> tuple[list[Array], list[Array]]:
        """Return the gradient of each of the user's arrays in its shape, and the bounds."""
        none = np.zeros((0, sum(array.size for array in draw.arrays) + 2))
        shapes = [out.shape for out in self.computed(draw, none)]
        arrays, own = self.canonical(draw), self.canonical_douts(draw, shapes)
        key = tuple(array.tobytes() for array in draw.arrays)
        if key not in self.rooms:
            rooms = self.asked.rooms(arrays, own, draw.unit)
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
        found = [_PRECISION] if self.asked.precision >= _FLOAT32 else []
        if self.asked.untrained:
            held = listed(self.asked.untrained)
            found.append(
                f"Inference: {self.reference.words} holds numbers that are not trained ({held}), "
                "and was asked as it is at inference."
            )
        return found

    @property
    def unusual(self) -> str:
        """The names of arrays in which height and width have changed places."""
        kind = self.reference.kind
        spaces = {role.name: (role.axes[0], 1) for role in kind.inputs}
        spaces |= {role.name: (role.axes[0], 0) for role in kind.weights}
        found = [n for n, axes in self.reading.axes.items() if not is_usual(axes, *spaces[n])]
        if not all(is_usual(axes, kind.outputs[which][0], 1) for which, axes in self.outputs):
            found.append("outputs")
        return listed(found)

    @property
    def conventions(self) -> dict[str, str]:
        """How the arrays lie beside Keras's, in words."""
        kind = self.reference.kind
        own = {role.name: role.axes[0] for role in kind.roles}
        found = {name: in_words(axes, own[name]) for name, axes in self.reading.axes.items()}
        outputs = [in_words(axes, kind.outputs[which][0]) for which, axes in self.outputs]
        gates = self.reading.conventions.get("gates")
        found |= {"gates": gates} if gates else {}
        if self.masks:
            found["masks"] = listed([in_keras(n, value) for n, value in self.masks.items()])
        return {**found, "outputs": ", ".join(outputs)}


@dataclass(frozen=True)
class Beside:
    """What Keras's layer says where no layout makes forward equal to it.

    Attributes:
        words: What it takes; or why it could not be asked.
        row: The output beside Keras's, where each array lies as Keras has it.
        is_all: Whether every layout that there could be has been tried.
        cause: What is changed in Keras's layer where it gives the same as the user's forward.
    """

    words: str
    row: TensorResult | None = None
    is_all: bool = False
    cause: Cause | None = None


def asked(
    reference: Reference, draws: Sequence[LayerDraw], given: Sequence[Any], inputs: int
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
    given_masks = reference.options.get("masks", [])
    first: Beside | None = None
    tried: list[tuple[Asked, LayerReading]] = []
    refused, turned, most = "", "", 0
    for masks, layout in _handed(reference, given, shapes[:inputs]):
        try:
            keras = Asked(reference.layer, given, layout, masks)
            if given_masks and not keras.looks_at_masks:
                continue  # so that nobody is right who does not look at them either
        except Exception as error:  # whatever a layer raises that does not take such inputs
            refused = refused or f"{type(error).__name__}: {error}".strip().partition("\n")[0]
            continue
        if keras.random:
            return Beside(f"{reference.words} draws numbers in training: {listed(keras.random)}")
        own = replace(reference, kind=keras.kind, options={})
        read = list(islice(readings(keras.kind, {}, shapes, inputs), _MOST_READINGS))
        most = max(most, len(read))
        for fit in _fits(own, keras, read, draws):
            unusual = fit.unusual
            if not unusual:
                return replace(fit, masks=masks)
            turned = turned or unusual
        first = first or _beside(keras, reference, read, draws)
        usual = (r for r in read if not AskedFit(own, r, (), asked=keras).unusual)
        tried += [(keras, reading) for reading in islice(usual, 1)]
    if first is None:
        return Beside(f"{reference.words} does not take such inputs: {refused}")
    if turned:
        return Beside(f"{reference.words} is equal with height and width exchanged in {turned}")
    some = 1 if first.row is not None else _MOST_CHANGED
    causes = (cause_of(keras, reading, draws) for keras, reading in tried[:some])
    cause = next((found for found in causes if found is not None), None)
    cut = most == _MOST_READINGS or inputs > 1 or any(len(shape) > _MOST_AXES for shape in shapes)
    return replace(first, is_all=first.is_all and not cut, cause=cause)


def _handed(
    reference: Reference, given: Sequence[Any], shapes: Sequence[Shape]
) -> Iterator[tuple[Named, tuple[Order, ...]]]:
    """Yield by which arguments masks are handed over, and how inputs of some shapes lie.

    Masks that are inputs may be inputs of Keras's layer, too.
    """
    masks: list[tuple[str, Array]] = reference.options.get("masks", [])
    every = list(ways(reference.layer, masks, len(shapes)))
    if masks and len(masks) == sum(map(is_mask, given)):
        every.append({})
    for named in every:
        for layout in layouts([len(shape) for shape in shapes]):
            yield named, layout


def _fits(
    own: Reference, keras: Asked, read: Sequence[LayerReading], draws: Sequence[LayerDraw]
) -> Iterator[AskedFit]:
    """Yield the readings with which the user's forward is Keras's up to rounding."""
    for reading in read:
        if matched(own, reading, draws, None) is None:
            continue
        exact = replace(own, kind=replace(own.kind, formula=partial(keras.exactly, 0.0)))
        fit = matched(exact, reading, draws, None)
        if fit is not None:
            yield AskedFit(own, reading, fit.outputs, asked=keras)


def _beside(
    keras: Asked, reference: Reference, read: Sequence[LayerReading], draws: Sequence[LayerDraw]
) -> Beside:
    """Return what Keras says of arrays that lie as it has them."""
    takes = ", ".join(
        f"{name} {tuple(v.shape)}" for name, v in zip(keras.names, keras.trained, strict=True)
    )
    words = f"{reference.words} has {takes or 'no weights'}"
    own = {role.name: role.axes[0] for role in keras.kind.roles}
    as_it_has = [way for way in read if way.axes == own]
    said = draws[0].outputs[0]
    if not as_it_has:
        return Beside(words)
    vector = flat(draws[0].arrays)
    whole = independent(vector, np.zeros((0, vector.size)), draws[0].unit)
    arrays = {role: whole.taken(places) for role, places in as_it_has[0].places.items()}
    meant = keras.exactly(_FLOAT32, arrays, {}, NO_SLIPS)[0]
    if meant.shape != said.shape:
        return Beside(f"{words}, and outputs of shape {meant.shape}")
    if not np.all(np.isfinite(meant.value)):
        return Beside(f"{words}, and outputs that are not finite for some of these inputs")
    row = TensorResult.of_arrays("forward", "output", "forward", said, meant.value, 2 * meant.error)
    if row.right:
        words += "; they agree to float32's rounding, and no further"
    return Beside(words, row, not keras.untrained and _all_known(keras, reference, draws))


def _all_known(keras: Asked, reference: Reference, draws: Sequence[LayerDraw]) -> bool:
    """Return whether the formula of the reference's kind has been tried in every layout, too.

    Of a recurrence it knows the orders of gates. A mask may be meant the other way round.
    """
    arrays = draws[0].arrays
    given = sum(keras.differentiable)
    shapes = [array.shape for array in arrays]
    count = sum(1 for _ in readings(reference.kind, reference.options, shapes, given))
    random = reference.kind.observed(draws[0].outputs)
    known = 0 < count < MOST or (count == 0 and not keras.recurs)
    masked = "mask" in reference.options or reference.options.get("masks")
    return known and not random and not masked
