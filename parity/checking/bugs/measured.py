"""Derivatives that no formula of the catalogue gives, as they were measured point by point."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.activations import slope
from parity.bounds.rounding import Approx
from parity.checking.bugs.table import Bug, Values
from parity.checking.bugs.variant import LayerVariant, Scene, Variant

WRONG_DERIVATIVE = Bug(
    "wrong-derivative",
    "{activation}'s derivative is written wrong: {points}",
    "def d_elu(a): return np.where(a > 0, 1, a)  # a + alpha is meant",
    "compare your derivative of {activation} with (f(z + h) - f(z - h)) / 2h at these z",
)
# Between these distances from 0 a value is worth more as an example: farther out functions are
# flat, and nearer it is hardly seen on which side it is.
_TELLING = 0.3, 2.0
# Fewer points than this do not show that a side is right.
_SIDE = 3


@dataclass(frozen=True)
class MeasuredSlope:
    """What somebody's code multiplies a layer's incoming gradient by, for each z of some probes.

    Attributes:
        z: The pre-activations, (probes, N, units).
        value: The factor at each, same shape.
        uncertainty: How far rounding may have moved it.
    """

    z: Array
    value: Array
    uncertainty: Array

    @property
    def steepness(self) -> Array:
        """How fast the factor changes around each z, from its neighbours among all z.

        Of near and nearer neighbours on a side those count by which rounding is felt least.
        """
        order = np.argsort(self.z, axis=None)
        z, s, spread = (a.ravel()[order] for a in (self.z, self.value, self.uncertainty))
        left, right = np.full_like(s, np.inf), np.full_like(s, np.inf)
        for k in (1, 2, 4):
            rise = np.abs(s[k:] - s[:-k]) + spread[k:] + spread[:-k]
            rise /= np.maximum(z[k:] - z[:-k], np.finfo(z.dtype).tiny)
            left[k:] = np.minimum(left[k:], rise)
            right[:-k] = np.minimum(right[:-k], rise)
        left[0], right[-1] = right[0], left[-1]
        found = np.empty_like(s)
        found[order] = np.maximum(left, right)
        return found.reshape(self.z.shape)

    def variant(self, places: Mapping[int, int], function: ActivationFunction) -> LayerVariant:
        """Return the hypothesis that this factor stands in the derivative's place.

        Args:
            places: By the id of a probe, its place among the probes.
            function: The activation.
        """
        steepness = self.steepness

        def compute(scene: Scene, layer: int, e: Approx) -> Approx | None:
            place = places.get(id(scene.probe))
            if place is None:
                return None
            z = scene.fwd.z[layer]
            # z is off by rounding, where it is measured and here, and so is what is made of it.
            error = self.uncertainty[place] + 2 * steepness[place] * z.bound
            error = error + 2 * slope(function, z).bound
            return e * Approx(self.value[place], error, z.rounding)

        return Variant(compute, WRONG_DERIVATIVE, self.words(function))

    def words(self, function: ActivationFunction) -> Values:
        """Return what fills the bug's texts: two points where it is wrong, and a side that is not.

        Empty where no point is wrong.
        """
        right = function.derivative(self.z, function.value(self.z))
        error = np.abs(self.value - right)
        # A name for what is wrong already: far above rounding.
        wrong = error > 1e-4 * np.maximum(np.abs(right), 1.0)
        if not np.any(wrong):
            return {}
        shown: list[str] = []
        clean = ""
        for side, sign in ((self.z < 0, "<"), (self.z > 0, ">")):
            some = wrong & side
            if not np.any(some):
                if np.count_nonzero(side) >= _SIDE:
                    clean = f"; for z {sign} 0 it is right"
                continue
            near = some & (np.abs(self.z) > _TELLING[0]) & (np.abs(self.z) < _TELLING[1])
            place = np.unravel_index(
                np.argmax(np.where(near if np.any(near) else some, error, -1.0)), error.shape
            )
            shown.append(
                f"at z = {self.z[place]:.4g} your code has {self.value[place]:.4g}, and "
                f"{function.name}'(z) is {right[place]:.4g}"
            )
        return {"activation": function.name, "points": "; ".join(shown) + clean}


LOSS_DERIVATIVE = Bug(
    "loss-derivative",
    "the derivative of your own loss is written wrong, where backpropagation starts: {points}",
    "delta2 = np.where(np.abs(e) <= d, e, d)  # d * np.sign(e) is meant",
    "compare what you start from with (C(z + h) - C(z - h)) / 2h at these outputs and targets",
    symptom=True,
)
# What is alike to so many digits is right, or has the relation that is named.
_ALIKE = 1e-6


@dataclass(frozen=True)
class MeasuredError:
    """What somebody's backpropagation starts from, beside the derivative of the loss.

    Attributes:
        outputs: (samples, outputs).
        targets: Same shape.
        value: ``dC/dz`` as the code has it.
        right: As the loss has it.
    """

    outputs: Array
    targets: Array
    value: Array
    right: Array
    bug = LOSS_DERIVATIVE

    def words(self) -> Values:
        """Return what fills the bug's texts: points where it is wrong, and where it is right.

        Empty where no point is wrong.
        """
        right = self._factor() * self.right
        size = float(np.max(np.abs(right)))
        wrong = np.abs(self.value - right) > _ALIKE * size
        if not np.any(wrong):
            return {}
        e = self.outputs - self.targets
        shown: list[str] = []
        for side in (e < 0, e > 0):
            if not np.any(wrong & side):
                continue
            off = np.where(wrong & side, np.abs(self.value - right), -1.0)
            place = np.unravel_index(np.argmax(off), off.shape)
            shown.append(
                f"at output a = {self.outputs[place]:.4g} and target y = {self.targets[place]:.4g} "
                f"dC/dz is {self.value[place]:.4g}, and of your loss {right[place]:.4g}"
            )
        points = "; ".join(shown)
        relation = self._relation(self.value[wrong], right[wrong], e[wrong])
        points += f": {relation}" if relation else ""
        points += _where_right(e, wrong)
        return {"points": points}

    def _factor(self) -> float:
        """Return the factor of the most points that have one; 1 if no two share one."""
        telling = np.abs(self.right) > 1e-3 * np.max(np.abs(self.right))
        ratios = self.value[telling] / self.right[telling]
        alike = np.abs(ratios[:, None] - ratios) <= _ALIKE * np.abs(ratios)
        counts = np.sum(alike, axis=1) * (ratios > 0)
        # What is right as it stands needs no factor.
        if np.any(np.abs(ratios - 1) <= _ALIKE) or not counts.size or np.max(counts) < 3:
            return 1.0
        return float(ratios[np.argmax(counts)])

    def _relation(self, value: Array, right: Array, e: Array) -> str:
        """Return how the values that are wrong come of the right ones, where that is simple."""

        def alike(one: Array, other: Array) -> bool:
            return bool(np.all(np.abs(one - other) <= _ALIKE * np.max(np.abs(other))))

        if not np.any(value):
            return "it is 0 there"
        if alike(value, -right):
            return "the sign is lost there"
        if alike(value, np.sign(e)):
            return "it is sign(a - y) there"
        if alike(value, e):
            return "it is a - y as it is there"
        with np.errstate(all="ignore"):
            ratio = value / right
        if np.all(np.isfinite(ratio)) and alike(ratio, np.full_like(ratio, ratio[0])):
            return f"it is {ratio[0]:.4g} times as large there"
        return ""


def _where_right(e: Array, wrong: Array) -> str:
    """Say for which errors a - y all is right, where one number parts these from the others."""
    fine = ~wrong
    if np.count_nonzero(fine) < _SIDE:
        return ""
    size = np.abs(e)
    bounds = (
        (np.max(size[fine]), np.min(size[wrong]), "|a - y| up to {:.3g}"),
        (np.max(size[wrong]), np.min(size[fine]), "|a - y| from {:.3g} on"),
        (np.max(e[fine]), np.min(e[wrong]), "a - y up to {:.3g}"),
        (np.max(e[wrong]), np.min(e[fine]), "a - y from {:.3g} on"),
    )
    for number, (low, high, words) in enumerate(bounds):
        if low < high:
            return "; for " + words.format(high if number % 2 else low) + " it is right"
    return ""
