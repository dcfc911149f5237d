"""Arrays that are not there yet: a :class:`Symbolic` computes nothing and writes down what would.

``2 * x`` is an expression for a symbol ``x``. Everything else that a formula meets is an ordinary
value of Python, and ``lift`` writes it down where an expression needs it.
"""

import ast
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from .shapes import Axes, combined

# What a name in the written code is of, by the module that has it.
_PREFIXES = {"numpy": "np.", "math": "math.", "builtins": ""}
# Functions that are imported by their names, from where.
IMPORTED = {"product": "itertools", "sliding_window_view": "numpy.lib.stride_tricks"}
# Around the code of a symbol in a text, such as the message of an error.
_QUOTE = "\0"


class NotSpecializable(ValueError):
    """A formula has something in it that is not understood here."""


class Record(Protocol):
    """What a symbol needs of the function that is being written."""

    def write(self, statement: ast.stmt) -> None:
        """Add a statement."""
        ...

    def name(self, value: Any, base: str, temporary: bool = False) -> None:
        """Let symbols be variables from here on, so that they can be used more than once."""
        ...


class Listed(list[Any]):
    """A list that is written as the call that made it."""

    def __init__(self, items: Sequence[Any], node: ast.expr) -> None:
        super().__init__(items)
        self.node = node


class Symbolic:
    """What is computed when the written code is run.

    Args:
        record: Where statements go.
        node: The expression.
        shape: Its shape; None if that is not known.
    """

    # NumPy's arrays leave operators to this class.
    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(self, record: Record, node: ast.expr, shape: Axes | None = None) -> None:
        self.record = record
        self.node = node
        self.axes = shape

    def but(self, node: ast.expr, shape: Axes | None = None) -> "Symbolic":
        """Return another symbol of the same function."""
        return Symbolic(self.record, node, shape)

    @property
    def shape(self) -> "tuple[int | Symbolic, ...] | Symbolic":
        """The lengths of the axes, of which a symbol stands for those that are not known."""
        if self.axes is None:
            return self.but(ast.Attribute(self.node, "shape"))
        self.record.name(self, "x", temporary=True)
        return tuple(self.length(axis) for axis in range(len(self.axes)))

    @property
    def ndim(self) -> "int | Symbolic":
        return self.but(ast.Attribute(self.node, "ndim")) if self.axes is None else len(self.axes)

    def length(self, axis: int) -> "int | Symbolic":
        """Return the length of an axis."""
        known = None if self.axes is None else self.axes[axis]
        if known is not None:
            return known
        if axis == 0:
            return self.but(ast.Call(ast.Name("len"), [self.node], []))
        return self.but(ast.Subscript(ast.Attribute(self.node, "shape"), ast.Constant(axis)))

    def __getattr__(self, name: str) -> "Symbolic":
        if name.startswith("__"):  # which Python and NumPy ask every object for
            raise AttributeError(name)
        return self.but(ast.Attribute(self.node, name))

    def __call__(self, *given: Any, **named: Any) -> "Symbolic":
        return self.but(call_of(self.node, given, named))

    def reshape(self, *given: Any) -> "Symbolic":
        shape = given[0] if len(given) == 1 else given
        return self.but(call_of(ast.Attribute(self.node, "reshape"), given, {}), reshaped(shape))

    def append(self, item: Any) -> None:
        """Write down that a list, which only the written code knows, gets one more item."""
        self.record.write(ast.Expr(call_of(ast.Attribute(self.node, "append"), [item], {})))

    def __getitem__(self, index: Any) -> "Symbolic":
        place = _index_of(index)
        return self if place is None else self.but(ast.Subscript(self.node, place))

    def __iadd__(self, other: Any) -> "Symbolic":
        if not isinstance(self.node, ast.Subscript):  # a variable gets another value
            return cast(Any, self) + other
        self.record.write(ast.AugAssign(self.node, ast.Add(), lift(other)))
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        place = ast.unparse(self[index].node)
        # Python ends ``x[i] += y`` with it, which is written down by then.
        if not isinstance(value, Symbolic) or ast.unparse(value.node) != place:
            raise NotSpecializable(f"Expected += alone in an array. Received: {place} = ...")

    def __iter__(self) -> "Iterator[Symbolic]":
        # In ``(-1, *shape)`` it stands for as many items as the written code will find.
        yield self.but(ast.Starred(self.node))

    def __bool__(self) -> bool:
        raise NotSpecializable(f"Expected what is known before. Received: {ast.unparse(self.node)}")

    def __format__(self, form: str) -> str:
        if form:
            raise NotSpecializable(f"Expected {{...}} in a text. Received: {{...:{form}}}")
        return f"{_QUOTE}{ast.unparse(self.node)}{_QUOTE}"


# Operators

_BINARY: dict[str, type[ast.operator | ast.cmpop]] = {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "truediv": ast.Div, "floordiv": ast.FloorDiv,
    "mod": ast.Mod, "pow": ast.Pow, "matmul": ast.MatMult, "and": ast.BitAnd, "or": ast.BitOr,
    "eq": ast.Eq, "ne": ast.NotEq, "lt": ast.Lt, "le": ast.LtE, "gt": ast.Gt, "ge": ast.GtE,
}  # fmt: skip
_UNARY: dict[str, type[ast.unaryop]] = {"neg": ast.USub, "pos": ast.UAdd, "invert": ast.Invert}


def axes_of(value: Any) -> Axes | None:
    """Return the shape of a symbol; None if it is not known, or the value is another."""
    return value.axes if isinstance(value, Symbolic) else None


def reshaped(lengths: Any) -> Axes | None:
    """Return the shape that ``reshape`` is asked for; -1, or a symbol, is a length not known."""
    given: Any = lengths if isinstance(lengths, tuple | list) else [lengths]
    nodes = [n.node for n in given if isinstance(n, Symbolic)]
    if isinstance(lengths, Symbolic) or any(isinstance(node, ast.Starred) for node in nodes):
        return None
    return tuple(n if isinstance(n, int) and n != -1 else None for n in given)


def binary(op: ast.operator | ast.cmpop, a: Any, b: Any) -> Symbolic:
    """Return ``a op b``, of which one is a symbol at least."""
    one: Symbolic = a if isinstance(a, Symbolic) else b
    left, right = lift(a), lift(b)
    axes = [side.axes if isinstance(side, Symbolic) else () for side in (a, b)]
    calculates = isinstance(op, ast.operator)
    node = ast.BinOp(left, op, right) if calculates else ast.Compare(left, [op], [right])
    return one.but(node, combined(op, *axes))


for _name, _binary in _BINARY.items():
    setattr(Symbolic, f"__{_name}__", lambda a, b, op=_binary: binary(op(), a, b))
    setattr(Symbolic, f"__r{_name}__", lambda b, a, op=_binary: binary(op(), a, b))
for _name, _unary in _UNARY.items():
    setattr(Symbolic, f"__{_name}__", lambda a, op=_unary: a.but(ast.UnaryOp(op(), a.node), a.axes))


# Values as code


def lift(value: Any) -> ast.expr:
    """Return the expression of a value."""
    if isinstance(value, Symbolic | Listed):
        return value.node
    if isinstance(value, str) and _QUOTE in value:
        return _text(value)
    if isinstance(value, np.integer):
        return ast.Constant(int(value))
    if type(value) is float and math.isinf(value):
        infinity = ast.Attribute(ast.Name("np"), "inf")
        return infinity if value > 0 else ast.UnaryOp(ast.USub(), infinity)
    if value is None or type(value) in (bool, int, float, str):
        return ast.Constant(value)
    if isinstance(value, tuple | list):
        nodes = [lift(item) for item in cast(Sequence[Any], value)]
        return ast.Tuple(nodes) if isinstance(value, tuple) else ast.List(nodes)
    if isinstance(value, range) and (value.start, value.step) == (0, 1):
        return call_of(ast.Name("range"), [value.stop], {})
    if isinstance(value, range | slice):
        ends = (value.start, value.stop, value.step)
        return call_of(ast.Name(type(value).__name__), ends, {})
    return ast.parse(path_of(value), mode="eval").body


def _text(value: str) -> ast.expr:
    """Return a text in which symbols were written."""
    parts: list[ast.expr] = []
    for i, part in enumerate(value.split(_QUOTE)):
        code = ast.parse(part, mode="eval").body if i % 2 else None
        parts.append(ast.FormattedValue(code, -1) if code else ast.Constant(part))
    return ast.JoinedStr([part for part in parts if getattr(part, "value", None) != ""])


def call_of(function: ast.expr, given: Sequence[Any], named: Mapping[str, Any]) -> ast.expr:
    """Return the expression of a call."""
    keywords = [ast.keyword(name, lift(value)) for name, value in named.items()]
    return ast.Call(function, [lift(value) for value in given], keywords)


def path_of(function: Any) -> str:
    """Return how the written code calls a function or type of NumPy's or Python's.

    Raises:
        NotSpecializable: It is none of these.
    """
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{name}"
    module = getattr(function, "__module__", "")
    if name and IMPORTED.get(name) == module:
        return name
    if not name or module not in _PREFIXES:
        raise NotSpecializable(f"Expected a value that can be written. Received: {function!r}")
    return f"{_PREFIXES[module]}{name}"


def _index_of(index: Any) -> ast.expr | None:
    """Return the expression of an index; None if it takes everything."""
    if not isinstance(index, tuple):
        return _index_part(index)
    parts = list(cast(Sequence[Any], index))
    while parts and _is_everything(parts[-1]):
        parts.pop()
    nodes = [_index_part(part) for part in parts]
    if not nodes:
        return None
    return nodes[0] if len(nodes) == 1 and isinstance(nodes[0], ast.Slice) else ast.Tuple(nodes)


def _index_part(part: Any) -> ast.expr:
    if not isinstance(part, slice):
        return lift(part)
    step = None if isinstance(part.step, int) and part.step == 1 else part.step
    ends = (part.start, part.stop, step)
    return ast.Slice(*(None if end is None else lift(end) for end in ends))


def _is_everything(part: Any) -> bool:
    if not isinstance(part, slice) or part.start is not None or part.stop is not None:
        return False
    return part.step is None or part.step == 1
