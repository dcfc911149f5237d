"""Passing through a list of layers where no function of the module does it."""

from parity.drafting import roles
from parity.drafting.calls import Body, DraftPart, input_gradient
from parity.drafting.making import Maker, kernel_names, parameter_dicts
from parity.drafting.subjects import DraftSubject, changes_own_weights
from parity.drafting.survey import Class


def _weighted(subject: DraftSubject) -> Class:
    return next(c for c in subject.layer_classes if kernel_names(c) or parameter_dicts(c))


def forward(subject: DraftSubject) -> DraftPart:
    """Return the forward pass, layer by layer."""
    layer = _weighted(subject)
    method = layer.methods[roles.named(layer.methods, roles.FORWARD)[0]]
    call = "layer(x)" if method.name == "__call__" else f"layer.{method.name}(x)"
    kept = roles.best_output(sorted(method.writes)) if method.returned.kind == "none" else ""
    lines = [f"for layer in {subject.layers}:", *_through("x", call, kept), "return x"]
    return DraftPart(lines, f"{layer.name}.{method.name}")


def backward(subject: DraftSubject, maker: Maker) -> tuple[str, DraftPart] | None:
    """Return the backward pass, layer by layer, and whether it is "gradients" or "step"."""
    layer = _weighted(subject)
    method = layer.methods[roles.named(layer.methods, roles.BACKWARD)[0]]
    is_step = changes_own_weights(layer, method.name)
    if not is_step and not subject.weights.gradients:
        return None
    body = Body(subject, maker)
    body.output = body.values["output"] = "output"
    body.lines.append("output = forward(x)")
    body.lines.append(f"gradient = {body.slope()}")
    rate = ", learning_rate" if is_step and roles.takes(method, "rate") else ""
    if len(method.parameters) > 1 + bool(rate):
        body.checks.append(f"what {layer.name}.{method.name} takes")
    if is_step and not rate:
        body.checks.append(f"{layer.name}.{method.name} has no learning rate")
    call = f"layer.{method.name}(gradient{rate})"
    lines = [*body.lines, f"for layer in reversed({subject.layers}):"]
    kept = input_gradient(method) if method.returned.kind == "none" else ""
    lines += _through("gradient", call, kept)
    if not is_step:
        lines.append(f"return {subject.weights.gradients}")
    part = DraftPart(lines, f"{layer.name}.{method.name}", body.checks)
    return ("step" if is_step else "gradients"), part


def _through(variable: str, call: str, kept: str) -> list[str]:
    """Return the lines that pass a variable through a layer, which may keep its result."""
    if not kept:
        return [f"    {variable} = {call}"]
    return [f"    {call}", f"    {variable} = layer.{kept}"]
