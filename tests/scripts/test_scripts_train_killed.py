"""Trainings that were killed, stopped by a signal or resumed end as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_impl import serialization
from scripts import engines, run_files
from scripts.train import __main__ as train
from scripts.train import checkpoint, session
from tests import census
from tests.scripts import killing

ROOT = Path(__file__).parents[2]
# A child may inherit ignored signals from a shell that runs the tests in the background.
CHILD = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from scripts import run_files
run_files.save_keras = lambda network, path: path.touch()
from scripts.train.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def quick_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test the pictures and Keras's import."""
    from scripts import plots

    monkeypatch.setattr(run_files, "save_keras", lambda network, path: path.touch())
    monkeypatch.setattr(plots, "curves", lambda history, path, title: path.touch())
    monkeypatch.setattr(plots, "confusion", lambda matrix, path, title: path.touch())


def _run(*arguments: object) -> int:
    return train.main([str(argument) for argument in arguments])


@pytest.mark.parametrize("engine", ["numpy", "keras"])
def test_a_killed_training_goes_on_bit_for_bit(engine: str, tmp_path: Path, small_mnist: Path):
    # Adam, dropout, distortions, a new order and another rate each epoch: all that has a state.
    # An epoch has some 150 steps, and is saved four times on the way.
    options = ["--batch-size", "2", "--epochs", "3", "--checkpoint-every", "0s"]
    arguments = ["mnist-robust", "--data", str(small_mnist), *options]
    count = census.count(50, 1)
    moments = killing.moments(count, census.settings.seed)
    results = killing.killed_and_resumed(engine, moments, tmp_path, arguments, 64)
    assert [found["moment"] for found in results] == moments
    for found in results:
        # What was there is whole, or it is replaced by what is whole; nothing between.
        expected = ("old", "whole") if found["moment"] >= 0.5 else ("none", "whole")
        assert found["there"] in expected, found
        assert (found["code"], found["same"], found["beside"]) == (0, True, []), found
    assert sum(found["killed"] == -9 for found in results) >= count // 2
    if count == 50:  # in the middle of an epoch, too, and after several of its steps
        assert len({found["step"] for found in results}) > 3, results


@pytest.mark.parametrize("network", ["784-64-10", "64-200-10"])  # new orders; dropout
@pytest.mark.usefixtures("quick_results")
def test_a_finished_training_goes_on_with_more_epochs(
    network: str, tmp_path: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch
):
    data = ("--data", tiny_mnist) if network.startswith("784") else ()
    command = (network, "--engine", "numpy", "--batch-size", 20, "--optimizer", "adam", *data)
    assert _run(*command, "--epochs", 3, "--out", tmp_path / "whole") == 0
    for part in ("parts", "forgetful"):
        assert _run(*command, "--epochs", 1, "--out", tmp_path / part) == 0
    again = (network, "--resume", "--out", tmp_path / "parts")
    assert _run(*again, "--epochs", 3) == 0
    for name in ("model.npz", "history.csv", "history.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    before = (tmp_path / "parts" / "model.npz").stat().st_ino
    assert _run(*again) == 0  # all is trained
    assert (tmp_path / "parts" / "model.npz").stat().st_ino == before
    # Without the state of the generators the weights are others.
    monkeypatch.setattr(engines, "restore_generator", lambda rng, state: None)
    assert _run(network, "--resume", "--out", tmp_path / "forgetful", "--epochs", 3) == 0
    one, other = (serialization.load(tmp_path / x / "model.npz") for x in ("forgetful", "whole"))
    assert not np.array_equal(one.parameters, other.parameters)


@pytest.mark.usefixtures("quick_results")
def test_a_checkpoint_is_a_model_and_as_frequent_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    saved: list[int] = []
    save = serialization.save

    def counting(network, path, further=None):
        if further:
            saved.append(len(json.loads(str(further["training"]))["history"]["loss"]))
        save(network, path, further)

    monkeypatch.setattr(serialization, "save", counting)
    command = ("64-40-10", "--engine", "numpy", "--epochs", 5)
    for every, expected in (("1", [1, 2, 3, 4, 5]), ("2", [2, 4, 5]), ("1000s", [5])):
        out = tmp_path / every
        assert _run(*command, "--checkpoint-every", every, "--out", out) == 0
        assert saved == expected
        saved.clear()
    checkpoint = serialization.load(out / "checkpoint.npz")
    np.testing.assert_array_equal(
        checkpoint.parameters, serialization.load(out / "model.npz").parameters
    )


def _start(out: Path) -> "subprocess.Popen[str]":
    """Start a long training and return when its first epoch is saved."""
    command = ["64-40-10", "--engine", "numpy", "--epochs", "100000", "--out", str(out)]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *command],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (out.with_name(f"{out.name}.training") / "checkpoint.npz").exists():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return child


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_leaves_everything_saved(signum: int, code: int, tmp_path: Path):
    out = tmp_path / "out"
    with _start(out) as child:
        child.send_signal(signum)
        _, error = child.communicate(timeout=60)
    assert child.returncode == code
    assert f"stopped by {signal.Signals(signum).name} after" in error
    assert "Traceback" not in error
    assert sorted(path.name for path in out.iterdir()) == sorted(run_files.FILES)
    summary = json.loads((out / "summary.json").read_text())
    epochs = json.loads((out / "history.json").read_text())["epoch"]
    assert summary["interrupted"]
    assert summary["epochs_trained"] == len(epochs) >= 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_terminal_that_was_closed_loses_nothing(tmp_path: Path):
    out = tmp_path / "out"
    with _start(out) as child:
        assert child.stderr is not None
        child.stderr.close()  # what is printed from now on has nowhere to go
        time.sleep(0.2)
        child.send_signal(signal.SIGHUP)
        assert child.wait(timeout=60) == 129
    assert sorted(path.name for path in out.iterdir()) == sorted(run_files.FILES)


@pytest.fixture
def stopped(
    tmp_path: Path, quick_results: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:  # fmt: skip
    """A training that Ctrl-C stopped in its second epoch, with checkpoints by the clock."""
    out, calls = tmp_path / "out", [0]
    on_batch = session.Session._on_batch

    def stopping(self: session.Session, *arguments: Any) -> None:
        calls[0] += 1
        if calls[0] == 30:
            signal.raise_signal(signal.SIGINT)
        on_batch(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "_on_batch", stopping)
        options = ("--epochs", 3, "--checkpoint-every", "1000s", "--optimizer", "adam")
        assert _run("64-40-10", "--engine", "numpy", *options, "--out", out) == 130
    assert "stopped by SIGINT after 1 whole epochs; saving them" in capsys.readouterr().err
    return out


def test_ctrl_c_keeps_the_step_that_was_reached(stopped: Path, tmp_path: Path):
    epoch, step = checkpoint.read(stopped / "checkpoint.npz").position
    assert (epoch, 0 < step < 1439) == (1, True)
    assert json.loads((stopped / "history.json").read_text())["epoch"] == [1]
    command = ("64-40-10", "--epochs", 3, "--optimizer", "adam")
    assert _run(*command, "--resume", "--out", stopped) == 0
    assert _run(*command, "--engine", "numpy", "--out", tmp_path / "whole") == 0
    for name in ("model.npz", "history.csv"):
        assert (stopped / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("facts", "epochs", "said"),
    [
        ({"step": 10**6}, 3, "Received: one after 1000000 steps of 1439"),
        ({"step": -1}, 3, "-1 steps with means"),
        ({"means": [1.0]}, 3, "expected 3 sums of means. Received: 1"),
        ({"means": [float("nan")] * 3}, 3, "means of (nan, nan, nan)"),
        ({}, 1, "--epochs: expected 2 or more, so many are trained or begun. Received: 1"),
    ],
)
def test_a_step_that_cannot_be_is_one_line(
    facts: dict[str, Any], epochs: int, said: str, stopped: Path, capsys: pytest.CaptureFixture[str]
):
    path = stopped / "checkpoint.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    changed = json.loads(str(arrays["training"])) | facts
    arrays["training"] = np.array(json.dumps(changed))
    np.savez(path, allow_pickle=False, **arrays)
    assert _run("64-40-10", "--resume", "--out", stopped, "--epochs", epochs) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("quick_results")
def test_what_was_saved_on_the_way_to_a_divergence_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    written: list[tuple[int, int]] = []
    write = checkpoint.Checkpoint.write

    def writing(self: checkpoint.Checkpoint, *arguments: Any) -> None:
        written.append(self.position)
        write(self, *arguments)

    monkeypatch.setattr(checkpoint.Checkpoint, "write", writing)
    command = ("64-40-10", "--engine", "numpy", "--epochs", 3, "--checkpoint-every", "0s")
    assert _run(*command, "--learning-rate", 1e30, "--out", tmp_path / "out") == 1
    assert written[0] > (0, 0)
    assert "nothing of it is saved" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick_results")
def test_a_second_training_into_one_folder_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    with _start(out) as child:
        for option in ((), ("--force",), ("--resume",)):
            assert _run("64-40-10", "--engine", "numpy", "--out", out, *option) == 2
            error = capsys.readouterr().err
            assert "to which another training is writing" in error
            assert error.count("\n") == 1
        child.kill()
        child.communicate(timeout=60)
    # The lock dies with its process; what it left is not lost to a training begun by mistake.
    left = (tmp_path / "out.training" / "checkpoint.npz").read_bytes()
    assert _run("64-40-10", "--engine", "numpy", "--out", out) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert (tmp_path / "out.training" / "checkpoint.npz").read_bytes() == left
    assert _run("64-40-10", "--engine", "numpy", "--epochs", 1, "--out", out, "--force") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("quick_results")
def test_two_trainings_without_out_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with _start(Path("runs/64-40-10").absolute()) as child:
        assert _run("64-40-10", "--engine", "numpy", "--epochs", 1) == 0
        child.kill()
        child.communicate(timeout=60)
    assert sorted(os.listdir("runs")) == ["64-40-10-run2", "64-40-10.training"]
