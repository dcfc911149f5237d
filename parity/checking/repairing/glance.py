"""What a changed expression gives where it stands: changes that cannot help are not run."""

import ast
import warnings
from collections.abc import Hashable, Mapping, Sequence
from types import CodeType
from typing import Any, cast

import numpy as np

from numpy_impl.types import Shape
from parity.checking.repairing.functions import Editable
from parity.checking.repairing.moments import Moment, UnknownError
from parity.checking.repairing.slots import Change, Statement

_STATEMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return)
# They have names of their own, or do more than give a value.
_NOT_EVALUATED = (
    ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await, ast.Lambda, ast.ListComp, ast.SetComp,
    ast.DictComp, ast.GeneratorExp,
)  # fmt: skip

_DIGITS = 9

# What an expression gives at each moment.
_Given = tuple[Hashable, ...]


class Glance:
    """Expressions, evaluated with what their names stood for when the user's code came there.

    Args:
        moments: By code and line, what names stood for as the line was reached.
    """

    def __init__(self, moments: Mapping[tuple[CodeType, int], Sequence[Moment]]) -> None:
        self._moments = moments
        self._known: dict[int, set[_Given]] = {}
        self._crowded: dict[int, set[int]] = {}

    def in_vain(self, function: Editable, statement: Statement, change: Change) -> bool:
        """Return whether a change cannot help.

        Its expression fails where it stands, or gives what the statement gives without the change,
        or gave with an earlier one.
        """
        line, head = statement.node.lineno, statement.heads[0]
        moments = self._moments.get((function.code, line), ())
        inside = all(slot == head or head.node in slot.nodes for slot, _ in change.puts)
        if not moments or not inside or not isinstance(statement.node, _STATEMENTS):
            return False
        if change.also or change.shares:
            return False
        if line in self._lines_of_several(function):
            return False
        known = self._known.get(id(statement))
        if known is None:
            try:
                known = {_given(head.node, moments)}
            except Exception:  # what cannot be evaluated without a change is not judged with it
                known = set[_Given]()
            self._known[id(statement)] = known
        if not known:
            return False
        before = change.apply()
        try:
            given = _given(head.node, moments)
        except UnknownError:
            return False
        except Exception:
            return True
        finally:
            for slot, node in before:
                slot.put(node)
        if given in known:
            return True
        known.add(given)
        return False

    def forget(self, function: Editable, statement: Statement, change: Change) -> None:
        """Let another change be tried that gives the same as this one, where it is looked at."""
        moments = self._moments.get((function.code, statement.node.lineno), ())
        before = change.apply()
        try:
            self._known.get(id(statement), set[_Given]()).discard(
                _given(statement.heads[0].node, moments)
            )
        except Exception:  # then it was not looked at
            return
        finally:
            for slot, node in before:
                slot.put(node)

    def shape(self, function: Editable, statement: Statement, node: ast.expr) -> Shape | None:
        """Return the shape of what an expression gives where a statement stands; None: unknown."""
        moments = self._moments.get((function.code, statement.node.lineno), ())
        try:
            return np.shape(_values(node, moments[-1:])[0])
        except Exception:
            return None

    def number(self, function: Editable, statement: Statement, node: ast.expr) -> float | None:
        """Return what an expression gives where a statement stands; None where it is no number,
        not always the same one, or unknown.
        """
        moments = self._moments.get((function.code, statement.node.lineno), ())
        try:
            values = [np.asarray(value) for value in _values(node, moments)]
        except Exception:
            return None
        if not values or any(v.shape or v.dtype.kind not in "iuf" for v in values):
            return None
        found = {value.item() for value in values}
        return found.pop() if len(found) == 1 else None

    def _lines_of_several(self, function: Editable) -> set[int]:
        """Return the lines in which several statements begin: names may be older there."""
        if id(function) not in self._crowded:
            lines = [n.lineno for n in ast.walk(function.node) if isinstance(n, ast.stmt)]
            self._crowded[id(function)] = {line for line in lines if lines.count(line) > 1}
        return self._crowded[id(function)]


def _given(head: ast.expr, moments: Sequence[Moment]) -> _Given:
    return tuple(_told_apart_by(value) for value in _values(head, moments))


def _values(head: ast.expr, moments: Sequence[Moment]) -> list[Any]:
    """Return what an expression gives at some moments."""
    for part in ast.walk(head):
        if isinstance(part, _NOT_EVALUATED):
            raise UnknownError
        if isinstance(part, ast.Attribute) and part.attr == "random":
            raise UnknownError
    code = compile(ast.Expression(head), "<glance>", "eval", dont_inherit=True)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [eval(code, {"__builtins__": {}}, moment) for moment in moments]


def _told_apart_by(value: Any) -> Hashable:
    """Return what is equal for equal values."""
    if isinstance(value, np.ndarray | np.generic | bool | int | float | complex):
        array = np.asarray(cast(Any, value))
        if array.dtype.kind in "biu":
            return array.shape, array.tobytes()
        if array.dtype.kind == "f":  # the same in another order is rounded otherwise
            digits, exponent = np.frexp(array + 0.0)
            return array.shape, np.round(digits, _DIGITS).tobytes(), exponent.tobytes()
    if isinstance(value, tuple | list):
        parts = cast(list[Any], value)
        return isinstance(value, tuple), *map(_told_apart_by, parts)
    raise UnknownError
