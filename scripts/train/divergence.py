"""A training whose loss runs away: when it has, and where that began."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from numpy_impl import Sequential, losses
from numpy_impl.layers import Dense
from numpy_impl.types import Array

from ..engines import Logs, Trainer

# Times the loss of equal scores for all digits, ln 10 for a cross-entropy. A network that has only
# learned wrongly is a few times worse than that: to be so many times worse its weights must have
# grown without bound.
WORST = 1000


class Diverged(Exception):
    """A loss is NaN, infinite, or far above that of a network that knows nothing.

    Args:
        metric: "loss" or "val_loss".
        value: What it is.
    """

    def __init__(self, metric: str, value: float) -> None:
        super().__init__(f"{metric} {value}")
        self.metric = metric
        self.value = value


class Watch:
    """Tells whether a loss has run away.

    Args:
        loss: Its name in ``numpy_impl``.
        classes: How many there are.
    """

    def __init__(self, loss: str, classes: int) -> None:
        equal = np.full((1, classes), 1 / classes)
        self.blind = losses.get(loss).value(equal, np.eye(1, classes))

    def check(self, logs: Mapping[str, float]) -> None:
        """Raise :class:`Diverged` if one of the losses in ``logs`` has."""
        for name in ("loss", "val_loss"):
            value = logs.get(name, 0.0)
            if not math.isfinite(value) or value > WORST * self.blind:
                raise Diverged(name, value)


@dataclass(frozen=True)
class Origin:
    """Where a divergence began: the step of the epoch, counted from 1, and what happened there."""

    step: int
    what: str


def origin(
    trainer: Trainer,
    watch: Watch,
    x: Array,
    y: Array,
    batches: Sequence[Array],
    learning_rate: Callable[[int], float],
    good: int,
) -> Origin | None:
    """Take the steps of an epoch again, one by one, until something runs away.

    Args:
        trainer: As it was when the epoch began.
        watch: Judges the losses.
        x: What the epoch is trained on.
        y: The targets.
        batches: The epoch's.
        learning_rate: Gives the rate of the epoch.
        good: After so many steps the losses were as they should be.

    Returns:
        The step and the layer; None if this time nothing happens.
    """
    first = max(good - 1, 0)  # its loss was measured before its step, which may have been the one
    begun = _weights(trainer)
    if first:
        _take(trainer, x, y, batches[:first], learning_rate)
    before = _weights(trainer)
    for step, batch in enumerate(batches[first:], first + 1):
        logs = _take(trainer, x, y, [batch], learning_rate)
        after = _weights(trainer)
        what = _affected(trainer.network(), before, after, x[batch])
        if what is None:
            try:
                watch.check(logs)
            except Diverged:
                what = _grown(trainer.network(), begun, before)
        if what is not None:
            return Origin(step, what)
        before = after
    return None


def _take(
    trainer: Trainer,
    x: Array,
    y: Array,
    batches: Sequence[Array],
    learning_rate: Callable[[int], float],
) -> Logs:
    """Take some steps, on rows of their own as both engines check all that they are given."""
    rows = np.concatenate(batches)
    ends = np.cumsum([len(batch) for batch in batches])[:-1]
    order = np.split(np.arange(len(rows)), ends)
    seen: list[Logs] = []
    trainer.fit(
        x[rows], y[rows], epochs=2, initial_epoch=1, schedule=lambda epoch: order,
        learning_rate=learning_rate, on_epoch=lambda epoch, logs: bool(seen.append(logs)),
    )  # fmt: skip
    return seen[0]


def _weights(trainer: Trainer) -> list[Array]:
    return trainer.network().get_weights()


def _affected(
    network: Sequential, before: Sequence[Array], after: Sequence[Array], x: Array
) -> str | None:
    """Return which layer first left the finite numbers in a step, in the order of computation."""
    with np.errstate(all="ignore"):
        twin = network.clone()
        twin.set_weights(before)
        for i, output in enumerate(twin.layer_outputs(x)):
            if not np.isfinite(output).all():
                return f"{_named(network, i)} was the first to give outputs that are not finite"
    # The gradients come from the output: of several layers the last is the first.
    for i in reversed(range(len(network.layers))):
        own = [k for k, name in enumerate(network.weight_names) if name.startswith(f"{i}/")]
        if not all(np.isfinite(after[k]).all() for k in own):
            return f"{_named(network, i)} was the first to get weights that are not finite"
    return None


def _grown(network: Sequential, begun: Sequence[Array], now: Sequence[Array]) -> str:
    """Return which layer's weights have grown most since the epoch began."""
    sizes = [
        (float(np.abs(a).max()), float(np.abs(b).max())) for a, b in zip(begun, now, strict=True)
    ]
    tiny = np.finfo(network.dtype).tiny
    k = max(range(len(sizes)), key=lambda k: sizes[k][1] / max(sizes[k][0], tiny))
    layer = int(network.weight_names[k].partition("/")[0])
    name = network.weight_names[k].partition("/")[2]
    start, end = sizes[k]
    return f"{_named(network, layer)} grew most: its largest {name} from {start:.2g} to {end:.2g}"


def _named(network: Sequential, index: int) -> str:
    """Return a layer's number, among those with weights and from 1, and its sizes."""
    with_weights = [i for i, layer in enumerate(network.layers) if layer.weight_names]
    trained = max((i for i in with_weights if i <= index), default=with_weights[0])
    layer = network.layers[trained]
    number = f"layer {with_weights.index(trained) + 1} of {len(with_weights)}"
    if not isinstance(layer, Dense):
        return number
    inputs, units = layer.kernel.shape
    return f"{number} ({inputs} to {units})"
