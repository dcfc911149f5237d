"""A number that a change puts in: by which names it goes as well, and which of these is meant."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from parity.checking.bugs.findings import listed
from parity.checking.repairing.jacobians import SCALING
from parity.checking.repairing.scope import Scope
from parity.checking.repairing.slots import Change, Slot, Statement, expression

# Numbers that formulas have: of a square, a mean of two, a power. A name that is one of these may
# be it by chance, as a kernel of size 2 beside the 2 of a square's derivative.
_USUAL = (2, 3, 4, 0.5, 0.25)
# A name that is the length of something, as code writes it.
_OF_LENGTHS = (".shape[", "len(", ".size")
# So many further names are tried, and so many told.
_MOST_NAMES, _MOST_TOLD = 6, 2

# What a number's text gives where a statement stands; None where it is none, or not always one.
ValueOf = Callable[[ast.expr], float | None]


@dataclass(frozen=True)
class Option:
    """One way to write the number.

    Attributes:
        text: As it is written.
        change: With it.
        value: What it is.
        plain: Whether it is the number itself, and no name.
    """

    text: str
    change: Change
    value: float
    plain: bool = False


def options(statement: Statement, change: Change, scope: Scope, value_of: ValueOf) -> list[Option]:
    """Return the ways to write the number that a change puts in, the change's own first.

    None where it puts in no factor or divisor.
    """
    place = _number(statement, change)
    if place is None:
        return []
    part, put = place
    value = value_of(part)
    if value is None or value in (0, 1, -1):
        return []
    slot = change.puts[0][0]

    def option(node: ast.expr) -> Option:
        new = replace(change, puts=((slot, put(node)),))
        return Option(ast.unparse(node), new, value, isinstance(node, ast.Constant))

    found = [option(part), option(ast.Constant(value))]
    names = [expression(text) for text in _names(scope)]
    equal = (node for node in names if value_of(node) == value)
    found += [option(node) for _, node in zip(range(_MOST_NAMES), equal, strict=False)]
    unique = {one.text: one for one in reversed(found)}
    return list(dict.fromkeys(unique[one.text] for one in found))


def choice(every: Sequence[Option], elsewhere: Sequence[bool | None]) -> tuple[Change, str]:
    """Return the change that is told, and in words by which names its number goes as well.

    Args:
        every: The ways to write the number, the first one as it was found.
        elsewhere: Whether each is right on a batch of another size; None where it is not known.
    """
    right = [one for one, yes in zip(every, elsewhere, strict=True) if yes]
    left = right or every
    plain = next((one for one in left if one.plain), None)
    names = [one for one in left if not one.plain]
    if plain is None or not names or (plain.value not in _USUAL and not every[0].plain):
        return (names or left)[0].change, ""
    found = names[0]
    if found is every[0] and any(part in found.text for part in _OF_LENGTHS):
        # How many there are of something is what a sum or a mean is mostly divided by.
        return found.change, f" (or with {plain.text}, which {found.text} is here)"
    told = [one.text for one in names[:_MOST_TOLD]]
    which = "which are" if len(told) > 1 else "which is"
    return plain.change, f" (or with {listed(told)}, {which} {plain.text} here, for the number)"


def _number(
    statement: Statement, change: Change
) -> tuple[ast.expr, Callable[[ast.expr], ast.expr]] | None:
    """Return the number that a change puts in, and what puts another there."""
    if len(change.puts) != 1 or change.also or change.runs or change.moved:
        return None
    slot, node = change.puts[0]
    old = slot.node
    match node:
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right) if left is old:
            return right, lambda other: ast.BinOp(old, op, other)
        case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Call() | ast.Constant():
            return (node, lambda other: other) if _scales(statement, slot) else None
        case _:
            return None


def _scales(statement: Statement, slot: Slot) -> bool:
    """Return whether what stands in a place is a factor or a divisor."""
    if not slot.nodes:
        node = statement.node
        return isinstance(node, ast.AugAssign) and isinstance(node.op, SCALING)
    around = slot.nodes[-1]
    inside = any(isinstance(node, ast.Subscript | ast.Slice) for node in slot.nodes)
    return isinstance(around, ast.BinOp) and isinstance(around.op, SCALING) and not inside


def _names(scope: Scope) -> Iterator[str]:
    yield from scope.integers
    yield from scope.lengths
    yield from scope.floats
    yield from scope.axes
