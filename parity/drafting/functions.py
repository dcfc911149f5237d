"""What a function takes, returns, reads and changes, and what expressions make, by their text."""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from parity.loading import ARRAY_CALLS, called, makes_array

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_FILLING = ("append", "insert", "extend", "clear", "pop", "update")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function; ``required`` unless it has a default."""

    name: str
    required: bool


@dataclass(frozen=True)
class Returned:
    """What a function returns.

    Attributes:
        kind: "none", "one", "many" (a tuple or a list with named elements), "list" or "dict".
        names: Of "many" the elements, "" where one has no name; of "one" its own; of "dict" keys.
        starts: Of a dict the constant beginnings of its computed keys.
    """

    kind: Literal["none", "one", "many", "list", "dict"]
    names: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()


@dataclass
class Function:
    """A function of the module, or a method of one of its classes.

    Attributes:
        node: Its definition.
        owner: "self" or however a method calls its object; "" for a function.
        parameters: Without the object itself.
        reads: Attributes of the object, or names, whose value it uses.
        writes: Attributes of the object, or names, that it assigns or changes, also in part.
        calls: Methods of the object, or functions, that it calls.
        others: Methods that it calls of other objects, and attributes of them that it assigns.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef
    owner: str = ""
    reads: set[str] = field(default_factory=set[str])
    writes: set[str] = field(default_factory=set[str])
    calls: set[str] = field(default_factory=set[str])
    others: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        for node in ast.walk(self.node):
            self._note(node)

    @property
    def name(self) -> str:
        """Its name."""
        return self.node.name

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its parameters, without the object, ``*args`` and ``**options``."""
        a = self.node.args
        positional = [*a.posonlyargs, *a.args]
        required = len(positional) - len(a.defaults)
        found = [Parameter(p.arg, k < required) for k, p in enumerate(positional)]
        found += [
            Parameter(p.arg, d is None) for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)
        ]
        return tuple(found[1:] if self.owner else found)

    @cached_property
    def body(self) -> list[ast.AST]:
        """Every node of its own body, in order, without functions inside it."""
        return list(_within(self.node.body))

    @cached_property
    def returned(self) -> Returned:
        """What its last ``return`` with a value returns."""
        values = [n.value for n in self.body if isinstance(n, ast.Return) and n.value]
        return self._resolved(values[-1]) if values else Returned("none")

    def variable(self, name: str) -> Returned:
        """Return what a variable of the function, or attribute of its object, is."""
        values = [value for target, value in assignments(self.body) if base(target) == name]
        stored = [n for n in self.body if isinstance(n, ast.Subscript) and base(n) == name]
        indices = [n.slice for n in stored if isinstance(n.ctx, ast.Store)]
        for value in values:
            kind = made(value, lambda _: False)
            if kind.kind == "dict":
                names, starts = keys(indices)
                return Returned("dict", (*kind.names, *names), (*kind.starts, *starts))
            if kind.kind in ("arrays", "empty") or isinstance(value, ast.ListComp):
                return Returned("list", (name,))
            if isinstance(value, (ast.Tuple, ast.List)):
                grows = any(_appends_to(node, name) for node in self.body)
                return Returned("list", (name,)) if grows else self._resolved(value)
        return Returned("one", (name,))

    def _resolved(self, value: ast.expr) -> Returned:
        if isinstance(value, ast.Name):
            return self.variable(value.id)
        if isinstance(value, (ast.Dict, ast.DictComp)):
            kind = made(value, lambda _: False)
            return Returned("dict", kind.names, kind.starts)
        if isinstance(value, (ast.Tuple, ast.List)):
            return Returned("many", element_names(value))
        if isinstance(value, ast.ListComp):
            return Returned("list")
        return Returned("one", element_names(value))

    def _note(self, node: ast.AST) -> None:
        for target in _targets(node):
            self._note_target(target)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if name := self._attribute(node.func):
                self.calls.add(name)
            else:
                self.others.add(node.func.attr)
            if node.func.attr in _FILLING and (name := own_name(node.func.value, self)):
                self.writes.add(name)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            self.calls.add(node.func.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            self.reads.add(self._attribute(node))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and not self.owner:
            self.reads.add(node.id)
        elif isinstance(node, ast.For):
            self._note_loop(node)

    def _note_target(self, target: ast.expr) -> None:
        name = own_name(target, self)
        if name:
            self.writes.add(name)
        elif isinstance(target, ast.Attribute):
            self.others.add(target.attr)

    def _note_loop(self, loop: ast.For) -> None:
        """``for w, dw in zip(self.weights, grads): w -= dw`` writes the weights."""
        variables = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
        changed = (n.target for n in ast.walk(loop) if isinstance(n, ast.AugAssign))
        if any(base(target) in variables for target in changed):
            found = (own_name(n, self) for n in ast.walk(loop.iter) if isinstance(n, ast.expr))
            self.writes.update(name for name in found if name)

    def _attribute(self, node: ast.Attribute) -> str:
        own = self.owner and isinstance(node.value, ast.Name) and node.value.id == self.owner
        return node.attr if own else ""


def reach(name: str, functions: dict[str, Function]) -> list[Function]:
    """Return a function and all that it calls, directly or not."""
    found: dict[str, Function] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop(0)
        if current in functions and current not in found:
            found[current] = functions[current]
            waiting += sorted(functions[current].calls)
    return list(found.values())


def assignments(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield target and value of each assignment, element by element where both are tuples."""
    for node in nodes:
        if isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            yield node.target, node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _pairs(target, node.value)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if (
        isinstance(target, ast.Tuple)
        and isinstance(value, ast.Tuple)
        and len(target.elts) == len(value.elts)
    ):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a statement assigns to, each element of a tuple by itself."""
    if isinstance(node, ast.Assign):
        waiting = list(node.targets)
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.For)):
        waiting = [node.target]
    else:
        return
    while waiting:
        target = waiting.pop(0)
        if isinstance(target, (ast.Tuple, ast.List)):
            waiting += target.elts
        elif isinstance(target, ast.Starred):
            waiting.append(target.value)
        else:
            yield target


def base(target: ast.expr) -> str:
    """Return the variable, or the attribute of whatever object, that a target is in."""
    while isinstance(target, ast.Subscript):
        target = target.value
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else ""


def own_name(target: ast.expr, function: Function) -> str:
    """Return the attribute of the object, or in a function the variable, that a target is in."""
    while isinstance(target, ast.Subscript):
        target = target.value
    if isinstance(target, ast.Attribute):
        own = isinstance(target.value, ast.Name) and target.value.id == function.owner
        return target.attr if own and function.owner else ""
    return target.id if isinstance(target, ast.Name) and not function.owner else ""


def _appends_to(node: ast.AST, name: str) -> bool:
    call = node.func if isinstance(node, ast.Call) else None
    return isinstance(call, ast.Attribute) and call.attr in _FILLING and base(call.value) == name


def _within(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        if not isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            yield statement
            for child in ast.iter_child_nodes(statement):
                yield from _within([child]) if isinstance(child, ast.stmt) else ast.walk(child)


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
