"""A formula of this project, worked out as far as a layer's settings allow.

``LSTM.compute`` serves every LSTM: it asks for settings that are known as soon as there is a layer,
and computes with arrays that are not known before the network is used. A :class:`Specializer` runs
such a function with the former as they are and the latter as pieces of code. What depends on
settings alone is done at once, so that ``if self.use_bias`` leaves one of its branches; what
remains is written down as statements. Functions that it calls are written down in the same place,
but an activation function gets one of its own. So what comes out is the very formula that trains
and is compared with Keras's, for one layer. (In the literature: partial evaluation.)

Every variable that is written has a name of its own, such as ``z·3``; ``tidying`` gives it back the
name that it has in the source. Nothing that computes on arrays writes to them here: what NumPy
writes into ``out`` becomes the new value of that variable.
"""

import ast
import builtins
import inspect
import itertools
import math
import operator
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any, Protocol

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.fused import Rule
from numpy_impl.layers import Layer

# The axes of an array; None is a length that is not known before.
Axes = tuple[int | None, ...]
# Between a variable's name and its number.
MARK = "·"


class NotSpecializable(ValueError):
    """A formula has something in it that this module does not know."""


@dataclass
class Known:
    """A value that is known; ``code`` says how it is written, if that is not its literal."""

    value: Any
    code: ast.expr | None = None


@dataclass
class Code:
    """What is computed when the written code is run, and its axes if they are known."""

    node: ast.expr
    shape: Axes | None = None


@dataclass
class Several:
    """A tuple or list of values."""

    items: "list[Value]"
    kind: type = tuple


@dataclass
class Named:
    """Values by name: the weights of a layer."""

    items: "dict[str, Value]"


@dataclass
class Nested:
    """A function that is defined in another, with the variables of that."""

    node: ast.FunctionDef | ast.Lambda
    frame: "Frame"


@dataclass
class Method:
    """A method of values that are together."""

    owner: Several | Named
    name: str


Value = Known | Code | Several | Named | Nested | Method


@dataclass
class Frame:
    """The variables of a function that is being run, and what it finds outside."""

    outside: Mapping[str, Any]
    variables: dict[str, Value] = field(default_factory=dict)
    above: "Frame | None" = None


class Functions(Protocol):
    """Where functions get a definition of their own."""

    def define(self, function: FunctionType, name: str, arguments: Mapping[str, Value]) -> str:
        """Return the name under which a function, given what is known, is defined."""
        ...


@cache
def _file(path: str) -> ast.Module:
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read())


@cache
def source_of(function: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """Return what defines a function.

    Raises:
        OSError: Its file is not there.
    """
    if function.__name__ != "<lambda>":
        text = textwrap.dedent(inspect.getsource(function))
        found = ast.parse(text).body[0]
        assert isinstance(found, ast.FunctionDef)
        return found
    code = function.__code__
    # The first instructions of a function stand nowhere in its body.
    spans = [p for p in code.co_positions() if p[2] != p[3] and None not in p]
    for node in ast.walk(_file(code.co_filename)):
        if isinstance(node, ast.Lambda):
            body = node.body
            start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
            if all(start <= (p[0], p[2]) and (p[1], p[3]) <= end for p in spans):
                return node
    raise NotSpecializable(f"Expected the source of a lambda. Received: {code}")


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Pow: operator.pow, ast.MatMult: operator.matmul, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.USub: operator.neg, ast.UAdd: operator.pos,
    ast.Not: operator.not_, ast.Invert: operator.invert, ast.Eq: operator.eq,
    ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
# What has no effect and may be called at once on what is known.
_PURE = (
    abs, all, any, bool, dict, enumerate, float, getattr, int, isinstance, len, list, map, max, min,
    range, reversed, slice, sorted, str, sum, tuple, zip,
)  # fmt: skip
# Calls that the book writes with a sign or a shorter name.
_SIGNS: dict[str, type[ast.operator]] = {
    "np.add": ast.Add, "np.subtract": ast.Sub, "np.multiply": ast.Mult, "np.divide": ast.Div,
}  # fmt: skip
_SHORTER = {"np.add.reduce": "np.sum", "np.maximum.reduce": "np.max"}
# Functions of arrays whose result has the shape of their first argument.
_SAME_SHAPE = ("np.exp", "np.tanh", "np.square", "np.sqrt", "np.abs", "np.zeros_like", "np.flip")


class Specializer:
    """Runs functions with some values known, and writes down the rest.

    Args:
        functions: Where functions go that get a definition of their own.

    Attributes:
        statements: What was written down.
        bases: For each variable, its name in the source.
        names: For some, a better one, by which whoever called for it goes on.
        temporary: Variables that the source has no name for.
        imports: The statement that imports a name, for those of other modules.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self.statements: list[ast.stmt] = []
        self.bases: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.temporary: set[str] = set()
        self._returned: set[str] = set()
        self.imports: dict[str, str] = {}
        self._block = self.statements
        # What a layer inside another gives for its inputs.
        self.inner: Callable[[Layer, Value], Value] | None = None

    # Functions

    def call(self, function: Any, /, *arguments: Value, **named: Value) -> Value:
        """Run a function or method of the project; write down what is left of it.

        Raises:
            NotSpecializable: It has a statement, or makes a call, that is not known here.
        """
        function = inspect.unwrap(function)
        if isinstance(function, MethodType):
            arguments = (Known(function.__self__), *arguments)
            function = function.__func__
        given = inspect.signature(function).bind(*arguments, **named)
        given.apply_defaults()
        free = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        outside = {**function.__globals__, **{name: cell.cell_contents for name, cell in free}}
        frame, count = Frame(outside), len(self.bases)
        for name, value in given.arguments.items():
            if isinstance(value, tuple):
                value = Several([v if isinstance(v, Value) else Known(v) for v in value])
            known = value if isinstance(value, Value) else Known(value)
            frame.variables[name] = self._named(known, name, temporary=True)
        result = self._run(source_of(function), frame)
        # Whoever called it may have a better name for what it returns; what is behind an output is
        # for the way back.
        leaves: list[ast.expr] = []
        _leaves(result.items[0] if isinstance(result, Several) and result.items else result, leaves)
        names = {leaf.id for leaf in leaves if isinstance(leaf, ast.Name)}
        self._returned |= names & {*list(self.bases)[count:]}
        return result

    def _run(self, node: ast.FunctionDef | ast.Lambda, frame: Frame) -> Value:
        if isinstance(node, ast.Lambda):
            return self._value(node.body, frame)
        result = self._execute(node.body, frame)
        return Known(None) if result is None else result

    def _call_nested(self, nested: Nested, arguments: Sequence[Value]) -> Value:
        frame = Frame(nested.frame.outside, above=nested.frame)
        for place, value in zip(nested.node.args.args, arguments, strict=True):
            frame.variables[place.arg] = self._named(value, place.arg, temporary=True)
        return self._run(nested.node, frame)

    # Variables

    def fresh(self, base: str, temporary: bool = False) -> str:
        """Return the name of a new variable."""
        name = f"{base}{MARK}{len(self.bases)}"
        self.bases[name] = base
        if temporary:
            self.temporary.add(name)
        return name

    def _named(self, value: Value, base: str, temporary: bool = False) -> Value:
        """Return a value whose code is a variable, so that it can be used more than once."""
        if isinstance(value, Code):
            if isinstance(value.node, ast.Name):
                own = value.node.id
                if not temporary and (own in self.temporary or own in self._returned):
                    self.names[own] = base
                    self._returned.discard(own)
                return value
            name = self.fresh(base, temporary)
            self._block.append(_assign(name, value.node))
            return Code(ast.Name(name), value.shape)
        if isinstance(value, Several):
            done: dict[int, Value] = {}
            for i, item in enumerate(value.items):
                if id(item) not in done:
                    done[id(item)] = self._named(item, base, temporary=True)
                value.items[i] = done[id(item)]
        return value

    def _bind(
        self, target: ast.expr, value: Value, frame: Frame, temporary: bool = False
    ) -> None:
        if isinstance(target, ast.Name):
            frame.variables[target.id] = self._named(value, target.id, temporary)
        elif isinstance(target, ast.Tuple):
            items = _items(value)
            if items is None:
                names = [self._pattern(part, frame) for part in target.elts]
                self._block.append(ast.Assign([ast.Tuple(names)], lift(value)))
                return
            for part, item in zip(target.elts, items, strict=True):
                self._bind(part, item, frame, temporary)
        elif isinstance(target, ast.Subscript):
            place = lift(self._value(target, frame))
            self._block.append(ast.Assign([place], lift(value)))
        elif not isinstance(target, ast.Attribute):  # what a layer keeps for the way back
            raise NotSpecializable(f"Expected a known target. Received: {ast.unparse(target)}")

    def _pattern(self, target: ast.expr, frame: Frame) -> ast.expr:
        """Return what is assigned to in the written code, of new variables."""
        if isinstance(target, ast.Tuple):
            return ast.Tuple([self._pattern(part, frame) for part in target.elts])
        assert isinstance(target, ast.Name)
        name = self.fresh(target.id)
        frame.variables[target.id] = Code(ast.Name(name))
        return ast.Name(name)

    # Statements

    def _execute(self, body: Sequence[ast.stmt], frame: Frame) -> Value | None:
        """Run statements; return what a ``return`` among them gives."""
        for statement in body:
            result = self._execute_one(statement, frame)
            if result is not None:
                return result
        return None

    def _execute_one(self, s: ast.stmt, frame: Frame) -> Value | None:
        match s:
            case ast.Return(value=node):
                return Known(None) if node is None else self._value(node, frame)
            case ast.Assign(targets=[target], value=node):
                self._bind(target, self._value(node, frame), frame)
            case ast.AnnAssign(target=target, value=node) if node is not None:
                self._bind(target, self._value(node, frame), frame)
            case ast.AugAssign(target=ast.Name() as target, op=op, value=node):
                self._bind(target, self._value(ast.BinOp(target, op, node), frame), frame)
            case ast.AugAssign(target=target, op=op, value=node):
                place, new = (lift(self._value(part, frame)) for part in (target, node))
                self._block.append(ast.AugAssign(place, op, new))  # pyright: ignore
            case ast.If():
                return self._branch(s, frame)
            case ast.For():
                self._loop(s, frame)
            case ast.With(items=[ast.withitem(context_expr=node, optional_vars=None)], body=body):
                inner = ast.With([ast.withitem(lift(self._value(node, frame)))], [])
                return self._inside(inner, inner.body, body, frame)
            case ast.FunctionDef(name=name):
                frame.variables[name] = Nested(s, frame)
            case ast.Raise(exc=ast.expr() as node):
                self._block.append(ast.Raise(lift(self._value(node, frame))))
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Expr(value=node):
                value = self._value(node, frame)
                if isinstance(value, Code):
                    # Of calls, only what adds to a list has an effect.
                    call = value.node
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                        if call.func.attr == "append":
                            self._block.append(ast.Expr(call))
            case _:
                raise NotSpecializable(f"Expected a known statement. Received: {ast.unparse(s)}")
        return None

    def _inside(
        self, outer: ast.stmt, block: list[ast.stmt], body: Sequence[ast.stmt], frame: Frame
    ) -> Value | None:
        """Write down a body into a block of an outer statement."""
        self._block.append(outer)
        above, self._block = self._block, block
        try:
            return self._execute(body, frame)
        finally:
            self._block = above

    def _branch(self, s: ast.If, frame: Frame) -> Value | None:
        test = self._value(s.test, frame)
        if not isinstance(test, Code):
            return self._execute(s.body if _truth(test) else s.orelse, frame)
        if s.orelse:
            raise NotSpecializable(f"Expected no else. Received: {ast.unparse(s)}")
        inner, before = ast.If(test.node, [], []), dict(frame.variables)
        result = self._inside(inner, inner.body, s.body, frame)
        changed = any(frame.variables[name] is not value for name, value in before.items())
        if result is not None or changed:
            raise NotSpecializable(f"Expected a branch that ends here. Received: {ast.unparse(s)}")
        frame.variables = before
        return None

    def _loop(self, s: ast.For, frame: Frame) -> None:
        over = self._value(s.iter, frame)
        items = _items(over)
        if items is not None and not (isinstance(over, Known) and isinstance(over.value, range)):
            for item in items:
                self._bind(s.target, item, frame, temporary=True)
                if self._execute(s.body, frame) is not None:
                    raise NotSpecializable("Expected no return in a loop. Received: one")
            return
        assigned, added = _changed(s.body)
        for name in added & frame.variables.keys():
            frame.variables[name] = self._materialized(frame.variables[name], name)
        carried = sorted(assigned & frame.variables.keys())
        leaves: list[str] = []
        for name in carried:
            frame.variables[name] = self._carried(frame.variables[name], name, leaves)
        pattern = self._pattern(s.target, frame)
        loop = ast.For(pattern, lift(over), [], [])
        if self._inside(loop, loop.body, s.body, frame) is not None:
            raise NotSpecializable("Expected no return in a loop. Received: one")
        after: list[ast.expr] = []
        for name in carried:
            _leaves(frame.variables[name], after)
        if len(after) != len(leaves):
            raise NotSpecializable("Expected a state of the same parts. Received: another")
        if leaves:
            one = len(leaves) == 1
            targets = [ast.Name(name) for name in leaves]
            target = targets[0] if one else ast.Tuple(list(targets))
            loop.body.append(ast.Assign([target], after[0] if one else ast.Tuple(after)))
        rest = iter(leaves)
        for name in carried:
            frame.variables[name] = _again(frame.variables[name], rest)

    def _materialized(self, value: Value, base: str) -> Value:
        if isinstance(value, Several):
            name = self.fresh(base)
            self._block.append(_assign(name, lift(value)))
            return Code(ast.Name(name))
        return value

    def _carried(self, value: Value, base: str, leaves: list[str]) -> Value:
        """Return a value as variables that a loop writes again each time."""
        if isinstance(value, Several):
            parts = [self._carried(item, base, leaves) for item in value.items]
            return Several(parts, value.kind)
        name = self.fresh(base, temporary=True)
        self._block.append(_assign(name, lift(value)))
        leaves.append(name)
        return Code(ast.Name(name), value.shape if isinstance(value, Code) else None)

    # Expressions

    def _value(self, e: ast.expr, frame: Frame) -> Value:
        match e:
            case ast.Constant(value=value):
                return Known(value)
            case ast.Name(id=name):
                return self._variable(name, frame)
            case ast.Attribute(value=node, attr=name):
                return self._attribute(self._value(node, frame), name)
            case ast.Subscript(value=node, slice=index):
                return self._part(self._value(node, frame), self._value(index, frame))
            case ast.Slice(lower=lower, upper=upper, step=step):
                ends = [None if n is None else self._value(n, frame) for n in (lower, upper, step)]
                if all(end is None or isinstance(end, Known) for end in ends):
                    return Known(slice(*(end.value if end else None for end in ends)))  # pyright: ignore
                return Code(ast.Slice(*(None if end is None else lift(end) for end in ends)))
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                kind = tuple if isinstance(e, ast.Tuple) else list
                return self._several(elements, kind, frame)
            case ast.Dict(keys=keys, values=values):
                return self._dictionary(keys, values, frame)
            case ast.Call():
                return self._call(e, frame)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                found = self._value(test, frame)
                if isinstance(found, Code):
                    both = (lift(self._value(node, frame)) for node in (body, orelse))
                    return Code(ast.IfExp(found.node, *both))
                return self._value(body if _truth(found) else orelse, frame)
            case ast.BoolOp(op=op, values=values):
                return self._either(op, values, frame)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._value(left, frame), self._value(right, frame))
            case ast.UnaryOp(op=op, operand=operand):
                value = self._value(operand, frame)
                if isinstance(value, Code):
                    return Code(ast.UnaryOp(op, value.node), value.shape)
                if isinstance(op, ast.Not):
                    return Known(not _truth(value))
                return Known(_OPERATORS[type(op)](_known(value)))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._comparison(op, self._value(left, frame), self._value(right, frame))
            case ast.GeneratorExp() | ast.ListComp():
                return self._comprehension(e, frame)
            case ast.DictComp(key=key, value=value, generators=[generator]):
                items: dict[str, Value] = {}
                for inner in self._rounds(generator, frame) or ():
                    items[_known(self._value(key, inner))] = self._value(value, inner)
                return Named(items)
            case ast.JoinedStr(values=values):
                return self._text(values, frame)
            case ast.Lambda():
                return Nested(e, frame)
        raise NotSpecializable(f"Expected a known expression. Received: {ast.unparse(e)}")

    def _variable(self, name: str, frame: Frame) -> Value:
        inner: Frame | None = frame
        while inner is not None:
            if name in inner.variables:
                return inner.variables[name]
            inner = inner.above
        if name in frame.outside:
            value = frame.outside[name]
            if isinstance(value, ModuleType):
                alias = "" if value.__name__ == name else f" as {name}"
                self.imports[name] = f"import {value.__name__}{alias}"
                return Known(value, ast.Name(name))
            module = getattr(value, "__module__", None) if callable(value) else None
            if module is None or _is_ours(module):
                return Known(value)
            self.imports[name] = f"from {module} import {name}"
            return Known(value, ast.Name(name))
        if not hasattr(builtins, name):
            raise NotSpecializable(f"Expected a variable with a value. Received: {name}")
        return Known(getattr(builtins, name), ast.Name(name))

    def _attribute(self, owner: Value, name: str) -> Value:
        if isinstance(owner, Known):
            value = getattr(owner.value, name)
            if isinstance(value, np.ndarray):
                raise NotSpecializable(f"Expected arrays as arguments. Received: .{name}")
            return Known(value, None if owner.code is None else ast.Attribute(owner.code, name))
        if isinstance(owner, Several | Named):
            return Method(owner, name)
        assert isinstance(owner, Code)
        if owner.shape is not None and name == "ndim":
            return Known(len(owner.shape))
        if owner.shape is not None and name == "shape":
            own = self._named(owner, "x", temporary=True)
            return Several([self._length(own, axis) for axis in range(len(owner.shape))])
        return Code(ast.Attribute(owner.node, name))

    def _length(self, array: Value, axis: int) -> Value:
        assert isinstance(array, Code)
        n = None if array.shape is None else array.shape[axis]
        if n is not None:
            return Known(n)
        if axis == 0:
            return Code(ast.Call(ast.Name("len"), [array.node], []))
        return Code(ast.Subscript(ast.Attribute(array.node, "shape"), ast.Constant(axis)))

    def _part(self, owner: Value, index: Value) -> Value:
        if isinstance(owner, Named):
            return owner.items[_known(index)]
        if isinstance(owner, Several) and isinstance(index, Known):
            part = owner.items[index.value]
            return Several(part, owner.kind) if isinstance(part, list) else part
        if isinstance(owner, Known) and isinstance(index, Known):
            return Known(owner.value[index.value])
        assert isinstance(owner, Code)
        place = _index(index)
        return owner if place is None else Code(ast.Subscript(owner.node, place))

    def _several(self, elements: Sequence[ast.expr], kind: type, frame: Frame) -> Value:
        items: list[Value] = []
        nodes: list[ast.expr] | None = None
        for element in elements:
            starred = isinstance(element, ast.Starred)
            value = self._value(element.value if starred else element, frame)
            found = _items(value) if starred else [value]
            if found is None and nodes is None:  # so many that only the written code knows
                nodes = [lift(item) for item in items]
            if nodes is None:
                items += found or []
            else:
                nodes += [ast.Starred(lift(value))] if found is None else map(lift, found)
        if nodes is not None:
            return Code(ast.Tuple(nodes) if kind is tuple else ast.List(nodes))
        return Several(items, kind)

    def _dictionary(
        self, keys: Sequence[ast.expr | None], values: Sequence[ast.expr], frame: Frame
    ) -> Value:
        items: dict[str, Value] = {}
        for key, node in zip(keys, values, strict=True):
            value = self._value(node, frame)
            if key is None:
                assert isinstance(value, Named)
                items |= value.items
            else:
                items[_known(self._value(key, frame))] = value
        return Named(items)

    def _either(self, op: ast.boolop, values: Sequence[ast.expr], frame: Frame) -> Value:
        ends = isinstance(op, ast.Or)
        nodes: list[ast.expr] = []
        last: Value = Known(not ends)
        for node in values:
            last = self._value(node, frame)
            if isinstance(last, Code):
                nodes.append(last.node)
            elif _truth(last) == ends:
                if nodes:
                    nodes.append(lift(last))
                break
        if not nodes:
            return last
        return Code(nodes[0] if len(nodes) == 1 else ast.BoolOp(op, nodes))

    def _binary(self, op: ast.operator, left: Value, right: Value) -> Value:
        if isinstance(left, Several) and not isinstance(right, Code):
            if isinstance(op, ast.Add):
                return Several([*left.items, *(_items(right) or [])], left.kind)
            if isinstance(op, ast.Mult):
                return Several(left.items * _known(right), left.kind)
        if isinstance(left, Known) and isinstance(right, Known):
            return Known(_OPERATORS[type(op)](left.value, right.value))
        axes = [side.shape if isinstance(side, Code) else () for side in (left, right)]
        return Code(ast.BinOp(lift(left), op, lift(right)), _combined(op, *axes))

    def _comparison(self, op: ast.cmpop, left: Value, right: Value) -> Value:
        if isinstance(op, ast.Is | ast.IsNot) and isinstance(right, Known):
            same = isinstance(left, Known) and left.value is right.value
            return Known(same == isinstance(op, ast.Is))
        if isinstance(right, Named):
            return Known(_OPERATORS[type(op)](_known(left), right.items))
        if isinstance(left, Code) or isinstance(right, Code):
            axes = [side.shape if isinstance(side, Code) else () for side in (left, right)]
            node = ast.Compare(lift(left), [op], [lift(right)])
            return Code(node, _combined(ast.Add(), *axes))
        return Known(_OPERATORS[type(op)](_known(left), _known(right)))

    def _text(self, values: Sequence[ast.expr], frame: Frame) -> Value:
        parts: list[ast.expr] = []
        for node in values:
            if not isinstance(node, ast.FormattedValue):
                parts.append(node)
                continue
            value = self._value(node.value, frame)
            if isinstance(value, Code):
                parts.append(ast.FormattedValue(value.node, node.conversion, node.format_spec))
            else:
                shown = repr(_known(value)) if node.conversion == ord("r") else str(_known(value))
                parts.append(ast.Constant(shown))
        if all(isinstance(part, ast.Constant) for part in parts):
            return Known("".join(part.value for part in parts))  # pyright: ignore
        return Code(ast.JoinedStr(parts))

    # Comprehensions

    def _comprehension(self, e: ast.GeneratorExp | ast.ListComp, frame: Frame) -> Value:
        if len(e.generators) != 1:
            raise NotSpecializable(f"Expected one for. Received: {ast.unparse(e)}")
        kind = list if isinstance(e, ast.ListComp) else tuple
        rounds = self._rounds(e.generators[0], frame)
        if rounds is not None:
            return Several([self._value(e.elt, inner) for inner in rounds], kind)
        over = lift(self._value(e.generators[0].iter, frame))
        inner, count = Frame(frame.outside, above=frame), len(self._block)
        target = self._pattern(e.generators[0].target, inner)
        element = lift(self._value(e.elt, inner))
        if len(self._block) != count or e.generators[0].ifs:
            raise NotSpecializable(f"Expected a plain comprehension. Received: {ast.unparse(e)}")
        return Code(type(e)(element, [ast.comprehension(target, over, [], 0)]))

    def _rounds(self, generator: ast.comprehension, frame: Frame) -> list[Frame] | None:
        """Return the variables of each round; None if their number is not known."""
        items = _items(self._value(generator.iter, frame))
        if items is None:
            return None
        rounds: list[Frame] = []
        for item in items:
            inner = Frame(frame.outside, above=frame)
            self._bind(generator.target, item, inner, temporary=True)
            if all(_truth(self._value(test, inner)) for test in generator.ifs):
                rounds.append(inner)
        return rounds

    # Calls

    def _call(self, e: ast.Call, frame: Frame) -> Value:
        if isinstance(e.func, ast.Attribute) and _is_super(e.func.value):
            owner = _known(self._variable("self", frame))
            above = super(frame.outside["__class__"], owner)
            function: Value = Known(getattr(above, e.func.attr))
        else:
            function = self._value(e.func, frame)
        packed = self._several(e.args, tuple, frame)
        if isinstance(packed, Code):
            assert isinstance(packed.node, ast.Tuple)
            arguments: list[Value] = [Code(node) for node in packed.node.elts]
        else:
            assert isinstance(packed, Several)
            arguments = packed.items
        named: dict[str, Value] = {}
        written: str | None = None
        for keyword in e.keywords:
            value = self._value(keyword.value, frame)
            if keyword.arg is None:
                assert isinstance(value, Named)
                named |= value.items
            elif keyword.arg != "out":
                named[keyword.arg] = value
            elif not isinstance(value, Known):
                assert isinstance(keyword.value, ast.Name)
                written = keyword.value.id
        if isinstance(function, Known) and isinstance(function.value, Rule):
            return self._rule(function.value, e.args, arguments, frame)
        result = self._result(function, arguments, named)
        if written is not None:
            frame.variables[written] = result = self._named(result, written)
        return result

    def _rule(
        self, rule: Rule, nodes: Sequence[ast.expr], arguments: Sequence[Value], frame: Frame
    ) -> Value:
        """Run a rule; what it writes are the new values of these variables."""
        result = self.call(rule.formula, *arguments[: len(rule.kinds)])
        results = [result] if len(rule.places) == 1 else _items(result) or []
        for place, new in zip(rule.places, results, strict=True):
            self._bind(nodes[place], new, frame)
        return Known(None)

    def _result(
        self, function: Value, arguments: list[Value], named: dict[str, Value]
    ) -> Value:
        if isinstance(function, Nested):
            return self._call_nested(function, arguments)
        if isinstance(function, Method):
            return _call_method(function, arguments)
        if isinstance(function, Code):
            if isinstance(function.node, ast.Attribute) and function.node.attr == "reshape":
                own = Code(function.node.value)
                shape = arguments[0] if len(arguments) == 1 else Several(list(arguments))
                return Code(_written(function.node, arguments, named), _reshaped(own, shape))
            return Code(_written(function.node, arguments, named))
        assert isinstance(function, Known)
        return self._result_of(function, arguments, named)

    def _result_of(
        self, function: Known, arguments: list[Value], named: dict[str, Value]
    ) -> Value:
        f = function.value
        if isinstance(f, ActivationFunction):
            return self._activation(f, arguments[0])
        owner = getattr(f, "__self__", None)
        if self.inner is not None and isinstance(owner, Layer) and f.__name__ == "forward":
            return self.inner(owner, arguments[0])
        everything = [*arguments, *named.values()]
        if f is len and isinstance(arguments[0], Several | Named):
            return Known(len(arguments[0].items))
        if f is len and isinstance(arguments[0], Code) and arguments[0].shape is not None:
            return self._length(arguments[0], 0)
        if f in (tuple, list) and arguments and isinstance(arguments[0], Several):
            return Several(list(arguments[0].items), f)
        if f in (zip, reversed) and all(_items(one) is not None for one in arguments):
            columns = [_items(one) or [] for one in arguments]
            if f is reversed:
                return Several(columns[0][::-1], list)
            return Several([Several(list(row)) for row in zip(*columns, strict=True)], list)
        if all(_is_known(value) for value in everything):
            values = [_known(value) for value in arguments]
            if f is itertools.product:
                code = ast.Call(ast.Name("product"), [literal(value) for value in values], [])
                return Known(list(f(*values)), code)
            methods = str | dict | tuple | list
            if _is_in(f, _PURE) or isinstance(getattr(f, "__self__", None), methods) or (
                getattr(f, "__module__", None) == "math"
            ):
                result = f(*values, **{k: _known(v) for k, v in named.items() if k != "strict"})
                return Known(list(result) if isinstance(result, map | zip | reversed) else result)
        inner = inspect.unwrap(f) if callable(f) else f
        if isinstance(inner, FunctionType | MethodType) and _is_ours(inner.__module__):
            return self._ours(inner, arguments, named)
        if function.code is None:
            raise NotSpecializable(f"Expected a function with a name. Received: {f}")
        return self._numpy(function.code, arguments, named)

    def _ours(
        self, function: Any, arguments: list[Value], named: dict[str, Value]
    ) -> Value:
        simple = isinstance(function, FunctionType) and "<" not in function.__qualname__
        if not simple or function.__module__ != ActivationFunction.__module__:
            return self.call(function, *arguments, **named)
        return self._own_function(function, function.__name__.strip("_"), arguments)

    def _own_function(self, function: FunctionType, name: str, arguments: list[Value]) -> Value:
        """Call a function that gets a definition of its own."""
        names = list(inspect.signature(function).parameters)
        given = dict(zip(names, arguments, strict=False))
        name = self._functions.define(function, name, given)
        taken = [value for value in given.values() if isinstance(value, Code)]
        return Code(ast.Call(ast.Name(name), [value.node for value in taken], []), taken[0].shape)

    def _activation(self, function: ActivationFunction, z: Value) -> Value:
        formula: Any = function.value
        if function.name == "linear":
            return z
        if not isinstance(formula, FunctionType):  # NumPy's own
            self.imports["np"] = "import numpy as np"
            code = ast.Attribute(ast.Name("np"), formula.__name__)
            return self._numpy(code, [z], {})
        # "leaky_relu(0.01)" has its constant in it.
        return self._own_function(formula, function.name.partition("(")[0], [z])

    def _numpy(self, code: ast.expr, arguments: list[Value], named: dict[str, Value]) -> Value:
        path = ast.unparse(code)
        if path in _SIGNS:
            return self._binary(_SIGNS[path](), *arguments)
        if path == "np.negative" and isinstance(arguments[0], Code):
            return Code(ast.UnaryOp(ast.USub(), arguments[0].node), arguments[0].shape)
        if path == "np.moveaxis" and isinstance(arguments[0], Code):
            array, start, end = arguments
            n = None if array.shape is None else len(array.shape)
            if n and isinstance(start, Known) and isinstance(start.value, int):
                if start.value % n == _known(end) % n:
                    return array
        if path in _SHORTER:
            code = ast.parse(_SHORTER[path], mode="eval").body
        kept = {k: v for k, v in named.items() if (k, v) != ("keepdims", Known(False))}
        return Code(_written(code, arguments, kept), _shape(path, arguments))


# Values as code


def lift(value: Value) -> ast.expr:
    """Return the code of a value."""
    if isinstance(value, Code):
        return value.node
    if isinstance(value, Several):
        nodes = [lift(item) for item in value.items]
        return ast.Tuple(nodes) if value.kind is tuple else ast.List(nodes)
    if isinstance(value, Known):
        return literal(value.value) if value.code is None else value.code
    raise NotSpecializable(f"Expected a value that can be written. Received: {value}")


def literal(value: Any) -> ast.expr:
    """Return the code of a known value."""
    if isinstance(value, float) and not isinstance(value, np.generic) and math.isinf(value):
        infinity = ast.Attribute(ast.Name("np"), "inf")
        return infinity if value > 0 else ast.UnaryOp(ast.USub(), infinity)
    if value is None or type(value) in (bool, int, float, str):
        return ast.Constant(value)
    if isinstance(value, np.integer):
        return ast.Constant(int(value))
    if isinstance(value, tuple | list):
        nodes = [literal(item) for item in value]
        return ast.Tuple(nodes) if isinstance(value, tuple) else ast.List(nodes)
    if isinstance(value, range | slice):
        ends = (value.start, value.stop, value.step)
        if isinstance(value, range) and ends[::2] == (0, 1):
            ends = (value.stop,)
        return ast.Call(ast.Name(type(value).__name__), [literal(end) for end in ends], [])
    raise NotSpecializable(f"Expected a value that can be written. Received: {value!r}")


def _index(index: Value) -> ast.expr | None:
    """Return the code of an index; None if it takes everything."""
    if isinstance(index, Code) and isinstance(index.node, ast.Tuple):
        return ast.Tuple([_as_slice(node) for node in index.node.elts])
    if isinstance(index, Code):
        return index.node
    parts = _items(index) if isinstance(index, Several) else None
    if parts is None and isinstance(index, Known) and isinstance(index.value, tuple):
        parts = [Known(part) for part in index.value]
    if parts is None:
        return _index_part(index)
    while parts and isinstance(parts[-1], Known) and _is_everything(parts[-1].value):
        parts = parts[:-1]
    if not parts:
        return None
    nodes = [_index_part(part) for part in parts]
    return nodes[0] if len(nodes) == 1 and isinstance(nodes[0], ast.Slice) else ast.Tuple(nodes)


def _as_slice(node: ast.expr) -> ast.expr:
    is_slice = isinstance(node, ast.Call) and ast.unparse(node.func) == "slice"
    if not is_slice:
        return node
    ends = [None if ast.unparse(end) == "None" else end for end in node.args]  # pyright: ignore
    return ast.Slice(*ends)


def _index_part(part: Value) -> ast.expr:
    if isinstance(part, Known) and isinstance(part.value, slice):
        s = part.value
        step = None if s.step == 1 else s.step
        return ast.Slice(*(None if end is None else literal(end) for end in (s.start, s.stop, step)))
    return lift(part)


def _is_everything(part: Any) -> bool:
    return isinstance(part, slice) and (part.start, part.stop) == (None, None) and (
        part.step in (None, 1)
    )


def _written(code: ast.expr, arguments: list[Value], named: dict[str, Value]) -> ast.expr:
    keywords = [ast.keyword(name, lift(value)) for name, value in named.items()]
    return ast.Call(code, [lift(value) for value in arguments], keywords)


def _assign(name: str, node: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name)], node)


# Known values


def _items(value: Value) -> list[Value] | None:
    """Return what a value consists of; None if that is not known."""
    if isinstance(value, Several):
        return list(value.items)
    if isinstance(value, Known) and isinstance(value.value, tuple | list | range):
        return [Known(item) for item in value.value]
    return None


def _is_known(value: Value) -> bool:
    if isinstance(value, Several):
        return all(_is_known(item) for item in value.items)
    return isinstance(value, Known)


def _known(value: Value) -> Any:
    if isinstance(value, Several):
        return value.kind(_known(item) for item in value.items)
    if isinstance(value, Known):
        return value.value
    raise NotSpecializable(f"Expected what is known before. Received: {ast.unparse(lift(value))}")


def _truth(value: Value) -> bool:
    if isinstance(value, Several | Named):
        return bool(value.items)
    return bool(_known(value))


def _is_in(function: Any, functions: Sequence[Any]) -> bool:
    return any(function is one for one in functions)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("numpy_impl", "parity")


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and (
        node.func.id == "super"
    )


def _call_method(method: Method, arguments: Sequence[Value]) -> Value:
    owner = method.owner
    if isinstance(owner, Several) and method.name == "append":
        owner.items.append(arguments[0])
        return Known(None)
    if isinstance(owner, Named) and method.name == "get":
        return owner.items.get(_known(arguments[0]), Known(None))
    if isinstance(owner, Named) and method.name == "items":
        return Several([Several([Known(name), value]) for name, value in owner.items.items()])
    raise NotSpecializable(f"Expected get, items or append. Received: {method.name}")


# Loops


def _changed(body: Sequence[ast.stmt]) -> tuple[set[str], set[str]]:
    """Return the variables that statements assign, and those that they add to."""
    assigned: set[str] = set()
    added: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                assigned.add(node.id)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                if node.func.attr == "append" and isinstance(owner, ast.Name):
                    added.add(owner.id)
    return assigned, added


def _leaves(value: Value, into: list[ast.expr]) -> None:
    """Add the code of every part of a value."""
    if isinstance(value, Several):
        for item in value.items:
            _leaves(item, into)
    elif isinstance(value, Code):
        into.append(value.node)
    elif isinstance(value, Known):
        into.append(ast.Constant(None) if value.code is None else value.code)


def _again(value: Value, names: Any) -> Value:
    if isinstance(value, Several):
        return Several([_again(item, names) for item in value.items], value.kind)
    return Code(ast.Name(next(names)), value.shape if isinstance(value, Code) else None)


# Shapes


def _combined(op: ast.operator, a: Axes | None, b: Axes | None) -> Axes | None:
    if a is None or b is None:
        return None
    if isinstance(op, ast.MatMult):
        return (*a[:-1], b[-1]) if len(a) >= 2 and len(b) == 2 else None
    if len(a) < len(b):
        a, b = b, a
    ends = zip(a[len(a) - len(b) :], b, strict=True)
    return (*a[: len(a) - len(b)], *(n if m in (1, n) else m if n == 1 else None for n, m in ends))


def _reshaped(array: Code, shape: Value) -> Axes | None:
    items = _items(shape)
    if items is None:
        return None
    known = [item.value if isinstance(item, Known) else None for item in items]
    return tuple(None if n == -1 else n for n in known)


def _shape(path: str, arguments: list[Value]) -> Axes | None:
    first = arguments[0] if arguments else None
    if not isinstance(first, Code):
        return None
    if path == "np.reshape":
        return _reshaped(first, arguments[1])
    shape, rest = first.shape, arguments[1:]
    if shape is None or not all(_is_known(value) for value in rest):
        return None
    if path in _SAME_SHAPE:
        return shape
    axes = [_known(value) for value in rest]
    if path == "np.swapaxes":
        order = list(range(len(shape)))
        order[axes[0]], order[axes[1]] = order[axes[1]], order[axes[0]]
        return tuple(shape[k] for k in order)
    if path == "np.transpose":
        return tuple(shape[k] for k in axes[0]) if axes else shape[::-1]
    if path == "np.moveaxis" and isinstance(axes[0], int):
        left = list(shape)
        moved = left.pop(axes[0])
        left.insert(axes[1] % len(shape), moved)
        return tuple(left)
    return None

