"""Cost functions: value and gradient, each computed by itself, as training needs the gradient in
every step and the value only for its reports.

Every loss is the *mean over the batch* of a per-sample loss (``Loss.values``); how a sample's
outputs are reduced is said for each. With N samples and C outputs, ``y_pred`` has shape (N, C), and
so has ``y_true``, except for sparse categorical cross-entropy, whose ``y_true`` are the N integer
labels. A sequence gives C outputs at each of its T steps, shape (N, T, C): the mean is then over
N T places, and so on for more axes; below, N is the number of places. Formulas and the clipping
constant are Keras's (``keras/src/losses/losses.py``, ``keras/src/backend/*/nn.py``).

A *sample weight* w_n for each place makes the cost ``1/N sum_n w_n l_n``, and the gradient at a
place is w_n times what it is without. The divisor stays N and is not ``sum_n w_n``, so weights that
are all 2 double the cost: Keras's "sum_over_batch_size" (``keras/src/losses/loss.py``).
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from numpy_impl import activations
from numpy_impl.activations import log_softmax, softplus
from numpy_impl.fused import Each, Same, rule
from numpy_impl.types import Array

# keras.config.epsilon(): probabilities are clipped to [EPSILON, 1 - EPSILON] before the logarithm.
EPSILON = 1e-7


@rule("out")
def shared_difference(p: Each, y: Each, n: Same) -> Any:
    return (p - y) / n


@rule("out")
def scaled_difference(p: Each, y: Each, factor: Same) -> Any:
    return (p - y) * factor


@rule("out")
def scaled_sign(p: Each, y: Each, factor: Same) -> Any:
    return np.sign(p - y) * factor


def _shared(p: Array, y: Array, n: int, out: Array | None) -> Array:
    out = np.empty_like(p) if out is None else out
    shared_difference(p, y, n, out)
    return out


def places(y_pred: Array) -> int:
    """Return how many vectors of outputs there are: the samples, or samples times steps."""
    return math.prod(y_pred.shape[:-1])


class Loss:
    """A cost ``C(y_pred, y_true)``, averaged over the batch.

    Attributes:
        fused: Whether the loss is evaluated together with the output layer's activation: the
            network then hands over that activation's input (the logits), and backpropagation
            starts there.
        sparse: Whether ``y_true`` are integer labels instead of vectors.
        link: Name of the activation whose logits a fused loss, or one from logits, takes.
    """

    fused = False
    sparse = False
    link: Literal["linear", "softmax", "sigmoid"] = "linear"

    def value(self, y_pred: Array, y_true: Array, sample_weight: Array | None = None) -> float:
        """Return the cost, ``1/N sum_n w_n l_n``; without weights ``w_n`` is 1."""
        values = self.values(y_pred, y_true)
        weighted = values if sample_weight is None else values * sample_weight
        return float(np.sum(weighted)) / values.size

    def values(self, y_pred: Array, y_true: Array) -> Array:
        """Return ``l_n``, the loss at each place: ``y_pred``'s shape without its last axis."""
        raise TypeError(f"{type(self).__name__} defines no values")

    def gradient(self, y_pred: Array, y_true: Array, out: Array | None = None) -> Array:
        """Return ``dC/dy_pred``, of the shape of ``y_pred``, written into ``out`` if given."""
        raise TypeError(f"{type(self).__name__} defines no gradient")

    def logits_gradient(self, p: Array, y_true: Array, out: Array | None = None) -> Array:
        """Return the gradient at the logits ``z``, given ``p = link(z)``; see ``gradient``."""
        raise TypeError(f"{type(self).__name__} defines no logits_gradient")

    def terms(self) -> "list[tuple[Loss, float]]":
        """Return the loss of each output of a network and its weight; here there is one."""
        return [(self, 1.0)]


class Quadratic(Loss):
    """The documents' quadratic cost ``1/2 sum_c (y_pred - y_true)^2``; gradient ``(a - y) / N``.

    Reference: Nielsen (2015), "Neural networks and deep learning", eq. 6; documents D0 and D1.
    """

    def values(self, y_pred: Array, y_true: Array) -> Array:
        error = y_pred - y_true
        return 0.5 * np.sum(error * error, axis=-1)

    def gradient(self, y_pred: Array, y_true: Array, out: Array | None = None) -> Array:
        return _shared(y_pred, y_true, places(y_pred), out)


class MeanSquaredError(Loss):
    """Keras's ``mean_c (y_pred - y_true)^2``; gradient ``2 (y_pred - y_true) / (C N)``."""

    def values(self, y_pred: Array, y_true: Array) -> Array:
        error = y_pred - y_true
        return np.mean(error * error, axis=-1)

    def gradient(self, y_pred: Array, y_true: Array, out: Array | None = None) -> Array:
        out = np.empty_like(y_pred) if out is None else out
        scaled_difference(y_pred, y_true, 2 / y_pred.size, out)
        return out


class MeanAbsoluteError(Loss):
    """Keras's ``mean_c |y_pred - y_true|``; gradient ``sign(y_pred - y_true) / (C N)``."""

    def values(self, y_pred: Array, y_true: Array) -> Array:
        return np.mean(np.abs(y_pred - y_true), axis=-1)

    def gradient(self, y_pred: Array, y_true: Array, out: Array | None = None) -> Array:
        out = np.empty_like(y_pred) if out is None else out
        scaled_sign(y_pred, y_true, 1 / y_pred.size, out)
        return out


class CategoricalCrossentropy(Loss):
    """Cross-entropy ``-sum_c y_c log p_c`` with one-hot (or probability) targets.

    Args:
        from_logits: ``y_pred`` are logits, and ``p = softmax(y_pred)``.
        fused: Evaluate the loss at the logits of the network's own output layer, as Keras does on
            TensorFlow, and as is best numerically. The gradient at the logits is ``(p - y) / N``.
            The layer's activation should be softmax; Keras does the same where it is sigmoid, and
            then the cost is not that of the outputs at all, so this follows it there too.

    With neither, Keras's clipped form on probabilities: ``q = y_pred / sum_c y_pred``, clipped to
    [EPSILON, 1 - EPSILON]; where the clip is active its gradient is 0.
    """

    link = "softmax"

    def __init__(self, from_logits: bool = False, fused: bool = False) -> None:
        self.on_logits = from_logits or fused
        self.fused = fused

    def values(self, y_pred: Array, y_true: Array) -> Array:
        y = self._targets(y_pred, y_true)
        if self.on_logits:
            logarithm = log_softmax(y_pred)
        else:
            q = y_pred / np.sum(y_pred, axis=-1, keepdims=True)
            logarithm = np.log(np.clip(q, EPSILON, 1 - EPSILON))
        return -np.sum(y * logarithm, axis=-1)

    def gradient(self, y_pred: Array, y_true: Array, out: Array | None = None) -> Array:
        if self.on_logits:
            return self.logits_gradient(activations.softmax(y_pred), y_true, out)
        y = self._targets(y_pred, y_true)
        total = np.sum(y_pred, axis=-1, keepdims=True)
        q = y_pred / total
        clipped = np.clip(q, EPSILON, 1 - EPSILON)
        # dC/dq, then through q_i = p_i / sum_j p_j.
        slope = np.where(q == clipped, y / clipped, 0)
        gradient = (np.sum(slope * q, axis=-1, keepdims=True) - slope) / total
        return np.divide(gradient, places(y_pred), out=out)

    def logits_gradient(self, p: Array, y_true: Array, out: Array | None = None) -> Array:
        return _shared(p, self._targets(p, y_true), places(p), out)

    def _targets(self, y_pred: Array, y_true: Array) -> Array:
        return y_true


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """Categorical cross-entropy with integer labels of shape (N,); arguments as there.

    The clipped form renormalises first, as Keras does on JAX and PyTorch. On TensorFlow without
    cached logits Keras clips first and renormalises afterwards; that variant is not provided.
    """

    sparse = True

    def _targets(self, y_pred: Array, y_true: Array) -> Array:
        return np.eye(y_pred.shape[-1], dtype=y_pred.dtype)[y_true]


class BinaryCrossentropy(Loss):
    """``-mean_c [y log p + (1 - y) log(1 - p)]``; arguments as in CategoricalCrossentropy.

    Logits form: ``mean_c [softplus(z) - y z]`` with gradient ``(sigmoid(z) - y) / (C N)``.
    The clipped form does not renormalise.
    """

    link = "sigmoid"

    def __init__(self, from_logits: bool = False, fused: bool = False) -> None:
        self.on_logits = from_logits or fused
        self.fused = fused

    def values(self, y_pred: Array, y_true: Array) -> Array:
        y = y_true
        if self.on_logits:
            return np.mean(softplus(y_pred) - y * y_pred, axis=-1)
        p = np.clip(y_pred, EPSILON, 1 - EPSILON)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p), axis=-1)

    def gradient(self, y_pred: Array, y_true: Array, out: Array | None = None) -> Array:
        if self.on_logits:
            return self.logits_gradient(activations.sigmoid(y_pred), y_true, out)
        y = y_true
        p = np.clip(y_pred, EPSILON, 1 - EPSILON)
        slope = (1 - y) / (1 - p) - y / p
        return np.divide(np.where(p == y_pred, slope, 0), y_pred.size, out=out)

    def logits_gradient(self, p: Array, y_true: Array, out: Array | None = None) -> Array:
        return _shared(p, y_true, p.size, out)


class WeightedSum(Loss):
    """The losses of several outputs, ``C = sum_i weight_i C_i``, as Keras adds them.

    ``y_pred``, ``y_true`` and ``sample_weight`` are lists with an array for each output.

    Args:
        losses: The loss of each output.
        weights: The weight of each; None: all are 1.
    """

    def __init__(self, losses: Sequence[Loss], weights: Sequence[float] | None = None) -> None:
        self.weights = [float(w) for w in weights] if weights is not None else [1.0] * len(losses)
        if len(self.weights) != len(losses) or not losses:
            raise ValueError(
                f"Expected a weight for each of {len(losses)} losses. Received: {weights}"
            )
        self.losses = list(losses)

    def terms(self) -> list[tuple[Loss, float]]:
        return list(zip(self.losses, self.weights, strict=True))

    def value(self, y_pred: Any, y_true: Any, sample_weight: Any = None) -> float:
        given = sample_weight or [None] * len(self.losses)
        rows = zip(self.terms(), y_pred, y_true, given, strict=True)
        return sum(weight * loss.value(p, y, w) for (loss, weight), p, y, w in rows)


LOSSES: dict[str, type[Loss]] = {
    "quadratic": Quadratic,
    "mean_squared_error": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
}
_ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}


def get(identifier: str | Loss, **options: bool) -> Loss:
    """Return the loss called ``identifier``; ``options`` go to its constructor.

    Raises:
        ValueError: The name is not known, or there are options for what has been made already.
    """
    if isinstance(identifier, Loss):
        if options:
            raise ValueError(
                f"Expected options with the name of a loss only. "
                f"Received: {type(identifier).__name__} and {', '.join(options)}"
            )
        return identifier
    name = _ALIASES.get(identifier, identifier)
    if name not in LOSSES:
        raise ValueError(
            f"Unknown loss. Expected one of: {', '.join(LOSSES)}. Received: {identifier!r}"
        )
    return LOSSES[name](**options)
