"""How a formula of numbers becomes one compiled loop over arrays, which is needed for speed alone.

``numpy_impl.fused`` calls this for its rules; nothing here imports it. The formula is written into
a small module of its own, below a loop over the elements, and Numba compiles that. ``fastmath`` is
off: nothing is reordered, no product is contracted with a sum, and division by 0 is what NumPy
makes of it. Each constant is rounded to the arrays' precision where it meets an element, as NumPy
does; what is computed of numbers alone stays in double precision before. A formula may call the
functions of ``SAFE`` and no others: libraries agree on these to the last bit.

The modules, with what Numba compiled, lie in the user's cache (``NUMBA_CACHE_DIR``, else
``XDG_CACHE_HOME`` or ``~/.cache``) and are found there by the next program. Where that cannot be
written they are made for one run. The first time, a line on the standard error says so.
"""

import ast
import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

SAFE = ("sqrt", "abs", "sign", "maximum", "where")
LOOPS = "ijkl"
BEGINNING = """\
import numba
import numpy as np
real = np.{dtype}
@numba.njit
def maximum(a, b):  # NumPy's: the second if both are equal, as 0 and -0 are, NaN if there is one
    return a if a > b or a != a else b
@numba.njit(error_model="numpy")
{formula}
@numba.njit(error_model="numpy", nogil=True, cache=True)
def kernel({names}):
"""


class Compilable(Protocol):
    """A rule, as far as it matters here; the attributes are those of ``numpy_impl.fused.Rule``."""

    formula: Callable[..., Any]
    kinds: dict[str, Any]
    rows: list[str]
    numbers: list[str]
    names: list[str]
    places: list[int]
    kernels: dict[tuple[int, str], Callable[..., None] | None]


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "compiling")


def begin(rule: Compilable, *arguments: Any) -> None:
    """Have a thread compile a rule; where that fails, as without Numba, NumPy goes on."""
    _thread().submit(compile_rule, rule, *arguments)


def wait() -> None:
    """Wait until all is compiled that was begun."""
    _thread().submit(int).result()


def compile_rule(rule: Compilable, first: Any, *others: Any) -> None:
    """Compile a rule, for arguments of these types."""
    name = f"fused_{rule.formula.__name__}_{first.dtype}_{first.ndim}"
    kernel = _module(name, text(rule, first.ndim, first.dtype)).kernel
    kernel(*(v[(slice(0, 0),) * v.ndim] if np.ndim(v) else v for v in (first, *others)))
    rule.kernels[first.ndim, first.dtype.char] = kernel


def text(rule: Compilable, ndim: int, dtype: np.dtype) -> str:
    """Return the module that is compiled, for arrays of so many axes."""
    [formula] = ast.parse(textwrap.dedent(inspect.getsource(rule.formula))).body
    assert isinstance(formula, ast.FunctionDef)
    formula.name, formula.decorator_list, formula.returns = "formula", [], None
    for argument in formula.args.args:
        argument.annotation = None
    formula = ast.unparse(ast.fix_missing_locations(_Rounding(rule.numbers).visit(formula)))
    first, *others = rule.names
    lines: list[str] = []
    place = ", ".join(LOOPS[:ndim])
    at = {first: f"{first}[{place}]"}
    for name in others:
        if name in rule.numbers:
            at[name] = name
            lines.append(f"{name} = np.float64({name})")
            continue
        # Nothing else would see where an array ends. The rule says what did not fit.
        shape, where = ("shape[-1:]", place[-1]) if name in rule.rows else ("shape", place)
        lines.append(f"if {name}.shape != {first}.{shape}: raise ValueError")
        at[name] = f"{name}[{where}]"
    for axis, i in enumerate(LOOPS[:ndim]):
        lines.append(f"{'    ' * axis}for {i} in range({first}.shape[{axis}]):")
    written = ", ".join(at[rule.names[number]] for number in rule.places)
    given = ", ".join(at[name] for name in rule.kinds)
    lines.append(f"{'    ' * ndim}{written} = formula({given})")
    beginning = BEGINNING.format(dtype=dtype, formula=formula, names=", ".join(rule.names))
    return beginning + "".join(f"    {line}\n" for line in lines)


class _Rounding(ast.NodeTransformer):
    """Rounds each number to the arrays' precision where it meets an element."""

    def __init__(self, numbers: list[str]) -> None:
        self.numbers = {"np", *numbers}

    def _is_number(self, node: ast.expr) -> bool:
        return all(n.id in self.numbers for n in ast.walk(node) if isinstance(n, ast.Name))

    def _met(self, nodes: list[ast.expr]) -> list[ast.expr]:
        if all(map(self._is_number, nodes)):
            return nodes
        real = ast.Name("real", ast.Load())
        return [
            # A comparison counts as 1 or 0.
            ast.Call(real, [n], []) if self._is_number(n) or isinstance(n, ast.Compare) else n
            for n in nodes
        ]

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        self.generic_visit(node)
        if self._is_number(node.value):
            self.numbers |= {n.id for n in node.targets if isinstance(n, ast.Name)}
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.BinOp:
        self.generic_visit(node)
        node.left, node.right = self._met([node.left, node.right])
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.Compare:
        self.generic_visit(node)
        node.left, *node.comparators = self._met([node.left, *node.comparators])
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        assert isinstance(node.func, ast.Attribute)
        name, condition = node.func.attr, node.args[0]
        assert name in SAFE, f"{name} may have other bits in Numba"
        node.args = self._met(node.args)
        if name == "where":
            return ast.IfExp(condition, *node.args[1:])
        if name == "maximum":
            node.func = ast.Name("maximum", ast.Load())
        return node


def _module(name: str, source: str) -> Any:
    """Return the module of this source, from a file, beside which Numba keeps what it compiles.

    The name has a digest of the source, so that a rule that was changed does not find old code.
    """
    name = f"{name}_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    path = folder() / f"{name}.py"
    if not path.exists():
        _announce(path.parent)
        # Another process may be at the same: whoever reads finds all of it or nothing.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(source)
        os.replace(file.name, path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    # Numba looks the module up by its name when it finds compiled code of it.
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _announce(path: Path) -> None:
    print(f"Compiling formulas (Numba), kept in {path}", file=sys.stderr)


def folder() -> Path:
    """Return the folder of the modules."""
    given = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    try:
        path = Path(given or Path.home() / ".cache") / "digits-parity"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(path, os.W_OK):
            return path
    except (OSError, RuntimeError):
        pass
    return Path(_temporary().name)


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="digits-parity-")
