"""Whether the user's gradients are the same on equal input, or pile up from call to call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.gradients import Accumulating, Direct, Source
from parity.checking.asking.nested import same
from parity.checking.asking.subject import Subject
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import ACCUMULATED
from parity.checking.model.probe import Probe


@dataclass
class Repeated:
    """What asking again has shown.

    Attributes:
        source: To get gradients from.
        random: Whether the answers differ without rule.
        findings: What is wrong already.
    """

    source: Source
    random: bool = False
    findings: list[Finding] = field(default_factory=list[Finding])


def repeat(subject: Subject, probe: Probe) -> Repeated:
    """Ask for gradients three times on equal input.

    Raises:
        TheirError: The user's code fails on it.
    """
    direct = Direct(subject)
    first = direct.ask(probe).arrays
    if not same(subject.weights(), probe.arrays):
        subject.modified.append("gradients changes the weights")
    second, third = (direct.ask(probe).arrays for _ in range(2))
    if _same(first, second) and _same(second, third):
        return Repeated(direct)
    piled = _piled_up(subject, first, second, third)
    return piled or Repeated(direct, random=True)


PILED = "a third call on equal input added the same again as the second"


def piled(
    first: Sequence[Array | None], second: Sequence[Array | None], third: Sequence[Array | None]
) -> list[bool] | None:
    """Return to which arrays each of three calls on equal input adds its own; None if to none.

    The other arrays have to be the same in each call.
    """
    if not len(first) == len(second) == len(third):
        return None
    triples = list(zip(first, second, third, strict=True))
    piling = [not (_same([a], [b]) and _same([b], [c])) for a, b, c in triples]
    every = all(_piles_up(*triple) for triple, piles in zip(triples, piling, strict=True) if piles)
    return piling if every and any(piling) else None


def _piled_up(
    subject: Subject,
    first: list[Array | None],
    second: list[Array | None],
    third: list[Array | None],
) -> Repeated | None:
    """Return what takes the calls' shares apart where each call adds its own to some arrays.

    The other arrays have to be the same in each call.
    """
    piling = piled(first, second, third)
    if piling is None:
        return None
    where = "gradients"
    if not all(piling) and len(piling) == len(subject.names):
        names = [name for name, piles in zip(subject.names, piling, strict=True) if piles]
        where = f"gradients of {', '.join(names)}"
    evidence = PILED
    last = [c if piles else None for c, piles in zip(third, piling, strict=True)]
    return Repeated(
        Accumulating(subject, last), findings=[Finding(ACCUMULATED, where, evidence=evidence)]
    )


def _same(one: Sequence[Array | None], other: Sequence[Array | None]) -> bool:
    return len(one) == len(other) and all(
        a is b or (a is not None and b is not None and alike(a, b))
        for a, b in zip(one, other, strict=True)
    )


def alike(a: Array, b: Array) -> bool:
    """Return whether two answers are equal, or as near as sums in another order are.

    A library may add up in another order when an array lies elsewhere in memory.
    """
    if a.shape != b.shape:
        return False
    room = 64 * np.finfo(a.dtype).eps * np.max(np.abs(a), initial=0.0, where=np.isfinite(a))
    same = (np.abs(a - b) <= room) | (a == b) | (np.isnan(a) & np.isnan(b))
    return bool(np.all(same))


# A recurrent state has forgotten by then where it began, the sooner the smaller its weights are.
_CALLS, _GAINS = 40, (1.0, 0.5, 0.25)


def remembers(ask: Callable[[float], Array]) -> bool:
    """Return whether an answer that is not always the same depends on the calls before it.

    After the same calls it then is the same, and after others it is not. What is random, or counts
    its calls, gives another answer in either case.

    Args:
        ask: Answers with the weights multiplied by a number.
    """
    return any(_remembers(ask, gain) for gain in _GAINS)


def _remembers(ask: Callable[[float], Array], gain: float) -> bool:
    answers: list[Array] = []
    for _ in range(2):
        for _ in range(_CALLS):
            ask(1.125 * gain)
        answers.append(ask(gain))
    first, second = answers
    return alike(first, second) and not alike(second, ask(gain))


def _piles_up(a: Array | None, b: Array | None, c: Array | None) -> bool:
    """Return whether the last of three answers adds the same to the second as that to the first."""
    if a is None or b is None or c is None or not a.shape == b.shape == c.shape:
        return False
    if not np.all(np.isfinite(c)):
        return False
    unit = float(np.finfo(c.dtype).eps)
    room = 4 * unit * (np.abs(a) + np.abs(b) + np.abs(c))
    return not np.any(np.abs((c - b) - (b - a)) > room)
