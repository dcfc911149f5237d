"""Which of the user's arrays is which variable of a Keras model, and how its axes lie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations, product
from typing import Any, Literal

import numpy as np

from numpy_impl.types import Array, Shape

By = Literal["shape", "values", "forward", "order"]
# Assignments that are tried with the user's forward, the likeliest first.
_MOST_TRIED, _MOST_LOOKED_AT = 200, 50_000
_WORDS = {
    "shape": "the only one of its shape",
    "values": "the same values",
    "forward": "with it your forward agrees",
    "order": "the order only",
}


@dataclass(frozen=True)
class MatchedWeight:
    """One of the user's arrays beside a variable of the model.

    Attributes:
        array: Its name: "weights['W1']".
        shape: Its shape.
        variable: The variable's path: "dense/kernel".
        axes: Where the variable's axes lie in the array, as for ``numpy.transpose``.
        by: What says so: "shape", "values", "forward" or "order".
        others: What it might be as well: paths, with "transposed" where only the axes are open.
    """

    array: str
    shape: Shape
    variable: str
    axes: tuple[int, ...]
    by: By
    others: tuple[str, ...] = ()

    def as_given(self, value: Array) -> Array:
        """Return a value of the variable as the array holds it."""
        return np.transpose(value, self.axes).reshape(self.shape)


@dataclass(frozen=True)
class WeightMatch:
    """Which array is which variable; ``print`` shows it as a table.

    Attributes:
        rows: One for each array that has a variable.
        arrays: Names of arrays that have none.
        variables: Paths of variables that have none.
    """

    rows: tuple[MatchedWeight, ...]
    arrays: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether each array has a variable, and each variable an array."""
        return not self.arrays and not self.variables

    @property
    def ambiguous(self) -> bool:
        """Whether some array might be another variable, or lie otherwise."""
        return any(row.others for row in self.rows)

    def __str__(self) -> str:
        head = ("your array", "shape", "Keras variable", "axes", "known by", "or")
        lines = [head, *map(_cells, self.rows)]
        lines += [(name, "", "none", "", "", "") for name in self.arrays]
        lines += [("none", "", path, "", "", "") for path in self.variables]
        widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
        rows = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join(rows)


def _cells(row: MatchedWeight) -> tuple[str, ...]:
    axes = "as they are" if list(row.axes) == sorted(row.axes) else f"transposed {row.axes}"
    others = ", ".join(row.others)
    return row.array, str(row.shape), row.variable, axes, _WORDS[row.by], others


# The number of a variable, and how its axes lie.
Placed = tuple[int, tuple[int, ...]]


def matched(opened: Any, names: Sequence[str], arrays: Sequence[Array]) -> WeightMatch:
    """Return the match by shapes and values, and by the order where these leave it open."""
    paths: list[str] = opened.paths
    values = [opened.values()[id(v)] for v in opened.variables]
    options = [_options(a, [v.shape for v in values]) for a in arrays]
    equal = [
        [(n, axes) for n, axes in each if np.array_equal(_lying(values[n], axes, a), a)]
        for a, each in zip(arrays, options, strict=True)
    ]
    taken: dict[int, Placed] = {}
    for k, each in enumerate(equal):
        # Zeros say nothing: an array that is not filled yet is like any bias.
        told = len({n for n, _ in each}) == 1 and arrays[k].size > 0 and np.ptp(arrays[k]) > 0
        if told and each[0][0] not in {n for n, _ in taken.values()}:
            taken[k] = each[0]
    by_values = set(taken)
    for k, each in enumerate(options):
        free = [p for p in each if p[0] not in {n for n, _ in taken.values()}]
        if k not in taken and free:
            taken[k] = free[0]
    rows: list[MatchedWeight] = []
    for k, (n, axes) in sorted(taken.items()):
        fixed = {taken[j][0] for j in by_values if j != k}
        others = [p for p in options[k] if p != (n, axes) and p[0] not in fixed]
        by: By = "values" if k in by_values else "order" if others else "shape"
        said = () if by == "values" else _said(others, n, paths)
        rows.append(MatchedWeight(names[k], arrays[k].shape, paths[n], axes, by, said))
    used = {n for n, _ in taken.values()}
    return WeightMatch(
        tuple(rows),
        tuple(name for k, name in enumerate(names) if k not in taken),
        tuple(path for n, path in enumerate(paths) if n not in used),
    )


def _said(others: Sequence[Placed], own: int, paths: Sequence[str]) -> tuple[str, ...]:
    names = ["transposed" if n == own else paths[n] for n, _ in others]
    return tuple(dict.fromkeys(names))


def _options(array: Array, shapes: Sequence[Shape]) -> list[Placed]:
    """Return the variables that an array may be, the ones in their own order of axes first."""
    wanted = [n for n in array.shape if n != 1]
    found: list[Placed] = []
    for n, shape in enumerate(shapes):
        if sorted(m for m in shape if m != 1) != sorted(wanted):
            continue
        seen: set[tuple[int, ...]] = set()
        for axes in permutations(range(len(shape))):
            # Axes of one may stand anywhere.
            longer = tuple(a for a in axes if shape[a] != 1)
            if [shape[a] for a in longer] == wanted and longer not in seen:
                seen.add(longer)
                found.append((n, axes))
    return sorted(found, key=lambda placed: list(placed[1]) != sorted(placed[1]))


def _lying(value: Array, axes: tuple[int, ...], array: Array) -> Array:
    return np.transpose(value, axes).reshape(array.shape)


def alternatives(opened: Any, match: WeightMatch) -> Iterator[WeightMatch]:
    """Yield the matches that the shapes allow, the given one first, then all axes turned."""
    paths: list[str] = opened.paths
    shapes = [tuple(v.shape) for v in opened.variables]
    choices: list[list[Placed]] = []
    for row in match.rows:
        own = paths.index(row.variable), row.axes
        every = _options(np.empty(row.shape), shapes) if row.others else []
        choices.append([own, *(placed for placed in every if placed != own)])
    turned = [max(each, key=lambda p: (p[0] == each[0][0], list(p[1]))) for each in choices]
    own = [each[0] for each in choices]
    yield match
    yield _with(match, turned, paths)
    others = (
        placed
        for placed in islice(product(*choices), _MOST_LOOKED_AT)
        if len({n for n, _ in placed}) == len(placed) and list(placed) not in (own, turned)
    )
    for placed in islice(others, _MOST_TRIED):
        yield _with(match, placed, paths)


def _with(match: WeightMatch, placed: Sequence[Placed], paths: Sequence[str]) -> WeightMatch:
    rows = [
        replace(row, variable=paths[n], axes=axes)
        for row, (n, axes) in zip(match.rows, placed, strict=True)
    ]
    return replace(match, rows=tuple(rows))


def settled(agreeing: Sequence[WeightMatch]) -> WeightMatch:
    """Return the first of the matches with which forward agrees; others stay where they differ."""
    first = agreeing[0]
    rows: list[MatchedWeight] = []
    for place, row in enumerate(first.rows):
        same = {(m.rows[place].variable, m.rows[place].axes) for m in agreeing}
        rows.append(replace(row, by="forward", others=()) if row.others and len(same) == 1 else row)
    return replace(first, rows=tuple(rows))
