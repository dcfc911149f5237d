"""Changes that a training step may need: copies, counters, norms, and the numbers declared."""

import ast
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from parity.checking.repairing.scope import Scope
from parity.checking.repairing.slots import Change, Slot, Statement, expression, places

_FUNCTIONS = ("sqrt", "abs", "sign")
_LIMITS = {"min": "max", "max": "min"}
# What takes a value as it is, and keeps it.
_KEEPING = {"append", "setdefault"}
_COPYING = {"copy", "array", "deepcopy"}
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_NAMES = (ast.Name, ast.Attribute, ast.Subscript)


def changes(statement: Statement, scope: Scope, numbers: Sequence[float]) -> Iterator[Change]:
    """Yield the changes of a statement.

    Args:
        statement: The statement.
        scope: Of its function.
        numbers: Those that the optimizer is declared with.
    """
    for rank, new in _stored(statement.node, scope):
        yield Change(rank, ((statement.slot, new),), shares=True)
    for slot in places(statement.heads):
        keeps = isinstance(statement.node, ast.Assign | ast.AnnAssign | ast.Expr)
        for rank, new in _copied(slot, scope) if keeps else ():
            yield Change(rank, ((slot, new),), shares=True)
        for rank, new in _instead(slot, scope, numbers):
            yield Change(rank, ((slot, new),))


def moves(every: Sequence[Statement]) -> Iterator[tuple[Statement, Change]]:
    """Yield statements at other places of their block, and before and behind the loops around.

    What counts the steps is the likeliest: it may stand in the loop over the weights.
    """
    loops = [one for one in every if isinstance(one.node, ast.For | ast.While)]
    for one in every:
        if one.compound or isinstance(one.node, ast.Return | ast.Pass):
            continue
        counts = _counts(one.node)
        for loop in loops:
            if not any(part is one.node for part in ast.walk(loop.node)):
                continue
            line = loop.node.lineno
            for words, order in (
                (f"before line {line}", [one.node, loop.node]),
                (f"behind the loop of line {line}", [loop.node, one.node]),
            ):
                out = ast.If(ast.Constant(True), order, [])
                puts = ((one.slot, ast.Pass()), (loop.slot, out))
                yield one, Change(1.2 if counts else 5.4, puts, moved=words)
        for other in every:
            if other.slot.parent is one.slot.parent and other is not one:
                yield one, _moved(one, other, counts)


def _moved(one: Statement, other: Statement, counts: bool) -> Change:
    """Return the change that lets a statement stand where another of its block does."""
    body, start, end = one.slot.parent, one.slot.key, other.slot.key
    back = end < start
    between = range(end, start) if back else range(start + 1, end + 1)
    puts = [(Slot(body, k + 1 if back else k - 1), body[k]) for k in between]
    words = f"{'before' if back else 'behind'} line {other.node.lineno}"
    whole = ((Slot(body, end), one.node), *puts)
    return Change(1.4 if counts else 5.2, whole, moved=words)


def _counts(node: ast.AST) -> bool:
    """Whether a statement is t += 1, or t = t + 1."""
    match node:
        case ast.AugAssign(op=ast.Add(), value=ast.Constant(value=int())):
            return True
        case ast.Assign(
            targets=[target],
            value=ast.BinOp(left=left, op=ast.Add(), right=ast.Constant(value=int())),
        ):
            return ast.unparse(target) == ast.unparse(left)
        case _:
            return False


def _stored(node: ast.AST, scope: Scope) -> Iterator[tuple[float, ast.stmt]]:
    """Yield an assignment into the array that is there, or to a new one, or to a state as well."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
            if name in scope.arrays:
                yield 2, ast.Assign([_target(f"{name}[...]")], value)
                for held in scope.held:
                    yield 3.4, ast.Assign([target, _target(held)], value)
        case ast.AugAssign(target=target, op=op, value=value):
            whole = ast.BinOp(expression(ast.unparse(target)), op, value)
            yield 2, ast.Assign([target], whole)
        case _:
            return


def _target(text: str) -> Any:
    statement: Any = ast.parse(f"{text} = 0").body[0]
    return statement.targets[0]


def _copied(slot: Slot, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    """Yield a copy of what is kept as it is, and what is copied as it is."""
    node, around = slot.node, slot.nodes[-1] if slot.nodes else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "copy" and not node.args:
            yield 1.8, node.func.value
        elif node.func.attr in _COPYING and len(node.args) == 1:
            yield 1.8, node.args[0]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("list", "tuple") and node.args:
        yield 1.5, expression(f"[a.copy() for a in {ast.unparse(node.args[0])}]")
    in_list = isinstance(around, _COMPREHENSIONS) and slot.key in ("elt", "value")
    keeping = isinstance(around, ast.Call) and getattr(around.func, "attr", "") in _KEEPING
    display = isinstance(around, ast.Tuple | ast.List | ast.Dict)
    if not isinstance(node, _NAMES) or not (around is None or in_list or keeping or display):
        return
    text = ast.unparse(node)
    kind = scope.kinds.get(text, ("",))[0]
    if kind == "array" or in_list or text in scope.held:
        yield 1.5, expression(f"{text}.copy()")
    elif kind in ("list", "tuple"):
        yield 1.5, expression(f"[a.copy() for a in {text}]")
    elif kind == "dict":
        yield 1.5, expression(f"{{k: a.copy() for k, a in {text}.items()}}")


def _instead(
    slot: Slot, scope: Scope, numbers: Sequence[float]
) -> Iterator[tuple[float, ast.expr]]:
    node, around = slot.node, slot.nodes[-1] if slot.nodes else None
    if slot.key == "test":
        yield 4.5, ast.Constant(True)
        yield 4.5, ast.Constant(False)
        yield 4.5, ast.UnaryOp(ast.Not(), node)
    inside = any(isinstance(n, ast.Subscript | ast.Slice) for n in slot.nodes[-2:])
    if inside or isinstance(around, ast.keyword):
        return
    if isinstance(node, _NAMES):
        if not _by_a_number(around):
            yield from _by_one(node, scope)
        if scope.kinds.get(ast.unparse(node)) == ("float",):
            powers = (ast.BinOp(node, ast.Pow(), expression(name)) for name in scope.integers)
            yield from ((3.4, power) for power in powers)
            yield from ((3.9, ast.Constant(n)) for n in numbers)
        yield from _of_array(node, scope)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield from ((2.7, ast.Constant(n)) for n in numbers if n != node.value)
        if type(node.value) is int:
            yield from ((2.9, expression(name)) for name in scope.integers)
    elif isinstance(node, ast.BinOp):
        yield from _of_operation(node)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, scope)
    if scope.is_numeric(node) and not isinstance(node, ast.Constant | ast.Tuple | ast.List):
        for name in _FUNCTIONS:
            function = expression(f"{scope.numpy}.{name}")
            yield 3.8, ast.Call(function, [node], [])


def _by_a_number(node: ast.AST | None) -> bool:
    """Whether something is t + 1, or t - 1."""
    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub(), right=ast.Constant(value=int())):
            return True
        case _:
            return False


def _by_one(node: ast.expr, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    """Yield what counts steps from one step earlier, and later."""
    if scope.kinds.get(ast.unparse(node)) == ("int",):
        yield 2.8, ast.BinOp(node, ast.Sub(), ast.Constant(1))
        yield 2.8, ast.BinOp(node, ast.Add(), ast.Constant(1))


def _of_array(
    node: ast.Name | ast.Attribute | ast.Subscript, scope: Scope
) -> Iterator[tuple[float, ast.expr]]:
    text = ast.unparse(node)
    if text not in scope.arrays and text not in scope.held:
        return
    others = scope.held if isinstance(node, ast.Name) else [*scope.held, *scope.arrays]
    yield from ((2.4, expression(other)) for other in others if other != text)
    yield 3, ast.BinOp(node, ast.Pow(), ast.Constant(2))
    for number in (*scope.floats, *scope.entries):
        yield 3.3, ast.BinOp(expression(number), ast.Mult(), node)
        yield 3.5, ast.BinOp(expression(f"(1 - {number})"), ast.Mult(), node)


def _of_operation(node: ast.BinOp) -> Iterator[tuple[float, ast.expr]]:
    left, op, right = node.left, node.op, node.right
    if _by_a_number(node):
        yield 2.7, left
    if isinstance(op, ast.Mult):
        yield 3, ast.BinOp(left, ast.Pow(), right)
        if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult):
            yield 3.1, ast.BinOp(left.left, op, ast.BinOp(left.right, ast.Pow(), right))
    elif isinstance(op, ast.Pow):
        yield 4.5, ast.BinOp(left, ast.Mult(), right)
    elif isinstance(op, ast.Div):
        yield 4.4, ast.Call(expression("min"), [ast.Constant(1.0), node], [])
    elif isinstance(left, ast.Call) and len(left.args) == 1 and not left.keywords:
        yield 3, ast.Call(left.func, [ast.BinOp(left.args[0], op, right)], [])


def _of_call(node: ast.Call, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    func, args = node.func, node.args
    if isinstance(func, ast.Name) and func.id in _LIMITS:
        yield 3, ast.Call(expression(_LIMITS[func.id]), args, node.keywords)
    if len(args) == 1 and getattr(func, "attr", "") in _FUNCTIONS:
        yield 2.9, args[0]
    if len(args) == 1 and isinstance(args[0], ast.BinOp) and not node.keywords:
        inner = args[0]
        if isinstance(inner.op, ast.Add | ast.Sub):
            yield 3, ast.BinOp(ast.Call(func, [inner.left], []), inner.op, inner.right)
    text = ast.unparse(node)
    if "norm" in text or "sum" in text:
        for norm in chain.from_iterable(_norms(name, scope) for name in scope.kinds):
            yield 2.6, norm


def _norms(name: str, scope: Scope) -> Iterator[ast.expr]:
    """Yield the norm of all arrays together that a list, a tuple or a dict holds."""
    kind = scope.kinds[name][0]
    if kind not in ("list", "tuple", "dict"):
        return
    numpy, over = scope.numpy, f"{name}.values()" if kind == "dict" else name
    for held in (f"a in {over}", f"pair in {over} for a in pair"):
        yield expression(f"{numpy}.sqrt(sum([{numpy}.sum(a ** 2) for {held}]))")
