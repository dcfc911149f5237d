"""On which numbers a layer is asked: standard normal ones, or tamer ones where these give NaN."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.findings import listed
from parity.checking.layer.theirs import Theirs

# Draws an array like an example.
_Drawn = Callable[[np.random.Generator, Array], Array]


def _normal(rng: np.random.Generator, example: Array) -> Array:
    """Return standard normal numbers, the smaller the more of them are summed."""
    scale = min(1.0, 2.0 / example.size ** (1 / max(1, 2 * example.ndim)))
    return scale * rng.standard_normal(example.shape)


def _tenth(rng: np.random.Generator, example: Array) -> Array:
    return _normal(rng, example) / 10


def _positive(rng: np.random.Generator, example: Array) -> Array:
    return rng.uniform(0.1, 0.9, example.shape)


def _near(rng: np.random.Generator, example: Array) -> Array:
    return example * rng.uniform(0.9, 1.1, example.shape)


@dataclass(frozen=True)
class Numbers:
    """Numbers on which a layer is asked.

    Attributes:
        words: What they are.
        inputs: Draws an input.
        weights: Draws a weight.
    """

    words: str
    inputs: _Drawn = _normal
    weights: _Drawn = _normal

    def drawn(self, rng: np.random.Generator, theirs: Theirs) -> list[Array]:
        """Return arrays like the examples of a layer's, in their shapes and dtypes."""
        return [
            (self.inputs if k < theirs.inputs else self.weights)(rng, a).astype(a.dtype)
            for k, a in enumerate(theirs.arrays)
        ]

    def beginning(self, theirs: Theirs) -> list[Array]:
        """Return arrays in the midst of these numbers; of normal ones the user's own examples."""
        return [
            np.full_like(a, 0.5)
            if (self.inputs if k < theirs.inputs else self.weights) is _positive
            else a
            for k, a in enumerate(theirs.arrays)
        ]


USUAL = Numbers("standard normal numbers")
# The tamer ones: first what keeps the signs, then what has a root and a logarithm, and at last
# what the user has said to be in order.
TAMER = (
    Numbers("a tenth of standard normal numbers", _tenth, _tenth),
    Numbers("inputs between 0.1 and 0.9 and a tenth of standard normal weights", _positive, _tenth),
    Numbers("numbers between 0.1 and 0.9", _positive, _positive),
    Numbers("numbers within a tenth of those that were given", _near, _near),
)


@dataclass(frozen=True)
class Wild:
    """Numbers on which a layer could not be judged.

    Attributes:
        numbers: What they are.
        arrays: The user's, in the order of the call.
        outputs: Of the user's forward; empty where it raised something.
        error: What it raised; None where its outputs are not finite.
    """

    numbers: Numbers
    arrays: list[Array]
    outputs: list[Array]
    error: TheirError | None = None

    def said(self, theirs: Theirs, tame: Sequence[Array] = ()) -> str:
        """Return what happened and where first: "forward gives nan, first at [0, 2] of its output".

        Args:
            theirs: The user's layer.
            tame: Arrays on which it gives numbers; none: there are none that are known.
        """
        whose = list(self._due_to(theirs, tame)) or list(range(len(self.arrays)))
        ranges = listed(
            [
                f"{theirs.names[k]} from {self.arrays[k].min():.3g} to {self.arrays[k].max():.3g}"
                for k in whose
            ]
        )
        behind = f" on {self.numbers.words} ({ranges})"
        if self.error is not None:
            return f"{self.error.callable_name} raises {self.error.words}{behind}"
        which, at = first_not_finite(self.outputs)
        output = "its output" if len(self.outputs) == 1 else f"output {which + 1}"
        value = self.outputs[which][at]
        words = f"forward gives {value:g}, first at {[int(i) for i in at]} of {output}"
        if len(whose) == 1 and self.arrays[whose[0]].shape == self.outputs[which].shape:
            words += f", where {theirs.names[whose[0]]} is {self.arrays[whose[0]][at]:.3g}"
        return words + behind

    def _due_to(self, theirs: Theirs, tame: Sequence[Array]) -> Iterator[int]:
        """Yield the arrays each of which is enough to be tamed alone."""
        for k, array in enumerate(tame):
            try:
                outputs = theirs.outputs([*self.arrays[:k], array, *self.arrays[k + 1 :]])
            except TheirError:
                continue
            if first_not_finite(outputs[: theirs.douts])[0] < 0:
                yield k


def first_not_finite(outputs: Sequence[Array]) -> tuple[int, tuple[int, ...]]:
    """Return which output is the first with NaN or infinity, and its place in it; -1 if none is."""
    for which, output in enumerate(outputs):
        places = np.argwhere(~np.isfinite(output))
        if len(places):
            return which, tuple(places[0])
    return -1, ()
