"""Trainings that are killed and resumed, each in a process of its own.

Run as a program: the processes are forked from one that has imported everything, which takes longer
than the trainings. It prints, as JSON, what came of each.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy_impl import training
from numpy_impl.training import MEASURED_TOGETHER

ROOT = Path(__file__).parents[2]
# What puts files in their place or removes them; a process is killed at one of these calls, too.
CALLS = ("replace", "rename", "unlink", "fsync", "rmdir", "mkdir")


def killed_and_resumed(
    engine: str,
    moments: Sequence[float],
    folder: Path,
    arguments: Sequence[str],
    measured_together: int = MEASURED_TOGETHER,
) -> list[dict[str, Any]]:
    """Kill a training at each of some moments, and resume it.

    Args:
        engine: "numpy" or "keras".
        moments: From 0 to below 1. The first half of the range is a time in the training; the other
            is the number of a call that changes a file, in a training that replaces another.
        folder: Where to.
        arguments: Of the command, without ``--engine`` and ``--out``.
        measured_together: After so many samples the NumPy engine can save in an epoch.

    Returns:
        For each what is left and what came of it, see :func:`main`.
    """
    facts = {"engine": engine, "moments": list(moments), "folder": str(folder)}
    facts["measured_together"] = measured_together
    done = subprocess.run(
        [sys.executable, "-m", "tests.scripts.killing", json.dumps(facts), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_a_fork(body: Callable[[], int]) -> int:
    """Run in a process of its own; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        code = body()
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a process; return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


made = [0]


def counted(kill_at: int, exchanged: Callable[..., bool]) -> Callable[..., bool]:
    """Count the calls that change files, and kill this process at the one with this number.

    Args:
        kill_at: The number, from 1.
        exchanged: One more function that changes files; it is returned wrapped.
    """

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            made[0] += 1
            if made[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counting

    for name in CALLS:
        setattr(os, name, wrapped(getattr(os, name)))
    return wrapped(exchanged)


def main() -> None:
    """Print a list: for each moment what the killed process left, and what the next one made."""
    facts, arguments = json.loads(sys.argv[1]), sys.argv[2:]
    folder = Path(facts["folder"])
    os.environ["MPLCONFIGDIR"] = str(folder)
    import sklearn.metrics  # noqa: F401

    import digit_data.drawn  # noqa: F401
    from scripts import plots, run_files
    from scripts.train import __main__ as train
    from scripts.train import checkpoint
    from scripts.train import folder as train_folder

    training.MEASURED_TOGETHER = facts["measured_together"]

    if facts["engine"] == "keras":
        import keras_impl  # noqa: F401
        import parity  # noqa: F401

    def draw(*arguments: Any) -> None:
        Path(arguments[1]).touch()

    for module, name in ((plots, "curves"), (plots, "confusion"), (run_files, "save_keras")):
        setattr(module, name, draw)  # as they take longer than a training

    def run(out: Path, *options: str) -> int:
        return train.main([*arguments, "--engine", facts["engine"], "--out", str(out), *options])

    def replacing(out: Path, kill_at: int) -> int:
        train_folder._exchanged = counted(kill_at, train_folder._exchanged)
        code = run(out, "--force")
        (folder / "calls").write_text(str(made[0]))
        return code

    def contents(run: Path) -> dict[str, bytes]:
        names = ("model.npz", "history.csv", "history.json", "checkpoint.npz")
        found = {path.name: path.read_bytes() for path in run.glob("*") if path.name in names}
        return found | {"files": str(sorted(path.name for path in run.glob("*"))).encode()}

    def same(one: Path, other: Path) -> bool:
        # The checkpoint holds the seconds, too.
        return {**contents(one), "checkpoint.npz": b""} == {
            **contents(other),
            "checkpoint.npz": b"",
        }

    old, whole = folder / "old", folder / "whole"
    assert ended(in_a_fork(lambda: run(old, "--seed", "1"))) == 0
    shutil.copytree(old, whole)
    begun = time.monotonic()
    assert ended(in_a_fork(lambda: replacing(whole, 0))) == 0
    seconds, calls = time.monotonic() - begun, int((folder / "calls").read_text())
    assert not same(old, whole)
    results: list[dict[str, Any]] = []
    for number, moment in enumerate(facts["moments"]):
        out = folder / f"run{number}"
        work = folder / f"run{number}.training"
        if moment < 0.5:
            pid = in_a_fork(lambda out=out: run(out))
            time.sleep(2 * moment * seconds)
            os.kill(pid, signal.SIGKILL)
        else:
            shutil.copytree(old, out)
            kill_at = 1 + int((2 * moment - 1) * calls)
            pid = in_a_fork(lambda out=out, kill_at=kill_at: replacing(out, kill_at))
        killed = ended(pid)
        there = next((one.name for one in (old, whole) if same(one, out)), "none")
        left = sorted(path.name for path in work.glob("*"))
        saved = work / "checkpoint.npz"
        step = checkpoint.read(saved).step if saved.exists() else 0
        if saved.exists() or there == "whole":
            options = ["--resume"]
        else:  # there is nothing to go on from
            options = ["--force"] if out.exists() else []
        code = ended(in_a_fork(lambda out=out, options=options: run(out, *options)))
        beside = [path.name for path in folder.glob(f"run{number}.*")]
        found = {"moment": moment, "killed": killed, "there": there, "left": left, "step": step}
        results.append({**found, "code": code, "same": same(out, whole), "beside": beside})
    print(json.dumps(results))


def moments(count: int, seed: int) -> list[float]:
    """Return random moments, as many of the one kind as of the other."""
    rng = random.Random(seed)
    return [(rng.random() + i % 2) / 2 for i in range(count)]


if __name__ == "__main__":
    main()
