"""The user's Python files as text: found, read and compiled, with one line where that fails."""

import ast
import warnings
from pathlib import Path
from types import CodeType

from terminal_io import CliError, os_reason


def read(path: Path) -> bytes:
    """Return the content of a Python file.

    Raises:
        CliError: There is none, it cannot be read, or its name is not that of a Python file.
    """
    if path.suffix == ".ipynb":
        raise CliError(
            f"expected a Python file. Received: {path}, a notebook; this writes it as Python: "
            f"jupyter nbconvert --to script {path}"
        )
    if path.is_dir():
        raise CliError(f"expected a Python file. Received: {path}, a folder")
    if path.suffix != ".py":
        raise CliError(f"expected a Python file, whose name ends in .py. Received: {path}")
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = os_reason(error) if isinstance(error, OSError) else f"{path}: {error}"
        raise CliError(f"expected a Python file. Received: {reason}") from error


def compiled(path: Path) -> CodeType:
    """Return the code of a Python file.

    Raises:
        CliError: It cannot be read, or is not Python.
    """
    content = read(path)
    try:
        return compile(content, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _not_python(path, error) from error


def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file, without running any of it.

    Raises:
        CliError: It cannot be read, or is not Python.
    """
    content = read(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is not what is asked about here
            tree = ast.parse(content, str(path))
            compile(
                tree, str(path), "exec", dont_inherit=True
            )  # else a stray "return" is seen later
            return tree
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _not_python(path, error) from error


def _not_python(path: Path, error: Exception) -> CliError:
    if isinstance(error, SyntaxError):
        line = f" line {error.lineno}" if error.lineno else ""
        text = f": {error.text.strip()}" if error.text and error.text.strip() else ""
        return CliError(f"expected valid Python. Received: {path}{line}: {error.msg}{text}")
    return CliError(f"expected valid Python. Received: {path}: {error or 'nested too deeply'}")
