"""Changes of an expression, each with how likely it is; the less, the likelier."""

import ast
from collections.abc import Iterator
from itertools import combinations
from typing import Any, TypeGuard

from parity.checking.repairing import layouts
from parity.checking.repairing.jacobians import (
    SCALING,
    of_normalization,
    of_softmax,
    off_the_diagonal,
)
from parity.checking.repairing.scope import Scope, ranges
from parity.checking.repairing.slots import (
    Change,
    Slot,
    Statement,
    expression,
    places,
    plain,
    replaced,
)

_PRODUCTS = ("dot", "matmul")
_OTHERS = {
    "sum": "mean", "mean": "sum", "maximum": "minimum", "minimum": "maximum",
    "zeros_like": "ones_like", "ones_like": "zeros_like", "tanh": "cosh", "sin": "cos",
    "cos": "sin", "outer": "multiply", "vstack": "hstack", "hstack": "vstack",
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div, ast.MatMult),
    ast.Div: (ast.Mult,), ast.MatMult: (ast.Mult,),
}  # fmt: skip
# A derivative by which something may have to be multiplied, of a value or by one.
SLOPES = ("(1 - {0} ** 2)", "{0} * (1 - {0})", "({0} > 0)", "(1 - {0})")
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE,
}  # fmt: skip
_LINKED = (ast.Mult, ast.Div, ast.MatMult)


def changes(statement: Statement, scope: Scope) -> Iterator[Change]:
    """Yield the changes of a statement's expressions."""
    node, value = statement.node, statement.heads[0]
    if isinstance(node, ast.AugAssign) and isinstance(node.op, SCALING):  # delta /= n
        for number in (*scope.integers, *scope.lengths, *scope.sizes):
            yield Change(4.2, ((value, expression(number)),))
    for slot in places(statement.heads):
        number = slot != value or _takes_a_number(node, scope)
        for rank, new in _instead(slot, scope, number):
            yield Change(rank, ((slot, new),))


def _takes_a_number(node: ast.AST, scope: Scope) -> bool:
    """Whether a statement's value may be a number or an array, by what it is assigned to."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    return not any(isinstance(t, ast.Tuple) or not scope.is_numeric(t) for t in targets)


def _instead(slot: Slot, scope: Scope, number: bool) -> Iterator[tuple[float, ast.expr]]:
    node: Any = slot.node
    if slot.key == "slice":
        yield from _of_window(node, scope)
        yield from layouts.of_window(node, scope.integers)
    around = slot.nodes[-1] if slot.nodes else None
    indexing = any(isinstance(n, ast.Subscript | ast.Slice) for n in slot.nodes[-2:])
    indexing = indexing and not isinstance(around, ast.Call | ast.BinOp)
    if isinstance(node, ast.BinOp):
        yield from _of_operation(node, scope)
        yield from of_normalization(node, scope.arrays)
        yield from _of_axes(node, scope)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, scope)
        yield from layouts.of_call(node)
    elif isinstance(node, ast.Name | ast.Attribute):
        yield from _of_name(node, scope)
        if isinstance(around, ast.Tuple | ast.List) and plain(node) in scope.arrays:
            yield from _of_part(node, around, scope)
        if isinstance(node, ast.Attribute) and node.attr == "size":  # of a mask, that which counts
            yield 2.5, ast.Call(ast.Attribute(node.value, "sum", ast.Load()), [], [])
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node, scope)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        turned = _TURNED.get(type(node.ops[0]))
        if turned is not None:
            yield 3, ast.Compare(node.left, [turned()], node.comparators)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield 3, node.operand
    elif isinstance(node, ast.Subscript):
        for other in scope.alike(ast.unparse(node)):
            yield 2, expression(other)
        if plain(node) in scope.kinds:
            yield 6, node.value
        yield from _of_index(node)
    elif isinstance(node, ast.Slice):
        return
    offset = isinstance(node, ast.Name) and scope.kinds.get(node.id) == ("int",)
    offset = offset or (isinstance(node, ast.BinOp) and indexing)
    if (indexing or _in_range(around)) and _by_one(node):
        yield 1.9, node.left
    elif (indexing or _in_range(around)) and offset:
        for by in (-1, 1):
            yield 2, ast.BinOp(node, ast.Sub() if by < 0 else ast.Add(), ast.Constant(1))
    value = (
        number
        and not indexing
        and not isinstance(node, ast.Constant | ast.Tuple | ast.List | ast.keyword)
    )
    if value and not isinstance(around, ast.keyword | ast.Slice | ast.Compare):
        yield from _scaled(slot.node, around, scope)


def _by_one(node: ast.AST) -> TypeGuard[ast.BinOp]:
    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub(), right=ast.Constant(value=1)):
            return True
        case _:
            return False


def _in_range(around: ast.AST | None) -> bool:
    return isinstance(around, ast.Call) and ast.unparse(around.func) == "range"


def _turned(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


def _products(a: ast.expr, b: ast.expr) -> Iterator[tuple[float, ast.expr, ast.expr]]:
    """Yield the ways in which two factors of a matrix product may have to be turned."""
    yield 0, a, _turned(b)
    yield 0, _turned(a), b
    yield 0, b, a
    yield 0.5, _turned(b), _turned(a)
    yield 0.5, _turned(a), _turned(b)
    yield 0.5, _turned(b), a
    yield 0.5, b, _turned(a)


def _of_operation(node: ast.BinOp, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    left, op, right = node.left, node.op, node.right
    if isinstance(op, ast.MatMult):
        for rank, a, b in _products(left, right):
            yield rank, ast.BinOp(a, op, b)
    if isinstance(op, ast.Div) and (
        plain(right) in scope.integers or ast.unparse(right) in scope.lengths
    ):
        yield 3.5, ast.BinOp(left, op, ast.BinOp(right, ast.Sub(), ast.Constant(1)))
    for other in _OPERATORS.get(type(op), ()):
        yield 3, ast.BinOp(left, other(), right)
    yield (2.9 if isinstance(op, ast.Sub) and isinstance(right, ast.Constant) else 4), left
    if not isinstance(op, ast.Pow):
        yield 4, right
    if isinstance(op, ast.Sub | ast.Div):
        yield 4.5, ast.BinOp(right, op, left)
    # The parentheses elsewhere.
    if isinstance(right, ast.BinOp):
        yield 5, ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right)
    for moved in _inside(left, op, right):
        yield 5, moved
    if isinstance(op, ast.Mult):
        yield from off_the_diagonal(node)
        yield from of_softmax(node, scope.arrays)
    # A factor inside of a function's argument, and outside.
    if isinstance(op, SCALING) and isinstance(left, ast.Call) and left.args:
        first = ast.BinOp(left.args[0], op, right)
        yield 5, ast.Call(left.func, [first, *left.args[1:]], left.keywords)


def _of_axes(node: ast.BinOp, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    """Yield numbers (n,) beside numbers (n, 1) with as many axes, where they make an (n, n)."""
    kinds = [scope.kinds.get(plain(side), ("",)) for side in (node.left, node.right)]
    if isinstance(node.op, ast.MatMult) or any(kind[0] != "array" for kind in kinds):
        return
    shapes = [kind[1] for kind in kinds]
    if {shapes[0] + (1,), shapes[1] + (1,)} & {*shapes} and min(map(len, shapes)) == 1:
        flat_left = len(shapes[0]) == 1
        flat, other = (node.left, node.right) if flat_left else (node.right, node.left)
        for new in ((expression(f"{ast.unparse(flat)}[:, None]"), other),
                    (flat, expression(f"{ast.unparse(other)}[:, 0]"))):  # fmt: skip
            left, right = new if flat_left else new[::-1]
            yield 1, ast.BinOp(left, node.op, right)


def _inside(left: ast.expr, op: ast.operator, right: ast.expr) -> Iterator[ast.expr]:
    """Yield ``left`` with the right operand at one of its own: (a * b) + c as (a + c) * b."""
    if isinstance(left, ast.BinOp):
        for side in ("left", "right"):
            inner = getattr(left, side)
            for deeper in (ast.BinOp(inner, op, right), *_inside(inner, op, right)):
                both = {"left": left.left, "right": left.right, side: deeper}
                yield ast.BinOp(both["left"], left.op, both["right"])


def _of_call(node: ast.Call, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    func, args = node.func, node.args
    yield from _of_dtype(node, scope)
    if scope.is_own(func):
        for other in scope.methods if plain(func).startswith("self.") else scope.functions:
            if other != plain(func):
                yield 3, ast.Call(expression(other), args, node.keywords)
    name = func.attr if isinstance(func, ast.Attribute) else ""
    if name in _PRODUCTS and len(args) == 2:
        for rank, a, b in _products(*args):
            yield rank, ast.Call(func, [a, b], node.keywords)
    elif name == "dot" and len(args) == 1 and isinstance(func, ast.Attribute):
        for rank, a, b in _products(func.value, args[0]):
            yield rank, ast.Call(ast.Attribute(a, "dot", ast.Load()), [b], [])
    if name == "outer" and len(args) == 2:
        yield 0, ast.Call(func, [args[1], args[0]], [])
    if name in _OTHERS and isinstance(func, ast.Attribute):
        other = ast.Attribute(func.value, _OTHERS[name], ast.Load())
        yield 3, ast.Call(other, args, node.keywords)
    if name in ("sum", "mean", "max", "var", "std"):
        keywords = {k.arg: k for k in node.keywords}
        if "axis" in keywords:
            rest = [k for k in node.keywords if k.arg != "axis"]
            yield 3.5, ast.Call(func, args, rest)
        for axis in (0, 1, -1, (0, 1), (0, 2), (0, 1, 2)):
            given = ast.keyword("axis", expression(repr(axis)))
            rest = [k for k in node.keywords if k.arg != "axis"]
            yield 3.5, ast.Call(func, args, [given, *rest])
        if "keepdims" not in keywords:
            kept = ast.keyword("keepdims", ast.Constant(True))
            yield 3.5, ast.Call(func, args, [*node.keywords, kept])
            for axis in (0, 1, -1):
                given = ast.keyword("axis", expression(repr(axis)))
                rest = [k for k in node.keywords if k.arg != "axis"]
                yield 3.8, ast.Call(func, args, [given, kept, *rest])
    if len(args) == 1 and not node.keywords and isinstance(func, ast.Name | ast.Attribute):
        yield 4, args[0]
        if isinstance(func, ast.Name) and func.id == "reversed":
            yield 3, args[0]
        if isinstance(func, ast.Name) and func.id == "range":
            yield 3, ast.Call(ast.Name("reversed", ast.Load()), [node], [])
            yield 3, ast.Call(func, [ast.Constant(1), args[0]], [])
    if args and isinstance(args[0], ast.BinOp) and isinstance(args[0].op, SCALING):
        inner = args[0]
        yield 5, ast.BinOp(ast.Call(func, [inner.left, *args[1:]], node.keywords), inner.op,
                           inner.right)  # fmt: skip


def _of_part(
    node: ast.Name | ast.Attribute, around: ast.Tuple | ast.List, scope: Scope
) -> Iterator[tuple[float, ast.expr]]:
    """Yield one of several arrays with another of them added or taken off: [up - un, -up, un]."""
    parts = dict.fromkeys(plain(n) for n in ast.walk(around) if isinstance(n, ast.Name))
    for other in parts:
        if other != plain(node) and scope.arrays.get(other) == scope.arrays[plain(node)]:
            yield 4.1, ast.BinOp(node, ast.Sub(), expression(other))
            yield 4.15, ast.BinOp(node, ast.Add(), expression(other))


def _of_dtype(node: ast.Call, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    """Yield arrays of numbers where there may be whole ones, which cut off what is put in."""
    func = node.func
    name = func.attr if isinstance(func, ast.Attribute) else ""
    rest = [k for k in node.keywords if k.arg != "dtype"]
    as_float = [*rest, ast.keyword("dtype", ast.Name("float", ast.Load()))]
    if name.endswith("_like") and node.args:
        kind = scope.kinds.get(plain(node.args[0]), ("",))
        if kind[0] == "array" and kind[2] in "iub":
            yield 1.5, ast.Call(func, node.args, as_float)
    elif len(rest) < len(node.keywords):
        yield 2.5, ast.Call(func, node.args, as_float)
    elif name == "astype" and isinstance(func, ast.Attribute):
        yield 3, func.value


def _of_name(node: ast.Name | ast.Attribute, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    name = plain(node)
    if name in ("self", scope.numpy):
        return
    for other in scope.alike(name):
        yield 2, expression(other)
    for call in scope.calls.get(name, ()):
        yield 3.2, expression(call)
    shape = scope.arrays.get(name, ())
    for text in scope.neighbours if shape else ():
        yield 3.1, expression(text)
    for other, theirs in scope.arrays.items() if shape else ():
        if theirs == shape and other != name:
            yield 5.8, ast.BinOp(node, ast.Sub(), expression(other))
            yield 6.3, ast.BinOp(node, ast.Add(), expression(other))
    for other, theirs in scope.arrays.items() if len(shape) == 2 else ():
        if theirs == shape[::-1] and other != name:
            yield 5.2, expression(f"{other}.T")  # what was turned once, and kept
    if len(shape) > 1:
        yield 5, _turned(node)
        yield 5, expression(f"{name}[::-1]")
        yield 5, expression(f"{name}[..., ::-1]")
        yield 5, expression(f"{name}[:, ::-1]")
        if len(shape) == 4:
            yield 4, expression(f"{name}[:, :, ::-1, ::-1]")
            yield 4, expression(f"{name}[::-1, ::-1]")


def _of_constant(node: ast.Constant, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    value = node.value
    if isinstance(value, bool):
        yield 3, ast.Constant(not value)
    elif isinstance(value, int):
        for other in dict.fromkeys((value + 1, value - 1, -value, 0, 1, 2)):
            if other != value:
                yield 3, expression(repr(other))
    elif isinstance(value, float):
        for other in dict.fromkeys((2 * value, value / 2, -value, 1 - value, 1.0, 0.0)):
            if other != value:
                yield 3, expression(repr(other))
    if isinstance(value, int | float) and not isinstance(value, bool):
        for name in scope.kinds:
            if scope.kinds[name] in (("int",), ("float",)) or name in scope.arrays:
                yield 4.2 if scope.kinds[name] == ("int",) else 4.9, expression(name)


def _of_index(node: ast.Subscript) -> Iterator[tuple[float, ast.expr]]:
    for old, new in (("1:", ":-1"), (":-1", "1:"), ("::-1", ":")):
        if ast.unparse(node.slice) == old:
            sliced = expression(f"x[{new}]").slice
            yield 2, ast.Subscript(node.value, sliced, ast.Load())


def _of_window(window: ast.expr, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    """Yield the indices of other arrays, and those at a multiple: s * stride for s."""
    if not ranges(window):
        return
    own, axes = ast.unparse(window), len(getattr(window, "elts", [1]))
    for text, other in scope.windows.items():
        if text != own and len(getattr(other, "elts", [1])) == axes:
            yield 2.4, other
    names = dict.fromkeys(part.id for part in ast.walk(window) if isinstance(part, ast.Name))
    counted = [name for name in names if name in scope.integers]
    # Rows and columns alike: what goes along one axis by a stride mostly does along the other.
    for some in (counted, *([name] for name in counted if len(counted) > 1)):
        for factor in scope.strides if some else ():
            yield 2.6, replaced(window, {n: expression(f"{n} * {factor}") for n in some})
    for pair in combinations(counted, 2) if len(counted) > 2 else ():
        for factor in scope.strides:
            yield 2.7, replaced(window, {n: expression(f"{n} * {factor}") for n in pair})


def _scaled(
    node: ast.expr, around: ast.AST | None, scope: Scope
) -> Iterator[tuple[float, ast.expr]]:
    """Yield an expression with a factor, a term or a sign more."""
    if isinstance(around, ast.Subscript) or not scope.is_numeric(node):
        return
    linked = isinstance(around, ast.BinOp) and isinstance(around.op, _LINKED)
    if isinstance(around, ast.Call) and scope.is_own(around.func):
        for name in scope.arrays:  # the error of the step behind this one: da[t] + da_next
            yield 5.2, ast.BinOp(node, ast.Add(), expression(name))
    if (
        linked
        and isinstance(around, ast.BinOp)
        and (node is around.right or not isinstance(around.op, ast.Div))
    ):  # what it is divided by
        for number in (*scope.integers, *scope.lengths, *scope.sizes):
            yield 4.2, expression(number)
    yield 5, ast.BinOp(ast.Constant(1), ast.Sub(), node)
    yield 5.5, ast.BinOp(ast.Constant(1), ast.Add(), node)
    yield 5, ast.BinOp(node, ast.Pow(), ast.Constant(2))
    if linked:  # a factor of a factor is one of the product, which has its turn
        return
    if not isinstance(node, ast.UnaryOp):
        yield 4, ast.UnaryOp(ast.USub(), node)
    # Names come before numbers that may be equal to them by chance.
    for number in scope.floats:
        yield 4.3, ast.BinOp(node, ast.Mult(), expression(number))
        yield 4.3, ast.BinOp(node, ast.Div(), expression(number))
    for text in scope.factors:
        yield 4.25, ast.BinOp(node, ast.Mult(), expression(text))
    for factor in (2, 0.5):
        yield 4.5, ast.BinOp(ast.Constant(factor), ast.Mult(), node)
    for number in (*scope.integers, *scope.lengths):
        yield 4.4, ast.BinOp(node, ast.Div(), expression(number))
        yield 4.4, ast.BinOp(node, ast.Mult(), expression(number))
    for number in scope.axes:
        yield 4.6, ast.BinOp(node, ast.Div(), expression(number))
    # One of several terms, or of what is returned, may lack a factor of its own shape.
    several = 4.7 if isinstance(around, ast.BinOp) else 6
    several = 4.3 if isinstance(around, ast.Tuple | ast.List) else several
    for name, shape in scope.arrays.items():
        alike = scope.arrays.get(plain(node)) == shape
        yield (several if alike else 6), ast.BinOp(node, ast.Mult(), expression(name))
        yield 6, ast.BinOp(node, ast.Div(), expression(name))
        for form in SLOPES:
            yield 6.5, ast.BinOp(node, ast.Mult(), expression(form.format(name)))
        if len(shape) == 1:
            for op in (ast.Mult(), ast.Div()):
                yield 6.2, ast.BinOp(node, op, expression(f"{name}[:, None]"))
