"""Gradients, update and loss of a network whose forward pass was found, by trying again."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity.drafting import loops, roles
from parity.drafting.attempts import Data, Forward, Way
from parity.drafting.callees import Callee, Known, arguments
from parity.drafting.finding import STARTS, Finder, unpacked
from parity.drafting.keeping import variables_of
from parity.drafting.nodes import are_numbers
from parity.drafting.taping import Tape, own_backward, written_in_order
from parity.drafting.world import World, found, variables

BACKWARD = r"back|grad|delta|deriv"
LOSS = r"loss|cost|error|objective|cross_?entropy|mse|verlust"
_STEP = (
    r"step|update|train|learn|fit|optimi|descen|adjust|adapt|apply|sgd|momentum|nesterov|adam|"
    r"rms_?prop|adagrad"
)


class Follower:
    """Tries what may come after a forward pass.

    Args:
        finder: What there is.
        forward: The forward pass.
    """

    def __init__(self, finder: Finder, forward: Forward) -> None:
        self.finder = finder
        self.forward = forward
        self.data = forward.data
        finder.follow(forward)
        there = forward.known.roles.get("parameters", [])
        forward.known.roles["parameters"] = list(dict.fromkeys([*finder.whole, *there]))
        self.shapes = [np.shape(leaf.value) for leaf in finder.weights]

    def starts(self, callee: Callee, data: Data) -> Iterator[Known]:
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
            several = [replace(self.data, many=True)]
            if self.data.outputs == 1:
                several.append(replace(self.data, many=True, flat=True))
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

    # Gradients.

    def gradients(self) -> Way | None:
        """Return a way to the gradients."""
        ranked = [
            c for c in self.finder.ranked(roles.BACKWARD, BACKWARD)
            if not _is_start(c) and not roles.named([c.name], roles.WHOLE_TRAININGS)
        ]  # fmt: skip
        extra = [c for c in self.finder.callees if re.search(LOSS, c.name, re.I)]
        for callee in [*ranked[:14], *extra]:
            if callee.name == self.forward.uses and callee not in extra:
                continue
            guessed: Way | None = None
            for data in self.data_kinds(callee):
                way = self._gradients(callee, data)
                if way is not None and self._is_random(way):
                    way = self._calmed(callee, data) or way
                if way is not None and not _guesses(way):
                    return way
                guessed = guessed or way  # another form of the labels may need no guess
            if guessed is not None:
                return guessed
        for data in self.data_kinds():
            for callee, known in loops.backward(self.finder.world, self.forward.known):
                if (way := self.tried_gradients(callee, known, "None", data)) is not None:
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
        for known in self.starts(callee, data):
            known = known.copy()
            known.roles["rate"] = []
            for text in arguments(callee, known):
                if not re.search(r"\by\b", " ".join([*known.lines, text])):
                    continue
                way = self.tried_gradients(callee, known, text, data)
                if way is not None and not _guesses(way):
                    return way
                guess = guess or way
        return guess

    def tried_gradients(self, callee: Callee, known: Known, text: str, data: Data) -> Way | None:
        """Return the way to the gradients by one call; None if it gives none."""
        try:
            world = self.finder.new()
            before = {leaf.path: leaf.array.copy() for leaf in world.leaves()}
            values: dict[str, Any] = {"x": data.x(), "y": data.y(), "learning_rate": 0.125}
            world.run(known.lines, **values)
            result = world.run([], text)
            if hasattr(result, "__next__"):
                result, text = list(result), f"list({text})"
            tape = Tape(self.finder, self.shapes)
            if result.__class__ is tuple and own_backward(result[0], [], world.alias):
                result, text = result[0], f"{text}[0]"  # return loss, scores
            if backward := own_backward(result, self.finder.callees, world.alias):
                return tape.differentiated(callee, known, text, backward, data)
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
        remarks += self.slope_remark([*done.lines, last])
        return Way(done, last, callee.name, False, data, remarks)

    def _depends_on_x(self, done: Known, last: str, data: Data) -> bool:
        """Whether the gradients are others for another x."""
        given: list[list[np.ndarray]] = []
        for seed in (0, 9):
            world = self.finder.new()
            values: dict[str, Any] = {"x": data.x(seed), "y": data.y(), "learning_rate": 0.125}
            result = world.run(done.lines, last, **values)
            given.append([leaf.array.copy() for leaf in found({"r": result})])
        return any(map(_differ, *given))

    def _depends_on_call(self, known: Known, done: Known, last: str, data: Data) -> bool:
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
        self, callee: Callee, known: Known, text: str, world: World, result: Any,
        before: dict[str, Any], data: Data,
    ) -> tuple[Known, str, list[str]] | None:  # fmt: skip
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
            beside = Tape(self.finder, self.shapes).beside(before, world)
            chosen = None if beside is None else (beside, list[str]())
        if chosen is None:
            return None
        if text != "None":
            done.lines.append(text)
        last = written_in_order(chosen[0], world.roots())
        if self.finder.seen.zeroes and not any(map(are_numbers, own)):
            tape = Tape(self.finder, self.shapes)
            done.lines = tape.set_back(done.lines, last, chosen[0], world, data) or done.lines
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
        self, done: Known, callee: Callee, text: str, result: Any, paths: list[str],
        remarks: list[str],
    ) -> tuple[Known, str, list[str]]:  # fmt: skip
        names = callee.returned
        whole = written_in_order(paths, {"output": result})
        if whole == "output" and self._same_structure(result):
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

    def _same_structure(self, result: Any) -> bool:
        return not isinstance(result, dict)

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
            others = fitting or (left if min(shape) == 1 or len(shape) == 1 else [])
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
        return paths, ["that the gradients are in the order of the weights"] * unsure

    def slope_remark(self, lines: list[str]) -> list[str]:
        """Return the remark that a loss was guessed."""
        text = "\n".join(lines)
        guessed = f"{self.forward.output} - y" in text
        classes = re.findall(rf"{self.finder.world.alias}\.(\w+)\(\)", text)
        remarks = [f"that {name} is the loss" for name in classes[:1]]
        if guessed:
            remarks.append("the loss: this is the derivative of half the squared error, summed")
        return remarks

    # Update.

    def step(self, whole: bool) -> Way | None:
        """Return a way to an update: the best, or else one that changes some weights only.

        Args:
            whole: Whether what trains for long, by its own plan, is tried too.
        """
        partly: Way | None = None
        ranked = self.finder.ranked(roles.STEP, _STEP)
        for callee in sorted(ranked, key=lambda c: c.name not in self.finder.kept):
            if (callee.name == self.forward.uses and not callee.takes("y")) or _is_start(callee):
                continue
            if not whole and roles.named([callee.name], roles.WHOLE_TRAININGS):
                continue
            for data in self.data_kinds(callee):
                way, all_change = self._step(callee, data)
                if way is not None and all_change:
                    return way
                partly = partly or way
        if partly is not None:
            return partly
        for data in self.data_kinds():
            for known in self._loops():
                tried = self._tried_step(known[0], known[1], "", data)
                if tried is not None:
                    return tried[0]
        return None

    def _loops(self) -> Iterator[tuple[Callee, Known]]:
        for callee, after in loops.backward(self.finder.world, self.forward.known):
            yield callee, after
            yield from loops.updates(self.finder.world, after)

    def _step(self, callee: Callee, data: Data) -> tuple[Way | None, bool]:
        partly: Way | None = None
        for known in self._before_step(callee, data):
            more = known.copy()
            more.roles["any"] = [*more.roles["any"], "learning_rate"]
            if not callee.takes("rate"):
                more.names.setdefault("epsilon", "learning_rate")  # as a well-known post calls it
            kept = self.finder.kept.get(callee.name)
            if kept is not None:
                more.lines += kept.before
                # Here a t counts steps, and is no target.
                more.names |= {name: name for name in variables_of(kept.setup)}
            self._offer_rates(callee, more)
            for path, value in self.finder.objects():
                more.lines += _once(path, value, callee)
            for text in arguments(callee, more):
                if not re.search(r"\by\b", " ".join([*more.lines, text])):
                    continue
                tried = self._tried_step(callee, more, text, data)
                if tried is not None:
                    if tried[1]:
                        return tried
                    partly = partly or tried[0]
                    break
        return partly, False

    def _offer_rates(self, callee: Callee, known: Known) -> None:
        """Offer the learning rate for what got a broken number and has no usual name: tasa."""
        for p in callee.parameters:
            seen = self.finder.seen.settings().get(p.name, "")
            if p.required and "." in seen and not roles.number(p.name):
                known.names[p.name] = "learning_rate"

    def _before_step(self, callee: Callee, data: Data) -> Iterator[Known]:
        yield from self.starts(callee, data)
        for back in self.finder.ranked(roles.BACKWARD, BACKWARD)[: 0 if data.many else 4]:
            named = roles.named([back.name], roles.BACKWARD)
            if back.text == callee.text or not (named or re.search(BACKWARD, back.name, re.I)):
                continue
            for known in (self.forward.known, self.finder.known()):
                after = self._after(back, known, data)
                if after is not None:
                    yield after
                    break

    def _after(self, back: Callee, known: Known, data: Data) -> Known | None:
        """Return what is known after a backward pass."""
        for text in arguments(back, known):
            if not re.search(r"\by\b", " ".join([*known.lines, text])):
                continue
            try:
                world = self.finder.new()
                world.run(known.lines, x=data.x(), y=data.y(), learning_rate=0.125)
                result = world.run([], text)
            except BaseException:
                continue
            after = known.copy()
            if result is None:
                after.lines.append(text)
            elif len(back.returned) > 1 and len(set(back.returned)) == len(back.returned):
                unpacked(after, back, text, "output[0]")
            else:
                after.lines.append(f"grads = {text}")
                after.roles["grads"] = after.roles["upstream"] = ["grads"]
                after.roles["any"] = ["grads", *after.roles["any"]]
                for name in back.returned:
                    after.names.setdefault(name, "grads")
            return after
        return None

    def _tried_step(
        self, callee: Callee, known: Known, text: str, data: Data
    ) -> tuple[Way, bool] | None:
        for last in self._stored(callee, text):
            lines = [*known.lines, last]
            try:
                world, change = self.finder.change(lines, data)
            except BaseException as error:
                self.finder.note("step", callee, error)
                continue
            del world
            moved = [bool(np.abs(c).max(initial=0) > 0) and np.isfinite(c).all() for c in change]
            if not any(moved):
                continue
            start: list[str] | None = self.forward.known.lines
            if data.many or known.lines[: len(start)] == start:
                start = None
            try:
                again = self.finder.change(lines, data, other=start)[1]
                elsewhere = self.finder.change(lines, data, seed=9)[1]
            except BaseException:
                continue
            pairs = zip(change, again, strict=True)
            if not all(np.allclose(a, b, rtol=1e-6, atol=1e-12) for a, b in pairs):
                self._note_anew(callee)
                continue
            if not any(map(_differ, change, elsewhere)):
                continue  # it makes new weights
            way = self._with_rate(callee, known, last, data, change)
            if way is not None:
                return way, all(moved)
        return None

    def _note_anew(self, callee: Callee) -> None:
        self.finder.trouble["step"] = (
            f"{callee.name} gives another result each time: it may start from weights of its own"
        )

    def _stored(self, callee: Callee, text: str) -> Iterator[str]:
        """Yield the call, and the call with its result kept as the weights."""
        kept = self.finder.kept.get(callee.name)
        if kept is not None and kept.target:
            yield from (f"{kept.target.format(weights=w)} = {text}" for w in self.finder.whole)
            return
        yield text
        if not text or roles.named([callee.name], roles.BACKWARD):
            return
        if callee.source is not None and callee.source.returned.kind == "none":
            return
        paths = list(dict.fromkeys(re.split(r"[.\[]", w.path)[0] for w in self.finder.weights))
        if any(p == self.finder.world.alias for p in paths):
            paths = [w.path for w in self.finder.weights]
        if not all(paths):
            return  # numbers in nodes, which nothing can be assigned to as a whole
        yield f"{', '.join(paths)} = {text}"
        if len(paths) == 1:
            yield f"{paths[0]} = {text}[0]"

    def _with_rate(
        self, callee: Callee, known: Known, last: str, data: Data, change: list[np.ndarray]
    ) -> Way | None:
        """Return the way, with the learning rate where the code looks for it."""
        whole = bool(roles.named([callee.name], roles.WHOLE_TRAININGS))
        options: list[list[str]] = [[]]
        handed = "learning_rate" in "".join([*known.lines, last])
        if not handed:
            rates: dict[str, list[str]] = {}
            # Some rates are there once a step was made.
            for leaf in self.finder.change([*known.lines, last], data)[0].leaves():
                if isinstance(leaf.value, float) and roles.role(leaf.name) == "rate":
                    rates.setdefault(leaf.name, []).append(f"{leaf.path} = learning_rate")
            # Where each weight has an optimizer of its own, all have a rate; an alpha is one only
            # where nothing has a plainer name.
            options = sorted(rates.values(), key=lambda lines: "alpha" in lines[0])
            options += [[line] for lines in options for line in lines if len(lines) > 1]
        anew = False
        for lines in options:
            full = [*lines, *known.lines, last]
            try:
                one = self.finder.change(full, data, 0.125)[1]
                two = self.finder.change(full, data, 0.25)[1]
                none = self.finder.change(full, data, 0.0)[1]
            except BaseException:
                continue
            if any(np.abs(c).max(initial=0) > 0 for c in none) and self._starts_anew(full, data):
                anew = handed
                self.finder.trouble["step"] = (
                    f"{callee.name} starts from new weights each time, not from those there are"
                )
                continue
            pairs = [p for p in zip(one, two, strict=True) if np.abs(p[0]).max(initial=0) > 0]
            # A rate that is handed over counts in whatever way: to judge that is the check's.
            if pairs and (
                np.allclose(2 * pairs[-1][0], pairs[-1][1], rtol=0.05, atol=1e-9)
                or (handed and not np.allclose(*pairs[-1], rtol=1e-6, atol=1e-12))
            ):
                done = known.copy()
                done.lines = [*lines, *known.lines]
                return Way(
                    done, last, callee.name, whole, data, self.slope_remark([*done.lines, last])
                )
        if anew:
            return None
        remark = f"{callee.name} has no learning rate: its step is taken as that of 1"
        scaled = known.copy()
        guessed = self.slope_remark([*scaled.lines, last])
        return Way(scaled, last, callee.name, whole, data, [*guessed, remark])

    def _starts_anew(self, lines: list[str], data: Data) -> bool:
        """Whether a step without a rate leads to the same weights from all others.

        A decay that the rate does not scale changes them too, and each in its own way.
        """
        saved = self.finder.saved
        ends: list[list[np.ndarray]] = []
        try:
            for factor in (1.0, 1.5):
                self.finder.saved = [factor * array for array in saved]
                change = self.finder.change(lines, data, 0.0)[1]
                ends.append([a + c for a, c in zip(self.finder.saved, change, strict=True)])
        finally:
            self.finder.saved = saved
        pairs = zip(*ends, strict=True)
        return any(np.allclose(a, b) and np.abs(a).max(initial=0) > 0 for a, b in pairs)

    # Loss.

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
        return not any(map(_differ, *at_zero)) and any(map(_differ, *at_one))


def _guesses(way: Way) -> bool:
    """Whether the loss's slope is one that the program does not have."""
    return any(remark.startswith("the loss: ") for remark in way.remarks)


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape != other.shape or not np.allclose(one, other, rtol=1e-9, atol=1e-12)


def _is_start(callee: Callee) -> bool:
    """Whether it makes new weights."""
    return STARTS.match(callee.name.strip("_")) is not None


def _is_gradient_name(name: str) -> bool:
    lower = name.lower()
    return not re.search(r"prev|moment|veloc|old|last|cache|^[mv]$|^[mv]_|_[mv]$", lower)


def _place(path: str) -> str:
    """Return where a leaf stands, but for its own name and the mark of a gradient in the way."""
    numbers = re.findall(r"\[(\d+)\]", path)
    return ",".join(numbers)


def _once(path: str, value: Any, callee: Callee) -> list[str]:
    """Return what makes a training of many rounds one of one, on all samples."""
    if not roles.named([callee.name], roles.WHOLE_TRAININGS):
        return []
    lines: list[str] = []
    for name, inner in variables(value).items():
        role = roles.role(name)
        if isinstance(inner, bool):
            lines += [f"{path}.{name} = False"] * (role == "off")
        elif isinstance(inner, int) and role == "once":
            lines.append(f"{path}.{name} = 1")
        elif isinstance(inner, int) and role == "size":
            lines.append(f"{path}.{name} = len(x)")
    return lines
