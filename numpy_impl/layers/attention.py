"""Attention: every query takes a mean of all values, weighted by how well their keys fit it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from numpy_impl import activations
from numpy_impl.layers.formula import FormulaLayer, Number, Weights, activate, dropped, through
from numpy_impl.types import Array, Shape

SOFTMAX = activations.get("softmax")
TANH = activations.get("tanh")
# What a score is where a query must not look: exp of it is 0.
NOWHERE = -1e9


def attended(
    scores: Number,
    value: Number,
    causal: bool,
    seen: Any = None,
    dropout: tuple[float, Array | None] | None = None,
    lowered: bool = False,
) -> tuple[Number, Number]:
    """Return ``softmax(scores) value``, and what :func:`through_attended` needs.

    The softmax is over the last axis of the scores, and over what a query sees: all that ``seen``
    says, which has the scores' axes, and with ``causal`` no later place than its own. One that sees
    nothing takes the mean of all values, but 0 if there is a ``dropout``: its rate, and the mask of
    the weights that are kept, None outside training. With ``lowered`` it takes what it would if it
    saw all: the scores of what is not seen are then lowered, and not replaced.
    """
    if causal:
        before: Any = np.tri(*scores.shape[-2:], dtype=bool)
        seen = before if seen is None else seen & before
    if seen is not None:
        scores = np.where(seen, scores, scores + NOWHERE if lowered else NOWHERE)
    weights = activate(scores, SOFTMAX)
    seen = None if lowered else seen
    left = weights if dropout is None else _left(weights, seen, *dropout)
    return np.matmul(left, value), (scores, weights, left, seen, dropout)


def _left(weights: Number, seen: Any, rate: float, mask: Array | None) -> Number:
    """Return the weights of what is seen and kept, 0 elsewhere; the gradient passes likewise."""
    weights = weights if seen is None else _where(seen, weights)
    return weights if mask is None else dropped(weights, mask, rate)


def through_attended(delta: Number, kept: Any, value: Number) -> tuple[Number, Number]:
    """Return the gradients with respect to the scores and to the values.

    The score of what a query does not see has none.
    """
    scores, weights, left, seen, dropout = kept
    d_weights = np.matmul(delta, np.swapaxes(value, -1, -2))
    d_weights = d_weights if dropout is None else _left(d_weights, seen, *dropout)
    d_value = np.matmul(np.swapaxes(left, -1, -2), delta)
    d_scores = through(d_weights, SOFTMAX, scores, weights)
    return d_scores if seen is None else _where(seen, d_scores), d_value


def _where(seen: Any, d: Number) -> Number:
    where: Any = np.where
    return where(seen, d, 0.0)


class Attention(FormulaLayer):
    """``y = softmax(scale q k^T) v``, from the list [query, value] or [query, value, key].

    Queries are (batch, T, dim), keys (batch, S, dim), values (batch, S, n), outputs (batch, T, n).
    Without keys the values are the keys as well, and get both gradients.

    Values that are masked are not seen, and the outputs of queries that are masked are 0. (The mask
    of keys is not looked at, as in Keras.)

    Args:
        use_scale: Whether the scores are multiplied by a trained number; without it the scale is 1.
        use_causal_mask: Whether query t sees the values 0 to t alone.
        dropout: Rate, in [0, 1), at which weights (the softmax's results) are dropped in training.

    Reference: Luong, Pham and Manning (2015), "Effective approaches to attention-based neural
    machine translation", eq. 7 and 8 (dot).
    """

    merges = True
    uses_mask = True
    passes_mask = True  # that of the queries
    call_options: ClassVar[tuple[str, ...]] = ("use_causal_mask",)
    fixed: ClassVar[Mapping[str, Any]] = {"score_mode": "dot"}

    def __init__(
        self, use_scale: bool = False, use_causal_mask: bool = False, dropout: float = 0.0
    ) -> None:
        if not 0 <= dropout < 1:
            raise ValueError(
                f"{type(self).__name__} expects a rate of dropout in [0, 1). Received: {dropout}"
            )
        self.dropout = dropout
        self.rng = np.random.default_rng()
        self.use_scale = use_scale
        self.use_causal_mask = use_causal_mask
        # What is called with an option is given no mask when the model is made.
        self.notes_mask = not use_causal_mask
        self.weight_names = ("scale",) if use_scale else ()

    def build_many(self, input_shapes: Sequence[Shape]) -> Shape:
        shapes = list(input_shapes)
        fits = len(shapes) in (2, 3) and all(len(shape) == 2 for shape in shapes)
        query, value, key = shapes[0], shapes[-2 if len(shapes) == 3 else -1], shapes[-1]
        if not fits or query[1] != key[1] or value[0] != key[0]:
            raise ValueError(
                f"{type(self).__name__} expects queries (T, dim), values (S, n) and keys (S, dim). "
                f"Received: shapes {', '.join(map(str, shapes))}"
            )
        super().build(query)
        self.places = (query[0], value[0])
        return (query[0], value[1])

    def drops(self) -> list[tuple[float, Shape]]:
        return [(self.dropout, self.places)] if self.dropout else []

    def weight_shapes(self) -> list[Shape]:
        return [()] * self.use_scale

    def initialize(self, rng: np.random.Generator) -> None:
        if self.use_scale:
            self.arrays["scale"][...] = 1

    def compute(
        self,
        x: Number,
        w: Weights,
        training: bool,
        mask: Any = None,
        dropout_masks: Sequence[Array] | None = None,
    ) -> tuple[Number, Any]:
        query, value, key = x if len(x) == 3 else (*x, x[1])
        products = np.matmul(query, np.swapaxes(key, 1, 2))
        scores = products * w["scale"] if self.use_scale else products
        y, kept = self.attend(scores, value, mask, dropout_masks)
        return y, (query, value, key, len(x), products, kept)

    def attend(
        self, scores: Number, value: Number, mask: Any, dropout_masks: Sequence[Array] | None
    ) -> tuple[Number, Any]:
        """Return the outputs, those of masked queries 0, and what :meth:`attend_back` needs."""
        of_queries, of_values = mask[:2] if mask else (None, None)
        seen = None if of_values is None else np.expand_dims(of_values, 1)
        lowered = seen is not None
        drop = (self.dropout, dropout_masks[0]) if dropout_masks else None
        y, kept = attended(scores, value, self.use_causal_mask, seen, drop, lowered)
        shown = None if of_queries is None else np.expand_dims(of_queries, 2)
        return y if shown is None else _where(shown, y), (kept, shown)

    def attend_back(self, delta: Number, kept: Any, value: Number) -> tuple[Number, Number]:
        """Return the gradients with respect to the scores and to the values."""
        kept, shown = kept
        return through_attended(delta if shown is None else _where(shown, delta), kept, value)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        query, value, key, inputs, products, kept = kept
        d, d_value = self.attend_back(delta, kept, value)
        gradients: dict[str, Number] = {}
        if self.use_scale:
            gradients["scale"] = np.sum(d * products)
            d = d * w["scale"]
        d_query, d_key = np.matmul(d, key), np.matmul(np.swapaxes(d, 1, 2), query)
        if inputs == 2:
            return gradients, [d_query, d_value + d_key]
        return gradients, [d_query, d_value, d_key]

    def config(self) -> dict[str, object]:
        return {
            "use_scale": self.use_scale,
            "use_causal_mask": self.use_causal_mask,
            "dropout": self.dropout,
        }


class AdditiveAttention(Attention):
    """``y = softmax(s) v`` with ``s_ts = sum_d scale_d tanh(q_td + k_sd)``; inputs as there.

    Args:
        use_scale: Whether ``scale``, shape (dim,), is trained; without it each is 1.
        use_causal_mask: Whether query t sees the values 0 to t alone.
        dropout: As there.

    Reference: Bahdanau, Cho and Bengio (2015), "Neural machine translation by jointly learning to
    align and translate", appendix A.1.2; what stands in its tanh beside a sum is for Dense layers.
    """

    fixed: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self, use_scale: bool = True, use_causal_mask: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__(use_scale, use_causal_mask, dropout)

    def weight_shapes(self) -> list[Shape]:
        return [(self.input_shape[-1],)] * self.use_scale

    def initialize(self, rng: np.random.Generator) -> None:
        if self.use_scale:
            # Keras counts a vector's length as both fans.
            limit = np.sqrt(3 / self.input_shape[-1])
            self.arrays["scale"][...] = rng.uniform(-limit, limit, self.input_shape[-1])

    def compute(
        self,
        x: Number,
        w: Weights,
        training: bool,
        mask: Any = None,
        dropout_masks: Sequence[Array] | None = None,
    ) -> tuple[Number, Any]:
        query, value, key = x if len(x) == 3 else (*x, x[1])
        # (batch, T, S, dim)
        z = query[:, :, None] + key[:, None]
        t = activate(z, TANH)
        scores = np.sum(t * w["scale"] if self.use_scale else t, axis=-1)
        y, kept = self.attend(scores, value, mask, dropout_masks)
        return y, (value, len(x), z, t, kept)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        value, inputs, z, t, kept = kept
        d, d_value = self.attend_back(delta, kept, value)
        # Each number of t has its share in the score.
        d_t = np.zeros_like(t) + d[..., None]
        gradients: dict[str, Number] = {}
        if self.use_scale:
            gradients["scale"] = np.sum(d_t * t, axis=(0, 1, 2))
            d_t = d_t * w["scale"]
        d_z = through(d_t, TANH, z, t)
        d_query, d_key = np.sum(d_z, axis=2), np.sum(d_z, axis=1)
        if inputs == 2:
            return gradients, [d_query, d_value + d_key]
        return gradients, [d_query, d_value, d_key]
