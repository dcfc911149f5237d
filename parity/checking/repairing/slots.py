"""Places in the syntax of a function where something else may stand, and changes of them."""

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from parity.checking.repairing.functions import Function


@cache
def expression(text: str) -> Any:
    """Return the syntax of an expression; nobody may change it."""
    return ast.parse(text, mode="eval").body


def plain(node: ast.AST) -> str:
    """Return a name, or "self.W", also of what is indexed; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return plain(node.value) if isinstance(node, ast.Subscript) else ""


def replaced(node: Any, others: Mapping[str, ast.expr]) -> Any:
    """Return a copy of an expression with others wherever some names stand."""
    if isinstance(node, list):
        return [replaced(part, others) for part in cast(list[Any], node)]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.Name):
        return others.get(node.id, node)
    new = type(node)(**{name: replaced(part, others) for name, part in ast.iter_fields(node)})
    return ast.copy_location(new, node)


def index_text(index: ast.expr) -> str:
    """Return an index as code writes it: "[:, t]"."""
    return ast.unparse(ast.Subscript(ast.Name("x"), index))[1:]


@dataclass(frozen=True)
class Slot:
    """A place in the syntax.

    Attributes:
        parent: The node, or the list, that holds it.
        key: The name of its field, or its number in the list.
        nodes: The nodes around it, outermost first, up to the one that holds it.
    """

    parent: Any
    key: Any
    nodes: tuple[ast.AST, ...] = ()

    @property
    def node(self) -> Any:
        """What stands there."""
        return (
            self.parent[self.key] if isinstance(self.key, int) else getattr(self.parent, self.key)
        )

    def put(self, node: Any) -> None:
        """Let something else stand there."""
        if isinstance(self.key, int):
            self.parent[self.key] = node
        else:
            setattr(self.parent, self.key, node)


@dataclass(frozen=True)
class Change:
    """A change of one statement, or one and the same of several.

    Attributes:
        rank: The less, the likelier.
        puts: What is put where.
        also: The further statements in which something is put.
        shares: Whether it changes which names share an array, and so may give the same at once.
        moved: Where the statement then stands, in words; "" where it stays.
        runs: What is put there to be run, if that is something else than what is to be read.
    """

    rank: float
    puts: tuple[tuple[Slot, Any], ...]
    also: "tuple[Statement, ...]" = ()
    shares: bool = False
    moved: str = ""
    runs: tuple[tuple[Slot, Any], ...] = ()

    def moves(self, statement: "Statement") -> bool:
        """Whether a statement changes places with the next one."""
        return not self.also and any(slot == statement.behind for slot, _ in self.puts)

    def names(self, some: Set[str]) -> bool:
        """Whether what it puts in has one of these names."""
        return bool(some) and any(
            isinstance(part, ast.Name | ast.Subscript) and ast.unparse(part) in some
            for _, node in self.puts
            for part in ast.walk(node)
        )

    def apply(self, to_run: bool = False) -> list[tuple[Slot, Any]]:
        """Make it, as it is read or as it is run; return what takes it back."""
        puts = self.runs if to_run and self.runs else self.puts
        before = [(slot, slot.node) for slot, _ in puts]
        for (slot, node), (_, old) in zip(puts, before, strict=True):
            if not hasattr(node, "lineno"):
                ast.copy_location(node, old)
            ast.fix_missing_locations(node)
            slot.put(node)
        return before


@dataclass
class Statement:
    """A statement, or the head of one that holds others.

    Attributes:
        slot: Where it stands.
        node: The statement as it was.
        heads: Its own expressions.
        behind: Where the next one of the same block stands.
    """

    slot: Slot
    node: Any
    heads: list[Slot] = field(default_factory=list[Slot])
    behind: Slot | None = None

    @property
    def lines(self) -> range:
        """The numbers of its lines, without those of the statements that it holds."""
        ends = [head.node.end_lineno for head in self.heads]
        return range(self.node.lineno, max(ends or [self.node.lineno]) + 1)

    @property
    def compound(self) -> bool:
        """Whether it holds other statements."""
        return hasattr(self.node, "body")


_HEADS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Assign: ("value",), ast.AugAssign: ("value",), ast.AnnAssign: ("value",),
    ast.Return: ("value",), ast.Expr: ("value",), ast.For: ("iter",), ast.If: ("test",),
}  # fmt: skip


def statements(function: Function) -> Iterator[Statement]:
    """Yield the statements of a function, and of those that it defines."""
    if isinstance(function, ast.Lambda):
        slot = Slot(function, "body")
        yield Statement(slot, slot.node, [slot])
        return
    yield from _in_block(function.body)


def _in_block(body: list[ast.stmt]) -> Iterator[Statement]:
    for number, node in enumerate(body):
        heads = [Slot(node, name) for name in _HEADS.get(type(node), ())]
        heads = [head for head in heads if head.node is not None]
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if heads and not text:
            # A target's indices are places, too.
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AugAssign) else targets
            heads += [Slot(t, "slice") for t in targets if isinstance(t, ast.Subscript)]
            behind = Slot(body, number + 1) if number + 1 < len(body) else None
            yield Statement(Slot(body, number), node, heads, behind)
        for name in ("body", "orelse", "finalbody"):
            yield from _in_block(getattr(node, name, []))


# What follows below these is no value: a function's name, or a text.
_SKIPPED = (ast.JoinedStr, ast.Lambda)


def places(heads: Sequence[Slot]) -> Iterator[Slot]:
    """Yield every place of an expression, the outer ones first."""
    for head in heads:
        yield from _below(head, ())


def _below(slot: Slot, nodes: tuple[ast.AST, ...]) -> Iterator[Slot]:
    node = slot.node
    if isinstance(node, _SKIPPED):
        return
    if isinstance(node, ast.expr):
        yield Slot(slot.parent, slot.key, nodes)
    inner = (*nodes, node)
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.Call) and name == "func":
            if isinstance(value, ast.Attribute):  # the array whose method it is
                yield from _below(Slot(value, "value"), (*inner, value))
        elif isinstance(value, list):
            for number, part in enumerate(cast(list[Any], value)):
                if isinstance(part, ast.AST):
                    yield from _below(Slot(value, number), inner)
        elif isinstance(value, ast.expr | ast.keyword | ast.comprehension):
            yield from _below(Slot(node, name), inner)
