"""Do the tests notice? A small change of a formula, the tests, and whether one of them fails.

Each *mutant* is a function of the project with one operator, comparison, number or statement
changed. A mutant that no test notices shows a check that is missing, or a change that means
nothing. The code of the living functions is replaced, so that Keras is imported once and not for
each mutant; what stands outside of functions is not changed.
"""

import argparse
import ast
import contextlib
import copy
import gc
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
NETWORKS = ["tests/numpy_impl/test_numpy_network.py", "tests/numpy_impl/test_numpy_gradients.py"]
# Which tests are asked about a file, likely ones first; of several entries the first that fits.
TESTS: list[tuple[str, list[str]]] = [
    ("numpy_impl/activations.py", ["tests/numpy_impl/test_numpy_activations.py", *NETWORKS]),
    ("numpy_impl/losses.py", ["tests/numpy_impl/test_numpy_losses.py"]),
    ("numpy_impl/optimizers", ["tests/numpy_impl/test_numpy_optimizers.py"]),
    *(
        (f"numpy_impl/layers/{name}", [f"tests/layers/test_{tests}.py"])
        for tests, names in {
            "attention": ("attention", "multi_head_attention"),
            "convolution": ("convolution", "depthwise", "transposed", "zero_padding", "spatial"),
            "pooling": ("pooling", "global_pooling"),
            "normalization": ("batch_norm", "layer_norm", "group_norm", "rms_norm"),
            "merging": ("merging", "concatenate"),
            "recurrent": ("lstm", "gru", "simple_rnn", "recurrent", "bidirectional"),
        }.items()
        for name in names
    ),
    ("numpy_impl/layers", [*NETWORKS, "tests/layers"]),
    ("parity/bounds/rounding.py", ["tests/parity/test_rounding.py", "tests/parity/test_dual.py"]),
    ("parity/bounds/dual.py", ["tests/parity/test_dual.py", "tests/parity/test_formulas.py"]),
    ("parity/bounds/updates", ["tests/parity/test_trajectory.py"]),
    ("parity/bounds/optimizers.py", ["tests/parity/test_trajectory.py"]),
    ("parity/bounds/schedules.py", ["tests/parity/test_trajectory.py"]),
    (
        "parity/bounds",
        [
            f"tests/parity/test_{name}.py"
            for name in ("rounding", "array_functions", "function_accuracy", "formulas",
                         "compare_losses", "compare")
        ],
    ),
]  # fmt: skip
# So many times as long as the unchanged code took, and so many seconds more, a mutant may take.
SLOWER, MORE = 4.0, 20.0
OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,), ast.Pow: (ast.Mult,),
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip
# A function that is made anew in a call, or whose change makes no other code.
NOT_ALIVE = "-"


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        file: Of which file.
        number: Which of the file's changes.
        line: Where it is.
        what: The line's change in words.
    """

    file: str
    number: int
    line: int
    what: str


def changes(tree: ast.Module) -> Iterator[tuple[int, str, Any]]:
    """Yield each change of a module: its line, its words, and a function that makes it."""
    functions = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]  # fmt: skip
    seen: set[int] = set()
    for function in functions:
        body = function.body if isinstance(function.body, list) else [function.body]
        for part in body:
            for node in _walk(part):
                if id(node) not in seen:
                    seen.add(id(node))
                    yield from _of_node(node)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all in it, but for words: messages, documentation and annotations."""
    if isinstance(node, ast.Raise) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child)


def _of_node(node: ast.AST) -> Iterator[tuple[int, str, Any]]:
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        for new in OPERATORS.get(type(node.op), ()):
            said = f"{type(node.op).__name__} -> {new.__name__}"
            yield line, said, lambda n=node, new=new: setattr(n, "op", new())
    elif isinstance(node, ast.Compare):
        for new in OPERATORS.get(type(node.ops[0]), ()):
            said = f"{type(node.ops[0]).__name__} -> {new.__name__}"
            yield line, said, lambda n=node, new=new: setattr(n, "ops", [new(), *n.ops[1:]])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        said = f"without {type(node.op).__name__}"
        yield line, said, lambda n=node: setattr(n, "op", _Nothing.get(n))
    elif isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield line, f"{value} -> {not value}", lambda n=node: setattr(n, "value", not n.value)
        elif isinstance(value, int | float):
            yield (
                line,
                f"{value} -> {value + 1}",
                lambda n=node, v=value: setattr(n, "value", v + 1),
            )
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield line, "the condition turned round", lambda n=node: _turn(n)
    if isinstance(node, ast.AugAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield line, "the statement left out", lambda n=node: _leave_out(n)


class _Nothing:
    @staticmethod
    def get(node: ast.UnaryOp) -> ast.unaryop:
        """Return an operator that leaves a number, or whether something is true, as it is."""
        if isinstance(node.op, ast.USub):
            return ast.UAdd()
        node.operand = ast.UnaryOp(ast.Not(), node.operand)
        ast.copy_location(node.operand, node)
        return ast.Not()


def _turn(node: Any) -> None:
    node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)


def _leave_out(node: Any) -> None:
    value = ast.copy_location(ast.Constant(None), node)
    if isinstance(node, ast.Expr):
        node.value = value
    else:  # x += 1 to x += 0 would not do for every type; a slice of its own is the same again
        target = copy.deepcopy(node.target)
        target.ctx = ast.Load()
        node.__class__ = ast.Assign
        node.targets, node.value, node.type_comment = [node.target], target, None


def mutants(file: str) -> list[Mutant]:
    """Return all of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = enumerate(changes(tree))
    return [Mutant(file, number, line, what) for number, (line, what, _) in found]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _by_place(module: CodeType) -> dict[tuple[str, int], list[CodeType]]:
    found: dict[tuple[str, int], list[CodeType]] = {}
    for code in _codes(module):
        found.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
    return found


@contextlib.contextmanager
def living(mutant: Mutant) -> Iterator[int]:
    """Have the functions of a module compute what a mutant does; yields how many are others."""
    path = str(ROOT / mutant.file)
    text = Path(path).read_text(encoding="utf-8")
    tree = ast.parse(text)
    list(changes(tree))[mutant.number][2]()
    ast.fix_missing_locations(tree)
    # A statement that is left out may take functions with it.
    old, new = (_by_place(compile(module, path, "exec")) for module in (text, tree))
    pairs = [pair for place in old for pair in zip(old[place], new.get(place, []), strict=False)]
    other = {a: b for a, b in pairs if a != b}
    functions = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__code__ in other]
    before: list[tuple[FunctionType, CodeType]] = []
    try:
        for function in functions:
            code = function.__code__
            # It has other closures, where what is left out names a variable from outside.
            with contextlib.suppress(ValueError):
                function.__code__ = other[code]
                before.append((function, code))
        yield len(before)
    finally:
        for function, code in before:
            function.__code__ = code


def _noticed(tests: Sequence[str], limit: float | None) -> str:
    """Run the tests; return the first that fails, or nothing."""
    import signal

    import pytest

    class First:
        failed = ""

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed and not self.failed:
                self.failed = report.nodeid

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed and not self.failed:
                self.failed = report.nodeid

    def late(*_: object) -> None:
        raise TimeoutError

    first = First()
    signal.signal(signal.SIGALRM, late)
    if limit is not None:
        signal.setitimer(signal.ITIMER_REAL, limit)
    options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--census-seed", "0"]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = pytest.main([*options, *tests], plugins=[first])
    except BaseException as error:
        return f"{type(error).__name__} in pytest"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return first.failed or ("" if code == 0 else f"exit code {int(code)}")


def _work() -> None:
    """Try the mutants that stdin names, in a process that one of them may spoil."""
    from numpy_impl import fused

    fused.PATIENCE = float("inf")  # what is compiled is compiled of the source
    given = json.loads(sys.stdin.read())
    said = os.fdopen(os.dup(1), "w")
    tests = given["tests"]
    for mutant in given["mutants"]:
        import_module(mutant["file"].removesuffix(".py").replace("/", "."))
    started = time.monotonic()
    if failed := _noticed(tests, None):
        raise SystemExit(f"the tests fail as it is: {failed}")
    limit = (time.monotonic() - started) * SLOWER + MORE
    for fields in given["mutants"]:
        mutant = Mutant(**fields)
        print(json.dumps(["begun", fields, limit]), file=said, flush=True)
        with living(mutant) as count:
            by = _noticed(tests, limit) if count else NOT_ALIVE
            # Of what is random or long a sample is run, as by ``make test``; now all of it.
            by = by or _noticed(["--census", "all", *tests], 10 * limit)
        print(json.dumps(["done", fields, by]), file=said, flush=True)


def tried(chosen: Sequence[Mutant], tests: Sequence[str]) -> Iterator[tuple[Mutant, str]]:
    """Yield mutants with the test that noticed each, or nothing."""
    left = list(chosen)
    while left:
        command = [sys.executable, "-m", "tools.mutation", "--work"]
        given = {"mutants": [vars(m) for m in left], "tests": list(tests)}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(given))
            process.stdin.close()
            begun: Mutant | None = None
            for line in process.stdout:
                kind, fields, result = json.loads(line)
                begun = Mutant(**fields)
                if kind == "done":
                    left.remove(begun)
                    yield begun, result
                    begun = None
        if begun is not None:  # it has ended the process
            left.remove(begun)
            yield begun, "the end of Python"
        elif process.returncode:
            raise SystemExit(f"exit code {process.returncode}: the tests fail as it is")


def main() -> int:
    """Run the command; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="files or folders, such as numpy_impl/losses.py")
    parser.add_argument("--sample", type=int, default=100, metavar="N", help="default: 100")
    parser.add_argument("--seed", type=int, default=0, help="draws them; default: 0")
    parser.add_argument("--only", metavar="FILE:NUMBER", help="one mutant")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        _work()
        return 0
    files = [
        str(path.relative_to(ROOT))
        for given in args.files
        for path in (sorted((ROOT / given).rglob("*.py")) or [ROOT / given])
    ]
    every = [mutant for file in files for mutant in mutants(file)]
    if args.only:
        every = [m for m in every if f"{m.file}:{m.number}" == args.only]
    order = np.random.default_rng(args.seed).permutation(len(every))
    sample = [every[int(i)] for i in order[: args.sample]]
    groups: dict[str, list[Mutant]] = {}
    for mutant in sample:
        start = next(start for start, _ in TESTS if mutant.file.startswith(start))
        groups.setdefault(start, []).append(mutant)
    noticed = total = 0
    with contextlib.suppress(KeyboardInterrupt):
        for mutant, by in (result for start, own in groups.items()
                           for result in tried(own, dict(TESTS)[start])):  # fmt: skip
            total += by != NOT_ALIVE
            noticed += by not in ("", NOT_ALIVE)
            if not by:
                place = f"{mutant.file}:{mutant.line}"
                print(f"{place}: {mutant.what} (number {mutant.number}) is not noticed", flush=True)
    print(f"{noticed} of {total} mutants noticed, of {len(every)} that there are")
    return 0


if __name__ == "__main__":
    sys.exit(main())
