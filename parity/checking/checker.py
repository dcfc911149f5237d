"""The check from start to end."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from parity.candidate import Candidate, CandidateError
from parity.checking.any_layers.compare import AnyLayers
from parity.checking.any_layers.gradients import (
    check_gradients_beside,
    refuse_what_training_changes,
)
from parity.checking.any_layers.matching import WeightMatch, matched
from parity.checking.any_layers.opened import Opened
from parity.checking.any_layers.probes import Probes
from parity.checking.asking.kept import global_state
from parity.checking.asking.subject import Subject
from parity.checking.backward import Backward
from parity.checking.bugs.derivative import OTHER_LOSS
from parity.checking.bugs.findings import Finding, Notes, Unreadable
from parity.checking.bugs.table import EXCEPTION, OTHER_SIZES, UNREADABLE, Severity
from parity.checking.derivative.belonging import broadcast
from parity.checking.derivative.compare import REFERENCE as DERIVATIVE
from parity.checking.derivative.compare import Derivative, check_derivative
from parity.checking.derivative.samples import in_parts, of_other_targets, samples
from parity.checking.derivative.steps import check_steps
from parity.checking.forward import Forward
from parity.checking.model import declared_optimizer
from parity.checking.model.layout import Layout, readings
from parity.checking.model.losses import Declared, declared
from parity.checking.model.network import Plan
from parity.checking.reference import is_of_any_layers, keras_model, loss_name, resolve
from parity.checking.verdict import (
    OTHER_SEED,
    OWN_LOSS_UNTESTED,
    conclude,
    doubtful,
    surviving,
    without_step,
)
from parity.reports.report import CheckReport, Outcome

_NO_KNOWN_LOSS = (
    "Loss: it is none that is known here. Your gradients were compared with its derivative, and "
    "with nothing else."
)
_OTHER_RATES = "steps at other learning rates than their own, {:g}"
Given = Candidate | Callable[[], Candidate]


@global_state()
def check(
    candidate: Given, reference: Any = None, *, seed: int = 0, keras: bool | None = None
) -> CheckReport:
    """Check a from-scratch network against its reference, or against what it says it is.

    The user's weights are as before when the check ends, also after an exception, and so are the
    working folder, sys.path, NumPy's error state and the global random generators.

    Args:
        candidate: The network's callables; or a function without arguments that makes them, which
            is better where a step keeps a state: it is then made anew for each way to call it.
        reference: What it is meant to be: the name of a documented architecture ("64-40-10"), a
            ``keras.Model`` or the path of its ``.keras`` file, a list of layers, or a
            ``numpy_impl.Sequential``. None: sizes are read off the weights, and activations and
            loss are found out. Beside a model of other than dense layers gradients need ``loss``,
            by name or as a function, and what it computes in training has to be what ``forward``
            does (no moving statistics).
        seed: Of the random weights and samples.
        keras: Whether to ask Keras's automatic differentiation as well, which takes the seconds of
            importing Keras. None: if there is a reference. Without it the gradients are compared
            with the NumPy engine's mathematics and the derivative of the user's own loss.

    Returns:
        The report. It does not raise if the network is wrong: see ``raise_for_failure``.

    Raises:
        ValueError: The reference or the name of a loss is not known.
        TypeError: ``candidate`` is neither.
    """
    renew = partial(_at_its_rate, candidate) if callable(candidate) else None
    made = _at_its_rate(candidate)
    if reference is None and made.gradients is None and made.step is None:
        raise CandidateError(
            "expected gradients or step, or for forward alone a reference to compare it with. "
            "Received: none of them"
        )
    loss = declared(made.loss) if isinstance(made.loss, str) else None
    reference = keras_model(reference)
    if is_of_any_layers(made, reference):
        return _beside_keras(made, reference, loss, seed)
    if made.get_weights is None:
        raise CandidateError(
            "expected get_weights, or for forward that holds its own weights a Keras model that "
            f"holds the same. Received: {type(reference).__name__}"
        )
    plan = None if reference is None else resolve(reference)
    if plan is not None and loss is None and plan.loss is not None:
        loss = declared(plan.loss)
    whole = _Whole(plan, seed, plan is not None if keras is None else keras)
    with whole.notes.until_blocked():
        whole.check(Subject(made, renew), loss)
        if made.learning_rate is not None:
            whole.notes.untested.append(_OTHER_RATES.format(made.learning_rate))
    report = CheckReport(made.name, whole.compared_with, **vars(whole.notes))
    # A state that a step keeps is another one by now, if it cannot be made anew.
    used = renew is None and whole.keeps_state
    asked = doubtful(whole.of_gradients if used else report.findings)
    if report.outcome is Outcome.WRONG and asked:
        other = made if renew is None else renew()
        # Nor is the step looked at once more where the doubt is of the gradients alone.
        if used or all(finding in whole.of_gradients for finding in asked):
            other = without_step(other)
        again = _Whole(plan, seed + OTHER_SEED, keras=False, search=False)
        with again.notes.until_blocked():
            again.check(Subject(other, renew, avoid=report.batches), loss)
        second = CheckReport(made.name, again.compared_with, **vars(again.notes))
        report.findings = surviving(report, second, asked)
    return report


def _at_its_rate(given: Any) -> Candidate:
    """Return a candidate whose step, if that takes no learning rate, says by which one it goes.

    Args:
        given: A candidate, or a function that makes it.

    Raises:
        CandidateError: Nothing says it.
        TypeError: It is none.
    """
    made = given() if callable(given) else given
    if not isinstance(made, Candidate):
        raise TypeError(f"expected a parity.Candidate. Received: {type(made).__name__}")
    if not made.keeps_its_rate or made.learning_rate is not None:
        return made
    stated = None if made.optimizer is None else declared_optimizer.of(made.optimizer).learning_rate
    if stated is None:
        raise CandidateError(
            "expected step(x, y, learning_rate), or, as the step has its own, what that is: "
            'learning_rate=0.1, or optimizer="SGD(learning_rate=0.1)". Received: neither'
        )
    return replace(made, learning_rate=stated)


def _beside_keras(
    candidate: Candidate, reference: Any, loss: Declared | None, seed: int
) -> CheckReport:
    """Compare forward, and then what else is given, with a Keras model of any layers."""
    backward = candidate.gradients is not None or candidate.step is not None
    if backward:
        refuse_what_training_changes(reference)
        compiled = loss_name(getattr(reference, "loss", None))
        loss = declared(compiled) if loss is None and compiled else loss
    notes, words = Notes(), ""
    with notes.until_blocked():
        subject = Subject(candidate)
        with subject.preserved(), np.errstate(all="ignore"):
            beside = AnyLayers(subject, reference, seed)
            words = beside.reference
            notes.add(beside.run())
            if backward and not notes.findings:
                notes.untested = []
                notes.add(check_gradients_beside(candidate, beside, loss, seed))
            elif backward:
                notes.untested = ["gradients and steps (forward comes first)"]
    return CheckReport(candidate.name, words, **vars(notes))


@global_state()
def check_gradients(
    loss: Callable[[Any, Any], Any],
    weights: Any,
    gradients: Callable[[Any, Any], Any],
    data: Any = None,
    *,
    forward: Callable[[Any], Any] | None = None,
    seed: int = 0,
    name: str = "your network",
) -> CheckReport:
    """Check whether gradients are the derivative of a loss, whatever is computed between.

    Args:
        loss: ``(x, y) -> number``, computed with the weights as they are.
        weights: The arrays, in lists, dicts or nested; or a function that returns them.
        gradients: ``(x, y) -> arrays`` as the weights lie; None for one that is not written yet.
        data: ``(x, y)``, or ``(rng) -> (x, y)`` for others each time.
        forward: ``(x) -> outputs``: with it samples may be found where no data is given, and
            gradients of another loss are told by its name.
        seed: Of the weights and directions.
        name: What to call it in the report.

    Returns:
        The report. Keras is not imported.

    Raises:
        CandidateError: Something of this is not callable, or data is no pair.
    """
    get_weights = weights if callable(weights) else lambda: weights
    candidate = Candidate(
        get_weights=get_weights, forward=forward, gradients=gradients, loss=loss, data=data,
        name=name,
    )  # fmt: skip
    notes = Notes()
    with notes.until_blocked():
        subject = Subject(candidate)
        with subject.preserved(), np.errstate(all="ignore"):
            notes.add(check_derivative(subject, seed))
    return CheckReport(name, DERIVATIVE, **vars(notes))


@global_state()
def match_weights(
    keras_model: Any, arrays: Any, forward: Callable[..., Any] | None = None, *, seed: int = 0
) -> WeightMatch:
    """Say which of the user's arrays is which variable of a Keras model, and how its axes lie.

    An array is known by its shape where one variable alone has it, up to the order of axes and to
    axes of one; by its values where it holds those of one variable; and by ``forward``, which is
    tried with random weights in each way that is left. What stays open is said in ``others``.

    Args:
        keras_model: A built ``keras.Model``.
        arrays: The arrays, in lists, dicts or nested; or a function that returns them. They are
            as before when it returns.
        forward: ``(x) -> outputs``, computed with these arrays.
        seed: Of the weights and inputs that ``forward`` is tried with.

    Returns:
        The match, in the order of the arrays; Keras's order decides where nothing else does.

    Raises:
        CandidateError: Something of this is not callable.
        ValueError: The model is not built, or ``forward`` raises.
    """
    get_weights = arrays if callable(arrays) else lambda: arrays
    candidate = Candidate(get_weights=get_weights, forward=forward or (lambda x: x))
    try:
        subject, opened = Subject(candidate), Opened(keras_model)
        with subject.preserved():
            found = matched(opened, subject.names, subject.weights())
            if forward is not None and found.complete and found.ambiguous:
                found = Probes(opened, subject, seed, found, every=True).match
            return found
    except Unreadable as reason:
        raise ValueError(f"{reason.finding.title}: {reason.finding.evidence}") from reason


class _Whole:
    """One check: of the network as a chain of layers, or else of its gradients alone.

    Attributes:
        notes: What was found.
        compared_with: The reference in words.
        keeps_state: Whether a step was found to keep a state.
        of_gradients: What was found before the step was looked at, where gradients are given.
    """

    def __init__(self, plan: Plan | None, seed: int, keras: bool, search: bool = True) -> None:
        self.plan = plan
        self.search = search
        self.seed = seed
        self.keras = keras
        self.notes = Notes()
        self.compared_with = "" if plan is None else plan.text
        self.keeps_state = False
        self.other_targets = False
        self.of_gradients: list[Finding] = []

    def check(self, subject: Subject, loss: Declared | None) -> None:
        """Go through the stages."""
        own = self.plan is None and callable(subject.candidate.loss)
        with subject.preserved(), np.errstate(all="ignore"):  # infinite bounds
            parts = own and in_parts(subject.candidate.data, self.seed)
            if not parts and self._as_chain(subject, loss):
                if own:
                    self._by_their_loss(subject)
                    self._look_at_targets(subject)
                return
            if not own:
                self._steps_alone(subject)
                return
            reasons = [f"{f.title}; {f.evidence}" for f in self.notes.findings[:1]]
            reasons += ["your samples are of several arrays"] if parts else []
            reasons += ["your targets are not as many as outputs"] if self.other_targets else []
            derivative = Derivative(subject, self.seed, self.search)
            self.notes = derivative.run()
            self.keeps_state, self.of_gradients = subject.keeps_state, derivative.of_gradients
            self.compared_with = DERIVATIVE
            self.notes.remarks.append(
                f"Layers: they are not known ({''.join(reasons) or 'no forward is given'}), and so "
                "your gradients were compared with the derivative of your own loss, and with "
                "nothing else."
            )
            self._look_at_targets(subject)

    def _look_at_targets(self, subject: Subject) -> None:
        """Say where a loss compares each output with the targets of all samples."""
        notes = self.notes
        finding = None if notes.blocked else broadcast(subject.fresh(), self.seed)
        if finding is not None:
            # Gradients of the loss that is meant are another's than the one that is there.
            said = (finding.bug.code, OTHER_LOSS.code)
            notes.findings = [finding, *(f for f in notes.findings if f.bug.code not in said)]
            notes.tested = notes.untested = []

    def _by_their_loss(self, subject: Subject) -> None:
        """Compare with the derivative of the user's loss as it stands, on the user's own samples.

        That is where gradients, or the loss, take no others (sample weights may come with these),
        where no loss that is known explains them, and where gradients are cut off at a number.
        """
        notes, candidate = self.notes, subject.candidate
        refused = bool(notes.findings) and notes.findings[0].bug is EXCEPTION
        unknown = bool(notes.findings) and all(
            finding.follows is Severity.UNCERTAIN for finding in notes.findings
        )
        untested = OWN_LOSS_UNTESTED in notes.untested and not (candidate.step or notes.findings)
        clipped = bool(notes.findings) and not (refused or unknown) and self._clips(subject.fresh())
        if not (unknown or clipped or (candidate.data is not None and (refused or untested))):
            return
        anew = subject.fresh()
        derivative = Derivative(anew, self.seed, self.search and not unknown)
        with anew.preserved():
            found = derivative.run()
        measured = all(finding.follows is not Severity.UNCERTAIN for finding in found.findings)
        if found.blocked or (unknown and found.findings) or not (refused or measured):
            return
        if untested and not found.findings:
            notes.untested = [text for text in notes.untested if text != OWN_LOSS_UNTESTED]
            notes.tested.append("the derivative of your own loss on your own samples")
            return
        if unknown:
            found.remarks.append(_NO_KNOWN_LOSS)
        elif not clipped:
            what = "gradients" if refused else "loss"
            found.remarks.append(
                f"Samples: your {what} could be asked on yours alone. There your gradients were "
                "compared with the derivative of your own loss, and with nothing else."
            )
        self.notes, self.compared_with = found, DERIVATIVE
        self.keeps_state, self.of_gradients = subject.keeps_state, derivative.of_gradients

    def _clips(self, subject: Subject) -> bool:
        with subject.preserved():
            return Derivative(subject, self.seed).is_clipped()

    def _steps_alone(self, subject: Subject) -> None:
        """Judge the step by the user's own gradients, where these cannot be judged themselves."""
        candidate = subject.candidate
        if self.plan is not None or candidate.gradients is None or candidate.step is None:
            return
        with suppress(Unreadable):  # why the gradients cannot be judged is said already
            drawn = samples(subject, np.random.default_rng([self.seed, 7]))
            steps = check_steps(subject, drawn, subject.weights(), self.seed)
            self.keeps_state = subject.keeps_state
            if steps.findings:
                rest = [replace(f, severity=Severity.UNCERTAIN) for f in self.notes.findings]
                self.notes.findings = [*steps.findings, *rest]
            self.notes.conventions |= steps.conventions
            self.notes.remarks += steps.remarks
            self.notes.remarks += [f"Steps: right are {text}." for text in steps.tested]

    def _as_chain(self, subject: Subject, loss: Declared | None) -> bool:
        """Check it as a chain of dense layers; return whether it is one."""
        notes = self.notes
        if subject.candidate.forward is None:
            return False
        with notes.until_blocked():
            layouts = _fitting(subject, self.plan)
            forward = Forward(subject, layouts, self.plan, self.seed)
            notes.add(forward.run())
            of_forward = [*notes.findings]
            self.compared_with = forward.reference
            if forward.plan is None or notes.blocked:
                return False
            sample, known = forward.sample, forward.plan
            candidate = subject.candidate
            if candidate.gradients is None and candidate.step is None:
                conclude(subject, sample, notes)
                return True
            if self.plan is None and callable(candidate.loss) and candidate.data is not None:
                outputs = sample.layout.sizes[-1]
                self.other_targets = of_other_targets(candidate.data, self.seed, outputs)
                if self.other_targets:
                    return False
            backward = Backward(
                subject, sample, known, loss, self.seed, self.keras, notes, self.search
            )
            notes.add(backward.run())
            self.keeps_state = subject.keeps_state
            self.of_gradients = [*of_forward, *backward.of_gradients]
            if not notes.blocked:
                conclude(subject, sample, notes)
            return True
        return False


def assert_parity(candidate: Given, reference: Any = None, **options: Any) -> CheckReport:
    """Check, and raise :class:`parity.ParityError` with the report unless it is right.

    Arguments as in :func:`check`; returns the report.
    """
    __tracebackhide__ = True
    report = check(candidate, reference, **options)
    report.raise_for_failure()
    return report


def _fitting(subject: Subject, plan: Plan | None) -> list[Layout]:
    """Return the readings of the weights that the candidate and the plan allow.

    Raises:
        Unreadable: There is none.
    """
    candidate = subject.candidate
    every = [
        layout
        for layout in readings(subject.shapes)
        if candidate.kernel in (None, layout.orientation) and candidate.bias in (None, layout.bias)
    ]
    shapes = ", ".join(
        f"{name} {shape}" for name, shape in zip(subject.names, subject.shapes, strict=True)
    )
    if not every:
        evidence = f"expected kernels whose sizes follow one another. Received: {shapes}"
        raise Unreadable(Finding(UNREADABLE, "get_weights", evidence=evidence))
    if plan is None:
        return every
    fitting = [layout for layout in every if plan.fits(layout.sizes, layout.has_bias)]
    if not fitting:
        sizes = " or ".join(dict.fromkeys("-".join(map(str, e.sizes)) for e in every[:3]))
        bias = "without biases" if every[0].bias == "none" else "with biases"
        evidence = f"expected {plan.text}. Received: {sizes} {bias} ({shapes})"
        raise Unreadable(Finding(OTHER_SIZES, "get_weights", evidence=evidence))
    return fitting
