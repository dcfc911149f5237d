"""Putting a Candidate together from what was found in a module."""

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.attempts import TriedForward, Way
from parity.drafting.by_loss import ByLoss, by_loss
from parity.drafting.callees import Available
from parity.drafting.finding import Finder
from parity.drafting.following import Follower
from parity.drafting.gradients import Gradients
from parity.drafting.making import Maker
from parity.drafting.nodes import Nodes, nodes_of
from parity.drafting.own_loss import own_loss
from parity.drafting.rehearsing import Rehearsal
from parity.drafting.steps import Steps, claimed
from parity.drafting.subjects import Setup, optimizers, setups, with_states
from parity.drafting.survey import Survey, makes_anew
from parity.drafting.taping import written_in_order
from parity.drafting.units import by_unit
from parity.drafting.world import TookTooLong, World

_SECONDS = 20.0


@dataclass
class DraftPart:
    """One function of the adapter, written.

    Attributes:
        lines: Its statements.
        uses: The function of the user's that it is about.
        checks: What a person should look at in it.
    """

    lines: list[str]
    uses: str
    checks: list[str] = field(default_factory=list[str])


@dataclass
class Draft:
    """A Candidate in the making.

    Attributes:
        setup: What makes the network.
        weights: What ``get_weights`` returns.
        parts: Its functions, by the names of Candidate's arguments.
        updates: Whether an update was found, also where it is left out.
        labels: The labels' form, where it must not be found out: code that takes class numbers,
            and loops over outputs and labels that end silently where there is one label only.
        kernels: How many weights are matrices.
        samples: How samples lie, where it must not be found out.
        optimizer: What the update is by its name, where its numbers say otherwise.
        left: What may be an update by its name, where no update is handed over.
    """

    setup: Setup
    weights: str
    parts: dict[str, DraftPart]
    updates: bool = False
    labels: str = ""
    kernels: int = 2
    samples: str = ""
    optimizer: str = ""
    left: list[str] = field(default_factory=list[str])

    @property
    def checks(self) -> list[str]:
        """What a person should look at, each once."""
        own = [check for part in self.parts.values() for check in part.checks]
        return list(dict.fromkeys([*self.setup.remarks, *own]))


class Drafting:
    """The search for a draft.

    Args:
        survey: What stands in the module.
        alias: What the adapter calls it.
        load: Returns the module, made anew.
        seen: What was seen of the program's own run.

    Attributes:
        why_not: What the search came to where it found nothing, in a line.
    """

    def __init__(
        self, survey: Survey, alias: str, load: Callable[[], ModuleType], seen: Rehearsal
    ) -> None:
        self.maker = Maker(survey, alias, seen)
        self.load = load
        self.why_not = ""
        self._progress = 0
        self._end = math.inf
        self._stuck: set[str] = set()

    def best(self) -> Draft | None:
        """Return the draft with the fewest guesses; None if there is none."""
        found: list[Draft] = []
        end = time.monotonic() + _SECONDS
        self._end = end + _SECONDS / 4
        for group in setups(self.load(), self.maker):
            for setup in group:
                if time.monotonic() > end:
                    break
                draft = self._with_state(setup) or self._draft(setup)
                if draft is not None:
                    found.append(self._with_optimizer(draft))
                    break
            if found and not found[-1].checks and found[-1].kernels > 1:
                break
        if not found and self._progress < 3:
            self.why_not = makes_anew(self.maker.survey) or self.why_not
        # A loss of the program's own is better than one that was guessed.
        if not any(_is_sure(draft) for draft in found) and (own := self._by_loss()) is not None:
            found = [own, *found] if not found or not own.checks else found
        # A layer alone is less than a network of them.
        best = min(
            found,
            key=lambda d: (not _is_sure(d), d.kernels < 2, _doubts(d), len(d.checks)),
            default=None,
        )
        if best is not None and "step" not in best.parts:
            best.left = list(_updates(self.maker.survey))
        return best

    def _with_state(self, setup: Setup) -> Draft | None:
        """Return the draft with an update that keeps a state, if there is one."""
        for more in with_states(setup, self.maker):
            draft = self._draft(more)
            step = draft.parts.get("step") if draft is not None else None
            if step is not None and step.uses in more.kept:
                return draft
        return None

    def _by_loss(self) -> Draft | None:
        """Return a draft of a loss and its gradients alone, if there is one."""
        for group in setups(self.load(), self.maker):
            for setup in group[:2]:
                try:
                    fresh = partial(World, self.load, self.maker.alias, setup.lines, end=self._end)
                    finder = Finder(fresh, self._stuck, setup.given, self.maker.seen)
                    found = by_loss(finder)
                except BaseException:  # whatever the user's code raises
                    continue
                if found is not None:
                    return _of_loss(setup, finder, found)
        return None

    def _with_optimizer(self, draft: Draft) -> Draft:
        """Return the draft with an update by one of the module's optimizers, if there is one."""
        if draft.updates:
            return draft
        for line in optimizers(self.load(), self.maker, draft.setup, draft.weights):
            old = draft.setup
            more = self._draft(replace(old, lines=[*old.lines, line]))
            if more is not None and "step" in more.parts:
                return more
        return draft

    def _draft(self, setup: Setup) -> Draft | None:
        def fresh() -> World:
            return World(self.load, self.maker.alias, setup.lines, end=self._end)

        try:
            finder = Finder(fresh, self._stuck, setup.given, self.maker.seen, setup.kept)
        except BaseException as error:
            made = setup.lines[0].partition(" = ")[2] if setup.lines else "the module"
            said = str(error).partition("\n")[0][:90]
            self._told(1, f"{made} raised {type(error).__name__}: {said}")
            return None
        best: Draft | None = None
        for forward in finder.forwards():
            try:
                draft = _complete(setup, finder, forward)
            except (Exception, TookTooLong) as error:  # whatever the user's code raises
                finder.trouble["gradients"] = f"{type(error).__name__}: {str(error)[:90]}"
                draft = None
            if draft is not None:
                best = max(best, draft, key=_worth)
                if _worth(best) >= 3:
                    return best
                continue
            if best is not None:
                continue
            tried = "; ".join(
                finder.trouble[k] for k in ("gradients", "step") if k in finder.trouble
            )
            self._told(
                3,
                f"forward is {forward.uses}, but nothing that gives gradients or changes the "
                "weights could be called" + f" ({tried})" * bool(tried),
            )
        if best is None and "forward" in finder.trouble:
            self._told(2, f"no output could be had from x ({finder.trouble['forward']})")
        return best

    def _told(self, progress: int, reason: str) -> None:
        if progress > self._progress:
            self._progress, self.why_not = progress, reason


def _is_sure(draft: Draft) -> bool:
    """Whether a draft needs no guess about the slope of the loss."""
    return not any(c.startswith("the loss: ") for c in draft.checks)


def _updates(survey: Survey) -> Iterator[str]:
    """Yield what may be an update by its name."""
    for name, found in survey.classes.items():
        steps = roles.named(found.methods, roles.UPDATE)
        yield from (f"{name}.{method}" for method in steps[:1])
    yield from roles.named(survey.functions, roles.UPDATE)


def _worth(draft: Draft | None) -> int:
    """Return how much of a network can be asked: gradients are worth more than an update."""
    return 0 if draft is None else 2 * ("gradients" in draft.parts) + draft.updates


def _doubts(draft: Draft) -> int:
    """Whether a draft needs a guess about the network's making or about its gradients."""
    return sum("nothing tells" in c or "in the order" in c for c in draft.checks)


def _complete(setup: Setup, finder: Finder, forward: TriedForward) -> Draft | None:
    follower = Follower(finder, forward)
    gradients = Gradients(follower).find()
    # What trains for long would only raise doubts where there are gradients.
    step = Steps(follower).find(whole=gradients is None)
    updates = step is not None
    if gradients is not None and step is not None and (step.remarks or step.whole):
        step = None  # with gradients at hand it would only raise doubts
    loss_lines = gradients.loss if gradients is not None else []
    if step is not None and gradients is not None and gradients.cleared and not finder.seen.zeroes:
        gradients = None  # the program never sets its own back, and the step shows that
    many = any(way is not None and way.data.many for way in (gradients, step))
    if step is not None and step.data.many:
        gradients = gradients if gradients is None or gradients.data.many else None
    elif many:
        step = None  # it takes one sample a call, the gradients take many
    last = step or gradients
    if last is None:
        return None
    (first, *others) = finder.saved
    if not others and first.ndim == 1 and first.size > 2 * forward.data.inputs + 2:
        return None  # all weights in one vector, whose layers nobody knows
    weights = _weights(finder, forward, last)
    parts = {"forward": _forward(forward)}
    if gradients is None and (own := by_unit(weights, finder.new())) is not None:
        weights = own[0]
        parts = {"set_weights": DraftPart(own[1], ""), **parts}
    elif any(isinstance(w.value, Nodes) for w in finder.weights):
        parts = {"set_weights": DraftPart(_set_nodes(finder), ""), **parts}
    elif weights.startswith("[") and all(isinstance(w.value, list) for w in finder.weights):
        weights = f"[{', '.join(w.path for w in finder.weights)}]"
        lines = ["for place, new in zip(get_weights(), values):"]
        lines.append("    place[:] = np.asarray(new).tolist()")
        parts = {"set_weights": DraftPart(lines, ""), **parts}
    if gradients is not None:
        lines = finished(gradients.known, f"return {gradients.last}")
        parts["gradients"] = DraftPart(lines, gradients.uses, gradients.remarks)
    if step is not None:
        parts["step"] = _step(setup, finder, step, weights)
    if loss_lines:
        parts["loss"] = DraftPart(loss_lines, "")
    if many:
        parts["forward"].lines = _each_sample(parts["forward"].lines, forward.data.layout)
    loss = None if "loss" in parts else own_loss(follower, last.data, gradients, step)
    if loss is not None:
        lines = finished(loss.known, f"return {loss.last}")
        parts["loss"] = DraftPart(lines, loss.uses, loss.remarks)
    if forward.data.layout == "row":
        for name, part in parts.items():
            both = name != "forward"
            rows = "x, y = x.reshape(1, -1), y.reshape(1, -1)" if both else "x = x.reshape(1, -1)"
            part.lines.insert(part.lines[0].startswith("nonlocal"), rows)
        lines = parts["forward"].lines
        lines[-1] = f"return np.ravel({lines[-1].removeprefix('return ')})"
    if forward.data.bare and not many:
        lines = parts["forward"].lines
        lines[-1] = f"return np.ravel({lines[-1].removeprefix('return ')})"
        _before(parts, "y = float(np.ravel(y)[0])")
    if last.data.flat:
        _before(parts, "y = np.ravel(y)")
    if last.data.first:
        _before(
            parts, f"y = np.asarray(y) + {last.data.first}  # classes count from {last.data.first}"
        )
    if follower.signed(last):
        for part in _before(parts, "y = 2 * y - 1"):
            part.checks.append("that labels are -1 and 1, as of a hinge loss")
    single = forward.data.layout == "column" and not many
    if single:
        parts["forward"].lines.insert(0, "x = np.reshape(x, (-1, 1))")
        _before(parts, "x, y = np.reshape(x, (-1, 1)), np.reshape(y, (-1, 1))")
    for name, way in (("gradients", gradients), ("step", step)):
        if way is not None and name in parts:
            parts[name].checks += follower.class_doubt(way)
    classes = any(way is not None and way.data.classes for way in (gradients, step))
    looped = forward.data.layout not in ("rows", "columns", "crosswise")
    hot = "one-hot" if looped and forward.data.outputs > 1 else ""
    labels = "integer" if classes else hot
    kernels = sum(np.ndim(array) > 1 for array in finder.saved)
    samples = "rows" if many else "single" if single or forward.data.bare else ""
    optimizer = claimed(finder, step) if step is not None else ""
    return Draft(setup, weights, parts, updates, labels, kernels, samples, optimizer)


def _of_loss(setup: Setup, finder: Finder, found: ByLoss) -> Draft:
    loss, draws = found.loss, found.data.draws
    parts = {
        "loss": DraftPart(finished(loss.known, f"return {loss.last}"), loss.uses, found.remarks),
        "data": DraftPart([f"x = {draws[0]}", f"return x, {draws[1]}"], ""),
    }
    if (way := found.gradients) is not None:
        lines = finished(way.known, f"return {way.last}")
        parts = {"gradients": DraftPart(lines, way.uses, way.remarks), **parts}
    paths = [leaf.path for leaf in finder.weights]
    text = written_in_order(paths, finder.new().roots())
    weights = f"[{text}]" if text == paths[0] else text
    if (way := found.step) is not None:
        parts = {"step": _step(setup, finder, way, weights), **parts}
    return Draft(setup, weights, parts)


def _before(parts: dict[str, DraftPart], line: str) -> list[DraftPart]:
    """Write a statement before what takes labels; return the functions that do."""
    labelled = [parts[name] for name in ("gradients", "step", "loss") if name in parts]
    for part in labelled:
        part.lines.insert(part.lines[0].startswith("nonlocal"), line)
    return labelled


def _set_nodes(finder: Finder) -> list[str]:
    """Return the statements that write values into the objects that hold them."""
    lists = [nodes_of(weight.path) for weight in finder.weights]
    attribute = finder.weights[0].name
    return [
        f"tensors = [{', '.join(lists)}]",
        "for nodes, new in zip(tensors, values):",
        "    for node, value in zip(np.ravel(nodes), np.ravel(new)):",
        f"        node.{attribute} = float(value)",
    ]


def _weights(finder: Finder, forward: TriedForward, last: Way) -> str:
    """Return the expression of the weights, beside what the passes leave where they lie."""
    used = finder.new()
    values: dict[str, Any] = {"x": forward.data.x(), "y": last.data.y(), "learning_rate": 0.125}
    used.run(forward.known.lines, **values)
    values["x"] = last.data.x()
    used.run([*last.known.lines, last.last], **values)
    paths = [leaf.path for leaf in finder.weights]
    text = written_in_order(paths, used.roots())
    return f"[{text}]" if text == paths[0] else text


def _each_sample(lines: list[str], layout: str) -> list[str]:
    """Return the statements that call a forward pass of one sample for each row."""
    inner = [f"    {line}" for text in lines for line in text.split("\n")]
    given = "sample[:, None]" if layout == "column" else "sample"
    return ["def of(x):", *inner, "", f"return np.array([np.ravel(of({given})) for sample in x])"]


def _forward(forward: TriedForward) -> DraftPart:
    lines = list(forward.known.lines)
    last = f"return {forward.output}"
    if any(line.startswith("for ") for line in lines):
        return DraftPart([*lines, last], forward.uses)
    if lines[-1].startswith("output = "):  # reads better in one line
        last = last.replace("output", lines.pop().removeprefix("output = "), 1)
    known = Available(lines)
    return DraftPart(finished(known, last), forward.uses)


def _step(setup: Setup, finder: Finder, step: Way, weights: str) -> DraftPart:
    lines = finished(step.known, step.last)
    if not step.last:  # a loop that says it all
        lines = [*step.known.lines]
    target, equals, _ = step.last.partition(" = ")
    own = [v for v in target.split(", ") if v.isidentifier()] if equals else []
    counting = setup.kept[step.uses].before if step.uses in setup.kept else []
    own += [line.partition(" = ")[0] for line in counting]
    if own:
        lines.insert(0, f"nonlocal {', '.join(own)}")
    if step.remarks and any("no learning rate" in r for r in step.remarks):
        scaled = [
            "before = [array.copy() for array in get_weights()]",
            *lines,
            "for array, old in zip(get_weights(), before):",
            "    array[...] = old + learning_rate * (array - old)",
        ]
        world = finder.new()
        plain = all(isinstance(a, np.ndarray) for a in world.run([], weights))
        lines = scaled if plain and isinstance(world.run([], weights), list) else lines
    return DraftPart(lines, step.uses, step.remarks)


def finished(known: Available, last: str) -> list[str]:
    """Return the statements, the last one added, without names for what nothing uses."""
    if any(line.startswith("for ") for line in known.lines):  # whose lines belong together
        return [*known.lines, last]
    kept = [last]
    for line in reversed(known.lines):
        target, equals, value = line.partition(" = ")
        variables = re.fullmatch(r"\w+(, \w+)*", target) if equals else None
        rest = "\n".join(kept)
        if not variables or any(re.search(rf"\b{n}\b", rest) for n in target.split(", ")):
            kept.insert(0, line)
        else:
            kept.insert(0, value)
    return kept
