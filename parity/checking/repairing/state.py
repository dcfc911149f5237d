"""What the user's objects and modules hold, put back after each change that was tried."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array
from parity.checking.repairing.moments import is_object

# Larger arrays are data sets, which no gradient changes; to copy them each time would take long.
_MOST_ENTRIES = 50_000
# What is held by what is held, and so on, down to so many lists, dicts and objects.
_MOST_PARTS = 3000


class Held:
    """What is reached from attributes of objects and names of modules: in lists, dicts and objects.

    Args:
        holders: The dicts that hold it: ``vars(object)``, a function's ``__globals__``.
    """

    def __init__(self, holders: Iterable[dict[str, Any]]) -> None:
        self._arrays: list[tuple[Array, Array]] = []
        self._lists: list[tuple[list[Any], list[Any]]] = []
        self._dicts: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        known: set[int] = set()
        level: list[Any] = list(holders)
        while level:
            below: list[Any] = []
            for value in level:
                if id(value) in known or len(known) > _MOST_PARTS:
                    continue
                known.add(id(value))
                below += self._noted(value)
            level = below

    def _noted(self, value: Any) -> Iterator[Any]:
        """Note an array or a part, and yield what it holds."""
        if isinstance(value, np.ndarray):
            array = cast(Array, value)
            if array.flags.writeable and array.size <= _MOST_ENTRIES:
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
        else:
            yield vars(value)

    def put_back(self) -> None:
        """Make all as it was."""
        for array, before in self._arrays:
            array[...] = before
        for part, items in self._lists:
            part[:] = items
        for holder, values in self._dicts:
            holder.update(values)
            if len(holder) > len(values):
                for name in [name for name in holder if name not in values]:
                    del holder[name]


def _holds(value: Any) -> bool:
    """Whether something may hold what a change could spoil; functions and modules are left."""
    return isinstance(value, np.ndarray | list | dict | tuple) or is_object(value)
