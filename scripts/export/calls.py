"""How a call of one of NumPy's or Python's functions is written."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from .shapes import result_shape
from .symbolic import Record, Symbolic, binary, call_of, path_of, reshaped

# Those that the book writes with a sign or a shorter name.
_SIGNS: dict[str, type[ast.operator]] = {
    "np.add": ast.Add, "np.subtract": ast.Sub, "np.multiply": ast.Mult, "np.divide": ast.Div,
}  # fmt: skip
_SHORTER = {"np.add.reduce": "np.sum", "np.maximum.reduce": "np.max", "np.absolute": "np.abs"}


def written_call(
    record: Record, function: Any, given: Sequence[Any], named: Mapping[str, Any]
) -> Symbolic:
    """Return what a function will return.

    Args:
        record: The function that is being written.
        function: The function.
        given: Its arguments.
        named: Its arguments by name.

    Raises:
        NotSpecializable: The function, or an argument, has no name in the written code.
    """
    path = path_of(function)
    path = _SHORTER.get(path, path)
    first = given[0] if given and isinstance(given[0], Symbolic) else None
    if path in _SIGNS and any(isinstance(side, Symbolic) for side in given):
        return binary(_SIGNS[path](), *given)
    if first is not None and path == "np.negative":
        return first.but(ast.UnaryOp(ast.USub(), first.node), first.axes)
    if first is not None and path == "np.moveaxis" and _stays(first, *given[1:]):
        return first
    written = {k: v for k, v in named.items() if (k, v) != ("keepdims", False)}
    node = call_of(ast.parse(path, mode="eval").body, given, written)
    if path == "np.reshape":
        return Symbolic(record, node, reshaped(given[1]))
    if first is None or "shape" in named:
        return Symbolic(record, node)
    return Symbolic(record, node, result_shape(path, first.axes, given[1:]))


def _stays(array: Symbolic, start: Any, end: Any) -> bool:
    """Return whether an axis is moved to where it is."""
    n = len(array.axes or ())
    numbers = isinstance(start, int) and isinstance(end, int)
    return numbers and (start == end or (n > 0 and start % n == end % n))
