"""The user's functions and methods, and the calls of them that may be meant."""

import ast
import inspect
import itertools
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import GeneratorType
from typing import Any

from parity.drafting import roles
from parity.drafting.functions import Function, Parameter
from parity.drafting.roles import Role
from parity.drafting.world import World, inside, variables

_MOST_CALLS = 60
# A gradient by its name, for which nothing else will do.
_GRADIENT = re.compile(r"(d|grads?_?|nabla_?|delta_?)[wb]\w*")
# What an update keeps from step to step, which nothing else is either.
_STATE = re.compile(r"vel\w*|velocit\w*|moment(um)?s?|opt\w*_?state|state_?s?|adam\w*|cache\w*")
# These are given to parameters that have defaults too.
_GIVEN = ("x", "y", "rate", "once", "parameters", "cache", "grads", "output")


@dataclass(frozen=True)
class Callee:
    """A function or method of the user's.

    Attributes:
        text: How the draft calls it: ``net.forward``.
        name: Its own name.
        parameters: What it takes, without the object itself.
        source: Its text, if there is one.
        packed: Whether it takes all in one tuple, as a coroutine is sent it.
    """

    text: str
    name: str
    parameters: tuple[Parameter, ...]
    source: Function | None
    packed: bool = False

    def takes(self, *wanted: Role) -> bool:
        """Whether it has a parameter of one of some roles."""
        return any(roles.role(p.name) in wanted for p in self.parameters)

    @property
    def returned(self) -> tuple[str, ...]:
        """What the elements of its result are called, "" where one has no name."""
        if self.source is None or self.source.returned.kind not in ("many", "one", "list"):
            return ()
        return self.source.returned.names

    @property
    def reads(self) -> set[str]:
        """The attributes and names that it reads."""
        return self.source.reads if self.source else set()

    @property
    def calls(self) -> set[str]:
        """The functions and methods that it calls."""
        return self.source.calls if self.source else set()


def callee(text: str, function: Any) -> Callee | None:
    """Return a function or method as a callee; None if its parameters are unknown."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = tuple(
        Parameter(p.name, p.default is p.empty) for p in found if p.kind not in skipped
    )
    name = getattr(function, "__name__", text.rpartition(".")[2])
    return Callee(text, name, parameters, source(function))


def source(function: Any) -> Function | None:
    """Return the text of a function or method, taken apart."""
    inner = inspect.unwrap(getattr(function, "__func__", function))
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inner)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    node = tree.body[0] if tree.body else None
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    first = [*node.args.posonlyargs, *node.args.args][:1]
    method = hasattr(function, "__self__") or (bool(first) and first[0].arg == "self")
    return Function(node, first[0].arg if first and method else "")


def is_own(value: Any, world: World) -> bool:
    """Whether a class or function stands in the user's file, or in a file beside it."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    file: Any = getattr(module, "__file__", None)
    own: Any = variables(world.names[world.alias]).get("__file__")
    if not file or not own:
        return False
    return Path(own).resolve().parent in Path(file).resolve().parents


def callees(world: World) -> list[Callee]:
    """Return the methods of the objects that the setup makes, then the module's functions."""
    found: dict[str, Callee | None] = {}
    for path, value in world.roots().items():
        if inspect.isfunction(value) and is_own(value, world):
            found[path] = callee(path, value)
        elif isinstance(value, dict):  # of functions around the weights
            functions = {k: f for _, k, f in inside(value) if inspect.isfunction(f)}
            found |= {f'{path}["{k}"]': callee(f'{path}["{k}"]', f) for k, f in functions.items()}
        elif value.__class__ is GeneratorType:
            found[path] = _coroutine(path, value)
        elif is_own(value.__class__, world) and not path.startswith(f"{world.alias}."):
            found |= _methods(path, value)
    return [c for c in found.values() if c is not None]


def _coroutine(path: str, value: Any) -> Callee | None:
    """Return the sending of a tuple to a coroutine that waits for one."""
    code = value.gi_code
    if inspect.getgeneratorstate(value) != inspect.GEN_SUSPENDED:
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Tuple) and isinstance(getattr(node, "value", None), ast.Yield):
            names = [e.id for e in target.elts if isinstance(e, ast.Name)]
            parameters = tuple(Parameter(name, True) for name in names)
            return Callee(f"{path}.send", code.co_name, parameters, None, True)
    return None


def _methods(path: str, value: Any) -> dict[str, Callee | None]:
    found: dict[str, Callee | None] = {}
    for name in dir(value.__class__):
        static = inspect.getattr_static(value, name, None)
        if name.startswith("__") and name != "__call__":
            continue
        if inspect.isfunction(static) or isinstance(static, (staticmethod, classmethod)):
            text = path if name == "__call__" else f"{path}.{name}"
            found[text] = callee(text, getattr(value, name))
    for name, inner in variables(value).items():  # functions that were handed in: loss_prime
        if inspect.isfunction(inner):
            found[f"{path}.{name}"] = callee(f"{path}.{name}", inner)
        elif roles.named([name], roles.LOSS) and "__call__" in vars(inner.__class__):
            taken = callee(f"{path}.{name}", inner.__call__)  # a loss that is an object
            found[f"{path}.{name}"] = taken and replace(taken, name=name)
    return found


@dataclass
class Available:
    """What there is to be handed on at some place of a draft.

    Attributes:
        lines: The statements so far.
        names: What the user's code calls a thing -> what it is here.
        roles: What things of a role are here, the best first.
        remarks: What a person should look at.
    """

    lines: list[str] = field(default_factory=list[str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    roles: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    remarks: list[str] = field(default_factory=list[str])

    def copy(self) -> "Available":
        """Return a copy that can be added to."""
        inner = {role: list(texts) for role, texts in self.roles.items()}
        return Available(list(self.lines), dict(self.names), inner, list(self.remarks))

    def options(self, parameter: Parameter) -> list[str]:
        """Return what a parameter may be given, the likeliest first; "" leaves it out."""
        name, found = parameter.name, list[str]()
        if name in self.names:
            found.append(self.names[name])
        role = roles.role(name)
        if role and (parameter.required or role in _GIVEN):
            found += self.roles.get(role, [])
            if role == "upstream":
                found += [text for text in self.roles.get("slope", []) if "\n" not in text]
        if not parameter.required:
            return [*dict.fromkeys(found), ""] if role not in ("cache",) else ["", *found]
        if not found and parameter.required and roles.number(name):
            return [roles.number(name)]
        if not role and not (_GRADIENT.fullmatch(name.lower()) or _STATE.fullmatch(name.lower())):
            found += self.roles.get("any", [])
        return list(dict.fromkeys(found))


def arguments(callee: Callee, known: Available) -> Iterator[str]:
    """Yield calls of a function, the likeliest first."""
    options = [_options(callee, known, p) for p in callee.parameters]
    needed = [p for p in callee.parameters if p.required]
    if len(needed) > 2 and not any(p.name in known.names or roles.role(p.name) for p in needed):
        return
    # Two parameters are never given the same thing.
    texts = list(itertools.islice(itertools.product(*options), 40 * _MOST_CALLS))
    plain = [t for t in texts if _distinct(t)]
    for chosen in plain[:_MOST_CALLS]:
        given = ", ".join(_written(callee, chosen))
        yield f"{callee.text}(({given}))" if callee.packed else f"{callee.text}({given})"


def _options(callee: Callee, known: Available, parameter: Parameter) -> list[str]:
    options = known.options(parameter)
    if parameter.name == "v" and callee.takes("grads", "rate"):  # a velocity, and no vector
        options = [o for o in options if o not in known.roles.get("any", [])]
    text = ast.unparse(callee.source.node) if callee.source else ""
    if roles.role(parameter.name) == "x" and f"{parameter.name}[:-1]" in text:
        return ["[*x, 0]"]  # a row of a table, whose last column is the label
    name = parameter.name
    keyed = re.search(rf"\b{name}\[[fF]?['\"]|\bin {name}:|\b{name}\.items\(", text)
    if keyed and parameter.name not in known.names and roles.role(parameter.name) in ("output", ""):
        return list(dict.fromkeys([*known.roles.get("parameters", []), *options]))
    return options


def _distinct(chosen: tuple[str, ...]) -> bool:
    # Velocities that were given the weights themselves would make a right update a wrong one.
    given = [
        c
        for c in chosen
        if c and not re.fullmatch(r"None|[\d.e-]+|len\(x\)|False|learning_rate", c)
    ]
    alike = len({"[" in c for c in given if c in ("x", "y", "[x]", "[y]")}) < 2
    return len(given) == len(set(given)) and alike


def _written(callee: Callee, chosen: tuple[str, ...]) -> Iterator[str]:
    """Yield the arguments, by name from the first that is left out."""
    skipped = False
    for parameter, text in zip(callee.parameters, chosen, strict=True):
        if text:
            yield f"{parameter.name}={text}" if skipped else text
        skipped = skipped or not text
