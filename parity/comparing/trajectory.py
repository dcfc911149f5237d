"""Both engines trained side by side, every step of Keras checked against its rounding bound."""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from numpy_impl.functional import AnyNetwork, one_or_list
from numpy_impl.types import Array
from parity.bounds import analyse, analyse_step
from parity.bounds.optimizers import constrained
from parity.bounds.rounding import Approx
from parity.comparing.pair import Pair
from parity.comparing.result import Distance
from parity.comparing.rows import Row, Verdict, compare_tensors
from parity.comparing.weights import distance

# Inputs, targets, dropout masks and perhaps sample weights; a list, as there may be several.
Batch = tuple[list[Array], list[Array], Sequence[Array], list[Array] | None]


class Trajectory(NamedTuple):
    """The outcome of :func:`train`: two sections of rows, remarks, and distances on the way."""

    rows: list[Row]
    remarks: list[str]
    distances: list[Distance]


def train(
    pair: Pair,
    batches: Iterable[Batch],
    check_every: int = 1,
    measure_every: int | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Trajectory:
    """Train both sides on the same batches of inputs, targets and dropout masks.

    Args:
        pair: Both sides, with optimizers; both are trained.
        batches: What to train on, in this order.
        check_every: Check each step whose number is a multiple of this.
        measure_every: Measure the distances after each multiple of so many steps.
        on_step: Called with the number of steps done.
    """
    run = _Run(pair)
    distances: list[Distance] = []
    for batch in batches:
        run.step(batch, check=run.done % check_every == 0)
        if measure_every and run.done % measure_every == 0:
            distances.append(run.distance())
        if on_step is not None:
            on_step(run.done)
    end = run.distance()
    remarks = [
        f"{run.checked} of {run.done} training steps checked, each from Keras's own state.",
        f"Left to themselves, the two trainings end {end.engines:.1e} of the weights' scale apart; "
        f"two NumPy trainings that start one unit in the last place apart, {end.control:.1e}.",
    ]
    return Trajectory(run.rows(), remarks, distances)


class _Run:
    """Keras, NumPy, NumPy from Keras's state, and NumPy started one unit away, step by step."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        pair.reset_state()
        self.own = _Learner(pair, pair.network)
        self.shadow = _Shadow(pair)
        self.control = _Learner(pair, _moved(pair.network))
        self.start = self.own.start()
        self.done = self.checked = 0

    def step(self, batch: Batch, check: bool) -> None:
        """Take one step on all sides; ``check`` says whether to compare it."""
        self.pair.check_batch(len(batch[0][0]))
        if check:
            self.shadow.step(batch, self.done)
        self.pair.keras.step(*batch)
        if check:
            self.shadow.compare(self.done)
            self.checked += 1
        self.own.step(batch)
        self.control.step(batch)
        self.done += 1

    def distance(self) -> Distance:
        """Return how far apart the trainings are now."""
        own = self.own.network
        control = distance(self.control.network, own)
        return Distance(self.done, distance(self.pair, own), control)

    def rows(self) -> list[Row]:
        """Return the state at the start, the worst of the checked steps, the weights at the end."""
        pair = self.pair
        network = pair.network
        ends = zip(network.weight_names, pair.get_weights(), network.weights, strict=True)
        steps = self.shadow.worst.values()
        return [*self.start, *steps, *(_end(*triple) for triple in ends)]


class _Learner:
    """A NumPy network with an optimizer of its own."""

    def __init__(self, pair: Pair, network: AnyNetwork) -> None:
        self.network = network
        self.optimizer = copy(pair.optimizer)
        self.optimizer.build_for(network)
        self.pair = pair

    def start(self) -> list[Row]:
        """Compare the optimizer's state before the first step, bit for bit.

        A single step from Keras's state does not show where the state begins.
        """
        rows: list[Row] = []
        for slot, tensors in self.pair.keras.slots().items():
            own = self.optimizer.state[slot]
            for name, s, tensor in zip(self.pair.names, self.network.slices, tensors, strict=True):
                values = own[s].reshape(tensor.shape)
                rows.append(compare_tensors("start", f"{name} {slot}", tensor, values, None))
        return rows

    def step(self, batch: Batch) -> None:
        """Take one step as ``numpy_impl.training`` does."""
        x, y, masks, counts = batch
        weights = None if counts is None else one_or_list(counts)
        with np.errstate(over="ignore"):
            outputs = self.network.forward(one_or_list(x), True, masks)
            self.network.backward(outputs, one_or_list(y), self.pair.loss, weights)
        self.optimizer.apply(self.network.gradients, self.network.parameters)
        self.network.constrain()


def _moved(network: AnyNetwork) -> AnyNetwork:
    """Return a copy whose every weight is moved by one unit in the last place, up or down.

    Some trainings amplify every rounding until nothing of the agreement is left (64-40-10 on raw
    pixels with learning rate 1 does so within 100 steps). How far a training from here ends from
    one of ``network`` shows what that amplification is, without Keras.
    """
    moved = network.clone()
    w = moved.parameters
    up = np.random.default_rng(0).random(w.shape) < 0.5
    w[...] = np.nextafter(w, np.where(up, np.inf, -np.inf).astype(w.dtype))
    return moved


class _Shadow(_Learner):
    """A copy of the NumPy side that takes single steps from Keras's state."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair, pair.network.clone())
        self.reference = pair.reference_optimizer
        self.reference.build_for(self.network)
        self.bounded: dict[str, Approx] = {}
        self.states: dict[str, Approx] = {}
        self.worst: dict[str, Row] = {}

    def step(self, batch: Batch, done: int = 0) -> None:
        """Take over Keras's state after ``done`` steps, bound the next step, and take it."""
        pair, network = self.pair, self.network
        network.set_weights(pair.get_weights())
        pair.carry_over(network)
        for name, values in pair.keras.slots().items():
            slot = np.concatenate([value.ravel() for value in values])
            self.optimizer.state[name][...] = self.reference.state[name][...] = slot
        self.optimizer.iterations = self.reference.iterations = done
        x, y, masks, counts = batch
        bounded = analyse(network, x, y, pair.reference_loss, masks, counts)
        self.states = bounded.states
        joined = _joined(bounded.gradients)
        self.bounded = analyse_step(self.reference, joined, network.parameters)
        self.bounded["weights"] = constrained(network, self.bounded["weights"])
        super().step(batch)

    def compare(self, step: int) -> None:
        """Compare the step with the one that Keras has taken since."""
        theirs = {"weights": self.pair.keras.weights(), **self.pair.keras.slots()}
        ours = {"weights": self.network.parameters, **self.optimizer.state}
        for kind, tensors in theirs.items():
            scales = self.pair.least_scales(tensors)
            each = zip(self.pair.names, self.network.slices, tensors, scales, strict=True)
            for name, s, tensor, scale in each:
                title = name if kind == "weights" else f"{name} {kind}"
                own = ours[kind][s].reshape(tensor.shape)
                self._note(title, tensor, own, self.bounded[kind][s], step, scale)
        own_states = self.network.states | self.network.carried
        for (name, own), tensor in zip(own_states.items(), self.pair.keras.states(), strict=True):
            self._note(name, tensor, own, self.states[name], step)

    def _note(
        self,
        title: str,
        theirs: Array,
        ours: Array,
        bounded: Approx,
        step: int,
        least_scale: float = 0.0,
    ) -> None:
        bounded = bounded.reshape(*theirs.shape)
        row = compare_tensors("steps", title, theirs, ours, bounded, least_scale)
        if title not in self.worst or row.rank > self.worst[title].rank:
            self.worst[title] = replace(row, step=step)


def _joined(gradients: list[Approx]) -> Approx:
    value = np.concatenate([g.value.ravel() for g in gradients])
    error = np.concatenate([g.bound.ravel() for g in gradients])
    return Approx(value, error, gradients[0].rounding)


def _end(name: str, theirs: Array, ours: Array) -> Row:
    """Return how far two trained weights are apart; the steps, not this, carry the verdict."""
    row = compare_tensors("training", name, theirs, ours, None)
    if row.verdict is Verdict.DIFFERENT and np.isfinite([row.keras, row.numpy]).all():
        return replace(row, bound=None, ratio=0.0, verdict=Verdict.FOLLOWS)
    return row
