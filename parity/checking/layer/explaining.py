"""Which slip brings wrong gradients to within rounding, in every element and on every draw."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs import factors
from parity.checking.bugs.derivative import (
    ANOTHERS,
    FACTOR,
    FLIPPED,
    PLACES_MISSING,
    SIGN,
    TRANSPOSED,
    ZERO,
)
from parity.checking.bugs.findings import Finding, listed
from parity.checking.bugs.layers import GRADIENT_WRONG, NOT_SUMMED, ONE_COUNTS, PADDING_FORGOTTEN
from parity.checking.bugs.table import NOT_FINITE, WRONG_SHAPE, Bug, Values
from parity.checking.layer.fit import Fit, LayerDraw
from parity.checking.layer.kind import FormulaSlip

Right = tuple[list[Array], list[Array]]


@dataclass(frozen=True)
class Named:
    """A cause of one wrong gradient."""

    bug: Bug
    values: Values
    evidence: str


class Explaining:
    """Looks for the causes of wrong gradients.

    Args:
        fit: How forward is one of the formulas.
        draws: What the user's layer said, with its gradients.
        right: For each draw the right gradients and their bounds.
        names: Of the arrays.
        misshapen: Gradients of another shape than their array, on the first draw.
        seed: Of the directions along which slips are tried first.
    """

    def __init__(
        self, fit: Fit, draws: Sequence[LayerDraw], right: Sequence[Right], names: Sequence[str],
        misshapen: dict[int, Array], seed: int,
    ) -> None:  # fmt: skip
        self.fit, self.draws, self.right, self.names = fit, draws, right, names
        self.misshapen = misshapen
        count = len(names)
        given = [k for k in range(count) if draws[0].gradients[k] is not None]
        self.wrong = [k for k in given if not self._agrees(k, right)]
        self.sound = [k for k in given if k not in self.wrong]
        self._rng = np.random.default_rng([seed, 11])

    def _agrees(self, k: int, expected: Sequence[Right]) -> bool:
        """Return whether a gradient is as expected, in every element and on every draw."""
        for draw, (values, bounds) in zip(self.draws, expected, strict=True):
            own = draw.gradients[k]
            if own is None or not np.all(np.abs(own - values[k]) <= bounds[k]):
                return False
        return True

    def findings(self) -> list[Finding]:
        """Return what is wrong; what no slip explains is said to be wrong, and no more."""
        found = [self._misshapen(k, array) for k, array in self.misshapen.items()]
        left = list(self.wrong)
        for slip, explained in self._slips():
            here = [k for k in left if k in explained]
            if here:
                evidence = "with it every element of it agrees up to rounding"
                found.append(Finding(slip.bug, self._where(here), slip.values, evidence))
                left = [k for k in left if k not in here]
        unknown: list[int] = []
        for k in left:
            cause = next(self._alone(k), None)
            if cause is None:
                unknown.append(k)
            else:
                found.append(Finding(cause.bug, self._where([k]), cause.values, cause.evidence))
        if unknown:
            sound = [f"d{self.names[k]}" for k in self.sound]
            evidence = f"right is {listed(sound)}" if sound else "none of the gradients is right"
            found.append(Finding(GRADIENT_WRONG, self._where(unknown), evidence=evidence))
        return found

    def _where(self, arrays: Sequence[int]) -> str:
        return listed([f"d{self.names[k]}" for k in sorted(arrays)])

    def _slips(self) -> list[tuple[FormulaSlip, set[int]]]:
        """Return slips with the gradients that they explain, those that explain the most first."""
        reading, reference = self.fit.reading, self.fit.reference
        found: list[tuple[FormulaSlip, set[int], int]] = []
        if not self.wrong:
            return []
        for slip in reference.kind.slips(reading.sizes, reference.options):
            if not any(self._roughly(slip)) or not self._keeps_outputs(slip):
                continue
            expected = [self.fit.gradients(draw, slip) for draw in self.draws]
            explained = {k for k in self.wrong if self._agrees(k, expected)}
            spoiled = sum(not self._agrees(k, expected) for k in self.sound)
            if explained:
                found.append((slip, explained, spoiled))
        found.sort(key=lambda each: (-len(each[1]), each[2]))
        return [(slip, explained) for slip, explained, _ in found]

    def _keeps_outputs(self, slip: FormulaSlip) -> bool:
        """Return whether forward is the same with a slip: then it is one of backward."""
        none = np.zeros((0, sum(array.size for array in self.draws[0].arrays) + 2))
        return all(
            np.all(near)
            for draw in self.draws
            for near in self.fit.near(draw, self.fit.computed(draw, none, slip))
        )

    def _roughly(self, slip: FormulaSlip) -> Iterator[bool]:
        """Yield of each wrong gradient whether a slip agrees with it along one direction."""
        draw = self.draws[0]
        n = sum(array.size for array in draw.arrays)
        ends = np.cumsum([0, *(array.size for array in draw.arrays)])
        along = self._rng.choice([-1.0, 1.0], n)
        directions = np.zeros((len(self.wrong), n + 2))
        for row, k in enumerate(self.wrong):
            directions[row, ends[k] : ends[k + 1]] = along[ends[k] : ends[k + 1]]
        try:
            with np.errstate(all="ignore"):
                values, bounds = self.fit.slopes(draw, directions, slip)
        except ValueError:  # a slip that these lengths do not allow
            return
        for row, k in enumerate(self.wrong):
            own = draw.gradients[k]
            assert own is not None
            terms = own.reshape(-1) * along[ends[k] : ends[k + 1]]
            # Each element may be off by a bound of its own.
            room = bounds[row] + float(np.sum(self.right[0][1][k])) + (
                2 * own.size * draw.unit * float(np.sum(np.abs(terms)))
            )  # fmt: skip
            yield bool(abs(float(np.sum(terms)) - values[row]) <= room)

    def _misshapen(self, k: int, array: Array) -> Finding:
        """Return what a gradient of another shape than its array is."""
        right, bound = self.right[0][0][k], self.right[0][1][k]
        where = self._where([k])
        for axes in _subsets(array.ndim):
            added = array.sum(axis=axes)
            if added.size == right.size and np.all(
                np.abs(added.reshape(right.shape) - right) <= bound
            ):
                words = " and ".join(map(str, axes))
                evidence = f"summed over axis {words} it agrees up to rounding"
                return Finding(NOT_SUMMED, where, {"axes": words}, evidence)
        cut = _cut_out(array, right, bound)
        if cut:
            values = {"how": ": its border is not cut off dx"}
            return Finding(PADDING_FORGOTTEN, where, values, "its middle agrees up to rounding")
        evidence = f"expected shape {right.shape}. Received: shape {array.shape}"
        return Finding(WRONG_SHAPE, where, evidence=evidence)

    def _alone(self, k: int) -> Iterator[Named]:
        """Yield causes that need no knowledge of the layer."""
        owns = [draw.gradients[k] for draw in self.draws]
        rights = [values[k] for values, _ in self.right]
        bounds = [bound[k] for _, bound in self.right]

        def equal(change: Callable[[Array], Array]) -> bool:
            return all(
                own is not None and np.all(np.abs(own - change(right)) <= change(bound))
                for own, right, bound in zip(owns, rights, bounds, strict=True)
            )

        if not all(own is not None and np.all(np.isfinite(own)) for own in owns):
            yield Named(NOT_FINITE, {}, "NaN or infinite in some element")
            return
        if all(own is not None and not np.any(own) for own in owns):
            yield Named(ZERO, {}, "all entries are exactly 0")
            return
        yield from self._one_counts(k)
        for j in range(len(self.names)):
            if j != k and rights[0].shape == self.right[0][0][j].shape and self._is_of(k, j):
                yield Named(ANOTHERS, {"other": f"d{self.names[j]}"}, "equal, element by element")
        shape = rights[0].shape
        if len(shape) == 2 and shape[0] == shape[1] and equal(np.transpose):
            yield Named(TRANSPOSED, {}, "equal to the right one once it is transposed")
        for axes in _subsets(len(shape)):
            if any(shape[a] > 1 for a in axes) and equal(lambda g, a=axes: np.flip(g, a)):
                words = " and ".join(map(str, axes))
                yield Named(FLIPPED, {"axis": words}, "equal to the right one once it is turned")
        yield from self._factor(k)
        zero = [(own == 0) if own is not None else np.zeros(shape, bool) for own in owns]
        missing = [
            own is not None and np.all(gone | (np.abs(own - right) <= bound))
            for own, gone, right, bound in zip(owns, zero, rights, bounds, strict=True)
        ]
        if all(missing):
            places = [str([int(i) for i in at]) for at in np.argwhere(zero[0])[:4]]
            more = ", ..." if np.count_nonzero(zero[0]) > len(places) else ""
            values = {"places": ", ".join(places) + more}
            yield Named(PLACES_MISSING, values, "the other entries agree")

    def _is_of(self, k: int, j: int) -> bool:
        return all(
            own is not None and np.all(np.abs(own - values[j]) <= bounds[j])
            for own, (values, bounds) in zip(
                (draw.gradients[k] for draw in self.draws), self.right, strict=True
            )
        )

    def _one_counts(self, k: int) -> Iterator[Named]:
        """Yield that only one of the batch's samples counts."""
        axes = self.fit.outputs[0][1].split()
        batch = axes.index("b") if "b" in axes else 0
        length = self.draws[0].douts[0].shape[batch] if self.draws[0].douts[0].ndim else 1
        for which, words in ((length - 1, "the last sample"), (0, "the first sample")):
            if length == 1:
                return
            expected: list[Right] = []
            for draw in self.draws:
                chosen = [np.zeros_like(dout) for dout in draw.douts]
                at = (slice(None),) * batch + (slice(which, which + 1),)
                for one, dout in zip(chosen, draw.douts, strict=True):
                    one[at] = dout[at]
                expected.append(self.fit.gradients(draw, douts=chosen))
            if self._agrees(k, expected):
                evidence = "equal, element by element, to that sample's share alone"
                yield Named(ONE_COUNTS, {"which": words}, evidence)

    def _factor(self, k: int) -> Iterator[Named]:
        """Yield one factor that all elements have, on all draws."""
        own, right = self.draws[0].gradients[k], self.right[0][0][k]
        assert own is not None
        size = float(np.sum(right * right))
        if not size:
            return
        rough = float(np.sum(own * right)) / size
        batch = self.fit.reading.sizes.get("b", 1)
        for factor in _numbers(rough):
            if all(
                g is not None and np.all(np.abs(g - factor * values[k]) <= abs(factor) * bounds[k]
                                         + 4 * draw.unit * np.abs(factor * values[k]))
                for draw, g, (values, bounds) in (
                    (draw, draw.gradients[k], pair)
                    for draw, pair in zip(self.draws, self.right, strict=True)
                )
            ):  # fmt: skip
                bug, said = factors.name(factor, 1e-6 * abs(factor), batch, 1)
                hint = bug.title.partition(": ")[2].format_map(said)
                plain = bug in (factors.FACTOR, factors.SIGN) or not hint
                values = {"factor": f"{factor:.7g}", "words": "" if plain else f" ({hint})"}
                yield Named(SIGN if factor < 0 else FACTOR, values, "in every element")
                return


def _numbers(rough: float) -> list[float]:
    """Return the exact factor that a measured one may be."""
    near = [rough, round(rough)] if round(rough) else [rough]
    if rough and round(1 / rough):
        near.append(1 / round(1 / rough))
    return near


def _subsets(ndim: int) -> list[tuple[int, ...]]:
    """Return the sets of axes, the small ones first."""
    every = [tuple(a for a in range(ndim) if bits >> a & 1) for bits in range(1, 2**ndim)]
    return sorted(every, key=len)


def _cut_out(array: Array, right: Array, bound: Array) -> bool:
    """Return whether the right gradient is the middle of a larger one."""
    if array.ndim != right.ndim or any(
        a < r for a, r in zip(array.shape, right.shape, strict=True)
    ):
        return False
    spare = [(a - r) for a, r in zip(array.shape, right.shape, strict=True)]
    middle = tuple(slice(s // 2, s // 2 + r) for s, r in zip(spare, right.shape, strict=True))
    return bool(np.all(np.abs(array[middle] - right) <= bound))
