"""What may come after a forward pass that was found: what is known then, and on which data."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from parity.drafting import roles
from parity.drafting.attempts import Data, TriedForward, Way
from parity.drafting.callees import Available, Callee
from parity.drafting.finding import STARTS, Finder
from parity.drafting.world import found

BACKWARD = r"back|grad|delta|deriv"
LOSS = r"loss|cost|error|objective|cross_?entropy|mse|verlust"


class Follower:
    """What may come after a forward pass is tried from here.

    Args:
        finder: What there is.
        forward: The forward pass.
    """

    def __init__(self, finder: Finder, forward: TriedForward) -> None:
        self.finder = finder
        self.forward = forward
        self.data = forward.data
        finder.follow(forward)
        forward.known.names |= forward.given
        there = forward.known.roles.get("parameters", [])
        forward.known.roles["parameters"] = list(dict.fromkeys([*finder.whole, *there]))

    def starts(self, callee: Callee, data: Data) -> Iterator[Available]:
        """Yield what may be known before a callee: nothing, or what the forward pass leaves."""
        if data.many:
            known = self.finder.known(self.data.layout)
            shape = "[:, None]" if self.data.layout == "column" else ""
            known.roles["x"] = [f"[sample{shape} for sample in x]"] if shape else ["x"]
            known.roles["y"] = [f"[label{shape} for label in y]"] if shape else ["y"]
            several = f"[(a{shape}, b{shape}) for a, b in zip(x, y)]"
            known.roles["pairs"] = [several if shape else "list(zip(x, y))"]
            yield known
            return
        yield from self.finder.prepared(callee, self.finder.known(self.data.layout))
        yield from self.finder.prepared(callee, self.forward.known, ("y",))
        for slope in self.forward.known.roles["slope"]:
            *before, last = slope.split("\n")
            if before and callee.takes("upstream"):
                known = self.forward.known.copy()
                known.lines += before
                known.roles["slope"] = [last]
                yield known

    def data_kinds(self, callee: Callee | None = None) -> list[Data]:
        """Return the data with one-hot labels, with class numbers, and many samples at a time."""
        kinds = [self._labelled(callee)]
        if callee is not None and self.data.layout in ("single", "column"):
            several = [replace(self.data, many=True, bare=False)]
            if self.data.outputs == 1:
                several.append(replace(self.data, many=True, flat=True, bare=False))
                several.sort(key=lambda data: data.flat != (self._label_axes(callee) == 1))
            pairs = any(roles.role(p.name) == "pairs" for p in callee.parameters)
            if pairs:
                return [*several, *kinds]
            if any(roles.is_many(p.name) for p in callee.parameters):
                return [*kinds, *several]
        if self.data.outputs > 1 and self.data.layout in ("rows", "columns"):
            kinds += self._classes(callee)
        return kinds

    def _classes(self, callee: Callee | None) -> list[Data]:
        """Return the data with class numbers, counted as the program's own run counts them."""
        label = self._label(callee) if callee else ""
        seen = self.finder.seen
        if seen.broken(label):
            return []
        first = seen.first_class(label, self.data.outputs) or 0
        return [replace(self.data, classes=True, first=first)]

    def _labelled(self, callee: Callee | None) -> Data:
        """Return the data with the labels of one output in as many axes as the program's own."""
        if self.data.outputs != 1 or self.data.layout != "rows":
            return self.data
        axes = self._label_axes(callee) if callee else None
        return self.data if axes is None else replace(self.data, flat=axes == 1)

    def class_doubt(self, way: Way) -> list[str]:
        """Return the remark that classes may count from 1, where only the text speaks of it."""
        used = [c for c in self.finder.callees if c.name == way.uses and c.source is not None]
        if not way.data.classes or not used:
            return []
        callee = used[0]
        label = self._label(callee)
        text = ast.unparse(callee.source.node) if callee.source else ""
        less = re.search(rf"\b{label}\b[^=\n]{{0,12}} - 1\b|arange\(1, ", text)
        if not less or self.finder.seen.first_class(label, self.data.outputs) is not None:
            return []
        return ["that classes count from 0; if they count from 1 here, hand over y + 1"]

    def _label_axes(self, callee: Callee) -> int | None:
        label = self._label(callee)
        return self.finder.seen.axes(label) if label else None

    def _label(self, callee: Callee) -> str:
        return next((p.name for p in callee.parameters if roles.role(p.name) == "y"), "")

    def slope_remark(self, lines: list[str]) -> list[str]:
        """Return the remark that a loss was guessed."""
        text = "\n".join(lines)
        guessed = f"{self.forward.output} - y" in text
        classes = re.findall(rf"{self.finder.world.alias}\.(\w+)\(\)", text)
        remarks = [f"that {name} is the loss" for name in classes[:1]]
        if guessed:
            remarks.append("the loss: this is the derivative of half the squared error, summed")
        return remarks

    def signed(self, way: Way) -> bool:
        """Whether labels are -1 and 1: no x makes a difference where they are 0."""
        if self.data.outputs != 1 or way.data.classes:
            return False

        def given(seed: int, label: float) -> list[np.ndarray]:
            world = self.finder.new()
            values = {"x": way.data.x(seed), "y": np.full_like(way.data.y(), label)}
            result = world.run(way.known.lines, way.last, learning_rate=0.125, **values)
            moved = self.finder.values(world)
            return [leaf.array for leaf in found({"r": result})] + moved

        try:
            at_zero, at_one = ((given(0, y), given(9, y)) for y in (0.0, 1.0))
        except BaseException:
            return False
        return not any(map(differ, *at_zero)) and any(map(differ, *at_one))


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape != other.shape or not np.allclose(one, other, rtol=1e-9, atol=1e-12)


def is_start(callee: Callee) -> bool:
    """Whether it makes new weights."""
    return STARTS.match(callee.name.strip("_")) is not None
