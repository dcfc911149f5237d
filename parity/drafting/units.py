"""Weights that lie with each unit, in lists of Python's numbers: how they are read and set."""

import re

from parity.drafting import roles
from parity.drafting.world import World

_NESTED = re.compile(
    r"\[\[(?P<unit>\w+)(?P<kernel>\S*) for (?P=unit) in (?P<layer>\w+)(?P<units>\S*)\]"
    r" for (?P=layer) in (?P<layers>.+)\]"
)


def by_unit(text: str, world: World) -> tuple[str, list[str]] | None:
    """Return the expression of weights that lie by unit, biases last, and what sets them.

    Args:
        text: The expression of the weights without biases.
        world: Where it was found.

    Returns:
        None if they do not lie by unit.
    """
    found = _NESTED.fullmatch(text)
    if found is None:
        return None
    kernel, units, layers = found["kernel"], found["units"], found["layers"]
    bias = _bias(world, re.escape(layers) + r"\[\d+\]" + re.escape(units) + r"\[\d+\]")
    row = f"[*unit{kernel}, unit{bias}]" if bias else f"unit{kernel}"
    target = (
        f"unit{kernel}[:], unit{bias} = row[:-1], row[-1]" if bias else f"unit{kernel}[:] = row"
    )
    lines = [
        f"for layer, rows in zip({layers}, values):",
        f"    for unit, row in zip(layer{units}, rows):",
        f"        {target}",
    ]
    return f"[[{row} for unit in layer{units}] for layer in {layers}]", lines


def _bias(world: World, unit: str) -> str:
    """Return how the bias of a unit is reached, if it is one number."""
    for leaf in world.leaves():
        match = re.fullmatch(rf"{unit}(?P<bias>\S+)", leaf.path)
        if match and isinstance(leaf.value, float) and roles.plain(leaf.name) == "b":
            return match["bias"]
    return ""
