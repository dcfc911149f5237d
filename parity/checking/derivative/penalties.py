"""A factor of what comes of the data in gradients, beside a penalty of the weights without it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.nested import is_ndarray
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.derivative import DATA_FACTOR, TWO_SCALES
from parity.checking.bugs.findings import Finding, listed
from parity.checking.derivative.naming import factor_words
from parity.checking.derivative.pairs import Point, TensorSlopes
from parity.checking.derivative.samples import Samples
from parity.checking.derivative.slopes import Place

# Two shares of the weights that are alike to so many digits are one.
_ALIKE = 1e-5
# One number is fitted to so many directions at least.
_FEWEST = 3
# What is told of a share is many times the error that it was measured with.
_TELLING = 1e2


def of_two_scales(
    subject: Subject,
    points: Sequence[Point],
    wrong: Sequence[TensorSlopes],
    right: Sequence[TensorSlopes],
    base: float,
    samples: Samples,
) -> Finding | None:
    """Return that a penalty has not the factor that all else in the gradients has, if that is so.

    Where the loss has the very penalty that the gradients have, the factor is what is wrong. None
    where it is another penalty than the loss's, whatever the factor.

    Args:
        subject: The user's code.
        points: Where it was asked.
        wrong: The tensors whose gradient is not ``base`` times the derivative.
        right: The others.
        base: The factor; 1 also where none is right, and so it is not known yet.
        samples: Of what kind they are.
    """
    spread = 0.0
    if wrong and not right:
        base, spread = _factor(wrong[0], points)
    rests = [_rest(tensor, points, base, spread) for tensor in wrong]
    if abs(base - 1) <= _ALIKE or not rests or None in rests:
        return None
    # As large as it would be if the loss and the gradients had one penalty, without the factor.
    of_one = {t.index: s / (1 - base) for t, s in zip(wrong, rests, strict=True) if s is not None}
    of_loss = _penalties(subject, points[0], wrong, of_one)
    alike = [_same(share, of_one[index]) for index, share in of_loss.items()]
    if alike and not all(alike):
        return None
    known = list(of_loss.values())
    others = [share for index, share in of_one.items() if index not in of_loss]
    # A step may have a learning rate of its own in it, and then that may be what the penalty lacks.
    proved = bool(known) and subject.candidate.gradients is not None
    proved = proved and all(any(_same(one, k) for k in known) for one in others)
    names = [tensor.name for tensor in sorted((*wrong, *right), key=lambda tensor: tensor.index)]
    values = {"factor": f"{base:.7g}", "words": factor_words(base, samples)}
    several = len(wrong) > 1
    of_weights = f"gradient{'s' * several} of {listed([tensor.name for tensor in wrong])}"
    if not proved:
        evidence = f"the other factor is in the {of_weights}"
        return Finding(TWO_SCALES, ", ".join(names), values, evidence)
    shares = listed(list(dict.fromkeys(f"{share:.6g}" for share in of_one.values())))
    evidence = (
        f"the derivative of your own loss has {shares} times the weight itself in it, and so "
        f"{'have' if several else 'has'} the {of_weights}"
    )
    return Finding(DATA_FACTOR, ", ".join(names), values, evidence)


def of_the_step(
    subject: Subject, points: Sequence[Point], tensors: Sequence[TensorSlopes]
) -> tuple[float, bool] | None:
    """Return how many times the weights themselves a step takes off besides, as optimizers do.

    The same in all arrays, or in all of two axes and more; and whether the loss is known to have no
    penalty of these, which could be done wrong. None if there is no such share.

    Args:
        subject: The user's code.
        points: Where it was asked.
        tensors: What is read off the step, beside the derivative.
    """
    measured = [tensor for tensor in tensors if tensor.measured]
    having = [tensor for tensor in measured if tensor.factor != 1.0]
    others = [points[0].place.arrays[tensor.index] for tensor in measured if tensor not in having]
    if not having or any(sum(n > 1 for n in array.shape) > 1 for array in others):
        return None
    rests = [_rest(tensor, points, 1.0, 0.0) for tensor in having]
    shares = [share for share in rests if share is not None and share > 0]
    if len(shares) < len(rests) or not all(_same(share, shares[0]) for share in shares):
        return None
    asked = {tensor.index: shares[0] for tensor in having}
    of_loss = _penalties(subject, points[0], having, asked)
    if any(of_loss.values()):
        return None
    return shares[0], len(of_loss) == len(having)


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= _ALIKE * abs(other)


def _columns(tensor: TensorSlopes, points: Sequence[Point]) -> tuple[Array, Array, Array]:
    """Return along each direction the user's gradient, the derivative and the weight."""
    pairs = tensor.measured
    weights = [np.sum(points[p.point].place.arrays[tensor.index] * p.direction) for p in pairs]
    own, true = [p.own for p in pairs], [p.slope.value for p in pairs]
    return np.array(own, float), np.array(true, float), np.array(weights, float)


def _factor(tensor: TensorSlopes, points: Sequence[Point]) -> tuple[float, float]:
    """Return the factor of the derivative in a gradient that has some multiple of the weight, too.

    And its uncertainty.
    """
    own, true, weights = _columns(tensor, points)
    if len(own) <= _FEWEST:
        return 1.0, 0.0
    inverse = np.linalg.pinv(np.stack([true, weights], axis=1))
    factor = float(inverse[0] @ own)
    room = np.array([4 * abs(factor) * p.slope.error + p.room for p in tensor.measured])
    return factor, float(np.abs(inverse[0]) @ room)


def _rest(
    tensor: TensorSlopes, points: Sequence[Point], base: float, spread: float
) -> float | None:
    """Return the multiple of the weight that a gradient has beside the derivative's; None: none."""
    own, true, weights = _columns(tensor, points)
    room = np.array([4 * abs(base) * p.slope.error + p.room for p in tensor.measured])
    return _multiple(weights, own - base * true, room + spread * np.abs(true))


def _multiple(weights: Array, rest: Array, room: Array) -> float | None:
    """Return the one number that leads from weights to what was measured; None if none does."""
    size = float(weights @ weights)
    if len(rest) < _FEWEST or not size:
        return None
    number, spread = float(weights @ rest) / size, float(np.abs(weights) @ room) / size
    fits = np.abs(rest - number * weights) <= room + np.abs(weights) * spread
    return number if np.all(fits) and abs(number) > _TELLING * spread else None


def _penalties(
    subject: Subject, point: Point, tensors: Sequence[TensorSlopes], asked: Mapping[int, float]
) -> dict[int, float]:
    """Return the multiple of each weight that the loss's derivative has; of some it is not known.

    It is measured on samples of which no error comes back. ``asked``: how large they may be, by
    which it is known what is nothing.
    """
    found: dict[int, float] = {}
    for x, y in _without_error(subject, point.place):
        place = Place(subject, point.place.arrays, x, y)
        for tensor in tensors:
            if tensor.index in found:
                continue
            directions = [pair.direction for pair in tensor.measured if pair.point == 0]
            with suppress(TheirError, ValueError, FloatingPointError):
                share = _penalty(place, tensor.index, directions, asked[tensor.index])
                found |= {tensor.index: share} if share is not None else {}
    return found


def _penalty(place: Place, index: int, directions: Sequence[Array], asked: float) -> float | None:
    weight = place.arrays[index]
    along = np.array([float(np.sum(weight * direction)) for direction in directions])
    slopes = [place.along(index, d, 0.0, 0.0) for d in directions]
    if not all(np.isfinite(slope.error) for slope in slopes):
        return None
    values, errors = (np.array([getattr(s, n) for s in slopes]) for n in ("value", "error"))
    if np.all(np.abs(values) + 4 * errors <= np.abs(asked * along) / _TELLING):
        return 0.0
    return _multiple(along, values, 4 * errors)


def _without_error(subject: Subject, place: Place) -> Iterator[tuple[Any, Any]]:
    """Yield samples that hit their targets, and samples of zeros, which a first layer takes no
    gradient from.
    """
    x, y = place.x, place.y
    if not is_ndarray(x) or x.dtype.kind != "f":
        return
    if subject.candidate.forward is not None and is_ndarray(y):
        place.back()
        with suppress(TheirError):
            output = subject.forward(x)[-1]
            if output.shape == y.shape:
                yield x, output.copy()
    yield 0 * x, y
