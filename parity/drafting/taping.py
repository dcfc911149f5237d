"""Gradients that a loss passes back itself into the objects of the weights, as on a tape."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.attempts import Data, Way
from parity.drafting.callees import Available, Callee, arguments
from parity.drafting.callees import callee as callee_of
from parity.drafting.finding import Finder
from parity.drafting.nodes import are_numbers, attribute_of, nodes_of
from parity.drafting.world import World, found, written


class Tape:
    """Tries a loss that can be differentiated.

    Args:
        finder: What there is.
        shapes: Of the weights.
    """

    def __init__(self, finder: Finder, shapes: list[tuple[int, ...]]) -> None:
        self.finder = finder
        self.shapes = shapes

    def differentiated(
        self, callee: Callee, known: Available, text: str, backward: str, data: Data
    ) -> Way | None:
        """Return the way through a loss that is an object and passes gradients back itself."""
        world = self.finder.new()
        values: dict[str, Any] = {"x": data.x(), "y": data.y(), "learning_rate": 0.125}
        known = known.copy()
        before_cost = list(known.lines)
        known.lines += [f"cost = {text}"]
        before = {leaf.path: leaf.array.copy() for leaf in world.leaves()}
        world.run([*known.lines, backward], **values)
        paths = self.beside(before, world)
        if paths is None:
            return None
        last = written_in_order(paths, world.roots())
        lines = self.set_back([*known.lines, backward], last, paths, world, data)
        if lines is None:
            return None
        cleared = lines != [*known.lines, backward]
        known.lines = lines
        # The loss's number is called as that of a weight is.
        path = self.finder.weights[0].path
        attribute = attribute_of(path) or path.rpartition(".")[2]
        loss = [f"cost = {text}", f"return float(cost.{attribute})"]
        return Way(known, last, callee.name, False, data, [], [*before_cost, *loss], cleared)

    def set_back(
        self, passed: list[str], last: str, paths: list[str], world: World, data: Data
    ) -> list[str] | None:
        """Return the statements that give the same gradients each time; None if none do.

        Args:
            passed: The statements that leave gradients, or add to those there are.
            last: The expression of the gradients.
            paths: Where they are.
            world: Where they were found.
            data: What they are tried with.
        """
        values: dict[str, Any] = {"x": data.x(), "y": data.y(), "learning_rate": 0.125}
        for clearing in self._clearings(paths, world):
            lines = [*clearing, *passed]
            try:
                again = self.finder.new()
                one = again.run(lines, last, **values)
                first = [leaf.array.copy() for leaf in found({"r": one})]
                second = [leaf.array for leaf in found({"r": again.run(lines, last, **values)})]
            except BaseException:
                continue
            # Nodes in a set are summed up in any order.
            if len(first) == len(second) == len(paths) and all(map(np.allclose, first, second)):
                return lines
        return None

    def beside(self, before: dict[str, np.ndarray], world: World) -> list[str] | None:
        """Return the gradients that lie in the objects of the weights, if all do."""
        after = {leaf.path: leaf.array for leaf in world.leaves()}
        moved = {
            p for p, a in after.items() if not np.array_equal(a, before.get(p, np.empty((0, 0, 0))))
        }
        paths: list[str] = []
        for weight, shape in zip(self.finder.weights, self.shapes, strict=True):
            beside = [
                path for path, array in after.items()
                if path != weight.path and _owner(path) == _owner(weight.path)
                and array.shape == shape
            ]  # fmt: skip
            beside = [path for path in beside if path in moved] or beside
            if len(beside) != 1:
                return None
            paths += beside
        return paths if moved.intersection(paths) else None

    def _clearings(self, paths: list[str], world: World) -> Iterator[list[str]]:
        """Yield what sets gradients back that add up: nothing, the user's own way, another."""
        yield []
        parameters = self.finder.known().copy()
        for callee in self.finder.callees:
            if re.search(r"zero|clear|reset", callee.name, re.I) and len(callee.parameters) < 2:
                yield from ([text] for text in arguments(callee, parameters))
        start = self.finder.new()
        lines: list[str] = []
        for path in paths:
            if are_numbers(path):
                lines += [
                    f"for node in np.ravel({nodes_of(path)}):",
                    f"    node.{attribute_of(path)} = 0.0",
                ]
                continue
            try:
                none = start.run([], path) is None
            except BaseException:
                none = True
            lines.append(f"{path} = {'None' if none else f'0 * {path}'}")
        yield lines


def own_backward(result: Any, callees: list[Callee], alias: str) -> str:
    """Return the call by which ``cost`` passes gradients back itself; "" if there is none."""
    if isinstance(result, (list, tuple, dict, np.ndarray, float, int, str)) or result is None:
        return ""
    names = [n for n in dir(result) if not n.startswith("_")]
    for name in roles.named(names, roles.BACKWARD):
        taken = callee_of(name, getattr(result, name))
        if taken is not None and not any(p.required for p in taken.parameters):
            return f"cost.{name}()"
    for taken in callees:
        needed = [p for p in taken.parameters if p.required]
        alone = len(needed) == 1 and roles.role(needed[0].name) in ("", "upstream")
        of_module = taken.text.startswith(alias) and roles.named([taken.name], roles.BACKWARD)
        if alone and of_module:
            return f"{taken.text}(cost)"
    return ""


def _owner(path: str) -> str:
    """Return what an attribute is of: the same for a number and for its gradient."""
    if are_numbers(path):
        return nodes_of(path)
    return path.rpartition(".")[0] or path


def written_in_order(paths: list[str], roots: dict[str, Any]) -> str:
    """Return an expression of some leaves in the order given."""
    if any(are_numbers(path) for path in paths):
        return f"[{', '.join(paths)}]"
    text = written(paths, roots)
    ordered = [leaf.path for leaf in found(roots) if leaf.path in set(paths)]
    return text if ordered == paths else f"[{', '.join(paths)}]"
