"""What a pickle holds, without running it: its instructions are read, and nothing is called.

A pickle is a program that may call anything. Here a small machine goes through its instructions
and builds numbers, texts, lists, tuples and dictionaries. Whatever the program would call or make
becomes a :class:`MadeByCall`, which only remembers the name and the arguments.
"""

import io
import pickletools
import re
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array

# An estimator or a state_dict has some thousands.
_MOST_STEPS = 2_000_000
_PUSHED = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# By these names arrays are made; NumPy 2 renamed numpy.core.
_RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_FROM_BUFFER = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
_SCALAR = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_JOBLIB = "joblib.numpy_pickle.NumpyArrayWrapper"


class PickleError(ValueError):
    """A pickle that is damaged, or holds what is not read here."""


@dataclass(frozen=True)
class Name:
    """A name that the pickle looks up, such as "collections.OrderedDict"."""

    path: str


@dataclass
class MadeByCall:
    """What the pickle makes by a call.

    Attributes:
        path: The name of what it calls; "" for what its library keeps elsewhere.
        arguments: What it calls it with.
        state: What it gives it afterwards, if anything.
        items: What it puts into it under keys.
        array: The numbers that joblib has put behind it, if it has.
    """

    path: str
    arguments: Any
    state: Any
    items: dict[Any, Any]
    array: Array | None = None


def read(content: bytes) -> Any:
    """Return what a pickle holds.

    Args:
        content: The file, of ``pickle`` or, not compressed, of ``joblib``.

    Raises:
        PickleError: An instruction that is not known here, or damage.
    """
    stream = io.BytesIO(content)
    try:
        return _run(stream)
    except PickleError:
        raise
    except Exception as error:  # whatever a damaged program makes of the stack
        raise PickleError(f"a damaged pickle: {type(error).__name__}: {error}") from error


def _run(stream: io.BytesIO) -> Any:
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def popped() -> list[Any]:
        start = marks.pop()
        taken = stack[start:]
        del stack[start:]
        return taken

    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        name: str = opcode.name
        given = cast(Any, argument)
        if count > _MOST_STEPS:
            raise PickleError(f"a pickle of more than {_MOST_STEPS} steps")
        if name in _PUSHED:
            stack.append(given)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_DICT"):
            stack.append({"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict}[name]())
        elif name == "TUPLE":
            stack.append(tuple(popped()))
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
        elif name == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif name == "APPENDS":
            items = popped()
            stack[-1].extend(items)
        elif name == "SETITEM":
            pair = stack[-2:]
            del stack[-2:]
            _put(stack[-1], pair)
        elif name == "SETITEMS":
            items = popped()
            _put(stack[-1], items)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(given)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(given)])
        elif name == "GLOBAL":
            stack.append(Name(given.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            stack[-2:] = [Name(".".join(stack[-2:]))]
        elif name in ("REDUCE", "NEWOBJ"):
            called, arguments = stack[-2:]
            path = called.path if isinstance(called, Name) else "?"
            stack[-2:] = [MadeByCall(path, arguments, None, {})]
        elif name == "BINPERSID":
            stack.append(MadeByCall("", stack.pop(), None, {}))
        elif name == "BUILD":
            state = stack.pop()
            stack[-1].state = state
            if stack[-1].path == _JOBLIB:
                stack[-1].array = _behind(stream, state)
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            raise PickleError(f"a pickle with the instruction {name}")
    raise PickleError("a pickle without an end")


def _put(target: Any, pairs: list[Any]) -> None:
    """Put keys and values, in turn, where they belong; keys are numbers and texts alone."""
    into = target.items if isinstance(target, MadeByCall) else target
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        # A tuple of tuples could take for ever to hash.
        if not isinstance(key, str | int | float | bytes | None):
            raise PickleError(f"a dictionary with a {type(key).__name__} as its key")
        into[key] = value


def _behind(stream: io.BytesIO, state: dict[str, Any]) -> Array:
    """Return the array that joblib has written behind what describes it."""
    dtype = _dtype(state["dtype"])
    if state.get("numpy_array_alignment_bytes") is not None:
        stream.seek(stream.read(1)[0], io.SEEK_CUR)
    shape = _shape(state["shape"])
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    return _filled(stream.read(size), dtype, shape, "F" if state["order"] == "F" else "C")


def array(value: Any) -> Array:
    """Return an array of numbers from what a pickle makes it of.

    Raises:
        PickleError: It is something else.
    """
    path = value.path if isinstance(value, MadeByCall) else ""
    try:
        if path == _JOBLIB and value.array is not None:
            return value.array
        if path in _RECONSTRUCT:
            _, shape, dtype, fortran, raw = value.state
            return _filled(raw, _dtype(dtype), _shape(shape), "F" if fortran else "C")
        if path in _FROM_BUFFER:
            raw, dtype, shape, order = value.arguments
            return _filled(raw, _dtype(dtype), _shape(shape), "F" if order == "F" else "C")
        if path in _SCALAR:
            dtype, raw = value.arguments
            return _filled(raw, _dtype(dtype), (), "C")
    except PickleError:
        raise
    except Exception as error:
        raise PickleError(f"a damaged array: {type(error).__name__}: {error}") from error
    raise PickleError(f"{path or type(value).__name__} instead of an array")


def _filled(raw: Any, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> Array:
    if (
        isinstance(raw, MadeByCall) and raw.path == "_codecs.encode"
    ):  # so protocols 0 to 2 write bytes
        text, encoding = raw.arguments
        raw = text.encode("latin1") if encoding == "latin1" else raw
    if not isinstance(raw, bytes | bytearray):  # bytes(10**9) would be a billion zeros
        raise PickleError(f"an array of {type(raw).__name__} instead of bytes")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(raw) != size:
        raise PickleError(f"an array of {len(raw)} bytes instead of {size}")
    return np.frombuffer(raw, dtype).reshape(shape, order=order)


def _shape(given: Any) -> tuple[int, ...]:
    if not isinstance(given, tuple) or not all(type(n) is int and n >= 0 for n in given):
        raise PickleError(f"an array of shape {given!r:.60}")
    return given


def _dtype(given: Any) -> np.dtype:
    """Return the dtype that a pickle makes: of plain numbers alone."""
    code, order = given.arguments[0], given.state[1]
    if not re.fullmatch(r"[iuf][1248]", str(code)) or order not in ("<", ">", "=", "|"):
        raise PickleError(f"an array of dtype {code!r:.20}")
    return np.dtype(order + code)
