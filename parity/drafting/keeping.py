"""Updates that are handed a state and give it back: ``params, v = update(params, grads, v, t)``.

How the state is made, what counts the steps and where the results go stands in the program, where
it calls the update.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from parity.drafting import roles
from parity.drafting.callees import Parameter
from parity.drafting.functions import assignments
from parity.drafting.survey import Survey
from parity.loading import called

_HANDED = ("x", "y", "rate", "grads", "upstream", "parameters", "output", "once", "size", "off")
# What the call may be made of: names of the module, of the weights, and of NumPy.
_ALLOWED = (
    ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.List, ast.Tuple, ast.Dict, ast.ListComp,
    ast.DictComp, ast.comprehension, ast.Subscript, ast.keyword, ast.expr_context,
)  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """What an update keeps from step to step.

    Attributes:
        setup: The statements that make it, in make().
        before: The statements before the call: what counts the steps.
        target: What the results are assigned to, in which ``{weights}`` are the weights; "" where
            the update returns nothing that is kept.
    """

    setup: list[str] = field(default_factory=list[str])
    before: list[str] = field(default_factory=list[str])
    target: str = ""


def kept_by(survey: Survey, alias: str, made: list[str]) -> dict[str, Kept]:
    """Return what each update of a module keeps, by its name.

    Args:
        survey: What stands in the module.
        alias: What the adapter calls it.
        made: The variables of the network that make() has already.
    """
    found: dict[str, Kept] = {}
    for node in ast.walk(survey.tree):
        if not isinstance(node, (ast.Assign, ast.Expr)) or not isinstance(node.value, ast.Call):
            continue
        name = called(node.value)
        function = survey.functions.get(name)
        whole = roles.named([name], roles.WHOLE_TRAININGS)
        if whole or function is None or not isinstance(node.value.func, ast.Name):
            continue
        if any(isinstance(a, ast.Starred) for a in node.value.args) or name in found:
            continue
        given = _given(node.value, function.parameters)
        if not any(roles.role(p) in ("grads", "upstream", "rate") for p in given):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        kept = _UpdateReader(survey, alias, made, node.value, given).read(target)
        if kept is not None and kept.setup:
            found[name] = kept
    return found


def _given(call: ast.Call, parameters: tuple[Parameter, ...]) -> dict[str, ast.expr]:
    given = {p.name: value for p, value in zip(parameters, call.args, strict=False)}
    return given | {k.arg: k.value for k in call.keywords if k.arg}


class _UpdateReader:
    """Reads one call of an update."""

    def __init__(
        self,
        survey: Survey,
        alias: str,
        made: list[str],
        call: ast.Call,
        given: dict[str, ast.expr],
    ) -> None:
        self.survey, self.alias, self.made, self.name = survey, alias, made, called(call)
        # The function that calls the update; behind all functions the module itself.
        homes = [n for n in ast.walk(survey.tree) if isinstance(n, ast.FunctionDef)]
        self.home = next((h for h in homes if call in ast.walk(h)), survey.tree)
        # The variable of the program's -> the parameter that it is given to.
        self.parameters = {v.id: p for p, v in given.items() if isinstance(v, ast.Name)}
        self.given = given

    def read(self, target: ast.expr | None) -> Kept | None:
        """Return what the update keeps; None if it cannot be told."""
        elements = target.elts if isinstance(target, ast.Tuple) else [target] if target else []
        names = [e.id if isinstance(e, ast.Name) else "" for e in elements]
        setup, before = list[str](), list[str]()
        states = dict[str, str]()
        for parameter, value in self.given.items():
            variable = value.id if isinstance(value, ast.Name) else ""
            if (counter := self._counter(parameter, value)) is not None:
                setup.append(f"{parameter} = {counter}")
                before.append(f"{parameter} = {parameter} + 1")
                states[variable] = parameter
                continue
            if _are_weights(parameter):
                continue
            if roles.role(parameter) in _HANDED and variable not in names[1:]:
                continue
            if variable in self.made:
                states[variable] = variable
            elif variable:
                if (line := self._making(variable)) is None:
                    if variable in names:
                        return None
                    continue
                if line not in setup:
                    setup.append(line)
                states[variable] = parameter
        weights = [n for n in names if n and n not in states]
        if not names or len(weights) > 1:
            texts: list[str] = []
        else:
            texts = ["{weights}" if n in weights else states.get(n, "_") for n in names]
        if states and not setup:
            setup = ["# the state is made with the weights"]
        return Kept(setup, before, ", ".join(texts)) if states else None

    def _counter(self, parameter: str, value: ast.expr) -> int | None:
        """Return the number before the first step, where a parameter counts the steps."""
        if not re.fullmatch(
            r"t|i|k|n|it|iter\w*|step\w*|count\w*|num\w*|time\w*|epoch\w*", parameter
        ):
            return None
        more = 0
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
            if not isinstance(value.right, ast.Constant) or not isinstance(value.right.value, int):
                return None
            more, value = value.right.value, value.left
        if not isinstance(value, ast.Name):
            return None
        for node in ast.walk(self.survey.tree):
            if isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
                index = node.target.elts[0] if isinstance(node.target, ast.Tuple) else node.target
                if not isinstance(index, ast.Name) or index.id != value.id:
                    continue
                start = node.iter.args[:1] if called(node.iter) == "range" else node.iter.args[1:]
                first = 0
                if start and (called(node.iter) == "enumerate" or len(node.iter.args) > 1):
                    if not isinstance(start[0], ast.Constant):
                        return None
                    first = int(start[0].value)  # pyright: ignore[reportArgumentType]
                return first + more - 1
        starts = [
            v.value for t, v in assignments(ast.walk(self.survey.tree))
            if isinstance(t, ast.Name) and t.id == value.id and isinstance(v, ast.Constant)
            and isinstance(v.value, int)
        ]  # fmt: skip
        # Counted before the call as a rule, and behind it where the call adds one.
        counts = any(
            isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)
            and n.target.id == value.id
            for n in ast.walk(self.survey.tree)
        ) or any(
            isinstance(t, ast.Name) and t.id == value.id and isinstance(v, ast.BinOp)
            for t, v in assignments(ast.walk(self.survey.tree))
        )  # fmt: skip
        if len(starts) != 1 or not counts:
            return None
        behind = self._counted_behind(value.id)
        return starts[0] + more - behind

    def _counted_behind(self, variable: str) -> bool:
        """Whether a counter is counted up behind the call."""
        lines = {"call": 0, "count": 0}
        for node in ast.walk(self.survey.tree):
            if isinstance(node, ast.Call) and called(node) == self.name:
                lines["call"] = node.lineno
            if isinstance(node, ast.AugAssign):
                target: ast.expr = node.target
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
                target = node.targets[0]
            else:
                continue
            if isinstance(target, ast.Name) and target.id == variable:
                lines["count"] = node.lineno
        return lines["count"] > lines["call"]

    def _making(self, variable: str) -> str | None:
        """Return the statement that makes a state, in the adapter's words."""
        every = [*assignments(ast.walk(self.home)), *assignments(ast.walk(self.survey.tree))]
        for target, value in every:
            elements = target.elts if isinstance(target, ast.Tuple) else [target]
            names = [e.id if isinstance(e, ast.Name) else "" for e in elements]
            if variable not in names or called(value) == self.name:
                continue
            text = self._written(value)
            if text is not None and all(names):
                own = [self.parameters.get(n, n) for n in names]
                return f"{', '.join(own)} = {text}"
        return None

    def _written(self, value: ast.expr) -> str | None:
        nodes = list(ast.walk(value))
        if not all(isinstance(node, _ALLOWED) for node in nodes):
            return None
        own = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        used = {n.id for n in nodes if isinstance(n, ast.Name)} - own - _BUILTINS
        new: dict[str, ast.expr] = {}
        for name in used:
            parameter = self.parameters.get(name, name)
            if _are_weights(parameter) or _are_weights(name):
                if len(self.made) != 1 and name not in self.made:
                    return None
                weights = name if name in self.made else self.made[0]
                new[name] = ast.Name(weights, ast.Load())
            elif name in ("np", "numpy"):
                new[name] = ast.Name("np", ast.Load())
            elif name in self.survey.functions or name in self.survey.names:
                new[name] = ast.Attribute(ast.Name(self.alias, ast.Load()), name, ast.Load())
            else:
                return None
        return ast.unparse(_Renamer(new).visit(ast.parse(ast.unparse(value), mode="eval").body))


def _are_weights(name: str) -> bool:
    return roles.role(name) == "parameters" or name in ("p", "w", "ws")


_BUILTINS = {"len", "range", "dict", "list", "zip", "enumerate", "float", "int", "tuple"}


class _Renamer(ast.NodeTransformer):
    def __init__(self, new: dict[str, ast.expr]) -> None:
        self.new = new

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.new.get(node.id, node)


def variables_of(lines: list[str]) -> Iterator[str]:
    """Yield the variables that statements of a setup make."""
    for line in lines:
        target, equals, _ = line.partition(" = ")
        if equals:
            yield from (n for n in target.split(", ") if n.isidentifier())
