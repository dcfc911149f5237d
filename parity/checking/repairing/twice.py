"""What a pass writes over: a gradient of a layer, or of a weight, that is used more than once."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from parity.checking.repairing.slots import Change, Statement, expression

# By this name the user's module has the sums while a change is tried.
NAME = "_summed_in_this_pass"


class Sums:
    """Adds up, within each pass, what is put into one place.

    To add instead of to assign would add to the pass before, too.
    """

    def __init__(self) -> None:
        self._met: dict[tuple[int, Any], Any] = {}

    def begin(self) -> None:
        """Begin a pass."""
        self._met.clear()

    def __call__(self, holder: Any, key: Any, value: Any, of_attribute: bool) -> Any:
        """Return what is put into an attribute or entry: a sum if it is not the first."""
        place = id(holder), key
        if place not in self._met:
            self._met[place] = holder  # held: another one may not get its number
            return value
        return (getattr(holder, key) if of_attribute else holder[key]) + value


def changes(every: Sequence[Statement]) -> Iterator[tuple[Statement, Change]]:
    """Yield what adds up that statements put into attributes and entries: in each, and in all."""
    read = {
        ast.unparse(part)
        for statement in every
        for part in ast.walk(statement.node)
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Load)
    }
    found = [one for one in every if _summed(one) and ast.unparse(one.node.targets[0]) not in read]
    for group in [*([one] for one in found), *([found] if len(found) > 1 else [])]:
        puts = tuple(
            (one.slot, ast.AugAssign(one.node.targets[0], ast.Add(), one.node.value))
            for one in group
        )
        runs = tuple((one.slot, ast.Assign(one.node.targets, _summed(one))) for one in group)
        yield group[0], Change(1.2, puts, tuple(group[1:]), runs=runs)


def _summed(statement: Statement) -> Any:
    """Return the call that adds up; None where nothing is put into one attribute or entry."""
    node = statement.node
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return None
    target = node.targets[0]
    if isinstance(target, ast.Attribute):
        key, of_attribute = ast.Constant(target.attr), True
    elif isinstance(target, ast.Subscript) and ast.unparse(target.slice) == ":":
        key, of_attribute = ast.Constant(...), False
    elif isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Slice | ast.Tuple):
        key, of_attribute = target.slice, False
    else:
        return None
    arguments = [target.value, key, node.value, ast.Constant(of_attribute)]
    return ast.Call(expression(NAME), arguments, [])
