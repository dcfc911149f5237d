"""What an IMAGE may be: files, folders, patterns, standard input, pipes."""

import io
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import pytest

from scripts.whatami import __main__ as whatami
from scripts.whatami import pictures
from tests.scripts.whatami_pictures import ask_json, command, draw


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pictures and other things in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.JPG", "c.tif", "[1].png", ".hidden.png", "deep/d.png"):
        Path(name).parent.mkdir(exist_ok=True)
        draw().save(name)
    Path("notes.txt").write_text("no picture")
    Path("folder.png").mkdir()
    Path("empty").mkdir()
    return tmp_path


def names(arguments: Sequence[str]) -> list[str]:
    """Return what the arguments mean."""
    found = pictures.sources(arguments)
    assert all(source.error is None for source in found)
    return [source.name for source in found]


def test_folders_give_their_pictures_by_name():
    assert names(["."]) == ["./[1].png", "./a.JPG", "./b.png", "./c.tif"]
    assert names(["deep", "deep/"]) == ["deep/d.png", "deep/d.png"]


def test_a_loop_of_links_costs_no_other_picture(capsys: pytest.CaptureFixture[str]):
    Path("deep/one.png").symlink_to("two.png")
    Path("deep/two.png").symlink_to("one.png")
    assert names(["deep"]) == ["deep/d.png", "deep/one.png", "deep/two.png"]
    assert whatami.main(["deep", "--csv"]) == 2
    out = capsys.readouterr().out.splitlines()
    assert out[1].startswith("deep/d.png,1,")
    assert [line.count("Too many levels of symbolic links") for line in out] == [0, 0, 1, 1]


def test_patterns_give_files_by_name():
    assert names(["*.png"]) == ["[1].png", "b.png"]
    assert names(["[ab].*"]) == ["a.JPG", "b.png"]
    assert names(["**/*.png"]) == ["[1].png", "b.png", "deep/d.png"]


def test_a_file_whose_name_is_a_pattern_is_a_file():
    shutil.copy("b.png", "1.png")
    assert names(["[1].png"]) == ["[1].png"]


def test_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(folder))
    assert names(["~/deep"]) == ["~/deep/d.png"]
    assert names(["~/b.pn?"]) == [str(folder / "b.png")]


def test_nothing_found_is_a_line_and_the_others_are_answered(capsys: pytest.CaptureFixture[str]):
    arguments = ["empty", "x*.png", "missing.png", "~nobody/x.png", "a\0b", "b*\0", "deep"]
    assert whatami.main(arguments) == 2
    out, error = capsys.readouterr()
    assert out.startswith("deep/d.png:\n")
    lines = error.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("whatami: empty: expected a folder with pictures")
    assert lines[1] == "whatami: x*.png: expected a file, or files that match. Received: none"
    records = ask_json(capsys, *arguments)
    assert [record["error"] is None for record in records] == [False] * 6 + [True]


def test_a_folder_of_one_picture_says_which(capsys: pytest.CaptureFixture[str]):
    assert whatami.main(["deep"]) == 0
    assert capsys.readouterr().out.startswith("deep/d.png:\n")
    assert whatami.main(["deep/d.png"]) == 0
    assert capsys.readouterr().out.startswith("Am I a 0 ?")


def test_a_folder_that_cannot_be_read(capsys: pytest.CaptureFixture[str], monkeypatch):
    def scandir(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    assert whatami.main(["deep"]) == 2
    assert "Received: Permission denied: deep\n" in capsys.readouterr().err


# ---- Standard input ----


def test_standard_input(folder: Path):
    done = command("-", input=Path("b.png").read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"I am a 1.\n")
    for content in (b"", b"no picture"):
        done = command("-", folder / "b.png", "--csv", input=content)
        assert done.returncode == 2
        _, bad, good = done.stdout.splitlines()
        assert bad.startswith(b"-,,")
        assert good.startswith(os.fsencode(folder / "b.png") + b",1,")


def test_standard_input_that_is_closed(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert whatami.main(["-"]) == 2
    assert "Received: none, it is closed\n" in capsys.readouterr().err


def test_a_stream_without_end_is_cut(monkeypatch: pytest.MonkeyPatch, capsys):
    class Endless(io.RawIOBase):
        def readinto(self, buffer) -> int:
            return len(buffer)

        def readable(self) -> bool:
            return True

    monkeypatch.setattr(pictures, "LONGEST_STREAM", 1 << 20)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    assert whatami.main(["-"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipes(capsys: pytest.CaptureFixture[str]):
    os.mkfifo("pipe")
    content = Path("b.png").read_bytes()
    writer = Thread(target=lambda: Path("pipe").write_bytes(content))
    writer.start()
    assert whatami.main(["pipe"]) == 0
    writer.join()
    assert capsys.readouterr().out.endswith("I am a 1.\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("opened", [False, True])
def test_a_pipe_to_which_nobody_writes(
    opened: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    os.mkfifo("pipe")
    monkeypatch.setattr(pictures, "PATIENCE", 0.1)
    writer = os.open("pipe", os.O_RDWR) if opened else None
    assert whatami.main(["pipe"]) == 2
    if writer is not None:
        os.close(writer)
    error = capsys.readouterr().err
    assert "a pipe to which nobody has written for 0.1 s" in error
    assert error.count("\n") == 1


def test_output_that_nobody_reads():
    done = subprocess.run(
        f"{whatami.sys.executable} -m scripts.whatami {Path('b.png').resolve()} >&-",
        shell=True, cwd=Path(__file__).parents[2], capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == b""
