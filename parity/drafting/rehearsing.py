"""What a program calls its own functions with, seen in a moment of its own run.

:func:`rehearse` runs the file as if it were started, its main guard too, for at most a few seconds,
and ``holding`` keeps it from leaving a trace. The profile hook sees each call of a function of the
file. Its arguments tell sizes and settings that no name tells: ``initialize_parameters(2, 5, 1)``.
"""

import ast
import contextlib
import importlib
import inspect
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.functions import assignments, base
from parity.drafting.holding import PICTURES, held_back
from parity.drafting.world import KeptNumbers, found, is_numbers, quiet

# A run in which nothing new is called any more has shown what it can.
_STILL = 0.4
_CALLS = 20
# Of so many objects it is seen which arrays change.
_OBJECTS = 8
_LONGEST = 20
_WIDEST = 80
_PLAIN = (bool, int, float, str, type(None))
_NUMBERS = (np.ndarray, np.number, int, float)
_MAKERS = (
    (np.random.Generator, "np.random.default_rng(0)"),
    (np.random.RandomState, "np.random.RandomState(0)"),
)


# These take longer to be imported than a rehearsal may.
_HEAVY = ("tensorflow", "keras", "torch", "jax", "parity")
_ZEROING = re.compile(
    r"grads?\w*(\[.*\])? = (0|None|np\.zeros|\[\])|grads?\w*\.fill\(0|"
    r"def \w*(zero|clear|reset)\w*\(",
    re.I,
)


class _RunEnded(BaseException):
    """Ends a run; no handler of the user's code catches it by ``Exception``."""


@dataclass(frozen=True)
class Span:
    """What is kept of an array that was seen: its shape, its least and greatest number.

    Attributes:
        whole: Whether all its numbers are whole ones.
        integer: Whether they are integers, as indices are.
        distinct: Whether no number is there twice, as in a choice of indices.
    """

    shape: tuple[int, ...]
    low: float
    high: float
    whole: bool
    integer: bool = False
    distinct: bool = False


@dataclass(frozen=True)
class SeenCall:
    """One call that was seen.

    Attributes:
        arguments: By parameter, as the draft can write them; None where it cannot.
        spread: What ``*arguments`` got, likewise; empty without it.
        spans: Of the numbers, and arrays or lists of them, among the arguments.
    """

    arguments: dict[str, str | None]
    spread: tuple[str | None, ...] = ()
    spans: dict[str, Span] = field(default_factory=dict[str, Span])

    def text(self, name: str, function: Any) -> str | None:
        """Return the call as the draft can write it; None if it needs more than is there."""
        parameters = inspect.signature(function).parameters.values()
        given: list[str] = []
        named = False
        for p in parameters:
            if p.kind is p.VAR_KEYWORD:
                return None
            if p.kind is p.VAR_POSITIONAL:
                if None in self.spread:
                    return None
                given += [text for text in self.spread if text is not None]
                named = True
                continue
            text = self.arguments.get(p.name)
            if p.default is not p.empty and text in (None, repr(p.default)):
                named = True
                continue
            if text is None:
                return None
            named = named or p.kind is p.KEYWORD_ONLY
            given.append(f"{p.name}={text}" if named else text)
        return f"{name}({', '.join(given)})"


@dataclass
class Rehearsal:
    """What was seen of a program's own run.

    Attributes:
        calls: The first calls of each function, by its name: ``init``, ``Net.build``, ``Net`` for
            an object that is made.
        zeroes: Whether it sets gradients back that add up, as far as the run tells.
        updated: The names of what it changes by what it was, ``W -= ...``, and of the arrays of its
            objects that were others at the end of the run.
    """

    calls: dict[str, list[SeenCall]] = field(default_factory=dict[str, list[SeenCall]])
    zeroes: bool = True
    updated: set[str] = field(default_factory=set[str])

    def making(self, name: str, function: Any, alias: str) -> str | None:
        """Return the first call of a maker as the draft can write it; None if there is none."""
        try:
            texts = (c.text(f"{alias}.{name}", function) for c in self.calls.get(name, []))
            return next((text for text in texts if text is not None), None)
        except (TypeError, ValueError):  # without a signature
            return None

    def settings(self) -> dict[str, str]:
        """Return what parameters without a usual name got, if it was the same in all calls.

        A number or a string. What is usual, such as a learning rate, the draft hands on itself.
        """
        found: dict[str, set[str | None]] = {}
        for call in (call for calls in self.calls.values() for call in calls):
            for name, text in call.arguments.items():
                found.setdefault(name, set()).add(text)
        return {
            name: text
            for name, texts in found.items()
            if not roles.role(name) and len(texts) == 1 and (text := next(iter(texts)))
            if text[0] in "0123456789-'\""
        }

    def axes(self, parameter: str) -> int | None:
        """Return how many axes a parameter's array had, if it was the same in all calls."""
        found = {len(span.shape) for span in self._spans(parameter)}
        return found.pop() if len(found) == 1 else None

    def broken(self, parameter: str) -> bool:
        """Whether a parameter's array held broken numbers, as no class number is."""
        return any(not span.whole for span in self._spans(parameter))

    def first_class(self, parameter: str, classes: int) -> int | None:
        """Return the number of the first class in labels; None if the run does not tell."""
        spans = [span for span in self._spans(parameter) if span.whole]
        low = min((span.low for span in spans), default=-1.0)
        high = max((span.high for span in spans), default=-1.0)
        if low == 0 and high < classes:
            return 0
        return 1 if low >= 1 and high == classes else None

    def of(self, function: str) -> list[SeenCall]:
        """Return the calls of functions of this name."""
        found = (c for n, c in self.calls.items() if n.rpartition(".")[2] == function)
        return [call for calls in found for call in calls]

    def span(self, parameter: str) -> Span:
        """Return a parameter's array of the first call, with the range of all calls."""
        spans = self._spans(parameter)
        low, high = min(s.low for s in spans), max(s.high for s in spans)
        kinds = (
            all(of) for of in zip(*((s.whole, s.integer, s.distinct) for s in spans), strict=True)
        )
        return Span(spans[0].shape, low, high, *kinds)

    def deep(self, function: str) -> bool:
        """Whether all that functions of this name were given first had three axes, or more.

        One of length 1 between others is none: rows are often matrices, (n, 1, features).
        """
        firsts = (next(iter(call.spans.values()), None) for call in self.of(function))
        axes = [len(s.shape) - s.shape[1:-1].count(1) for s in firsts if s is not None]
        return bool(axes) and min(axes) > 2

    def objects(self) -> set[str]:
        """Return the parameters that only got objects, or containers that are no numbers."""
        every = [call for calls in self.calls.values() for call in calls]
        plain = {n for c in every for n, text in c.arguments.items() if n in c.spans or text}
        return {n for c in every for n in c.arguments} - plain

    def _spans(self, parameter: str) -> list[Span]:
        every = (call for calls in self.calls.values() for call in calls)
        return [call.spans[parameter] for call in every if parameter in call.spans]

    def sizes(self, function: str) -> set[int]:
        """Return how long the axes of the arrays were that functions of this name were given."""
        return {n for call in self.of(function) for s in call.spans.values() for n in s.shape}


def rehearse(file: Path, alias: str) -> Rehearsal:
    """Run a file for a moment, and return what was seen.

    Args:
        file: The user's file.
        alias: What the draft calls its module.
    """
    seen = Rehearsal()
    path = str(file.resolve())
    module = ModuleType("__main__")
    module.__file__ = path
    _preload(file)
    new = time.monotonic()
    objects: dict[int, tuple[Any, list[KeptNumbers]]] = {}

    def see(frame: FrameType, event: str, _: Any) -> None:
        nonlocal new
        if event != "call" or frame.f_code.co_filename != path:
            return
        body_of_class = not frame.f_code.co_flags & inspect.CO_OPTIMIZED
        if frame.f_code.co_name.startswith("<") or body_of_class:
            return
        now = time.monotonic()
        name = _name(frame)
        calls = seen.calls.setdefault(name, [])
        new = now if not calls else new
        _remember(frame, objects)
        if len(calls) < _CALLS:
            calls.append(_call(frame, lambda value: _short(value, module, alias)))
        if now - new > _STILL:
            raise _RunEnded

    try:
        code = compile(file.read_bytes(), path, "exec", dont_inherit=True)
        with quiet(), held_back(file.resolve().parent):
            sys.modules["__main__"] = module  # a dataclass looks for its module there
            sys.setprofile(see)
            try:
                exec(code, module.__dict__)
            finally:
                sys.setprofile(None)
    except BaseException:  # whatever it raises: what was seen before counts
        pass
    ran = {name.rpartition(".")[2] for name in seen.calls}
    seen.zeroes = not ran or not ran.isdisjoint(_zeroing(file))
    tree = ast.parse(file.read_bytes())
    seen.updated = {base(n.target) for n in ast.walk(tree) if isinstance(n, ast.AugAssign)}
    for target, value in assignments(ast.walk(tree)):
        if base(target) in {base(n) for n in ast.walk(value) if isinstance(n, ast.expr)}:
            seen.updated.add(base(target))
    for value, before in objects.values():
        after = {leaf.path: leaf.array for leaf in found({"net": value})}
        seen.updated |= {
            leaf.name
            for leaf in before
            if not np.array_equal(leaf.value, after.get(leaf.path, np.empty(0)))
        }
    return seen


def _remember(frame: FrameType, objects: dict[int, tuple[Any, list[KeptNumbers]]]) -> None:
    """Keep copies of the arrays of an object, as its first method that is called finds them."""
    code = frame.f_code
    if "." not in code.co_qualname or code.co_name == "__init__" or not code.co_argcount:
        return
    value = frame.f_locals.get(code.co_varnames[0])
    if id(value) not in objects and len(objects) < _OBJECTS and hasattr(value, "__dict__"):
        leaves = [KeptNumbers(k.path, k.name, k.array.copy()) for k in found({"net": value})]
        objects[id(value)] = value, leaves


def _preload(file: Path) -> None:
    """Import the libraries that a file imports anywhere, which takes none of the run's time."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    for name in dict.fromkeys(names):
        root = name.partition(".")[0]
        own = (file.parent / root).exists() or (file.parent / f"{root}.py").exists()
        if own or root in (*_HEAVY, *PICTURES):
            continue
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


def _zeroing(file: Path) -> set[str]:
    """Return the functions that set gradients to zero; what runs without one is in all runs."""
    tree = ast.parse(file.read_bytes())
    named = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    found = {f.name for f in named if f.name != "__init__" and _ZEROING.search(ast.unparse(f))}
    rest = ast.Module(
        [s for s in tree.body if not isinstance(s, (ast.FunctionDef, ast.ClassDef))], []
    )
    return found | ({f.name for f in named} if _ZEROING.search(ast.unparse(rest)) else set())


def _name(frame: FrameType) -> str:
    """Return the name of what is called: its class's, where an object is made."""
    code = frame.f_code
    if code.co_name == "__init__" and code.co_argcount:
        return type(frame.f_locals[code.co_varnames[0]]).__qualname__
    return code.co_qualname


def _call(frame: FrameType, written: Callable[[Any], str | None]) -> SeenCall:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[:count]
    if "." in code.co_qualname and names[:1] in (("self",), ("cls",)):
        names = names[1:]
    spread: tuple[str | None, ...] = ()
    if code.co_flags & inspect.CO_VARARGS:
        spread = tuple(map(written, frame.f_locals.get(code.co_varnames[count], ())))
    values = {n: frame.f_locals[n] for n in names if n in frame.f_locals}
    arrays = [n for n, v in values.items() if isinstance(v, _NUMBERS) or is_numbers(v)]
    spans = {n: span for n in arrays if (span := _span(values[n])) is not None}
    return SeenCall({n: written(v) for n, v in values.items()}, spread, spans)


def _span(value: Any) -> Span | None:
    """Return what to keep of an array; None if it is not one of numbers."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or not array.size:
        return None
    low, high = float(array.min()), float(array.max())
    whole = bool(np.all(array == np.round(array)))
    distinct = array.ndim == 1 and 1 < array.size == len(np.unique(array))
    return Span(array.shape, low, high, whole, array.dtype.kind in "iu", distinct)


def _short(value: Any, module: ModuleType, alias: str) -> str | None:
    """Return an expression of a value; None if there is no short one."""
    text = _written(value, module, alias)
    return text if text is not None and len(text) <= _WIDEST else None


def _written(value: Any, module: ModuleType, alias: str) -> str | None:
    """Return an expression of a value; None if there is none."""
    kind: Any = value.__class__
    number = issubclass(kind, (np.number, np.bool_))
    if number or kind in _PLAIN:
        text = repr(value.item() if number else value)
        return text if text not in ("nan", "inf", "-inf") else None
    for maker, text in _MAKERS:
        if kind is maker:
            return text
    if kind in (list, tuple, dict) and len(value) <= _LONGEST:
        inner: Any = chain.from_iterable(value.items()) if kind is dict else value
        texts = [_written(item, module, alias) for item in inner]
        known = [text for text in texts if text is not None]
        return _container(kind, known) if len(known) == len(texts) else None
    name = getattr(value, "__name__", "")
    own = inspect.isroutine(value) or inspect.isclass(value)
    return f"{alias}.{name}" if own and getattr(module, name, None) is value else None


def _container(kind: type, texts: list[str]) -> str:
    """Return the expression of a list, a tuple or a dict, whose keys and values take turns."""
    if kind is dict:
        pairs = zip(texts[::2], texts[1::2], strict=True)
        return f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}"
    joined = ", ".join(texts)
    return f"[{joined}]" if kind is list else f"({joined}{',' * (len(texts) == 1)})"
