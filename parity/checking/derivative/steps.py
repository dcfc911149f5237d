"""Steps of a network of any layers, beside an optimizer that is given the user's own gradients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numpy_impl import activations
from numpy_impl.types import Array
from parity.checking.asking.gradients import COURSE_RATE, Direct, Step, Taken
from parity.checking.asking.held import OF_STEPS, Held
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.table import STEP_EXCEPTION, Severity
from parity.checking.derivative.samples import Samples, spread
from parity.checking.explain.steps.course import course, of_source
from parity.checking.explain.steps.identified import Identified
from parity.checking.explain.steps.mending import with_its_line
from parity.checking.explain.steps.optimizer import (
    identify_own,
    idle_tensors,
    of_most,
    of_own,
    of_own_at_changing_rates,
    of_own_decayed,
)
from parity.checking.explain.steps.stepping import Stepping, classify
from parity.checking.explain.steps.update import Updates, declared_optimizer_of, unchecked
from parity.checking.model.layout import Key, Layout
from parity.checking.model.network import Plan
from parity.checking.model.probe import Form, Probe
from parity.checking.repairing.telling import mended

# After those that tell what kind of update it is, so many steps are taken one after the other.
_MORE = 6
_CARRIES = (
    "a step (after it your gradients are others at the same weights: it carries more on than "
    "these, such as a recurrent layer's state)"
)
_FLOAT32 = (
    "Precision: the steps are right to float32's rounding only, though the weights are float64. "
    "The optimizer's state is in float32, or a part of the update is."
)


@dataclass(frozen=True)
class _AsGiven(Form):
    """Samples as the user has them, of any kind."""

    def x(self, x: Any) -> Any:
        return x

    def y(self, y: Any) -> Any:
        return y


@dataclass(frozen=True)
class _StepArrays(Layout):
    """Arrays as they lie: it is not known which layer is whose, so each is one of its own."""

    @property
    def keys(self) -> list[Key]:
        """One for each array; what has two axes or more is a kernel."""
        shapes = enumerate(self.shapes)
        return [Key(n, "kernel" if len(shape) > 1 else "bias") for n, shape in shapes]

    def place(self, key: Key) -> int:
        """Return which of the user's arrays holds a tensor."""
        return key.layer

    def _upright(self, array: Array, key: Key) -> Array:
        return array


def check_steps(
    subject: Subject, samples: Samples, start: Sequence[Array], seed: int, search: bool = False
) -> Notes:
    """Return what the step is, and whether it is the declared optimizer's.

    The gradients that the optimizer is given are the user's own, right or wrong.

    Args:
        subject: The user's code, which has both gradients and a step.
        samples: Where samples come from.
        start: The user's weights, near which others are drawn.
        seed: Of weights and samples.
        search: Whether to search for the line that is wrong: the gradients are right.

    Raises:
        ValueError: What is declared is no optimizer.
    """
    stated = declared_optimizer_of(subject.candidate)
    theirs = filter(callable, vars(subject.candidate).values())
    before = Held(theirs, OF_STEPS) if search and stated is not None else None
    layout = _layout(subject)
    updates = Updates(stated, layout, subject)
    try:
        stepping, history = _taken(subject, layout, samples, start, seed)
        if stepping.findings:
            return Notes(findings=[*stepping.findings])
        draft = of_own(history, of_source(Direct(subject), layout, of_any_layers=True))
        usable = all(np.all(np.isfinite(a)) for taken in history for a in taken.after)
        if not usable or not any(draft.gradients_at(taken.probe) for taken in history):
            return Notes(untested=["a step (what it leaves is not finite)"])
        notes = _followed(draft, layout, updates)
        if notes is None or notes.findings:
            notes = _in_float32(draft, layout, updates) or notes
        averages = stated is not None and stated.averages
        if notes is None and not averages and _carries(subject, history[0].probe):
            return Notes(untested=[_CARRIES])
        notes = _parted(draft, layout, updates) if notes is None else notes
        if before is not None:
            draw, known = _probes(subject, layout, samples, start, seed), notes.findings
            notes.findings = with_its_line(
                known, subject, layout, draft, stated, draw, before.put_back, mended
            )
    except TheirError as error:
        finding = Finding(STEP_EXCEPTION, "step", evidence=error.reason, detail=error.trace)
        return Notes(findings=[finding])
    # What is wrong with an update is wrong whatever can be told of gradients.
    notes.findings = [
        replace(f, severity=Severity.CONCLUSIVE) if f.follows is Severity.WRONG else f
        for f in [*notes.findings, *unchecked(stated)]
    ]
    notes.remarks += [r for r in stepping.remarks if r not in notes.remarks]
    optimizer = notes.conventions.get("optimizer")
    if not notes.findings and optimizer:
        notes.tested.append(f"{len(history)} steps ({optimizer}) by your own gradients")
    elif not notes.findings:
        notes.untested.append("a step (by your gradients it is no update that is known here)")
    return notes


def _followed(draft: Identified, layout: Layout, updates: Updates) -> Notes | None:
    """Return what the optimizer is that the steps follow; None if they follow none."""
    found = identify_own(draft, layout, updates.checkable)
    if found is None or None in found.others.values():
        found = of_own_at_changing_rates(draft, layout) or of_own_decayed(draft, layout) or found
    return None if found is None else updates.of_identified(found)


def _in_float32(draft: Identified, layout: Layout, updates: Updates) -> Notes | None:
    """Return the same where nothing is wrong but for float32's rounding of the update.

    Weights are handed over in float64, and a state may stay in what it was made in.
    """
    dtype = np.dtype(np.float32)
    if any(taken.probe.dtype == dtype for taken in draft.history):
        return None
    rough = [
        replace(
            taken,
            probe=replace(taken.probe, dtype=dtype),
            change=[change.astype(dtype) for change in taken.change],
        )
        for taken in draft.history
    ]
    notes = _followed(replace(draft, history=rough), layout, updates)
    if notes is None or notes.findings:
        return None
    notes.remarks.append(_FLOAT32)
    return notes


def _parted(draft: Identified, layout: Layout, updates: Updates) -> Notes:
    """Return what can be said of steps that follow no optimizer."""
    draft = replace(draft, idle=idle_tensors(course(draft.history, layout, draft.gradients_at)))
    parting = updates.parted(draft)
    most = None if parting is not None else of_most(draft, layout)
    notes = Notes() if most is None else updates.of_identified(most)
    notes.findings += [updates.left_alone(draft.idle)] if draft.idle else []
    notes.findings += [parting] if parting is not None else []
    stated = updates.stated
    if not notes.findings and most is None and stated is not None and stated.named:
        notes.add(updates.of_unknown("", gradients_right=True))  # its settings may be any
    return notes


def _carries(subject: Subject, probe: Probe) -> bool:
    """Return whether a step leaves more than weights by which the gradients go on."""
    source = Direct(subject)
    one, again = source.ask(probe).arrays, source.ask(probe).arrays
    Step(subject, COURSE_RATE).change(probe)
    after = source.ask(probe).arrays

    def same(arrays: Sequence[Array | None]) -> bool:
        pairs = zip(one, arrays, strict=True)
        return all(a is None or b is None or alike(a, b) for a, b in pairs)

    return same(again) and not same(after)


def _layout(subject: Subject) -> _StepArrays:
    count = len(subject.shapes)
    every, sizes = tuple(range(count)), (1,) * (count + 1)
    return _StepArrays(tuple(subject.shapes), every, (None,) * count, "in-out", "", sizes)


def _probes(
    subject: Subject, layout: Layout, samples: Samples, start: Sequence[Array], seed: int
) -> Callable[..., Probe]:
    """Return what draws samples by their number, and weights with them where none are given."""
    count = len(layout.shapes)
    linear = activations.get("linear")
    plan = Plan("", layout.sizes, (linear,) * count, (False,) * count, (0.0,) * count)
    dtype = lowest(*(array.dtype for array in subject.weights()))

    def probe(number: int, arrays: list[Array] | None = None) -> Probe:
        rng = np.random.default_rng([seed, number, 11])
        x, y = samples.draw(rng)
        if arrays is None:  # what is handed over is what is held, in whatever precision that is
            arrays = [a.astype(dtype).astype(np.float64) for a in spread(start, rng, 1.0)]
        return Probe(plan, layout.unpack(arrays), x, y, dtype, _AsGiven("rows"), arrays)

    return probe


def _taken(
    subject: Subject, layout: Layout, samples: Samples, start: Sequence[Array], seed: int
) -> tuple[Stepping, list[Taken]]:
    """Take steps from drawn weights, and then some one after the other; return them."""
    probe = _probes(subject, layout, samples, start, seed)
    stepping = classify(subject, probe(0), probe(1), layout)
    step, arrays = Step(subject, COURSE_RATE), None
    for number in range(_MORE):
        step.change(probe(2 + number, arrays), reset=arrays is None)
        arrays = step.taken[-1].after
    return stepping, subject.history[stepping.start :]
