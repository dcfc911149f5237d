"""What in a module can be checked: an object, a list of layers, or functions and their weights."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from parity.drafting import roles
from parity.drafting.expressions import Made, called
from parity.drafting.functions import Function, Returned, reach
from parity.drafting.making import Maker, kernel_names, parameter_dicts
from parity.drafting.roles import Role
from parity.drafting.survey import Class, Survey


@dataclass
class Weights:
    """Where the weights are and how they are written.

    Attributes:
        expression: What ``get_weights`` returns.
        items: The expression of each array, list or dict that holds weights, by its name.
        keys: Where they are all in one dict, what is known of its keys.
        variables: The variables of ``make`` that hold them, if any.
        pairs: Of layers, the attributes with a weight and its gradient ("" where it has none).
        gradients: Of layers, the expression of their gradients, if they keep them.
    """

    expression: str
    items: dict[str, str] = field(default_factory=dict[str, str])
    keys: Made | Returned | None = None
    variables: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    gradients: str = ""


@dataclass
class DraftSubject:
    """Something that can be checked.

    Attributes:
        title: What it is called.
        setup: Statements that make it.
        weights: Where its weights are.
        functions: Its methods, or the module's functions.
        prefix: What stands before the name of one of them: "net." or "mynet.".
        attributes: Where it keeps the learning rate ("rate"), its input ("x") and labels ("y").
        layers: The expression of its list of layers, or "".
        layer_classes: The classes of these layers.
        checks: What a person should look at.
    """

    title: str
    setup: list[str]
    weights: Weights
    functions: dict[str, Function]
    prefix: str
    attributes: dict[Role, str] = field(default_factory=dict[Role, str])
    layers: str = ""
    layer_classes: list[Class] = field(default_factory=list[Class])
    checks: list[str] = field(default_factory=list[str])

    def changes_weights(self, name: str) -> bool:
        """Whether a function changes the weights, itself or through what it calls."""
        reached = reach(name, self.functions)
        if any(f.writes & set(self.weights.items) or _changes_argument(f) for f in reached):
            return True
        others = {other for function in reached for other in function.others}
        own = {weight for weight, _ in self.weights.pairs}  # of layers
        return bool(others & own) or any(
            changes_own_weights(layer, other) for layer in self.layer_classes for other in others
        )


def changes_own_weights(layer: Class, method: str) -> bool:
    """Whether a method of a layer changes the layer's weights."""
    return any(function.writes & set(kernel_names(layer)) for function in layer.reach(method))


def forward_of(functions: dict[str, Function]) -> Function | None:
    """Return the forward pass: one that does not end by choosing a class."""
    for name in roles.named(functions, roles.FORWARD):
        if "argmax" not in {called(node) for node in functions[name].body}:
            return functions[name]
    # loss(x, y=None), which returns the scores where there is no y
    for name in roles.named(functions, roles.LOSS):
        optional = [p for p in functions[name].parameters if not p.required]
        if any(roles.role(p.name) == "y" for p in optional):
            return functions[name]
    return None


def forward_result(function: Function) -> Returned:
    """Return what a forward pass returns."""
    is_loss = bool(roles.named([function.name], roles.LOSS))
    return function.all_returned[0] if is_loss else function.returned


def subjects(survey: Survey, maker: Maker) -> Iterator[DraftSubject]:
    """Yield what can be checked in a module, the likeliest first."""
    networks = [c for name, c in survey.classes.items() if not maker.is_layer(name)]
    for found in sorted(networks, key=lambda c: -_likeness(c)):
        subject = _object(found, maker)
        if subject.weights.expression:
            yield subject
    yield from _layer_list(maker)
    yield from _functional(survey, maker)


def _likeness(found: Class) -> int:
    vocabularies = (roles.FORWARD, roles.BACKWARD, roles.STEP)
    return sum(bool(roles.named(found.methods, vocabulary)) for vocabulary in vocabularies)


def _object(found: Class, maker: Maker) -> DraftSubject:
    how = maker.made(found.name, found.methods.get("__init__"))
    setup = [f"net = {how.text}", *(line.format("net") for line in how.more)]
    subject = DraftSubject(f"class {found.name}", setup, Weights(""), found.methods, "net.")
    subject.checks += [how.check] * bool(how.check)
    subject.attributes = _attributes(found)
    kept = _weight_attributes(found)
    layers = next((n for n, m in found.attributes.items() if _is_layer_list(n, m)), None)
    if kept:
        subject.weights = _kept(kept, "net.")
    elif layers is not None:
        subject.layers = f"net.{layers}"
        _add_layers(subject, maker)
    return subject


def _is_layer_list(name: str, made: Made) -> bool:
    return made.kind == "layers" or (
        made.kind in ("empty", "parameter") and roles.is_layer_list(name)
    )


def _weight_attributes(found: Class) -> dict[str, Made]:
    """Return the attributes that hold weights: arrays that the forward pass reads and keeps."""
    arrays = {n: m for n, m in found.attributes.items() if m.kind in ("array", "arrays", "dict")}
    forward = forward_of(found.methods)
    if forward is None:
        return {n: m for n, m in arrays.items() if roles.is_weight(n)}
    reached = found.reach(forward.name)
    reads = {name for function in reached for name in function.reads}
    writes = {name for function in reached for name in function.writes}
    return {
        name: made
        for name, made in arrays.items()
        if name in reads - writes and (made.kind != "dict" or holds_weights(name, made))
    }


def holds_weights(name: str, made: Made | Returned) -> bool:
    """Whether a dict holds weights, by its keys or, where they are not known, by its name."""
    known = [*made.names, *made.starts]
    return any(map(roles.is_weight, known)) or (
        not known and (roles.role(name) == "parameters" or roles.is_weight(name))
    )


def _kept(kept: dict[str, Made], prefix: str) -> Weights:
    """Return the weights that stand in attributes, or in variables of the module."""
    items = {name: f"{prefix}{name}" for name in kept}
    (first, made), *others = kept.items()
    if not others and made.kind == "dict":
        return Weights(items[first], items, made)
    if not others and made.kind == "arrays":
        return Weights(items[first], items)
    return Weights(f"[{', '.join(items.values())}]", items)


def _attributes(found: Class) -> dict[Role, str]:
    """Return where an object keeps the learning rate, its input and its labels."""
    attributes: dict[Role, str] = {}
    for wanted in ("rate", "x", "y"):
        for name, made in found.attributes.items():
            origin = made.names[0] if made.kind == "parameter" else name
            if roles.role(name) == wanted or roles.role(origin) == wanted:
                attributes.setdefault(wanted, f"net.{name}")
    return attributes


def _layer_list(maker: Maker) -> Iterator[DraftSubject]:
    """Yield a list of layers that no class of the module holds."""
    text = maker.layer_list()
    if text is not None:
        check = "" if maker.lists_layers() else "the layers"
        subject = DraftSubject("layers", [f"layers = {text}"], Weights(""), {}, "", layers="layers")
        subject.checks += [check] * bool(check)
        _add_layers(subject, maker)
        if subject.weights.expression:
            yield subject


def _add_layers(subject: DraftSubject, maker: Maker) -> None:
    """Find the weights of the layers, and where each keeps its gradient."""
    subject.layer_classes = [c for n, c in maker.survey.classes.items() if maker.is_layer(n)]
    pairs: dict[str, str] = {}
    for layer in subject.layer_classes:
        kernels = kernel_names(layer)
        back = roles.named(layer.methods, roles.BACKWARD)
        written = {w for name in back[:1] for f in layer.reach(name) for w in f.writes}
        for kernel in kernels:
            pairs[kernel] = pairs.get(kernel) or roles.gradient_of(kernel, sorted(written)) or ""
    dicts = next(filter(None, map(parameter_dicts, subject.layer_classes)), None)
    if pairs:
        weights = _each_weight("getattr(layer, name)", subject.layers, "WEIGHTS")
        gradients = _each_weight("getattr(layer, WEIGHTS[name])", subject.layers, "WEIGHTS")
        kept = gradients if all(pairs.values()) else ""
        subject.weights = Weights(weights, pairs=tuple(pairs.items()), gradients=kept)
    elif dicts:
        texts = [
            _each_weight(f"layer.{d}[name]", subject.layers, f"layer.{dicts[0]}") for d in dicts
        ]
        subject.weights = Weights(texts[0], gradients=texts[1])


def _each_weight(expression: str, layers: str, names: str) -> str:
    """Return a list of an expression for each weight, ``name``, of each ``layer``."""
    lines = [
        "[",
        f"    {expression}",
        f"    for layer in {layers}",
        f"    for name in {names}",
        "]",
    ]
    if names == "WEIGHTS":
        lines.insert(-1, "    if hasattr(layer, name)")
    return "\n".join(lines)


def _functional(survey: Survey, maker: Maker) -> Iterator[DraftSubject]:
    """Yield weights that functions share: returned by one of them, or variables of the module."""
    functions, prefix = survey.functions, f"{maker.alias}."

    def subject(setup: list[str], weights: Weights, check: str = "") -> DraftSubject:
        checks = [check] * bool(check)
        return DraftSubject("functions", setup, weights, functions, prefix, checks=checks)

    for function in functions.values():
        if (weights := _returned_weights(function)) is not None:
            how = maker.made(function.name, function)
            setup = [f"{', '.join(weights.variables)} = {how.text}"]
            yield subject(setup, weights, how.check)
    dicts = {n: m for n, m in survey.values.items() if m.kind == "dict" and holds_weights(n, m)}
    for name, made in dicts.items():
        yield subject([], _kept({name: made}, prefix))
    kinds = ("array", "arrays")
    arrays = {n: m for n, m in survey.values.items() if m.kind in kinds and roles.is_weight(n)}
    if arrays:
        yield subject([], _kept(arrays, prefix))


def _returned_weights(function: Function) -> Weights | None:
    """Return the weights that a function makes and returns; None if it makes none."""
    returned = function.returned
    # One that takes weights does not make them: it is a forward pass or an update.
    if any(roles.takes(function, r) for r in ("parameters", "grads", "rate", "cache", "y")):
        return None
    if any(roles.is_weight(p.name) for p in function.parameters):
        return None
    if returned.kind == "dict" and any(map(roles.is_weight, returned.names + returned.starts)):
        return Weights("parameters", {"parameters": "parameters"}, returned, ("parameters",))
    if returned.kind == "many" and len(returned.names) > 1:
        names = returned.names
        if all(map(roles.is_weight, names)) and len(set(names)) == len(names):
            return Weights(f"[{', '.join(names)}]", {n: n for n in names}, variables=names)
    return None


def _changes_argument(function: Function) -> bool:
    names = {p.name for p in function.parameters if roles.role(p.name) == "parameters"}
    return bool(names & function.writes)
