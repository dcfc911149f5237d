"""Ctrl-C while a command still loads: it ends, and shows no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# In place of NumPy, which every command imports: says that it is being imported, and takes long.
SLOW = 'import time\nprint("loading", flush=True)\ntime.sleep(60)\n'
# A child inherits an ignored SIGINT from a shell that runs the tests in the background.
START = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv({0!r}, {1!r})"
)


def _interrupted(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    (tmp_path / "numpy.py").write_text(SLOW)
    command = START.format(sys.executable, [sys.executable, *arguments])
    process = subprocess.Popen(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=20)[1]
    return process.returncode, error


@pytest.mark.parametrize("command", ["scripts.train", "scripts.whatami", "scripts.demo"])
def test_an_interrupted_command_shows_no_traceback(tmp_path: Path, command: str) -> None:
    assert _interrupted(tmp_path, "-m", command) == (-signal.SIGINT, "")


def test_another_program_keeps_its_own_answer_to_interrupts(tmp_path: Path) -> None:
    code, error = _interrupted(tmp_path, "-c", "import scripts, numpy")
    assert code == -signal.SIGINT
    assert error.splitlines()[-1] == "KeyboardInterrupt"
