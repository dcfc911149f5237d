"""Importing ``keras_impl`` is silent, and silences nothing but the known noise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_impl import _startup

ROOT = Path(__file__).parents[2]
NOISE = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1700000000.000000    1234 port.cc:153] oneDNN custom operations are on.",
    "W0000 00:00:1700000000.000000    1234 gpu_device.cc:2342] Cannot dlopen some GPU libraries.",
    "E0000 00:00:1700000000.000000    1234 cuda_dnn.cc:8310] Unable to register cuDNN factory",
    "2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN custom operations",
    "2026-01-02 03:04:05.678901: W tensorflow/stream_executor/x.cc:64] Could not load libcudart",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
]
REAL = [
    "ImportError: libfoo.so.1: cannot open shared object file",
    "E0000 00:00:1700000000.000000    1234 disk.cc:12] No space left on device",
    "F0000 00:00:1700000000.000000    1234 check.cc:12] Check failed: x == y",
    "2026-01-02 03:04:05.678901: E tensorflow/core/x.cc:64] Failed to allocate memory",
    "2026-01-02 03:04:05.678901: F tensorflow/core/x.cc:64] Check failed",
    "malloc(): corrupted top size",
    "Traceback (most recent call last):",
]


def test_import_is_silent() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", "import keras_impl; print(keras_impl.keras.backend.backend())"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout == "tensorflow\n"


@pytest.mark.parametrize("line", NOISE)
def test_noise_is_dropped(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    with _startup.without_noise():
        os.write(2, f"{line}\n".encode())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("line", REAL)
def test_everything_else_is_passed_on(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    with _startup.without_noise():
        os.write(2, f"{line}\n".encode())
        assert capfd.readouterr().err == ""  # held back so far
    assert capfd.readouterr().err == f"{line}\n"


def test_order_python_and_bytes_that_are_no_text(capfd: pytest.CaptureFixture[str]) -> None:
    with _startup.without_noise():
        os.write(2, f"first\n{NOISE[0]}\n".encode())
        os.write(2, b"\xff second, not ended")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "first\n\ufffd second, not ended\nafter\n"


def test_messages_survive_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    before = os.fstat(2)

    def failing() -> None:
        os.write(2, f"{NOISE[1]}\n{REAL[0]}\n".encode())
        raise ImportError

    with pytest.raises(ImportError), _startup.without_noise():
        failing()
    assert capfd.readouterr().err == f"{REAL[0]}\n"
    assert os.fstat(2).st_ino == before.st_ino  # descriptor 2 is back where it was


def test_no_descriptor_is_leaked() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with _startup.without_noise():
            pass
    assert len(os.listdir("/proc/self/fd")) == before
