"""What a sum of gradients may lack: a term made of what is there, of a shape that fits."""

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from numpy_impl.types import Shape
from parity.checking.repairing.functions import Editable, kind_of
from parity.checking.repairing.scope import Scope
from parity.checking.repairing.slots import (
    Change,
    Slot,
    Statement,
    expression,
    index_text,
    plain,
    statements,
)

# What an expression gives where a statement stands; None where that is not known.
ShapeOf = Callable[[Statement, ast.expr], Shape | None]
# Of more arrays than these not all pairs are tried, and of no statement more terms.
_MOST_ARRAYS, _MOST_TERMS = 28, 240
_PARTS = (ast.Tuple, ast.List, ast.Dict)


@dataclass(frozen=True)
class Terms:
    """The terms that a function could add somewhere.

    Args:
        function: The function.
        scope: Its names.
        shape_of: Tells shapes.
        named: The names that the functions of the pass have.
    """

    function: Editable
    scope: Scope
    shape_of: ShapeOf
    named: Sequence[str] = ()

    def changes(self, statement: Statement) -> Iterator[Change]:
        """Yield a statement's sums with one term more."""
        arrays = self._arrays(statement)
        for slot in _sums(statement):
            yield from self._of_others(slot)
            shape = self._shape(statement, slot)
            if not shape:
                continue
            # A sum lacks a term likelier than a product does.
            adds = isinstance(slot.node, ast.BinOp) and isinstance(slot.node.op, ast.Add | ast.Sub)
            whole = adds or isinstance(statement.node, ast.Return)
            inside = bool(slot.nodes) and isinstance(slot.nodes[-1], ast.BinOp)
            inner = 0.8 if inside else 0.5 * (not whole)
            for rank, term in self._of_shape(shape, arrays):
                yield Change(
                    rank + inner, ((slot, ast.BinOp(slot.node, ast.Add(), expression(term))),)
                )

    def _shape(self, statement: Statement, slot: Slot) -> Shape | None:
        """Return the shape of what stands in a place; where it calls the user's code, as it was."""
        shape = self.shape_of(statement, slot.node)
        if shape is not None or slot != statement.heads[0]:
            return shape
        if isinstance(statement.node, ast.Return):
            return self.function.returned
        return (
            self.scope.arrays.get(ast.unparse(_targets(statement)[0]))
            if _targets(statement)
            else None
        )

    def _of_others(self, slot: Slot) -> Iterator[Change]:
        """Yield an attribute's sum with another object's: two layers may share a weight."""
        node = slot.node
        if not isinstance(node, ast.Attribute) or not isinstance(
            node.value, ast.Attribute | ast.Subscript
        ):
            return
        every = [n.value for n in ast.walk(self.function.node) if isinstance(n, ast.Attribute)]
        bases = dict.fromkeys(ast.unparse(n) for n in every if isinstance(n, type(node.value)))
        for base in bases:
            if base != ast.unparse(node.value):
                for end in ("", ".T"):
                    other = expression(f"{base}.{node.attr}{end}")
                    yield Change(3.9, ((slot, ast.BinOp(node, ast.Add(), other)),))

    def behind(self, reached: Sequence[Statement]) -> Iterator[tuple[Statement, Change]]:
        """Yield a term added to what statements assign, at the function's end.

        What the term is made of may be computed after the statement.

        Args:
            reached: The statements whose results are in the wrong gradients, and in no other.
        """
        last = _last(self.function)
        targets = {ast.unparse(t): t for s in reached for t in _targets(s)}
        if last is None or not targets:
            return
        arrays = self._arrays(last)
        for text in targets:
            shape = self.shape_of(last, expression(text))
            if not shape:
                continue
            for rank, term in self._of_shape(shape, arrays):
                yield last, _added(last, f"{text} += {term}", rank + 0.8)
            for term in self._scattered(shape, arrays):
                yield last, _added(last, f"{self.scope.numpy}.add.at({text}, {term})", 4.2)

    def _arrays(self, statement: Statement) -> dict[str, Shape]:
        """Return the shapes of names, and of what is taken out of arrays, lists and dicts."""
        found = dict(list((self.scope.arrays | self._of_module).items())[:_MOST_ARRAYS])
        nodes = [node for node in ast.walk(self.function.node) if isinstance(node, ast.Subscript)]
        parts = [node for node in nodes if isinstance(node.ctx, ast.Load) and plain(node)]
        for text in dict.fromkeys(text for node in parts for text in self._steps(node)):
            if len(found) >= _MOST_ARRAYS:
                break
            shape = self.shape_of(statement, expression(text)) if text not in found else None
            if shape:
                found[text] = shape
        return found

    @cached_property
    def _of_module(self) -> dict[str, Shape]:
        """The arrays of the module that any function of the pass names."""
        return {
            name: kind[1] for name in self.named
            if (kind := kind_of(self.function.module.get(name)))[0] == "array"
            and kind[2] in "fc" and kind[1] != ()
        }  # fmt: skip

    def _steps(self, node: ast.Subscript) -> Iterator[str]:
        """Yield what stands there, and the same of each time step where it is the last one's."""
        yield ast.unparse(node)
        text = index_text(node.slice)
        for name in self.scope.integers if "-1" in text and "::-1" not in text else ():
            for step in (name, f"{name} - 1"):
                yield ast.unparse(node.value) + text.replace("-1", step)

    def _of_shape(self, shape: Shape, arrays: Mapping[str, Shape]) -> Iterator[tuple[float, str]]:
        found = self._all_of_shape(shape, arrays)
        yield from sorted(found, key=lambda pair: pair[0])[:_MOST_TERMS]

    def _all_of_shape(
        self, shape: Shape, arrays: Mapping[str, Shape]
    ) -> Iterator[tuple[float, str]]:
        fitting = [name for name, other in arrays.items() if other == shape]
        local = [name for name in fitting if self._is_local(name)]
        written = ast.unparse(self.function.node)
        wider = [name for name, other in arrays.items() if other[:-1] == shape[:-1] != ()]
        wider = [name for name in wider if shape[-1] == 1 < arrays[name][-1]]
        for name in local:
            yield 3.9, name
        for name, other in arrays.items():
            if self._is_local(name):
                yield from _sums_over_samples(name, other, shape)
            for other in fitting:
                if other != name:
                    yield 4.5, f"{name} * {other}"
                    yield (4.4 if f"1 - {other}" in written else 4.65), f"{name} * (1 - {other})"
        for one, other in combinations(wider, 2):
            if arrays[one] == arrays[other] and (self._is_local(one) or self._is_local(other)):
                yield 4.9, f"({one} * {other}).sum(axis=-1, keepdims=True)"
        for name in fitting:
            for number in self.scope.floats:
                yield 4.7, f"{number} * {name}"
        for text, other in self._products(arrays):
            fits = other == shape
            # What is computed already is rarely computed again.
            rank = 4.0 + 0.8 * (text in written)
            if fits:
                yield rank, text
            for axis in range(len(shape)) if len(other) == len(shape) - 1 > 1 else ():
                if other == shape[:axis] + shape[axis + 1 :]:
                    index = ", ".join("None" if k == axis else ":" for k in range(len(shape)))
                    size = f"{fitting[0]}.shape[{axis}]" if fitting else str(shape[axis])
                    yield rank + 0.2, f"({text})[{index}] / {size}"  # through a mean
                    yield rank + 0.4, f"({text})[{index}]"  # or a sum

    def _products(self, arrays: Mapping[str, Shape]) -> Iterator[tuple[str, Shape]]:
        """Yield the matrix products of what the function computed with anything."""
        for one in arrays:
            for other in arrays:
                if one == other or not (self._is_local(one) or self._is_local(other)):
                    continue
                for left, a in _turned(one, arrays[one]):
                    for right, b in _turned(other, arrays[other]):
                        shape = _of_product(a, b)
                        if shape and (left == one or right == other):
                            yield f"{left} @ {right}", shape

    def _scattered(self, shape: Shape, arrays: Mapping[str, Shape]) -> Iterator[str]:
        """Yield what may go into the rows of an array by their numbers: "x, d @ W.T"."""
        rows = [
            (name, kind[1]) for name, kind in self.scope.kinds.items()
            if kind[0] == "array" and kind[2] in "iu" and kind[1]
        ]  # fmt: skip
        whole = [(name, other) for name, other in arrays.items() if self._is_local(name)]
        products = [(f"({text})", other) for text, other in self._products(arrays)]
        for name, index in rows if len(shape) == 2 else ():
            wanted = (*index, shape[1])
            for text, other in [*products, *whole]:
                plain_text = text.removeprefix("(").removesuffix(")")
                if other == wanted:
                    yield f"{name}, {plain_text}"
                elif other[0] == index[0] and math.prod(other) == math.prod(wanted):
                    yield f"{name}, {text}.reshape(*{name}.shape, -1)"
                elif len(index) == 2 and other == (index[0], shape[1]):
                    yield f"{name}, {text}[:, None] / {name}.shape[1]"
                    yield f"{name}, {text}[:, None]"

    def _is_local(self, text: str) -> bool:
        root = text.partition("[")[0]
        return root in self.function.code.co_varnames or root in self.function.code.co_cellvars


def _sums(statement: Statement) -> Iterator[Slot]:
    """Yield the places of what a statement assigns or returns, one by one."""
    if statement.compound or not isinstance(
        statement.node, ast.Assign | ast.AugAssign | ast.Return
    ):
        return
    head = statement.heads[0]
    if not isinstance(head.node, _PARTS):
        yield head
        yield from _factors(head)
        return
    parts = head.node.values if isinstance(head.node, ast.Dict) else head.node.elts
    yield from (Slot(parts, number, (head.node,)) for number in range(len(parts)))


def _factors(slot: Slot) -> Iterator[Slot]:
    """Yield the factors of a product, and of its factors: each may be a sum that lacks a term."""
    node = slot.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        for side in ("left", "right"):
            one = Slot(node, side, (*slot.nodes, node))
            yield one
            yield from _factors(one)


def _targets(statement: Statement) -> list[ast.expr]:
    node = statement.node
    if isinstance(node, ast.AugAssign):
        return [node.target]
    targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else []
    return [t for t in targets if isinstance(t, ast.Name | ast.Attribute | ast.Subscript)]


def _last(function: Editable) -> Statement | None:
    """Return the last statement of a function."""
    if isinstance(function.node, ast.Lambda):
        return None
    last = function.node.body[-1]
    return next((one for one in statements(function.node) if one.node is last), None)


def _added(last: Statement, text: str, rank: float) -> Change:
    """Return a change that adds a statement before a function returns."""
    [new] = ast.parse(text).body
    both = [new, last.node] if isinstance(last.node, ast.Return) else [last.node, new]
    return Change(rank, ((last.slot, ast.If(ast.Constant(True), both, [])),))


def _sums_over_samples(name: str, shape: Shape, wanted: Shape) -> Iterator[tuple[float, str]]:
    """Yield a bias's gradient, and a transposed array."""
    if len(shape) == 2 and shape[::-1] == wanted:
        yield 3.95, f"{name}.T"
    if len(shape) != 2 or shape[0] == 1 or shape[1] == 1:
        return
    if wanted == shape[1:]:
        yield 4.1, f"{name}.sum(axis=0)"
    elif wanted == (1, shape[1]):
        yield 4.1, f"{name}.sum(axis=0, keepdims=True)"
    elif wanted == (shape[0], 1):
        yield 4.1, f"{name}.sum(axis=1, keepdims=True)"


def _turned(name: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    yield name, shape
    if len(shape) == 2:
        yield f"{name}.T", shape[::-1]
    elif len(shape) == 3:
        yield f"{name}.swapaxes(1, 2)", (shape[0], shape[2], shape[1])


def _of_product(a: Shape, b: Shape) -> Shape | None:
    """Return the shape of a matrix product; None where there is none."""
    if a[-1] != b[-2 if len(b) > 1 else -1]:
        return None
    try:
        batch = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        return None
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))
