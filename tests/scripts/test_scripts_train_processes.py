"""Several processes that train together, on this machine: the steps of one with the whole batch."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_impl import losses, models, optimizers, serialization
from parity.bounds import analyse, analyse_step
from parity.bounds.rounding import Approx
from scripts.train import __main__ as train
from scripts.train import checkpoint, processes
from tests.scripts import on_processes

ROOT = Path(__file__).parents[2]
with_jax = pytest.mark.skipif(
    find_spec("jax") is None, reason='JAX is not installed: pip install "digits-parity[jax]"'
)


def _environment() -> dict[str, str]:
    own = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **own}


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _steps(count: int, folder: Path, planted: str = "") -> list[np.ndarray]:
    """Return each process's weights before and after every step of ``on_processes``."""
    place = f"127.0.0.1:{_port()}"
    out = [folder / f"{count}-{i}-{planted}.npy" for i in range(count)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.scripts.on_processes", str(i), str(count), place,
             str(out[i]), planted],
            cwd=ROOT, env=_environment(), stderr=subprocess.PIPE, text=True,
        )
        for i in range(count)
    ]  # fmt: skip
    for one in running:
        _, error = one.communicate(timeout=500)
        assert one.returncode == 0, error
    return [np.load(path) for path in out]


def _worst(weights: np.ndarray) -> float:
    """Return the largest error of a step, from the weights before it, in units of its bound."""
    network = models.build(on_processes.NETWORK, np.random.default_rng(0), dtype="float64")
    assert np.array_equal(weights[0], network.parameters)
    rule, loss = optimizers.get("sgd", learning_rate=on_processes.RATE), losses.get("quadratic")
    rule.build_for(network)
    x, y = on_processes.samples()
    worst = 0.0
    for before, after, batch in zip(weights[:-1], weights[1:], on_processes.batches(), strict=True):
        network.parameters[...] = before
        bounded = analyse(network, [x[batch]], [y[batch]], loss).gradients
        gradient = Approx(
            np.concatenate([g.value.ravel() for g in bounded]),
            np.concatenate([g.bound.ravel() for g in bounded]),
            bounded[0].rounding,
        )
        bound = analyse_step(rule, gradient, network.parameters)["weights"].bound
        outputs = network.forward(x[batch], training=True)
        network.backward(outputs, y[batch], loss)
        rule.apply(network.gradients, network.parameters)
        # The engines may both be off by the bound, each in its own order of summation.
        worst = max(worst, float((np.abs(after - network.parameters) / (2 * bound)).max()))
    return worst


@with_jax
def test_every_step_of_two_processes_is_that_of_numpy_and_of_one_process(tmp_path: Path):
    (alone,), both = _steps(1, tmp_path), _steps(2, tmp_path)
    assert np.array_equal(both[0], both[1])
    # Each step is NumPy's of the whole batch, up to the rounding of sums in any order.
    assert _worst(both[0]) <= 1
    assert _worst(alone) <= 1
    assert not np.array_equal(both[0], alone), "the sums were formed in the same order"
    # The test sees a process that has the other's samples.
    planted = _steps(2, tmp_path, "same part")
    assert _worst(planted[0]) > 1e6


def _command(data: Path, out: Path, *options: object) -> list[str]:
    fixed = ("784-64-10", "--data", data, "--out", out, "--batch-size", 20, "--dtype", "float64",
             "--optimizer", "adam", "--dropout", 0.2)  # fmt: skip
    return [sys.executable, "-m", "scripts.train", *map(str, (*fixed, *options))]


def _started(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def _members(supervisor: int) -> dict[int, int]:
    """Return the processes that a command has started, by number."""
    found: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == supervisor and b"--process-id" in words:
            found[int(words[words.index(b"--process-id") + 1])] = int(entry.name)
    return found


def _after_an_epoch(command: list[str], work: Path) -> "subprocess.Popen[str]":
    """Start a training; return when an epoch of it is saved."""
    running = _started(command)
    until = time.monotonic() + 300
    while not (work / "checkpoint.npz").exists():
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)
    return running


@with_jax
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
def test_a_process_that_dies_is_told_and_another_number_goes_on(tmp_path: Path, small_mnist: Path):
    long = _command(small_mnist, tmp_path / "dies", "--epochs", 5000)
    running = _after_an_epoch([*long, "--processes", "2"], tmp_path / "dies.training")
    members = _members(running.pid)
    assert sorted(members) == [0, 1]
    began = time.monotonic()
    os.kill(members[1], signal.SIGKILL)
    _, error = running.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert running.returncode == 1
    assert "train: process 1 of 2 was ended by SIGKILL" in error
    assert re.search(f"train: {processes.LOST}; epoch \\d+ is kept in ", error), error
    assert not _members(running.pid)
    # The rest in one process, and all of it in one: the same up to rounding.
    kept = checkpoint.read(tmp_path / "dies.training" / "checkpoint.npz")
    epochs = kept.epoch + 3
    again = _command(small_mnist, tmp_path / "dies", "--epochs", epochs, "--resume")
    whole = _command(small_mnist, tmp_path / "whole", "--epochs", epochs)
    for command in (again, whole):
        done = subprocess.run(
            command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "dies" / "history.json").read_text())
    assert facts["loss"][: kept.epoch] == kept.history.epochs["loss"]
    assert len(facts["loss"]) == epochs
    networks = [serialization.load(tmp_path / name / "model.npz") for name in ("dies", "whole")]
    # Without the state of Adam or of dropout's masks they would be a thousandth apart and more.
    np.testing.assert_allclose(networks[0].parameters, networks[1].parameters, rtol=0, atol=1e-8)


@with_jax
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
def test_ctrl_c_saves_in_process_0_and_ends_all(tmp_path: Path, small_mnist: Path):
    command = _command(small_mnist, tmp_path / "out", "--epochs", 5000, "--processes", 2)
    running = _after_an_epoch(command, tmp_path / "out.training")
    members = _members(running.pid)
    running.send_signal(signal.SIGINT)
    said, error = running.communicate(timeout=120)
    assert running.returncode == 130, error
    assert "stopped by SIGINT after" in error
    assert "test accuracy" in said
    assert (tmp_path / "out" / "model.keras").exists()
    for pid in members.values():
        assert not Path(f"/proc/{pid}").exists()


@with_jax
def test_processes_with_other_options_are_refused(tmp_path: Path, small_mnist: Path):
    place = f"127.0.0.1:{_port()}"
    running = [
        _started(
            _command(small_mnist, tmp_path / str(i), "--processes", 2, "--coordinator", place,
                     "--process-id", i, "--seed", seed)
        )
        for i, seed in enumerate((5, 6))
    ]  # fmt: skip
    for i, one in enumerate(running):
        _, error = one.communicate(timeout=300)
        assert one.returncode == 2, error
        assert error.strip().splitlines()[-1] == (
            "train: expected the same options, samples and checkpoint in every process. "
            f"Received: others in another than process {i}"
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--processes", 1], "--processes: expected 2 or more. Received: 1"),
        (["--processes", 2, "--engine", "numpy"], "expected --engine keras. Received: numpy"),
        (["--process-id", 1], "--process-id: expected --processes with it"),
        (["--processes", 2, "--process-id", 1], "expected it and --process-id, or neither"),
        (["--processes", 2, "--process-id", 0, "--coordinator", "here"], "expected HOST:PORT"),
        (
            ["--processes", 2, "--process-id", 2, "--coordinator", "here:1"],
            "--process-id: expected 0 to 1. Received: 2",
        ),
    ],
)
def test_wrong_options_are_one_line(
    options: list[Any],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(processes, "find_spec", lambda name: True)
    assert train.main(["784-64-10", *map(str, options)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_another_backend_and_no_jax_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert train.main(["784-64-10", "--processes", "2"]) == 2
    assert "expected KERAS_BACKEND=jax. Received: tensorflow" in capsys.readouterr().err
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setattr(processes, "find_spec", lambda name: None)
    assert train.main(["784-64-10", "--processes", "2"]) == 2
    assert 'pip install "digits-parity[jax]"' in capsys.readouterr().err


def test_a_batch_that_cannot_be_divided_is_named():
    batches = [np.arange(10), np.arange(9)]
    with pytest.raises(Exception, match="Received: 2, and batch 2 of 2 has 9 samples"):
        processes.check(2, batches)
    processes.check(2, batches[:1])
