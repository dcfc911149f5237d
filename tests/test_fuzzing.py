"""Damaged files end in a result or in the documented exception, soon and small: 2,000 of them.

``make fuzz`` tries 100,000.
"""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests import census
from tests.fuzzing import mutations, trying
from tests.fuzzing.reader import Reader
from tests.fuzzing.readers import READERS

if sys.platform != "linux":
    pytest.skip("limits of processes are set as Linux does it", allow_module_level=True)

ROOT = Path(__file__).parents[1]
TALLY = re.compile(r"(.+?) +(\d+) cases, (\d+) read, (\d+) refused, \d+ s")


def test_damaged_files():
    # In a process that has no threads yet, as those that it forks would lack them.
    command = [sys.executable, "-m", "tests.fuzzing", "--cases", "2000"]
    done = subprocess.run(
        [*command, "--seed", str(census.settings.seed)],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    *lines, last = done.stdout.splitlines()
    assert (done.returncode, last) == (0, "nothing found"), done.stdout + done.stderr
    tallies = [match.groups() for line in lines if (match := TALLY.fullmatch(line))]
    assert [name for name, *_ in tallies] == [reader.name for reader in READERS]
    counts = np.array([list(map(int, numbers)) for _, *numbers in tallies])
    assert (counts[:, 0] == counts[:, 1] + counts[:, 2]).all()
    # Neither is all refused, which would show nothing of what is read, nor is all read.
    many = np.array([reader.share == 1 for reader in READERS])
    assert (counts[many, 2] > 0).all()
    assert counts[:, 1].sum() > counts[:, 0].sum() / 10


def planted(go_wrong: Callable[[], object]) -> list[str]:
    """Return what is found of a reader that goes wrong in its fourth case."""
    read: list[Path] = []

    def reading(path: Path) -> None:
        read.append(path)
        if len(read) == 4:
            go_wrong()
        raise OSError("as documented")

    bases = [b"some bytes of a file"]
    reader = Reader(
        "planted", lambda folder: bases, (mutations.changed,), reading, OSError, "file",
        longest=0.25,
    )  # fmt: skip
    # Where the process ends, another one goes on, which counts anew; it does not come to four.
    return trying.tried(reader, 7, range(6)).findings


def undocumented() -> None:
    raise KeyError("x")


def two_lines() -> None:
    raise OSError("one\ntwo")


def slow() -> None:
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass


def large() -> None:
    bytearray(300_000_000)[::4096] = b"x" * 73243


def crash() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def endless() -> None:
    time.sleep(60)


def noisy() -> None:
    warnings.warn("on the screen", stacklevel=1)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (undocumented, "planted 7 3: KeyError"), (two_lines, r"planted 7 3: said 'one\\ntwo'"),
        (slow, r"planted 7 3: 0\.\d+ s"), (large, r"planted 7 3: \d\.\d+ GiB"),
        (noisy, "planted 7 3: UserWarning"),
        (crash, "planted 7 3: the process ended with status 10"),
        (endless, "planted 7 3: the process never ended"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_found(
    read: Callable[[], object], said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trying, "MOST", 200_000_000)
    if read is endless:
        monkeypatch.setattr(trying, "HUNG", 1.0)
    (finding,) = planted(read)
    assert re.match(said, finding)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_case_can_be_repeated(reader: Reader, tmp_path: Path):
    bases = list(reader.bases(tmp_path))
    one, again = (trying.damaged(reader, bases, 1, 5) for _ in range(2))
    assert one == again
    assert len({trying.damaged(reader, bases, 1, case) for case in range(20)}) > 10


def test_good_files_are_read(tmp_path: Path):
    for reader in READERS:
        for base in reader.bases(tmp_path)[:: reader.share]:
            path = tmp_path / reader.file
            path.write_bytes(base)
            reader.read(path)


def test_json_is_changed_in_every_place():
    rng = np.random.default_rng(0)
    changed = {mutations.in_json(b'{"a": [1, {"b": 2}]}', rng) for _ in range(300)}
    assert {b"{}", b'{"a": [1]}', b'{"a": [{"b": 2}]}', b'{"a": [1, {}]}'} < changed
