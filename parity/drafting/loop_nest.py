"""The loops around one update, as one list of statements in which whole arrays are taken."""

import ast
import re
from dataclasses import dataclass, field

from parity.drafting.statements import LOOPS, multiplies, read, replaces, written
from parity.loading import called

# What draws indices, or lists them; masks and noise are drawn by others.
_DRAWN = re.compile(r"permut|choice|randint|integers|shuffle|arange|sample$|argsort|range$")


class Whole(ast.NodeTransformer):
    """Puts a whole array where an element or a part of it was taken by an index of the loop."""

    def __init__(self, indices: set[str]) -> None:
        self.indices = indices
        self.taken: dict[str, list[ast.expr]] = {}
        self.roots: dict[str, str] = {}
        self.axis: int | None = None

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        ours = read(node.slice) & self.indices and isinstance(node.ctx, ast.Load)
        if not ours or not name or name in self.indices:
            return self.generic_visit(node)
        self.taken.setdefault(self.roots.get(name, name), []).append(_plain(node.slice))
        first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
        self.axis = int(ast.dump(first) == ast.dump(ast.Slice()))
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        done = self.generic_visit(node)
        assert isinstance(done, ast.Assign)
        values = getattr(done.value, "elts", [done.value])
        targets = getattr(done.targets[0], "elts", [done.targets[0]])
        for target, value in zip(targets, values, strict=False):
            if isinstance(value, ast.Name) and isinstance(target, ast.Name):
                self.roots[target.id] = self.roots.get(value.id, value.id)
        return done


def _plain(index: ast.expr) -> ast.expr:
    """Return an index without whole axes, and i for ``i:i+1``."""
    if isinstance(index, ast.Tuple):
        whole = ast.dump(ast.Slice())
        parts = [e for e in index.elts if ast.dump(e) != whole]
        index = parts[0] if len(parts) == 1 else index
    if isinstance(index, ast.Slice) and index.lower is not None and index.upper is not None:
        one = ast.parse(f"{ast.unparse(index.lower)} + 1", mode="eval").body
        if ast.dump(index.upper) == ast.dump(one):
            return index.lower
    return index


@dataclass
class Nest:
    """The loops around one update, as one list of statements.

    Attributes:
        body: The statements of one round.
        elements: What the loops hand out themselves: for each variable what it is an element of.
        indices: The variables of indices.
        sizes: The numbers of samples in a batch, as the loops name them.
        counter: The innermost counter, and its first value.
    """

    body: list[ast.stmt] = field(default_factory=list[ast.stmt])
    elements: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    sizes: list[ast.expr] = field(default_factory=list[ast.expr])
    indices: set[str] = field(default_factory=set[str])
    counter: tuple[str, ast.expr] | None = None


def nest_of(loop: ast.For | ast.While) -> Nest:
    nest = Nest()
    while True:
        if isinstance(loop, ast.For):
            _targets(loop, nest)
        inner = [k for k, s in enumerate(loop.body) if isinstance(s, LOOPS) and multiplies(s)]
        rest = [s for k, s in enumerate(loop.body) if k not in inner]
        alone = len(inner) == 1 and not any(map(multiplies, rest))
        below = loop.body[inner[0]] if alone else None
        after = loop.body[inner[0] + 1 :] if alone else []
        if not isinstance(below, LOOPS) or any(written(s) & read(below) for s in after):
            nest.body += loop.body
            break
        nest.body += loop.body[: inner[0]]
        loop = below
    changed = True
    while changed:
        found = set[str]()
        for s in nest.body:
            if isinstance(s, ast.Assign) and not multiplies(s):
                calls = [called(n) for n in ast.walk(s.value) if isinstance(n, ast.Call)]
                drawn = any(map(_DRAWN.search, calls)) or read(s.value) & nest.indices
                if drawn and not _takes(s.value):
                    found |= replaces(s)
                    nest.sizes += [n for n in ast.walk(s.value) if isinstance(n, ast.expr)]
        changed = not found <= nest.indices
        nest.indices |= found
    return nest


def _takes(value: ast.expr) -> bool:
    """Whether an expression, or all of a tuple, is an element of something by a subscript."""
    one = isinstance(value, ast.Subscript) and not any(
        isinstance(n, ast.Slice) for n in ast.walk(value)
    )
    return one or isinstance(value, ast.Tuple)


def _targets(loop: ast.For, nest: Nest) -> None:
    """Note what a loop hands out: numbers, elements of arrays, or batches of a generator."""
    target, over = loop.target, loop.iter
    if called(over) == "enumerate" and isinstance(over, ast.Call):
        start = over.args[1] if len(over.args) > 1 else ast.Constant(0)
        assert isinstance(target, ast.Tuple)
        if isinstance(target.elts[0], ast.Name):
            nest.indices.add(target.elts[0].id)
            nest.counter = target.elts[0].id, start
        target, over = target.elts[1], over.args[0]
    names = [e.id for e in getattr(target, "elts", [target]) if isinstance(e, ast.Name)]
    if called(over) == "range" and isinstance(over, ast.Call):
        nest.indices |= set(names)
        first = over.args[0] if len(over.args) > 1 else ast.Constant(0)
        nest.counter = (names[0], first) if names and len(over.args) < 3 else None
        nest.sizes += over.args[2:]
        return
    nest.counter = None
    if called(over) == "zip" and isinstance(over, ast.Call):
        nest.elements |= dict(zip(names, over.args, strict=False))
    elif len(names) == 1 and _is_index(names[0], loop):
        nest.indices |= set(names)
    else:
        nest.elements |= {name: ast.Name(name, ast.Load()) for name in names}


def _is_index(name: str, loop: ast.For) -> bool:
    return any(isinstance(n, ast.Subscript) and name in read(n.slice) for n in ast.walk(loop))
