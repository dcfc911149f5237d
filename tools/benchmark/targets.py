"""What the NumPy engine is meant to reach, as ratios within one run and as times of a step."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.benchmark.contenders import DOCUMENT, FLOOR, JAX, OURS
from tools.benchmark.rounds import Result
from tools.benchmark.works import WORKS

SGD, RMSPROP, ADAM, D1, D0, D2, ONE, MANY = (work.name for work in WORKS)
FASTEST_PEER = "the fastest peer"
# Of whom the engine is compared with: the others are a limit and a style of program.
PEERS = ("Keras on TensorFlow", JAX, "PyTorch", "scikit-learn")


@dataclass(frozen=True)
class Target:
    """The engine's time for a work, at most ``limit`` times another's, or ``limit`` us a step."""

    work: str
    limit: float
    other: str | None = None

    def measured(self, results: Sequence[Result]) -> float | None:
        """Return the ratio, or the microseconds a step; None if it was not measured."""
        result = next((r for r in results if r.work.name == self.work), None)
        if result is None or (ours := result.of(OURS)) is None:
            return None
        if self.other is None:
            return ours.median / result.work.steps * 1e6
        if self.other == FASTEST_PEER:
            there = [m for m in result.measured if m.contender in PEERS and m.seconds]
            fastest = min(there, key=lambda m: m.median, default=None)
            return None if fastest is None else result.ratio(OURS, fastest.contender)
        return result.ratio(OURS, self.other)

    @property
    def text(self) -> str:
        """Describe the limit."""
        if self.other is None:
            return f"{self.limit:g} us a step"
        return f"{self.limit:.3g} x {self.other}"


TARGETS = (
    Target(SGD, 0.75, FASTEST_PEER),
    Target(RMSPROP, 0.9, FASTEST_PEER),
    Target(ADAM, 1.0, FASTEST_PEER),
    Target(SGD, 1.3, FLOOR),
    Target(RMSPROP, 1.65, FLOOR),
    Target(D0, 20),
    Target(D2, 30),
    Target(D0, 1 / 15, JAX),
    Target(D2, 1 / 15, JAX),
    Target(D1, 1 / 15, DOCUMENT),
    Target(ONE, 60),
    Target(MANY, 1.15, FLOOR),
)
