"""The process in which one contender does one work: started by ``rounds``, spoken to in lines.

It prints the seconds of each measurement, the warm-up first; after each it waits for a line on its
standard input, "go" for another, and prints its peak memory in megabytes at the end.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tools.benchmark.contenders import BY_NAME
from tools.benchmark.works import Work


def clock(work: Work) -> Callable[[], float]:
    """Return what measures a work.

    On one core it is the processor time, which is how long a quiet machine would take.
    """
    pinned = work.one_core and hasattr(os, "sched_setaffinity")
    return time.process_time if pinned else time.perf_counter


class Turns:
    """Reports how long a measurement took by a clock, and waits until the next may begin."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        # Whatever libraries print must not be taken for a measurement.
        self.answers, sys.stdout = sys.stdout, sys.stderr
        self.started = now()

    def say(self, value: float) -> None:
        """Print one number."""
        print(value, file=self.answers, flush=True)

    def __call__(self) -> bool:
        """Report, wait, and return whether to measure again."""
        self.say(self.now() - self.started)
        go = sys.stdin.readline().strip() == "go"
        self.started = self.now()
        return go


def peak_megabytes() -> float:
    """Return the largest memory that this process has had, in megabytes."""
    try:  # Linux counts a parent's memory into ru_maxrss, but not into this
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Do the work that the arguments name: contender, work as JSON, folder of the data."""
    name, work, folder = sys.argv[1], Work(**json.loads(sys.argv[2])), Path(sys.argv[3])
    turn = Turns(clock(work))
    BY_NAME[name].run(work, np.load(folder / "x.npy"), np.load(folder / "y.npy"), turn)
    turn.say(peak_megabytes())


if __name__ == "__main__":
    main()
