"""What stands in a module: classes, functions, values, and what it does when it is imported."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from parity.drafting import roles
from parity.drafting.functions import (
    Function,
    Made,
    assignments,
    element_names,
    keys,
    made,
    own_name,
    reach,
)
from parity.loading import Action, action, called, makes_array, statements

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Class:
    """A class of the module, with what it inherits from other classes of the module.

    Attributes:
        methods: By name; properties are left out.
        attributes: What its objects have once they are made, in the order of the text.
    """

    name: str
    methods: dict[str, Function]
    attributes: dict[str, Made]

    def reach(self, name: str) -> list[Function]:
        """Return a method and all that it calls, directly or not."""
        return reach(name, self.methods)


@dataclass
class Survey:
    """Everything that was found in a module.

    Attributes:
        tree: Its text as a tree.
        classes: By name.
        functions: By name.
        values: What stands in each variable of the module.
        constants: The literal of each name that has one, and only one, anywhere.
        objects: The call of a class to which a variable, and nothing else, is assigned.
        names: All that has a name once the module is imported.
        kept: What the program calls a function's result, or its elements, where it keeps them.
        actions: What happens when it is imported.
        relative: Whether it imports from its own package.
        imports_numpy: Whether it imports NumPy, or what builds on it.
    """

    tree: ast.Module
    classes: dict[str, Class] = field(default_factory=dict[str, Class])
    functions: dict[str, Function] = field(default_factory=dict[str, Function])
    values: dict[str, Made] = field(default_factory=dict[str, Made])
    constants: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    objects: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    names: set[str] = field(default_factory=set[str])
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    actions: list[Action] = field(default_factory=list[Action])
    relative: bool = False
    imports_numpy: bool = False


def survey(tree: ast.Module, beside: Callable[[str], ast.Module | None] | None = None) -> Survey:
    """Return what stands in a module.

    Args:
        tree: Its text.
        beside: Returns the text of a module of this name that lies beside it, if there is one; the
            classes that are imported from it count as the module's.
    """
    found = Survey(tree)
    for statement in tree.body if beside else []:
        if isinstance(statement, ast.ImportFrom) and statement.module and beside:
            other = beside(statement.module)
            wanted = {alias.name for alias in statement.names}
            inner = survey(other).classes if other is not None else {}
            found.classes |= {n: c for n, c in inner.items() if n in wanted or "*" in wanted}
    top = list(statements(tree.body))
    definitions = {s.name: s for s in top if isinstance(s, ast.ClassDef)}
    for statement in top:
        if isinstance(statement, ast.ClassDef):
            found.classes[statement.name] = _class(statement, definitions, found.classes)
        elif isinstance(statement, _FUNCTIONS):
            found.functions[statement.name] = Function(statement)
        elif does := action(statement):
            found.actions.append(does)
        if isinstance(statement, ast.ImportFrom) and statement.level:
            found.relative = True
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            text = ast.unparse(statement)
            found.imports_numpy |= any(n in text for n in ("numpy", "scipy", "torch", "jax"))
        found.names.update(_bound(statement))
    plain = [s for s in top if not isinstance(s, (*_FUNCTIONS, ast.ClassDef))]
    found.values = _collect(plain, _variable, definitions.__contains__)
    found.constants = _constants(tree, _is_literal)
    found.objects = _constants(
        tree,
        lambda value: (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id in found.names
            and value.func.id[:1].isupper()
        ),
    )
    for target, value in assignments(ast.walk(tree)):
        if isinstance(target, (ast.Tuple, ast.Name)) and called(value):
            found.kept.setdefault(called(value), element_names(target))
    return found


def _class(
    node: ast.ClassDef, definitions: dict[str, ast.ClassDef], known: dict[str, Class]
) -> Class:
    methods: dict[str, Function] = {}
    attributes: dict[str, Made] = {}
    bases = [known[b.id] for b in node.bases if isinstance(b, ast.Name) and b.id in known]
    for base in reversed(bases):
        methods |= base.methods
    own = {s.name: s for s in node.body if isinstance(s, _FUNCTIONS)}
    for name, definition in own.items():
        decorators = {d.id for d in definition.decorator_list if isinstance(d, ast.Name)}
        first = [*definition.args.posonlyargs, *definition.args.args][:1]
        if "property" not in decorators:
            owner = first[0].arg if first and "staticmethod" not in decorators else ""
            methods[name] = Function(definition, owner)
    for base in bases:
        if "__init__" not in own or "super" in methods["__init__"].calls:
            attributes |= base.attributes
    for function in reach("__init__", methods):

        def attribute(target: ast.expr, function: Function = function) -> str:
            return own_name(target, function)

        attributes = _collect(function.body, attribute, definitions.__contains__, attributes)
    return Class(node.name, methods, attributes)


def _variable(target: ast.expr) -> str:
    while isinstance(target, ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def _collect(
    nodes: list[ast.stmt] | list[ast.AST],
    name_of: Callable[[ast.expr], str],
    is_class: Callable[[str], bool],
    before: dict[str, Made] | None = None,
) -> dict[str, Made]:
    """Return what each name is made of: by an assignment, and by what is put into it then."""
    found = dict(before or {})
    flat = [n for node in nodes for n in (ast.walk(node) if isinstance(node, ast.stmt) else [node])]
    local = {t.id: made(v, is_class) for t, v in assignments(flat) if isinstance(t, ast.Name)}
    for target, value in assignments(flat):
        name = name_of(target)
        if not name:
            continue
        kind = made(value, is_class)
        if isinstance(target, ast.Subscript):
            found[name] = _filled(found.get(name), kind, target)
        elif kind.kind == "parameter":
            found[name] = local.get(kind.names[0], kind)
        else:
            found.setdefault(name, kind)
    for node in flat:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = name_of(node.func.value)
        if name and node.func.attr == "append" and len(node.args) == 1:
            value = node.args[0]
            found[name] = _appended(found.get(name), called(value), value, is_class)
    return found


def _filled(before: Made | None, kind: Made, target: ast.Subscript) -> Made:
    """Return what a dict or list is once an element of it was assigned."""
    if before is not None and before.kind == "dict" and kind.kind in ("array", "value"):
        names, starts = keys([target.slice])
        return replace(before, names=(*before.names, *names), starts=(*before.starts, *starts))
    if before is not None and before.kind == "empty" and kind.kind == "array":
        return Made("arrays")
    return before or Made("value")


def _appended(
    before: Made | None, name: str, value: ast.expr, is_class: Callable[[str], bool]
) -> Made:
    """Return what a list is once something was appended to it."""
    if before is not None and before.kind in ("empty", "layers") and is_class(name):
        return Made("layers", (*before.names, name))
    if before is not None and before.kind == "empty" and makes_array(value):
        return Made("arrays")
    return before or Made("value")


def _constants(tree: ast.Module, fits: Callable[[ast.expr], bool]) -> dict[str, ast.expr]:
    """Return the names to which one value of a kind, and nothing else, is assigned."""
    found: dict[str, list[ast.expr]] = {}
    for target, value in assignments(ast.walk(tree)):
        if isinstance(target, ast.Name):
            found.setdefault(target.id, []).append(value)
    return {
        name: values[0]
        for name, values in found.items()
        if len({ast.dump(value) for value in values}) == 1 and fits(values[0])
    }


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(a.asname or a.name).partition(".")[0] for a in statement.names}
    stored = (n for n in ast.walk(statement) if isinstance(n, ast.Name))
    return {n.id for n in stored if isinstance(n.ctx, ast.Store)}


def makes_anew(survey: Survey) -> str:
    """Return that a training makes the weights itself, so that no others can be tried in it."""
    for name, found in survey.classes.items():
        for method in roles.named(found.methods, roles.WHOLE_TRAININGS):
            function = found.methods[method]
            for target, value in assignments(function.body):
                if isinstance(target, ast.Attribute) and makes_array(value):
                    return (
                        f"{name}.{method} makes new weights at each call (line {value.lineno}), so "
                        "that no others can be tried in it: make them in __init__, or in a method "
                        f"that {method} calls"
                    )
    return ""
