"""The update of a network whose forward pass was found, by trying what may make it."""

import re
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import numpy as np

from parity.drafting import loops, roles
from parity.drafting.attempts import Data, Way
from parity.drafting.callees import Available, Callee, arguments
from parity.drafting.finding import Finder
from parity.drafting.following import BACKWARD, Follower, differ, is_start
from parity.drafting.keeping import variables_of
from parity.drafting.nodes import Nodes
from parity.drafting.unpacking import unpacked
from parity.drafting.world import put, variables

_STEP = (
    r"step|update|train|learn|fit|optimi|descen|adjust|adapt|apply|sgd|momentum|nesterov|adam|"
    r"rms_?prop|adagrad"
)


class Steps:
    """Tries what may update the weights.

    Args:
        follower: What there is, and what may be known.
    """

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.finder, self.forward = follower.finder, follower.forward

    def find(self, whole: bool) -> Way | None:
        """Return a way to an update: the best, or else one that changes some weights only.

        Args:
            whole: Whether what trains for long, by its own plan, is tried too.
        """
        partly: Way | None = None
        ranked = self.finder.ranked(roles.STEP, _STEP)
        for callee in sorted(ranked, key=lambda c: c.name not in self.finder.kept):
            if (callee.name == self.forward.uses and not callee.takes("y")) or is_start(callee):
                continue
            if not whole and roles.named([callee.name], roles.WHOLE_TRAININGS):
                continue
            for data in self.follower.data_kinds(callee):
                way, all_change = self._by(callee, data)
                if way is not None and all_change:
                    return way
                partly = partly or way
        if partly is not None:
            return partly
        for data in self.follower.data_kinds():
            for known in self._loops():
                tried = self._tried(known[0], known[1], "", data)
                if tried is not None:
                    return tried[0]
        return None

    def _loops(self) -> Iterator[tuple[Callee, Available]]:
        for callee, after in loops.backward(self.finder.world, self.forward.known):
            yield callee, after
            yield from loops.updates(self.finder.world, after)

    def _by(self, callee: Callee, data: Data) -> tuple[Way | None, bool]:
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
                if not re.search(rf"\b{data.asked}\b", " ".join([*more.lines, text])):
                    continue
                tried = self._tried(callee, more, text, data)
                if tried is not None:
                    if tried[1]:
                        return tried
                    partly = partly or tried[0]
                    break
        return partly, False

    def _offer_rates(self, callee: Callee, known: Available) -> None:
        """Offer the learning rate for what got a broken number and has no usual name: tasa."""
        for p in callee.parameters:
            seen = self.finder.seen.settings().get(p.name, "")
            if p.required and "." in seen and not roles.number(p.name):
                known.names[p.name] = "learning_rate"

    def _before_step(self, callee: Callee, data: Data) -> Iterator[Available]:
        yield from self.follower.starts(callee, data)
        for back in self.finder.ranked(roles.BACKWARD, BACKWARD)[: 0 if data.many else 4]:
            named = roles.named([back.name], roles.BACKWARD)
            if back.text == callee.text or not (named or re.search(BACKWARD, back.name, re.I)):
                continue
            for known in (self.forward.known, self.finder.known()):
                after = self._after(back, known, data)
                if after is not None:
                    yield after
                    break

    def _after(self, back: Callee, known: Available, data: Data) -> Available | None:
        """Return what is known after a backward pass."""
        for text in arguments(back, known):
            if not re.search(rf"\b{data.asked}\b", " ".join([*known.lines, text])):
                continue
            try:
                world = self.finder.new()
                world.run(known.lines, x=data.x(), y=data.y(), learning_rate=0.125)
                result = world.run([], text)
                if any(map(differ, self.finder.values(world), self.finder.saved)):
                    continue  # it is an update itself, such as an adagrad_step
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

    def _tried(
        self, callee: Callee, known: Available, text: str, data: Data
    ) -> tuple[Way, bool] | None:
        for last in self._stored(callee, text):
            lines = [*known.lines, last]
            try:
                change = self.finder.change(lines, data)[1]
            except BaseException as error:
                self.finder.note("step", callee, error)
                continue
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
            if not any(map(differ, change, elsewhere)):
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
        self, callee: Callee, known: Available, last: str, data: Data, change: list[np.ndarray]
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
                remarks = self.follower.slope_remark([*done.lines, last])
                return Way(done, last, callee.name, whole, data, remarks)
        if anew:
            return None
        remark = f"{callee.name} has no learning rate: its step is taken as that of 1"
        scaled = known.copy()
        guessed = self.follower.slope_remark([*scaled.lines, last])
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
        # Biases of zero are none the less for being scaled.
        pairs = (p for p, w in zip(zip(*ends, strict=True), saved, strict=True) if np.any(w))
        return any(np.allclose(a, b) and np.abs(a).max(initial=0) > 0 for a, b in pairs)


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


# What an update is by its name, where its numbers say otherwise: momentum without a velocity.
# The check finds out which optimizer a step is, and a velocity that is lost leaves plain descent,
# which is one too. The name of what runs tells what was meant.


def claimed(finder: Finder, step: Way) -> str:
    """Return the optimizer to be declared for an update; "" where its numbers need none.

    Two steps from the same weights, on the same samples, tell plain descent (the same twice) and
    classical momentum (1 + momentum times the first) from all else.
    """
    names, momenta = set[str](), set[float]()

    def see(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code.co_filename == file:
            names.add(frame.f_code.co_name.lower())
            if "momentum" in frame.f_code.co_name.lower() or "nesterov" in frame.f_code.co_name:
                momenta.update(_momenta(frame))

    world = finder.new()
    file = getattr(world.names[world.alias], "__file__", "")
    values: dict[str, Any] = {"x": step.data.x(), "y": step.data.y(), "learning_rate": 0.125}
    lines = [*step.known.lines, step.last]
    try:
        if not _keeps_all(finder, step):
            return ""
        sys.setprofile(see)
        try:
            world.run(lines, **values)
        finally:
            sys.setprofile(None)
        if not any("momentum" in name or "nesterov" in name for name in names):
            return ""
        if len(momenta) != 1:
            return ""
        one = [a - b for a, b in zip(finder.values(world), finder.saved, strict=True)]
        for leaf, array in zip(finder.weights, finder.saved, strict=True):
            if isinstance(leaf.value, Nodes):
                return ""
            put(world.run([], leaf.path), array)
        world.run(lines, **values)
        two = [a - b for a, b in zip(finder.values(world), finder.saved, strict=True)]
    except BaseException:
        return ""
    (momentum,) = momenta

    def are(factor: float) -> bool:
        pairs = zip(one, two, strict=True)
        return all(np.allclose(b, factor * a, rtol=1e-7, atol=1e-12) for a, b in pairs)

    nesterov = any("nesterov" in name for name in names)
    if are(1.0) or (nesterov and are(1.0 + momentum)):
        return f"torch.SGD(momentum={momentum:g}{', nesterov=True' * nesterov})"
    return ""


def _keeps_all(finder: Finder, step: Way) -> bool:
    """Whether nothing that the update gives is dropped, as a velocity would be."""
    kept = finder.kept.get(step.uses)
    if " = " in step.last:
        return kept is not None and "_" not in kept.target.split(", ")
    world = finder.new()
    values: dict[str, Any] = {"x": step.data.x(), "y": step.data.y(), "learning_rate": 0.125}
    world.run(step.known.lines, **values)
    return np.size(world.run([], step.last)) <= 1 if step.last else False


def _momenta(frame: FrameType) -> set[float]:
    """Return the numbers that the variables of an update which are called momentum hold."""
    inner_codes = [c for c in frame.f_code.co_consts if isinstance(c, CodeType)]
    names = {n for code in [frame.f_code, *inner_codes] for n in code.co_names}
    there: dict[str, Any] = {n: frame.f_globals[n] for n in names if n in frame.f_globals}
    there |= frame.f_locals
    for value in list(there.values()):
        inner: Any = value if value.__class__ is dict else variables(value)
        there |= {str(n): v for n, v in inner.items() if str(n) not in there}
    return {
        float(value)
        for name, value in there.items()
        if isinstance(value, float) and 0 < value < 1 and roles.number(name) == "0.9"
    }
