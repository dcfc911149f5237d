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
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.functions import assignments, base
from parity.drafting.loop_nest import Nest, Whole, nest_of
from parity.drafting.statements import (
    LOOPS,
    Divisors,
    Renamed,
    changes_nothing,
    divides_only,
    factors,
    multiplies,
    parts,
    read,
    replaces,
    root,
    sign,
    values,
    written,
)  # fmt: skip
from parity.drafting.world import inside, is_numbers
from parity.loading import action, called, definitions, is_guard, statements

_LOSS = re.compile(r"(?!d)\w*(loss|cost|objective|cross_?entropy|mse|verlust)\w*|j", re.I)
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
    tree = ast.parse(content, path)
    _, loop = _found(tree)
    try:
        return _compiled(_Taken(loop, names, _counting(tree)).functions(), path)
    except LoopError:
        raise
    except Exception as error:  # whatever a program may have written there
        raise LoopError(
            f"the network stands in the loop of line {loop.lineno}, which could not be taken apart "
            f"({type(error).__name__}: {error}): put it into functions, forward(x) and step(x, y)"
        ) from error


def _counting(tree: ast.Module) -> set[str]:
    """Return the variables that are lengths: ``N = len(X)``, ``m = X.shape[1]``."""
    return {
        base(target)
        for target, value in assignments(ast.walk(tree))
        if called(value) == "len"
        or (isinstance(value, ast.Subscript) and isinstance(value.value, ast.Attribute)
            and value.value.attr == "shape")
    }  # fmt: skip


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
            if isinstance(statement, LOOPS) and _trains(statement):
                return [] if body is top else body[:k], statement
    raise LoopError


def _needs(function: ast.FunctionDef) -> bool:
    a = function.args
    required = len(a.posonlyargs) + len(a.args) - len(a.defaults)
    return required > 0 or None in a.kw_defaults or bool(a.defaults)


def _trains(loop: ast.For | ast.While) -> bool:
    """Whether a loop multiplies matrices and changes something by what it was."""
    changed = (
        n for n in ast.walk(loop) if isinstance(n, ast.AugAssign)
        or (isinstance(n, ast.Assign) and written(n) & read(n.value))
    )  # fmt: skip
    return multiplies(loop) and next(changed, None) is not None


class _Taken:
    """One training loop, taken apart.

    Args:
        loop: The loop.
        names: The variables of the module.
        lengths: The variables that are lengths.
    """

    def __init__(self, loop: ast.For | ast.While, names: dict[str, Any], lengths: set[str]) -> None:
        self.line, self.names, self.lengths = loop.lineno, names, lengths
        nest = nest_of(loop)
        whole = Whole(nest.indices)
        self.indices = nest.indices
        body = [whole.visit(s) for s in copy.deepcopy(nest.body)]
        body = [part for s in body for part in parts(s) if not changes_nothing(part)]
        self.axis, self.sizes = whole.axis, nest.sizes
        self.within, self.rates = _shared(names), set[int]()
        rates = {n for s in body for n in read(s) if roles.role(n) == "rate"}
        # A schedule is none of the update: the rate is handed over.
        self.body = [s for s in body if not self._changed(s) or not self._changed(s) <= rates]
        self.counter = nest.counter
        self.counters = nest.indices - {n for s in nest.body for n in replaces(s)}
        carried = self._carried()
        self.carried = {n for n in carried if not isinstance(names.get(n), (int, float, str))}
        self.scalars = carried - self.carried
        for name, of in nest.elements.items():
            whole.roots[name] = root(whole.visit(copy.deepcopy(of)))
        self.elements, self.roots = nest.elements, whole.roots
        self.x, self.y = self._data(whole, nest)
        self.output, self.weights = self._output()
        self.rate = (
            next((n for n in self._needed(self.carried) if n in rates), "") or self._factor()
        )
        self._check_pairing(whole)
        self._count_samples()

    def _changed(self, statement: ast.stmt) -> set[str]:
        """Return what a statement changes, also what lies in a list or dict that it changes."""
        found = written(statement)
        return found.union(*(self.within.get(n, set[str]()) for n in found))

    def _slice(self, body: Sequence[ast.stmt], goals: Iterable[str]) -> list[ast.stmt]:
        """Return the statements on which some variables depend, as they are at the end."""
        needed, kept = set(goals), list[ast.stmt]()
        for statement in reversed(body):
            if self._changed(statement) & needed:
                kept.insert(0, statement)
                needed = (needed - replaces(statement)) | read(statement)
        return kept

    def _carried(self) -> set[str]:
        """Return the variables that a round reads before it gives them a new value, and changes."""
        ready, exposed = set[str](), set[str]()
        for s in self.body:
            exposed |= read(s) - ready
            ready |= replaces(s)
        return exposed & {n for s in self.body for n in self._changed(s)}

    def _needed(self, goals: Iterable[str]) -> list[str]:
        """Return the free variables on which some depend, in the order in which they are read."""
        ready, needed = set[str](), list[str]()
        for s in self._slice(self.body, goals):
            needed += sorted(read(s) - ready - {*needed})
            ready |= replaces(s)
        return needed

    def _data(self, whole: Whole, nest: Nest) -> tuple[str, str]:
        """Return the variables of inputs and labels."""
        needed = [n for n in self._needed(self.carried) if n not in self.carried]
        taken = [n for n in needed if n in whole.taken or n in nest.elements]
        free = [n for n in needed if n not in self.indices and self._may_be_data(n)]
        found = taken if len(taken) == 2 else free if len(free) == 2 else []
        if not found:
            named = ", ".join(taken or free) or "nothing"
            raise LoopError(
                f"the network stands in the loop of line {self.line}, where nothing tells which "
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
        left_out = not (name in self.names or name in self.lengths or hasattr(builtins, name))
        return _is_data(self.names.get(name)) or left_out

    def _factor(self) -> str:
        """Return the one number by which all updates are multiplied, whatever it is called.

        A number that stands there itself gets the name ``learning_rate``.
        """
        products = [factors(change) for s in self.body for change in self._changes(s)]
        names = [{n.id for n in f if isinstance(n, ast.Name)
                  and isinstance(self.names.get(n.id), float)} for f in products]  # fmt: skip
        numbers = [{n.value for n in f if isinstance(n, ast.Constant)} for f in products]
        name = set[str].intersection(*names) if names else set[str]()
        number = set[Any].intersection(*numbers) if numbers else set[Any]()
        if len(name) == 1:
            return name.pop()
        if len(number) != 1:
            return ""
        for node in (n for f in products for n in f):
            if isinstance(node, ast.Constant) and node.value in number:
                self.rates.add(id(node))
        self.body = [Renamed(self.rates).visit(s) for s in self.body]
        return "learning_rate"

    def _changes(self, statement: ast.stmt) -> Iterator[ast.expr]:
        """Yield what a statement adds to a weight, or takes from it."""
        ours = set(self.weights)
        for n in (n for n in ast.walk(statement) if isinstance(n, ast.For)):
            if isinstance(n.iter, ast.Call) and isinstance(n.target, ast.Tuple):
                for target, of in zip(n.target.elts, n.iter.args, strict=False):
                    if ({root(of)} | self.within.get(root(of), set())) & self.weights:
                        ours |= written(target)
        for n in ast.walk(statement):
            if isinstance(n, ast.AugAssign) and base(n.target) in ours:
                yield n.value
        for target, value in assignments(ast.walk(statement)):
            if base(target) in ours and isinstance(value, ast.BinOp) and root(value.left) in ours:
                yield value.right

    def _flow(self, data: tuple[str, str]) -> Iterator[tuple[int, str, set[str]]]:
        """Yield each value that a round gives: its statement, its name, and what it depends on."""
        deps: dict[str, set[str]] = {n: {n} for n in (*self.carried, *data)}
        for k, s in enumerate(self.body):
            every = set[str]().union(*(deps.get(n, set[str]()) for n in read(s)))
            for name in self._changed(s):
                more = set[str]() if name in replaces(s) else deps.get(name, set[str]())
                deps[name] = every | more
                yield k, name, deps[name]

    def _output(self) -> tuple[str, set[str]]:
        """Return the variable that is the output, and the weights on which it depends."""
        there: dict[str, set[str]] = {}
        for k, name, deps in self._flow((self.x, self.y)):
            if self.y in deps and self.x in deps:  # the output is what meets the labels first
                met = [n for n in there if n in read(self.body[k])]
                best = max(met, key=lambda n: (len(there[n]), [*there].index(n)), default="")
                if best:
                    return best, there[best]
            elif self.x in deps and deps & self.carried and name in replaces(self.body[k]):
                there.pop(name, None)
                there[name] = deps & self.carried
        raise LoopError(f"the loop of line {self.line} compares no output with its labels")

    def _check_pairing(self, whole: Whole) -> None:
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
            plain = name in replaces(self.body[k]) and self.y in deps and deps & self.weights
            used = any(name in read(s) for s in self._slice(self.body, self.weights))
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
        made: list[ast.stmt] = list(counted)
        for name, (body, given, result) in goals.items():
            free = _NAMES[name] if name in self.names else name
            lines = self._given(body, given)
            lines += [counter] * (name == "step" and bool(counter))
            made.append(self._function(free, given, lines, body, result))
        return made

    def _gradient(self, weight: str) -> str:
        """Return the variable by which a weight is lowered, also through averages of it; or ""."""
        found, waiting, seen = set[str](), [(weight, -1)], set[str]()
        labelled = {n for _, n, deps in self._flow((self.x, self.y)) if self.y in deps}
        while waiting:
            name, direction = waiting.pop()
            for target, value in values(self.body):
                if base(target) != name or not labelled & read(value):
                    continue
                if multiplies(value):
                    return ""
                for other in (read(value) & labelled) - {name, self.output}:
                    state = other in self.carried - self.weights
                    over = state or any(
                        read(v) & (self.carried - self.weights) for t, v in values(self.body)
                        if base(t) == other
                    )  # fmt: skip
                    signed = direction * sign(value, other)
                    if over and other not in seen:
                        seen.add(other)
                        waiting.append((other, signed))
                    elif not over:
                        found.add(other if signed > 0 else "")
        return found.pop() if len(found) == 1 else ""

    def _counting(self, step: list[ast.stmt]) -> tuple[list[ast.stmt], str]:
        """Return what makes the counter of steps, where the update reads it, and what counts."""
        used = {n for n in self._needed(self.weights) if n in self.counters}
        if not used:
            return [], ""
        if self.counter is None or used != {self.counter[0]}:
            raise LoopError(
                f"the update in the loop of line {self.line} depends on {', '.join(sorted(used))}, "
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
        for name in sorted({n for s in body for n in read(s)}):
            value = self.names.get(name)
            counts = (
                isinstance(value, int)
                and value in self.counts
                and (name in self.lengths or value not in self.widths or divides_only(body, name))
            )
            if name in self.unknown or counts:
                yield f"{name} = {self.x}.shape[{self.axis}]"

    def _count_samples(self) -> None:
        """Find the numbers of samples; one that the loop divides by becomes that of the inputs."""
        shapes = [_shape(self.names.get(self.roots.get(n, n))) for n in (self.x, self.y)]
        lengths = {self.names.get(name) for name in self.lengths}
        if self.axis is None and all(shapes):
            rows = shapes[0][0] == shapes[1][0]
            columns = shapes[0][-1] == shapes[1][-1] and len(shapes[0]) == len(shapes[1]) == 2
            both = rows and columns and shapes[0][0] not in lengths and shapes[0][-1] in lengths
            self.axis = int(not rows or both)
        self.axis = self.axis or 0
        widths = {n for name in self.weights for n in _shape(self.names.get(name))}
        sizes = [self.names.get(e.id) if isinstance(e, ast.Name) else getattr(e, "value", None)
                 for e in self.sizes]  # fmt: skip
        whole = shapes[0][self.axis : self.axis + 1]
        one = self.x in self.elements and self.x != self.roots[self.x]
        known = {n for n in (*whole, *sizes) if isinstance(n, int) and n > 1}
        # A divisor is a number of samples also where a layer is as wide; but a half is a half.
        self.counts = set[int]() if one else known
        self.widths = widths
        # A number that is made of inputs that are read from a file.
        self.unknown = self.lengths - {*self.names}
        size = Divisors(self.counts - {2}, self.indices, f"{self.x}.shape[{self.axis}]")
        self.body = [size.visit(s) for s in self.body]

    def _function(
        self, name: str, given: list[str], lines: list[str], body: list[ast.stmt], result: str
    ) -> ast.stmt:
        stored = {n for s in body for n in self._changed(s)} & (self.carried | self.scalars)
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


def _shared(names: dict[str, Any]) -> dict[str, set[str]]:
    """Return, for each list or dict of arrays, the variables of the arrays in it, and back."""
    own = {id(v): n for n, v in names.items() if v.__class__ is np.ndarray}
    found: dict[str, set[str]] = {}
    for name, value in names.items():
        if not name.startswith("__") and isinstance(value, (list, tuple, dict)):
            for _, _, inner in inside(value):
                if id(inner) in own:
                    found.setdefault(name, set()).add(own[id(inner)])
    return found


def _shape(value: Any) -> tuple[int, ...]:
    return np.shape(value) if _is_data(value) else ()


def _is_data(value: Any) -> bool:
    return (isinstance(value, np.ndarray) and value.ndim > 0 and value.size > 1) or is_numbers(
        value
    )
