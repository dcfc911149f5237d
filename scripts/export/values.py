"""What a formula is run with: values that are known, and pieces of code that compute the others."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# The axes of an array; None is a length that is not known before.
Axes = tuple[int | None, ...]


class NotSpecializable(ValueError):
    """A formula has something in it that this module does not know."""


@dataclass
class Known:
    """A value that is known; ``code`` says how it is written, if that is not its literal."""

    value: Any
    code: ast.expr | None = None


@dataclass
class Code:
    """What is computed when the written code is run, and its axes if they are known."""

    node: ast.expr
    shape: Axes | None = None


@dataclass
class Several:
    """A tuple or list of values."""

    items: "list[Value]"
    kind: type = tuple


@dataclass
class Named:
    """Values by name: the weights of a layer."""

    items: "dict[str, Value]"


@dataclass
class Nested:
    """A function that is defined in another, with the variables of that."""

    node: ast.FunctionDef | ast.Lambda
    frame: "Frame"


@dataclass
class Method:
    """A method of values that are together."""

    owner: Several | Named
    name: str


Value = Known | Code | Several | Named | Nested | Method


@dataclass
class Frame:
    """The variables of a function that is being run, and what it finds outside."""

    outside: Mapping[str, Any]
    variables: dict[str, Value] = field(default_factory=dict)
    above: "Frame | None" = None


# Values as code


def lift(value: Value) -> ast.expr:
    """Return the code of a value."""
    if isinstance(value, Code):
        return value.node
    if isinstance(value, Several):
        nodes = [lift(item) for item in value.items]
        return ast.Tuple(nodes) if value.kind is tuple else ast.List(nodes)
    if isinstance(value, Known):
        return literal(value.value) if value.code is None else value.code
    raise NotSpecializable(f"Expected a value that can be written. Received: {value}")


def literal(value: Any) -> ast.expr:
    """Return the code of a known value."""
    if isinstance(value, float) and not isinstance(value, np.generic) and math.isinf(value):
        infinity = ast.Attribute(ast.Name("np"), "inf")
        return infinity if value > 0 else ast.UnaryOp(ast.USub(), infinity)
    if value is None or type(value) in (bool, int, float, str):
        return ast.Constant(value)
    if isinstance(value, np.integer):
        return ast.Constant(int(value))
    if isinstance(value, tuple | list):
        nodes = [literal(item) for item in value]
        return ast.Tuple(nodes) if isinstance(value, tuple) else ast.List(nodes)
    if isinstance(value, range | slice):
        ends = (value.start, value.stop, value.step)
        if isinstance(value, range) and ends[::2] == (0, 1):
            ends = (value.stop,)
        return ast.Call(ast.Name(type(value).__name__), [literal(end) for end in ends], [])
    raise NotSpecializable(f"Expected a value that can be written. Received: {value!r}")


def index_of(index: Value) -> ast.expr | None:
    """Return the code of an index; None if it takes everything."""
    if isinstance(index, Code) and isinstance(index.node, ast.Tuple):
        return ast.Tuple([_as_slice(node) for node in index.node.elts])
    if isinstance(index, Code):
        return index.node
    parts = items_of(index) if isinstance(index, Several) else None
    if parts is None and isinstance(index, Known) and isinstance(index.value, tuple):
        parts = [Known(part) for part in index.value]
    if parts is None:
        return _index_part(index)
    while parts and isinstance(parts[-1], Known) and _is_everything(parts[-1].value):
        parts = parts[:-1]
    if not parts:
        return None
    nodes = [_index_part(part) for part in parts]
    return nodes[0] if len(nodes) == 1 and isinstance(nodes[0], ast.Slice) else ast.Tuple(nodes)


def _as_slice(node: ast.expr) -> ast.expr:
    is_slice = isinstance(node, ast.Call) and ast.unparse(node.func) == "slice"
    if not is_slice:
        return node
    ends = [None if ast.unparse(end) == "None" else end for end in node.args]  # pyright: ignore
    return ast.Slice(*ends)


def _index_part(part: Value) -> ast.expr:
    if isinstance(part, Known) and isinstance(part.value, slice):
        s = part.value
        ends = (s.start, s.stop, None if s.step == 1 else s.step)
        return ast.Slice(*(None if end is None else literal(end) for end in ends))
    return lift(part)


def _is_everything(part: Any) -> bool:
    return (
        isinstance(part, slice)
        and (part.start, part.stop) == (None, None)
        and (part.step in (None, 1))
    )


# Known values


def items_of(value: Value) -> list[Value] | None:
    """Return what a value consists of; None if that is not known."""
    if isinstance(value, Several):
        return list(value.items)
    if isinstance(value, Known) and isinstance(value.value, tuple | list | range):
        return [Known(item) for item in value.value]
    return None


def is_known(value: Value) -> bool:
    if isinstance(value, Several):
        return all(is_known(item) for item in value.items)
    return isinstance(value, Known)


def known(value: Value) -> Any:
    if isinstance(value, Several):
        return value.kind(known(item) for item in value.items)
    if isinstance(value, Known):
        return value.value
    raise NotSpecializable(f"Expected what is known before. Received: {ast.unparse(lift(value))}")


def truth(value: Value) -> bool:
    if isinstance(value, Several | Named):
        return bool(value.items)
    return bool(known(value))


# Shapes

# Functions of arrays whose result has the shape of their first argument.
_SAME_SHAPE = ("np.exp", "np.tanh", "np.square", "np.sqrt", "np.abs", "np.zeros_like", "np.flip")


def combined(op: ast.operator, a: Axes | None, b: Axes | None) -> Axes | None:
    if a is None or b is None:
        return None
    if isinstance(op, ast.MatMult):
        return (*a[:-1], b[-1]) if len(a) >= 2 and len(b) == 2 else None
    if len(a) < len(b):
        a, b = b, a
    ends = zip(a[len(a) - len(b) :], b, strict=True)
    return (*a[: len(a) - len(b)], *(n if m in (1, n) else m if n == 1 else None for n, m in ends))


def reshaped(array: Code, shape: Value) -> Axes | None:
    items = items_of(shape)
    if items is None:
        return None
    known = [item.value if isinstance(item, Known) else None for item in items]
    return tuple(None if n == -1 else n for n in known)


def result_shape(path: str, arguments: list[Value]) -> Axes | None:
    first = arguments[0] if arguments else None
    if not isinstance(first, Code):
        return None
    if path == "np.reshape":
        return reshaped(first, arguments[1])
    shape, rest = first.shape, arguments[1:]
    if shape is None or not all(is_known(value) for value in rest):
        return None
    if path in _SAME_SHAPE:
        return shape
    axes = [known(value) for value in rest]
    if path == "np.swapaxes":
        order = list(range(len(shape)))
        order[axes[0]], order[axes[1]] = order[axes[1]], order[axes[0]]
        return tuple(shape[k] for k in order)
    if path == "np.transpose":
        return tuple(shape[k] for k in axes[0]) if axes else shape[::-1]
    if path == "np.moveaxis" and isinstance(axes[0], int):
        left = list(shape)
        moved = left.pop(axes[0])
        left.insert(axes[1] % len(shape), moved)
        return tuple(left)
    return None
