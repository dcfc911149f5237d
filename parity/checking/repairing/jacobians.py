"""Softmax's and a normalization's whole derivative, where code has a part of it."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from numpy_impl.types import Shape
from parity.checking.repairing.slots import expression, plain, replaced

SCALING = (ast.Mult, ast.Div)


def through_softmax(p: ast.expr, d: ast.expr) -> Iterator[ast.expr]:
    """Yield what goes back through a softmax with the outputs ``p``, of what arrives at it."""
    for axis in (-1, 0):
        text = ast.unparse(p)
        yield _filled(f"{text} * (d - (d * {text}).sum(axis={axis}, keepdims=True))", d)


def of_softmax(node: ast.BinOp, arrays: Mapping[str, Shape]) -> Iterator[tuple[float, ast.expr]]:
    """Yield what goes back through a softmax where a product, d * p, is taken for it."""
    factors = _factors(node)
    for p in factors:
        if plain(p) in arrays and not isinstance(p, ast.Subscript):
            d = _product([factor for factor in factors if factor is not p])
            yield from ((4.5, new) for new in through_softmax(p, d))
    for d in (node.left, node.right):
        for name, shape in arrays.items():
            if len(shape) > 1:
                yield from ((5.8, new) for new in through_softmax(expression(name), d))


def off_the_diagonal(node: ast.BinOp) -> Iterator[tuple[float, ast.expr]]:
    """Yield softmax's whole Jacobian in place of its diagonal, d * p * (1 - p)."""
    factors = _factors(node)
    for rest in factors:
        match rest:
            case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=right):
                text = ast.unparse(right)
            case _:
                continue
        others = [f for f in factors if f is not rest and ast.unparse(f) != text]
        if len(others) == len(factors) - 2 and others:
            d = _product(others)
            yield from ((2.5, new) for new in through_softmax(expression(text), d))


def of_normalization(
    node: ast.BinOp, arrays: Mapping[str, Shape]
) -> Iterator[tuple[float, ast.expr]]:
    """Yield what goes back through a mean and a variance, where they are taken as constants.

    Of d / std it is d / std less its mean, less h times the mean of its product with h, the
    normalized numbers: over the batch where std has one number a column, else over the columns.
    """
    if not isinstance(node.op, SCALING):
        return
    if any(len(arrays.get(plain(side), ())) > 1 for side in (node.left, node.right)):
        yield 4.7, _filled("d - d.mean(axis=0)", node)  # through the mean alone
        yield 4.9, _filled("d - d.mean(axis=-1, keepdims=True)", node)
    sides = [node.right] if isinstance(node.op, ast.Div) else [node.left, node.right]
    for by in sides:
        shape = arrays.get(plain(by), ()) if not isinstance(by, ast.Subscript) else ()
        if not shape:
            continue
        columns = len(shape) == 1 or (len(shape) == 2 and shape[0] == 1)
        axis = "axis=0" if columns else "axis=-1, keepdims=True"
        if not columns and shape[-1] != 1:
            continue
        for name, other in arrays.items():
            fits = other[-1:] == shape[-1:] if columns else other[:-1] == shape[:-1]
            if len(other) < 2 or min(other) < 2 or not fits:
                continue
            text = f"d - d.mean({axis}) - {name} * (d * {name}).mean({axis})"
            yield 4.6, _filled(text, node)
            if not columns:  # through a length of 1
                text = f"d - {name} * (d * {name}).sum({axis})"
                yield 4.6, _filled(text, node)


def _factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [node]


def _product(factors: Sequence[ast.expr]) -> ast.expr:
    first, *others = factors
    for other in others:
        first = ast.BinOp(first, ast.Mult(), other)
    return first


def _filled(text: str, d: ast.expr) -> ast.expr:
    """Return the syntax of a text in which ``d`` is another expression."""
    return replaced(expression(text), {"d": d})
