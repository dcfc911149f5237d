"""What statements read and write, as sets of variables, and trees with parts of them replaced."""

import ast
from collections.abc import Iterable, Iterator

from parity.drafting.functions import assignments, base
from parity.loading import called

LOOPS = (ast.For, ast.While)
_PRODUCTS = ("dot", "matmul", "einsum")
# What a method of this name does to its object, or a function of it to its first argument.
_CHANGING = (
    "append", "insert", "extend", "pop", "clear", "update", "fill", "sort", "shuffle", "at",
    "copyto", "put_along_axis",
)  # fmt: skip


def multiplies(node: ast.AST) -> bool:
    return any(
        called(n) in _PRODUCTS or (isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult))
        for n in ast.walk(node)
    )


def read(node: ast.AST) -> set[str]:
    """Return the variables whose value a statement or expression uses, without those it binds."""
    found, bound = set[str](), set[str]()
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load):
            found.add(n.id)
        elif isinstance(n, ast.AugAssign):
            found.add(base(n.target))
        elif isinstance(n, (ast.For, ast.comprehension)):
            bound |= written(n.target)
    return found - bound


def written(node: ast.AST) -> set[str]:
    """Return the variables that a statement assigns or changes, also in part."""
    found = set[str]()
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            found.add(n.id)
        elif isinstance(n, (ast.Subscript, ast.Attribute)) and isinstance(n.ctx, ast.Store):
            found.add(root(n))
        elif (
            isinstance(n, ast.Call) and called(n) in _CHANGING and isinstance(n.func, ast.Attribute)
        ):
            of = root(n.func.value)
            of_numpy = of in ("np", "numpy", "random")
            found.add(root(n.args[0]) if of_numpy and n.args else of)
        elif isinstance(n, ast.keyword) and n.arg == "out":
            found.add(root(n.value))
        elif isinstance(n, ast.For) and written(ast.Module(n.body, [])) & written(n.target):
            found |= read(n.iter)  # for w, g in zip(weights, gradients): w -= g
    return found - {"", "zip", "enumerate", "reversed", "range"}


def root(node: ast.AST) -> str:
    """Return the variable that an attribute or element is of."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def replaces(statement: ast.stmt) -> set[str]:
    """Return the variables to which a statement gives new values as a whole, whatever they were."""
    if not isinstance(statement, ast.Assign):
        return set()
    elements = [e for t in statement.targets for e in getattr(t, "elts", [t])]
    return {e.id for e in elements if isinstance(e, ast.Name)}


def parts(statement: ast.stmt) -> list[ast.stmt]:
    """Return ``x = X`` and ``t = T`` for ``x, t = X, T``, where none is read that is assigned."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Tuple):
        return [statement]
    target = statement.targets[0]
    if len(statement.targets) > 1 or not isinstance(target, ast.Tuple):
        return [statement]
    if written(statement) & read(statement.value) or len(target.elts) != len(statement.value.elts):
        return [statement]
    pairs = zip(target.elts, statement.value.elts, strict=True)
    return [ast.copy_location(ast.Assign([t], v), statement) for t, v in pairs]


def values(body: Iterable[ast.stmt]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield target and new value of each assignment, ``W - dW`` for ``W -= dW``."""
    for node in (n for s in body for n in ast.walk(s)):
        if isinstance(node, ast.AugAssign):
            loaded = ast.parse(ast.unparse(node.target), mode="eval").body
            yield node.target, ast.BinOp(loaded, node.op, node.value)
        else:
            yield from assignments([node])


def sign(value: ast.expr, name: str) -> int:
    """Return -1 where a variable is subtracted, or stands in what is; 1 where it is not."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        return -sign(value.operand, name)
    if isinstance(value, ast.BinOp):
        inner = value.left if name in read(value.left) else value.right
        turned = isinstance(value.op, ast.Sub) and inner is value.right
        others = value.right if inner is value.left else value.left
        product = isinstance(value.op, (ast.Mult, ast.Div)) and isinstance(others, ast.UnaryOp)
        return (-1 if turned else 1) * (-1 if product else 1) * sign(inner, name)
    return 1


def factors(value: ast.expr) -> list[ast.expr]:
    """Return what an expression is the product of."""
    if isinstance(value, ast.UnaryOp):
        return factors(value.operand)
    if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Mult, ast.MatMult)):
        return [*factors(value.left), *factors(value.right)]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        return factors(value.left)
    return [value]


class Renamed(ast.NodeTransformer):
    """Puts the name of the learning rate in the place of some numbers."""

    def __init__(self, places: set[int]) -> None:
        self.places = places

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        name = ast.copy_location(ast.Name("learning_rate", ast.Load()), node)
        return name if id(node) in self.places else node


class Divisors(ast.NodeTransformer):
    """Puts an expression in the place of some numbers that divide, and of how many indices are."""

    def __init__(self, numbers: set[int], indices: set[str], text: str) -> None:
        self.numbers, self.indices, self.text = numbers, indices, text

    def visit_Call(self, node: ast.Call) -> ast.AST:
        counted = called(node) == "len" and root(node.args[0]) in self.indices
        return self._size(node) if counted else self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        done = self.generic_visit(node)
        assert isinstance(done, ast.BinOp)
        by = done.right
        if isinstance(done.op, ast.Div) and isinstance(by, ast.Constant):
            done.right = self._size(by) if by.value in self.numbers else by
        return done

    def _size(self, at: ast.expr) -> ast.expr:
        return ast.copy_location(ast.parse(self.text, mode="eval").body, at)


def divides_only(body: Iterable[ast.stmt], name: str) -> bool:
    """Whether a variable stands nowhere but behind a stroke of division."""
    nodes = [n for s in body for n in ast.walk(s)]
    by = {id(n.right) for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div)}
    return all(id(n) in by for n in nodes if isinstance(n, ast.Name) and n.id == name)


def changes_nothing(statement: ast.stmt) -> bool:
    """Whether a statement gives variables the values that they have: ``X = X``."""
    return (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and ast.unparse(statement.targets[0]) == ast.unparse(statement.value)
    )
