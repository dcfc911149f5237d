"""A user's file without what it does: its definitions and weights, but no training, no files."""

import __future__

import ast
import contextlib
import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

# What a module may do on import without anybody minding.
_HARMLESS = re.compile(
    r"seed|filterwarnings|simplefilter|insert|append|use|set_\w+|basicConfig|seterr|setdefault"
)
_LONG = re.compile(
    r"train|fit|sgd|load|read|fetch|open|download|model$|descent|imi[sz]e$|learn|^input$", re.I
)
_QUIET = (
    "range", "len", "zip", "enumerate", "str", "format", "append", "sqrt", "items", "keys", "list",
)  # fmt: skip
# Calls whose name ends in one of these make an array, or with Python's own random a number.
ARRAY_CALLS = (
    "randn", "rand", "random", "normal", "uniform", "zeros", "ones", "full", "empty", "array",
    "asarray", "zeros_like", "ones_like", "eye", "random_sample", "gauss", "rvs", "choice",
    "truncnorm", "xavier", "glorot", "he_init",
)  # fmt: skip
_LONGEST = 60


@dataclass(frozen=True)
class Action:
    """A statement that does something whenever the module is imported."""

    line: int
    text: str


def definitions(path: str | Path) -> ModuleType:
    """Return a module of a file's imports, functions, classes and plain values.

    Loops that call something, calls, and assignments of what is trained or read are left out, and
    so is what cannot be imported or misses what was left out.

    Args:
        path: The Python file.

    Raises:
        OSError: It cannot be read.
        SyntaxError: It is not Python.
    """
    path = Path(path).resolve()
    codes = _codes(str(path), path.read_bytes())
    module = ModuleType(f"{path.stem}_definitions")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # a dataclass looks for its module there
    folder = str(path.parent)
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        for code in codes:
            # What cannot be done without what is left out is left out too.
            with contextlib.suppress(Exception):
                exec(code, module.__dict__)
    finally:
        if added:
            sys.path.remove(folder)
    return module


@functools.lru_cache(maxsize=16)
def _codes(path: str, content: bytes) -> tuple[CodeType, ...]:
    """Return the code of each statement that is run."""
    tree = ast.parse(content, path)
    flags = _flags(tree)
    return tuple(
        compile(ast.Module([statement], []), path, "exec", flags, dont_inherit=True)
        for statement in statements(tree.body)
        if not action(statement)
    )


def _flags(tree: ast.Module) -> int:
    """Return what ``from __future__ import`` asks of the compiler."""
    names = (
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    )
    flags = 0
    for name in names:
        flags |= getattr(__future__, name).compiler_flag
    return flags


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that an import runs, also those inside ``if`` and ``try``."""
    for statement in body:
        if isinstance(statement, ast.If) and not is_guard(statement):
            yield from statements([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Try):
            yield from statements([*statement.body, *statement.orelse, *statement.finalbody])
        elif not isinstance(statement, ast.If):
            yield statement


def is_guard(statement: ast.stmt) -> bool:
    """Whether it is ``if __name__ == "__main__":``."""
    return isinstance(statement, ast.If) and any(
        isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(statement.test)
    )


def action(statement: ast.stmt) -> Action | None:
    """Return what a statement does on import, if it may take long, print or read files."""
    nodes = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    names = [called(node) for node in nodes if not makes_array(node)]
    if isinstance(statement, ast.Expr):
        does = bool(names) and not _HARMLESS.fullmatch(called(statement.value))
    elif isinstance(statement, (ast.For, ast.While, ast.With)):
        does = isinstance(statement, ast.While) or any(name not in _QUIET for name in names)
    elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        does = any(_LONG.search(name) for name in names)
    else:
        does = isinstance(statement, (ast.Raise, ast.Assert))
    if not does:
        return None
    text = ast.unparse(statement).partition("\n")[0]
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return Action(statement.lineno, shown)


def called(expression: ast.AST) -> str:
    """Return the last name of what a call calls: "randn" of ``np.random.randn(3)``; else ""."""
    if not isinstance(expression, ast.Call):
        return ""
    function = expression.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def makes_array(expression: ast.expr) -> bool:
    """Whether some call in the expression makes random numbers or an array."""
    return any(
        called(node).lower().endswith(ARRAY_CALLS)
        for node in ast.walk(expression)
        if isinstance(node, ast.Call)
    )
