"""What the user's objects and modules hold, put back after each change that was tried."""

import operator
import sys
from collections.abc import Iterable, Iterator
from functools import cache, partial
from types import CellType, FunctionType, MethodType
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.own_code import foreign
from parity.checking.asking.subject import Subject

# Larger arrays are data sets, which no gradient changes; to copy them each time would take long.
_MOST_ENTRIES = 50_000
# An optimizer's state is as large as the weights.
OF_STEPS = 2_000_000
# Of so many entries copies are kept altogether: 160 MB of them.
_MOST_ALTOGETHER = 20_000_000
# What is held by what is held, and so on, down to so many lists, dicts and objects.
_MOST_PARTS = 3000
_NUMBERS = bool, int, float, complex, np.generic


class Held:
    """What is reached from attributes of objects and names of modules: in lists, dicts and objects.

    Also what functions of the user's keep: in the names around them, and in defaults.

    Args:
        holders: What holds it: ``vars(object)``, a function's ``__globals__``, or a function.
        most: Of an array with more entries no copy is kept.
    """

    def __init__(self, holders: Iterable[Any], most: int = _MOST_ENTRIES) -> None:
        self._most, self._room = most, _MOST_ALTOGETHER
        self._cells: list[tuple[CellType, Any]] = []
        self._arrays: list[tuple[Array, Array]] = []
        self._lists: list[tuple[list[Any], list[Any]]] = []
        self._dicts: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self._names: set[int] = set()
        known: set[int] = set()
        # What the callables themselves hold first, then what names of modules lead to, and what
        # objects of libraries do last: behind these there may be anything, a whole test runner.
        first, names, others = list(holders), list[Any](), list[Any]()
        while level := first or names or others:
            below: list[Any] = []
            for value in level:
                if id(value) in known or len(known) > _MOST_PARTS:
                    continue
                known.add(id(value))
                below += self._noted(value)
            level.clear()
            for value in below:
                tier = (
                    names if id(value) in self._names else others if _of_library(value) else first
                )
                tier.append(value)

    def _noted(self, value: Any) -> Iterator[Any]:
        """Note an array or a part, and yield what it holds."""
        if isinstance(value, np.ndarray):
            array = cast(Array, value)
            if array.flags.writeable and array.size <= min(self._most, self._room):
                self._room -= array.size
                self._arrays.append((array, array.copy()))
        elif isinstance(value, list):
            items = cast(list[Any], value)
            self._lists.append((items, list(items)))
            yield from filter(_holds, items)
        elif isinstance(value, dict):
            held = cast(dict[Any, Any], value)
            self._dicts.append((held, dict(held)))
            yield from filter(_holds, held.values())
        elif isinstance(value, tuple):
            yield from filter(_holds, cast(tuple[Any, ...], value))
        elif isinstance(value, MethodType):
            yield from (value.__func__, value.__self__)
        elif isinstance(value, partial):
            made = cast("partial[Any]", value)
            yield from (made.func, made.args, made.keywords)
        elif isinstance(value, FunctionType):
            yield from self._kept_by(value)
        elif is_object(value):
            yield vars(value)

    def _kept_by(self, function: FunctionType) -> Iterator[Any]:
        """Yield what a function keeps, and note the names around it where it is the user's."""
        own = not foreign(function.__code__.co_filename)
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:  # nothing is in it yet
                continue
            if own:
                self._cells.append((cell, content))
            if _holds(content):
                yield content
        if own:
            yield from filter(_holds, function.__defaults__ or ())
            yield from filter(None, (vars(function), function.__kwdefaults__))
            self._names.add(id(function.__globals__))
            yield function.__globals__

    def differs(self, other: "Held") -> bool:
        """Return whether numbers or arrays that are held are others, of the same holders.

        An object or an array that was made anew with the same content is no other one.
        """
        ours, theirs = self._content(), other._content()
        return len(ours) != len(theirs) or not all(map(_equal, ours, theirs))

    def _content(self) -> list[Any]:
        """Return all that is held, in the order in which it was found."""
        parts = [part for _, values in self._dicts for part in values.values()]
        parts += [part for _, items in self._lists for part in items]
        parts += [content for _, content in self._cells]
        return [
            *(part for part in parts if isinstance(part, _NUMBERS)),
            *(a for _, a in self._arrays),
        ]

    def put_back(self) -> None:
        """Make all as it was."""
        for cell, content in self._cells:
            cell.cell_contents = content
        for array, before in self._arrays:
            array[...] = before
        # A library's lists and dicts may watch what is written into them: as little as can be is.
        for part, items in self._lists:
            if len(part) != len(items) or not all(map(operator.is_, part, items)):
                part[:] = items
        for holder, values in self._dicts:
            plain = type(holder) is dict
            if plain or not all(map(operator.is_, map(holder.get, values), values.values())):
                holder.update(values)
            if len(holder) > len(values):
                for name in [name for name in holder if name not in values]:
                    del holder[name]


def is_object(value: Any) -> bool:
    """Whether something is an object of the user's with attributes; it may be called as well."""
    attributes = getattr(value, "__dict__", None)
    made_by_python = type(value).__module__ == "builtins"  # functions, classes, modules
    return isinstance(attributes, dict) and not made_by_python and not isinstance(value, type)


def _of_library(value: Any) -> bool:
    """Whether something is an object of a class that an installed package, or Python, has."""
    kind = type(cast(object, value))
    return is_object(value) and _is_of_library(kind)


@cache
def _is_of_library(kind: type) -> bool:
    module = sys.modules.get(kind.__module__)
    filename = getattr(module, "__file__", None)
    return isinstance(filename, str) and foreign(filename)


def _holds(value: Any) -> bool:
    """Whether something may hold what a change could spoil; modules and classes are left."""
    kinds = np.ndarray, list, dict, tuple, FunctionType, MethodType, partial
    return isinstance(value, kinds) or is_object(value)


def _equal(one: Any, other: Any) -> bool:
    return np.shape(one) == np.shape(other) and bool(np.array_equal(one, other, equal_nan=True))


def sets_more(subject: Subject) -> bool:
    """Return whether ``set_weights`` changes more than weights: a part of the state, perhaps.

    To be asked behind a step, so that there is a state.
    """
    if subject.placing.in_place or subject.candidate.set_weights is None:
        return False
    theirs = [*filter(callable, vars(subject.candidate).values())]
    weights, before = subject.weights(), Held(theirs, OF_STEPS)
    subject.set_weights(weights)
    return before.differs(Held(theirs, OF_STEPS))
