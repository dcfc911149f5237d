"""A training whose loss runs away: when it has, and where that began."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from numpy_impl import Sequential, losses
from numpy_impl.layers import Dense
from numpy_impl.network import fused_layer
from numpy_impl.types import Array

from ..engines import Logs, Trainer

# Times the loss of equal scores for all digits, which is ln 10 for a cross-entropy. A network that
# has learned wrongly is a few times worse than that: to be so many times worse its weights must
# have grown without bound.
WORST = 1000
# Of so many validation pictures the outputs are asked for themselves, after each epoch.
MOST_ASKED = 200


class Diverged(Exception):
    """A loss is NaN or infinite, or after an epoch far above that of a network that knows nothing.

    Args:
        metric: "loss", "val_loss" or "cross-entropy".
        value: What it is.
        limit: What is beyond this is wrong; infinity if only what is not finite is.
    """

    def __init__(self, metric: str, value: float, limit: float) -> None:
        finite = "a finite" if math.isinf(limit) else "no enormous"
        most = "" if math.isinf(limit) else f" (at most {limit:.4g}, {WORST} times that of a guess)"
        super().__init__(f"expected {finite} {metric}{most}. Received: {value:.4g}")
        self.limit = limit


def worst(loss: str, classes: int) -> float:
    """Return the largest loss, by its name in ``numpy_impl``, that a network may have."""
    equal = np.full((1, classes), 1 / classes)
    return WORST * losses.get(loss).value(equal, np.eye(1, classes))


def check(logs: Mapping[str, float], limit: float = math.inf) -> None:
    """Raise :class:`Diverged` if one of the losses in ``logs`` is not finite, or above the limit.

    While an epoch lasts there is no limit: a loss may jump in one step.
    """
    for bound in (math.inf, limit):
        for name in ("loss", "val_loss"):
            value = logs.get(name, 0.0)
            if not math.isfinite(value) or value > bound:
                raise Diverged(name, value, bound)


def check_outputs(network: Sequential, x: Array, y: Array) -> None:
    """Raise :class:`Diverged` if a network is as certain as it is wrong.

    A quadratic loss is bounded, and so is a cross-entropy that Keras computes of clipped
    probabilities, as on JAX and PyTorch. The cross-entropy of the logits is neither.
    """
    value = _cross_entropy(network, x[:MOST_ASKED], y[:MOST_ASKED])
    limit = WORST * math.log(2 if _link(network) == "sigmoid" else y.shape[1])
    if not value <= limit:
        raise Diverged("cross-entropy", value, limit)


def _link(network: Sequential) -> str:
    return fused_layer(network.layers[-1]).activation.name


def _cross_entropy(network: Sequential, x: Array, y: Array) -> float:
    """Return the cross-entropy of the logits, in NumPy: for a sigmoid the mean over outputs."""
    kind = {"softmax": "categorical", "sigmoid": "binary"}[_link(network)]
    loss = losses.get(f"{kind}_crossentropy", fused=True)
    with np.errstate(all="ignore"):
        return loss.value(network.loss_input(network.forward(x), loss), y)


@dataclass(frozen=True)
class Origin:
    """Where a divergence began: the step of the epoch, counted from 1, and what happened there."""

    step: int
    what: str


def origin(
    trainer: Trainer,
    limit: float,
    x: Array,
    y: Array,
    batches: Sequence[Array],
    learning_rate: Callable[[int], float],
) -> Origin:
    """Take the steps of an epoch again, until something runs away.

    Args:
        trainer: As it was when the epoch began.
        limit: A batch's loss beyond it is wrong; what is not finite always is.
        x: What the epoch is trained on.
        y: The targets.
        batches: The epoch's.
        learning_rate: Gives the rate of the epoch.

    Returns:
        The step and the layer; the last step if no batch has shown it.
    """
    begun = _weights(trainer)
    # One by one they take long: first many at once, as far as all is well.
    many = math.ceil(math.sqrt(len(batches)))
    first = 0
    for first in range(0, len(batches), many):
        before, state = _weights(trainer), trainer.state()
        some = batches[first : first + many]
        logs = _take(trainer, x, y, some, learning_rate)
        beyond = _cross_entropy(trainer.network(), x[some[-1]], y[some[-1]])
        if not all(math.isfinite(value) and value <= limit for value in (logs["loss"], beyond)):
            trainer.restore(before, state)
            break
    else:
        return Origin(len(batches), _grown(trainer.network(), begun, _weights(trainer)))
    before = _weights(trainer)
    for step, batch in enumerate(batches[first:], first + 1):
        logs = _take(trainer, x, y, [batch], learning_rate)
        after = _weights(trainer)
        what = _affected(trainer.network(), before, after, x[batch])
        if what is None and not (math.isfinite(logs["loss"]) and logs["loss"] <= limit):
            what = _grown(trainer.network(), begun, before)
        if what is None and _cross_entropy(trainer.network(), x[batch], y[batch]) > limit:
            what = _grown(trainer.network(), begun, after)
        if what is not None:
            return Origin(step, what)
        before = after
    return Origin(len(batches), _grown(trainer.network(), begun, before))


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
    layers = [int(name.partition("/")[0]) for name in network.weight_names]
    start, end = dict.fromkeys(layers, 0.0), dict.fromkeys(layers, 0.0)
    for layer, one, other in zip(layers, begun, now, strict=True):
        start[layer] = max(start[layer], float(np.abs(one).max()))
        end[layer] = max(end[layer], float(np.abs(other).max()))
    most = max(start, key=lambda layer: end[layer] / (start[layer] or 1.0))
    return (
        f"{_named(network, most)} grew most: its largest weight from {start[most]:.2g} to "
        f"{end[most]:.2g}"
    )


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
