"""The gradients of any loss, asked for while the line that is wrong is searched."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.derivative import ONE_CHANGE, ONE_CHANGE_IN_PART
from parity.checking.bugs.table import Bug
from parity.checking.derivative.pairs import Point, SlopePair, TensorSlopes, losses_at
from parity.checking.derivative.samples import some_of
from parity.checking.derivative.slopes import Place

# Losses before and after a change of the code that is not to change them.
_SAME_LOSS = 1e-12


class OfLoss:
    """The gradients beside the derivative of the loss, on directions measured before.

    It is a trial of the search for a change.

    Args:
        points: Where the derivative was measured.
        tensors: With what was measured.
        base: The factor that right gradients have; with a change they may all have 1 instead.
        ask: Asks for the gradients at a point, and returns them by the places of the weights; the
            weights are set before, unless they are as they should be.
        again: Measures the tensors on another draw, and on those of the points if asked for:
            returns which have a factor.

    Attributes:
        names: Of the user's arrays.
    """

    of_steps, measures = False, True
    numbers: Sequence[float] = ()
    bug, agreement = ONE_CHANGE, "all gradients agree"
    bug_in_part: Bug | None = ONE_CHANGE_IN_PART

    def __init__(
        self, points: Sequence[Point], tensors: Sequence[TensorSlopes], base: float,
        ask: Callable[[Point, bool], dict[int, Array]],
        again: Callable[[float, bool], dict[int, bool]],
    ) -> None:  # fmt: skip
        self._points, self._base, self._factor = points, base, base
        self._tensors, self._ask, self._again = tensors, ask, again
        self._losses = losses_at(self._points)
        self._settled = False
        self.names = [tensor.name for tensor in tensors]

    @cached_property
    def _directions(self) -> list[list[Array]]:
        """The directions of each tensor at each point, one a row."""
        return [
            [
                np.array([p.direction.ravel() for p in tensor.pairs if p.point == number])
                for tensor in self._tensors
            ]
            for number in range(len(self._points))
        ]

    def _along(self, number: int, settled: bool = False) -> list[Array]:
        found = self._ask(self._points[number], settled)
        values: list[Array] = []
        for tensor, rows in zip(self._tensors, self._directions[number], strict=True):
            gradient = found.get(tensor.index)
            if gradient is None or not np.all(np.isfinite(gradient)):
                raise TheirError("gradients", "expected numbers of the weights' shapes")
            values.append(rows @ gradient.ravel() if len(rows) else np.zeros(0))
        return values

    def _right(
        self, number: int, values: Sequence[Array], factor: float, share: float = 0.0
    ) -> list[bool]:
        found: list[bool] = []
        for tensor, own in zip(self._tensors, values, strict=True):
            pairs = [p for p in tensor.pairs if p.point == number]
            known = [(p, v) for p, v in zip(pairs, own, strict=True) if np.isfinite(p.slope.error)]
            room = share * max((abs(factor * p.slope.value) for p, _ in known), default=0.0)
            found.append(
                all(p.near(v, factor) or abs(v - factor * p.slope.value) <= room for p, v in known)
            )
        return found

    def values(self) -> list[Array]:
        """Return the gradients along the directions of the first point."""
        return self._along(0, self._settled)

    def settle(self, put_back: Callable[[], None]) -> None:
        """Find out whether what puts back what the user's code holds sets the weights as well.

        To set them takes longer than most of what else a trial does.
        """
        first, others = self._points[0].place, self._points[1:]
        own = self._along(0)
        for point in others:
            point.place.back()
        put_back()
        if not others or not first.is_here():
            return
        # What else set_weights does may matter: it may seed a generator.
        for _ in range(2):
            again = self._along(0, settled=True)
            put_back()
            if not all(map(np.array_equal, own, again)):
                return
        self._settled = True

    def fits(self, values: Sequence[Array], share: float = 0.0) -> list[bool]:
        """Return which of them are the derivative, up to a share of the largest if one is given."""
        self._factor = 1.0
        right = self._right(0, values, self._factor, share)
        if self._base != 1.0 and not all(right):
            self._factor = self._base
            right = self._right(0, values, self._factor, share)
        return right

    def loss(self) -> Any:
        """Call the loss alone."""
        place = self._points[0].place
        return [place.at(0, 0 * place.arrays[0])]

    def confirmed(self) -> list[bool]:
        """Return which of what fitted last is right at the other points and at one more."""
        none = [False] * len(self._tensors)
        if not np.allclose(losses_at(self._points), self._losses, rtol=_SAME_LOSS, atol=0):
            return none
        found = [True] * len(none)
        for number in range(1, len(self._points)):
            right = self._right(number, self._along(number), self._factor)
            found = [a and b for a, b in zip(found, right, strict=True)]
        if not any(found):
            return none
        more = self._again(self._factor, False)
        return [a and more.get(t.index, False) for a, t in zip(found, self._tensors, strict=True)]

    def fits_its_own_loss(self) -> list[bool]:
        """Return which are the derivative of the loss as it is now."""
        now = self._again(self._base, True)
        return [now.get(tensor.index, False) for tensor in self._tensors]

    def elsewhere(self, right: Sequence[bool]) -> list[bool] | None:
        """Return which are the derivative with a sample less; None where it cannot be left out."""
        if self._smaller is None:
            return None
        point, slopes = self._smaller
        gradients = self._ask(point, False)
        found: list[bool] = []
        for tensor, pairs in zip(self._tensors, slopes, strict=True):
            gradient = gradients.get(tensor.index)
            found.append(
                gradient is not None
                and all(
                    replace(pair, room=point.room(gradient * pair.direction)).near(
                        float(np.sum(gradient * pair.direction)), self._factor
                    )
                    for pair in pairs
                )
            )
        return found

    @cached_property
    def _smaller(self) -> tuple[Point, list[list[SlopePair]]] | None:
        """The first point with a sample less, and the slopes there; None: there is no such batch.

        The loss is not changed by what is tried.
        """
        first = self._points[0].place
        less = some_of(first.x, first.y, slice(0, -1))
        if less is None:
            return None
        place = Place(first.subject, first.arrays, *less)
        every: list[list[SlopePair]] = []
        for tensor in self._tensors:
            directions = [p.direction for p in tensor.measured if p.point == 0]
            slopes = [place.along(tensor.index, d, 0.0, 0.0) for d in directions]
            pairs = zip(directions, slopes, strict=True)
            every.append([SlopePair(0.0, s, 0.0, 0, d) for d, s in pairs if np.isfinite(s.error)])
        return Point(place, {}), every
