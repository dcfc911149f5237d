"""Does one way of computing a tensor give the user's tensor, up to one factor and rounding?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.catalogue.variant import Scene, Variant
from parity.checking.probe import wide

# From a scene to the tensor that a hypothesis gives; None where the hypothesis makes no sense.
Make = Callable[[Scene], Approx | None]


@dataclass(frozen=True)
class Match:
    """A hypothesis about one tensor that holds to within rounding, on every probe.

    Attributes:
        variant: The way to compute it from the layer's delta.
        ratio: The user's tensor is ``ratio`` times that of the hypothesis, 0 where it is missing;
        uncertainty: give or take this much, by rounding.
        decay: and has ``decay`` times the weight itself added,
        decay_uncertainty: give or take this much.
    """

    variant: Variant
    ratio: float
    uncertainty: float
    decay: float = 0.0
    decay_uncertainty: float = 0.0

    @property
    def cost(self) -> int:
        """How many things have to be wrong."""
        return self.variant.cost + bool(self.decay)


@dataclass(frozen=True)
class Data:
    """One tensor of the user's on every probe.

    Attributes:
        quick: Scenes that compute values alone.
        bounded: Scenes that compute bounds as well.
        observed: The tensor, one a probe.
        weights: The weight that it belongs to, one a probe.
        noise: What is to be added to the bounds, one a probe.
        glance: A linear map to something smaller, by which most hypotheses are seen to fail.
    """

    quick: Sequence[Scene]
    bounded: Sequence[Scene]
    observed: Sequence[Array]
    weights: Sequence[Array]
    noise: Sequence[Array | float]
    glance: Callable[[Array], Array] = lambda tensor: tensor

    @cached_property
    def zero(self) -> bool:
        """Whether the user's tensor is all zeros."""
        return not any(np.any(g) for g in self.observed)

    def test(
        self, variant: Variant, make: Make, glimpse: Make, decay: bool = False, sharp: bool = False
    ) -> Match | None:
        """Return the match of a hypothesis, or None if it does not hold.

        First values alone, to see whether it is worth a closer look; then with bounds.

        Args:
            variant: The hypothesis.
            make: Computes its tensor.
            glimpse: Computes ``glance`` of its tensor, cheaper.
            decay: Whether a multiple of the weight is added.
            sharp: Whether it has to say something of every element, as a bug must.
        """
        values: list[Array] = []
        for scene, observed in zip(self.quick, self._glances[0], strict=True):
            value = glimpse(scene)
            if value is None or value.value.shape != observed.shape:
                return None
            values.append(value.value)
            # The first probe alone shows most hypotheses to be wrong, and then the first two.
            if not self._near(values, decay):
                return None
        return self._confirmed(variant, make, decay, sharp or bool(variant.title))

    def vanishing(self, variant: Variant, make: Make) -> Match | None:
        """Return the match of a hypothesis whose tensor is zero but for rounding, as the user's is.

        No factor can be read off that. (A softmax's deltas add up to zero, say.)
        """
        made = [make(scene) for scene in self.bounded]
        for value, g in zip(made, self.observed, strict=True):
            if value is None or value.value.shape != g.shape:
                return None
            if np.any(np.abs(value.value) > value.bound) or np.any(np.abs(g) > 4 * value.bound):
                return None
        return Match(variant, 0.0, 0.0)

    def _near(self, values: list[Array], decay: bool) -> bool:
        observed, weights = (tensors[: len(values)] for tensors in self._glances)
        ratio, shift = _coefficients(observed, values, weights, decay)
        if np.isnan(ratio):  # too few numbers to tell yet
            return decay
        if not ratio or not np.isfinite(ratio):
            return False
        # Over all probes: on one of them a tensor may be zero but for rounding.
        size = max(float(np.max(np.abs(a))) for a in (*(ratio * v for v in values), *observed))
        left = max(
            float(np.max(np.abs(g - ratio * v - shift * w)))
            for g, v, w in zip(observed, values, weights, strict=True)
        )
        return left <= wide(self.quick[0].fwd.rounding) * size

    @cached_property
    def _glances(self) -> tuple[list[Array], list[Array]]:
        return [self.glance(g) for g in self.observed], [self.glance(w) for w in self.weights]

    def _confirmed(self, variant: Variant, make: Make, decay: bool, sharp: bool) -> Match | None:
        made = [make(scene) for scene in self.bounded]
        bounded = [value for value in made if value is not None]
        values = [v.value for v in bounded]
        if sharp and not _sharp(bounded):
            return None
        ratio, shift = _coefficients(self.observed, values, self.weights, decay)
        if not np.isfinite(ratio):
            return None
        allowed = []
        for v, w, noise in zip(bounded, self.weights, self.noise, strict=True):
            scaled = scaled_bound(v, ratio) + noise
            if decay:
                scaled = scaled + 4 * v.rounding.unit * abs(shift) * np.abs(w)
            allowed.append(scaled)
        # Least squares moves the ratio by at most the weighted mean of the errors.
        spread = sum(float(np.sum(a * np.abs(v))) for a, v in zip(allowed, values, strict=True))
        uncertainty = spread / _dot(values, values)
        shift_error = 0.0
        if decay:
            uncertainty *= 4
            scale = max(float(np.max(np.abs(w))) for w in self.weights)
            shift_error = uncertainty * max(float(np.max(np.abs(v))) for v in values) / scale
        for g, v, w, a in zip(self.observed, values, self.weights, allowed, strict=True):
            room = a + uncertainty * np.abs(v) + (4 * uncertainty * np.abs(w) if decay else 0.0)
            if not np.all(np.abs(g - ratio * v - shift * w) <= room):
                return None
        return Match(variant, ratio, uncertainty, shift, shift_error)


def _coefficients(
    observed: Sequence[Array], values: Sequence[Array], weights: Sequence[Array], decay: bool
) -> tuple[float, float]:
    """Fit ``observed = ratio * value + shift * weight`` by least squares."""
    vv, gv = _dot(values, values), _dot(observed, values)
    if not decay:
        return (gv / vv if vv else 0.0), 0.0
    ww, wv, gw = _dot(weights, weights), _dot(weights, values), _dot(observed, weights)
    determinant = vv * ww - wv * wv
    if determinant <= 1e-6 * vv * ww:
        return np.nan, np.nan
    return (gv * ww - gw * wv) / determinant, (gw * vv - gv * wv) / determinant


def _sharp(bounded: Sequence[Approx]) -> bool:
    """Return whether a hypothesis says something of every element.

    At a kink (ReLU's derivative taken at a 0) the bound has the jump in it and would excuse
    anything; such a hypothesis explains nothing.
    """
    width = wide(bounded[0].rounding)
    return all(np.max(v.bound) <= width * np.max(np.abs(v.value)) for v in bounded)


def scaled_bound(value: Approx, ratio: float) -> Array:
    """Return how far two correct computations of ``ratio * value`` may be apart.

    The factor may be put in before or after, in one or in several operations: four roundings.
    """
    return abs(ratio) * (2 * value.bound + 4 * value.rounding.unit * np.abs(value.value))


def _dot(one: Sequence[Array], other: Sequence[Array]) -> float:
    return float(sum(np.vdot(a, b) for a, b in zip(one, other, strict=True)))
