"""Which of the returned gradients belongs to which array, by names, shapes, and values."""

from collections.abc import Callable, Sequence
from itertools import permutations

from numpy_impl.types import Array, Shape
from parity.checking.asking import nested
from parity.checking.asking.subject import TheirError

Judge = Callable[[list[Array | None]], int]
# So many orders of the gradients are tried.
_MOST_ORDERS = 720


def squeezed(shape: Shape) -> Shape:
    """Return a shape without its axes of length 1."""
    return tuple(n for n in shape if n != 1)


def assigned(
    found: list[Array | None] | dict[str, Array],
    names: Sequence[str],
    shapes: Sequence[Shape],
    agreeing: Judge | None = None,
) -> tuple[list[Array | None], list[int]]:
    """Return the gradients in the order of the arrays, and where each was.

    Args:
        found: As the user's backward returned them.
        names: Of the arrays.
        shapes: Of the arrays.
        agreeing: How many of the gradients in an order are right; None: their order decides, once
            as many as can have exactly the shape of their array.

    Raises:
        TheirError: No name of a dict's entries is that of an array; or there are too many.
    """
    if isinstance(found, dict):
        matched = nested.by_name(list(names), list(found))
        if not matched:
            reason = f"expected names such as d{names[0]}. Received: {', '.join(found)}"
            raise TheirError("backward", reason)
        return [found[matched[n]] if n in matched else None for n in names], []
    count = sum(gradient is not None for gradient in found)
    if count > len(names):
        reason = (
            f"expected at most {len(names)} gradients, of {', '.join(names)}. Received: {count}; "
            "weights=... says which arrays there are"
        )
        raise TheirError("backward", reason)
    padded = [*found, *[None] * (len(names) - len(found))]
    orders = list(_orders(padded, shapes))
    if not orders:
        return padded[: len(names)], []

    def likely(order: list[int]) -> tuple[int, int]:
        ordered = [padded[k] for k in order]
        exact = sum(
            g is not None and g.shape == shape for g, shape in zip(ordered, shapes, strict=True)
        )
        return 0 if agreeing is None else agreeing(ordered), exact

    chosen = max(orders, key=likely)
    return [padded[k] for k in chosen], chosen


def _orders(found: Sequence[Array | None], shapes: Sequence[Shape]) -> list[list[int]]:
    """Return the orders in which every gradient has the shape of its array, theirs first."""
    orders: list[list[int]] = []
    for tried, order in enumerate(permutations(range(len(found)), len(shapes))):
        if tried == _MOST_ORDERS:
            break
        pairs = [(found[k], shape) for k, shape in zip(order, shapes, strict=True)]
        if all(g is None or squeezed(g.shape) == squeezed(shape) for g, shape in pairs):
            orders.append(list(order))
    return orders
