"""Does one way of computing a layer's tensors give the user's, up to one factor and rounding?"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Literal

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.bugs.parts import partial_biases, partial_kernels, reordered_kernels
from parity.checking.bugs.tensors import (
    BIAS_MISSING,
    KERNEL_MISSING,
    WITHOUT_DELTA,
    KernelVariant,
    bias_variants,
    kernel_variants,
)
from parity.checking.bugs.variant import LayerVariant, Scene, Variant
from parity.checking.explain.agreement import scaled_bound
from parity.checking.model.layout import Key
from parity.checking.model.probe import Probe, wide

# From a scene to the tensor that a hypothesis gives; None where the hypothesis makes no sense.
Make = Callable[[Scene], Approx | None]
# A hypothesis about a tensor, what computes that, and what computes it at a glance.
Way = tuple[Variant[...], Make, Make]
# A tensor that nothing explains weighs as much as so many wrong things that are named.
_UNEXPLAINED = 3
# A tensor with more units roundoff than this in it is not zero but for rounding.
_MOST_UNITS = 1e4
# The derivatives of other penalties than L2, and what stands by mistake where one is meant.
MEANT = "sign(W)", "W / sqrt(sum(W^2))"
PENALTIES: dict[str, Callable[[Array], Array]] = {
    "sign(W)": np.sign,
    "W / sqrt(sum(W^2))": lambda w: w / np.sqrt(np.sum(w * w)),
    "W^2": lambda w: w * w,
    "|W|": np.abs,
    "the number sum(W^2)": lambda w: np.full_like(w, np.sum(w * w)),
    "the number sum(W)": lambda w: np.full_like(w, np.sum(w)),
}


@dataclass(frozen=True)
class Match:
    """A hypothesis about one tensor that holds to within rounding, on every probe.

    Attributes:
        variant: The way to compute it from the layer's delta.
        ratio: The user's tensor is ``ratio`` times that of the hypothesis, 0 where it is missing;
        uncertainty: give or take this much, by rounding.
        decay: and has ``decay`` times the weight itself added,
        decay_uncertainty: give or take this much,
        penalty: and a share of one of the functions of the weight in ``PENALTIES``,
        share: so many times that,
        share_uncertainty: give or take this much.
    """

    variant: Variant[...]
    ratio: float
    uncertainty: float
    decay: float = 0.0
    decay_uncertainty: float = 0.0
    penalty: str = ""
    share: float = 0.0
    share_uncertainty: float = 0.0

    @property
    def cost(self) -> int:
        """How many things have to be wrong."""
        return self.variant.cost + bool(self.decay) + bool(self.penalty)

    def added(self, weight: Array) -> tuple[Array, Array]:
        """Return what is added by penalty and decay, and how far it may be off."""
        value = PENALTIES[self.penalty](weight)
        off = self.share_uncertainty * np.abs(value) + self.decay_uncertainty * np.abs(weight)
        return self.share * value + self.decay * weight, off


@dataclass
class LayerFit:
    """What explains one layer.

    Attributes:
        layer: Counted from 0.
        deltas: The ways by which its delta comes about.
        make: Computes that delta.
        tensors: The match of each, None where nothing explains it; the bias first.
        cost: How many things are wrong.
        incoming: Computes the gradient at the layer's activation, which the delta is made of.
        alone: Whether what is wrong with the delta is wrong for this layer's own gradients alone,
            and what it hands down is right.
    """

    layer: int
    deltas: tuple[Variant[...], ...]
    make: Make
    tensors: dict[Key, Match | None]
    cost: int
    incoming: Make | None = None
    alone: bool = False

    @property
    def matched(self) -> dict[Key, Match]:
        """The tensors that are explained and not missing, so that their factors are known."""
        return {key: m for key, m in self.tensors.items() if m is not None and m.ratio}

    @property
    def turned(self) -> bool:
        """Whether all that is explained has the sign turned."""
        return bool(self.matched) and all(m.ratio < 0 for m in self.matched.values())


@dataclass(frozen=True)
class TensorData:
    """One tensor of the user's on every probe.

    Attributes:
        key: Which tensor.
        quick: Scenes that compute values alone.
        bounded: Scenes that compute bounds as well.
        observed: The tensor, one a probe.
        weights: The weight that it belongs to, one a probe.
        noise: What is to be added to the bounds, one a probe.
    """

    key: Key
    quick: Sequence[Scene]
    bounded: Sequence[Scene]
    observed: Sequence[Array]
    weights: Sequence[Array]
    noise: Sequence[Array | float]

    @cached_property
    def zero(self) -> bool:
        """Whether the user's tensor is all zeros."""
        return not any(np.any(g) for g in self.observed)

    @property
    def one_number(self) -> bool:
        """Whether the user's kernel gradient is one and the same number in all its elements."""
        if self.key.part == "bias" or self.zero or min(g.size for g in self.observed) < 2:
            return False
        unit = self.quick[0].fwd.rounding.unit
        room = [4 * unit * np.abs(g) + n for g, n in zip(self.observed, self.noise, strict=True)]
        pairs = zip(self.observed, room, strict=True)
        return all(np.max(g - r) <= np.min(g + r) for g, r in pairs)

    @property
    def missing(self) -> Match:
        """What explains a tensor that is all zeros."""
        bug = KERNEL_MISSING if self.key.part == "kernel" else BIAS_MISSING
        return Match(Variant(lambda *_: None, bug), 0.0, 0.0)

    def right_way(self, make: Make) -> Way:
        """Return the right way to compute the tensor from the delta that ``make`` gives."""
        return next(self._with(make, self._variants[:1]))

    def wrong_ways(self, make: Make, deltas: tuple[Variant[...], ...]) -> Iterator[Way]:
        """Yield the others, those that take longer only where the delta is the right one."""
        yield from self._with(make, self._variants[1:])
        yield from self._with(make, self._partial)
        if self.key.part == "kernel" and all(variant.bug is None for variant in deltas):
            yield from self._with(make, reordered_kernels())

    @cached_property
    def _variants(self) -> Sequence[LayerVariant | KernelVariant]:
        if self.key.part == "bias":
            return bias_variants(self.quick[0].fwd.plan.depth)
        return kernel_variants()

    @cached_property
    def _partial(self) -> list[LayerVariant | KernelVariant]:
        """The right ways, but for the elements that the user has as zeros on every probe."""
        if self.key.part == "bias":
            return [*partial_biases(self.observed)]
        return [*partial_kernels(self.observed)]

    def _with(self, make: Make, variants: Sequence[LayerVariant | KernelVariant]) -> Iterator[Way]:
        def then(tensor: Callable[..., Approx | None], *more: Array) -> Make:
            def made(scene: Scene) -> Approx | None:
                delta = make(scene)
                return None if delta is None else tensor(scene, self.key.layer, delta, *more)

            return made

        p = _projection(self.weights[0].shape[-1])
        for v in variants:
            if isinstance(v, KernelVariant):
                yield v, then(v.gradient), then(v.glimpse, p)
            else:
                yield v, then(v.compute), then(v.compute)

    def penalised(self, way: Way) -> Match | None:
        """Return the match of the right kernel gradient with a share of a function of W added."""
        for form, function in PENALTIES.items():
            other = replace(self, weights=[function(w) for w in self.weights])
            match = other.test(*way, decay=True)
            if match is not None and abs(match.decay) > match.decay_uncertainty:
                return replace(
                    match, decay=0.0, decay_uncertainty=0.0, penalty=form, share=match.decay,
                    share_uncertainty=match.decay_uncertainty,
                )  # fmt: skip
        return self._elastic(way)

    def _elastic(self, way: Way) -> Match | None:
        """Return the match of the right gradient with shares of both sign(W) and W added.

        With the share of sign(W) taken off, the rest is a gradient with weight decay.
        """
        make = way[1]
        made = [make(scene) for scene in self.bounded]
        bounded = [value for value in made if value is not None]
        if len(bounded) < len(self.observed):
            return None
        signs = [np.sign(w) for w in self.weights]
        columns = [[v.value for v in bounded], self.weights, signs]
        matrix = np.stack([np.concatenate([a.ravel() for a in c]) for c in columns], axis=1)
        if not np.all(np.isfinite(matrix)):
            return None
        inverse = np.linalg.pinv(matrix)
        observed = np.concatenate([g.ravel() for g in self.observed])
        ratio, _, share = (float(c) for c in inverse @ observed)
        allowed = [scaled_bound(v, ratio) + n for v, n in zip(bounded, self.noise, strict=True)]
        errors = np.concatenate(
            [np.broadcast_to(a, v.shape).ravel() for a, v in zip(allowed, bounded, strict=True)]
        )
        off = float(np.abs(inverse[2]) @ errors)
        if not np.isfinite(share) or abs(share) <= 4 * off:
            return None
        rest = [g - share * s for g, s in zip(self.observed, signs, strict=True)]
        noise = [n + off for n in self.noise]
        match = replace(self, observed=rest, noise=noise).test(*way, decay=True)
        if match is None or abs(match.decay) <= match.decay_uncertainty:
            return None
        return replace(match, penalty="sign(W)", share=share, share_uncertainty=off)

    def wrong(self, ways: Iterable[Way]) -> Match | None:
        """Return the match of the first wrong way that holds."""
        for way in ways:
            match = self.test(*way, sharp=True) or self.vanishing(way[0], way[1])
            if match is not None:
                return match
        return None

    def test(
        self,
        variant: Variant[...],
        make: Make,
        glimpse: Make,
        decay: bool = False,
        sharp: bool = False,
    ) -> Match | None:
        """Return the match of a hypothesis, or None if it does not hold.

        First values alone, to see whether it is worth a closer look; then with bounds.

        Args:
            variant: The hypothesis.
            make: Computes its tensor.
            glimpse: Computes its tensor at a glance: smaller, cheaper, and mostly enough.
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
        return self._confirmed(variant, make, decay, sharp or variant.bug is not None)

    def vanishing(self, variant: Variant[...], make: Make) -> Match | None:
        """Return the match of a hypothesis whose tensor is zero but for rounding, as the user's is.

        No factor can be read off that. (A softmax's deltas add up to zero, say.)
        """
        # Cheap, and so first: inputs and errors are of order one, and bounds are some units.
        unit = self.bounded[0].fwd.rounding.unit
        if any(np.max(np.abs(g), initial=0.0) > _MOST_UNITS * unit for g in self.observed):
            return None
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
        sizes = [abs(ratio) * np.abs(v).max() for v in values]
        allowed = wide(self.quick[0].fwd.rounding) * max(*sizes, *self._sizes[: len(values)])
        return all(
            np.abs(g - ratio * v - shift * w if decay else g - ratio * v).max() <= allowed
            for g, v, w in zip(observed, values, weights, strict=True)
        )

    @cached_property
    def _sizes(self) -> list[float]:
        """The largest number of each glance."""
        return [float(np.abs(g).max()) for g in self._glances[0]]

    @cached_property
    def _glances(self) -> tuple[list[Array], list[Array]]:
        if self.key.part == "bias":
            return [*self.observed], [*self.weights]
        p = _projection(self.weights[0].shape[1])
        return [g @ p for g in self.observed], [w @ p for w in self.weights]

    def _confirmed(
        self, variant: Variant[...], make: Make, decay: bool, sharp: bool
    ) -> Match | None:
        made = [make(scene) for scene in self.bounded]
        bounded = [value for value in made if value is not None]
        values = [v.value for v in bounded]
        if sharp and not _sharp(bounded):
            return None
        ratio, shift = _coefficients(self.observed, values, self.weights, decay)
        if not np.isfinite(ratio):
            return None
        allowed: list[Array] = []
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


class ObservedGradients:
    """The user's gradients on some probes, and what a delta makes of them.

    Attributes:
        quick: Scenes of the probes that compute values alone.
        bounded: Scenes that compute bounds as well.
        data: The tensors that there are on every probe.
    """

    def __init__(self, probes: Sequence[Probe]) -> None:
        self.quick = [Scene(p, p.forward(tracked=False)) for p in probes]
        self.bounded = [Scene(p, p.forward(tracked=True)) for p in probes]
        self.data: dict[Key, TensorData] = {}
        for key in probes[0].weights:
            if all(key in probe.gradients for probe in probes):
                gradients = [p.gradients[key] for p in probes]
                weights = [p.weights[key] for p in probes]
                noise = [p.noise.get(key, 0.0) for p in probes]
                self.data[key] = TensorData(
                    key, self.quick, self.bounded, gradients, weights, noise
                )
        self._decaying = False

    def fit(
        self, layer: int, deltas: tuple[Variant[...], ...], make: Make, wrong: bool = False
    ) -> LayerFit | None:
        """Return how well a delta explains a layer's gradients; None if it explains none.

        Args:
            layer: Counted from 0.
            deltas: The ways by which the delta comes about.
            make: Computes it.
            wrong: Whether to look at wrong ways to get both gradients from it. Otherwise one of the
                two has to be right: most deltas fail at that, and soon.
        """
        make = _remembered(make)
        if make(self.quick[0]) is None:
            return None
        own = self._of(layer)
        fit = LayerFit(layer, deltas, make, {}, sum(variant.cost for variant in deltas))
        if all(data.zero for data in own):  # no delta ever reaches the layer
            fit.tensors = {data.key: data.missing for data in own}
        else:
            ways = {data.key: data.right_way(make) for data in own}
            fit.tensors = {d.key: self._right(d, ways[d.key], deltas) for d in own}
            if not wrong and not fit.matched:
                return None
            for key, match in fit.tensors.items():
                if match is None and key.part == "kernel" and not any(v.bug for v in deltas):
                    match = fit.tensors[key] = self.data[key].penalised(ways[key])
                if match is None:
                    data = self.data[key]
                    fit.tensors[key] = data.wrong(data.wrong_ways(make, deltas))
            if all(m.variant.bug in WITHOUT_DELTA for m in fit.matched.values()):
                return None
        fit.cost += sum(_UNEXPLAINED if m is None else m.cost for m in fit.tensors.values())
        return fit

    def folded(self, layer: int) -> Literal["row", "column"] | None:
        """Return what of the user's kernel is the layer's bias; None where that is an array."""
        probe = self.quick[0].probe
        if Key(layer, "bias") not in probe.weights or len(probe.arrays) > probe.plan.depth:
            return None
        inputs, units = probe.weights[Key(layer, "kernel")].shape
        return "column" if any(a.shape == (units, inputs + 1) for a in probe.arrays) else "row"

    def unexplained(self, layer: int, deltas: tuple[Variant[...], ...], make: Make) -> LayerFit:
        """Return the fit of a layer that nothing explains."""
        tensors = dict.fromkeys(data.key for data in self._of(layer))
        cost = _UNEXPLAINED * (len(tensors) + 1)
        return LayerFit(layer, deltas, _remembered(make), tensors, cost)

    def _of(self, layer: int) -> list[TensorData]:
        """Return a layer's tensors, the bias first: it is compared the fastest."""
        keys = Key(layer, "bias"), Key(layer, "kernel")
        return [self.data[key] for key in keys if key in self.data]

    def _right(self, data: TensorData, way: Way, deltas: tuple[Variant[...], ...]) -> Match | None:
        """Return the match of the right way, perhaps with weight decay added."""
        if data.zero:
            return data.missing
        sharp = any(variant.bug for variant in deltas)
        match = data.test(*way, sharp=sharp)
        if match is None and (deltas[0].bug is None or self._decaying):
            match = data.test(*way, decay=True, sharp=sharp)
            self._decaying = self._decaying or match is not None
        return match


@cache
def _projection(units: int) -> Array:
    """Return two fixed vectors by which kernels are compared at a glance, (units, 2)."""
    return np.random.default_rng(units).standard_normal((units, 2))


def _remembered(make: Make) -> Make:
    """Return ``make`` so that it computes once for each scene."""
    known: dict[Scene, Approx | None] = {}

    def remembered(scene: Scene) -> Approx | None:
        if scene not in known:
            with np.errstate(all="ignore"):
                known[scene] = make(scene)
        return known[scene]

    return remembered


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


def _dot(one: Sequence[Array], other: Sequence[Array]) -> float:
    return float(sum(np.vdot(a, b) for a, b in zip(one, other, strict=True)))
