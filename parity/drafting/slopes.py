"""Expressions of the loss's derivative by the output, as a program's own functions give it."""

import inspect
from collections.abc import Sequence

from parity.drafting import loops, roles
from parity.drafting.callees import Available, Callee, arguments
from parity.drafting.callees import callee as callee_of
from parity.drafting.world import World


def slopes(callees: Sequence[Callee], world: World, known: Available, output: str) -> list[str]:
    """Return expressions of the loss's derivative by the output, the likeliest first."""
    texts: list[str] = []
    given = known.copy()
    given.roles["any"] = []
    given.roles["upstream"] = [output]  # whose gradient it is: the output's
    for callee in callees:
        if roles.is_loss_slope(callee.name) and len(callee.parameters) >= 2:
            texts += [t for t in arguments(callee, given) if "None" not in t][:2]
        elif roles.named([callee.name], roles.LOSS) and len(callee.returned) == 2:
            # return loss, gradient
            texts += [f"{t}[1]" for t in arguments(callee, given) if "None" not in t][:2]
    for path, value in world.roots().items():
        if not (inspect.isclass(value) and "." in path):
            continue
        if text := _kept_slope(path, value, output):
            texts.append(text)
            continue
        own = [n for n, v in vars(value).items() if inspect.isfunction(v)]
        for name in roles.named(own, roles.BACKWARD)[:1]:
            method = inspect.getattr_static(value, name)
            taken = list(inspect.signature(method).parameters)[1:]
            order = {"y": "y", "output": output, "upstream": output, "x": output}
            filled = [order.get(roles.role(p), "") for p in taken]
            if "y" not in filled or "" in filled:
                continue
            how = callee_of(f"criterion.{name}", method)
            call = f"{name}({', '.join(filled)})"
            if how is not None and how.source and how.source.returned.kind == "none":
                kept = loops.input_gradient(how)
                lines = [f"criterion = {path}()", f"criterion.{call}", f"criterion.{kept}"]
                texts += ["\n".join(lines)] * bool(kept)
            else:
                texts.append(f"{path}().{call}")
    return [*texts, f"{output} - y"]


def _kept_slope(path: str, loss: type, output: str) -> str:
    """Return the slope of a loss that is asked for its value first: forward(a, y), backward()."""
    own = {n: v for n, v in vars(loss).items() if inspect.isfunction(v)}
    back = next(iter(roles.named(own, roles.BACKWARD)), "")
    value = next(iter(roles.named(own, (*roles.LOSS, *roles.FORWARD))), "")
    if not back or not value or len(inspect.signature(own[back]).parameters) > 1:
        return ""
    taken = list(inspect.signature(own[value]).parameters)[1:]
    labels = [roles.role(name) == "y" for name in taken]
    if len(taken) != 2 or sum(labels) != 1:
        return ""
    given = ", ".join("y" if is_label else output for is_label in labels)
    call = "criterion" if value == "__call__" else f"criterion.{value}"
    return "\n".join([f"criterion = {path}()", f"{call}({given})", f"criterion.{back}()"])
