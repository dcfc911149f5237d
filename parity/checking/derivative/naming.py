"""What is wrong with gradients that are not the derivative, told without knowing the layers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_impl import losses
from numpy_impl.types import Array
from parity.checking.asking.nested import is_ndarray
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs import factors
from parity.checking.bugs.derivative import (
    ANOTHERS,
    CONDITION_TURNED,
    DECAY_MISSING,
    DECAY_NOT_IN_LOSS,
    DECAY_OF_TOO_MANY,
    FACTOR,
    FIRST_SAMPLE,
    FLIPPED,
    LAST_SAMPLE,
    OF_SOME_SAMPLES,
    OTHER_LOSS,
    OTHER_MODE,
    PLACES_MISSING,
    SIGN,
    SUMMED,
    TRANSPOSED,
    WEIGHTS_DIFFER,
    WEIGHTS_LEFT_OUT,
    ZERO,
)
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import Bug, Values
from parity.checking.derivative import counting, margins
from parity.checking.derivative.pairs import Point, SlopePair, TensorSlopes, same
from parity.checking.derivative.samples import Samples, some_of
from parity.checking.derivative.slopes import Place

# A tensor of more entries than this is not measured entry by entry.
_MOST_ENTRIES = 400
# Names are given by what is alike to so many digits; that something is wrong is known before.
_ALIKE = 1e-5
# Factors such as attention's 1/√d are told as roots of numbers up to this one.
_MOST_UNDER_A_ROOT = 4096
# So many directions in each tensor tell another loss from chance.
_DIRECTIONS = 5


def named(
    subject: Subject,
    points: Sequence[Point],
    wrong: Sequence[TensorSlopes],
    right: Sequence[TensorSlopes],
    base: float,
    samples: Samples,
) -> list[Finding]:
    """Return what explains the wrong tensors: one cause of all, or a cause of each it is known of.

    Args:
        subject: The user's code.
        points: Where it was asked.
        wrong: Tensors whose gradient is not ``base`` times the derivative.
        right: The others.
        base: The factor of the right ones.
        samples: Of what kind they are.
    """
    point = points[0]
    of_one_loss = of_another_loss(subject, points, wrong, right)
    if of_one_loss is not None:
        return [of_one_loss]
    # Samples count in all tensors alike, so that none is right.
    counts = None if right else counting.counted(subject, points, wrong)
    if counts is not None:
        return [_of_counts(counts, wrong, counts.left_out)]
    samples = _batch_that_counts(subject, point, wrong, samples)
    found: list[Finding] = []
    measured = {t.name: _entries(point, t.index) for t in wrong}
    for tensor in wrong:
        bug, values, evidence = _cause(tensor, point, measured, right, base, samples)
        if bug is not None:
            found.append(Finding(bug, tensor.name, values, evidence))
    return found if len(found) == len(wrong) else []


def of_another_mode(point: Point, ask: Callable[[Place], object]) -> Finding | None:
    """Return that the loss goes by a state that gradients change; None where it is as it was.

    Moving averages are such a state: that loss does not see the batch's own, as gradients do.
    """
    place = point.place
    before = place.at(0, 0 * place.arrays[0])
    ask(place)
    after = place.at(0, 0 * place.arrays[0])
    if np.isclose(before, after, rtol=1e-12, equal_nan=True):
        return None
    evidence = f"of the same weights, x and y it is {before:.7g} before, and {after:.7g} afterwards"
    return Finding(OTHER_MODE, "loss", evidence=evidence)


def _batch_that_counts(
    subject: Subject, point: Point, wrong: Sequence[TensorSlopes], samples: Samples
) -> Samples:
    """Return the samples, of no batch size where a factor stays as it is with a sample less.

    Of one batch alone a factor of its size may be any other: 4 of a pooling, say.
    """
    tensor = next((t for t in wrong if t.factor is not None and t.measured), None)
    less = some_of(point.place.x, point.place.y, slice(0, samples.batch - 1))
    given = subject.candidate.gradients is not None and samples.batch > 2
    if tensor is None or tensor.factor is None or less is None or not given:
        return samples
    place, direction = Place(subject, point.place.arrays, *less), tensor.measured[0].direction
    try:
        place.back()
        gradient = subject.gradients(*less)[tensor.index]
        if gradient is None or gradient.shape != direction.shape:
            return samples
        own, room = float(np.sum(gradient * direction)), point.room(gradient * direction)
        slope = place.along(tensor.index, direction, own, room)
    except TheirError:
        return samples
    unchanged = SlopePair(own, slope, room).fits(tensor.factor)
    return replace(samples, batch=1) if unchanged and np.isfinite(slope.error) else samples


def _of_counts(counts: counting.Counts, tensors: Sequence[TensorSlopes], left_out: bool) -> Finding:
    """Return that samples count otherwise in the gradients than in the loss."""
    bug = WEIGHTS_LEFT_OUT if left_out else WEIGHTS_DIFFER
    shares = counting.words(counts.shares if left_out else counts.ratio)
    evidence = "so they agree, at two sets of weights and along every direction tried"
    names = ", ".join(tensor.name for tensor in tensors)
    return Finding(bug, names, {"what": "the samples", "shares": shares}, evidence)


def of_another_loss(
    subject: Subject,
    points: Sequence[Point],
    wrong: Sequence[TensorSlopes],
    right: Sequence[TensorSlopes] = (),
) -> Finding | None:
    """Return that gradients are those of another loss, or of some of the samples, if they are.

    Args:
        subject: The user's code.
        points: Where it was asked: the first that tells is enough.
        wrong: The tensors that this is to explain.
        right: The others, which a loss of another formula explains too.
    """
    for point in points:
        told = True
        for bug, values, loss in _other_losses(subject, point):
            place = Place(subject, point.place.arrays, point.place.x, point.place.y, loss)
            every = [*wrong, *right] if bug is OTHER_LOSS else wrong
            explains = _explains(place, point, every)
            if explains and bug is OTHER_LOSS:
                counts = counting.counted(subject, points, every)
                if counts is not None:
                    return _of_counts(counts, every, True)
            if explains:
                return Finding(bug, ", ".join(tensor.name for tensor in every), values)
            told = told and explains is not None
        if told:
            return None
    return None


def factor_words(factor: float, samples: Samples) -> str:
    """Return what a factor between gradient and derivative means, to follow the number; or ""."""
    m, n = samples.batch, samples.outputs
    meanings = {
        "the batch size": m, "the number of outputs": n, "batch size times outputs": m * n,
    }  # fmt: skip
    for half, note in ((1.0, ""), (2.0, "twice "), (0.5, "half ")):
        for words, number in meanings.items():
            if number > 1 and same(abs(factor), half * number):
                return f" ({note}{words}, {number})"
            if number > 1 and same(abs(factor), half / number):
                return f" ({note}1 divided by {words}, {number})"
        if half != 1.0 and same(abs(factor), half):
            return " (the square without its ½, or with it)"
    return ""


def _root_words(factor: float) -> str:
    """Return that a factor is the root of a whole number, or 1 by it; "" if it is not."""
    for value, words in ((factor**2, "√{}"), (factor**-2, "1/√{}")):
        number = round(value)
        whole = round(number**0.5) ** 2 == number
        if 2 <= number <= _MOST_UNDER_A_ROOT and same(value, number) and not whole:
            return f" ({words.format(number)})"
    return ""


def _other_losses(
    subject: Subject, point: Point
) -> Iterator[tuple[Bug, Values, Callable[[], float]]]:
    """Yield losses whose derivative the gradients may be, beside the user's own."""
    x, y = point.place.x, point.place.y
    for bug, which, part in (
        (FIRST_SAMPLE, "the first sample", slice(0, 1)),
        (LAST_SAMPLE, "the last sample", slice(-1, None)),
        (OF_SOME_SAMPLES, "all samples but the first", slice(1, None)),
        (OF_SOME_SAMPLES, "all samples but the last", slice(0, -1)),
    ):
        some = some_of(x, y, part)
        if some is not None:
            yield bug, {"which": which}, _loss_of(subject, *some)
    turned = margins.turned(subject, point.place)
    if turned is not None:
        yield CONDITION_TURNED, {}, turned
    for name, make in losses.LOSSES.items():
        yield OTHER_LOSS, {"found": name.replace("_", " ")}, _known_loss(subject, make, x, y)


def is_one_sample(subject: Subject, point: Point) -> bool:
    """Whether x and y are vectors of one sample, and no batches of numbers.

    A batch may have a sample less; of one sample's vectors the loss then has too few numbers.
    """
    x, y = point.place.x, point.place.y
    if not is_ndarray(x) or not is_ndarray(y) or x.ndim != 1 or y.ndim != 1 or len(x) != len(y):
        return False
    point.place.back()
    try:
        subject.loss(x[:-1].copy(), y[:-1].copy())
    except TheirError:
        return True
    return False


def _loss_of(subject: Subject, x: Any, y: Any) -> Callable[[], float]:
    return lambda: float(subject.loss(x, y))


def _known_loss(
    subject: Subject, make: Callable[[], losses.Loss], x: Any, y: Any
) -> Callable[[], float]:
    loss = make()

    def value() -> float:
        output = subject.forward(x)[-1]
        if output.shape != np.shape(y) or loss.sparse or loss.fused:
            raise TheirError("forward", "its outputs are not of the shape of the targets")
        return loss.value(output, y)

    return value


def _explains(place: Place, point: Point, tensors: Sequence[TensorSlopes]) -> bool | None:
    """Return whether the gradients are one factor times the derivative of another loss.

    None where that cannot be told here: of some array the gradient is 0, and so is the derivative;
    or there is but one number.
    """
    factor: float | None = None
    told = True
    if sum(point.gradients[tensor.index].size for tensor in tensors) < 2:
        return None  # of two numbers one is some factor times the other, whatever they are
    for tensor in tensors:
        gradient = point.gradients[tensor.index]
        rng = np.random.default_rng(tensor.index)
        for _ in range(_DIRECTIONS):
            direction = rng.standard_normal(gradient.shape) / np.sqrt(gradient.size)
            own, room = float(np.sum(gradient * direction)), point.room(gradient * direction)
            expected = own if factor is None else own / factor
            try:
                slope = place.along(tensor.index, direction, expected, room)
            except (TheirError, ValueError, FloatingPointError):
                return False
            if not np.isfinite(slope.error):
                return False
            if abs(slope.value) <= 1e3 * slope.error:
                if abs(own) > 1e3 * slope.error + room:
                    return False
                told = False
                continue
            if factor is None:
                factor = own / slope.value
            if factor <= 0 or abs(own / factor - slope.value) > (
                _ALIKE * abs(slope.value) + 4 * slope.error + room
            ):
                return False
    return None if factor is None or not told else True


def _entries(point: Point, index: int) -> Array | None:
    """Return the measured derivative of each entry; None where they are too many."""
    gradient = point.gradients[index]
    if gradient.size > _MOST_ENTRIES:
        return None
    values = np.zeros(gradient.shape)
    for place in np.ndindex(gradient.shape):
        direction = np.zeros(gradient.shape)
        direction[place] = 1.0
        values[place] = point.place.roughly(index, direction).value
    return values


def _cause(
    tensor: TensorSlopes,
    point: Point,
    measured: dict[str, Array | None],
    right: Sequence[TensorSlopes],
    base: float,
    samples: Samples,
) -> tuple[Bug | None, Values, str]:
    """Return the bug in one tensor's gradient, what fills its texts, and what shows it."""
    own = point.gradients[tensor.index]
    if not np.any(own) or tensor.is_nothing:
        return ZERO, {}, f"all entries are {'0, up to rounding' if np.any(own) else 'exactly 0'}"
    if tensor.factor is not None:
        factor = tensor.factor / base
        words = _factor_hint(factor, samples)
        values = {"factor": f"{factor:.7g}", "words": words}
        return (SIGN if factor < 0 else FACTOR), values, "along every direction that was tried"
    for other in right:
        theirs = point.gradients[other.index]
        if other.index != tensor.index and _alike(own, theirs):
            return ANOTHERS, {"other": other.name}, "equal, entry by entry"
    entries = measured[tensor.name]
    if entries is None:
        return None, {}, ""
    true = base * entries
    for name, found in measured.items():
        if name != tensor.name and found is not None and _alike(own, base * found):
            return ANOTHERS, {"other": name}, "equal to its derivative, entry by entry"
    if own.ndim == 2 and own.shape[0] == own.shape[1] and _alike(own, true.T):
        return TRANSPOSED, {}, "equal to the derivative once it is transposed"
    for axis in range(own.ndim):
        if own.shape[axis] > 1 and _alike(own, np.flip(true, axis)):
            return FLIPPED, {"axis": axis}, "equal to the derivative once it is turned"
        for how, reduced in (("the sum", true.sum(axis)), ("the mean", true.mean(axis))):
            if own.shape[axis] > 1 and _alike(own, np.expand_dims(reduced, axis) + 0 * own):
                return SUMMED, {"axis": axis, "how": how}, f"equal to {how} of the derivative"
    rest, weight = own - true, point.place.arrays[tensor.index]
    share = float(np.sum(rest * weight) / np.sum(weight * weight)) if np.any(weight) else 0.0
    if share and weight.size > 1 and _alike(rest, share * weight):
        bug = DECAY_NOT_IN_LOSS if share > 0 else DECAY_MISSING
        return bug, {"number": f"{abs(share):.6g}"}, "the difference is the weight, times a number"
    wrong = np.abs(rest) > _ALIKE * float(np.max(np.abs(true)))
    if not np.any(wrong):
        return None, {}, ""
    if np.all(own[wrong] == 0):
        return PLACES_MISSING, {"places": _places(wrong)}, "the other entries agree"
    times = rest[wrong] / weight[wrong] if np.all(weight[wrong]) else np.zeros(1)
    one = times[0] > 0 and bool(np.all(np.isclose(times, times[0], 1e-4, 0)))
    if one and len(times) > 1:
        values = {"number": f"{np.median(times):.4g}", "places": _places(wrong)}
        return DECAY_OF_TOO_MANY, values, "the other entries agree"
    return None, {}, ""


def _places(wrong: Array) -> str:
    """Say where some of a tensor's entries are: whole rows or columns, or single ones."""
    shown = [str([int(i) for i in place]) for place in np.argwhere(wrong)[:4]]
    places = ", ".join(shown) + (", ..." if np.count_nonzero(wrong) > len(shown) else "")
    for axis, words in enumerate(("rows", "columns") if wrong.ndim == 2 else ()):
        whole = np.all(wrong, axis=1 - axis)
        if np.count_nonzero(whole) * wrong.shape[1 - axis] == np.count_nonzero(wrong):
            places = f"{words} {np.flatnonzero(whole).tolist()}"
    return places


def _factor_hint(factor: float, samples: Samples) -> str:
    bug, values = factors.name(factor, 1e-6 * abs(factor), samples.batch, samples.outputs)
    if bug in (factors.FACTOR, factors.SIGN):
        return _root_words(factor)
    return f" ({bug.title.partition(': ')[2].format_map(values)})"


def _alike(one: Array, other: Array) -> bool:
    size = float(np.max(np.abs(other), initial=0.0))
    if one.shape != other.shape:
        return False
    return bool(size > 0 and np.all(np.abs(one - other) <= _ALIKE * size))
