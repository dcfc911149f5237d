"""What names stood for as the user's code reached a line: expressions are tried with them."""

import math
from types import BuiltinFunctionType
from typing import Any, Never, cast

import numpy as np

from parity.checking.asking.held import is_object

# What a name may stand for as it is: nothing here draws numbers or runs the user's code.
_AS_THEY_ARE = (
    np.generic, np.ufunc, bool, int, float, complex, str, slice, range, type(None), np.dtype,
)  # fmt: skip
_BUILTINS: dict[str, Any] = {
    "abs": abs, "bool": bool, "enumerate": enumerate, "float": float, "int": int, "len": len,
    "list": list, "max": max, "min": min, "range": range, "reversed": reversed, "sum": sum,
    "tuple": tuple, "zip": zip,
}  # fmt: skip
_MODULES = (np, math)
# A larger array is a data set, and a longer list one, too.
_MOST_ELEMENTS, _MOST_ENTRIES, _DEEPEST = 20_000, 40, 3


class UnknownError(Exception):
    """An expression needs more than is known, or would run code of the user's."""


class KeptObject:
    """An object of the user's, with its attributes as they were; nothing else is known of it."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)

    def __getattr__(self, name: str) -> Never:
        raise UnknownError(name)

    def _unknown(self, *_: Any, **__: Any) -> Never:
        raise UnknownError

    __call__ = __getitem__ = __iter__ = __len__ = __bool__ = __neg__ = __array__ = _unknown
    __add__ = __sub__ = __mul__ = __truediv__ = __matmul__ = __pow__ = _unknown
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rmatmul__ = __rpow__ = _unknown
    __lt__ = __le__ = __gt__ = __ge__ = _unknown


class Moment(dict[str, Any]):
    """The names' values at a moment, arrays copied: code may write into them later.

    Args:
        local: The names of the function.
        module: Those of its module.
    """

    def __init__(self, local: dict[str, Any], module: dict[str, Any]) -> None:
        super().__init__({name: _kept(value, 0) for name, value in local.items()})
        self._module = module

    def __missing__(self, name: str) -> Any:
        """Return what the module, or the language, has by a name."""
        if name in self._module:
            return _kept(self._module[name], 0)
        if name in _BUILTINS:
            return _BUILTINS[name]
        raise UnknownError(name)


def _kept(value: Any, depth: int) -> Any:
    if isinstance(value, np.ndarray):
        array = cast("np.ndarray[Any, Any]", value)
        return array.copy() if array.size <= _MOST_ELEMENTS else KeptObject({})
    if isinstance(value, _AS_THEY_ARE) or any(value is module for module in _MODULES):
        return cast(Any, value)
    # Another compiled function may draw numbers (randn), or write into a list of the user's.
    if isinstance(value, BuiltinFunctionType) and value.__self__ is math:
        return value
    if depth < _DEEPEST and type(value) in (list, tuple, dict):
        held = cast(list[Any] | tuple[Any, ...] | dict[Any, Any], value)
        if len(held) > _MOST_ENTRIES:
            return KeptObject({})
        if isinstance(held, dict):
            return {name: _kept(part, depth + 1) for name, part in held.items()}
        parts = [_kept(part, depth + 1) for part in held]
        return tuple(parts) if isinstance(held, tuple) else parts
    if depth or not is_object(value):
        return KeptObject({})
    return KeptObject({name: _kept(part, depth + 1) for name, part in vars(value).items()})
