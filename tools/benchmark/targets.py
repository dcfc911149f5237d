"""What the NumPy engine is meant to reach, as ratios within one run, and the check in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.benchmark.contenders import (
    CHECK,
    CONTENDERS,
    DOCUMENT,
    FLOOR,
    JAX,
    OURS,
    TENSORFLOW,
    UNCOMPILED,
)
from tools.benchmark.rounds import Result
from tools.benchmark.works import BUSY, WORKS

FASTEST_PEER = "the fastest peer"
QUIET = "the quiet time"
SECONDS = "seconds"
# Of whom the engine is compared with: the others are ourselves, a limit and a style of program.
PEERS = tuple(
    contender.name
    for contender in CONTENDERS
    if contender.name not in (OURS, UNCOMPILED, CHECK, DOCUMENT, FLOOR)
)


@dataclass(frozen=True)
class Target:
    """The time for a work, at most ``limit`` times another's, or ``limit`` seconds."""

    work: str
    limit: float
    other: str

    def measured(self, results: Sequence[Result]) -> float | None:
        """Return the ratio, or the seconds; None if it was not measured."""
        by_name = {result.work.name: result for result in results}
        result = by_name.get(self.work)
        if result is None:
            return None
        ours = result.of(CHECK if result.work.do == "check" else OURS)
        if ours is None:
            return None
        if self.other == SECONDS:
            return ours.median
        if self.other == QUIET:
            quiet = by_name.get(self.work.removesuffix(BUSY))
            then = quiet and quiet.of(ours.contender)
            return ours.median / then.median if then else None
        if self.other == FASTEST_PEER:
            there = [m for m in result.measured if m.contender in PEERS and m.seconds]
            fastest = min(there, key=lambda m: m.median, default=None)
            return None if fastest is None else result.ratio(OURS, fastest.contender)
        return result.ratio(OURS, self.other)

    @property
    def text(self) -> str:
        """Describe the limit."""
        return f"{self.limit:g} s" if self.other == SECONDS else f"{self.limit:.3g} x {self.other}"


def _targets() -> tuple[Target, ...]:
    names = [work.name for work in WORKS]
    sgd, rmsprop, adam, *busy, d1, d0, d2, one, many, lenet, check, busy_check = names
    return (
        Target(sgd, 0.9, FASTEST_PEER),
        Target(rmsprop, 0.8, FASTEST_PEER),
        Target(adam, 0.8, FASTEST_PEER),
        *(Target(name, 1.0, FASTEST_PEER) for name in busy),
        *(Target(name, 2.2, QUIET) for name in busy),
        Target(d0, 0.35, FASTEST_PEER),
        Target(d2, 0.35, FASTEST_PEER),
        Target(d1, 0.35, FASTEST_PEER),
        Target(one, 0.8, FASTEST_PEER),
        Target(many, 0.95, FASTEST_PEER),
        Target(lenet, 1.0, TENSORFLOW),
        Target(lenet, 1.5, JAX),
        Target(check, 1.0, SECONDS),
        Target(busy_check, 4.0, SECONDS),
    )


TARGETS = _targets()
