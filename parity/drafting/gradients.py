"""The gradients of a network whose forward pass was found, by trying what may give them."""

import ast
import re
from typing import Any, cast

import numpy as np

from parity.drafting import loops, roles
from parity.drafting.attempts import Data, Way
from parity.drafting.callees import Available, Callee, arguments
from parity.drafting.following import BACKWARD, LOSS, Follower, differ, is_start
from parity.drafting.nodes import are_numbers
from parity.drafting.taping import Tape, own_backward, written_in_order
from parity.drafting.unpacking import unpacked
from parity.drafting.world import World, found


class Gradients:
    """Tries what may give the gradients.

    Args:
        follower: What there is, and what may be known.
    """

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.finder, self.forward = follower.finder, follower.forward
        self.shapes = [np.shape(leaf.value) for leaf in self.finder.weights]
        self.tape = Tape(self.finder, self.shapes)

    def find(self) -> Way | None:
        """Return a way to the gradients."""
        ranked = [
            c for c in self.finder.ranked(roles.BACKWARD, BACKWARD)
            if not is_start(c) and not roles.named([c.name], roles.WHOLE_TRAININGS)
        ]  # fmt: skip
        extra = [c for c in self.finder.callees if re.search(LOSS, c.name, re.I)]
        for callee in [*ranked[:14], *extra]:
            if callee.name == self.forward.uses and callee not in extra:
                continue
            guessed: Way | None = None
            for data in self.follower.data_kinds(callee):
                way = self._gradients(callee, data)
                if way is not None and self._is_random(way):
                    way = self._calmed(callee, data) or way
                if way is not None and not _guesses(way):
                    return way
                guessed = guessed or way  # another form of the labels may need no guess
            if guessed is not None:
                return guessed
        for data in self.follower.data_kinds():
            for callee, known in loops.backward(self.finder.world, self.forward.known):
                if (way := self.tried(callee, known, "None", data)) is not None:
                    return way
        return None

    def _is_random(self, way: Way) -> bool:
        """Whether gradients are others at each call, as with dropout."""
        world = self.finder.new()
        values: dict[str, Any] = {"x": way.data.x(), "y": way.data.y(), "learning_rate": 0.125}
        try:
            results = (world.run(way.known.lines, way.last, **values) for _ in range(2))
            one, two = ([leaf.array.copy() for leaf in found({"r": r})] for r in results)
        except BaseException:
            return False
        # What adds up is no matter of chance: it doubles.
        return any(
            a.shape != b.shape or not (np.allclose(a, b) or np.allclose(2 * a, b))
            for a, b in zip(one, two, strict=True)
        )

    def _calmed(self, callee: Callee, data: Data) -> Way | None:
        """Return the way with dropout off, by an argument that its text has a word for."""
        text = ast.unparse(callee.source.node) if callee.source else ""
        for p in callee.parameters:
            options = ["False"] * bool(re.fullmatch(r"(is_?)?train(ing)?(_?mode)?", p.name))
            if re.fullmatch(r"mode|phase", p.name):
                options += [repr(w) for w in ("test", "eval", "inference", "predict") if w in text]
            options += ["1.0"] * p.name.startswith("keep")
            options += ["0.0"] * bool(re.match(r"(p_?)?drop", p.name))
            for option in options:
                given = {p.name: option}
                before = self.finder.given, self.forward.known.names
                self.finder.given = self.finder.given | given
                self.forward.known.names = self.forward.known.names | given
                way = self._gradients(callee, data)
                if way is not None and not self._is_random(way):
                    return way
                self.finder.given, self.forward.known.names = before
        return None

    def _gradients(self, callee: Callee, data: Data) -> Way | None:
        guess: Way | None = None
        for known in self.follower.starts(callee, data):
            known = known.copy()
            known.roles["rate"] = []
            for text in arguments(callee, known):
                if not re.search(r"\by\b", " ".join([*known.lines, text])):
                    continue
                way = self.tried(callee, known, text, data)
                if way is not None and not _guesses(way):
                    return way
                guess = guess or way
        return guess

    def tried(self, callee: Callee, known: Available, text: str, data: Data) -> Way | None:
        """Return the way to the gradients by one call; None if it gives none."""
        try:
            world = self.finder.new()
            before = {leaf.path: leaf.array.copy() for leaf in world.leaves()}
            values: dict[str, Any] = {"x": data.x(), "y": data.y(), "learning_rate": 0.125}
            world.run(known.lines, **values)
            result = world.run([], text)
            if hasattr(result, "__next__"):
                result, text = list(result), f"list({text})"
            if result.__class__ is tuple and own_backward(result[0], [], world.alias):
                result, text = result[0], f"{text}[0]"  # return loss, scores
            if backward := own_backward(result, self.finder.callees, world.alias):
                return self.tape.differentiated(callee, known, text, backward, data)
            if any(
                not np.array_equal(a, b)
                for a, b in zip(self.finder.values(world), self.finder.saved, strict=True)
            ):
                return None
            mapped = self._mapped(callee, known, text, world, result, before, data)
        except BaseException as error:
            self.finder.note("gradients", callee, error)
            return None
        if mapped is None:
            return None
        done, last, remarks = mapped
        if not self._depends_on_x(done, last, data):
            return None  # such as what makes new weights, which have the same shapes
        if not self._depends_on_call(known, done, last, data):
            return None
        remarks += self.follower.slope_remark([*done.lines, last])
        return Way(done, last, callee.name, False, data, remarks)

    def _depends_on_x(self, done: Available, last: str, data: Data) -> bool:
        """Whether the gradients are others for another x."""
        given: list[list[np.ndarray]] = []
        for seed in (0, 9):
            world = self.finder.new()
            values: dict[str, Any] = {"x": data.x(seed), "y": data.y(), "learning_rate": 0.125}
            result = world.run(done.lines, last, **values)
            given.append([leaf.array.copy() for leaf in found({"r": result})])
        return any(map(differ, *given))

    def _depends_on_call(self, known: Available, done: Available, last: str, data: Data) -> bool:
        """Whether the gradients are those of this x, also after a forward pass of another."""
        start = self.forward.known.lines
        if data.many or (start and known.lines[: len(start)] == start):
            return True
        try:
            values: dict[str, Any] = {"x": data.x(), "y": data.y(), "learning_rate": 0.125}
            one = self.finder.new()
            first = [leaf.array for leaf in found({"r": one.run(done.lines, last, **values)})]
            two = self.finder.new()
            other: dict[str, Any] = values | {"x": data.x(9)}
            two.run(self.forward.known.lines, **other)
            second = [leaf.array for leaf in found({"r": two.run(done.lines, last, **values)})]
        except BaseException:
            return False
        return len(first) == len(second) and all(
            a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12)
            for a, b in zip(first, second, strict=True)
        )

    def _mapped(
        self, callee: Callee, known: Available, text: str, world: World, result: Any,
        before: dict[str, Any], data: Data,
    ) -> tuple[Available, str, list[str]] | None:  # fmt: skip
        """Return how the gradients are got, weight by weight, from what a call gives or leaves."""
        done = known.copy()
        inside_result = list(found({"output": result}))
        chosen = self._chosen(
            [(leaf.path, leaf.name, leaf.array) for leaf in inside_result], callee
        )
        if chosen is not None:
            return self._from_result(done, callee, text, result, *chosen)
        for leaf in inside_result:
            if leaf.array.shape == (sum(map(np.prod, self.shapes)),) and len(self.shapes) > 1:
                known = done.copy()
                known.lines.append(f"flat = {text}{leaf.path.removeprefix('output')}")
                return known, self._unpacked("flat") or self._apart("flat"), []
        own = {leaf.path for leaf in self.finder.weights}
        kept = [
            (leaf.path, leaf.name, leaf.array)
            for leaf in world.leaves()
            if leaf.path not in own and _is_gradient_name(leaf.name)
            and (leaf.path not in before or not np.array_equal(leaf.array, before[leaf.path]))
        ]  # fmt: skip
        chosen = self._chosen(kept, None)
        if chosen is None and any(are_numbers(path) for path in own):
            beside = self.tape.beside(before, world)
            chosen = None if beside is None else (beside, list[str]())
        if chosen is None:
            return None
        if text != "None":
            done.lines.append(text)
        last = written_in_order(chosen[0], world.roots())
        if self.finder.seen.zeroes and not any(map(are_numbers, own)):
            done.lines = self.tape.set_back(done.lines, last, chosen[0], world, data) or done.lines
        return done, last, chosen[1]

    def _unpacked(self, flat: str) -> str:
        """Return the call of the program's function that takes its weights out of one vector."""
        names = ", ".join(leaf.path for leaf in self.finder.weights)
        for line in self.finder.world.setup:
            found = re.fullmatch(rf"{names} = (\S+)\((\S+?)(, .+)?\)", line)
            if found and np.ndim(self.finder.new().run([], found[2])) == 1:
                return f"list({found[1]}({flat}{found[3] or ''}))"
        return ""

    def _apart(self, flat: str) -> str:
        """Return the expression that takes the gradients out of one vector."""
        parts: list[str] = []
        start = 0
        for shape in self.shapes:
            end = start + int(np.prod(shape))
            parts.append(f"{flat}[{start}:{end}].reshape({', '.join(map(str, shape))})")
            start = end
        return f"[{', '.join(parts)}]"

    def _from_result(
        self, done: Available, callee: Callee, text: str, result: Any, paths: list[str],
        remarks: list[str],
    ) -> tuple[Available, str, list[str]]:  # fmt: skip
        names, given = callee.returned, cast(object, result)
        whole = written_in_order(paths, {"output": result})
        if whole == "output" and not isinstance(given, dict):
            return done, text, remarks
        known = done.copy()
        if len(names) > 1 and all(re.match(r"output\[\d+\]", p) for p in paths):
            unpacked(known, callee, text, "output[0]")
            line = known.lines[-1].partition(" = ")[0].split(", ")
            paths = [re.sub(r"^output\[(\d+)\]", lambda m: line[int(m[1])], p) for p in paths]
            if paths == line:
                return done, text, remarks
            roots = {v: result[k] for k, v in enumerate(line)}
            return known, written_in_order(paths, roots), remarks
        known.lines.append(f"grads = {text}")
        texts = [re.sub(r"^output", "grads", p) for p in paths]
        return known, written_in_order(texts, {"grads": result}), remarks

    def _chosen(
        self, candidates: list[tuple[str, str, np.ndarray]], callee: Callee | None
    ) -> tuple[list[str], list[str]] | None:
        """Return the paths of the gradients in the order of the weights, and remarks."""
        names = callee.returned if callee else ()

        def named(path: str, name: str) -> str:
            index = re.fullmatch(r"output\[(\d+)\]", path)
            if index and int(index[1]) < len(names):
                return names[int(index[1])]
            return name

        left = [(path, named(path, name), array) for path, name, array in candidates]
        paths: list[str] = []
        unsure = False
        shapes = [array.shape for _, _, array in left]
        ordered = shapes == self.shapes or shapes[: len(self.shapes)] == self.shapes
        back = not ordered and shapes[::-1][: len(self.shapes)] == self.shapes
        for leaf, shape in zip(self.finder.weights, self.shapes, strict=True):
            fitting = [c for c in left if c[2].shape == shape]
            # A bias's of another shape is the bias's by its name; that it is wrong, the check says.
            others = fitting or (left if min(shape, default=1) == 1 or len(shape) == 1 else [])
            best = [c for c in others if roles.gradient_of(leaf.name, [c[1]])]
            # Beside the numbers of a parameter that is an object: weight.data and weight.grad.
            beside = leaf.path.rpartition(".")[0]
            best += [c for c in fitting if c[0] in (f"{beside}.grad", f"{beside}.gradient")]
            # In a dict with the weights' own keys, a gradient is called as the weight is.
            alike = [
                c
                for c in (others if callee else fitting)
                if c[1] and c[1] == leaf.name and c not in best
            ]
            if not fitting and not best and not alike:
                return None
            near = [c for c in fitting if _place(c[0]) == _place(leaf.path) and "[" in leaf.path]
            both = [c for c in best if c in near]
            if callee is None and not best and not alike:
                return None  # what a pass leaves is a gradient by its name only
            both = both or [c for c in alike if c in near]
            pick = (both or best or alike or near or [fitting[-1 if back else 0]])[0]
            unsure |= not (best or near or alike) and len(fitting) > 1 and not ordered
            paths.append(pick[0])
            left = [c for c in left if c[0] != pick[0]]
        remarks = ["that the gradients are in the order of the weights"] * unsure
        if callee is not None and (unknown := _beside(left, paths)):
            remarks.append(
                f"that {', '.join(unknown)} are no gradients: no weights are known for them, and "
                "they are not compared"
            )
        return paths, remarks


def _beside(left: list[tuple[str, str, np.ndarray]], chosen: list[str]) -> list[str]:
    """Return what a result has beside the gradients that are called as gradients are, too."""
    held = {path.rpartition("[")[0] for path in chosen}
    return [
        name or path
        for path, name, array in left
        if array.ndim and path.rpartition("[")[0] in held and re.match(_GRADIENT, name)
    ]


# dW1, grad_b, gW: what a gradient that is returned beside others is called.
_GRADIENT = r"(d|g|grad|grads|delta_?)_?[A-Z]\w*$|d?(grad|nabla)_\w+$|d[wb]\w?\d*$"


def _guesses(way: Way) -> bool:
    """Whether the loss's slope is one that the program does not have."""
    return any(remark.startswith("the loss: ") for remark in way.remarks)


def _is_gradient_name(name: str) -> bool:
    lower = name.lower()
    return not re.search(r"prev|moment|veloc|old|last|cache|^[mv]$|^[mv]_|_[mv]$", lower)


def _place(path: str) -> str:
    """Return where a leaf stands, but for its own name and the mark of a gradient in the way."""
    numbers = re.findall(r"\[(\d+)\]", path)
    return ",".join(numbers)
