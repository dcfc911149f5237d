"""Results of calls, assigned to variables of the names that they have in the user's code."""

import ast
import re

from parity.drafting import roles
from parity.drafting.callees import Available, Callee

_TAKEN = {
    "x", "y", "learning_rate", "net", "layers", "parity", "np", "key", "parameters", "forward",
    "gradients", "step", "loss", "get_weights", "make",
}  # fmt: skip


def unpacked(
    known: Available, callee: Callee, text: str, chosen: str, last: int | None = None
) -> str:
    """Assign a call's results to variables of the names they have in the user's code.

    Returns:
        The expression of the result that was called ``output...`` before.
    """
    # x.T @ d1, x.T @ d2: what has another's name has none of its own.
    names = ["" if n in callee.returned[:k] else n for k, n in enumerate(callee.returned)]
    path = chosen.removeprefix("output")
    index = re.match(r"\[(\d+)\]", path)
    if len(names) > 1 and index:
        variables = [free_name(name, k) for k, name in enumerate(names)]
        known.lines.append(f"{', '.join(variables)} = {text}")
        for name, variable in zip(names, variables, strict=True):
            if name:
                known.names[name] = variable
            if roles.role(name) in ("cache", "grads"):
                known.roles[roles.role(name)] = [variable]
            elif not name:  # return A2, (Z1, A1, Z2)
                known.roles.setdefault("cache", []).append(variable)
        known.roles["any"] = [*known.roles["any"], *variables]
        return variables[int(index[1])] + path[index.end() :]
    if names and names[0]:
        known.names.setdefault(names[0], "output")
    generator = bool(callee.source and _yields(callee))
    known.lines.append(f"output = list({text})" if generator else f"output = {text}")
    if path:
        known.roles["cache"] = ["output"]
    if last is not None and path == f"[{last}]":
        path = "[-1]"
    return f"output{path}"


def free_name(name: str, k: int) -> str:
    """Return what a thing of this name may be called in make()."""
    free = bool(re.fullmatch(r"[A-Za-z]\w*", name)) and name not in _TAKEN
    return name if free else f"{name.strip('_') or 'result'}_{k}"


def _yields(callee: Callee) -> bool:
    assert callee.source is not None
    return any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in callee.source.body)
