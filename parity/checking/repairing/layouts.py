"""Changes of how an array's axes lie: other orders, a reshape for a transpose, a shifted window.

An einsum's letters are axes, too.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations, product

from parity.checking.repairing.slots import expression

# Of more axes not every order is tried: 4! of them is what an attention has.
_MOST_AXES = 4
_RESHAPED = "reshape"
_TERMS = re.compile("[A-Za-z]+")
_TURNED = ("transpose", "permute")


def of_call(node: ast.Call) -> Iterator[tuple[float, ast.expr]]:
    """Yield what a call that lays axes otherwise may have to be, with how unlikely it is."""
    func = node.func
    if not isinstance(func, ast.Attribute):
        return
    if func.attr in _TURNED:
        yield from _transposed(node)
    elif func.attr == _RESHAPED:
        yield from _reshaped(node)
    elif func.attr == "einsum":
        yield from _summed(node)


def of_window(window: ast.expr, integers: Sequence[str]) -> Iterator[tuple[float, ast.expr]]:
    """Yield an index whose ranges begin later: ``[:, :, pad:pad + H, pad:pad + W]`` for ``:H, :W``.

    Args:
        window: The index.
        integers: Names of whole numbers.
    """
    parts = window.elts if isinstance(window, ast.Tuple) else [window]
    begun = [n for n, part in enumerate(parts) if _begins_at_zero(part)]
    names = {n.id for n in ast.walk(window) if isinstance(n, ast.Name)}
    for name in [*(i for i in integers if i not in names), "1"] if begun else ():
        moved = [_later(p, name) if n in begun else p for n, p in enumerate(parts)]
        yield (2.5, ast.Tuple(moved, ast.Load()) if len(moved) > 1 else moved[0])


def _begins_at_zero(part: ast.expr) -> bool:
    match part:
        case ast.Slice(lower=None | ast.Constant(value=0), upper=ast.expr(), step=None):
            return not isinstance(part.upper, ast.UnaryOp)
        case _:
            return False


def _later(part: ast.expr, by: str) -> ast.expr:
    assert isinstance(part, ast.Slice)
    assert part.upper is not None
    return ast.Slice(expression(by), ast.BinOp(expression(by), ast.Add(), part.upper))


def _transposed(node: ast.Call) -> Iterator[tuple[float, ast.expr]]:
    """Yield other orders of the axes: the inverse of the one that is written is the likeliest."""
    own, axes, again = _numbers(node)
    order = [a % len(axes) for a in axes] if axes else []
    if sorted(order) != list(range(len(order))) or len(order) < 2:
        return
    inverse = tuple(sorted(range(len(order)), key=order.__getitem__))
    if inverse != tuple(order):
        yield 2.2, again(inverse)
    yield 4, own
    for other in permutations(range(len(order))) if len(order) <= _MOST_AXES else ():
        if other not in (tuple(order), inverse, tuple(range(len(order)))):
            yield 3.6, again(other)


def _numbers(
    node: ast.Call,
) -> tuple[ast.expr, list[int], Callable[[Sequence[int]], ast.expr]]:
    """Return what is transposed, by which axes, and what writes it with others."""
    func, args = node.func, node.args
    assert isinstance(func, ast.Attribute)
    of_array = not (len(args) == 2 and isinstance(args[1], ast.Tuple | ast.List))
    own = func.value if of_array else args[0]
    packed = len(args) != len(_elements(args)) if of_array else True
    each = _elements(args if of_array else args[1:])

    def again(order: Sequence[int]) -> ast.expr:
        numbers: list[ast.expr] = [ast.Constant(n) for n in order]
        whole: list[ast.expr] = [ast.Tuple(numbers, ast.Load())] if packed else numbers
        return ast.Call(func, whole if of_array else [own, *whole], [])

    axes = [_number(e) for e in each]
    return own, [a for a in axes if a is not None] if None not in axes else [], again


def _elements(args: Sequence[ast.expr]) -> list[ast.expr]:
    if len(args) == 1 and isinstance(args[0], ast.Tuple | ast.List):
        return args[0].elts
    return list(args)


def _number(node: ast.expr) -> int | None:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
            return -value
        case _:
            return None


def _reshaped(node: ast.Call) -> Iterator[tuple[float, ast.expr]]:
    """Yield a reshape with two axes exchanged, behind it or before it.

    What was ``(B, T, heads, d)`` and transposed to ``(B, heads, T, d)`` is no reshape of it.
    """
    func = node.func
    assert isinstance(func, ast.Attribute)
    of_module = len(node.args) == 2 and isinstance(node.args[1], ast.Tuple | ast.List)
    own, args = (node.args[0], node.args[1:]) if of_module else (func.value, node.args)
    sizes = _elements(args)
    packed = sizes != args

    def again(array: ast.expr, order: Sequence[ast.expr]) -> ast.expr:
        whole: list[ast.expr] = [ast.Tuple(list(order), ast.Load())] if packed else list(order)
        if of_module:
            return ast.Call(func, [array, *whole], node.keywords)
        return ast.Call(ast.Attribute(array, func.attr, ast.Load()), whole, node.keywords)

    for i, j in combinations(range(len(sizes)), 2) if len(sizes) > 2 else ():
        if ast.unparse(sizes[i]) != ast.unparse(sizes[j]):
            other = [*sizes]
            other[i], other[j] = other[j], other[i]
            # A batch that changes places with another axis is rarer.
            rank = 2.6 if i and j == i + 1 else 3.6
            yield rank, _swapped(again(own, other), i, j)
            yield rank + 1, again(own, other)
    for i, j in ((1, 2), (0, 1), (1, 3), (2, 3), (0, 2)):
        yield 3.3, again(_swapped(own, i, j), sizes)


def _summed(node: ast.Call) -> Iterator[tuple[float, ast.expr]]:
    """Yield an einsum with two letters of a term exchanged, or one put in another's place."""
    first = node.args[0] if node.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    if not isinstance(text, str):
        return
    terms = _TERMS.findall(text)
    letters = sorted({*"".join(terms)})

    def again(number: int, term: str) -> ast.expr:
        others = iter([*terms[:number], term, *terms[number + 1 :]])
        said = ast.Constant(_TERMS.sub(lambda _: next(others), text))
        return ast.Call(node.func, [said, *node.args[1:]], node.keywords)

    for number, term in enumerate(terms):
        for i, j in combinations(range(len(term)), 2):
            exchanged = [*term]
            exchanged[i], exchanged[j] = exchanged[j], exchanged[i]
            yield 2.7, again(number, "".join(exchanged))
    for number, term in enumerate(terms):
        for i, letter in product(range(len(term)), letters):
            if letter not in term:
                yield 3.7, again(number, term[:i] + letter + term[i + 1 :])


def _swapped(array: ast.expr, i: int, j: int) -> ast.expr:
    axes: list[ast.expr] = [ast.Constant(i), ast.Constant(j)]
    return ast.Call(ast.Attribute(array, "swapaxes", ast.Load()), axes, [])
