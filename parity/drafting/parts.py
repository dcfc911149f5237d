"""The functions of the adapter, one by one: forward pass, gradients, step and loss."""

from collections.abc import Iterable

from parity.drafting import roles
from parity.drafting.calls import Body, DraftPart
from parity.drafting.functions import Function, reach
from parity.drafting.gradients import gradients
from parity.drafting.making import Maker
from parity.drafting.subjects import DraftSubject, forward_of


def forward(subject: DraftSubject, maker: Maker) -> DraftPart | None:
    """Return the forward pass."""
    function = forward_of(subject.functions)
    if function is None:
        return None
    body = Body(subject, maker)
    body.forward()
    last = f"return {body.output}"
    if body.lines[-1].startswith("output = "):  # reads better in one line
        last = last.replace("output", body.lines.pop().removeprefix("output = "), 1)
    return DraftPart(body.finished(last), function.name, body.checks)


def gradient(subject: DraftSubject, maker: Maker) -> DraftPart | None:
    """Return the gradients, of the backward pass about which least is in doubt."""
    found: list[DraftPart] = []
    for function in _backward(subject):
        if not subject.changes_weights(function.name):
            body = Body(subject, maker)
            text = _called(body, function)
            if result := gradients(body, function, text):
                found.append(
                    DraftPart(body.finished(f"return {result}"), function.name, body.checks)
                )
    return _best(found)


def step(subject: DraftSubject, maker: Maker) -> DraftPart | None:
    """Return the update, of the function about which least is in doubt."""
    found: list[DraftPart] = []
    for name in roles.named(subject.functions, roles.STEP):
        function = subject.functions[name]
        if subject.changes_weights(name) or _returns_weights(subject, function):
            found.append(_step(subject, maker, function))
    return _best(found)


def loss(subject: DraftSubject, maker: Maker) -> DraftPart | None:
    """Return the user's own loss, where it is certain which function that is."""
    found: list[DraftPart] = []
    pools = [(maker.survey.functions, f"{maker.alias}.")]
    if subject.functions is not maker.survey.functions:
        pools.insert(0, (subject.functions, subject.prefix))
    for functions, prefix in pools:
        for name in roles.named(functions, roles.LOSS):
            function = functions[name]
            body = Body(subject, maker)
            body.forward()
            text = body.call(function, prefix=prefix)
            if not body.checks and roles.takes(function, "y") and function.returned.kind == "one":
                found.append(DraftPart(body.finished(f"return {text}"), name))
    return found[0] if len(found) == 1 else None


def _best(found: list[DraftPart]) -> DraftPart | None:
    """Return the part about which least is in doubt, the first of equals."""
    return min(
        found, key=lambda p: (p.uses.lower() in roles.WHOLE_TRAININGS, len(p.checks)), default=None
    )


def _backward(subject: DraftSubject) -> Iterable[Function]:
    """Yield what may give the gradients: backward passes, and a loss that returns them too."""
    for name in roles.named(subject.functions, roles.BACKWARD):
        yield subject.functions[name]
    for name in roles.named(subject.functions, roles.LOSS):
        if any(
            roles.role(n) in ("grads", "upstream") for n in subject.functions[name].returned.names
        ):
            yield subject.functions[name]


def _called(body: Body, function: Function) -> str:
    """Write the forward pass, where the function does not call it itself, and return its call."""
    subject = body.subject
    forward_pass = forward_of(subject.functions)
    calls = {f.name for f in reach(function.name, subject.functions)}
    if forward_pass is not None and forward_pass.name not in calls:
        body.forward()
    elif forward_pass is None:
        body.output = "output"
    body.attributes(function)
    return body.call(function)


def _returns_weights(subject: DraftSubject, function: Function) -> bool:
    """Whether a function takes weights and gradients and returns other weights."""
    weights, names = subject.weights, function.returned.names
    if not weights.items or subject.prefix == "net." or not roles.takes(function, "rate"):
        return False
    given = any(p.name in weights.items for p in function.parameters)
    returned = bool(names) and all(
        roles.is_weight(n) or roles.role(n) == "parameters" for n in names
    )
    return returned and (given or roles.takes(function, "parameters"))


def _step(subject: DraftSubject, maker: Maker, function: Function) -> DraftPart:
    body = Body(subject, maker)
    direct = any(roles.takes(function, role) for role in ("y", "pairs")) or (
        "y" in subject.attributes and not roles.takes(function, "grads")
    )
    backward = next(iter(_backward(subject)), None)
    if direct or backward is None or backward is function:
        text = _called(body, function)
    else:
        body.backward(backward, _called(body, backward))
        body.attributes(function)
        text = body.call(function)
    rate = subject.attributes.get("rate")
    if not roles.takes(function, "rate") and f"{rate} = learning_rate" not in body.lines:
        return _scaled(body, function, text)
    lines = body.finished(_stored(body, function, text))
    variables = ", ".join(subject.weights.variables)
    if variables and lines[-1].startswith(f"{variables} = "):
        lines.insert(0, f"nonlocal {variables}")
    return DraftPart(lines, function.name, body.checks)


def _stored(body: Body, function: Function, text: str) -> str:
    """Return the statement that calls an update and keeps what it returns."""
    weights, returned = body.subject.weights, function.returned
    if body.subject.prefix == "net." or returned.kind == "none":
        return text
    if weights.keys is not None:
        return f"{weights.expression}.update({text})"
    if weights.variables and len(returned.names) == len(weights.variables):
        return f"{', '.join(weights.variables)} = {text}"
    if len(returned.names) == len(weights.items) and returned.kind == "many":
        return f"{', '.join(weights.items.values())} = {text}"
    return text


def _scaled(body: Body, function: Function, text: str) -> DraftPart:
    """Return an update whose learning rate cannot be chosen, scaled as if it could."""
    checks = [*body.checks, f"{function.name} has no learning rate: its step is taken as that of 1"]
    if not body.subject.weights.expression.startswith("["):
        return DraftPart(body.finished(text), function.name, checks)
    lines = body.finished(text)
    return DraftPart(
        [
            "before = [array.copy() for array in get_weights()]",
            *lines,
            "for array, old in zip(get_weights(), before):",
            "    array[...] = old + learning_rate * (array - old)",
        ],
        function.name,
        checks,
    )
