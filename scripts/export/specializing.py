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
import operator
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any, Protocol

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.fused import Rule
from numpy_impl.layers import Layer

from .values import (
    Code,
    Frame,
    Known,
    Method,
    Named,
    Nested,
    NotSpecializable,
    Several,
    Value,
    combined,
    index_of,
    is_known,
    items_of,
    known,
    lift,
    literal,
    reshaped,
    result_shape,
    truth,
)

# Between a variable's name and its number.
MARK = "·"


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
        NotSpecializable: Its file is not there.
    """
    if function.__name__ != "<lambda>":
        try:
            text = textwrap.dedent(inspect.getsource(function))
        except OSError as error:
            raise NotSpecializable(f"Expected this project's source. Received: {error}") from error
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
            given_value = value if isinstance(value, Value) else Known(value)
            frame.variables[name] = self._named(given_value, name, temporary=True)
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
                if not temporary and own in self.temporary | self._returned:
                    self.names.setdefault(own, base)
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

    def _bind(self, target: ast.expr, value: Value, frame: Frame, temporary: bool = False) -> None:
        if isinstance(target, ast.Name):
            frame.variables[target.id] = self._named(value, target.id, temporary)
        elif isinstance(target, ast.Tuple):
            items = items_of(value)
            if items is None:
                names = [self._pattern(part, frame) for part in target.elts]
                self._block.append(ast.Assign([ast.Tuple(names)], lift(value)))
                return
            for part, item in _apart(target.elts, items):
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
                    match value.node:
                        case ast.Call(func=ast.Attribute(attr="append")) as call:
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
            return self._execute(s.body if truth(test) else s.orelse, frame)
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
        items = items_of(over)
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
                return self._value(body if truth(found) else orelse, frame)
            case ast.BoolOp(op=op, values=values):
                return self._either(op, values, frame)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._value(left, frame), self._value(right, frame))
            case ast.UnaryOp(op=op, operand=operand):
                value = self._value(operand, frame)
                if isinstance(value, Code):
                    return Code(ast.UnaryOp(op, value.node), value.shape)
                if isinstance(op, ast.Not):
                    return Known(not truth(value))
                return Known(_OPERATORS[type(op)](known(value)))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._comparison(op, self._value(left, frame), self._value(right, frame))
            case ast.GeneratorExp() | ast.ListComp():
                return self._comprehension(e, frame)
            case ast.DictComp(key=key, value=value, generators=[generator]):
                items: dict[str, Value] = {}
                for inner in self._rounds(generator, frame) or ():
                    items[known(self._value(key, inner))] = self._value(value, inner)
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
            return owner.items[known(index)]
        if isinstance(owner, Several) and isinstance(index, Known):
            part = owner.items[index.value]
            return Several(part, owner.kind) if isinstance(part, list) else part
        if isinstance(owner, Known) and isinstance(index, Known):
            return Known(owner.value[index.value])
        assert isinstance(owner, Code)
        place = index_of(index)
        return owner if place is None else Code(ast.Subscript(owner.node, place))

    def _several(self, elements: Sequence[ast.expr], kind: type, frame: Frame) -> Value:
        items: list[Value] = []
        nodes: list[ast.expr] | None = None
        for element in elements:
            starred = isinstance(element, ast.Starred)
            value = self._value(element.value if starred else element, frame)
            found = items_of(value) if starred else [value]
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
                items[known(self._value(key, frame))] = value
        return Named(items)

    def _either(self, op: ast.boolop, values: Sequence[ast.expr], frame: Frame) -> Value:
        ends = isinstance(op, ast.Or)
        nodes: list[ast.expr] = []
        last: Value = Known(not ends)
        for node in values:
            last = self._value(node, frame)
            if isinstance(last, Code):
                nodes.append(last.node)
            elif truth(last) == ends:
                if nodes:
                    nodes.append(lift(last))
                break
        if not nodes:
            return last
        return Code(nodes[0] if len(nodes) == 1 else ast.BoolOp(op, nodes))

    def _binary(self, op: ast.operator, left: Value, right: Value) -> Value:
        if isinstance(left, Several) and not isinstance(right, Code):
            if isinstance(op, ast.Add):
                return Several([*left.items, *(items_of(right) or [])], left.kind)
            if isinstance(op, ast.Mult):
                return Several(left.items * known(right), left.kind)
        if isinstance(left, Known) and isinstance(right, Known):
            return Known(_OPERATORS[type(op)](left.value, right.value))
        axes = [side.shape if isinstance(side, Code) else () for side in (left, right)]
        return Code(ast.BinOp(lift(left), op, lift(right)), combined(op, *axes))

    def _comparison(self, op: ast.cmpop, left: Value, right: Value) -> Value:
        if isinstance(op, ast.Is | ast.IsNot) and isinstance(right, Known):
            same = isinstance(left, Known) and left.value is right.value
            return Known(same == isinstance(op, ast.Is))
        if isinstance(right, Named):
            return Known(_OPERATORS[type(op)](known(left), right.items))
        if isinstance(left, Code) or isinstance(right, Code):
            axes = [side.shape if isinstance(side, Code) else () for side in (left, right)]
            node = ast.Compare(lift(left), [op], [lift(right)])
            return Code(node, combined(ast.Add(), *axes))
        return Known(_OPERATORS[type(op)](known(left), known(right)))

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
                shown = repr(known(value)) if node.conversion == ord("r") else str(known(value))
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
        items = items_of(self._value(generator.iter, frame))
        if items is None:
            return None
        rounds: list[Frame] = []
        for item in items:
            inner = Frame(frame.outside, above=frame)
            self._bind(generator.target, item, inner, temporary=True)
            if all(truth(self._value(test, inner)) for test in generator.ifs):
                rounds.append(inner)
        return rounds

    # Calls

    def _call(self, e: ast.Call, frame: Frame) -> Value:
        if isinstance(e.func, ast.Attribute) and _is_super(e.func.value):
            owner = known(self._variable("self", frame))
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
        results = [result] if len(rule.places) == 1 else items_of(result) or []
        for place, new in zip(rule.places, results, strict=True):
            self._bind(nodes[place], new, frame)
        return Known(None)

    def _result(self, function: Value, arguments: list[Value], named: dict[str, Value]) -> Value:
        if isinstance(function, Nested):
            return self._call_nested(function, arguments)
        if isinstance(function, Method):
            return _call_method(function, arguments)
        if isinstance(function, Code):
            if isinstance(function.node, ast.Attribute) and function.node.attr == "reshape":
                own = Code(function.node.value)
                shape = arguments[0] if len(arguments) == 1 else Several(list(arguments))
                return Code(_written(function.node, arguments, named), reshaped(own, shape))
            return Code(_written(function.node, arguments, named))
        assert isinstance(function, Known)
        return self._result_of(function, arguments, named)

    def _result_of(self, function: Known, arguments: list[Value], named: dict[str, Value]) -> Value:
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
        if f in (zip, reversed) and all(items_of(one) is not None for one in arguments):
            columns = [items_of(one) or [] for one in arguments]
            if f is reversed:
                return Several(columns[0][::-1], list)
            return Several([Several(list(row)) for row in zip(*columns, strict=True)], list)
        if all(is_known(value) for value in everything):
            values = [known(value) for value in arguments]
            if f is itertools.product:
                code = ast.Call(ast.Name("product"), [literal(value) for value in values], [])
                return Known(list(f(*values)), code)
            methods = str | dict | tuple | list
            if (
                _is_in(f, _PURE)
                or isinstance(getattr(f, "__self__", None), methods)
                or (getattr(f, "__module__", None) == "math")
            ):
                result = f(*values, **{k: known(v) for k, v in named.items() if k != "strict"})
                return Known(list(result) if isinstance(result, map | zip | reversed) else result)
        inner = inspect.unwrap(f) if callable(f) else f
        if isinstance(inner, FunctionType | MethodType) and _is_ours(inner.__module__):
            return self._ours(inner, arguments, named)
        if function.code is None:
            raise NotSpecializable(f"Expected a function with a name. Received: {f}")
        return self._numpy(function.code, arguments, named)

    def _ours(self, function: Any, arguments: list[Value], named: dict[str, Value]) -> Value:
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
            array, *ends = arguments
            n = len(array.shape or ()) if isinstance(array, Code) else 0
            places = [end.value for end in ends if isinstance(end, Known)]
            if n and all(isinstance(place, int) for place in places) and (
                len({place % n for place in places}) == 1
            ):  # fmt: skip
                return array
        if path in _SHORTER:
            code = ast.parse(_SHORTER[path], mode="eval").body
        kept = {k: v for k, v in named.items() if (k, v) != ("keepdims", Known(False))}
        return Code(_written(code, arguments, kept), result_shape(path, arguments))


# Small questions and answers


def _written(code: ast.expr, arguments: list[Value], named: dict[str, Value]) -> ast.expr:
    keywords = [ast.keyword(name, lift(value)) for name, value in named.items()]
    return ast.Call(code, [lift(value) for value in arguments], keywords)


def _assign(name: str, node: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name)], node)


def _is_in(function: Any, functions: Sequence[Any]) -> bool:
    return any(function is one for one in functions)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("numpy_impl", "parity")


def _is_super(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and (node.func.id == "super")
    )


def _call_method(method: Method, arguments: Sequence[Value]) -> Value:
    owner = method.owner
    if isinstance(owner, Several) and method.name == "append":
        owner.items.append(arguments[0])
        return Known(None)
    if isinstance(owner, Named) and method.name == "get":
        return owner.items.get(known(arguments[0]), Known(None))
    if isinstance(owner, Named) and method.name == "items":
        return Several([Several([Known(name), value]) for name, value in owner.items.items()])
    raise NotSpecializable(f"Expected get, items or append. Received: {method.name}")


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


def _apart(targets: Sequence[ast.expr], items: Sequence[Value]) -> Iterator[tuple[ast.expr, Value]]:
    """Yield what each target of ``a, *b = items`` is given."""
    starred = [i for i, target in enumerate(targets) if isinstance(target, ast.Starred)]
    if starred:
        first, more = starred[0], len(items) - len(targets) + 1
        rest = Several(list(items[first : first + more]), list)
        items = [*items[:first], rest, *items[first + more :]]
        plain = [t.value if isinstance(t, ast.Starred) else t for t in targets]
    else:
        plain = list(targets)
    yield from zip(plain, items, strict=True)
