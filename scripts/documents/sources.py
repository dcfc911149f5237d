"""Which of the project's code a module runs, and a fingerprint of it.

A page states what a command measured. The fingerprint, kept with the numbers, tells when the code
that made them has changed since.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).parents[2]
PACKAGES = ("digits", "keras_impl", "numpy_impl", "parity", "scripts")
# Messages, signals, and files put in their place: no number and no picture comes from these.
PLUMBING = ("scripts.cli", "parity.terminal")


def path_of(module: str) -> Path | None:
    """Return the file of one of the project's modules; None if it is no module of the project."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, within functions too, but not for the type checker alone.

    Of a package that loads its names when they are used, those are followed that are used.
    """
    late = {id(n) for branch in _for_types_only(tree) for n in ast.walk(branch)}
    packages, used = set(), []
    for node in ast.walk(tree):
        if id(node) in late:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            packages |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            # ``from package import module``
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.append(f"{node.value.id}.{node.attr}")
    yield from (name for name in used if name.partition(".")[0] in packages)


def _for_types_only(tree: ast.Module) -> list[ast.If]:
    conditions = (node for node in tree.body if isinstance(node, ast.If))
    return [c for c in conditions if isinstance(c.test, ast.Name) and c.test.id == "TYPE_CHECKING"]


def _loaded_late(name: str) -> str | None:
    """Return the module that "package.name" comes from, where the package loads it when used."""
    package, _, own = name.rpartition(".")
    path = path_of(package)
    if path is None or path.name != "__init__.py":
        return None
    for branch in _for_types_only(ast.parse(path.read_bytes())):
        for node in branch.body:
            if isinstance(node, ast.ImportFrom) and own in {alias.name for alias in node.names}:
                return node.module
    return None


def modules(start: str) -> list[str]:
    """Return the project's modules that ``start`` imports, directly or not, with it; sorted.

    ``PLUMBING`` is left out.
    """
    found: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        path = path_of(module)
        if path is None and (home := _loaded_late(module)) is not None:
            waiting.append(home)
        if module in found or module in PLUMBING or path is None:
            continue
        found.add(module)
        tree = ast.parse(path.read_bytes())
        waiting += _imported(tree)
        if "." in module:  # a package's __init__ runs before its modules
            waiting.append(module.rpartition(".")[0])
    return sorted(found)


def fingerprint(start: str) -> str:
    """Return a hash of the code that ``start`` runs, without its comments, docstrings and blanks.

    Raises:
        ValueError: ``start`` is no module of the project.
    """
    if path_of(start) is None:
        raise ValueError(f"Expected a module of {', '.join(PACKAGES)}. Received: {start!r}")
    digest = hashlib.sha256()
    for module in modules(start):
        path = path_of(module)
        assert path is not None
        digest.update("\n".join([module, *code_lines(path.read_text(encoding="utf-8"))]).encode())
    return digest.hexdigest()[:16]


def code_lines(source: str) -> list[str]:
    """Return the lines of a source file without comments, docstrings and empty lines."""
    # By lines and not by ast.dump, which prints another text in every version of Python.
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if _is_text(node):
            for row in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[row - 1] = ""
    return [line.rstrip() for line in lines if line.strip()]


def _is_text(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Return whether a node is a statement that is nothing but a text: a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
