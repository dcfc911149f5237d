"""What a draft's make() sees, made anew for every trial, and the numbers that are found in it."""

import contextlib
import inspect
import io
import math
import operator
import random
import re
import signal
import sys
import time
import types
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.drafting.nodes import Nodes, tensors

SECONDS = 3.0
_DEEPEST = 7
_MOST = 4000
# Layers are written one by one up to this many.
_MOST_SAID = 4
# What an element of a list is called, by how deep the list lies.
_VARIABLES = ("item", "layer", "unit", "part", "entry", "row", "cell", "one")
_PLAIN = (str, bytes, bool, int, complex, type(None))
_GIVES_WEIGHTS = re.compile(r"(get_)?(weights|param(eter)?s|variables|state)", re.I)
_NOT_DATA = (
    types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, type,
    np.random.Generator, np.random.RandomState, random.Random,
)  # fmt: skip


class TookTooLong(BaseException):
    """A trial was stopped; no handler of the user's code catches it by ``Exception``."""


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Run the user's code: what it prints is lost, it reads nothing, and it is stopped in time."""

    def stop(*_: Any) -> None:
        raise TookTooLong

    limited = hasattr(signal, "setitimer") and _in_main_thread()
    before = signal.signal(signal.SIGALRM, stop) if limited else None
    arguments, stdin = sys.argv, sys.stdin
    sys.argv, sys.stdin = arguments[:1], io.StringIO()
    if limited:
        # Again and again, as a bare except may swallow it.
        signal.setitimer(signal.ITIMER_REAL, SECONDS, SECONDS)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            np.errstate(all="ignore"),
        ):
            yield
    finally:
        if limited:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        sys.argv, sys.stdin = arguments, stdin


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


@dataclass(frozen=True)
class KeptNumbers:
    """Numbers that the user's code keeps: an array, a list of Python's numbers, or one number.

    Attributes:
        path: The expression that leads there: ``net.layers[0].W``.
        name: What it is called by its attribute, key or variable: ``W``.
        value: The array or list itself, or the number.
    """

    path: str
    name: str
    value: Any

    @property
    def array(self) -> np.ndarray:
        """The numbers as an array."""
        return np.asarray(self.value, dtype=float)


@dataclass
class World:
    """The variables of a draft's make().

    Attributes:
        load: Returns the user's module, made anew.
        alias: What the draft calls it.
        setup: The statements that make the network.
        names: Every variable, by name.
        end: When nothing more is run, in the seconds of ``time.monotonic``.
    """

    load: Callable[[], types.ModuleType]
    alias: str
    setup: list[str]
    names: dict[str, Any] = field(default_factory=dict[str, Any])
    end: float = math.inf

    def __post_init__(self) -> None:
        if time.monotonic() > self.end:
            raise TookTooLong
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 (the user's code draws from it)
        self.names = {"np": np, "SimpleNamespace": types.SimpleNamespace, self.alias: self.load()}
        with quiet():
            exec("\n".join(self.setup), self.names)

    def run(self, lines: list[str], expression: str = "", **values: Any) -> Any:
        """Run statements, and return the value of an expression.

        Raises:
            BaseException: Whatever the user's code raises.
        """
        if time.monotonic() > self.end:
            raise TookTooLong
        self.names.update(values)
        with quiet():
            exec("\n".join(lines), self.names)
            return eval(expression, self.names) if expression else None

    def roots(self) -> dict[str, Any]:
        """Return what the setup made, by variable; without a setup, the module's variables."""
        made = {n: v for n, v in self.names.items() if n in _assigned(self.setup)}
        module = variables(self.names[self.alias])
        made |= {f"{n}()": v for n, f in made.items() if (v := _own_weights(n, f)) is not None}
        own = {
            f"{self.alias}.{n}": v
            for n, v in module.items()
            if not n.startswith("__") and not inspect.ismodule(v)
        }
        return made | own

    def leaves(self) -> list[KeptNumbers]:
        """Return all numbers that can be reached."""
        plain = list(found(self.roots()))
        numbers = [leaf.path for leaf in plain if isinstance(leaf.value, float)]
        parts = tensors(numbers, lambda text: eval(text, self.names))
        return [*(KeptNumbers(*part) for part in parts), *plain]


def _own_weights(name: str, function: Any) -> Any:
    """Return what a function such as weights() gives, if these are the arrays that are used."""
    if not inspect.isfunction(function) or not _GIVES_WEIGHTS.fullmatch(name):
        return None
    try:
        with quiet():
            one: Any = function()
            two: Any = function()
    except BaseException:
        return None
    kept = one.__class__ in (list, tuple) and all(map(operator.is_, one, two))
    return one if kept else None


def _assigned(setup: list[str]) -> set[str]:
    names: set[str] = set()
    for line in setup:
        target, equals, _ = line.partition(" = ")
        if equals and all(part.strip().isidentifier() for part in target.split(",")):
            names.update(part.strip() for part in target.split(","))
    return names


def found(roots: dict[str, Any]) -> Iterator[KeptNumbers]:
    """Yield the numbers below some variables, each by the first way that leads there."""
    seen: set[int] = set()
    count = 0
    for path, root in roots.items():
        for leaf in _walk(root, path, path.rpartition(".")[2], seen, 0):
            count += 1
            if count > _MOST:
                return
            yield leaf


def _walk(value: Any, path: str, name: str, seen: set[int], depth: int) -> Iterator[KeptNumbers]:
    if isinstance(value, (float, np.floating)):
        yield KeptNumbers(path, name, value)
        return
    if isinstance(value, (_PLAIN, _NOT_DATA)) or depth > _DEEPEST or id(value) in seen:
        return
    array: Any = value
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        if array.dtype.kind in "fiu":
            yield KeptNumbers(path, name, array)
        return
    if is_numbers(value):
        yield KeptNumbers(path, name, value)
        return
    for step, key, inner in inside(value):
        yield from _walk(inner, path + step, key or name, seen, depth + 1)


def variables(value: Any) -> dict[str, Any]:
    """Return the variables of a module, or the attributes of an object."""
    return dict(getattr(value, "__dict__", {}))


def is_numbers(value: Any) -> bool:
    """Whether a value is a list of Python's numbers, or of lists of them."""
    items: Any = value
    if not isinstance(value, list) or not items:
        return False
    if all(isinstance(v, list) for v in items):
        return all(is_numbers(v) for v in items) and len({len(v) for v in items}) == 1
    kinds = (float, int, np.floating)
    return all(isinstance(v, kinds) and not isinstance(v, bool) for v in items)


def inside(value: Any) -> list[tuple[str, str, Any]]:
    """Return what is in a container or object: how it is reached, its name, and itself."""
    items: Any = value
    if isinstance(value, dict):
        pairs: list[tuple[Any, Any]] = list(items.items())
        return [
            (f"[{key!r}]".replace("'", '"'), str(key), inner)
            for key, inner in pairs
            if type(key) in (str, int, tuple)
        ]
    if isinstance(value, (list, tuple)):
        return [(f"[{k}]", "", inner) for k, inner in enumerate(items)]
    if own := variables(items):
        return [(f".{n}", n, v) for n, v in own.items() if n.isidentifier()]
    slots: Any = getattr(items.__class__, "__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    return [(f".{n}", n, getattr(value, n)) for n in names if hasattr(value, n)]


def written(paths: list[str], roots: dict[str, Any]) -> str:
    """Return an expression of some leaves: a list of them, or the container that has no others.

    A list whose elements are all alike becomes a comprehension.
    """
    wanted = set(paths)
    texts: list[str] = []
    for path, root in roots.items():
        texts += _texts(root, path, wanted, 0, set())
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _texts(value: Any, path: str, wanted: set[str], depth: int, seen: set[int]) -> list[str]:
    """Return the expressions that give the wanted leaves below a value, in its order."""
    if path in wanted:
        return [path]
    if (
        isinstance(value, (_PLAIN, _NOT_DATA, float, np.ndarray))
        or depth > _DEEPEST
        or id(value) in seen
    ):
        return []
    if not any(p.startswith(path) for p in wanted):
        return []
    seen = seen | {id(value)}
    parts = inside(value)
    texts = [_texts(v, path + step, wanted, depth + 1, seen) for step, _, v in parts]
    whole = [[path + step] for step, _, _ in parts]
    arrays = all(isinstance(v, (np.ndarray, list, dict, tuple)) for _, _, v in parts)
    if isinstance(value, (list, tuple, dict)) and texts and texts == whole and arrays:
        return [path]
    if isinstance(value, (list, tuple)) and texts and texts[0]:
        variable = _VARIABLES[depth]
        patterns = {
            tuple(t.replace(f"{path}[{k}]", variable) for t in inner)
            for k, inner in enumerate(texts)
        }
        if len(patterns) == 1:
            (pattern,) = patterns
            if len(pattern) == 1:
                return [f"[{pattern[0]} for {variable} in {path}]"]
            if len(parts) > _MOST_SAID:
                return [f"[[{', '.join(pattern)}] for {variable} in {path}]"]
    return [text for inner in texts for text in inner]


def is_view(leaf: KeptNumbers, others: list[KeptNumbers]) -> bool:
    """Whether an array is another one seen otherwise, as ``W.T``: the same weights once more."""
    array: Any = leaf.value
    arrays: list[Any] = [other.value for other in others]
    return isinstance(array, np.ndarray) and any(
        isinstance(o, np.ndarray) and np.may_share_memory(array, o)  # pyright: ignore
        for o in arrays
    )


def is_weightlike(value: Any) -> bool:
    """Whether a value may be a weight: an array of floats, or a list of Python's numbers."""
    array: Any = value
    if isinstance(value, np.ndarray):
        return array.dtype.kind == "f" and bool(array.flags.writeable)
    return isinstance(value, (list, Nodes))


def put(place: Any, values: Any) -> None:
    """Write numbers into an array or a nested list."""
    if isinstance(place, np.ndarray):
        place[...] = values
    elif isinstance(place, Nodes):
        place.put(values)
    elif isinstance(place, list):
        for k, value in enumerate(values):
            if isinstance(place[k], list):
                put(place[k], value)
            else:
                place[k] = value if isinstance(value, int) else float(value)


def counts(value: Any) -> bool:
    """Whether a list holds numbers of units, which are none of the weights."""
    return isinstance(value, list) and all(isinstance(v, int) for v in value)  # pyright: ignore
