"""Measuring: all contenders of a work are started, then take turns, round after round."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from tools.benchmark.contenders import FLOOR, Contender, floor_scale
from tools.benchmark.works import Work, samples

# After a measurement the threads of a contender's libraries wait for more by turning idly, for some
# tens of milliseconds; the next one shall not be measured against that.
SETTLE_SECONDS = 0.25


@dataclass
class Measured:
    """What one contender took for one work.

    Attributes:
        contender: Its name.
        seconds: One value a round; of processor time where the work has one core.
        megabytes: Peak memory of its process, all libraries included.
        failure: Why there is nothing, or None.
    """

    contender: str
    seconds: list[float] = field(default_factory=list)
    megabytes: float = 0.0
    failure: str | None = None

    @property
    def median(self) -> float:
        """The median of the rounds, in seconds."""
        return statistics.median(self.seconds)


@dataclass
class Result:
    """A work, and what each contender took for it."""

    work: Work
    measured: list[Measured]

    def of(self, contender: str) -> Measured | None:
        """Return a contender's measurement, or None if it has none."""
        return next((m for m in self.measured if m.contender == contender and m.seconds), None)

    def ratio(self, one: str, other: str) -> float | None:
        """Return how many times as long ``one`` took as ``other``: the median over the rounds.

        Round by round, as a machine that is busy for a while is so for both.
        """
        a, b = self.of(one), self.of(other)
        if a is None or b is None:
            return None
        return statistics.median(x / y for x, y in zip(a.seconds, b.seconds, strict=True))


class _Process:
    """A contender's process."""

    def __init__(self, contender: Contender, work: Work, folder: Path) -> None:
        self.contender, self.result = contender, Measured(contender.name)
        self.scale = floor_scale(work) if contender.name == FLOOR else 1.0
        self.errors = (folder / f"{contender.name}.txt").open("w+")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "tools.benchmark.worker",
                contender.name, json.dumps(asdict(work)), str(folder),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env=contender.environment(),
        )  # fmt: skip

    def read(self) -> float | None:
        """Return the number that the process prints next, or None and note the failure."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return float(line) * self.scale
        self.process.wait()
        self.errors.seek(0)
        last = self.errors.read().strip().splitlines()[-1:] or [f"exit {self.process.returncode}"]
        self.result.failure = last[0]
        self.result.seconds.clear()  # half a measurement is none
        return None

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the next read finds out why

    def measure(self) -> None:
        time.sleep(SETTLE_SECONDS)
        self.say("go")
        if (seconds := self.read()) is not None:
            self.result.seconds.append(seconds)

    def end(self) -> None:
        self.say("stop")
        if (megabytes := self.read()) is not None:
            self.result.megabytes = megabytes / self.scale

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()


@contextlib.contextmanager
def _other_work() -> Iterator[None]:
    """Keep one core busy with another process, at the same priority."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Have all processes that are started meanwhile run on one core, where a system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def measure(
    work: Work,
    contenders: Sequence[Contender],
    rounds: int,
    on_step: Callable[[str], None] = lambda what: None,
) -> Result:
    """Measure a work.

    Args:
        work: What to do.
        contenders: Who; those who cannot do it are left out.
        rounds: How often each is measured, after a warm-up.
        on_step: Told what begins, in a few words.
    """
    able = [contender for contender in contenders if contender.can(work)]
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-"))
        if work.busy:
            stack.enter_context(_other_work())
        if work.one_core:
            stack.enter_context(_one_core())
        folder = Path(name)
        for file, values in zip(("x.npy", "y.npy"), samples(work), strict=True):
            np.save(folder / file, values)
        processes: list[_Process] = []
        try:
            for contender in able:  # one after the other, so that no warm-up disturbs another
                on_step(f"{contender.name}: warm-up")
                processes.append(_Process(contender, work, folder))
                processes[-1].read()
            for i in range(rounds):
                on_step(f"round {i + 1} of {rounds}")
                for process in processes:
                    if process.result.failure is None:
                        process.measure()
            for process in processes:
                if process.result.failure is None:
                    process.end()
        finally:
            for process in processes:
                process.close()
    return Result(work, [process.result for process in processes])
