"""Masks: where a maximum was, and what dropout kept."""

import ast
from collections.abc import Iterator

from parity.checking.repairing.jacobians import SCALING
from parity.checking.repairing.scope import Scope
from parity.checking.repairing.slots import (
    Change,
    Slot,
    Statement,
    expression,
    index_text,
    places,
    plain,
    replaced,
)
from parity.checking.repairing.terms import ShapeOf

_REPEATING = {"repeat", "kron", "tile", "broadcast_to"}
_DRAWING = {
    "rand", "random", "random_sample", "binomial", "uniform", "choice", "integers", "randint",
}  # fmt: skip


def changes(statement: Statement, scope: Scope, shape_of: ShapeOf) -> Iterator[Change]:
    """Yield the changes of a statement by a mask."""
    if statement.compound:
        return
    for slot in places(statement.heads):
        node = slot.node
        if isinstance(node, ast.Compare):
            yield from _shared_by_ties(statement, slot, shape_of)
        if isinstance(node, ast.Compare | ast.BinOp | ast.Call) and _draws(node):
            for name, kind in scope.kinds.items():
                if kind[0] == "array":
                    yield Change(2.5, ((slot, expression(name)),))
        elif isinstance(node, ast.Call):
            for mask in _of_the_largest(node, scope):
                yield Change(3.8, ((slot, ast.BinOp(node, ast.Mult(), mask)),))
    yield from _of_steps(statement, scope, shape_of)
    yield from _in_a_window(statement, scope)


def _of_steps(statement: Statement, scope: Scope, shape_of: ShapeOf) -> Iterator[Change]:
    """Yield what is computed by a mask of its shape, or of the steps of which it has some numbers.

    A mask may be of truth values, of whole numbers, or of numbers by its name.
    """
    head, node = statement.heads[0], statement.node
    by_number = isinstance(node, ast.AugAssign) and isinstance(node.op, SCALING)
    of = node.target if by_number else head.node
    shape = shape_of(statement, expression(ast.unparse(of)))
    if not shape:
        return
    for name, kind in scope.kinds.items():
        if kind[0] != "array" or not kind[1] or not (kind[2] in "biu" or "mask" in name):
            continue
        if kind[1] == shape:
            text = name
        elif kind[1] == shape[:-1]:
            text = f"{name}[..., None]"
        else:
            continue
        # Whole numbers may be classes, which nothing is multiplied by.
        rank = 3.6 if kind[2] == "b" or "mask" in name else 4.4
        if by_number and isinstance(node.op, ast.Div):
            factor = ast.BinOp(expression(text), ast.Div(), node.value)
            new = ast.AugAssign(node.target, ast.Mult(), factor)
            yield Change(rank, ((statement.slot, new),))
        else:
            yield Change(rank, ((head, ast.BinOp(head.node, ast.Mult(), expression(text))),))


def _shared_by_ties(statement: Statement, slot: Slot, shape_of: ShapeOf) -> Iterator[Change]:
    """Yield a mask of maxima that counts those which are equal as one: x == x.max()."""
    node = slot.node
    if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
        return
    whole, largest = (shape_of(statement, side) for side in (node.left, node.comparators[0]))
    if whole is None or largest is None or len(largest) > len(whole):
        return
    largest = (1,) * (len(whole) - len(largest)) + largest
    axes = tuple(k for k, (n, m) in enumerate(zip(whole, largest, strict=True)) if n > 1 == m)
    if axes:
        mask = ast.unparse(node)
        text = f"({mask}) / ({mask}).sum(axis={axes}, keepdims=True)"
        yield Change(3, ((slot, expression(text)),))
        head = statement.heads[0]
        if slot != head:  # a mask that selects: np.where(x == x.max(), d, 0)
            count = expression(f"({mask}).sum(axis={axes}, keepdims=True)")
            yield Change(3.2, ((head, ast.BinOp(head.node, ast.Div(), count)),))


def _of_the_largest(call: ast.Call, scope: Scope) -> Iterator[ast.expr]:
    """Yield where numbers are the largest of their window, for what repeats a gradient over it.

    Of ``d.repeat(2)`` it is ``x == y.repeat(2)``, for ``y`` of the shape of ``d``.
    """
    repeats = isinstance(call.func, ast.Attribute) and call.func.attr in _REPEATING
    if not repeats and not scope.is_own(call.func):
        return
    for d in {part.id for part in ast.walk(call) if isinstance(part, ast.Name)}:
        shape = scope.arrays.get(d, ())
        for y, small in scope.arrays.items():
            for x, large in scope.arrays.items() if small == shape and y != d else ():
                larger = all(n >= m for n, m in zip(large, small, strict=False))
                if len(large) == len(small) > 1 and large != small and larger:
                    repeated = replaced(call, {d: expression(y)})
                    yield ast.Compare(expression(x), [ast.Eq()], [repeated])


def _in_a_window(statement: Statement, scope: Scope) -> Iterator[Change]:
    """Yield the factor x[i:j] == x[i:j].max() for what goes into a window of an array like x."""
    node = statement.node
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    target = targets[0]
    if not isinstance(target, ast.Subscript) or not isinstance(node, ast.Assign | ast.AugAssign):
        return
    index = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    kept = [part for part in index if isinstance(part, ast.Slice)]
    axes = [k for k, part in enumerate(kept) if part.lower is not None or part.upper is not None]
    head, shape = statement.heads[0], scope.arrays.get(plain(target))
    for x, other in scope.arrays.items() if axes and shape else ():
        if other == shape and x != plain(target):
            window = x + index_text(target.slice)
            text = f"{window} == {window}.max(axis={tuple(axes)}, keepdims=True)"
            yield Change(3.8, ((head, ast.BinOp(head.node, ast.Mult(), expression(text))),))


def _draws(node: ast.AST) -> bool:
    """Whether an expression draws random numbers."""
    calls = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return any(isinstance(func, ast.Attribute) and func.attr in _DRAWING for func in calls)
