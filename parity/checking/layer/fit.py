"""A user's forward function read as one of the formulas, and the gradients that follow from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual, independent
from parity.checking.layer.kind import FormulaSlip, Slips
from parity.checking.layer.reading import LayerReading, arranged, flat, in_words, readings
from parity.checking.layer.reference import Reference

# So many directions are differentiated along at once, which bounds the memory.
_AT_ONCE = 128
# With a slip in forward, as many readings are tried as there are usual ones.
_READINGS_WITH_SLIPS = 60


@dataclass(frozen=True)
class LayerDraw:
    """One set of arrays, and what the user's layer said of it.

    Attributes:
        arrays: The user's arrays, in the order of the call.
        outputs: Of the user's forward.
        douts: The derivative by each output that backward was given.
        gradients: The user's, by the place of the array; None where there is none.
    """

    arrays: list[Array]
    outputs: list[Array]
    douts: list[Array]
    gradients: list[Array | None] = field(default_factory=list[Array | None])

    @property
    def unit(self) -> float:
        """The unit roundoff of the user's outputs."""
        lowest = max(float(np.finfo(out.dtype).eps) for out in self.outputs)
        return max(lowest, float(np.finfo(np.float64).eps)) / 2


@dataclass(frozen=True)
class Fit:
    """How a user's forward is one of the formulas.

    Attributes:
        reference: What it is meant to be.
        reading: How the arrays lie.
        outputs: For each output of the user's, which one of the formula's it is, and its axes.
        slip: What is wrong in forward; None: nothing.
    """

    reference: Reference
    reading: LayerReading
    outputs: tuple[tuple[int, str], ...]
    slip: FormulaSlip | None = None

    def computed(self, draw: LayerDraw, directions: Array, *slips: FormulaSlip) -> list[Dual]:
        """Return the formula's outputs, with slopes along directions in the flat vector."""
        whole = slips if self.slip is None else (self.slip, *slips)
        return _computed(self.reference, self.reading, draw, directions, Slips(*whole))

    def laid(self, outputs: Sequence[Dual]) -> list[Dual]:
        """Return the formula's outputs as those of the user's lie."""
        own = self.reference.kind.outputs
        return [
            outputs[which].moved(lambda p, a=axes, w=which: _laid(p, a, own[w][0]))
            for which, axes in self.outputs
        ]

    def near(self, draw: LayerDraw, outputs: Sequence[Dual]) -> list[Array]:
        """Return of each element of the user's outputs whether it is the formula's."""
        pairs = zip(draw.outputs, self.laid(outputs), strict=False)
        return [np.abs(own - out.value) <= 2 * out.error for own, out in pairs]

    def slopes(
        self,
        draw: LayerDraw,
        directions: Array,
        *slips: FormulaSlip,
        douts: Sequence[Array] | None = None,
    ) -> tuple[Array, Array]:
        """Return the derivatives of ``sum(output * dout)`` along directions, and their bounds.

        The bounds are on the difference between two correct computations.
        """
        values: list[Array] = []
        bounds: list[Array] = []
        chosen = draw.douts if douts is None else douts
        for start in range(0, len(directions), _AT_ONCE):
            some = directions[start : start + _AT_ONCE]
            out = self.computed(draw, some, *slips)
            total, bound = np.zeros(len(some)), np.zeros(len(some))
            for part, dout in zip(self.laid(out), chosen, strict=False):
                terms = part.slope.reshape(len(some), -1) * dout.reshape(-1)
                gamma = dout.size * part.unit / (1 - dout.size * part.unit)
                total += terms.sum(axis=1)
                bound += np.sum(
                    part.slope_error.reshape(len(some), -1) * np.abs(dout.reshape(-1))
                    + gamma * np.abs(terms),
                    axis=1,
                )
            values.append(total)
            bounds.append(2 * bound)
        return np.concatenate(values), np.concatenate(bounds)

    def gradients(
        self, draw: LayerDraw, *slips: FormulaSlip, douts: Sequence[Array] | None = None
    ) -> tuple[list[Array], list[Array]]:
        """Return the gradient of each of the user's arrays in its shape, and the bounds."""
        n = sum(array.size for array in draw.arrays)
        directions = np.eye(n, n + 2)
        return tuple(  # pyright: ignore[reportReturnType]
            split(part, draw.arrays) for part in self.slopes(draw, directions, *slips, douts=douts)
        )

    def canonical(self, draw: LayerDraw) -> dict[str, Array]:
        """Return the arrays as the formula takes them, by role."""
        vector = flat(draw.arrays)
        return {role: vector[places] for role, places in self.reading.places.items()}

    def canonical_douts(
        self, draw: LayerDraw, shapes: Sequence[tuple[int, ...]]
    ) -> list[Array | None]:
        """Return the derivatives by each of the formula's outputs, whose shapes are given."""
        found: list[Array | None] = [None] * len(shapes)
        for (which, axes), dout in zip(self.outputs, draw.douts, strict=False):
            places = np.arange(int(np.prod(shapes[which]))).reshape(shapes[which])
            laid = _laid(places, axes, self.reference.kind.outputs[which][0])
            before = found[which]
            whole = np.zeros(shapes[which]) if before is None else before
            whole.reshape(-1)[laid.reshape(-1)] += dout.reshape(-1)
            found[which] = whole
        return found

    def back(self, gradients: Mapping[str, Array], draw: LayerDraw) -> list[Array]:
        """Return gradients by role as those of the user's arrays."""
        vector = np.zeros(sum(array.size for array in draw.arrays) + 2)
        for role, gradient in gradients.items():
            np.add.at(vector, self.reading.places[role], gradient)
        return split(vector[:-2], draw.arrays)

    @property
    def by_keras(self) -> bool:
        """Whether the gradients are those of Keras's automatic differentiation."""
        return False

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the comparison."""
        return []

    @property
    def conventions(self) -> dict[str, str]:
        """How the arrays lie, in words."""
        found = self.reading.conventions
        axes = [in_words(axes) for _, axes in self.outputs]
        return {**found, "outputs": ", ".join(axes)}


def split(vector: Array, arrays: Sequence[Array]) -> list[Array]:
    """Return a flat vector as arrays of the shapes of others."""
    ends = np.cumsum([array.size for array in arrays])
    parts = np.split(vector, ends[:-1])
    return [part.reshape(array.shape) for part, array in zip(parts, arrays, strict=True)]


def _laid(places: Array, axes: str, own: str) -> Array:
    laid = arranged(places, axes, own)
    assert laid is not None
    return laid


def _computed(
    reference: Reference, reading: LayerReading, draw: LayerDraw, directions: Array, slips: Slips
) -> list[Dual]:
    whole = independent(flat(draw.arrays), directions, draw.unit)
    arrays = {role: whole.taken(places) for role, places in reading.places.items()}
    options = {**reference.options, **reference.kind.observed(draw.outputs)}
    return reference.kind.formula(arrays, options, slips)


def fitted(reference: Reference, draws: Sequence[LayerDraw], inputs: int) -> Fit | None:
    """Return how the user's forward is the reference, rightly or with one slip; None if it is not.

    Args:
        reference: What it is meant to be.
        draws: What the user's layer said; the outputs have to fit in all of them.
        inputs: How many of the arrays are given at each call.
    """
    own = reference.options.get("mask")
    if own is None:
        return _fitted(reference, draws, inputs)
    masks = reference.kind.masks(own)
    each = [replace(reference, options={**reference.options, "mask": m}) for m in masks]
    found = (_fitted(one, draws, inputs) for one in each)
    fits = [fit for fit in found if fit is not None]
    # What is right in one way is right; a slip in another way is none.
    return next((fit for fit in fits if fit.slip is None), next(iter(fits), None))


def _fitted(reference: Reference, draws: Sequence[LayerDraw], inputs: int) -> Fit | None:
    shapes = [array.shape for array in draws[0].arrays]
    every = list(readings(reference.kind, reference.options, shapes, inputs))
    for reading in every:
        fit = matched(reference, reading, draws, None)
        if fit is not None:
            return fit
    of_forward: dict[tuple[tuple[str, int], ...], list[FormulaSlip]] = {}
    for reading in every[:_READINGS_WITH_SLIPS]:
        key = tuple(reading.sizes.items())
        if key not in of_forward:
            of_forward[key] = list(_changing(reference, reading, draws[0]))
        for slip in of_forward[key]:
            fit = matched(reference, reading, draws, slip)
            if fit is not None:
                return fit
    return None


def _changing(
    reference: Reference, reading: LayerReading, draw: LayerDraw
) -> Iterator[FormulaSlip]:
    """Yield the slips that change an output: the others are of backward alone."""
    none = np.zeros((0, flat(draw.arrays).size))

    def outputs(*slips: FormulaSlip) -> list[Array] | None:
        try:
            with np.errstate(all="ignore"):
                computed = _computed(reference, reading, draw, none, Slips(*slips))
        except (ValueError, IndexError):  # lengths that do not go together
            return None
        return [out.value for out in computed]

    right = outputs()
    for slip in reference.kind.slips(reading.sizes, reference.options):
        other = outputs(slip)
        same = right is not None and other is not None and all(map(np.array_equal, right, other))
        if not same:
            yield slip


def matched(
    reference: Reference,
    reading: LayerReading,
    draws: Sequence[LayerDraw],
    slip: FormulaSlip | None,
) -> Fit | None:
    """Return how the user's forward is the reference in one reading; None if it is not."""
    slips = Slips() if slip is None else Slips(slip)
    candidates: list[tuple[tuple[int, str], ...]] | None = None
    for draw in draws:
        try:
            with np.errstate(all="ignore"):
                none = np.zeros((0, flat(draw.arrays).size))
                outputs = _computed(reference, reading, draw, none, slips)
        except (ValueError, IndexError):  # lengths that do not go together
            return None
        found = [list(_ways(reference, out, outputs)) for out in draw.outputs[: len(draw.douts)]]
        if not all(found):
            return None
        here = [tuple(ways[0] for ways in found)]
        candidates = here if candidates is None else [c for c in candidates if c in here]
        if not candidates:
            return None
    return None if candidates is None else Fit(reference, reading, candidates[0], slip)


def _ways(
    reference: Reference, theirs: Array, outputs: Sequence[Dual]
) -> Iterator[tuple[int, str]]:
    """Yield of which of the formula's outputs this is one, and how its axes lie."""
    for which, (out, ways) in enumerate(zip(outputs, reference.kind.outputs, strict=False)):
        places: Any = np.arange(out.value.size).reshape(out.shape)
        for axes in ways:
            laid = arranged(places, axes, ways[0])
            if laid is None or laid.shape != theirs.shape:
                continue
            value, error = out.value.reshape(-1)[laid], out.error.reshape(-1)[laid]
            if np.all(np.abs(theirs - value) <= 2 * error):
                yield which, axes
