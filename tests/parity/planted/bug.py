"""What a planted bug is: a change of a few words in ordinary code, and what the check is to say."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import parity
from parity import Candidate, CheckReport, Finding
from tests.parity.planted.nets import Net

STYLES = {"A": "functions", "B": "network_class", "C": "layer_objects", "D": "folded"}
SAMPLES = {"A": "rows", "B": "columns", "C": "rows", "D": "columns"}
Edits = str | tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Bug:
    """One bug, in every style that can express it.

    An edit of a style's source is "old => new", "line +> lines put behind it" or "line <+ lines put
    before it"; what is to the left occurs exactly once.

    Attributes:
        name: What is planted.
        net: The network that it is planted in.
        codes: Codes that name it, separated by spaces.
        where: What the place of the finding contains; {last} and {top} stand for the numbers of
            the output layer and of the one below.
        A, B, C, D: The edits of each style; None where it cannot be said in it.
        by: "gradients" or "step": which of them is checked.
        loss: A declared loss; "own" for the style's own; None if it is to be found out.
        declared: Further arguments of the candidate.
        companions: Codes of what is also said, and also true.
        text: What the finding or a remark contains.
        also: Further networks that it is planted in, in their own styles.
        batch: Whether it is declared that samples come in batches.
        keras: Whether Keras is asked.
    """

    name: str
    net: Net
    codes: str
    where: str
    A: Edits = None
    B: Edits = None
    C: Edits = None
    D: Edits = None
    by: str = "gradients"
    loss: str | None = None
    declared: tuple[tuple[str, Any], ...] = ()
    companions: str = ""
    text: str = ""
    also: tuple[Net, ...] = ()
    batch: bool = False
    keras: bool = False


@dataclass(frozen=True)
class Case:
    """A bug in one style and one network."""

    bug: Bug
    style: str
    net: Net

    def __str__(self) -> str:
        words = self.bug.name.replace(" ", "_")
        return f"{words}-{self.style}-{self.net.name.replace(' ', '_')}"

    def candidate(self) -> Candidate:
        """Return the network with the bug in it."""
        bug = self.bug
        whole = build(self.style, self.net, getattr(bug, self.style))
        loss = whole.loss if bug.loss == "own" else bug.loss
        other = "gradients" if bug.by == "step" else "step"
        declared = dict(bug.declared)
        if bug.batch:
            declared["samples"] = SAMPLES[self.style]
        return replace(whole, loss=loss, **{other: None}, **declared)

    @property
    def where(self) -> str:
        """What the place of the finding contains in this network."""
        depth = len(self.net.sizes) - 1
        return self.bug.where.format(last=depth, top=depth - 1)


def cases(bugs: list[Bug]) -> list[Case]:
    """Return every bug in every style and network that can express it."""
    return [
        Case(bug, style, net)
        for bug in bugs
        for net in (bug.net, *bug.also)
        for style in STYLES
        if getattr(bug, style) is not None and style in net.styles
    ]


def build(style: str, net: Net, edits: Edits = None) -> Candidate:
    """Return a network written in a style, perhaps with its source edited."""
    return _builder(style, (edits,) if isinstance(edits, str) else edits or ())(net)


def _builder(style: str, edits: tuple[str, ...]) -> Callable[[Net], Candidate]:
    source = Path(__file__).with_name(f"{STYLES[style]}.py").read_text()
    for edit in edits:
        source = edited(source, edit)
    namespace: dict[str, Any] = {"__name__": f"planted_{style}"}
    exec(compile(source, f"<style {style}, edited>", "exec"), namespace)
    return namespace["build"]


def edited(source: str, edit: str) -> str:
    """Return a source with one edit made."""
    sign = next(s for s in (" => ", " +> ", " <+ ") if s in edit)
    old, new = edit.split(sign)
    assert source.count(old) == 1, f"{source.count(old)} times in the source: {old!r}"
    if sign == " => ":
        return source.replace(old, new)
    lines = source.splitlines()
    at = next(i for i, line in enumerate(lines) if old in line)
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    at += sign == " +> "
    lines[at:at] = [indent + line for line in new.splitlines()]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Answer:
    """What the check said of a case.

    Attributes:
        report: All of it.
        first: The first finding that is no companion.
        wrong: Findings with codes that neither name the bug nor go with it.
        named: Whether the bug is named, at its place, and nothing else is.
    """

    report: CheckReport
    first: Finding | None
    wrong: tuple[Finding, ...]
    named: bool


@cache
def answer(case: Case) -> Answer:
    """Check a case, once."""
    bug = case.bug
    report = parity.check(case.candidate, case.net.reference, keras=bug.keras)
    companions = bug.companions.split()
    own = [f for f in report.findings if f.code not in companions]
    first = own[0] if own else None
    wrong = tuple(f for f in own if f.code not in bug.codes.split())
    said = "\n".join(
        [*report.remarks, *(f"{f.title} {f.evidence}" for f in report.findings if f is first)]
    )
    named = first is not None and not wrong and case.where in first.where and bug.text in said
    return Answer(report, first, wrong, named)
