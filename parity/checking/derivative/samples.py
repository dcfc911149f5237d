"""Samples for code whose layers are not known: the user's own, or such as it takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.asking.nested import is_ndarray
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.derivative import NO_SAMPLES
from parity.checking.bugs.findings import Finding, Unreadable

_BATCHES = (7, 5, 11, 13)


@dataclass(frozen=True)
class Samples:
    """Where samples come from.

    Attributes:
        draw: ``(rng) -> (x, y)``.
        text: How they lie, in words.
        given: Whether they are the user's own.
        batch: The number of samples in a batch; 1 where that is not known.
        outputs: The number of outputs of a sample; 1 where that is not known.
    """

    draw: Callable[[np.random.Generator], tuple[Any, Any]]
    text: str
    given: bool
    batch: int = 1
    outputs: int = 1


def samples(subject: Subject, rng: np.random.Generator) -> Samples:
    """Return the user's samples, or the first kind that ``forward`` and ``loss`` take.

    Raises:
        Unreadable: They take none.
    """
    data = subject.candidate.data
    if data is not None:
        if callable(data):
            return Samples(data, "as data(rng) gives them", True)
        return Samples(lambda _: data, "as data gives them", True)
    if subject.candidate.forward is None:
        raise Unreadable(
            Finding(NO_SAMPLES, "loss", evidence="no forward is given, whose outputs would tell")
        )
    reasons: dict[str, str] = {}
    for found in _guesses(subject, rng, reasons):
        x, y = found.draw(rng)
        try:
            value = float(subject.loss(x, y)) if callable(subject.candidate.loss) else 0.0
            if subject.candidate.gradients is not None:
                subject.gradients(x, y)
        except TheirError as error:
            reasons.setdefault(found.text, error.words)
            continue
        if np.isfinite(value):
            return found
        reasons.setdefault(found.text, f"the loss is {value}")
    tried = "; ".join(f"{text}: {why}" for text, why in reasons.items()) or "nothing could be tried"
    raise Unreadable(Finding(NO_SAMPLES, "loss", evidence=f"tried were samples {tried}"))


def in_parts(data: Any, seed: int) -> bool:
    """Return whether x or y of the user's samples is several arrays, as of targets and weights."""
    try:
        given: Any = data(np.random.default_rng([seed, 7])) if callable(data) else data
    except Exception:  # which is told where samples are drawn
        return False
    return any(_several(part) for part in given or ())


def of_other_targets(data: Any, seed: int, outputs: int) -> bool:
    """Return whether y of the user's samples cannot stand beside so many outputs a sample.

    A policy's actions and rewards, say: of targets drawn like outputs such code makes something
    else than is meant, and raises nothing.
    """
    try:
        given: Any = data(np.random.default_rng([seed, 7])) if callable(data) else data
        y = given[1]
    except Exception:  # which is told where samples are drawn
        return False
    return is_ndarray(y) and y.ndim == 2 and not {1, outputs} & set(y.shape)


def _several(part: Any) -> bool:
    if isinstance(part, Mapping):
        return True
    # A list of arrays may be samples, one by one.
    return isinstance(part, tuple) and any(map(is_ndarray, cast(tuple[Any, ...], part)))


def batch_of(x: Any, y: Any) -> int:
    """Return the number of samples where x and y are arrays of as many rows; else 1."""
    lengths = {part.shape[0] for part in _arrays((x, y)) if part.ndim}
    return lengths.pop() if len(lengths) == 1 else 1


def _arrays(value: Any) -> Iterator[Array]:
    """Yield an array, or those of a tuple."""
    if is_ndarray(value):
        yield value
    elif type(value) is tuple:
        for part in cast(tuple[Any, ...], value):
            yield from _arrays(part)


def some_of(x: Any, y: Any, part: slice | Array) -> tuple[Any, Any] | None:
    """Return some samples of a batch in rows or columns; None where it is no such batch.

    Of several arrays in a tuple each has to have a row for each sample.
    """
    if tuple in (type(x), type(y)):
        several = batch_of(x, y) > 1 and _is_of_arrays(x) and _is_of_arrays(y)
        return (_rows(x, part), _rows(y, part)) if several else None
    if not is_ndarray(x) or not is_ndarray(y) or not y.ndim:
        return None
    if len(x) == len(y) > 1:
        return x[part].copy(), y[part].copy()
    if x.ndim > 1 and x.shape[-1] == y.shape[-1] > 1:
        return x[..., part].copy(), y[..., part].copy()
    return None


def _is_of_arrays(value: Any) -> bool:
    """Return whether something is an array with rows, or a tuple of such, or None."""
    if type(value) is tuple:
        return all(map(_is_of_arrays, cast(tuple[Any, ...], value)))
    return value is None or (is_ndarray(value) and value.ndim > 0)


def _rows(value: Any, part: slice | Array) -> Any:
    if type(value) is tuple:
        return tuple(_rows(each, part) for each in cast(tuple[Any, ...], value))
    return None if value is None else value[part].copy()


def _guesses(
    subject: Subject, rng: np.random.Generator, reasons: dict[str, str]
) -> Iterator[Samples]:
    """Yield samples of shapes that the weights' suggest, with targets of the outputs' shape."""
    wide = [shape for shape in subject.shapes if len(shape) > 1] or subject.shapes
    for n in dict.fromkeys(n for shape in wide for n in shape):
        batch = next(b for b in _BATCHES if all(b not in shape for shape in subject.shapes))
        for shape, axis, lie in (
            ((batch, n), 0, "in rows"), ((n, batch), 1, "in columns"),
            ((n,), None, "one a call"), ((n, 1), None, "one a call, as a column"),
        ):  # fmt: skip
            text = f"{lie}, x of shape {shape}"
            try:
                output = subject.forward(rng.standard_normal(shape))[-1]
            except TheirError as error:
                reasons.setdefault(text, error.words)
                continue
            if axis is None or output.shape[axis : axis + 1] == (batch,):
                yield from _targets(shape, output.shape, axis, text)


def _targets(x: Shape, output: Shape, axis: int | None, text: str) -> Iterator[Samples]:
    """Yield samples with one-hot targets, and with class numbers, for outputs of a shape."""
    count = 1 if axis is None else output[axis]
    classes = int(np.prod(output)) // count

    def one_hot(rng: np.random.Generator) -> tuple[Array, Array]:
        chosen = rng.integers(0, classes, count)
        y = np.eye(classes)[chosen] if classes > 1 else rng.integers(0, 2, (count, 1)) * 1.0
        return rng.standard_normal(x), (y.T if axis == 1 else y).reshape(output)

    def integer(rng: np.random.Generator) -> tuple[Array, Any]:
        chosen = rng.integers(0, classes, count)
        return rng.standard_normal(x), int(chosen[0]) if axis is None else chosen

    yield Samples(one_hot, text, False, count, classes)
    if classes > 1:
        yield Samples(integer, f"{text}, class numbers", False, count, classes)


def spread(
    arrays: Sequence[Array], rng: np.random.Generator, gain: float, share: float = 0.3
) -> list[Array]:
    """Return weights near those given, none at zero or alike, shrunk by a gain.

    ``share`` is how far they lie from these, for their typical size.
    """
    moved: list[Array] = []
    for array in arrays:
        typical = max(float(np.sqrt(np.mean(array**2))) if array.size else 0.0, 0.1)
        moved.append(gain * (array + share * typical * rng.standard_normal(array.shape)))
    return moved
