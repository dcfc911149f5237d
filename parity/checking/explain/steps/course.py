"""The steps that somebody's code has taken, as vectors, and what they follow."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx, Rounding
from parity.checking.asking.gradients import Anew, Direct, Taken
from parity.checking.asking.subject import lowest
from parity.checking.bugs.variant import OutputVariant, Scene
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, correct_gradients
from parity.checking.model.network import rounding_for
from parity.checking.model.probe import Probe
from parity.checking.model.rules import State, Update

# Of larger arrays a fixed selection of numbers is looked at.
_MOST_NUMBERS = 400
# By which factor a first step that is flat may vary: epsilon, and shares of the weights, are open.
_FLAT = 2.0
# A first look at a rule, with epsilon and the reduction still open, may be off by this much.
_ROUGH = 0.1
# A look at the first step without bounds may be off by this much, and what is known to a thousandth
# of it is looked at: then bounds would not be wider, whatever a rule does to them.
_GLANCE = 1e-8

# A step is a sum of gradients, at a glance, where this share of it is left.
_SUM = 1e-5

Gradients = Mapping[Key, Approx]
GradientsAt = Callable[[Probe], Gradients]


@dataclass(frozen=True)
class Course:
    """Steps as vectors: what each changed, at which rate, from which weights and gradient.

    Attributes:
        parts: Where each tensor lies in the vectors.
        changes: Of each step.
        noise: What the difference of two weights has lost.
        rates: The learning rate that each step was given.
        gradients: With their bounds.
        weights: Before each step.
        places: For each number which of the user's arrays it is from.
        probes: The weights and batch of each step.
        anew: What of the state of the optimizer starts anew with each.
    """

    parts: dict[Key, slice]
    changes: list[Array]
    noise: list[Array]
    rates: list[float]
    gradients: list[Approx]
    weights: list[Array]
    places: Array
    probes: list[Probe]
    anew: list[Anew]

    def only(self, keys: Sequence[Key]) -> "Course":
        """Return the course of some of the tensors."""
        every = np.arange(len(self.places))
        keep = np.concatenate([every[self.parts[k]] for k in keys])
        sizes = [self.parts[k].stop - self.parts[k].start for k in keys]
        ends = np.cumsum([0, *sizes])
        parts = {k: slice(int(a), int(b)) for k, a, b in zip(keys, ends, ends[1:], strict=False)}
        return replace(
            self,
            parts=parts,
            changes=[c[keep] for c in self.changes],
            noise=[n[keep] for n in self.noise],
            gradients=[g[keep] for g in self.gradients],
            weights=[w[keep] for w in self.weights],
            places=self.places[keep],
        )

    def at_rates(self, multiples: Sequence[float]) -> "Course":
        """Return the course with each step's learning rate times a number."""
        pairs = zip(self.rates, multiples, strict=True)
        return replace(self, rates=[rate * times for rate, times in pairs])

    def until(self, steps: int) -> "Course":
        """Return the first steps."""
        return replace(
            self, changes=self.changes[:steps], noise=self.noise[:steps], rates=self.rates[:steps],
            gradients=self.gradients[:steps], weights=self.weights[:steps],
            probes=self.probes[:steps], anew=self.anew[:steps],
        )  # fmt: skip

    def follows(self, update: Update, factor: float = 1.0) -> bool:
        """Return whether every step is the rule's up to rounding."""
        (begins,) = self.begins_as(update, self.multiplied([factor]))
        return bool(begins) and self.parts_at(update, [factor] * len(self.changes)) is None

    @cached_property
    def _begun(self) -> tuple["Course", Array, Array]:
        """The first step without bounds, and which of its numbers have large gradients.

        Last, which of these are known so well that a glance can tell that a step is another.
        """
        g, change, noise = self.gradients[0], np.abs(self.changes[0]), self.noise[0]
        size, enough = np.abs(g.value), 1e-3 * _GLANCE
        large = size >= 0.3 * np.max(size)
        exact = (g.bound <= enough * size) & (noise <= enough * np.max(change))
        return self.bare.until(1), large, large & exact

    def begins_as(self, update: Update, gradients: Array, roughly: bool = False) -> Array:
        """Return for each row of gradients whether the first step may be the rule's by them.

        Without bounds, and all at once: many times as fast as steps with bounds are.

        Args:
            update: The rule, which takes numbers one by one.
            gradients: Of shape (rows, numbers), as they may be at the first step.
            roughly: Whether epsilon is open.
        """
        first, large, known = self._begun
        some, off = (large, _ROUGH) if roughly else (known, _GLANCE)
        if not np.any(some):
            return np.ones(len(gradients), bool)
        rows = replace(first.gradients[0], value=gradients)
        (expected,) = replace(first, gradients=[rows]).run(update, [1.0])
        value = np.broadcast_to(expected.value, gradients.shape)[:, some]
        room = off * np.max(np.abs(value), axis=1, keepdims=True)
        return ~np.any(np.abs(self.changes[0][some] - value) > room, axis=1)

    def multiplied(self, factors: Sequence[float]) -> Array:
        """Return the first step's gradients times each factor, in rows."""
        g = self.gradients[0].value
        return g * np.asarray(factors, g.dtype)[:, None]

    @cached_property
    def bare(self) -> "Course":
        """The same without bounds."""
        bare = replace(self.gradients[0].rounding, tracked=False)
        return replace(self, gradients=[Approx(g.value, None, bare) for g in self.gradients])

    def parts_at(self, update: Update, factors: Sequence[float]) -> int | None:
        """Return the first step, from 0, that is not the rule's; None if all are."""
        run = zip(self.run(update, factors), self.changes, self.noise, strict=True)
        for k, (expected, change, noise) in enumerate(run):
            if not np.all(within(change, expected, noise)):
                return k
        return None

    @property
    def flat(self) -> bool:
        """Whether the first step takes about as much off every weight with a large gradient.

        What divides by a root does, as its state starts from 0: ``g / sqrt(g^2)``.
        """
        change, g = np.abs(self.changes[0]), np.abs(self.gradients[0].value)
        large = change[g >= 0.3 * np.max(g)]
        return bool(np.max(large) <= _FLAT * np.min(large))

    def roughly(self, update: Update, factor: float) -> bool:
        """Return whether the steps look like the rule's at a first glance."""
        run = self.run(update, [factor] * len(self.changes))
        for expected, change, g in zip(run, self.changes, self.gradients, strict=True):
            # Where the gradient is small, epsilon matters.
            large = np.abs(g.value) >= 0.3 * np.max(np.abs(g.value))
            off = np.abs(change - expected.value)[large]
            if not np.all(off <= _ROUGH * np.max(np.abs(expected.value[large]))):
                return False
        return True

    def run(self, update: Update, factors: Sequence[float]) -> Iterator[Approx]:
        """Yield what the rule makes of each step."""
        layers = np.zeros(len(self.places), int)
        for key, part in self.parts.items():
            layers[part] = key.layer
        start: State = {
            "place": self.places, "arrays": int(np.max(self.places)) + 1,
            "layer": layers, "layers": self.probes[0].plan.depth,
        }  # fmt: skip
        state = {**start}
        steps = zip(self.gradients, factors, self.rates, self.weights, self.anew, strict=True)
        with np.errstate(all="ignore"):
            for g, factor, rate, w, anew in steps:
                if anew == "count":
                    state["t"] = 0
                elif anew:
                    kept = {"t": state.get("t", 0)} if anew == "averages" else {}
                    state = {**start, **kept}
                yield update.change(state, g if factor == 1 else g * factor, rate, w)

    def sizes(self) -> list[float] | None:
        """Return how many times its gradient each step goes down; None where it does not."""
        measured = self.measured_sizes()
        return None if measured is None else [size for size, _ in measured]

    def responses(self) -> list[float] | None:
        """Return the same as if all steps had one gradient, of steps that go on from each other.

        Each is taken for a sum of shares of the gradients so far. None where it is none, at a
        glance, or where the rate changes.
        """
        if any(self.anew[1:]) or len(set(self.rates)) > 1:
            return None
        found: list[float] = []
        for k, change in enumerate(self.changes):
            matrix = np.stack([g.value for g in self.gradients[: k + 1]], axis=1)
            if not np.all(np.isfinite(matrix)) or not np.all(np.isfinite(change)):
                return None
            shares = np.linalg.lstsq(matrix, change, rcond=None)[0]
            left = np.linalg.norm(change - matrix @ shares)
            if left > _SUM * np.linalg.norm(change):
                return None
            found.append(-float(np.sum(shares)))
        return found

    def measured_sizes(self) -> list[tuple[float, float]] | None:
        """Return the same, each with how far it may be off."""
        found: list[tuple[float, float]] = []
        for change, noise, g in zip(self.changes, self.noise, self.gradients, strict=True):
            square = float(np.vdot(g.value, g.value))
            size = -float(np.vdot(change, g.value)) / square if square else 0.0
            error = float(np.abs(g.value) @ (noise + abs(size) * g.bound)) / (square or 1.0)
            # What is fitted may be as far off as its error says.
            room = noise + error * np.abs(g.value)
            if not np.all(within(change, g * -size * 1.0, room)):
                return None
            found.append((size, error))
        return found


def within(change: Array, expected: Approx, noise: Array) -> Array:
    """Return where a change is what is expected, up to rounding."""
    room = 2 * expected.bound + noise + 16 * expected.rounding.unit * np.abs(expected.value)
    return np.abs(change - expected.value) <= room


def of_loss(kind: LossKind, tracked: bool = True, factor: float = 1.0) -> GradientsAt:
    """Return the gradients of one loss, computed once for each probe."""
    made: dict[int, tuple[Probe, Gradients]] = {}

    def at(probe: Probe) -> Gradients:
        if id(probe) not in made:
            found = correct_gradients(kind, probe.forward(tracked), probe.y)
            made[id(probe)] = probe, {k: g * factor if factor != 1 else g for k, g in found.items()}
        return made[id(probe)][1]

    return at


def of_output(output: OutputVariant) -> GradientsAt:
    """Return the gradients of the output layer alone, its delta computed in some way."""

    def at(probe: Probe) -> Gradients:
        fwd, last = probe.forward(tracked=True), probe.plan.depth - 1
        delta = output.compute(Scene(probe, fwd))
        if delta is None:
            return {}
        kernel, bias = Key(last, "kernel"), Key(last, "bias")
        found = {kernel: fwd.inputs[last].T @ delta}
        return found | {bias: delta.sum(axis=0)} if bias in probe.weights else found

    return at


def of_updated(kind: LossKind, factor: float) -> GradientsAt:
    """Return the gradients of a loss, the deltas propagated through the weights after the step."""

    def at(probe: Probe) -> Gradients:
        fwd = probe.forward(tracked=True)
        found = correct_gradients(kind, fwd, probe.y, through_kernels=probe.after)
        return {key: g * factor for key, g in found.items()}

    return at


def of_source(source: Direct, layout: Layout, of_any_layers: bool = False) -> GradientsAt:
    """Return the user's own gradients, asked for once at each probe.

    Whoever asks raises ``TheirError`` where the user's code fails.

    Args:
        source: Where they are asked for.
        layout: Of the weights.
        of_any_layers: Whether the probe's plan is none of the network's, whose layers are not
            known: then a sum is as long as all weights together.
    """
    asked: dict[int, tuple[Probe, Gradients]] = {}

    def at(probe: Probe) -> Gradients:
        if id(probe) not in asked:
            pairs = zip(source.ask(probe).arrays, layout.shapes, strict=True)
            own = layout.unpack([None if a is None else a.reshape(shape) for a, shape in pairs])
            if of_any_layers:
                rounding = Rounding(probe.dtype, 2 * sum(a.size for a in probe.arrays), True, True)
            else:
                rounding = rounding_for(probe.plan, len(probe.x), probe.dtype, True)
            asked[id(probe)] = probe, {key: rounding.exact(g) for key, g in own.items()}
        return asked[id(probe)][1]

    return at


def course(history: Sequence[Taken], layout: Layout, gradients_at: GradientsAt) -> Course:
    """Return the steps taken, with gradients at the same weights and batches.

    Of large networks a fixed selection of numbers is looked at.
    """
    whole = Course({}, [], [], [], [], [], np.empty(0, int), [], [])
    places: list[Array] = []
    for taken in history:
        changed, weights = layout.unpack(taken.change), taken.probe.weights
        columns: list[tuple[Array, Array, Array, Array]] = []
        start = 0
        gradients = gradients_at(taken.probe)
        for key, g in gradients.items():
            keep = _selection(changed[key].size)
            c, w = changed[key].ravel()[keep], weights[key].ravel()[keep]
            g = g.reshape(-1)[keep]
            # What is asked for is exact; a step may form it in another order.
            g = g * 1.0 * 1.0 if g.error is None else g
            columns.append((c, w, g.value, g.bound))
            if key not in whole.parts:
                places.append(np.full(keep.size, layout.place(key)))
            whole.parts[key] = slice(start, start := start + keep.size)
        change, w, value, bound = (np.concatenate(c) for c in zip(*columns, strict=True))
        whole.changes.append(change)
        dtype = lowest(*(c.dtype for c in taken.change))
        whole.noise.append(noise_of(dtype, change, w))
        whole.rates.append(taken.rate)
        rounding = next(iter(gradients.values())).rounding
        whole.gradients.append(Approx(value, bound, rounding))
        whole.weights.append(w)
        whole.probes.append(taken.probe)
        whole.anew.append(taken.anew)
    return replace(whole, places=np.concatenate(places))


def selected(tensors: Mapping[Key, Array], keys: Iterable[Key]) -> Array:
    """Return the numbers of tensors that are looked at, as they lie in a course's vectors."""
    arrays = [tensors[key].ravel() for key in keys]
    return np.concatenate([array[_selection(array.size)] for array in arrays])


def noise_of(dtype: np.dtype, change: Array, weights: Array) -> Array:
    """Return what the difference of two weights of some precision has lost."""
    return float(np.finfo(dtype).eps) * (2 * np.abs(weights) + np.abs(change))


@cache
def _selection(size: int) -> Array:
    if size <= _MOST_NUMBERS:
        return np.arange(size)
    return np.random.default_rng(size).choice(size, _MOST_NUMBERS, replace=False)
