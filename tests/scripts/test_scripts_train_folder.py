"""No training loses another one: folders, full disks, checkpoints that are none."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_impl import serialization
from scripts import plots, run_files
from scripts.train import __main__ as train
from scripts.train import folder, session

COMMAND = ("64-40-10", "--engine", "numpy")


@pytest.fixture(autouse=True)
def quick_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the tests the pictures and Keras's import; all of it is in the same function."""
    monkeypatch.setattr(run_files, "save_keras", lambda network, path: path.write_text("keras"))
    monkeypatch.setattr(plots, "curves", lambda history, path, title: path.touch())
    monkeypatch.setattr(plots, "confusion", lambda matrix, path, title: path.touch())


def _run(*arguments: object) -> int:
    return train.main([str(argument) for argument in arguments])


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run what is refused; return the one line that says so."""
    capsys.readouterr()
    assert _run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("train: ")
    assert error.count("\n") == 1, error
    return error


def _contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished training of two epochs in the default folder."""
    monkeypatch.chdir(tmp_path)
    assert _run(*COMMAND, "--epochs", 2) == 0
    return Path("runs/64-40-10")


def _stopped_by(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Let the next training get a signal in its first batch after so many epochs."""
    on_batch = session.Session._on_batch

    def stopping(self: session.Session, done: int, logs: dict[str, float]) -> None:
        if self.history.length == epoch:
            os.kill(os.getpid(), signal.SIGTERM)
        on_batch(self, done, logs)

    monkeypatch.setattr(session.Session, "_on_batch", stopping)


@pytest.mark.parametrize("end", ["no epochs", "signal", "signal in epoch 2", "diverged", "whole"])
def test_a_new_training_never_touches_an_old_one(
    end: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    before = _contents(run)
    options: tuple[object, ...] = ("--epochs", 3)
    code, made = 0, ["64-40-10", "64-40-10-run2"]
    if end == "no epochs":
        options = ("--epochs", 0)
    elif end == "diverged":
        monkeypatch.setattr(session.divergence, "worst", lambda loss, classes: 1e-9)
        code, made = 1, ["64-40-10"]
    elif end != "whole":
        whole_epochs = 1 if "2" in end else 0
        _stopped_by(monkeypatch, whole_epochs)
        code, made = 143, made[: 1 + whole_epochs]
    assert _run(*COMMAND, *options) == code
    assert "this is runs/64-40-10-run2" in capsys.readouterr().err
    assert sorted(os.listdir("runs")) == made
    assert _contents(run) == before


def test_a_stopped_training_is_saved_up_to_its_last_whole_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        _stopped_by(patch, 2)
        # Not yet on the disk: it was to be saved after ten epochs.
        code = _run(*COMMAND, "--epochs", 4, "--checkpoint-every", 10, "--out", out)
        assert code == 143
    assert (out / "history.csv").read_text().count("\n") == 3
    assert _run(*COMMAND, "--epochs", 2, "--out", tmp_path / "two") == 0
    for name in ("model.npz", "history.csv"):
        assert (out / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert _run("64-40-10", "--resume", "--out", out) == 0
    assert _run(*COMMAND, "--epochs", 4, "--out", tmp_path / "four") == 0
    for name in ("model.npz", "history.csv"):
        assert (out / name).read_bytes() == (tmp_path / "four" / name).read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["four", "stopped", "two"]


def test_what_is_there_needs_force_or_resume(run: Path, capsys: pytest.CaptureFixture[str]):
    before = _contents(Path())
    error = _refused(capsys, *COMMAND, "--out", run)
    assert "--resume goes on with it, --force replaces it" in error
    assert "expected --out" in _refused(capsys, *COMMAND, "--force")
    assert "no --force" in _refused(capsys, *COMMAND, "--resume", "--force")
    assert _contents(Path()) == before
    (run / "notes.txt").write_text("mine")
    assert _run(*COMMAND, "--epochs", 1, "--seed", 3, "--out", run, "--force") == 0
    after = _contents(run)
    assert after.keys() == {*run_files.FILES, "notes.txt"}
    assert after["model.npz"] != before["runs/64-40-10/model.npz"]
    assert os.listdir("runs") == ["64-40-10"]


def test_no_other_folder_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.chdir(mine)
    for option in ((), ("--force",), ("--resume",)):
        assert "the current folder" in _refused(capsys, *COMMAND, "--out", ".", *option)
        assert "with mine" in _refused(capsys, *COMMAND, "--out", "..", *option)
    (mine / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    for option in ((), ("--force",), ("--resume",)):
        assert "with notes.txt" in _refused(capsys, *COMMAND, "--out", "mine", *option)
        error = _refused(capsys, *COMMAND, "--out", "mine/notes.txt", *option)
        assert "expected a directory to write to" in error
    assert _contents(tmp_path) == {"mine/notes.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    assert _run(*COMMAND, "--epochs", 0, "--out", "link") == 0
    assert set(os.listdir("empty")) == set(run_files.FILES)
    assert "expected an earlier training" in _refused(capsys, *COMMAND, "--resume")
    assert "a checkpoint.npz" in _refused(capsys, *COMMAND, "--resume", "--out", "none")
    assert sorted(os.listdir()) == ["empty", "link", "mine"]


@pytest.mark.parametrize("exchange", [True, False])
def test_where_folders_cannot_be_exchanged_they_are_renamed(
    exchange: bool, run: Path, monkeypatch: pytest.MonkeyPatch
):
    called: list[bool] = []
    real = folder._exchanged

    def exchanged(one: Path, other: Path) -> bool:
        called.append(exchange and real(one, other))
        return called[-1]

    monkeypatch.setattr(folder, "_exchanged", exchanged)
    before = (run / "model.npz").read_bytes()
    assert _run(*COMMAND, "--epochs", 1, "--out", run, "--force") == 0
    assert called == [exchange]
    assert (run / "model.npz").read_bytes() != before
    assert os.listdir("runs") == ["64-40-10"]


@pytest.mark.parametrize("moment", range(5))
def test_an_old_training_that_was_being_removed_does_not_come_back(
    moment: int, run: Path, monkeypatch: pytest.MonkeyPatch
):
    assert _run(*COMMAND, "--epochs", 1, "--seed", 3, "--out", "new") == 0
    after = _contents(Path("new"))
    (run / "notes.txt").write_text("mine")
    unlink, left = Path.unlink, [moment]

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.parent.name == "64-40-10.training" and path.name in run_files.FILES:
            left[0] -= 1
            if left[0] < 0:
                raise SystemError("as if the process were killed here")
        unlink(path, missing_ok)

    # Its end in __exit__ is left out, too.
    with monkeypatch.context() as patch:
        patch.setattr(folder.RunFolder, "__exit__", lambda self, *error: None)
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(SystemError):
            _run(*COMMAND, "--epochs", 1, "--seed", 3, "--out", run, "--force")
    monkeypatch.setattr(folder, "_locked", lambda descriptor: True)  # the lock of this process
    new = {"model.npz": after["model.npz"], "notes.txt": b"mine"}
    assert new.items() <= _contents(run).items()
    assert _run("64-40-10", "--resume", "--out", run) == 0
    assert new.items() <= _contents(run).items()
    assert os.listdir("runs") == ["64-40-10"]


@pytest.mark.parametrize("share", [0, 0.1, 0.9])
@pytest.mark.parametrize("option", ["--force", "--resume"])
def test_a_full_disk_keeps_the_earlier_training(
    share: float, option: str, run: Path, capsys: pytest.CaptureFixture[str]
):
    before = _contents(run)
    capsys.readouterr()
    with _largest_file(int(share * len(before["checkpoint.npz"]))):
        assert _run(*COMMAND, "--epochs", 3, "--out", run, option) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "File too large" in lines[-1]
    assert "64-40-10.training" in lines[-1]
    assert _contents(run) == before
    assert os.listdir("runs") == ["64-40-10"]  # no checkpoint could be written


def test_a_disk_that_is_full_at_the_end_keeps_the_checkpoint(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    before = _contents(run)
    with monkeypatch.context() as patch:
        patch.setattr(plots, "curves", lambda history, path, title: path.write_bytes(b"x" * 90_000))
        with _largest_file(50_000):
            assert _run(*COMMAND, "--epochs", 3, "--out", run, "--force") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "File too large" in error
    assert "curves.png; epoch 3 is kept in runs/64-40-10.training/checkpoint.npz" in error
    assert _contents(run) == before
    assert os.listdir("runs/64-40-10.training") == ["checkpoint.npz"]
    # The work folder stands for its place, as the line above names it.
    assert "64-40-10.training holds" in _refused(
        capsys, *COMMAND, "--out", "runs/64-40-10.training"
    )
    assert _run("64-40-10", "--resume") == 0  # the one that was saved last
    assert (run / "history.csv").read_text().count("\n") == 4
    assert os.listdir("runs") == ["64-40-10"]


def test_a_folder_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]):
    for out in ("/proc/runs", "/dev/null/runs", "a\0b"):
        error = _refused(capsys, *COMMAND, "--out", out)
        assert "--out: expected a directory to write to" in error


def test_a_folder_without_permission_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    before = _contents(run)
    for closed in (run, run.parent):
        closed.chmod(0o555)
        assert "Permission denied" in _refused(capsys, *COMMAND, "--out", run, "--force")
        closed.chmod(0o755)
    assert _contents(run) == before


def _changed(path: Path, **arrays: Any) -> None:
    with np.load(path) as archive:
        old = dict(archive)
    np.savez(path, allow_pickle=False, **{**old, **arrays})


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "without its end": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one bit": _flipped,
    "text": lambda path: path.write_text("no archive"),
    "another archive": lambda path: np.savez(path, allow_pickle=False, a=np.zeros(3)),
    "a model": lambda path: path.write_bytes((path.parent / "model.npz").read_bytes()),
    "no facts": lambda path: _changed(path, training=np.array("{}")),
    "a list": lambda path: _changed(path, training=np.array("[1]")),
    "a generator of nothing": lambda path: _changed(path, **{"training/order": np.array("{}")}),
    "a generator of another kind": lambda path: _changed(
        path,
        **{"training/order": np.array('{"bit_generator": "MT19937"}')},
    ),
    "another optimizer": lambda path: _changed(path, **{"training/optimizer/v": np.zeros(3)}),
    "no number": lambda path: _changed(path, **{"training/optimizer/iterations": np.zeros(3)}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_that_is_none_is_one_line(
    damage: str, run: Path, capsys: pytest.CaptureFixture[str]
):
    DAMAGES[damage](run / "checkpoint.npz")
    before = _contents(run)
    error = _refused(capsys, *COMMAND, "--resume", "--epochs", 3)
    assert "runs/64-40-10/checkpoint.npz: expected a checkpoint of" in error
    assert _contents(Path("runs")) == {f"64-40-10/{name}": data for name, data in before.items()}


def test_a_checkpoint_of_another_training_is_one_line(
    run: Path, tiny_mnist: Path, capsys: pytest.CaptureFixture[str]
):
    out = ("--out", run, "--resume")
    for options, text in (
        (("--seed", 1), "own seed, 0. Received: 1"),
        (("--learning-rate", 0.5), "own learning rate, None. Received: 0.5"),
        (("--engine", "keras"), "own engine, numpy. Received: keras"),
        (("--epochs", 1), "--epochs: expected 2 or more"),
    ):
        assert text in _refused(capsys, "64-40-10", *out, *options)
    assert "own name, 64-40-10" in _refused(capsys, "64-200-10", *out)
    # One that was put into the folder of another training.
    other = Path("other")
    command = ("784-64-10", "--engine", "numpy", "--data", tiny_mnist)
    assert _run(*command, "--epochs", 1, "--out", other) == 0
    (run / "checkpoint.npz").write_bytes((other / "checkpoint.npz").read_bytes())
    assert "own name, 784-64-10. Received: 64-40-10" in _refused(capsys, *COMMAND, *out)
    # Other data, and a recipe that has changed since.
    with np.load(tiny_mnist) as archive:
        arrays = {**archive, "x_train": archive["x_train"][::-1]}
    np.savez("changed.npz", allow_pickle=False, **arrays)
    resume = ("784-64-10", "--out", other, "--resume", "--epochs", 2)
    assert "one with other samples" in _refused(capsys, *resume, "--data", "changed.npz")
    with pytest.MonkeyPatch.context() as patch:
        changed = replace(train.recipes.get("784-64-10"), stop_below=0.5)
        patch.setitem(train.recipes.RECIPES, "784-64-10", changed)
        assert "stop_below None; here it is 0.5" in _refused(capsys, *resume)
    assert _run(*resume, "--data", tiny_mnist) == 0


def test_a_falling_rate_allows_no_other_number_of_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = ("--out", tmp_path / "out")
    assert _run(*COMMAND, "--decay", "cosine", "--epochs", 1, *out) == 0
    error = _refused(capsys, "64-40-10", *out, "--resume", "--epochs", 2)
    assert "falls over all of them" in error


def test_the_initial_network_is_saved_and_can_be_trained(tmp_path: Path):
    out = ("--out", tmp_path / "out")
    assert _run(*COMMAND, "--epochs", 0, *out) == 0
    assert _run("64-40-10", "--resume", "--epochs", 1, *out) == 0
    assert _run(*COMMAND, "--epochs", 1, "--out", tmp_path / "one") == 0
    one, other = (serialization.load(tmp_path / x / "model.npz") for x in ("out", "one"))
    np.testing.assert_array_equal(one.parameters, other.parameters)
