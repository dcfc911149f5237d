"""A training loop as functions: forward, loss, gradients and step, made from the loop's own lines.

What stands in a loop cannot be called in part. :func:`loop_functions` takes those of its statements
that lead to the output, to the loss, to the gradients or to the new weights (a *backward slice*; M.
Weiser, Program Slicing, IEEE Trans. Software Eng. 10, 1984), and makes a function of each. They are
the user's own lines: a change of the file is a change of the functions.
"""

import ast
import builtins
import contextlib
import copy
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.functions import assignments, base
from parity.drafting.world import inside, is_numbers
from parity.loading import action, called, definitions, is_guard, statements

_PRODUCTS = ("dot", "matmul", "einsum")
_LOOPS = (ast.For, ast.While)
_LOSS = re.compile(r"(?!d)\w*(loss|cost|objective|cross_?entropy|mse|verlust)\w*|j", re.I)
# What a method of this name does to its object, or a function of it to its first argument.
_CHANGING = ("append", "insert", "extend", "pop", "clear", "update", "fill", "sort", "shuffle", "at",
             "copyto", "put_along_axis")  # fmt: skip
_DRAWN = re.compile(r"permut|choice|rand|shuffle|arange|sample|range")
# The functions' names, and what they are called where the file has one of that name.
_NAMES = {"forward": "forward_pass", "loss": "compute_loss", "gradients": "compute_gradients",
          "step": "train_step"}  # fmt: skip


class LoopError(ValueError):
    """There is no training loop that can be taken apart.

    The text says what stands in the way; without a text there is no loop.
    """


def loop_functions(path: str | Path) -> ModuleType:
    """Return the definitions of a file, with functions that are made of its training loop.

    ``forward(x)`` returns the output, ``loss(x, y)`` the loss and ``gradients(x, y)`` a dict, as
    far as the loop computes them; ``step(x, y, learning_rate)`` updates the weights, which are
    variables of the module. x and y are what the loop takes of its data for one update.

    Args:
        path: The Python file.

    Raises:
        LoopError: There is no such loop, or it cannot be taken apart.
        OSError: The file cannot be read.
        SyntaxError: It is not Python.
    """
    path = Path(path).resolve()
    content = path.read_bytes()
    module = definitions(path)
    for code in _before(str(path), content):
        with contextlib.suppress(Exception):
            exec(code, module.__dict__)
    exec(_functions(str(path), content), module.__dict__)
    return module


@functools.lru_cache(maxsize=16)
def _before(path: str, content: bytes) -> tuple[CodeType, ...]:
    """Return the code of each statement before the loop that an import would not run."""
    before, _ = _found(ast.parse(content, path))
    return tuple(_compiled([s], path) for s in before if not action(s))


@functools.lru_cache(maxsize=16)
def _functions(path: str, content: bytes) -> CodeType:
    """Return the code of the functions that are made of the loop."""
    names = definitions(path).__dict__
    for code in _before(path, content):
        with contextlib.suppress(Exception):
            exec(code, names)
    _, loop = _found(ast.parse(content, path))
    return _compiled(_Taken(loop, names).functions(), path)


def _compiled(body: list[ast.stmt], path: str) -> CodeType:
    tree = ast.fix_missing_locations(ast.Module(body, []))
    return compile(tree, path, "exec", dont_inherit=True)


def _found(tree: ast.Module) -> tuple[list[ast.stmt], ast.For | ast.While]:
    """Return the statements before the training loop that no import runs, and the loop."""
    top = list(statements(tree.body))
    guards = [s.body for s in tree.body if isinstance(s, ast.If) and is_guard(s)]
    mains = [s.body for s in top if isinstance(s, ast.FunctionDef) and not _needs(s)]
    for body in (top, *guards, *mains):
        for k, statement in enumerate(body):
            if isinstance(statement, _LOOPS) and _trains(statement):
                return [] if body is top else body[:k], statement
    raise LoopError


def _needs(function: ast.FunctionDef) -> bool:
    a = function.args
    required = len(a.posonlyargs) + len(a.args) - len(a.defaults)
    return required > 0 or None in a.kw_defaults or bool(a.defaults)


def _multiplies(node: ast.AST) -> bool:
    return any(
        called(n) in _PRODUCTS or (isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult))
        for n in ast.walk(node)
    )


def _trains(loop: ast.For | ast.While) -> bool:
    """Whether a loop multiplies matrices and changes something by what it was."""
    changed = (
        n for n in ast.walk(loop) if isinstance(n, ast.AugAssign)
        or (isinstance(n, ast.Assign) and _written(n) & _read(n.value))
    )  # fmt: skip
    return _multiplies(loop) and next(changed, None) is not None


# What a statement reads and writes.


def _read(node: ast.AST) -> set[str]:
    """Return the variables whose value a statement or expression uses, without those it binds."""
    found, bound = set[str](), set[str]()
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load):
            found.add(n.id)
        elif isinstance(n, ast.AugAssign):
            found.add(base(n.target))
        elif isinstance(n, (ast.For, ast.comprehension)):
            bound |= _written(n.target)
    return found - bound


def _written(node: ast.AST) -> set[str]:
    """Return the variables that a statement assigns or changes, also in part."""
    found = set[str]()
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            found.add(n.id)
        elif isinstance(n, (ast.Subscript, ast.Attribute)) and isinstance(n.ctx, ast.Store):
            found.add(_root(n))
        elif (
            isinstance(n, ast.Call) and called(n) in _CHANGING and isinstance(n.func, ast.Attribute)
        ):
            of = _root(n.func.value)
            of_numpy = of in ("np", "numpy", "random")
            found.add(_root(n.args[0]) if of_numpy and n.args else of)
        elif isinstance(n, ast.keyword) and n.arg == "out":
            found.add(_root(n.value))
        elif isinstance(n, ast.For) and _written(ast.Module(n.body, [])) & _written(n.target):
            found |= _read(n.iter)  # for w, g in zip(weights, gradients): w -= g
    return found - {"", "zip", "enumerate", "reversed", "range"}


def _root(node: ast.AST) -> str:
    """Return the variable that an attribute or element is of."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _replaces(statement: ast.stmt) -> set[str]:
    """Return the variables to which a statement gives new values as a whole, whatever they were."""
    if not isinstance(statement, ast.Assign):
        return set()
    elements = [e for t in statement.targets for e in getattr(t, "elts", [t])]
    return {e.id for e in elements if isinstance(e, ast.Name)}


# The loop.


class _Whole(ast.NodeTransformer):
    """Puts a whole array where an element or a part of it was taken by an index of the loop."""

    def __init__(self, indices: set[str]) -> None:
        self.indices = indices
        self.taken: dict[str, list[ast.expr]] = {}
        self.roots: dict[str, str] = {}
        self.axis: int | None = None

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        ours = _read(node.slice) & self.indices and isinstance(node.ctx, ast.Load)
        if not ours or not name or name in self.indices:
            return self.generic_visit(node)
        self.taken.setdefault(self.roots.get(name, name), []).append(_plain(node.slice))
        first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
        self.axis = int(ast.dump(first) == ast.dump(ast.Slice()))
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        done = self.generic_visit(node)
        assert isinstance(done, ast.Assign)
        values = getattr(done.value, "elts", [done.value])
        targets = getattr(done.targets[0], "elts", [done.targets[0]])
        for target, value in zip(targets, values, strict=False):
            if isinstance(value, ast.Name) and isinstance(target, ast.Name):
                self.roots[target.id] = self.roots.get(value.id, value.id)
        return done


def _plain(index: ast.expr) -> ast.expr:
    """Return an index without axes that are taken whole: ids for ``[:, ids]``, i for ``[i:i+1]``."""
    if isinstance(index, ast.Tuple):
        whole = ast.dump(ast.Slice())
        parts = [e for e in index.elts if ast.dump(e) != whole]
        index = parts[0] if len(parts) == 1 else index
    if isinstance(index, ast.Slice) and index.lower is not None and index.upper is not None:
        one = ast.parse(f"{ast.unparse(index.lower)} + 1", mode="eval").body
        if ast.dump(index.upper) == ast.dump(one):
            return index.lower
    return index


@dataclass
class _Nest:
    """The loops around one update, as one list of statements.

    Attributes:
        body: The statements of one round.
        elements: What the loops hand out themselves: for each variable what it is an element of.
        indices: The variables of indices.
        sizes: The numbers of samples in a batch, as the loops name them.
        counter: The innermost counter, and its first value.
    """

    body: list[ast.stmt] = field(default_factory=list[ast.stmt])
    elements: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    sizes: list[ast.expr] = field(default_factory=list[ast.expr])
    indices: set[str] = field(default_factory=set[str])
    counter: tuple[str, ast.expr] | None = None


def _nest(loop: ast.For | ast.While) -> _Nest:
    nest = _Nest()
    while True:
        if isinstance(loop, ast.For):
            _targets(loop, nest)
        inner = [k for k, s in enumerate(loop.body) if isinstance(s, _LOOPS) and _multiplies(s)]
        rest = [s for k, s in enumerate(loop.body) if k not in inner]
        alone = len(inner) == 1 and not any(map(_multiplies, rest))
        below = loop.body[inner[0]] if alone else None
        after = loop.body[inner[0] + 1 :] if alone else []
        if not isinstance(below, _LOOPS) or any(_written(s) & _read(below) for s in after):
            nest.body += loop.body
            break
        nest.body += loop.body[: inner[0]]
        loop = below
    changed = True
    while changed:
        found = set[str]()
        for s in nest.body:
            if isinstance(s, ast.Assign) and not _multiplies(s):
                calls = [called(n) for n in ast.walk(s.value) if isinstance(n, ast.Call)]
                drawn = any(map(_DRAWN.search, calls)) or _read(s.value) & nest.indices
                found |= _replaces(s) if drawn and not _takes(s.value) else set()
        changed = not found <= nest.indices
        nest.indices |= found
    return nest


def _takes(value: ast.expr) -> bool:
    """Whether an expression, or all of a tuple, is an element of something by a subscript."""
    return (
        all(isinstance(e, ast.Subscript) for e in getattr(value, "elts", [value]))
        and not any(isinstance(n, ast.Slice) for n in ast.walk(value))
    ) or (isinstance(value, ast.Tuple))


def _targets(loop: ast.For, nest: _Nest) -> None:
    """Note what a loop hands out: numbers, elements of arrays, or batches of a generator."""
    target, over = loop.target, loop.iter
    if called(over) == "enumerate" and isinstance(over, ast.Call):
        start = over.args[1] if len(over.args) > 1 else ast.Constant(0)
        assert isinstance(target, ast.Tuple)
        if isinstance(target.elts[0], ast.Name):
            nest.indices.add(target.elts[0].id)
            nest.counter = target.elts[0].id, start
        target, over = target.elts[1], over.args[0]
    names = [e.id for e in getattr(target, "elts", [target]) if isinstance(e, ast.Name)]
    if called(over) == "range" and isinstance(over, ast.Call):
        nest.indices |= set(names)
        first = over.args[0] if len(over.args) > 1 else ast.Constant(0)
        nest.counter = (names[0], first) if names and len(over.args) < 3 else None
        nest.sizes += over.args[2:]
        return
    nest.counter = None
    if called(over) == "zip" and isinstance(over, ast.Call):
        nest.elements |= dict(zip(names, over.args, strict=False))
    elif len(names) == 1 and _is_index(names[0], loop):
        nest.indices |= set(names)
    else:
        nest.elements |= {name: ast.Name(name, ast.Load()) for name in names}


def _is_index(name: str, loop: ast.For) -> bool:
    return any(isinstance(n, ast.Subscript) and name in _read(n.slice) for n in ast.walk(loop))


class _Taken:
    """One training loop, taken apart.

    Args:
        loop: The loop.
        names: The variables of the module.
    """

    def __init__(self, loop: ast.For | ast.While, names: dict[str, Any]) -> None:
        self.line, self.names = loop.lineno, names
        nest = _nest(loop)
        whole = _Whole(nest.indices)
        self.indices = nest.indices
        body = [whole.visit(s) for s in copy.deepcopy(nest.body)]
        body = [part for s in body for part in _parts(s) if not _same(part)]
        self.axis, self.sizes = whole.axis, nest.sizes
        self.within, self.rates = _shared(names), set[int]()
        rates = {n for s in body for n in _read(s) if roles.role(n) == "rate"}
        # A schedule is none of the update: the rate is handed over.
        self.body = [s for s in body if not self._written(s) or not self._written(s) <= rates]
        self.counter = nest.counter
        carried = self._carried()
        self.carried = {n for n in carried if not isinstance(names.get(n), (int, float, str))}
        self.scalars = carried - self.carried
        for name, of in nest.elements.items():
            whole.roots[name] = _root(whole.visit(copy.deepcopy(of)))
        self.elements, self.roots = nest.elements, whole.roots
        self.x, self.y = self._data(whole, nest)
        self.output, self.weights = self._output()
        self.rate = (
            next((n for n in self._needed(self.carried) if n in rates), "") or self._factor()
        )
        self._check_pairing(whole)
        self._count_samples()

    def _written(self, statement: ast.stmt) -> set[str]:
        """Return what a statement changes, also what lies in a list or dict that it changes."""
        found = _written(statement)
        return found.union(*(self.within.get(n, set[str]()) for n in found))

    def _slice(self, body: Sequence[ast.stmt], goals: Iterable[str]) -> list[ast.stmt]:
        """Return the statements on which some variables depend, as they are at the end."""
        needed, kept = set(goals), list[ast.stmt]()
        for statement in reversed(body):
            if self._written(statement) & needed:
                kept.insert(0, statement)
                needed = (needed - _replaces(statement)) | _read(statement)
        return kept

    def _carried(self) -> set[str]:
        """Return the variables that a round reads before it gives them a new value, and changes."""
        ready, exposed = set[str](), set[str]()
        for s in self.body:
            exposed |= _read(s) - ready
            ready |= _replaces(s)
        return exposed & {n for s in self.body for n in self._written(s)}

    def _needed(self, goals: Iterable[str]) -> list[str]:
        """Return the free variables on which some depend, in the order in which they are read."""
        ready, needed = set[str](), list[str]()
        for s in self._slice(self.body, goals):
            needed += sorted(_read(s) - ready - {*needed})
            ready |= _replaces(s)
        return needed

    def _data(self, whole: _Whole, nest: _Nest) -> tuple[str, str]:
        """Return the variables of inputs and labels."""
        needed = [n for n in self._needed(self.carried) if n not in self.carried]
        taken = [n for n in needed if n in whole.taken or n in nest.elements]
        free = [n for n in needed if n not in self.indices and self._may_be_data(n)]
        found = taken if len(taken) == 2 else free if len(free) == 2 else []
        if not found:
            named = ", ".join(taken or free) or "nothing"
            raise LoopError(
                f"the network stands in the loop of line {self.line}, where it cannot be told which "
                f"are the inputs and the labels (found: {named}): put it into functions, "
                "forward(x) and gradients(x, y) or step(x, y)"
            )
        for x, y in (found, found[::-1]):
            if any(x in deps and y not in deps and deps & self.carried
                   for _, _, deps in self._flow((x, y))):  # fmt: skip
                return x, y
        raise LoopError(
            f"the network stands in the loop of line {self.line}, in which nothing depends on "
            "weights and inputs alone; put it into functions, forward(x) and step(x, y)"
        )

    def _may_be_data(self, name: str) -> bool:
        """Whether a variable holds an array, or was left out with what reads files."""
        return _is_data(self.names.get(name)) or not (name in self.names or hasattr(builtins, name))

    def _factor(self) -> str:
        """Return the one number by which all updates are multiplied, whatever it is called.

        A number that stands there itself gets the name ``learning_rate``.
        """
        factors = [_factors(change) for s in self.body for change in self._changes(s)]
        names = [{n.id for n in f if isinstance(n, ast.Name)
                  and isinstance(self.names.get(n.id), float)} for f in factors]  # fmt: skip
        numbers = [{n.value for n in f if isinstance(n, ast.Constant)} for f in factors]
        name = set[str].intersection(*names) if names else set[str]()
        number = set[Any].intersection(*numbers) if numbers else set[Any]()
        if len(name) == 1:
            return name.pop()
        if len(number) != 1:
            return ""
        for node in (n for f in factors for n in f):
            if isinstance(node, ast.Constant) and node.value in number:
                self.rates.add(id(node))
        self.body = [_Rate(self.rates).visit(s) for s in self.body]
        return "learning_rate"

    def _changes(self, statement: ast.stmt) -> Iterator[ast.expr]:
        """Yield what a statement adds to a weight, or takes from it."""
        ours = set(self.weights)
        for n in (n for n in ast.walk(statement) if isinstance(n, ast.For)):
            if isinstance(n.iter, ast.Call) and isinstance(n.target, ast.Tuple):
                for target, of in zip(n.target.elts, n.iter.args, strict=False):
                    if ({_root(of)} | self.within.get(_root(of), set())) & self.weights:
                        ours |= _written(target)
        for n in ast.walk(statement):
            if isinstance(n, ast.AugAssign) and base(n.target) in ours:
                yield n.value
        for target, value in assignments(ast.walk(statement)):
            if base(target) in ours and isinstance(value, ast.BinOp) and _root(value.left) in ours:
                yield value.right

    def _flow(self, data: tuple[str, str]) -> Iterator[tuple[int, str, set[str]]]:
        """Yield each value that a round gives: its statement, its name, and what it depends on."""
        deps: dict[str, set[str]] = {n: {n} for n in (*self.carried, *data)}
        for k, s in enumerate(self.body):
            every = set[str]().union(*(deps.get(n, set[str]()) for n in _read(s)))
            for name in self._written(s):
                more = set[str]() if name in _replaces(s) else deps.get(name, set[str]())
                deps[name] = every | more
                yield k, name, deps[name]

    def _output(self) -> tuple[str, set[str]]:
        """Return the variable that is the output, and the weights on which it depends."""
        there: dict[str, set[str]] = {}
        for k, name, deps in self._flow((self.x, self.y)):
            if self.y in deps and self.x in deps:  # the output is what meets the labels first
                read = [n for n in there if n in _read(self.body[k])]
                best = max(read, key=lambda n: (len(there[n]), [*there].index(n)), default="")
                if best:
                    return best, there[best]
            elif self.x in deps and deps & self.carried and name in _replaces(self.body[k]):
                there.pop(name, None)
                there[name] = deps & self.carried
        raise LoopError(f"the loop of line {self.line} compares no output with its labels")

    def _check_pairing(self, whole: _Whole) -> None:
        """Refuse a loop that takes other samples' labels, which no function would show.

        Raises:
            LoopError: Inputs and labels are taken by other indices.
        """
        roots = [self.roots.get(n, n) for n in (self.x, self.y)]
        taken = [list(dict.fromkeys(map(ast.unparse, whole.taken.get(n, [])))) for n in roots]
        if taken[0] != taken[1]:
            shown = [f"{n}[{']['.join(t)}]" if t else n for n, t in zip(roots, taken, strict=True)]
            raise LoopError(
                f"the loop of line {self.line} takes its inputs as {shown[0]} and its labels as "
                f"{shown[1]}: the functions made of it would not show whether these belong together"
            )

    # The functions.

    def functions(self) -> list[ast.stmt]:
        """Return the functions, and what they need beside the module's variables."""
        goals: dict[str, tuple[list[ast.stmt], list[str], str]] = {}
        last = max(k for k, name, _ in self._flow((self.x, self.y)) if name == self.output)
        until = self.body[: last + 1]
        goals["forward"] = self._slice(until, [self.output]), ["x"], f"return {self.output}"
        flow = list(self._flow((self.x, self.y)))
        for k, name, deps in flow:
            plain = name in _replaces(self.body[k]) and self.y in deps and deps & self.weights
            used = any(name in _read(s) for s in self._slice(self.body, self.weights))
            if plain and _LOSS.fullmatch(name) and not used and "loss" not in goals:
                goals["loss"] = (
                    self._slice(self.body[: k + 1], [name]),
                    ["x", "y"],
                    f"return {name}",
                )
        found = {w: self._gradient(w) for w in sorted(self.weights)}
        if all(found.values()):
            pairs = ", ".join(f'"d{w}": {n}' for w, n in found.items())
            body = self._slice(self.body, found.values())
            goals["gradients"] = body, ["x", "y"], f"return {{{pairs}}}"
        step = self._slice(self.body, self.weights)
        goals["step"] = step, ["x", "y", "learning_rate"], ""
        counted, counter = self._counting(step)
        written: list[ast.stmt] = list(counted)
        for name, (body, given, result) in goals.items():
            free = _NAMES[name] if name in self.names else name
            lines = self._given(body, given)
            lines += [counter] * (name == "step" and bool(counter))
            written.append(self._function(free, given, lines, body, result))
        return written

    def _gradient(self, weight: str) -> str:
        """Return the variable by which a weight is lowered, also through averages of it; or ""."""
        found, waiting, seen = set[str](), [(weight, -1)], set[str]()
        labelled = {n for _, n, deps in self._flow((self.x, self.y)) if self.y in deps}
        while waiting:
            name, sign = waiting.pop()
            for target, value in _values(self.body):
                if base(target) != name or not labelled & _read(value):
                    continue
                if _multiplies(value):
                    return ""
                for other in (_read(value) & labelled) - {name, self.output}:
                    state = other in self.carried - self.weights
                    over = state or any(
                        _read(v) & (self.carried - self.weights) for t, v in _values(self.body)
                        if base(t) == other
                    )  # fmt: skip
                    signed = sign * _sign(value, other)
                    if over and other not in seen:
                        seen.add(other)
                        waiting.append((other, signed))
                    elif not over:
                        found.add(other if signed > 0 else "")
        return found.pop() if len(found) == 1 else ""

    def _counting(self, step: list[ast.stmt]) -> tuple[list[ast.stmt], str]:
        """Return what makes the counter of steps, where the update reads it, and what counts."""
        read = {n for s in step for n in _read(s)} & self.indices
        if not read:
            return [], ""
        if self.counter is None or read != {self.counter[0]}:
            raise LoopError(
                f"the update in the loop of line {self.line} depends on {', '.join(sorted(read))}, "
                "of which a function of one update knows nothing"
            )
        name, first = self.counter
        start = ast.parse(f"{name} = ({ast.unparse(first)}) - 1").body
        return start, f"{name} = {name} + 1"

    def _given(self, body: list[ast.stmt], given: list[str]) -> list[str]:
        """Return the statements that call what is handed over as the loop calls it."""
        pairs = [(self.x, "x")]
        pairs += [(self.y, "y")] * ("y" in given)
        pairs += [(self.rate, "learning_rate")] * ("learning_rate" in given and bool(self.rate))
        targets, values = (", ".join(texts) for texts in zip(*pairs, strict=True))
        return [f"{targets} = {values}", *self._counts(body)]

    def _counts(self, body: list[ast.stmt]) -> Iterator[str]:
        """Yield what makes the program's number of samples that of those handed over."""
        for name in sorted({n for s in body for n in _read(s)}):
            value = self.names.get(name)
            missing = name in self.unknown
            if missing or (value.__class__ is int and value in self.counts):
                yield f"{name} = {self.x}.shape[{self.axis}]"

    def _count_samples(self) -> None:
        """Find the numbers of samples; one that the loop divides by becomes that of the inputs."""
        shapes = [np.shape(v) if _is_data(v) else () for v in (
            self.names.get(self.roots.get(n, n)) for n in (self.x, self.y))]  # fmt: skip
        if self.axis is None:
            self.axis = int(bool(all(shapes)) and shapes[0][0] != shapes[1][0])
        arrays = [self.names.get(n) for n in self.weights]
        widths = {n for a in arrays if isinstance(a, np.ndarray) for n in a.shape}
        sizes = [self.names.get(e.id) if isinstance(e, ast.Name) else getattr(e, "value", None)
                 for e in self.sizes]  # fmt: skip
        whole = {shapes[0][self.axis]} if len(shapes[0]) > self.axis else set[int]()
        one = self.x in self.elements and self.x != self.roots[self.x]
        self.counts = {n for n in (*whole, *sizes) if isinstance(n, int)} - widths
        self.counts = set[int]() if one else self.counts
        # A number that is made of inputs that are read from a file.
        self.unknown = {n for n in self._needed(self.weights) if self._may_be_data(n)
                        and n not in self.names} - {self.x, self.y, "learning_rate"}  # fmt: skip
        size = _Divisors(self.counts, f"{self.x}.shape[{self.axis}]")
        self.body = [size.visit(s) for s in self.body]

    def _function(
        self, name: str, given: list[str], lines: list[str], body: list[ast.stmt], result: str
    ) -> ast.stmt:
        stored = {n for s in body for n in self._written(s)} & (self.carried | self.scalars)
        stored |= {self.counter[0]} if self.counter and any("+ 1" in x for x in lines) else set()
        head = [f"global {', '.join(sorted(stored))}"] * bool(stored)
        text = f"def {name}({', '.join(given)}):\n"
        text += "\n".join(f"    {line}" for line in [*head, *lines, *[result] * bool(result)])
        function = ast.parse(text).body[0]
        assert isinstance(function, ast.FunctionDef)
        at = len(head) + len(lines)
        for node in ast.walk(function):
            if isinstance(node, (ast.stmt, ast.expr, ast.arg)):
                node.lineno = node.end_lineno = self.line
        function.body[at:at] = copy.deepcopy(body)
        return function


def _parts(statement: ast.stmt) -> list[ast.stmt]:
    """Return ``x = X`` and ``t = T`` for ``x, t = X, T``, where none is read that is assigned."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Tuple):
        return [statement]
    target = statement.targets[0]
    if len(statement.targets) > 1 or not isinstance(target, ast.Tuple):
        return [statement]
    if _written(statement) & _read(statement.value) or len(target.elts) != len(
        statement.value.elts
    ):
        return [statement]
    pairs = zip(target.elts, statement.value.elts, strict=True)
    return [ast.copy_location(ast.Assign([t], v), statement) for t, v in pairs]


def _values(body: Iterable[ast.stmt]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield target and new value of each assignment, ``W - dW`` for ``W -= dW``."""
    for node in (n for s in body for n in ast.walk(s)):
        if isinstance(node, ast.AugAssign):
            loaded = ast.parse(ast.unparse(node.target), mode="eval").body
            yield node.target, ast.BinOp(loaded, node.op, node.value)
        else:
            yield from assignments([node])


def _sign(value: ast.expr, name: str) -> int:
    """Return -1 where a variable is subtracted, or stands in what is; 1 where it is not."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        return -_sign(value.operand, name)
    if isinstance(value, ast.BinOp):
        inner = value.left if name in _read(value.left) else value.right
        turned = isinstance(value.op, ast.Sub) and inner is value.right
        others = value.right if inner is value.left else value.left
        product = isinstance(value.op, (ast.Mult, ast.Div)) and isinstance(others, ast.UnaryOp)
        return (-1 if turned else 1) * (-1 if product else 1) * _sign(inner, name)
    return 1


def _factors(value: ast.expr) -> list[ast.expr]:
    """Return what an expression is the product of."""
    if isinstance(value, ast.UnaryOp):
        return _factors(value.operand)
    if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Mult, ast.MatMult)):
        return [*_factors(value.left), *_factors(value.right)]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        return _factors(value.left)
    return [value]


class _Rate(ast.NodeTransformer):
    """Puts the name of the learning rate in the place of some numbers."""

    def __init__(self, places: set[int]) -> None:
        self.places = places

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        name = ast.copy_location(ast.Name("learning_rate", ast.Load()), node)
        return name if id(node) in self.places else node


class _Divisors(ast.NodeTransformer):
    """Puts an expression in the place of some numbers that divide."""

    def __init__(self, numbers: set[int], text: str) -> None:
        self.numbers, self.text = numbers, text

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        done = self.generic_visit(node)
        assert isinstance(done, ast.BinOp)
        by = done.right
        if isinstance(done.op, ast.Div) and isinstance(by, ast.Constant):
            new = ast.parse(self.text, mode="eval").body
            done.right = ast.copy_location(new, by) if by.value in self.numbers else by
        return done


def _same(statement: ast.stmt) -> bool:
    """Whether a statement gives variables the values that they have: ``X = X``."""
    return (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and ast.unparse(statement.targets[0]) == ast.unparse(statement.value)
    )


def _shared(names: dict[str, Any]) -> dict[str, set[str]]:
    """Return, for each list or dict of arrays, the variables of the arrays in it, and back."""
    own = {id(v): n for n, v in names.items() if isinstance(v, np.ndarray)}
    found: dict[str, set[str]] = {}
    for name, value in names.items():
        if not name.startswith("__") and isinstance(value, (list, tuple, dict)):
            for _, _, inner in inside(value):
                if id(inner) in own:
                    found.setdefault(name, set()).add(own[id(inner)])
    return found


def _is_data(value: Any) -> bool:
    return (isinstance(value, np.ndarray) and value.ndim > 0 and value.size > 1) or is_numbers(
        value
    )
