"""Holes in the user's functions: what they assign and return passes through, or something else."""

import ast
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from types import CodeType
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.findings import Unreadable
from parity.checking.repairing.functions import Editable, OutOfTime, may_go_on, within
from parity.checking.repairing.slots import Slot, Statement, statements

# By this name the user's modules have the holes while they are open.
NAME = "_through_a_hole"
# So many numbers of a part are looked at.
_MOST = 400
_FAILED = (Unreadable, OutOfTime, ValueError, TypeError, ArithmeticError, LookupError)


@dataclass(frozen=True)
class Part:
    """What a function is given, or a statement assigns, returns, or writes into.

    Attributes:
        function: Whose it is.
        line: The number of its line in the file.
        name: What it is called; "" where it is returned.
        slot: Where a hole is put; None: before the first statement,
        through: and with the number of the hole, what is put there.
    """

    function: Editable
    line: int
    name: str
    slot: Slot | None
    through: Callable[[int], ast.AST]

    @property
    def place(self) -> tuple[str, int]:
        """Its file and line."""
        return self.function.filename, self.line


# The number of a part, and at which of its visits: the first is 0.
Visit = tuple[int, int]


@dataclass
class Holes:
    """Lets what functions assign and return pass through, or puts something else in its place.

    Args:
        functions: The functions.
        put_back: Puts back what the user's code holds.
        longest: So many seconds a call may take, where it may loop without end.

    Attributes:
        parts: What has a hole.
        events: When each visit of a part was, of those that were seen last.
    """

    functions: Sequence[Editable]
    put_back: Callable[[], None]
    longest: float
    parts: list[Part] = field(default_factory=list[Part], init=False)
    _modules: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]], init=False)
    _put: dict[Visit, Callable[[Any], Any]] = field(default_factory=dict[Any, Any], init=False)
    _visits: dict[int, int] = field(default_factory=dict[int, int], init=False)
    _seen: dict[int, list[Any]] | None = field(default=None, init=False)
    events: dict[Visit, int] = field(default_factory=dict[Visit, int], init=False)

    def __post_init__(self) -> None:
        # To watch every line takes longer than most calls.
        self._lasts = any(may_go_on(function.code) for function in self.functions)

    def __call__(self, number: int, value: Any) -> Any:
        """Return what a part is: its value, or what is put in its place."""
        visit = self._visits.get(number, 0)
        self._visits[number] = visit + 1
        put = self._put.get((number, visit))
        if self._seen is not None and len(known := self._seen.setdefault(number, [])) <= _MOST:
            known.append(_kept(value))
            self.events[number, visit] = len(self.events)
        return value if put is None else put(value)

    @contextmanager
    def open(self) -> Generator[None]:
        """Let the functions run with their holes."""
        with ExitStack() as stack:
            for function in self.functions:
                parts = [*_parameters(function), *_parts(function)]
                code = _with_holes(function, parts, len(self.parts))
                if code is None:
                    continue
                self.parts += parts
                self._modules.append(function.module)
                stack.callback(function.module.pop, NAME, None)
                stack.enter_context(function.running(code))
            yield

    def run(self, call: Callable[[], Any], put: dict[Visit, Callable[[Any], Any]]) -> Any:
        """Return what a call gives with other values; None where it fails."""
        self._put, self._visits = put, {}
        for module in self._modules:  # what puts back takes the name away as well
            module[NAME] = self
        try:
            with within(self.longest) if self._lasts else nullcontext():
                return call()
        except _FAILED:
            return None
        finally:
            self._put = {}
            self.put_back()

    def seen(self, call: Callable[[], Any]) -> dict[int, list[Array]]:
        """Return the values of the parts that a call runs, in the order of their first visits.

        Only of those that have numbers at each visit, and few enough.
        """
        self._seen, self.events = {}, {}
        self.run(call, {})
        every, self._seen = self._seen, None
        return {
            number: values
            for number, values in every.items()
            if all(v is not None for v in values) and sum(v.size for v in values) <= _MOST
        }


def _kept(value: Any) -> Array | None:
    """Return a copy of numbers with a point, of no more than are looked at; None of all else."""
    numbers: Any = value
    if not isinstance(value, np.ndarray | float | list):
        return None
    if (len(numbers) if isinstance(value, list) else np.size(numbers)) > _MOST:
        return None
    try:
        array = np.array(numbers)
    except Exception:  # a list may hold anything
        return None
    return array if array.dtype.kind == "f" else None


def _with_holes(function: Editable, parts: Sequence[Part], first: int) -> CodeType | None:
    """Return the code of a function with a hole for each part, numbered from ``first`` on."""
    puts = [(part.slot, part.through(first + k)) for k, part in enumerate(parts)]
    changes: list[tuple[Slot, Any]] = [(slot, new) for slot, new in puts if slot is not None]
    given = [new for slot, new in puts if slot is None]
    if given and isinstance(function.node, ast.FunctionDef):
        # The statements stay in their list, in which others are put in their places.
        body = ast.copy_location(ast.If(ast.Constant(True), function.node.body, []), given[0])
        changes.append((Slot(function.node, "body"), [*given, body]))
        puts.append((None, body))
    before = [(slot, slot.node) for slot, _ in changes]
    try:
        for slot, new in changes:
            slot.put(new)
        for _, node in puts:
            ast.fix_missing_locations(node)
        return function.compiled()
    finally:
        for slot, old in before:
            slot.put(old)


def _parameters(function: Editable) -> Generator[Part]:
    node = function.node
    if isinstance(node, ast.FunctionDef):
        for taken in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            through = partial(_renewed, node, taken.arg)
            yield Part(function, node.lineno, taken.arg, None, through)


def _renewed(node: ast.AST, place: str, number: int) -> ast.stmt:
    """Return the statement that lets what stands in a place pass through a hole."""
    statement = ast.parse(f"{place} = {NAME}({number}, {place})").body[0]
    return ast.copy_location(statement, node)


def _parts(function: Editable) -> Generator[Part]:
    for statement in statements(function.node):
        node = statement.node
        if statement.compound or isinstance(node, ast.Expr) or not statement.heads:
            continue
        target = node.targets[-1] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(node, ast.AugAssign):
            yield from _assigned(function, statement, target)
        written = _written_into(target, isinstance(node, ast.AugAssign))
        if written is not None and _may_be_assigned(written, target, function.code):
            name = ast.unparse(written)
            yield Part(function, node.lineno, name, statement.slot, partial(_behind, node, name))


def _assigned(function: Editable, statement: Statement, target: ast.expr | None) -> Generator[Part]:
    """Yield what a statement assigns or returns, or each of several such expressions."""
    head = statement.heads[0]
    if not isinstance(head.node, ast.Tuple):
        name = "" if target is None else ast.unparse(target)
        yield _of_slot(function, statement, name, head)
        return
    names = target.elts if isinstance(target, ast.Tuple) else []
    for k, element in enumerate(head.node.elts):
        if not isinstance(element, ast.Starred):
            name = ast.unparse(names[k]) if len(names) == len(head.node.elts) else ""
            yield _of_slot(function, statement, name, Slot(head.node.elts, k))


def _of_slot(function: Editable, statement: Statement, name: str, slot: Slot) -> Part:
    node = slot.node
    return Part(function, statement.node.lineno, name, slot, partial(_through, node))


def _through(node: ast.expr, number: int) -> ast.expr:
    call = ast.Call(ast.Name(NAME, ast.Load()), [ast.Constant(number), node], [])
    return ast.copy_location(call, node)


def _behind(node: ast.stmt, place: str, number: int) -> ast.stmt:
    """Return a statement, and behind it what it has written into, through a hole."""
    both = [node, _renewed(node, place, number)]
    return ast.copy_location(ast.If(ast.Constant(True), both, []), node)


def _may_be_assigned(written: ast.expr, target: ast.expr | None, code: CodeType) -> bool:
    """Return whether an assignment leaves a name what it is: one of a global would be another."""
    if isinstance(written, ast.Name) and written is not target:
        return written.id in code.co_varnames and written.id not in code.co_cellvars
    return isinstance(written, ast.Name | ast.Attribute | ast.Subscript)


def _written_into(target: ast.expr | None, adds: bool) -> ast.expr | None:
    """Return the array that is written into: d of d[i, y] -= 1, and d of d += 1."""
    entry = isinstance(target, ast.Subscript)
    named = entry and isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str)
    if entry and not named:
        while isinstance(target, ast.Subscript):
            target = target.value
        return target
    return target if adds else None
