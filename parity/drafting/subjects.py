"""What in a module can be checked: an object, a list of layers, or functions and their weights."""

import ast
import inspect
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.callees import callee
from parity.drafting.finding import STARTS
from parity.drafting.keeping import Kept, kept_by, variables_of
from parity.drafting.making import Maker
from parity.drafting.survey import Survey
from parity.drafting.unpacking import free_name
from parity.drafting.world import quiet, variables
from parity.loading import called

_MOST_WAYS = 8
_SIZES = r"layers|sizes|widths|dims|network|shape|arch|units|neurons|nodes|hidden"
_OPTIMIZER = re.compile(
    r"optim|sgd|adam|rms_?prop|momentum|adagrad|nesterov|descent|solver|trainer", re.I
)
_WHOLE = re.compile(r"net|mlp|model|perceptron|^nn", re.I)


@dataclass(frozen=True)
class Setup:
    """Statements that make something to be checked.

    Attributes:
        title: What it is called.
        lines: The statements.
        remarks: What is guessed in them.
        given: What parameters of some names are given.
        kept: What updates keep from step to step, by their names.
    """

    title: str
    lines: list[str]
    remarks: list[str] = field(default_factory=list[str])
    given: dict[str, str] = field(default_factory=dict[str, str])
    kept: dict[str, Kept] = field(default_factory=dict[str, Kept])


def with_states(setup: Setup, maker: Maker) -> Iterator[Setup]:
    """Yield the setup with what one of the module's updates keeps from step to step."""
    made = list(variables_of(setup.lines))
    for name, kept in kept_by(maker.survey, maker.alias, made).items():
        own = [line for line in kept.setup if not line.startswith("#")]
        yield replace(setup, lines=[*setup.lines, *own], kept={name: kept})


def setups(module: Any, maker: Maker) -> Iterator[list[Setup]]:
    """Yield what can be tried, the likeliest first; of each list, the first that works will do."""
    own = {n: v for n, v in variables(module).items() if _defined(v, module)}
    classes = {n: v for n, v in own.items() if inspect.isclass(v)}
    for name in sorted(classes, key=lambda n: -_likeness(classes[n], maker)):
        part = maker.is_layer(name) and is_part(name)
        if not part and not _is_no_network(classes[name]):
            yield list(_objects(name, classes[name], maker))
    if (text := maker.layer_list()) is not None:
        remarks = [] if maker.lists_layers() else ["the layers"]
        yield [Setup("layers", [f"layers = {text}"], remarks)]
    functions = {n: v for n, v in own.items() if inspect.isfunction(v)}
    for name, function in functions.items():
        yield list(_made_by(name, function, maker, module))
    yield list(_one_by_one(functions, maker))
    yield [Setup("functions", [])]


def _defined(value: Any, module: Any) -> bool:
    """Whether a class or function is the user's: of this file, or of one beside it."""
    home = sys.modules.get(getattr(value, "__module__", None) or "")
    file = getattr(home, "__file__", None)
    return bool(file) and Path(module.__file__).parent in Path(str(file)).resolve().parents


def _is_no_network(found: type) -> bool:
    """Whether a class is an exception or a kind of number, as of automatic differentiation."""
    counts = any(name in dir(found) for name in ("__add__", "__mul__", "__matmul__", "__sub__"))
    return issubclass(found, BaseException) or counts


def _likeness(found: type, maker: Maker) -> int:
    names = dir(found)
    vocabularies = (roles.FORWARD, roles.BACKWARD, roles.STEP)
    likely = sum(bool(roles.named(names, v)) for v in vocabularies)
    name = found.__name__
    used = any(
        called(n) == name
        for other in maker.survey.tree.body
        if isinstance(other, ast.ClassDef) and other.name != name
        for n in ast.walk(other)
    )
    return likely - 4 * (is_part(name) or used) + bool(_WHOLE.search(name))


def is_part(name: str) -> bool:
    """Whether a class of this name is rather a layer than a network."""
    part = re.search(r"layer|dense|linear|neuron|affine|activation|connected|^fc", name, re.I)
    return bool(part) and not _WHOLE.search(name)


def _objects(name: str, found: type, maker: Maker) -> Iterator[Setup]:
    title = f"class {name}"
    for text in _class_methods(name, found, maker):
        yield Setup(title, [f"net = {text}"])
    for text, more, remarks in _ways(name, found, maker):
        lines = [f"net = {text}", *(line.format("net") for line in more)]
        yield Setup(title, lines, remarks)
        passes = roles.named(dir(found), roles.FORWARD)[:1]  # layers may be built by their input
        for method in dir(found):
            static = inspect.getattr_static(found, method)
            if not inspect.isfunction(static) or method.startswith("__"):
                continue
            if not STARTS.match(method.strip("_")) and method not in passes:
                continue
            options = itertools.product(
                *(_options(p, maker, _needed(static)[1:]) for p in _needed(static)[1:])
            )
            for chosen in itertools.islice(options, 4):
                call = f"net.{method}({', '.join(chosen)})"
                again = [f"net.{method} = lambda *_: None  # called again, it would start anew"]
                called_later = any(
                    re.search(rf"\b{method}\(", _text(f))
                    for n, f in vars(found).items()
                    if n not in ("__init__", method) and inspect.isfunction(f)
                )
                twice = called_later and method not in passes
                yield Setup(title, [*lines, call, *again * twice], remarks)


def _class_methods(name: str, found: type, maker: Maker) -> Iterator[str]:
    """Yield the calls of class methods, ``Net.build([30, 16, 6])``, that the program makes."""
    for method in vars(found):
        if isinstance(inspect.getattr_static(found, method), classmethod):
            bound = getattr(found, method)
            if (text := maker.seen.making(f"{name}.{method}", bound, maker.alias)) is not None:
                yield text


def _text(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _made_by(name: str, function: Any, maker: Maker, module: Any) -> Iterator[Setup]:
    """Yield the weights, or the functions around them, that a function makes and returns."""
    taken = callee(name, function)
    seen = maker.seen.making(name, function, maker.alias)
    passing = seen is None and taken is not None and taken.takes("y", "output")
    if taken is None or passing or taken.takes("grads", "rate", "cache"):
        return
    returned = taken.source.returned if taken.source else None
    if returned is None or returned.kind == "none":
        return
    if any(p.required and roles.role(p.name) in ("x", "parameters") for p in taken.parameters):
        return
    names = list(returned.names) if returned.kind == "many" else []
    variable = returned.names[0] if returned.kind in ("one", "list") and returned.names else ""
    # The program itself may keep a tuple whole, or give its elements other names.
    kept = maker.survey.kept.get(name, ())
    given: dict[str, str] = {}
    if len(kept) == 1 and kept[0]:
        names, variable = [], kept[0]
        given = _spread_elements(maker.survey, variable)
    elif len(kept) > 1 and len(kept) == len(names):
        names = list(kept)
    plain = variable.isidentifier() and free_name(variable, 0) == variable
    for text, _, remarks in _ways(name, function, maker):
        names = names or ([] if given else _functions_in(module, maker, text))
        own = [free_name(n, k) for k, n in enumerate(names)]
        if not any(names):
            own = []  # a tuple of weights that only its user takes apart
        target = ", ".join(own) if len(own) > 1 else variable if plain else "parameters"
        own_names = {p: item.format(target) for p, item in given.items()}
        yield Setup("functions", [f"{target} = {text}"], remarks, own_names)


def _spread_elements(survey: Survey, variable: str) -> dict[str, str]:
    """Return which element of a tuple each parameter is given by ``f(x, *weights)``."""
    found: dict[str, str] = {}
    for call in (n for n in ast.walk(survey.tree) if isinstance(n, ast.Call)):
        function = survey.functions.get(called(call))
        star = call.args[-1] if call.args else None
        if function is None or not isinstance(star, ast.Starred) or call.keywords:
            continue
        if isinstance(star.value, ast.Name) and star.value.id == variable:
            rest = function.parameters[len(call.args) - 1 :]
            found |= {p.name: f"{{}}[{k}]" for k, p in enumerate(rest)}
    return found


def _one_by_one(functions: dict[str, Any], maker: Maker) -> Iterator[Setup]:
    """Yield weights that are parameters, Theta1 and Theta2, each made by a function of its shape.

    What takes all of them in one vector is given that.
    """
    names = dict.fromkeys(
        p for f in functions.values() for p in _needed(f) if re.fullmatch(r"(?i)theta_?\d", p)
    ) or dict.fromkeys(
        n for f in functions.values() for n in re.findall(r"\b(Theta\d) = ", _text(f))
    )
    if not 2 <= len(names) <= 3:
        return
    sizes = [maker.inputs, *[maker.hidden] * (len(names) - 1), maker.outputs]
    for maker_name, function in functions.items():
        taken = _needed(function)
        if len(taken) < 2 or not re.search(r"in|rand|weight", maker_name, re.I):
            continue
        if (
            any(roles.role(p) in ("x", "y", "cache") for p in taken)
            or "theta" in str(taken).lower()
        ):
            continue
        more = [maker.argument(p) for p in taken[2:]]
        if None in more:
            continue
        rest = "".join(f", {text}" for text in more)
        lines = [
            f"{name} = {maker.alias}.{maker_name}({sizes[k]}, {sizes[k + 1]}{rest})"
            for k, name in enumerate(names)
        ]
        flat = f"np.concatenate([{', '.join(f'{name}.ravel()' for name in names)}])"
        vectors = ("nn_params", "theta", "params", "thetas", "initial_nn_params", "unrolled")
        given = dict.fromkeys(vectors, flat)
        given |= {
            p: text for f in functions.values() for p in _needed(f)
            if re.search(r"(layer_?)?size|labels$|^n_|^num_", p) and (text := maker.argument(p))
        }  # fmt: skip
        yield Setup("functions", lines, [], given)


def optimizers(module: Any, maker: Maker, setup: Setup, weights: str) -> Iterator[str]:
    """Yield statements that make an optimizer: an object of a class, or what a function returns.

    Args:
        setup: What makes the network.
        weights: The expression of the network's weights.
    """
    for name, made in variables(module).items():
        called = inspect.isclass(made) or inspect.isfunction(made)
        if not called or not _defined(made, module) or not _OPTIMIZER.search(name):
            continue
        taken = callee(name, made)
        passing = ("x", "y", "grads", "cache", "output", "upstream")
        if taken is None or any(
            p.required and roles.role(p.name) in passing for p in taken.parameters
        ):
            continue
        listed = any("parameters" in c.methods for c in maker.survey.classes.values())
        network = setup.lines[0].partition(" = ")[0] if setup.lines else ""
        seen = next(iter(maker.seen.calls.get(name, [])), None)
        methods = [f"{network}.parameters()"] * (listed and network.isidentifier())
        for theirs in [*methods, weights]:
            given: list[str] = []
            for p in taken.parameters:
                whole = re.fullmatch(r"model|net|network|nn", p.name) and network.isidentifier()
                role = roles.role(p.name)
                known = {"parameters": theirs, "rate": "0.1"}.get(role) or roles.number(p.name)
                if p.required:
                    text = network if whole and not methods else known
                    given.append(f"{p.name}={text}" * bool(text))
                elif seen is not None and (text := seen.arguments.get(p.name)) not in (
                    None,
                    "None",
                ):
                    given.append(f"{p.name}={text}")
            if all(given):
                yield f"optimizer = {maker.alias}.{name}({', '.join(given)})"


def _functions_in(module: Any, maker: Maker, text: str) -> list[str]:
    """Return names for the elements of what a call returns, if functions are among them."""
    try:
        with quiet():
            made: Any = eval(text, {maker.alias: module, "np": np, "SimpleNamespace": dict})
    except BaseException:
        return []
    parts: list[Any] = list(made) if isinstance(made, tuple) else []  # pyright: ignore
    if not any(inspect.isfunction(part) for part in parts):
        return []
    return [part.__name__ if inspect.isfunction(part) else "params" for part in parts]


def _ways(name: str, found: Any, maker: Maker) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield calls that may make something: as it stands in the module, then guessed ones."""
    if (how := maker.in_module(name)) is not None:
        yield how.text, how.more, []
    if (text := maker.seen.making(name, found, maker.alias)) is not None:
        yield text, [], []
    needed, spread = _needed(found), _spread(found)
    options = [_namespace(p, found, maker) or _options(p, maker, needed) for p in needed]
    options += [_spread_options(spread, maker)] * bool(spread)
    asked = [*needed, *[f"*{spread}"] * bool(spread)]
    remarks = [f"the arguments of {name}({', '.join(asked)})"] if asked else []
    for chosen in itertools.islice(itertools.product(*options), _MOST_WAYS):
        unknown = [p for p, text in zip(needed, chosen, strict=False) if text == "None"]
        more = f", where nothing tells what {' and '.join(unknown)} should be" if unknown else ""
        yield f"{maker.alias}.{name}({', '.join(chosen)})", [], [r + more for r in remarks]


def _needed(found: Any) -> list[str]:
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in _parameters(found) if p.default is p.empty and p.kind not in skipped]


def _spread(found: Any) -> str:
    """Return the name of ``*sizes``; "" if there is none."""
    spread = (p.name for p in _parameters(found) if p.kind is p.VAR_POSITIONAL)
    return next(spread, "")


def _spread_options(name: str, maker: Maker) -> list[str]:
    layers = maker.layer_list() if roles.is_layer_list(name.lower()) else None
    return [f"*{layers}"] if layers else [maker.sizes[1:-1], maker.more_sizes[1:-1]]


def _parameters(found: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):
        return []


def _namespace(parameter: str, found: Any, maker: Maker) -> list[str]:
    """Return what stands for parsed arguments: an object with the attributes that are read."""
    if not re.fullmatch(r"args?|opts?|options|config|cfg|conf|(hyper_?|h)param(eter)?s", parameter):
        return []
    text = _text(getattr(found, "__init__", found))
    names = dict.fromkeys(re.findall(rf"\b{parameter}\.([A-Za-z]\w*)", text))
    values = {n: maker.argument(n) or "1" for n in names}
    filled = ", ".join(f"{name}={value}" for name, value in values.items())
    return [f"SimpleNamespace({filled})"] if names else []


def _options(parameter: str, maker: Maker, beside: list[str]) -> list[str]:
    """Return what a parameter may be given, the likeliest first.

    Args:
        beside: All parameters, among which a number of units is known by its place.
    """
    lower = parameter.lower()
    first = maker.argument(parameter)
    texts = [first] if first is not None else []
    known = {n.lower(): n for n in maker.survey.values}
    if lower in known:
        texts.insert(0, f"{maker.alias}.{known[lower]}")
    if re.search(_SIZES, lower) and not re.match(r"(n_|num_)?(in|out)", lower):
        # Beside inputs and outputs it is one number, or a list of those of the hidden layers.
        number = "hidden" in lower and not re.search(r"layers|sizes|dims", lower)
        texts = [*[maker.hidden] * number, *texts, maker.sizes, f"[{maker.hidden}]", maker.hidden]
        texts += [maker.more_sizes, maker.one_output]
    elif not texts:
        unknown = [p for p in beside if maker.argument(p) is None]
        place = 0 if parameter == beside[0] else 2 if parameter == beside[-1] else 1
        numbers = (maker.inputs, maker.hidden, maker.outputs)
        lists = [maker.sizes, maker.more_sizes, maker.one_output]
        alone = lists if len(unknown) == 1 else []
        texts = [*([] if lower.startswith("_") else [numbers[place]]), *alone, "None"]
    return list(dict.fromkeys(texts))
