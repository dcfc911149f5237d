"""What the commands share: files, errors of one line, signals."""

import os
import signal
from pathlib import Path

import pytest

import terminal_io


def test_atomic_keeps_the_old_file_when_the_block_fails(tmp_path: Path):
    path = tmp_path / "file.txt"
    terminal_io.write_text(path, "old")

    def fail() -> None:
        with terminal_io.atomic(path) as partial:
            partial.write_text("ne")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_atomic_keeps_the_suffix(tmp_path: Path):
    with terminal_io.atomic(tmp_path / "model.keras") as partial:
        assert partial.suffix == ".keras"
        partial.touch()
    assert os.listdir(tmp_path) == ["model.keras"]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (terminal_io.CliError("two\nlines"), 2, "two lines"),
        (terminal_io.CliError("broken", 1), 1, "broken"),
        (MemoryError("8 TiB"), 1, "not enough memory: 8 TiB"),
        (OSError(28, "No space left on device", "f"), 1, "No space left on device: f"),
        (KeyboardInterrupt(), 130, "stopped by SIGINT"),
        (terminal_io.Interrupted(signal.SIGTERM), 143, "stopped by SIGTERM"),
    ],
)
def test_run_turns_errors_into_a_line_and_a_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
):
    def body() -> int:
        raise error

    assert terminal_io.run("name", body) == code
    assert capsys.readouterr().err == f"name: {text}\n"


def test_run_lets_bugs_through():
    def body() -> int:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        terminal_io.run("name", body)


def test_one_line_shows_controls_and_undecodable_bytes():
    assert terminal_io.one_line("a\nb\x1b[31m\udcff") == "a b\\x1b[31m\\udcff"
    assert len(terminal_io.one_line("x" * 9999)) == 500


def test_signals_raise_at_once_then_are_deferred_then_raise_again():
    before = signal.getsignal(signal.SIGTERM)
    with terminal_io.Signals() as signals:
        with pytest.raises(terminal_io.Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        signals.received = None
        signals.defer()
        signals.check()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(terminal_io.Interrupted) as caught:
            signals.check()
        assert caught.value.code == 143
        with pytest.raises(terminal_io.Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_writable_directory(tmp_path: Path):
    assert terminal_io.writable_directory(tmp_path / "a" / "b", ("x",)).is_dir()
    assert os.listdir(tmp_path / "a" / "b") == []
    (tmp_path / "a" / "x").mkdir()
    with pytest.raises(terminal_io.CliError, match="no folder called x"):
        terminal_io.writable_directory(tmp_path / "a", ("x",))
    (tmp_path / "file").touch()
    with pytest.raises(terminal_io.CliError, match="Not a directory"):
        terminal_io.writable_directory(tmp_path / "file" / "b", ())
