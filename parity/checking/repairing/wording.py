"""A change of a statement as text: what stands there, and what would."""

import ast
import linecache
import os
from collections.abc import Sequence

from parity.checking.bugs.findings import listed
from parity.checking.repairing.slots import Change, Statement

# More names than these are counted in a title; the evidence lists them.
_LISTED = 4


def place(filename: str, statement: Statement, change: Change) -> str:
    """Return where a change is made, in words."""
    lines = sorted({each.node.lineno for each in (statement, *change.also)})
    *first, last = map(str, lines)
    words = f"lines {', '.join(first)} and {last}" if first else f"line {last}"
    return f"{words} of {os.path.basename(filename)}"


def texts(filename: str, statement: Statement, change: Change) -> tuple[str, str]:
    """Return statements as they stand in the file, and as they would with a change; "" for nothing.

    Of a statement that holds others it is the first line; of one that changes places with the next
    one it is both; of one that is moved it is that one, and nothing.
    """
    if change.moved:
        return _text(statement.node), ""
    pairs = [_of_one(filename, each, change) for each in (statement, *change.also)]
    olds, news = zip(*pairs, strict=True)
    return "; ".join(olds), "; ".join(filter(None, news))


def _of_one(filename: str, statement: Statement, change: Change) -> tuple[str, str]:
    blocks = [slot for slot in (statement.slot, statement.behind) if slot is not None]
    moved = not change.also and sum(slot in blocks for slot, _ in change.puts) > 1
    shown = blocks if moved else blocks[:1]
    old = "; ".join(_text(slot.node) for slot in shown)
    before = change.apply()
    kept = [slot.node for slot in shown if not isinstance(slot.node, ast.Pass)]
    new = "; ".join(map(_text, kept))
    for slot, node in before:
        slot.put(node)
    line = linecache.getline(filename, statement.node.lineno).strip()
    if _same(line, old):
        return line, _spliced(filename, change, new) or new
    return old, new


def _text(node: ast.AST) -> str:
    match node:
        case ast.If(test=ast.Constant(value=True), body=[_, _] as both):  # one is added
            return "; ".join(map(_text, both))
        case _:
            return ast.unparse(node).partition("\n")[0]


def _same(one: str, other: str) -> bool:
    """Return whether two lines are one statement; the head of a block is one with "pass" in it."""
    try:
        return ast.dump(_parsed(one)) == ast.dump(_parsed(other))
    except SyntaxError:
        return False


def _parsed(line: str) -> ast.Module:
    return ast.parse(f"{line} pass" if line.endswith(":") else line)


def _spliced(filename: str, change: Change, new: str) -> str:
    """Return the line of the file in which only what changes is written anew; "" if that fails."""
    slot, node = change.puts[0]
    old = slot.node
    if len(change.puts) > 1 or not isinstance(old, ast.expr) or old.lineno != old.end_lineno:
        return ""
    line = linecache.getline(filename, old.lineno).encode()  # columns are counted in bytes
    before, behind = line[: old.col_offset].decode(), line[old.end_col_offset :].decode()
    text = ast.unparse(node)
    for written in (text, f"({text})"):
        whole = f"{before}{written}{behind}".strip()
        if _same(whole, new):
            return whole
    return ""


def in_part(parts: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return in words what a change mends, and what stays wrong with it; of many how many."""
    fixed, rest = (listed(p) if len(p) <= _LISTED else f"{len(p)} arrays" for p in parts)
    one, alone = (len(part) == 1 for part in parts)
    return {
        "mended": f"the gradient of {fixed}" if one else f"the gradients of {fixed}",
        "rest": f"that of {rest} stays" if alone else f"those of {rest} stay",
    }
