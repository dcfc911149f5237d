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
