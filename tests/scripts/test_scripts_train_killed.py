"""Trainings that were killed, stopped by a signal or resumed end as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from numpy_impl import serialization
from scripts import engines, run_files
from scripts.train import __main__ as train
from tests import census
from tests.scripts import killing

ROOT = Path(__file__).parents[2]
# A child may inherit an ignored SIGINT from a shell that runs the tests in the background.
CHILD = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
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
def test_a_killed_training_goes_on_bit_for_bit(engine: str, tmp_path: Path, tiny_mnist: Path):
    # Adam, dropout, distortions, a new order and another rate each epoch: all that has a state.
    arguments = ["mnist-robust", "--data", str(tiny_mnist), "--batch-size", "20", "--epochs", "6"]
    count = census.count(50, {"numpy": 2, "keras": 1}[engine])
    moments = killing.moments(count, census.settings.seed)
    results = killing.killed_and_resumed(engine, moments, tmp_path, arguments)
    assert [found["moment"] for found in results] == moments
    for found in results:
        # What was there is whole, or it is replaced by what is whole; nothing between.
        expected = ("old", "whole") if found["moment"] >= 0.5 else ("none", "whole")
        assert found["there"] in expected, found
        assert (found["code"], found["same"], found["beside"]) == (0, True, []), found
    assert sum(found["killed"] == -9 for found in results) >= count // 2


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


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
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
