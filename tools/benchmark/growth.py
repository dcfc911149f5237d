"""How the engine's cost grows with the batch, the width, the depth and the number of samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tools.benchmark.contenders import BY_NAME, FLOOR, OURS
from tools.benchmark.rounds import Result, measure
from tools.benchmark.works import Work


@dataclass(frozen=True)
class Axis:
    """One quantity that is varied.

    Attributes:
        name: What it is called.
        what: What is measured of each point.
        values: Its values.
        work: Makes the work for a value.
        per_sample: Whether the time of a sample is shown, not that of an epoch.
    """

    name: str
    what: str
    values: tuple[int, ...]
    work: Callable[[int], Work]
    per_sample: bool = True


def _batch(value: int) -> Work:
    return Work(f"batch {value}", "784-500-300-10", value, max(2_000, 2 * value))


def _width(value: int) -> Work:
    return Work(f"width {value}", f"784-{value}-10", 100, 3_000)


def _depth(value: int) -> Work:
    return Work(f"depth {value}", "-".join(["784", *["256"] * value, "10"]), 100, 5_000)


def _samples(value: int) -> Work:
    return Work(f"{value} samples", "64-40-10", 15, value)


_BATCHES = (1, 3, 10, 32, 100, 320, 1000, 3200, 10_000)
_WIDTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
_DEPTHS = (1, 2, 3, 4, 6, 8)
_SETS = (1000, 6000, 60_000, 600_000)
AXES = (
    Axis("batch size", "784-500-300-10, a sample", _BATCHES, _batch),
    Axis("width", "784-n-10, a sample", _WIDTHS, _width),
    Axis("depth", "784-256-...-10, a sample", _DEPTHS, _depth),
    Axis("samples", "64-40-10, an epoch", _SETS, _samples, per_sample=False),
)


@dataclass
class Curve:
    """An axis with what was measured at each of its values."""

    axis: Axis
    results: list[Result]

    def seconds(self, contender: str) -> list[float]:
        """Return the median of each value, of a sample or of an epoch."""
        medians = []
        for result in self.results:
            measured = result.of(contender)
            whole = measured.median if measured else float("nan")
            medians.append(whole / result.work.samples if self.axis.per_sample else whole)
        return medians

    @property
    def slope(self) -> float:
        """The exponent e in ``seconds ~ value^e``: least squares on the logarithms."""
        x, y = np.log(self.axis.values), np.log(self.seconds(OURS))
        return float(np.polyfit(x, y, 1)[0])

    @property
    def last_slope(self) -> float:
        """The same exponent between the last two values."""
        x, y = np.log(self.axis.values[-2:]), np.log(self.seconds(OURS)[-2:])
        return float(np.diff(y)[0] / np.diff(x)[0])


def curves(rounds: int, on_step: Callable[[str], None], axes: Sequence[Axis] = AXES) -> list[Curve]:
    """Measure the engine and the floor along all axes."""
    contenders = [BY_NAME[OURS], BY_NAME[FLOOR]]
    found = []
    for axis in axes:
        results = []
        for value in axis.values:
            on_step(f"growth: {axis.name} {value}")
            results.append(measure(axis.work(value), contenders, rounds))
        found.append(Curve(axis, results))
    return found
