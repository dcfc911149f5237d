"""How far rounding may lead in a Keras model: its layers run on numbers that are disturbed."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.any_layers.opened import Opened, Run, in_place
from parity.checking.bugs.change import LayerChange

# Roundings that a function such as tanh may take, as in parity.bounds.activations.
_FUNCTION = 8
# Runs from which the spread of an output is estimated, and the chance of one false alarm in all
# the numbers that are compared, as in parity.bounds.rounding.
_RUNS, _FALSE_ALARM = 12, 1e-6
# Of the disturbances.
_SEED = 0


class Noise:
    """Disturbs what layers take and give, as rounding of a hand-written layer would at most.

    A weight, and what a layer takes, is changed relative to itself by n units of the last place,
    n being the terms of the layer's longest sum: by Cauchy and Schwarz the spread of the outputs is
    then at least that of n rounded additions in whatever order. What a layer gives is
    changed by as much as a function errs that is written in exponentials, relative to 1 at least.

    Args:
        unit: Unit roundoff, 2^-53 for float64.
        terms: Terms of the longest sum of each layer, by the layers' ``id``.
        rng: Draws the disturbances.
    """

    def __init__(self, unit: float, terms: Mapping[int, int], rng: np.random.Generator) -> None:
        self.unit = unit
        self.terms = terms
        self.rng = rng

    def _shift(self, size: float, array: Array) -> Array:
        return size * self.unit * self.rng.standard_normal(array.shape)

    def taken(self, layer: Any, array: Array) -> Array:
        """Return what a layer takes instead of an array; class numbers are exact."""
        if not np.any(array % 1):
            return array
        return array * (1 + self._shift(self.terms.get(id(layer), _FUNCTION), array))

    def given(self, array: Array) -> Array:
        """Return what a layer gives instead of an array."""
        return array + np.maximum(np.abs(array), 1.0) * self._shift(_FUNCTION, array)

    def weight(self, array: Array) -> Array:
        """Return what stands for a weight."""
        fan_in = int(np.prod(array.shape[:-1])) if array.ndim > 1 else 0
        return array * (1 + self._shift(_FUNCTION + fan_in, array))


def terms(run: Run) -> dict[int, int]:
    """Return how many terms the longest sum in each layer has, by the layers' ``id``.

    A kernel's inputs are added up; a pooling adds what its output is smaller by; a normalisation,
    a softmax or a recurrence goes along one axis.
    """
    found: dict[int, int] = {}
    for call in run.calls:
        kernels: list[Shape] = [tuple(v.shape) for v in call.layer.weights if len(v.shape) > 1]
        count = sum(int(np.prod(shape[:-1])) for shape in kernels)
        if not kernels or getattr(call.layer, "_layers", None):
            count += max([n for a in call.inputs for n in a.shape[1:]], default=1)
        sizes = [a.size for a in call.outputs if a.size]
        if sizes and call.inputs:
            count = max(count, max(a.size for a in call.inputs) // min(sizes))
        key = id(call.layer)
        found[key] = max(found.get(key, 0), _FUNCTION + count)
    return found


def bounds(
    opened: Opened,
    inputs: Sequence[Array],
    values: Mapping[int, Array],
    right: Run,
    unit: float,
    changes: Sequence[LayerChange] = (),
) -> list[list[Array]]:
    """Return how far rounding may take each output of each call, in their order.

    Args:
        opened: The model.
        inputs: Its inputs.
        values: Its weights.
        right: The run without disturbance.
        unit: Unit roundoff.
        changes: What is done otherwise, also in ``right``.
    """
    right_outputs = [a for call in right.calls for a in call.outputs]

    def disturbed(noise: Noise) -> list[Array]:
        run = in_place(opened.run(inputs, values, changes, noise), right)
        assert run is not None  # the same calls as without disturbance, at the most
        return [a for call in run.calls for a in call.outputs]

    rooms = iter(spread(right_outputs, disturbed, unit, terms(right)))
    return [[next(rooms) for _ in call.outputs] for call in right.calls]


def spread(
    right: Sequence[Array],
    disturbed: Callable[[Noise], Sequence[Array]],
    unit: float,
    longest: Mapping[int, int],
) -> list[Array]:
    """Return how far rounding may take each number of some arrays.

    Args:
        right: The arrays without disturbance.
        disturbed: ``(noise) -> arrays`` with it.
        unit: Unit roundoff.
        longest: Terms of the longest sum of each layer, by the layers' ``id``.
    """
    special: Any = import_module("scipy.special")

    squares = [np.zeros(a.shape) for a in right]
    for number in range(_RUNS):
        noise = Noise(unit, longest, np.random.default_rng([_SEED, number]))
        for square, a, b in zip(squares, right, disturbed(noise), strict=True):
            square += (b - a) ** 2
    count = sum(square.size for square in squares)
    # A sum of many small errors is normal; one over a spread that was estimated is a Student's t.
    width = -float(special.stdtrit(_RUNS, _FALSE_ALARM / 2 / count))
    return [width * np.sqrt(square / _RUNS) for square in squares]
