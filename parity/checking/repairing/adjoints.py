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

# So many seconds a call may take with another value, where it may loop until something is so.
_LONGEST = 0.5
# So many parts of functions are looked at.
_MOST_PARTS = 400
# The first step by which a number is moved, how often it is halved, and by which share a measured
# derivative may be off.
_STEP, _HALVINGS, _OFF = 2.0**-9, 5, 1e-5
# What is computed with a measured derivative is right up to this share.
_MEASURED = 1e-7
# What changes the loss by a smaller share of it changes nothing.
_NOTHING = 1e-9
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
        self._own = self._value({})
        self._known: dict[int, list[Array] | None] = {}

    def moves(self, number: int) -> bool:
        """Return whether the loss is another with another value of a part.

        Raises:
            _Late: There is no more time.
        """
        if time.thread_time() > self._until:
            raise _Late
        other = self._value({(number, v): _scaled for v in range(len(self.values[number]))})
        if other is None or self._own is None:
            return other is None
        return not np.isclose(self._own, other, rtol=1e-9, atol=0)

    def by(self, number: int) -> list[Array] | None:
        """Return the derivative by a part at each of its visits; None where it is not exact.

        Raises:
            _Late: There is no more time.
        """
        if number not in self._known:
            self._known[number] = self._by(number)
        return self._known[number]

    def is_known(self, number: int) -> bool:
        """Return whether the derivative by a part has been measured."""
        return number in self._known

    def _by(self, number: int) -> list[Array] | None:
        found: list[Array] = []
        errors: list[float] = []
        size = 0.0
        for visit, value in enumerate(self.values[number]):
            slopes = np.zeros(value.shape)
            for index in np.ndindex(value.shape):
                move = np.zeros(value.shape)
                move[index] = 1.0
                slopes[index], error = self._slope((number, visit), move, size)
                errors.append(error)
                size = max(size, abs(float(slopes[index])))
            found.append(slopes)
        exact = size > 0 and max(errors) <= _OFF * size
        return found if exact else None

    def _slope(self, place: Visit, move: Array, size: float) -> tuple[float, float]:
        """Return the derivative along a move, and by how much it may be off.

        Two steps are enough where extrapolation from them changes next to nothing: what it leaves
        goes with the square of that.
        """
        if time.thread_time() > self._until:
            raise _Late
        tableau = Tableau(2)
        for halving in range(_HALVINGS):
            step = _STEP / 2.0**halving
            both = [self._value({place: _Moved(sign * move)}) for sign in (step, -step)]
            one, other = both
            if one is None or other is None:
                continue
            rounding = float(np.finfo(float).eps) * max(abs(one), abs(other)) / step
            slope = (one - other) / (2 * step)
            tableau.add(slope, rounding)
            if tableau.error <= _OFF * max(abs(tableau.best), size, _NOTHING * abs(one)):
                break
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
    """Return a value in which each number is multiplied by another; of zeros, to which it is added.

    Something may be the same whatever the length of a vector, or of all numbers and one more.
    """
    array = np.asarray(value)
    factors = _FACTOR + 0.3 * np.sin(1.0 + np.arange(array.size)).reshape(array.shape)
    return _typed(value, array * factors if np.any(array) else array + factors)


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
    holes = Holes(every, put_back, _LONGEST)
    with holes.open():
        if len(holes.parts) > _MOST_PARTS:
            return []
        with suppress(_Late):
            return _Search(trial, holes, time.thread_time() + seconds).run(right)
    return []


@dataclass(frozen=True)
class _Derivative:
    """A wrong value, what is put in its place, which gradients are right then, and when it is."""

    wrong: Wrong
    put: dict[Visit, Callable[[Any], Any]]
    right: list[bool]
    when: int


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
        found: list[Wrong] = []
        own = self._holes.run(self._trial.values, {})
        # What is off by no more than a measured derivative is, is not located by one.
        if own is None or self._trial.fits(own, _MEASURED) != list(right):
            return found
        for given in (False, True):
            with suppress(_Late):
                more = self._found(list(right), given)
                if more and (not found or len(more) < len(found)):
                    found = more
            if len(found) == 1:
                break
        return found

    def _found(self, right: list[bool], given: bool) -> list[Wrong]:
        so_far: dict[Visit, Callable[[Any], Any]] = {}
        found: list[Wrong] = []
        while not all(right):
            best = self._next(right, so_far, given)
            if best is None:
                return []
            before = next((one for one in found if one.part is best.wrong.part), None)
            if before is None:
                found.append(best.wrong)
            else:
                before.mended.extend(best.wrong.mended)
            so_far |= best.put
            right = best.right
        return found

    def _next(
        self, right: list[bool], so_far: dict[Visit, Callable[[Any], Any]], given: bool
    ) -> _Derivative | None:
        """Return the value that is wrong first of those with which more gradients are right.

        Raises:
            _Late: There is no more time, and none was found.
        """
        parts = self._holes.parts
        # What is computed last is what a backward pass begins with; a name says most.
        sources = [k for k in self._sources if given or parts[k].slot is not None]
        sources.sort(key=lambda k: (not parts[k].name, -k))
        plain = self._holes.run(self._trial.values, so_far)
        best: _Derivative | None = None
        for number, own in self._seen.items():
            # What is seen first may be wrong later, and something else before that.
            if plain is None or (best is not None and self._events[number, 0] >= best.when):
                break
            if number in self._sources or (parts[number].slot is None and not given):
                continue
            if not self._reaches(number, own, right, so_far, plain):
                continue
            try:
                found = self._as_it_should_be(number, own, sources, right, so_far)
            except _Late:
                if best is None:
                    raise
                break
            if found is not None and (best is None or found.when < best.when):
                best = found
        return best

    def _reaches(
        self, number: int, own: Sequence[Array], right: Sequence[bool],
        so_far: dict[Visit, Callable[[Any], Any]], plain: Sequence[Array],
    ) -> bool:  # fmt: skip
        """Return whether a value reaches a gradient that is wrong."""
        put = so_far | {(number, v): _scaled for v in range(len(own))}
        scaled = self._holes.run(self._trial.values, put)
        return scaled is not None and any(
            not yes and not np.allclose(a, b, rtol=1e-9, atol=0)
            for a, b, yes in zip(plain, scaled, right, strict=True)
        )

    def _as_it_should_be(
        self, number: int, own: Sequence[Array], sources: Sequence[int], right: Sequence[bool],
        so_far: dict[Visit, Callable[[Any], Any]],
    ) -> _Derivative | None:  # fmt: skip
        """Return a value with what it should be, if more gradients are right with that.

        Raises:
            _Late: There is no more time, and nothing was found.
        """
        best: tuple[int, dict[Visit, Callable[[Any], Any]], list[Array], list[bool]] | None = None
        now = right
        try:
            for source, new in self._measured_for(own, sources):
                put = {(number, v): _Put(array) for v, array in enumerate(new)}
                values = self._holes.run(self._trial.values, so_far | put)
                fits = None if values is None else self._trial.fits(values, _MEASURED)
                if fits is not None and _better(fits, now):
                    best, now = (source, put, new, list(fits)), fits
                    if all(fits):
                        break
        except _Late:
            if best is None:
                raise
        if best is None:
            return None
        source, put, new, fits = best
        parts, is_by = self._holes.parts, self._instead(own, source)
        differ = (v for v, pair in enumerate(zip(own, new, strict=True)) if not _equal(*pair))
        when = self._events[number, next(differ, 0)]
        before = {parts[k].place for (k, _), event in self._events.items() if event <= when}
        mended = [k for k, yes in enumerate(fits) if yes and not right[k]]
        wrong = Wrong(
            parts[number], parts[source], None if is_by is None else parts[is_by],
            *_worst(own, new), mended, before,
        )  # fmt: skip
        return _Derivative(wrong, put, fits, when)

    def _instead(self, own: Sequence[Array], source: int) -> int | None:
        """Return by what a value is the derivative, of what has been measured."""
        measured = [k for k in self._sources if k != source and self._measured.is_known(k)]
        same = (k for k, of in self._measured_for(own, measured) if all(map(_equal, own, of)))
        return next(same, None)

    def _measured_for(
        self, own: Sequence[Array], sources: Sequence[int]
    ) -> Generator[tuple[int, list[Array]]]:
        """Yield by what a value may have to be the derivative of the loss, and that.

        Raises:
            _Late: There is no more time.
        """
        for source in sources:
            values = self._measured.values[source]
            orders = [*_orders(own, values)]
            derivative = self._measured.by(source) if orders else None
            if derivative is None:
                continue
            if len(own) == len(values) > 1:
                orders.append(_by_those_that_are_right(own, derivative))
            for order in orders:
                pairs = zip(own, order, strict=True)
                yield source, [a if k is None else derivative[k] for a, k in pairs]


def _better(found: Sequence[bool], right: Sequence[bool]) -> bool:
    return sum(found) > sum(right) and all(f or not r for f, r in zip(found, right, strict=True))


def _orders(own: Sequence[Array], source: Sequence[Array]) -> Generator[list[int | None]]:
    """Yield which visit of a forward pass belongs to each of a backward pass; None: no visit.

    What is called for several layers, or for each gate, is visited more often: then it is every
    second of the visits, say, or those of the same shape. The last of a backward pass is of what
    the first step of a forward pass begins with, where it is handed on to the step before.
    """
    shapes, count = {array.shape for array in own}, len(own)
    visits: list[int | None] = [k for k, array in enumerate(source) if array.shape in shapes]
    each = len(visits) // count
    if not each or len(visits) % count:
        return
    for first in range(each):
        forwards = visits[first::each]
        orders = [forwards[::-1]]
        if count > 1:
            orders += [forwards, [*forwards[-2::-1], None]]
        for order in orders:
            pairs = zip(own, order, strict=True)
            if all(k is None or a.shape == source[k].shape for a, k in pairs):
                yield order


def _by_those_that_are_right(own: Sequence[Array], derivative: Sequence[Array]) -> list[int | None]:
    """Return which visit belongs to each where those that are right tell it, and the rest is left.

    Of two branches a backward pass may begin with either.
    """
    left = [*range(len(derivative))]
    found: list[int | None] = []
    for array in own:
        same = (k for k in left if derivative[k].shape == array.shape)
        place = next((k for k in same if _equal(array, derivative[k])), None)
        found.append(place)
        left = [k for k in left if k != place]
    for number, array in enumerate(own):
        if found[number] is None:
            fitting = (k for k in reversed(left) if derivative[k].shape == array.shape)
            found[number] = next(fitting, None)
            left = [k for k in left if k != found[number]]
    return found


def _equal(one: Array, other: Array) -> bool:
    size = float(np.max(np.abs(other), initial=0.0))
    return bool(np.all(np.abs(one - other) <= _OFF * size))


def _worst(own: Sequence[Array], new: Sequence[Array]) -> tuple[float, float]:
    pairs = [
        (a, b) for x, y in zip(own, new, strict=True)
        for a, b in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
    ]  # fmt: skip
    return max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
