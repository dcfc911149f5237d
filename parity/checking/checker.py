"""The check from start to end."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.candidate import Candidate
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.backward import Backward
from parity.checking.forward import Forward, Unreadable
from parity.checking.model.layout import Layout, readings
from parity.checking.model.losses import declared
from parity.checking.model.plan import Plan, resolve
from parity.reports.findings import CheckReport, Finding, Outcome

Given = Candidate | Callable[[], Candidate]


def check(
    candidate: Given, reference: Any = None, *, seed: int = 0, keras: bool = True
) -> CheckReport:
    """Check a from-scratch network against its reference, or against what it says it is.

    The user's weights are as before when the check ends, also after an exception.

    Args:
        candidate: The network's callables; or a function without arguments that makes them, which
            is better where a step keeps a state: it is then made anew for each way to call it.
        reference: What it is meant to be: the name of a documented architecture ("64-40-10"), a
            ``keras.Model`` of supported layers, a list of layers, or a ``numpy_impl.Sequential``.
            None: sizes are read off the weights, and activations and loss are found out.
        seed: Of the random weights and samples.
        keras: Whether to ask Keras as well; without it the gradients are compared with the NumPy
            engine's mathematics and the user's own loss alone, and Keras is not imported.

    Returns:
        The report. It does not raise if the network is wrong: see ``raise_for_failure``.

    Raises:
        ValueError: The reference or the name of a loss is not known.
        TypeError: ``candidate`` is neither.
    """
    renew = candidate if callable(candidate) else None
    made = candidate if renew is None else renew()
    if not isinstance(made, Candidate):
        raise TypeError(f"expected a parity.Candidate. Received: {type(made).__name__}")
    return _Check(made, renew, reference, seed, keras).run()


def assert_parity(candidate: Given, reference: Any = None, **options: Any) -> CheckReport:
    """Check, and raise :class:`parity.ParityError` with the report unless it is right.

    Arguments as in :func:`check`; returns the report.
    """
    __tracebackhide__ = True
    report = check(candidate, reference, **options)
    report.raise_for_failure()
    return report


class _Check:
    def __init__(
        self,
        candidate: Candidate,
        renew: Callable[[], Candidate] | None,
        reference: Any,
        seed: int,
        keras: bool,
    ) -> None:
        self.candidate = candidate
        self.renew = renew
        self.reference = reference
        self.seed = seed
        self.keras = keras
        self.report = CheckReport(candidate.name, "none given", Outcome.RIGHT, "")
        loss = candidate.loss
        self.declared = declared(loss) if isinstance(loss, str) else None

    def run(self) -> CheckReport:
        """Return the report."""
        report = self.report
        plan = None if self.reference is None else resolve(self.reference)
        if plan is not None:
            report.reference = plan.text
            if self.declared is None and plan.loss is not None:
                self.declared = declared(plan.loss)
        try:
            subject = Subject(self.candidate, self.renew)
            layouts = self._readings(subject, plan)
            with subject.preserved(), np.errstate(all="ignore"):  # infinite bounds
                self._compare(subject, layouts, plan)
        except Unreadable as reason:
            self._cannot(reason.finding)
        except TheirError as error:
            self._cannot(_theirs(error))
        return report

    def _compare(self, subject: Subject, layouts: list[Layout], plan: Plan | None) -> None:
        report = self.report
        forward = Forward(subject, layouts, plan, self.seed)
        forward.run(report)
        if forward.plan is None:
            return
        Backward(subject, forward, self.declared, self.seed, self.keras).run(report)
        _aliasing(subject, report)

    def _readings(self, subject: Subject, plan: Plan | None) -> list[Layout]:
        candidate = self.candidate
        every = [
            layout
            for layout in readings(subject.shapes)
            if candidate.kernel in (None, layout.orientation)
            and candidate.bias in (None, layout.bias)
        ]
        shapes = ", ".join(
            f"{name} {shape}" for name, shape in zip(subject.names, subject.shapes, strict=True)
        )
        if not every:
            raise Unreadable(
                Finding(
                    "unreadable", "the weights cannot be read as a chain of layers", "get_weights",
                    "return each layer's kernel (and bias), in the order of the layers",
                    f"expected kernels whose sizes follow one another. Received: {shapes}",
                )
            )  # fmt: skip
        if plan is None:
            return every
        fitting = [layout for layout in every if plan.fits(layout.sizes, layout.has_bias)]
        if not fitting:
            sizes = " or ".join(dict.fromkeys("-".join(map(str, e.sizes)) for e in every[:3]))
            bias = "without biases" if every[0].bias == "none" else "with biases"
            raise Unreadable(
                Finding(
                    "other-sizes", "the weights are not those of the reference", "get_weights",
                    "choose another reference, or leave it out to have the sizes read off",
                    f"expected {plan.text}. Received: {sizes} {bias} ({shapes})",
                )
            )  # fmt: skip
        return fitting

    def _cannot(self, finding: Finding) -> None:
        report = self.report
        report.outcome = Outcome.UNKNOWN
        report.findings.insert(0, finding)
        report.summary = f"It cannot be checked: {finding.title}."


def _aliasing(subject: Subject, report: CheckReport) -> None:
    """Report arrays that the user's code changed, or handed out twice, and should not have."""
    for change in subject.modified:
        report.findings.insert(
            0,
            Finding(
                "aliasing", f"aliasing: {change} in place", change.split()[0],
                "work on a copy, or write a = a * b instead of a *= b",
                "the caller's array is another one after the call",
            ),
        )  # fmt: skip
    if report.findings and subject.shared:
        one, other = subject.shared
        report.outcome = Outcome.WRONG
        report.findings.insert(
            0,
            Finding(
                "aliasing", f"aliasing: {one} and {other} of the gradients are one array",
                "gradients",
                "make an array for each; [a] * n and b = a do not copy",
                "they are equal to the last digit, the one written last in both places",
            ),
        )  # fmt: skip
    if report.findings and report.findings[0].code == "aliasing":
        if report.outcome is Outcome.RIGHT:
            report.outcome = Outcome.WRONG
        report.summary = f"{report.findings[0].title}."


def _theirs(error: TheirError) -> Finding:
    raised = bool(error.trace)
    title = (
        f"{error.callable_name} {'raises an exception' if raised else 'returns no usable answer'}"
    )
    return Finding(
        "exception" if raised else "unusable-answer", title, error.callable_name,
        "this is your code's own error" if raised else "", error.reason, error.trace,
    )  # fmt: skip
