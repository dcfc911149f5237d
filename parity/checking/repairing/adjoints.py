"""Wrong values inside of a backward pass, found by measuring what they should be.

Whatever a line of the loss assigns can be moved a little, and so the derivative of the loss by it
is measured. Where that makes gradients right, put in the place of what one of their lines assigns,
that line is wrong, or what it is computed from.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.ridders import Tableau
from parity.checking.repairing.functions import Editable
from parity.checking.repairing.holes import Holes, Part, Visit
from parity.checking.repairing.trial import Trial

# So many parts of functions are looked at.
_MOST_PARTS = 400
# The first step by which a number is moved, how often it is halved, and by which share a measured
# derivative may be off.
_STEP, _HALVINGS, _OFF = 2.0**-5, 6, 1e-5
# A derivative is measured no better than up to this share.
_EXACT = 1e-12
# By this a value is multiplied to see what it reaches.
_FACTOR = 1.375


@dataclass(frozen=True)
class Wrong:
    """A wrong value.

    Attributes:
        part: What has it.
        by: What it has to be the derivative of the loss by.
        is_by: What it is the derivative by instead, if it is one.
        own: Its number where it is most wrong.
        right: The number that is right there.
        mended: The numbers of the gradients that are right with it, and were not before.
        lines: Of all that is computed up to it, (file, number).
    """

    part: Part
    by: Part
    is_by: Part | None
    own: float
    right: float
    mended: list[int]
    lines: set[tuple[str, int]]


class _Late(Exception):
    """There is no more time."""


class _Measured:
    """The derivative of the loss by what parts are.

    Args:
        holes: Open.
        loss: Returns the loss.
        until: When it ends.
    """

    def __init__(self, holes: Holes, loss: Callable[[], Any], until: float) -> None:
        self._holes, self._loss, self._until = holes, loss, until
        self.values = holes.seen(loss)
        self._known: dict[int, list[Array] | None] = {}

    def moves(self, number: int) -> bool:
        """Return whether the loss is another with another value of a part."""
        scaled = {(number, v): _scaled for v in range(len(self.values[number]))}
        own, other = (self._value(put) for put in ({}, scaled))
        return other is None or (own is not None and not np.isclose(own, other, rtol=1e-9, atol=0))

    def by(self, number: int) -> list[Array] | None:
        """Return the derivative by a part at each of its visits; None where it is not exact.

        Raises:
            _Late: There is no more time.
        """
        if number not in self._known:
            self._known[number] = self._by(number)
        return self._known[number]

    def _by(self, number: int) -> list[Array] | None:
        found: list[Array] = []
        errors: list[float] = []
        for visit, value in enumerate(self.values[number]):
            slopes = np.zeros(value.shape)
            for index in np.ndindex(value.shape):
                slopes[index], error = self._slope((number, visit), index, value.shape)
                errors.append(error)
            found.append(slopes)
        size = max((float(np.max(np.abs(s), initial=0.0)) for s in found), default=0.0)
        exact = size > 0 and max(errors) <= _OFF * size
        return found if exact else None

    def _slope(
        self, place: Visit, index: tuple[int, ...], shape: tuple[int, ...]
    ) -> tuple[float, float]:
        if time.thread_time() > self._until:
            raise _Late
        tableau = Tableau(2)
        for halving in range(_HALVINGS):
            if tableau.error <= _EXACT * abs(tableau.best):
                break
            step = _STEP / 2.0**halving
            both: list[float] = []
            for signed in (step, -step):
                move = np.zeros(shape)
                move[index] = signed
                value = self._value({place: _Moved(move)})
                if value is None:
                    break
                both.append(value)
            if len(both) == 2:
                rounding = float(np.finfo(float).eps) * max(map(abs, both)) / step
                tableau.add((both[0] - both[1]) / (2 * step), rounding)
        return tableau.best, tableau.error

    def _value(self, put: dict[Visit, Callable[[Any], Any]]) -> float | None:
        value = self._holes.run(self._loss, put)
        whole = None if value is None else float(np.sum(np.asarray(value, float)))
        return whole if whole is not None and np.isfinite(whole) else None


@dataclass(frozen=True)
class _Moved:
    move: Array

    def __call__(self, value: Any) -> Any:
        return _typed(value, np.asarray(value) + self.move)


@dataclass(frozen=True)
class _Put:
    new: Array

    def __call__(self, value: Any) -> Any:
        return _typed(value, self.new)


def _scaled(value: Any) -> Any:
    return _typed(value, np.asarray(value) * _FACTOR)


def _typed(value: Any, new: Array) -> Any:
    if isinstance(value, np.ndarray):
        return new.astype(cast(Array, value).dtype)
    return new.tolist() if isinstance(value, list) else type(value)(new)


def wrong_values(
    trial: Trial, functions: Sequence[Editable], of_loss: Sequence[Editable],
    put_back: Callable[[], None], right: Sequence[bool], seconds: float,
) -> list[Wrong]:  # fmt: skip
    """Return the values with which, as they should be, all gradients are right.

    They are the first of which that is so, in the order in which they are computed, and as few as
    possible; none where all gradients are not right with any.

    Args:
        trial: Asks for the gradients, and for the loss.
        functions: What the gradients run.
        of_loss: What the loss runs.
        put_back: Puts back what the user's code holds.
        right: Which gradients are right.
        seconds: How long it may take.
    """
    every = list({id(f.code): f for f in (*functions, *of_loss)}.values())
    holes = Holes(every, put_back)
    with holes.open():
        if len(holes.parts) > _MOST_PARTS:
            return []
        return _Search(trial, holes, time.thread_time() + seconds).run(right)


class _Search:
    """The search for wrong values.

    Args:
        trial: Asks for the gradients, and for the loss.
        holes: Open.
        until: When it ends.
    """

    def __init__(self, trial: Trial, holes: Holes, until: float) -> None:
        self._trial, self._holes = trial, holes
        self._measured = measured = _Measured(holes, trial.loss, until)
        self._sources = [number for number in measured.values if measured.moves(number)]
        self._seen = holes.seen(trial.values)
        self._events = holes.events

    def run(self, right: Sequence[bool]) -> list[Wrong]:
        """Return the values with which all gradients are right; none if there are no such.

        What functions are given is looked at where it is not seen in what they are given from.
        """
        for given in (False, True):
            with suppress(_Late):
                found = self._found(list(right), given)
                if found:
                    return found
        return []

    def _found(self, right: list[bool], given: bool) -> list[Wrong]:
        so_far: dict[Visit, Callable[[Any], Any]] = {}
        found: list[Wrong] = []
        while not all(right):
            best = self._next(right, so_far, given)
            if best is None:
                return []
            wrong, put, right = best
            found.append(wrong)
            so_far |= put
        return found

    def _next(
        self, right: list[bool], so_far: dict[Visit, Callable[[Any], Any]], given: bool
    ) -> tuple[Wrong, dict[Visit, Callable[[Any], Any]], list[bool]] | None:
        """Return the value that is wrong first of those with which more gradients are right."""
        holes, trial, parts = self._holes, self._trial, self._holes.parts
        sources = [k for k in self._sources if given or parts[k].slot is not None]
        best, when = None, float("inf")
        for number, own in self._seen.items():
            if self._events[number, 0] >= when:
                break
            if number in self._sources or (parts[number].slot is None and not given):
                continue
            if not _reaches(holes, trial, number, own, right):
                continue
            for source, new in self._as_they_should_be(own, sources):
                put = {(number, v): _Put(array) for v, array in enumerate(new)}
                values = holes.run(trial.values, so_far | put)
                fits = None if values is None else trial.fits(values)
                if fits is None or not _better(fits, right):
                    continue
                first = next(v for v, pair in enumerate(zip(own, new, strict=True))
                             if not _equal(*pair))  # fmt: skip
                if self._events[number, first] < when:
                    when = self._events[number, first]
                    mended = [k for k, yes in enumerate(fits) if yes and not right[k]]
                    others = [other for other in sources if other != source]
                    as_they_are = (
                        k for k, of in self._as_they_should_be(own, others)
                        if all(map(_equal, own, of))
                    )  # fmt: skip
                    is_by = next(as_they_are, None)
                    before = {parts[k].place for (k, _), event in self._events.items()
                              if event <= when}  # fmt: skip
                    best = Wrong(
                        parts[number], parts[source], None if is_by is None else parts[is_by],
                        *_worst(own, new), mended, before,
                    ), put, fits  # fmt: skip
                break
        return best

    def _as_they_should_be(
        self, own: Sequence[Array], sources: Sequence[int]
    ) -> Generator[tuple[int, list[Array]]]:
        """Yield by what a value may have to be the derivative of the loss, and that.

        Raises:
            _Late: There is no more time.
        """
        for source in sources:
            for order in _orders(own, self._measured.values[source]):
                derivative = self._measured.by(source)
                if derivative is None:
                    break
                yield source, [derivative[k] for k in order]


def _better(found: Sequence[bool], right: Sequence[bool]) -> bool:
    return sum(found) > sum(right) and all(f or not r for f, r in zip(found, right, strict=True))


def _reaches(
    holes: Holes, trial: Trial, number: int, own: Sequence[Array], right: Sequence[bool]
) -> bool:
    """Return whether a value reaches a gradient that is wrong."""
    plain = holes.run(trial.values, {})
    scaled = holes.run(trial.values, {(number, v): _scaled for v in range(len(own))})
    if plain is None or scaled is None:
        return False
    reached = [not np.allclose(a, b, rtol=1e-9, atol=0) for a, b in zip(plain, scaled, strict=True)]
    return any(r for r, yes in zip(reached, right, strict=True) if not yes)


def _orders(own: Sequence[Array], source: Sequence[Array]) -> Generator[list[int]]:
    """Yield which visits of a forward pass belong to those of a backward pass."""
    count = len(source)
    if len(own) != count:
        return
    backwards = [*reversed(range(count))]
    for order in [backwards] if count == 1 else [backwards, [*range(count)]]:
        if all(a.shape == source[k].shape for a, k in zip(own, order, strict=True)):
            yield order


def _equal(one: Array, other: Array) -> bool:
    size = float(np.max(np.abs(other), initial=0.0))
    return bool(np.all(np.abs(one - other) <= _OFF * size))


def _worst(own: Sequence[Array], new: Sequence[Array]) -> tuple[float, float]:
    pairs = [
        (a, b) for x, y in zip(own, new, strict=True)
        for a, b in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
    ]  # fmt: skip
    return max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
