"""The gradients that the user's backward pass gives, in the structure of the weights."""

from parity.drafting import roles
from parity.drafting.calls import Body
from parity.drafting.functions import Function, Returned, reach
from parity.drafting.subjects import Weights


def gradients(body: Body, function: Function, text: str) -> str:
    """Call the backward pass; return the expression of the gradients, or "" if it gives none.

    Args:
        body: Gets the statements that are needed before.
        function: The backward pass.
        text: Its call.
    """
    returned = function.returned
    if returned.kind == "many":
        return _from_many(body, function, text)
    if returned.kind == "dict":
        body.lines.append(f"grads = {text}")
        return _from_dict(body.subject.weights, returned, "grads")
    stored = {w for f in reach(function.name, body.subject.functions) for w in f.writes}
    if expression := _from_attributes(body, function, sorted(stored)):
        body.lines.append(text)
        return expression
    if returned.kind in ("list", "one") and body.subject.weights.items:
        _check_order(body, function)
        return text
    return ""


def _check_order(body: Body, function: Function) -> None:
    body.checks.append(f"that {function.name} returns the gradients in the order of the weights")


def _from_many(body: Body, function: Function, text: str) -> str:
    items, names = body.subject.weights.items, function.returned.names
    for known in (names, body.maker.survey.unpacked.get(function.name, ())):
        found = [roles.gradient_of(item, known) for item in items]
        if items and None not in found:
            body.unpack(text, known)
            return f"[{', '.join(body.names[name] for name in found if name)}]"
    for name in names:
        if roles.role(name) in ("grads", "upstream"):  # loss, grads
            body.unpack(text, names)
            inner = function.variable(name)
            variable = body.names[name]
            return (
                variable
                if inner.kind != "dict"
                else _from_dict(body.subject.weights, inner, variable)
            )
    if len(names) == len(items):
        _check_order(body, function)
        return text
    return ""


def _from_dict(weights: Weights, returned: Returned, variable: str) -> str:
    """Return the gradients out of a dict, whose keys are dW1 or W1 for the weight W1."""
    keys = returned.names + returned.starts
    if weights.keys is None:
        found = [roles.gradient_of(item, keys) or item for item in weights.items]
        if not weights.items or not set(found) <= set(returned.names):
            return ""
        entries = ", ".join(f'{variable}["{name}"]' for name in found)
        return f"[{entries}]"
    own = weights.keys.names + weights.keys.starts
    found = [(key, roles.gradient_of(key, keys)) for key in own]
    marks = {name.removesuffix(key) for key, name in found if name and name.endswith(key)}
    mark = f'"{min(marks)}" + ' if marks and not set(own) & set(keys) else ""
    return f"{{key: {variable}[{mark}key] for key in {weights.expression}}}"


def _from_attributes(body: Body, function: Function, names: list[str]) -> str:
    """Return the gradients that a method, or the layers, keep in attributes."""
    weights = body.subject.weights
    if body.subject.layers:
        return weights.gradients
    found = [roles.gradient_of(item, names) for item in weights.items]
    if found and None not in found:
        texts = [f"net.{name}" for name in found]
        return f"[{', '.join(texts)}]" if weights.expression.startswith("[") else texts[0]
    for name in names:
        if roles.role(name) in ("grads", "upstream") and body.subject.prefix == "net.":
            kind = function.variable(name)
            if kind.kind == "dict":
                return _from_dict(weights, kind, f"net.{name}")
            _check_order(body, function)
            return f"net.{name}"
    return ""
