"""Finding a forward pass, and its weights, by trying what is there on a few numbers."""

import ast
import copy
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity.drafting import loops, roles
from parity.drafting.attempts import LAYOUTS, Data, TriedForward
from parity.drafting.callees import Available, Callee, arguments, callees
from parity.drafting.keeping import Kept
from parity.drafting.nodes import Nodes, are_numbers, nodes_of
from parity.drafting.rehearsing import Rehearsal
from parity.drafting.roles import Role
from parity.drafting.slopes import slopes
from parity.drafting.unpacking import unpacked
from parity.drafting.world import (
    KeptNumbers,
    TookTooLong,
    World,
    counts,
    found,
    inside,
    is_view,
    is_weightlike,
    put,
    variables,
    written,
)  # fmt: skip

_DANGEROUS = re.compile(
    r"save|load|plot|show|draw|print|export|download|fetch|open|write|display|visual|main|summary|"
    r"test|demo|gradient_check|check_grad|(?<!s)parse|accuracy",
    re.I,
)
STARTS = re.compile(r"init|start|create|build|make|setup|set_up|reset|compile|weights|new", re.I)
_MOST_LEAVES = 150


class Finder:
    """Tries what a setup makes.

    Args:
        fresh: Returns a new world of the setup.
        stuck: The names of what has run too long, which nothing calls again.
        given: What parameters of some names are given.
        seen: What was seen of the program's own run.
        kept: What updates keep from step to step, by their names.

    Attributes:
        flat: Whether samples have one axis each, so that what got more of them is not called.
    """

    def __init__(
        self,
        fresh: Callable[[], World],
        stuck: set[str],
        given: dict[str, str],
        seen: Rehearsal,
        kept: dict[str, Kept] | None = None,
    ) -> None:
        self.kept = kept or {}
        self.fresh = fresh
        self.flat = True
        self.given = self.own_given = seen.settings() | given
        self.seen = seen
        self.stuck = stuck
        self.world = fresh()
        self.callees = [c for c in callees(self.world) if not _is_dangerous(c)]
        self.trouble: dict[str, str] = {}
        self.weights: list[KeptNumbers] = []
        self.whole: list[str] = []
        self.saved: list[np.ndarray] = []

    def known(self, layout: str = "") -> Available:
        """Return what there is before anything was called."""
        known = Available(roles={
            "x": ["x"], "y": ["y"], "rate": ["learning_rate"], "once": ["1"], "size": ["len(x)"],
            "off": ["False"], "pairs": ["list(zip(x, y))", "[(x, y)]"], "any": ["x", "y"],
        })  # fmt: skip
        if layout == "columns":
            pairs = "[(a[:, None], b[:, None]) for a, b in zip(x.T, y.T)]"
            known.roles["pairs"] = [pairs, "[(x, y)]"]
        if layout in ("single", "column"):
            known.roles["pairs"] = ["[(x, y)]"]
        if layout == "row":
            known.roles |= {"x": ["x", "[x]"], "y": ["y", "[y]"]}
        for path, value in self.world.roots().items():
            name = path.rpartition(".")[2]
            if isinstance(value, (type, type(np))):
                continue
            known.names.setdefault(name, path)
            known.names.setdefault(name.lower(), path)
            if path == name and not inspect.isfunction(value):  # made by the setup
                known.roles.setdefault("parameters", []).append(path)
                known.roles["any"].append(path)
        made = known.roles.get("parameters", [])
        known.roles["parameters"] = list(dict.fromkeys([*self.whole, *made]))
        for name in [n for n in known.names if roles.role(n) in ("x", "y", "rate", "once")]:
            del known.names[name]
        for name in self.seen.objects() if known.roles["parameters"] else ():
            if roles.role(name) == "output":  # a p that is no prediction
                known.names.setdefault(name, known.roles["parameters"][0])
        known.names |= self.given
        return known

    def widths(self) -> list[int]:
        """Return how many inputs there may be."""
        sizes = dict[int, None]()
        for leaf in self.world.leaves()[:_MOST_LEAVES]:
            shape = np.shape(leaf.value)
            for n in (*shape[:2], *(k - 1 for k in shape[:2])):
                if n > 0:
                    sizes[n] = None
        return list(sizes)[:10]

    def ranked(self, vocabulary: tuple[str, ...], pattern: str) -> list[Callee]:
        """Return callees of a vocabulary, then those whose names fit a pattern, then others."""
        order = roles.named([c.name for c in self.callees], vocabulary)
        place = {name: k for k, name in enumerate(order)}

        def rank(callee: Callee) -> tuple[int, int]:
            if callee.name in place:
                return 0, place[callee.name]
            return (1 if re.search(pattern, callee.name, re.I) else 2), 0

        asked = (c for c in self.callees if c.name not in self.stuck)
        return sorted((c for c in asked if not (self.flat and self.seen.deep(c.name))), key=rank)

    # Forward pass.

    def forwards(self) -> Iterator[TriedForward]:
        """Yield forward passes, the best of each layout."""
        for layout in LAYOUTS:
            tried: list[TriedForward] = []
            for callee in self.ranked(roles.FORWARD, "forward|predict|feed|propag|activ"):
                if (
                    callee.takes("grads", "upstream")
                    or roles.named([callee.name], roles.BACKWARD)
                    or (STARTS.match(callee.name.strip("_")) and not callee.takes("x"))
                ):
                    continue
                if (forward := self._forward(callee, layout)) is not None:
                    tried.append(forward)
                if len(tried) > 3:
                    break
            if not tried:
                for callee, lines in loops.forward(self.world):
                    known = self.known()
                    known.lines += lines
                    for inputs in self.widths():
                        done = self._called(callee, known, "output", Data(layout, inputs, 1))
                        tried += [done] if done is not None else []
            if tried:
                yield max(tried, key=lambda f: len(f.weights))

    def _forward(self, callee: Callee, layout: str) -> TriedForward | None:
        seen = self.seen.sizes(callee.name)
        for inputs in sorted(self.widths(), key=lambda n: n not in seen):
            if callee.name in self.stuck:
                break
            data = Data(layout, inputs, 1)
            for known in self._ready(callee, self.known(layout)):
                for text in arguments(callee, known):
                    used = " ".join([*known.lines, text])
                    if not re.search(r"\bx\b", used) or re.search(r"\by\b", used):
                        continue
                    result = self._called(callee, known, text, data)
                    if result is not None or callee.name in self.stuck:
                        return result
        return None

    def _ready(self, callee: Callee, known: Available) -> Iterator[Available]:
        """Yield what is known before a forward pass, which may want labels and not use them."""
        yield from self.prepared(callee, known, ("x",))
        for more in self.prepared(callee, known, ("x", "y")):
            for width in self.widths() if more.lines else []:
                labels = more.copy()
                some = f"np.full((len(x), {width}), 0.5)"
                labels.lines = [re.sub(r"= y$", f"= {some}", line) for line in more.lines]
                yield labels

    def prepared(
        self, callee: Callee, known: Available, wanted: tuple[Role, ...] = ("x", "y")
    ) -> Iterator[Available]:
        """Yield what is known, and with x and y put where an object keeps them."""
        yield known
        for _, value in self.objects():
            names = variables(value)
            lines: list[str] = []
            for role in wanted:
                kept = [n for n in names if roles.role(n) == role]
                if kept and not callee.takes(role):
                    lines.append(f"{self._path_of(value)}.{kept[0]} = {role}")
            if lines:
                more = known.copy()
                more.lines += lines
                yield more

    def objects(self) -> list[tuple[str, Any]]:
        roots = self.world.roots().items()
        return [(p, v) for p, v in roots if "." not in p and hasattr(v, "__dict__")
                and not inspect.isroutine(v)]  # fmt: skip

    def _path_of(self, value: Any) -> str:
        return next(p for p, v in self.objects() if v is value)

    def _called(
        self, callee: Callee, known: Available, text: str, data: Data
    ) -> TriedForward | None:
        try:
            world = self.fresh()
            before = {leaf.path: leaf.array.copy() for leaf in world.leaves()}
            values = {"x": data.x(), "y": data.y()}
            outputs = self._outputs(world, known, text, before, values)
        except BaseException as error:
            self.note("forward", callee, error)
            return None
        outputs = {t: a for t, a in outputs.items() if data.fits(a)}
        if not outputs:
            return None
        try:
            depend = self.dependents(known, text, values, outputs)
        except BaseException as error:
            self.note("forward", callee, error)
            return None
        if not any(depend.values()):
            return None
        every = max(depend.values(), key=len)
        best = [t for t in outputs if _of_all(depend[t], every)]
        best = [  # the same thing is often handed on twice
            t for k, t in enumerate(best)
            if not any(np.array_equal(outputs[t], outputs[o]) for o in best[:k])
        ]  # fmt: skip
        chosen = _best_output(best, callee)
        width = data.width(outputs[chosen])
        done = known.copy()
        rows = [int(m[1]) for t in outputs if (m := re.fullmatch(r"output\[(\d+)\]", t))]
        output = self._keep(done, callee, text, chosen, max(rows, default=None))
        axes = outputs[chosen].ndim
        flat, bare = data.layout == "rows" and axes == 1, axes == 0
        return TriedForward(
            done, output, callee.name, Data(data.layout, data.inputs, width, flat=flat, bare=bare),
            max((depend[t] for t in best), key=len), _inputs(callee, text),
        )  # fmt: skip

    def _outputs(
        self,
        world: World,
        known: Available,
        text: str,
        before: dict[str, Any],
        values: dict[str, Any],
    ) -> dict[str, np.ndarray]:
        """Return all arrays that a call gives or leaves, by expression."""
        values = {name: copy.copy(value) for name, value in values.items()}
        result = world.run(known.lines, text, **values)
        if inspect.isgenerator(result):
            result = list(result)
        if result is None:
            return {
                leaf.path: leaf.array.astype(float)
                for leaf in world.leaves()
                if leaf.path not in before or not np.array_equal(leaf.array, before[leaf.path])
            }
        given = {leaf.path: np.array(leaf.value) for leaf in found({"output": result})}
        return given | _numbers_in(result)

    def dependents(
        self, known: Available, text: str, values: dict[str, Any], outputs: dict[str, np.ndarray]
    ) -> dict[str, list[KeptNumbers]]:
        """Return, by output, the numbers that it depends on."""
        depend: dict[str, list[KeptNumbers]] = {t: [] for t in outputs}
        world = self.fresh()
        leaves: list[KeptNumbers] = []
        for leaf in world.leaves():
            if len(leaves) < _MOST_LEAVES and is_weightlike(leaf.value):
                fixed = leaf.path.startswith(f"{world.alias}.") and roles.is_constant(leaf.name)
                leaves += [leaf] * (not fixed and not is_view(leaf, leaves))
        before = {leaf.path: leaf.array.copy() for leaf in world.leaves()}
        base = self._outputs(world, known, text, before, values)
        rng = np.random.default_rng(1)
        for leaf in leaves:
            old = leaf.array.copy()
            place: Any = leaf.value
            numbers: Any = copy.deepcopy(place) if place.__class__ is list else old
            if leaf.path not in before:
                continue
            if old.shape != before[leaf.path].shape or not np.array_equal(old, before[leaf.path]):
                continue  # the forward pass itself has changed it
            fan = max(old.shape[-1] if old.ndim else 1, 1)
            put(place, rng.normal(size=old.shape) * (0.5 / np.sqrt(fan)) + 0.01)
            try:
                now = self._outputs(world, known, text, before, values)
            except TypeError:
                if not counts(numbers):
                    raise
                continue
            finally:
                put(place, numbers)
            for t in outputs:
                if t in now and t in base and _differ(now[t], base[t]):
                    depend[t].append(leaf)
        own = {id(leaf.value) for leaf in world.leaves()}

        def kept(weight: KeptNumbers, output: str) -> bool:
            lasting = isinstance(weight.value, Nodes) or id(weight.value) in own
            return weight.path != output and lasting

        return {t: [w for w in d if kept(w, t)] for t, d in depend.items()}

    def _keep(
        self, known: Available, callee: Callee, text: str, chosen: str, last: int | None
    ) -> str:
        """Write the call so that its results have names; return the output's expression."""
        if text == "output":  # a loop has left it there
            output = chosen
        elif are_numbers(chosen):
            known.lines.append(f"output = {text}")
            output = chosen
        elif not chosen.startswith("output"):
            known.lines.append(text)
            output = chosen
        else:
            output = unpacked(known, callee, text, chosen, last)
        known.roles["output"] = [output]
        if known.lines[-1].startswith("output = ") and output != "output":
            known.roles["output"].append("output")  # the object that holds the numbers
        known.names.setdefault(roles.best_output([output.rpartition(".")[2]]), output)
        known.roles["any"] = [output, *known.roles["any"]]
        known.roles["slope"] = slopes(self.callees, self.world, known, output)
        return output

    # What comes after it.

    def follow(self, forward: TriedForward) -> None:
        """Take over a forward pass's weights as those to be looked at from now on."""
        self.weights = forward.weights
        self.given = self.own_given | forward.given
        world = self.fresh()
        whole = written([w.path for w in self.weights], world.roots())
        self.whole = [whole] if not whole.startswith("[") else []
        self.saved = [np.array(world.run([], w.path), dtype=float) for w in self.weights]

    def new(self) -> World:
        """Return a new world with the same weights as ever."""
        world = self.fresh()
        for leaf, array in zip(self.weights, self.saved, strict=True):
            if isinstance(leaf.value, Nodes):
                put(Nodes(world.run([], nodes_of(leaf.path)), leaf.value.attribute), array)
            else:
                put(world.run([], leaf.path), array)
        return world

    def values(self, world: World) -> list[np.ndarray]:
        """Return the weights of a world."""
        return [np.array(world.run([], leaf.path), dtype=float) for leaf in self.weights]

    def change(
        self,
        lines: list[str],
        data: Data,
        rate: float = 0.125,
        other: list[str] | None = None,
        seed: int = 0,
    ) -> tuple[World, list[np.ndarray]]:
        """Run statements in a new world; return it, and by how much the weights changed.

        Args:
            other: Statements that are run before, with another input.
            seed: Of the input.
        """
        world = self.new()
        if other:
            world.run(other, x=data.x(9), y=data.y(), learning_rate=rate)
        world.run(lines, x=data.x(seed), y=data.y(), learning_rate=rate)
        after = self.values(world)
        if [np.shape(a) for a in after] != [a.shape for a in self.saved]:
            raise ValueError("the weights have other shapes afterwards")
        return world, [a - b for a, b in zip(after, self.saved, strict=True)]

    def note(self, stage: str, callee: Callee, error: BaseException) -> None:
        if isinstance(error, TookTooLong):
            self.stuck.add(callee.name)
        said = str(error).partition("\n")[0][:90]
        self.trouble.setdefault(stage, f"{callee.name}: {type(error).__name__}: {said}")


def _inputs(callee: Callee, text: str) -> dict[str, str]:
    """Return the parameter that gets x, whose name says nothing: others of the name get x too."""
    call = ast.parse(text, mode="eval").body
    given = call.args if isinstance(call, ast.Call) and not callee.packed else []
    pairs = zip(callee.parameters, given, strict=False)
    named = (p.name for p, a in pairs if isinstance(a, ast.Name) and a.id == "x")
    return {name: "x" for name in named if not roles.role(name)}


def _is_dangerous(callee: Callee) -> bool:
    # A score of labels tells how many are right; without labels it is an output.
    rates = re.search(r"(^|_)score$", callee.name, re.I) and callee.takes("y")
    return bool(rates or _DANGEROUS.search(callee.name))


def _attributes(value: Any) -> dict[str, Any]:
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        return {}
    return {name: inner for _, name, inner in inside(value)}


def _numbers_in(result: Any) -> dict[str, np.ndarray]:
    """Return the numbers of the nodes that a call gives, by expression."""
    given: Any = result
    nodes: list[Any] = given if isinstance(result, list) else [result]
    names = [n for n, v in _attributes(nodes[0]).items() if isinstance(v, float)] if nodes else []
    if any(type(node) is not type(nodes[0]) for node in nodes):
        return {}
    listed = "output" if nodes is result else "[output]"
    return {
        f"[node.{name} for node in {listed}]": np.array([getattr(v, name) for v in nodes])
        for name in names
    }


def _of_all(some: list[KeptNumbers], every: list[KeptNumbers]) -> bool:
    """Return whether an output depends on all weights, or on all but the last bias.

    What a softmax over the wrong axis gives does not depend on that.
    """

    def bias(leaf: KeptNumbers) -> bool:
        return min(np.shape(leaf.value), default=0) <= 1 or np.ndim(leaf.value) < 2

    paths = {leaf.path for leaf in some}
    missing = [leaf for leaf in every if leaf.path not in paths]
    return not missing or (len(missing) == 1 and bias(missing[0]) and any(map(bias, some)))


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    same_shape = one.shape == other.shape
    return same_shape and not np.allclose(one, other, rtol=1e-12, atol=1e-14)


def _best_output(texts: list[str], callee: Callee) -> str:
    """Return which of equally good expressions is the output: the last activation."""
    if len(texts) == 1:
        return texts[0]

    def name(text: str) -> str:
        index = re.fullmatch(r"output\[(\d+)\]", text)
        if index and int(index[1]) < len(callee.returned):
            return callee.returned[int(index[1])]
        return re.split(r'[."\[\]]+', text.rstrip('"]'))[-1]

    # What is returned as it is goes before what is kept in something else that is returned.
    texts = [t for t in texts if t.count("[") == min(text.count("[") for text in texts)]
    if len(texts) == 1:
        return texts[0]
    names = {name(t): t for t in texts}
    if len(names) == len(texts):
        return names[roles.best_output(list(names))]
    return next((text for text in texts if roles.role(name(text)) == "output"), texts[-1])
