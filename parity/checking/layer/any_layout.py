"""How arrays may lie beside those of a Keras layer of any kind: with their axes in every order."""

from collections.abc import Iterator, Sequence
from itertools import permutations

from numpy_impl.types import Shape

# For each axis of an array which of Keras's it is; of one sample Keras's axis 0 is left out.
Order = tuple[int, ...]
# So many orders of one input's axes are tried: all of them up to four axes.
MOST_ORDERS = 24


def orders(count: int) -> list[Order]:
    """Return the orders of so many axes, the usual ones first."""
    own = tuple(range(count))
    likely = [
        own,
        (0, *own[-1:], *own[1:-1]) if count > 1 else own,  # channels first
        (*own[1:2], 0, *own[2:]),  # time first
        (*own[1:], 0),  # the batch last
        (*own[::-1][:2], *own[:-2]),  # of kernels: (filters, channels, height, width)
        own[::-1],
    ]
    some = (order for order, _ in zip(permutations(own), range(MOST_ORDERS), strict=False))
    return list(dict.fromkeys([*likely, *some]))


def layouts(ranks: Sequence[int]) -> Iterator[tuple[Order, ...]]:
    """Yield how inputs with so many axes may lie, all in the same way if they have as many."""
    if not ranks:
        yield ()
        return
    if len(set(ranks)) > 1:
        yield tuple(tuple(range(rank)) for rank in ranks)
        yield tuple(tuple(range(1, rank + 1)) for rank in ranks)
        return
    for first in (0, 1):  # 1: of one sample, without the batch
        for order in orders(ranks[0]):
            yield tuple(tuple(axis + first for axis in order) for _ in ranks)


def as_keras(shape: Shape, order: Order) -> Shape:
    """Return the shape that an array has in Keras's order."""
    lengths = dict(zip(order, shape, strict=True))
    return tuple(lengths.get(axis, 1) for axis in range(max(order, default=-1) + 1))


def spelled(letters: Sequence[str], order: Order) -> str:
    """Return how axes lie, as a Role has it."""
    return " ".join(letters[axis] for axis in order)


def every(letters: Sequence[str], shape: Shape) -> tuple[str, ...]:
    """Return how an array of a shape may lie: in each order, with its axes of 1 or without."""
    found = [spelled(letters, order) for order in orders(len(shape))]
    longer = [letter for letter, n in zip(letters, shape, strict=True) if n > 1]
    if longer:
        found += [spelled(longer, order) for order in orders(len(longer))]
    return tuple(dict.fromkeys(found))


def is_usual(axes: str, own: str, first: int) -> bool:
    """Return whether height and width keep their order: they begin at axis ``first`` of Keras's."""
    letters = own.split()
    space = letters[first : first + len(letters) - 2]
    return [letter for letter in axes.split() if letter in space] == [
        letter for letter in space if letter in axes.split()
    ]


def in_words(axes: str, own: str) -> str:
    """Return how an array lies beside Keras's."""
    if axes == own:
        return "as Keras has it"
    order = tuple(own.split().index(letter) for letter in axes.split())
    return f"Keras's axes in the order {order}"
