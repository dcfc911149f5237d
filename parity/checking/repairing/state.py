"""What the user's objects and modules hold, put back after each change that was tried."""

from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array

# Larger arrays are data sets, which no gradient changes; to copy them each time would take long.
_MOST_ENTRIES = 50_000


class Held:
    """The values of attributes and of a module's names, and what arrays, lists and dicts hold.

    Args:
        holders: The dicts that hold them: ``vars(object)``, a function's ``__globals__``.
    """

    def __init__(self, holders: Iterable[dict[str, Any]]) -> None:
        self._holders = [(holder, dict(holder)) for holder in {id(h): h for h in holders}.values()]
        held: dict[int, Any] = {id(v): v for _, vs in self._holders for v in vs.values()}
        # A list's or a dict's own arrays, too: {"W1": ...}.
        for value in list(held.values()):
            if type(value) in (list, dict):
                parts = cast(dict[Any, Any] | list[Any], value)
                inner: list[Any] = list(parts.values()) if isinstance(parts, dict) else parts
                arrays = [v for v in inner if isinstance(v, np.ndarray)]
                held |= dict(zip(map(id, arrays), arrays, strict=True))
        arrays: list[Array] = [v for v in held.values() if isinstance(v, np.ndarray)]
        changeable = [v for v in arrays if v.flags.writeable and v.size <= _MOST_ENTRIES]
        self._arrays = [(v, v.copy()) for v in changeable]
        lists = [cast(list[Any], v) for v in held.values() if type(v) is list]
        dicts = [cast(dict[Any, Any], v) for v in held.values() if type(v) is dict]
        self._lists = [(v, list(v)) for v in lists]
        self._dicts = [(v, dict(v)) for v in dicts]

    def put_back(self) -> None:
        """Make all as it was."""
        for array, before in self._arrays:
            array[...] = before
        for part, items in self._lists:
            part[:] = items
        for holder, values in [*self._dicts, *self._holders]:
            for name in holder.keys() - values.keys():
                del holder[name]
            for name, value in values.items():
                if name not in holder or holder[name] is not value:
                    holder[name] = value
