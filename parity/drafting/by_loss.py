"""A loss and its gradients alone, on samples like those of the program's own run.

So are networks drafted whose loss takes more than outputs and labels: actions and advantages, or
the inputs alone. The check compares the gradients with the loss's own derivative.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.attempts import Data, Forward, Way
from parity.drafting.callees import Callee, Known, arguments
from parity.drafting.finding import STARTS, Finder
from parity.drafting.following import BACKWARD, LOSS, Follower
from parity.drafting.gradients import Gradients
from parity.drafting.own_loss import agreeing
from parity.drafting.rehearsing import Span
from parity.drafting.world import Leaf, is_numbers

_MOST_CALLS = 12
_BATCH = 8


@dataclass(frozen=True)
class Samples(Data):
    """Samples as the run had them.

    Attributes:
        draws: The expressions that draw x and y from ``rng``.
    """

    draws: tuple[str, str] = ("", "")

    def x(self, seed: int = 0) -> np.ndarray:
        """Return inputs."""
        return self._drawn(0, seed)

    def y(self) -> np.ndarray:
        """Return all else that the loss takes."""
        return self._drawn(1, 0)

    def _drawn(self, k: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        values: dict[str, object] = {"np": np, "rng": rng}
        values["x"] = eval(self.draws[0], values)
        return eval(self.draws[k], values)


@dataclass
class ByLoss:
    """A loss and gradients that were tried.

    Attributes:
        loss: The way to the loss.
        gradients: The way to its gradients.
        draws: The expressions of x and y.
    """

    loss: Way
    gradients: Way
    draws: tuple[str, str]
    remarks: list[str] = field(default_factory=list[str])


def by_loss(finder: Finder) -> ByLoss | None:
    """Return a loss and its gradients, as the run called them; None if none fit."""
    ranked = finder.ranked(roles.BACKWARD, BACKWARD)
    losses = [c for c in finder.callees if re.search(LOSS, c.name, re.I)]
    output = _output(finder)
    doubted: ByLoss | None = None
    for callee in {c.text: c for c in [*ranked, *losses]}.values():
        named = re.search(f"{BACKWARD}|{LOSS}", callee.name, re.I)
        handed = _handed(finder, callee) if named else {}
        if not handed or callee.takes("upstream", "grads", "cache"):
            continue
        for few in (True, False):  # a batch of few samples, where it is known which axis that is
            data, texts = _samples(finder, handed, few)
            known = finder.known()
            known.roles |= {"x": [], "y": [], "any": known.roles.get("parameters", [])}
            known.roles["output"] = output
            known.names |= texts
            for found in _pairs(finder, callee, losses, known, data, set(handed)):
                if not found.remarks:
                    return found
                doubted = doubted or found
    return doubted


def _output(finder: Finder) -> list[str]:
    """Return the expression of the output, where there is a forward pass in one call."""
    for forward in finder.forwards():
        lines = forward.known.lines
        if len(lines) == 1 and lines[0].startswith("output = ") and forward.output == "output":
            return [lines[0].removeprefix("output = ")]
    return []


def _handed(finder: Finder, callee: Callee) -> dict[str, Span]:
    """Return the arrays of samples that the run handed over, by parameter."""
    known = finder.known()
    nothing: dict[str, Span] = {}
    spans = next((c.spans for c in finder.seen.of(callee.name) if c.spans), nothing)
    return {
        name: span
        for name, span in spans.items()
        if name not in known.names and roles.role(name) not in ("parameters", "cache")
        and any(p.name == name for p in callee.parameters)
    }  # fmt: skip


def _samples(finder: Finder, handed: dict[str, Span], few: bool) -> tuple[Samples, dict[str, str]]:
    """Return samples like those of the run, and what each parameter is given of x and y."""
    sizes = {n for leaf in finder.world.leaves() for n in np.shape(leaf.value)}
    first, *rest = handed

    def shape(span: Span) -> tuple[int, ...]:
        return tuple(n if n in sizes or not few else min(n, _BATCH) for n in span.shape)

    texts = {first: "x"}
    x = _drawn(finder.seen.span(first), shape(handed[first]), True)
    if not rest:
        return Samples("rows", 1, 1, draws=(x, "x")), texts
    drawn = [_drawn(finder.seen.span(n), shape(handed[n]), False) for n in rest]
    if len(rest) == 1:
        texts[rest[0]] = "y"
        return Samples("rows", 1, 1, draws=(x, drawn[0])), texts
    for k, name in enumerate(rest):
        whole = finder.seen.span(name).whole
        texts[name] = f"y[:, {k}].astype(int)" if whole else f"y[:, {k}]"
    y = f"np.column_stack([{', '.join(drawn)}])"
    return Samples("rows", 1, 1, draws=(x, y)), texts


def _drawn(span: Span, shape: tuple[int, ...], inputs: bool) -> str:
    """Return the expression that draws an array like one that was seen."""
    if not inputs and span.whole and len(shape) == 2 and (span.low, span.high) == (0, 1):
        return f"np.eye({shape[1]})[rng.integers(0, {shape[1]}, {shape[0]})]"
    if not inputs and span.whole and (span.low, span.high) == (-1, 1):
        return f"rng.choice([-1.0, 1.0], {shape})"
    if span.whole and (span.integer or not inputs):
        return f"rng.integers({int(span.low)}, {int(span.high) + 1}, {shape})"
    if span.low >= 0 and span.high <= 1 and (inputs or len(shape) > 1):
        return f"rng.uniform(0.05, 0.95, {shape})"
    # Wide enough that errors are met that a loss cuts off.
    scale = 1.0 if inputs else max(abs(span.low), abs(span.high), 3.0)
    return f"rng.normal(0, {scale:.1g}, {shape})"


def _pairs(
    finder: Finder, callee: Callee, losses: list[Callee], known: Known, data: Samples,
    handed: set[str],
) -> Iterator[ByLoss]:  # fmt: skip
    """Yield the losses that are given the same samples as the gradients."""
    # A loss by another name is one only where some gradient is its slope.
    others = [c for c in finder.callees if c not in losses and not STARTS.match(c.name.strip("_"))]
    for text in list(arguments(callee, known))[:_MOST_CALLS]:
        if "None" in text or not re.search(r"\bx\b", text):
            continue
        for other in [callee, *(c for c in [*losses, *others] if c.name != callee.name)]:
            taken = {p.name for p in other.parameters}
            if other.takes("output") and known.roles["output"]:
                taken |= {name for name in handed if known.names[name] == "x"}
            if other is not callee and not handed <= taken:
                continue
            for value in [text] if other is callee else list(arguments(other, known))[:_MOST_CALLS]:
                if (way := _loss(finder, other, known, value, data)) is None:
                    continue
                weights = _weights(finder, known, way.last, data)
                if not weights:
                    continue
                forward = Forward(known.copy(), "x", other.name, data, weights)
                forward.known.roles["slope"] = []
                follower = Follower(finder, forward)
                found = Gradients(follower).tried(callee, known, text, data)
                if found is None:
                    continue
                fits = agreeing(follower, way, found) > 0
                alike = len(handed) > 2 and other.parameters == callee.parameters
                if not fits and other in others and not alike:
                    continue
                doubt = f"that {other.name} is the loss: no gradient is its slope"
                yield ByLoss(way, found, data.draws, [] if fits else [doubt])


def _loss(finder: Finder, callee: Callee, known: Known, text: str, data: Samples) -> Way | None:
    """Return the way to one number, where a call gives it, alone or before other things."""
    try:
        value: Any = finder.fresh().run(known.lines, text, x=data.x(), y=data.y())
        if value.__class__ is tuple and value:
            value, text = value[0], f"{text}[0]"
        if is_numbers(value) or np.size(value) != 1 or not np.isfinite(float(value)):
            return None
    except BaseException:
        return None
    return Way(known, text, callee.name, False, data)


def _weights(finder: Finder, known: Known, text: str, data: Samples) -> list[Leaf]:
    """Return the numbers on which a loss depends."""
    try:
        values: dict[str, Any] = {"x": data.x(), "y": data.y()}
        value = float(finder.fresh().run(known.lines, text, **values))
        outputs = {"output": np.array(value)}
        depend = finder.dependents(known, f"float({text})", values, outputs)
    except BaseException:
        return []
    return depend["output"]
