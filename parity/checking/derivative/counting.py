"""How often each sample counts in the gradients, for each time that it counts in the loss.

The loss of a batch is often a sum over its samples, ``sum_n a_n C_n``, and so a gradient of it is
``sum_n c_n dC_n``, with the same numbers. ``dC_n`` is measured on the sample alone; then both are
told from more directions than there are samples. Where ``c_n / a_n`` is not the same for all,
samples have other weights in the one than in the other. A mistake that multiplies each sample's
delta by something (a derivative that is missing at a single output) looks the same, but depends on
the network's weights; so the numbers have to be the same at two of these.

Of a sample that the loss counts 0 times, nothing is seen on it alone. Where the numbers come in an
array beside x or y, and the gradients do not go by it, each sample is measured with a 1 in it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.nested import is_ndarray
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.derivative.pairs import Point, TensorSlopes
from parity.checking.derivative.slopes import Place

# More samples than this take too long, as each is measured along more directions than there are.
_MOST_SAMPLES = 16
# What fits by chance does not fit so many directions more.
_BEYOND = 6
# To so many digits; that something is wrong is known before.
_ALIKE = 1e-5
# A kink near by spoils a direction; then others are drawn.
_DRAWS = 2
_SHOWN = 8


class Counts(NamedTuple):
    """How the samples of a batch count, in numbers of which only the proportion tells.

    Attributes:
        loss: In the loss, given the loss of each alone.
        gradients: In the gradients, likewise.
        left_out: Whether it is seen that the loss has weights, and the gradients have none.
    """

    loss: Array
    gradients: Array
    left_out: bool = False

    @property
    def shares(self) -> Array:
        """How often each counts in the loss for once in the gradients; 1 for the least above 0."""
        shares = self.loss / self.gradients
        return shares / np.min(shares[shares > 0])

    @property
    def ratio(self) -> Array:
        """How often each counts in the gradients for each time in the loss; 1 for the largest."""
        return 1 / self.shares


def counted(
    subject: Subject, points: Sequence[Point], tensors: Sequence[TensorSlopes]
) -> Counts | None:
    """Return how samples count, if they do so otherwise in the gradients than in the loss.

    Args:
        subject: The user's code.
        points: Where it was asked; the batch is that of the first.
        tensors: All that could be measured.
    """
    x, y = points[0].place.x, points[0].place.y
    samples = singles(x, y)
    if samples is None or subject.candidate.gradients is None:
        return None
    unweighted = _unweighted(subject, points[0], len(samples))
    if unweighted is not None:
        samples = singles(*unweighted) or samples
    found: list[tuple[Array, Array]] = []
    for number, point in enumerate(points[:2]):
        draws = (
            _fitted(subject, point.place.arrays, (x, y), samples, tensors, [number, draw])
            for draw in range(_DRAWS)
        )
        fit = next((fit for fit in draws if fit is not None), None)
        if fit is None:
            return None
        found.append(fit)
    if any(np.min(loss / gradients) < 0 or not np.any(loss) for loss, gradients in found):
        return None
    first, second = (Counts(*fit).shares for fit in found)
    if _all_alike(first) or not _alike(second, first):
        return None
    left_out = _all_alike(found[0][1]) or unweighted is not None
    return Counts(*found[0], left_out) if left_out or np.min(first) > 0 else None


def words(numbers: Array) -> str:
    """Return a proportion in words, its first numbers."""
    shown = [f"{value:.4g}" for value in numbers[:_SHOWN]]
    return " : ".join(shown) + (" : ..." if len(numbers) > len(shown) else "")


def singles(x: Any, y: Any) -> list[tuple[Any, Any]] | None:
    """Return the samples of a batch, each as a batch of its own; None where it is no such batch.

    All arrays in x and in y have as many rows, or as many columns.
    """
    arrays = [array for array in (*_arrays(x), *_arrays(y)) if array.ndim]
    for axis in (0, -1):
        lengths = {array.shape[axis] for array in arrays}
        if len(lengths) == 1 and 1 < (count := lengths.pop()) <= _MOST_SAMPLES:
            return [
                (_mapped(x, _taking(n, axis)), _mapped(y, _taking(n, axis))) for n in range(count)
            ]
    return None


def _taking(n: int, axis: int) -> Callable[[Array], Array]:
    def take(array: Array) -> Array:
        return np.take(array, [n], axis) if array.ndim else array

    return take


def _arrays(given: Any) -> list[Array]:
    found: list[Array] = []

    def note(array: Array) -> Array:
        found.append(array)
        return array

    _mapped(given, note)
    return found


def _mapped(given: Any, change: Callable[[Array], Array]) -> Any:
    """Return tuples, lists and dicts with each array in them changed."""
    if is_ndarray(given):
        return change(given)
    if isinstance(given, Mapping):
        entries = cast(Mapping[Any, Any], given)
        return {key: _mapped(value, change) for key, value in entries.items()}
    if isinstance(given, tuple | list):
        parts = [_mapped(part, change) for part in cast(Sequence[Any], given)]
        return tuple(parts) if isinstance(given, tuple) else parts
    return given


def _unweighted(subject: Subject, point: Point, count: int) -> tuple[Any, Any] | None:
    """Return the batch with ones for numbers that the loss goes by, and the gradients do not.

    These stand in an array beside x or y: one a sample, and the loss is another without them. None
    where there is no such array.
    """
    x, y = point.place.x, point.place.y
    for part, array in ((p, a) for p in (x, y) for a in _arrays(p) if p is not a):
        if array.size != count or array.dtype.kind != "f":
            continue

        def plain(given: Array, array: Array = array) -> Array:
            return np.ones_like(given) if given is array else given

        batch = (_mapped(x, plain), y) if part is x else (x, _mapped(y, plain))
        point.place.back()
        try:
            losses = [subject.loss(*given) for given in ((x, y), batch)]
            asked = [subject.gradients(*given) for given in ((x, y), batch)]
        except (TheirError, ValueError, FloatingPointError):
            continue
        pairs = zip(*asked, strict=False)
        same = all(a is not None and b is not None and np.array_equal(a, b) for a, b in pairs)
        if same and losses[0] != losses[1]:
            return batch
    return None


def _fitted(
    subject: Subject,
    arrays: Sequence[Array],
    batch: tuple[Any, Any],
    samples: Sequence[tuple[Any, Any]],
    tensors: Sequence[TensorSlopes],
    seed: list[int],
) -> tuple[Array, Array] | None:
    """Return how the samples count in the loss and in the gradients; None if they do not so."""
    place = Place(subject, arrays, *batch)
    alone = [Place(subject, arrays, *sample) for sample in samples]
    directions = _directions(tensors, arrays, len(samples) + _BEYOND, seed)
    try:
        place.back()
        gradients = subject.gradients(*batch)
        rows: list[list[float]] = []
        for index, direction in directions:
            gradient = gradients[index]
            if gradient is None or gradient.size != direction.size:
                return None
            own = float(np.sum(gradient.reshape(direction.shape) * direction))
            of_loss = place.roughly(index, direction).value
            each = [one.roughly(index, direction).value for one in alone]
            rows.append([own, of_loss, *each])
    except (TheirError, ValueError, FloatingPointError):
        return None
    if len(rows) < len(samples) + _BEYOND:
        return None
    table = np.array(rows)
    own, of_loss, each = table[:, 0], table[:, 1], table[:, 2:]
    if not np.all(np.isfinite(table)) or not _independent(each):
        return None
    counts = [np.linalg.lstsq(each, values, rcond=None)[0] for values in (of_loss, own)]
    if not all(_alike(each @ c, v) for c, v in zip(counts, (of_loss, own), strict=True)):
        return None
    loss, gradients_ = (np.where(np.abs(c) > _ALIKE * np.max(np.abs(c)), c, 0.0) for c in counts)
    return (loss, gradients_) if np.all(gradients_ != 0) else None


def _directions(
    tensors: Sequence[TensorSlopes], arrays: Sequence[Array], wanted: int, seed: list[int]
) -> list[tuple[int, Array]]:
    """Return directions, by turns one in each tensor, in none more than it has entries."""
    rng = np.random.default_rng(seed)
    found: list[tuple[int, Array]] = []
    for turn in range(wanted):
        for tensor in tensors:
            shape = arrays[tensor.index].shape
            size = int(np.prod(shape))
            if turn < size and len(found) < wanted:
                found.append((tensor.index, rng.standard_normal(shape) / np.sqrt(size)))
    return found


def _independent(columns: Array) -> bool:
    """Return whether no sample's derivatives follow from the others'."""
    lengths = np.linalg.norm(columns, axis=0)
    if not np.all(lengths > 0):
        return False
    return bool(np.linalg.matrix_rank(columns / lengths, 1e-4) == columns.shape[1])


def _alike(one: Array, other: Array) -> bool:
    return bool(np.all(np.abs(one - other) <= _ALIKE * np.max(np.abs(other))))


def _all_alike(numbers: Array) -> bool:
    return _alike(numbers, np.full_like(numbers, numbers[0]))
