"""A forward pass in bfloat16: whether it is one, and right as far as that goes."""

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from parity.bounds.formats import BFLOAT16
from parity.bounds.rounding import FAILURE_PROBABILITY, Approx
from parity.checking.asking import conventions
from parity.checking.asking.conventions import Sample
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import Subject
from parity.checking.model.layout import Key
from parity.checking.model.network import Pass, Plan

# Runs from which the spread of an output is estimated, and what a function may err at most, in
# units roundoff.
_RUNS, _FUNCTION = 12, 8


def in_bfloat16(subject: Subject, sample: Sample, plan: Plan) -> bool:
    """Return whether a forward pass is in bfloat16, and a plan's as far as its rounding goes.

    It is if it gives the same for inputs, and for a first kernel, that are rounded to bfloat16
    before, which code that computes in more digits does not. Its rounding is the spread of runs
    of the plan that are disturbed by as much.
    """
    return _rounds(subject, sample) and _within_spread(sample, plan)


def _rounds(subject: Subject, sample: Sample) -> bool:
    draw, first, digits = sample.first, Key(0, "kernel"), BFLOAT16.rounded
    coarse = draw.weights | {first: digits(draw.weights[first])}
    for weights, x in ((coarse, draw.x), (draw.weights, digits(draw.x))):
        arrays = sample.layout.pack(weights)
        subject.set_weights(arrays)
        answer = subject.forward(sample.form.x(x))
        read = conventions.read(arrays, x, answer, sample.layout, sample.form)
        if read is None or not alike(read.output, draw.output):
            return False
    return True


def _within_spread(sample: Sample, plan: Plan) -> bool:
    """Return whether the outputs leave the plan's by no more than rounding does, by chance."""
    special: Any = import_module("scipy.special")
    meant = sample.expected(plan, tracked=False).output.value
    square = np.zeros(meant.shape)
    for number in range(_RUNS):
        kind: Any = partial(_Disturbed, number=number)
        square += (sample.expected(plan, False, kind).output.value - meant) ** 2
    width = -float(special.stdtrit(_RUNS, FAILURE_PROBABILITY / 2 / meant.size))
    return bool(np.all(np.abs(sample.first.output - meant) <= width * np.sqrt(square / _RUNS)))


class _Disturbed(Pass):
    """A pass with factors in bfloat16 whose layers give what they do but for so much rounding."""

    def __init__(self, *given: Any, number: int) -> None:
        self.rng = np.random.default_rng([0, number])
        super().__init__(*given)

    def weighted(self, layer: int, signal: Approx) -> Approx:
        """Return the pre-activation, of factors that are rounded."""
        whole = self.kernels[layer]
        self.kernels[layer] = _rounded(whole)
        z = super().weighted(layer, _rounded(signal))
        self.kernels[layer] = whole
        return self._shifted(z, 2)

    def activation(self, layer: int, z: Approx) -> Approx:
        """Return the activation, which errs relative to 1."""
        return self._shifted(super().activation(layer, z), _FUNCTION)

    def _shifted(self, x: Approx, units: float) -> Approx:
        size = units * BFLOAT16.unit * np.maximum(np.abs(x.value), 1.0)
        return Approx(x.value + size * self.rng.standard_normal(x.shape), None, x.rounding)


def _rounded(x: Approx) -> Approx:
    return Approx(BFLOAT16.rounded(x.value), None, x.rounding)
