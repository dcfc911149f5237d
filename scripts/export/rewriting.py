"""The project's functions, rewritten so that whoever runs them learns what they do.

A rewritten function computes what it did, in Python as always. But it asks a ``Recorder`` for every
call, tells it the name of whatever it assigns, and leaves to it what depends on values that are not
known before the written code is run: how often a loop goes round, and whether an error is raised.

    def step(self, z, taken):                      def step(self, z, taken):
        h = activate(z, self.activation)    ->         h = record.call(activate, z, self.activation)
                                                       record.name(h, "h")
        return h                                       return h
"""

import ast
import copy
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any, NoReturn

from .symbolic import NotSpecializable

# Between a variable's name and its number; no name in the source has it.
MARK = "·"
# By what a rewritten function knows its recorder, and what it is called itself.
_RECORD, _FUNCTION = f"record{MARK}", f"function{MARK}"
_FILE = "<rewritten>"
_STATEMENTS = (
    ast.Return, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.If, ast.For, ast.With,
    ast.FunctionDef, ast.Raise, ast.Expr, ast.Pass,
)  # fmt: skip


def is_rewritten(function: FunctionType | MethodType) -> bool:
    """Return whether a function is rewritten already, as one inside another is."""
    return function.__code__.co_filename == _FILE


def rewritten(function: FunctionType, record: Any) -> FunctionType:
    """Return a function that computes the same and tells a recorder about it.

    Raises:
        NotSpecializable: Its source is not there, or has a statement that is not understood.
    """
    if is_rewritten(function):
        return function
    free = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    outside = {**function.__globals__, **{name: cell.cell_contents for name, cell in free}}
    outside[_RECORD] = record
    exec(_compiled(function.__code__), outside)
    return outside[_FUNCTION]


@cache
def _compiled(code: CodeType) -> CodeType:
    """Return what defines a rewritten function under the name ``_FUNCTION``."""
    source = _source_of(code)
    if isinstance(source, ast.FunctionDef):
        source.decorator_list, source.name = [], _FUNCTION
        source.args.defaults, source.args.kw_defaults = [], [None] * len(source.args.kwonlyargs)
        definition = _Rewriter().visit(source)
    else:
        definition = ast.Assign([ast.Name(_FUNCTION, ast.Store())], _Rewriter().visit(source))
    tree = ast.fix_missing_locations(ast.Module([definition], []))
    return compile(tree, _FILE, "exec")


@cache
def _definitions(path: str) -> list[ast.FunctionDef | ast.Lambda]:
    """Return the functions that a file defines."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise NotSpecializable(f"Expected this project's source. Received: {error}") from error
    nodes = ast.walk(ast.parse(text))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.Lambda)]


def _source_of(code: CodeType) -> ast.FunctionDef | ast.Lambda:
    # The first instructions of a function stand nowhere in its body.
    spans = [p for p in code.co_positions() if p[2] != p[3] and None not in p]
    for node in _definitions(code.co_filename):
        if isinstance(node, ast.FunctionDef):
            first = min(part.lineno for part in (node, *node.decorator_list))
            found = (node.name, first) == (code.co_name, code.co_firstlineno)
        else:
            body = node.body
            start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
            found = bool(spans) and all(
                start <= (p[0], p[2]) and (p[1], p[3]) <= end for p in spans
            )
        if found:
            return copy.deepcopy(node)
    raise NotSpecializable(f"Expected the source of a function. Received: {code}")


class _Rewriter(ast.NodeTransformer):
    """Puts the questions to a recorder into a function's source."""

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.stmt) and not isinstance(node, _STATEMENTS):
            _refuse("a known statement", node)
        return super().visit(node)

    # Functions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        node.returns = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """``f(x)`` becomes ``record.call(f, x)``."""
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            return ast.parse("super(__class__, self)", mode="eval").body
        self.generic_visit(node)
        return ast.Call(_of_record("call"), [node.func, *node.args], node.keywords)

    # Variables

    def visit_Assign(self, node: ast.Assign) -> Sequence[ast.stmt]:
        """``x = ...`` is followed by ``record.name(x, "x")``."""
        self.generic_visit(node)
        return [node, *_naming(*node.targets)]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Sequence[ast.stmt]:
        if node.value is None:
            return []
        return self.visit_Assign(ast.Assign([node.target], node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> Sequence[ast.stmt]:
        if isinstance(node.target, ast.Attribute):
            _refuse("variables", node)
        self.generic_visit(node)
        return [node, *_naming(node.target)]

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """What a layer keeps for the way back is not kept."""
        if isinstance(node.ctx, ast.Store):
            return ast.Name(f"kept{MARK}", ast.Store())
        return self.generic_visit(node)

    # What may depend on values that are not known

    def visit_If(self, node: ast.If) -> ast.AST:
        """A branch without ``else`` may be one that raises an error, and be written down.

        ``if x: ...`` becomes ``with record.branch(x) as taken: if taken: ...``.
        """
        self.generic_visit(node)
        if node.orelse:
            return node
        taken, test = f"taken{MARK}", _asked("branch", node.test)
        node.test = ast.Name(taken, ast.Load())
        return ast.With([ast.withitem(test, ast.Name(taken, ast.Store()))], [node])

    def visit_For(self, node: ast.For) -> Sequence[ast.stmt]:
        """The recorder says what the rounds are, and what variables are before and behind them.

        ``for x in xs: total = total + x`` becomes::

            with record.loop(xs, "x", locals(), ["total"], []) as loop:
                if "total" in loop.carried:
                    total = loop.carried["total"]
                for x in loop.rounds:
                    total = total + x
                loop.after = locals()
            if "total" in loop.carried:
                total = loop.carried["total"]
        """
        if node.orelse:
            _refuse("no else of a loop", node)
        assigned, added = _changed(node.body)
        self.generic_visit(node)
        variables = ast.parse("locals()", mode="eval").body
        loop = f"loop{MARK}{'_'.join(_stored(node.target))}"
        start = _asked(
            "loop", node.iter, _pattern(node.target), variables, _constant(assigned),
            _constant(added),
        )  # fmt: skip
        node.iter = ast.parse(f"{loop}.rounds", mode="eval").body
        taken = "".join(
            f"if {name!r} in {loop}.carried:\n    {name} = {loop}.carried[{name!r}]\n"
            for name in sorted({*assigned, *added})
        )
        end = ast.parse(f"{loop}.after = locals()").body
        whole = [*ast.parse(taken).body, node, *end]
        opened = ast.withitem(start, ast.Name(loop, ast.Store()))
        return [ast.With([opened], whole), *ast.parse(taken).body]

    def visit_With(self, node: ast.With) -> ast.AST:
        """``with np.errstate(...)`` becomes ``with record.within(...)``, which writes it down."""
        if len(node.items) > 1 or node.items[0].optional_vars:
            _refuse("with one context", node)
        self.generic_visit(node)
        node.items[0].context_expr = _asked("within", node.items[0].context_expr)
        return node

    # Comprehensions

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return self._comprehension(node, lazy=False)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._comprehension(node, lazy=True)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp, lazy: bool) -> ast.AST:
        """Return ``record.comprehension(xs, "x", lambda rounds: [f(x) for x in rounds], lazy)``."""
        if len(node.generators) > 1:
            _refuse("one for", node)
        self.generic_visit(node)
        generator, rounds = node.generators[0], f"rounds{MARK}"
        over, generator.iter = generator.iter, ast.Name(rounds, ast.Load())
        arguments = ast.arguments([], [ast.arg(rounds)], kwonlyargs=[], kw_defaults=[], defaults=[])
        body = ast.Lambda(arguments, ast.ListComp(node.elt, node.generators))
        pattern = _pattern(generator.target)
        return _asked("comprehension", over, pattern, body, ast.Constant(lazy))

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        self.generic_visit(node)
        for generator in node.generators:
            generator.iter = _asked("items", generator.iter, _pattern(generator.target))
        return node


def _refuse(expected: str, node: ast.AST) -> NoReturn:
    raise NotSpecializable(f"Expected {expected}. Received: {ast.unparse(node)}")


def _of_record(method: str) -> ast.expr:
    return ast.Attribute(ast.Name(_RECORD, ast.Load()), method, ast.Load())


def _asked(method: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(_of_record(method), list(arguments), [])


def _constant(value: Any) -> ast.expr:
    return ast.parse(repr(value), mode="eval").body


def _naming(*targets: ast.expr) -> list[ast.stmt]:
    names = [name for target in targets for name in _stored(target)]
    return [ast.Expr(_asked("name", ast.Name(name, ast.Load()), _constant(name))) for name in names]


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store) and MARK not in node.id


def _stored(target: ast.AST) -> Iterator[str]:
    """Yield the variables of a target, from left to right."""
    if isinstance(target, ast.Name) and _is_stored(target):
        yield target.id
    for part in ast.iter_child_nodes(target):
        yield from _stored(part)


def _pattern(target: ast.expr) -> ast.expr:
    """Return a target as a value: its name, or a tuple of such."""
    if isinstance(target, ast.Tuple):
        return ast.Tuple([_pattern(part) for part in target.elts], ast.Load())
    if not isinstance(target, ast.Name):
        _refuse("a name", target)
    return ast.Constant(target.id)


def _changed(body: Sequence[ast.stmt]) -> tuple[list[str], list[str]]:
    """Return the variables that statements assign, and the lists that they add to."""
    assigned: set[str] = set()
    added: set[str] = set()
    for node in (part for statement in body for part in ast.walk(statement)):
        match node:
            case ast.Assign(targets=targets):
                assigned.update(name for target in targets for name in _stored(target))
            case ast.AnnAssign(target=one) | ast.AugAssign(target=one) | ast.For(target=one):
                assigned.update(_stored(one))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append")):
                added.add(name)
            case _:
                pass
    return sorted(assigned), sorted(added)
