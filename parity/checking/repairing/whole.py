"""Changes of whole statements: how it assigns, its order, what it adds, names exchanged in it."""

import ast
from collections.abc import Iterator, Sequence
from itertools import combinations, combinations_with_replacement, permutations

from parity.checking.repairing.expressions import SLOPES
from parity.checking.repairing.jacobians import through_softmax
from parity.checking.repairing.scope import Scope
from parity.checking.repairing.slots import (
    Change,
    Slot,
    Statement,
    expression,
    places,
    plain,
    replaced,
)

# Of more names than these not all pairs are tried.
_MOST_NAMES = 14


def changes(statement: Statement, scope: Scope) -> Iterator[Change]:
    """Yield the changes of a statement as one."""
    slot, node, behind = statement.slot, statement.node, statement.behind
    if isinstance(node, ast.expr):
        return
    for rank, new in _assigned(node, scope):
        yield Change(rank, ((slot, new),))
    if not statement.compound and not isinstance(node, ast.Return):
        yield Change(5, ((slot, ast.Pass()),))
        if behind is not None and not isinstance(behind.node, ast.Return):
            yield Change(4, ((slot, behind.node), (behind, node)))
    head = statement.heads[0]
    named = _names(head.node, scope)
    for one, other in combinations(named, 2):
        yield Change(
            4, ((head, replaced(head.node, {one: expression(other), other: expression(one)})),)
        )
    for one in named:
        for other in scope.alike(one) if _count(head.node, one) > 1 else []:
            yield Change(2.5, ((head, replaced(head.node, {one: expression(other)})),))
    shape = _shape(node, scope)
    alike = [n for n, s in scope.arrays.items() if s == shape][:_MOST_NAMES] if shape else []
    for one in [*alike, *(scope.held if shape else [])]:
        yield Change(4.6, ((head, ast.BinOp(head.node, ast.Mult(), expression(one))),))
        for form in SLOPES:
            factor = expression(form.format(one))
            yield Change(4.8, ((head, ast.BinOp(head.node, ast.Mult(), factor)),))
    for one in alike:
        for op in (ast.Add(), ast.Sub()):
            yield Change(6, ((head, ast.BinOp(head.node, op, expression(one))),))
    for p in [name for name in named if len(scope.arrays.get(name, ())) > 1]:
        if isinstance(head.node, ast.BinOp):
            yield from (
                Change(5, ((head, new),)) for new in through_softmax(expression(p), head.node)
            )
    for one, other in permutations(alike, 2):  # softmax, through its whole Jacobian
        text = f"{one} * ({other} - ({other} * {one}).sum(axis=-1, keepdims=True))"
        here = one in named and other in named
        yield Change(4 if here else 6.5, ((head, expression(text)),))
    # A sum is the likelier to lack a term.
    adds = isinstance(head.node, ast.BinOp) and isinstance(head.node.op, ast.Add | ast.Sub)
    for one, other in combinations_with_replacement(alike, 2):
        term = expression(f"{one} * {other}")
        yield Change(4.2 if adds else 7, ((head, ast.BinOp(head.node, ast.Add(), term)),))


def everywhere(every: Sequence[Statement], scope: Scope) -> Iterator[tuple[Statement, Change]]:
    """Yield the changes that a function may need in several statements at once.

    One name for another of its kind wherever it stands, one axis for another in two reductions, and
    all that goes into attributes of one name (self.grad and other.grad) added to what is there.
    """
    assigned: dict[str, list[_Spot]] = {}
    for statement in every:
        for target in getattr(statement.node, "targets", [])[:1]:
            if isinstance(target, ast.Attribute):
                assigned.setdefault(target.attr, []).append((statement, statement.slot))
    for spots in assigned.values():
        nodes = [statement.node for statement, _ in spots]
        yield from _at_once(
            1, spots, [ast.AugAssign(n.targets[0], ast.Add(), n.value) for n in nodes]
        )
    named: dict[str, list[_Spot]] = {}
    reduced: dict[str, list[_Spot]] = {}
    for statement in every:
        for slot in places(statement.heads):
            if isinstance(slot.node, ast.Name) and slot.node.id in scope.arrays:
                named.setdefault(slot.node.id, []).append((statement, slot))
            elif (axis := _axis(slot.node)) is not None:
                reduced.setdefault(ast.unparse(axis), []).append((statement, slot))
    for old, spots in named.items():
        for new in scope.alike(old):
            yield from _at_once(5.5, spots, [expression(new) for _ in spots])
    for spots in reduced.values():
        for pair in combinations(spots, 2):
            for axis in (0, 1, -1):
                for kept in (False, True):
                    new = [_reduced(slot.node, axis, kept) for _, slot in pair]
                    yield from _at_once(4.6, pair, new)


def axes(every: Sequence[Statement]) -> Iterator[tuple[Statement, Change]]:
    """Yield one axis for another in each reduction, and then in two of one axis."""
    reduced: dict[str, list[_Spot]] = {}
    for statement in every:
        for slot in places(statement.heads):
            axis = _axis(slot.node)
            if axis is not None:
                reduced.setdefault(ast.unparse(axis), []).append((statement, slot))
    for own, spots in reduced.items():
        for axis in (1, 0, -1):
            for kept in (False, True):
                if str(axis) == own and not kept:
                    continue
                new = [_reduced(slot.node, axis, kept) for _, slot in spots]
                for (statement, slot), node in zip(spots, new, strict=True):
                    yield statement, Change(1, ((slot, node),))
                for one, other in combinations(zip(spots, new, strict=True), 2):
                    puts = tuple((slot, node) for (_, slot), node in (one, other))
                    also = () if one[0][0] is other[0][0] else (other[0][0],)
                    yield one[0][0], Change(1, puts, also)


def of_loss(every: Sequence[Statement]) -> Iterator[tuple[Statement, Change]]:
    """Yield what a loss may have to be, where gradients are those of the loss that is meant."""
    yield from _broadcasts(every)
    yield from _counts(every)


_LOGARITHMS = ("log", "log2", "log10")


def guards(function: ast.AST) -> Iterator[tuple[Slot, ast.expr, ast.expr]]:
    """Yield what is added inside of a logarithm: where, what stands there without it, and it."""
    numbers = (ast.Constant, ast.Name, ast.Attribute)
    for node in ast.walk(function):
        match node:
            case ast.Call(func=func, args=[ast.BinOp(op=ast.Add(), left=left, right=right)]):
                name = func.attr if isinstance(func, ast.Attribute) else plain(func)
                if name in _LOGARITHMS and isinstance(right, numbers):
                    yield Slot(node.args, 0), left, right
                elif name in _LOGARITHMS and isinstance(left, numbers):
                    yield Slot(node.args, 0), right, left
            case _:
                pass


def _broadcasts(every: Sequence[Statement]) -> Iterator[tuple[Statement, Change]]:
    """Yield what is subtracted in the other's shape: (n,) from (n, 1) would be (n, n)."""
    sides = (ast.Name, ast.Attribute, ast.Subscript)
    for statement in every:
        for slot in places(statement.heads):
            match slot.node:
                case ast.BinOp(op=ast.Sub(), left=left, right=right):
                    if isinstance(left, sides) and isinstance(right, sides):
                        one = ast.BinOp(left, ast.Sub(), _shaped(right, left))
                        other = ast.BinOp(_shaped(left, right), ast.Sub(), right)
                        yield statement, Change(1, ((slot, one),))
                        yield statement, Change(1, ((slot, other),))
                case _:
                    pass


def _shaped(array: ast.expr, like: ast.expr) -> ast.expr:
    return expression(f"{ast.unparse(array)}.reshape({ast.unparse(like)}.shape)")


def _counts(every: Sequence[Statement]) -> Iterator[tuple[Statement, Change]]:
    """Yield what may be divided by another number.

    A variance by the number of samples, where it is by one fewer; a mean of all numbers along one
    axis alone, or along none.
    """
    for statement in every:
        for slot in places(statement.heads):
            match slot.node:
                case ast.Call(func=ast.Attribute(value=of, attr="mean"), keywords=[]) as mean:
                    for new in _sums_of_means(mean, of):
                        yield statement, Change(1, ((slot, new),))
                case ast.Call(func=func, args=args, keywords=named):
                    rest = [k for k in named if k.arg != "ddof"]
                    if len(rest) < len(named):
                        yield statement, Change(1, ((slot, ast.Call(func, args, rest)),))
                case ast.BinOp(op=ast.Div(), left=left, right=ast.BinOp(
                    op=ast.Sub(), left=number, right=ast.Constant(value=1)
                )):  # fmt: skip
                    whole = ast.BinOp(left, ast.Div(), number)
                    yield statement, Change(1, ((slot, whole),))
                case _:
                    pass


def _sums_of_means(mean: ast.Call, of: ast.expr) -> Iterator[ast.Call]:
    """Yield the sum of means along each axis, and the sum: np.mean(a) or a.mean() is of all."""
    sums = ast.Attribute(of, "sum", ast.Load())
    for axis in (0, 1):
        along = [ast.keyword("axis", expression(str(axis)))]
        means = ast.Call(mean.func, mean.args, along)
        if mean.args:
            yield ast.Call(sums, [means], [])
        else:
            yield ast.Call(ast.Attribute(means, "sum", ast.Load()), [], [])
    yield ast.Call(sums, mean.args, [])


def _axis(node: ast.AST) -> ast.expr | None:
    keywords = node.keywords if isinstance(node, ast.Call) else []
    return next((k.value for k in keywords if k.arg == "axis"), None)


# A place, and the statement that it is a part of.
_Spot = tuple[Statement, Slot]


def _at_once(
    rank: float, spots: Sequence[_Spot], new: Sequence[ast.AST]
) -> Iterator[tuple[Statement, Change]]:
    """Yield the change of several places, if they are in several statements."""
    first, *others = {id(statement): statement for statement, _ in spots}.values()
    if others:
        puts = tuple((slot, node) for (_, slot), node in zip(spots, new, strict=True))
        yield first, Change(rank, puts, tuple(others))


def _reduced(call: ast.Call, axis: int, kept: bool) -> ast.Call:
    """Return a sum or mean along another axis, which is kept if asked for."""
    rest = [k for k in call.keywords if k.arg != "axis" and not (kept and k.arg == "keepdims")]
    along = ast.keyword("axis", expression(repr(axis)))
    more = [ast.keyword("keepdims", ast.Constant(True))] if kept else []
    return ast.Call(call.func, call.args, [along, *rest, *more])


def _assigned(node: ast.AST, scope: Scope) -> Iterator[tuple[float, ast.stmt]]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        if isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
            yield 1, ast.AugAssign(target, ast.Add(), node.value)
    match node:
        case ast.Expr(value=ast.Call(
            func=ast.Attribute(value=ast.Attribute(attr="add"), attr="at"),
            args=[held, index, added],
        )):  # fmt: skip
            entry = ast.Subscript(held, index, ast.Store())
            yield 3, ast.AugAssign(entry, ast.Add(), added)  # once for each index
        case _:
            pass
    if isinstance(node, ast.AugAssign):
        target = node.target
        yield 1, ast.Assign([target], node.value)
        if isinstance(node.op, ast.Add | ast.Sub):
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield 2.9, ast.AugAssign(target, other, node.value)
        if isinstance(target, ast.Subscript) and isinstance(node.op, ast.Add | ast.Sub):
            name = "add" if isinstance(node.op, ast.Add) else "subtract"
            held = expression(ast.unparse(target.value))
            index = target.slice
            call = ast.Call(expression(f"{scope.numpy}.{name}.at"), [held, index, node.value], [])
            yield 0, ast.Expr(call)


def _names(node: ast.AST, scope: Scope) -> list[str]:
    found = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in scope.kinds]
    return list(dict.fromkeys(found))


def _shape(node: ast.AST, scope: Scope) -> tuple[int, ...]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    name = targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""
    return scope.arrays.get(name, ())


def _count(node: ast.AST, name: str) -> int:
    return sum(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))
