"""Weights each of which is a number in an object of its own, as automatic differentiation has."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_LISTED = re.compile(r"(?P<list>.+)\[(?P<row>\d+)\](?P<inner>(?:\.\w+)?)\[(?P<place>\d+)\]")
_FEWEST = 3


@dataclass(frozen=True)
class Nodes:
    """Objects in a list, or in a list of lists, that hold one number each.

    Attributes:
        objects: The objects.
        attribute: What their number is called.
    """

    objects: list[Any]
    attribute: str

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """Return the numbers."""
        return np.array(_numbers(self.objects, self.attribute), dtype=float)

    def put(self, values: Any) -> None:
        """Write numbers into the objects."""
        _put(self.objects, self.attribute, values)


def _numbers(objects: Any, attribute: str) -> Any:
    items: Any = objects
    if isinstance(objects, list):
        return [_numbers(inner, attribute) for inner in items]
    return float(getattr(objects, attribute))


def _put(objects: list[Any], attribute: str, values: Any) -> None:
    for inner, value in zip(objects, values, strict=True):
        if isinstance(inner, list):
            _put(inner, attribute, value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            setattr(inner, attribute, float(value))


def tensors(paths: Sequence[str], run: Callable[[str], Any]) -> Iterator[tuple[str, str, Nodes]]:
    """Yield the expressions of lists of nodes, their attributes and the nodes.

    Args:
        paths: Where single numbers are.
        run: Returns the value of an expression.
    """
    owners: dict[str, list[str]] = {}
    for path in paths:
        owner, _, attribute = path.rpartition(".")
        if owner.endswith("]") or re.search(r"\[\d+\]\.\w+$", owner):
            owners.setdefault(attribute, []).append(owner)
    for attribute, found in owners.items():
        if len(found) < _FEWEST:
            continue
        seen: set[str] = set()
        for owner in found:
            for text in _texts(owner, set(found), run):
                if text not in seen:
                    seen.add(text)
                    try:
                        nodes = Nodes(run(text), attribute)
                        shape = np.shape(np.asarray(nodes))
                    except (AttributeError, TypeError, ValueError):
                        continue  # of unequal lengths, or no numbers at this moment
                    if shape:
                        yield numbers_of(text, attribute, len(shape)), attribute, nodes


def _texts(owner: str, owners: set[str], run: Callable[[str], Any]) -> Iterator[str]:
    """Yield the expression of the list, or list of lists, in which a node stands."""
    match = _LISTED.fullmatch(owner)
    if match is None:
        if re.fullmatch(r".+\[\d+\]", owner):
            yield owner.rpartition("[")[0]
        return
    holder, inner = match["list"], match["inner"]
    items = run(holder)
    whole = all(f"{holder}[{k}]{inner}[0]" in owners for k in range(len(items)))
    deeper = any(re.fullmatch(r".+\[\d+\]\[\d+\]\[\d+\]", o) for o in owners)
    if not inner and (not whole or (deeper and "[" not in holder)):
        yield f"{holder}[{match['row']}]"  # biases: a list for each layer
    elif not inner:
        yield holder
    elif whole:
        bias = _bias(holder, inner, len(items), owners)
        row = f"[*unit{inner}, unit{bias}]" if bias else f"unit{inner}"
        yield f"[{row} for unit in {holder}]"


def _bias(holder: str, inner: str, count: int, owners: set[str]) -> str:
    """Return the attribute in which each unit has one more node; "" if it has none."""
    names = (o.removeprefix(f"{holder}[0]") for o in owners if o.startswith(f"{holder}[0]."))
    for name in names:
        plain = re.fullmatch(r"\.\w+", name) and name != inner
        if plain and all(f"{holder}[{k}]{name}" in owners for k in range(count)):
            return name
    return ""


def numbers_of(text: str, attribute: str, axes: int = 1) -> str:
    """Return the expression of the numbers in the nodes of an expression."""
    units = re.fullmatch(r"\[(\S.*) for unit in (.+)\]", text)
    if units:
        return f"[[node.{attribute} for node in {units[1]}] for unit in {units[2]}]"
    if axes > 1:
        return f"[[node.{attribute} for node in row] for row in {text}]"
    return f"[node.{attribute} for node in {text}]"


def nodes_of(text: str) -> str:
    """Return the expression of the nodes whose numbers an expression gives."""
    units = re.fullmatch(r"\[\[node\.\w+ for node in (.+)\] for unit in (.+)\]", text)
    if units:
        return f"[{units[1]} for unit in {units[2]}]"
    rows = re.fullmatch(r"\[\[node\.\w+ for node in row\] for row in (.+)\]", text)
    return rows[1] if rows else re.sub(r"^\[node\.\w+ for node in (.+)\]$", r"\1", text)


def are_numbers(text: str) -> bool:
    """Whether an expression is one of the numbers in nodes."""
    return re.match(r"\[\[?node\.\w+ for node in ", text) is not None


def attribute_of(text: str) -> str:
    """Return the attribute that such an expression reads."""
    found = re.match(r"\[\[?node\.(\w+) for", text)
    return found[1] if found else ""
