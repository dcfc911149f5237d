"""What an expression makes, as far as its text tells: an array, a list of them, a dict, layers."""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from parity.loading import ARRAY_CALLS, called, makes_array


@dataclass(frozen=True)
class Made:
    """What an expression makes.

    Attributes:
        kind: "array"; "arrays", a list of them; "dict"; "layers", a list of objects; "empty", a
            list to be filled; "parameter", an argument as it is; "value", anything else.
        names: Of a dict its constant keys; of "layers" the classes; of "parameter" its name.
        starts: Of a dict the constant beginnings of its computed keys, such as "W" and "b".
        plain: Whether the arrays are lists of Python numbers.
    """

    kind: Literal["array", "arrays", "dict", "layers", "empty", "parameter", "value"]
    names: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    plain: bool = False


def made(expression: ast.expr, is_class: Callable[[str], bool]) -> Made:
    """Return what an expression makes.

    Args:
        is_class: Whether a name is that of a class of the module.
    """
    if isinstance(expression, ast.Dict):
        return Made("dict", *keys(expression.keys))
    if isinstance(expression, ast.DictComp):
        return Made("dict", *keys([expression.key]))
    if isinstance(expression, ast.Call) and called(expression) in ("dict", "OrderedDict"):
        return Made("dict", tuple(k.arg for k in expression.keywords if k.arg))
    if isinstance(expression, (ast.List, ast.ListComp)):
        return _list(expression, is_class)
    if isinstance(expression, ast.BinOp) and isinstance(expression.left, ast.List):
        return Made("empty")  # [None] * n
    if makes_array(expression):
        return Made("array")
    if isinstance(expression, ast.Name):
        return Made("parameter", (expression.id,))
    return Made("value")


def _list(expression: ast.List | ast.ListComp, is_class: Callable[[str], bool]) -> Made:
    elements = [expression.elt] if isinstance(expression, ast.ListComp) else expression.elts
    classes = tuple(called(e) for e in elements if is_class(called(e)))
    if classes:
        return Made("layers", classes)
    if any(makes_array(element) for element in elements):
        # A list whose innermost elements come from random.random() has no arrays in it.
        numpy = any(isinstance(n, ast.Name) and n.id != "random" for n in _roots(elements))
        return Made("arrays", plain=not numpy)
    return Made("value" if elements else "empty")


def _roots(elements: Iterable[ast.expr]) -> list[ast.expr]:
    """Return what stands before the first dot of each call that makes numbers."""
    roots: list[ast.expr] = []
    for node in (n for element in elements for n in ast.walk(element)):
        if isinstance(node, ast.Call) and called(node).lower().endswith(ARRAY_CALLS):
            root: ast.expr = node.func
            while isinstance(root, ast.Attribute):
                root = root.value
            roots.append(root)
    return roots


def keys(expressions: Iterable[ast.expr | None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the constant keys, and the constant beginnings of the computed ones."""
    constant: list[str] = []
    starts: list[str] = []
    for expression in expressions:
        if isinstance(expression, ast.Constant):
            constant.append(str(expression.value))
        elif (start := _start(expression)) is not None:
            starts.append(start)
    return tuple(dict.fromkeys(constant)), tuple(dict.fromkeys(starts))


def _start(key: ast.expr | None) -> str | None:
    """Return "W" of ``"W" + str(k)``, ``f"W{k}"`` and ``"W%d" % k``."""
    if isinstance(key, ast.JoinedStr) and key.values:
        key = key.values[0]
    while isinstance(key, ast.BinOp):
        key = key.left
    if (
        isinstance(key, ast.Call)
        and called(key) == "format"
        and isinstance(key.func, ast.Attribute)
    ):
        key = key.func.value
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        return key.value.partition("%")[0].partition("{")[0]
    return None


def element_names(expression: ast.expr) -> tuple[str, ...]:
    """Return what the elements of a tuple are called; "" for one that has no name."""
    elements = expression.elts if isinstance(expression, (ast.Tuple, ast.List)) else [expression]
    return tuple(name_of(element) for element in elements)


def name_of(expression: ast.expr) -> str:
    """Return the name of a variable or attribute, ``dW`` for ``dW / m`` too; else ""."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        return expression.attr
    if isinstance(expression, ast.Subscript) and isinstance(expression.slice, ast.Constant):
        return str(expression.slice.value)
    if isinstance(expression, ast.BinOp):
        names = (name_of(expression.left), name_of(expression.right))
        return next((name for name in names if name not in ("", "m", "n", "N")), "")
    return ""
