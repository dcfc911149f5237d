"""Shapes of arrays that are not there yet, as far as they follow from those they are made of.

A formula asks for ``x.shape`` and decides by it. The number of samples is not known before a
network is used, and what NumPy's less usual functions return is not worked out here: a length that
is not known is None, and so is a shape.
"""

import ast
from collections.abc import Sequence
from typing import Any

# The lengths of an array's axes.
Axes = tuple[int | None, ...]

# Functions whose result has the shape of their first argument.
_SAME = ("np.exp", "np.tanh", "np.square", "np.sqrt", "np.abs", "np.zeros_like", "np.flip")


def combined(op: ast.AST, a: Axes | None, b: Axes | None) -> Axes | None:
    """Return the shape of ``a op b``, which is broadcast unless ``op`` is ``@``."""
    if a is None or b is None:
        return None
    if isinstance(op, ast.MatMult):
        return (*a[:-1], b[-1]) if len(a) >= 2 and len(b) == 2 else None
    if len(a) < len(b):
        a, b = b, a
    front = len(a) - len(b)
    ends = zip(a[front:], b, strict=True)
    return (*a[:front], *(n if m in (1, n) else m if n == 1 else None for n, m in ends))


def result_shape(path: str, shape: Axes | None, rest: Sequence[Any]) -> Axes | None:
    """Return the shape of what a function of NumPy's returns.

    Args:
        path: The function, as in ``np.transpose``.
        shape: The shape of its first argument.
        rest: Its other arguments.
    """
    if shape is None or path in _SAME:
        return shape
    match path, rest:
        case "np.swapaxes", [int(a), int(b)]:
            order = list(range(len(shape)))
            order[a], order[b] = order[b], order[a]
        case "np.moveaxis", [int(start), int(end)]:
            order = list(range(len(shape)))
            order.insert(end % len(shape), order.pop(start))
        case "np.transpose", [tuple() | list() as axes]:
            order = list(axes)
        case "np.transpose", []:
            order = list(range(len(shape)))[::-1]
        case _:
            return None
    return tuple(shape[k] for k in order)
