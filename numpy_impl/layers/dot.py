"""The inner products of two arrays along an axis of each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights, not_less
from numpy_impl.layers.merging import Merging
from numpy_impl.types import Array, Shape

# keras.config.epsilon(): no vector is divided by less than this.
EPSILON = 1e-7


class Dot(Merging):
    """``y[n, i, j] = sum_k a[n, i, k] b[n, j, k]``: two (batch, n) arrays give (batch, 1).

    Backward: ``dC/da = dC/dy b`` and ``dC/db = (dC/dy)^T a``, sample by sample. With ``normalize``
    each vector is divided by its length before, ``u = a / |a|``, so that ``y`` is a cosine; then
    ``dC/da = (d - u (d . u)) / |a|`` with ``d = dC/du``: what points along ``a`` changes nothing.

    Args:
        axes: The axis of the sums, or that of each input; counted with the batch axis.
        normalize: Whether the vectors are brought to length 1.
    """

    joins_masks = False

    def __init__(self, axes: int | Sequence[int], normalize: bool = False) -> None:
        self.axes = axes if isinstance(axes, int) else [int(axis) for axis in axes]
        self.normalize = normalize

    def build_many(self, input_shapes: Sequence[Shape]) -> Shape:
        given = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        ranks = [len(shape) + 1 for shape in input_shapes]
        places = [a + n if a < 0 else a for a, n in zip(given, ranks, strict=False)]
        fits = len(given) == len(ranks) == 2 and all(
            0 < a < n for a, n in zip(places, ranks, strict=True)
        )
        ends = zip(input_shapes, places, strict=False)
        if not fits or len({shape[axis - 1] for shape, axis in ends}) != 1:
            raise ValueError(
                f"Dot expects two inputs with as many elements along axes {self.axes}, not the "
                f"batch's. Received: shapes {', '.join(map(str, input_shapes))}"
            )
        FormulaLayer.build(self, input_shapes[0])
        self.places = places
        self.rests = [s[: a - 1] + s[a:] for s, a in zip(input_shapes, places, strict=True)]
        return (*self.rests[0], *self.rests[1]) or (1,)

    def compute_mask(self, x: Any, mask: Any) -> Array | None:
        return None  # in Keras (3.15.1) neither the product nor what follows looks at masks

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        vectors: list[Number] = []
        lengths: list[Any] = []
        for given, place in zip(x, self.places, strict=True):
            moved = np.moveaxis(given, place, -1)
            rows, length = moved.reshape(len(moved), -1, moved.shape[-1]), None
            if self.normalize:
                rows, length = _to_length_1(rows)
            vectors.append(rows)
            lengths.append(length)
        a, b = vectors
        y = np.matmul(a, np.swapaxes(b, 1, 2))
        shape = (*self.rests[0], *self.rests[1]) or (1,)
        return y.reshape(len(y), *shape), (vectors, lengths)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        (a, b), lengths = kept
        d = delta.reshape(len(delta), a.shape[1], b.shape[1])
        gradients = [np.matmul(d, b), np.matmul(np.swapaxes(d, 1, 2), a)]
        back: list[Number] = []
        for k, gradient in enumerate(gradients):
            if self.normalize:
                gradient = _through_length_1(gradient, kept[0][k], *lengths[k])
            rest = (len(delta), *self.rests[k], gradient.shape[-1])
            back.append(np.moveaxis(gradient.reshape(*rest), -1, self.places[k]))
        return {}, back

    def config(self) -> dict[str, object]:
        return {"axes": self.axes, "normalize": self.normalize}


def _to_length_1(rows: Number) -> tuple[Number, Any]:
    inverse = 1 / np.sqrt(np.sum(np.square(rows), axis=-1, keepdims=True))
    longest = np.zeros_like(inverse) + 1 / EPSILON
    return rows * np.minimum(inverse, longest), (inverse, not_less(longest, inverse))


def _through_length_1(d: Number, u: Number, inverse: Number, free: Number) -> Number:
    along = np.sum(d * u, axis=-1, keepdims=True)
    longest = np.zeros_like(inverse) + 1 / EPSILON
    return (d - u * along * free) * np.minimum(inverse, longest)
