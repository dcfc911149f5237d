"""Steps whose optimizer keeps a state: which optimizer it is, and what is wrong with it."""

from parity.candidate import Candidate
from parity.checking import tables
from parity.checking.answers import Answered
from parity.checking.identify import Identified
from parity.checking.layout import Layout
from parity.checking.rules import ADAPTIVE, FORMS, Rule, of_optimizer
from parity.checking.subject import Subject
from parity.checking.updates import Stepping
from parity.findings import CheckReport, Finding, Outcome

_UNKNOWN = Finding(
    "unknown-optimizer",
    "unknown: the step keeps a state, and is no optimizer known here with right gradients", "step",
    "give gradients as well: they can be checked whatever the optimizer",
    f"its changes on equal input differ; they follow neither momentum nor {ADAPTIVE} "
    "with the gradients of any known loss",
)  # fmt: skip
_UNKNOWN_UPDATE = Finding(
    "unknown-optimizer",
    "unknown: the gradients are right, and the step is no update by them that is known here",
    "step",
    "compare the update with its formula: which average is corrected by which beta, whether steps "
    "count from 1 and states start at 0, where epsilon stands",
    f"its changes on equal input differ; they follow neither momentum nor {ADAPTIVE}",
)  # fmt: skip
_DECAYS = Finding(
    "learning-rate-decay", "the learning rate changes inside the step from call to call", "step",
    "give gradients as well, or switch that off for the check",
)  # fmt: skip


def check_kind(stepping: Stepping, candidate: Candidate, report: CheckReport) -> str:
    """Return in words what update a plain or momentum step makes; report if another is declared."""
    found = Rule("sgd", decay=stepping.momentum)
    if candidate.optimizer is None:
        return found.words
    declared = of_optimizer(candidate.optimizer)
    if declared.kind != "sgd" or abs(declared.decay - found.decay) > 1e-6:
        report.findings.append(_other(declared, found))
    return f"{found.words} (declared: {declared.words})"


def report(
    subject: Subject,
    layout: Layout,
    answered: Answered,
    report: CheckReport,
    gradients_right: bool = False,
) -> None:
    """Report the optimizer that all steps taken so far follow, or that none known does.

    Args:
        gradients_right: Whether the gradients are given and have been found right.
    """
    found = answered.optimizer
    if found is None:
        # Declared or not: in float32 rounding may hide which it is.
        report.outcome = Outcome.UNKNOWN
        if answered.stepping is not None and answered.stepping.kind == "decay":
            report.findings.append(_DECAYS)
        else:
            report.findings.append(_UNKNOWN_UPDATE if gradients_right else _UNKNOWN)
        return
    given = subject.candidate.optimizer
    form = found.history[0].probe.form
    report.conventions["optimizer"] = found.rule.words
    report.conventions["labels"] = form.label_text
    if not found.own:
        report.conventions["loss"] = found.words
        report.tensors += tables.step_rows(layout, found, subject.names)
    _judge(found, None if given is None else of_optimizer(given), report)


def _judge(found: Identified, declared: Rule | None, report: CheckReport) -> None:
    rule = found.rule
    steps = "every step taken follows it up to rounding"
    if rule.form in FORMS:
        words, code, fix = FORMS[rule.form]
        if code:
            name = rule.known.title
            title = f"{name} with {words}" if not words.startswith("with") else f"{name} {words}"
            report.findings.append(Finding(code, title, "step", fix, f"{rule.words}: {steps}"))
        else:
            report.remarks.append(f"Optimizer: {rule.words}; Keras's differs in that. No bug.")
    elif declared is not None and rule != declared:
        report.findings.append(_other(declared, rule))
    if found.factor < 0:
        report.findings.append(
            Finding("sign", "update with the wrong sign: it goes uphill", "step",
                    "subtract the change instead of adding it", steps)
        )  # fmt: skip


def _other(declared: Rule, found: Rule) -> Finding:
    return Finding(
        "other-optimizer", f"another optimizer than declared: {found.words}", "step",
        f"make it {declared.words}", f"declared is {declared.words}",
    )  # fmt: skip
