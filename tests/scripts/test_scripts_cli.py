"""What the commands share."""

import os
import signal
from pathlib import Path

import pytest

from scripts import cli


def test_atomic_keeps_the_old_file_when_the_block_fails(tmp_path: Path):
    path = tmp_path / "file.txt"
    cli.write_text(path, "old")

    def fail() -> None:
        with cli.atomic(path) as partial:
            partial.write_text("ne")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_atomic_keeps_the_suffix(tmp_path: Path):
    with cli.atomic(tmp_path / "model.keras") as partial:
        assert partial.suffix == ".keras"
        partial.touch()
    assert os.listdir(tmp_path) == ["model.keras"]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (cli.CliError("two\nlines"), 2, "two lines"),
        (cli.CliError("broken", 1), 1, "broken"),
        (MemoryError("8 TiB"), 1, "not enough memory: 8 TiB"),
        (OSError(28, "No space left on device", "f"), 1, "No space left on device: f"),
        (KeyboardInterrupt(), 130, "stopped by SIGINT"),
        (cli.Interrupted(signal.SIGTERM), 143, "stopped by SIGTERM"),
    ],
)
def test_run_turns_errors_into_a_line_and_a_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
):
    def body() -> int:
        raise error

    assert cli.run("name", body) == code
    assert capsys.readouterr().err == f"name: {text}\n"


def test_run_lets_bugs_through():
    def body() -> int:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        cli.run("name", body)


def test_one_line_shows_controls_and_undecodable_bytes():
    assert cli.one_line("a\nb\x1b[31m\udcff") == "a b\\x1b[31m\\udcff"
    assert len(cli.one_line("x" * 9999)) == 500


def test_signals_raise_at_once_then_are_deferred_then_raise_again():
    before = signal.getsignal(signal.SIGTERM)
    with cli.Signals() as signals:
        with pytest.raises(cli.Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        signals.received = None
        signals.defer()
        signals.check()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(cli.Interrupted) as caught:
            signals.check()
        assert caught.value.code == 143
        with pytest.raises(cli.Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_writable_directory(tmp_path: Path):
    assert cli.writable_directory(tmp_path / "a" / "b", ("x",)).is_dir()
    assert os.listdir(tmp_path / "a" / "b") == []
    (tmp_path / "a" / "x").mkdir()
    with pytest.raises(cli.CliError, match="no folder called x"):
        cli.writable_directory(tmp_path / "a", ("x",))
    (tmp_path / "file").touch()
    with pytest.raises(cli.CliError, match="Not a directory"):
        cli.writable_directory(tmp_path / "file" / "b", ())
