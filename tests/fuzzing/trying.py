"""Cases tried in a process of their own, which may hang, crash or grow; what it did is told."""

import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from tests.fuzzing.reader import Reader

# What is promised for each case: bytes beyond those of the start.
MOST = 2**30
# The machine survives where it is not kept: seconds of the clock, and bytes.
HUNG, ALLOWED = 60.0, 3 * 2**30
PAUSE = 0.05


@dataclass
class Outcome:
    """What became of a reader's cases.

    Attributes:
        results: How many were read.
        documented: How many were refused by the documented exception.
        findings: What shall not be, a line each.
    """

    results: int = 0
    documented: int = 0
    findings: list[str] = field(default_factory=list)


def damaged(reader: Reader, bases: list[bytes], seed: int, case: int) -> bytes:
    """Return a case's file."""
    rng = np.random.default_rng([seed, zlib.crc32(reader.name.encode()), case])
    base = bases[int(rng.integers(len(bases)))]
    mutation = reader.mutations[int(rng.integers(len(reader.mutations)))]
    return mutation(base, rng)


def tried(reader: Reader, seed: int, cases: range) -> Outcome:
    """Try some cases of a reader.

    Args:
        reader: The reader.
        seed: Of the run.
        cases: Their numbers.
    """
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder, mmap.mmap(-1, 8) as place:
        bases = list(reader.bases(Path(folder)))
        start = cases.start
        while start < cases.stop:
            place[:] = struct.pack("q", start)
            found = _in_a_process(reader, bases, seed, range(start, cases.stop), folder, place)
            for kind, said in found:
                if kind == "results":
                    outcome.results += int(said)
                elif kind == "documented":
                    outcome.documented += int(said)
                elif kind == "finding":
                    outcome.findings.append(said)
            # After a finding that ended the process, go on behind it.
            start = struct.unpack("q", place[:])[0] + 1
    return outcome


def _in_a_process(
    reader: Reader, bases: list[bytes], seed: int, cases: range, folder: str, place: mmap.mmap
) -> Iterator[tuple[str, str]]:
    out, into = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which newer versions of Python warn of
        child = os.fork()
    if not child:
        os.close(out)
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff's own remarks
            with os.fdopen(into, "w") as told:
                _work(reader, bases, seed, cases, folder, place, told)
            code = 0
        finally:
            os._exit(code)
    os.close(into)
    status = _awaited(child, place)
    with os.fdopen(out) as told:
        yield from (tuple(json.loads(line)) for line in told)
    if status:
        at = struct.unpack("q", place[:])[0]
        how = "never ended" if status == signal.SIGKILL else f"ended with status {status}"
        yield "finding", f"{reader.name} {seed} {at}: the process {how}"


def _awaited(child: int, place: mmap.mmap) -> int:
    """Return how the process ended; end it if it is at one case for too long."""
    at, since = place[:], time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if place[:] != at:
            at, since = place[:], time.monotonic()
        elif time.monotonic() - since > HUNG:
            os.kill(child, signal.SIGKILL)
        time.sleep(PAUSE)


def _work(
    reader: Reader, bases: list[bytes], seed: int, cases: range, folder: str, place: mmap.mmap,
    told: TextIO,
) -> None:  # fmt: skip
    soft = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (soft + ALLOWED, soft + ALLOWED))
    tally: Counter[str] = Counter()
    path = Path(folder) / reader.file
    base = _peak()
    said: set[str] = set()
    for case in cases:
        place[:] = struct.pack("q", case)
        content = damaged(reader, bases, seed, case)
        path.write_bytes(content)
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # they would be on the user's screen
            kind, fault = _one(reader, path)
        tally[kind] += 1
        seconds = time.process_time() - started
        if seconds > reader.longest:
            fault = f"{seconds:.1f} seconds"
        if _peak() - base > MOST:
            base = _peak()
            fault = f"{base / 2**30:.1f} GiB"
        if fault and fault not in said:
            said.add(fault)
            line = f"{reader.name} {seed} {case}: {fault}"
            print(json.dumps(("finding", line)), file=told, flush=True)
    for kind, count in tally.items():
        print(json.dumps((kind, str(count))), file=told)


def _one(reader: Reader, path: Path) -> tuple[str, str]:
    """Read a file; return whether that gave a result, and what is wrong with how it ended."""
    try:
        reader.read(path)
    except reader.documented as error:
        message = str(error)
        return "documented", "" if message and "\n" not in message else f"said {message!r}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return "other", f"{type(error).__name__}: {str(error)[:90]!r} at {where}"
    return "results", ""


def _peak() -> int:
    """Return the most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
