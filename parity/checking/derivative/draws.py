"""Draws of weights and samples, with the user's gradients there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.repeating import PILED, alike, piled, remembers
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.derivative import STATE_KEPT
from parity.checking.bugs.findings import Finding, Notes, Unreadable
from parity.checking.bugs.table import (
    ACCUMULATED,
    NONDETERMINISTIC,
    NOT_GIVEN,
    WRONG_COUNT,
    WRONG_SHAPE,
    Severity,
)
from parity.checking.derivative import farther
from parity.checking.derivative.pairs import Point
from parity.checking.derivative.reading import OfSteps
from parity.checking.derivative.samples import Samples, batch_of, samples, some_of, spread
from parity.checking.derivative.slopes import Place

# So many draws are near the user's weights.
POINTS = 2
# By how much weights are shrunk, and how far they lie from those given: see farther.SPREADS.
_SPREADS = ((1.0, 0.3), (0.3, 0.3), (0.1, 0.3), (1.0, 0.03))


class Draws:
    """Asks for the gradients at weights and samples that are drawn.

    Args:
        subject: The user's code.
        seed: Of the draws.
        notes: Takes what the first draw shows of the answers' form.
        read: Gets gradients from steps, where there are no others.

    Attributes:
        samples: Where samples come from, once there are draws.
        start: The user's weights.
    """

    samples: Samples

    def __init__(self, subject: Subject, seed: int, notes: Notes, read: OfSteps) -> None:
        self.subject, self.seed, self.notes, self.read = subject, seed, notes, read
        self.start = subject.weights()

    def near(self) -> list[Point]:
        """Return the draws near the user's weights.

        Raises:
            Unreadable: There are no samples, or the answers are no gradients.
        """
        self.samples = samples(self.subject, np.random.default_rng([self.seed, 7]))
        return [self.point(number) for number in range(POINTS)]

    def point(self, number: int) -> Point:
        """Return a draw of weights and samples, with the gradients there."""
        rng = np.random.default_rng([self.seed, number])
        x, y = self.samples.draw(rng)
        if number == farther.FEWER:
            less = some_of(x, y, slice(0, -1))
            if less is None:
                raise TheirError("data", "expected as many rows of y as of x")
            x, y = less
        if self.samples.given and number == 0:
            self.samples = replace(self.samples, batch=batch_of(x, y))
        spreads = farther.SPREADS if number in farther.DRAWS else _SPREADS
        places = (Place(self.subject, spread(self.start, rng, *each), x, y) for each in spreads)
        place = next(places)
        while not np.isfinite(place.at(0, 0 * place.arrays[0])):
            following = next(places, None)
            if following is None:
                break
            place = following
        point = Point(place, {}, number=number)
        first, second = (self.asked(place) for _ in range(2))
        if self.subject.candidate.gradients is None:
            point.lost = float(max(map(np.max, self.read.lost(place, first))))
        if number == 0:
            self._repeats(first, second, place)
        elif number == farther.FEWER and not _repeat(place, first, second):
            raise TheirError("gradients", "two calls with a sample less differ")
        if len(first) != len(self.subject.names):
            evidence = f"expected {len(self.subject.names)} arrays. Received: {len(first)}"
            raise Unreadable(
                Finding(WRONG_COUNT, "gradients", evidence=evidence, severity=Severity.WRONG)
            )
        missing = [
            name for name, array in zip(self.subject.names, first, strict=True) if array is None
        ]
        if len(missing) == len(first):
            raise TheirError("gradients", "expected arrays. Received: None for each weight")
        if number == 0 and missing:
            self.notes.findings.append(Finding(NOT_GIVEN, f"gradients of {', '.join(missing)}"))
        fitting = of_shape(first, place.arrays)
        for index, (array, gradient) in enumerate(zip(first, fitting, strict=True)):
            if gradient is not None:
                point.gradients[index] = gradient
            elif array is not None and number == 0:
                self._misshapen(index, array, place.arrays[index])
        return point

    def _misshapen(self, index: int, array: Array, weight: Array) -> None:
        name = self.subject.names[index]
        evidence = f"expected shape {weight.shape}. Received: shape {array.shape}"
        if array.T.shape == weight.shape:
            evidence += ", its transpose"
        self.notes.findings.append(Finding(WRONG_SHAPE, f"gradient of {name}", evidence=evidence))

    def asked(self, place: Place, settled: bool = False) -> list[Array | None]:
        """Return the gradients at a place; where it is settled, the weights are set already."""
        if not settled:
            place.back()
        if self.subject.candidate.gradients is not None:
            return self.subject.gradients(place.x, place.y)
        return self.read.gradients(place)

    def _repeats(
        self, first: Sequence[Array | None], second: Sequence[Array | None], place: Place
    ) -> None:
        """Say where two calls on equal input, or two losses, differ."""
        lost: Sequence[Array | float] = [0.0] * len(first)
        if self.read.falling is not None:
            lost = self.read.lost(place, first)
        pairs = [
            (a, b)
            for a, b, room in zip(first, second, lost, strict=False)
            if a is not None and b is not None and a.shape == b.shape
            if not np.any(room) or not np.all(np.abs(a - b) <= room)
        ]
        losses = [place.at(0, 0 * place.arrays[0]) for _ in range(2)]
        if not np.isclose(*losses, rtol=1e-12, equal_nan=True):
            evidence = f"two losses of the same weights, x and y: {losses[0]!r}, {losses[1]!r}"
            raise Unreadable(self._changing(place, "loss", evidence))
        if all(alike(a, b) for a, b in pairs):
            return
        piling = piled(first, second, self.asked(place))
        if piling is not None:
            names = [n for n, piles in zip(self.subject.names, piling, strict=True) if piles]
            where = "gradients" if all(piling) else f"gradients of {', '.join(names)}"
            self.notes.findings.append(Finding(ACCUMULATED, where, evidence=PILED))
            return
        evidence = "two calls with the same weights, x and y differ"
        raise Unreadable(self._changing(place, "gradients", evidence))

    def _changing(self, place: Place, name: str, evidence: str) -> Finding:
        """Return what is to be said of answers that differ on equal input."""

        def ask(gain: float) -> Array:
            self.subject.set_weights([gain * array for array in place.arrays])
            if name == "loss":
                return np.array([float(self.subject.loss(place.x, place.y))])
            answered = self.subject.gradients(place.x, place.y)
            return np.concatenate([g.ravel() for g in answered if g is not None])

        if (name == "loss" or self.subject.candidate.gradients is not None) and remembers(ask):
            evidence += "; after the same calls they are the same"
            return Finding(STATE_KEPT, name, {"callable": name}, evidence)
        return Finding(NONDETERMINISTIC, name, evidence=evidence)


def of_shape(gradients: Sequence[Array | None], weights: Sequence[Array]) -> list[Array | None]:
    """Return the gradients in their weights' shapes, up to axes of one; None for any other."""
    found: list[Array | None] = []
    for array, weight in zip(gradients, weights, strict=True):
        plain = [[n for n in a.shape if n > 1] for a in (array, weight) if a is not None]
        fits = array is not None and plain[0] == plain[1]
        found.append(array.reshape(weight.shape) if array is not None and fits else None)
    return found


def _repeat(place: Place, first: Sequence[Array | None], second: Sequence[Array | None]) -> bool:
    """Return whether two calls gave the same, and two losses are the same."""
    pairs = zip(first, second, strict=True)
    answers = all(a is b or (a is not None and b is not None and alike(a, b)) for a, b in pairs)
    one, other = (place.at(0, 0 * place.arrays[0]) for _ in range(2))
    return answers and bool(np.isclose(one, other, rtol=1e-12))
