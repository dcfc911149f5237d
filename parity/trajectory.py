"""Both engines trained side by side, every step of Keras checked against its rounding bound."""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from numpy_impl.network import Sequential
from numpy_impl.types import Array
from parity.bounds import analyse, analyse_step
from parity.pair import Pair
from parity.result import Distance, Row, Verdict, compare_tensors
from parity.tolerances import Approx
from parity.weights import distance

Batch = tuple[Array, Array, Sequence[Array]]


def train(
    pair: Pair,
    batches: Iterable[Batch],
    check_every: int = 1,
    measure_every: int | None = None,
    on_step: Callable[[int], None] | None = None,
) -> tuple[list[Row], list[str], list[Distance]]:
    """Train both sides on the same batches of inputs, targets and dropout masks.

    Args:
        pair: Both sides, with optimizers; both are trained.
        batches: What to train on, in this order.
        check_every: Check each step whose number is a multiple of this.
        measure_every: Measure the distances after each multiple of so many steps.
        on_step: Called with the number of steps done.

    Returns:
        The rows of the sections "steps" and "training", remarks on what was checked and on how much
        the training amplifies rounding, and the distances on the way.
    """
    network, optimizer = pair.network, pair.optimizer
    optimizer.build(network.parameters, network.slices)
    shadow, control = _Shadow(pair), _Control(pair)
    distances: list[Distance] = []
    done = checked = 0
    for x, y, masks in batches:
        check = done % check_every == 0
        if check:
            shadow.step(x, y, masks, done)
        pair.keras.step(x, y, masks)
        if check:
            shadow.compare(done)
            checked += 1
        network.loss_and_gradients(x, y, pair.loss, masks)
        optimizer.apply(network.gradients, network.parameters)
        control.step(x, y, masks)
        done += 1
        if measure_every and done % measure_every == 0:
            distances.append(_distance(done, pair, control))
        if on_step is not None:
            on_step(done)
    end = _distance(done, pair, control)
    rows = list(shadow.worst.values()) + _ends(pair)
    remarks = [
        f"{checked} of {done} training steps checked, each from Keras's own state.",
        f"Left to themselves, the two trainings end {end.engines:.1e} of the weights' scale apart; "
        f"two NumPy trainings that start one unit in the last place apart, {end.control:.1e}.",
    ]
    return rows, remarks, distances


def _distance(done: int, pair: Pair, control: "_Control") -> Distance:
    network = pair.network
    return Distance(done, distance(pair.model, network), distance(control.network, network))


class _Shadow:
    """A copy of the NumPy side that takes single steps from Keras's state."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.network: Sequential = pair.network.clone()
        self.optimizer = copy(pair.optimizer)
        self.reference = pair.reference_optimizer
        for optimizer in (self.optimizer, self.reference):
            optimizer.build(self.network.parameters, self.network.slices)
        self.bounded: dict[str, Approx] = {}
        self.worst: dict[str, Row] = {}

    def step(self, x: Array, y: Array, masks: Sequence[Array], done: int) -> None:
        """Take over Keras's state, bound the step that follows, and take it."""
        pair, network = self.pair, self.network
        network.set_weights(pair.keras.weights())
        for optimizer in (self.optimizer, self.reference):
            optimizer.iterations = done
            for name, values in pair.keras.slots().items():
                optimizer.state[name][...] = np.concatenate([v.ravel() for v in values])
        gradients = analyse(network, x, y, pair.reference_loss, masks).gradients
        self.bounded = analyse_step(self.reference, _joined(gradients), network.parameters)
        network.loss_and_gradients(x, y, pair.loss, masks)
        self.optimizer.apply(network.gradients, network.parameters)

    def compare(self, step: int) -> None:
        """Compare the step with the one that Keras has taken since."""
        theirs = {"weights": self.pair.keras.weights(), **self.pair.keras.slots()}
        ours = {"weights": self.network.parameters, **self.optimizer.state}
        for kind, tensors in theirs.items():
            for name, s, tensor in zip(self.pair.names, self.network.slices, tensors, strict=True):
                title = name if kind == "weights" else f"{name} {kind}"
                own = ours[kind][s].reshape(tensor.shape)
                bounded = self.bounded[kind][s].reshape(*tensor.shape)
                row = compare_tensors("steps", title, tensor, own, bounded)
                if title not in self.worst or row.rank > self.worst[title].rank:
                    self.worst[title] = replace(row, step=step)


class _Control:
    """The same NumPy training, started one unit in the last place away.

    Some trainings amplify every rounding until nothing of the agreement is left (64-40-10 on raw
    pixels with learning rate 1 does so within 100 steps). How far this one ends from the other
    NumPy training shows what that amplification is, without Keras.
    """

    def __init__(self, pair: Pair) -> None:
        self.loss = pair.loss
        self.network = pair.network.clone()
        self.optimizer = copy(pair.optimizer)
        self.optimizer.build(self.network.parameters, self.network.slices)
        w = self.network.parameters
        up = np.random.default_rng(0).random(w.shape) < 0.5
        w[...] = np.nextafter(w, np.where(up, np.inf, -np.inf).astype(w.dtype))

    def step(self, x: Array, y: Array, masks: Sequence[Array]) -> None:
        """Take one training step."""
        self.network.loss_and_gradients(x, y, self.loss, masks)
        self.optimizer.apply(self.network.gradients, self.network.parameters)


def _joined(gradients: list[Approx]) -> Approx:
    value = np.concatenate([g.value.ravel() for g in gradients])
    error = np.concatenate([g.bound.ravel() for g in gradients])
    return Approx(value, error, gradients[0].rounding)


def _ends(pair: Pair) -> list[Row]:
    triples = zip(pair.names, pair.keras.weights(), pair.network.weights, strict=True)
    return [_end(*triple) for triple in triples]


def _end(name: str, theirs: Array, ours: Array) -> Row:
    """Return how far two trained weights are apart; the steps, not this, carry the verdict."""
    row = compare_tensors("training", name, theirs, ours, None)
    if row.verdict is Verdict.DIFFERENT and np.isfinite([row.keras, row.numpy]).all():
        return replace(row, bound=None, ratio=0.0, verdict=Verdict.FOLLOWS)
    return row
