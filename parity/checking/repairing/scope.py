"""What names stand for in the user's functions, and what may stand for each other."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from types import FunctionType

import numpy as np

from parity.checking.repairing.functions import Editable, Kind, entries, kind_of
from parity.checking.repairing.slots import plain

# Of a module's numbers that a function does not name no more are tried.
_MOST_NUMBERS = 6
# What a forward pass may make of a name, and a derivative has to make of it again.
_ELEMENTWISE = ("tanh", "exp", "log", "sqrt")
_NO_VALUES = ("function", "type", "module", "str", "NoneType", "ufunc")
_NO_NUMBERS = (*_NO_VALUES, "list", "tuple", "dict", "set", "method", "bool", "Generator")


@dataclass(frozen=True)
class Known:
    """What is known of all functions together.

    Attributes:
        calls: What the loss makes of a name, by that name: {"y": ["smooth(y, 0.1)"]}.
        read: By which names they read something from a dict.
        summed: What they add to and never read.
        windows: Where they look into arrays: {":, s:s + 3": its syntax}.
        methods: Which methods of their own objects they call: "self.forward".
    """

    calls: Mapping[str, Sequence[str]]
    read: Set[str]
    summed: Set[str]
    windows: Mapping[str, ast.expr]
    methods: Sequence[str]


def known_of(functions: Sequence[Editable], of_loss: Sequence[Editable]) -> Known:
    """Return what is known of the functions of a call, and of those that the loss is made of."""
    every = [*functions, *of_loss]
    return Known(
        _made_of_names(of_loss), _read_by_name(functions), _summed_up(functions), _windows(every),
        _methods(every),
    )  # fmt: skip


class Scope:
    """What names may stand for each other in a function.

    Args:
        function: The function.
        known: What is known of all.
    """

    def __init__(self, function: Editable, known: Known) -> None:
        self.calls, self.methods = known.calls, known.methods
        self.numpy = _numpy_in(function.module)
        keys = tuple(text[text.index("[") :] for text in known.summed if text.endswith("']"))
        results = _results(function.node)
        self.kinds: dict[str, Kind] = {
            name: kind for name, kind in function.kinds.items()
            if not {name, name.split("['")[0]} & known.summed and not (keys and name.endswith(keys))
            and ("[" not in name or name.partition("[")[0] not in results)
        }  # fmt: skip
        # Names of the module count where the function itself has them.
        for name in function.code.co_names:
            if name in function.module and name not in self.kinds:
                self.kinds[name] = kind_of(function.module[name])
                self.kinds |= entries(name, function.module[name])
        self.functions = [
            name for name, value in function.module.items() if isinstance(value, FunctionType)
        ]
        self.integers = [name for name, kind in self.kinds.items() if kind == ("int",)]
        # For what a stride may be those of the module, too: another function has them.
        self.strides = [n for n, v in function.module.items() if type(v) is int][:_MOST_NUMBERS]
        self.strides += [name for name in self.integers if name not in self.strides]
        self.floats = [name for name, kind in self.kinds.items() if kind == ("float",)]
        held = [n for n, v in function.module.items() if type(v) is float and n not in self.kinds]
        self.floats += held[:_MOST_NUMBERS]  # the share that dropout keeps, say
        every = _read_by_any_name(function.node)
        held = [name for name in self.kinds if name.endswith("']")]
        held = [name for name in held if name.partition("[")[0] not in every]
        self.unread = _unread(function.node)
        self.unread |= {name for name in held if name.split("['")[-1][:-2] not in known.read}
        # What a list or a dict holds, as the function names it: states[t + 1].
        every = [n for n in ast.walk(function.node) if isinstance(n, ast.Subscript)]
        holds = [n for n in every if self.kinds.get(plain(n)) in (("list",), ("dict",))]
        self.held = list(dict.fromkeys(map(ast.unparse, holds)))
        # What it takes from a dict that may be a number: state["mu"].
        named = [n for n in every if type(getattr(n.slice, "value", None)) is str]
        texts = dict.fromkeys(map(ast.unparse, named))
        self.entries = [text for text in texts if text not in self.kinds]
        self.neighbours = list(dict.fromkeys(text for n in holds for text in _beside(n)))
        self.arrays = {
            name: kind[1] for name, kind in self.kinds.items()
            if kind[0] == "array" and kind[2] in "fc" and kind[1] != ()
        }  # fmt: skip
        # Indices of other arrays: what is read at s:s + 3 is written back there.
        self.windows = {
            text: window for text, window in known.windows.items()
            if all(n.id in self.kinds for n in ast.walk(window) if isinstance(n, ast.Name))
        }  # fmt: skip
        # What a mean may be taken of: the axes of an array, or a mask that is 1 where it counts.
        local: Mapping[str, Kind] = function.kinds
        own = [name for name in self.arrays if name in local and name.isidentifier()]
        given = function.code.co_varnames[: function.code.co_argcount]
        held = [n for n in self.kinds if n.startswith("self.")]
        self.axes = [*_lengths_of_axes([*given, *held], self.kinds)]
        masks = [n for n, kind in self.kinds.items() if kind[0] == "array" and kind[2] == "b"]
        self.sizes = [f"{name}.sum()" for name in (*masks, *own)] + self.axes
        self.factors = _factors(function.node)
        self.lengths = [f"len({n})" for n in (*given, *_taken_apart(function.node, given))
                        if local.get(n, ("",))[0] in ("array", "list", "tuple")]  # fmt: skip

    def is_own(self, called: ast.expr) -> bool:
        """Whether what is called is a function of the user's, or a method of no array."""
        if isinstance(called, ast.Attribute):
            return plain(called) != f"{self.numpy}.{called.attr}" and not hasattr(
                np.ndarray, called.attr
            )
        return plain(called) in self.functions

    def is_numeric(self, node: ast.expr) -> bool:
        """Whether an expression may be a number or an array, or an object that acts like one."""
        if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            return True
        kind = self.kinds.get(ast.unparse(node), ("",))[0]
        return kind not in _NO_NUMBERS and ast.unparse(node) not in ("self", self.numpy)

    def alike(self, name: str) -> list[str]:
        """Return the other names of the same kind of value."""
        kind = self.kinds.get(name)
        if kind is None or kind[0] in _NO_VALUES:
            return []
        return [n for n, other in self.kinds.items() if other == kind and n != name]


def _taken_apart(function: ast.AST, given: Sequence[str]) -> Iterator[str]:
    """Yield the names that a tuple gets that the function is given: a, p, n = triple."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Name(id=name)):
                if name in given:
                    yield from (one.id for one in names if isinstance(one, ast.Name))
            case _:
                pass


def _lengths_of_axes(names: Iterable[str], kinds: Mapping[str, Kind]) -> Iterator[str]:
    """Yield the lengths of arrays along their axes, each number once: "x.shape[1]"."""
    known = {1}
    for name in names:
        kind = kinds.get(name, ("",))
        for axis, length in enumerate(kind[1]) if kind[0] == "array" else ():
            if length not in known:
                known.add(length)
                yield f"{name}.shape[{axis}]"


def _numpy_in(module: Mapping[str, object]) -> str:
    """Return the name by which a module has NumPy."""
    names = (n for n, value in module.items() if getattr(value, "__name__", "") == "numpy")
    return next(names, "np")


def _beside(node: ast.Subscript) -> Iterator[str]:
    """Yield what a list holds at an index, a step before and a step after: states[t + 1]."""
    names = [n.id for n in ast.walk(node.slice) if isinstance(n, ast.Name)]
    if len(names) == 1:
        for step in ("", " - 1", " + 1"):
            yield f"{ast.unparse(node.value)}[{names[0]}{step}]"


def _unread(function: ast.AST) -> set[str]:
    """Return the names that a function takes or computes, and nowhere reads."""
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    read = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    given = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    every = given | {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return {name for name in every - read if not name.startswith("_") and name != "self"}


def _results(function: ast.AST) -> set[str]:
    """Return what a function fills and reads no entry of: what it computes is there."""
    every = [node for node in ast.walk(function) if isinstance(node, ast.Subscript)]
    filled = {ast.unparse(node.value) for node in every if isinstance(node.ctx, ast.Store)}
    return filled - {ast.unparse(node.value) for node in every if isinstance(node.ctx, ast.Load)}


def _read_by_any_name(function: ast.AST) -> set[str]:
    """Return what a function reads entries of whose names are in a variable: g[name]."""
    every = [node for node in ast.walk(function) if isinstance(node, ast.Subscript)]
    return {
        ast.unparse(node.value) for node in every
        if isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Constant)
    }  # fmt: skip


def _summed_up(functions: Iterable[Editable]) -> set[str]:
    """Return what functions add to and never read, dW or d['W']: no factor or term of anything.

    Where nothing is read from what holds it, it is "d": all that it holds.
    """
    nodes = [node for function in functions for node in ast.walk(function.node)]
    added = [n.target for n in nodes if isinstance(n, ast.AugAssign)]
    exprs = [n for n in nodes if isinstance(n, ast.Name | ast.Attribute | ast.Subscript)]
    read = {ast.unparse(n) for n in exprs if added and isinstance(n.ctx, ast.Load)}
    held = {plain(n) for n in exprs if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Load)}
    every = {plain(n) for n in added if isinstance(n, ast.Subscript)} - held
    return every | {ast.unparse(target) for target in added} - read


def _windows(functions: Iterable[Editable]) -> dict[str, ast.expr]:
    """Return the indices with a range of numbers in them, by their text."""
    nodes = [node for function in functions for node in ast.walk(function.node)]
    return {
        ast.unparse(node.slice): node.slice
        for node in nodes
        if isinstance(node, ast.Subscript) and ranges(node.slice)
    }


def _methods(functions: Iterable[Editable]) -> list[str]:
    """Return the methods that functions call of their own object, "self.forward"."""
    nodes = [node for function in functions for node in ast.walk(function.node)]
    called = [plain(node.func) for node in nodes if isinstance(node, ast.Call)]
    return list(dict.fromkeys(name for name in called if name.startswith("self.")))


def _factors(function: ast.AST) -> list[str]:
    """Return what a function multiplies by, as a derivative is written: ``h > 0``, ``1 - a**2``."""
    sides: list[ast.expr] = []
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            sides += [node.left, node.right]
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Mult):
            sides.append(node.value)
    found = dict.fromkeys(ast.unparse(s) for s in sides if isinstance(s, ast.Compare | ast.BinOp))
    return list(found)[:_MOST_NUMBERS]


def ranges(window: ast.expr) -> bool:
    """Return whether an index has a range in it whose ends have names."""
    ranges = [part for part in ast.walk(window) if isinstance(part, ast.Slice)]
    return any(isinstance(part, ast.Name) for each in ranges for part in ast.walk(each))


def _read_by_name(functions: Iterable[Editable]) -> set[str]:
    """Return the names by which functions read something from a dict."""
    every = [node for function in functions for node in ast.walk(function.node)]
    read = [n.slice for n in every if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Load)]
    return {key.value for key in read if isinstance(key, ast.Constant) and type(key.value) is str}


def _made_of_names(functions: Iterable[Editable]) -> dict[str, list[str]]:
    """Return the calls of the user's functions that the loss takes in the place of a name.

    What else they are given has to be a number, or a default of the function that they stand in:
    ``smooth(y, eps)`` is "smooth(y, 0.1)" where a loss has ``eps=0.1``.
    """
    found: dict[str, list[str]] = {}
    for function in functions:
        for node in ast.walk(function.node):
            if not isinstance(node, ast.Call) or node.keywords:
                continue
            names = [plain(a) for a in node.args if isinstance(a, ast.Name | ast.Attribute)]
            given = [name for name in names if name not in function.defaults]
            own = isinstance(node.func, ast.Name) and isinstance(
                function.module.get(node.func.id), FunctionType
            )
            numpy = _numpy_in(function.module)
            own = own or plain(node.func) in [f"{numpy}.{name}" for name in _ELEMENTWISE]
            simple = all(plain(part) or isinstance(part, ast.Constant) for part in node.args)
            if own and simple and len(given) == 1:
                defaults = {name: repr(value) for name, value in function.defaults.items()}
                arguments = [defaults.get(text, text) for text in map(ast.unparse, node.args)]
                text = f"{ast.unparse(node.func)}({', '.join(arguments)})"
                found.setdefault(given[0], []).append(text)
    return found
