"""A loss with its gradients, or its update, on samples like those of the program's own run.

So are networks drafted whose samples have other axes than features and a batch, or whose loss takes
more than outputs and labels. No name is needed: the loss is the function of the samples by which
the gradients are the derivative. The check compares them with its own measured derivative.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.attempts import Data, TriedForward, Way
from parity.drafting.callees import Available, Callee, arguments
from parity.drafting.finding import STARTS, Finder
from parity.drafting.following import BACKWARD, LOSS, Follower
from parity.drafting.gradients import Gradients
from parity.drafting.own_loss import agreeing, pushed
from parity.drafting.rehearsing import Span
from parity.drafting.steps import Steps
from parity.drafting.world import KeptNumbers, is_numbers, variables

_MOST_CALLS = 12
_MOST_LOSSES = 8
_BATCH = 8


@dataclass(frozen=True)
class RunSamples(Data):
    """Samples as the run had them.

    Attributes:
        draws: The expressions that draw x and y from ``rng``; y is x where the loss takes no more.
    """

    draws: tuple[str, str] = ("", "")

    def x(self, seed: int = 0) -> Any:
        """Return inputs."""
        return self._drawn(0, seed)

    def y(self) -> Any:
        """Return all else that the loss takes."""
        return self._drawn(1, 0)

    @property
    def asked(self) -> str:
        """What a call must mention that has to do with labels."""
        return "x" if self.draws[1] == "x" else "y"

    def _drawn(self, k: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        values: dict[str, object] = {"np": np, "rng": rng}
        values["x"] = eval(self.draws[0], values)
        return eval(self.draws[k], values)


@dataclass
class ByLoss:
    """A loss that was tried, and what follows from it.

    Attributes:
        loss: The way to the loss.
        data: What it was tried with.
        weights: The numbers on which it depends.
        gradients: The way to its gradients.
        step: The way to an update, where there are no gradients.
    """

    loss: Way
    data: RunSamples
    weights: list[KeptNumbers]
    gradients: Way | None = None
    step: Way | None = None
    remarks: list[str] = field(default_factory=list[str])


def by_loss(finder: Finder) -> ByLoss | None:
    """Return a loss with its gradients, or else with an update; None if none fit."""
    finder.flat, given = False, finder.own_given
    finder.given = given
    losses = list(itertools.islice(_losses(finder), _MOST_LOSSES))
    best, most = None, -1
    for found, names in losses:
        finder.given = given | names
        for part in _trained(finder, found):
            for way, fits in _gradients(finder, part):
                if fits > most:
                    best, most = replace(part, gradients=way), fits
                if fits == len(part.weights):
                    return best
            if most > 0:
                break
    if best is not None:
        _follower(finder, best)  # the finder looks at its weights again
        if not most:
            doubt = f"that {best.loss.uses} is the loss: no gradient is its slope"
            best.remarks.append(doubt)
        return best
    for found, names in losses:
        finder.given = given | names
        follower = _follower(finder, found)
        step = Steps(follower).find(whole=True)
        # What trains by its own plan, or leaves the loss as it was, is no update of one batch.
        if step is not None and pushed(follower, found.loss, step):
            return replace(found, step=step)
    return None


def _losses(finder: Finder) -> Iterator[tuple[ByLoss, dict[str, str]]]:
    """Yield losses on samples of the run, and what parameters of the samples' names are given."""
    given = finder.given
    ranked = finder.ranked(roles.LOSS, f"{LOSS}|{BACKWARD}")
    seen: set[str] = set()
    for callee in ranked:
        if STARTS.match(callee.name.strip("_")) or callee.takes("upstream", "grads"):
            continue
        handed = _handed(finder, callee)
        for before, output, inputs in _outputs(finder, handed):
            shapes = {**inputs, **handed}
            for data, names in _samples(finder, shapes):
                names |= {output: "output"} if output else {}
                names |= _states(finder, callee)
                finder.given = given | names
                known = _known(finder, before)
                for text in list(arguments(callee, known))[:_MOST_CALLS]:
                    if "None" in text or text in seen:
                        continue
                    found = _loss(finder, callee, known, text, data)
                    finder.given = given
                    if found is not None:
                        seen.add(text)
                        yield found, names
                        break
                finder.given = given


def _known(finder: Finder, before: list[str]) -> Available:
    known = finder.known()
    known.lines += before
    held = known.roles.get("parameters", [])
    known.roles |= {"x": ["x"], "y": ["y"], "any": held, "output": ["output"] * bool(before)}
    return known


def _handed(finder: Finder, callee: Callee) -> dict[str, Span]:
    """Return the samples that the run handed over, by parameter."""
    known = finder.known()
    spans = _spans(finder, callee)
    own = _states(finder, callee)

    def counts(name: str, span: Span) -> bool:
        role = roles.role(name)
        if span.shape or role in ("x", "y"):
            return role not in ("parameters", "cache")
        every = finder.seen.span(name)  # a number that changes from call to call
        return every.low < every.high and role not in ("rate", "once", "size", "off")

    return {
        name: span
        for name, span in spans.items()
        if name not in known.names and name not in own and counts(name, span)
        and any(p.name == name for p in callee.parameters)
    }  # fmt: skip


def _spans(finder: Finder, callee: Callee) -> dict[str, Span]:
    """Return what the run handed a function, or another one for the same parameters."""
    names = {p.name for p in callee.parameters}
    every = (call for calls in finder.seen.calls.values() for call in calls)
    others = (call for call in every if names and names <= call.spans.keys())
    calls = itertools.chain(finder.seen.of(callee.name), others)
    return next((c.spans for c in calls if c.spans), dict[str, Span]())


def _states(finder: Finder, callee: Callee) -> dict[str, str]:
    """Return the states that a function is handed: ``self.h_prev``, or zeros at the beginning."""
    spans = _spans(finder, callee)
    found: dict[str, str] = {}
    for name, span in spans.items():
        start = span.shape and not span.integer and span.low == span.high == 0
        if start and roles.role(name) not in ("x", "y", "output"):
            every = finder.seen.span(name)
            # One that is carried on is no longer zero, and a bug may show only then.
            ramp = f"np.linspace(-0.5, 0.5, {int(np.prod(span.shape))}).reshape({span.shape})"
            found[name] = ramp if every.low < every.high else f"np.zeros({span.shape})"
    for path, value in finder.objects():
        own = variables(value)
        found |= {n: f"{path}.{n}" for n in spans if isinstance(own.get(n), np.ndarray)}
    return found


def _outputs(
    finder: Finder, handed: dict[str, Span]
) -> Iterator[tuple[list[str], str, dict[str, Span]]]:
    """Yield nothing, or the statement of a forward pass for a loss that takes its output.

    The last of three is what the run handed the forward pass.
    """
    outputs = [name for name in handed if roles.role(name) in ("output", "")]
    yield [], "", {}
    if len(handed) > 2 or not outputs:
        return
    for callee in finder.ranked(roles.FORWARD, "forward|predict|feed|propag")[:6]:
        inputs = _handed(finder, callee)
        if len(inputs) == 1 and roles.named([callee.name], roles.FORWARD):
            (name,) = inputs
            for output in outputs:
                if output != name:
                    del handed[output]
                    yield [f"output = {callee.text}(x)"], output, inputs
                    return


def _samples(
    finder: Finder, handed: dict[str, Span]
) -> Iterator[tuple[RunSamples, dict[str, str]]]:
    """Yield samples like those of the run, and what each parameter is given of x and y.

    First a batch of few samples, where it is known which axis that is.
    """
    if not handed:
        return
    sizes = {n for leaf in finder.world.leaves() for n in np.shape(leaf.value)}
    first, *rest = handed
    batch = next((n for n in handed[first].shape if n not in sizes), 0)
    # Pictures and sequences have many numbers each, some of which would lie at a kink.
    few = _BATCH if len(handed[first].shape) < 3 else _BATCH // 2
    for most in dict.fromkeys((min(batch, few), batch)):

        def drawn(name: str, inputs: bool, most: int = most) -> str:
            shape = tuple(most if n == batch else n for n in handed[name].shape)
            return _drawn(finder.seen.span(name), shape, inputs)

        x, texts = drawn(first, True), {first: "x"}
        if not rest:
            yield RunSamples("rows", 1, 1, draws=(x, "x")), texts
        elif len(rest) == 1:
            texts[rest[0]] = "y"
            yield RunSamples("rows", 1, 1, draws=(x, drawn(rest[0], False))), texts
        elif len({handed[n].shape for n in rest}) == 1 and len(handed[rest[0]].shape) == 1:
            for k, name in enumerate(rest):
                whole = finder.seen.span(name).whole
                texts[name] = f"y[:, {k}].astype(int)" if whole else f"y[:, {k}]"
            y = f"np.column_stack([{', '.join(drawn(name, False) for name in rest)}])"
            yield RunSamples("rows", 1, 1, draws=(x, y)), texts


def _drawn(span: Span, shape: tuple[int, ...], inputs: bool) -> str:
    """Return the expression that draws an array, or a number, like one that was seen."""
    low, high = int(span.low), int(span.high)
    if not shape:
        if span.whole and (span.low, span.high) == (-1, 1):
            return "int(rng.choice([-1, 1]))"
        return f"int(rng.integers({low}, {high + 1}))" if span.whole else "float(rng.normal())"
    if not inputs and span.whole and len(shape) == 2 and (span.low, span.high) == (0, 1):
        return f"np.eye({shape[1]})[rng.integers(0, {shape[1]}, {shape[0]})]"
    if not inputs and span.whole and (span.low, span.high) == (-1, 1):
        return f"rng.choice([-1.0, 1.0], {shape})"
    if span.integer and span.distinct and shape[0] <= high + 1 - low:
        start = f"{low} + " * bool(low)
        return f"{start}rng.permutation({high + 1 - low})[:{shape[0]}]"
    if span.whole and (span.integer or not inputs):
        return f"rng.integers({low}, {high + 1}, {shape})"
    if span.low >= 0 and span.high <= 1 and (inputs or len(shape) > 1):
        return f"rng.uniform(0.05, 0.95, {shape})"
    # Wide enough that errors are met that a loss cuts off.
    scale = 1.0 if inputs else max(abs(span.low), abs(span.high), 3.0)
    return f"rng.normal(0, {scale:.1g}, {shape})"


def _loss(
    finder: Finder, callee: Callee, known: Available, text: str, data: RunSamples
) -> ByLoss | None:
    """Return the way to one number, where a call gives it, alone or before other things."""
    if not re.search(r"\bx\b", " ".join([*known.lines, text])):
        return None
    values: dict[str, Any] = {"x": data.x(), "y": data.y()}
    try:
        value: Any = finder.fresh().run(known.lines, text, **values)
        if value.__class__ is tuple and value:
            value, text = value[0], f"{text}[0]"
        if is_numbers(value) or np.size(value) != 1 or not np.isfinite(float(value)):
            return None
        outputs = {"output": np.array(float(value))}
        depend = finder.dependents(known, f"float({text})", values, outputs)
    except BaseException:
        return None
    # A state that is handed over with the samples is none of the weights.
    state = set(finder.given.values())
    weights = [leaf for leaf in depend["output"] if leaf.path not in state]
    if not weights:
        return None
    return ByLoss(Way(known, text, callee.name, False, data), data, weights)


def _trained(finder: Finder, found: ByLoss) -> Iterator[ByLoss]:
    """Yield a loss with all the numbers on which it depends, then with those that are updated.

    A fixed matrix, as that of a graph's neighbours, has no gradient.
    """
    yield found
    updated = [leaf for leaf in found.weights if leaf.name in finder.seen.updated]
    if 0 < len(updated) < len(found.weights):
        yield replace(found, weights=updated)


def _follower(finder: Finder, found: ByLoss) -> Follower:
    known = found.loss.known.copy()
    known.roles["slope"] = []
    given = {n: t for n, t in finder.given.items() if n not in finder.own_given}
    forward = TriedForward(known, "x", found.loss.uses, found.data, found.weights, given)
    return Follower(finder, forward)


def _gradients(finder: Finder, found: ByLoss) -> Iterator[tuple[Way, int]]:
    """Yield what may be the gradients of a loss, and how many are its slope."""
    follower = _follower(finder, found)
    trying = Gradients(follower)
    # What a loss or a forward pass leaves may be all that a backward pass needs.
    passed = found.loss.known.copy()
    passed.lines += [found.loss.last.removesuffix("[0]")]
    for callee in finder.ranked(roles.BACKWARD, f"{BACKWARD}|{LOSS}"):
        named = roles.named([callee.name], roles.BACKWARD) or re.search(
            f"{BACKWARD}|{LOSS}", callee.name, re.I
        )
        if STARTS.match(callee.name.strip("_")) or callee.takes("upstream", "grads", "rate"):
            continue
        for known in (found.loss.known, passed):
            for text in list(arguments(callee, known))[:_MOST_CALLS]:
                mentioned = " ".join([*known.lines, text])
                if "None" in text or not re.search(rf"\b{found.data.asked}\b", mentioned):
                    continue
                way = trying.tried(callee, known.copy(), text, found.data)
                if way is None:
                    continue
                fits = agreeing(follower, found.loss, way)
                if not fits and agreeing(follower, found.loss, way, -1.0) == len(found.weights):
                    continue  # the directions of descent, which are added: no gradients
                if fits or named:
                    yield way, fits
