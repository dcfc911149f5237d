"""The user's functions that a call runs: their syntax, and other code put in their place."""

import ast
import dis
import gc
import linecache
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Set
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from types import CodeType, FrameType, FunctionType
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.asking.held import is_object
from parity.checking.asking.own_code import foreign
from parity.checking.repairing.moments import Moment

Function = ast.FunctionDef | ast.Lambda
# What is known of a name's value: its type, and an array's shape.
Kind = tuple[Any, ...]


class OutOfTime(BaseException):
    """A changed function has run for much longer than the user's own."""


# Which visits of a line are remembered. A loop's first pass may begin with zeros; what a change
# gives is seen in the next ones. What counts steps shows only several steps later, and a sign or a
# limit is another in few of them.
FIRST_VISITS = frozenset((1, 2, 3))
VISITS_OF_STEPS = frozenset((*range(1, 50), 55, 89, 144, 233, 377, 610, 987))


def _no_moments() -> dict[tuple[CodeType, int], list[Moment]]:
    return {}


@dataclass
class Effects:
    """What a call did.

    Attributes:
        codes: The code of the user's functions that ran, in the order of their first call.
        lines: Those that ran, (file, number).
        kinds: By code, what the names in it stood for in the end; "self.W" for attributes.
        objects: The objects whose methods ran.
        returned: By code, the shape of an array that it returned.
        moments: What the names stood for at some of the visits of a line, by code and line.
        seconds: How long it took, watched.
    """

    codes: dict[CodeType, None] = field(default_factory=dict[CodeType, None])
    lines: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    kinds: dict[CodeType, dict[str, Kind]] = field(default_factory=dict[CodeType, dict[str, Kind]])
    objects: dict[int, Any] = field(default_factory=dict[int, Any])
    returned: dict[CodeType, Shape] = field(default_factory=dict[CodeType, Shape])
    moments: dict[tuple[CodeType, int], list[Moment]] = field(default_factory=_no_moments)
    seconds: float = 0.0


def seen(call: Callable[[], Any], visits: Set[int] = FIRST_VISITS) -> Effects:
    """Run a call and return what it did.

    Args:
        call: The call.
        visits: At which visits of a line, from 1, what the names stand for is remembered.
    """
    found = Effects()
    counts: dict[tuple[CodeType, int], int] = {}

    def local(frame: FrameType, event: str, answer: Any) -> Any:
        code = frame.f_code
        if event == "line":
            found.lines.add((code.co_filename, frame.f_lineno))
            key = code, frame.f_lineno
            counts[key] = counts.get(key, 0) + 1
            if counts[key] in visits:
                moment = Moment(frame.f_locals, frame.f_globals)
                found.moments.setdefault(key, []).append(moment)
        elif event == "return":
            found.kinds.setdefault(code, {}).update(_kinds(frame))
            if isinstance(answer, np.ndarray):
                found.returned[code] = cast(Array, answer).shape
        return local

    def entered(frame: FrameType, _: str, __: Any) -> Any:
        code = frame.f_code
        if foreign(code.co_filename):
            return None
        found.codes.setdefault(code)
        holder = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        if hasattr(holder, "__dict__") and not isinstance(holder, type | FunctionType):
            found.objects[id(holder)] = holder
        return local

    began = time.thread_time()
    with _traced(entered):
        call()
    found.seconds = time.thread_time() - began
    return found


@contextmanager
def within(seconds: float) -> Generator[None]:
    """End the user's code in the block if it takes longer: a change may make a loop endless.

    No garbage is collected meanwhile: it would be others' finalizers that are ended half-way.

    Raises:
        OutOfTime: It took longer.
    """
    until = time.thread_time() + seconds
    turns = 0

    def late() -> bool:
        nonlocal turns
        turns += 1  # to ask for the time takes longer than most lines
        return turns % _TURNS == 0 and time.thread_time() > until

    def local(_: FrameType, __: str, ___: Any) -> Any:
        if late():
            raise OutOfTime
        return local

    def entered(frame: FrameType, _: str, __: Any) -> Any:
        if late():
            raise OutOfTime
        return local if may_go_on(frame.f_code) else None

    collecting = gc.isenabled()
    gc.disable()
    try:
        with _traced(entered):
            yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _traced(function: Callable[[FrameType, str, Any], Any]) -> Generator[None]:
    before = sys.gettrace()
    sys.settrace(function)
    try:
        yield
    finally:
        sys.settrace(before)


# A dict of more arrays is no cache of one pass.
_MOST_ENTRIES = 24
# So many lines or calls are let go before the time is asked for.
_TURNS = 16
# By these a list grows, over which a loop may run.
_GROWING = {"append", "extend", "insert", "add", "put", "appendleft", "push"}
_lasting: dict[tuple[str, int, str], bool] = {}


def may_go_on(code: CodeType) -> bool:
    """Whether a function may loop without end where no call is seen: it is watched line by line.

    No change makes one of a function that was none, so it is asked once.
    """
    key = code.co_filename, code.co_firstlineno, code.co_name
    if key not in _lasting:
        _lasting[key] = not foreign(code.co_filename) and _loops(code)
    return _lasting[key]


def _loops(code: CodeType) -> bool:
    steps = list(dis.get_instructions(code))
    back = [step for step in steps if "BACKWARD" in step.opname]
    heads = {step.offset: step.opname for step in steps}
    plain = all(heads.get(step.argval) == "FOR_ITER" for step in back)
    return bool(back) and not (plain and _GROWING.isdisjoint(code.co_names))


def _kinds(frame: FrameType) -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    for name, value in list(frame.f_locals.items()):
        found[name] = kind_of(value)
        if is_object(value):
            attributes = cast(dict[str, Any], vars(value))
            for attribute, held in list(attributes.items()):
                found[f"{name}.{attribute}"] = kind_of(held)
                found |= entries(f"{name}.{attribute}", held)
        found |= entries(name, value)
    return found


def entries(name: str, value: Any) -> dict[str, Kind]:
    """Return the kinds of the arrays that a dict holds by name, as code writes them."""
    if type(value) is not dict:
        return {}
    held = cast(dict[Any, Any], value)
    names = [k for k, v in held.items() if isinstance(k, str) and isinstance(v, np.ndarray)]
    if len(names) > _MOST_ENTRIES:
        return {}
    return {f"{name}[{key!r}]": kind_of(held[key]) for key in names}


def kind_of(value: Any) -> Kind:
    """Return what kind of value something is; equal for those that may stand for each other."""
    if isinstance(value, np.ndarray | np.generic):
        array: Array = np.asarray(cast(Any, value))
        kind = array.dtype.kind
        if isinstance(value, np.ndarray):
            return "array", array.shape, kind
        return ("int",) if kind in "iu" else ("float",)
    return (type(value).__name__,)


class Editable:
    """A function of the user's whose code can be changed.

    Attributes:
        filename: Its file.
        node: Its syntax; what is changed here is what :meth:`compiled` makes code of.
        kinds: What its names stood for.
        module: The names of its module.
        returned: The shape of an array that it returned.
    """

    def __init__(
        self, code: CodeType, node: Function, functions: list[FunctionType],
        kinds: dict[str, Kind], tree: ast.Module, returned: Shape | None = None,
    ) -> None:  # fmt: skip
        self.returned = returned
        self.code, self.node, self.kinds = code, node, kinds
        self.filename = code.co_filename
        self.module = functions[0].__globals__
        self._functions = functions
        keep = ast.Expr(ast.Tuple([_load(n) for n in code.co_freevars], ast.Load()))
        # A free variable stays one if nothing else names it any more.
        kept = ast.copy_location(ast.If(ast.Constant(False), [keep], []), node)
        self._kept = ast.fix_missing_locations(kept)
        free = [name for name in code.co_freevars if name != "__class__"]
        self._free = [ast.copy_location(ast.arg(name), node) for name in free]
        # Calls of what is imported are compiled in another way, and __future__ matters.
        self._imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        owner = code.co_qualname.split(".")[-2:-1]
        self._owner = owner[0] if owner and owner != ["<locals>"] else ""

    def compiled(self, pure: bool = False) -> CodeType | None:
        """Return code of the function as its syntax is now; None where it is none.

        Args:
            pure: Whether to add nothing; the code may then not fit into the function.
        """
        function = self.node
        kept = [] if pure or isinstance(function, ast.Lambda) else [self._kept]
        if isinstance(function, ast.Lambda):
            inner: ast.stmt = ast.copy_location(ast.Expr(function), function)
        else:
            bare = copy(function.args)  # its defaults are no part of its code
            bare.defaults, bare.kw_defaults = [], [None for _ in bare.kw_defaults]
            inner = ast.FunctionDef(function.name, bare, [*function.body, *kept], [])
            ast.copy_location(inner, function)
        before: list[ast.stmt] = []
        if self._owner:
            inner = ast.copy_location(ast.ClassDef(self._owner, [], [], [inner], []), function)
            if self._owner in self.module:  # a method may name its own class
                before = [ast.copy_location(ast.Global([self._owner]), function)]
        taken = ast.arguments([], self._free, None, [], [], None, [])
        outer = ast.FunctionDef("around", taken, [*before, inner], [])
        module = ast.Module([*self._imports, ast.copy_location(outer, function)], [])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of changes that make no sense
                made = compile(module, self.filename, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, TypeError, RecursionError):
            return None
        for _ in range(3 if self._owner else 2):
            made = next((c for c in made.co_consts if isinstance(c, CodeType)), None)
            if made is None:
                return None
        return made if pure or made.co_freevars == self.code.co_freevars else None

    @property
    def defaults(self) -> dict[str, Any]:
        """What its arguments are where nothing is given for them."""
        one = self._functions[0]
        names = self.code.co_varnames[: self.code.co_argcount]
        behind = one.__defaults__ or ()
        last = dict(zip(names[len(names) - len(behind) :], behind, strict=True))
        return last | (one.__kwdefaults__ or {})

    @contextmanager
    def running(self, code: CodeType) -> Generator[None]:
        """Let the function run other code in the block."""
        before = [function.__code__ for function in self._functions]
        try:
            for function in self._functions:
                function.__code__ = code
            yield
        finally:
            for function, own in zip(self._functions, before, strict=True):
                function.__code__ = own


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def editable(what: Effects) -> list[Editable]:
    """Return the functions whose source is there and is what they run; the others are left out."""
    found: list[Editable] = []
    inner = {c for code in what.codes for c in _within(code)}
    trees: dict[str, ast.Module] = {}
    holders = gc.get_referrers(*what.codes) if what.codes else []
    every = [holder for holder in holders if isinstance(holder, FunctionType)]
    for code in what.codes:
        if code in inner or (code.co_name.startswith("<") and code.co_name != "<lambda>"):
            continue
        if code.co_filename not in trees:
            trees[code.co_filename] = _parsed(code.co_filename)
        tree = trees[code.co_filename]
        functions = [function for function in every if function.__code__ is code]
        node = _node(tree, code)
        if node is None or not functions:
            continue
        kinds = what.kinds.get(code, {})
        one = Editable(code, node, functions, kinds, tree, what.returned.get(code))
        made = one.compiled(pure=True)
        if made is not None and made.co_code == code.co_code and one.compiled() is not None:
            found.append(one)
    return found


def _within(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _within(constant)


def _parsed(filename: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _node(tree: ast.Module, code: CodeType) -> Function | None:
    """Return the syntax of a function; None where more than one begins in its line."""
    found: list[Function] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
            first = node.lineno
        else:
            continue
        if first == code.co_firstlineno:
            found.append(node)
    return found[0] if len(found) == 1 else None
