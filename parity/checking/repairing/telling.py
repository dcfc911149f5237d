"""What a search for one change has found, in words."""

import gc
import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from parity.checking.asking.subject import Subject
from parity.checking.bugs.derivative import WRONG_VALUE
from parity.checking.bugs.findings import Finding, listed
from parity.checking.repairing.adjoints import Wrong
from parity.checking.repairing.holes import Part
from parity.checking.repairing.search import Search
from parity.checking.repairing.trial import Trial
from parity.checking.repairing.wording import in_part

# Of these bugs the evidence tells more than the title.
_UNNAMED = ("unknown", "not-the-derivative")
# So many seconds are allowed where a factor is known, so that few lines are in question; and how
# few are told.
_FOR_A_FACTOR, _PLACES = 4.0, 3
# So many seconds are allowed to find a wrong value, which leaves fewer lines to be changed.
_FOR_A_VALUE = 8.0


@contextmanager
def _asking(subject: Subject, search: Search) -> Generator[None]:
    """Let a search run, whose calls leave no trace in what is noted of the user's code."""
    modified, shared = list(subject.modified), subject.shared
    subject.before_gradients = search.sums.begin
    subject.shared = shared or ("", "", False)  # what is known is not looked for again
    try:
        yield
    finally:
        gc.unfreeze()
        subject.before_gradients = None
        subject.modified[:], subject.shared = modified, shared


@contextmanager
def unguarded(trial: Trial, subject: Subject) -> Generator[tuple[list[str], bool]]:
    """Let the loss be without what is added inside of its logarithms: :meth:`Search.unguarded`."""
    with ExitStack() as stack:
        search = Search(trial)
        with _asking(subject, search):
            found = stack.enter_context(search.unguarded())
        yield found


def of_a_factor(trial: Trial, subject: Subject, factor: float) -> str:
    """Return in words in which line a factor belongs that some gradients have too much.

    "" where there is none in which it makes all right.
    """
    search = Search(trial, _FOR_A_FACTOR)
    with _asking(subject, search):
        search.only = search.lines_of(1 / factor)
        repair = search.run() if search.only else None
    if repair is not None and not repair.rest and repair.new:
        return f'in {repair.place}, where "{repair.old}" stands, write "{repair.new}"'
    if len(search.only) > _PLACES or not search.only:
        return ""
    file, lines = min(search.only)[0], sorted(line for _, line in search.only)
    if len({name for name, _ in search.only}) > 1:
        return ""
    where = " or ".join(map(str, lines))
    return (
        f"times {1 / factor:.7g} in line {where} of {os.path.basename(file)}, all gradients agree"
    )


def mended(trial: Trial, subject: Subject, located: list[Finding]) -> list[Finding]:
    """Return the one change that mends gradients or steps; what was found before, if there is none.

    Args:
        trial: Asks for them.
        subject: The user's code; what is noted of its calls stays as it was.
        located: What is known of them without.
    """
    search = Search(trial)
    with _asking(subject, search):
        wrong = search.wrong_values(_FOR_A_VALUE) if trial.measures else []
        search.only = wrong[0].lines if len(wrong) == 1 else None
        repair = search.run()
    names, (first, *others) = trial.names, located
    if repair is None:
        tried = "in the time for it" if search.ended else f"among {search.tried}"
        words = f"no single change of your code that mends it was found {tried}"
        if not search.tried:
            words = ""
        if wrong:
            return [_in_line(each, names, first, words) for each in wrong]
        told = "; ".join(filter(None, (first.evidence, words)))
        return [replace(first, evidence=told), *others]
    fixed, rest = (listed([names[k] for k in part]) for part in (repair.mended, repair.rest))
    bug = trial.bug_in_part if repair.rest else trial.bug
    assert bug is not None
    of_forward = " (and your loss is another)" if repair.of_forward else ""
    verb = "agree" if len(repair.mended) > 1 else "agrees"
    agree = f"{fixed} {verb}, and not yet {rest}" if rest else trial.agreement
    agree += ", on batches of this size alone" * repair.of_size
    written = f'"{repair.new}"{repair.or_else}' if repair.new else "nothing"
    written = f"nothing, and it {repair.moved}" if repair.moved else written
    values = {"place": repair.place, "old": repair.old, "new": written}
    if repair.rest:
        values |= in_part([[names[k] for k in part] for part in (repair.mended, repair.rest)])
    where = first.where if trial.of_steps else ", ".join(names[k] for k in repair.mended)
    seen_of_it = first.evidence if first.bug.code in _UNNAMED else first.title
    zeros = ", and zeros there before each pass," if repair.of_passes else ""
    evidence = f"with it{zeros} {agree}{of_forward}; {seen_of_it}"
    return [Finding(bug, where, values, evidence)]


def _in_line(found: Wrong, names: Sequence[str], seen: Finding, tried: str) -> Finding:
    """Return that what a line assigns is not the derivative that it has to be."""
    values = {"value": _written(found.part), "of": "loss", "by": _written(found.by)}
    mended = [names[k] for k in found.mended]
    agree = "agrees" if len(mended) == 1 else "agree"
    evidence = (
        f"measured, it has {found.right:.7g} where yours has {found.own:.7g}; with it in that "
        f"place {listed(mended)} {agree}"
    )
    if found.is_by is not None:
        evidence += f"; yours is the derivative by {_written(found.is_by)}"
    told = "; ".join(filter(None, (evidence, seen.evidence, tried)))
    return Finding(WRONG_VALUE, ", ".join(mended), values, told)


def _written(part: Part) -> str:
    line = f"line {part.line} of {os.path.basename(part.function.filename)}"
    return f"{part.name} in {line}" if part.name else f"what {line} returns"
