"""The text of a statement: in lines that fit a page, with strings in double quotes."""

import ast
import copy
import io
import tokenize
from itertools import pairwise

WIDTH = 100
INDENT = 4


def text_of(node: ast.AST, indent: int = 0) -> str:
    """Return the text of a statement, in lines of at most ``WIDTH`` columns where possible."""
    text = ast.unparse(_AsWritten().visit(copy.deepcopy(node)))
    lines = [piece for line in text.split("\n") for piece in wrapped(" " * indent + line)]
    return "\n".join(lines)


class _AsWritten(ast.NodeTransformer):
    """Puts in place what ``ast.unparse`` writes otherwise than this project does.

    It has names as they are, so a name is the text that is wanted.
    """

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Call(args=[ast.GeneratorExp() as loop], keywords=[]):
                # Not ``tuple((k for k in x))``.
                return ast.Name(ast.unparse(node.func) + ast.unparse(loop))
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return _quoted(node) if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return _quoted(node)


def _quoted(node: ast.expr) -> ast.expr:
    """Return a string with double quotes around it, if there are none in it."""
    text = ast.unparse(node)
    start, _, plain = text.partition("'")
    plainly = start in ("", "f") and not set(plain) & {'"', "\\"}
    return ast.Name(f'{start}"{plain[:-1]}"') if plainly else node


def wrapped(line: str) -> list[str]:
    """Return a line of code as lines of at most ``WIDTH`` columns, where brackets allow it."""
    if len(line) <= WIDTH:
        return [line]
    margin = len(line) - len(line.lstrip())
    opening, ends, closing = _outermost(line.strip(), margin)
    if not closing:
        return [line]
    inner = line[opening + 1 : closing].strip()
    first, last = line[: opening + 1], " " * margin + line[closing:]
    if margin + INDENT + len(inner) <= WIDTH or not ends:
        parts = [inner]
    else:
        bounds = [opening, *ends, closing]
        comma = "," if line[ends[0]] == "," else ""
        parts = [line[a + 1 : b].strip() + comma for a, b in pairwise(bounds)]
    pieces = [piece for part in parts for piece in wrapped(" " * (margin + INDENT) + part)]
    return [first, *pieces, *wrapped(last)]


def _tokens(line: str) -> list[tokenize.TokenInfo]:
    """Return the tokens of a line, which may have brackets that close in another."""
    found: list[tokenize.TokenInfo] = []
    inside = 0  # f-strings, whose parts are tokens since Python 3.12
    try:
        for token in tokenize.generate_tokens(io.StringIO(line.strip()).readline):
            kind = tokenize.tok_name[token.type]
            inside += (kind == "FSTRING_START") - (kind == "FSTRING_END")
            if not inside and kind != "FSTRING_END":
                found.append(token)
    except (tokenize.TokenError, IndentationError):
        pass
    return found


def _outermost(line: str, margin: int) -> tuple[int, list[int], int]:
    """Return where the longest pair of brackets in a line opens, can be parted, and closes."""
    best: tuple[int, list[int], int] = (0, [], 0)
    stack: list[tuple[int, list[int]]] = []
    loops: dict[int, list[int]] = {}
    for token in _tokens(line):
        if token.string == "for" and stack:  # the blank before it
            loops[stack[-1][0]] = [token.start[1] + margin - 1]
        if token.type != tokenize.OP:
            continue
        column = token.start[1] + margin
        if token.string in "([{":
            stack.append((column, []))
        elif token.string in ")]}" and stack:
            opening, commas = stack.pop()
            if not stack and column - opening > best[2] - best[0]:
                best = opening, loops.get(opening, commas), column
        elif token.string == "," and stack:
            stack[-1][1].append(column)
    return best
