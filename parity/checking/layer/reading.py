"""How a user's arrays lie: which is the kernel, where the batch is, in which order the gates are.

A *reading* says for each place of each of the formula's arrays from which place of the user's it
comes. The user's arrays are counted through as one flat vector, in the order of the call.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice, permutations

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.layer.kind import Kind, Options, Role

# Orders of gates that are in use, before all others: (i, f, g, o) is Keras's.
COMMON_ORDERS = {
    4: ((0, 1, 2, 3), (0, 1, 3, 2), (1, 0, 2, 3), (1, 0, 3, 2), (2, 0, 1, 3)),
    3: ((0, 1, 2), (1, 0, 2)),
}
_GATES = {4: "ifgo", 3: "zrg"}
_WORDS = {
    "b": "batch", "t": "time", "s": "time", "h": "height", "w": "width", "c": "channels",
    "f": "filters", "k": "kernel height", "l": "kernel width", "i": "inputs", "o": "units",
    "u": "units", "v": "units", "d": "features", "e": "features", "n": "heads x size",
    "m": "heads", "*": "all of ",
}  # fmt: skip
# What stands in no array of the user's: behind the flat vector come a 0 and a 1.
_CONSTANTS = np.array([0.0, 1.0])
# So many ways to read the arrays are tried.
MOST = 3000


@dataclass(frozen=True)
class LayerReading:
    """One way to read the user's arrays.

    Attributes:
        places: Of each of the formula's arrays, by role, the places in the flat vector.
        sizes: Lengths of the axes, by letter.
        axes: How the axes of each of the user's arrays lie, by role.
        order: In which order the gates lie; empty where there are none.
        mixed: Whether the gates of each unit lie side by side, and not the units of each gate.
    """

    places: Mapping[str, Array]
    sizes: Mapping[str, int]
    axes: Mapping[str, str]
    order: tuple[int, ...] = ()
    mixed: bool = False

    @property
    def conventions(self) -> dict[str, str]:
        """The reading in words, by topic."""
        found = {role: in_words(axes) for role, axes in self.axes.items()}
        if self.order:
            letters = _GATES[len(self.order)]
            # order[k] is the block of the user's where Keras's gate k lies.
            found["gates"] = ", ".join(letters[self.order.index(k)] for k in range(len(letters)))
            found["gates"] += ", of each unit side by side" if self.mixed else ""
        return found


def in_words(axes: str) -> str:
    """Return how axes lie, in words: "(batch, time, inputs)"."""
    parts = (
        "".join(_WORDS.get(c, f"{c} " if c.isdigit() else f" {c} ") for c in letter)
        for letter in axes.split()
    )
    return f"({', '.join(parts)})"


def flat(arrays: Sequence[Array]) -> Array:
    """Return the user's arrays as one vector, with the constants behind them."""
    return np.concatenate([*(a.astype(np.float64).reshape(-1) for a in arrays), _CONSTANTS])


@dataclass(frozen=True)
class _Given:
    """An array of the user's: its places in the flat vector; with gates apart, a leading axis."""

    places: Array
    apart: bool = False


def readings(
    kind: Kind, options: Options, shapes: Sequence[Shape], inputs: int
) -> Iterator[LayerReading]:
    """Yield the ways to read arrays of some shapes, the usual ones first.

    Args:
        kind: What the layer is meant to be.
        options: The reference's.
        shapes: Of the user's arrays; the first ``inputs`` of them are given at each call.
        inputs: How many.
    """
    ends: list[int] = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)]).tolist()
    given = [
        _Given(np.arange(end)[start:].reshape(shape))
        for start, end, shape in zip(ends[:-1], ends[1:], shapes, strict=True)
    ]
    known = kind.sizes(options)

    def every(mixed: bool) -> Iterator[LayerReading]:
        for weights in _grouped(kind, given[inputs:]):
            for roles in _assigned(kind, options, inputs, len(weights)):
                for found in _read(roles, [*given[:inputs], *weights], known):
                    yield from _orders(kind, _completed(kind, found, ends[-1]), mixed)

    yield from islice(every(mixed=False), MOST)
    if kind.gates > 1:
        yield from islice(every(mixed=True), MOST)


def arranged(places: Array, axes: str, own: str) -> Array | None:
    """Return an output's places as the user's axes lie; None where more is in them.

    Args:
        places: In the formula's order, ``own``.
        axes: The user's order.
        own: The formula's.
    """
    letters, theirs = own.split(), axes.split()
    if not set(theirs) <= set(letters) or places.ndim != len(letters):
        return None
    dropped = [k for k, letter in enumerate(letters) if letter not in theirs]
    if any(places.shape[k] > 1 for k in dropped):
        return None
    kept = [letter for letter in letters if letter in theirs]
    squeezed = places.reshape([places.shape[letters.index(letter)] for letter in kept])
    return squeezed.transpose([kept.index(letter) for letter in theirs])


def _grouped(kind: Kind, weights: Sequence[_Given]) -> Iterator[list[_Given]]:
    """Yield the weights as they are; with those of the gates as one; and with one taken apart."""
    for each in _by_gates(kind, weights):
        yield each
        if kind.paired is not None:
            yield from _halved(each)


def _by_gates(kind: Kind, weights: Sequence[_Given]) -> Iterator[list[_Given]]:
    """Yield the weights as they are; and where each gate has its own, those of one shape as one."""
    yield list(weights)
    if kind.gates == 1 or not weights:
        return
    if all(len(each.places) == kind.gates and each.places.ndim > 1 for each in weights):
        yield [_Given(each.places, apart=True) for each in weights]
    groups: dict[Shape, list[Array]] = {}
    for each in weights:
        groups.setdefault(each.places.shape, []).append(each.places)
    if any(len(group) % kind.gates for group in groups.values()):
        return
    for mixed in (False, True):  # all of one kernel first, or gate by gate
        yield [
            _Given(np.stack(part), apart=True)
            for group in groups.values()
            for part in _parts(group, len(group) // kind.gates, mixed)
        ]


def _parts(group: Sequence[Array], count: int, mixed: bool) -> list[Sequence[Array]]:
    each = len(group) // count
    return [group[k::count] if mixed else group[k * each : (k + 1) * each] for k in range(count)]


def _halved(weights: Sequence[_Given]) -> Iterator[list[_Given]]:
    """Yield the weights with one of them as two: its two rows, its two columns, or its halves."""
    for n, each in enumerate(weights):
        first = 1 if each.apart else 0
        for axis in dict.fromkeys((first, each.places.ndim - 1)):
            shape = each.places.shape
            if axis < first or axis >= len(shape) or shape[axis] % 2:
                continue
            halves = np.split(each.places, 2, axis)
            if shape[axis] == 2 and len(shape) > first + 1:
                halves = [half.squeeze(axis) for half in halves]
            elif len(shape) > first + 1:
                continue
            yield [*weights[:n], *(_Given(half, each.apart) for half in halves), *weights[n + 1 :]]


def _assigned(kind: Kind, options: Options, inputs: int, weights: int) -> Iterator[list[Role]]:
    """Yield which role each array may have."""
    needed = sum(role.needed for role in kind.inputs)
    if not needed <= inputs <= len(kind.inputs):
        return
    first = list(kind.inputs[:inputs])
    every = [role for role in kind.weights if role.needed or options.get(role.option, True)]
    yield from ([*first, *roles] for roles in _chosen(every, weights))
    if kind.stacked:
        one, two = (role for role in every if role.name in kind.stacked)
        rest = [role for role in every if role not in (one, two)]
        above, below = one.axes[0].split()[0], two.axes[0].split()[0]
        wide = one.axes[0].split()[1]
        for name, sum_of in (
            (f"{one.name}+{two.name}", f"{above}+{below}"),
            (f"{two.name}+{one.name}", f"{below}+{above}"),
        ):
            both = Role(name, (f"{sum_of} {wide}", f"{wide} {sum_of}"))
            yield from ([*first, *roles] for roles in _chosen((both, *rest), weights))


def _chosen(roles: Sequence[Role], count: int) -> Iterator[list[Role]]:
    """Yield so many of the roles, with all that are needed, in each order; the usual one first."""
    for chosen in combinations(roles, count):
        if all(role in chosen for role in roles if role.needed):
            yield from (list(order) for order in permutations(chosen))


@dataclass(frozen=True)
class _Found:
    sizes: dict[str, int]
    places: dict[str, Array]
    axes: dict[str, str]


def _read(
    roles: Sequence[Role], given: Sequence[_Given], sizes: dict[str, int]
) -> Iterator[_Found]:
    """Yield the ways in which the axes of all arrays fit together."""
    if not roles:
        yield _Found(sizes, {}, {})
        return
    role, array = roles[0], given[0]
    own = max(role.axes, key=lambda axes: len(axes.split())).split()
    for axes in role.axes:
        fitted = _fitted(axes, array, own, sizes)
        if fitted is None:
            continue
        places, found = fitted
        for rest in _read(roles[1:], given[1:], found):
            yield _Found(
                rest.sizes, {role.name: places, **rest.places}, {role.name: axes, **rest.axes}
            )


def _fitted(
    axes: str, given: _Given, own: Sequence[str], sizes: dict[str, int]
) -> tuple[Array, dict[str, int]] | None:
    """Return an array's places in the formula's order, and all lengths; None if it does not fit."""
    places, letters = given.places, axes.split()
    if given.apart:
        letters = ["gate", *_plain(letters)]
    if any(letter.startswith("*") for letter in letters):  # all axes but the batch's are one
        if places.ndim < 3:
            return None
        places, letters = places.reshape(len(places), -1), axes.replace("*", "").split()
    if len(letters) == 1 and places.size == max(places.shape, default=1):
        places = places.reshape(-1)  # a bias as a row or a column
    if len(letters) == 2 and "gate" in letters and places.size == len(places) * max(places.shape):
        places = places.reshape(len(places), -1)
    if places.ndim != len(letters):
        return None
    found = _lengths(letters, places.shape, sizes)
    if found is None:
        return None
    order = list(own)
    if given.apart:  # the gates of the formula's last axis, "4u", are (gate, u)
        order = [*_plain(own)[:-1], "gate", *_plain(own)[-1:]]
    present = [letter for letter in order if letter in letters]
    if len(present) < len(letters):
        return None
    moved = places.transpose([letters.index(letter) for letter in present])
    whole = moved.reshape(
        [1 if x not in letters else places.shape[letters.index(x)] for x in order]
    )
    if given.apart:  # (..., gate, units) to (..., gates * units)
        whole = whole.reshape(*whole.shape[:-2], -1)
    return whole, found


def _plain(letters: Sequence[str]) -> list[str]:
    """Return the axes of one gate's own array: of "4u" that is u."""
    return [letter.lstrip("0123456789") for letter in letters]


def _lengths(letters: Sequence[str], shape: Shape, sizes: dict[str, int]) -> dict[str, int] | None:
    """Return the lengths with those of one more array; None if they contradict one another."""
    found = dict(sizes)
    for letter, length in zip(letters, shape, strict=True):
        if "+" in letter:
            one, two = letter.split("+")
            expected = found.get(one, -1) + found.get(two, -1)
            if one not in found or two not in found or expected != length:
                return None
            continue
        name = letter.lstrip("0123456789")
        times = int(letter[: len(letter) - len(name)] or 1)
        if length % times or found.setdefault(name, length // times) != length // times:
            return None
    return found


def _completed(kind: Kind, found: _Found, zero: int) -> LayerReading:
    """Return a reading with stacked weights taken apart, and constants for what is left out."""
    places = dict(found.places)
    for name in [name for name in places if "+" in name]:
        whole = places.pop(name)
        one, two = name.split("+")
        first = _first_letter(kind, one)
        places[one], places[two] = np.split(whole, [found.sizes[first]])
    for role in kind.roles:
        if role.name not in places:
            shape = [_length(letter, found.sizes) for letter in role.axes[0].split()]
            places[role.name] = np.full(shape, zero + (role.left_out == 1.0))
    in_order = {role.name: places[role.name] for role in kind.roles}
    return LayerReading(in_order, found.sizes, found.axes)


def _first_letter(kind: Kind, name: str) -> str:
    """Return the letter of the first axis of a weight."""
    return next(role.axes[0].split()[0] for role in kind.weights if role.name == name)


def _length(letter: str, sizes: Mapping[str, int]) -> int:
    name = letter.lstrip("0123456789")
    return sizes.get(name, 1) * int(letter[: len(letter) - len(name)] or 1)


def _orders(kind: Kind, reading: LayerReading, mixed: bool) -> Iterator[LayerReading]:
    """Yield a reading with the gates in every order; or, mixed, those of each unit side by side."""
    if kind.gates == 1:
        yield reading
        return
    common = COMMON_ORDERS[kind.gates]
    for order in (*common, *(o for o in permutations(range(kind.gates)) if o not in common)):
        places = dict(reading.places)
        for role in kind.weights:
            if role.axes[0].split()[-1].startswith(str(kind.gates)):
                whole = places[role.name]
                if mixed:
                    units = whole.reshape(*whole.shape[:-1], -1, kind.gates)
                    whole = np.swapaxes(units, -1, -2).reshape(whole.shape)
                blocks = np.split(whole, kind.gates, axis=-1)
                places[role.name] = np.concatenate([blocks[k] for k in order], axis=-1)
        yield replace(reading, places=places, order=order, mixed=mixed)
